"""`acompletion`: who is asked, for how long, with what, and what is known from one call to the next."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from compat_kit import MESSAGES, Recording, at, refused, settings_end_here

from fallbackio import ConfigError
from fallbackio.compat import litellm
from fallbackio.compat.litellm import acompletion, aembedding
from fallbackio.compat.litellm._table import CALL
from fallbackio.errors import ContextTooLong
from fallbackio.simulator import Behaviour, InTurn, Silence, Simulator, Status
from fallbackio.testing import virtual_time


@virtual_time
async def test_a_breaker_lives_from_call_to_call() -> None:
    """An endpoint that keeps failing is left alone by later calls, whichever fallbacks they name."""
    async with Simulator() as sim:
        down, up = sim.add("down", Behaviour(fault=Status(503))), sim.add("up")
        for number in range(12):
            fallbacks = [at(up, f"openai/spare-{number % 2}")]
            response = await acompletion(**at(down), messages=MESSAGES, fallbacks=fallbacks)
            assert response.report.fell_back

        assert down.stats.requests == 5
        assert up.stats.requests == 12


@virtual_time
async def test_one_timeout_holds_over_fallbacks_and_retries() -> None:
    """`timeout` is the whole call's, shared out among those who may still answer."""
    async with Simulator() as sim:
        silent = [sim.add(name, Behaviour(fault=Silence())) for name in "abc"]
        begun = anyio.current_time()

        with pytest.raises(litellm.Timeout) as caught:
            await acompletion(
                **at(silent[0]), messages=MESSAGES, timeout=3, fallbacks=[at(one) for one in silent[1:]]
            )

        assert anyio.current_time() - begun == pytest.approx(3)
        assert [one.stats.requests for one in silent] == [1, 1, 1]
        assert len(caught.value.attempts) == 3
        assert caught.value.status_code == 408


@pytest.mark.parametrize("timeout", [2, "2", 2.0])
@virtual_time
async def test_a_timeout_may_be_written_in_several_ways(timeout: Any) -> None:
    """LiteLLM takes numbers and numbers as text."""
    async with Simulator() as sim:
        silent = sim.add("silent", Behaviour(fault=Silence()))
        with pytest.raises(litellm.Timeout):
            await acompletion(**at(silent), messages=MESSAGES, timeout=timeout)

        assert anyio.current_time() == pytest.approx(2)


@virtual_time
async def test_an_httpx_timeout_is_its_read_timeout() -> None:
    """Objects such as `httpx.Timeout` are taken for what bounds the wait for an answer."""

    class Timeout:
        connect, read = 1.0, 4.0

    async with Simulator() as sim:
        with pytest.raises(litellm.Timeout):
            await acompletion(
                **at(sim.add("silent", Behaviour(fault=Silence()))), messages=MESSAGES, timeout=Timeout()
            )

        assert anyio.current_time() == pytest.approx(4)


@virtual_time
async def test_a_bad_timeout_is_said_before_anything_is_sent() -> None:
    """A limit that is none would be no limit in the outage."""
    for timeout in (0, -1, "soon", float("nan")):
        with pytest.raises(ConfigError, match="timeout must be a number of seconds"):
            await acompletion("gpt-4o", MESSAGES, timeout=timeout)


@virtual_time
async def test_parameters_go_to_the_provider_and_litellms_own_do_not() -> None:
    """What LiteLLM keeps for its logging is not sent; what it does not know is the provider's."""
    kept = Recording()
    async with Simulator() as sim:
        await acompletion(
            **at(sim.add("one", Behaviour(fault=kept))),
            messages=MESSAGES,
            temperature=0.5,
            min_p=0.1,
            metadata={"generation_name": "ours"},
            fallbacks=["gpt-4o"],
            timeout=30,
            num_retries=1,
            extra_headers={"x-title": "ours"},
            extra_body={"top_k": 7},
            langfuse_public_key="pk-123",
            _internal="LiteLLM's",
            litellm_call_id="123",
            verbose=True,
            user=None,
        )

    [request] = kept.requests
    assert dict(request.params) == {"temperature": 0.5, "top_k": 7, "min_p": 0.1}


@pytest.mark.parametrize("name", refused(CALL))
@virtual_time
async def test_what_would_be_lost_is_refused(name: str) -> None:
    """A parameter that would silently change what a program does is an error that names it."""
    words: dict[str, Any] = {name: "something"}
    with pytest.raises(ConfigError, match=f"{name}= of LiteLLM is not taken"):
        await acompletion("gpt-4o", MESSAGES, **words)


@virtual_time
async def test_what_is_refused_may_be_off() -> None:
    """`caching=False` asks for what happens anyway."""
    response = await acompletion("gpt-4o", MESSAGES, mock_response="yes", caching=False, cache=None)

    assert response.choices[0].message.content == "yes"


