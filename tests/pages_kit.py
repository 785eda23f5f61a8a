"""The README and every page of `docs/`, cut into their fenced blocks.

A fence names its language.  What stands around it in the source says how it is tried:

- a file name, ```` ```python title="app.py" ````: later blocks of the page find it in their folder;
- ```` ```output ````: what the last block of Python prints; comments at its end say the same in short;
- ```` ```log ````: what the logger `fallbackio` writes meanwhile;
- `<!-- not run: why -->` before a block: it only has to compile.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

__all__ = ["Block", "PAGES", "ROOT", "blocks_of", "place", "recipe", "rows", "section", "text_of"]

ROOT = Path(__file__).parents[1]
PAGES = sorted(["README.md", *(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))])

_FENCE = re.compile(
    r"^(?P<note><!-- not run: (?P<excuse>.*?) -->\n+)?"
    r"(?P<indent> *)```(?P<language>[\w+-]*)(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')


@attrs.frozen
class Block:
    """One fenced block of a page.

    Attributes:
        title: The name of the file that it is, if it is one.
        excuse: Why it is not run, if it is not.
        output: What it prints, or `None` where the page does not say.
        log: What it logs, likewise.
    """

    page: str
    line: int
    language: str
    code: str
    title: str | None = None
    excuse: str | None = None
    output: str | None = None
    log: str | None = None

    def tree(self) -> ast.Module:
        """The block as Python; `await` may stand at the top level."""
        name = f"{self.page}, line {self.line}"
        tree = compile(self.code, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        assert isinstance(tree, ast.Module)
        return tree


def text_of(page: str) -> str:
    """The page's source."""
    return (ROOT / page).read_text(encoding="utf-8")


def place(block: Block) -> str:
    """What a test of the block is called."""
    return f"{block.page.removeprefix('docs/')}:{block.line}"


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page in their order, each with what the page says that it prints."""
    blocks: list[Block] = []
    for block in _fences(page):
        if block.language not in ("output", "log"):
            blocks.append(block)
            continue
        at = max(n for n, shown in enumerate(blocks) if shown.language == "python")
        if block.language == "output":
            blocks[at] = attrs.evolve(blocks[at], output=block.code)
        else:
            blocks[at] = attrs.evolve(blocks[at], log=block.code)
    return blocks


def _fences(page: str) -> Iterator[Block]:
    text = text_of(page)
    for found in _FENCE.finditer(text):
        code = re.sub(rf"^{found['indent']}", "", found["code"], flags=re.MULTILINE)
        title = _TITLE.search(found["info"])
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            code=code,
            title=title[1] if title else None,
            excuse=found["excuse"],
            output=_said_at_the_end(code) if found["language"] == "python" else None,
        )


def _said_at_the_end(code: str) -> str | None:
    """What the comments at the end of a block of Python say that it prints."""
    lines = code.rstrip("\n").split("\n")
    first = len(lines)
    while first and lines[first - 1].startswith("# "):
        first -= 1
    return "".join(f"{line.removeprefix('# ')}\n" for line in lines[first:]) or None


def recipe(page: str, title: str) -> Block:
    """The block of a page that is the file `title`."""
    return next(block for block in blocks_of(page) if block.title == title)


def section(page: str, title: str) -> str:
    """The text under a second-level heading of a page."""
    return text_of(page).split(f"\n## {title}\n")[1].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
