"""docs/web.md keeps what it promises: real servers, clients that go away, and what the vendors see."""

from __future__ import annotations

import anyio
import openai
import orjson
import pytest
from web_kit import QUESTION, RECIPES, Served, serve, until

from fallbackio.simulator import Behaviour, Cut, Silence, Stall, Status
from fallbackio.testing import virtual_time

pytestmark = pytest.mark.parametrize("name", RECIPES)


def nothing_runs(served: Served) -> bool:
    return served.first.stats.in_flight == served.second.stats.in_flight == 0


@virtual_time
async def test_a_client_that_goes_ends_a_plain_call(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an answer, so the request upstream ends, and no other endpoint is asked."""
    async with serve(name, monkeypatch) as served:
        served.first.behave(Behaviour(fault=Stall("headers")))
        client = await served.ask(stream=False)
        await until(lambda: served.first.stats.in_flight == 1)

        client.leave()

        await until(lambda: nothing_runs(served))
        assert (served.first.stats.cancelled, served.second.stats.requests) == (1, 0)


@virtual_time
async def test_a_client_that_goes_before_the_first_content_ends_its_stream(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing has been sent yet, only the client's leaving can end the wait."""
    async with serve(name, monkeypatch) as served:
        served.first.behave(Behaviour(fault=Stall("content")))
        client = await served.ask(stream=True)
        await until(lambda: served.first.stats.in_flight == 1)

        client.leave()

        await until(lambda: nothing_runs(served))
        assert (served.first.stats.cancelled, served.second.stats.requests) == (1, 0)


@virtual_time
async def test_a_client_that_goes_in_mid_answer_ends_its_stream(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider stops generating at once, also while it happens to be silent."""
    async with serve(name, monkeypatch) as served:
        served.first.behave(Behaviour(fault=Stall(at=3)))
        client = await served.ask(stream=True)
        await client.reader.readuntil(b"word2")

        client.leave()

        await until(lambda: nothing_runs(served))
        assert served.first.stats.cancelled == 1


@virtual_time
async def test_a_client_that_does_not_read_and_goes_ends_its_stream(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response that waits for its client's buffers is ended as well, and not left to the collector."""
    async with serve(name, monkeypatch) as served:
        served.first.behave(Behaviour(text=f"{'x' * 100_000} " * 300))
        client = await served.ask(stream=True)
        await anyio.sleep(5)
        assert served.first.stats.in_flight == 1

        client.leave()

        await until(lambda: nothing_runs(served))


@virtual_time
async def test_openais_own_client_reads_the_answers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain or streamed, from whichever vendor: what is sent is what OpenAI's client takes."""
    async with serve(name, monkeypatch) as served:
        served.first.behave(Behaviour(fault=Status(500)))
        url = f"http://127.0.0.1:{served.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            answer = await client.chat.completions.create(model="any", messages=QUESTION)
            stream = await client.chat.completions.create(model="any", messages=QUESTION, stream=True)
            chunks = [chunk async for chunk in stream]

    whole = answer.choices[0].message.content
    pieces = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert whole is not None
    assert whole.startswith("word0 word1")
    assert "".join(piece.delta.content or "" for piece in pieces) == whole
    assert (pieces[0].delta.role, pieces[-1].finish_reason) == ("assistant", "stop")
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 16


@pytest.mark.parametrize("stream", [False, True])
@virtual_time
async def test_when_nobody_answers_it_says_when_to_come_back(
    name: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 503 with a Retry-After, for a stream too, and no word about who was asked."""
    async with serve(name, monkeypatch) as served:
        for vendor in (served.first, served.second):
            vendor.behave(Behaviour(fault=Status(429, retry_after_s=90)))

        status, headers, body = await (await served.ask(stream=stream)).read()

    assert (status, headers["retry-after"]) == (503, "90")
    assert headers["content-type"] == "application/json"
    assert orjson.loads(body)["error"]["message"] == "no model can answer now"


@virtual_time
async def test_when_the_time_is_up_it_is_a_504(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call's own timeout answers before the proxy in front gives up."""
    async with serve(name, monkeypatch) as served:
        for vendor in (served.first, served.second):
            vendor.behave(Behaviour(fault=Silence()))

        status, _, _ = await (await served.ask(stream=True)).read()

    assert status == 504


@virtual_time
async def test_a_bad_request_is_the_clients_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no endpoint would take is a 400 that says why."""
    async with serve(name, monkeypatch) as served:
        status, _, body = await (await served.ask(stream=False, messages=[])).read()

        assert status == 400
        assert "messages is empty" in orjson.loads(body)["error"]["message"]
        assert served.first.stats.requests == 0


@virtual_time
async def test_a_break_in_mid_answer_is_mended_or_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another vendor goes on; if none can, an error event stands where `[DONE]` would."""
    async with serve(name, monkeypatch) as served:
        served.first.behave(Behaviour(fault=Cut(after_tokens=3)))
        _, _, mended = await (await served.ask(stream=True)).read()
        served.second.behave(Behaviour(fault=Status(500)))
        status, _, told = await (await served.ask(stream=True)).read()

    assert b"data: [DONE]" in mended
    assert status == 200
    assert b'"code":"stream_broken"' in told
    assert b"[DONE]" not in told


@virtual_time
async def test_a_silence_is_bridged_by_comments(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody between takes a connection for dead while a model thinks in mid-answer."""
    async with serve(name, monkeypatch) as served:
        served.first.behave(Behaviour(fault=Stall(at=3, for_s=20)))
        _, _, body = await (await served.ask(stream=True)).read()

    assert body.count(b": ping\n\n") == 1
    assert b"data: [DONE]" in body


@pytest.mark.parametrize("stream", [False, True])
@virtual_time
async def test_calls_under_way_finish_when_the_server_goes_down(
    name: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going down takes as long as the answers that people wait for, and no longer."""
    async with serve(name, monkeypatch) as served:
        served.first.behave(Behaviour(tokens=10, pace_s=0.5))
        client = await served.ask(stream=stream)
        await until(lambda: served.first.stats.in_flight == 1)

        await served.stop()
        assert anyio.current_time() < 8
        status, _, body = await client.read()

    assert status == 200
    assert (b"[DONE]" if stream else b'"finish_reason":') in body.replace(b'": ', b'":')
