"""fallbackio: the answer from whichever model is up."""

__version__ = "0.1.0"
