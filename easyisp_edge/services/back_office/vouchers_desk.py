"""The owner has vouchers made, sees what became of them, and takes back those that nobody has used.

No money moves: a voucher is paid for outside of this box. What was sold by them is what was used, at the price of then.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.paging import Page
from easyisp_edge.domain.values import NAIROBI, Money
from easyisp_edge.domain.vouchers import BATCH_VOUCHERS_MAX, VoucherBatch, VoucherState, read_voucher_code
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.back_office.staff_desk import NOTE_LENGTH_MAX
from easyisp_edge.services.portal.vouchers import find

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.paging import Position
    from easyisp_edge.domain.vouchers import Voucher
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Store, Tables
    from easyisp_edge.store.vouchers import VoucherCounts

log = logging.getLogger(__name__)

_BATCH_ID_LENGTH = 6
_HTTP = 80
_EXPIRES_WITHIN = timedelta(days=20 * 365)


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """Vouchers to be made.

    Args:
        package_id: What each is for.
        count: How many.
        tenant_id: Who sells them; None where that goes without saying.
        expires_on: The last day on which they are taken, by Kenya's clock; None for no end.
        note: The owner's own.
    """

    package_id: str
    count: int
    tenant_id: str | None = None
    expires_on: date | None = None
    note: str = ""


class ListedBatch(NamedTuple):
    """A batch as its owner sees it.

    Args:
        batch: The batch.
        package: What each of it is for, as it was then.
        counts: How many stand where.
        expired: Whether none of it is taken any more.
    """

    batch: VoucherBatch
    package: Package
    counts: VoucherCounts
    expired: bool

    @property
    def sold(self) -> Money:
        """What those that were used came to, at the price of then."""
        return Money(self.package.price.cents * self.counts.used)


class BatchPage(NamedTuple):
    """Some vouchers of a batch.

    Args:
        listed: The batch.
        vouchers: In order, with where each stands now.
        more: Whether there are others after them.
    """

    listed: ListedBatch
    vouchers: list[tuple[Voucher, VoucherState]]
    more: bool


class ShownBatch(NamedTuple):
    """A batch with its codes.

    Args:
        listed: The batch.
        vouchers: All of it, in order, with where each stands now.
        seller: Who sells them, as customers know them.
        portal_url: The portal as customers reach it, without a slash at its end; None where no file says.
    """

    listed: ListedBatch
    vouchers: list[tuple[Voucher, VoucherState]]
    seller: str
    portal_url: str | None


@dataclass(frozen=True, slots=True)
class VouchersDesk:
    """What the owner may do about vouchers.

    Args:
        store: The store.
        clock: Box time.
        identifiers: New codes.
        site: Who sells what, behind which routers.
    """

    store: Store
    clock: Clock
    identifiers: Identifiers
    site: Site

    async def make(self, order: BatchOrder, by: str) -> ListedBatch:
        """Make a batch, all or nothing.

        Raises:
            InvalidError: The count, the day or the note cannot be, or the tenant has to be named.
            NotFoundError: No such tenant or package.
        """
        tenant_id, now = self.site.named_tenant(order.tenant_id), self.clock.now()
        package = self.site.config.package(tenant_id, order.package_id)
        expires_at = _refuse_impossible(order, now)

        def work(tx: Tables) -> VoucherBatch:
            batch = VoucherBatch(
                batch_id=self._new_batch_id(tx),
                tenant_id=tenant_id,
                package_version_id=tx.packages.version_of(package, now).version_id,
                count=order.count,
                expires_at=expires_at,
                note=order.note.strip(),
                made_by=by,
                created_at=now,
            )
            tx.vouchers.add(batch, self._new_codes(tx, tenant_id, order.count))
            _note(tx, "staff.vouchers_made", batch.batch_id, _told(batch, package))
            return batch

        batch = await self.store.write(work)
        log.info("%d vouchers for %s, batch %s, made by %s", batch.count, package.package_id, batch.batch_id, by)
        return self._listed(self.store.read, batch)

    async def batches(self, tenant_id: str | None, limit: int) -> list[ListedBatch]:
        """The batches, newest first, without their codes; of all tenants where none is named.

        Raises:
            NotFoundError: No such tenant.
        """
        config = self.site.config
        tenants = config.tenants if tenant_id is None else (config.tenant(tenant_id),)

        def look(tables: Tables) -> list[ListedBatch]:
            found = [batch for tenant in tenants for batch in tables.vouchers.batches(tenant.id, limit)]
            newest = sorted(found, key=lambda batch: batch.created_at, reverse=True)
            return [self._listed(tables, batch) for batch in newest[:limit]]

        return await self.store.survey(look)

    async def page(self, tenant_id: str, *, limit: int, after: Position | None = None) -> Page[ListedBatch]:
        """A page of a tenant's batches, newest first, without their codes."""

        def look(tables: Tables) -> Page[ListedBatch]:
            found = tables.vouchers.batches_page(tenant_id, limit, after)
            return Page([self._listed(tables, batch) for batch in found.rows], found.next)

        return await self.store.survey(look)

    async def some(self, tenant_id: str, batch_id: str, seen_by: str | None, *, after: int, limit: int) -> BatchPage:
        """Vouchers of a batch in order, from the one after a number on.

        Args:
            tenant_id: Whose.
            batch_id: Which.
            seen_by: Who sees the codes, which is noted; None where nobody does.
            after: The number of the last one of the page before; 0 for the first page.
            limit: How many at most.

        Raises:
            NotFoundError: The tenant has no such batch.
        """

        def work(tables: Tables) -> BatchPage:
            batch, now = _batch(tables, batch_id, tenant_id), self.clock.now()
            if seen_by is not None:
                _note(tables, "staff.vouchers_shown", batch.batch_id, {"by": seen_by})
            found = tables.vouchers.some_of_batch(batch.batch_id, after, limit + 1)
            vouchers = [(each, each.state_at(now, batch)) for each in found[:limit]]
            return BatchPage(self._listed(tables, batch), vouchers, more=len(found) > limit)

        return await (self.store.survey(work) if seen_by is None else self.store.write(work))

    async def show(self, batch_id: str, by: str, tenant_id: str | None = None) -> ShownBatch:
        """A batch with its codes; that somebody saw them is noted.

        Args:
            batch_id: Which.
            by: Who sees them.
            tenant_id: Whose it has to be; None for anybody's.

        Raises:
            NotFoundError: No such batch.
        """

        def work(tx: Tables) -> ShownBatch:
            batch = _batch(tx, batch_id, tenant_id)
            _note(tx, "staff.vouchers_shown", batch.batch_id, {"by": by})
            now = self.clock.now()
            vouchers = [(each, each.state_at(now, batch)) for each in tx.vouchers.of_batch(batch.batch_id)]
            tenant = self.site.config.tenant(batch.tenant_id)
            seller = self.site.config.portal.title or tenant.business_name or tenant.name
            return ShownBatch(self._listed(tx, batch), vouchers, seller, self._portal_url(batch.tenant_id))

        return await self.store.write(work)

    async def revoke_batch(self, tenant_id: str, batch_id: str, by: str) -> tuple[ListedBatch, int]:
        """Have all of a tenant's batch that were not used not taken any more; gives how many those were.

        Raises:
            NotFoundError: The tenant has no such batch.
        """
        now = self.clock.now()

        def work(tx: Tables) -> tuple[ListedBatch, int]:
            batch = _batch(tx, batch_id, tenant_id)
            count = _revoke_rest(tx, batch, by, now)
            return self._listed(tx, batch), count

        listed, count = await self.store.write(work)
        log.info("%d vouchers of batch %s revoked by %s", count, listed.batch.batch_id, by)
        return listed, count

    async def revoke(self, key: str, tenant_id: str | None, by: str) -> tuple[ListedBatch, int]:
        """Have a voucher not taken any more, or all of a batch that were not used; gives how many those were.

        What was used stays: its grant is ended as any other.

        Args:
            key: A code, or a batch's id.
            tenant_id: Whose voucher; None where that goes without saying.
            by: Who takes them back.

        Raises:
            InvalidError: The tenant has to be named.
            NotFoundError: No such voucher or batch.
            ConflictError: It was used, or taken back before.
        """
        code = read_voucher_code(key)
        tenant = None if code is None else self.site.named_tenant(tenant_id)
        now = self.clock.now()

        def work(tx: Tables) -> tuple[ListedBatch, int]:
            if code is not None and tenant is not None:
                batch, count = _revoke_one(tx, tenant, code, by, now), 1
            else:
                batch = _batch(tx, key)
                count = _revoke_rest(tx, batch, by, now)
            return self._listed(tx, batch), count

        listed, count = await self.store.write(work)
        log.info("%d vouchers of batch %s revoked by %s", count, listed.batch.batch_id, by)
        return listed, count

    def _listed(self, tables: Tables, batch: VoucherBatch) -> ListedBatch:
        package = tables.packages.by_id(batch.package_version_id).package
        expired = batch.is_expired_at(self.clock.now())
        return ListedBatch(batch, package, tables.vouchers.counts(batch.batch_id), expired)

    def _new_batch_id(self, tx: Tables) -> str:
        while True:
            batch_id = self.identifiers.readable(_BATCH_ID_LENGTH)
            if tx.vouchers.batch(batch_id) is None:
                return batch_id

    def _new_codes(self, tx: Tables, tenant_id: str, count: int) -> list[str]:
        codes: dict[str, None] = {}
        while len(codes) < count:
            code = self.identifiers.voucher_code()
            if tx.vouchers.by_code(tenant_id, code) is None:
                codes[code] = None
        return list(codes)

    def _portal_url(self, tenant_id: str) -> str | None:
        """Where a tenant's customers reach the portal, by the set-up of the first router that says."""
        port = self.site.config.edge.portal.port
        of_tenant = (router.setup for router in self.site.config.routers if router.tenant == tenant_id)
        setup = next((setup for setup in of_tenant if setup is not None), None)
        if setup is None:
            return None
        own = f"http://{setup.box_address}" + ("" if port == _HTTP else f":{port}")
        return str(setup.portal_url or own).rstrip("/")


