"""Values of another kind at every door: a clear error of ours, and nothing is sent.

The table says for each parameter what of the strange values below it takes; the rest must be refused.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from fallbackio import BreakerPolicy, Chain, Endpoint, Hedge, Pool, Race, RetryPolicy
from fallbackio.dialects import DIALECTS
from fallbackio.errors import ConfigError, FallbackError, InvalidRequest
from fallbackio.model import EmbeddingRequest, Request
from fallbackio.observe import EarlyWarning
from fallbackio.simulator import SimulatedEndpoint, Simulator
from fallbackio.testing import run

ONE = Endpoint("m", base_url="http://127.0.0.1:9/v1", api_key="k")


class Thing:
    """Is nothing that anybody takes."""


def strange() -> dict[str, Any]:
    """New ones each time, because a generator is read once."""
    return {
        "none": None,
        "negative": -1,
        "zero": 0,
        "one": 1,
        "half": 2.5,
        "nan": math.nan,
        "infinite": math.inf,
        "huge": 10**400,
        "true": True,
        "false": False,
        "decimal": Decimal(2),
        "empty text": "",
        "blank": " ",
        "lines": "a\nb",
        "bytes": b"x",
        "no bytes": b"",
        "list": ["?"],
        "no list": [],
        "no tuple": (),
        "four": (1, 2, 3, 4),
        "mapping": {"?": "?"},
        "no mapping": {},
        "set": {"?", "!"},
        "no set": set(),
        "generator": (one for one in ["?"]),
        "none in a list": [None],
        "thing": Thing(),
    }


NUMBER = {"zero", "one", "half"}
OVER_ZERO = {"one", "half"}
LIMIT = {"none", "one", "half"}
COUNT = {"zero", "one", "huge"}
EMPTY = {"no list", "no tuple", "no set"}

# What is taken, by the parameter; where it says nothing: nothing at all.
TAKEN: dict[Callable[..., Any], dict[str, set[str]]] = {
    Chain: {
        "timeout": LIMIT,
        "attempt_timeout": LIMIT,
        "ttft_timeout": LIMIT,
        "idle_timeout": LIMIT,
        "connect_timeout": LIMIT,
        "max_retries": COUNT,
        "max_queue": COUNT,
        "min_rate": {"none"},
        "commit": {"one", "huge"},
        "breaker": {"none"},
        "retry": {"none"},
        "fallback_on": EMPTY,
        "accept": {"none"},
        "require": EMPTY,
        "warm": {"zero", "one"},
        "early_warning": {"none"},
        "sinks": EMPTY,
        "max_answer_bytes": {"one", "huge"},
        "seed": {"none", "negative", "zero", "one", "huge"},
    },
    Endpoint: {
        "name": {"empty text"},
        "api_key": {"none"},
        "api_key_env": {"empty text"},
        "base_url": {"none"},
        "base_url_env": {"empty text"},
        "dialect": {"none"},
        "vendor": {"empty text"},
        "params": {"mapping", "no mapping"},
        "headers": {"no mapping"},
        "headers_env": {"no mapping"},
        "context_window": {"none", "one", "huge"},
        "token": {"none"},
        "system_prefix": {"empty text", "blank", "lines"},
        "adapt": {"none"},
        "base_model": {"empty text"},
        "embedding_model": {"empty text"},
        "weight": OVER_ZERO,
        "rpm": {"none", *OVER_ZERO},
        "tpm": {"none", *OVER_ZERO},
        "max_in_flight": {"none", "one", "huge"},
        "price": {"none"},
        "capabilities": {"none", *EMPTY},
        "limit_group": {"empty text"},
        "fn": {"none"},
    },
    Endpoint.calling: {
        "model": {"empty text"},
        "vendor": {"empty text"},
        "context_window": {"none", "one", "huge"},
    },
    Pool: {},
    BreakerPolicy: {
        "consecutive": {"one", "huge"},
        "window_s": OVER_ZERO,
        "rates": EMPTY,
        "sparse_after_s": {"none", *NUMBER},
        "sparse_ratio": {"one"},
        "open_s": OVER_ZERO,
        "min_open_gaps": NUMBER,
        "jitter_ratio": {"zero", "one"},
        "max_retry_after_s": NUMBER,
        "probe_timeout_s": OVER_ZERO,
        "ramp_s": NUMBER,
        "slow_after_s": NUMBER,
        "slow_medians": {"none", *OVER_ZERO},
    },
    RetryPolicy: {
        "same_first": COUNT,
        "base_s": NUMBER,
        "max_s": NUMBER,
        "max_wait_s": NUMBER,
        "budget_ratio": {"one"},
    },
    Hedge: {"delay": NUMBER, "extra_load": {"one"}, "max_parallel": {"huge"}, "drain_losers": LIMIT},
    Race: {"width": {"none", "huge"}},
    EarlyWarning: {
        "ratio": {"one"},
        "factor": {"one", "half"},
        "short_s": {"one", "half"},
        "min_calls": {"one", "huge"},
        "min_fallbacks": {"one", "huge"},
        "clear_ratio": {"one"},
    },
}

# What each needs besides.
SOUND: dict[Callable[..., Any], dict[str, Any]] = {
    Chain: {"steps": [ONE]},
    Endpoint: {"model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key": "k"},
    Endpoint.calling: {"fn": print, "name": "ours"},
    Pool: {"endpoints": [ONE]},
}


def parameters() -> Iterator[Any]:
    for maker in TAKEN:
        for name in inspect.signature(maker).parameters:
            if name != "settings":
                yield pytest.param(maker, name, id=f"{maker.__qualname__}-{name}")


@pytest.mark.parametrize(("maker", "name"), [*parameters()])
def test_a_setting_of_another_kind_is_refused(maker: Callable[..., Any], name: str) -> None:
    """As a `ConfigError` when it is made, with a sentence that says what is wrong."""
    taken = set()
    for label, value in strange().items():
        given = {**SOUND.get(maker, {}), name: value}
        try:
            made = maker(**given)
            if isinstance(made, Pool):  # its members are looked at with the chain's
                Chain([made])
        except ConfigError as error:
            assert len(str(error)) > 10
        else:
            taken.add(label)

    assert taken == TAKEN[maker].get(name, set())


@pytest.mark.parametrize("steps", [{ONE}, frozenset({ONE}), {ONE: 1}], ids=["set", "frozenset", "mapping"])
def test_steps_have_an_order(steps: Any) -> None:
    """A chain of what has none is refused, for whom to ask first is what a chain is."""
    with pytest.raises(ConfigError, match=r"in order|a list of steps"):
        Chain(steps)


# Of a call, by its parameter; whatever can be written as JSON goes to the provider, which judges it.
CALLED = {
    "messages": {"empty text", "blank", "lines"},
    "timeout": LIMIT,
    "accept": {"none"},
    "session": {"none", "blank", "lines"},
    "require": EMPTY,
    "show_reasoning": {"true", "false"},
    "score": {"none"},
    "inputs": {"blank", "lines", "list"},
    "id": {"none", "blank", "lines"},
    "return_after_s": NUMBER,
    "temperature": strange().keys()
    - {
        *("nan", "infinite", "huge", "decimal", "bytes", "no bytes", "set", "no set", "generator", "thing"),
    },
}


async def asked(chain: Chain, method: str, name: str, value: Any) -> None:
    """One call with one strange value."""
    given = {name: value} if name in ("messages", "inputs") else {"messages": "hi", name: value}
    match method:
        case "complete":
            await chain.complete(**given)
        case "stream":
            async with chain.stream(**given) as stream:
                async for _ in stream:
                    pass
        case "rehearse":
            for row in await chain.rehearse(**given):
                if row.error is not None:
                    raise row.error
        case "embed" if name == "inputs":
            await chain.embed(**given)
        case "embed":
            await chain.embed("hi", **{name: value})
        case "session":
            chain.session(**{name: value})


@pytest.mark.parametrize(
    ("method", "name"),
    [
        *[
            ("complete", name)
            for name in ("messages", "timeout", "accept", "session", "require", "temperature")
        ],
        *[
            ("stream", name)
            for name in ("messages", "timeout", "accept", "session", "require", "temperature")
        ],
        ("stream", "show_reasoning"),
        *[("rehearse", name) for name in ("messages", "timeout", "score", "temperature")],
        *[("embed", name) for name in ("inputs", "timeout")],
        *[("session", name) for name in ("id", "return_after_s")],
    ],
)
def test_a_call_with_a_value_of_another_kind_is_refused(method: str, name: str) -> None:
    """As a `ConfigError` or an `InvalidRequest` before anything is sent; never anything that is not ours."""

    async def main() -> None:
        async with Simulator() as sim:
            there = sim.add("one")
            taken, sent = set(), set()
            async with Chain([at(there)], max_retries=0) as chain:
                for label, value in strange().items():
                    before = there.stats.requests
                    try:
                        await asked(chain, method, name, value)
                        taken.add(label)
                    except (ConfigError, InvalidRequest) as error:
                        assert len(str(error)) > 10
                    if there.stats.requests != before:
                        sent.add(label)
            expected = set(CALLED[name])
            if method == "session":
                assert (taken, sent) == (expected, set())
            else:
                assert sent == expected
                assert taken <= expected

    run(main)


def at(there: SimulatedEndpoint) -> Endpoint:
    return Endpoint("m", base_url=there.url("openai"), api_key="k")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_json_has_no_such_number(dialect: str, value: float) -> None:
    """A NaN in a parameter, an endpoint's or deep in a tool is refused, in place of a null that is sent."""
    url, client = "http://127.0.0.1:9", DIALECTS[dialect].client
    model = "anthropic.claude-3-haiku-20240307-v1:0"
    spec = Endpoint(model, dialect=dialect, base_url=url, api_key="k")
    schema = {"type": "object", "properties": {"a": {"type": "number", "maximum": value}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}

    with pytest.raises(ConfigError, match="NaN"):
        Endpoint(model, params={"temperature": value})
    for params in ({"temperature": value}, {"tools": [tool]}):
        with pytest.raises(InvalidRequest, match="NaN"):
            client.encode(Request.of("this is null and void", params), spec)
    client.encode(Request.of("null", {"temperature": None, "stop": None}), spec)


def test_json_has_no_such_number_of_an_embedding() -> None:
    """The same for vectors."""
    embedding = DIALECTS["openai"].embedding
    assert embedding is not None
    with pytest.raises(FallbackError, match="NaN"):
        embedding.encode(EmbeddingRequest.of("hi", {"user": [math.nan]}), ONE)


@pytest.mark.parametrize("maker", TAKEN, ids=lambda maker: maker.__qualname__)
def test_the_table_is_of_parameters_that_there_are(maker: Callable[..., Any]) -> None:
    """A row for one that was renamed would say nothing."""
    assert TAKEN[maker].keys() <= inspect.signature(maker).parameters.keys()
