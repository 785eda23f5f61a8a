"""What the demo plays: three simulated vendors and an outage in five phases, as data.

Everything is scaled to the length of a phase, so that a short demo shows the same as a long one.
A phase may begin with a lull in which all are well: the circuit that the phase before has opened
closes again, and what comes next hits a chain that suspects nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from fallbackio.breaker import BreakerPolicy
from fallbackio.simulator import Behaviour, Fault, Lognormal, Stall, Status

__all__ = ["Phase", "Script", "Vendor", "outage", "sign"]


@frozen(kw_only=True)
class Vendor:
    """A simulated vendor; `name` says that it is one.

    Attributes:
        dialect: The wire format it speaks.
        median_s: The median of its time until the first content.
    """

    name: str
    dialect: str
    median_s: float

    @property
    def text(self) -> str:
        """What it answers to everything, so that an answer shows whose it is and that it is whole."""
        return f"{self.name} is well, and simulated."

    def behaviour(self, fault: Fault | None = None) -> Behaviour:
        """How it behaves, well or in trouble."""
        return Behaviour(
            latency=Lognormal(self.median_s, sigma=0.25), text=self.text, pace_s=0.002, fault=fault
        )


@frozen(kw_only=True)
class Phase:
    """A part of the outage.

    Attributes:
        name: A few words, for tables.
        story: What happens, for the one who watches.
        faults: What is wrong with whom; the others are well.
        lull_ratio: Share of the phase, from its beginning, in which all are well.
    """

    name: str
    story: str
    faults: Mapping[str, Fault] = field(factory=dict)
    lull_ratio: float = 0.0


@frozen(kw_only=True)
class Script:
    """A whole demo.

    Attributes:
        phase_s: Length of each phase.
        calls_per_s: How many calls begin in a second, whatever becomes of those before.
        attempt_timeout_s: How long the chain waits for one vendor.
        breaker: When the chain leaves a vendor alone.
        seed: Of latencies and jitter.
    """

    vendors: tuple[Vendor, ...]
    phases: tuple[Phase, ...]
    phase_s: float
    calls_per_s: float
    attempt_timeout_s: float
    breaker: BreakerPolicy
    seed: int = 0

    @property
    def calls_per_phase(self) -> int:
        return max(1, round(self.phase_s * self.calls_per_s))


def outage(seconds: float, seed: int = 0) -> Script:
    """The outage that `fallbackio demo` shows."""
    first = Vendor(name="sim-openai", dialect="openai", median_s=0.04)
    second = Vendor(name="sim-anthropic", dialect="anthropic", median_s=0.06)
    third = Vendor(name="sim-vllm", dialect="openai", median_s=0.08)
    phase_s = seconds / 5
    stall = Stall("headers")
    throttle = Status(429, retry_after_ms=round(phase_s / 6 * 1000))
    return Script(
        vendors=(first, second, third),
        phases=(
            Phase(name="healthy", story="All three vendors are well."),
            Phase(
                name="primary: 500s",
                story=f"{first.name} answers every request with a 500.",
                faults={first.name: Status(500)},
            ),
            Phase(
                name="primary: stalls",
                story=f"{first.name} comes back, and then accepts requests and never answers.",
                faults={first.name: stall},
                lull_ratio=0.25,
            ),
            Phase(
                name="secondary: 429s",
                story=f"{second.name} rate-limits as well; {first.name} still stalls.",
                faults={first.name: stall, second.name: throttle},
            ),
            Phase(name="recovery", story="Everybody is well again; probes will find it out."),
        ),
        phase_s=phase_s,
        calls_per_s=20,
        attempt_timeout_s=_between(0.3, phase_s / 6, 1.0),
        # The longest period with its jitter must fit in the lull, or no circuit would close in it.
        breaker=BreakerPolicy(
            open_s=_between(0.05, phase_s / 12, 1.0),
            max_open_s=_between(0.1, phase_s / 6, 2.0),
            ramp_s=_between(0.1, phase_s / 6, 2.0),
        ),
        seed=seed,
    )


def _between(least: float, wanted: float, most: float) -> float:
    return max(least, min(wanted, most))


def sign(fault: Fault | None) -> str:
    """What one sees of a fault, in two words."""
    match fault:
        case None:
            return "well"
        case Status(status=status):
            return f"answers {status}"
        case Stall():
            return "stalls"
        case _:
            return type(fault).__name__.lower()
