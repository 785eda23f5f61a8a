"""`Router`: groups and orders, weights and limits, fallbacks of three kinds, and what it refuses."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import anyio
import pytest
from compat_kit import MESSAGES, Recording, at, deployment, refused, settings_end_here

from fallbackio import ConfigError
from fallbackio.compat import litellm
from fallbackio.compat.litellm import Router
from fallbackio.compat.litellm._table import DEPLOYMENT, ROUTER
from fallbackio.errors import ContentFiltered, ContextTooLong
from fallbackio.events import CallEnded, FailedOver
from fallbackio.simulator import Behaviour, Capacity, InTurn, Silence, Simulator, Status
from fallbackio.testing import RecordingSink, virtual_time

DOWN = Behaviour(fault=Status(503))


def mocked(group: str, answer: object, **more: Any) -> dict[str, Any]:
    """A deployment that asks nobody."""
    params = {"model": f"openai/{group}", "api_key": "k", "mock_response": answer, **more}
    return {"model_name": group, "litellm_params": params}


async def texts(router: Router, group: str, times: int, **words: Any) -> Counter[str]:
    """How often which answer came."""
    answers = [await router.acompletion(group, MESSAGES, **words) for _ in range(times)]
    return Counter(answer.choices[0].message.content for answer in answers)


@virtual_time
async def test_a_deployment_has_one_breaker_by_whichever_group_it_is_reached() -> None:
    """What a fallback learns of an endpoint counts for the group that it belongs to as well."""
    async with Simulator() as sim:
        down, up = sim.add("down", DOWN), sim.add("up")
        router = Router(
            [deployment("a", down), deployment("b", down), deployment("c", up)],
            fallbacks=[{"a": ["b", "c"]}, {"b": ["c"]}],
            num_retries=0,
            allowed_fails=2,
        )
        for _ in range(3):
            await router.acompletion("a", MESSAGES)
        assert down.stats.requests == 6

        await router.acompletion("b", MESSAGES)
        await router.acompletion("a", MESSAGES)
        assert down.stats.requests == 6


@virtual_time
async def test_an_open_circuit_is_probed_after_the_cooldown_time() -> None:
    """`cooldown_time` is how long a deployment is left alone."""
    async with Simulator() as sim:
        down, up = sim.add("down", DOWN), sim.add("up")
        router = Router(
            [deployment("a", down), deployment("b", up)],
            fallbacks=[{"a": ["b"]}],
            num_retries=0,
            allowed_fails=0,
            cooldown_time=30,
        )
        await router.acompletion("a", MESSAGES)
        await anyio.sleep(29)
        await router.acompletion("a", MESSAGES)
        assert down.stats.requests == 1

        await anyio.sleep(5)
        await router.acompletion("a", MESSAGES)
        assert down.stats.requests == 2


@pytest.mark.parametrize("off", [{"disable_cooldowns": True}, {"cooldown_time": 0}], ids=str)
@virtual_time
async def test_cooldowns_can_be_off(off: dict[str, Any]) -> None:
    """Then a deployment is asked at every call, however often it has failed."""
    async with Simulator() as sim:
        down, up = sim.add("down", DOWN), sim.add("up")
        router = Router(
            [deployment("a", down), deployment("b", up)], fallbacks=[{"a": ["b"]}], num_retries=0, **off
        )
        for _ in range(20):
            await router.acompletion("a", MESSAGES)

        assert down.stats.requests == 20


@virtual_time
async def test_weights_are_shares() -> None:
    """`simple-shuffle` draws by `weight`; without one by `rpm`."""
    heavy, light = mocked("a", "heavy", weight=9), mocked("a", "light", weight=1)
    seen = await texts(Router([heavy, light]), "a", 300)
    assert 230 < seen["heavy"] < 298

    many, few = mocked("a", "many", rpm=90_000), mocked("a", "few", rpm=10_000)
    seen = await texts(Router([few, many]), "a", 300)
    assert 230 < seen["many"] < 298


@virtual_time
async def test_a_lower_order_is_asked_first() -> None:
    """A deployment of order 2 is asked when those of order 1 cannot answer."""
    async with Simulator() as sim:
        first, second = sim.add("first", Behaviour(text="1")), sim.add("second", Behaviour(text="2"))
        router = Router([deployment("a", second, order=2), deployment("a", first, order=1)], num_retries=0)
        assert await texts(router, "a", 10) == {"1": 10}

        first.behave(DOWN)
        assert await texts(router, "a", 10) == {"2": 10}


@virtual_time
async def test_rpm_is_a_limit() -> None:
    """A deployment that has had its requests of the minute is skipped, not asked."""
    async with Simulator() as sim:
        small, large = sim.add("small"), sim.add("large")
        router = Router([deployment("a", small, rpm=2, order=1), deployment("a", large, order=2)])
        for _ in range(6):
            await router.acompletion("a", MESSAGES)

        assert (small.stats.requests, large.stats.requests) == (2, 4)


@virtual_time
async def test_max_parallel_requests_is_a_bulkhead() -> None:
    """What is over it goes to another deployment at once."""
    async with Simulator() as sim:
        narrow = sim.add("narrow", Behaviour(latency=1, fault=Capacity(2)))
        wide = sim.add("wide", Behaviour(latency=1))
        router = Router(
            [deployment("a", narrow, max_parallel_requests=2, order=1), deployment("a", wide, order=2)]
        )
        await asyncio.gather(*[router.acompletion("a", MESSAGES) for _ in range(5)])

        assert (narrow.stats.requests, wide.stats.requests) == (2, 3)
        assert anyio.current_time() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("strategy", "balance"),
    [
        ("simple-shuffle", "weighted"),
        ("least-busy", "least_busy"),
        ("latency-based-routing", "latency"),
        ("cost-based-routing", "cost"),
        ("usage-based-routing-v2", "least_busy"),
    ],
)
@virtual_time
async def test_strategies_are_balances(strategy: str, balance: str) -> None:
    """Each of LiteLLM's strategies is a pool's way to choose."""
    router = Router([mocked("a", "one"), mocked("a", "two")], routing_strategy=strategy)
    ask = router._asked("test", "a", MESSAGES, {})

    assert ask.steps[0].balance == balance  # type: ignore[union-attr]


@virtual_time
async def test_a_group_may_be_a_pattern() -> None:
    """`*` stands for what the call names; the closest pattern wins."""
    kept, wide = Recording(), Recording()
    async with Simulator() as sim:
        any_model, ours = sim.add("any", Behaviour(fault=wide)), sim.add("ours", Behaviour(fault=kept))
        router = Router(
            [
                {"model_name": "*", "litellm_params": at(any_model, "openai/*")},
                {"model_name": "ours/*", "litellm_params": at(ours, "openai/*")},
            ]
        )
        await router.acompletion("ours/small", MESSAGES)
        await router.acompletion("gpt-4o", MESSAGES)

    assert [request.model for request in kept.requests] == ["small"]
    assert [request.model for request in wide.requests] == ["gpt-4o"]


@virtual_time
async def test_a_deployment_may_be_asked_by_its_id() -> None:
    """`model_info.id` is a name for calls and for fallbacks."""
    router = Router(
        [
            mocked("a", Exception("down")),
            {**mocked("b", "me"), "model_info": {"id": "my-id"}},
            mocked("b", "not me"),
        ],
        fallbacks=[{"a": ["my-id"]}],
        num_retries=0,
    )
    assert await texts(router, "my-id", 5) == {"me": 5}
    assert await texts(router, "a", 5) == {"me": 5}
    response = await router.acompletion("my-id", MESSAGES)
    assert response._hidden_params["model_id"] == "my-id"


@virtual_time
async def test_fallbacks_have_an_end() -> None:
    """Circles are gone round once, and `max_fallbacks` is how many groups follow."""
    groups = [mocked(name, Exception(f"{name} is down")) for name in "abcdefgh"]
    circle = [{one: [two]} for one, two in zip("abcdefgh", "bcdefgha", strict=True)]
    for most, asked in ((None, 6), (2, 3), (50, 8)):
        router = Router(groups, fallbacks=circle, num_retries=0, max_fallbacks=most)
        with pytest.raises(litellm.InternalServerError) as caught:
            await router.acompletion("a", MESSAGES)
        assert len(caught.value.attempts) == asked


@virtual_time
async def test_a_call_may_have_fallbacks_of_its_own_or_none() -> None:
    """Those of the call take the place of the Router's."""
    router = Router(
        [mocked("a", Exception("down")), mocked("b", "b"), mocked("c", "c")],
        fallbacks=[{"a": ["b"]}],
        num_retries=0,
    )
    assert await texts(router, "a", 1) == {"b": 1}
    assert await texts(router, "a", 1, fallbacks=["c"]) == {"c": 1}
    assert await texts(router, "a", 1, fallbacks=[{"a": ["c"]}]) == {"c": 1}
    with pytest.raises(litellm.InternalServerError, match="down"):
        await router.acompletion("a", MESSAGES, disable_fallbacks=True)


