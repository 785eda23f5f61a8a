"""What the tests of LiteLLM's door share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fallbackio.compat.litellm._process import PROCESS


@pytest.fixture
def settings_end_here() -> Iterator[None]:
    """Settings of the module are the program's; give the next test its own."""
    yield
    PROCESS.settings.clear()
