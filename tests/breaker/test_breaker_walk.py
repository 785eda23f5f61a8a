"""Random lives of a breaker, step by step against a naive reference.

The reference keeps whole histories and scans them; the breaker keeps counts.  All instants are
multiples of a quarter second, so that both meet boundaries exactly.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from breaker_kit import Bench
from hypothesis import given, settings
from hypothesis import strategies as st

from fallbackio.breaker import Permit, Severity

POLICY: dict[str, Any] = {
    "consecutive": 5,
    "window_s": 10.0,
    "rates": [(0.75, 7), (0.5, 10)],
    "sparse_after_s": 2.0,
    "open_s": 4.0,
    "min_open_gaps": 4.0,
    "max_open_s": 16.0,
    "max_retry_after_s": 6.0,
    "probe_timeout_s": 8.0,
}

FAILURES = {severity.name: severity for severity in Severity}


@define(eq=False)
class Ticket:
    """What the reference knows of a permit."""

    period: object
    probe: bool
    forced: bool
    has_begun: bool = False


@define(eq=False)
class Reference:
    """The rules of the breaker, as slowly as they can be written."""

    now: float
    phase: str = "closed"
    period: object = object()  # replaced by every move and every probe
    history: list[tuple[float, str]] = field(factory=list)
    # When, what, whether the answer had begun, and whether there was no pause since.
    run: list[tuple[float, str, bool, bool]] = field(factory=list)
    failed_at: float = 0.0
    due: float = -1.0
    step: float = 4.0  # the next open period by doubling
    probing: bool = False
    closed_at: float = -1e9

    def move(self, phase: str) -> None:
        self.phase, self.period, self.probing = phase, object(), False

    def ask(self) -> Ticket | None:
        if self.now < self.due:
            return None
        if self.phase == "closed":
            return Ticket(self.period, probe=False, forced=False)
        self.move("half_open")
        self.due, self.probing = self.now + 8.0, True
        return Ticket(self.period, probe=True, forced=False)

    def begin(self, ticket: Ticket) -> None:
        ticket.has_begun = True
        if ticket.period is self.period:
            self.run = [one for one in self.run if one[2]]

    def end(self, ticket: Ticket, how: str, asked: float) -> None:
        if ticket.period is not self.period:
            return
        if how in ("left", "beaten"):
            if ticket.probe:
                self.due, self.probing = self.now + 4.0 if how == "beaten" else -1.0, False
        elif self.phase == "closed":
            self.history.append((self.now, how))
            if how == "ok":
                self.run = [one for one in self.run if ticket.has_begun and not one[2]]
                return
            if how in ("HARD", "SLOW"):
                paused = self.now - self.failed_at > 16.0
                self.run = [(*one[:3], one[3] and not paused) for one in self.run]
                self.run.append((self.now, how, ticket.has_begun, True))
                self.failed_at = self.now
            self.judge(how, asked)
        elif how == "ok":
            self.move("closed")
            self.history, self.run, self.due, self.closed_at = [], [], -1.0, self.now
        elif ticket.probe:
            self.open(how, asked, fresh=False, rest=-1.0, gap=0.0)

    def judge(self, how: str, asked: float) -> None:
        near = [(at, kind) for at, kind, _, near in self.run if near]
        lasted = self.failed_at - near[0][0] if near else 0.0
        by_run = len(self.run) >= 5 or (lasted >= 2 and sum(kind == "HARD" for _, kind in near) >= 3)
        recent = [past for at, past in self.history if at // 1.0 > self.now // 1.0 - 10]
        bad = sum(past not in ("ok", "SLOW") for past in recent)
        calls = len(recent)
        rate = (calls >= 7 and bad * 4 >= calls * 3) or (calls >= 10 and bad * 2 >= calls)
        if how == "FATAL" or by_run or (rate and how != "SLOW"):
            healthy = self.now - self.closed_at >= self.step
            gap = lasted / (len(near) - 1) if by_run and how != "FATAL" and len(near) > 1 else 0.0
            self.open(how, asked, fresh=healthy, rest=self.due, gap=gap)
        elif how == "THROTTLED" and asked > 0:
            self.due = max(self.due, self.now + min(asked, 6.0))

    def open(self, how: str, asked: float, *, fresh: bool, rest: float, gap: float) -> None:
        period = max(4.0 if fresh else self.step, min(4 * gap, 16.0))
        if how == "FATAL":
            period = 16.0
        self.step = min(period * 2, 16.0)
        if asked > 0:
            period = max(min(asked, 6.0), 4.0)
        self.due = max(rest, self.now + period)
        self.move("open")

    @property
    def retry_in_s(self) -> float:
        wait = max(0.0, self.due - self.now)
        return min(wait, 0.1) if self.probing else wait


steps = st.one_of(
    st.tuples(st.just("ask"), st.just(0), st.just(0.0)),
    st.tuples(st.just("ask"), st.just(0), st.just(0.0)),
    st.tuples(st.just("force"), st.just(0), st.just(0.0)),
    st.tuples(st.just("wait"), st.integers(1, 40), st.just(0.0)),
    st.tuples(st.just("wait"), st.integers(1, 4), st.just(0.0)),
    st.tuples(
        st.sampled_from(["ok", "ok", "HARD", "HARD", "SLOW", "THROTTLED", "FATAL", "left", "beaten"]),
        st.integers(0, 3),
        st.sampled_from([0.0, 0.0, -1.0, 0.5, 5.0, 60.0]),
    ),
    st.tuples(st.sampled_from(["ok", "HARD", "SLOW", "left", "beaten"]), st.integers(0, 3), st.just(0.0)),
    st.tuples(st.just("begin"), st.integers(0, 3), st.just(0.0)),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, max_size=120))
def test_it_lives_as_the_reference(life: list[tuple[str, int, float]]) -> None:
    """Same permits, same phase, same waits; permits conserved, one probe, no open time shortened."""
    bench = Bench(**POLICY)
    breaker, reference = bench.breaker, Reference(now=bench.time)
    out: list[tuple[Permit, Ticket]] = []
    for verb, number, asked in life:
        before = (breaker.phase, len(bench.moves), bench.time + breaker.retry_in_s)
        if verb == "wait":
            bench.wait(number / 4)
            reference.now = bench.time
        elif verb in ("ask", "force"):
            ask(bench, reference, out, force=verb == "force")
        elif verb == "begin":
            for permit, ticket in out[number : number + 1]:
                permit.began()
                reference.begin(ticket)
        elif out:
            permit, ticket = out.pop(min(number, len(out) - 1))
            end(permit, verb, asked)
            reference.end(ticket, verb, asked)
        check(bench, reference, out, before)


def ask(bench: Bench, reference: Reference, out: list[tuple[Permit, Ticket]], *, force: bool) -> None:
    permit = bench.breaker.force() if force else bench.breaker.acquire()
    ticket = reference.ask()
    if ticket is None and force:
        ticket = Ticket(reference.period, probe=False, forced=True)
    assert (permit is None) == (ticket is None)
    if permit is not None and ticket is not None:
        assert (ticket.probe, ticket.forced) == (permit.probe, permit.forced)
        out.append((permit, ticket))


def end(permit: Permit, how: str, asked: float) -> None:
    if how == "ok":
        permit.ok()
    elif how == "left":
        permit.left()
    elif how == "beaten":
        permit.beaten()
    else:
        permit.failed(FAILURES[how], asked)


def check(
    bench: Bench, reference: Reference, out: list[tuple[Permit, Ticket]], before: tuple[str, int, float]
) -> None:
    breaker = bench.breaker
    assert reference.phase == breaker.phase
    assert reference.retry_in_s == breaker.retry_in_s
    assert len(out) == breaker.in_flight
    assert sum(ticket.probe and ticket.period is reference.period for _, ticket in out) <= 1
    phase, moves, due = before
    if ("open", moves) == (phase, len(bench.moves)):  # still the same open period
        assert bench.time + breaker.retry_in_s >= due
    for earlier, later in zip(bench.moves, bench.moves[1:], strict=False):
        assert earlier.new == later.old
