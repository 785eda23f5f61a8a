"""Wire bytes to fuzz with: the recorded ones of `tests/wire`, and ways to spoil them.

A mutation is drawn from a `random.Random`, so a seed repeats it.  Half of them know that there is
JSON inside: a random value of a random event is replaced by one of another type, since most flipped
bits end at the first parser and tell nothing about what comes after it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen

__all__ = ["SEEDS", "Seed", "mutated", "pieces"]

WIRE = Path(__file__).parent.parent / "wire"


@frozen
class Seed:
    """A recorded body."""

    dialect: str
    name: str
    wire: bytes

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream of events, or a plain answer."""
        return self.name.endswith((".sse", ".ndjson", ".eventstream"))


def _recorded() -> Iterator[Seed]:
    for path in sorted(WIRE.glob("*/*")):
        yield Seed(path.parent.name, path.name, path.read_bytes())


SEEDS = tuple(_recorded())


def _nested(depth: int, key: str = "") -> list[Any]:
    """Lists inside one another; with `key`, objects in between, as parts of a content are."""
    value: list[Any] = []
    for _ in range(depth):
        value = [{"type": key, key: value} if key else value]
    return value


# What may stand in place of any value of an event: other types, the edges of numbers, and depth,
# because orjson writes 254 levels and reads 1024, and Python's own stack ends in between.
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**63, -(2**63), 1.5, 1e308),
    *("", "error", "stop", "tool_use", "\u2028\u0000", "x" * 4000, "é🙂"),
    *([], {}, [None], [[]], [{}], ["text"], {"": None}, {"type": 7}),
    *(_nested(240), _nested(700), _nested(450, "thinking"), _nested(200, "text")),
    {"message": "busy", "type": "overloaded_error", "code": 529},
)

# What is spliced in between any two bytes.
# fmt: off
_SNIPPETS = (
    b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b":", b": ping\n\n",
    b"data: [DONE]\n\n", b"data:\n\n", b"data: null\n\n", b"data: []\n\n", b"data: {}\n\n", b"event: error\n",
    b'data: {"error": {"message": "busy", "code": 503}}\n\n', b'data: {"error": "busy"}\n\n',
    b"event: ping\ndata: {}\n\n", b'data: {"type": "message_stop"}\n\n', b"retry: 5\n", b"id: 1\n",
    b'"\\ud800"', b"1e999", b"-0", b"NaN", b'{"a":' * 1100, b"[" * 1100, b"9" * 400, b"\\u0000", b"null",
)
# fmt: on


def mutated(wire: bytes, lots: random.Random) -> bytes:
    """`wire` with one to four things done to it."""
    for _ in range(lots.choice((1, 1, 2, 4))):
        wire = lots.choice(_MUTATIONS)(wire, lots)
    return wire


def pieces(wire: bytes, lots: random.Random) -> list[bytes]:
    """`wire` cut at random places, none to thirty of them."""
    cuts = sorted(lots.randint(0, len(wire)) for _ in range(lots.choice((0, 1, 3, 30))))
    return [wire[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]


def _span(wire: bytes, lots: random.Random) -> tuple[int, int]:
    begin = lots.randint(0, len(wire))
    return begin, min(len(wire), begin + lots.choice((1, 2, 8, 64, 512)))


def _flip(wire: bytes, lots: random.Random) -> bytes:
    spoilt = bytearray(wire)
    for _ in range(lots.choice((1, 1, 3, 12)) if wire else 0):
        spoilt[lots.randrange(len(spoilt))] ^= 1 << lots.randrange(8)
    return bytes(spoilt)


def _delete(wire: bytes, lots: random.Random) -> bytes:
    begin, end = _span(wire, lots)
    return wire[:begin] + wire[end:]


def _repeat(wire: bytes, lots: random.Random) -> bytes:
    begin, end = _span(wire, lots)
    return wire[:end] + wire[begin:end] * lots.choice((1, 2, 20)) + wire[end:]


def _insert(wire: bytes, lots: random.Random) -> bytes:
    at = lots.randint(0, len(wire))
    return wire[:at] + lots.choice(_SNIPPETS) + wire[at:]


def _cut(wire: bytes, lots: random.Random) -> bytes:
    return wire[: lots.randint(0, len(wire))]


def _splice(wire: bytes, lots: random.Random) -> bytes:
    """Its beginning, and another one's end."""
    other = lots.choice(SEEDS).wire
    return wire[: lots.randint(0, len(wire))] + other[lots.randint(0, len(other)) :]


def _shuffle(wire: bytes, lots: random.Random) -> bytes:
    """Events in another order, some twice, some not at all."""
    events = wire.split(b"\n\n")
    return b"\n\n".join(lots.choices(events, k=len(events)))


def _retype(wire: bytes, lots: random.Random) -> bytes:
    """Another value somewhere inside the JSON of the body, or of one of its events."""
    try:
        return _dumps(_with_another(orjson.loads(wire), lots))
    except orjson.JSONDecodeError:
        pass  # it is a stream, or was spoilt before
    lines = wire.split(b"\n")
    data = [at for at, line in enumerate(lines) if line.startswith(b"data: {")]
    if not data:
        return wire
    at = lots.choice(data)
    try:
        lines[at] = b"data: " + _dumps(_with_another(orjson.loads(lines[at][6:]), lots))
    except orjson.JSONDecodeError:
        pass
    return b"\n".join(lines)


def _dumps(value: Any) -> bytes:
    """JSON deeper than orjson writes, and than Python's json does."""
    out: list[str] = []
    waiting: list[Any] = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _Written):
            out.append(value)
        elif isinstance(value, dict):
            waiting += [_Written("}"), *_between_commas(value), _Written("{")]
        elif isinstance(value, list):
            inner = [part for item in value for part in (item, _Written(","))][:-1]
            waiting += [_Written("]"), *reversed(inner), _Written("[")]
        else:
            out.append(orjson.dumps(value).decode())
    return "".join(out).encode()


class _Written(str):
    """A piece of JSON."""


def _between_commas(value: dict[str, Any]) -> list[Any]:
    """The members of an object, the last one first."""
    members = [(v, _Written(orjson.dumps(k).decode() + ":"), _Written(",")) for k, v in value.items()]
    return [part for member in reversed(members) for part in member][:-1]


def _with_another(value: Any, lots: random.Random) -> Any:
    """`value` with one of the values in it replaced, left out, or given twice."""
    places = list(_places(value))
    if not places:
        return lots.choice(_VALUES)
    holder, key = lots.choice(places)
    what = lots.random()
    if what < 0.15:
        del holder[key]
    elif what < 0.25:
        _, other = lots.choice(places)
        holder[key] = {str(other): holder[key]}
    elif what < 0.35:
        holder[key] = [holder[key], holder[key]]
    else:
        holder[key] = lots.choice(_VALUES)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where the values inside `value` stand; not the deepest ones."""
    waiting = [value] if isinstance(value, dict | list) else []
    for holder in waiting:
        if len(waiting) > 500:
            return
        keys: Any = holder if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])


_MUTATIONS = (_flip, _delete, _repeat, _insert, _cut, _splice, _shuffle, *[_retype] * 7)
