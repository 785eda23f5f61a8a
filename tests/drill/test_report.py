"""The page: one file, the same for the same results, with everything in it."""

from __future__ import annotations

import itertools
import math
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import attrs
import pytest
from drill_kit import CHAIN, FIRST, drilled, outage

from fallbackio.drill import Result, drill
from fallbackio.drill.report import html, load
from fallbackio.errors import ConfigError
from fallbackio.simulator import Status

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


@pytest.fixture(scope="module")
def result() -> Result:
    """An outage with failovers."""
    return drilled(Status(503))


@pytest.fixture(scope="module")
def page(result: Result) -> str:
    """The page of it."""
    return html(result)


def test_it_needs_nothing_else(page: str) -> None:
    """No script, no file and no address of anything elsewhere: it can be mailed and opened offline."""
    assert "<script" not in page
    assert "<link" not in page
    addresses = set(re.findall(r'(?:src|href)="([^"]*)"', page)) | set(re.findall(r"url\(([^)]*)\)", page))
    assert all(address.startswith("#") for address in addresses)
    assert "@import" not in page


def test_its_plots_are_well_formed_and_apart(page: str) -> None:
    """Each plot is an SVG by itself, for wide and narrow pages, and no name in it is another's."""
    plots = re.findall(r"<svg .*?</svg>", page, re.S)

    assert len(plots) == 8
    names = [name for plot in plots for name in re.findall(r' id="([^"]*)"', plot)]
    assert len(names) == len(set(names))
    for plot in plots:
        root = ElementTree.fromstring(plot)  # noqa: S314 - our own plot
        assert root.get("viewBox")
        assert root.get("width") is None
        ours = set(re.findall(r' id="([^"]*)"', plot))
        assert set(re.findall(r'xlink:href="#([^"]*)"', plot)) <= ours


def test_it_is_the_same_for_the_same_results(result: Result, page: str) -> None:
    """Nothing of the day, the machine or the process is in it."""
    assert html(drilled(Status(503))) == page


def test_it_says_what_happened(result: Result, page: str) -> None:
    """Verdict, phases, endpoints, the trouble and the reasons can be read."""
    assert f"All {result.total.calls:,} calls had a right end, and all rules held." in page
    for word in (
        "healthy",
        "outage",
        "recovery",
        FIRST,
        "Overloaded (503)",
        "was in trouble from 20 s to 40 s",
    ):
        assert word in page


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(40, "40 s"), (90, "90 s"), (600, "10 min"), (253, "4 min 13 s"), (7200, "2 h"), (13590, "3 h 46 min")],
)
def test_how_long_a_drill_is_can_be_read(seconds: float, said: str, result: Result) -> None:
    """Minutes and hours have no decimals."""
    assert f" in {said}, " in load(attrs.evolve(result, duration_s=seconds))


def test_its_tags_match(page: str) -> None:
    """What is opened is closed, in order."""
    open_tags: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br"):
                open_tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Checker().feed(page)
    assert open_tags == []


def test_chains_are_put_side_by_side(result: Result) -> None:
    """Several results of one outage make one section, in which they are compared."""
    hedge = drill(CHAIN, outage(Status(503)), name="<hedge>", strategy="hedge")
    page = html([result, hedge])

    assert page.count("<section") == 1
    assert "Chain against chain" in page
    assert "How long calls took, &lt;hedge&gt;" in page
    assert "<hedge>" not in page


def test_every_phase_has_its_reasons(result: Result, page: str) -> None:
    """Why calls moved on is told phase by phase, beside who answered in it."""
    row = re.search(r"<th>Overloaded \(503\)</th>(.*?)</tr>", page)

    assert row is not None
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", row[1])
    (times,) = [one.times for one in result.phase("outage").failovers if one.reason == "Overloaded (503)"]
    assert cells == ["–", str(times), "–", str(times)]


def _sum(weights: list[float], values: list[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def _seen(colour: str, sight: list[list[float]]) -> list[float]:
    """The colour's place in the Lab space, for an eye that mixes its light as `sight` says."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    light = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    mixed = [min(max(_sum(row, light), 0.0), 1.0) for row in sight]
    white = [[0.4339, 0.3763, 0.1899], [0.2127, 0.7152, 0.0722], [0.0178, 0.1095, 0.8730]]
    x, y, z = [
        value ** (1 / 3) if value > 0.0089 else 7.787 * value + 0.138
        for value in (_sum(row, mixed) for row in white)
    ]
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


@pytest.mark.parametrize(
    "sight",
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    ],
    ids=["usual", "no red", "no green", "no blue"],
)
def test_colours_are_told_apart(sight: list[list[float]]) -> None:
    """Whoever is blind to a colour tells endpoints, and what failed, apart (Machado et al., 2009)."""
    from fallbackio.drill.report._plots import _COLOURS, _FAILED

    for one, other in itertools.combinations([*_COLOURS, _FAILED], 2):
        assert math.dist(_seen(one, sight), _seen(other, sight)) > 15, (one, other)


def test_failures_stand_out() -> None:
    """Calls that failed are counted, drawn, and explained."""
    page = html(drilled(Status(503), CHAIN[:1], max_retries=0))

    assert 'class="verdict bad"' in page
    assert "ChainExhausted: openai/gpt-4o-mini Overloaded (503)" in page
    assert re.search(r"\d+ failed</span>", page)


def test_a_call_at_once_can_be_drawn() -> None:
    """Calls that take no time at all have a place on a logarithmic axis."""
    assert "<svg" in html(drill(CHAIN, "content-filter", duration_s=12))


def test_few_calls_are_drawn() -> None:
    """Where most moments have no call, the line goes from call to call, and so does who answered."""
    page = html(drill(CHAIN, "outage-60s"))
    latency, served = re.findall(r"<svg .*?</svg>", page, re.S)[:4:2]

    (line,) = re.findall(r'<path d="([^"]*)"[^>]*stroke: #3b6fd4; stroke-width: 1.2', latency)
    assert line.count("L") >= 18
    assert _changes(served) <= 6


def _changes(plot: str) -> int:
    """How often the area of who answered changes its height."""
    area = re.search(r'PolyCollection_1">\s*<path d="([^Z"]*?)z?"', plot, re.S)
    assert area is not None
    heights = [point.split()[-1] for point in area[1].strip().split("L")]
    return sum(one != other for one, other in itertools.pairwise(heights))


def test_nothing_cannot_be_shown(monkeypatch: pytest.MonkeyPatch, result: Result) -> None:
    """No result, and a missing extra, are said in a sentence."""
    with pytest.raises(ConfigError, match="no result"):
        html([])
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ConfigError, match=r"needs jinja2.*fallbackio\[report\]"):
        html(result)
