"""Requests on their way to Anthropic: OpenAI's parameters become those of Messages.

`VOCABULARY` names the parameters that Messages, or this model of it, cannot express; `body_of` builds
the body without them.  Parameters unknown here go out untouched, so `thinking`, `top_k` or
`metadata={"user_id": …}` work as Anthropic documents them.

The odd rule: models differ, and only their names tell.  Where a name does not (a proxy's alias),
nothing is assumed and the provider has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fallbackio.dialects import _claude
from fallbackio.dialects._shared import JSON_ANSWER
from fallbackio.dialects.anthropic._messages import Block, conversation, trim
from fallbackio.dialects.anthropic._sayable import (
    FIXED_SAMPLING_FROM,
    VOCABULARY,
    has_budget,
    knows_schemas,
    takes_prefill,
)
from fallbackio.dialects.anthropic._thinking import stranger_in_loop, thinks_by
from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["DEFAULT_MAX_TOKENS", "body_of"]

Params = Mapping[str, Any]
Messages = Sequence[Mapping[str, Any]]

# Messages wants a limit where OpenAI has none.  This fits every model since Claude 3.5, and is far
# below the size above which Anthropic's own client insists on streaming (21 333).
DEFAULT_MAX_TOKENS = 8192

_JSON_ONLY = "Answer with one JSON object and nothing else: no code fence, no words around it."

_GO_ON = "Go on from exactly where your last message ends, and repeat nothing of it."

_THINKS_UNASKED_FROM = (5, 0)


def body_of(request: Request, endpoint: Endpoint, note: Note = unnoted) -> Block:
    """The body of a Messages request, without what is unsayable.

    Raises:
        InvalidRequest: For messages or tools that cannot be expressed, and for what is unsayable
            unless the endpoint drops it.
    """
    model = endpoint.model
    params = VOCABULARY.said(request, endpoint)
    limit = _max_tokens(params)
    body: Block = {"model": model, "max_tokens": DEFAULT_MAX_TOKENS if limit is None else limit}
    if request.stream:
        body["stream"] = True
    instructions: list[Block] = []
    if params:
        _sample(params, model, body, note)
        _offer_tools(params, body)
        instructions = _shape(params, model, body, note)
        _think(params, model, limit, body, note)
        _identify(params, body)
        params.pop("stream_options", None)  # usage always comes
    _converse(request.messages, endpoint, params, instructions, body, note)
    return {**params, **body}


def _converse(
    messages: Messages,
    endpoint: Endpoint,
    params: dict[str, Any],
    instructions: list[Block],
    body: Block,
    note: Note,
) -> None:
    """Say the conversation, as the thinking that is on allows it."""
    model = endpoint.model
    thinking = body.get("thinking", params.get("thinking"))
    thinks = _thinks_unasked(model) if thinking is None else thinks_by(thinking)
    if has_budget(thinking) and stranger_in_loop(messages, endpoint):
        thinks = False
        for said in (params, body):
            said.pop("thinking", None)
        note("thinking switched off, because another model began the tool calls")
    system, turns = conversation(messages, endpoint, thinks, note)
    if turns[-1]["role"] == "assistant":
        if takes_prefill(model) and not thinks_by(thinking):
            trim(turns[-1])
        else:
            turns.append({"role": "user", "content": _GO_ON})
            note("asked to continue, because there is no prefill")
    body["messages"] = turns
    if system or instructions:
        body["system"] = _system(system + instructions)


def _thinks_unasked(model: str) -> bool:
    """Whether the thoughts of `model` may come without being asked for; true where that is not known."""
    version = _claude.version(model)
    return version is None or version >= _THINKS_UNASKED_FROM


def _max_tokens(params: dict[str, Any]) -> Any:
    older = params.pop("max_tokens", None)
    return params.pop("max_completion_tokens", older)


def _system(blocks: list[Block]) -> str | list[Block]:
    """Plain text where blocks say no more; Anthropic's own OpenAI layer joins by one newline too."""
    if all(len(block) == 2 and "text" in block for block in blocks):
        return "\n".join([block["text"] for block in blocks])
    return blocks


def _sample(params: dict[str, Any], model: str, body: Block, note: Note) -> None:
    temperature = params.get("temperature")
    if isinstance(temperature, int | float) and temperature > 1:
        params["temperature"] = 1
        note("temperature lowered to 1")
    # Models that sample in one way only may refuse even the default, which is 1 for both.
    if _claude.since(model, FIXED_SAMPLING_FROM):
        params.pop("temperature", None)
    if params.get("top_p") == 1:
        del params["top_p"]
    stop = params.pop("stop", None)
    if isinstance(stop, str):
        stop = [stop]
    if isinstance(stop, list | tuple):
        said = [text for text in stop if text and not (isinstance(text, str) and text.isspace())]
        if len(said) < len(stop):
            note("blank stop sequences left out")
        stop = said
    if stop:
        body["stop_sequences"] = stop


