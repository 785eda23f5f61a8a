"""Reading how long a provider asks us to stay away."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio.dialects._limits import Limit, duration, limits_of, retry_after, should_retry

DATE = {"date": "Wed, 21 Oct 2026 07:27:50 GMT"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6m0s", 360.0),
        ("12ms", 0.012),
        ("1h0m0.5s", 3600.5),
        ("1h30m0s", 5400.0),
        ("2m59.56s", 179.56),
        ("8.64s", 8.64),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("7ns", 7e-9),
        ("2d", 172800.0),
        ("7 seconds", 7.0),
        ("1 minute 30 seconds", 90.0),
        ("2.5", 2.5),
        (" 20 ", 20.0),
        ("0", 0.0),
        (".5s", 0.5),
    ],
)
def test_duration(text: str, expected: float) -> None:
    """Durations as Go and people write them are read, a bare number as seconds."""
    assert expected == pytest.approx(duration(text))


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-1", "-5s", "nan", "inf", "1e3", "5 shots", "s", "1m x", "٣", "1_000", "9" * 40, "1:30"],
)
def test_no_duration(text: str) -> None:
    """What is no duration counts as not said."""
    assert duration(text) is None


HEADERS: dict[str, tuple[dict[str, str], float | None]] = {
    "nothing": ({}, None),
    "milliseconds first": ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    "fractional milliseconds": ({"retry-after-ms": "0.5"}, 0.0005),
    "bad milliseconds": ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
    "negative milliseconds": ({"retry-after-ms": "-1"}, None),
    "seconds": ({"retry-after": "20"}, 20.0),
    "fractions of seconds": ({"retry-after": "0.5"}, 0.5),
    "a day, uncapped": ({"retry-after": "86400"}, 86400.0),
    "zero": ({"retry-after": "0"}, 0.0),
    "date": ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10.0),
    "date of the old form": ({"retry-after": "Wednesday, 21-Oct-26 07:28:00 GMT"}, 10.0),
    "date of C": ({"retry-after": "Wed Oct 21 07:28:00 2026"}, 10.0),
    "date in the past": ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    "negative": ({"retry-after": "-3"}, None),
    "NaN": ({"retry-after": "nan"}, None),
    "infinite": ({"retry-after": "inf"}, None),
    "garbage": ({"retry-after": "when you like"}, None),
    "empty": ({"retry-after": ""}, None),
    "half a date": ({"retry-after": "10:00:00"}, None),
    "impossible date": ({"retry-after": "Wed, 99 Oct 2026 07:28:00 GMT"}, None),
    "window with something left": (
        {"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "6m0s"},
        None,
    ),
    "window that is empty": (
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"},
        360.0,
    ),
    "longest of two windows": (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "12s",
        },
        12.0,
    ),
    "epoch seconds": ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1792567677"}, 7.0),
    "epoch milliseconds": ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1792567677500"}, 7.5),
    "instant": (
        {
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-tokens-reset": "2026-10-21T07:28:20Z",
        },
        30.0,
    ),
    "window of no time": ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "later"}, None),
    "retry-after over a window": (
        {"retry-after": "2", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "60"},
        2.0,
    ),
}


@pytest.mark.parametrize(("headers", "expected"), HEADERS.values(), ids=HEADERS.keys())
def test_headers(headers: dict[str, str], expected: float | None) -> None:
    """Headers are read in their order of trust, dates by the provider's own clock."""
    assert expected == pytest.approx(retry_after({**DATE, **headers}))


