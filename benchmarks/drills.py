"""How quick is a drill, and what makes it so?

The same drill over loopback sockets and over connections in memory, plain and streamed: processor time per
call, all in, from the user's call through the chain, two aiohttps and the simulator and back.  Rounds
are interleaved and the fastest of each is shown, because other work on the machine only ever adds.  An
hour of 20 calls per second is what the last line of the table is.  `drill` itself always plays in memory, so
for the comparison its parts are put together here.

    python benchmarks/drills.py           # prints
    python benchmarks/drills.py --write   # and puts the table into benchmarks/README.md
    python benchmarks/drills.py --quick   # a smoke test, figures without meaning
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import orjson
from page import machine, table, write

from fallbackio.drill import Result, drill
from fallbackio.drill._drill import carried_out
from fallbackio.drill._given import given
from fallbackio.drill._plan import Plan
from fallbackio.simulator import scenario
from fallbackio.testing import MemoryLoop, VirtualTimeLoop

CHAIN = ["openai/gpt-4o-mini", "anthropic/claude-3-5-haiku-latest", "groq/llama-3.3-70b-versatile"]
RATE = 20.0
HOUR_S = 3600.0


def drilled(loop: type[VirtualTimeLoop], seconds: float, *, streaming: bool) -> Result:
    """A drill in that kind of loop."""
    played = scenario("s1").at(rate=RATE, duration_s=seconds)
    return carried_out(Plan(given=given(CHAIN), scenario=played, streaming=streaming), loop=loop)


def cpu_per_call(loop: type[VirtualTimeLoop], seconds: float, *, streaming: bool) -> float:
    """Seconds of processor time for each call."""
    began = time.process_time()
    result = drilled(loop, seconds, streaming=streaming)
    return (time.process_time() - began) / result.total.calls


def compared(rounds: int, seconds: float) -> list[list[str]]:
    """Rows of the table: what, over sockets, in memory, the ratio."""
    fastest: dict[tuple[bool, type[VirtualTimeLoop]], float] = {}
    for _ in range(rounds):
        for streaming in (False, True):
            for loop in (VirtualTimeLoop, MemoryLoop):
                took = cpu_per_call(loop, seconds, streaming=streaming)
                fastest[streaming, loop] = min(took, fastest.get((streaming, loop), took))
    rows = []
    for streaming in (False, True):
        sockets, memory = fastest[streaming, VirtualTimeLoop], fastest[streaming, MemoryLoop]
        kind = "streamed, 60 tokens in 6 pieces" if streaming else "plain"
        rows.append(
            [
                f"a call, {kind}",
                f"{sockets * 1e3:.2f} ms",
                f"{memory * 1e3:.2f} ms",
                f"{memory / sockets:.2f}",
            ]
        )
    return rows


def whole_hour(seconds: float) -> list[str]:
    """The row of so many seconds, and whether a twelfth of it gives the same report twice."""
    began, cpu = time.perf_counter(), time.process_time()
    result = drill(CHAIN, "s1", rate=RATE, duration_s=seconds)
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    first, again = (
        orjson.dumps(drill(CHAIN, "s1", rate=RATE, duration_s=seconds / 12 + 15).to_dict()) for _ in range(2)
    )
    what = f"{result.total.calls:,} streamed calls, {seconds / 3600:g} h at {RATE:g} a second"
    said = "the same twice" if first == again else "**not the same twice**"
    return [what, "", f"{cpu:.0f} s ({took:.0f} s by the wall)", said]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    rows = compared(1, 15) if options.quick else compared(5, 60)
    rows.append(whole_hour(60 if options.quick else HOUR_S))
    text = table(["processor time of", "over loopback", "in memory", "ratio"], rows)
    text += f"\n\n{machine()}."
    print(text)
    if options.write:
        write("drills", text)


if __name__ == "__main__":
    main()
