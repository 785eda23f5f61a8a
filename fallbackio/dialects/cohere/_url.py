"""Where Cohere's version 2 is, below any base URL."""

from __future__ import annotations

from fallbackio.endpoint import Endpoint

__all__ = ["url_of"]


def url_of(endpoint: Endpoint, method: str) -> str:
    """`…/v2/{method}`, whether `base_url` ends in `/v2` or is the host's bare root."""
    base = (endpoint.base_url or "").rstrip("/")
    return f"{base}/{method}" if base.endswith("/v2") else f"{base}/v2/{method}"
