"""What can go wrong, told apart by what the caller may do about it."""

from __future__ import annotations


class EdgeError(Exception):
    """An expected failure.

    Args:
        code: For programs and translation; lower case, dot-separated, never changed once shipped.
        message: For people: what is wrong and what to do.
        values: Figures the message contains, for those who translate it by its code.
    """

    def __init__(self, code: str, message: str, **values: object) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.values = values


class InvalidError(EdgeError):
    """The request cannot be understood or breaks a rule; sending it again will not help.

    Args:
        code: As in `EdgeError`.
        message: As in `EdgeError`.
        field: The input field at fault, where one is.
    """

    def __init__(self, code: str, message: str, *, field: str | None = None) -> None:
        super().__init__(code, message)
        self.field = field


class NotFoundError(EdgeError):
    """What was asked for does not exist."""


class ConflictError(EdgeError):
    """It collides with what already stands; look at that first."""


class RefusedError(EdgeError):
    """The other party understood and said no; nothing happened."""


class UnavailableError(EdgeError):
    """Nothing happened; try again.

    Args:
        code: As in `EdgeError`.
        message: As in `EdgeError`.
        retry_after_seconds: When the other party said how long to wait.
    """

    def __init__(self, code: str, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknownError(EdgeError):
    """It may have happened: ask before doing it again."""


class UnauthenticatedError(EdgeError):
    """Nobody knows who asks: log in first."""


class ForbiddenError(EdgeError):
    """Who asks is known, and may not do this."""


class TooManyError(UnavailableError):
    """Asked too often: nothing happened; try again later."""