@pytest.mark.parametrize(
    ("test", "answer"),
    [
        ("mock_testing_fallbacks", "general"),
        ("mock_testing_context_fallbacks", "larger"),
        ("mock_testing_content_policy_fallbacks", "lenient"),
    ],
)
@virtual_time
async def test_fallbacks_can_be_rehearsed(test: str, answer: str) -> None:
    """The group that was asked counts as failed in that way, and nobody of it is asked."""
    router = Router(
        [mocked(name, name) for name in ("a", "general", "larger", "lenient")],
        fallbacks=[{"a": ["general"]}],
        context_window_fallbacks=[{"a": ["larger"]}],
        content_policy_fallbacks=[{"a": ["lenient"]}],
    )
    assert await texts(router, "a", 1, **{test: True}) == {answer: 1}
    assert await texts(router, "a", 1) == {"a": 1}


@virtual_time
async def test_without_lists_of_their_own_the_general_fallbacks_serve() -> None:
    """A prompt that is too long, or refused, goes to the general fallbacks, as in LiteLLM."""
    async with Simulator() as sim:
        for error in (ContextTooLong, ContentFiltered):
            a = sim.add(error.__name__, Behaviour(fault=Status(400, error=error)))
            router = Router([deployment("a", a), mocked("b", "b")], fallbacks=[{"a": ["b"]}], num_retries=0)
            assert await texts(router, "a", 1) == {"b": 1}


