"""The words of a call become an `Ask`: what the provider is sent, who is asked, within which limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from fallbackio.compat.litellm._asking import Ask, Steps
from fallbackio.compat.litellm._endpoints import endpoint_of
from fallbackio.compat.litellm._limits import limits_of
from fallbackio.compat.litellm._mocks import failing
from fallbackio.compat.litellm._models import placed
from fallbackio.compat.litellm._schema import response_format_of
from fallbackio.compat.litellm._table import CALL, PLACES, refuse
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import (
    AttemptError,
    ConfigError,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ServerFault,
)

__all__ = ["MAX_FALLBACKS", "Models", "Naming", "Words", "ask_of", "distinct", "plain_message", "sequence_of"]

MAX_FALLBACKS = 5  # LiteLLM's own

# What of a call describes its model, and so goes to fallbacks that do not say otherwise as well.
_SHARED = ("drop_params", "extra_headers", "headers", "mock_response", "mock_delay", "mock_timeout")

_TESTS = {
    "mock_testing_fallbacks": ServerFault,
    "mock_testing_context_fallbacks": ContextTooLong,
    "mock_testing_content_policy_fallbacks": ContentFiltered,
}


class Words:
    """The arguments of one call, sorted; raises `ConfigError` for those that are refused.

    Attributes:
        all: Every argument that was given, by LiteLLM's name.
        params: Those that are the provider's.
    """

    def __init__(self, function: str, given: Mapping[str, Any], messages: object) -> None:
        self.all = {name: value for name, value in given.items() if value is not None}
        if "request_timeout" in self.all:
            self.all.setdefault("timeout", self.all.pop("request_timeout"))
        refuse(CALL, self.all, function)
        self.params = {name: value for name, value in self.all.items() if name not in CALL}
        self.messages = [plain_message(message) for message in _sequence("messages", messages)]
        self.params |= self.all.get("extra_body", {})
        options = dict(self.all.get("stream_options") or {})
        self.tells_usage = bool(options.pop("include_usage", False))
        if options:
            self.params["stream_options"] = options
        if "response_format" in self.all:
            self.params["response_format"] = response_format_of(self.all["response_format"])

    @property
    def streams(self) -> bool:
        """Whether a stream is asked for."""
        return bool(self.all.get("stream"))

    @property
    def tested(self) -> type[AttemptError] | None:
        """The failure that the model is to be taken to have had, for a rehearsal of its fallbacks."""
        return next((kind for name, kind in _TESTS.items() if self.all.get(name)), None)

    @property
    def of_model(self) -> dict[str, Any]:
        """What describes the call's model: where it is, and with which key."""
        return {name: value for name, value in self.all.items() if name in PLACES}

    @property
    def shared(self) -> dict[str, Any]:
        """What describes the call's model and its fallbacks alike."""
        return {name: self.all[name] for name in _SHARED if name in self.all}


class Naming(Protocol):
    """Finds who is asked for a model's name: in a Router its groups, elsewhere one endpoint."""

    def steps(self, model: str, words: Words, own: Mapping[str, Any] | None = None) -> list[Endpoint | Pool]:
        """The endpoints of that name; `own` is what a fallback says of itself besides."""
        ...

    def following(self, model: str, words: Words) -> list[str | Mapping[str, Any]]:
        """The general fallbacks, in order."""
        ...

    def larger(self, model: str, words: Words) -> Sequence[str | Mapping[str, Any]]:
        """The fallbacks for a prompt that is too long."""
        ...

    def other_policy(self, model: str, words: Words) -> Sequence[str | Mapping[str, Any]]:
        """The fallbacks for a prompt that a policy refused."""
        ...


def ask_of(model: str, words: Words, naming: Naming, **settings: Any) -> Ask:
    """The call over everybody whom it may ask."""
    if not isinstance(model, str) or not model:
        raise ConfigError(f"model must be a non-empty string, not {model!r}")
    following, kind = naming.following(model, words), words.tested
    for_long, for_refused = naming.larger(model, words), naming.other_policy(model, words)
    first: list[Endpoint | Pool] = (
        [failing(f"{model} (mocked failure)", kind, "a mocked failure, to test fallbacks", model=model)]
        if kind is not None
        else naming.steps(model, words)
    )
    return Ask(
        messages=words.messages,
        params=words.params,
        steps=distinct([*first, *_all_of(following, words, naming)]),
        larger=distinct(_all_of(for_long, words, naming)),
        other_policy=distinct(_all_of(for_refused, words, naming)),
        limits=settings.pop("limits", None) or limits_of(words.all, stream=words.streams),
        remember=not any(
            isinstance(one, Mapping) and "messages" in one for one in (*following, *for_long, *for_refused)
        ),
        tells_usage=words.tells_usage,
        **settings,
    )


