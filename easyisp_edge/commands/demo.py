"""`easyisp-edge demo`: the daemon between a stand-in M-Pesa and a stand-in MikroTik, nothing to configure."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from easyisp_edge.commands.demo_hub import running_hub
from easyisp_edge.commands.logs import write_logs
from easyisp_edge.commands.running import real_surroundings
from easyisp_edge.config import load_config
from easyisp_edge.daemon import Daemon
from easyisp_edge.domain.permissions import Role
from easyisp_edge.lab.daraja import DarajaLab
from easyisp_edge.lab.mikrotik import MikrotikLab
from easyisp_edge.lab.mikrotik.options import MikrotikOptions, RadiusServer
from easyisp_edge.services.staff.users import Author, NewUser
from easyisp_edge.system import SocketUdpEndpoint, SystemClock, SystemRandomness

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from easyisp_edge.commands.demo_hub import DemoHub
    from easyisp_edge.daemon import Surroundings

HOST = "127.0.0.1"
ROUTER_ID = "demo"
RADIUS_SECRET = "only-good-on-loopback"  # noqa: S105 - the lab's own
DEVICES = (("AA:BB:CC:00:00:01", "10.5.50.11"), ("AA:BB:CC:00:00:02", "10.5.50.12"))
_PORTAL_PORT, _PHONE_PORT, _OFFICE_PORT, _HUB_PORT = 8080, 8090, 8081, 8700
_OFFICE_EMAIL, _OFFICE_PASSWORD = "demo@example.com", "only for the demo"

_DIRECT = """[callbacks]
enabled = true
public_url = "{url}"
"""
_BY_HUB = """[central]
callbacks = true
"""
_PULL = """[gateway.pull]
nominated_number = "0712345678"
every = "1m"
"""
_FILES = {
    "edge.toml": """development = true
[portal]
address = "127.0.0.1"
[admin]
port = 0
{callbacks}
[mpesa]
base_url = "{daraja}"
[radius]
address = "127.0.0.1"
[store]
path = "{folder}/edge.sqlite"
[control]
path = "{folder}/control.sock"
[limits]
pushes_per_phone_hour = 60
pushes_per_device_hour = 60
cancels_per_phone_day = 100
""",
    "packages.toml": """[[package]]
id = "5m"
name = "A quick look"
price = 5
duration = "5m"
speed = "2M/5M"
[[package]]
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
speed = "5M/10M"
""",
    "gateways.toml": """[[gateway]]
id = "paybill"
name = "Lab PayBill"
sub_type = "PAYBILL"
shortcode = "174379"
consumer_key = "lab-key"
consumer_secret = "lab-secret"
passkey = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
environment = "sandbox"
base_url = "{daraja}"
{pull}
""",
    "portal.toml": """title = "Demo Wi-Fi"
support_phone = "0712 345 678"
""",
    "routers.toml": """[[router]]
