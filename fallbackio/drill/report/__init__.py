"""A result as a page: one HTML file that needs nothing else, with plots and tables (extra `report`).

The rows and sentences that it is made of are here as well, for the report of the command line.
"""

from __future__ import annotations

from fallbackio.drill.report._page import check, html
from fallbackio.drill.report._rows import Row, measures, moves, served
from fallbackio.drill.report._words import load, success, trouble, verdict

__all__ = ["Row", "check", "html", "load", "measures", "moves", "served", "success", "trouble", "verdict"]
