"""Doors for programs written for other libraries, each a package of its own by that library's name."""
