"""Whole programs that end, and processes that fork: nothing is left open, nothing hangs or complains."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from compat_kit import Outside, outside

from fallbackio.simulator import Behaviour

BLOCKING = """
from fallbackio.compat.litellm import Router, completion

place = {"model": "openai/ours", "api_base": "URL", "api_key": "k"}
messages = [{"role": "user", "content": "Hello"}]
router = Router(model_list=[{"model_name": "a", "litellm_params": place}])
print(completion(messages=messages, **place).choices[0].message.content)
print(router.completion("a", messages).choices[0].message.content)
stream = completion(messages=messages, stream=True, **place)
print(next(stream).choices[0].delta.content)
"""

ASYNC = """
import asyncio
from fallbackio.compat.litellm import acompletion

place = {"model": "openai/ours", "api_base": "URL", "api_key": "k"}
messages = [{"role": "user", "content": "Hello"}]


async def main():
    print((await acompletion(messages=messages, **place)).choices[0].message.content)
    stream = await acompletion(messages=messages, stream=True, **place)
    print((await anext(stream)).choices[0].delta.content)
    return stream


kept = asyncio.run(main())
asyncio.run(main())
"""

FORKED = """
import os
from fallbackio.compat.litellm import completion

place = {"model": "openai/ours", "api_base": "URL", "api_key": "k"}
messages = [{"role": "user", "content": "Hello"}]
print("before", completion(messages=messages, **place).choices[0].message.content, flush=True)
child = os.fork()
if child == 0:
    print("child", completion(messages=messages, **place).choices[0].message.content, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("parent", completion(messages=messages, **place).choices[0].message.content, flush=True)
"""


@pytest.fixture(scope="module")
def there() -> Iterator[Outside]:
    """What the programs ask."""
    with outside() as there:
        there.behave({"one": Behaviour(text="Hello you there", pace_s=0.05)})
        yield there


def run(program: str, there: Outside) -> str:
    """What the program prints, with every warning an error and nothing on its standard error."""
    text = program.replace("URL", f"{there.url('one')}/v1")
    ran = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-W", "error", "-c", text],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_a_blocking_program_ends(there: Outside) -> None:
    """It closes nothing and is over at once, with a stream that was left in mid-answer."""
    assert run(BLOCKING, there) == "Hello you there\nHello you there\nHello\n"
    there.until(lambda: there.in_flight("one") == 0)


def test_an_async_program_ends(there: Outside) -> None:
    """So does one with loops of its own, that keeps a stream beyond the end of its loop."""
    assert run(ASYNC, there) == "Hello you there\nHello\n" * 2
    there.until(lambda: there.in_flight("one") == 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_has_a_thread_of_its_own(there: Outside) -> None:
    """A server that forks after a first blocking call does not hang in its workers."""
    if sys.version_info >= (3, 12):
        pytest.skip("Python warns of every fork of a program with threads")
    printed = run(FORKED, there)

    assert printed == "before Hello you there\nchild Hello you there\nparent Hello you there\n"
