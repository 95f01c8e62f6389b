"""Staff see what customers may use now, start one package before another, move one to another device, or end it."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.grant_life import end, move
from easyisp_edge.services.staff import NOTE_LENGTH_MAX
from easyisp_edge.services.standing import lapses_at, opens_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission, Grant
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.domain.values import MacAddress, Msisdn
    from easyisp_edge.services.access import AccessService
    from easyisp_edge.services.presence import Presence
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)


class Sought(NamedTuple):
    """Which grants are looked for; None for any.

    Args:
        mac: Those for that device.
        phone: Those of the customer with that number.
        mpesa_receipt_number: What that payment bought, or the purchase it was made for got.
    """

    mac: MacAddress | None = None
    phone: Msisdn | None = None
    mpesa_receipt_number: str | None = None


class ListedGrant(NamedTuple):
    """A grant as staff see it at one instant.

    Args:
        admission: The grant, with what it bought.
        phone: Its customer's number, where it was told.
        over: Whether nothing is left of it.
        seconds_left: Time left by the clock.
        online_seconds_left: Time left of what is counted online, as reported so far; None where only the clock counts.
        opens_at: When it may be used next, where it is shut at that instant.
        online: Whether somebody is on by it.
        router_ids: On which routers, as far as that is known.
    """

    admission: Admission
    phone: Msisdn | None
    over: bool
    seconds_left: int
    online_seconds_left: int | None
    opens_at: datetime | None
    online: bool
    router_ids: tuple[str, ...]


class GrantList(NamedTuple):
    """What was found.

    Args:
        at: The instant it is true of.
        grants: Those with something left before those that are over, the newest first.
        sessions: The open ones of the device, where one was named.
    """

    at: datetime
    grants: list[ListedGrant]
    sessions: list[Session]


@dataclass(frozen=True, slots=True)
class GrantsDesk:
    """What staff may do about grants; none of it moves money.

    Args:
        access: Starts grants and tells routers; its store and clock are used.
        presence: Who is online.
        site: Who sells, by which routers.
    """

    access: AccessService
    presence: Presence
    site: Site

    async def grants(self, tenant_id: str | None, sought: Sought, *, over: bool, limit: int) -> GrantList:
        """What customers may use now, and on demand what is over; of all tenants where none is named.

        Raises:
            NotFoundError: No such tenant, or no payment with that receipt.
        """
        config, now = self.site.config, self.access.clock.now()
        tenants = config.tenants if tenant_id is None else (config.tenant(tenant_id),)
        tenant_ids = [tenant.id for tenant in tenants]

        def look(tables: Tables) -> GrantList:
            _refuse_unknown_receipt(tables, tenant_ids, sought)
            found = [each for named in tenant_ids for each in _found(tables, named, sought, over=over, limit=limit)]
            listed = [self._listed(tables, admission, phone, now) for admission, phone in found]
            shown = [each for each in listed if over or not each.over]
            newest = sorted(shown, key=lambda each: each.admission.created_at, reverse=True)
            return GrantList(now, sorted(newest, key=_is_over)[:limit], self._sessions(tables, tenant_ids, sought))

        found = await self.access.store.survey(look)
        return found._replace(grants=[self._with_presence(each) for each in found.grants])

    async def switch(self, grant_id: str, by: str) -> ListedGrant:
        """Let a grant's own device use it now; what runs there is set aside with the time it has left.

        Raises:
            NotFoundError: No such grant.
            ConflictError: It is for no device yet, over, or shut at this hour.
        """
        listed = self._usable(grant_id)
        mac = listed.admission.mac
        if mac is None:
            message = "It is for no device yet: whoever logs in with its user name uses it. Move it to a device first."
            raise ConflictError("grant.no_device", message)
        if listed.opens_at is not None:
            opening = listed.opens_at.astimezone(NAIROBI)
            raise ConflictError("grant.shut", f"It may not be used at this hour: it opens on {opening:%a at %H:%M}.")
        data = {"by": by, "mac": mac.text}
        await self.access.switch_to(
            listed.admission.tenant_id,
            mac,
            grant_id,
            noting=lambda tx: _note(tx, "staff.grant_switched", grant_id, data),
        )
        log.info("grant %s, started by %s", grant_id, by)
        return self._one(grant_id)

    async def move(self, grant_id: str, mac: MacAddress, by: str) -> ListedGrant:
        """Let a grant follow to another device; the one it was for is put off.

        How often a customer may do so within a day does not bind staff; it counts as one of those times. Where a
        package is for several devices, those that are on stay on.

        Raises:
            NotFoundError: No such grant.
            ConflictError: It is over, or for that device already.
        """
        moved = await self.access.store.write(lambda tx: _move(tx, _standing(tx, grant_id), mac, by))
        log.info("grant %s, moved to %s by %s", grant_id, mac, by)
        self.access.tell_routers(moved.tenant_id)
        return self._one(grant_id)

    async def end(self, grant_id: str, reason: str, by: str) -> ListedGrant:
        """End a grant and have its devices put off. What was paid for it stays as it is booked.

        Args:
            grant_id: Which.
            reason: Why, for whoever reads the books.
            by: Who ends it.

        Raises:
            InvalidError: There is no reason, or it is too long.
            NotFoundError: No such grant.
            ConflictError: It is over already.
        """
        written, now = _reason(reason), self.access.clock.now()

        def work(tx: Tables) -> Grant:
            ended = end(tx, _standing(tx, grant_id), "staff", now)
            _note(tx, "staff.grant_ended", grant_id, {"by": by, "reason": written})
            return ended

        ended = await self.access.store.write(work)
        log.info("grant %s, ended by %s", grant_id, by)
        self.access.ended.ring()
        self.access.tell_routers(ended.tenant_id)
        return self._one(grant_id)

    # --- one grant

    def _one(self, grant_id: str) -> ListedGrant:
        """A grant as it stands now."""
        tables = self.access.store.read
        grant, admission = tables.grants.by_id(grant_id), tables.grants.admission_by_id(grant_id)
        if grant is None or admission is None:
            raise _unknown(grant_id)
        phone = tables.customers.phone_of(grant.customer_id)
        return self._with_presence(self._listed(tables, admission, phone, self.access.clock.now()))

    def _usable(self, grant_id: str) -> ListedGrant:
        listed = self._one(grant_id)
        if listed.over:
            raise _is_over_already()
        return listed

    # --- how it is shown

    def _listed(self, tables: Tables, admission: Admission, phone: Msisdn | None, now: datetime) -> ListedGrant:
        over = not admission.usable_at(now)
        return ListedGrant(
            admission=admission,
            phone=phone,
            over=over,
            seconds_left=max(0, math.ceil((lapses_at(admission, now) - now).total_seconds())),
            online_seconds_left=admission.online_seconds_left,
            opens_at=None if over or admission.open_at(now) else opens_at(admission, now),
            online=False,
            router_ids=tuple(sorted({each.router_id for each in tables.sessions.open_of_grant(admission.grant_id)})),
        )

    def _with_presence(self, listed: ListedGrant) -> ListedGrant:
        """The same with whether somebody is on by it; only routers that report sessions say on which."""
        if not self.presence.is_online(listed.admission.username):
            return listed._replace(router_ids=())
        return listed._replace(online=True, router_ids=listed.router_ids or self._only_router(listed.admission))

    def _only_router(self, admission: Admission) -> tuple[str, ...]:
        own = [router.id for router in self.site.config.routers if router.tenant == admission.tenant_id]
        valid = tuple(router_id for router_id in own if admission.package.valid_on(router_id))
        return valid if len(valid) == 1 else ()

    def _sessions(self, tables: Tables, tenant_ids: list[str], sought: Sought) -> list[Session]:
        if sought.mac is None:
            return []
        router_ids = {router.id for router in self.site.config.routers if router.tenant in tenant_ids}
        on = [each for each in tables.sessions.open_of_device(sought.mac) if each.router_id in router_ids]
        return sorted(on, key=lambda each: each.started_at, reverse=True)


def _found(
    tables: Tables, tenant_id: str, sought: Sought, *, over: bool, limit: int
) -> list[tuple[Admission, Msisdn | None]]:
    found = tables.grants.newest(tenant_id, limit, ended=False, **sought._asdict())
    if over:
        found += tables.grants.newest(tenant_id, limit, ended=True, **sought._asdict())
    return found


def _is_over(listed: ListedGrant) -> bool:
    return listed.over


def _refuse_unknown_receipt(tables: Tables, tenant_ids: list[str], sought: Sought) -> None:
    receipt = sought.mpesa_receipt_number
    if receipt is None:
        return
    payment = tables.payments.by_receipt(receipt)
    if payment is None or payment.tenant_id not in tenant_ids:
        raise NotFoundError("payment.unknown", f"There is no payment with the receipt {receipt}.")


def _standing(tx: Tables, grant_id: str) -> Grant:
    grant = tx.grants.by_id(grant_id)
    if grant is None:
        raise _unknown(grant_id)
    if grant.state is GrantState.ENDED:
        raise _is_over_already()
    return grant


def _move(tx: Tables, grant: Grant, mac: MacAddress, by: str) -> Grant:
    if grant.mac == mac:
        raise ConflictError("grant.same_device", f"It is for {mac} already.")
    moved = move(tx, grant, mac, by="staff")
    was = None if grant.mac is None else grant.mac.text
    _note(tx, "staff.grant_moved", grant.grant_id, {"by": by, "from": was, "mac": mac.text, "dailyLimitApplied": False})
    return moved


def _reason(text: str) -> str:
    written = text.strip()
    if not written or not written.isprintable() or len(written) > NOTE_LENGTH_MAX:
        message = f"Say in a line of at most {NOTE_LENGTH_MAX} characters why it is ended."
        raise InvalidError("grant.reason", message, field="reason")
    return written


def _note(tx: Tables, kind: str, grant_id: str, data: Mapping[str, object]) -> None:
    tx.events.append(Stream.MONEY, kind, grant_id, data)


def _unknown(grant_id: str) -> NotFoundError:
    return NotFoundError("grant.unknown", f"There is no grant {grant_id!r:.40}. The list of them shows their ids.")


def _is_over_already() -> ConflictError:
    return ConflictError("grant.over", "It is over: nothing is left of it.")
