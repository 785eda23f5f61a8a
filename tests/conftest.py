"""Settings for all tests.

Hypothesis keeps no database and no deadline: a test's time is the machine's affair, and what a
failing run found belongs into the test as an `@example`.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, database=None)
settings.load_profile("house")
