"""Where an endpoint is asked, and with which headers: the one form that all dialects share.

URLs leave as they are sent: a host in its ASCII form, all else percent-encoded once.  The query of a
`base_url` is kept, behind the path.  The odd rule: a key stays at home where a token is given, because
vendors that get both take the one or the other.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from attrs import frozen

from fallbackio.endpoint import Endpoint

__all__ = ["Base", "base_of", "headers_of"]

# What may stand in a path as it is (RFC 3986, section 3.3), and what was percent-encoded before.
_PATH = "/%:@!$&'()*+,;=-._~"


@frozen
class Base:
    """A `base_url` without slashes at its end, and its query.

    Example:
        >>> base_of(Endpoint("m", base_url="https://bücher.example/v1/?key=a b")).url("chat")
        'https://xn--bcher-kva.example/v1/chat?key=a%20b'
    """

    root: str
    query: str = ""

    def within(self, segment: str) -> Base:
        """With `segment` (`"/v1"`) at the end of its path, whether it was there or not."""
        return self if self.root.endswith(segment) else Base(self.root + segment, self.query)

    def without(self, *segments: str) -> Base:
        """Without these at the end of its path."""
        root = self.root
        for segment in segments:
            root = root.removesuffix(segment)
        return Base(root, self.query)

    def url(self, path: str, query: str = "") -> str:
        """What is at `path`, which is percent-encoded, below it."""
        queries = "&".join([part for part in (query, self.query) if part])
        return f"{self.root}/{path}" + (f"?{queries}" if queries else "")


def base_of(endpoint: Endpoint) -> Base:
    """The endpoint's `base_url`, as it is sent."""
    parts = urlsplit(endpoint.base_url or "")
    host, colon, port = (
        parts.netloc.partition(":") if not parts.netloc.startswith("[") else (parts.netloc, "", "")
    )
    if not host.isascii():
        host = host.encode("idna").decode()
    root = f"{parts.scheme}://{host}{colon}{port}{quote(parts.path, safe=_PATH)}"
    return Base(root.rstrip("/"), quote(parts.query, safe=_PATH + "?"))


def headers_of(endpoint: Endpoint, key: str = "authorization", **fixed: str) -> dict[str, str]:
    """Content type, what is `fixed`, and the key; the endpoint's own headers win, whatever their case.

    Underscores in the names of what is fixed are hyphens.
    """
    ours = {"content-type": "application/json"}
    ours |= {name.replace("_", "-"): value for name, value in fixed.items()}
    if endpoint.api_key is not None and endpoint.token is None:
        ours[key] = f"Bearer {endpoint.api_key}" if key == "authorization" else endpoint.api_key
    replaced = {name.lower() for name in endpoint.headers}
    return {name: value for name, value in ours.items() if name not in replaced} | dict(endpoint.headers)
