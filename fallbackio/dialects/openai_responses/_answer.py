"""A whole response as a reply.

Its status says how it ended: `completed`, `incomplete` with a reason, or `failed` with an error, which
is raised.  What only repeats the request is not kept in `extra`.
"""

from __future__ import annotations

from typing import Any

from fallbackio.dialects._shared import count, logprobs_of, refuse_swallowed
from fallbackio.dialects._state import state_of
from fallbackio.dialects.openai._values import string
from fallbackio.dialects.openai_responses._errors import failed
from fallbackio.dialects.openai_responses._request import NAME
from fallbackio.dialects.openai_responses._said import Said, said_in
from fallbackio.errors import BadAnswer
from fallbackio.model import NO_USAGE, Choice, Message, Reply, Usage

__all__ = ["created_of", "extra_of", "finish_of", "message_of", "reply_of", "usage_of"]

_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}

# What is said elsewhere in a reply, and what repeats the request.
# fmt: off
_LEFT_OUT = frozenset((
    "id", "object", "created_at", "completed_at", "model", "output", "output_text", "status", "error",
    "usage", "background", "conversation", "include", "incomplete_details", "input", "instructions",
    "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls", "previous_response_id",
    "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning",
    "safety_identifier", "store", "stream", "temperature", "text", "tool_choice", "tools", "top_logprobs",
    "top_p", "truncation", "user", "choices",
))
# fmt: on


def reply_of(response: dict[str, Any]) -> Reply:
    """The reply; raises the `AttemptError` that it stands for if it is none."""
    if (error := response.get("error")) or response.get("object") == "error":
        raise failed(error or response)
    output = response.get("output")
    if type(output) is not list:
        raise BadAnswer("a response without output")
    response_id = string(response.get("id"))
    said = said_in(output, response_id)
    finish = finish_of(response, string(response.get("status")), said)
    if not output and finish == "stop":
        raise BadAnswer("a response with nothing in it")
    refuse_swallowed(finish, said.text or said.calls or said.refusal, code=finish)
    scores = logprobs_of(said.logprobs)
    extra = {"logprobs": scores} if scores else {}
    return Reply(
        id=response_id,
        model=string(response.get("model")),
        choices=(Choice(message_of(said, output, string(response.get("model"))), finish, 0, extra),),
        usage=usage_of(response.get("usage")),
        created=created_of(response),
        extra={
            name: value for name, value in response.items() if name not in _LEFT_OUT and value is not None
        },
    )


def message_of(said: Said, output: list[Any], model: str) -> Message:
    """The turn, with what its provider wants back."""
    return Message(
        said.text if said.text or not (said.calls or said.refusal) else None,
        said.calls,
        said.refusal or None,
        said.reasoning or None,
        extra_of(said, output, model),
    )


def extra_of(said: Said, output: list[Any], model: str) -> dict[str, Any]:
    """Annotations, items of the provider's own tools, and the items to give back."""
    extra: dict[str, Any] = {}
    if said.annotations:
        extra["annotations"] = list(said.annotations)
    if said.others:
        extra["output_items"] = list(said.others)
    if said.signed:
        extra |= state_of(NAME, model, {"output": output})
    return extra


def finish_of(response: dict[str, Any], status: str, said: Said) -> str:
    """Why it ended; raises for a response that has failed or is not over."""
    if status == "completed":
        return "tool_calls" if said.calls else "stop"
    if status == "incomplete":
        details = response.get("incomplete_details")
        reason = string(details.get("reason")) if type(details) is dict else ""
        return _REASONS.get(reason, reason or "length")
    if status == "failed":
        raise failed(response.get("error"))
    raise BadAnswer("a response that is not finished" if status else "a response without a status")


def created_of(response: dict[str, Any]) -> int:
    """Seconds since the epoch, which the API gives with a fraction."""
    created = response.get("created_at")
    return int(created) if isinstance(created, int | float) and 0 < created < 1e12 else 0


def usage_of(usage: object) -> Usage:
    """Tokens; input includes cached and output reasoning here, too."""
    if type(usage) is not dict:
        return NO_USAGE
    read, written = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    return Usage(
        prompt_tokens=count(usage.get("input_tokens")),
        completion_tokens=count(usage.get("output_tokens")),
        cached_tokens=count(read.get("cached_tokens")) if type(read) is dict else 0,
        reasoning_tokens=count(written.get("reasoning_tokens")) if type(written) is dict else 0,
        cache_write_tokens=count(read.get("cache_write_tokens")) if type(read) is dict else 0,
    )
