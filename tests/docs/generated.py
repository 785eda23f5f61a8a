"""Tables of the pages that are written from the code; `python tests/docs/generated.py` writes them anew.

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`; the words around it are written by hand.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from fallbackio import BreakerPolicy, Chain, Endpoint, Hedge, Pool, Race, RetryPolicy
from fallbackio.config.checks import RULES
from fallbackio.config.files._sections import CHAIN_SETTINGS, REMOVED
from fallbackio.config.files._shape import Setting, settings_of
from fallbackio.observe import EarlyWarning

ROOT = Path(__file__).parents[2]

# The chapters of settings.md, and whose settings they list.
CHAPTERS: Mapping[str, Any] = {
    "endpoint": Endpoint,
    "pool": Pool,
    "hedge": Hedge,
    "race": Race,
    "breaker": BreakerPolicy,
    "retry": RetryPolicy,
    "early_warning": EarlyWarning,
}

# What the page says in other words than the code does: it is read by people who write TOML.
INSTEAD: Mapping[str, str] = {
    "chain.strategy": 'When the next attempt starts: `"sequence"`, after a failure; `"hedge"`, after a delay '
    'as well; `"race"`, all at once; or a table with its `kind` and its settings ([hedge](#hedge), '
    "[race](#race)).",
    "chain.fallback_on": "Failures that go on to the next endpoint although they would be raised at once.",
    "chain.breaker": "When an endpoint is left alone, and for how long: [settings](#breaker).",
    "chain.retry": "How repeats wait: [settings](#retry).",
    "chain.early_warning": "When to say that more calls than usual fall back: [settings](#early_warning).",
    "endpoint.params": "Parameters that replace the call's own for this endpoint.",
    "endpoint.price": "US dollars per million tokens: input, output, and cached input if that costs less.",
    "pool.endpoints": "Names of endpoints' sections, and `vendor/model`.",
}

# Forms that a type does not tell.
FORMS: Mapping[str, str] = {
    "chain.min_rate": 'two numbers, `[chars_per_s, over_s]`, or `"off"`',
    "chain.on_break": '`"continue"`, `"restart"` or `"raise"`, or an array of them',
    "chain.fallback_on": "name of an error or HTTP status, or an array of them",
    "chain.require": "array of texts",
    "breaker.rates": "array of `[failure_ratio, min_calls]`",
    "endpoint.capabilities": "array of texts",
    "endpoint.price": "array of two or three numbers, or a table",
    "pool.endpoints": "array of texts",
}


def pages() -> dict[str, str]:
    """The pages as they should be, by their paths."""
    tables = {"chain": _chain(), "rules": _rules()}
    tables |= {name: _table(name, settings_of(cls), _told(cls)) for name, cls in CHAPTERS.items()}
    found = {}
    for path in ("docs/settings.md", "docs/checks.md"):
        text = (ROOT / path).read_text(encoding="utf-8")
        found[path] = _MARKED.sub(lambda marks: f"{marks[1]}{tables[marks[2]]}\n{marks[3]}", text)
    return found


_MARKED = re.compile(r"(<!-- generated: (\w+) -->\n)(?:.*?\n)??(<!-- end -->)", re.DOTALL)


def _chain() -> str:
    return _table("chain", CHAIN_SETTINGS, _told(Chain))


def _table(chapter: str, settings: Mapping[str, Setting], told: Mapping[str, str]) -> str:
    lines = ["| setting | value | default | |", "|---|---|---|---|"]
    for name, setting in settings.items():
        if setting.can_be_written and name not in NOT_WRITTEN:
            place = f"{chapter}.{name}"
            text = INSTEAD.get(place, told.get(name, ""))
            cells = [f"`{name}`", FORMS.get(place) or _form(setting), _default(setting), text]
            lines.append("| " + " | ".join([cell.replace("|", "\\|") for cell in cells]) + " |")
    if chapter == "endpoint":
        lines.append(f"| `{REMOVED}` | array of texts | | Parameters that are not sent to this endpoint. |")
    return "\n".join(lines)


# A section's heading is the name, and a key has no place in a file.
NOT_WRITTEN = {"name", "api_key"}


def _form(setting: Setting) -> str:
    """What is written for it."""
    words = [f"`{_toml(word)}`" for word in setting.words]
    kinds = [kind for leaf in setting.leaves for kind in _kinds(leaf)]
    forms = list(dict.fromkeys([*kinds, *words, *(['`"off"`'] if setting.optional else [])]))
    return " or ".join([", ".join(forms[:-1]), forms[-1]]) if len(forms) > 1 else forms[0]


def _kinds(leaf: Any) -> list[str]:
    origin = typing.get_origin(leaf)
    if origin is Literal:
        return []
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return ["table"]
    if origin is type:
        return []
    if isinstance(leaf, type) and attrs.has(leaf):
        return ["table"]
    names = {bool: "`true` or `false`", int: "whole number", float: "number", str: "text"}
    return [names[leaf]] if leaf in names else []


def _default(setting: Setting) -> str:
    value = setting.default
    if value is attrs.NOTHING:
        return "needed"
    if attrs.has(type(value)) or value in ("", {}, ()) or (value is None and setting.classes):
        return ""
    return f"`{_toml(value)}`"


def _toml(value: object) -> str:
    if value is None:
        return '"off"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return f'"{value}"' if isinstance(value, str) else str(value)


def _told(cls: type) -> dict[str, str]:
    """What a class's docstring says of each of its settings."""
    text = inspect.getdoc(cls) or ""
    part = re.search(r"^(?:Args|Attributes):\n(.*?)(?=^\w+:$|\Z)", text, re.MULTILINE | re.DOTALL)
    told: dict[str, str] = {}
    for found in re.finditer(
        r"^    ([\w, ]+): (.*?)(?=^    \w|\Z)", part[1] if part else "", re.MULTILINE | re.DOTALL
    ):
        for name in found[1].split(", "):
            told[name] = re.sub(r"\s+", " ", found[2]).strip().replace("`None`", '`"off"`')
            told[name] = told[name].replace("A tuple gives", "An array gives")
    return told


_SAID = re.compile(r"^    ([\w, ]+): (.*?)(?=^    \w|\Z)", re.MULTILINE | re.DOTALL)


def _rules() -> str:
    lines = ["| code | | finding | why it matters |", "|---|---|---|---|"]
    lines += [f"| `{rule.code}` | {rule.severity} | {rule.title} | {rule.why} |" for rule in RULES]
    return "\n".join(lines)


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        (ROOT / path).write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