@virtual_time
async def test_the_call_goes_before_the_deployment_and_a_fallback_before_both() -> None:
    """Parameters of a deployment are defaults, those of a fallback in the call are not."""
    kept = Recording()
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(fault=kept))
        router = Router([deployment("a", one, temperature=0.1, top_p=0.2), mocked("down", Exception("down"))])
        await router.acompletion("a", MESSAGES)
        await router.acompletion("a", MESSAGES, temperature=0.9)
        own = [{"model": "a", "temperature": 0.5}]
        await router.acompletion("down", MESSAGES, temperature=0.9, fallbacks=own)

    assert [(request.params["temperature"], request.params["top_p"]) for request in kept.requests] == [
        (0.1, 0.2),
        (0.9, 0.2),
        (0.5, 0.2),
    ]


@virtual_time
async def test_deployments_own_timeouts_bound_their_attempts() -> None:
    """The longest of those that are asked is each attempt's; the call's own holds over all."""
    async with Simulator() as sim:
        silent, up = sim.add("silent", Behaviour(fault=Silence())), sim.add("up")
        router = Router(
            [deployment("a", silent, timeout=2), deployment("b", up, timeout=3)],
            fallbacks=[{"a": ["b"]}],
            num_retries=0,
        )
        response = await router.acompletion("a", MESSAGES)
        assert response.report.attempts[0].duration_s == pytest.approx(3)


