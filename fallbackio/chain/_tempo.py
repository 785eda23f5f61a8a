"""When an answer comes so late that it counts against its endpoint: how a slow brown-out is told.

In a brown-out every call is answered, ten times as late as usual.  No timeout sees that, because a
timeout has to let the longest healthy answer pass, and no error rate does.  Comparing with the latest
answers does not either: within seconds they are all slow.  What can be compared with is what is usual
(`Latencies.usual`), and what others take.

An answer is *slow* if it took more than `medians` times as long as is usual there, and if nothing but
the endpoint explains that:

* No call that was begun after it was answered in time.  Of calls that begin together the longest end
  last, so that the stragglers of a healthy burst would look like a run of slow answers.
* Not its prompt: what it is longer than usual has time of its own.
* Somebody else can do better.  Who was asked lately answers in half the time; of who was not nobody
  knows, and then we find out, once: if they turn out to be no better (all prompts have grown, it is
  the caller's network or event loop), these times are what is usual from now on, and for an hour
  only those others count that are known to be better.

A streamed answer is measured by its first content.  A plain one shows nothing before its end, which
comes late if it is long; it is held against what is usual for an answer and for so many tokens,
whichever is more: the time per token of short answers is longer than that of long ones, so this is
never too strict.  Of an answer whose tokens are not known nothing is said.

Odd rule: an endpoint that was left because it was slow has to answer in time to get its calls back;
half way between is not enough, or every tenth probe of a brown-out would end it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable

from attrs import Factory, define, field

from fallbackio import clock
from fallbackio.breaker import Breaker, Permit, Severity
from fallbackio.chain._latency import FEW, Latencies, median

__all__ = ["Tempo"]

# Nobody is left for less than so many seconds over what is usual: networks and event loops scatter too.
LEAST_S = 0.5
# An answer within this share of what would be slow was in time.
IN_TIME = 0.5
# On the slow side on purpose: what a prompt explains too much only hides a brown-out for that prompt.
PROMPT_TOKENS_PER_S = 2000.0
# Another is better if it takes less than this share: not worth leaving the first choice for less.
BETTER = 0.5
EXCUSED_S = 3600.0


@define(eq=False)
class Tempo:
    """What is usual at one endpoint, and whether an answer of its was slow.

    Attributes:
        firsts: Times to the first content, of streams.
        wholes: Times of whole plain answers.
        per_token: The same, divided by their tokens.
        prompts: Tokens of the latest prompts.
    """

    firsts: Latencies
    wholes: Latencies
    per_token: Latencies = field(factory=Latencies)
    prompts: deque[int] = field(default=Factory(lambda: deque(maxlen=FEW)))
    _is_left: bool = False  # its breaker has opened because it was slow, and has not closed since
    _in_time_at: float = -math.inf  # when the call began that began last of those answered in time
    _excused_until: float = -math.inf  # until when nobody is worth a try of whom nothing is known

    def usual_s(self, tokens: int | None) -> float | None:
        """Seconds that are usual for a plain answer of so many tokens, or to the first content."""
        if tokens is None:
            return self.firsts.usual()
        return _longer(self.wholes.usual(), self.per_token.usual(), tokens)

    def recent_s(self, tokens: int | None) -> float | None:
        """The same of the latest answers."""
        if tokens is None:
            return self.firsts.recent()
        return _longer(self.wholes.recent(), self.per_token.recent(), tokens)

    def slow(
        self,
        started: float,
        seconds: float,
        tokens: int | None,
        *,
        medians: float,
        prompt: Callable[[], int],
        others: Callable[[], Iterable[Tempo]],
    ) -> str:
        """Why this answer was slow, in words; empty if it was not.

        `tokens` are those of a plain answer, `None` for a streamed one, whose first content came after
        `seconds`.  `prompt` counts the tokens of its prompt; `others` are those that could be asked now.
        """
        usual_s = self.usual_s(tokens)
        if usual_s is None:
            return ""
        in_time_s = max(IN_TIME * medians * usual_s, usual_s + LEAST_S)
        if seconds <= in_time_s:
            self._in_time_at = max(self._in_time_at, started)
            return ""
        limit_s = in_time_s if self._is_left else max(medians * usual_s, in_time_s)
        # In this order because of what it costs to find out.
        if (
            seconds <= limit_s
            or started <= self._in_time_at
            or seconds <= limit_s + self._reading_s(prompt())
        ):
            return ""
        if not self._is_beaten(seconds, limit_s, tokens, others()):
            return ""
        what = "first content" if tokens is None else "answer"
        return f"{what} after {seconds:.2f} s, usually {usual_s:.2f} s"

    def end(self, permit: Permit, breaker: Breaker, slow: str) -> None:
        """End the permit of an answer, which was `slow` for this reason, or was not."""
        if slow:
            was_open = breaker.phase == "open"
            permit.failed(Severity.SLOW, reason=slow)
            self._is_left = self._is_left or (breaker.phase == "open" and not was_open)
        else:
            permit.ok()
            self._is_left = self._is_left and breaker.phase != "closed"

    def _reading_s(self, prompt: int) -> float:
        """Seconds that a prompt may take because it is longer than usual."""
        return max(prompt - (median(self.prompts) or 0), 0) / PROMPT_TOKENS_PER_S

    def _is_beaten(self, seconds: float, limit_s: float, tokens: int | None, others: Iterable[Tempo]) -> bool:
        """Whether another is better, or may be and is worth a try."""
        now = clock.now()
        times = [other.recent_s(tokens) for other in others]
        known = [time for time in times if time is not None]
        if any(time < BETTER * seconds for time in known):
            return True
        if len(known) < len(times):
            return now >= self._excused_until
        if known and (self.recent_s(tokens) or 0.0) > limit_s:
            # They were asked, and it is not this endpoint alone.
            self._excused_until = now + EXCUSED_S
            for times_of in [self.firsts] if tokens is None else [self.wholes, self.per_token]:
                times_of.begin_anew()
        return False


def _longer(whole_s: float | None, per_token_s: float | None, tokens: int) -> float | None:
    if whole_s is None or per_token_s is None:
        return None
    return max(whole_s, per_token_s * tokens)
