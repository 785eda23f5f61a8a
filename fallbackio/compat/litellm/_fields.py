"""Answers in the shape that LiteLLM's have: OpenAI's objects, read by attribute and by key.

They are dicts, so `response["choices"][0]`, `response.choices[0]`, `json.dumps(response)` and handing a
message back in `messages` all work.  Fields that LiteLLM always has are there, `None` where there is
nothing.  The odd rule: `print(response)` shows the answer, because whoever prints one wants to read it;
`repr`, which ends up in logs, does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

import orjson

from fallbackio.model import NO_REPORT, Delta, Embeddings, Reply, Report, Usage

__all__ = ["EmbeddingResponse", "Fields", "Message", "ModelResponse", "ModelResponseStream"]


class Fields(dict[str, Any]):
    """A JSON object whose fields are attributes too.

    Example:
        >>> Fields(a={"b": 1}).a.b
        1
    """

    def __init__(self, given: Mapping[str, Any] | None = None, **more: Any) -> None:
        both = {**(given or {}), **more}
        super().__init__({name: _deep(value) for name, value in both.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {', '.join(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self[name] = value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {', '.join(self)}>"

    def __str__(self) -> str:
        return self.model_dump_json(indent=2)

    def model_dump(self, *, exclude_none: bool = False, **_: Any) -> dict[str, Any]:
        """Plain dicts and lists; without fields that are `None` if so asked."""
        plain: dict[str, Any] = _plain(self, exclude_none)
        return plain

    def model_dump_json(self, *, indent: int | None = None, **_: Any) -> str:
        """The same as JSON text."""
        return orjson.dumps(self.model_dump(), option=orjson.OPT_INDENT_2 if indent else 0).decode()

    def to_dict(self) -> dict[str, Any]:
        """As `model_dump`."""
        return self.model_dump()

    def dict(self) -> dict[str, Any]:
        """As `model_dump`."""
        return self.model_dump()

    def json(self) -> Mapping[str, Any]:
        """As `model_dump`: LiteLLM's gives no text either."""
        return self.model_dump()


def _deep(value: Any) -> Any:
    if isinstance(value, Fields):
        return value
    if isinstance(value, Mapping):
        return Fields(value)
    return [_deep(one) for one in value] if isinstance(value, list | tuple) else value


def _plain(value: Any, exclude_none: bool) -> Any:
    if isinstance(value, Mapping):
        kept = value.items() if not exclude_none else [item for item in value.items() if item[1] is not None]
        return {name: _plain(one, exclude_none) for name, one in kept}
    return [_plain(one, exclude_none) for one in value] if isinstance(value, list) else value


class Message(Fields):
    """A turn of the assistant; it may go back into `messages`.

    Example:
        >>> messages.append(response.choices[0].message)
    """


class _Answer(Fields):
    """What all answers know besides their fields: how the call went."""

    _report: Report = NO_REPORT
    _hidden_params: Mapping[str, Any] = MappingProxyType({})

    @property
    def report(self) -> Report:
        """Who answered and what was tried: fallbackio's own report."""
        return self._report

    def told(self, report: Report) -> Self:
        """The same answer, knowing how its call went."""
        self._report = report
        self._hidden_params = hidden_params(report)
        return self


def hidden_params(report: Report) -> dict[str, Any]:
    """What LiteLLM's `_hidden_params` is read for: who answered, at what cost, after how long."""
    winner = report.winner
    asked = list(dict.fromkeys(a.endpoint for a in report.attempts if a.outcome != "skipped"))
    return {
        "model_id": report.endpoint or None,
        "custom_llm_provider": winner.vendor if winner is not None else None,
        "litellm_model_name": report.model or None,
        "response_cost": report.cost,
        "_response_ms": report.duration_s * 1000,
        "additional_headers": {"x-litellm-attempted-fallbacks": max(0, len(asked) - 1)},
    }


class ModelResponse(_Answer):
    """A whole answer.

    Example:
        >>> response.choices[0].message.content, response["usage"]["total_tokens"]
        ('Hello!', 42)
    """

    @classmethod
    def of(cls, reply: Reply) -> Self:
        """What LiteLLM would give for this reply."""
        wire = reply.to_dict()
        wire["choices"] = [_choice(choice) for choice in wire["choices"]]
        wire["model"] = reply.model or reply.report.model
        return cls({"system_fingerprint": None, **wire}).told(reply.report)


def _choice(choice: Mapping[str, Any]) -> Fields:
    nothing = {"content": None, "role": "assistant", "tool_calls": None, "function_call": None}
    return Fields({**choice, "message": Message({**nothing, **choice["message"]})})


class ModelResponseStream(_Answer):
    """A piece of a streamed answer.

    Example:
        >>> async for chunk in response:
        ...     print(chunk.choices[0].delta.content or "", end="")
    """

    @classmethod
    def of(cls, delta: Delta, model: str, role: str | None) -> Self:
        """What LiteLLM would give for this delta; without usage, which has a chunk of its own."""
        wire = delta.to_dict()
        del wire["usage"]
        wire["model"] = delta.model or model
        nothing = {"content": None, "role": role, "tool_calls": None, "function_call": None}
        wire["choices"] = [{**one, "delta": _piece(nothing, one["delta"])} for one in wire["choices"]]
        return cls({"system_fingerprint": None, **wire})

    @classmethod
    def of_usage(cls, usage: Usage, id: str, model: str) -> Self:
        """The last chunk of a stream that was asked to tell its usage."""
        return cls(
            id=id,
            object="chat.completion.chunk",
            created=0,
            model=model,
            choices=[],
            usage=usage.to_dict(),
        )


def _piece(nothing: Mapping[str, Any], delta: Mapping[str, Any]) -> dict[str, Any]:
    whole = {**nothing, **delta}
    if whole["tool_calls"]:
        whole["tool_calls"] = [_call(call) for call in whole["tool_calls"]]
    return whole


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": None, "arguments": "", **call.get("function", {})}
    return {"id": None, "type": "function", **call, "function": function}


class EmbeddingResponse(_Answer):
    """Vectors, in the order of their inputs.

    Example:
        >>> response.data[0]["embedding"][:2]
        [0.1, 0.2]
    """

    @classmethod
    def of(cls, embeddings: Embeddings) -> Self:
        """What LiteLLM would give for these."""
        made = [
            {"object": "embedding", "index": at, "embedding": list(vector)}
            for at, vector in enumerate(embeddings.vectors)
        ]
        usage = {
            "prompt_tokens": embeddings.usage.prompt_tokens,
            "completion_tokens": 0,
            "total_tokens": embeddings.usage.total_tokens,
        }
        model = embeddings.model or embeddings.report.model
        return cls(object="list", data=made, model=model, usage=usage).told(embeddings.report)
