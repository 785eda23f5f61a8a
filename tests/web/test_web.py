"""What `fallbackio.web` promises by itself, without a server."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import orjson
import pytest
from pages_kit import section, text_of

import fallbackio
from fallbackio import errors, web
from fallbackio.testing import ScriptedEndpoint, answers, breaks, fails, stalls, virtual_time
from fallbackio.web import ClientGone, EventStream, failure, while_connected

Receive = Callable[[], Coroutine[Any, Any, dict[str, Any]]]


def leaving_after(after_s: float) -> Receive:
    """An ASGI `receive` that gives an empty body at once and the disconnect after so many seconds."""
    messages = iter([(0.0, "http.request"), (after_s, "http.disconnect")])

    async def receive() -> dict[str, Any]:
        wait_s, kind = next(messages)
        await anyio.sleep(wait_s)
        return {"type": kind}

    return receive


async def answer(after_s: float) -> str:
    await anyio.sleep(after_s)
    return "done"


@virtual_time
async def test_work_that_is_done_first_gives_its_answer() -> None:
    """Whoever stays gets the answer when it is there, and nobody listens any longer."""
    assert await while_connected(leaving_after(60), answer(2)) == "done"
    assert anyio.current_time() == 2


@virtual_time
async def test_work_is_cut_off_when_the_client_goes() -> None:
    """The work has ended when `ClientGone` is raised."""
    endpoint = ScriptedEndpoint(stalls())
    async with fallbackio.Chain([endpoint.endpoint]) as chain:
        with pytest.raises(ClientGone):
            await while_connected(leaving_after(2), chain.complete("Hello"))

        assert (anyio.current_time(), endpoint.running, endpoint.cancelled) == (2, 0, 1)


@virtual_time
async def test_an_error_of_the_work_comes_through_as_it_is() -> None:
    """A handler can catch it by its class; it is not wrapped in a group."""
    endpoint = ScriptedEndpoint(fails(errors.InvalidRequest("no")))
    async with fallbackio.Chain([endpoint.endpoint]) as chain:
        with pytest.raises(fallbackio.InvalidRequest):
            await while_connected(leaving_after(60), chain.complete("Hello"))


@pytest.mark.parametrize(("work_s", "answered"), [(5, False), (2, True)], ids=["waiting", "answered"])
@virtual_time
async def test_an_error_of_the_server_comes_through_as_it_is(work_s: float, answered: bool) -> None:
    """What `receive` raises ends the work, and is not wrapped in a group either."""

    async def receive() -> dict[str, Any]:
        await anyio.sleep(2)
        raise ConnectionResetError("the server's own")

    work = answer(work_s)
    if answered:
        assert await while_connected(receive, work) == "done"
    else:
        with pytest.raises(ConnectionResetError, match="the server's own"):
            await while_connected(receive, work)
    assert anyio.current_time() == 2


@virtual_time
async def test_a_cancelled_caller_is_not_taken_for_a_client_that_went() -> None:
    """A deadline around it ends the work as any deadline does."""
    with pytest.raises(TimeoutError):
        with anyio.fail_after(1):
            await while_connected(leaving_after(60), answer(30))
    assert anyio.current_time() == 1


@virtual_time
async def test_an_answer_in_the_tick_of_the_leaving_is_not_lost() -> None:
    """What has been paid for is delivered, even if nobody may read it."""
    assert await while_connected(leaving_after(2), answer(2)) == "done"


def told(stream: bytes) -> list[Any]:
    """The data of each event, `[DONE]` left as it is."""
    return [
        data if data == b"[DONE]" else orjson.loads(data)
        for data in (event.removeprefix(b"data: ") for event in stream.split(b"\n\n") if event)
        if not data.startswith(b":")
    ]


@virtual_time
async def test_events_begin_by_themselves() -> None:
    """`begin` is for those who want a status; iterating alone gives the same bytes."""
    endpoint = ScriptedEndpoint(answers("All is well."), name="one")
    async with fallbackio.Chain([endpoint.endpoint]) as chain:
        begun = EventStream(chain.stream("Hello"))
        await begun.begin()
        await begun.begin()
        plain = EventStream(chain.stream("Hello"))
        first, second = told(b"".join([e async for e in begun])), told(b"".join([e async for e in plain]))

    assert [event["choices"] for event in first[:-1]] == [event["choices"] for event in second[:-1]]
    assert first[-1] == b"[DONE]"
    assert (first[0]["object"], first[0]["model"]) == ("chat.completion.chunk", "one")
    assert len({event["id"] for event in first[:-1]}) == 1


@virtual_time
async def test_an_answer_that_is_begun_anew_ends_in_an_error() -> None:
    """OpenAI's format cannot take back what it has said."""
    broken = ScriptedEndpoint(breaks(after_words=2, text="All is well."), name="broken")
    spare = ScriptedEndpoint(answers("All is well."), name="spare")
    async with fallbackio.Chain([broken.endpoint, spare.endpoint], on_break="restart") as chain:
        events = told(b"".join([event async for event in EventStream(chain.stream("Hello"))]))

    assert events[-1]["error"]["code"] == "stream_broken"
    assert b"[DONE]" not in events
    assert (broken.running, spare.running) == (0, 0)


