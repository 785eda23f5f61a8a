"""What a drill comes to, as a whole, and whether it is good enough."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import field, frozen

from fallbackio._checks import nearest
from fallbackio.drill._limits import check_limits, shortcoming
from fallbackio.drill._record import Call, Move
from fallbackio.drill._rules import Breach
from fallbackio.drill._values import Cast, Figures, Troubled

__all__ = ["Result"]


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
            found += shortcoming(name, limit, figures, self.troubles)
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
