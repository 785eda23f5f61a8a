"""The composition root: puts the parts together, and alone reads the environment."""

from fallbackio.config._address import Standing, standing_of
from fallbackio.config._chain import Chain

__all__ = ["Chain", "Standing", "standing_of"]
