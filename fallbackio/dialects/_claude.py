"""What a Claude's name tells of how it thinks, wherever it is asked.

Up to 4.5 thinking is limited in tokens, which count towards the answer's limit; from 4.6 on a model is
told how hard to try.  While one thinks it samples in one way only, and one with a budget may not be forced
to call a tool.  The odd rule: a name that tells nothing is `None`, and nothing is assumed of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "EFFORTS",
    "LEAST_BUDGET",
    "LEAST_TOP_P",
    "budget",
    "refuses_force",
    "since",
    "thinks_by_budget",
    "version",
]

Version = tuple[int, int]

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?")
_BUDGETS_FROM = (3, 7)
_EFFORTS_FROM = (4, 6)

EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
"""OpenAI's words for how hard to think, without the one for not at all."""

LEAST_BUDGET = 1024
"""The fewest tokens of thinking that one takes."""

LEAST_TOP_P = 0.95
"""Below this a model that thinks refuses to sample."""

_BUDGETS: Mapping[str, int] = MappingProxyType(
    {"minimal": LEAST_BUDGET, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 24576}
)
# What is left for the rest of an answer without a limit, and the most that all of them give (Opus 4).
_BESIDE_THINKING = 8192
_MOST_TOKENS = 32000


def version(model: str) -> Version | None:
    """Major and minor version, `None` if the name does not tell.

    Example:
        >>> version("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), version("claude-3-5-haiku-latest")
        ((4, 5), (3, 5))
    """
    found = _VERSION.search(model)
    if found is not None:
        return (int(found[1]), int(found[2] or 0))
    if "claude-v2" in model or "claude-instant" in model:
        return (2, 0)
    return (5, 0) if "mythos" in model else None  # its preview has no number


def since(model: str, least: Version) -> bool:
    """Whether it is known to be of a version or later."""
    known = version(model)
    return known is not None and known >= least


def thinks_by_budget(model: str) -> bool:
    """Whether it wants its thinking limited in tokens, and knows no efforts."""
    known = version(model)
    return known is not None and _BUDGETS_FROM <= known < _EFFORTS_FROM


def refuses_force(model: str) -> bool:
    """Whether it may not be told that it must call a tool."""
    if "mythos" in model and not _VERSION.search(model):
        return True
    return ("opus" in model and since(model, (5, 5))) or ("fable" in model and since(model, (5, 1)))


def budget(effort: str, limit: object) -> tuple[int, object]:
    """Tokens of thinking for an effort, and the answer's limit, which includes them; half of it at most.

    Example:
        >>> budget("medium", None), budget("medium", 4000)
        ((8192, 16384), (2000, 4000))
    """
    wanted = _BUDGETS[effort]
    if isinstance(limit, int):
        return min(wanted, max(limit // 2, LEAST_BUDGET)), limit
    return wanted, min(wanted + _BESIDE_THINKING, _MOST_TOKENS)