@virtual_time
async def test_a_key_is_not_handed_to_another_vendor() -> None:
    """The call's key and address are its own vendor's; a fallback at another one has its own."""
    async with Simulator() as sim:
        down, kept = sim.add("down", Behaviour(fault=Status(503))), Recording()
        other = sim.add("other", Behaviour(fault=kept))
        claude = {"model": "anthropic/claude", "api_base": other.url("anthropic"), "api_key": "theirs"}
        response = await acompletion(**at(down), messages=MESSAGES, fallbacks=[claude])

        assert response.report.endpoint == "anthropic/claude"
        with pytest.raises(litellm.ServiceUnavailableError) as caught:
            await acompletion(**at(down), messages=MESSAGES, fallbacks=["anthropic/claude"], max_retries=0)

    assert "no key for anthropic" in str(caught.value)


@virtual_time
async def test_a_missing_key_is_a_failed_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model without a key does not keep its fallbacks from answering; alone it is an error of that name."""
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    async with Simulator() as sim:
        up = sim.add("up")
        response = await acompletion("mistral/large", MESSAGES, fallbacks=[at(up)])
        assert [a.outcome for a in response.report.attempts] == ["failed", "won"]

    with pytest.raises(litellm.AuthenticationError, match="set MISTRAL_API_KEY") as caught:
        await acompletion("mistral/large", MESSAGES)
    assert caught.value.llm_provider == "mistral"


@virtual_time
async def test_a_key_is_read_anew_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed variable counts from the next call on."""
    async with Simulator() as sim:
        monkeypatch.setenv("GROQ_API_BASE", sim.add("groq").url("openai"))
        monkeypatch.delenv("GROQ_API_KEY", raising=False)
        with pytest.raises(litellm.AuthenticationError):
            await acompletion("groq/llama", MESSAGES)
        monkeypatch.setenv("GROQ_API_KEY", "gsk-not-a-key")

        assert (await acompletion("groq/llama", MESSAGES)).report.endpoint == "groq/llama"


@virtual_time
async def test_an_address_that_cannot_be_built_is_a_failed_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A region that is not set is no reason to ask nobody."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    async with Simulator() as sim:
        response = await acompletion("bedrock/amazon.nova-lite-v1:0", MESSAGES, fallbacks=[at(sim.add("up"))])

    assert response.report.attempts[0].outcome == "failed"
    assert "AWS_REGION" in str(response.report.attempts[0].error)


@virtual_time
async def test_a_fallback_that_cannot_express_the_request_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A parameter that a spare has no word for is found at once, and costs the call nothing but the spare."""
    async with Simulator() as sim:
        one = sim.add("one")
        claude = {"model": "anthropic/claude", "api_base": one.url("anthropic"), "api_key": "k"}
        response = await acompletion(**at(one), messages=MESSAGES, seed=1, fallbacks=[claude])
        assert response.report.endpoint == "openai/ours"
        assert "anthropic/claude is left out" in caplog.text

        with pytest.raises(litellm.BadRequestError, match="seed"):
            await acompletion(**claude, messages=MESSAGES, seed=1)
        assert (await acompletion(**claude, messages=MESSAGES, seed=1, drop_params=True)).choices


@virtual_time
async def test_the_same_model_twice_is_asked_once() -> None:
    """LiteLLM's pages put the model itself into its fallbacks; another key is another endpoint."""
    async with Simulator() as sim:
        down = sim.add("down", Behaviour(fault=Status(503)))
        same, other = at(down), at(down, api_key="another")
        with pytest.raises(litellm.ServiceUnavailableError) as caught:
            await acompletion(**same, messages=MESSAGES, fallbacks=[same, other], max_retries=0)

    assert [a.endpoint for a in caught.value.attempts] == ["openai/ours", "openai/ours #2"]


@virtual_time
async def test_a_larger_model_gets_what_is_left_of_the_time() -> None:
    """The models for long prompts are asked within the same call, and stand in the same ledger."""
    async with Simulator() as sim:
        small = sim.add("small", Behaviour(fault=Status(400, error=ContextTooLong, after_s=2)))
        slow = sim.add("slow", Behaviour(fault=Silence()))
        larger = {"openai/ours": "openai/larger"}
        words: dict[str, Any] = {"messages": MESSAGES, "context_window_fallback_dict": larger}
        small.behave(Behaviour(fault=InTurn([Status(400, error=ContextTooLong, after_s=2), None])))
        response = await acompletion(**at(small), **words)
        assert [a.endpoint for a in response.report.attempts] == ["openai/ours", "openai/larger"]

        begun = anyio.current_time()
        small.behave(Behaviour(fault=InTurn([Status(400, error=ContextTooLong, after_s=2), Silence()])))
        with pytest.raises(litellm.Timeout) as caught:
            await acompletion(**at(small), **words, timeout=5)
        assert anyio.current_time() - begun == pytest.approx(5)
        assert len(caught.value.attempts) == 2
        assert slow.stats.requests == 0


