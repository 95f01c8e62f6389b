"""How the daemon is: for the owner's monitoring, on the admin door only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge import __version__
from easyisp_edge.web.portal_api import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from easyisp_edge.domain.routers import RouterHealth


@dataclass(frozen=True, slots=True)
class Health:
    """The handler of the health route.

    Args:
        facts: What is known now, as JSON values.
    """

    facts: Callable[[], Mapping[str, Any]]

    def routes(self) -> list[web.RouteDef]:
        """The route."""
        return [web.get("/health", self.health)]

    async def health(self, _request: web.Request) -> web.Response:
        """That the loop turns, and what it knows."""
        return answer({"status": "ok", "version": __version__, **self.facts()})


def router_facts(health: RouterHealth) -> dict[str, Any]:
    """How a router is, as JSON values."""
    since = health.connected_since
    return {
        "state": health.state.value,
        "identity": health.identity,
        "version": None if health.version is None else str(health.version),
        "board": health.board,
        "connected_since": None if since is None else since.isoformat(timespec="seconds"),
        "last_error": health.last_error,
    }
