"""What cannot be told to FreeRADIUS."""

from __future__ import annotations

from easyisp_edge.errors import InvalidError


class UnwritableError(InvalidError):
    """FreeRADIUS would read a value as something else than it is, even as a program to run; nothing is written."""
