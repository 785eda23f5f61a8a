"""The generated parts of README.md and of docs/comparison.md that come from kept results, and the pictures.

What `outage.py`, `outage_virtual.py`, `overhead.py` and `scale.py` have kept is all that is read, so the same
results make the same pages; the other benchmarks write their parts themselves.

    python benchmarks/report.py             # prints
    python benchmarks/report.py --write
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import losses
import outage_full_size
import outage_report
import scale
from attrs import frozen
from outage import ATTEMPT_S, SCALE
from outage_contenders import FLOOR
from outage_full_size import FullSize
from outage_report import Findings, measured, ratio
from outage_targets import Target, full_size_targets, targets
from page import COMPARISON, README, RESULTS, saved, table, write

CPU_TARGETS = {"plain": 1.3, "stream": 1.5}


@frozen
class Kept:
    """The results that there are; `None` for what was not measured yet."""

    found: Findings | None
    full: FullSize | None
    overhead: Any
    scale: Any

    @classmethod
    def read(cls) -> Kept:
        """From the folder of results."""
        raw, full = saved("outage"), saved("outage-virtual")
        return cls(
            None if raw is None else outage_report.findings(raw),
            None if full is None else FullSize.of(full),
            saved("overhead"),
            saved("scale"),
        )


def overhead_targets(kept: Any) -> Iterator[Target]:
    """Those of `overhead.py`."""
    for name, most in CPU_TARGETS.items():
        found = kept[name]["cpu_ratio"]
        label = "healthy call" if name == "plain" else "streamed answer"
        yield Target(f"CPU per {label} to bare aiohttp", f"≤ {most:g} ×", f"{found:.2f} ×", found <= most)


def target_table(kept: Kept) -> str:
    """All targets and whether they are met."""
    found: list[Target] = []
    if kept.full is not None:
        found += full_size_targets(kept.full, ATTEMPT_S)
    if kept.found is not None:
        found += targets(kept.found, SCALE)
    if kept.overhead is not None:
        found += overhead_targets(kept.overhead)
    rows = [target.row() for target in found]
    return table(["", "target", "measured", "met"], rows).replace("|---|---:|---:|---:|", "|---|---|---|---|")


def picture(name: str, what: str) -> str:
    return f"![{what}](results/{name})"


def readme(kept: Kept) -> dict[str, str]:
    """The parts of README.md, by section."""
    parts = {"targets": target_table(kept)}
    if kept.found is not None:
        parts["losses"] = losses.text(kept.found, kept.overhead, kept.scale, SCALE)
        parts["outage"] = "\n\n".join(
            [
                outage_report.report(kept.found, SCALE),
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
    if kept.full is not None:
        parts["full-size"] = outage_full_size.report(kept.full)
    if kept.scale is not None:
        parts["scale"] = "\n\n".join(
            [
                scale.report(kept.scale),
                picture("scale-fleet.svg", "Load offered to the sick endpoint, by breaker policy"),
            ]
        )
    return parts


def comparison(kept: Kept) -> dict[str, str]:
    """The part of docs/comparison.md, if it was measured."""
    if kept.found is None or kept.overhead is None:
        return {}
    return {"costs": costs(kept.found, kept.overhead)}


def costs(found: Findings, overhead: Any) -> str:
    """What a call costs beside bare aiohttp's, all from one run."""
    rows = []
    for name in found.names:
        imported = found.raw["imports"][name]
        rows.append(
            [
                name,
                *[f"{ratio(found, name, FLOOR.name, kind):.1f}" for kind in ("plain", "stream")],
                f"{found.raw['costs'][name]['rss_kib'] / 1024:.0f} MiB",
                f"{imported['s']:.2f} s, {imported['kib'] / 1024:.0f} MiB",
            ]
        )
    head = ["", "a plain call", "a streamed one, 32 pieces", "memory of the process", "import"]
    said = []
    for kind, label in (("plain", "a plain call"), ("stream", "a streamed one")):
        multiple, most = overhead[kind]["cpu_ratio"], CPU_TARGETS[kind]
        met = "met" if multiple <= most else "missed"
        said.append(f"{multiple:.2f} for {label} (target {most:g}, {met})")
    return "\n".join(
        [
            "CPU per healthy call, as a multiple of bare aiohttp's in the same run; each in a process of its "
            f"own, in turns, one call at a time. {measured(found)}",
            "",
            table(head, rows),
            "",
            "Within one process, where the caches are warm for both, fallbackio's multiple is "
            f"{' and '.join(said)}.",
        ]
    )


def draw(kept: Kept) -> None:
    """The pictures, into the folder of results."""
    import outage_plots
    import scale_plots

    if kept.found is not None:
        outage_plots.timelines(kept.found, RESULTS / "outage-timelines.png")
        outage_plots.distribution(kept.found, RESULTS / "outage-distribution.svg")
    if kept.scale is not None:
        scale_plots.fleet_load(kept.scale["day"], RESULTS / "scale-fleet.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put it into the pages, and draw the pictures")
    options: Any = parser.parse_args()
    kept = Kept.read()
    pages: Mapping[Path, Mapping[str, str]] = {README: readme(kept), COMPARISON: comparison(kept)}
    for page, parts in pages.items():
        for section, text in parts.items():
            if options.write:
                write(section, text, page)
            else:
                print(f"## {section}\n\n{text}\n")
        if options.write and parts:
            print(f"wrote {', '.join(parts)} into {page.relative_to(README.parent.parent)}")
    if options.write:
        draw(kept)


if __name__ == "__main__":
    main()
