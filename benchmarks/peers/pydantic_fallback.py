"""pydantic-ai: an Agent over a `FallbackModel`.

https://ai.pydantic.dev/models/overview/#fallback-model: "it's recommended to disable provider SDK
retries to ensure immediate fallback, for example by setting max_retries=0 on a custom OpenAI client".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import openai
from pydantic_ai import Agent
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from worker import Answer

PACKAGES = ["pydantic-ai-slim", "openai"]


class Agents:
    """Run, or streamed."""

    def __init__(self, urls: Sequence[str], settings: Mapping[str, Any]) -> None:
        self.clients = [
            openai.AsyncOpenAI(base_url=url, api_key="key", timeout=settings["attempt_s"], max_retries=0)
            for url in urls
        ]
        models = [
            OpenAIChatModel(settings["model"], provider=OpenAIProvider(openai_client=client))
            for client in self.clients
        ]
        system, user = settings["messages"]
        self.agent = Agent(FallbackModel(*models), instructions=system["content"])
        self.prompt = user["content"]

    async def complete(self) -> Answer:
        result = await self.agent.run(self.prompt)
        response = result.response
        return Answer(result.output, response.finish_reason, response.provider_response_id)

    async def stream(self, first: Callable[[], object]) -> Answer:
        text: list[str] = []
        async with self.agent.run_stream(self.prompt) as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                if piece:
                    if not text:
                        first()
                    text.append(piece)
        response = result.response
        return Answer("".join(text), response.finish_reason, response.provider_response_id)

    async def close(self) -> None:
        for client in self.clients:
            await client.close()


async def opened(urls: Sequence[str], settings: Mapping[str, Any]) -> Agents:
    return Agents(urls, settings)
