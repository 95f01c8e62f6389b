"""A whole stand-in MikroTik: its parts joined, and what a test or a demo may do to it and see of it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.errors import NotFoundError
from easyisp_edge.lab.mikrotik.api_server import ApiRules, ApiServer, Refusal
from easyisp_edge.lab.mikrotik.command_tree import CommandTree
from easyisp_edge.lab.mikrotik.configuration import factory_configuration
from easyisp_edge.lab.mikrotik.console import Console
from easyisp_edge.lab.mikrotik.gates import Destination, garden_lets_through
from easyisp_edge.lab.mikrotik.hotspot import Hotspot
from easyisp_edge.lab.mikrotik.options import MikrotikOptions, set_up
from easyisp_edge.lab.mikrotik.owned_tasks import OwnedTasks
from easyisp_edge.lab.mikrotik.radius_client import RadiusClient
from easyisp_edge.lab.mikrotik.radius_incoming import RadiusIncoming
from easyisp_edge.lab.mikrotik.radius_side import RadiusSide
from easyisp_edge.lab.mikrotik.router_menus import RouterMenus
from easyisp_edge.lab.mikrotik.servlet import Servlet
from easyisp_edge.lab.mikrotik.system_clock import RouterClock
from easyisp_edge.lab.mikrotik.value_formats import mac_text
from easyisp_edge.machine import Wake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from easyisp_edge.lab.mikrotik.faults import Faults
    from easyisp_edge.lab.mikrotik.sessions import Session
    from easyisp_edge.lab.mikrotik.tables import Row
    from easyisp_edge.machine import Clock, Randomness

_SAYS_EMPTY_SINCE = (7, 18)
_BOUNDS_SESSIONS_SINCE = (7, 16)
_QUIET_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Device:
    """A device that is there, whether or not the router has heard of it.

    Args:
        mac: Upper case with colons.
        ip: IPv4 address.
    """

    mac: str
    ip: str


@dataclass(frozen=True, slots=True)
class ActiveDevice:
    """A logged-in device.

    Args:
        user: As it logged in.
        mac: Upper case with colons.
        ip: IPv4 address.
        server: The hotspot server.
        login_by: As `/ip/hotspot/active` names it.
        session_id: Acct-Session-Id.
        uptime_seconds: Since the login.
        time_left_seconds: Until the session time is up; None without a limit.
        bytes_in: From the device.
        bytes_out: To the device.
        rate_limit: In RouterOS's grammar, empty for none.
        radius: Whether RADIUS let it in.
    """

    user: str
    mac: str
    ip: str
    server: str
    login_by: str
    session_id: str
    uptime_seconds: float
    time_left_seconds: float | None
    bytes_in: int
    bytes_out: int
    rate_limit: str
    radius: bool


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
        self._api_port = 0
        self._running = False
        self._linked = True
        self._up = asyncio.Event()
        self._booting: asyncio.Task[None] | None = None
        tree = CommandTree(self.options.version)
        self.configuration = factory_configuration(tree)
        set_up(self.configuration, self.options)
        self.time = RouterClock(clock, self.options.ntp_seconds)
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
            portal_url=lambda: self.portal_url,
            is_up=lambda: self._running,
        )
        self._api = ApiServer(
            console=Console(tree, RouterMenus(self, clock).menus()),
            rules=ApiRules(
                users=self.options.api_users,
                old_login=self.options.old_login,
                max_sessions=self.options.max_sessions if tree.version >= _BOUNDS_SESSIONS_SINCE else None,
                says_empty=tree.version >= _SAYS_EMPTY_SINCE,
                addresses=self.options.api_addresses,
            ),
            clock=clock,
            randomness=randomness,
            settle=self.hotspot.settle,
        )

    async def start(
        self, host: str = "127.0.0.1", api_port: int = 0, http_port: int = 0, coa_port: int | None = None
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
        self._api_port = await self._api.listen(host, api_port)
        self._running = True
        self._up.set()
        for device in self.devices:
            self._hear(device)
        self._tasks.start(self._keep_time(), name=f"sessions of {self.identity}")

    async def close(self) -> None:
        """Switch it off for good and free everything.

        Raises:
            Exception: The first unexpected error of the router's background work.
        """
        self._running = False
        async with contextlib.AsyncExitStack() as closing:
            closing.push_async_callback(self._tasks.close)
            closing.callback(self._client.close)
            closing.callback(self.incoming.close)
            closing.push_async_callback(self._servlet.close)
            closing.push_async_callback(self._api.shut)

    @property
    def api_port(self) -> int:
        """The API's TCP port; the same across reboots."""
        return self._api_port

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
        await self._api.shut()
        self.hotspot.reboot()
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

    async def unreachable(self) -> None:
        """The link to the router goes: its port is closed, connections die, RADIUS packets get lost."""
        self._linked = False
        self._cut_radius(cut=True)
        await self._api.shut()

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
        if self._linked:
            await self._open_link()
        self._up.set()
        if self.options.reappear_seconds is not None:
            await self._clock.sleep(self.options.reappear_seconds)
            for device in self.devices:
                self._hear(device)

    async def _open_link(self) -> None:
        self._cut_radius(cut=False)
        self._api_port = await self._api.listen(self._host, self._api_port)

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
        if self._running and server is not None:
            self.hotspot.see(device.mac, device.ip, server)

    def _server(self) -> Row | None:
        return next(iter(self.configuration.servers.enabled()), None)

    def _device(self, mac: str) -> Device:
        device = self._devices.get(mac_text(mac))
        if device is None:
            raise NotFoundError("lab.mikrotik.no_device", f"no device {mac} is connected")
        return device

    def _seen(self, session: Session) -> ActiveDevice:
        now = self._clock.monotonic()
        return ActiveDevice(
            user=session.user,
            mac=session.host.mac,
            ip=session.host.ip,
            server=self.configuration.servers.value(session.host.server, "name"),
            login_by=session.login_by,
            session_id=session.acct_id,
            uptime_seconds=session.uptime(now),
            time_left_seconds=session.time_left(now),
            bytes_in=session.bytes_in,
            bytes_out=session.bytes_out,
            rate_limit=session.entitlement.rate_limit,
            radius=session.entitlement.radius,
        )
