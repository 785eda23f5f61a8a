"""The decoder of server-sent events, against the specification read literally."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio.dialects._sse import SSEDecoder, encode
from fallbackio.errors import BadAnswer

BOM = b"\xef\xbb\xbf"


def literal(body: bytes) -> list[tuple[str, bytes]]:
    """The specification's own algorithm, line by line, without any thought of speed."""
    lines = body.removeprefix(BOM).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    events, name, data = [], b"", b""
    for line in lines[:-1]:  # what follows the last line end is no line
        if not line:
            if data:
                events.append((name.decode(errors="replace"), data[:-1]))
            name = data = b""
        elif line.startswith(b":"):
            continue
        else:
            field, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if field == b"data":
                data += value + b"\n"
            elif field == b"event":
                name = value
    return events


def fed(pieces: list[bytes], decoder: SSEDecoder | None = None) -> list[tuple[str, bytes]]:
    decoder = decoder or SSEDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def cut(body: bytes, step: int) -> list[bytes]:
    return [body[at : at + step] for at in range(0, len(body), step)]


BODIES: dict[str, tuple[bytes, list[tuple[str, bytes]]]] = {
    "one line": (b"data: a\n\n", [("", b"a")]),
    "several": (b"data: a\n\ndata: b\n\ndata: c\n\n", [("", b"a"), ("", b"b"), ("", b"c")]),
    "no space": (b"data:a\n\n", [("", b"a")]),
    "one space only is taken": (b"data:  a\n\n", [("", b" a")]),
    "named": (b"event: ping\ndata: {}\n\n", [("ping", b"{}")]),
    "name after the data": (b"data: {}\nevent: ping\n\n", [("ping", b"{}")]),
    "last name counts": (b"event: a\nevent: b\ndata: {}\n\n", [("b", b"{}")]),
    "many lines": (b"data: a\ndata\ndata: b\n\n", [("", b"a\n\nb")]),
    "CRLF": (b"event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", [("x", b"a"), ("", b"b")]),
    "CR": (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
    "mixed ends": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", [("", b"a"), ("", b"b"), ("", b"c")]),
    "byte order mark": (BOM + b"data: a\n\n", [("", b"a")]),
    "only the first mark": (BOM + BOM + b"data: a\n\ndata: b\n\n", [("", b"b")]),
    "comments": (b": ping\n\n:\n\ndata: a\n: in the middle\ndata: b\n\n", [("", b"a\nb")]),
    "blank lines": (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [("", b"a"), ("", b"b")]),
    "no data": (b"event: ping\n\ndata: a\n\n", [("", b"a")]),
    "empty data": (b"data\n\ndata:\n\n", [("", b""), ("", b"")]),
    "id and retry": (b"id: 1\nretry: 5\ndata: a\n\nid: 2\n\n", [("", b"a")]),
    "unknown and almost": (b"datas: x\n data: x\nDATA: x\ndata: a\n\n", [("", b"a")]),
    "colons in the data": (b"data: a: b: c\n\n", [("", b"a: b: c")]),
    "unfinished": (b"data: a\n\ndata: b\n", [("", b"a")]),
    "unicode separators": ("data: a\u2028b\u0085c\x0b\n\n".encode(), [("", "a\u2028b\u0085c\x0b".encode())]),
    "name that is no UTF-8": (b"event: \xff\ndata: a\n\n", [("\ufffd", b"a")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("step", [1, 2, 3, 7, 4096])
@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=BODIES.keys())
def test_events(body: bytes, expected: list[tuple[str, bytes]], step: int) -> None:
    """However the network cuts the bytes, the events are those of the specification."""
    assert expected == fed(cut(body, step))


@given(
    st.lists(
        st.sampled_from(
            [
                b"data",
                b"event",
                b"id",
                b":",
                b" ",
                b"\n",
                b"\r",
                b"\r\n",
                b"\n\n",
                b"x",
                b"data: a\n\n",
                BOM,
                b"\xef",
            ]
        ),
        max_size=40,
    ).map(b"".join),
    st.lists(st.integers(0, 120)),
)
def test_any_cut(body: bytes, cuts: list[int]) -> None:
    """Any bytes, cut anywhere, give what the specification read literally gives."""
    ends = [0, *sorted(cuts), len(body)]
    pieces = [body[start:end] for start, end in pairwise(ends)]

    assert literal(body) == fed(pieces)


@pytest.mark.parametrize("step", [1, 7, 100, 4096])
@pytest.mark.parametrize(
    "body",
    [
        b"data: " + b"x" * 95,
        b"data: " + b"x" * 95 + b"\n\n",
        b": " + b"x" * 99 + b"\n\n",
        b"data: x\n" * 13 + b"\n",
    ],
    ids=["unfinished", "finished", "comment", "many lines"],
)
def test_bound(body: bytes, step: int) -> None:
    """An event over the limit is refused with the limit named, however it is cut."""
    with pytest.raises(BadAnswer, match="larger than 100 bytes"):
        fed(cut(b"data: before\n\n" + body, step), SSEDecoder(max_event_bytes=100))


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_within_the_bound(step: int) -> None:
    """The limit is one event's, not the body's, and an event of just that size passes."""
    body = (b"data: " + b"x" * 94 + b"\n\n\n") * 20

    assert [("", b"x" * 94)] * 20 == fed(cut(body, step), SSEDecoder(max_event_bytes=100))


def test_linear_time() -> None:
    """An event in a million chunks costs time in proportion, not its square."""
    decoder = SSEDecoder()
    decoder.feed(b"data: ")
    started = time.process_time()
    for _ in range(100_000):
        decoder.feed(b"x" * 40)
    spent_s = time.process_time() - started

    assert [("", b"x" * 4_000_000)] == decoder.feed(b"\n\n")
    # Copying or searching what is there on each chunk would move 200 GB: a minute and more.
    assert spent_s < 5


@given(st.binary(), st.text(alphabet="abc_", max_size=5), st.integers(1, 9))
def test_round_trip(data: bytes, name: str, step: int) -> None:
    """What `encode` writes comes out again, with its line breaks as LF."""
    expected = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    assert [(name, expected)] == fed(cut(encode(data, name), step))
