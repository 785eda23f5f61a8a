"""What fallbackio is to reach under outages, whether it does, and where its peers do better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen
from outage_figures import ends, pooled, success, worst
from outage_report import (
    Findings,
    cpu_us,
    healthy_p99,
    ms,
    onset_p99,
    percent,
    ratio,
    requests_per_call,
    right,
    steady_p50,
    steady_p99,
    unanswered,
)
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


def targets(found: Findings, scale: float, attempt_s: float) -> Iterator[Target]:
    """Those of the outages."""
    for who in ("sequence", "hedge"):
        for label, figure, most in (("p50", steady_p50, 1.05), ("p99", steady_p99, 1.3)):
            plays = {outage: figure(found, who, outage) for outage in found.outages}
            yield Target(
                f"steady state of every outage, {label}: {who} to the oracle",
                f"≤ {most:g} ×",
                _worst(plays, most, " ×"),
                max(plays.values()) <= most,
            )
        healthy = healthy_p99(found, who)
        most = attempt_s + healthy if who == "sequence" else 2.5 * healthy
        wanted = "attempt timeout + healthy p99" if who == "sequence" else "2.5 × healthy p99"
        plays = {outage: onset_p99(found, who, outage) for outage in found.outages}
        yield Target(
            f"first 10 s of every outage, p99: {who}",
            f"≤ {wanted} = {most:.1f} s",
            _worst(plays, most, " s"),
            max(plays.values()) <= most,
        )
        name, value = worst({outage: unanswered(found, who, outage) for outage in found.outages})
        yield Target(
            f"whole answers where one endpoint is healthy: {who}",
            "100 %",
            percent(1 - value, 2) + (f" ({name.upper()})" if value else ""),
            value == 0,
        )
        yield Target(
            f"upstream requests per call when everything is down: {who}",
            "≤ 1.2",
            f"{found.virtual['total'][who]['per_call_in_trouble']:.2f}",
            found.virtual["total"][who]["per_call_in_trouble"] <= 1.2,
        )
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


def losses(found: Findings) -> list[str]:
    """Where a peer does better than every strategy of ours, or costs less."""
    said = []
    ours = [name for name in found.names if name.startswith("fallbackio")]
    for outage in found.outages:
        for label, share in (("p50", 0.5), ("p99", 0.99)):
            times = {n: ends(pooled(found.real[n][outage], "onset", "steady"), share) for n in found.names}
            mine = min([times[name] for name in ours])
            better = [
                f"{name} ({ms(times[name])} ms)"
                for name in found.peers
                if times[name] < 0.97 * mine
                and success(pooled(found.real[name][outage], "onset", "steady")) == 1
            ]
            if better:
                said.append(
                    f"{outage.upper()}, {label} in trouble: {', '.join(better)}, our best {ms(mine)} ms."
                )
    for name in ours:
        for kind, label in (("plain", "a plain call"), ("stream", "a streamed answer")):
            mine = cpu_us(found, name, kind)
            cheaper = [peer for peer in found.peers if cpu_us(found, peer, kind) < mine]
            if cheaper:
                said.append(f"CPU of {label}: {name} needs {mine:,.0f} µs, less do {', '.join(cheaper)}.")
        mine = requests_per_call(found, name)
        fewer = [peer for peer in found.peers if requests_per_call(found, peer) < mine - 0.005]
        if fewer:
            said.append(f"Upstream requests: {name} sends {mine:.2f} per call, {', '.join(fewer)} fewer.")
    for name in found.peers:
        one = found.raw["imports"]
        if one[name]["s"] < one["fallbackio, sequence"]["s"]:
            said.append(
                f"Import: {name} takes {one[name]['s']:.2f} s, we {one['fallbackio, sequence']['s']:.2f} s."
            )
    return said
