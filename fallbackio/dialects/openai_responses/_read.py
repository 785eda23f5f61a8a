"""A Responses request, read on the server's side into the terms of chat completions.

As strict as OpenAI documents it: fields, types, roles with their parts, a result for every call and a
call for every result, reasoning that stands before what it led to.  Reasoning and the items of the
provider's own tools are checked and passed over, because chat completions have no place for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fallbackio.dialects.openai._rules import (
    FLAG,
    OBJECT,
    TEMPERATURE,
    TEXT,
    TOP_P,
    Rule,
    check_rules,
    invalid,
    is_name,
    json_body,
    of_types,
    required,
    whole,
    wrong,
)
from fallbackio.dialects.openai_responses._params import ENCRYPTED, LOGPROBS
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["read"]

Fields = dict[str, Any]

_LIST = Rule("an array", of_types(list))

_RULES: Mapping[str, Rule] = {
    "background": FLAG,
    "include": _LIST,
    "instructions": TEXT,
    "max_output_tokens": Rule("a whole number of at least 16", whole(16, 2**31 - 1)),
    "max_tool_calls": Rule("a whole number of at least 1", whole(1, 2**31 - 1)),
    "metadata": OBJECT,
    "parallel_tool_calls": FLAG,
    "previous_response_id": TEXT,
    "prompt": OBJECT,
    "prompt_cache_key": TEXT,
    "prompt_cache_options": OBJECT,
    "prompt_cache_retention": TEXT,
    "reasoning": OBJECT,
    "safety_identifier": TEXT,
    "service_tier": TEXT,
    "store": FLAG,
    "stream": FLAG,
    "stream_options": OBJECT,
    "temperature": TEMPERATURE,
    "text": OBJECT,
    "tool_choice": Rule("a string or an object", of_types(str, dict)),
    "tools": _LIST,
    "top_logprobs": Rule("a whole number from 0 to 20", whole(0, 20)),
    "top_p": TOP_P,
    "truncation": Rule("'auto' or 'disabled'", ("auto", "disabled").__contains__),
    "user": TEXT,
    # Of no concern here, but known.
    "access_programs": OBJECT,
    "background_options": OBJECT,
    "context_management": _LIST,
    "conversation": Rule("a string or an object", of_types(str, dict)),
    "image": OBJECT,
    "moderation": OBJECT,
}

# fmt: off
_INCLUDABLE = frozenset((
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
    "message.input_image.image_url", "computer_call_output.output.image_url",
    "code_interpreter_call.outputs", ENCRYPTED, LOGPROBS,
))

# Items of tools that the provider runs, and of features that keep state there.
_PASSED_OVER = frozenset((
    "additional_tools", "apply_patch_call", "apply_patch_call_output", "code_interpreter_call", "compaction",
    "computer_call", "computer_call_output", "file_search_call", "image_generation_call", "item_reference",
    "local_shell_call", "local_shell_call_output", "mcp_approval_request", "mcp_approval_response",
    "mcp_call", "mcp_list_tools", "shell_call", "shell_call_output", "tool_search_call",
    "tool_search_output", "web_search_call",
))
# fmt: on

# Where a call's arguments and its result stand.
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_RESULTS = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}


def read(body: bytes) -> Request:
    """The request that `body` asks; raises `InvalidRequest` as OpenAI answers 400."""
    params = json_body(body)
    model, given = required(params, "model"), required(params, "input")
    if type(model) is not str or not model:
        raise wrong("model", "a non-empty string", model)
    for name in params:
        if name not in _RULES:
            raise InvalidRequest(f"Unknown parameter: '{name}'.", code="unknown_parameter")
    check_rules(params, _RULES)
    params = {name: value for name, value in params.items() if value is not None}
    stream = params.pop("stream", False)
    if "stream_options" in params and not stream:
        raise invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    messages = _Conversation(params.pop("instructions", None)).of(given)
    return Request(messages=tuple(messages), params=_params(params), model=model, stream=stream)


class _Conversation:
    """Messages while the items are read."""

    def __init__(self, instructions: str | None) -> None:
        self._messages: list[Fields] = [{"role": "system", "content": instructions}] if instructions else []
        # Calls whose result has not come, with the type of their item.
        self._owed: dict[str, str] = {}
        # Reasoning that what it led to must follow, by its place.
        self._pending = ""

    def of(self, given: Any) -> list[Fields]:
        if type(given) is str:
            return [*self._messages, {"role": "user", "content": given}]
        if type(given) is not list or not given:
            raise wrong("input", "a string or a non-empty array", given)
        for position, item in enumerate(given):
            place = f"input[{position}]"
            if type(item) is not dict:
                raise wrong(place, "an object", item)
            self._item(place, item)
        self._settled()
        if self._owed:
            raise InvalidRequest(f"No tool output found for function call {next(iter(self._owed))}.")
        if not self._messages:
            raise invalid("Invalid 'input': nothing in it to answer.")
        return self._messages

    def _item(self, place: str, item: Fields) -> None:
        kind = item.get("type", "message")
        if kind == "reasoning":
            self._reason(place, item)
            return
        led_to = kind != "message" or item.get("role") == "assistant"
        if type(kind) is str and kind not in _RESULTS and led_to:
            self._pending = ""
        self._settled()
        if kind == "message":
            self._message(place, item)
        elif type(kind) is str and kind in _CALLS:
            self._call(place, item, kind)
        elif type(kind) is str and kind in _RESULTS:
            self._result(place, item, kind)
        elif type(kind) is not str or kind not in _PASSED_OVER:
            raise invalid(f"Invalid value for '{place}.type'.")

    def _settled(self) -> None:
        if self._pending:
            raise InvalidRequest(
                f"Item '{self._pending}' of type 'reasoning' was provided without its required following "
                "item."
            )

    def _reason(self, place: str, item: Fields) -> None:
        if type(item.get("summary")) is not list:
            raise wrong(f"{place}.summary", "an array", item.get("summary"))
        if not item.get("encrypted_content"):
            raise InvalidRequest(
                f"Item with id '{place}' not found. Items are not persisted when `store` is false.",
                status=404,
                everywhere=False,
            )
        self._pending = place

    def _message(self, place: str, item: Fields) -> None:
        role = item.get("role")
        if type(role) is not str or role not in _PARTS:
            raise invalid(f"Invalid value for '{place}.role'.")
        content = item.get("content")
        if type(content) is not str:
            content = _parts(f"{place}.content", content, _PARTS[role])
        if role == "assistant":
            self._said(content)
        else:
            self._messages.append({"role": role, "content": content})

    def _said(self, content: Any) -> None:
        """The model's words; a refusal has a field of its own in chat completions."""
        message: Fields = {"role": "assistant", "content": content}
        if type(content) is list:
            refusals = [part["refusal"] for part in content if part["type"] == "refusal"]
            texts = [part["text"] for part in content if part["type"] == "text"]
            message["content"] = "".join(texts) if texts or not refusals else None
            if refusals:
                message["refusal"] = "".join(refusals)
        last = self._messages[-1] if self._messages else {}
        if last.get("tool_calls") and last["content"] is None:
            last["content"] = message["content"]  # said between calls of one turn
        else:
            self._messages.append(message)

    def _call(self, place: str, item: Fields, kind: str) -> None:
        payload = _CALLS[kind]
        for name in ("call_id", "name", payload):
            if type(item.get(name)) is not str:
                raise wrong(f"{place}.{name}", "a string", item.get(name))
        call_id = item["call_id"]
        if not 0 < len(call_id) <= 64:
            raise invalid(f"Invalid '{place}.call_id': 1 to 64 characters.")
        self._owed[call_id] = kind
        family = "custom" if kind == "custom_tool_call" else "function"
        spec = {"name": item["name"], payload: item[payload]}
        if not self._messages or self._messages[-1]["role"] != "assistant":
            self._messages.append({"role": "assistant", "content": None})
        calls = self._messages[-1].setdefault("tool_calls", [])
        calls.append({"id": call_id, "type": family, family: spec})

    def _result(self, place: str, item: Fields, kind: str) -> None:
        call_id = item.get("call_id")
        if type(call_id) is not str:
            raise wrong(f"{place}.call_id", "a string", call_id)
        if self._owed.pop(call_id, None) != _RESULTS[kind]:
            raise InvalidRequest(f"No tool call found for function call output with call_id {call_id}.")
        output = item.get("output")
        if type(output) is not str:
            output = _parts(f"{place}.output", output, _INPUTS)
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": output})


