"""The scenarios that come with the package: those of the files beside this one, and drawn ones.

A drawn outage is another one for every seed: how long it lasts is drawn from the lognormal
distribution that was measured for the vendor, and how bad it is from what its status page tells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from attrs import frozen

from fallbackio import clock
from fallbackio._checks import nearest
from fallbackio.errors import ConfigError, Overloaded
from fallbackio.simulator._behaviour import Behaviour
from fallbackio.simulator.faults import Fault, InBandError, Sometimes, Stall, Status
from fallbackio.simulator.scenarios._scenario import HEALTHY, Phase, Scenario
from fallbackio.simulator.scenarios._toml import parse

__all__ = ["outage", "scenario", "scenarios"]


@frozen
class _Measured:
    """How long a vendor's incidents last: the logarithm of minutes, its mean and deviation.

    222 incidents of the OpenAI API and 72 of the Anthropic API, to 2024-08 (Chu et al., ICPE'25, data
    set); both fit a lognormal and no exponential.
    """

    mu: float
    sigma: float


_MEASURED: Mapping[str, _Measured] = MappingProxyType(
    {"openai": _Measured(4.32, 1.17), "anthropic": _Measured(3.92, 1.39)}
)

# Of the minutes of OpenAI's incidents; Anthropic's had no other.
_PARTIAL_RATIO = 0.82

# The longest of the 294 lasted 38 hours; a draw from the tail must not make a drill of a week.
_LONGEST_S = 48 * 3600.0


def outage(vendor: str = "openai", *, seed: int = 0) -> Scenario:
    """An outage drawn from the measured durations of a vendor's: `"openai"` or `"anthropic"`.

    Four of five are partial: a share of the requests, 10 to 60 %, fails, with statuses, errors in the
    stream and stalls; the others are total.  The same seed draws the same one.

    Raises:
        ConfigError: For a vendor that nothing was measured of.

    Example:
        >>> outage("anthropic", seed=3).summary
        'An outage of 24 min, drawn as they were measured at anthropic; 36 % of the requests fail.'
    """
    if vendor not in _MEASURED:
        raise nearest("vendor", vendor, _MEASURED)
    lots = clock.chance(seed)
    measured = _MEASURED[vendor]
    lasts_s = min(60 * math.exp(lots.gauss(measured.mu, measured.sigma)), _LONGEST_S)
    partial, ratio, kind = lots.random() < _PARTIAL_RATIO, lots.uniform(0.1, 0.6), lots.random()
    fault = _kind(kind)
    sick = _evolved(Sometimes(ratio, fault) if partial else fault)
    share = f"{ratio:.0%}".replace("%", " %") if partial else "all"
    return Scenario(
        name=f"{vendor}-outage",
        summary=f"An outage of {lasts_s / 60:.0f} min, drawn as they were measured at {vendor}; "
        f"{share} of the requests fail.",
        source="durations: Chu et al., ICPE'25, data to 2024-08; shares: status pages",
        phases=(
            Phase(name="healthy", lasts_s=300),
            Phase(name="onset", lasts_s=10, fixed=True, roles={"primary": sick}),
            Phase(name="outage", lasts_s=lasts_s, roles={"primary": sick}),
            Phase(name="recovery", lasts_s=600),
        ),
        vendor_wide=True,
        seed=seed,
    )


def _kind(drawn: float) -> Fault:
    """What failing looks like; ~40 % of inference incidents are time-outs (arXiv 2511.07424)."""
    if drawn < 0.4:
        return Stall("headers", for_s=60)
    if drawn < 0.6:
        return InBandError(Overloaded, code="overloaded_error")
    return Status(500 if drawn < 0.8 else 503)


def _evolved(fault: Fault) -> Behaviour:
    usual = HEALTHY["primary"]
    return Behaviour(
        latency=usual.latency, tokens=usual.tokens, pace_s=usual.pace_s, burst=usual.burst, fault=fault
    )


def scenarios() -> tuple[str, ...]:
    """The names of all scenarios that come with the package, the twelve documented outages first.

    Example:
        >>> scenarios()[:3]
        ('s1', 's2', 's3')
    """
    return (*sorted(_files(), key=_rank), *[f"{vendor}-outage" for vendor in _MEASURED])


def scenario(name: str, *, seed: int | None = None) -> Scenario:
    """A scenario by its name, or of a file whose name ends in `.toml`.

    `seed` replaces the scenario's own; of a drawn outage it makes another one.

    Raises:
        ConfigError: For a name that is not known, or a file with mistakes.

    Example:
        >>> scenario("s1").summary
        'OpenAI, 2024-12-04, first wave: every request gets a 530 at once, for 4 minutes.'
    """
    if name.lower().endswith(".toml"):
        return Scenario.from_toml(name).at(seed=seed)
    vendor = name.removesuffix("-outage")
    if name != vendor and vendor in _MEASURED:
        return outage(vendor, seed=seed or 0)
    files = _files()
    if name not in files:
        unknown = nearest("scenario", name, scenarios())
        raise ConfigError(f"{unknown}; a file's name ends in .toml") if Path(name).is_file() else unknown
    return parse(files[name], name=name).at(seed=seed)


def _files() -> dict[str, str]:
    folder = resources.files("fallbackio.simulator.scenarios")
    return {
        Path(file.name).stem: file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }


def _rank(name: str) -> tuple[int, int, str]:
    """The documented outages by number, then the single faults by name."""
    number = name[1:]
    return (0, int(number), "") if name[:1] == "s" and number.isdigit() else (1, 0, name)
