"""Making an endpoint: a setting that could not work is refused, named, and never shown if it is secret."""

from __future__ import annotations

from typing import Any

import pytest

from fallbackio import ConfigError, Endpoint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": ""}, "model must be a non-empty string"),
        ({"model": None}, "model must be a non-empty string"),
        ({"model": "gpt\n4"}, "model must not contain line breaks"),
        ({"name": 5}, "name must be a string, not int"),
        ({"name": " "}, "name is blank; leave it out"),
        ({"name": "a\nb"}, "name must not contain line breaks"),
        ({"vendor": 5}, "vendor must be a string, not int"),
        ({"vendor": "a\x1b[1m"}, "vendor must not contain line breaks"),
        ({"dialect": 5}, "dialect must be a non-empty string, not 5"),
        ({"dialect": []}, r"dialect must be a non-empty string, not \[\]"),
        ({"params": [1]}, "params must be a mapping .*, not list"),
        ({"params": None}, "params must be a mapping .*, not NoneType"),
        ({"params": {1: 2}}, "a name in params must be a string, not int"),
        ({"context_window": 0}, "context_window must be"),
        ({"context_window": True}, "context_window must be"),
        ({"unsupported": "ignore"}, "unsupported must be one of"),
        ({"fn": 5}, "fn must be a function, not int"),
        ({"api_key": "sk-secret\n"}, "api_key must not contain line breaks"),
        ({"api_key": ""}, "api_key is empty; leave it out"),
        ({"api_key": "sk-secret-schlüssel"}, "api_key must be ASCII"),
        ({"api_key": 5}, "api_key must be a string"),
    ],
    ids=str,
)
def test_bad_values_are_refused(settings: dict[str, Any], message: str) -> None:
    """A value that cannot work is a ConfigError that names the setting and hides keys."""
    with pytest.raises(ConfigError, match=message) as caught:
        Endpoint(**{"model": "m", **settings})

    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (None, "headers must be a mapping .*, not NoneType"),
        ([("x", "a")], "headers must be a mapping .*, not list"),
        ({5: "a"}, "a header's name must be a string, not int"),
        ({"": "a"}, "the one that begins ''"),
        ({"a b": "a"}, "the one that begins 'a'"),
        ({"x\r": "a"}, "the one that begins 'x'"),
        ({"schlüssel": "a"}, "the one that begins 'schl'"),
        ({"Authorization: sk-secret": ""}, "the one that begins 'Authorization'"),
        ({"x": 5}, "header 'x' must be a string, not int"),
        ({"x": "sk-secret\nb"}, "header 'x' must not contain line breaks"),
        ({"x": "sk-secret-schlüssel"}, "header 'x' must be ASCII"),
    ],
    ids=str,
)
def test_bad_headers_are_refused(headers: Any, message: str) -> None:
    """What HTTP does not allow as a header is found when the endpoint is made."""
    with pytest.raises(ConfigError, match=message) as caught:
        Endpoint("m", headers=headers)

    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        (5, "base_url must be a string, not int"),
        ("localhost:8000", "must start with http:// or https://"),
        ("ftp://h/v1", "must start with http:// or https://"),
        ("http://", "names no host"),
        ("http://:8000/v1", "names no host"),
        ("http://[::1", "base_url is no URL"),
        ("http://h:port/v1", "its port must be a number from 1 to 65535"),
        ("http://h:0/v1", "its port must be a number from 1 to 65535"),
        ("http://h:65536/v1", "its port must be a number from 1 to 65535"),
        ("http://h/v1\n", "must not contain spaces, line breaks"),
        ("http://a b/v1", "must not contain spaces, line breaks"),
        ("http://h/v1#top", "nothing after '#'"),
        ("http://user:sk-secret@h/v1", r"put credentials into headers"),
        ("http://sk-secret@[::1", r"put credentials into headers"),
        ("user:sk-secret@h/v1", "must start with http:// or https://"),
        ("h/v1?key=sk-secret", "must start with http:// or https://"),
        ("http:///v1?key=sk-secret", "names no host"),
        ("sk-secret", "must start with http:// or https://"),
        ("https://h:sk-secret/v1", "its port must be a number"),
        ("https://h/sk-secret v1", "must not contain spaces"),
        ("https://h/v1#sk-secret", "nothing after '#'"),
    ],
)
def test_bad_urls_are_refused(base_url: Any, message: str) -> None:
    """A URL that no request could go to is found when the endpoint is made."""
    with pytest.raises(ConfigError, match=message) as caught:
        Endpoint("m", base_url=base_url)

    assert "base_url" in str(caught.value)
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url", ["http://h", "https://h:443/v1/", "http://[::1]:8000/a@b", "http://h/?v=1"]
)
def test_good_urls_are_taken(base_url: str) -> None:
    """What a request can go to is left as it is."""
    assert Endpoint("m", base_url=base_url).base_url == base_url


def test_its_repr_shows_no_secret() -> None:
    """Neither the key nor headers nor a query, which may hold one, are shown."""
    secret = "sk-secret"
    shown = repr(Endpoint("m", base_url=f"http://h/v1?key={secret}", api_key=secret, headers={"x": secret}))

    assert "http://h/v1" in shown
    assert secret not in shown


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fn": None, "name": "x"}, "needs an async function, not NoneType"),
        ({"fn": print, "name": ""}, "needs a name"),
        ({"fn": print, "name": 5}, "name must be a string, not int"),
        ({"fn": print, "name": "x", "vendor": 5}, "vendor must be a string, not int"),
    ],
    ids=str,
)
def test_bad_functions_are_refused(given: dict[str, Any], message: str) -> None:
    """An endpoint around a function says what it lacks."""
    with pytest.raises(ConfigError, match=message):
        Endpoint.calling(**given)
