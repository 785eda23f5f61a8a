"""`import fallbackio` costs little and does nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

# Runs in a fresh interpreter: whoever imports fallbackio there sees what it drags in and what it touches.
PROBE = """
import sys
import aiobreaker, aiohttp, anyio, attrs, orjson
import logging, os

before = set(sys.modules)
touched = []
code = (".py", ".pyc", ".so", ".pyd")


class Watched(dict):
    def __getitem__(self, name):
        touched.append(f"environ {name}")
        return super().__getitem__(name)

    def get(self, name, default=None):
        touched.append(f"environ {name}")
        return super().get(name, default)

    __contains__ = lambda self, name: touched.append(f"environ {name}") or super().__contains__(name)
    __iter__ = lambda self: touched.append("environ, all of it") or super().__iter__()


def watch(event, args):
    if event == "open" and isinstance(args[0], str) and not args[0].removesuffix("~").endswith(code):
        if ".pyc." not in args[0]:  # the temporary file of a freshly compiled module
            touched.append(f"open {args[0]}")
    elif event.split(".")[0] in ("socket", "subprocess", "ctypes"):
        touched.append(event)


os.environ = Watched(os.environ)
sys.addaudithook(watch)
import fallbackio
done = list(touched)

loggers = [logging.root, *logging.root.manager.loggerDict.values()]
sys.stdout.buffer.write(orjson.dumps({
    "touched": done,
    "handlers": [str(handler) for logger in loggers for handler in getattr(logger, "handlers", [])],
    "level": logging.getLogger("fallbackio").level,
    "modules": sorted(sys.modules),
    "added": sorted(set(sys.modules) - before),
}))
"""

# What a program that only calls chains has no use for.
HEAVY = ["aiohttp.web", "typer", "click", "rich", "openai", "anthropic", "pytest", "hypothesis"]
NOT_FROM_THE_ROOT = ["fallbackio.cli", "fallbackio.simulator", "fallbackio.testing"]


@pytest.fixture(scope="module")
def seen() -> Mapping[str, Any]:
    """What one import in a fresh interpreter did."""
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True)  # noqa: S603
    found: dict[str, Any] = orjson.loads(run.stdout)
    return found


def test_nothing_heavy_comes_along(seen: Mapping[str, Any]) -> None:
    """No HTTP server, no terminal library, no SDK, and nothing of ours that is for tests or shells."""
    unwanted = [*HEAVY, *NOT_FROM_THE_ROOT]

    assert [name for name in unwanted if name in seen["modules"]] == []


def test_few_modules_come_along(seen: Mapping[str, Any]) -> None:
    """Beyond the five dependencies there is hardly anything to load but our own modules."""
    ours = [name for name in seen["added"] if name.partition(".")[0] == "fallbackio"]
    foreign = [name for name in seen["added"] if name not in ours]

    assert 40 < len(ours) <= 140
    assert len(foreign) <= 5, foreign


def test_it_touches_nothing(seen: Mapping[str, Any]) -> None:
    """No variable of the environment is read, no file opened but code, no socket, no process."""
    assert seen["touched"] == []


def test_it_sets_up_no_logging(seen: Mapping[str, Any]) -> None:
    """How the log is kept is the application's to say."""
    assert seen["handlers"] == []
    assert seen["level"] == 0