@virtual_time
async def test_num_retries_repeats_where_nobody_else_is_left() -> None:
    """A group of one is asked again; with a spare, the spare is asked at once."""
    async with Simulator() as sim:
        shaky = sim.add("shaky", Behaviour(fault=InTurn([Status(500), Status(500), None])))
        assert (await Router([deployment("a", shaky)], num_retries=2).acompletion("a", MESSAGES)).choices
        assert shaky.stats.requests == 3

        shaky.behave(Behaviour(fault=Status(500)))
        for settings in (
            {"num_retries": 1},
            {"retry_policy": {"TimeoutErrorRetries": 0, "InternalServerErrorRetries": 1}},
            {"retry_policy": litellm.RetryPolicy(InternalServerErrorRetries=1)},
            {"model_group_retry_policy": {"a": litellm.RetryPolicy(InternalServerErrorRetries=1)}},
        ):
            shaky.reset()
            shaky.behave(Behaviour(fault=Status(500)))
            with pytest.raises(litellm.InternalServerError):
                await Router([deployment("a", shaky)], **settings).acompletion("a", MESSAGES)
            assert shaky.stats.requests == 2


@virtual_time
async def test_a_router_gives_its_chains() -> None:
    """Who wants more than LiteLLM's interface has the chain of a group, with the same breakers."""
    async with Simulator() as sim:
        router = Router([deployment("a", sim.add("up", Behaviour(text="Hello!")))])
        chain = await router.chain("a")
        assert (await chain.complete("Hi")).text == "Hello!"
        assert chain is await router.chain("a")


@virtual_time
async def test_a_router_tells_its_sinks() -> None:
    """What LiteLLM's callbacks are for, sinks are here."""
    sink = RecordingSink()
    router = Router(
        [mocked("a", Exception("down")), mocked("b", "b")],
        sinks=[sink],
        fallbacks=[{"a": ["b"]}],
        num_retries=0,
    )
    await router.acompletion("a", MESSAGES)
    await router.aclose()

    assert len(sink.of(FailedOver)) == len(sink.of(CallEnded)) == 1


@virtual_time
async def test_a_routers_chain_has_sessions() -> None:
    """A named session of a group's chain keeps to the deployment that answered it."""
    router = Router([mocked("a", str(number)) for number in range(5)])
    chain = await router.chain("a")
    said = {(await chain.complete("Hi", session="ada")).text for _ in range(10)}

    assert len(said) == 1


@settings_end_here
@virtual_time
async def test_settings_of_the_module_count_for_routers() -> None:
    """What neither the call nor the Router says, the module may."""
    async with Simulator() as sim:
        down = sim.add("down", DOWN)
        litellm.num_retries = 0  # type: ignore[attr-defined]
        litellm.drop_params = True  # type: ignore[attr-defined]
        claude = at(down, "anthropic/claude", api_base=down.url("anthropic"))
        with pytest.raises(litellm.ServiceUnavailableError):
            await Router([{"model_name": "a", "litellm_params": claude}]).acompletion("a", MESSAGES, seed=1)
        assert down.stats.requests == 1

        down.behave(DOWN)
        with pytest.raises(litellm.ServiceUnavailableError):
            await Router([deployment("a", down)], num_retries=1).acompletion("a", MESSAGES)
        assert down.stats.requests == 3


@virtual_time
async def test_a_closed_router_can_be_used_again() -> None:
    """`aclose` closes the connections of the loop; the next call opens new ones."""
    async with Simulator() as sim:
        async with Router([deployment("a", sim.add("up"))]) as router:
            await router.acompletion("a", MESSAGES)
        assert (await router.acompletion("a", MESSAGES)).choices


@virtual_time
async def test_variables_are_read_where_the_deployment_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """`os.environ/NAME` is the value of the variable; one that is not set is said."""
    monkeypatch.setenv("OUR_KEY", "sk-not-a-key")
    async with Simulator() as sim:
        router = Router([deployment("a", sim.add("up"), api_key="os.environ/OUR_KEY")])
        assert (await router.acompletion("a", MESSAGES)).choices
        monkeypatch.delenv("OUR_KEY")
        with pytest.raises(ConfigError, match="the variable OUR_KEY is not set"):
            await router.acompletion("a", MESSAGES)


