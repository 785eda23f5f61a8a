"""Whether figures are good enough: limits by their names, and what misses them in words.

What is not known misses every limit: a drill that has not shown something must not pass for one that has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fallbackio._checks import is_number, nearest
from fallbackio.drill._values import Figures, Quantiles, Troubled
from fallbackio.errors import ConfigError

__all__ = ["check_limits", "shortcoming"]

# What `require` takes besides success, and where it is found.
_TIMES = {
    "p50_s": ("latency", "p50"),
    "p90_s": ("latency", "p90"),
    "p99_s": ("latency", "p99"),
    "p999_s": ("latency", "p999"),
    "longest_s": ("latency", "longest"),
    "ttft_p50_s": ("ttft", "p50"),
    "ttft_p90_s": ("ttft", "p90"),
    "ttft_p99_s": ("ttft", "p99"),
    "ttft_p999_s": ("ttft", "p999"),
}
_COUNTS = ("requests_per_call", "to_sick", "cost", "wasted")
_TROUBLES = ("left_alone_s", "returned_s")

_LIMITS = ("success", *_TIMES, *_COUNTS, *_TROUBLES)


def check_limits(limits: Mapping[str, object]) -> None:
    """Refuse what `Result.require` would, before a drill.

    A limit that nothing can miss, or nothing can meet, is a slip of the pen.

    Raises:
        ConfigError: For a limit that there is not, or one out of its range.

    Example:
        >>> check_limits({"success": 1.0, "p99_s": 8})
    """
    for name, limit in limits.items():
        if name not in _LIMITS:
            raise nearest("limit", name, _LIMITS)
        if not is_number(limit) or limit < 0 or (name == "success" and limit > 1):
            rule = "a share from 0 to 1" if name == "success" else "a number, 0 or more"
            raise ConfigError(f"the limit {name} must be {rule}, not {limit!r}")


def shortcoming(name: str, limit: float, figures: Figures, troubles: Sequence[Troubled]) -> list[str]:
    """What misses the limit, in sentences; several where it is of every trouble."""
    if name == "success":
        least = figures.success
        if math.isnan(least):
            return ["no call was made, so success is not known"]
        return (
            [] if least >= limit else [f"success is {least:.4%}, under {limit:.4%}; {_first_error(figures)}"]
        )
    if name in _TROUBLES:
        return [said for one in troubles for said in _late(name, limit, one)]
    value = _value(name, figures)
    if value is None or math.isnan(value):
        return [f"{name} is not known, so not at most {limit:g}"]
    return [] if value <= limit else [f"{name} is {value:.4g}, over {limit:g}"]


def _late(name: str, limit: float, trouble: Troubled) -> list[str]:
    """What was found out too late of a trouble, or not at all; of one that no call met nothing is asked."""
    value: float | None = getattr(trouble, name)
    if value is not None:
        return [f"{name} of {trouble.endpoint} is {value:.3g}, over {limit:g}"] if value > limit else []
    if name == "returned_s":
        missing, said = trouble.afterwards == "not returned", "had not returned at the end"
    else:
        missing, said = trouble.reached_before > 0, "was never left alone"
    return [f"{trouble.endpoint} {said}, so not within {limit:g} s"] if missing else []


def _value(name: str, figures: Figures) -> float | None:
    if name in _COUNTS:
        found: float | None = getattr(figures, name)
        return found
    kind, quantile = _TIMES[name]
    times: Quantiles | None = getattr(figures, kind)
    return None if times is None else float(getattr(times, quantile))


def _first_error(figures: Figures) -> str:
    return next((f"{times} times {error}" for error, times in figures.errors.items()), "no call failed")
