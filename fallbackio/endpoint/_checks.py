"""Validators of an endpoint's settings; each raises `ConfigError`, and none of them shows a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute

from fallbackio._checks import check, is_number, is_whole
from fallbackio.errors import ConfigError

__all__ = [
    "CAPABILITIES",
    "as_capabilities",
    "capabilities",
    "dialect",
    "env",
    "function",
    "headers",
    "headers_env",
    "key",
    "label",
    "over_zero",
    "params",
    "prose",
    "string",
    "text",
    "url",
    "window",
    "without_query",
]

# RFC 9110, section 5.6.2: what a header may be called.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a string, not {type(value).__name__}")
    return value


def _one_line(name: str, value: object) -> str:
    """HTTP allows no control characters in a header (RFC 9110, section 5.5), and no log wants them."""
    text = string(name, value)
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise ConfigError(f"{name} must not contain line breaks or other control characters")
    return text


def _header_value(name: str, value: object) -> str:
    text = _one_line(name, value)
    if not text.isascii():
        raise ConfigError(f"{name} must be ASCII")
    return text


def text(instance: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{attribute.name} must be a non-empty string, not {value!r}")
    _one_line(attribute.name, value)


def label(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A text whose default, the empty one, stands for another."""
    if value != "" and not _one_line(attribute.name, value).strip():
        raise ConfigError(f"{attribute.name} is blank; leave it out to get the default")


def key(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not _header_value(attribute.name, value).strip():
        raise ConfigError("api_key is empty; leave it out to read it from the environment")


# POSIX: what a variable of the environment may be called, lower case included.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _variable(what: str, value: object) -> None:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        # What was given is not shown, because the slip may be the secret itself.
        raise ConfigError(
            f"{what} must be the name of an environment variable, such as OPENAI_API_KEY, and not its value"
        )


def env(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value != "":
        _variable(attribute.name, value)


def headers_env(instance: object, attribute: Attribute[Any], value: object) -> None:
    for name, variable in _mapping(attribute.name, value, '{"x-api-key": "PROXY_KEY"}').items():
        _header_name(name)
        _variable(f"{attribute.name}[{name!r}]", variable)


def params(instance: object, attribute: Attribute[Any], value: object) -> None:
    for name, content in _mapping(attribute.name, value, '{"temperature": 0}').items():
        string("a name in params", name)
        if isinstance(content, float) and not isfinite(content):
            raise ConfigError(f"params[{name!r}] is {content}, and JSON has no NaN and no infinity")


def headers(instance: object, attribute: Attribute[Any], value: object) -> None:
    for name, content in _mapping(attribute.name, value, '{"x-title": "ours"}').items():
        _header_value(f"header {_header_name(name)!r}", content)


def _header_name(name: object) -> str:
    text = string("a header's name", name)
    begins = _TOKEN.match(text)
    if begins is None or begins[0] != text:
        # Only its beginning is shown, because the slip may be a whole header, with its key.
        raise ConfigError(
            "a header's name in headers consists of letters, digits and hyphens, without spaces or "
            f"colons; the one that begins {begins[0] if begins else ''!r} does not"
        )
    return text


def _mapping(name: str, value: object, example: str) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name} must be a mapping such as {example}, not {type(value).__name__}")
    return value


def url(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        return
    # Nothing of it is quoted: whoever mixes two variables up has a key here.
    given = string("base_url", value)
    if not given.startswith(("http://", "https://")):
        raise ConfigError("base_url must start with http:// or https://")
    if any(char <= " " or char == "\x7f" for char in given):
        raise ConfigError("base_url must not contain spaces, line breaks or other control characters")
    if "@" in re.split(r"[/?#]", given)[2]:
        raise ConfigError("base_url holds a user or a password; put credentials into headers or api_key")
    if "#" in given:
        raise ConfigError("base_url must have nothing after '#'; it would not be sent")
    _where(given)


def _where(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError("base_url is no URL; an IPv6 address is written http://[::1]:8000") from None
    if not parts.hostname:
        raise ConfigError("base_url names no host; write for example http://localhost:8000/v1")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ConfigError("base_url names a host that cannot be one, such as one over 63 letters") from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ConfigError("base_url is no URL; its port must be a number from 1 to 65535")


def without_query(url: str | None) -> str:
    return repr(url and url.partition("?")[0])


def dialect(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None:
        text(instance, attribute, value)


over_zero = check("a number over 0", lambda value: is_number(value) and value > 0)
window = check("a positive number of tokens", lambda value: is_whole(value) and value > 0)


def prose(instance: object, attribute: Attribute[Any], value: object) -> None:
    string(attribute.name, value)


def function(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise ConfigError(f"{attribute.name} must be a function, not {type(value).__name__}")


# What `Endpoint(capabilities=…)` and `Chain(require=…)` may name.
CAPABILITIES = frozenset({"tools", "vision", "json_schema"})


def as_capabilities(given: object) -> object:
    named = isinstance(given, set | list | tuple) and all(isinstance(one, str) for one in given)
    return frozenset(given) if named else given  # type: ignore[call-overload]


capabilities = check(
    f"a set of {', '.join(sorted(CAPABILITIES))}",
    lambda value: isinstance(value, frozenset) and value <= CAPABILITIES,
)
