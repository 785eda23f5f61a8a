"""Figures and sentences of a report, the same in a terminal and on a page.

What is not known is a dash; shares are rounded down, so that one failed call does not pass for 100 %.
"""

from __future__ import annotations

import math

from fallbackio.drill._result import Result
from fallbackio.drill._values import Figures, Troubled

__all__ = [
    "NONE",
    "dollars",
    "load",
    "plain",
    "seconds",
    "share",
    "success",
    "time",
    "trouble",
    "verdict",
]

NONE = "–"


def verdict(result: Result) -> tuple[str, bool]:
    """What it comes to in a sentence or two, and whether that is good."""
    total = result.total
    if not total.calls:
        return "No call was made, so nothing was shown.", False
    if total.failed:
        return f"{total.failed:,} of {total.calls:,} calls failed.", False
    if result.breaches:
        return "Every call had a right end, but a rule was broken.", False
    whole = f"All {total.calls:,} calls" if total.calls > 1 else "The call"
    empty = " and ".join([one.name for one in result.phases if not one.calls])
    said = f"{whole} had a right end, and all rules held."
    return f"{said} No call was made in {empty}." if empty else said, result.met_trouble


def load(result: Result) -> str:
    """How many calls of which kind were made, and how."""
    kind = "embedding" if result.embedding else "streamed" if result.streaming else "plain"
    calls = f"{result.total.calls:,} {kind} call{'' if result.total.calls == 1 else 's'}"
    return f"{calls} in {_span(result.duration_s)}, {result.rate:g} a second on average, seed {result.seed}"


def trouble(one: Troubled) -> str:
    """How the chain found out about a trouble and about its end."""
    when = f"{one.endpoint} was in trouble from {_span(one.begins_s)} to {_span(one.ends_s)}"
    if one.left_alone_s is None and not one.reached_before and one.returned_s is None:
        return f"{when}, and no call needed it."
    if one.left_alone_s is None:
        found = f"was never left alone and got {_requests(one.reached_before)}"
    elif one.left_alone_s > one.ends_s - one.begins_s:
        found = f"was left alone after {time(one.left_alone_s)}, when it was well again, and had got "
        found += _requests(one.reached_before)
    else:
        found = f"was left alone after {time(one.left_alone_s)} and {_requests(one.reached_before)}, and got "
        found += f"{one.reached_after:,} more"
    return f"{when}; it {found}. {_back(one)}"


def _back(one: Troubled) -> str:
    if one.returned_s is not None:
        return f"It answered again {time(one.returned_s)} after its end."
    if one.afterwards == "not returned":
        return "It had not answered again when the drill ended."
    return "No call needed it after that." if one.afterwards == "not asked" else "The drill ended with it."


def _requests(number: int) -> str:
    return f"{number:,} request{'' if number == 1 else 's'}"


def success(figures: Figures) -> str:
    """The share of calls with a right end."""
    return NONE if math.isnan(figures.success) else f"{math.floor(figures.success * 10000) / 100:g} %"


def share(number: int, calls: int) -> str:
    """A part of the calls, in percent without the unit."""
    return f"{100 * number / calls:.3g}" if number else NONE


def plain(value: float) -> str:
    """A number without a unit."""
    return NONE if math.isnan(value) else f"{value:.2f}"


def time(duration_s: float) -> str:
    """A time with its unit."""
    if math.isnan(duration_s):
        return NONE
    return f"{duration_s * 1000:.0f} ms" if duration_s < 0.9995 else f"{duration_s:.3g} s"


def seconds(duration_s: float) -> str:
    """A time in seconds without the unit, for a table."""
    if math.isnan(duration_s):
        return NONE
    return f"{duration_s:.{2 if duration_s < 10 else 1 if duration_s < 100 else 0}f}"


def _span(duration_s: float) -> str:
    """How long a part of a scenario is, or at which second it begins."""
    if duration_s < 120:
        return f"{duration_s:.3g} s"
    unit, part, whole = ("min", "s", 60) if duration_s < 7200 else ("h", "min", 3600)
    large, rest = divmod(round(duration_s / (whole / 60)), 60)
    return f"{large} {unit} {rest} {part}" if rest else f"{large} {unit}"


def dollars(value: float | None) -> str:
    """US dollars without the unit."""
    if value is None:
        return NONE
    if value < 0.00005:
        return "<0.0001" if value else "0"
    return f"{value:,.2f}" if value >= 10 else f"{value:.4f}"
