"""LangChain: `ChatOpenAI(…).with_fallbacks([…])`.

https://python.langchain.com/docs/how_to/fallbacks/: "we set max_retries = 0 to avoid retrying on
RateLimits", because the wrappers' own retries keep the fallback from starting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from worker import Answer

os.environ["LANGSMITH_TRACING"] = "false"

from langchain_openai import ChatOpenAI

PACKAGES = ["langchain-core", "langchain-openai", "openai"]


class Runnable:
    """Invoked, or streamed."""

    def __init__(self, urls: Sequence[str], settings: Mapping[str, Any]) -> None:
        first, *rest = [
            ChatOpenAI(
                model=settings["model"],
                base_url=url,
                api_key="key",
                timeout=settings["attempt_s"],
                max_retries=0,
                stream_usage=True,
            )
            for url in urls
        ]
        self.model = first.with_fallbacks(rest)
        self.messages = settings["messages"]

    async def complete(self) -> Answer:
        message = await self.model.ainvoke(self.messages)
        about = message.response_metadata
        return Answer(str(message.content), about.get("finish_reason"), about.get("id"))

    async def stream(self, first: Callable[[], object]) -> Answer:
        text: list[str] = []
        finish_reason, name = None, None
        async for chunk in self.model.astream(self.messages):
            finish_reason = chunk.response_metadata.get("finish_reason") or finish_reason
            name = chunk.response_metadata.get("id") or name
            if chunk.content:
                if not text:
                    first()
                text.append(str(chunk.content))
        return Answer("".join(text), finish_reason, name)

    async def close(self) -> None:
        pass


async def opened(urls: Sequence[str], settings: Mapping[str, Any]) -> Runnable:
    return Runnable(urls, settings)
