"""Chains as TOML files; loaded when a file is read, because most programs read none."""

from fallbackio.config.files._file import ChainFile, members_of, read_toml, sections_of
from fallbackio.config.files._problems import BAD_VALUE, NOT_DEFINED, SECRET, UNKNOWN, Problem
from fallbackio.config.files._sections import CHAIN_SETTINGS, REMOVED, Given, Sections, standing_in
from fallbackio.config.files._shape import Setting, settings_of
from fallbackio.config.files._starting import STARTERS, Start, starting_file

__all__ = [
    "BAD_VALUE",
    "CHAIN_SETTINGS",
    "NOT_DEFINED",
    "REMOVED",
    "SECRET",
    "UNKNOWN",
    "ChainFile",
    "Given",
    "Problem",
    "STARTERS",
    "Sections",
    "Setting",
    "Start",
    "members_of",
    "read_toml",
    "sections_of",
    "settings_of",
    "standing_in",
    "starting_file",
]