@pytest.mark.parametrize(
    ("model_list", "settings", "message"),
    [
        ("a", {}, "model_list must be a list"),
        ([{}], {}, r"model_list\[0\] needs a model_name"),
        (["a"], {}, r"model_list\[0\] must be a dict"),
        ([mocked("a", "yes")], {"fallback": []}, "did you mean 'fallbacks'"),
        ([mocked("good", "yes")], {"fallbacks": [{"a": ["god"]}]}, "did you mean 'good'"),
        ([mocked("a", "yes")], {"fallbacks": "b"}, "fallbacks must be a list"),
        ([mocked("a", "yes")], {"fallbacks": [42]}, "fallbacks takes dicts"),
        ([mocked("a", "yes")], {"routing_strategy": "best"}, "routing_strategy must be one of"),
        ([mocked("a", "yes")], {"timeout": -1}, "timeout must be a number of seconds"),
        ([mocked("a", "yes")], {"num_retries": 1.5}, "num_retries must be a whole number"),
    ],
)
def test_what_cannot_work_is_said_when_it_is_made(model_list: Any, settings: Any, message: str) -> None:
    """A slip is found at construction, and named with the mend."""
    with pytest.raises(ConfigError, match=message):
        Router(model_list, **settings)


@pytest.mark.parametrize("name", refused(ROUTER))
def test_settings_that_would_be_lost_are_refused(name: str) -> None:
    """A Router that could not do what it is told does not begin to."""
    settings: dict[str, Any] = {name: "something"}
    with pytest.raises(ConfigError, match=f"Router: {name}= of LiteLLM is not taken"):
        Router([mocked("a", "yes")], **settings)


@pytest.mark.parametrize("name", refused(DEPLOYMENT))
def test_words_of_a_deployment_that_would_be_lost_are_refused(name: str) -> None:
    """So are those of one deployment, unless deployments that are at fault are to be left out."""
    entry = mocked("a", "yes", **{name: "something"})
    with pytest.raises(ConfigError, match=f"{name}= of LiteLLM is not taken"):
        Router([entry])

    assert Router([entry, mocked("b", "yes")], ignore_invalid_deployments=True).model_names == ["b"]


@virtual_time
async def test_nobody_of_that_name_says_who_there_is() -> None:
    """A model that is no group is a bad request, as in LiteLLM."""
    with pytest.raises(litellm.BadRequestError, match="there are a, b"):
        await Router([mocked("a", "yes"), mocked("b", "yes")]).acompletion("c", MESSAGES)


@virtual_time
async def test_embeddings_of_a_group() -> None:
    """Deployments of one group are of one embedding model, whatever their own names are."""
    async with Simulator() as sim:
        one = sim.add("one", DOWN)
        two = sim.add("two")
        entries = [
            {
                "model_name": "embedder",
                "litellm_params": at(place, f"openai/deployment-{number}", order=number),
                "model_info": {"base_model": "text-embedding-3-small"},
            }
            for number, place in enumerate((one, two), start=1)
        ]
        response = await Router(entries, num_retries=0).aembedding("embedder", ["Hello", "World"])

    assert [item.index for item in response.data] == [0, 1]
    assert response.report.fell_back


def test_a_router_works_in_loop_after_loop() -> None:
    """Each `asyncio.run` has connections and breakers of its own, and leaves none open."""

    async def twice(router: Router) -> list[str]:
        async with Simulator() as sim:
            entry = deployment("a", sim.add("up", Behaviour(text="Hello!")))
            ours = Router([entry])
            return [
                (await one.acompletion("a", MESSAGES)).choices[0].message.content for one in (router, ours)
            ]

    router = Router([mocked("a", "mocked")])

    assert [asyncio.run(twice(router)) for _ in range(2)] == [["mocked", "Hello!"]] * 2
