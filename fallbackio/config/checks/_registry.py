"""All rules, by their codes; a family is a line here."""

from __future__ import annotations

from fallbackio.config.checks import _abilities, _load, _models, _reading, _spares, _surroundings, _times
from fallbackio.config.checks._finding import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    *_reading.RULES,
    *_spares.RULES,
    *_times.RULES,
    *_load.RULES,
    *_abilities.RULES,
    *_surroundings.RULES,
    *_models.RULES,
)
