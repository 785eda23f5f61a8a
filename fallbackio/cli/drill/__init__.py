"""`fallbackio drill`: a chain of the user's own through simulated outages."""

from fallbackio.cli.drill._command import drill

__all__ = ["drill"]
