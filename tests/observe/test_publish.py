"""A chain's health in files and at sockets: real ones, with readers who behave badly."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

import fallbackio
from fallbackio.errors import ConfigError
from fallbackio.observe import _publish as publish
from fallbackio.testing import ScriptedEndpoint, answers


def new_chain(**settings: Any) -> fallbackio.Chain:
    return fallbackio.Chain([ScriptedEndpoint(answers("fine"), name="a").endpoint], name="chat", **settings)


def health_in(line: bytes) -> dict[str, Any]:
    facts: dict[str, Any] = orjson.loads(line)
    assert facts["chain"] == "chat"
    return facts


@pytest.mark.parametrize("target", ["unix", "127.0.0.1:0", "[::1]:0", "localhost:0"])
def test_a_socket_tells_whoever_connects(target: str, tmp_path: Path) -> None:
    """A line at once, and one every so often; two readers hear the same, and the end is the end."""

    async def main() -> None:
        where = f"unix:{tmp_path}/app.sock" if target == "unix" else target
        async with AsyncExitStack() as stack, new_chain() as chain:
            async with chain.publish(where, every_s=0.01) as publisher:
                readers = [await stack.enter_async_context(connected(publisher.address)) for _ in range(2)]
                for reader in readers:
                    first = (await reader.line()).splitlines()[0]
                    assert health_in(first)["endpoints"][0]["name"] == "a"
                    health_in((await reader.line()).splitlines()[-1])
            for reader in readers:
                await reader.rest()
        if target == "unix":
            assert not (tmp_path / "app.sock").exists()

    asyncio.run(main())


class Connected:
    """One who follows."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def line(self) -> bytes:
        """The next line, of any length."""
        found = b""
        while not found.endswith(b"\n"):
            piece = await asyncio.wait_for(self.reader.read(2**16), 30)
            assert piece
            found += piece
        return found

    async def rest(self) -> bytes:
        """What is left; a connection that was reset has ended too."""
        try:
            return await asyncio.wait_for(self.reader.read(), 30)
        except ConnectionResetError:
            return b""


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Connected]:
    follower = Connected(*await opened(address))
    try:
        yield follower
    finally:
        follower.writer.transport.abort()


async def opened(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        assert stat.S_IMODE((await anyio.Path(path).stat()).st_mode) == 0o600
        return await asyncio.open_unix_connection(path)
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port))


def test_a_reader_who_does_not_read_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """His lines are passed over, others hear, calls go on; after a while he is left."""
    monkeypatch.setattr(publish, "PATIENCE_S", 0.2)

    async def main() -> None:
        async with new_chain() as chain, chain.publish("127.0.0.1:0", every_s=0.01) as publisher:
            # So long a name fills the buffers of a socket within a second.
            chain._setup.routes[0].breaker.reason = "x" * 200_000
            async with connected(publisher.address) as stuck, connected(publisher.address) as quick:
                stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
                await quick.line()
                readers = publisher._outlet._readers  # type: ignore[attr-defined]
                assert len(readers) == 2
                while len(readers) == 2:
                    await quick.line()
                    assert (await chain.complete("hi")).text == "fine"

    asyncio.run(main())


def test_too_many_readers_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that somebody hammers holds a few readers and no more."""
    monkeypatch.setattr(publish, "MOST_READERS", 2)

    async def main() -> None:
        async with new_chain() as chain, chain.publish("127.0.0.1:0", every_s=60) as publisher:
            async with AsyncExitStack() as stack:
                for _ in range(2):
                    reader = await stack.enter_async_context(connected(publisher.address))
                    health_in(await reader.line())
                turned_away = await stack.enter_async_context(connected(publisher.address))
                assert await turned_away.rest() == b""

    asyncio.run(main())


def test_a_file_holds_the_latest_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line at the beginning, others as time goes on, anew before it is large; only the owner reads it."""
    monkeypatch.setattr(publish, "MOST_BYTES", 3_000)
    path = tmp_path / "app.jsonl"

    async def main() -> None:
        async with new_chain() as chain, chain.publish(path, every_s=0.01):
            health_in(path.read_bytes())
            largest = shrunk = 0
            while not shrunk:
                size = path.stat().st_size
                assert size <= 3_000
                shrunk, largest = size < largest, max(size, largest)
                await asyncio.sleep(0.005)

    asyncio.run(main())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for line in path.read_bytes().splitlines():
        health_in(line)


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    """Whoever mistypes a path loses nothing."""
    path = tmp_path / "precious.txt"
    path.write_text("the only copy\n")

    async def main() -> None:
        async with new_chain() as chain:
            with pytest.raises(ConfigError, match="choose another file"):
                async with chain.publish(path):
                    raise AssertionError("it began")

    asyncio.run(main())
    assert path.read_text() == "the only copy\n"