id = "demo"
address = "127.0.0.1"
mode = "{mode}"
login_url = "{login}"
round_seconds = 10
[router.api]
tls = false
port = {api_port}
username = "edge"
password = "s3cret"
[router.radius]
secret = "only-good-on-loopback"
""",
}


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands around the demo's box.

    Args:
        daraja: M-Pesa.
        router: The router.
        hub: The hub, where there is one.
    """

    daraja: DarajaLab
    router: MikrotikLab
    hub: DemoHub | None


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the command."""
    parser = subparsers.add_parser("demo", help="try everything on this machine, with a stand-in M-Pesa and MikroTik")
    parser.add_argument("--radius", action="store_true", help="let devices on by RADIUS instead of hotspot users")
    parser.add_argument("--hub", action="store_true", help="with a hub, which the box is enrolled at")
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    parser.set_defaults(run=main)


def main(args: argparse.Namespace) -> int:
    """Run until Ctrl-C."""
    write_logs(args.log_level, as_json=False)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C before the daemon is there to be asked to stop
        asyncio.run(_demo("radius" if args.radius else "hotspot-user", with_hub=args.hub))
    return 0


async def _demo(mode: str, *, with_hub: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="easyisp-edge-demo-") as name, _Doors() as doors:
        clock, randomness = SystemClock(), SystemRandomness()
        async with contextlib.AsyncExitStack() as stack:
            daraja = DarajaLab(clock=clock, randomness=randomness)
            await daraja.start(HOST, phone_port=free_port(_PHONE_PORT))
            stack.push_async_callback(daraja.close)
            router = MikrotikLab(clock=clock, randomness=randomness, options=_router_options(mode, doors))
            await router.start(HOST)
            stack.push_async_callback(router.close)
            for mac, address in DEVICES:
                router.connect_device(mac, address)
            hub = None
            if with_hub:
                listening = socket.create_server((HOST, free_port(_HUB_PORT)))
                stack.callback(listening.close)
                hub = await stack.enter_async_context(running_hub(Path(name), listening, (clock, randomness)))
            values = {
                "folder": name,
                "mode": mode,
                "callbacks": _BY_HUB if hub else _DIRECT.format(url=f"http://{HOST}:{doors.port('callbacks')}"),
                "pull": "" if hub else _PULL,  # before a hub has taken the box in, it has no address to register
                "daraja": daraja.base_url,
                "login": f"{router.http_url}/login",
                "api_port": router.api_port,
            }
            await _run_daemon(Path(name), values, doors, Beside(daraja, router, hub))


async def _run_daemon(folder: Path, values: dict[str, object], doors: _Doors, beside: Beside) -> None:
    for name, text in _FILES.items():
        (folder / name).write_text(text.format(**values), encoding="utf-8")
    daemon = Daemon(load_config(folder, {}), doors.surroundings())
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(ending, daemon.stop)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(daemon.run())
        ready = tasks.create_task(daemon.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if daemon.ready.is_set():
            await _open_office(daemon)
            if beside.hub is not None:
                await beside.hub.take_in(daemon)
            _announce(daemon, beside)
        else:
            ready.cancel()


async def _open_office(daemon: Daemon) -> None:
    """Have somebody who may do everything at the back office."""
    somebody = NewUser(_OFFICE_EMAIL, "Demo", Role.SUPER_ADMIN, None, _OFFICE_PASSWORD)
    await daemon.parts.people.users.add(somebody, Author("the demo"))


def _announce(daemon: Daemon, beside: Beside) -> None:
    """Say where to look. The portal's address is the one the router sends its first device to."""
    mac, _ = DEVICES[0]
    sys.stdout.write(f"portal {beside.router.portal_link(mac)}\n")
    sys.stdout.write(f"phone {beside.daraja.phone_url}\n")
    sys.stdout.write(f"office {daemon.doors.admin}/api/openapi.json\n")
    sys.stdout.write(f"health {daemon.doors.admin}/health\n")
    sys.stdout.write(
        "Choose a package, type any number such as 0712345678, then enter the PIN 1234 on the phone's page.\n"
    )
    sys.stdout.write(f"The back office lets in {_OFFICE_EMAIL} with the password: {_OFFICE_PASSWORD}\n")
    if beside.hub is not None:
        sys.stdout.write(beside.hub.said())
    sys.stdout.write("Ctrl-C ends the demo.\n")
    sys.stdout.flush()


def _router_options(mode: str, doors: _Doors) -> MikrotikOptions:
    server = RadiusServer(
        address=HOST,
        secret=RADIUS_SECRET,
        authentication_port=doors.port("radius-auth"),
        accounting_port=doors.port("radius-acct"),
    )
    return MikrotikOptions(
        version="7.23.4",  # without holes that the daemon would warn of
        identity=ROUTER_ID,
        use_radius=mode == "radius",
        radius_servers=(server,) if mode == "radius" else (),
        portal_url=f"http://{HOST}:{doors.port('portal')}/?router={ROUTER_ID}",
    )


def free_port(wanted: int) -> int:
    """The port, or 0 for any free one where it is taken."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, wanted))
        except OSError:
            return 0
    return wanted


class _Doors:
    """The daemon's sockets, opened beforehand so that the stand-ins can be told where they are."""

    def __init__(self) -> None:
        self._listening = {
            "portal": socket.create_server((HOST, free_port(_PORTAL_PORT)), backlog=1024),
            "callbacks": socket.create_server((HOST, 0)),
            "admin": socket.create_server((HOST, free_port(_OFFICE_PORT))),
        }
        self._bound = {name: SocketUdpEndpoint.bind(HOST, 0) for name in ("radius-auth", "radius-acct")}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for door in self._all():
            door.close()

    def _all(self) -> Iterator[socket.socket | SocketUdpEndpoint]:
        yield from self._listening.values()
        yield from self._bound.values()

    def port(self, name: str) -> int:
        """The port of a door."""
        if name in self._bound:
            return self._bound[name].address.port
        return int(self._listening[name].getsockname()[1])

    def surroundings(self) -> Surroundings:
        """The real ones, with these sockets."""
        return replace(
            real_surroundings({}),
            listen=lambda name, _address, _port: self._listening[name],
            bind_udp=lambda name, _address, _port: self._bound[name],
        )
