"""What vendors of OpenAI's format do not take of it, as data, and a request made to suit them.

A parameter that a vendor refuses is one that cannot be said there: `check` raises for it before
anything is sent, or `dropped` names it where the endpoint says `unsupported="drop"`.  Values that mean
the default need no saying and are left out silently.  What keeps its meaning is reworded without a
word; what loses some of it (a clamp, a name, strictness) is noted.

The odd rule: an endpoint's own `params` are never looked at, because whoever writes them for one
endpoint is taken to know it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fallbackio.dialects._quirk_table import QUIRKS, Quirk
from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["QUIRKS", "Quirk", "apply", "check", "dropped", "quirks_of"]

# Values that ask for what happens anyway.
_HARMLESS: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {
        "disable_reasoning": (False,),
        "frequency_penalty": (0,),
        "function_call": ("none", "auto"),
        "functions": ([],),
        "logit_bias": ({},),
        "logprobs": (False,),
        "modalities": (["text"],),
        "n": (1,),
        "parallel_tool_calls": (True,),
        "presence_penalty": (0,),
        "service_tier": ("auto", "default"),
        "stop": ([],),
        "store": (False,),
        "temperature": (1,),
        "top_logprobs": (0,),
        "top_p": (1,),
        "verbosity": ("medium",),
    }
)


def check(request: Request, endpoint: Endpoint) -> None:
    """Raise `InvalidRequest` (`everywhere=False`) for parameters that `endpoint`'s vendor refuses.

    Raises nothing where the endpoint drops them.
    """
    if endpoint.unsupported == "error" and endpoint.vendor in QUIRKS and request.params:
        _refuse(_lost(request.params, endpoint), endpoint)


def dropped(request: Request, endpoint: Endpoint) -> tuple[str, ...]:
    """Names of the parameters that `apply` leaves out because the endpoint says `unsupported="drop"`."""
    if endpoint.unsupported != "drop" or endpoint.vendor not in QUIRKS:
        return ()
    return _lost(request.params, endpoint)


def apply(body: dict[str, Any], endpoint: Endpoint, note: Note = unnoted) -> None:
    """Make `body`, which is in OpenAI's words and without the endpoint's `params`, one that its vendor takes.

    What `body` holds belongs to the caller and is replaced, never changed.

    Raises:
        InvalidRequest: For what would be lost, unless the endpoint drops it, and for content that the
            vendor refuses.

    Example:
        >>> body = {"model": "mistral-small-latest", "seed": 7}
        >>> apply(body, Endpoint("mistral-small-latest", vendor="mistral"))
        >>> body
        {'model': 'mistral-small-latest', 'random_seed': 7}
    """
    if endpoint.vendor not in QUIRKS:
        return
    if endpoint.unsupported == "error":
        _refuse(_lost(body, endpoint), endpoint)
    for quirk in _holding(endpoint):
        for name in quirk.watched & body.keys():
            if name in quirk.refuses or _word(body[name]) in quirk.values[name]:
                del body[name]
        for old in quirk.renames.keys() & body.keys():
            body.setdefault(quirk.renames[old], body.pop(old))
        _clamp(body, quirk, note)
        _mend_messages(body, quirk, endpoint, note)
        _mend_schemas(body, quirk, note)


def quirks_of(vendor: str) -> tuple[str, ...]:
    """A vendor's quirks for people, one sentence's part each.

    Example:
        >>> quirks_of("together")
        ('empty tool_calls are left out',)
    """
    return tuple([text for quirk in QUIRKS.get(vendor, ()) for text in _described(quirk)])


def _holding(endpoint: Endpoint) -> Iterator[Quirk]:
    for quirk in QUIRKS[endpoint.vendor]:
        if quirk.model is None or quirk.model.search(endpoint.model):
            yield quirk


def _lost(params: Mapping[str, Any], endpoint: Endpoint) -> tuple[str, ...]:
    """Names of the parameters that say something which the vendor does not take, in their order."""
    lost = [
        name
        for quirk in _holding(endpoint)
        for name in quirk.watched & params.keys()
        if name not in endpoint.params and _says(name, params[name], quirk)
    ]
    return tuple([name for name in params if name in lost]) if lost else ()


def _says(name: str, value: object, quirk: Quirk) -> bool:
    if value is None:
        return False
    if name in quirk.refuses:
        return value not in _HARMLESS.get(name, ())
    return _word(value) in quirk.values[name]


def _word(value: object) -> str:
    """What tells values of a parameter apart: the word itself, or the `type` of an object."""
    if isinstance(value, Mapping):
        value = value.get("type")
    return value if isinstance(value, str) else ""


def _refuse(lost: tuple[str, ...], endpoint: Endpoint) -> None:
    if lost:
        removed = ", ".join([f'"{name}": None' for name in lost])
        raise InvalidRequest(
            f"{endpoint.vendor} refuses {', '.join(lost)} as given; leave it out, or give the endpoint "
            f'params={{{removed}}} or unsupported="drop"',
            everywhere=False,
        )


def _clamp(body: dict[str, Any], quirk: Quirk, note: Note) -> None:
    for name in quirk.at_most.keys() & body.keys():
        value = body[name]
        if isinstance(value, int | float) and value > quirk.at_most[name]:
            body[name] = quirk.at_most[name]
            note(f"{name} lowered to {quirk.at_most[name]}")


def _mend_messages(body: dict[str, Any], quirk: Quirk, endpoint: Endpoint, note: Note) -> None:
    messages: Sequence[Mapping[str, Any]] = body.get("messages", ())
    if quirk.parts:
        _refuse_parts(messages, quirk, endpoint)
    if quirk.message_fields:
        named = quirk.message_fields
        if any(not named.isdisjoint(message) for message in messages):
            note(f"{', '.join(sorted(named))} of messages left out")
            messages = [_without(message, named) for message in messages]
    if not quirk.empty_calls:
        messages = [
            _without(message, {"tool_calls"}) if message.get("tool_calls") == [] else message
            for message in messages
        ]
    if quirk.call_id_chars:
        messages = _renamed(messages, quirk.call_id_chars, note)
    last = messages[-1] if quirk.marks_prefill and messages else {}
    if last.get("role") == "assistant" and "prefix" not in last:
        messages = [*messages[:-1], {**last, "prefix": True}]
        note("the last turn marked as one to go on with")
    if "messages" in body:
        body["messages"] = messages


def _renamed(messages: Sequence[Mapping[str, Any]], chars: int, note: Note) -> Sequence[Mapping[str, Any]]:
    """The conversation with legal ids of tool calls; equal ids stay equal, in later requests too."""
    legal = {given: _legal(given, chars) for message in messages for given in _call_ids(message)}
    if all(given == said for given, said in legal.items()):
        return messages
    note("tool call ids rewritten")
    return [_with_ids(message, legal) for message in messages]


def _call_ids(message: Mapping[str, Any]) -> Iterator[str]:
    for call in message.get("tool_calls") or ():
        if isinstance(call, Mapping) and isinstance(given := call.get("id"), str):
            yield given


def _legal(given: str, chars: int) -> str:
    if len(given) == chars and given.isascii() and given.isalnum():
        return given
    return hashlib.blake2b(given.encode(errors="surrogatepass"), digest_size=32).hexdigest()[:chars]


def _with_ids(message: Mapping[str, Any], legal: Mapping[str, str]) -> Mapping[str, Any]:
    if calls := message.get("tool_calls"):
        return {**message, "tool_calls": [_with_id(call, "id", legal) for call in calls]}
    return _with_id(message, "tool_call_id", legal)


def _with_id(said: Mapping[str, Any], name: str, legal: Mapping[str, str]) -> Mapping[str, Any]:
    given = said.get(name)
    return {**said, name: legal[given]} if isinstance(given, str) and given in legal else said


def _without(message: Mapping[str, Any], names: Iterable[str]) -> Mapping[str, Any]:
    return {name: value for name, value in message.items() if name not in names}


def _refuse_parts(messages: Iterable[Mapping[str, Any]], quirk: Quirk, endpoint: Endpoint) -> None:
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list | tuple) else ():
            if isinstance(part, Mapping) and part.get("type") in quirk.parts:
                raise InvalidRequest(
                    f"{endpoint.vendor} takes no content of type {part['type']!r}; send its text instead",
                    everywhere=False,
                )


def _mend_schemas(body: dict[str, Any], quirk: Quirk, note: Note) -> None:
    """Strictness as the vendor has it, in tools (`function`) and in the answer's format (`json_schema`)."""
    if quirk.strict and not quirk.closes_schemas:
        return
    told: set[str] = set()
    shape = body.get("response_format")
    if isinstance(shape, Mapping):
        body["response_format"] = _mended(shape, "json_schema", "schema", quirk, told)
    tools = body.get("tools")
    if isinstance(tools, list | tuple):
        body["tools"] = [
            _mended(tool, "function", "parameters", quirk, told) if isinstance(tool, Mapping) else tool
            for tool in tools
        ]
    for text in sorted(told):
        note(text)


