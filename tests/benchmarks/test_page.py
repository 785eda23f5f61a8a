"""The parts of pages that benchmarks write, and tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from page import table, write, written


def test_only_the_part_between_its_markers_is_replaced(tmp_path: Path) -> None:
    """What people wrote stays, other parts stay, and writing twice is writing once."""
    page = tmp_path / "page.md"
    before, after = (
        "Ours.\n<!-- a: begin -->\n",
        "<!-- a: end -->\nAlso.\n<!-- b: begin -->\nb\n<!-- b: end -->\n",
    )
    page.write_text(f"{before}old\n{after}")
    write("a", "new\nlines", page)
    write("a", "new\nlines", page)

    assert page.read_text() == f"{before}new\nlines\n{after}"
    assert (written("a", page), written("b", page)) == ("new\nlines", "b")


@pytest.mark.parametrize("text", ["nothing", "<!-- a: begin -->", "<!-- a: end -->"])
def test_a_page_without_the_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    """A marker that is missing is said, and nothing is written."""
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="has no part 'a'"):
        write("a", "new", page)

    assert page.read_text() == text


def test_tables() -> None:
    """Text to the left, figures to the right."""
    assert table(["x", "y"], [["a", "1"]]) == "| x | y |\n|---|---:|\n| a | 1 |"