def _offer_tools(params: dict[str, Any], body: Block) -> None:
    tools = params.pop("tools", None)
    choice = _choice(params.pop("tool_choice", None))
    parallel = params.pop("parallel_tool_calls", True)
    if tools:
        if not isinstance(tools, list | tuple):
            raise InvalidRequest("tools must be a list")
        body["tools"] = [_tool(tool, position) for position, tool in enumerate(tools)]
        if parallel is False:
            choice = _one_at_a_time(choice or {"type": "auto"})
    if choice:
        body["tool_choice"] = choice


def _one_at_a_time(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """With `none` there is nothing to say, and saying it is refused."""
    return choice if choice.get("type") == "none" else {**choice, "disable_parallel_tool_use": True}


def _tool(tool: object, position: int) -> Mapping[str, Any]:
    if not isinstance(tool, Mapping):
        raise InvalidRequest(f"tools[{position}] must be an object")
    if "custom" in tool:
        raise InvalidRequest(f"tools[{position}]: Messages has no custom tools", everywhere=False)
    if tool.get("type") != "function":
        return tool  # Anthropic's own
    function = tool.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidRequest(f"tools[{position}] must hold a function with a name")
    if function["name"] == JSON_ANSWER:
        raise InvalidRequest(f"tools[{position}]: the name {JSON_ANSWER!r} is reserved", everywhere=False)
    schema = function.get("parameters") or {"properties": {}}
    if not isinstance(schema, Mapping):
        raise InvalidRequest(f"tools[{position}].function.parameters must be a JSON Schema object")
    said: Block = {"name": function["name"], "input_schema": {"type": "object", **schema}}
    for name in ("description", "strict"):
        if function.get(name):
            said[name] = function[name]
    if "cache_control" in tool:
        said["cache_control"] = tool["cache_control"]
    return said


def _choice(choice: Any) -> Mapping[str, Any] | None:
    if isinstance(choice, str):
        return {"type": "any" if choice == "required" else choice}
    if isinstance(choice, Mapping) and isinstance(function := choice.get("function"), Mapping):
        return {"type": "tool", "name": function.get("name")}
    return choice  # type: ignore[no-any-return]  # None, Anthropic's own, or the provider's to refuse


def _shape(params: dict[str, Any], model: str, body: Block, note: Note) -> list[Block]:
    """Say the format of the answer; returns what is to be said of it in words."""
    shape = params.pop("response_format", None)
    if shape is None or shape["type"] == "text":
        return []
    if shape["type"] == "json_object":
        note("JSON mode asked for in words")
        return [{"type": "text", "text": _JSON_ONLY}]
    schema = shape["json_schema"]["schema"]
    if knows_schemas(model):
        _configure(params, body, format={"type": "json_schema", "schema": schema})
    else:
        _force_answer(schema, body)
        note("JSON schema asked for by a forced tool")
    return []


def _force_answer(schema: Mapping[str, Any], body: Block) -> None:
    """Have the answer given as the arguments of a tool, whose name tells it from a call."""
    described = "Give the whole answer to the user as the arguments of this tool."
    schema = {"type": "object", **schema}
    body["tools"] = [{"name": JSON_ANSWER, "description": described, "input_schema": schema}]
    body["tool_choice"] = {"type": "tool", "name": JSON_ANSWER, "disable_parallel_tool_use": True}


def _think(params: dict[str, Any], model: str, limit: Any, body: Block, note: Note) -> None:
    """Say the effort as this model wants it; a `thinking` of the user's own says it already."""
    effort = params.pop("reasoning_effort", None)
    version = _claude.version(model)
    if effort is None or version is None or "thinking" in params:
        return
    if effort == "none":
        _do_not_think(params, model, version, body, note)
    elif _claude.thinks_by_budget(model):
        tokens, body["max_tokens"] = _claude.budget(effort, limit)
        body["thinking"] = {"type": "enabled", "budget_tokens": tokens}
    else:
        body["thinking"] = {"type": "adaptive"}
        if effort == "minimal":
            effort = "low"
            note("reasoning effort raised to low")
        _configure(params, body, effort=effort)


def _do_not_think(
    params: dict[str, Any], model: str, version: tuple[int, int], body: Block, note: Note
) -> None:
    if version < _THINKS_UNASKED_FROM:
        return
    if _must_think(model, version):
        _configure(params, body, effort="low")
        note("reasoning effort raised to low")
    else:
        body["thinking"] = {"type": "disabled"}


def _must_think(model: str, version: tuple[int, int]) -> bool:
    return "fable" in model or "mythos" in model or ("opus" in model and version >= (5, 5))


def _configure(params: dict[str, Any], body: Block, **config: Any) -> None:
    """Add to `output_config`; what the user set there stays."""
    earlier = body.get("output_config") or params.pop("output_config", {})
    if not isinstance(earlier, Mapping):
        raise InvalidRequest("output_config must be an object")
    body["output_config"] = {**config, **earlier}


def _identify(params: dict[str, Any], body: Block) -> None:
    user = params.pop("user", None)
    user = params.pop("safety_identifier", user)
    if user is not None:
        body["metadata"] = {"user_id": user, **params.pop("metadata", {})}
    if params.get("service_tier") == "default":
        params["service_tier"] = "standard_only"
