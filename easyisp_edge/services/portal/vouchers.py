"""A voucher is redeemed: taken once, for one device, whatever of the outside world is down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.vouchers import VoucherState, read_voucher_code
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from easyisp_edge.services.access.grant_life import follow
from easyisp_edge.services.access.lockout import LockoutLimits
from easyisp_edge.services.money.booking import Buyer
from easyisp_edge.services.money.selling import Selling

if TYPE_CHECKING:
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import Package, PackageVersion, Service
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.domain.vouchers import Voucher, VoucherBatch
    from easyisp_edge.errors import EdgeError
    from easyisp_edge.services.access.lockout import Lockout
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.store.store import Tables

# What all behind a router try together is bounded too, yet so far up that nobody shuts out a whole site by it: a page
# can name any device, so tries are counted by where they come from. At a thousand a second, one code in millions of
# years.
GUESSES = LockoutLimits(device=8, site=600)


class Holder(NamedTuple):
    """Who holds a voucher, or says so.

    Args:
        tenant_id: At whose site.
        mac: The device; None where the page does not know it.
        router_id: Behind which router it is, where known.
        service: How it is connected.
        guesser: Who is not listened to after too many wrong tries; empty for the device.
    """

    tenant_id: str
    mac: MacAddress | None
    router_id: str | None
    service: Service
    guesser: str = ""


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
        selling: Whether anything is sold now.
    """

    settlement: SettlementService
    lockout: Lockout
    selling: Selling = field(default_factory=Selling)

    async def redeem(self, holder: Holder, code: str) -> Grant:
        """Take a voucher and make its grant, in one transaction; routers are told.

        The same device gets the same grant again. Another one gets it too, where the package is for several devices: it
        is let on by the grant's user name and password.

        Args:
            holder: Whose it becomes.
            code: As it was typed or scanned.

        Raises:
            InvalidError: `voucher.mistyped`: it is no code.
            NotFoundError: `voucher.unknown`.
            ConflictError: `voucher.used`: by another device; or `voucher.over`: what it got is used up.
            RefusedError: `voucher.revoked`, `voucher.expired`, `voucher.closed_here` (not for this router or service),
                or `voucher.locked`: too many wrong ones were tried.
        """
        read = self._read(holder, code)
        # Looked up first, so that guesses cost no writing.
        found = self._find(holder, read)
        if found is None:
            raise _unknown()
        if found.voucher.state is not VoucherState.AVAILABLE:
            return _again(self.settlement.store.read, found, holder)
        self.selling.refuse_while_resting()
        grant = await self.settlement.store.write(lambda tx: self._redeem(tx, read, holder))
        self.settlement.granted(holder.tenant_id)
        return grant

    def package_of(self, holder: Holder, code: str) -> Package | None:
        """What a voucher is for, before it is taken; None where it cannot be.

        Asking for codes that do not exist counts as guessing, and is not answered after too many.
        """
        read = read_voucher_code(code)
        found = None if read is None or self._is_out(holder) else self._find(holder, read)
        if found is None:
            return None
        state = found.voucher.state_at(self.settlement.clock.now(), found.batch)
        return found.version.package if state is VoucherState.AVAILABLE else None

    def refusal_of(self, holder: Holder, code: str) -> EdgeError | None:
        """What `redeem` would refuse a device with, before anything is taken; None where it would not.

        It is not counted as guessing: whoever asks this asks `package_of` too.
        """
        tables = self.settlement.store.read
        try:
            found = find(tables, holder.tenant_id, self._read(holder, code))
            if found is None:
                raise _unknown()
            if found.voucher.state is VoucherState.AVAILABLE:
                self._refuse_unused(found, holder)
            else:
                _again(tables, found, holder)
        except (InvalidError, NotFoundError, ConflictError, RefusedError) as error:
            return error
        return None

    def held_elsewhere(self, holder: Holder, code: str) -> Package | None:
        """What a voucher got that is another device's, and that its holder may `move` to this one; None for no such.

        It is not counted as guessing: whoever asks this asks `package_of` or `redeem` too.
        """
        read = read_voucher_code(code)
        if read is None or holder.mac is None or self._is_out(holder):
            return None
        tables = self.settlement.store.read
        found = find(tables, holder.tenant_id, read)
        if found is None or found.voucher.state is VoucherState.AVAILABLE:
            return None
        try:
            grant = self._usable(tables, found, holder._replace(service=found.version.package.service))
        except (ConflictError, RefusedError):
            return None
        return None if grant.mac in {None, holder.mac} else found.version.package

    async def move(self, holder: Holder, code: str) -> Grant:
        """Move what a voucher got to another device of its holder; the one it was on is put off.

        Whoever has the code holds it. Where it is on that device it stays, and one that nobody used yet is redeemed.

        Raises:
            InvalidError: `voucher.mistyped`: it is no code.
            NotFoundError: `voucher.unknown`.
            ConflictError: `voucher.over`: it is used up; `grant.moved_often`: it has moved often enough today.
            RefusedError: As for `redeem`.
        """
        read = self._read(holder, code)
        if self._find(holder, read) is None:
            raise _unknown()
        grant = await self.settlement.store.write(lambda tx: self._move(tx, read, holder))
        self.settlement.granted(holder.tenant_id)
        return grant

    def _find(self, holder: Holder, read: str) -> Found | None:
        """A voucher by its code; one there is not was a guess."""
        found = find(self.settlement.store.read, holder.tenant_id, read)
        if found is None:
            self.lockout.wrong(holder.router_id or "", _guesser(holder))
        return found

    def _is_out(self, holder: Holder) -> bool:
        return self.lockout.is_out(holder.router_id or "", _guesser(holder))

    def _read(self, holder: Holder, code: str) -> str:
        read = read_voucher_code(code)
        if read is None:  # the check character told: this is no guess, and is not counted as one
            raise mistyped()
        if self._is_out(holder):
            raise RefusedError("voucher.locked", "Too many wrong codes were tried. Wait ten minutes and try again.")
        return read

    def _redeem(self, tx: Tables, code: str, holder: Holder) -> Grant:
        found = find(tx, holder.tenant_id, code)
        if found is None:  # vouchers are kept
            raise LookupError("a voucher went away")
        if found.voucher.state is not VoucherState.AVAILABLE:
            return _again(tx, found, holder)
        self._refuse_unused(found, holder)
        now, package = self.settlement.clock.now(), found.version.package
        voucher, buyer = found.voucher, Buyer(holder.tenant_id, package.service, None, holder.mac, None)
        books = self.settlement.judge(tx).books
        grant = books.give(buyer, found.version, Funding.VOUCHER, voucher=voucher.voucher_id)
        tx.vouchers.use(voucher, grant.grant_id, now)
        data = {"grant": grant.grant_id, "router": holder.router_id, "priceCents": package.price.cents}
        tx.events.append(Stream.MONEY, "voucher.redeemed", voucher.voucher_id, data)
        return grant

    def _refuse_unused(self, found: Found, holder: Holder) -> None:
        if found.batch.is_expired_at(self.settlement.clock.now()):
            raise RefusedError("voucher.expired", "This voucher is too old. Ask where you bought it.")
        _refuse_elsewhere(found.version.package, holder)

    def _move(self, tx: Tables, code: str, holder: Holder) -> Grant:
        found = find(tx, holder.tenant_id, code)
        if found is None or found.voucher.state is VoucherState.AVAILABLE:
            return self._redeem(tx, code, holder)
        grant = self._usable(tx, found, holder)
        if holder.mac is None or grant.mac in {None, holder.mac}:
            return grant
        moved = follow(tx, grant, holder.mac, self.settlement.clock.now(), voucher=found.voucher.voucher_id)
        if moved is None:
            raise ConflictError("grant.moved_often", "This voucher has moved often enough today; try again tomorrow.")
        return moved

    def _usable(self, tables: Tables, found: Found, holder: Holder) -> Grant:
        """What a voucher got, with something left of it."""
        grant = _got(tables, found, holder)
        admission = tables.grants.admission_by_id(grant.grant_id)
        if admission is None or not admission.usable_at(self.settlement.clock.now()):
            raise _over()
        return grant


