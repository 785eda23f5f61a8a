"""The picture of `scale.py`: what the sick endpoint is offered, by breaker policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from fleet import FLEET_RATE, POLICIES
from matplotlib import pyplot as plt

SHOWN = ("s1", "s3", "s8", "s12")
COLOURS = dict(zip(POLICIES, ("#0b6e4f", "#2c6fbb", "#e67e22", "#c0392b"), strict=True))
STEP_S = 5


def fleet_load(day: Mapping[str, Any], path: Path) -> None:
    """Requests per second at the first endpoint, the outage shaded."""
    outages = [name for name in SHOWN if name in day]
    figure, grid = plt.subplots(len(outages), 1, figsize=(8, 1.7 * len(outages)), squeeze=False)
    for (axes,), name in zip(grid, outages, strict=True):
        axes.axvspan(*day[name][POLICIES[0]]["trouble_s"], color="#f6dcd8", linewidth=0)
        for policy in POLICIES:
            offered = day[name][policy]["offered"]
            axes.plot(
                [STEP_S * at for at in range(len(offered))],
                offered,
                color=COLOURS[policy],
                linewidth=1,
                label=policy,
            )
        axes.set_ylim(0, 1.25 * FLEET_RATE)
        axes.set_title(name.upper(), fontsize=8, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    grid[0][0].legend(fontsize=7, frameon=False, ncols=len(POLICIES), loc="upper right")
    figure.supxlabel("seconds", fontsize=8)
    figure.supylabel("requests per second at the sick endpoint", fontsize=8)
    figure.tight_layout()
    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["svg.hashsalt"] = "scale"  # the same figures make the same file
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
