"""Addresses and headers, the same in every dialect."""

from __future__ import annotations

from typing import Any

import pytest

from fallbackio.dialects import DIALECTS
from fallbackio.dialects._place import base_of, headers_of
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError

KEYS = {"anthropic": "x-api-key", "azure": "api-key", "gemini": "x-goog-api-key"}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_query_is_kept(dialect: str, stream: bool) -> None:
    """What stands behind the question mark of a base URL stands behind the path of every request."""
    endpoint = Endpoint("m", base_url="https://h.example/x/?tenant=7&team=a b".replace(" ", "%20"))
    urls = [DIALECTS[dialect].client.url(endpoint, stream=stream)]
    if (embedding := DIALECTS[dialect].embedding) is not None:
        urls.append(embedding.url(endpoint))

    for url in urls:
        path, _, query = url.partition("?")
        assert path.startswith("https://h.example/x/")
        assert "//" not in path.removeprefix("https://")
        assert query.endswith("tenant=7&team=a%20b")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_no_ascii_is_encoded(dialect: str) -> None:
    """A host goes out in its ASCII form, a path and a query percent-encoded, and what was encoded is left."""
    endpoint = Endpoint("m", base_url='https://bücher.example:8443/größe/"a%2Fb"?q=ü')
    url = DIALECTS[dialect].client.url(endpoint)

    assert url.isascii()
    assert url.startswith("https://xn--bcher-kva.example:8443/gr%C3%B6%C3%9Fe/%22a%2Fb%22/")
    assert url.endswith("q=%C3%BC")


@pytest.mark.parametrize(
    ("base_url", "root"),
    [
        ("http://h", "http://h"),
        ("http://[::1]:8000/v1/", "http://[::1]:8000/v1"),
        ("https://h:443//", "https://h:443"),
    ],
)
def test_roots(base_url: str, root: str) -> None:
    """Ports and IPv6 addresses stay, slashes at the end do not."""
    assert root == base_of(Endpoint("m", base_url=base_url)).root


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "ü" * 60 + ".example"])
def test_a_host_that_cannot_be_one(host: str) -> None:
    """A name that no resolver takes is refused when the endpoint is made."""
    with pytest.raises(ConfigError, match="names a host that cannot be one"):
        Endpoint("m", base_url=f"https://{host}/v1")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_key_and_a_token(dialect: str) -> None:
    """The key goes in the vendor's own header, and stays at home where a token is given."""
    client = DIALECTS[dialect].client
    settings: dict[str, Any] = {"base_url": "https://h.example", "api_key": "k"}
    name = KEYS.get(dialect, "authorization")

    assert client.headers(Endpoint("m", **settings))[name] == ("Bearer k" if name == "authorization" else "k")
    assert name not in client.headers(Endpoint("m", **settings, token=lambda: "t"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_endpoints_own_headers_win(dialect: str) -> None:
    """A header of the endpoint's replaces ours, whatever its case, and is written as it was given."""
    name = KEYS.get(dialect, "authorization")
    own = {name.title(): "mine", "Content-TYPE": "a/b", "X-Title": "t"}
    said = DIALECTS[dialect].client.headers(
        Endpoint("m", base_url="https://h.example", api_key="k", headers=own)
    )

    assert own == {header: said[header] for header in own}
    assert len({header.lower() for header in said}) == len(said)


def test_fixed_headers() -> None:
    """What a dialect always says is a default as well."""
    assert {"content-type": "application/json", "x-v": "1"} == headers_of(Endpoint("m"), x_v="1")
