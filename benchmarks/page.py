"""What the benchmarks share in reporting: quantiles, the machine, tables, and the written parts of pages."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

README = Path(__file__).with_name("README.md")
COMPARISON = Path(__file__).parent.parent / "docs" / "comparison.md"
RESULTS = Path(__file__).with_name("results")


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which this share of them lies; NaN of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


def write(section: str, text: str, page: Path = README) -> None:
    """Replace one generated part of a page."""
    before, _, after = _parts(section, page)
    page.write_text(f"{before}\n{text}\n{after}", encoding="utf-8")


def written(section: str, page: Path = README) -> str:
    """One generated part of a page, as it stands there."""
    return _parts(section, page)[1].strip("\n")


def _parts(section: str, page: Path) -> tuple[str, str, str]:
    """What is before a generated part, its marker included, the part, and what is after it."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    before, begins, rest = page.read_text(encoding="utf-8").partition(begin)
    inside, ends, after = rest.partition(end)
    if not begins or not ends:
        raise ValueError(f"{page} has no part {section!r} between {begin} and {end}")
    return before + begin, inside, end + after


def save(name: str, found: Any) -> None:
    """Keep results, for later reports and for whoever wants to look closer."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(found, separators=(",", ":"))
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def saved(name: str) -> Any:
    """Results that were kept, or `None`."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def machine() -> str:
    """What the figures were measured with, without anything that tells whose machine it is."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1]
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = f" ({names[0].strip()})" if names else ""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.python_implementation()} {platform.python_version()}, "
        f"{platform.system()}, {os.cpu_count()} cores{model}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)
