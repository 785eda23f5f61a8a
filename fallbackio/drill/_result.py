"""What a drill comes to: figures for each phase and each trouble, and whether they are good enough.

Times are of calls that were answered: an error that the scenario allows is a right end as well, and comes
within a millisecond.  Quantiles are by nearest rank, so that each is the time of a call that was made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import attrs
from attrs import field, frozen

from fallbackio._checks import is_number, nearest
from fallbackio.drill._record import Call, Move
from fallbackio.drill._rules import Breach
from fallbackio.errors import ConfigError

__all__ = ["Afterwards", "Cast", "Failover", "Figures", "Quantiles", "Result", "Troubled", "check_limits"]


Afterwards = Literal["returned", "not returned", "not asked", "sick to the end"]


@frozen
class Quantiles:
    """Seconds within which shares of calls ended; NaN where there was none.

    Example:
        >>> result.total.latency.p99
        1.42
    """

    p50: float
    p90: float
    p99: float
    p999: float
    longest: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Quantiles:
        """Those of some times.

        Example:
            >>> Quantiles.of([0.1, 0.2, 0.3]).p50
            0.2
        """
        ranked = sorted(seconds)
        return cls(*[_rank(ranked, share) for share in (0.5, 0.9, 0.99, 0.999, 1.0)])

    def to_dict(self) -> dict[str, float | None]:
        """For JSON.

        Example:
            >>> result.total.latency.to_dict()["p50"]
            0.55
        """
        return {name: _number(value) for name, value in attrs.asdict(self).items()}


def _rank(ranked: Sequence[float], share: float) -> float:
    # A hair less, because 0.999 * 1000 is a hair more than 999.
    return ranked[max(0, math.ceil(share * len(ranked) - 1e-9) - 1)] if ranked else math.nan


@frozen
class Failover:
    """That calls moved past an endpoint for one reason, and how many.

    Example:
        >>> result.total.failovers[0]
        Failover(origin='openai/gpt-6-luna', reason='ServerFault (503)', times=7)
    """

    origin: str
    reason: str
    times: int


@frozen(kw_only=True)
class Figures:
    """A phase, or the whole, in figures.

    Attributes:
        name: Of the phase.
        begins_s, lasts_s: When it was, in the scenario's seconds.
        sick: Who was not well in it.
        calls: How many calls were made in it.
        answered: How many got an answer.
        allowed: How many ended in an error that the scenario allows.
        failed: How many ended in another one, or not at all.
        latency: From when a call that was answered was made to its end.
        ttft: From when it was made to its first content; `None` where nothing was streamed.
        served: Who answered how many.
        failovers: Where calls moved on from, and why, the most frequent first.
        errors: What failed calls ended with, the most frequent first.
        requests: Requests that reached each endpoint.
        requests_per_call: Requests sent for each call.
        to_sick: Requests that reached endpoints that were not well.
        cost: US dollars, or `None` where no price is known.
        wasted: The part of it that brought no answer.

    Example:
        >>> outage = result.phase("outage")
        >>> outage.success, outage.latency.p99, outage.served
        (1.0, 2.1, {'anthropic/claude-sonnet-5-5': 1127})
    """

    name: str
    begins_s: float
    lasts_s: float
    sick: tuple[str, ...]
    calls: int
    answered: int
    allowed: int
    failed: int
    latency: Quantiles
    ttft: Quantiles | None
    served: Mapping[str, int]
    failovers: tuple[Failover, ...]
    errors: Mapping[str, int]
    requests: Mapping[str, int]
    requests_per_call: float
    to_sick: int
    cost: float | None
    wasted: float | None

    @property
    def success(self) -> float:
        """The share of calls with a right end; NaN where there was none.

        Example:
            >>> result.total.success
            1.0
        """
        return (self.answered + self.allowed) / self.calls if self.calls else math.nan

    def to_dict(self) -> dict[str, Any]:
        """For JSON.

        Example:
            >>> result.total.to_dict()["calls"]
            2687
        """
        return {
            "name": self.name,
            "begins_s": self.begins_s,
            "lasts_s": self.lasts_s,
            "sick": list(self.sick),
            "calls": self.calls,
            "answered": self.answered,
            "allowed": self.allowed,
            "failed": self.failed,
            "success": _number(self.success),
            "latency_s": self.latency.to_dict(),
            "ttft_s": None if self.ttft is None else self.ttft.to_dict(),
            "served": dict(self.served),
            "failovers": [attrs.asdict(one) for one in self.failovers],
            "errors": dict(self.errors),
            "requests": dict(self.requests),
            "requests_per_call": _number(self.requests_per_call),
            "to_sick": self.to_sick,
            "cost": self.cost,
            "wasted": self.wasted,
        }


@frozen(kw_only=True)
class Troubled:
    """How the chain found out about one endpoint's trouble.

    Attributes:
        endpoint: Whose trouble.
        begins_s, ends_s: When it was, in the scenario's seconds.
        left_alone_s: Seconds from its beginning until the chain left the endpoint alone, because its
            breaker opened or it asked for time; `None` if it never did.  Longer than the trouble if what
            was sent in it failed only later.
        reached_before: Requests that reached it in the trouble until then.
        reached_after: Requests that reached it in the trouble from then on: probes, mostly.
        afterwards: `"returned"`; `"not returned"`, calls asked it in vain or found its breaker open; `"not
            asked"`, no call needed it; or `"sick to the end"` of the scenario.
        returned_s: Seconds from its end until the endpoint answered again; `None` if it did not.

    Example:
        >>> result.troubles[0].left_alone_s, result.troubles[0].returned_s
        (0.9, 6.7)
    """

    endpoint: str
    begins_s: float
    ends_s: float
    left_alone_s: float | None
    reached_before: int
    reached_after: int
    afterwards: Afterwards
    returned_s: float | None


@frozen(kw_only=True)
class Cast:
    """An endpoint of the chain and its role.

    Example:
        >>> [one.role for one in result.endpoints]
        ['primary', 'secondary']
    """

    name: str
    vendor: str
    model: str
    dialect: str
    role: str


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


@frozen(kw_only=True)
class Result:
    """What a drill came to.

    Attributes:
        chain: What the chain is called.
        scenario, summary: What happened.
        streaming: Whether calls were streamed.
        embedding: Whether they were for vectors.
        rate, duration_s, seed: The load, and the chance.
        endpoints: The chain's endpoints, in order.
        phases: The figures of each phase.
        total: Those of the whole.
        troubles: How the chain found out about each.
        breaches: The rules that were broken.
        calls, moves: Every call, and every move of a breaker.

    Example:
        >>> result = drill("chain.toml", "s1", rate=5)
        >>> result.require(success=1.0, p99_s=8)
        >>> print(result.phase("outage").served)
    """

    chain: str
    scenario: str
    summary: str
    streaming: bool
    embedding: bool
    rate: float
    duration_s: float
    seed: int
    endpoints: tuple[Cast, ...]
    phases: tuple[Figures, ...]
    total: Figures
    troubles: tuple[Troubled, ...]
    breaches: tuple[Breach, ...]
    calls: tuple[Call, ...] = field(repr=False)
    moves: tuple[Move, ...] = field(repr=False)

    @property
    def met_trouble(self) -> bool:
        """Whether a call was made while an endpoint was in trouble; else nothing is known of that.

        Example:
            >>> drill("chain.toml", "s1", rate=0.001).met_trouble
            False
        """
        sick = [one for one in self.phases if one.sick]
        return not sick or any(one.calls for one in sick)

    def phase(self, name: str) -> Figures:
        """The figures of a phase.

        Raises:
            ConfigError: There is no phase of that name.

        Example:
            >>> result.phase("onset").latency.p99
            5.02
        """
        for one in self.phases:
            if one.name == name:
                return one
        raise nearest("phase", name, [one.name for one in self.phases])

    def shortcomings(self, *, phase: str | None = None, **limits: float) -> list[str]:
        """What is not good enough, in sentences; broken rules always are among it.

        Takes `success`, the least share of calls with a right end, and what may be at most: `p50_s`,
        `p90_s`, `p99_s`, `p999_s` and `longest_s`, the same of the first content as `ttft_p99_s` and so
        on, `requests_per_call`, `to_sick`, `cost`, `wasted`, and of every trouble `left_alone_s` and
        `returned_s`.  `phase` looks at one phase instead of the whole.

        Raises:
            ConfigError: For a limit or a phase that there is not, or a limit out of its range.

        Example:
            >>> result.shortcomings(success=1.0, p99_s=2)
            ['p99_s is 5.02, over 2']
        """
        figures = self.total if phase is None else self.phase(phase)
        check_limits(limits)
        found = [f"{one.rule}: broken {one.times} times, as by {one.what[0]}" for one in self.breaches]
        if "success" in limits and figures.calls and phase is None and not self.met_trouble:
            found.append("no call was made while an endpoint was in trouble, so success in it is not known")
        for name, limit in limits.items():
            found += _shortcoming(name, limit, figures, self.troubles)
        return found

    def require(self, *, phase: str | None = None, **limits: float) -> None:
        """Raise `AssertionError` with everything that `shortcomings` finds, if anything.

        Example:
            >>> result.require(success=1.0, p99_s=8, requests_per_call=1.2)
            >>> result.require(phase="onset", p99_s=12)
        """
        if found := self.shortcomings(phase=phase, **limits):
            where = "" if phase is None else f", {phase}"
            raise AssertionError("\n".join([f"{self.chain} in {self.scenario}{where}:", *found]))

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without the single calls; the same seed gives the same.

        Example:
            >>> result.to_dict()["total"]["success"]
            1.0
        """
        return {
            "chain": self.chain,
            "scenario": self.scenario,
            "summary": self.summary,
            "streaming": self.streaming,
            "embedding": self.embedding,
            "rate": self.rate,
            "duration_s": self.duration_s,
            "seed": self.seed,
            "endpoints": [attrs.asdict(one) for one in self.endpoints],
            "total": self.total.to_dict(),
            "phases": [one.to_dict() for one in self.phases],
            "troubles": [attrs.asdict(one) for one in self.troubles],
            "breaches": [attrs.asdict(one) for one in self.breaches],
            "moves": [attrs.asdict(one) for one in self.moves],
        }


def _shortcoming(name: str, limit: float, figures: Figures, troubles: Sequence[Troubled]) -> list[str]:
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


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
