"""What a dialect costs: encoding a long conversation, decoding a streamed piece.

Pure CPU, no sockets: the request is what an agent sends on its fiftieth step, the stream is what
the dialect's own server side writes.  Targets: 200 µs for 100 messages, 15 µs for a piece.

    python benchmarks/dialects.py              # prints
    python benchmarks/dialects.py --write      # and puts the table into benchmarks/README.md
    python benchmarks/dialects.py --quick      # a moment, to see that it works
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from page import write

from fallbackio import Delta, Endpoint, Message, Reply, Request, Usage
from fallbackio.dialects import DIALECTS, Dialect, repaired
from fallbackio.endpoint import unnoted
from fallbackio.model import Choice

PIECES = 200

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


def conversation() -> list[dict[str, Any]]:
    """A hundred messages: a system message, questions, calls with their results, answers."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You are a weather service."}]
    step = 0
    while len(messages) < 97:
        call_id = f"call_{step}"
        called = {"name": "weather", "arguments": f'{{"city":"Oslo","days":{step}}}'}
        messages += [
            {"role": "user", "content": f"What will the weather be in {step} days? Should I go out? " * 3},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": call_id, "type": "function", "function": called}],
            },
            {"role": "tool", "tool_call_id": call_id, "content": '{"sky":"rain","degrees":7}' * 4},
            {"role": "assistant", "content": "It will rain, with seven degrees. Better stay at home. " * 3},
        ]
        step += 1
    messages += [{"role": "user", "content": "And next week?"}] * (100 - len(messages))
    return messages


def microseconds(work: Callable[[], object], rounds: int) -> float:
    """The median time of one call, in µs of this process's CPU."""
    times = []
    for _ in range(rounds):
        began = time.process_time_ns()
        for _ in range(20):
            work()
        times.append((time.process_time_ns() - began) / 20_000)
    return statistics.median(times)


def endpoint_of(dialect: Dialect) -> Endpoint:
    """An endpoint of the dialect; the model's name decides as little as possible."""
    base_url = f"http://localhost:1{dialect.base}"
    return Endpoint("model-1", base_url=base_url, api_key="key", dialect=dialect.name)


def pieces_of(dialect: Dialect, request: Request) -> list[bytes]:
    """A streamed answer as the dialect's server side writes it, one piece each."""
    text = [f" word{number}" for number in range(PIECES)]
    reply = Reply(
        id="answer-1",
        model="model-1",
        choices=(Choice(Message("".join(text)), "stop"),),
        usage=Usage(prompt_tokens=1000, completion_tokens=PIECES),
    )
    writer = dialect.server.writer(reply, request)
    return [writer.start(), *[writer.write(Delta(word)) for word in text], writer.finish(reply)]


def read(dialect: Dialect, pieces: list[bytes]) -> None:
    """Decode a streamed answer."""
    reader = dialect.client.reader()
    for piece in pieces:
        reader.feed(piece)
    reader.end()


def measure(rounds: int) -> str:
    """The table as text."""
    messages = conversation()
    request = Request.of(messages, {"tools": [TOOL], "temperature": 0.5, "max_tokens": 500}, stream=True)
    check = microseconds(lambda: repaired(request.messages, unnoted), rounds)
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} with CPython {platform.python_version()}, one core; medians "
        f"of {rounds} rounds. Looking a conversation of 100 messages through for broken tool loops takes "
        f"{check:.0f} µs more, whatever the dialect.",
        "",
        "| dialect | encode 100 messages | decode a streamed piece |",
        "|---|---|---|",
    ]
    for name, dialect in DIALECTS.items():
        endpoint = endpoint_of(dialect)
        encode = microseconds(lambda d=dialect, e=endpoint: d.client.encode(request, e), rounds)  # type: ignore[misc]
        pieces = pieces_of(dialect, request)
        decode = microseconds(lambda d=dialect, p=pieces: read(d, p), rounds) / len(pieces)  # type: ignore[misc]
        lines.append(f"| `{name}` | {encode:.0f} µs | {decode:.1f} µs |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--write", action="store_true", help="put the result into benchmarks/README.md")
    options = parser.parse_args()
    text = measure(3 if options.quick else 51)
    print(text)
    if options.write:
        write("dialects", text)


if __name__ == "__main__":
    main()