def _mended(
    holder: Mapping[str, Any], inner: str, schema: str, quirk: Quirk, told: set[str]
) -> Mapping[str, Any]:
    said = holder.get(inner)
    if not isinstance(said, Mapping) or said.get("strict") is not True:
        return holder
    if not quirk.strict:
        told.add("strict left out of schemas")
        return {**holder, inner: _without(said, {"strict"})}
    closed = _closed(said.get(schema))
    if closed == said.get(schema):
        return holder
    told.add("additionalProperties: false added to strict schemas")
    return {**holder, inner: {**said, schema: closed}}


def _closed(schema: Any) -> Any:
    """`schema` with every object in it closed that does not say itself whether it is."""
    if isinstance(schema, list | tuple):
        return [_closed(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {
        name: {key: _closed(item) for key, item in value.items()}
        if name in _NAMED and isinstance(value, Mapping)
        else _closed(value)
        if name in _NESTED
        else value
        for name, value in schema.items()
    }
    if schema.get("type") in ("object", ["object", "null"]):
        closed.setdefault("additionalProperties", False)
    return closed


# Where schemas stand within a schema: by a name of the user's, or directly.
_NAMED = frozenset({"properties", "$defs", "definitions"})
_NESTED = frozenset({"items", "prefixItems", "anyOf", "allOf", "oneOf"})


def _described(quirk: Quirk) -> Iterator[str]:
    whose = f" ({quirk.whose})" if quirk.whose else ""
    if quirk.refuses:
        names = ["n over 1" if name == "n" else name for name in sorted(quirk.refuses)]
        yield f"does not take {', '.join(names)}{whose}"
    for name, values in sorted(quirk.values.items()):
        yield f"does not take {name} {', '.join(sorted(values))}{whose}"
    for old, new in quirk.renames.items():
        yield f"{old} is sent as {new}"
    for name, most in quirk.at_most.items():
        yield f"{name} is at most {most}"
    for name in sorted(quirk.message_fields):
        yield f"{name} of messages is left out"
    for kind in sorted(quirk.parts):
        yield f"does not take content of type {kind}"
    if not quirk.empty_calls:
        yield "empty tool_calls are left out"
    if not quirk.strict:
        yield "strict is left out of schemas"
    if quirk.call_id_chars:
        yield f"ids of tool calls are rewritten to {quirk.call_id_chars} letters and digits"
    if quirk.marks_prefill:
        yield "a last assistant turn is gone on with"
    if quirk.closes_schemas:
        yield "strict schemas are closed (additionalProperties: false)"
