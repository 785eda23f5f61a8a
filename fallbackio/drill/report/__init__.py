"""A result as a page: one HTML file that needs nothing else, with plots and tables (extra `report`)."""

from __future__ import annotations

from fallbackio.drill.report._page import check, html

__all__ = ["check", "html"]