def _text(part: Fields) -> Fields | None:
    return {"type": "text", "text": part["text"]} if type(part.get("text")) is str else None


def _refusal(part: Fields) -> Fields | None:
    said = part.get("refusal")
    return {"type": "refusal", "refusal": said} if type(said) is str else None


def _image(part: Fields) -> Fields | None:
    url = part.get("image_url")
    if type(url) is not str and type(part.get("file_id")) is not str:
        return None
    named = {"url": url} if url else {"file_id": part["file_id"]}
    return {"type": "image_url", "image_url": {**named, "detail": part.get("detail") or "auto"}}


def _file(part: Fields) -> Fields | None:
    file = {name: part[name] for name in ("file_data", "file_id", "file_url", "filename") if name in part}
    if not file.keys() & {"file_data", "file_id", "file_url"}:
        return None
    return {"type": "file", "file": file}


_Reader = Callable[[Fields], Fields | None]

_INPUTS: Mapping[str, _Reader] = {"input_text": _text, "input_image": _image, "input_file": _file}
_PARTS: Mapping[str, Mapping[str, _Reader]] = {
    "system": {"input_text": _text},
    "developer": {"input_text": _text},
    "user": _INPUTS,
    "assistant": {"output_text": _text, "refusal": _refusal},
}


def _parts(place: str, parts: Any, known: Mapping[str, _Reader]) -> list[Fields]:
    if type(parts) is not list or not parts:
        raise wrong(place, "a string or a non-empty array", parts)
    return [_part(f"{place}[{position}]", part, known) for position, part in enumerate(parts)]


