"""Staff see what customers may use now, start one package before another, move one, give it more time, or end it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.access.grant_life import end, extend, move
from easyisp_edge.services.back_office.listed_grants import GrantView, ListedGrant
from easyisp_edge.services.back_office.staff_desk import NOTE_LENGTH_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission, Grant
    from easyisp_edge.domain.sessions import Session
    from easyisp_edge.domain.values import MacAddress, Msisdn
    from easyisp_edge.services.access.granting import AccessService
    from easyisp_edge.services.access.presence import Presence
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables

# More is another sale, or a slip of the hand.
EXTENDED_MOST = timedelta(days=31)
EXTENDED_LEAST = timedelta(seconds=1)

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
            listed = [self._view.read(tables, admission, phone, now) for admission, phone in found]
            shown = [each for each in listed if over or not each.over]
            newest = sorted(shown, key=lambda each: each.admission.created_at, reverse=True)
            return GrantList(now, sorted(newest, key=_is_over)[:limit], self._sessions(tables, tenant_ids, sought))

        found = await self.access.store.survey(look)
        return found._replace(grants=[self._view.with_presence(each) for each in found.grants])

    async def switch(self, grant_id: str, by: str, tenant_id: str | None = None) -> ListedGrant:
        """Let a grant's own device use it now; what runs there is set aside with the time it has left.

        Args:
            grant_id: Which.
            by: Who starts it.
            tenant_id: Whose it has to be; None for anybody's.

        Raises:
            NotFoundError: No such grant.
            ConflictError: It is for no device yet, over, or shut at this hour.
        """
        listed = self._usable(grant_id, tenant_id)
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

    async def move(self, grant_id: str, mac: MacAddress, by: str, tenant_id: str | None = None) -> ListedGrant:
        """Let a grant follow to another device; the one it was for is put off.

        How often a customer may do so within a day does not bind staff; it counts as one of those times. Where a
        package is for several devices, those that are on stay on.

        Args:
            grant_id: Which.
            mac: The other device.
            by: Who moves it.
            tenant_id: As in `switch`.

        Raises:
            NotFoundError: No such grant.
            ConflictError: It is over, or for that device already.
        """
        moved = await self.access.store.write(lambda tx: _move(tx, _standing(tx, grant_id, tenant_id), mac, by))
        log.info("grant %s, moved to %s by %s", grant_id, mac, by)
        self.access.tell_routers(moved.tenant_id)
        return self._one(grant_id)

    async def extend(
        self, grant_id: str, span: timedelta, reason: str, by: str, tenant_id: str | None = None
    ) -> ListedGrant:
        """Give a grant more time by the clock, from its end on; no money moves.

        Where a package counts time online, that stays as it was bought: it may be used for longer. Who is on by it
        stays on, or is let on again by the router's next round where the router's own limit comes first.

        Args:
            grant_id: Which.
            span: How much more, in whole seconds: at most `EXTENDED_MOST` at once.
            reason: Why, for whoever reads the books.
            by: Who gives it.
            tenant_id: As in `switch`.

        Raises:
            InvalidError: So much cannot be given, or there is no reason, or it is too long.
            NotFoundError: No such grant.
            ConflictError: `grant.over`: what is over stays over; `grant.provisional`: its money is not known yet.
        """
        if not EXTENDED_LEAST <= span <= EXTENDED_MOST:
            message = f"A grant is extended by a second at least and by {EXTENDED_MOST.days} days at most at once."
            raise InvalidError("grant.extended_by", message, field="seconds")
        written, now = _reason(reason), self.access.clock.now()

        def work(tx: Tables) -> Grant:
            grant = _extendable(tx, grant_id, tenant_id, now)
            longer = extend(tx, grant, span)
            _note(
                tx,
                "staff.grant_extended",
                grant_id,
                {"by": by, "reason": written, "seconds": int(span.total_seconds())},
            )
            return longer

        longer = await self.access.store.write(work)
        log.info("grant %s, extended by %s by %s", grant_id, span, by)
        self.access.ended.ring()
        self.access.tell_routers(longer.tenant_id)
        return self._one(grant_id)

    async def end(self, grant_id: str, reason: str, by: str, tenant_id: str | None = None) -> ListedGrant:
        """End a grant and have its devices put off. What was paid for it stays as it is booked.

        Args:
            grant_id: Which.
            reason: Why, for whoever reads the books.
            by: Who ends it.
            tenant_id: As in `switch`.

        Raises:
            InvalidError: There is no reason, or it is too long.
            NotFoundError: No such grant.
            ConflictError: It is over already.
        """
        written, now = _reason(reason), self.access.clock.now()

        def work(tx: Tables) -> Grant:
            ended = end(tx, _standing(tx, grant_id, tenant_id), "staff", now)
            _note(tx, "staff.grant_ended", grant_id, {"by": by, "reason": written})
            return ended

        ended = await self.access.store.write(work)
        log.info("grant %s, ended by %s", grant_id, by)
        self.access.ended.ring()
        self.access.tell_routers(ended.tenant_id)
        return self._one(grant_id)

    # --- one grant

    @property
    def _view(self) -> GrantView:
        return GrantView(self.presence, self.site)

    def _one(self, grant_id: str, tenant_id: str | None = None) -> ListedGrant:
        """A grant as it stands now."""
        tables = self.access.store.read
        grant, admission = tables.grants.by_id(grant_id), tables.grants.admission_by_id(grant_id)
        if grant is None or admission is None or not _is_of(grant, tenant_id):
            raise unknown_grant(grant_id)
        phone = tables.customers.phone_of(grant.customer_id)
        return self._view.with_presence(self._view.read(tables, admission, phone, self.access.clock.now()))

    def _usable(self, grant_id: str, tenant_id: str | None) -> ListedGrant:
        listed = self._one(grant_id, tenant_id)
        if listed.over:
            raise _is_over_already()
        return listed

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


def _is_of(grant: Grant, tenant_id: str | None) -> bool:
    return tenant_id is None or grant.tenant_id == tenant_id


def _extendable(tx: Tables, grant_id: str, tenant_id: str | None, now: datetime) -> Grant:
    grant, admission = _standing(tx, grant_id, tenant_id), tx.grants.admission_by_id(grant_id)
    if admission is None or not admission.usable_at(now):
        raise ConflictError("grant.over", "Nothing is left of it, and more time would not help: give a new one.")
    if grant.funding is Funding.PROVISIONAL:
        message = "It was given in advance, until its money is known; extend what that buys."
        raise ConflictError("grant.provisional", message)
    return grant


def _standing(tx: Tables, grant_id: str, tenant_id: str | None) -> Grant:
    grant = tx.grants.by_id(grant_id)
    if grant is None or not _is_of(grant, tenant_id):
        raise unknown_grant(grant_id)
    if grant.state is GrantState.ENDED:
        raise _is_over_already()
    return grant


def _move(tx: Tables, grant: Grant, mac: MacAddress, by: str) -> Grant:
    if grant.mac == mac:
        raise ConflictError("grant.same_device", f"It is for {mac} already.")
    moved = move(tx, grant, mac, way="staff")
    was = None if grant.mac is None else grant.mac.text
    _note(tx, "staff.grant_moved", grant.grant_id, {"by": by, "from": was, "mac": mac.text, "dailyLimitApplied": False})
    return moved


def _reason(text: str) -> str:
    written = text.strip()
    if not written or not written.isprintable() or len(written) > NOTE_LENGTH_MAX:
        message = f"Say in a line of at most {NOTE_LENGTH_MAX} characters why."
        raise InvalidError("grant.reason", message, field="reason")
    return written


def _note(tx: Tables, kind: str, grant_id: str, data: Mapping[str, object]) -> None:
    tx.events.append(Stream.MONEY, kind, grant_id, data)


def unknown_grant(grant_id: str) -> NotFoundError:
    """What is said of one that does not exist, and of another tenant's."""
    return NotFoundError("grant.unknown", f"There is no grant {grant_id!r:.40}. The list of them shows their ids.")


def _is_over_already() -> ConflictError:
    return ConflictError(
        "grant.over", "It is over: nothing is left of it. What was over stays over; a new one has to be given."
    )
