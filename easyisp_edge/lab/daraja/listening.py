"""One application on one port."""

from __future__ import annotations

from aiohttp import web

from easyisp_edge.errors import UnavailableError

_LAST_ANSWERS_SECONDS = 1.0


class Listener:
    """Opens and closes; the rest is aiohttp."""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self._host = ""

    @property
    def url(self) -> str:
        """`http://host:port`, without a slash at the end.

        Raises:
            UnavailableError: It is not open.
        """
        if self._runner is None or not self._runner.addresses:
            raise UnavailableError("lab.not_started", "The lab has no address before it is started.")
        port = self._runner.addresses[0][1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}"

    async def open(self, app: web.Application, host: str, port: int) -> None:
        """Serve the application.

        Raises:
            OSError: The address cannot be had.
        """
        # A client that hangs up ends its handler, so that a silent answer does not outlive who waits for it.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_LAST_ANSWERS_SECONDS
        )
        self._host = host
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def close(self) -> None:
        """Give the last answers, for a second at most, and free the port."""
        if self._runner is not None:
            await self._runner.cleanup()
