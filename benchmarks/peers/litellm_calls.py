"""LiteLLM: `acompletion(fallbacks=…)` and the Router, as the argument `router` says.

* acompletion: https://docs.litellm.ai/docs/completion/reliable_completions ("Fallbacks – Switch
  Models/API Keys/API Bases"): the fallbacks are dicts that replace the call's own arguments.
* Router: https://docs.litellm.ai/docs/proxy/reliability (quick start): one model group per endpoint,
  `fallbacks=[{"first": ["second", "third"]}]`, its default retries, and
  https://docs.litellm.ai/docs/routing for `timeout` and `cooldown_time`.

Its waits shrink by the comparison's scale: the back-off through the environment variables that its
constants are read from, the cooldown (5 s) through `cooldown_time`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from worker import Answer

# Before LiteLLM is imported: it reads them there.  The second keeps it from fetching prices.
SCALE = float(os.environ.get("BENCHMARK_SCALE", "1"))
os.environ["INITIAL_RETRY_DELAY"] = str(0.5 * SCALE)
os.environ["MAX_RETRY_DELAY"] = str(8 * SCALE)
os.environ["JITTER"] = str(0.75 * SCALE)
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402

PACKAGES = ["litellm", "openai"]

COOLDOWN_S = 5.0


def _address(url: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": f"openai/{settings['model']}", "api_base": url, "api_key": "key"}


class Calls:
    """Either of the two; both have one method and one shape of answer."""

    def __init__(self, ask: Callable[..., Any], asked: dict[str, Any]) -> None:
        self.ask = ask
        self.asked = asked

    async def complete(self) -> Answer:
        answer = await self.ask(**self.asked)
        choice = answer.choices[0]
        return Answer(choice.message.content or "", choice.finish_reason, answer.id)

    async def stream(self, first: Callable[[], object]) -> Answer:
        text: list[str] = []
        finish_reason, name = None, None
        chunks = await self.ask(**self.asked, stream=True)
        try:
            async for chunk in chunks:
                name = chunk.id
                for choice in chunk.choices:
                    finish_reason = choice.finish_reason or finish_reason
                    if choice.delta.content:
                        if not text:
                            first()
                        text.append(choice.delta.content)
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()
        return Answer("".join(text), finish_reason, name)

    async def close(self) -> None:
        pass


async def opened(urls: Sequence[str], settings: Mapping[str, Any]) -> Calls:
    addresses = [_address(url, settings) for url in urls]
    messages, limit = settings["messages"], settings["attempt_s"]
    if not settings.get("router"):
        first, *rest = addresses
        return Calls(
            litellm.acompletion, {**first, "fallbacks": rest, "messages": messages, "timeout": limit}
        )
    names = settings["names"]
    router = litellm.Router(
        model_list=[
            {"model_name": name, "litellm_params": address}
            for name, address in zip(names, addresses, strict=True)
        ],
        fallbacks=[{names[0]: names[1:]}],
        timeout=limit,
        cooldown_time=COOLDOWN_S * settings["scale"],
    )
    return Calls(router.acompletion, {"model": names[0], "messages": messages})
