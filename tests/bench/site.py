"""A site to measure: a configuration folder, books with a past, and the daemon run on them as a real process."""

from __future__ import annotations

import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from easyisp_edge.config import load_config
from tests.bench.processes import HOST, SERVER_CORE, Server
from tests.fakes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from easyisp_edge.config import Config

ROUTER = "main"
RADIUS_SECRET = "only-good-on-loopback"

_EDGE = """development = true
[portal]
address = "{host}"
port = {portal}
[admin]
port = {admin}
[callbacks]
enabled = true
port = {callbacks}
public_url = "http://{host}:{callbacks}"
[radius]
address = "{host}"
auth_port = {radius_auth}
acct_port = {radius_acct}
[store]
path = "{folder}/edge.sqlite"
[control]
path = "{folder}/control.sock"
[limits]
pushes_per_site_minute = 10000
"""

_PACKAGES = """[[package]]
id = "1h"
name = "1 hour"
price = 10
duration = "1h"
speed = "2M/5M"
[[package]]
id = "1d"
name = "1 day"
price = 50
duration = "24h"
speed = "3M/8M"
[[package]]
id = "7d"
name = "7 days"
price = 250
duration = "7d"
speed = "3M/8M"
[[package]]
id = "30d"
name = "30 days"
price = 900
duration = "30d"
speed = "5M/10M"
"""

_GATEWAYS = """[[gateway]]
id = "paybill"
name = "Lab PayBill"
sub_type = "PAYBILL"
shortcode = "174379"
consumer_key = "lab-key"
consumer_secret = "lab-secret"
passkey = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
environment = "sandbox"
base_url = "http://{host}:{payments}"
"""

_PORTAL = """title = "Example Wi-Fi"
support_phone = "0712 345 678"
note = "Trouble? Ask at the reception."
"""

_ROUTERS = {
    "radius": """[[router]]
id = "main"
address = "{host}"
mode = "radius"
login_url = "http://10.5.50.1/login"
[router.radius]
secret = "only-good-on-loopback"
""",
    "hotspot-user": """[[router]]
id = "main"
address = "{host}"
mode = "hotspot-user"
login_url = "http://10.5.50.1/login"
round_seconds = 5
[router.api]
tls = false
port = {router_api}
username = "edge"
password = "s3cret"
""",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything is; all free when they were drawn."""

    portal: int
    admin: int
    callbacks: int
    radius_auth: int
    radius_acct: int
    router_api: int
    payments: int

    @classmethod
    def draw(cls) -> Ports:
        """Other ones each time."""
        portal, admin, callbacks, router_api, payments = (free_port() for _ in range(5))
        auth, acct = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
        return cls(portal, admin, callbacks, auth, acct, router_api, payments)


@dataclass(frozen=True, slots=True)
class Site:
    """A configuration folder that passes the daemon's own checks."""

    folder: Path
    ports: Ports
    config: Config

    @classmethod
    def lay_out(cls, folder: Path, mode: str, books: Path | None = None) -> Site:
        """Write the files for a router of that mode; `books` is a store to begin with a copy of."""
        folder.mkdir()
        ports = Ports.draw()
        values = {name: getattr(ports, name) for name in Ports.__slots__} | {"folder": folder, "host": HOST}
        files = {"edge": _EDGE, "packages": _PACKAGES, "gateways": _GATEWAYS, "portal": _PORTAL}
        for name, text in (files | {"routers": _ROUTERS[mode]}).items():
            (folder / f"{name}.toml").write_text(text.format(**values), encoding="utf-8")
        if books is not None:
            shutil.copy(books, folder / "edge.sqlite")
        return cls(folder, ports, load_config(folder, {}))

    @property
    def store(self) -> Path:
        """The file its books are in."""
        return self.folder / "edge.sqlite"

    def run(self, wrapped: Callable[[Sequence[str]], Sequence[str]] = list) -> Server:
        """The daemon, started as its service starts it, on the servers' core; in another program if given."""
        program = Path(sys.executable).with_name("easyisp-edge")
        return Server(wrapped([str(program), "run", "--config", str(self.folder)]), core=SERVER_CORE)
