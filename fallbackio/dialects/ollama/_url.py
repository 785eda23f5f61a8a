"""Where Ollama's own API is, below any base URL."""

from __future__ import annotations

from fallbackio.dialects._place import base_of
from fallbackio.endpoint import Endpoint

__all__ = ["url_of"]


def url_of(endpoint: Endpoint, method: str) -> str:
    """`…/api/{method}`, also where `base_url` names `/api`, or the `/v1` of its OpenAI layer."""
    return base_of(endpoint).without("/api", "/v1").url(f"api/{method}")
