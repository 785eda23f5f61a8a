"""`fallbackio demo`: a chain lives through a scripted outage of three simulated vendors."""

from fallbackio.cli.demo._command import demo, perform

__all__ = ["demo", "perform"]
