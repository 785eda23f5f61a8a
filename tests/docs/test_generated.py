"""The pages that list settings and findings say what the code says."""

from __future__ import annotations

import pytest
from generated import ROOT, pages
from pages_kit import rows, section

from fallbackio.config.checks import RULES
from fallbackio.config.files._sections import CHAIN_SETTINGS


@pytest.mark.parametrize("path", sorted(pages()))
def test_the_page_is_up_to_date(path: str) -> None:
    """Whoever adds a setting or a rule runs `python tests/docs/generated.py`."""
    assert (ROOT / path).read_text(encoding="utf-8") == pages()[path]


def test_every_setting_of_a_chain_is_listed_with_words() -> None:
    """None without a sentence of what it does."""
    table = rows(section("docs/settings.md", "`[chain.NAME]`"))

    assert {cells[0].strip("`") for cells in table} == {
        name for name, setting in CHAIN_SETTINGS.items() if setting.can_be_written
    }
    assert [cells[0] for cells in table if len(cells[-1]) < 10] == []


def test_every_finding_is_listed() -> None:
    """By its code."""
    text = section("docs/checks.md", "The findings")

    assert [rule.code for rule in RULES if f"| `{rule.code}` |" not in text] == []
