"""A file to begin with, from the keys that the environment has.

One endpoint for each vendor with a key, because endpoints of one vendor fail together; at most four, because
a call's time is shared among them.  The first are general models, then fast ones, routers last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from attrs import frozen

from fallbackio.config._address import standing_of
from fallbackio.config._extras import is_installed
from fallbackio.dialects import VENDORS

__all__ = ["STARTERS", "VERIFIED", "Start", "starting_file"]

VERIFIED = "2026-11"
"""Year and month in which the models were last seen in genai-prices, and in no list of retirements."""

STARTERS: Mapping[str, str] = MappingProxyType(
    {
        "openai": "gpt-6-luna",
        "anthropic": "claude-sonnet-5-5",
        "gemini": "gemini-3.8-flash",
        "mistral": "mistral-medium-latest",
        "xai": "grok-4.7",
        "deepseek": "deepseek-v4-flash",
        "moonshot": "kimi-k3",
        "groq": "openai/gpt-oss-120b",
        "cerebras": "gpt-oss-120b",
        "fireworks": "accounts/fireworks/models/gpt-oss-120b",
        "together": "openai/gpt-oss-120b",
        "cohere": "command-a-03-2025",
        "openrouter": "openai/gpt-6-luna",
    }
)
"""A model of each vendor that many use, in the order in which they are asked."""

# So many attempts of `attempt_timeout` fit into `timeout`.
MOST_STEPS = 4

# Where no key is there: what most people have or get first.
_WITHOUT_KEYS = ("openai", "anthropic")


@frozen
class Start:
    """The file, and what it was made of.

    Attributes:
        steps: What its chain asks.
        variables: Names of the variables that hold their keys.
        missing: Of these, those that are not set.
        others: Steps for more keys that are there, which the file has as a comment.
    """

    text: str
    steps: tuple[str, ...]
    variables: tuple[str, ...]
    missing: tuple[str, ...]
    others: tuple[str, ...]


def starting_file(ignored: Mapping[str, str] = MappingProxyType({})) -> Start:
    """The file for this environment; reads which variables are set, and none of their values.

    `ignored` are codes that its `[check]` leaves out, each with a reason.
    """
    ready = [name for name in STARTERS if _is_ready(name)]
    chosen = ready[:MOST_STEPS] or list(_WITHOUT_KEYS)
    steps = [f"{name}/{STARTERS[name]}" for name in chosen]
    others = [f"{name}/{STARTERS[name]}" for name in ready[MOST_STEPS:]]
    keys = [standing_of(VENDORS[name]).key for name in chosen]
    variables = [key or VENDORS[name].key_env[0] for key, name in zip(keys, chosen, strict=True)]
    return Start(
        text=_text(steps, others, variables, found=bool(ready), ignored=ignored),
        steps=tuple(steps),
        variables=tuple(variables),
        missing=tuple([variable for key, variable in zip(keys, variables, strict=True) if key is None]),
        others=tuple(others),
    )


def _is_ready(name: str) -> bool:
    standing = standing_of(VENDORS[name])
    return standing.key is not None and not standing.missing and is_installed(VENDORS[name].extra)


def _text(
    steps: Sequence[str],
    others: Sequence[str],
    variables: Sequence[str],
    *,
    found: bool,
    ignored: Mapping[str, str],
) -> str:
    listed = "\n".join(
        [f'    "{step}",  # {variable}' for step, variable in zip(steps, variables, strict=True)]
    )
    more = "".join([f'\n    # "{step}",' for step in others])
    codes = "\n".join([f'    "{code}",  # {reason}' for code, reason in ignored.items()])
    keys = "keys that the environment had" if found else "names that keys usually have; none was set"
    return _FILE.format(keys=keys, steps=listed + more, check=_CHECK.format(codes=codes) if codes else "")


_CHECK = """
[check]
# Left out of `fallbackio check` until they are mended:
ignore = [
{codes}
]
"""

_FILE = """\
# A chain of LLM endpoints, written by `fallbackio init` from the {keys}.
#
#   chain = fallbackio.Chain.from_toml("chain.toml")
#
# `fallbackio check` finds what production would find later; docs/settings.md lists every setting.
# Keys stay in the environment: this file holds the names of their variables only.

[chain.main]
# Asked in this order.  A step is vendor/model, or the name of a section below.
steps = [
{steps}
]

# Seconds.  The whole call; one attempt; between two pieces of a streamed answer.  "off" for no limit.
timeout = 120
attempt_timeout = 30
idle_timeout = 20

# Cut off an endpoint that stalls, by the times that it usually takes:
# ttft_timeout = "adaptive"

# Ask the second endpoint as well when the first is slow; at most 5 % more requests:
# strategy = {{ kind = "hedge", delay = "adaptive", extra_load = 0.05 }}

# When an endpoint is left alone: failures in a row, or a share of failures over at least so many calls.
# breaker = {{ consecutive = 5, rates = [[0.5, 10], [0.2, 50]] }}

# An endpoint with settings of its own; name it in steps:
# [endpoint.backup]
# model = "openai/gpt-6-luna"
# api_key_env = "SECOND_KEY"
# max_in_flight = 20
# params = {{ max_tokens = 2000 }}

# Keys or regions of equal standing, behind one step:
# [pool.both]
# endpoints = ["openai/gpt-6-luna", "backup"]
# balance = "latency"
{check}"""
