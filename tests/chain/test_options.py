"""What a call takes, and what is told to who gives it something else."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import fallbackio
from fallbackio.errors import InvalidRequest
from fallbackio.testing import ScriptedEndpoint, answers, virtual_time

# What a call takes itself, and what a provider may take under the same name.
OF_A_CALL = {"timeout", "accept", "require"}
OF_A_PROVIDER = {"name", "seed"}

SETTINGS = sorted(set(inspect.signature(fallbackio.Chain).parameters) - {"steps"} - OF_A_CALL - OF_A_PROVIDER)


@pytest.mark.parametrize("name", SETTINGS)
@virtual_time
async def test_a_setting_of_the_chain_is_no_parameter(name: str) -> None:
    """Given to a call it is refused by name, where a provider would refuse it or pass over it in silence."""
    a = ScriptedEndpoint(answers(), name="a")
    given: dict[str, Any] = {name: 5}

    async with fallbackio.Chain([a.endpoint]) as chain:
        with pytest.raises(InvalidRequest, match=f"complete takes no {name}=: it is a setting of the chain"):
            await chain.complete("hi", **given)
        with pytest.raises(InvalidRequest, match=f"stream takes no {name}="):
            chain.stream("hi", **given)
        with pytest.raises(InvalidRequest, match=f"rehearse takes no {name}="):
            await chain.rehearse("hi", **given)
        with pytest.raises(InvalidRequest, match=f"embed takes no {name}="):
            await chain.embed("hi", **given)

    assert a.requests == 0


@virtual_time
async def test_what_another_method_takes_is_said() -> None:
    """An option in the wrong place names the right one."""
    async with fallbackio.Chain([ScriptedEndpoint(answers(), name="a").endpoint]) as chain:
        with pytest.raises(InvalidRequest, match="show_reasoning=: stream does"):
            await chain.complete("hi", show_reasoning=True)
        with pytest.raises(InvalidRequest, match="session=: complete and stream do"):
            await chain.rehearse("hi", session="ada")


@virtual_time
async def test_a_providers_own_parameters_pass() -> None:
    """Names that no setting of ours has go to the provider untouched."""
    a = ScriptedEndpoint(answers(), name="a")

    async with fallbackio.Chain([a.endpoint]) as chain:
        await chain.complete("hi", name="x", seed=5, top_k=3)

    assert a.received[0].params == {"name": "x", "seed": 5, "top_k": 3}
