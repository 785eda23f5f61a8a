"""What is usual at an endpoint, and when an answer is slow: each rule, without a chain."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio import BreakerPolicy, Hedge, clock
from fallbackio.breaker import Breaker, Permit, Severity
from fallbackio.chain._latency import LEAST_SAMPLES, MEMORY_S, REFRESH_S, Latencies, Lowest
from fallbackio.chain._tempo import LEAST_S, PROMPT_TOKENS_PER_S, Tempo
from fallbackio.testing import virtual_time

MEDIANS = 4.0


def tempo_of(first_s: float | None = 0.5, answers: int = LEAST_SAMPLES) -> Tempo:
    """An endpoint whose streams have begun after so many seconds."""
    tempo = Tempo()
    for _ in range(answers if first_s is not None else 0):
        assert first_s is not None
        tempo.firsts.add(first_s)
    tempo.firsts.usual()
    return tempo


def plain_tempo(*answers: tuple[float, int]) -> Tempo:
    """An endpoint that has given these plain answers: seconds, and tokens."""
    tempo = Tempo()
    for seconds, tokens in answers:
        tempo.answered(seconds, tokens, clock.now())
    return tempo


def slow(
    tempo: Tempo,
    seconds: float,
    *others: Tempo,
    tokens: int | None = None,
    prompt: int = 0,
    started: float | None = None,
    left: bool = False,
) -> str:
    """What is said of an answer that has come just now, where others that are not known can be tried."""
    return tempo.slow(
        clock.now() - seconds if started is None else started,
        seconds,
        tokens,
        medians=MEDIANS,
        left=left,
        prompt=lambda: prompt,
        others=lambda: others,
        wonder=lambda: any(other.recent_s(tokens) is None for other in others),
    )


def end(permit: Permit, said: str) -> None:
    """Tell the breaker of an answer of which this was said."""
    if said:
        permit.failed(Severity.SLOW, reason=said)
    else:
        permit.ok()


# What is usual.


@given(
    st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 100)), min_size=1, max_size=60), st.floats(0, 9000)
)
def test_the_lowest_is_that_of_the_last_six_slots(steps: list[tuple[float, float]], later: float) -> None:
    """Whatever comes when, it is the least of what came in this ten minutes and the five before."""
    lowest, now, seen = Lowest(), 0.0, []
    for pause, value in steps:
        now += pause
        seen.append((now, value))
        lowest.add(now, value)
        assert lowest.at(now) == _least(seen, now)
    assert lowest.at(now + later) == _least(seen, now + later)


def _least(seen: Iterable[tuple[float, float]], now: float) -> float | None:
    count = [value for at, value in seen if now // 600 - at // 600 < 6]
    return min(count, default=None)


@given(st.lists(st.floats(0.01, 100), min_size=LEAST_SAMPLES, max_size=200))
def test_what_is_usual_is_a_time_that_was_taken(times: list[float]) -> None:
    """It is never more than the median of today, and never quicker than the quickest."""

    @virtual_time
    async def run() -> None:
        latencies = Latencies()
        for seconds in times:
            latencies.add(seconds)
            await anyio.sleep(1)
        usual, median = latencies.usual(), latencies.median_answer()
        assert usual is not None
        assert median is not None
        assert min(times) <= usual <= median

    run()


@virtual_time
async def test_a_brown_out_does_not_become_usual_but_a_change_for_good_does() -> None:
    """Fifty minutes of five seconds leave half a second usual; an hour and ten minutes do not."""
    latencies = Latencies()
    for _ in range(60):
        latencies.add(0.5)
    assert latencies.usual() == 0.5

    for minutes, usual in ((49, 0.5), (21, 5.0)):
        for _ in range(minutes * 12):
            await anyio.sleep(5)
            latencies.add(5.0)
            latencies.usual()
        assert latencies.usual() == usual
    assert latencies.median_answer() == 5.0


@virtual_time
async def test_what_has_become_quicker_is_usual_at_once() -> None:
    """A lower median counts as soon as it is looked at."""
    latencies = tempo_of(2.0).firsts
    assert latencies.usual() == 2.0
    for _ in range(30):
        latencies.add(0.5)

    await anyio.sleep(REFRESH_S)
    latencies.add(0.5)
    assert latencies.usual() == 0.5


@pytest.mark.parametrize(("every_s", "usual"), [(60, 0.5), (185, 0.5), (190, None)])
@virtual_time
async def test_where_calls_are_few_the_latest_answers_tell_what_is_usual(
    every_s: float, usual: float | None
) -> None:
    """Ten minutes hold too few of them; twenty within an hour will do, and no older ones."""
    latencies = Latencies()
    for _ in range(40):
        await anyio.sleep(every_s)
        latencies.add(0.5)
        assert latencies.usual() in (None, usual)

    assert latencies.usual() == usual
    assert latencies.median_answer() is None


@virtual_time
async def test_the_latest_answers_tell_how_it_is_now() -> None:
    """Of the latest twenty the median; cut attempts and answers of ten minutes ago are not among them."""
    latencies = tempo_of(0.5, answers=100).firsts
    for _ in range(11):
        latencies.add(3.0)
    for _ in range(50):
        latencies.add(9.0, answered=False)
    assert latencies.recent() == 3.0

    await anyio.sleep(MEMORY_S + 1)
    assert latencies.recent() is None


@virtual_time
async def test_a_hedge_does_not_wait_for_what_a_brown_out_made_its_median() -> None:
    """The adaptive delay is at most four times what is usual, also when every answer is slow."""
    latencies = tempo_of(0.2).firsts
    assert Hedge().delay_s(latencies, 1) == 0.2
    for _ in range(100):
        latencies.add(3.0)

    await anyio.sleep(REFRESH_S)
    assert latencies.median_answer() == 3.0
    assert Hedge().delay_s(latencies, 1) == pytest.approx(0.8)


# Which answer is slow.


@virtual_time
async def test_far_too_late_is_slow_where_another_would_do_better() -> None:
    """Over four times the usual time it is slow, and said in words; up to that it is not."""
    tempo, other = tempo_of(0.5), tempo_of(0.5)

    assert slow(tempo, 2.0, other) == ""
    assert slow(tempo, 2.01, other) == "first content after 2.01 s, usually 0.50 s"


@virtual_time
async def test_nothing_is_slow_before_anything_is_usual() -> None:
    """Nineteen answers tell nothing."""
    assert slow(tempo_of(0.5, answers=LEAST_SAMPLES - 1), 60.0, tempo_of(0.5)) == ""


@virtual_time
async def test_nobody_is_left_for_the_scatter_of_networks() -> None:
    """At an endpoint that answers within milliseconds, ten times as long is still nothing."""
    other = tempo_of(0.01)

    assert slow(tempo_of(0.01), 0.01 + LEAST_S, other) == ""
    assert slow(tempo_of(0.01), 0.02 + LEAST_S, other)


@virtual_time
async def test_a_straggler_among_quick_ones_is_not_slow() -> None:
    """A call that was begun later and answered in time shows that the endpoint is well."""
    tempo, other = tempo_of(0.5), tempo_of(0.5)

    await anyio.sleep(10)
    slow(tempo, 0.6, started=9.0)
    slow(tempo, 0.9, started=2.0)
    assert slow(tempo, 4.0, other, started=8.9) == slow(tempo, 4.0, other, started=9.0) == ""
    assert slow(tempo, 4.0, other, started=9.1)


@virtual_time
async def test_half_way_to_slow_proves_nothing() -> None:
    """In a brown-out some answers are less late than others; they do not excuse those."""
    tempo, other = tempo_of(0.5), tempo_of(0.5)

    slow(tempo, 1.5, started=9.0)
    assert slow(tempo, 4.0, other, started=8.0)


@virtual_time
async def test_a_long_prompt_has_time_of_its_own() -> None:
    """What a prompt is longer than usual has to be read first."""
    tempo, other = tempo_of(0.5), tempo_of(0.5)
    tempo.prompts.extend([1000] * 20)

    assert slow(tempo, 12.0, other, prompt=1000 + int(10 * PROMPT_TOKENS_PER_S)) == ""
    assert slow(tempo, 12.1, other, prompt=1000 + int(10 * PROMPT_TOKENS_PER_S))


@virtual_time
async def test_a_prompt_of_usual_length_explains_nothing() -> None:
    """Where all prompts are long, what is usual has their reading in it."""
    tempo, other = tempo_of(0.5), tempo_of(0.5)
    tempo.prompts.extend([50_000] * 20)

    assert slow(tempo, 5.0, other, prompt=50_000)


@virtual_time
async def test_without_another_it_is_never_slow() -> None:
    """There would be nobody to go to."""
    assert slow(tempo_of(0.5), 60.0) == ""


@virtual_time
async def test_of_who_is_not_known_nothing_is_hoped() -> None:
    """It has somebody tried, and until that is known the answer is as good as any."""
    asked: list[str] = []
    tempo, other = tempo_of(0.5), tempo_of(None)

    def wonder() -> bool:
        asked.append("wondered")
        return True

    def said() -> str:
        return tempo.slow(
            clock.now() - 5.0,
            5.0,
            None,
            medians=MEDIANS,
            left=False,
            prompt=lambda: 0,
            others=lambda: [other],
            wonder=wonder,
        )

    assert (said(), asked) == ("", ["wondered"])
    other.firsts.add(0.6)
    assert said()
    assert asked == ["wondered"]


@virtual_time
async def test_others_that_are_no_better_are_no_reason_to_leave() -> None:
    """They have to take less than half of it; one that does is enough."""
    tempo = tempo_of(0.5)

    assert slow(tempo, 5.0, tempo_of(2.5)) == ""
    assert slow(tempo, 5.0, tempo_of(2.5), tempo_of(2.49))


@virtual_time
async def test_what_all_take_is_usual_from_then_on() -> None:
    """The first choice is as slow as the others: a hedge and the next answers go by these times."""
    tempo = plain_tempo(*[(0.6, 5)] * LEAST_SAMPLES)
    tempo.usual_s(5)
    for _ in range(5):
        tempo.answered(6.0, 5, clock.now())
    for _ in range(LEAST_SAMPLES - 5):
        assert slow(tempo, 6.0, plain_tempo((6.0, 5)), tokens=5) == ""
        tempo.answered(6.0, 5, clock.now())

    assert tempo.usual_s(5) == 6.0
    assert slow(tempo, 12.0, plain_tempo(), tokens=5) == ""


@virtual_time
async def test_one_slow_answer_is_no_vain_search() -> None:
    """A straggler that is no slower than others are says nothing of the world having changed."""
    tempo = tempo_of(0.5)

    assert slow(tempo, 3.0, tempo_of(2.0)) == ""
    assert slow(tempo, 5.0, tempo_of(2.0))


# Plain answers.

# A first content after half a second, and 50 tokens in a second after it.
SHORT, LONG = (0.6, 5), (10.5, 500)


@pytest.mark.parametrize("usual", [[SHORT], [LONG], [SHORT, LONG]], ids=["short", "long", "both"])
@pytest.mark.parametrize("tokens", [1, 5, 25, 100, 500, 4000])
@virtual_time
async def test_a_plain_answer_may_be_as_long_as_it_likes(usual: list[tuple[float, int]], tokens: int) -> None:
    """Whatever the calls before asked for, no length makes an answer slow, twice its time neither."""
    tempo, other = plain_tempo(*usual * LEAST_SAMPLES), plain_tempo()

    assert slow(tempo, 2 * (0.5 + tokens / 50), other, tokens=tokens) == ""


@pytest.mark.parametrize("tokens_per_s", [5, 50, 500])
@virtual_time
async def test_a_plain_answer_that_begins_ten_times_as_late_is_slow(tokens_per_s: float) -> None:
    """Where answers are short, a late beginning shows in the whole."""
    usual_s = 0.5 + 3 / tokens_per_s
    tempo = plain_tempo(*[(usual_s, 3)] * LEAST_SAMPLES)

    assert slow(tempo, usual_s + 4.5, plain_tempo((usual_s, 3)), tokens=3) == (
        f"answer after {usual_s + 4.5:.2f} s, usually {usual_s:.2f} s"
    )


@virtual_time
async def test_plain_answers_are_compared_with_plain_ones() -> None:
    """Another that answers as many tokens in less than half the time is better; one that does not is not."""
    tempo = plain_tempo(*[(0.6, 5)] * LEAST_SAMPLES)

    assert slow(tempo, 12.0, plain_tempo((10.5, 500)), tokens=5) == ""
    assert slow(tempo, 12.0, plain_tempo((0.6, 5)), tokens=5)


@virtual_time
async def test_one_that_never_counts_its_tokens_is_known_by_its_answers() -> None:
    """Once it was asked it is no unknown one any more: when all are slow it is not tried time and again."""
    tempo, other = plain_tempo(*[(0.6, 5)] * LEAST_SAMPLES), plain_tempo((6.0, 0))
    tempo.usual_s(5)
    for _ in range(LEAST_SAMPLES):
        tempo.answered(6.0, 5, clock.now())

    assert slow(tempo, 6.0, other, tokens=5) == ""
    assert tempo.usual_s(5) == 6.0
    assert slow(tempo, 60.0, other, tokens=5)


@virtual_time
async def test_of_an_answer_whose_tokens_nobody_counted_nothing_is_said() -> None:
    """It may have been a long one."""
    tempo = plain_tempo(*[(0.6, 5)] * LEAST_SAMPLES)

    assert slow(tempo, 60.0, plain_tempo((0.6, 5)), tokens=0) == ""


# What the breaker makes of it.


@virtual_time
async def test_who_was_left_for_slowness_comes_back_by_an_answer_in_time() -> None:
    """Half way is enough for an endpoint that was not left, and a failed probe for one that was."""
    tempo, other = tempo_of(0.5), tempo_of(0.5)
    breaker = Breaker("a", BreakerPolicy(jitter_ratio=0))

    def answer(seconds: float) -> str:
        permit = breaker.acquire()
        assert permit is not None
        said = slow(tempo, seconds, other, left=breaker.slow)
        end(permit, said)
        return said

    def phase() -> str:
        return breaker.phase

    await anyio.sleep(10)
    assert [answer(1.5), phase()] == ["", "closed"]
    for _ in range(5):
        assert answer(5.0)
    assert phase() == "open"
    assert breaker.reason == "5 failures in a row (first content after 5.00 s, usually 0.50 s)"
    await anyio.sleep(5)
    assert answer(1.5), "half way"
    assert phase() == "open"
    await anyio.sleep(10)
    assert answer(0.9) == ""
    assert phase() == "closed"
    await anyio.sleep(10)
    assert answer(1.5) == "", "it is judged as before"

    for _ in range(5):
        assert answer(5.0)
    breaker.close()
    await anyio.sleep(10)
    assert answer(1.5) == "", "and so is one that was closed by hand"


@virtual_time
async def test_who_was_left_for_errors_comes_back_by_any_answer() -> None:
    """A slow answer of before that comes while it is open is not why it is."""
    tempo, other = tempo_of(0.5), tempo_of(0.5)
    breaker = Breaker("a", BreakerPolicy(consecutive=1, jitter_ratio=0))
    late, broken = breaker.acquire(), breaker.acquire()
    assert late is not None
    assert broken is not None
    await anyio.sleep(5)
    broken.failed()
    end(late, slow(tempo, 5.0, other, left=breaker.slow))

    await anyio.sleep(5)
    probe = breaker.acquire()
    assert probe is not None
    end(probe, slow(tempo, 1.5, other, left=breaker.slow))
    assert breaker.phase == "closed"


def stragglers(lots: random.Random) -> float:
    """Four in a hundred take seven times as long."""
    return 0.536 * lots.lognormvariate(0, 0.25) * (7 if lots.random() < 0.04 else 1)


def long_tail(lots: random.Random) -> float:
    """Claude Haiku's: half within 0.541 s, 95 % within 1.591, 99 % within 4.117."""
    share = lots.random()
    points = [(0.0, 0.3), (0.5, 0.541), (0.95, 1.591), (0.99, 4.117), (1.0, 15.0)]
    for (begin, low), (end, high) in itertools.pairwise(points):
        if share <= end:
            return float(low * (high / low) ** ((share - begin) / (end - begin)))
    raise AssertionError(share)


@pytest.mark.parametrize("draw", [stragglers, long_tail])
@pytest.mark.parametrize("every_s", [0.05, 2.0])
@virtual_time
async def test_a_healthy_tail_opens_nothing(draw: Callable[[random.Random], float], every_s: float) -> None:
    """Ten thousand healthy answers, many at once or one after the other, and nobody knows the other."""
    lots, tempo, other = random.Random(1), tempo_of(None), tempo_of(None)
    breaker = Breaker("a")
    times = [draw(lots) for _ in range(10_000)]
    calls = sorted(
        [(number * every_s + lasts, number * every_s, lasts) for number, lasts in enumerate(times)]
    )
    for ends, began, lasts in calls:
        await anyio.sleep_until(ends)
        permit = breaker.acquire()
        assert permit is not None, breaker.reason
        tempo.firsts.add(lasts)
        end(permit, slow(tempo, lasts, other, started=began, left=breaker.slow))
