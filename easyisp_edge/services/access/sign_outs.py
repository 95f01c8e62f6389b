"""A customer signs out: the device is put off, and not put on again until it asks for it.

What was bought stays as it is, and its time by the clock goes on; where only time online counts, that is saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.errors import ConflictError, NotFoundError
from easyisp_edge.services.access.grant_life import PAUSES_PER_DAY, let_on_again, take_off

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.services.access.granting import AccessService
    from easyisp_edge.store.store import Tables


@dataclass(frozen=True, slots=True)
class SignOutService:
    """Signs devices out, and in again.

    Whoever calls has made sure that it is the device itself that asks, or somebody with its login.

    Args:
        access: Has routers told; its store and clock are used.
    """

    access: AccessService

    async def sign_out(self, tenant_id: str, mac: MacAddress) -> None:
        """Put a device off by all it has; what it buys after that lets it on. Done already is fine.

        Raises:
            NotFoundError: There is nothing it is on by.
            ConflictError: Others are on by the same package, or it signed out too often today.
        """
        now = self.access.clock.now()
        await self.access.store.write(lambda tx: _sign_out(tx, tenant_id, mac, now))
        self.access.tell_routers(tenant_id)

    async def sign_in(self, tenant_id: str, mac: MacAddress) -> bool:
        """Have a device that signed out let on again by what it has; gives whether it had signed out."""
        if not self.is_signed_out(tenant_id, mac):
            return False
        back = await self.access.store.write(lambda tx: _sign_in(tx, tenant_id, mac))
        self.access.tell_routers(tenant_id)
        return back

    def is_signed_out(self, tenant_id: str, mac: MacAddress) -> bool:
        """Whether a device is off by its own wish, whatever it has."""
        usable = self.access.store.read.grants.usable_of_device(tenant_id, mac)
        off = [each for each in usable if each.off_since is not None]
        return bool(off) and all(any(each.keeps_off(other) for each in off) for other in usable)


def _sign_out(tx: Tables, tenant_id: str, mac: MacAddress, now: datetime) -> None:
    running = [each for each in _grants(tx, tenant_id, mac) if each.state is GrantState.RUNNING]
    if not running:
        raise NotFoundError("session.none", "This device is not online by a package of its own.")
    for grant in running:
        if any(session.mac != mac for session in tx.sessions.open_of_grant(grant.grant_id)):
            raise ConflictError("session.shared", "Other devices are online by the same package.")
        since = now - timedelta(days=1)
        if grant.off_since is None and tx.events.count_since(grant.grant_id, "grant.off", since) >= PAUSES_PER_DAY:
            raise ConflictError("session.limit", "This device signed out often enough for today.")
        take_off(tx, grant, now)


def _sign_in(tx: Tables, tenant_id: str, mac: MacAddress) -> bool:
    off = [each for each in _grants(tx, tenant_id, mac) if each.off_since is not None]
    for grant in off:
        let_on_again(tx, grant)
    return bool(off)


def _grants(tx: Tables, tenant_id: str, mac: MacAddress) -> list[Grant]:
    found = (tx.grants.by_id(each.grant_id) for each in tx.grants.usable_of_device(tenant_id, mac))
    return [grant for grant in found if grant is not None]