def test_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a `date` in the answer, our own clock tells how far off a date is."""
    monkeypatch.setattr("fallbackio.clock.wall", lambda: 1792567670.0)

    assert 10.0 == retry_after({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Rate limit reached for gpt-4o. Please try again in 6m0s. Visit https://example.com", 360.0),
        ("Please try again in 120ms.", 0.12),
        ("Please try again in 1h2m3.5s.", 3723.5),
        ("Please retry after 7 seconds.", 7.0),
        ("Please retry in 37.48s.", 37.48),
        ("Please wait 20 seconds", 20.0),
        ("try again in 5", None),
        ("try again in 3 shots", None),
        ("limit 500 requests in 60s", None),
        ("", None),
    ],
)
def test_message(message: str, expected: float | None) -> None:
    """The message is read where no header says how long, and only with a unit."""
    assert expected == pytest.approx(retry_after({}, message))
    assert 1.0 == retry_after({"retry-after": "1"}, message)


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("False", False), ("", None), ("maybe", None), ("1", None)]
)
def test_should_retry(value: str, expected: bool | None) -> None:
    """Only true and false are an opinion."""
    assert expected is should_retry({"x-should-retry": value})
    assert should_retry({}) is None


@given(
    st.sampled_from(["retry-after", "retry-after-ms", "date", "x-ratelimit-reset"]),
    st.text()
    | st.floats().map(str)
    | st.datetimes().map(str)
    | st.from_regex(r"[A-Z][a-z]{2}, .{0,30}:.{0,9}:.{0,9} GMT"),
    st.text(),
)
def test_any_text(name: str, value: str, message: str) -> None:
    """Whatever the provider says, the wait is a finite time from 0 on, or not said."""
    headers = {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "x-ratelimit-remaining": "0", name: value}
    wait_s = retry_after(headers, message)

    assert wait_s is None or (math.isfinite(wait_s) and wait_s >= 0)


@pytest.mark.parametrize(
    ("headers", "requests", "tokens"),
    [
        pytest.param(
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-limit-tokens": "150000",
                "x-ratelimit-remaining-tokens": "149984",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            Limit(60, 59, 1),
            Limit(150_000, 149_984, 360),
            id="openai",
        ),
        pytest.param(
            {
                "date": "Sun, 22 Nov 2026 08:33:00 GMT",
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-requests-reset": "2026-11-22T08:33:20Z",
                "anthropic-ratelimit-tokens-remaining": "7000",
            },
            Limit(50, 49, 20),
            Limit(None, 7000, None),
            id="anthropic",
        ),
        pytest.param(
            {
                "x-ratelimit-remaining-requests": "-1",
                "x-ratelimit-reset-requests": "0",
                "x-ratelimit-remaining-tokens": "9000",
                "x-ratelimit-reset-tokens": "30",
            },
            None,
            Limit(None, 9000, 30),
            id="azure, where -1 is unknown",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-requests-day": "14400",
                "x-ratelimit-remaining-requests-day": "14370",
                "x-ratelimit-reset-requests-day": "33011.5",
                "x-ratelimit-remaining-tokens-minute": "60000",
                "x-ratelimit-reset-tokens-minute": "11.4",
            },
            Limit(14_400, 14_370, 33_011.5, at_once=True),
            Limit(None, 60_000, 11.4),
            id="cerebras",
        ),
        pytest.param(
            {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "0"},
            Limit(60, 0, None),
            None,
            id="mistral",
        ),
        pytest.param(
            {
                "date": "Sun, 22 Nov 2026 08:33:00 GMT",
                "x-ratelimit-limit": "20",
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "1795336410000",
            },
            Limit(20, 0, 30, at_once=True),
            None,
            id="openrouter, in milliseconds of the epoch",
        ),
        pytest.param(
            {
                "x-ratelimit-remaining-tokens": "9000",
                "x-ratelimit-limit-project-tokens": "40000",
                "x-ratelimit-remaining-project-tokens": "100",
                "x-ratelimit-reset-project-tokens": "12ms",
            },
            None,
            Limit(40_000, 100, 0.012),
            id="openai, where the project has less left",
        ),
        pytest.param(
            {
                "ratelimitbysize-limit": "500000",
                "ratelimitbysize-remaining": "0",
                "ratelimitbysize-reset": "44",
            },
            None,
            Limit(500_000, 0, 44, at_once=True),
            id="mistral, before",
        ),
        pytest.param(
            {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'},
            Limit(None, 50, 30, at_once=True),
            None,
            id="the draft",
        ),
        pytest.param(
            {"x-ratelimit-remaining-requests": "many", "ratelimit": "r=x;t=1"}, None, None, id="more garbage"
        ),
        pytest.param(
            {"x-ratelimit-remaining-requests": "many", "x-ratelimit-remaining": ""}, None, None, id="garbage"
        ),
        pytest.param({}, None, None, id="nothing"),
    ],
)
def test_limits_are_read(headers: dict[str, str], requests: Limit | None, tokens: Limit | None) -> None:
    """What a provider tells of its limits is read in every vendor's words; what cannot be is not said."""
    assert limits_of(headers) == (requests, tokens)
