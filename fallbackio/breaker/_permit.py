"""Leave to try once, and the ends it can come to.

A permit knows its breaker and the epoch it was taken in; what an end means is the breaker's affair.
Odd rule: it reaches into its breaker, for the two are one thing in two files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallbackio.breaker._rules import Severity
from fallbackio.errors import AttemptError

if TYPE_CHECKING:
    from fallbackio.breaker._breaker import Breaker

__all__ = ["Permit"]


class Permit:
    """Leave to try once, from `Breaker.acquire` or `Breaker.force`.

    It must end in exactly one of `ok`, `failed`, `left` and `beaten`, whatever happens in between; a
    second end is a bug of the caller's and raises `RuntimeError`.

    Attributes:
        probe: It is the one call that finds out whether an open breaker may close.
        forced: It goes out although the breaker refused.
        has_begun: Its answer is known to have begun in time.

    Example:
        >>> permit = breaker.acquire()
        >>> try:
        ...     answer = await ask()
        ... except OSError:
        ...     permit.failed()
        ...     raise
        ... except BaseException:  # cancelled, or a fault of our own
        ...     permit.left()
        ...     raise
        >>> permit.ok()
    """

    __slots__ = ("_breaker", "_epoch", "forced", "has_begun", "probe")

    def __init__(self, breaker: Breaker, epoch: int, probe: bool = False, forced: bool = False) -> None:
        self._breaker: Breaker | None = breaker  # None once it has ended
        self._epoch = epoch
        self.probe = probe
        self.forced = forced
        self.has_begun = False

    def began(self) -> None:
        """Its answer has begun, in time, and will take its time to end; the permit is still out.

        Ends a run of slow answers and of failures before an answer, which would not be one if they had to
        wait for the end: what began before the trouble ends in the midst of it.  `ok` then ends only a
        run of answers that broke after they had begun.
        """
        breaker = self._breaker
        if breaker is None:
            raise _ended_twice()
        self.has_begun = True
        if self._epoch == breaker._epoch:
            breaker._began()

    def ok(self) -> None:
        """End it: the endpoint answered."""
        # Written out, not shared with the others, because every healthy call comes by here.
        breaker = self._breaker
        if breaker is None:
            raise _ended_twice()
        self._breaker = None
        breaker.in_flight -= 1
        if breaker._audience:
            breaker._post("success")
        if self._epoch == breaker._epoch:
            breaker._answered(self)
        if breaker._outbox.waiting:
            breaker._outbox.send()

    def failed(
        self,
        severity: Severity = Severity.HARD,
        retry_after_s: float | None = None,
        reason: str = "",
        *,
        error: Exception | None = None,
    ) -> None:
        """End it: the endpoint failed, or answered so late that it is as good as a failure.

        `retry_after_s` is what the endpoint asked for, in seconds; it is capped by the policy, and
        nonsense (negative, NaN) is taken for nothing.  `reason` is shown when the breaker opens; it
        must hold no key and no prompt.  Listeners are given `error`, or one made up from `reason`.
        """
        breaker = self._end()
        if breaker._audience:
            made_up = _made_up(breaker.name, severity, retry_after_s, reason)
            breaker._post("failure", made_up if error is None else error)
        if self._epoch == breaker._epoch:
            breaker._erred(self, severity, breaker.policy.asked_s(retry_after_s), reason)
        breaker._outbox.send()

    def left(self) -> None:
        """End it: we learnt nothing.  A probe's place is free again at once."""
        self._free_place(self._end(), 0.0)

    def beaten(self) -> None:
        """End it: we learnt nothing, because another was quicker.  A probe's place is free after `open_s`.

        Where every call is a race the next one's probe would be beaten as well, and an endpoint that
        swallows requests would get every one of them.
        """
        breaker = self._end()
        self._free_place(breaker, breaker.policy.open_s)

    def _free_place(self, breaker: Breaker, after_s: float) -> None:
        if self.probe and self._epoch == breaker._epoch:
            breaker._free_place(after_s)

    def _end(self) -> Breaker:
        breaker = self._breaker
        if breaker is None:
            raise _ended_twice()
        self._breaker = None
        breaker.in_flight -= 1
        return breaker

    def __repr__(self) -> str:
        kind = "probe" if self.probe else "forced" if self.forced else "ordinary"
        return f"<Permit {kind}, {'ended' if self._breaker is None else 'out'}>"


def _made_up(name: str, severity: Severity, retry_after_s: float | None, reason: str) -> AttemptError:
    """For listeners, who are used to an exception: what we know of a failure, as one."""
    error = AttemptError(reason or f"{severity.value} failure", retry_after_s=retry_after_s)
    error.endpoint = name
    return error


def _ended_twice() -> RuntimeError:
    return RuntimeError("this permit has already ended; it ends in one of ok, failed, left and beaten")
