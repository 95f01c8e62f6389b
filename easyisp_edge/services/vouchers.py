"""A voucher is redeemed: taken once, for one device, whatever of the outside world is down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.vouchers import VoucherState, read_voucher_code
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from easyisp_edge.services.booking import Buyer
from easyisp_edge.services.lockout import LockoutLimits

if TYPE_CHECKING:
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import Package, PackageVersion, Service
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.domain.vouchers import Voucher, VoucherBatch
    from easyisp_edge.services.lockout import Lockout
    from easyisp_edge.services.settlement import SettlementService
    from easyisp_edge.store.store import Tables

# A page can name any device: what all behind a router try together is bounded too, yet so far up that nobody shuts out
# a whole site by it. At a thousand tries a second, one code in millions of years.
GUESSES = LockoutLimits(device=8, site=600)


class Holder(NamedTuple):
    """Who holds a voucher.

    Args:
        tenant_id: At whose site.
        mac: The device; None where the page does not know it.
        router_id: Behind which router it is, where known.
        service: How it is connected.
    """

    tenant_id: str
    mac: MacAddress | None
    router_id: str | None
    service: Service


class Found(NamedTuple):
    """A voucher, with what it is for."""

    voucher: Voucher
    batch: VoucherBatch
    version: PackageVersion


@dataclass(frozen=True, slots=True)
class VoucherService:
    """Redeems vouchers.

    Args:
        settlement: How grants are booked; its store and clock are used, and routers are told by it.
        lockout: Keeps guesses apart.
    """

    settlement: SettlementService
    lockout: Lockout

    async def redeem(
        self,
        tenant_id: str,
        code: str,
        *,
        mac: MacAddress | None,
        router_id: str | None,
        ip: str | None,
        service: Service,
    ) -> Grant:
        """Take a voucher and make its grant, in one transaction; routers are told.

        The same device gets the same grant again. Another one gets it too, where the package is for several devices: it
        is let on by the grant's user name and password.

        Args:
            tenant_id: At whose site.
            code: As it was typed or scanned.
            mac: The device; None where the page does not know it.
            router_id: Behind which router it is, where known.
            ip: Its address, by which it is told apart where its MAC is not known.
            service: How it is connected.

        Raises:
            InvalidError: `voucher.mistyped`: it is no code.
            NotFoundError: `voucher.unknown`.
            ConflictError: `voucher.used`: by another device, or it is used up.
            RefusedError: `voucher.revoked`, `voucher.expired`, `voucher.closed_here` (not for this router or service),
                or `voucher.locked`: too many wrong ones were tried.
        """
        holder, device = Holder(tenant_id, mac, router_id, service), str(mac or ip or "")
        read = self._read(code, router_id or "", device)
        # Looked up first, so that guesses cost no writing.
        found = find(self.settlement.store.read, tenant_id, read)
        if found is None:
            self.lockout.wrong(router_id or "", device)
            raise NotFoundError("voucher.unknown", "We do not know this voucher. Compare each letter with the paper.")
        if found.voucher.state is not VoucherState.AVAILABLE:
            return _again(self.settlement.store.read, found, holder)
        grant = await self.settlement.store.write(lambda tx: self._redeem(tx, read, holder))
        self.settlement.granted(tenant_id)
        return grant

    def package_of(
        self, tenant_id: str, code: str, *, mac: MacAddress | None, router_id: str | None, ip: str | None = None
    ) -> Package | None:
        """What a voucher is for, before it is taken; None where it cannot be.

        Asking for codes that do not exist counts as guessing, and is not answered after too many.
        """
        read, device = read_voucher_code(code), str(mac or ip or "")
        if read is None or self.lockout.is_out(router_id or "", device):
            return None
        found = find(self.settlement.store.read, tenant_id, read)
        if found is None:
            self.lockout.wrong(router_id or "", device)
            return None
        state = found.voucher.state_at(self.settlement.clock.now(), found.batch)
        return found.version.package if state is VoucherState.AVAILABLE else None

    def _read(self, code: str, router_id: str, device: str) -> str:
        read = read_voucher_code(code)
        if read is None:  # the check character told: this is no guess, and is not counted as one
            message = "One letter or digit of the voucher code is wrong. Compare it with the paper."
            raise InvalidError("voucher.mistyped", message, field="code")
        if self.lockout.is_out(router_id, device):
            raise RefusedError("voucher.locked", "Too many wrong codes were tried. Wait ten minutes and try again.")
        return read

    def _redeem(self, tx: Tables, code: str, holder: Holder) -> Grant:
        found = find(tx, holder.tenant_id, code)
        if found is None:  # vouchers are kept
            raise LookupError("a voucher went away")
        if found.voucher.state is not VoucherState.AVAILABLE:
            return _again(tx, found, holder)
        now, package = self.settlement.clock.now(), found.version.package
        if found.batch.is_expired_at(now):
            raise RefusedError("voucher.expired", "This voucher is too old. Ask where you bought it.")
        _refuse_elsewhere(package, holder)
        voucher, buyer = found.voucher, Buyer(holder.tenant_id, package.service, None, holder.mac, None)
        books = self.settlement.judge(tx).books
        grant = books.give(buyer, found.version, Funding.VOUCHER, voucher=voucher.voucher_id)
        tx.vouchers.use(voucher, grant.grant_id, now)
        data = {"grant": grant.grant_id, "router": holder.router_id, "priceCents": package.price.cents}
        tx.events.append(Stream.MONEY, "voucher.redeemed", voucher.voucher_id, data)
        return grant


def find(tables: Tables, tenant_id: str, code: str) -> Found | None:
    """A tenant's voucher by its code in the normal form, with what it is for."""
    voucher = tables.vouchers.by_code(tenant_id, code)
    batch = None if voucher is None else tables.vouchers.batch(voucher.batch_id)
    if voucher is None or batch is None:
        return None
    return Found(voucher, batch, tables.packages.by_id(batch.package_version_id))


def _again(tables: Tables, found: Found, holder: Holder) -> Grant:
    """What a voucher got before, for its own device."""
    if found.voucher.state is VoucherState.REVOKED:
        raise RefusedError("voucher.revoked", "This voucher was cancelled. Ask where you bought it.")
    grant = tables.grants.by_id(found.voucher.grant_id or "")
    if grant is None:  # taken together, or not at all
        raise LookupError(found.voucher.voucher_id)
    package = found.version.package
    _refuse_elsewhere(package, holder)
    own = grant.mac is None or grant.mac == holder.mac or package.devices_max > 1
    if not own or grant.state is GrantState.ENDED:
        raise ConflictError("voucher.used", "This voucher has been used already.")
    return grant


def _refuse_elsewhere(package: Package, holder: Holder) -> None:
    elsewhere = holder.router_id is not None and not package.valid_on(holder.router_id)
    if elsewhere or package.service is not holder.service:
        raise RefusedError("voucher.closed_here", "This voucher is not for this place.")
