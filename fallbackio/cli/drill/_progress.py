"""How far a drill is, on a terminal; nothing where the output is no terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from fallbackio.simulator import Scenario

__all__ = ["Progress"]


class Progress:
    """A bar that fills as the scenario goes by; gone when it is over."""

    def __init__(self, played: Scenario, chain: str, *, quiet: bool) -> None:
        # On stderr, so that the output is the report.
        console = Console(stderr=True)
        self._played = played
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[said]}", style="bright_black"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task(f"{chain} in {played.name}", total=played.duration_s, said="")

    def tick(self, second: float, calls: int, failed: int) -> None:
        """Told now and then."""
        phase = [phase.name for at, phase in self._played.starts() if at <= second][-1]
        said = f"{phase}: {calls:,} calls" + (f", {failed:,} failed" if failed else "")
        self._bar.update(self._task, completed=second, said=said)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
