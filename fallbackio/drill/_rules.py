"""The rules that must hold whatever happens upstream, checked while a drill runs.

Each is one that a user would be hurt by: an answer that is not whole, a call that comes late, a request
that goes on being paid for.  What is found is kept with its call, a few of each kind and the number of
all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from attrs import define, field, frozen

from fallbackio.chain import Limits
from fallbackio.endpoint import Endpoint
from fallbackio.model import Reply, Report
from fallbackio.simulator import Part, SimulatedEndpoint

__all__ = ["Breach", "Referee", "texts_of"]

# Virtual time is exact but for asyncio's resolution and ours; real time is late by a busy loop's turns.
_EXACT_S = 0.001
_LATE_S = 1.0

_SHOWN = 5

# Parameters of an endpoint by which a simulated model says something else than its text.
_SHAPING = ("response_format", "tools", "tool_choice")


@frozen
class Breach:
    """A rule that was broken.

    Attributes:
        rule: Which one.
        what: What was seen, the first few times.
        times: How often.

    Example:
        >>> result.breaches
        ()
    """

    rule: str
    what: tuple[str, ...]
    times: int


@define(eq=False)
class Referee:
    """Looks at every call, and now and then at what is under way upstream.

    Attributes:
        texts: What a whole answer may be, and its tokens; empty if that cannot be known.
    """

    limits: Limits
    texts: Mapping[str, int]
    real_time: bool = False
    _seen: dict[str, list[str]] = field(factory=dict)
    _times: Counter[str] = field(factory=Counter)
    _over: Counter[str] = field(factory=Counter)  # leftovers at the last look, by endpoint

    def answer(self, call: int, reply: Reply) -> None:
        """An answer was taken for whole."""
        if not self.texts:
            return
        text, tokens = reply.text, self.texts.get(reply.text)
        if tokens is not None:
            self._charged(call, reply, tokens)
        elif reply.finish_reason != "length" or not any(whole.startswith(text) for whole in self.texts):
            seen = f"call {call}: {len(text)} characters, ending in {text[-20:]!r}"
            self._broken("answers are whole", seen)

    def _charged(self, call: int, reply: Reply, tokens: int) -> None:
        """What the provider has counted was charged for; of a mended answer all of its parts."""
        report, said = reply.report, reply.usage.completion_tokens
        if report.seams or report.restarts:
            parts = [one for one in report.attempts if one.ttft_s is not None and one.outcome != "cut"]
            if any(one.usage is None for one in parts[:-1]):
                self._broken("usage adds up", f"call {call}: nothing is charged for what broke off")
        elif said not in (0, tokens):  # 0 where a vendor does not say in streams what it counts
            self._broken("usage adds up", f"call {call}: {said} tokens for an answer of {tokens}")

    def report(self, call: int, report: Report, latency_s: float) -> None:
        """A call is over."""
        slack = _LATE_S if self.real_time else _EXACT_S
        winners = [attempt.endpoint for attempt in report.attempts if attempt.outcome == "won"]
        if len(winners) > 1:
            self._broken("one winner", f"call {call}: {' and '.join(winners)}")
        limit = self.limits.timeout
        if limit is not None and latency_s > limit + slack:
            self._broken("the deadline holds", f"call {call}: {latency_s:.3f} s, its limit is {limit:g} s")

    def upstream(
        self, under_way: Mapping[str, int], simulated: Mapping[str, SimulatedEndpoint], *, at_s: float
    ) -> None:
        """What goes on upstream now, and what the chain knows of.

        More upstream than in the chain is a leftover, if it was there at the last look as well: a finished
        answer whose connection still closes is none.
        """
        over = Counter(
            {
                name: more
                for name, one in simulated.items()
                if (more := one.stats.in_flight - under_way[name]) > 0
            }
        )
        for name in over.keys() & self._over.keys():
            self._broken(
                "nothing is left over", f"{at_s:.0f} s: {over[name]} at {name} that no call waits for"
            )
        self._over = over

    def end(
        self,
        under_way: Mapping[str, int],
        begun: Mapping[str, int],
        simulated: Mapping[str, SimulatedEndpoint],
    ) -> None:
        """All is over and the chain is closed."""
        for name, one in simulated.items():
            if one.stats.in_flight:
                self._broken("nothing is left over", f"{one.stats.in_flight} at {name} after the end")
            if under_way[name]:
                self._broken("permits come back", f"{under_way[name]} of {name} never ended")
            if one.stats.requests > begun[name]:
                self._broken(
                    "the ledger is complete",
                    f"{name} got {one.stats.requests} requests, the ledgers have {begun[name]}",
                )

    def hung(self, calls: Iterable[int]) -> None:
        """These calls had not ended long after everything was over."""
        for call in calls:
            self._broken("every call ends", f"call {call}")

    def _broken(self, rule: str, what: str) -> None:
        self._times[rule] += 1
        seen = self._seen.setdefault(rule, [])
        if len(seen) < _SHOWN:
            seen.append(what)

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """The rules that were broken."""
        return tuple([Breach(rule, tuple(seen), self._times[rule]) for rule, seen in self._seen.items()])


def texts_of(parts: Mapping[str, Part], endpoints: Iterable[Endpoint]) -> dict[str, int]:
    """What the simulated models say and its tokens; nothing where the chain makes them say something else."""
    if any(one.adapt is not None or any(name in one.params for name in _SHAPING) for one in endpoints):
        return {}
    scripts = [behaviour.script() for part in parts.values() for behaviour in part.behaviours]
    return {one.text: len(one.spoken) + len(one.thoughts) for one in scripts if not one.tool_calls}
