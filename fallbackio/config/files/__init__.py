"""Chains as TOML files; loaded when a file is read, because most programs read none."""

from fallbackio.config.files._file import ChainFile, read_toml
from fallbackio.config.files._starting import Start, starting_file

__all__ = ["ChainFile", "Start", "read_toml", "starting_file"]
