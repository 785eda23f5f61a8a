"""Requests on their way to Converse: OpenAI's parameters become Converse's.

Parameters unknown here go out untouched: Converse's own by their place in the body (`guardrailConfig`),
all others as `additionalModelRequestFields` (`top_k`).

The odd rule: a JSON schema for a model that knows no schemas is asked for by a forced tool of a
reserved name, and the reader of the answer knows it by that name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fallbackio.dialects import _claude
from fallbackio.dialects._outgoing import dumps
from fallbackio.dialects._shared import JSON_ANSWER
from fallbackio.dialects.bedrock import _models as models
from fallbackio.dialects.bedrock._messages import Block, conversation
from fallbackio.dialects.bedrock._rules import ONE_SAMPLER_FROM, VOCABULARY
from fallbackio.endpoint import Endpoint, Note
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["FIELDS", "body_of"]

_Tool = Mapping[str, Any]

_ANSWER_TOOL_SAYS = "Give the answer by calling this tool, once, with the whole answer as its input."

_JSON_ONLY = "Answer with one JSON object and nothing else: no code fence, no words around it."

# Converse's own fields, for whoever gives them by their names.
FIELDS = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "toolConfig",
    }
)

_THREE_EFFORTS: Mapping[str, str] = {"minimal": "low", "xhigh": "high", "max": "high"}

_THINKS_UNASKED_FROM = (5, 0)


def body_of(request: Request, endpoint: Endpoint, note: Note) -> Block:
    """The body of a Converse request, without what is unsayable.

    Raises:
        InvalidRequest: For messages or tools that cannot be expressed, and for what is unsayable
            unless the endpoint drops it.
    """
    model = endpoint.model
    params = VOCABULARY.said(request, endpoint)
    system, turns = conversation(request.messages, endpoint, note)
    written = _Body(params, model, note)
    written.fill(turns, system)
    body: Block = {"messages": turns}
    if system:
        body["system"] = system
    return {**body, **written.fields}


class _Body:
    """What stands beside the conversation, while it is written.

    `fields` are Converse's; `extra` goes to the model as it is.  What the user gave in Converse's own
    words is kept, and wins over what we would say in the same place.
    """

    def __init__(self, params: dict[str, Any], model: str, note: Note) -> None:
        self._params = params
        self._model = model
        self._note = note
        self._extra: Block = {}
        self._offers = False  # whether tools are on offer that may be called
        self.fields: Block = {}

    def fill(self, turns: Sequence[Block], system: list[Block]) -> None:
        """Take all parameters in; JSON mode adds to `system`."""
        if self._params:
            self._sample()
            self._think()
            self._offer_tools(turns)
            self._shape(system)
            self._identify()
            self._params.pop("stream_options", None)  # usage always comes
            self._pass_on()
        elif _has_tool_blocks(turns):
            self._offer_tools(turns)

    def _set(self, field: str, **said: Any) -> None:
        """Add to one of Converse's objects."""
        self.fields[field] = {**self.fields.get(field, {}), **said}

    def _pass_on(self) -> None:
        for name, value in self._params.items():
            if name in FIELDS:
                ours = self.fields.get(name)
                merged = {**ours, **value} if ours and isinstance(value, Mapping) else value
                self.fields[name] = merged
            else:
                self._extra[name] = value
        if self._extra:
            own = self.fields.get("additionalModelRequestFields")
            own = own if isinstance(own, Mapping) else {}
            self.fields["additionalModelRequestFields"] = {**self._extra, **own}

    def _sample(self) -> None:
        params = self._params
        older = params.pop("max_tokens", None)
        limit = params.pop("max_completion_tokens", older)
        if limit is not None:
            self._set("inferenceConfig", maxTokens=limit)
        for name, theirs in (("temperature", "temperature"), ("top_p", "topP")):
            value = params.pop(name, None)
            # Newer Claudes sample in one way only and may refuse even the default, which is 1 for both.
            if value is None or (value == 1 and _claude.since(self._model, ONE_SAMPLER_FROM)):
                continue
            if isinstance(value, int | float) and value > 1:
                self._note(f"{name} lowered to 1")
                value = 1
            self._set("inferenceConfig", **{theirs: value})
        stops = params.pop("stop", None)
        stops = [stops] if isinstance(stops, str) else stops
        if isinstance(stops, list | tuple) and (kept := [stop for stop in stops if stop]):
            self._set("inferenceConfig", stopSequences=kept)

    def _think(self) -> None:
        """Say the effort as this model wants it; fields of the user's own say it already."""
        effort = self._params.pop("reasoning_effort", None)
        model = self._model
        if effort is None or "thinking" in self._params or "reasoningConfig" in self._params:
            return
        if models.is_claude(model):
            self._think_as_claude(effort)
        elif models.is_nova_2(model):
            said = {"type": "enabled", "maxReasoningEffort": self._nearest(effort)}
            self._extra["reasoningConfig"] = {"type": "disabled"} if effort == "none" else said
        elif models.is_gpt(model):
            self._extra["reasoning_effort"] = self._nearest(effort)

    def _nearest(self, effort: str) -> str:
        """The one of three efforts that comes near."""
        nearest = _THREE_EFFORTS.get(effort, effort)
        if nearest not in (effort, "none"):
            self._note(f"reasoning_effort sent as {nearest}, the nearest that the model has")
        return nearest

    def _think_as_claude(self, effort: str) -> None:
        if effort == "none":
            if _claude.since(self._model, _THINKS_UNASKED_FROM):
                self._extra["thinking"] = {"type": "disabled"}
            return
        if _claude.thinks_by_budget(self._model):
            tokens, limit = _claude.budget(effort, self.fields.get("inferenceConfig", {}).get("maxTokens"))
            self._set("inferenceConfig", maxTokens=limit)
            self._extra["thinking"] = {"type": "enabled", "budget_tokens": tokens}
        else:
            self._extra["thinking"] = {"type": "adaptive"}
            own = self._params.pop("output_config", {})
            if not isinstance(own, Mapping):
                raise InvalidRequest("output_config must be an object")
            if effort == "minimal":
                effort = "low"
                self._note("reasoning_effort sent as low, the nearest that the model has")
            self._extra["output_config"] = {"effort": effort, **own}
        self.fields["additionalModelResponseFieldPaths"] = ["/usage/output_tokens_details"]

    def _offer_tools(self, turns: Sequence[Block]) -> None:
        params = self._params
        given = params.pop("tools", None) or ()
        if not isinstance(given, list | tuple):
            raise InvalidRequest("tools must be a list")
        choice = params.pop("tool_choice", None)
        parallel = params.pop("parallel_tool_calls", True)
        tools = [_tool(tool, position) for position, tool in enumerate(given)]
        if not tools or choice == "none":
            if tools := self._tools_of_the_past(tools, turns):
                self._set("toolConfig", tools=tools)
            return
        self._offers = True
        self._set("toolConfig", tools=tools)
        wanted = _choice(choice)
        if parallel is False:  # only a Claude can say it, and says its choice with it
            self._extra["tool_choice"] = {**_as_claude(wanted), "disable_parallel_tool_use": True}
        elif wanted is not None:
            self._set("toolConfig", toolChoice=wanted)

    def _tools_of_the_past(self, tools: list[_Tool], turns: Sequence[Block]) -> list[_Tool]:
        """Tools that may not be called, but that must be named because they were called before."""
        if not _has_tool_blocks(turns):
            return []
        if tools:
            self._note("tool_choice none cannot be said after tool calls; the tools stay on offer")
            return tools
        self._note("tools declared that the conversation has called before")
        return [_bare_tool(name) for name in _called(turns)]

    def _shape(self, system: list[Block]) -> None:
        shape = self._params.pop("response_format", None)
        if shape is None:
            return
        if shape["type"] == "json_object":
            system.append({"text": _JSON_ONLY})
            self._note("JSON mode asked for in words")
        elif shape["type"] == "json_schema":
            wanted = shape["json_schema"]
            if models.needs_a_tool_for_schemas(self._model):
                self._ask_by_tool(wanted["schema"])
            else:
                self._set("outputConfig", textFormat=_text_format(wanted))

    def _ask_by_tool(self, schema: Mapping[str, Any]) -> None:
        """Offer the answer itself as a tool, unless a real one must be called in this turn."""
        config = self.fields.get("toolConfig", {})
        one_at_a_time = self._extra.get("tool_choice")
        if {"any", "tool"} & {*config.get("toolChoice", {}), (one_at_a_time or {}).get("type")}:
            self._note("JSON schema left out, because this turn must call a tool")
            return
        spec = {
            "name": JSON_ANSWER,
            "description": _ANSWER_TOOL_SAYS,
            "inputSchema": {"json": {"type": "object", **schema}},
        }
        self._set("toolConfig", tools=[*config.get("tools", []), {"toolSpec": spec}])
        if one_at_a_time:
            one_at_a_time["type"] = "any"
        else:
            choice: Block = {"any": {}} if self._offers else {"tool": {"name": JSON_ANSWER}}
            self._set("toolConfig", toolChoice=choice)
        self._note("JSON schema asked for by a forced tool")

    def _identify(self) -> None:
        metadata = dict(self._params.pop("metadata", {}))
        user = self._params.pop("user", None)
        user = self._params.pop("safety_identifier", user)
        if user is not None:
            metadata["user"] = user
        if metadata:
            self.fields["requestMetadata"] = metadata
        tier = self._params.pop("service_tier", "auto")
        if tier != "auto":
            self.fields["serviceTier"] = {"type": tier}


