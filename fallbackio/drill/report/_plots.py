"""The plots of a page, as SVG that stands in it: no scripts, no files, text that is text.

matplotlib is imported here alone.  Every plot is drawn twice, for a wide page and for a narrow one, because
a picture that is only shrunk cannot be read on a phone; the page shows one of them.  The same results
give the same bytes.
"""

from __future__ import annotations

import io
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fallbackio.drill._record import Call
from fallbackio.drill._result import Result
from fallbackio.drill._values import Quantiles

__all__ = ["Key", "Plot", "plots"]

# Of endpoints in the chain's order, of phases and of chains.  Whoever confuses red and green, or blue and
# green, tells them apart as well, from each other and from what failed (tests/drill/test_report.py).
_COLOURS = ("#3b6fd4", "#e0901e", "#0f9d6f", "#c065a8", "#5bb5e8", "#7830f0", "#a8c078", "#d8a8c0")
_FAILED = "#cf2f2f"

# Of a breaker, with how high its lane is: the shape tells the states apart where colours do not.
_STATES = {"open": ("#cf2f2f", 0.6), "half_open": ("#e8b92e", 0.4), "closed": ("#9ccfa8", 0.15)}

# Stand-ins, which become the page's own colours, so that its dark mode holds for the plots as well.
_INK, _FAINT, _SICK = "#010203", "#040506", "#070809"
_VARIABLES = {_INK: "var(--ink)", _FAINT: "var(--faint)", _SICK: "var(--sick)"}

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "fallbackio",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _FAINT,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@frozen
class _Size:
    """A width of the page: inches, and how many pieces the time is cut into."""

    name: str
    width: float
    pieces: int


_WIDE, _HALF, _NARROW = _Size("wide", 10.4, 150), _Size("half", 5.3, 90), _Size("narrow", 3.7, 60)


@frozen
class Key:
    """What a colour stands for; the page shows it, because text in a picture does not wrap."""

    label: str
    colour: str


@frozen
class Plot:
    """A plot as it stands in the page: an SVG for a wide one and one for a narrow one."""

    title: str
    caption: str
    key: Sequence[Key]
    wide: str
    narrow: str


Draw = Callable[[Axes, _Size], None]
Span = tuple[float, float]


@frozen
class _Kind:
    """What can be drawn of each chain."""

    title: str
    caption: str
    key: Callable[[Result], Sequence[Key]]
    height: Callable[[Result], float]
    draw: Callable[[Result, Span, Axes, _Size], None]


def plots(group: Sequence[Result], name: str) -> list[list[Plot]]:
    """The plots of results of one scenario, in rows.

    Chains that are compared have the same plot side by side, and at the end one in common.
    """
    span, wide = _span(group), _WIDE if len(group) == 1 else _HALF
    salts = (f"{name}-{number}" for number in itertools.count())
    rows = []
    for kind in _kinds():
        height = max(map(kind.height, group))
        rows.append(
            [
                _plot(
                    next(salts),
                    kind.title if len(group) == 1 else f"{kind.title}, {one.chain}",
                    kind.caption,
                    kind.key(one),
                    height,
                    wide,
                    partial(kind.draw, one, span),
                )
                for one in group
            ]
        )
    return [*rows, [_in_common(group, span, next(salts))]]


def _kinds() -> tuple[_Kind, ...]:
    return (
        _Kind(
            "How long calls took",
            "By the moment in which they were made, on a scale that doubles and doubles. "
            "Shaded: somebody is in trouble.",
            _latency_key,
            lambda _: 2.5,
            _latency,
        ),
        _Kind(
            "Who answered",
            "Of the calls made in each moment. Between the dashed lines somebody is in trouble.",
            _served_key,
            lambda _: 1.9,
            _served,
        ),
        _Kind(
            "Circuit breakers",
            "A closed circuit lets calls through, an open one leaves the endpoint alone, and now and then "
            "one request probes whether it is well again.",
            lambda _: [Key(state.replace("_", " "), colour) for state, (colour, _) in _STATES.items()],
            lambda result: 0.45 + 0.36 * len(result.endpoints),
            _lanes,
        ),
    )


def _in_common(group: Sequence[Result], span: Span, salt: str) -> Plot:
    lines = _lines(group)
    return _plot(
        salt,
        "Phase against phase" if len(group) == 1 else "Chain against chain",
        "The share of calls that were over within a time; further left is better. Upwards the scale "
        "looks closer and closer at the slowest.",
        [Key(label, _colour(at)) for at, (label, _) in enumerate(lines)],
        3.0,
        _WIDE,
        partial(_tails, lines, span),
    )


