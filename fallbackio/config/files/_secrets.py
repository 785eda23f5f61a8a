"""What in a file is a key: by the names that keys have, whoever's format it is, and by how they begin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["has_secret", "is_secret", "secrets_in"]

# Not `prompt_cache_key`, which groups prompts, and not `eos_token`, which is a text.
_NAME = re.compile(
    r"""
    (?:.*_)? (?: api_?key | subscription_key | private_key | access_key | secret(?:_key)? | password | passwd
               | authorization | credentials? | cookie
               | (?: access | api | auth | bearer | hub | id | refresh | security | session )_token )
    | key | token
    """,
    re.VERBOSE,
)
# One word after it: a text may begin so, too.  A name and password in Base64 have a capital or a digit.
_VALUE = re.compile(r"(?i:bearer) +\S+|(?i:basic) +(?=[a-z+/]*[A-Z0-9=])[A-Za-z0-9+/]{8,}=*|sk-[\w-]{8,}")
_QUERY = re.compile(r"[?&](?:\w+[-_])?(?:key|token|secret)=", re.IGNORECASE)


def is_secret(name: str, value: object) -> bool:
    """Whether a header or a parameter is a key."""
    if not isinstance(value, str) or not value:
        return False
    return bool(_NAME.fullmatch(name.lower().replace("-", "_")) or _VALUE.fullmatch(value.strip()))


def has_secret(address: str) -> bool:
    """Whether a query carries a key."""
    return _QUERY.search(address) is not None


def secrets_in(given: Mapping[str, Any], where: str) -> Iterator[str]:
    """The places of keys in it, however deep."""
    for name, value in given.items():
        place = f"{where}.{name}"
        if is_secret(name, value):
            yield place
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from secrets_in(inner, place)
