"""A result as a page: one HTML file that needs nothing else, with plots and tables (extra `report`).

Its sentences are here as well, for the report of the command line.
"""

from __future__ import annotations

from fallbackio.drill.report._page import check, html
from fallbackio.drill.report._words import trouble, verdict

__all__ = ["check", "html", "trouble", "verdict"]