def _refuse_impossible(order: BatchOrder, now: datetime) -> datetime | None:
    """Refuse an order that cannot be; gives when its vouchers expire, None for never.

    Raises:
        InvalidError: The count, the note or the day cannot be.
    """
    if not 1 <= order.count <= BATCH_VOUCHERS_MAX:
        raise InvalidError("vouchers.count", f"A batch has from 1 to {BATCH_VOUCHERS_MAX} vouchers.", field="count")
    note = order.note.strip()
    if len(note) > NOTE_LENGTH_MAX or not (note.isprintable() or not note):
        message = f"A note is one line of at most {NOTE_LENGTH_MAX} characters."
        raise InvalidError("vouchers.note", message, field="note")
    if order.expires_on is None:
        return None
    if order.expires_on > (now + _EXPIRES_WITHIN).date():
        message = f"{order.expires_on} is too far away: at most {_EXPIRES_WITHIN.days // 365} years."
        raise InvalidError("vouchers.expires", message, field="expires")
    last_day = datetime.combine(order.expires_on, time(), tzinfo=NAIROBI)
    expires_at = last_day + timedelta(days=1)
    if expires_at <= now:
        raise InvalidError("vouchers.expires", f"{order.expires_on} is over already.", field="expires")
    return expires_at.astimezone(now.tzinfo)


