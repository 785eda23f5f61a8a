"""What fallbackio is to reach under outages, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen
from outage_figures import worst
from outage_full_size import FullSize
from outage_report import Findings, percent, ratio, right
from outage_singles import LONG, singles


@frozen
class Target:
    """One line of the table of targets."""

    what: str
    wanted: str
    measured: str
    met: bool

    def row(self) -> list[str]:
        return [self.what, self.wanted, self.measured, "yes" if self.met else "**no**"]


def full_size_targets(full: FullSize, attempt_s: float) -> Iterator[Target]:
    """Those of the outages at full size."""
    for who in ("sequence", "hedge"):
        for level, most in (("p50", 1.05), ("p99", 1.3)):
            plays = {outage: full.steady(who, outage, level) for outage in full.outages}
            yield Target(
                f"steady state of every outage, {level}: {who} to the oracle",
                f"≤ {most:g} ×",
                _worst(plays, most, " ×"),
                max(plays.values()) <= most,
            )
        healthy = full.healthy_p99(who)
        most = attempt_s + healthy if who == "sequence" else 2.5 * healthy
        wanted = "attempt timeout + healthy p99" if who == "sequence" else "2.5 × healthy p99"
        plays = {outage: full.onset_p99(who, outage) for outage in full.outages}
        yield Target(
            f"first 10 s of every outage, p99: {who}",
            f"≤ {wanted} = {most:.1f} s",
            _worst(plays, most, " s"),
            max(plays.values()) <= most,
        )
        name, value = worst({outage: full.unanswered(who, outage) for outage in full.outages})
        yield Target(
            f"whole answers where one endpoint is healthy: {who}",
            "100 %",
            percent(1 - value, 2) + (f" ({name.upper()})" if value else ""),
            value == 0,
        )
        per_call = full.per_call_in_trouble(who, "total")
        yield Target(
            f"upstream requests per call when everything is down: {who}",
            "≤ 1.2",
            f"{per_call:.2f}",
            per_call <= 1.2,
        )


def targets(found: Findings, scale: float) -> Iterator[Target]:
    """Those that are measured beside the peers."""
    ours = "fallbackio, sequence"
    sick = found.raw["sixty"][ours]["sick"]
    yield Target(f"the sick endpoint of `{LONG}` sees", "≤ 4 of 15 calls", f"{sick}", sick <= 4)
    every = 2 * len(singles(scale))
    for name in (ours, "fallbackio, hedge"):
        number = right(found, name, scale)
        yield Target(
            f"single faults that end in the whole answer or the right error: {name.split(', ')[1]}",
            f"{every} of {every}",
            f"{number}",
            number == every,
        )
    left = sum([found.raw["cancelled"][ours][kind]["left"] for kind in ("plain", "stream")])
    yield Target("upstream requests left after cancelling", "0", f"{left}", left == 0)
    if "LiteLLM Router" in found.raw["costs"]:
        for kind, label, least in (("plain", "healthy call", 20), ("stream", "streamed answer", 10)):
            times = ratio(found, "LiteLLM Router", ours, kind)
            yield Target(
                f"CPU per {label}, LiteLLM Router's to ours",
                f"≥ {least} ×",
                f"{times:.1f} ×",
                times >= least,
            )


def _worst(plays: Mapping[str, float], most: float, unit: str) -> str:
    name, value = worst(plays)
    over = [outage.upper() for outage, figure in plays.items() if not figure <= most]
    said = f"{value:.2f}{unit} ({name.upper()})"
    return (
        said
        if not over
        else f"{said}; met in {len(plays) - len(over)} of {len(plays)}, not in {', '.join(over)}"
    )
