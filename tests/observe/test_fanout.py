"""Sinks are told of everything and can harm nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextvars import ContextVar

import pytest

import fallbackio
from fallbackio.errors import ConfigError, Overloaded
from fallbackio.events import BreakerMoved, CallEnded, CallStarted, Event, EventSink
from fallbackio.model import Reply, Report, Request
from fallbackio.observe import Fanout, inline
from fallbackio.observe import _courier as courier
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, fails, virtual_time

EVENT = BreakerMoved(endpoint="a", old="closed", new="open", open_s=5, reason="")
REQUEST = ContextVar("REQUEST", default="none")


def chain_of(*sinks: EventSink) -> fallbackio.Chain:
    endpoint = ScriptedEndpoint(answers("fine"), name="a")
    return fallbackio.Chain([endpoint.endpoint], sinks=sinks, seed=1)


class Blocked:
    """A sink that waits until it is let go, and keeps what it was told."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.let_go.wait(30)
        self.events.append(event)


def test_a_sink_that_blocks_delays_no_call_and_no_other_sink() -> None:
    """A hundred calls end while one sink sits in its first event; another hears of all of them."""
    blocked = Blocked()
    heard: list[Event] = []
    all_heard = threading.Event()

    def listen(event: Event) -> None:
        heard.append(event)
        if len(heard) == 400:
            all_heard.set()

    async def main() -> None:
        async with chain_of(blocked, listen) as chain:
            for _ in range(100):
                assert (await chain.complete("hi")).text == "fine"
            assert blocked.events == []
            assert await asyncio.to_thread(all_heard.wait, 30)
            assert blocked.events == []
            blocked.let_go.set()
        assert blocked.events == heard

    asyncio.run(main())


def test_a_slow_sink_hears_everything_in_order() -> None:
    """What a sink has not caught up with when the chain is closed is delivered first."""
    heard: list[int] = []

    def slow(event: Event) -> None:
        time.sleep(0.002)
        if isinstance(event, CallEnded):
            heard.append(event.call)

    async def main() -> None:
        async with chain_of(slow) as chain:
            for _ in range(30):
                await chain.complete("hi")

    asyncio.run(main())
    assert heard == list(range(1, 31))


def test_a_sink_that_never_returns_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    """Closing gives it a second, says what was not delivered, and ends; its thread ends nothing."""
    blocked = Blocked()

    async def main() -> None:
        async with chain_of(blocked) as chain:
            await chain.complete("hi")

    asyncio.run(main())
    [record] = caplog.records
    assert "Blocked is stuck" in record.getMessage()
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "fallbackio-sink")
    blocked.let_go.set()


def test_what_a_sink_is_too_slow_for_is_dropped_and_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that is full drops the newest; the count is there to see, the log says it once."""
    monkeypatch.setattr(courier, "MOST_WAITING", 6)
    blocked = Blocked()

    async def main() -> None:
        async with chain_of(blocked) as chain:
            for _ in range(10):
                assert (await chain.complete("hi")).text == "fine"
            assert 40 - 7 <= chain._tell.dropped <= 40 - 6
            blocked.let_go.set()
        kept = [event for event in blocked.events if isinstance(event, CallStarted)]
        assert [event.call for event in kept] == [1, 2]

    asyncio.run(main())
    [record] = caplog.records
    assert "Blocked is too far behind" in record.getMessage()


@virtual_time
async def test_time_stands_still_while_sinks_catch_up() -> None:
    """In virtual time too a plain function has heard all when the chain is closed."""
    heard: list[Event] = []

    async with chain_of(heard.append) as chain:
        await chain.complete("hi")

    assert len(heard) == 4
    assert asyncio.get_running_loop().time() == 0


def test_a_sink_runs_in_the_context_of_the_call() -> None:
    """A request id kept in a context variable is there in the sink's thread."""
    seen: list[tuple[str, bool]] = []
    main_thread = threading.get_ident()

    def look(event: Event) -> None:
        seen.append((REQUEST.get(), threading.get_ident() == main_thread))

    async def one(chain: fallbackio.Chain, request: str) -> None:
        REQUEST.set(request)
        await chain.complete("hi")

    async def main() -> None:
        async with chain_of(look) as chain:
            await asyncio.create_task(one(chain, "r1"))
            await asyncio.create_task(one(chain, "r2"))

    asyncio.run(main())
    assert seen == [("r1", False)] * 4 + [("r2", False)] * 4


def test_an_inline_sink_hears_at_once() -> None:
    """Whoever says that it is quick is told in the caller's own thread, as things happen."""
    seen: list[int] = []

    @inline
    def count(event: Event) -> None:
        seen.append(threading.get_ident())

    async def main() -> None:
        async with chain_of(count) as chain:
            await chain.complete("hi")
            assert seen == [threading.get_ident()] * 4

    asyncio.run(main())