def test_a_file_that_cannot_be_written_later_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that goes away harms no call."""
    folder = tmp_path / "run"
    folder.mkdir()

    async def main() -> None:
        async with new_chain() as chain, chain.publish(folder / "app.jsonl", every_s=0.01):
            (folder / "app.jsonl").unlink()
            folder.rmdir()
            for _ in range(3000):
                await asyncio.sleep(0.01)
                if caplog.records:
                    break
            await asyncio.sleep(0.05)
            assert (await chain.complete("hi")).text == "fine"

    asyncio.run(main())
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_who_has_ended_takes_no_place_from_others(tmp_path: Path) -> None:
    """A chain that closes long after its publisher leaves the path to whoever publishes there now."""

    async def main() -> None:
        target = f"unix:{tmp_path / 'a.sock'}"
        before, after = new_chain(), new_chain()
        async with before.publish(target) as old:
            pass
        async with after.publish(target):
            await old.aclose()
            await before.aclose()
            async with connected(target) as reader:
                await reader.line()
        await after.aclose()

    asyncio.run(main())


def test_it_ends_with_its_chain(tmp_path: Path) -> None:
    """A chain that is closed publishes nothing more, and leaves no task."""

    async def main() -> None:
        chain = new_chain()
        publisher = await chain.publish("127.0.0.1:0", every_s=0.01).__aenter__()
        async with connected(publisher.address) as reader:
            await reader.line()
            await chain.aclose()
            await reader.rest()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await publisher.aclose()

    asyncio.run(main())


def test_a_successor_keeps_its_socket(tmp_path: Path) -> None:
    """An application that is replaced while it runs leaves the path to the one that took it over."""

    async def main() -> None:
        where = f"unix:{tmp_path}/app.sock"
        async with AsyncExitStack() as stack, new_chain() as old, new_chain() as new:
            old_one = old.publish(where)
            async with old_one, new.publish(where):
                await old_one.aclose()
                reader = await stack.enter_async_context(connected(where))
                health_in((await reader.line()).splitlines()[0])
            assert not (tmp_path / "app.sock").exists()

    asyncio.run(main())


def sockets() -> int:
    """How many this process has open."""
    return sum(stat.S_ISSOCK(os.stat(f"/proc/self/fd/{fd}").st_mode) for fd in there("/proc/self/fd"))


def there(folder: str) -> list[str]:
    """Of what is listed, that which is still there when it is looked at."""
    return [name for name in os.listdir(folder) if os.path.exists(f"{folder}/{name}")]


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="counts sockets as Linux shows them")
@pytest.mark.parametrize("target", ["unix", "127.0.0.1:0"])
def test_a_beginning_that_is_cancelled_leaves_no_socket(target: str, tmp_path: Path) -> None:
    """Whichever turn of the loop it is cancelled at."""

    async def main() -> None:
        where = f"unix:{tmp_path}/app.sock" if target == "unix" else target
        async with new_chain() as chain:
            before, began = sockets(), False
            for turns in range(50):
                publisher = chain.publish(where, every_s=60)
                beginning = asyncio.ensure_future(publisher.__aenter__())
                for _ in range(turns):
                    await asyncio.sleep(0)
                began = beginning.done()
                beginning.cancel()
                await asyncio.wait([beginning])
                if began:
                    await publisher.aclose()
                assert sockets() == before
                assert not (tmp_path / "app.sock").exists()
            assert began

    asyncio.run(main())


def test_a_socket_that_cannot_be_made_private_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others could read is not left behind."""

    def refused(path: str, mode: int) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(os, "chmod", refused)

    async def main() -> None:
        async with new_chain() as chain:
            with pytest.raises(PermissionError):
                async with chain.publish(f"unix:{tmp_path}/app.sock"):
                    raise AssertionError("it began")
        assert not (tmp_path / "app.sock").exists()

    asyncio.run(main())


def test_an_address_in_use_is_said_when_it_begins() -> None:
    """Who else is there is an `OSError`, as of any server."""

    async def main() -> None:
        async with new_chain() as chain, chain.publish("127.0.0.1:0") as first:
            with pytest.raises(OSError, match="in use"):
                async with chain.publish(first.address):
                    raise AssertionError("it began")

    asyncio.run(main())


@pytest.mark.parametrize("target", ["0.0.0.0:9300", "10.0.0.1:9300", "example.com:9300", "[::]:9300"])
def test_other_machines_are_refused(target: str) -> None:
    """Nobody is asked who he is, so nobody from outside can come."""
    with pytest.raises(ConfigError, match="this machine only"):
        new_chain().publish(target)


@pytest.mark.parametrize("every_s", [0, -1, float("nan"), "1", 1e9])
def test_bad_settings_are_refused(every_s: Any) -> None:
    """A pace out of its range is a ConfigError that names it."""
    with pytest.raises(ConfigError, match="every_s"):
        new_chain().publish("app.jsonl", every_s=every_s)


def test_a_publisher_begins_once(tmp_path: Path) -> None:
    """Entered twice it would publish twice."""

    async def main() -> None:
        async with new_chain() as chain, chain.publish(tmp_path / "a.jsonl") as publisher:
            with pytest.raises(ConfigError, match="already"):
                await publisher.__aenter__()

    asyncio.run(main())
