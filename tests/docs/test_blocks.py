"""Every fenced block of the README and of `docs/` is tried; a new page is found by itself.

Python runs, and prints and logs what the page says.  The vendors are the simulator's and time is
virtual.  A block finds `fallbackio` and a `chain` of two vendors, may `await` at its top level, and what
it gives to `asyncio.run` is run as well; one that brings a loop of its own (`virtual_time`, `run`) runs
as a module, and then the tests that it defines.  Commands of ours have the options that the page gives
them, `curl` asks a simulator, and TOML builds chains.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import itertools
import logging
import re
import shlex
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import openai
import orjson
import pytest
import typer.main
import yaml
from pages_kit import PAGES, ROOT, Block, blocks_of, place, text_of
from vendors_kit import set_keys, simulated_vendors

import fallbackio
from fallbackio.cli._app import app
from fallbackio.simulator import Simulator, scenario
from fallbackio.testing import run, virtual_time

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
# What needs something that no test has; each says so in its page.
NOT_RUN = 2

_OWN_LOOP = {"VirtualTimeLoop", "drill", "run", "virtual_time"}
COMMANDS: Mapping[str, Any] = getattr(typer.main.get_command(app), "commands", {})
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]


def written_in(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def running(*languages: str) -> list[Block]:
    return [block for block in written_in(*languages) if block.excuse is None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to run in and to import from, with a made-up key for every vendor."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    set_keys(monkeypatch)
    yield tmp_path
    for name in {path.stem for path in tmp_path.glob("*.py")} & sys.modules.keys():
        del sys.modules[name]


@pytest.mark.parametrize("block", BLOCKS, ids=place)
def test_a_block_names_its_language(block: Block) -> None:
    """No block escapes by a language that nobody tries; `text` is for what is no code."""
    assert block.language in {"python", "bash", "toml", "json", "yaml", "javascript", "text"}
    assert block.language != "javascript" or block.excuse


@pytest.mark.parametrize("page", PAGES)
def test_code_stands_in_fences(page: str) -> None:
    """A block that is only indented would not be found."""
    outside = re.sub(r"^( *)```.*?^\1```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"\n\n {4}[^\s\-*\d].*", outside) == []
    assert "```" not in outside


def test_what_is_not_run_is_counted() -> None:
    """The note that spares a block from running has a reason, and every one is known here."""
    excuses = [(place(block), block.excuse) for block in BLOCKS if block.excuse is not None]
    assert len(excuses) == NOT_RUN, excuses
    assert [why for _, why in excuses if len(why) < 12] == []


@pytest.mark.parametrize("block", running("python"), ids=place)
def test_python_does_what_the_page_says(
    block: Block,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever copies a block gets a program that runs, and prints what stands under it."""
    lay_files(block, folder)
    for other in blocks_of(block.page):  # what its files name is set
        for name in re.findall(r'_env\s*=\s*"([^"]+)"', other.code if other.language == "toml" else ""):
            monkeypatch.setenv(name, "sk-not-a-key")
    with caplog.at_level(logging.INFO, logger="fallbackio"):
        if brings_its_own_loop(block):
            run_as_module(block)
        else:
            run(run_in_loop, block, monkeypatch)

    if block.output is not None:
        assert capsys.readouterr().out == block.output
    if block.log is not None:
        assert [record.getMessage() for record in caplog.records] == block.log.splitlines()


def lay_files(block: Block, folder: Path) -> None:
    """The files that the page has shown before this block."""
    for other in blocks_of(block.page):
        if other.line < block.line and other.title is not None:
            (folder / other.title).write_text(other.code, encoding="utf-8")


def brings_its_own_loop(block: Block) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module in ("fallbackio.testing", "fallbackio.drill")
        and {alias.name for alias in node.names} & _OWN_LOOP
        for node in ast.walk(block.tree())
    )


def run_as_module(block: Block) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(block.tree(), place(block), "exec"), names)  # noqa: S102 - our own pages
    for name, thing in list(names.items()):
        if name.startswith("test_"):
            thing()


