"""The vendors, played by the simulator: `"openai/gpt-4o"` is a real request over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest

from fallbackio.config import _steps
from fallbackio.dialects import VENDORS
from fallbackio.simulator import Simulator

__all__ = ["set_keys", "simulated_vendors"]


def set_keys(patch: pytest.MonkeyPatch) -> None:
    """A made-up key in each variable that a vendor's key is read from."""
    for variable in {name for vendor in VENDORS.values() for name in vendor.key_env}:
        patch.setenv(variable, "sk-not-a-key")


@asynccontextmanager
async def simulated_vendors(patch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """Every vendor's address leads to the simulator's endpoint of its name, and every key is set."""
    set_keys(patch)
    async with Simulator() as sim:
        vendors = {
            name: attrs.evolve(vendor, base_url=sim.endpoint(name).url(vendor.dialect))
            for name, vendor in VENDORS.items()
        }
        patch.setattr(_steps, "VENDORS", vendors)
        patch.setenv("OPENAI_BASE_URL", vendors["openai"].base_url)  # of the official client
        yield sim