def _has_tool_blocks(turns: Sequence[Block]) -> bool:
    return any("toolUse" in block or "toolResult" in block for turn in turns for block in turn["content"])


def _called(turns: Sequence[Block]) -> list[str]:
    """Names of the tools that were called, each once."""
    uses = [block["toolUse"] for turn in turns for block in turn["content"] if "toolUse" in block]
    return list(dict.fromkeys([str(use["name"]) for use in uses])) or ["unknown"]


def _bare_tool(name: str) -> _Tool:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}}


def _tool(tool: object, position: int) -> _Tool:
    if not isinstance(tool, Mapping):
        raise InvalidRequest(f"tools[{position}] must be an object")
    if "type" not in tool and tool.keys() <= {"toolSpec", "systemTool", "cachePoint"}:
        return tool  # Converse's own
    if tool.get("type") != "function":
        raise InvalidRequest(f"tools[{position}]: Converse has only function tools", everywhere=False)
    function = tool.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidRequest(f"tools[{position}] must hold a function with a name")
    if function["name"] == JSON_ANSWER:
        raise InvalidRequest(f"tools[{position}]: the name {JSON_ANSWER} is reserved", everywhere=False)
    schema = function.get("parameters") or {"properties": {}}
    if not isinstance(schema, Mapping):
        raise InvalidRequest(f"tools[{position}].function.parameters must be a JSON Schema object")
    spec: Block = {"name": function["name"], "inputSchema": {"json": {"type": "object", **schema}}}
    if function.get("description"):
        spec["description"] = function["description"]
    if function.get("strict"):
        spec["strict"] = True
    return {"toolSpec": spec}


def _choice(choice: Any) -> Block | None:
    if isinstance(choice, str):
        return {"any": {}} if choice == "required" else {"auto": {}}
    if not isinstance(choice, Mapping):
        return None
    function = choice.get("function")
    return {"tool": {"name": function.get("name")}} if isinstance(function, Mapping) else dict(choice)


def _as_claude(choice: Block | None) -> Block:
    """Converse's choice as the model itself knows it."""
    (kind, said), *_ = (choice or {"auto": {}}).items()
    return {"type": kind, **said}


def _text_format(wanted: Mapping[str, Any]) -> Block:
    schema: Block = {"schema": dumps(wanted["schema"]).decode()}
    schema |= {name: wanted[name] for name in ("name", "description") if wanted.get(name)}
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}
