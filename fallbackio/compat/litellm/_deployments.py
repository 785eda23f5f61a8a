"""What a `model_list` becomes: groups of deployments, found by name, by id or by pattern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
from attrs import field, frozen

from fallbackio.compat.litellm._calls import Words, plain_message
from fallbackio.compat.litellm._endpoints import Look, endpoint_of
from fallbackio.compat.litellm._process import PROCESS
from fallbackio.compat.litellm._table import DEPLOYMENT, refuse
from fallbackio.dialects import window_of
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import ConfigError

__all__ = ["Asked", "Balance", "Deployment", "balance_of", "deployments_of", "steps_of"]

Balance = Literal["weighted", "least_busy", "latency", "cost"]

_BALANCES: Mapping[str, Balance] = {
    "simple-shuffle": "weighted",
    "least-busy": "least_busy",
    "latency-based-routing": "latency",
    "cost-based-routing": "cost",
    "usage-based-routing": "least_busy",
    "usage-based-routing-v2": "least_busy",
}


def balance_of(strategy: object) -> Balance:
    """The pool's balance for LiteLLM's `routing_strategy`; raises `ConfigError` for another's."""
    name = getattr(strategy, "value", strategy)
    if name not in _BALANCES:
        raise ConfigError(f"routing_strategy must be one of {', '.join(_BALANCES)}; not {name!r}")
    return _BALANCES[str(name)]


@frozen(kw_only=True)
class Deployment:
    """One entry of a `model_list`.

    Attributes:
        group: Its `model_name`, which may hold `*`.
        name: What ledger and log call it: its `model_info.id`, or group and model.
        params: Its `litellm_params`, the Router's defaults included.
        info: Its `model_info`.
        number: Its place in the list.
    """

    group: str
    name: str
    params: Mapping[str, Any] = field(repr=False)
    info: Mapping[str, Any]
    number: int

    @property
    def order(self) -> float:
        """The lower, the earlier it is asked."""
        return float(self.params.get("order") or self.info.get("order") or 1)

    def matches(self, model: str) -> str | None:
        """What `*` stands for in this name, if its group is a pattern that fits."""
        if "*" not in self.group:
            return None
        begin, _, end = self.group.partition("*")
        fits = model.startswith(begin) and model.endswith(end) and len(model) >= len(begin) + len(end)
        return model[len(begin) : len(model) - len(end)] if fits else None


def deployments_of(
    model_list: object, defaults: Mapping[str, Any], *, skip_invalid: bool = False
) -> tuple[Deployment, ...]:
    """The entries of a `model_list`.

    Raises:
        ConfigError: For an entry of another shape, or with a parameter that is refused.
    """
    if isinstance(model_list, str | Mapping) or not isinstance(model_list, Iterable):
        raise ConfigError(f"model_list must be a list of deployments, not {type(model_list).__name__}")
    found: list[Deployment] = []
    for number, entry in enumerate(model_list):
        try:
            found.append(_deployment(entry, number, defaults))
        except ConfigError:
            if not skip_invalid:
                raise
    return tuple(_named_apart(found))


def _named_apart(found: Iterable[Deployment]) -> Iterator[Deployment]:
    """A second deployment of one name gets a number, always the same one."""
    counts: dict[str, int] = {}
    for one in found:
        count = counts[one.name] = counts.get(one.name, 0) + 1
        yield one if count == 1 else attrs.evolve(one, name=f"{one.name} #{count}")


def _deployment(entry: Any, number: int, defaults: Mapping[str, Any]) -> Deployment:
    entry = entry.model_dump(exclude_none=True) if hasattr(entry, "model_dump") else entry
    if not isinstance(entry, Mapping):
        raise ConfigError(f"model_list[{number}] must be a dict with model_name and litellm_params")
    group, params = entry.get("model_name"), entry.get("litellm_params")
    if not isinstance(group, str) or not isinstance(params, Mapping) or "model" not in params:
        raise ConfigError(
            f"model_list[{number}] needs a model_name, and litellm_params with at least a model"
        )
    # Older programs have the limits beside litellm_params.
    beside = {name: entry[name] for name in ("rpm", "tpm") if name in entry}
    params = {**defaults, **beside, **params}
    refuse(DEPLOYMENT, params, f"model_list[{number}]")
    info = entry.get("model_info") or {}
    name = str(info.get("id") or f"{group}/{params['model']}")
    return Deployment(group=group, name=name, params=params, info=info, number=number)


@frozen(kw_only=True)
class Asked:
    """How the deployments of one group are asked in one call."""

    words: Words
    own: Mapping[str, Any]
    model: str
    balance: Balance
    most_at_once: int | None
    look: Look


def steps_of(group: Sequence[Deployment], asked: Asked) -> list[Endpoint | Pool]:
    """A pool for each order, the lowest first."""
    weights = _weights(group)
    ranks = sorted({one.order for one in group})
    steps: list[Endpoint | Pool] = []
    for rank in ranks:
        members = [_endpoint(one, weights[one.number], asked) for one in group if one.order == rank]
        steps.append(members[0] if len(members) == 1 else Pool(members, balance=asked.balance))
    return steps


def _weights(group: Sequence[Deployment]) -> dict[int, float]:
    """LiteLLM's: by `weight`, else by `rpm`, else by `tpm`; where one has it, the others have none."""
    for by in ("weight", "rpm", "tpm"):
        found = {one.number: float(one.params.get(by) or 0) for one in group}
        if any(found.values()):
            # None at all is not a share that a pool knows; it is the last to be drawn.
            least = min(weight for weight in found.values() if weight) / 1e6
            return {number: weight or least for number, weight in found.items()}
    return dict.fromkeys([one.number for one in group], 1.0)


def _endpoint(one: Deployment, weight: float, asked: Asked) -> Endpoint:
    words, own = asked.words, asked.own
    overrides = {name: value for name, value in own.items() if name not in ("model", "messages")}
    everywhere = {name: PROCESS.settings[name] for name in _EVERYWHERE if name in PROCESS.settings}
    params = {**everywhere, **one.params, **words.of_model, **overrides}
    if (stands_for := one.matches(asked.model)) is not None and isinstance(params["model"], str):
        params["model"] = params["model"].replace("*", stands_for)
    messages = tuple(map(plain_message, own["messages"])) if "messages" in own else None
    at_once = params.get("max_parallel_requests") or asked.most_at_once
    base_model = str(one.info.get("base_model") or params.get("base_model") or "")
    name = one.name if stands_for is None else f"{one.name} ({asked.model})"
    return endpoint_of(
        params,
        name=name,
        # What the call says goes before what the deployment says, and what a fallback says before both.
        given=set(words.params) - set(overrides),
        messages=messages,
        look=asked.look,
        weight=weight,
        rpm=_number(params.get("rpm")),
        tpm=_number(params.get("tpm")),
        max_in_flight=None if at_once is None else int(at_once),
        limit_group=name,
        context_window=one.info.get("max_input_tokens") or window_of(base_model),
        capabilities=_capabilities(one.info),
        embedding_model=base_model,
    )


# Settings of LiteLLM's module that count for deployments, too.
_EVERYWHERE = ("drop_params", "headers")

_CAN = {
    "supports_function_calling": "tools",
    "supports_vision": "vision",
    "supports_response_schema": "json_schema",
}


def _capabilities(info: Mapping[str, Any]) -> frozenset[str] | None:
    told = [name for name in _CAN if name in info]
    return frozenset(_CAN[name] for name in told if info[name]) if len(told) == len(_CAN) else None


def _number(given: Any) -> float | None:
    return None if given is None else float(given)