@settings_end_here
@virtual_time
async def test_settings_of_the_module_are_every_calls() -> None:
    """`litellm.drop_params = True` counts for calls that do not say otherwise."""
    async with Simulator() as sim:
        one = sim.add("one")
        claude = {"model": "anthropic/claude", "api_base": one.url("anthropic"), "api_key": "k"}
        litellm.drop_params = True  # type: ignore[attr-defined]
        assert (await acompletion(**claude, messages=MESSAGES, seed=1)).choices
        with pytest.raises(litellm.BadRequestError):
            await acompletion(**claude, messages=MESSAGES, seed=1, drop_params=False)

        down = sim.add("down", Behaviour(fault=Status(500)))
        litellm.num_retries = 0  # type: ignore[attr-defined]
        with pytest.raises(litellm.InternalServerError):
            await acompletion(**at(down), messages=MESSAGES)
        assert down.stats.requests == 1


@settings_end_here
def test_settings_of_the_module_that_would_be_lost_are_refused() -> None:
    """Callbacks that nobody calls, or a cache that is none, are said when they are set."""
    litellm.set_verbose = True  # type: ignore[attr-defined]
    litellm.suppress_debug_info = True  # type: ignore[attr-defined]
    for name in ("success_callback", "cache", "callbacks", "no_such_setting"):
        with pytest.raises(ConfigError, match=f"litellm.{name} is not taken"):
            setattr(litellm, name, ["langfuse"])


def test_what_the_module_has_not_says_where_to_look() -> None:
    """A name of LiteLLM's that is not here is no riddle; a setting that nobody made is `None`."""
    with pytest.raises(AttributeError, match=r"litellm.token_counter is not here; docs/from-litellm.md"):
        _ = litellm.token_counter  # type: ignore[attr-defined]
    assert litellm.drop_params is None  # type: ignore[attr-defined]


@virtual_time
async def test_embeddings_of_different_models_do_not_mix() -> None:
    """A fallback whose vectors lie in another space is refused, where LiteLLM would mix them."""
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(fault=Status(503)))
        small = at(one, "openai/text-embedding-3-small")
        with pytest.raises(ConfigError, match="do not mix"):
            await aembedding(**small, input="Hello", fallbacks=[at(one, "openai/text-embedding-3-large")])


@virtual_time
async def test_a_pydantic_model_is_sent_as_its_strict_schema() -> None:
    """`response_format=Model` asks for what the model describes, and for nothing else."""
    pydantic = pytest.importorskip("pydantic")

    class Event(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        name: str
        guests: list[str] = pydantic.Field(default=[])

    kept = Recording()
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(fault=kept))
        response = await acompletion(**at(one), messages=MESSAGES, response_format=Event)

    schema = kept.requests[0].params["response_format"]["json_schema"]
    assert (schema["name"], schema["strict"]) == ("Event", True)
    assert schema["schema"]["required"] == ["name", "guests"]
    assert schema["schema"]["additionalProperties"] is False
    Event.model_validate_json(response.choices[0].message.content)


@pytest.mark.parametrize("messages", ["Hello", None, 42], ids=repr)
@virtual_time
async def test_messages_must_be_a_list(messages: Any) -> None:
    """As in LiteLLM, and said as an error of its name."""
    with pytest.raises(litellm.BadRequestError, match="messages must be a list"):
        await acompletion("gpt-4o", messages)


@virtual_time
async def test_the_answer_knows_how_it_came_about() -> None:
    """`_hidden_params` has what LiteLLM's users read there, `report` all of it."""
    async with Simulator() as sim:
        down, up = sim.add("down", Behaviour(fault=Status(503))), sim.add("up")
        spare = at(up, "openai/spare", input_cost_per_token=1e-6, output_cost_per_token=2e-6)
        response = await acompletion(**at(down), messages=MESSAGES, fallbacks=[spare])

    hidden = response._hidden_params
    assert (hidden["model_id"], hidden["litellm_model_name"]) == ("openai/spare", "spare")
    assert hidden["additional_headers"]["x-litellm-attempted-fallbacks"] == 1
    usage = response.usage
    assert hidden["response_cost"] == pytest.approx((usage.prompt_tokens + 2 * usage.completion_tokens) / 1e6)
    assert response.report.fell_back