def _plot(
    salt: str, title: str, caption: str, key: Sequence[Key], height: float, wide: _Size, draw: Draw
) -> Plot:
    return Plot(
        title,
        caption,
        key,
        wide=_svg(draw, wide, height, f"{salt}-wide", title),
        narrow=_svg(draw, _NARROW, height, f"{salt}-narrow", title),
    )


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _svg(draw: Draw, size: _Size, height: float, salt: str, title: str) -> str:
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": salt}):
        figure = Figure(figsize=(size.width, height), layout="constrained")
        draw(figure.subplots(), size)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", _without_size(text), count=1)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, variable)
    # Names in it must be its own, because all plots stand in one page.
    text = re.sub(r'id="([^"]+)"', rf'id="{salt}-\1"', text)
    text = re.sub(r'"#([^"]+)"', rf'"#{salt}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{salt}-\1)", text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


def _without_size(text: str) -> str:
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f"{head}>{rest}"


# What the plots over time have in common.


def _edges(result: Result, size: _Size) -> list[float]:
    step = result.duration_s / size.pieces
    return [step * number for number in range(size.pieces + 1)]


def _binned(result: Result, size: _Size) -> list[list[Call]]:
    bins: list[list[Call]] = [[] for _ in range(size.pieces)]
    for call in result.calls:
        bins[min(int(call.due_s / result.duration_s * size.pieces), size.pieces - 1)].append(call)
    return bins


def _over_time(axes: Axes, result: Result, size: _Size, *, named: bool = False) -> None:
    """The axis of time, the phases, and the trouble."""
    factor, unit = (60, "min") if result.duration_s < 3 * 3600 else (3600, "h")
    if result.duration_s < 180:
        factor, unit = 1, "s"
    axes.set_xlim(0, result.duration_s)
    step = _step(result.duration_s / factor, 10 if size.name == "wide" else 5)
    ticks = [step * number for number in range(int(result.duration_s / factor / step) + 1)]
    labels = [f"{tick:g}" for tick in ticks[:-1]]
    axes.set_xticks([tick * factor for tick in ticks], [*labels, f"{ticks[-1]:g} {unit}"])
    for phase in result.phases:
        if phase.sick:
            axes.axvspan(phase.begins_s, phase.begins_s + phase.lasts_s, color=_SICK, lw=0, zorder=0)
        if named and phase.lasts_s / result.duration_s > (0.05 if size.name == "wide" else 0.14):
            middle = phase.begins_s + phase.lasts_s / 2
            axes.annotate(
                phase.name,
                (middle, 1.0),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                fontsize=8,
                xytext=(0, 2),
                textcoords="offset points",
            )


def _step(length: float, most: int) -> float:
    """A round step that divides `length` into not more than `most` parts."""
    for power in range(-2, 6):
        for digit in (1, 2, 5):
            if length / (digit * 10**power) <= most:
                return float(digit * 10**power)
    return length


def _seconds_axis(axes: Axes, span: Span, *, vertical: bool) -> None:
    """A logarithmic axis of seconds with round numbers."""
    low, high = span[0] * 0.8, span[1] * 1.25
    rounds = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]
    ticks = [one for one in rounds if low <= one <= high]
    labels = [f"{one * 1000:g} ms" if one < 1 else f"{one:g} s" for one in ticks]
    if vertical:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_yticks(ticks, labels)
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
    else:
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_xticks(ticks, labels)
        axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.grid(True)


