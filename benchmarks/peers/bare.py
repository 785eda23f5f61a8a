"""The floor: aiohttp and orjson to one healthy endpoint, as one writes it when nothing may go wrong.

With `schedule` it is the oracle: at every instant of a play it knows which endpoint is healthy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
import orjson
from worker import Answer

PACKAGES = ["aiohttp", "orjson"]


class Bare:
    """Asks one endpoint, and asks it once."""

    def __init__(self, urls: Sequence[str], settings: Mapping[str, Any]) -> None:
        self.urls = [f"{url}/chat/completions" for url in urls]
        self.body = {"model": settings["model"], "messages": settings["messages"]}
        self.headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}
        # The oracle's knowledge: from which second of the play on which endpoint is the one to ask.
        self.schedule: Sequence[tuple[float, int]] = settings.get("schedule", [])
        self.began = 0.0
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    def url(self) -> str:
        chosen, moment = 0, asyncio.get_running_loop().time() - self.began
        for since, number in self.schedule:
            if since > moment:
                break
            chosen = number
        return self.urls[chosen]

    async def complete(self) -> Answer:
        body = orjson.dumps(self.body)
        async with self.session.post(self.url(), data=body, headers=self.headers) as response:
            response.raise_for_status()
            answer = orjson.loads(await response.read())
        choice = answer["choices"][0]
        return Answer(choice["message"]["content"], choice["finish_reason"], answer["id"])

    async def stream(self, first: Callable[[], object]) -> Answer:
        body = orjson.dumps({**self.body, "stream": True, "stream_options": {"include_usage": True}})
        text: list[str] = []
        finish_reason, name, rest = None, None, b""
        async with self.session.post(self.url(), data=body, headers=self.headers) as response:
            response.raise_for_status()
            async for piece in response.content.iter_any():
                *events, rest = (rest + piece).split(b"\n\n")
                for event in events:
                    if not event.startswith(b"data: ") or event == b"data: [DONE]":
                        continue
                    chunk = orjson.loads(event[6:])
                    name = chunk["id"]
                    for choice in chunk["choices"]:
                        finish_reason = choice["finish_reason"] or finish_reason
                        if content := choice["delta"].get("content"):
                            if not text:
                                first()
                            text.append(content)
        return Answer("".join(text), finish_reason, name)

    async def close(self) -> None:
        await self.session.close()


async def opened(urls: Sequence[str], settings: Mapping[str, Any]) -> Bare:
    return Bare(urls, settings)
