"""Where an Azure resource is asked, and in which version of its API.

Two families of paths: `…/openai/v1/…`, which names the deployment in the body and always speaks the
newest API, and `…/openai/deployments/{name}/…`, which needs a dated `api-version` in the query.  A
dated version is therefore what tells them apart; everything else goes to v1.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from fallbackio.dialects._place import base_of
from fallbackio.endpoint import Endpoint

__all__ = ["NEWEST", "url_of", "version_of"]

# Later than any date that a version may have.
NEWEST = "9999"

_VERSION = re.compile(r"(?:^|&)api-version=(\d{4}-\d\d-\d\d)[^&]*")
_DEPLOYMENT = re.compile(r".*/openai/deployments/[^/]+")


def url_of(endpoint: Endpoint, operation: str) -> str:
    """Where `operation` (`"chat/completions"`) of `endpoint` is asked; its query is kept.

    Example:
        >>> ours = Endpoint("gpt 4", base_url="https://r.openai.azure.com?api-version=2024-10-21")
        >>> url_of(ours, "embeddings")
        'https://r.openai.azure.com/openai/deployments/gpt%204/embeddings?api-version=2024-10-21'
    """
    base = base_of(endpoint)
    if not (base.root.endswith("/v1") or _DEPLOYMENT.fullmatch(base.root)):
        dated = f"/deployments/{quote(endpoint.model, safe='')}"
        base = base.within("/openai").within(dated if _VERSION.search(base.query) else "/v1")
    return base.url(operation)


def version_of(endpoint: Endpoint) -> str:
    """The date of its `api-version`, or `NEWEST` where there is none.

    Example:
        >>> version_of(Endpoint("gpt-4o", base_url="https://r.openai.azure.com?api-version=2024-10-21"))
        '2024-10-21'
    """
    base = base_of(endpoint)
    found = _VERSION.search(base.query)
    return found[1] if found and not base.root.endswith("/v1") else NEWEST
