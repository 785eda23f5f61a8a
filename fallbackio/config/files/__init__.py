"""Chains as TOML files; loaded when a file is read, because most programs read none."""

from fallbackio.config.files._file import ChainFile, read_toml

__all__ = ["ChainFile", "read_toml"]