async def run_in_loop(block: Block, patch: pytest.MonkeyPatch) -> None:
    mains: list[Any] = []
    patch.setattr(asyncio, "run", mains.append)  # a loop runs already
    async with simulated_vendors(patch):
        chain = fallbackio.Chain(["openai/gpt-6-luna", "anthropic/claude-sonnet-5-5"])
        names: dict[str, Any] = {"__name__": "page", "fallbackio": fallbackio, "chain": chain}

        code = compile(block.tree(), place(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert isinstance(code, types.CodeType)
        todo = eval(code, names)  # noqa: S307 - our own pages
        if todo is not None:
            await todo
        for main in mains:
            await main

        for made in [chain, *names.values()]:  # a page does not show how each of its things is closed
            if isinstance(made, fallbackio.Chain):
                await made.aclose()
            elif isinstance(made, openai.AsyncOpenAI):
                await made.close()


@pytest.mark.parametrize("block", written_in("python"), ids=place)
def test_a_blocks_names_exist(block: Block) -> None:
    """Every block compiles, and each name of ours in it is there, also where it cannot be run."""
    for node in ast.walk(block.tree()):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fallbackio"):
            module = importlib.import_module(node.module or "")
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "fallbackio":
            assert hasattr(fallbackio, node.attr)


@pytest.mark.parametrize("block", running("json"), ids=place)
def test_json_is_json(block: Block) -> None:
    """A block of JSON can be copied into a program."""
    orjson.loads(block.code)


@pytest.mark.parametrize("block", running("yaml"), ids=place)
def test_yaml_is_yaml(block: Block) -> None:
    """A block of YAML can be copied into a file."""
    yaml.safe_load(block.code)


@pytest.mark.parametrize("block", running("toml"), ids=place)
def test_toml_builds_what_it_describes(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chain of a file can be built, and a scenario can be read."""
    for name in re.findall(r'_env\s*=\s*"([^"]+)"', block.code):
        monkeypatch.setenv(name, "sk-not-a-key")
    path = folder / (block.title or "page.toml")
    path.write_text(block.code, encoding="utf-8")

    described = tomllib.loads(block.code)
    for name in described.get("chain", {}):
        fallbackio.Chain.from_toml(path, name=name)
    if "phases" in described:
        scenario(str(path))


@pytest.mark.parametrize("block", running("bash"), ids=place)
def test_a_shell_understands_it(block: Block) -> None:
    """Each block of commands is one for bash."""
    checked = subprocess.run(["bash", "-n"], input=block.code, text=True, capture_output=True, check=False)  # noqa: S607
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("block", running("bash"), ids=place)
def test_our_commands_take_these_options(block: Block, folder: Path) -> None:
    """A command of ours is called as it can be, an extra exists, a file that is run is on the page."""
    lay_files(block, folder)
    for name, *rest in commands_in(block):
        if name.endswith("fallbackio"):
            COMMANDS[rest[0]].make_context(rest[0], rest[1:])
        elif name.endswith("pip"):
            asked = {extra for word in rest for extra in re.findall(r"\[([\w,]+)\]", word)}
            assert {one for extras in asked for one in extras.split(",")} <= EXTRAS.keys()
        elif name.endswith("python") and rest[0].endswith(".py"):
            assert (folder / rest[0]).exists()


@pytest.mark.parametrize("block", [block for block in running("bash") if "/_sim" in block.code], ids=place)
@virtual_time
async def test_curl_switches_a_simulator(block: Block) -> None:
    """Each `curl` line to a simulator's control is understood by one."""
    async with Simulator() as sim, aiohttp.ClientSession() as session:
        for name, *rest in commands_in(block):
            if name == "curl":
                method, url, body = asked_by_curl(rest)
                path = url.removeprefix("http://127.0.0.1:8080")
                async with session.request(method, sim.url + path, data=body) as answer:
                    assert answer.status < 300, await answer.text()


def asked_by_curl(words: list[str]) -> tuple[str, str, str | None]:
    options = dict(itertools.pairwise(words))
    [url] = [word for word in words if word.startswith("http")]
    body = options.get("-d")
    return options.get("-X", "GET" if body is None else "POST"), url, body


def commands_in(block: Block) -> Iterator[list[str]]:
    """The simple commands of a block, as lists of words."""
    for line in _whole_lines(block.code):
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        command: list[str] = []
        for word in [*words, ";"]:
            if word and set(word) <= set("();<>|&"):
                if command:
                    yield command
                command = []
            elif command or not re.fullmatch(r"[A-Z_]+=.*", word):  # settings before it are no command
                command.append(word)


def _whole_lines(code: str) -> Iterator[str]:
    """Lines as bash takes them: one that ends in a backslash or within quotes goes on."""
    held = ""
    for line in code.splitlines():
        held += line
        if held.endswith("\\"):
            held = held.removesuffix("\\")
            continue
        try:
            shlex.split(held, comments=True)
        except ValueError:
            held += "\n"
            continue
        yield held
        held = ""
    assert not held
