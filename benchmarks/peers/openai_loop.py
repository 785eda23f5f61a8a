"""OpenAI's own SDK in a loop over three clients: what one writes before one looks for a library.

`max_retries=0`, because the next endpoint is the retry; `timeout` is the SDK's own
(https://github.com/openai/openai-python#timeouts): to connect, and between two reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import openai
from worker import Answer

PACKAGES = ["openai"]


class Loop:
    """Asks one client after the other; a stream that has begun is not begun anew."""

    def __init__(self, urls: Sequence[str], settings: Mapping[str, Any]) -> None:
        self.clients = [
            openai.AsyncOpenAI(base_url=url, api_key="key", timeout=settings["attempt_s"], max_retries=0)
            for url in urls
        ]
        self.asked = {"model": settings["model"], "messages": settings["messages"]}

    async def complete(self) -> Answer:
        failure: Exception | None = None
        for client in self.clients:
            try:
                answer = await client.chat.completions.create(**self.asked)
                choice = answer.choices[0]
                return Answer(choice.message.content or "", choice.finish_reason, answer.id)
            except openai.APIError as error:
                failure = error
        assert failure is not None
        raise failure

    async def stream(self, first: Callable[[], object]) -> Answer:
        text: list[str] = []
        finish_reason, name = None, None
        failure: Exception | None = None
        for client in self.clients:
            try:
                async with await client.chat.completions.create(**self.asked, stream=True) as chunks:
                    async for chunk in chunks:
                        name = chunk.id
                        for choice in chunk.choices:
                            finish_reason = choice.finish_reason or finish_reason
                            if choice.delta.content:
                                if not text:
                                    first()
                                text.append(choice.delta.content)
                return Answer("".join(text), finish_reason, name)
            except openai.APIError as error:
                if text:
                    raise
                failure = error
        assert failure is not None
        raise failure

    async def close(self) -> None:
        for client in self.clients:
            await client.close()


async def opened(urls: Sequence[str], settings: Mapping[str, Any]) -> Loop:
    return Loop(urls, settings)
