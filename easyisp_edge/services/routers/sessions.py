"""Whose the sessions on a router are, and whether their devices are still there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.config import RouterMode
from easyisp_edge.services.access.login_names import NameKind, login_name

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.routers import ActiveSession, HotspotHost
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.machine import Clock
    from easyisp_edge.store.store import Store

# A device that a router has not heard for so long may be at another; the router itself waits for minutes.
SILENT_SECONDS = 20


class KnownSession(NamedTuple):
    """A session on the router, and whose it is.

    Args:
        session: As it was seen.
        username: Its grant's user name, whatever the device logged in with; as seen where that is nobody's.
        ours: Whether it is there by us.
        stray: Whether the user it came by is gone from under it: what it uses would never be counted.
        left: Whether its device went over to another router.
    """

    session: ActiveSession
    username: str
    ours: bool
    stray: bool = False
    left: bool = False

    def stays(self, wanted: Mapping[str, Admission]) -> bool:
        """Whether it is of a grant that lets on, and still for this device: grants follow their buyers."""
        admission = wanted.get(self.username)
        return admission is not None and admission.serves(self.session.mac) and not self.stray and not self.left


@dataclass(frozen=True, slots=True)
class RouterSessions:
    """Knows the sessions of one router.

    Args:
        router_id: Which router.
        tenant_id: Whose.
        mode: How users get onto it.
        store: The store.
        clock: Box time.
    """

    router_id: str
    tenant_id: str
    mode: RouterMode
    store: Store
    clock: Clock

    def known(self, session: ActiveSession, users: Container[str]) -> KnownSession:
        """Whose a session is: by its user name, or by what else may be given to a router that asks by RADIUS.

        Args:
            session: As it was seen.
            users: The names of our users that stand on the router.
        """
        left = session.idle_seconds >= SILENT_SECONDS and self._went_on_elsewhere(session)
        if session.user in users or not session.by_radius:
            stray = session.user not in users and self.mode is RouterMode.HOTSPOT_USER
            ours = session.user in users or self.store.read.grants.by_username(session.user) is not None
            return KnownSession(session, session.user, ours=ours, stray=stray, left=left)
        now = self.clock.now()
        name = login_name(self.store.read, self.tenant_id, session.user, session.mac, now, self.router_id)
        if name is None:
            return KnownSession(session, session.user, ours=False)
        admission, by_address = name.admission, name.kind is NameKind.DEVICE
        if by_address:
            # What let it on then: by now another grant of it may be in turn.
            admission = self._booked(session) or admission
        username = session.user if admission is None else admission.username
        return KnownSession(session, username, ours=admission is not None or by_address, left=left)

    def is_elsewhere(self, host: HotspotHost) -> bool:
        """Whether a device that this router still has in sight is on at another one instead."""
        return host.idle_seconds >= SILENT_SECONDS and bool(self._elsewhere(host.mac))

    def _booked(self, session: ActiveSession) -> Admission | None:
        if session.mac is None:
            return None
        read = self.store.read
        for each in read.sessions.open_of_device(session.mac):
            if each.router_id == self.router_id and each.username == session.user and each.grant_id is not None:
                return read.grants.admission_by_id(each.grant_id)
        return None

    def _went_on_elsewhere(self, session: ActiveSession) -> bool:
        """Whether the device began another session at another router since this one began."""
        if session.mac is None:
            return False
        began_at: datetime = self.clock.now() - timedelta(seconds=session.uptime_seconds)
        return any(each.started_at > began_at for each in self._elsewhere(session.mac))

    def _elsewhere(self, mac: MacAddress) -> list[Session]:
        read = self.store.read
        others = [each for each in read.sessions.open_of_device(mac) if each.router_id != self.router_id]
        return [each for each in others if each.grant_id is not None and self._is_ours(each.grant_id)]

    def _is_ours(self, grant_id: str) -> bool:
        admission = self.store.read.grants.admission_by_id(grant_id)
        return admission is not None and admission.tenant_id == self.tenant_id
