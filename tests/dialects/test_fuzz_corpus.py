"""A short run of the fuzzing targets, always the same; `tests/fuzz` has the long one."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS
from fallbackio.errors import BadAnswer
from fallbackio.model import Message, Reply

sys.path.append(str(Path(__file__).parent.parent / "fuzz"))

from fuzz_chains import check_chain, check_cut_chain
from fuzz_mutation import SEEDS, Seed, mutated
from fuzz_targets import Check, check_body, check_cut, check_events, check_failure, check_stream

CODECS = [check_stream, check_body, check_failure, check_events]


@pytest.mark.parametrize("check", CODECS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.dialect}-{seed.name}")
def test_recorded_bytes(seed: Seed, check: Check) -> None:
    """Every recorded body keeps every promise."""
    check(seed.wire, random.Random(1))


@pytest.mark.parametrize("check", CODECS, ids=lambda check: check.__name__)
def test_spoilt_bytes(check: Check) -> None:
    """Whatever is done to them, only our own errors come out, and the same ones however they are cut."""
    lots = random.Random(4)
    for seed in SEEDS * 20:
        check(mutated(seed.wire, lots), lots)


@pytest.mark.parametrize("name", ["deep_arguments.sse", "deep_arguments.json"])
def test_arguments_deeper_than_orjson_writes(name: str) -> None:
    """Arguments that are an object too deep to be written as text are a bad answer, not orjson's error."""
    with pytest.raises(BadAnswer, match="nested too deep"):
        answer(name)


@pytest.mark.parametrize("name", ["deep_thinking.sse", "deep_thinking.json"])
def test_reasoning_deeper_than_the_stack(name: str) -> None:
    """Reasoning inside reasoning inside reasoning does not exhaust Python's stack."""
    assert answer(name).message == Message("", role="assistant")


def answer(name: str) -> Reply:
    client = DIALECTS["openai"].client
    wire = next(seed.wire for seed in SEEDS if seed.name == name)
    if name.endswith(".json"):
        return client.decode(wire)
    reader = client.reader()
    return assemble([*reader.feed(wire), *reader.end()])


def test_cut_answers() -> None:
    """A recorded answer that is cut off is an error or says all that it said whole."""
    lots = random.Random(5)
    for _ in range(2000):
        check_cut(b"", lots)


@pytest.mark.parametrize("check", [check_chain, check_cut_chain], ids=lambda check: check.__name__)
def test_spoilt_bytes_through_a_chain(check: Check) -> None:
    """Over real sockets the call ends in time, in an answer or in our own error, and nothing is left."""
    for number in range(100):
        lots = random.Random(number)
        check(mutated(lots.choice(SEEDS).wire, lots), lots)
