"""What vendors of OpenAI's format do not take of it, as data, and a request made to suit them.

A parameter that a vendor refuses is one that cannot be said there: `check` raises for it before
anything is sent, or `dropped` names it where the endpoint says `unsupported="drop"`.  Values that mean
the default need no saying and are left out silently.  What keeps its meaning is reworded without a
word; what loses some of it (a clamp, a name, strictness) is noted.

The odd rule: an endpoint's own `params` are never looked at, because whoever writes them for one
endpoint is taken to know it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["QUIRKS", "Quirk", "apply", "check", "dropped", "quirks_of"]

_NONE: Mapping[str, Any] = MappingProxyType({})


@frozen
class Quirk:
    """What a vendor, or some of its models, does not take of OpenAI's format.

    Attributes:
        model: The models it holds for, searched in the name; `None` for all.
        whose: The same in words.
        refuses: Parameters that it refuses or ignores.
        values: Values of a parameter that it refuses; for an object its `type`.
        renames: Its own names of parameters.
        at_most: The largest value that it takes.
        message_fields: Fields of a message that it refuses.
        parts: Types of content parts that it refuses; these cannot be left out.
        empty_calls: Whether it takes `tool_calls: []`.
        strict: Whether it knows `strict` of tools and schemas.
        closes_schemas: Whether a strict schema must say `additionalProperties: false`.
        watched: The parameters that `check` looks for.

    Example:
        >>> QUIRKS["mistral"][0].renames["seed"]
        'random_seed'
    """

    model: re.Pattern[str] | None = None
    whose: str = ""
    refuses: frozenset[str] = frozenset()
    values: Mapping[str, frozenset[str]] = field(default=_NONE, hash=False)
    renames: Mapping[str, str] = field(default=_NONE, hash=False)
    at_most: Mapping[str, float] = field(default=_NONE, hash=False)
    message_fields: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    empty_calls: bool = True
    strict: bool = True
    closes_schemas: bool = False
    watched: frozenset[str] = field(init=False)

    @watched.default
    def _watched(self) -> frozenset[str]:
        return self.refuses.union(self.values)


_PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})

# Where each was read (2026-08 to 2026-11): Groq, its page on OpenAI compatibility.  Cerebras, the same and
# any-llm (schemas).  DeepSeek, vercel/ai and pydantic-ai.  Moonshot, pydantic-ai and BrowserOS#1.  Together,
# any-llm.  DashScope, pydantic-ai.  xAI, vercel/ai, and lobe-chat for which models.  Mistral refuses unknown
# fields (422): these are OpenAI's that mistralai 3.7 does not have.
QUIRKS: Mapping[str, tuple[Quirk, ...]] = MappingProxyType(
    {
        "groq": (
            Quirk(
                refuses=frozenset({"logit_bias", "logprobs", "n", "top_logprobs"}),
                message_fields=frozenset({"name"}),
            ),
        ),
        "cerebras": (
            Quirk(
                refuses=_PENALTIES | {"logit_bias", "parallel_tool_calls", "service_tier"},
                closes_schemas=True,
            ),
            Quirk(model=re.compile("gpt-oss"), whose="gpt-oss", refuses=frozenset({"disable_reasoning"})),
        ),
        "deepseek": (
            Quirk(
                refuses=frozenset({"seed", "top_k"}),
                values=MappingProxyType({"response_format": frozenset({"json_schema"})}),
            ),
            Quirk(
                model=re.compile("reasoner"),
                whose="the reasoner",
                values=MappingProxyType({"tool_choice": frozenset({"required"})}),
            ),
        ),
        "moonshot": (
            Quirk(
                refuses=_PENALTIES | {"parallel_tool_calls"},
                values=MappingProxyType(
                    {"reasoning_effort": frozenset({"none"}), "tool_choice": frozenset({"required"})}
                ),
                strict=False,
            ),
        ),
        "xai": (
            Quirk(
                model=re.compile(r"^(?!.*non-reasoning)(?:grok-(?:3-mini|4|code))"),
                whose="reasoning models",
                refuses=_PENALTIES | {"stop"},
            ),
        ),
        "mistral": (
            Quirk(
                refuses=frozenset(
                    {
                        "audio",
                        "function_call",
                        "functions",
                        "logit_bias",
                        "modalities",
                        "moderation",
                        "prompt_cache_options",
                        "prompt_cache_retention",
                        "safety_identifier",
                        "store",
                        "user",
                        "verbosity",
                        "web_search_options",
                    }
                ),
                renames=MappingProxyType({"seed": "random_seed"}),
                at_most=MappingProxyType({"temperature": 1.5}),
            ),
        ),
        "together": (Quirk(empty_calls=False),),
        "dashscope": (Quirk(parts=frozenset({"file"})),),
    }
)
"""The quirks of a vendor by its name; one without any is not here."""

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
        "top_logprobs": (0,),
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
    messages = body.get("messages", ())
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
    if "messages" in body:
        body["messages"] = messages


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
    if quirk.closes_schemas:
        yield "strict schemas are closed (additionalProperties: false)"
