"""Whether an answer came so late that it counts against its endpoint: how a slow brown-out is told.

In a brown-out every call is answered, ten times as late as usual.  No timeout sees that, because it has
to let the longest healthy answer pass, and the latest answers are no measure: within seconds they are all
slow.  So an answer is *slow* if it took several times as long as is usual there (`Latencies.usual`), and
nothing but the endpoint explains that:

* Not chance: no call that was begun after it was answered in time.  Of calls that begin together the
  longest end last, so that the stragglers of a healthy burst would look like a run of slow answers.
* Not its prompt: what that is longer than usual has time of its own.
* Not what all have in common, as the caller's network, or prompts that have grown: somebody else who
  could be asked is known to do better.  Where nobody was asked lately one call finds out (`_trial`); if
  they turn out to be no better, these times are what is usual from now on.

Odd rule: an endpoint that was left because it was slow has to answer in time to get its calls back;
half way between is not enough, or every tenth probe of a brown-out would end it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable

from attrs import Factory, define, field

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


@define(eq=False)
class Tempo:
    """How quick one endpoint is, and whether an answer of its was slow.

    Attributes:
        firsts: Times to the first content, of streams.
        wholes: Times of whole plain answers.
        per_token: The same, divided by their tokens; of those whose tokens are known.
        prompts: Tokens of the latest prompts.
    """

    firsts: Latencies = field(factory=Latencies)
    wholes: Latencies = field(factory=Latencies)
    per_token: Latencies = field(factory=Latencies)
    prompts: deque[int] = field(default=Factory(lambda: deque(maxlen=FEW)))
    # When the call began that began last of those answered in time; who began no later is a straggler.
    _in_time_at: float = -math.inf

    def answered(self, seconds: float, tokens: int, at: float) -> None:
        """Take note of a whole plain answer; `tokens` are 0 where nobody has counted them."""
        self.wholes.add(seconds, at=at)
        if tokens:
            self.per_token.add(seconds / tokens, at=at)

    def usual_s(self, tokens: int | None) -> float | None:
        """Seconds that are usual for a plain answer of so many tokens, or, for `None`, to the first content.

        A plain answer shows nothing before its end, which comes late if it is long.  It is held against what
        is usual for an answer and for so many tokens, whichever is more: a token of a short answer takes
        longer than one of a long one, so this is never too strict.
        """
        if tokens is None:
            return self.firsts.usual()
        whole_s, per_token_s = self.wholes.usual(), self.per_token.usual()
        if whole_s is None or per_token_s is None:
            return None
        return max(whole_s, per_token_s * tokens)

    def recent_s(self, tokens: int | None) -> float | None:
        """The same of the latest answers; where tokens are never counted, what any answer took."""
        if tokens is None:
            return self.firsts.recent()
        whole_s, per_token_s = self.wholes.recent(), self.per_token.recent()
        if whole_s is None or per_token_s is None:
            return whole_s
        return max(whole_s, per_token_s * tokens)

    def slow(
        self,
        started: float,
        seconds: float,
        tokens: int | None,
        *,
        medians: float,
        left: bool,
        prompt: Callable[[], int],
        others: Callable[[], Iterable[Tempo]],
        wonder: Callable[[], bool],
    ) -> str:
        """Why this answer was slow, in words; empty if it was not, or nobody can tell.

        `tokens` are those of a plain answer, `None` for a streamed one, whose first content came after
        `seconds`; of a plain one without known tokens nothing is said.  More than `medians` times what is
        usual is slow, at an endpoint that was `left` for it less.  `prompt` counts the tokens of its prompt;
        `others` are those that could be asked now, and `wonder` has somebody tried of whom nothing is known,
        if there is one.
        """
        usual_s = None if tokens == 0 else self.usual_s(tokens)
        if usual_s is None:
            return ""
        in_time_s = max(IN_TIME * medians * usual_s, usual_s + LEAST_S)
        if seconds <= in_time_s:
            self._in_time_at = max(self._in_time_at, started)
            return ""
        limit_s = in_time_s if left else max(medians * usual_s, in_time_s)
        # In this order because of what it costs to find out.
        if (
            seconds <= limit_s
            or started <= self._in_time_at
            or seconds <= limit_s + self._reading_s(prompt())
            or not self._is_beaten(seconds, limit_s, tokens, others(), wonder)
        ):
            return ""
        what = "first content" if tokens is None else "answer"
        return f"{what} after {seconds:.2f} s, usually {usual_s:.2f} s"

    def _reading_s(self, prompt: int) -> float:
        """Seconds that a prompt may take because it is longer than usual."""
        return max(prompt - (median(self.prompts) or 0), 0) / PROMPT_TOKENS_PER_S

    def _is_beaten(
        self,
        seconds: float,
        limit_s: float,
        tokens: int | None,
        others: Iterable[Tempo],
        wonder: Callable[[], bool],
    ) -> bool:
        """Whether somebody else is known to be better."""
        known = [time for other in others if (time := other.recent_s(tokens)) is not None]
        if any(time < BETTER * seconds for time in known):
            return True
        if not wonder() and known and (self.recent_s(tokens) or 0.0) > limit_s:
            # They were asked, and it is not this endpoint alone.
            for times_of in [self.firsts] if tokens is None else [self.wholes, self.per_token]:
                times_of.begin_anew()
        return False
