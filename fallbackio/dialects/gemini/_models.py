"""What a model's name and an endpoint's address tell: version, size, and where requests go.

The odd rule: models differ and only their names tell.  `…-latest` stands for the newest, which are
of the third generation or later; where a name tells nothing (`None`) nothing is assumed.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from fallbackio.dialects._place import base_of
from fallbackio.endpoint import Endpoint

__all__ = ["address", "bare", "is_pro", "is_vertex", "since_3", "version"]

_VERSION = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?!\d)")
_LATEST = re.compile(r"gemini-[a-z-]+-latest")

# The last part of an address that says its version (v1, v1beta, v1beta1, v1alpha).
_HAS_VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*")

_VERTEX_HOST = re.compile(r"(?:[a-z0-9-]+-)?aiplatform(?:\.[a-z]+\.rep)?\.googleapis\.com")

# Models that say themselves where they are, below the version or the location.
_PLACED = ("publishers/", "endpoints/", "tunedModels/")


def bare(model: str) -> str:
    """The model's name without `models/` before it.

    Example:
        >>> bare("models/gemini-2.5-flash")
        'gemini-2.5-flash'
    """
    return model.removeprefix("models/")


def version(model: str) -> tuple[int, int] | None:
    """Generation and minor version, `None` where the name does not tell.

    Example:
        >>> version("gemini-2.5-pro"), version("gemini-3-pro-preview"), version("gemma-3")
        ((2, 5), (3, 0), None)
    """
    found = _VERSION.search(model)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    return (3, 0) if _LATEST.search(model) else None


def since_3(model: str) -> bool:
    """Whether the model is known to be of the third generation or a later one."""
    known = version(model)
    return known is not None and known >= (3, 0)


def is_pro(model: str) -> bool:
    """Whether it is one of the large models, which always think."""
    return "-pro" in model


def is_vertex(endpoint: Endpoint) -> bool:
    """Whether the endpoint is at Vertex AI, by its host or by the project in its path."""
    parts = urlsplit(endpoint.base_url or "")
    return "/projects/" in parts.path or _VERTEX_HOST.fullmatch(parts.hostname or "") is not None


def address(endpoint: Endpoint, method: str, query: str = "") -> str:
    """Where `method` of the endpoint's model is; a query in its `base_url` is kept.

    A bare root gets its version, a Vertex address without a publisher Google's.
    """
    base = base_of(endpoint).without("/openai")  # where AI Studio's compatible API would be
    vertex = is_vertex(endpoint)
    path = urlsplit(base.root).path
    if "/projects/" not in path and not _HAS_VERSION.search(path):
        base = base.within("/v1" if vertex else "/v1beta")
    model = bare(endpoint.model)
    if not model.startswith(_PLACED):
        if vertex and "/publishers/" not in path:
            base = base.within("/publishers/google")
        base = base.within("/models")
        model = quote(model, safe="")
    return base.url(f"{quote(model, safe='/%')}:{method}", query)
