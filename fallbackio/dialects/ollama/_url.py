"""Where Ollama's own API is, below any base URL."""

from __future__ import annotations

from fallbackio.endpoint import Endpoint

__all__ = ["url_of"]


def url_of(endpoint: Endpoint, method: str) -> str:
    """`…/api/{method}`, also where `base_url` names `/api`, or the `/v1` of its OpenAI layer."""
    base = (endpoint.base_url or "").rstrip("/")
    for known in ("/api", "/v1"):
        base = base.removesuffix(known)
    return f"{base}/api/{method}"
