"""The command line; needs the extra `cli`, and says so in one sentence where it is missing.

Nothing of typer or rich is imported before `main` runs.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the process's arguments; ends the process.

    Example:
        >>> fallbackio.cli.main()  # what the command `fallbackio` does
    """
    try:
        from fallbackio.cli._app import app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("fallbackio"):
            raise
        sys.exit(
            f"The command line needs {error.name}, which is not installed: pip install 'fallbackio[cli]'"
        )
    app()
