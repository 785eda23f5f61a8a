"""The examples in the documentation of the testing kit and the simulator do what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    pytest.param(code, id=f"{page}-{number}")
    for page in ("testing.md", "simulator.md")
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.M | re.S)
    )
]


def test_there_are_examples() -> None:
    """Both pages have examples in Python."""
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(code: str) -> None:
    """An example runs as it stands, and so do the tests that it shows."""
    namespace: dict[str, Any] = {}
    exec(code, namespace)  # noqa: S102 - our own pages
    for name, thing in list(namespace.items()):
        if name.startswith("test_"):
            thing()