@pytest.mark.parametrize("wrap", [inline, lambda fn: fn], ids=["inline", "in its thread"])
def test_a_sink_that_raises_is_logged_once(wrap: object, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a sink raises, calls go on, and the others are told; the log says which one it was."""
    recorder = RecordingSink()

    def broken(event: Event) -> None:
        raise SystemExit if wrap is not inline else RuntimeError("no disk")

    async def main() -> None:
        async with chain_of(wrap(broken), recorder) as chain:  # type: ignore[operator]
            for _ in range(3):
                assert (await chain.complete("hi")).text == "fine"

    asyncio.run(main())
    assert len(recorder.events) == 12
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.getMessage().startswith("the sink test_a_sink_that_raises_is_logged_once.<locals>.broken")


def test_a_log_that_raises_loses_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler of the application's is code like a sink's, and there is nobody left to tell of it."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.levelname)
            raise RuntimeError("the log's server is down")

    heard: list[str] = []
    monkeypatch.setattr(logging.getLogger("fallbackio"), "handlers", [Broken()])

    def raising(event: Event) -> None:
        raise RuntimeError("no disk")

    async def main() -> None:
        down = ScriptedEndpoint(fails(Overloaded(status=529)), name="down")
        up = ScriptedEndpoint(answers("fine"), name="up")
        recorder = RecordingSink()
        steps = [down.endpoint, up.endpoint]
        async with fallbackio.Chain(steps, max_retries=0, sinks=[raising, recorder]) as chain:
            for _ in range(8):
                assert (await chain.complete("hi")).report.endpoint == "up"
        assert len(recorder.of(CallEnded)) == 8

    asyncio.run(main())
    assert {"WARNING", "ERROR"} <= {*heard}


def test_without_threads_calls_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no thread can be started that is logged once; the sink hears of it when one can be again."""
    heard: list[Event] = []

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        fanout = Fanout([heard.append])
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            fanout(EVENT)
            fanout(EVENT)
        assert heard == []
        fanout(EVENT)
        await fanout.aclose()

    asyncio.run(main())
    assert heard == [EVENT] * 3
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]


def test_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that was closed, or that nobody has used for a while, keeps no thread."""
    monkeypatch.setattr(courier, "IDLE_S", 0.01)
    heard = threading.Event()

    def listen(event: Event) -> None:
        heard.set()

    async def main() -> None:
        before = set(threading.enumerate())
        chain = chain_of(listen)
        for _ in range(2):  # it comes back when it is needed
            heard.clear()
            await chain.complete("hi")
            assert heard.wait(30)
            [thread] = [t for t in set(threading.enumerate()) - before if t.name == "fallbackio-sink"]
            thread.join(30)
            assert not thread.is_alive()
        await chain.aclose()

    asyncio.run(main())


async def later(event: Event) -> None:
    """A sink as nobody can be."""


class Later:
    async def __call__(self, event: Event) -> None:
        """Neither."""


@pytest.mark.parametrize("sink", [later, Later()], ids=["function", "object"])
def test_an_async_sink_is_refused(sink: EventSink) -> None:
    """A coroutine that nobody awaits would hear nothing, so it is an error when the chain is built."""
    with pytest.raises(ConfigError, match=r"plain function, .*ater is async"):
        chain_of(sink)


def test_a_sink_can_be_made_for_each_chain() -> None:
    """A sink that several chains share tells them apart; their calls have the same numbers."""
    made: dict[str, RecordingSink] = {}

    class Both:
        def for_chain(self, chain: str) -> EventSink:
            return made.setdefault(chain, RecordingSink())

    async def main() -> None:
        both = Both()
        endpoint = ScriptedEndpoint(answers("fine"), name="a").endpoint
        for name in ("chat", "cheap"):
            async with fallbackio.Chain([endpoint], sinks=[both], name=name) as chain:
                await chain.complete("hi")

    asyncio.run(main())
    assert {name: [event.call for event in sink.of(CallEnded)] for name, sink in made.items()} == {
        "chat": [1],
        "cheap": [1],
    }


def test_content_is_for_those_who_ask() -> None:
    """A sink that wants prompts and answers gets them; the one beside it does not."""
    curious, other = RecordingSink(), RecordingSink()
    curious.wants_content = True  # type: ignore[attr-defined]
    fanout = Fanout([curious, other])

    fanout(CallStarted(chain="c", call=1, stream=False, request=Request.of("a secret", {})))
    fanout(CallEnded(chain="c", call=1, report=Report(), outcome="answered", reply=Reply(id="x")))

    assert fanout.wants_content
    assert [event.request is not None for event in curious.of(CallStarted)] == [True]
    assert [event.reply is not None for event in curious.of(CallEnded)] == [True]
    assert [event.request for event in other.of(CallStarted)] == [None]
    assert [event.reply for event in other.of(CallEnded)] == [None]
    assert "secret" not in repr(curious.events)
