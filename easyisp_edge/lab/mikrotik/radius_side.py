"""The hotspot's RADIUS side: asks for logins, accounts for sessions, over the servers of `/radius`."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyrad import packet as pyrad_packet

from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.local_users import INVALID_USERNAME, profile_entitlement
from easyisp_edge.lab.mikrotik.radius_client import Counters, RadiusClient, Server
from easyisp_edge.lab.mikrotik.radius_packets import (
    ChapChallenge,
    NasView,
    access_request,
    accounting_packet,
    accounting_request,
    first_value,
    granted,
)
from easyisp_edge.lab.mikrotik.value_formats import mac_in_form, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.lab.mikrotik.configuration import Configuration
    from easyisp_edge.lab.mikrotik.hotspot import Attempt
    from easyisp_edge.lab.mikrotik.owned_tasks import OwnedTasks
    from easyisp_edge.lab.mikrotik.sessions import Entitlement, Host, Session, TerminateCause
    from easyisp_edge.lab.mikrotik.tables import Row
    from easyisp_edge.machine import Randomness

NO_ANSWER = "RADIUS server is not responding"


class RadiusSide:
    """Authorisation and accounting of one router.

    Args:
        configuration: The router's tables.
        client: Its RADIUS socket.
        randomness: For authenticators and challenges.
        tasks: Owner of accounting packets under way.
        identity: Gives NAS-Identifier.
        unix_time: The router's own clock, which may be wrong.
        logoff_url: Gives the servlet's logout page.
        own_address: Where it sends from.
    """

    def __init__(
        self,
        *,
        configuration: Configuration,
        client: RadiusClient,
        randomness: Randomness,
        tasks: OwnedTasks,
        identity: Callable[[], str],
        unix_time: Callable[[], int],
        logoff_url: Callable[[], str],
        own_address: Callable[[], str],
    ) -> None:
        self._configuration = configuration
        self._client = client
        self._randomness = randomness
        self._tasks = tasks
        self._identity = identity
        self._unix_time = unix_time
        self._logoff_url = logoff_url
        self._own_address = own_address
        self._counters: dict[str, Counters] = {}

    def counters(self, row: Row) -> Counters:
        """What was counted of the server in that row of `/radius`."""
        return self._counters.setdefault(row.id, Counters())

    def reset_counters(self) -> None:
        """Count from zero."""
        self._counters.clear()

    def rows(self) -> list[Row]:
        """The rows of `/radius` that serve the hotspot, in order."""
        radius = self._configuration.radius
        return [row for row in radius.enabled() if "hotspot" in radius.value(row, "service").split(",")]

    async def authorise(self, attempt: Attempt) -> Entitlement:
        """Ask the servers in their order.

        Raises:
            TrapError: Refused, with Reply-Message where one came; or none answered.
        """
        for row in self.rows():
            reply = await self._ask(row, attempt)
            if reply is not None:
                return self._judged(row, reply, attempt.host)
        raise TrapError(NO_ANSWER)

    def started(self, session: Session) -> None:
        """Send Accounting Start."""
        self._account(session, "Start", session.started, None)

    def interim(self, session: Session, at: float) -> None:
        """Send Accounting Interim-Update."""
        self._account(session, "Interim-Update", at, None)

    def stopped(self, session: Session, cause: TerminateCause, at: float) -> None:
        """Send Accounting Stop."""
        self._account(session, "Stop", at, cause)

    def calling_station(self, host: Host) -> str:
        """The device's MAC as RADIUS is told it."""
        return mac_in_form(host.mac, self._profile(host.server, "radius-mac-format") or "XX:XX:XX:XX:XX:XX")

    async def _ask(self, row: Row, attempt: Attempt) -> Any | None:
        server = self._server(row, "authentication-port")
        chap: ChapChallenge | None = attempt.chap
        if chap is None and attempt.method == "chap":
            chap = ChapChallenge(self._randomness.token(1), self._randomness.token(16))
        request = functools.partial(
            access_request,
            attempt,
            self._nas(attempt.host, row),
            secret=self._secret(row),
            authenticator=self._randomness.token(16),
            chap=chap,
            message_authenticator=server.demand_message_authenticator,
        )
        return await self._client.exchange(request, server)

    def _judged(self, row: Row, reply: Any, host: Host) -> Entitlement:
        if reply.code != pyrad_packet.AccessAccept:
            self.counters(row).rejects += 1
            raise TrapError("".join(map(str, reply.get("Reply-Message") or ())) or INVALID_USERNAME)
        try:
            profile = self._configuration.user_profiles.named(first_value(reply, "Mikrotik-Group", ""))
            given = granted(reply, profile_entitlement(self._configuration, profile))
        except ValueError:  # an attribute of impossible length
            self.counters(row).bad_replies += 1
            raise TrapError(NO_ANSWER) from None
        self.counters(row).accepts += 1
        said = self._profile(host.server, "radius-interim-update")
        interim = given.interim_seconds if said == "received" else parse_duration(said or "0s") or None
        return replace(given, radius=True, interim_seconds=interim)

    def _account(self, session: Session, status: str, at: float, cause: TerminateCause | None) -> None:
        if self._profile(session.host.server, "radius-accounting") != "true" or not self.rows():
            return
        nas = self._nas(session.host, self.rows()[0])
        attributes = accounting_request(session, nas, status=status, at=at, timestamp=self._unix_time(), cause=cause)
        self._tasks.start(self._deliver(attributes), name=f"accounting {status} of {session.acct_id}")

    async def _deliver(self, attributes: dict[str | int, Any]) -> None:
        for row in self.rows():
            server = replace(self._server(row, "accounting-port"), demand_message_authenticator=False)
            packet = functools.partial(accounting_packet, attributes, self._secret(row))
            if await self._client.exchange(packet, server) is not None:
                return

    def _server(self, row: Row, port: str) -> Server:
        radius = self._configuration.radius
        signed = "require-message-auth" in radius.columns
        return Server(
            host=radius.value(row, "address"),
            port=int(radius.value(row, port)),
            timeout_seconds=parse_duration(radius.value(row, "timeout")),
            demand_message_authenticator=signed and radius.value(row, "require-message-auth") != "no",
            counters=self.counters(row),
        )

    def _secret(self, row: Row) -> bytes:
        return self._configuration.radius.value(row, "secret").encode("utf-8", "surrogateescape")

    def _profile(self, server: Row, name: str) -> str:
        profiles = self._configuration.server_profiles
        profile = profiles.named(self._configuration.servers.value(server, "profile"))
        return profiles.value(profile, name) if profile else ""

    def _nas(self, host: Host, row: Row) -> NasView:
        servers = self._configuration.servers
        return NasView(
            identity=self._identity(),
            nas_ip=self._configuration.radius.value(row, "src-address") or self._own_address(),
            server_name=servers.value(host.server, "name"),
            interface=servers.value(host.server, "interface"),
            port_type=self._profile(host.server, "nas-port-type"),
            calling=self.calling_station(host),
            logoff_url=self._logoff_url(),
        )
