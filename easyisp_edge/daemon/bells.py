"""The bell of a router that can let nobody on before FreeRADIUS knows them."""

from __future__ import annotations

from easyisp_edge.machine import Wake


class LoginsFirst(Wake):
    """A router's bell: whoever rings it has FreeRADIUS's users looked at first, and the router after that.

    Args:
        logins: The bell of what keeps those users.
    """

    def __init__(self, logins: Wake) -> None:
        super().__init__()
        self._logins = logins
        self._waiting = False

    def ring(self) -> None:
        """Have the users looked at, and then the router."""
        self._waiting = True
        self._logins.ring()

    def take(self) -> bool:
        """Whether it rang since this was asked last."""
        waiting, self._waiting = self._waiting, False
        return waiting

    def ring_router(self) -> None:
        """Have the router looked at now."""
        super().ring()
