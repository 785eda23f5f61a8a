"""LiteLLM's `Router`: groups of deployments, balanced within, falling back between.

A group becomes a pool (one for each `order`), its fallbacks the steps after it, and all calls share one
fleet, so that a deployment has one breaker and one set of limits whichever group it was reached by.  The
module has no underscore because programs import from LiteLLM's by this name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from fallbackio import errors
from fallbackio._checks import nearest
from fallbackio.chain import Coordinator, Delivery
from fallbackio.compat.litellm._asking import Ask, answer, embeddings, opened
from fallbackio.compat.litellm._calls import MAX_FALLBACKS, Words, ask_of, sequence_of
from fallbackio.compat.litellm._deployments import Asked, Deployment, balance_of, deployments_of, steps_of
from fallbackio.compat.litellm._endpoints import Look, from_environment
from fallbackio.compat.litellm._fields import EmbeddingResponse
from fallbackio.compat.litellm._limits import limits_of, most_retries, retry_of
from fallbackio.compat.litellm._loops import Fleets
from fallbackio.compat.litellm._mocks import failing
from fallbackio.compat.litellm._policies import AllowedFailsPolicy, RetryPolicy, breaker_of
from fallbackio.compat.litellm._process import PROCESS
from fallbackio.compat.litellm._stream import AsyncStreamWrapper, SyncStreamWrapper
from fallbackio.compat.litellm._table import ROUTER, refuse
from fallbackio.compat.litellm.exceptions import translated
from fallbackio.config import Fleet
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import ConfigError, FallbackError
from fallbackio.events import EventSink

__all__ = ["AllowedFailsPolicy", "RetryPolicy", "Router"]

_Entry = str | Mapping[str, Any]


class Router:
    """Groups of deployments that stand in for one another, with LiteLLM's parameters.

    Takes what LiteLLM's takes, by name; see docs/from-litellm.md for what becomes of each.  It may be used
    in any event loop, and by the blocking functions; breakers and limits are those of one loop.  Use it as
    an async context manager, or call `aclose`; otherwise its connections end with their loop.  `sinks`, which
    LiteLLM has not, are told of every event; see `fallbackio.events`.

    Raises:
        ConfigError: For a parameter that is refused or unknown, a deployment of another shape, a fallback
            that is no group.

    Example:
        >>> router = Router(
        ...     model_list=[
        ...         {"model_name": "fast", "litellm_params": {"model": "groq/openai/gpt-oss-120b"}},
        ...         {"model_name": "good", "litellm_params": {"model": "openai/gpt-6-luna"}},
        ...     ],
        ...     fallbacks=[{"fast": ["good"]}],
        ... )
        >>> response = await router.acompletion(model="fast", messages=messages)
    """

    def __init__(
        self, model_list: Sequence[Any] | None = None, *, sinks: Iterable[EventSink] = (), **settings: Any
    ) -> None:
        self._set_up(model_list, tuple(sinks), settings, from_environment)

    @classmethod
    def looking_up(
        cls, look: Look, model_list: Sequence[Any], sinks: Iterable[EventSink], **settings: Any
    ) -> Self:
        """A Router that asks `look` for variables, in place of the environment."""
        router = cls.__new__(cls)
        router._set_up(model_list, tuple(sinks), settings, look)
        return router

    def _set_up(
        self,
        model_list: Sequence[Any] | None,
        sinks: tuple[EventSink, ...],
        settings: Mapping[str, Any],
        look: Look,
    ) -> None:
        given = {name: value for name, value in settings.items() if value is not None}
        for name in given:
            if name not in ROUTER:
                raise nearest("parameter of Router", name, ROUTER)
        refuse(ROUTER, given, "Router")
        self._settings = given
        self._look = look
        self._deployments = deployments_of(
            model_list or (),
            given.get("default_litellm_params", {}),
            skip_invalid=bool(given.get("ignore_invalid_deployments")),
        )
        self._balance = balance_of(given.get("routing_strategy", "simple-shuffle"))
        self._general = _table("fallbacks", given.get("fallbacks", ()))
        if given.get("default_fallbacks"):
            self._general["*"] = list(sequence_of("default_fallbacks", given["default_fallbacks"]))
        self._larger = _table("context_window_fallbacks", given.get("context_window_fallbacks", ()))
        self._policy = _table("content_policy_fallbacks", given.get("content_policy_fallbacks", ()))
        for table in (self._general, self._larger, self._policy):
            self._check_targets(table)
        limits_of(given, stream=True)  # raises for a bad one now
        self._fleets = Fleets(partial(Fleet, name="litellm-router", breaker=breaker_of(given), sinks=sinks))

    @property
    def model_names(self) -> list[str]:
        """The groups, in the order of their first deployments."""
        return list(dict.fromkeys(one.group for one in self._deployments))

    async def acompletion(self, model: str, messages: Sequence[Any] = (), **words: Any) -> Any:
        """An answer from a deployment of the group `model`, or of its fallbacks; see `litellm.acompletion`.

        Example:
            >>> response = await router.acompletion(model="fast", messages=messages)
        """
        ask = self._asked("Router.acompletion", model, messages, words)
        fleet = await self._fleets.here()
        return await (opened(fleet, ask) if words.get("stream") else answer(fleet, ask))

    def completion(self, model: str, messages: Sequence[Any] = (), **words: Any) -> Any:
        """As `acompletion`, but blocking."""
        response = PROCESS.portal.call(partial(self.acompletion, model, messages, **words))
        if isinstance(response, AsyncStreamWrapper):
            return SyncStreamWrapper(response, PROCESS.portal)
        return response

    async def aembedding(
        self, model: str, input: str | Sequence[str] = (), **words: Any
    ) -> EmbeddingResponse:
        """Vectors from the group `model`; its fallbacks must be of the same embedding model."""
        ask = self._asked("Router.aembedding", model, (), words)
        return await embeddings(await self._fleets.here(), ask, input)

    def embedding(self, model: str, input: str | Sequence[str] = (), **words: Any) -> EmbeddingResponse:
        """As `aembedding`, but blocking."""
        return PROCESS.portal.call(partial(self.aembedding, model, input, **words))

    async def chain(self, model: str) -> Coordinator:
        """What answers for a group in the running event loop: fallbackio's own chain, sharing its breakers.

        Example:
            >>> chain = await router.chain("fast")
            >>> reply = await chain.complete("Hello")
        """
        return self._asked("Router.chain", model, (), {}).chain(await self._fleets.here())

    async def aclose(self) -> None:
        """Close the connections of the running event loop; a later call opens new ones."""
        await self._fleets.aclose()

    def close(self) -> None:
        """Close the connections of the blocking functions; a later call opens new ones."""
        PROCESS.portal.call(self._fleets.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _asked(self, function: str, model: str, messages: Sequence[Any], given: Mapping[str, Any]) -> Ask:
        try:
            words = Words(function, given, messages)
            naming = _Groups(self)
            told = {**PROCESS.settings, **self._settings, **self._retries_of(model), **words.all}
            following = [
                one if isinstance(one, str) else one["model"] for one in naming.following(model, words)
            ]
            own = [one.params for name in (model, *following) for one in self.found(name)]
            goes_on = self._settings.get("enable_mid_stream_fallback_continuation")
            return ask_of(
                model,
                words,
                naming,
                limits=limits_of(told, own, stream=words.streams),
                retry=retry_of(told.get("retry_after")),
                delivery=Delivery(on_break="continue" if goes_on else "raise"),
            )
        except FallbackError as error:
            raise translated(error) from error

    def _retries_of(self, model: str) -> Mapping[str, Any]:
        of_group = self._settings.get("model_group_retry_policy", {}).get(model)
        most = most_retries(of_group or self._settings.get("retry_policy"))
        return {} if most is None else {"num_retries": most}

    def found(self, model: str) -> list[Deployment]:
        """The deployments that a name stands for: an alias, a group, an id, or a name that fits a pattern."""
        model = self._alias(model)
        for by in ("group", "name"):
            if found := [one for one in self._deployments if getattr(one, by) == model]:
                return found
        fitting = [one.group for one in self._deployments if one.matches(model) is not None]
        if not fitting:
            return []
        closest = max(fitting, key=len)
        return [one for one in self._deployments if one.group == closest]

    def _alias(self, model: str) -> str:
        meant = self._settings.get("model_group_alias", {}).get(model, model)
        return str(meant["model"] if isinstance(meant, Mapping) else meant)

    def _check_targets(self, table: Mapping[str, Sequence[_Entry]]) -> None:
        for targets in table.values():
            for target in targets:
                name = target if isinstance(target, str) else target.get("model", "")
                if not self.found(name):
                    raise nearest("group in fallbacks", name, self.model_names)

    def table_of(self, kind: str, words: Words) -> Mapping[str, Sequence[_Entry]]:
        """The fallbacks of one kind, those of the call if it has any."""
        ours = {"fallbacks": self._general, "context_window_fallbacks": self._larger}
        if words.all.get("disable_fallbacks"):
            return {}
        return _table(kind, words.all[kind]) if kind in words.all else ours.get(kind, self._policy)

    def steps(self, model: str, words: Words, own: Mapping[str, Any]) -> list[Endpoint | Pool]:
        """The pools of a group; where there is none, an endpoint that says so."""
        found = self.found(model)
        if not found:
            text = f"no group and no deployment is called {model!r}; there are {', '.join(self.model_names)}"
            return [failing(model, errors.InvalidRequest, text, model=model)]
        most = self._settings.get("default_max_parallel_requests")
        return steps_of(
            found,
            Asked(
                words=words,
                own=own,
                model=self._alias(model),
                balance=self._balance,
                most_at_once=most,
                look=self._look,
            ),
        )

    @property
    def max_fallbacks(self) -> int:
        """How many groups may follow one."""
        return int(self._settings.get("max_fallbacks", MAX_FALLBACKS))


class _Groups:
    """The names of one call of a Router."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def steps(self, model: str, words: Words, own: Mapping[str, Any] | None = None) -> list[Endpoint | Pool]:
        """The pools of that group."""
        return self._router.steps(model, words, own or {})

    def following(self, model: str, words: Words) -> list[_Entry]:
        """The general fallbacks of the group, each with its own after it."""
        most = int(words.all.get("max_fallbacks", self._router.max_fallbacks))
        return list(_depth_first(model, self._router.table_of("fallbacks", words), {model}))[:most]

    def larger(self, model: str, words: Words) -> Sequence[_Entry]:
        """For a prompt that is too long."""
        return self._router.table_of("context_window_fallbacks", words).get(model, ())

    def other_policy(self, model: str, words: Words) -> Sequence[_Entry]:
        """For a prompt that a policy refused."""
        return self._router.table_of("content_policy_fallbacks", words).get(model, ())


def _depth_first(model: str, table: Mapping[str, Sequence[_Entry]], seen: set[str]) -> Iterator[_Entry]:
    for entry in table.get(model, table.get("*", ())):
        if not isinstance(entry, str):
            yield entry
        elif entry not in seen:
            seen.add(entry)
            yield entry
            yield from _depth_first(entry, table, seen)


def _table(kind: str, given: object) -> dict[str, Sequence[_Entry]]:
    """LiteLLM's `[{"group": ["another"]}]` as one dict; a plain list is every group's."""
    table: dict[str, Sequence[_Entry]] = {}
    for entry in sequence_of(kind, given):
        # A dict whose `model` is a list is a group of that name.
        if isinstance(entry, str) or (isinstance(entry, Mapping) and isinstance(entry.get("model"), str)):
            table["*"] = [*table.get("*", ()), entry]
        elif isinstance(entry, Mapping):
            table |= {group: list(sequence_of(kind, targets)) for group, targets in entry.items()}
        else:
            raise ConfigError(
                f"{kind} takes dicts such as {{'group': ['another']}}, not {type(entry).__name__}"
            )
    return table
