"""Short outages and chains for them."""

from __future__ import annotations

from typing import Any

from fallbackio.drill import Result, drill
from fallbackio.simulator import Behaviour, Fault, Phase, Scenario

CHAIN = ["openai/gpt-4o-mini", "anthropic/claude-3-5-haiku-latest", "groq/llama-3.3-70b-versatile"]
FIRST, SECOND, THIRD = CHAIN

WELL = Behaviour(latency=0.2, tokens=20, pace_s=0.01)


def outage(fault: Fault | None, *, seconds: float = 20, **changes: Any) -> Scenario:
    """The primary is well, in trouble, and well again, for so many seconds each."""
    sick = Behaviour(latency=0.2, tokens=20, pace_s=0.01, fault=fault)
    return Scenario(
        **{
            "name": "short",
            "summary": "A short outage.",
            "healthy": dict.fromkeys(("primary", "secondary", "tertiary", "other"), WELL),
            "phases": [
                Phase(name="healthy", lasts_s=seconds),
                Phase(name="outage", lasts_s=seconds, roles={"primary": sick}),
                Phase(name="recovery", lasts_s=seconds),
            ],
            "rate": 2.0,
            **changes,
        }
    )


def drilled(fault: Fault | None, chain: Any = None, **options: Any) -> Result:
    """What a short drill comes to."""
    return drill(chain or CHAIN, outage(fault), **options)
