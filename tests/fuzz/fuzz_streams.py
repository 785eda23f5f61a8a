"""Feeds spoilt wire bytes to the codecs and, now and then, through a real chain.

    python tests/fuzz/fuzz_streams.py --seconds 600
    python tests/fuzz/fuzz_streams.py --replay finding-….bin

Guided by coverage where `atheris` can be imported, by plain seeded mutation otherwise.  A finding does
not end the run: it is told once, by the place at which it was raised, its input is kept, and the exit
status is 1.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import hashlib
import importlib
import logging
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

sys.path.append(str(Path(__file__).resolve().parent.parent.parent))

atheris: Any
try:
    atheris = importlib.import_module("atheris")  # optional: it has wheels for some versions of Python only
except ImportError:
    atheris = None

if atheris is not None and "--plain" not in sys.argv:
    # Only what is imported in here tells libFuzzer which of its code was reached.
    with atheris.instrument_imports(include=["fallbackio"]):
        importlib.import_module("fallbackio")

from fuzz_chains import check_chain, check_cut_chain  # noqa: E402
from fuzz_mutation import SEEDS, mutated  # noqa: E402
from fuzz_targets import (  # noqa: E402
    Check,
    check_body,
    check_cut,
    check_events,
    check_failure,
    check_stream,
)

CODECS: tuple[Check, ...] = (check_stream, check_body, check_failure, check_events, check_cut)
CHAINS: tuple[Check, ...] = (check_chain, check_cut_chain)
# A chain takes as long as a hundred codecs.
CODECS_PER_CHAIN = 60
# An input that takes longer has sent something round in circles.
STUCK_S = 60
# The head of an input: the seed of all that is drawn by chance for it.
HEAD = 4


class Run:
    """One run: what was executed, and what was found."""

    def __init__(self, seconds: float, out: Path) -> None:
        self._began = self._told_at = time.monotonic()
        self._executions: collections.Counter[str] = collections.Counter()
        self._findings: collections.Counter[str] = collections.Counter()
        self._inputs = 0
        self._seconds = seconds
        self._out = out

    def one(self, data: bytes) -> None:
        """Check one input; ends the process when the time is up."""
        self._inputs += 1
        for check in CODECS:
            self._check(check, data)
        if self._inputs % CODECS_PER_CHAIN == 0:
            faulthandler.dump_traceback_later(STUCK_S, exit=True)
            for check in CHAINS:
                self._check(check, data)
            self._tell()

    def _check(self, check: Check, data: bytes) -> None:
        self._executions[check.__name__] += 1
        try:
            check(data[HEAD:], random.Random(data[:HEAD]))
        except Exception as error:  # whatever comes out is what we look for
            self._found(check, data, error)

    def _found(self, check: Check, data: bytes, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        place = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-3:]))
        # Where the stack ends is chance.
        key = f"{check.__name__} {type(error).__name__} " + (
            "" if isinstance(error, RecursionError) else place
        )
        self._findings[key] += 1
        if self._findings[key] > 1:
            return
        kept = self._out / f"finding-{check.__name__}-{hashlib.sha256(data).hexdigest()[:10]}.bin"
        kept.write_bytes(data)
        last = traceback.format_exception(error, limit=-6)
        print(f"FOUND {key}\n{''.join(last)[-3000:]}\nkept as {kept}", flush=True)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told_at > 60:
            self._told_at = now
            print(self._summary(), flush=True)
        if now - self._began > self._seconds:
            print(self._summary(), flush=True)
            # libFuzzer owns the process and would go on; it is left without good-byes.
            os._exit(1 if self._findings else 0)

    def _summary(self) -> str:
        seconds = time.monotonic() - self._began
        total = sum(self._executions.values())
        rate = total / seconds
        each = ", ".join(f"{name} {count:,}" for name, count in self._executions.items())
        found = "".join(f"\n  {count:,} × {key}" for key, count in self._findings.most_common())
        return (
            f"{seconds:.0f} s: {self._inputs:,} inputs, {total:,} executions, {rate:,.0f} per second "
            f"({each}); {len(self._findings)} findings{found}"
        )


def plainly(one: Callable[[bytes], None], seed: int, _: Path | None) -> NoReturn:
    """Mutate recorded bytes for ever."""
    lots = random.Random(seed)
    while True:
        wire = mutated(lots.choice(SEEDS).wire, lots)
        one(lots.randbytes(HEAD) + wire)


def guided(one: Callable[[bytes], None], seed: int, corpus: Path | None) -> NoReturn:
    """Let libFuzzer choose what to mutate, by the code that it reaches."""

    def mutate(data: bytes, limit: int, number: int) -> bytes:
        lots = random.Random(number)
        if len(data) <= HEAD or lots.random() < 0.3:
            return bytes(atheris.Mutate(data, limit))
        return (lots.randbytes(HEAD) + mutated(data[HEAD:], lots))[:limit]

    corpus = corpus or Path(tempfile.mkdtemp(prefix="fuzz-corpus-"))
    corpus.mkdir(exist_ok=True)
    for number, recorded in enumerate(SEEDS):
        (corpus / str(number)).write_bytes(bytes(HEAD) + recorded.wire)
    options = [
        f"-seed={seed}",
        "-max_len=16384",
        "-print_final_stats=0",
        "-verbosity=0",
        "-rss_limit_mb=4096",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one, custom_mutator=mutate)
    atheris.Fuzz()
    raise SystemExit("libFuzzer came back")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without atheris")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()), help="where inputs are kept")
    parser.add_argument("--corpus", type=Path, help="where atheris keeps what reached new code")
    parser.add_argument("--replay", type=Path, help="check this input once")
    options: Any = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("error")
    if options.replay:
        data = options.replay.read_bytes()
        for check in (*CODECS, *CHAINS):
            check(data[HEAD:], random.Random(data[:HEAD]))
        return
    run = Run(options.seconds, options.out)
    engine = plainly if atheris is None or options.plain else guided
    print(f"{len(SEEDS)} recorded bodies, {engine.__name__}", flush=True)
    engine(run.one, options.seed, options.corpus)


if __name__ == "__main__":
    main()
