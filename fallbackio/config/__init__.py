"""The composition root: puts the parts together, and alone reads the environment."""

from fallbackio.config._address import Standing, standing_of
from fallbackio.config._chain import Chain
from fallbackio.config._environ import first_set
from fallbackio.config._extras import is_installed
from fallbackio.config._fleet import Fleet
from fallbackio.config._prices import flat_price
from fallbackio.config._reload import Reloaded
from fallbackio.config._steps import placed

__all__ = [
    "Chain",
    "Fleet",
    "Reloaded",
    "Standing",
    "first_set",
    "flat_price",
    "is_installed",
    "placed",
    "standing_of",
]
