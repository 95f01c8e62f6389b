"""What ends a command, or the whole connection, before its `!done`."""

from __future__ import annotations

BAD_ARGUMENT = 1
INTERRUPTED = 2


class TrapError(Exception):
    """The command is answered `!trap`, then `!done`.

    Args:
        message: RouterOS's wording.
        category: The number RouterOS sends with some traps.
    """

    def __init__(self, message: str, category: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.category = category


class RefusalError(TrapError):
    """The sentence itself is wrong: no such command, argument or value, or the user may not."""


class FatalError(Exception):
    """The connection is told why in one bare word, and closed.

    Args:
        reason: RouterOS's wording.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class WireError(Exception):
    """What came cannot be a sentence; nothing more on this connection can be read."""