def _revoke_rest(tx: Tables, batch: VoucherBatch, by: str, now: datetime) -> int:
    count = tx.vouchers.revoke_rest(batch.batch_id, now)
    _note(tx, "staff.vouchers_revoked", batch.batch_id, {"by": by, "count": count})
    return count


def _revoke_one(tx: Tables, tenant_id: str, code: str, by: str, now: datetime) -> VoucherBatch:
    found = find(tx, tenant_id, code)
    if found is None:
        raise NotFoundError("voucher.unknown", "There is no voucher with this code.")
    voucher = found.voucher
    if voucher.state is VoucherState.USED:
        message = f"It was used: its grant is {voucher.grant_id}. easyisp-edge grants end ends that."
        raise ConflictError("voucher.used", message)
    if voucher.state is VoucherState.REVOKED:
        raise ConflictError("voucher.revoked", "It was revoked before.")
    tx.vouchers.revoke(voucher, now)
    _note(tx, "staff.voucher_revoked", voucher.voucher_id, {"by": by})
    return found.batch


def _batch(tables: Tables, batch_id: str, tenant_id: str | None = None) -> VoucherBatch:
    batch = tables.vouchers.batch(batch_id.strip().upper())
    if batch is None or tenant_id not in {None, batch.tenant_id}:
        message = f"There is no batch {batch_id!r:.40}. easyisp-edge vouchers list shows their ids."
        raise NotFoundError("vouchers.unknown", message)
    return batch


def _told(batch: VoucherBatch, package: Package) -> dict[str, object]:
    return {
        "by": batch.made_by,
        "tenant": batch.tenant_id,
        "package": package.package_id,
        "packageVersion": batch.package_version_id,
        "count": batch.count,
        "priceCents": package.price.cents,
        "expiresAt": None if batch.expires_at is None else batch.expires_at.isoformat(),
        "note": batch.note,
    }


def _note(tx: Tables, kind: str, key: str, data: Mapping[str, object]) -> None:
    tx.events.append(Stream.MONEY, kind, key, data)
