"""What the command was asked for, read and checked before anything is drilled.

A drill may take minutes, and many of them may follow one another: a mistake in the last file, a mistyped
requirement or a page that cannot be written is said before the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from fallbackio.config.files import ChainFile, read_toml
from fallbackio.drill import check_limits
from fallbackio.drill.report import check
from fallbackio.errors import ConfigError
from fallbackio.simulator import Scenario, scenario, scenarios

__all__ = ["Order", "chains_of", "check_page", "limits_of", "played", "writing"]


@frozen(kw_only=True)
class Order:
    """What is drilled.

    Attributes:
        chains: By what reports call them.
        scenarios: Each is played to all chains.
        streaming: Whether calls are streamed.
        embedding: Whether they are for vectors.
        sick: Who is in trouble, in place of the first endpoint.
        real_time: Whether time passes.
        limits: What must hold, as `Result.shortcomings` takes it.
        page: Where the page goes, if one is wanted.
        as_json: Whether the figures are printed as JSON and nothing else.
    """

    chains: Mapping[str, ChainFile]
    scenarios: Sequence[Scenario]
    streaming: bool
    embedding: bool
    sick: str | None
    real_time: bool
    limits: Mapping[str, float]
    page: Path | None
    as_json: bool


def played(
    names: Sequence[str] | None, rate: float | None, duration_s: float | None, seed: int | None
) -> list[Scenario]:
    """The scenarios that are meant; `s1` if none is named, and `all` is every one."""
    meant = scenarios() if "all" in (names or ()) else names or ("s1",)
    return [scenario(name, seed=seed).at(rate=rate, duration_s=duration_s) for name in meant]


def chains_of(files: Sequence[str] | None, name: str | None, *, compare: bool) -> dict[str, ChainFile]:
    """The chains of the files, by the shortest of their names that tells them apart."""
    if not files:
        raise ConfigError("which chain? give a TOML file, such as: fallbackio drill chain.toml --scenario s1")
    if compare and len(files) < 2:
        raise ConfigError("--compare needs two files")
    if twice := [file for file in files if files.count(file) > 1]:
        raise ConfigError(f"{twice[0]} is given twice")
    ways: tuple[Callable[[Path], str], ...] = (
        lambda path: path.stem,
        lambda path: f"{path.resolve().parent.name}/{path.stem}",
        str,
    )
    paths = [Path(file) for file in files]
    labels = next(made for way in ways if len(set(made := [*map(way, paths)])) == len(paths))
    return {
        label if name is None else f"{label}: {name}": read_toml(path, name)
        for label, path in zip(labels, paths, strict=True)
    }


def limits_of(given: Sequence[str] | None) -> dict[str, float]:
    """Requirements as they are written: `p99_s=8`."""
    limits: dict[str, float] = {}
    for one in given or ():
        name, _, value = (part.strip() for part in one.partition("="))
        try:
            limits[name] = float(value)
        except ValueError:
            raise ConfigError(f"--require takes NAME=VALUE, such as p99_s=8, not {one!r}") from None
    check_limits(limits)
    return limits


def check_page(path: Path) -> None:
    """Say what stands in the way of the page; leaves no file behind."""
    check()
    there = path.exists()
    with writing(path):
        path.open("ab").close()
        if not there:
            path.unlink()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A file that cannot be written is said in a sentence."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
