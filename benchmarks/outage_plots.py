"""Pictures of `outage.py`'s results: latency over time, and the distribution of latencies in trouble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from outage_contenders import FLOOR
from outage_figures import pooled
from outage_report import Findings

TIMELINES = {"s1": "every request gets a 530", "s6": "nothing comes", "s3": "a quarter of the requests fails"}
COLOURS = {
    "fallbackio, sequence": "#0b6e4f",
    "fallbackio, hedge": "#14a76c",
    "fallbackio, race": "#7ddba9",
    "LiteLLM Router": "#c0392b",
    "LiteLLM fallbacks": "#e67e22",
    "pydantic-ai": "#8e44ad",
    "LangChain": "#2c6fbb",
    "OpenAI SDK, loop": "#7f8c8d",
    "oracle": "#000000",
    "bare aiohttp": "#bbbbbb",
}
OUTCOMES = {"w": ("o", None), "e": ("x", "#d00000"), "f": ("s", "#d000d0"), "g": ("v", "#d00000")}


def _styled(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)


def timelines(found: Findings, path: Path) -> None:
    """Each call as a dot: when it was due, how long it took, and what it came to."""
    outages = [name for name in TIMELINES if name in found.outages]
    names = [name for name in found.names if name != FLOOR.name]
    figure, grid = plt.subplots(
        len(names),
        len(outages),
        figsize=(4 * len(outages), 1.25 * len(names)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for row, name in enumerate(names):
        for column, outage in enumerate(outages):
            axes, samples = grid[row][column], found.real[name][outage]
            axes.axvspan(*samples[0].play.trouble_s, color="#f6dcd8", linewidth=0)
            for letter, (marker, colour) in OUTCOMES.items():
                calls = [call for call in pooled(samples) if call.outcome == letter]
                axes.scatter(
                    [call.due_s for call in calls],
                    [call.end_s for call in calls],
                    s=5 if letter == "w" else 14,
                    marker=marker,
                    color=colour or COLOURS[name],
                    linewidth=0.8,
                    alpha=0.7,
                )
            axes.set_yscale("log")
            _styled(axes)
            if row == 0:
                axes.set_title(f"{outage.upper()}: {TIMELINES[outage]}", fontsize=8, loc="left")
            if column == 0:
                axes.set_ylabel(name, fontsize=7, rotation=0, ha="right", va="center")
    figure.supxlabel("due at, s (real; the outage shaded)", fontsize=8)
    figure.supylabel("whole answer after, s", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def distribution(found: Findings, path: Path) -> None:
    """The share of calls in trouble that had the whole answer by then."""
    figure, axes = plt.subplots(figsize=(7.5, 4))
    for name in found.names:
        samples = [sample for outage in found.outages for sample in found.real[name][outage]]
        calls = pooled(samples, "onset", "steady")
        times = _thinned(sorted([call.end_s for call in calls if call.whole]))
        levels = [
            (place + 1) / len(times) * sum([call.whole for call in calls]) / len(calls)
            for place in range(len(times))
        ]
        axes.plot(
            times,
            levels,
            label=name,
            color=COLOURS[name],
            linewidth=1.2,
            linestyle="--" if name == "oracle" else "-",
        )
    axes.set_xscale("log")
    axes.set_xlabel(
        "seconds (real) until the whole answer, S1 to S12, while somebody is in trouble", fontsize=8
    )
    axes.set_ylabel("share of the calls", fontsize=8)
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    axes.grid(alpha=0.25)
    _styled(axes)
    figure.tight_layout()
    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["svg.hashsalt"] = "outage"  # the same figures make the same file
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _thinned(times: Sequence[float]) -> Sequence[float]:
    """Two hundred of them are enough for a line."""
    step = max(1, len(times) // 200)
    return times[::step]