def _span(group: Sequence[Result]) -> Span:
    """The shortest and the longest time that is worth an axis."""
    times = [call.latency_s for one in group for call in one.calls if call.outcome == "answered"]
    usual = sorted([time for time in times if time > 0.001])
    if not usual:
        return 0.1, 1.0
    return usual[len(usual) // 200], usual[-1]


# The plots.


def _latency_key(result: Result) -> list[Key]:
    failed = sum(call.outcome in ("failed", "hung") for call in result.calls)
    key = [
        Key("half of the answers were faster", _VARIABLES[_INK]),
        Key("99 of 100 were faster", _COLOURS[0]),
    ]
    return [*key, Key(f"{failed:,} failed", _FAILED)] if failed else key


def _latency(result: Result, span: Span, axes: Axes, size: _Size) -> None:
    _over_time(axes, result, size, named=True)
    # A piece in which no call was made leaves no gap, or few calls would be drawn as nothing; one in which
    # all calls failed does.
    pieces = [
        ((begin + end) / 2, [call.latency_s for call in calls if call.outcome == "answered"])
        for (begin, end), calls in zip(pairwise(_edges(result, size)), _binned(result, size), strict=True)
        if calls
    ]
    middles, times = [middle for middle, _ in pieces], [Quantiles.of(one) for _, one in pieces]
    _seconds_axis(axes, span, vertical=True)
    p50, p99 = [one.p50 for one in times], [one.p99 for one in times]
    axes.fill_between(middles, p50, p99, color=_COLOURS[0], alpha=0.18, lw=0)
    axes.plot(middles, p99, color=_COLOURS[0], lw=1.2)
    axes.plot(middles, p50, color=_INK, lw=1.4)
    failed = [call.due_s for call in result.calls if call.outcome in ("failed", "hung")]
    if failed:
        low, high = axes.get_ylim()
        axes.vlines(failed, high * (low / high) ** 0.06, high, color=_FAILED, lw=0.8, zorder=3)


def _served_key(result: Result) -> list[Key]:
    key = [
        Key(one.name, _colour(at))
        for at, one in enumerate(result.endpoints)
        if result.total.served.get(one.name)
    ]
    return [*key, Key("nobody", _FAILED)] if any(not call.served_by for call in result.calls) else key


def _served(result: Result, span: Span, axes: Axes, size: _Size) -> None:
    _over_time(axes, result, size)
    names = [*[one.name for one in result.endpoints], ""]
    shares: list[list[float]] = [[] for _ in names]
    for calls in _binned(result, size):
        counts = Counter([call.served_by for call in calls])
        for at, name in enumerate(names):
            before = shares[at][-1] if shares[at] else 0.0  # is kept while nobody calls
            shares[at].append(100 * counts[name] / len(calls) if calls else before)
    # Steps, because a piece of time has one value.
    edges = [edge for edge in _edges(result, size) for _ in (0, 1)][1:-1]
    steps = [[share for share in layer for _ in (0, 1)] for layer in shares]
    colours = [*[_colour(at) for at in range(len(names) - 1)], _FAILED]
    axes.stackplot(edges, steps, colors=colours, alpha=0.9, lw=0)
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 50, 100], ["0 %", "50 %", "100 %"])
    _mark_trouble(axes, result)


def _mark_trouble(axes: Axes, result: Result) -> None:
    """Where trouble begins and ends, over what hides the shade."""
    for one in result.troubles:
        for at in (one.begins_s, one.ends_s):
            axes.axvline(at, color=_INK, lw=0.9, ls=(0, (3, 2)))


def _lanes(result: Result, span: Span, axes: Axes, size: _Size) -> None:
    _over_time(axes, result, size)
    names = [one.name for one in result.endpoints]
    least_s = result.duration_s / (size.pieces * 4)
    beside = size is _WIDE  # else a name stands above its lane
    for at, name in enumerate(names):
        middle = at if beside else at + 0.2
        for begins_s, ends_s, state in _states(result, name):
            # A probe takes a second of an hour: it is drawn as wide as can be seen.
            width = max(ends_s - begins_s, least_s if state != "closed" else 0.0)
            colour, height = _STATES[state]
            low, order = middle - height / 2, 3 if state == "half_open" else 2
            axes.broken_barh([(begins_s, width)], (low, height), color=colour, lw=0, zorder=order)
        if not beside:
            axes.text(result.duration_s * 0.005, at - 0.3, name, va="center", fontsize=7.5, zorder=5)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(range(len(names)) if beside else [], names if beside else [])
    _mark_trouble(axes, result)


def _states(result: Result, name: str) -> list[tuple[float, float, str]]:
    """The states of a breaker, with when they began and ended."""
    states = []
    since, state = 0.0, "closed"
    for move in result.moves:
        if move.endpoint == name and move.at_s < result.duration_s:
            states.append((since, move.at_s, state))
            since, state = move.at_s, move.state
    return [*states, (since, result.duration_s, state)]


def _lines(group: Sequence[Result]) -> list[tuple[str, list[Call]]]:
    """What is compared: chains over the whole scenario, or the phases of the only one."""
    if len(group) > 1:
        return [(one.chain, [*one.calls]) for one in group]
    (result,) = group
    return [
        (phase.name, [call for call in result.calls if call.phase == at])
        for at, phase in enumerate(result.phases)
    ]


def _tails(lines: Sequence[tuple[str, Sequence[Call]]], span: Span, axes: Axes, size: _Size) -> None:
    _seconds_axis(axes, span, vertical=False)
    nines = math.ceil(math.log10(max(10, *[len(calls) for _, calls in lines])))
    for at, (_, calls) in enumerate(lines):
        times = sorted([call.latency_s for call in calls if call.outcome == "answered"])
        # Minus the logarithm of the share that took so long or longer; who failed took longer than any time.
        heights = [-math.log10(1 - number / len(calls)) for number in range(len(times))]
        axes.step(times, heights, where="post", lw=1.5, color=_colour(at))
    axes.set_ylim(0, nines + 0.1)
    parts = [0.0, 0.5, *[1 - 10.0**-number for number in range(1, nines + 1)]]
    axes.set_yticks([-math.log10(1 - part) for part in parts], [f"{100 * part:.10g} %" for part in parts])
