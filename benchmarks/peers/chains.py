"""fallbackio, with the strategy that the arguments name.

Everything is the default but the times, which the whole comparison shares or shrinks by one scale, and
`idle_timeout`, which README has at a quarter to a half of an attempt's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import asdict
from worker import Answer

import fallbackio

PACKAGES = ["fallbackio", "aiohttp", "anyio", "orjson"]


def breaker(scale: float) -> fallbackio.BreakerPolicy:
    """The default policy, its times multiplied by `scale`."""
    usual = asdict(fallbackio.BreakerPolicy(), recurse=False)
    times = {name: value * scale for name, value in usual.items() if name.endswith("_s")}
    return fallbackio.BreakerPolicy(**{**usual, **times})


def retry(scale: float) -> fallbackio.RetryPolicy:
    """The default policy, its times multiplied by `scale`."""
    usual = fallbackio.RetryPolicy()
    return fallbackio.RetryPolicy(
        base_s=usual.base_s * scale, max_s=usual.max_s * scale, max_wait_s=usual.max_wait_s * scale
    )


class Chained:
    """The calls that README shows."""

    def __init__(self, chain: fallbackio.Chain, messages: list[dict[str, str]]) -> None:
        self.chain = chain
        self.messages = messages

    async def complete(self) -> Answer:
        reply = await self.chain.complete(self.messages)
        return Answer(reply.text, reply.finish_reason, reply.id)

    async def stream(self, first: Callable[[], object]) -> Answer:
        text: list[str] = []
        async with self.chain.stream(self.messages) as stream:
            async for delta in stream:
                if delta.text:
                    if not text:
                        first()
                    text.append(delta.text)
        return Answer("".join(text), stream.reply.finish_reason, stream.reply.id)

    async def close(self) -> None:
        await self.chain.aclose()


async def opened(urls: Sequence[str], settings: Mapping[str, Any]) -> Chained:
    scale = settings["scale"]
    endpoints = [
        fallbackio.Endpoint(
            settings["model"], name=name, vendor=name, dialect="openai", base_url=url, api_key="key"
        )
        for name, url in zip(settings["names"], urls, strict=True)
    ]
    chain = fallbackio.Chain(
        endpoints,
        timeout=settings["give_up_s"],
        attempt_timeout=settings["attempt_s"],
        ttft_timeout=settings.get("ttft_timeout"),
        idle_timeout=settings["attempt_s"] / 2,
        strategy=settings.get("strategy", "sequence"),
        breaker=breaker(scale),
        retry=retry(scale),
    )
    return Chained(chain, settings["messages"])
