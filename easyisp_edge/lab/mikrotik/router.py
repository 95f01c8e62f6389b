"""A whole stand-in MikroTik: its parts joined, and what a test or a demo may do to it and see of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from easyisp_edge.errors import NotFoundError
from easyisp_edge.lab.mikrotik.accounts import Accounts
from easyisp_edge.lab.mikrotik.api_server import ApiRules, ApiServer, Refusal
from easyisp_edge.lab.mikrotik.command_tree import V7, CommandTree
from easyisp_edge.lab.mikrotik.configuration import factory_configuration, restore_factory
from easyisp_edge.lab.mikrotik.console import Console
from easyisp_edge.lab.mikrotik.devices import ActiveDevice, Device
from easyisp_edge.lab.mikrotik.faults import FaultKind
from easyisp_edge.lab.mikrotik.files import FileShelf
from easyisp_edge.lab.mikrotik.gates import Destination, garden_lets_through
from easyisp_edge.lab.mikrotik.hotspot import Hotspot
from easyisp_edge.lab.mikrotik.log_book import LogBook
from easyisp_edge.lab.mikrotik.options import CERTIFICATE_NAME, MikrotikOptions, build, set_up
from easyisp_edge.lab.mikrotik.owned_tasks import OwnedTasks
from easyisp_edge.lab.mikrotik.page_files import PageFiles
from easyisp_edge.lab.mikrotik.radius_client import RadiusClient
from easyisp_edge.lab.mikrotik.radius_incoming import RadiusIncoming
from easyisp_edge.lab.mikrotik.radius_side import RadiusSide
from easyisp_edge.lab.mikrotik.router_menus import RouterMenus
from easyisp_edge.lab.mikrotik.scheduler import Scheduler
from easyisp_edge.lab.mikrotik.scripts import Scripts
from easyisp_edge.lab.mikrotik.services import Services
from easyisp_edge.lab.mikrotik.servlet import Servlet, ServletRules
from easyisp_edge.lab.mikrotik.system_clock import TEXT_DATES_BEFORE, RouterClock
from easyisp_edge.lab.mikrotik.value_formats import mac_text
from easyisp_edge.machine import Wake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from easyisp_edge.lab.mikrotik.faults import Fault, Faults
    from easyisp_edge.lab.mikrotik.sessions import Session
    from easyisp_edge.lab.mikrotik.tables import Row
    from easyisp_edge.machine import Clock, Randomness

_SAYS_EMPTY_SINCE = (7, 18)
_DEVICE_MODE_SINCE = (7, 17)
_QUIET_SECONDS = 3600.0


class MikrotikLab:
    """A stand-in MikroTik hotspot router on loopback: API, RADIUS, and the servlet's pages.

    Args:
        clock: For sessions, time-outs and the router's own clock.
        randomness: For challenges and authenticators.
        options: How it is set up.

    Raises:
        InvalidError: The options name a version that is not played.
    """

    def __init__(self, *, clock: Clock, randomness: Randomness, options: MikrotikOptions | None = None) -> None:
        self.options = options or MikrotikOptions()
        self.portal_url = self.options.portal_url
        self.identity = self.options.identity
        self._clock = clock
        self._wake = Wake()
        self._tasks = OwnedTasks()
        self._devices: dict[str, Device] = {}
        self._host = ""
        self._running = False
        self._linked = True
        self._up = asyncio.Event()
        self._booting: asyncio.Task[None] | None = None
        self._scheduling: asyncio.Task[None] | None = None
        tree = CommandTree(self.options.version)
        self.version = tree.version
        self.configuration = factory_configuration(tree)
        if tree.version < V7 and not self.options.hotspot_package:
            tree.remove_menus("/ip/hotspot")
        self.time = RouterClock(clock, self.options.ntp_seconds)
        self.log = LogBook(self.time.now)
        self.files = FileShelf(self.configuration.others["/file"], tree.version, self.time.now)
        others = self.configuration.others
        line_seconds = self.options.script_line_seconds
        self.scripts = Scripts(others["/system/script"], tree, clock, self.log.write, line_seconds)
        self.scheduler = Scheduler(
            table=others["/system/scheduler"],
            scripts=self.scripts,
            time=self.time,
            clock=clock,
            forbidden=lambda: self.forbids("scheduler"),
            text_dates=tree.version < TEXT_DATES_BEFORE,
            log=self.log.write,
        )
        self.configuration.servers.computed = self._server_state
        self._build()
        set_up(self.configuration, self.options)
        self._client = RadiusClient(clock, self.options.radius_tries)
        self.radius = RadiusSide(
            configuration=self.configuration,
            client=self._client,
            randomness=randomness,
            tasks=self._tasks,
            identity=lambda: self.identity,
            unix_time=self.time.unix,
            logoff_url=lambda: f"{self.http_url}/logout",
            own_address=lambda: self._host,
        )
        self.hotspot = Hotspot(
            configuration=self.configuration,
            clock=clock,
            wake=self._wake,
            accountant=self.radius,
            tasks=self._tasks,
        )
        self.incoming = RadiusIncoming(self.configuration, self.hotspot, self.radius)
        self._servlet = Servlet(
            hotspot=self.hotspot,
            clock=clock,
            randomness=randomness,
            identity=lambda: self.identity,
            files=PageFiles(hotspot=self.hotspot, contents=self.files.contents, portal_url=lambda: self.portal_url),
            is_up=lambda: self._running,
            rules=ServletRules.of(tree.version),
        )
        self.console = Console(tree, RouterMenus(self, clock).menus())
        self.scripts.give(self.console)
        self._accounts = Accounts(self.configuration.others, tree.version)
        self._api = ApiServer(
            console=self.console,
            rules=ApiRules(
                find_user=self._accounts.find,
                old_login=self.options.old_login,
                says_empty=tree.version >= _SAYS_EMPTY_SINCE,
                max_sessions=self._accounts.max_sessions,
                welcome=self._accounts.welcome,
                log=self.log.write,
            ),
            clock=clock,
            randomness=randomness,
            settle=self.hotspot.settle,
            trouble=self._suffer,
        )
        self.services = Services(self.configuration.others["/ip/service"], self._api)
        if self.options.certificate is not None:
            self.services.certificates[CERTIFICATE_NAME] = self.options.certificate

    async def start(
        self,
        host: str = "127.0.0.1",
        api_port: int = 0,
        http_port: int = 0,
        coa_port: int | None = None,
        api_ssl_port: int = 0,
    ) -> None:
        """Switch the router on; port 0 takes any free one. With `coa_port`, `/radius/incoming` accepts there.

        Raises:
            OSError: A port is taken.
        """
        self._host = host
        await self._client.open(host)
        await self._servlet.open(host, http_port)
        if coa_port is not None:
            await self.incoming.open(host, coa_port)
        await self.services.open(host, {"api": api_port, "api-ssl": api_ssl_port})
        self._running = True
        self._up.set()
        for device in self.devices:
            self._hear(device)
        self._tasks.start(self._keep_time(), name=f"sessions of {self.identity}")
        self._keep_schedule()

    async def close(self) -> None:
        """Switch it off for good and free everything.

        Raises:
            Exception: The first unexpected error of the router's background work.
        """
        self._running = False
        async with contextlib.AsyncExitStack() as closing:
            closing.push_async_callback(self._tasks.close)
            closing.push_async_callback(self.scripts.stop)
            closing.callback(self._client.close)
            closing.callback(self.incoming.close)
            closing.push_async_callback(self._servlet.close)
            closing.push_async_callback(self.services.shut)

    @property
    def api_port(self) -> int:
        """The API's TCP port; the same across reboots."""
        return self.services.port("api")

    @property
    def api_ssl_port(self) -> int | None:
        """The TCP port of api-ssl; None while it is off."""
        return self._api.port("api-ssl")

    @property
    def coa_port(self) -> int | None:
        """The UDP port for CoA and Disconnect; None while `/radius/incoming` does not accept."""
        return self.incoming.port

    @property
    def http_url(self) -> str:
        """Where the servlet's pages are."""
        return self._servlet.url

    @property
    def host(self) -> str:
        """The address the router is bound to."""
        return self._host

    @property
    def api(self) -> ApiServer:
        """The API's door."""
        return self._api

    @property
    def faults(self) -> Faults:
        """The faults the API plays."""
        return self._api.faults

    @property
    def commands_seen(self) -> Sequence[tuple[str, ...]]:
        """Every sentence received, as its words; the newest ten thousand."""
        return self._api.record.commands_seen

    @property
    def refused(self) -> Sequence[Refusal]:
        """The sentences a real router of this version would not have taken."""
        return self._api.record.refused

    @property
    def active(self) -> list[ActiveDevice]:
        """Who is logged in now."""
        self.hotspot.settle()
        return [self._seen(session) for session in self.hotspot.sessions.values()]

    @property
    def users(self) -> list[dict[str, str]]:
        """The hotspot users as a print with passwords shows them."""
        self.hotspot.settle()
        users = self.configuration.users
        return [users.printed(row, sensitive=True) for row in users]

    @property
    def devices(self) -> list[Device]:
        """The devices that are there."""
        return list(self._devices.values())

    def connect_device(self, mac: str, ip: str) -> Device:
        """A device joins the Wi-Fi and sends something.

        Raises:
            ValueError: No MAC address.
        """
        device = Device(mac_text(mac), ip)
        self._devices[device.mac] = device
        self._hear(device)
        return device

    def disconnect_device(self, mac: str) -> None:
        """A device leaves; the router finds out when its time-outs pass."""
        if self._devices.pop(mac_text(mac), None) is not None:
            self.hotspot.leave(mac_text(mac))

    def traffic(self, mac: str, bytes_in: int = 0, bytes_out: int = 0) -> None:
        """A connected device sends and receives; what passes before it is logged in counts nowhere.

        Raises:
            NotFoundError: No such device is connected.
        """
        device = self._device(mac)
        self._hear(device)
        self.hotspot.count(device.mac, bytes_in, bytes_out)

    def is_online(self, mac: str) -> bool:
        """Whether the device may use the internet now."""
        self.hotspot.settle()
        host = self.hotspot.hosts.get(mac_text(mac))
        return host is not None and (host.mac in self.hotspot.sessions or self.hotspot.binding(host) == "bypassed")

    def may_reach(self, mac: str, destination: Destination) -> bool:
        """Whether the device gets there: online, or let through by the walled garden."""
        if self.is_online(mac):
            return True
        host = self.hotspot.hosts.get(mac_text(mac))
        return (
            host is not None
            and self.hotspot.binding(host) != "blocked"
            and garden_lets_through(self.configuration, host, destination)
        )

    def portal_link(self, mac: str) -> str:
        """The address the router would send this device's browser to.

        Raises:
            NotFoundError: The router does not see the device.
        """
        host = self.hotspot.hosts.get(mac_text(mac))
        if host is None:
            raise NotFoundError("lab.mikrotik.no_host", f"the router does not see {mac}")
        return self._servlet.portal_link(host)

    async def log_in(self, mac: str, user: str, password: str) -> None:
        """Log a device in as though its browser had posted the form.

        Raises:
            NotFoundError: The router does not see the device.
            TrapError: With the hotspot's wording of why not.
        """
        host = self.hotspot.hosts.get(mac_text(mac))
        if host is None:
            raise NotFoundError("lab.mikrotik.no_host", f"the router does not see {mac}")
        method = self.hotspot.method(host.server)
        await self.hotspot.login(host, user, password, login_by=f"http-{method}", method=method)

    async def reboot(self, down_seconds: float = 40.0) -> None:
        """Power goes now and comes back after `down_seconds`; returns once it is down.

        Connections die without a word and the port stays closed meanwhile; hosts and sessions are gone and
        nobody is told; users, profiles, bindings and cookies stay.
        """
        self._running = False
        self._up.clear()
        self._cut_radius(cut=True)
        await self.services.shut()
        self.hotspot.reboot()
        self.log.boot()
        self.files.boot()
        if self._scheduling is not None:
            self._scheduling.cancel()
        await self.scripts.stop()
        if self._booting is not None:
            self._booting.cancel()
        self._booting = self._tasks.start(self._boot(down_seconds), name=f"{self.identity} boots")

    async def until_up(self) -> None:
        """Return once the router runs again after a reboot."""
        await self._up.wait()

    def wipe(self) -> None:
        """The hotspot goes back to what it was in the factory: no users, profiles, bindings or cookies.

        Its server, the servers of `/radius` and the API's users stay, or the router could not be reached.
        """
        self.hotspot.reboot()
        self.hotspot.cookies.clear()
        of_the_hotspot = self.configuration
        for table in (
            of_the_hotspot.users,
            of_the_hotspot.user_profiles,
            of_the_hotspot.ip_bindings,
            of_the_hotspot.walled_garden,
            of_the_hotspot.walled_garden_ip,
        ):
            table.clear()
        for device in self.devices:
            self._hear(device)

    async def factory_reset(self) -> None:
        """Everything that was configured is gone; the API's users are those of the options, its ports as they are.

        Connections die without a word, as the router comes up anew; returns once it takes connections.
        """
        self.hotspot.reboot()
        self.hotspot.cookies.clear()
        self.incoming.reset()
        await self.services.shut()
        await self.scripts.stop()
        ports = self.services.ports()
        for table in self.configuration.tables().values():
            table.empty()
        restore_factory(self.configuration)
        self._build()
        self.services.keep(ports)
        self.identity = "MikroTik"
        if self._running and self._linked:
            await self.services.reopen()

    async def install_certificate(self, certificate: Path, key: Path, name: str = CERTIFICATE_NAME) -> None:
        """Put a certificate and its key on the router and let api-ssl show it from now on.

        Raises:
            OSError: A file cannot be read, or the port is taken.
        """
        self.services.certificates[name] = (certificate, key)
        table = self.configuration.others["/certificate"]
        if table.named(name) is None:
            table.add({"name": name, "common-name": self.identity})
        self.configuration.others["/ip/service"].change("api-ssl", {"certificate": name, "disabled": "no"})
        await self.services.renew()

    async def unreachable(self) -> None:
        """The link to the router goes: its port is closed, connections die, RADIUS packets get lost."""
        self._linked = False
        self._cut_radius(cut=True)
        await self.services.shut()

    async def reachable(self) -> None:
        """The link is back."""
        was_linked, self._linked = self._linked, True
        if self._running and not was_linked:
            await self._open_link()

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """The link is gone inside this block."""
        await self.unreachable()
        try:
            yield
        finally:
            await self.reachable()

    async def _boot(self, down_seconds: float) -> None:
        await self._clock.sleep(down_seconds)
        self.time.boot()
        self._running = True
        self._keep_schedule()
        if self._linked:
            await self._open_link()
        self._up.set()
        if self.options.reappear_seconds is not None:
            await self._clock.sleep(self.options.reappear_seconds)
            for device in self.devices:
                self._hear(device)

    def _keep_schedule(self) -> None:
        self._scheduling = self._tasks.start(self.scheduler.keep(self._tasks), name=f"schedule of {self.identity}")

    async def _open_link(self) -> None:
        self._cut_radius(cut=False)
        await self.services.reopen()

    def _build(self) -> None:
        build(self.configuration, self.options)
        self.files.put("flash/hotspot" if self.options.flash else "hotspot")

    def forbids(self, feature: str) -> bool:
        """Whether the device-mode forbids a feature such as `hotspot`; versions before 7.17 have no such mode."""
        mode = self.configuration.others["/system/device-mode"]
        return self.version >= _DEVICE_MODE_SINCE and mode.value(next(iter(mode)), feature) == "false"

    def _server_state(self, _: Row) -> dict[str, str]:
        if not self.forbids("hotspot"):
            return {}
        return {"invalid": "true", "proxy-status": "stopped", "comment": "inactivated, not allowed by device-mode"}

    def _suffer(self, fault: Fault) -> None:
        if fault.kind is FaultKind.WIPE_AFTER:
            self._tasks.start(self.factory_reset(), name=f"{self.identity} is reset")
        else:
            self._tasks.start(self.reboot(fault.seconds), name=f"{self.identity} goes down")

    def _cut_radius(self, *, cut: bool) -> None:
        self._client.cut_off = cut
        self.incoming.cut_off = cut

    async def _keep_time(self) -> None:
        while True:
            self.hotspot.settle()
            due = self.hotspot.next_due()
            wait = _QUIET_SECONDS if due is None else due - self._clock.monotonic()
            await self._wake.wait(self._clock, wait)

    def _hear(self, device: Device) -> None:
        server = self._server()
        if self._running and server is not None and not self.forbids("hotspot"):
            self.hotspot.see(device.mac, device.ip, server)

    def _server(self) -> Row | None:
        return next(iter(self.configuration.servers.enabled()), None)

    def _device(self, mac: str) -> Device:
        device = self._devices.get(mac_text(mac))
        if device is None:
            raise NotFoundError("lab.mikrotik.no_device", f"no device {mac} is connected")
        return device

    def _seen(self, session: Session) -> ActiveDevice:
        name = self.configuration.servers.value(session.host.server, "name")
        return ActiveDevice.of(session, name, self._clock.monotonic())
