"""What the pages say in tables and lists, compared with the code."""

from __future__ import annotations

import inspect
import logging
import re
from typing import get_args

import pytest
from pages_kit import rows, section

import fallbackio
from fallbackio import errors
from fallbackio.breaker import Severity
from fallbackio.chain._table import Again, Onward, handling
from fallbackio.errors import AttemptError
from fallbackio.events import (
    AttemptEnded,
    BreakerMoved,
    Event,
    FailedOver,
    FallbackRateFell,
    FallbackRateRose,
)
from fallbackio.observe import log_event


def test_the_defaults_are_the_chains() -> None:
    """The table of timeouts shows the defaults that the chain has."""
    parameters = inspect.signature(fallbackio.Chain).parameters

    shown = {
        name.strip("`"): default.strip("`") for name, default, _ in rows(section("docs/guide.md", "Timeouts"))
    }

    timeouts = {name: parameter.default for name, parameter in parameters.items() if "timeout" in name}
    assert shown == {name: "None" if value is None else f"{value:g}" for name, value in timeouts.items()}


AGAIN = {Again.NEVER: "no", Again.BACKOFF: "yes", Again.UNSENT: "yes, at once if nothing was sent"}
ONWARD = {
    Onward.NEXT: "yes",
    Onward.LARGER: "only with a larger `context_window`",
    Onward.RAISE: "no: raised at once",
}
LEARNT = {
    Severity.HARD: "counts",
    Severity.THROTTLED: "rests",
    Severity.FATAL: "opens",
    None: "hears nothing",
}
FAILURES = {
    cells[0].strip("`"): cells for cells in rows(section("docs/failures.md", "What a failure leads to"))
}


@pytest.mark.parametrize("name", FAILURES)
def test_the_failure_table_is_the_codes(name: str) -> None:
    """What the guide says of a failure is what the chain does."""
    kind: type[AttemptError] = getattr(errors, name)
    row = handling(kind())

    _, _, again, onward, learnt = FAILURES[name]

    assert again == AGAIN[row.again]
    assert onward == ONWARD[row.onward]
    assert learnt.startswith(LEARNT[row.severity])
    assert ("logged as an error" in learnt) == kind.needs_operator


def test_the_failure_table_is_complete() -> None:
    """Every kind of failure has its row."""
    kinds = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    failures = {name for name in kinds if issubclass(getattr(errors, name), AttemptError)}

    assert set(FAILURES) == failures - {"AttemptError"}


def test_statuses_are_classed_as_the_table_says() -> None:
    """Each status that a row names leads to that row's class."""
    for name, cells in FAILURES.items():
        if name != "QuotaExhausted":  # its 429 is told by the provider's code
            for status in re.findall(r"\b[45]\d\d\b", cells[1].partition(" said after")[0]):
                assert errors.by_status(int(status)).__name__ == name, status


ENTRY = fallbackio.Attempt(
    endpoint="a", vendor="v", model="m", outcome="failed", error=errors.AuthFailed(status=401)
)
LOGGED: dict[str, Event] = {
    "failing over": FailedOver(chain="c", call=1, origin="a", target="b", error=errors.Overloaded()),
    "circuit open": BreakerMoved(
        endpoint="a", old="closed", new="open", open_s=5, reason="5 failures in a row"
    ),
    "circuit half open, closed": BreakerMoved(endpoint="a", old="open", new="half_open", open_s=0, reason=""),
    "more calls fall back than usual": FallbackRateRose(
        chain="c",
        ratio=0.3,
        usual_ratio=0.01,
        calls=100,
        fallbacks=30,
        over_s=60,
        by_error={"Overloaded": 30},
        by_endpoint={"a": 30},
    ),
    "the fallback rate is low again": FallbackRateFell(chain="c", ratio=0.01, lasted_s=300),
    "key, quota or model refused": AttemptEnded(chain="c", call=1, attempt=ENTRY),
}


@pytest.mark.parametrize("cells", rows(section("docs/events.md", "The log")), ids=lambda cells: cells[0])
def test_the_log_is_as_the_table_says(cells: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """Levels and names of `extra` are those that the guide gives to write filters with."""
    what, level, extra = cells
    with caplog.at_level(logging.INFO, logger="fallbackio"):
        log_event(LOGGED[what])

    [record] = caplog.records
    assert record.levelname == level
    assert {name for name in vars(record) if name.startswith("fallbackio_")} == set(
        re.findall(r"fallbackio_\w+", extra)
    )


def test_every_event_is_listed() -> None:
    """What a sink can be told of has its row."""
    listed = {cells[0].strip("`") for cells in rows(section("docs/events.md", "Events"))}

    assert listed == {kind.__name__ for kind in get_args(Event)}