@virtual_time
async def test_closing_ends_the_request_upstream() -> None:
    """However far it has come, and also twice."""
    endpoint = ScriptedEndpoint(stalls(after_words=2))
    async with fallbackio.Chain([endpoint.endpoint]) as chain:
        unbegun = EventStream(chain.stream("Hello"))
        await unbegun.aclose()
        assert endpoint.requests == 0

        events = EventStream(chain.stream("Hello"))
        await events.begin()
        await events.aclose()
        await events.aclose()
        assert (endpoint.running, endpoint.cancelled) == (0, 1)
        assert [event async for event in events] == []


@virtual_time
async def test_one_that_nobody_closes_is_closed_with_the_last_reference() -> None:
    """A response that drops its events leaves no request running."""
    endpoint = ScriptedEndpoint(stalls(after_words=2))
    async with fallbackio.Chain([endpoint.endpoint]) as chain:
        events = EventStream(chain.stream("Hello"))
        await events.begin()
        del events
        gc.collect()
        await anyio.wait_all_tasks_blocked()
        assert endpoint.running == 0


STATUSES = [
    (errors.InvalidRequest(), 400),
    (errors.InvalidRequest(status=422), 422),
    (errors.ContextTooLong(status=413), 413),
    (errors.ContentFiltered(), 400),
    (errors.ChainExhausted(retry_after_s=19.2), 503),
    (errors.ChainClosed("closed"), 503),
    (errors.DeadlineExceeded(), 504),
    (errors.StreamBroken(), 502),
    (errors.AuthFailed("key sk-1 refused", status=401), 502),
    (ClientGone(), 499),
    (errors.ConfigError("no"), 500),
]


@pytest.mark.parametrize(("error", "status"), STATUSES, ids=lambda it: type(it).__name__)
def test_each_error_has_its_status(error: fallbackio.FallbackError, status: int) -> None:
    """What a client can do something about is its own; the rest is ours, or a moment's."""
    got, headers, body = failure(error)

    assert got == status
    assert headers["content-type"] == "application/json"
    assert set(orjson.loads(body)["error"]) == {"message", "type", "param", "code"}
    assert b"sk-1" not in body


def test_a_wait_is_rounded_up() -> None:
    """Who comes back when told so is not early."""
    assert failure(errors.ChainExhausted(retry_after_s=19.2))[1]["retry-after"] == "20"
    assert "retry-after" not in failure(errors.ChainExhausted())[1]
    assert failure(errors.ChainClosed("closed"))[1]["retry-after"] == "1"


def test_the_page_and_the_docstring_tell_the_same_statuses() -> None:
    """The table of docs/web.md is the one of `help(failure)`, and the page knows every name."""
    statuses = re.compile(r"^ *\| .* \| .*?\b(\d(?:\d\d|xx))\b", re.MULTILINE)

    page = statuses.findall(section("docs/web.md", "Errors and statuses"))
    assert page == statuses.findall(failure.__doc__ or "")
    assert len(page) == 7
    assert [name for name in web.__all__ if name not in text_of("docs/web.md")] == []
