"""The LiteLLM column of docs/comparison.md, measured; by hand, after a new version of it.

    python tests/compat/measure_litellm.py PYTHON [PART_OF_A_ROW ...]

`PYTHON` is an interpreter that has LiteLLM installed.  Every row is a program of its own against three
simulated endpoints, with LiteLLM's defaults unless the row says otherwise; what it prints and how many
requests came is what the page says, rounded.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from attrs import frozen
from compat_kit import NAMES, Outside, outside

from fallbackio.errors import Overloaded
from fallbackio.simulator import Behaviour, Cut, Html, InBandError, Silence, Status, Trickle

PRELUDE = """
import asyncio, json, time, urllib.request
import litellm

MESSAGES = [{"role": "user", "content": "Hello"}]

def deployment(group, name):
    params = {"model": "openai/any", "api_base": f"BASE/{name}/v1", "api_key": "k"}
    return {"model_name": group, "litellm_params": params}

def router(names=("one", "two"), **settings):
    return litellm.Router(
        model_list=[deployment(name, name) for name in names],
        fallbacks=[{names[0]: [*names[1:]]}] if names[1:] else [],
        **settings,
    )

def stats(name):
    return json.load(urllib.request.urlopen("BASE/_sim/stats"))["endpoints"][name]

async def timed(call):
    began = time.monotonic()
    try:
        answer = await call
        said = repr(answer.choices[0].message.content)[:14]
    except Exception as error:
        said = type(error).__name__
    return f"{said} after {time.monotonic() - began:.1f} s"

async def streamed(call):
    text, reason = "", None
    try:
        async for chunk in await call:
            text += chunk.choices[0].delta.content or ""
            reason = chunk.choices[0].finish_reason or reason
        return f"{text!r} {reason}"
    except Exception as error:
        return f"{text!r} {type(error).__name__}"
"""


@frozen
class Row:
    """A row: how the endpoints behave, and the body of the program's `main`."""

    name: str
    behaviours: Mapping[str, Behaviour]
    main: str


def _all(behaviour: Behaviour) -> dict[str, Behaviour]:
    return dict.fromkeys(NAMES, behaviour)


STREAM = 'print(await streamed(router().acompletion("one", MESSAGES, stream=True)))'

ROWS = [
    Row(
        "answers 500, with the defaults",
        {"one": Behaviour(fault=Status(500))},
        'asked = router()\nfor _ in range(4):\n    print(await timed(asked.acompletion("one", MESSAGES)))',
    ),
    Row(
        "answers 429 with Retry-After: 20",
        {"one": Behaviour(fault=Status(429, retry_after_s=20))},
        'print(await timed(router().acompletion("one", MESSAGES)))',
    ),
    Row(
        "and its two fallbacks hang, timeout=1",
        _all(Behaviour(fault=Silence())),
        'print(await timed(router(("one", "two", "three"), timeout=1).acompletion("one", MESSAGES)))',
    ),
    Row(
        "sends its JSON byte by byte for 10 s, timeout=1",
        {"one": Behaviour(tokens=10, fault=Trickle(interval_s=0.02))},
        'print(await timed(router(("one",), timeout=1).acompletion("one", MESSAGES)))',
    ),
    Row("sends a page of HTML with a 200, streaming", {"one": Behaviour(fault=Html())}, STREAM),
    Row("ends a stream without its finish reason", {"one": Behaviour(fault=Cut(2, how="end"))}, STREAM),
    Row("cuts a stream after two words", {"one": Behaviour(pace_s=0.05, fault=Cut(2))}, STREAM),
    Row(
        "says overloaded in its stream's first event",
        {"one": Behaviour(fault=InBandError(Overloaded))},
        STREAM,
    ),
    Row(
        "and all others are down, 20 callers at once, three endpoints",
        _all(Behaviour(fault=Status(500))),
        'asked = router(("one", "two", "three"))\n'
        'calls = [timed(asked.acompletion("one", MESSAGES)) for _ in range(20)]\n'
        "print(max([(await call)[-7:] for call in asyncio.as_completed(calls)]))",
    ),
    # A deployment that is the only one of its group is never cooled, so here are two of a group.
    Row(
        "is still broken when its rest is over, 60 callers at once",
        {"one": Behaviour(fault=Status(500, after_s=0.5))},
        'two = [deployment("m", "one"), deployment("m", "two")]\n'
        "asked = litellm.Router(model_list=two, cooldown_time=2)\n"
        'for _ in range(12):\n    await timed(asked.acompletion("m", MESSAGES))\n'
        "await asyncio.sleep(2.5)\n"
        'before = stats("one")["requests"]\n'
        'await asyncio.gather(*[timed(asked.acompletion("m", MESSAGES)) for _ in range(60)])\n'
        'print(stats("one")["requests"] - before, "requests")',
    ),
    Row(
        "is raced against another, and the caller is cancelled",
        {"one": Behaviour(latency=2), "two": Behaviour(latency=2)},
        "asked = router()\n"
        "race = asyncio.ensure_future(\n"
        '    asked.abatch_completion_fastest_response(model="one, two", messages=MESSAGES)\n'
        ")\n"
        "await asyncio.sleep(0.5)\n"
        "race.cancel()\n"
        "await asyncio.sleep(2.5)\n"
        'print([(stats(name)["completed"], stats(name)["cancelled"]) for name in ("one", "two")])',
    ),
    Row(
        "is misspelt",
        {},
        'litellm.Router(model_list=[deployment("one", "one")], fallbacks=[{"noe": ["wto"]}])\n'
        'print("accepted")',
    ),
]


def measured(row: Row, there: Outside, python: str) -> str:
    """What the row's program prints, or the last line of its error."""
    body = "\n    ".join(row.main.splitlines())
    text = f"{PRELUDE}\nasync def main():\n    {body}\n\nasyncio.run(main())\n".replace(
        "BASE", there.simulator.url
    )
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL"}
    ran = subprocess.run(  # noqa: S603 - our own text
        [python, "-W", "ignore", "-c", text],
        capture_output=True,
        text=True,
        env=env,
        check=False,
        timeout=180,
    )
    lines = [line for line in ran.stdout.splitlines() if line and "litellm" not in line.lower()]
    return " | ".join([*lines, *(ran.stderr.strip().splitlines()[-1:] if ran.returncode else [])])


def main(python: str, *parts: str) -> None:
    """Print every row whose name holds one of the parts."""
    with outside() as there:
        for row in ROWS:
            if parts and not any(part in row.name for part in parts):
                continue
            there.behave(row.behaviours)
            said = measured(row, there, python)
            asked = sum([there.requests(name) for name in NAMES])
            print(f"{row.name}\n    {said}\n    {asked} requests in all", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
