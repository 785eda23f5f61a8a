"""Whether the spares can do what the first choice does (FB4xx).

What is not known is said once, for all endpoints together, and never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from fallbackio.config.checks._capabilities import abilities_of
from fallbackio.config.checks._finding import Hit, Rule
from fallbackio.config.checks._subject import Subject
from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import CAPABILITIES, Endpoint
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["RULES", "has", "is_embedding"]

_PICTURE = {"url": "data:image/png;base64,iVBORw0KGgo="}
_SCHEMA = {"name": "answer", "schema": {"type": "object", "properties": {}}}

# A window that is smaller by less is the same: 1,000,000 and 1,048,576 are both "a million".
ENOUGH = 0.9

# A request that needs each, to see whether the endpoint's format can say it.
_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

_ASKING: Mapping[str, Request] = MappingProxyType(
    {
        "tools": Request.of("?", {"tools": [_TOOL]}),
        "vision": Request.of(
            [{"role": "user", "content": [{"type": "image_url", "image_url": _PICTURE}]}], {}
        ),
        "json_schema": Request.of("?", {"response_format": {"type": "json_schema", "json_schema": _SCHEMA}}),
    }
)

_WORDS: Mapping[str, str] = MappingProxyType(
    {"tools": "tools", "vision": "vision", "json_schema": "JSON schemas"}
)


def has(spec: Endpoint, ability: str) -> bool | None:
    """Whether it has one of `CAPABILITIES`; `None` if that is not known."""
    if spec.capabilities is not None:
        return ability in spec.capabilities
    if spec.fn is not None:
        return None
    dialect = DIALECTS.get(spec.dialect or "openai")
    if dialect is not None:
        try:
            dialect.client.check(_ASKING[ability], spec)
        except InvalidRequest:
            return False
    known = abilities_of(spec.vendor, spec.base_model or spec.model)
    found: bool | None = None if known is None else getattr(known, ability)
    return found


def is_embedding(spec: Endpoint) -> bool:
    """Whether it is an embedding model, as far as its name tells."""
    return bool(spec.embedding_model) or "embed" in spec.model.lower()


def _without(ability: str) -> Any:
    """What finds spares without this."""

    def find(subject: Subject) -> Iterator[Hit]:
        first, *others = subject.endpoints
        if not has(first, ability) or ability in subject.setup.needs.capabilities:
            return
        for spec in others:
            if has(spec, ability) is False:
                what = f"{spec.name} has no {_WORDS[ability]}, {first.name} has"
                mend = f'take another model for it, or require = ["{ability}"] where they are needed'
                yield Hit(subject.place(spec), what, mend)

    return find


def _left_out(subject: Subject) -> Iterator[Hit]:
    needs = subject.setup.needs
    for spec in subject.endpoints:
        lacking = needs.lacking(spec, subject.window(spec))
        if needs and lacking:
            mend = "take another model for it, or leave it out"
            yield Hit(subject.place(spec), f"{spec.name} is never asked: it has no {lacking}", mend)


def _not_known(subject: Subject) -> Iterator[Hit]:
    chatting = [spec for spec in subject.endpoints if not is_embedding(spec)]
    if len(subject.endpoints) < 2:
        return
    unknown = [spec for spec in chatting if any(has(spec, ability) is None for ability in CAPABILITIES)]
    if unknown:
        abilities = sorted({one for spec in unknown for one in CAPABILITIES if has(spec, one) is None})
        words = ", ".join([_WORDS[one] for one in abilities])
        names = ", ".join([spec.name for spec in unknown])
        what = f"not known of {names}: {words}"
        yield Hit(subject.setting("steps"), what, 'say it: capabilities = ["tools", "vision", "json_schema"]')


def _smaller(subject: Subject) -> Iterator[Hit]:
    first, *others = subject.endpoints
    window = subject.window(first)
    if window is None or is_embedding(first):
        return
    held = {spec.name: subject.window(spec) for spec in others if not is_embedding(spec)}
    enough = ENOUGH * window
    # Where another spare holds the most of it, all but the longest conversations have one.
    spared = any(other is not None and other * 2 >= window for other in held.values())
    for spec in others:
        other = held.get(spec.name)
        if other is not None and other < enough:
            what = f"{spec.name} holds {other:,} tokens, {first.name} {window:,}"
            mend = f'add a spare that holds {window:,}, or require = ["context>={window}"] for long prompts'
            yield Hit(subject.place(spec), what, mend, "info" if spared else "warning")


def _embeddings_mixed(subject: Subject) -> Iterator[Hit]:
    embedding = [spec for spec in subject.endpoints if is_embedding(spec)]
    for first, spec in ((embedding[0], spec) for spec in embedding[1:]):
        for what, ours, theirs in (
            ("models", _own_name(first), _own_name(spec)),
            ("dimensions", first.params.get("dimensions"), spec.params.get("dimensions")),
        ):
            if ours != theirs:
                text = f"{first.name} and {spec.name} have different {what}: {ours} and {theirs}"
                yield Hit(subject.place(spec), text, "use one embedding model at several vendors or regions")


def _own_name(spec: Endpoint) -> str:
    return (spec.embedding_model or spec.base_model or spec.model).rpartition("/")[2].lower()


def _embeddings_and_chat(subject: Subject) -> Iterator[Hit]:
    specs = subject.endpoints
    embedding = [spec for spec in specs if is_embedding(spec)]
    if embedding and len(embedding) < len(specs):
        chat = next(spec for spec in specs if not is_embedding(spec))
        what = f"{embedding[0].name} gives vectors, {chat.name} does not"
        yield Hit(subject.place(embedding[0]), what, "make a chain for each")


def _refused(subject: Subject) -> Iterator[Hit]:
    for spec in subject.endpoints:
        dialect = None if spec.fn is not None else DIALECTS.get(spec.dialect or "openai")
        try:
            if dialect is not None and not is_embedding(spec):
                dialect.client.check(Request.of("?", {}), spec)
        except InvalidRequest as error:
            yield Hit(subject.place(spec), f"{spec.name}: {error.message}", "take it out of its params")


def _by_instruction(subject: Subject) -> Iterator[Hit]:
    if "continue" not in subject.setup.delivery.remedies or any(map(is_embedding, subject.endpoints)):
        return
    asked = Request.of("?", {}, stream=True)
    names = [
        spec.name
        for spec in subject.endpoints[1:]
        if spec.fn is None
        and not is_embedding(spec)
        and (dialect := DIALECTS.get(spec.dialect or "openai")) is not None
        and dialect.client.prefilled(asked, spec, "said") is None
    ]
    if names:
        what = f"{', '.join(names)} cannot be given the beginning of an answer"
        mend = 'nothing, if a seam is well enough; else on_break = "restart"'
        yield Hit(subject.setting("on_break"), what, mend)


RULES = (
    Rule(
        "FB401",
        "warning",
        "a fallback with a smaller window",
        "A conversation that fits the first choice does not fit there, so for long ones it is no spare.",
        _smaller,
    ),
    *(
        Rule(
            code,
            "warning",
            f"a fallback without {_WORDS[ability]}",
            "Calls that need them fail there, or are answered without them.",
            _without(ability),
        )
        for code, ability in (("FB402", "tools"), ("FB403", "vision"), ("FB404", "json_schema"))
    ),
    Rule(
        "FB405",
        "warning",
        "an endpoint that is left out",
        "`require` leaves out endpoints that lack what it names, without a word at run time.",
        _left_out,
    ),
    Rule(
        "FB406",
        "info",
        "abilities that are not known",
        "What is not known cannot be checked, and `require` lets it pass.",
        _not_known,
    ),
    Rule(
        "FB407",
        "error",
        "embeddings mixed",
        "Vectors of different models or dimensions do not mix: an index filled by both finds nothing, and "
        "chain.embed refuses it.",
        _embeddings_mixed,
    ),
    Rule(
        "FB408",
        "error",
        "embedding and chat models in one chain",
        "Neither can take the other's place, so neither has the spare that the file shows.",
        _embeddings_and_chat,
    ),
    Rule(
        "FB409",
        "info",
        "answers are continued by an instruction",
        "A model that takes no prefill is asked in words to go on from where a broken stream stopped; now "
        "and then it begins anew, or comments on it.",
        _by_instruction,
    ),
    Rule(
        "FB410",
        "error",
        "parameters that an endpoint refuses",
        "Every call of the chain is refused before anything is sent, because one endpoint cannot express it.",
        _refused,
    ),
)
