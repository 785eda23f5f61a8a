"""What docs/from-litellm.md says of LiteLLM's parameters, compared with the table in the code."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from pages_kit import rows, section

from fallbackio.compat.litellm._module import OF_CALLS
from fallbackio.compat.litellm._table import CALL, DEPLOYMENT, ROUTER, Parameter

PAGE = "docs/from-litellm.md"

TABLES = {
    "Parameters of a call": CALL,
    "Parameters of a deployment": DEPLOYMENT,
    "Parameters of a Router": ROUTER,
}


@pytest.mark.parametrize("title", TABLES)
def test_the_page_has_every_parameter(title: str) -> None:
    """Who looks a parameter up reads what becomes of it, in the code's own words."""
    table: Mapping[str, Parameter] = TABLES[title]

    shown = {
        name: (how, why)
        for names, how, why in rows(section(PAGE, title))
        for name in re.findall(r"`([^`]+)`", names)
    }

    assert shown == {name: (row.how, row.why) for name, row in table.items()}


def test_the_page_has_every_setting_of_the_module() -> None:
    """The settings that count for all calls are those that the code takes."""
    text = section(PAGE, "Settings of the module").split("otherwise:")[1].split(". Those")[0]

    assert set(re.findall(r"`([^`]+)`", text)) == OF_CALLS