def _guesser(holder: Holder) -> str:
    return holder.guesser or str(holder.mac or "")


def find(tables: Tables, tenant_id: str, code: str) -> Found | None:
    """A tenant's voucher by its code in the normal form, with what it is for."""
    voucher = tables.vouchers.by_code(tenant_id, code)
    batch = None if voucher is None else tables.vouchers.batch(voucher.batch_id)
    if voucher is None or batch is None:
        return None
    return Found(voucher, batch, tables.packages.by_id(batch.package_version_id))


def mistyped() -> InvalidError:
    """What is said of a code whose check character tells that it is none."""
    message = "One letter or digit of the voucher code is wrong. Compare it with the paper."
    return InvalidError("voucher.mistyped", message, field="code")


def _again(tables: Tables, found: Found, holder: Holder) -> Grant:
    """What a voucher got before, for its own device."""
    grant = _got(tables, found, holder)
    if grant.mac not in {None, holder.mac} and found.version.package.devices_max == 1:
        raise _used()
    return grant


def _got(tables: Tables, found: Found, holder: Holder) -> Grant:
    """What a voucher got before, whoever asks."""
    if found.voucher.state is VoucherState.REVOKED:
        raise RefusedError("voucher.revoked", "This voucher was cancelled. Ask where you bought it.")
    grant = tables.grants.by_id(found.voucher.grant_id or "")
    if grant is None:  # taken together, or not at all
        raise LookupError(found.voucher.voucher_id)
    _refuse_elsewhere(found.version.package, holder)
    if grant.state is GrantState.ENDED:
        raise _over()
    return grant


def _used() -> ConflictError:
    return ConflictError("voucher.used", "This voucher has been used already.")


def _over() -> ConflictError:
    return ConflictError("voucher.over", "What this voucher was for is used up.")


def _unknown() -> NotFoundError:
    return NotFoundError("voucher.unknown", "We do not know this voucher. Compare each letter with the paper.")


def _refuse_elsewhere(package: Package, holder: Holder) -> None:
    elsewhere = holder.router_id is not None and not package.valid_on(holder.router_id)
    if elsewhere or package.service is not holder.service:
        raise RefusedError("voucher.closed_here", "This voucher is not for this place.")