def _part(place: str, part: Any, known: Mapping[str, _Reader]) -> Fields:
    kind = part.get("type") if type(part) is dict else None
    if type(kind) is not str or kind not in known:
        values = " and ".join([f"'{name}'" for name in known])
        raise invalid(f"Invalid value for '{place}.type'. Supported values are: {values}.")
    said = known[kind](part)
    if said is None:
        raise invalid(f"Invalid '{place}': a part of type '{kind}' lacks what it is named for.")
    return said


def _params(params: Fields) -> Fields:
    """The parameters by the names of chat completions; others stay as they are."""
    if "max_output_tokens" in params:
        params["max_completion_tokens"] = params.pop("max_output_tokens")
    _include(params)
    _shape(params)
    _effort(params)
    tools = params.get("tools", [])
    if tools:
        params["tools"] = [_tool(f"tools[{position}]", tool) for position, tool in enumerate(tools)]
    elif "parallel_tool_calls" in params:
        del params["parallel_tool_calls"]  # taken, and without a meaning
    if "tool_choice" in params:
        params["tool_choice"] = _choice(params["tool_choice"], tools)
    return params


def _include(params: Fields) -> None:
    wanted = params.get("include", [])
    for position, name in enumerate(wanted):
        if type(name) is not str or name not in _INCLUDABLE:
            raise invalid(f"Invalid value for 'include[{position}]'.")
    if LOGPROBS in wanted:
        params["logprobs"] = True


def _shape(params: Fields) -> None:
    text = params.pop("text", {})
    form = text.get("format")
    if form is not None:
        kind = form.get("type") if type(form) is dict else None
        if kind not in ("text", "json_object", "json_schema"):
            raise invalid("Invalid value for 'text.format.type'.")
        if kind == "json_schema":
            if not is_name(form.get("name")) or type(form.get("schema")) is not dict:
                raise invalid("Invalid 'text.format': a json_schema needs a 'name' and a 'schema'.")
            form = {"type": kind, kind: {name: form[name] for name in form if name != "type"}}
        params["response_format"] = form
    if text.get("verbosity") is not None:
        params["verbosity"] = text["verbosity"]


def _effort(params: Fields) -> None:
    reasoning = dict(params.pop("reasoning", {}))
    effort = reasoning.pop("effort", None)
    if effort is not None:
        if type(effort) is not str:
            raise wrong("reasoning.effort", "a string", effort)
        params["reasoning_effort"] = effort
    if reasoning:
        params["reasoning"] = reasoning


def _tool(place: str, tool: Any) -> Fields:
    if type(tool) is not dict or type(tool.get("type")) is not str:
        raise wrong(f"{place}.type", "a string", tool)
    kind = tool["type"]
    if kind not in ("function", "custom"):
        return dict(tool)  # one that the provider runs itself
    if "name" not in tool:
        raise InvalidRequest(
            f"Missing required parameter: '{place}.name'.", code="missing_required_parameter"
        )
    if not is_name(tool["name"]):
        raise invalid(f"Invalid '{place}.name': 1 to 64 letters, digits, '_' and '-'.")
    if kind == "function" and type(tool.get("parameters", {})) not in (dict, type(None)):
        raise wrong(f"{place}.parameters", "an object", tool.get("parameters"))
    spec = {name: value for name, value in tool.items() if name != "type" and value is not None}
    form = spec.get("format")
    if kind == "custom" and type(form) is dict and form.get("type") == "grammar":
        grammar = {name: value for name, value in form.items() if name != "type"}
        spec["format"] = {"type": "grammar", "grammar": grammar}
    return {"type": kind, kind: spec}


def _choice(choice: Any, tools: list[Any]) -> Any:
    if type(choice) is str:
        if choice not in ("none", "auto", "required"):
            raise invalid("Invalid value for 'tool_choice': 'none', 'auto' and 'required' are known.")
        if choice == "required" and not tools:
            raise invalid("'tool_choice' is only allowed when 'tools' are specified.")
        return choice
    kind = choice.get("type")
    if kind == "allowed_tools":
        allowed = choice.get("tools")
        if type(allowed) is not list or choice.get("mode") not in ("auto", "required"):
            raise invalid("Invalid 'tool_choice': allowed_tools needs 'mode' and 'tools'.")
        inner = [_choice(tool, tools) for tool in allowed if type(tool) is dict]
        return {"type": kind, kind: {"mode": choice["mode"], "tools": inner}}
    if kind not in ("function", "custom"):
        return choice
    if (kind, choice.get("name")) not in [(tool.get("type"), tool.get("name")) for tool in tools]:
        raise invalid(f"Tool choice '{kind}' not found in 'tools' parameter.")
    return {"type": kind, kind: {"name": choice["name"]}}
