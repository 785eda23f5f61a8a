"""README.md from the results that `outage.py`, `overhead.py` and `scale.py` have kept.

python benchmarks/report.py --write
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import outage_plots
import outage_report
import scale
import scale_plots
from outage import ATTEMPT_S, SCALE
from outage_report import Findings
from outage_targets import Target, losses, targets
from page import README, RESULTS, saved, table, write

PICTURES = {
    "outage-timelines.png": outage_plots.timelines,
    "outage-distribution.svg": outage_plots.distribution,
}


def overhead_targets(kept: Any) -> Iterator[Target]:
    """Those of `overhead.py`."""
    for name, most in (("plain", 1.3), ("stream", 1.5)):
        ratio = kept[name]["cpu_ratio"]
        label = "healthy call" if name == "plain" else "streamed answer"
        yield Target(f"CPU per {label} to bare aiohttp", f"≤ {most:g} ×", f"{ratio:.2f} ×", ratio <= most)


def target_table(found: Findings, overhead: Any) -> str:
    """All targets and whether they are met."""
    rows = [target.row() for target in targets(found, SCALE, ATTEMPT_S)]
    if overhead is not None:
        rows += [target.row() for target in overhead_targets(overhead)]
    return table(["", "target", "measured", "met"], rows).replace("|---|---:|---:|---:|", "|---|---|---|---|")


def picture(name: str, what: str) -> str:
    return f"![{what}](results/{name})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put it into README.md, and draw the pictures")
    options: Any = parser.parse_args()
    parts: dict[str, str] = {}
    kept = saved("outage")
    if kept is not None:
        found = outage_report.findings(kept)
        parts["targets"] = target_table(found, saved("overhead"))
        lost = losses(found)
        parts["losses"] = "\n".join([f"- {line}" for line in lost]) or "Nowhere, by these figures."
        parts["outage"] = "\n\n".join(
            [
                outage_report.report(found, SCALE),
                picture(
                    "outage-timelines.png",
                    "Every call of three outages, by contender: when it was due and how long it took",
                ),
                picture(
                    "outage-distribution.svg",
                    "Distribution of the time to the whole answer while somebody is in trouble",
                ),
            ]
        )
        if options.write:
            for name, draw in PICTURES.items():
                draw(found, RESULTS / name)
    fleet = saved("scale")
    if fleet is not None:
        parts["scale"] = "\n\n".join(
            [
                scale.report(fleet),
                picture("scale-fleet.svg", "Load offered to the sick endpoint, by breaker policy"),
            ]
        )
        if options.write:
            scale_plots.fleet_load(fleet["day"], RESULTS / "scale-fleet.svg")
    for section, text in parts.items():
        if options.write:
            write(section, text)
        else:
            print(f"## {section}\n\n{text}\n")
    if options.write:
        print(f"wrote {', '.join(parts)} into {README.relative_to(Path(__file__).parent.parent)}")


if __name__ == "__main__":
    main()
