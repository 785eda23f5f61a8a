"""What is wrong with a file, collected: a person who mends one slip wants to hear of all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import field, frozen

from fallbackio._checks import nearest
from fallbackio.errors import ConfigError

__all__ = ["BAD_VALUE", "NOT_DEFINED", "SECRET", "UNKNOWN", "Problem", "Problems", "refusal"]

# The codes that `fallbackio check` gives them.
UNKNOWN = "FB002"
BAD_VALUE = "FB003"
NOT_DEFINED = "FB004"
SECRET = "FB005"  # noqa: S105 - a code


@frozen
class Problem:
    """One thing that is wrong, and where: `chain.chat.timout`."""

    where: str
    text: str
    code: str = BAD_VALUE


@frozen
class Problems:
    """Those of one file, in the order of the file."""

    found: list[Problem] = field(factory=list)

    def add(self, where: str, text: object, code: str = BAD_VALUE) -> None:
        """Take note of one."""
        self.found.append(Problem(where, _in_toml(str(text)), code))

    def unknown(self, where: str, name: str, known: Iterable[str], what: str = "setting") -> None:
        """A name that is not one of `known`, with the one that may have been meant."""
        self.add(f"{where}.{name}" if where else name, nearest(what, name, known), UNKNOWN)


def _in_toml(text: str) -> str:
    """A message of a constructor's, with values as the file has them."""
    words = {"None": '"off"', "True": "true", "False": "false", "a tuple": "an array", "a set": "an array"}
    for word, written in words.items():
        text = text.replace(word, written)
    return re.sub(r"(?:frozenset\()?[({]((?:'\w+', )*'\w+'),?[)}]\)?", r"[\1]", text)


def refusal(path: Path, problems: Sequence[Problem]) -> ConfigError:
    """The error that says all of it."""
    told = [f"{problem.where}: {problem.text}" for problem in problems]
    if len(told) == 1:
        return ConfigError(f"{path}: {told[0]}")
    return ConfigError(f"{path}: {len(told)} problems\n" + "\n".join([f"  {line}" for line in told]))
