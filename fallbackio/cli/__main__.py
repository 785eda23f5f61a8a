"""`python -m fallbackio.cli`, for where the command `fallbackio` is not on the path."""

from fallbackio.cli import main

main()
