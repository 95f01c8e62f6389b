"""The doors: three for HTTP, each with its own address and routes, one for RADIUS, one for the box's own commands."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge.adapters.radius.server import RadiusServer
from easyisp_edge.daemon.routers import radius_clients
from easyisp_edge.web.admin.serving import Desk
from easyisp_edge.web.app import admin_app, callbacks_app, portal_app
from easyisp_edge.web.health import router_facts

if TYPE_CHECKING:
    import contextlib
    import socket
    from pathlib import Path

    from easyisp_edge.config import Config
    from easyisp_edge.daemon.parts import Parts
    from easyisp_edge.daemon.surroundings import Surroundings
    from easyisp_edge.web.control import Control

_KEEPALIVE_SECONDS = 15.0
# A long export must not outlast what systemd waits for us in all.
_SHUTDOWN_SECONDS = 5.0
_BACKLOG = 1024


@dataclass(slots=True)
class Doors:
    """Opens them, says where they are, and closes them.

    Args:
        surroundings: Where sockets come from.
        portal: Address of the customers' door; each of these is empty until it is open.
        callbacks: Address of M-Pesa's door.
        admin: Address of the back office's door.
        radius_auth_port: UDP port for logins; 0 while closed.
        radius_acct_port: UDP port for accounting; 0 while closed.
        radius: What answers there.
        control: Path of the socket for the box's own commands, once open.
        runners: What serves the HTTP doors that are open.
    """

    surroundings: Surroundings
    portal: str = ""
    callbacks: str = ""
    admin: str = ""
    radius_auth_port: int = 0
    radius_acct_port: int = 0
    radius: RadiusServer | None = None
    control: str = ""
    runners: list[web.AppRunner] = field(default_factory=list)

    def __str__(self) -> str:
        places = {"portal": self.portal, "callbacks": self.callbacks, "admin": self.admin, "control": self.control}
        said = [f"{name} {place}" for name, place in places.items() if place]
        if self.radius is not None:
            said.append(f"radius {self.radius_auth_port} and {self.radius_acct_port}")
        return ", ".join(said)

    async def open_http(self, config: Config, parts: Parts) -> None:
        """Open the HTTP doors."""
        edge = config.edge
        app = portal_app(parts.portal)
        self.portal = await self._open("portal", app, edge.portal.address, edge.portal.port)
        office = admin_app(
            lambda: self._facts(parts),
            Desk(parts.people.gate, parts.site),
            parts.areas,
            lambda: parts.site.config.edge.admin.allowed_origins,
        )
        self.admin = await self._open("admin", office, edge.admin.address, edge.admin.port)
        if edge.callbacks.enabled:
            app = callbacks_app(parts.settlement, parts.site.receiver, parts.webhook)
            self.callbacks = await self._open("callbacks", app, edge.callbacks.address, edge.callbacks.port)

    async def open_control(self, path: Path, control: Control) -> None:
        """Open the door for the box's own commands.

        Raises:
            ConflictError: Another daemon lives there.
            EdgeError: It cannot be opened.
        """
        listening = self.surroundings.listen_control(path)
        await self._serve(control.app(self.surroundings.peer_name), listening)
        self.control = str(path)

    def open_radius(self, config: Config, parts: Parts, stack: contextlib.AsyncExitStack) -> RadiusServer:
        """Bind the RADIUS door; it answers once the server runs."""
        listener = config.edge.radius
        auth = self.surroundings.bind_udp("radius-auth", listener.address, listener.auth_port)
        stack.callback(auth.close)
        acct = self.surroundings.bind_udp("radius-acct", listener.address, listener.acct_port)
        stack.callback(acct.close)
        self.radius_auth_port, self.radius_acct_port = auth.address.port, acct.address.port
        self.radius = RadiusServer(
            auth=auth,
            acct=acct,
            clients=radius_clients(config),
            clock=parts.clock,
            authorize=parts.logins.answer,
            account=parts.accounting.account,
        )
        return self.radius

    async def close_http(self) -> None:
        """Take no more requests and let those under way finish."""
        for runner in reversed(self.runners):
            await runner.cleanup()

    async def _open(self, name: str, app: web.Application, address: str, port: int) -> str:
        listening = self.surroundings.listen(name, address, port)
        await self._serve(app, listening)
        host, real_port = listening.getsockname()[:2]
        return f"http://[{host}]:{real_port}" if ":" in host else f"http://{host}:{real_port}"

    async def _serve(self, app: web.Application, listening: socket.socket) -> None:
        runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            handle_signals=False,
        )
        await runner.setup()
        self.runners.append(runner)
        await web.SockSite(runner, listening, backlog=_BACKLOG).start()

    def _facts(self, parts: Parts) -> dict[str, Any]:
        return {
            "clock": parts.clock.state.value,
            "now": parts.clock.now().isoformat(timespec="seconds"),
            "radius": None if self.radius is None else dataclasses.asdict(self.radius.counters),
            "routers": {router_id: router_facts(watch.health) for router_id, watch in parts.watches.items()},
        }
