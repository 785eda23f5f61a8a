"""Embeddings through a chain, over the simulator."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import fallbackio
from fallbackio import Endpoint
from fallbackio.dialects import DIALECTS
from fallbackio.errors import BadAnswer, ChainExhausted, ConfigError, InvalidRequest
from fallbackio.simulator import Behaviour, Garbage, Silence, SimulatedEndpoint, Simulator, Status
from fallbackio.testing import ScriptedEndpoint, answers, virtual_time

EMBEDDING = [name for name, dialect in DIALECTS.items() if dialect.embedding is not None]


def endpoint(simulated: SimulatedEndpoint, dialect: str = "openai", **settings: Any) -> Endpoint:
    given = {"api_key": "sk-test", "name": simulated.name, **settings}
    return Endpoint("embed-1", base_url=simulated.url(dialect), dialect=dialect, **given)


@pytest.mark.parametrize("dialect", EMBEDDING)
@virtual_time
async def test_texts_become_vectors_in_their_order(dialect: str) -> None:
    """Each dialect gives one vector for each text, and equal texts have equal ones."""
    async with Simulator() as sim, fallbackio.Chain([endpoint(sim.add("a"), dialect)]) as chain:
        embeddings = await chain.embed(["Hello", "World", "Hello"])

        first, second, third = embeddings.vectors
        assert first == third != second
        assert embeddings.report.endpoint == "a"
        assert (await chain.embed("World")).vectors[0] == second


@pytest.mark.parametrize("fault", [Status(503), Silence(), Garbage()], ids=repr)
@virtual_time
async def test_the_next_endpoint_embeds_when_one_fails(fault: Any) -> None:
    """Vectors come from the spare; both make the same ones, so nobody can tell."""
    async with Simulator() as sim:
        sick, well = sim.add("sick", Behaviour(fault=fault)), sim.add("well")
        async with fallbackio.Chain([endpoint(sick), endpoint(well)], attempt_timeout=2) as chain:
            embeddings = await chain.embed(["Hello"])

            assert [x.outcome for x in embeddings.report.attempts] == ["failed", "won"]
            assert embeddings.usage.prompt_tokens > 0
            assert anyio.current_time() <= 2.001


@pytest.mark.parametrize(
    "other",
    [
        {"model": "embed-2"},
        {"params": {"dimensions": 256}},
        {"embedding_model": "text-embedding-3-small"},
    ],
    ids=str,
)
@virtual_time
async def test_vectors_that_do_not_mix_are_refused(other: dict[str, Any]) -> None:
    """A chain over two embedding models, or sizes, says so before anything is sent."""
    async with Simulator() as sim:
        a, b = sim.add("a"), sim.add("b")
        spare = Endpoint(
            other.pop("model", "embed-1"), base_url=b.url(), api_key="sk-test", name="b", **other
        )
        async with fallbackio.Chain([endpoint(a), spare]) as chain:
            with pytest.raises(ConfigError, match="do not mix"):
                await chain.embed("Hello")
            assert (a.stats.requests, b.stats.requests) == (0, 0)


@virtual_time
async def test_deployments_may_say_what_they_are() -> None:
    """Two names of one model mix when the endpoints say which it is; a router's path does not count."""
    async with Simulator() as sim:
        first = Endpoint("openai/text-embedding-3-small", base_url=sim.add("a").url(), name="a")
        deployed = Endpoint(
            "our-embedder", base_url=sim.add("b").url(), name="b", embedding_model="text-embedding-3-small"
        )
        async with fallbackio.Chain([first, deployed]) as chain:
            assert (await chain.embed("Hello")).report.endpoint == "a"


@virtual_time
async def test_a_vector_of_another_size_is_no_answer() -> None:
    """An endpoint that answers with other dimensions than were asked for has failed."""
    async with Simulator() as sim:
        async with fallbackio.Chain([endpoint(sim.add("a"))], max_retries=0) as chain:
            assert len((await chain.embed("Hello", dimensions=16)).vectors[0]) == 16
            assert len((await chain.embed("Hello")).vectors[0]) == 8
            chain._setup.answering._dimensions = 1536
            with pytest.raises(ChainExhausted) as caught:
                await chain.embed("Hello")
            assert isinstance(caught.value.attempts[0].error, BadAnswer)


@pytest.mark.parametrize("inputs", ["", [], [""], [1], b"bytes", None, {"text": "hi"}], ids=repr)
@virtual_time
async def test_what_is_no_text_is_refused(inputs: Any) -> None:
    """Inputs that cannot be embedded are refused before anything is sent."""
    async with Simulator() as sim:
        a = sim.add("a")
        async with fallbackio.Chain([endpoint(a)]) as chain:
            with pytest.raises(InvalidRequest):
                await chain.embed(inputs)
            assert a.stats.requests == 0


@virtual_time
async def test_functions_do_not_embed() -> None:
    """A chain with a function in it says that it cannot embed."""
    with pytest.raises(ConfigError, match="is a function and cannot embed"):
        await fallbackio.Chain([ScriptedEndpoint(answers(), name="ours").endpoint]).embed("Hello")


@virtual_time
async def test_a_dialect_without_embeddings_says_so() -> None:
    """Where the format has no embeddings the error names it."""
    async with Simulator() as sim:
        async with fallbackio.Chain([endpoint(sim.add("a"), "anthropic")]) as chain:
            with pytest.raises(InvalidRequest, match="anthropic"):
                await chain.embed("Hello")


@virtual_time
async def test_texts_count_against_the_tokens_per_minute() -> None:
    """Embeddings wait for room as answers do, by the length of their texts."""
    async with Simulator() as sim:
        a = sim.add("a")
        async with fallbackio.Chain([endpoint(a, tpm=6000)]) as chain:
            text = "word " * 3200  # some 4000 tokens
            await chain.embed(text)
            assert anyio.current_time() < 1
            await chain.embed(text)
            assert anyio.current_time() == pytest.approx(20, rel=0.1)
