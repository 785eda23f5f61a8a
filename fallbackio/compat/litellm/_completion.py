"""LiteLLM's functions: `acompletion`, `completion`, `aembedding`, `embedding`.

The functions that block run in a thread of their own, also where an event loop is running, which they
hold up as LiteLLM's do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fallbackio.compat.litellm._asking import Ask, answer, embeddings, opened
from fallbackio.compat.litellm._calls import Models, Words, ask_of
from fallbackio.compat.litellm._fields import EmbeddingResponse
from fallbackio.compat.litellm._process import PROCESS
from fallbackio.compat.litellm._stream import AsyncStreamWrapper, SyncStreamWrapper
from fallbackio.compat.litellm.exceptions import translated
from fallbackio.errors import FallbackError

__all__ = ["acompletion", "aembedding", "completion", "embedding"]


async def acompletion(model: str, messages: Sequence[Any] = (), **words: Any) -> Any:
    """An answer from `model`, or from the first of its `fallbacks` that gives one.

    Takes LiteLLM's parameters; see docs/from-litellm.md for what becomes of each.  Those that are none of
    them go to the provider.  Gives a `ModelResponse`, with `stream=True` an `AsyncStreamWrapper` whose
    first content is there.

    Raises:
        OpenAIError: What LiteLLM would raise, by its names; see `litellm.exceptions`.
        ConfigError: For a parameter that is refused, or of the wrong type.

    Example:
        >>> response = await acompletion(
        ...     model="gpt-6-luna",
        ...     messages=[{"role": "user", "content": "Hello"}],
        ...     fallbacks=["anthropic/claude-sonnet-5-5"],
        ... )
        >>> response.choices[0].message.content
        'Hello!'
    """
    ask = _asked("acompletion", model, messages, words)
    fleet = await PROCESS.fleets.here()
    return await (opened(fleet, ask) if words.get("stream") else answer(fleet, ask))


def completion(model: str, messages: Sequence[Any] = (), **words: Any) -> Any:
    """As `acompletion`, but blocking; with `stream=True` it gives a `SyncStreamWrapper`.

    Example:
        >>> completion(model="gpt-6-luna", messages=[{"role": "user", "content": "Hello"}]).usage.total_tokens
        42
    """
    response = PROCESS.portal.call(partial(acompletion, model, messages, **words))
    return (
        SyncStreamWrapper(response, PROCESS.portal) if isinstance(response, AsyncStreamWrapper) else response
    )


async def aembedding(model: str, input: str | Sequence[str] = (), **words: Any) -> EmbeddingResponse:
    """Vectors of the inputs; fallbacks must be of the same embedding model.

    Example:
        >>> response = await aembedding(model="text-embedding-3-small", input=["Hello"])
        >>> len(response.data[0]["embedding"])
        1536
    """
    ask = _asked("aembedding", model, (), words)
    return await embeddings(await PROCESS.fleets.here(), ask, input)


def embedding(model: str, input: str | Sequence[str] = (), **words: Any) -> EmbeddingResponse:
    """As `aembedding`, but blocking.

    Example:
        >>> embedding(model="text-embedding-3-small", input=["Hello"]).usage.prompt_tokens
        1
    """
    return PROCESS.portal.call(partial(aembedding, model, input, **words))


def _asked(function: str, model: str, messages: Sequence[Any], given: dict[str, Any]) -> Ask:
    try:
        words = Words(function, {**PROCESS.settings, **given}, messages)
        return ask_of(model, words, Models(model, words))
    except FallbackError as error:
        raise translated(error) from error
