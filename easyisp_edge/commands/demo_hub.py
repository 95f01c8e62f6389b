"""The demo's hub: on SQLite and loopback, with the demo's box enrolled and confirmed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.database_address import SqliteAddress

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.daemon import Daemon
    from easyisp_edge.hub.hub import Hub
    from easyisp_edge.machine import Clock, Randomness

_TOKEN_OCTETS = 24
_SITE = "Demo"
_WHO = "the demo"


@dataclass(frozen=True, slots=True)
class DemoHub:
    """A hub that runs beside the demo's box.

    Args:
        hub: The hub.
        url: Where it is.
        token: What opens its pages.
    """

    hub: Hub
    url: str
    token: str

    async def take_in(self, daemon: Daemon) -> None:
        """Enrol the demo's box, and confirm it: here nobody else could have come with the code."""
        if self.hub.parts is None:
            raise RuntimeError("The hub runs without parts.")
        enrolment = self.hub.parts.enrolment
        new = await enrolment.new_code(_SITE)
        enrolled = await daemon.parts.central.enrolment.run(self.url, new.code, _WHO)
        await enrolment.confirm(new.site_id, enrolled.fingerprint)

    def said(self) -> str:
        """Where to look, for people."""
        return (
            f"fleet {self.url}/fleet\n"
            f"The fleet's page lets in anybody with the password: {self.token}\n"
            "M-Pesa's callbacks come by way of the hub, as they do to a box without a public address.\n"
        )


@contextlib.asynccontextmanager
async def running_hub(
    folder: Path, listening: socket.socket, parts: tuple[Clock, Randomness]
) -> AsyncIterator[DemoHub]:
    """A hub that runs within the block.

    Args:
        folder: For its books and its secrets.
        listening: Its door, which it closes.
        parts: Time and chance.
    """
    # Only a demo with a hub needs these.
    from easyisp_edge.hub.config import HubConfig  # noqa: PLC0415
    from easyisp_edge.hub.hub import Hub  # noqa: PLC0415

    clock, randomness = parts
    host, port = listening.getsockname()[:2]
    url, token = f"http://{host}:{port}", base64.urlsafe_b64encode(randomness.token(_TOKEN_OCTETS)).decode()
    token_file = folder / "fleet-token"
    await asyncio.to_thread(_write_secret, token_file, token)
    config = HubConfig(
        public_url=url,
        database=SqliteAddress(folder / "hub.sqlite"),
        key_file=folder / "hub.key",
        fleet_token_file=token_file,
    )
    hub = Hub(config, clock, randomness, lambda _name, _address, _port: listening)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.run())
        await hub.ready.wait()
        try:
            yield DemoHub(hub, url, token)
        finally:
            hub.stop()


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")