def _all_of(names: Iterable[str | Mapping[str, Any]], words: Words, naming: Naming) -> list[Endpoint | Pool]:
    found: list[Endpoint | Pool] = []
    for one in names:
        if isinstance(one, str):
            found += naming.steps(one, words)
        elif isinstance(one, Mapping) and isinstance(one.get("model"), str):
            found += naming.steps(one["model"], words, one)
        else:
            raise ConfigError(f"a fallback is a model or a dict with a model, not {type(one).__name__}")
    return found


def distinct(steps: Iterable[Endpoint | Pool]) -> Steps:
    """The steps without what stands there twice; what only has another's name gets one of its own."""
    seen: dict[str, Endpoint] = {}
    kept: list[Endpoint | Pool] = []
    for step in steps:
        members = [step] if isinstance(step, Endpoint) else step.endpoints
        left = [new for one in members if isinstance(one, Endpoint) and (new := _new(one, seen)) is not None]
        if isinstance(step, Pool) and left:
            kept.append(attrs.evolve(step, endpoints=left))
        else:
            kept += left
    return tuple(kept)


def _new(endpoint: Endpoint, seen: dict[str, Endpoint]) -> Endpoint | None:
    name, number = endpoint.name, 1
    while name in seen:
        if attrs.evolve(seen[name], name=endpoint.name) == endpoint:
            return None
        number += 1
        name = f"{endpoint.name} #{number}"
    seen[name] = endpoint if number == 1 else attrs.evolve(endpoint, name=name)
    return seen[name]


def _sequence(what: str, given: object) -> Sequence[Any]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InvalidRequest(f"{what} must be a list of message objects, not {type(given).__name__}")
    return given


def plain_message(message: Any) -> Any:
    """A message as a dict that a provider takes: LiteLLM's own have fields that are `None`."""
    dumped = message.model_dump() if hasattr(message, "model_dump") else message
    if not isinstance(dumped, Mapping):
        return dumped
    return {name: value for name, value in dumped.items() if value is not None or name == "content"}


class Models:
    """The names of `completion`: each is one model somewhere; `model` is the one that was asked."""

    def __init__(self, model: str, words: Words) -> None:
        self._model = model
        self._vendor = _vendor(model, words.all)

    def steps(self, model: str, words: Words, own: Mapping[str, Any] | None = None) -> list[Endpoint | Pool]:
        """The one endpoint of that name."""
        own = own or {}
        # The key and the address of the call are its own vendor's.  LiteLLM hands them to fallbacks at
        # other vendors too, who refuse them.
        same = model == self._model or _vendor(model, own) == self._vendor
        told = words.of_model if same else words.shared
        messages = None if "messages" not in own else tuple(map(plain_message, own["messages"]))
        return [endpoint_of({**told, **own, "model": model}, messages=messages)]

    def following(self, model: str, words: Words) -> list[str | Mapping[str, Any]]:
        """The call's `fallbacks`."""
        if words.all.get("disable_fallbacks"):
            return []
        given = sequence_of("fallbacks", words.all.get("fallbacks", []))
        # A dict without a model is the same one, with another key or at another place.
        return [{"model": model, **one} if isinstance(one, Mapping) else one for one in given]

    def larger(self, model: str, words: Words) -> Sequence[str | Mapping[str, Any]]:
        """What `context_window_fallback_dict` says of the model."""
        by_model = words.all.get("context_window_fallback_dict") or {}
        return [by_model[model]] if model in by_model else []

    def other_policy(self, model: str, words: Words) -> Sequence[str | Mapping[str, Any]]:
        """None: LiteLLM has these in a Router only."""
        return []


def _vendor(model: str, told: Mapping[str, Any]) -> str:
    return placed(model, told.get("custom_llm_provider", ""), told.get("api_base", "")).vendor


def sequence_of(what: str, given: object) -> Sequence[Any]:
    """The list itself; raises `ConfigError` for what is none."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigError(f"{what} must be a list, not {type(given).__name__}; put it in [ ]")
    return given
