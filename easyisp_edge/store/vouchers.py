"""Tables `voucher_batches`, `vouchers` and `trials`: what gets a grant without money that moves here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.vouchers import Voucher, VoucherBatch, VoucherState
from easyisp_edge.store.columns import instant, optional_instant, read_instant, read_optional_instant
from easyisp_edge.store.pages import page_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import date, datetime

    from easyisp_edge.domain.values import MacAddress

_BATCH_COLUMNS = "batch_id, tenant_id, package_version_id, count, expires_at, note, made_by, created_at"
_COLUMNS = "batch_id, number, tenant_id, code, state, grant_id, changed_at"
_SELECT = f"SELECT {_COLUMNS} FROM vouchers "  # noqa: S608 - a constant


class VoucherCounts(NamedTuple):
    """How many of a batch stand where."""

    available: int
    used: int
    revoked: int


class VouchersTable:
    """Vouchers by code and by batch."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def add(self, batch: VoucherBatch, codes: Iterable[str]) -> None:
        """Write a batch with its vouchers, numbered from 1. A code that is there already is an `IntegrityError`."""
        self._sql.execute(
            f"INSERT INTO voucher_batches ({_BATCH_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            (
                batch.batch_id,
                batch.tenant_id,
                batch.package_version_id,
                batch.count,
                optional_instant(batch.expires_at),
                batch.note,
                batch.made_by,
                instant(batch.created_at),
            ),
        )
        made_at = instant(batch.created_at)
        self._sql.executemany(
            f"INSERT INTO vouchers ({_COLUMNS}) VALUES (?, ?, ?, ?, 'available', NULL, ?)",  # noqa: S608 - a constant
            ((batch.batch_id, number, batch.tenant_id, code, made_at) for number, code in enumerate(codes, start=1)),
        )

    def use(self, voucher: Voucher, grant_id: str, at: datetime) -> None:
        """Note what a voucher got; one that was taken before, or revoked, is an `IntegrityError`."""
        self._sql.execute(
            "UPDATE vouchers SET state = 'used', grant_id = ?, changed_at = ? WHERE batch_id = ? AND number = ?",
            (grant_id, instant(at), voucher.batch_id, voucher.number),
        )

    def revoke(self, voucher: Voucher, at: datetime) -> None:
        """Note that a voucher is not taken any more; one that was taken before is an `IntegrityError`."""
        self._sql.execute(
            "UPDATE vouchers SET state = 'revoked', changed_at = ? WHERE batch_id = ? AND number = ?",
            (instant(at), voucher.batch_id, voucher.number),
        )

    def revoke_rest(self, batch_id: str, at: datetime) -> int:
        """The same for all of a batch that were not taken; gives how many those were."""
        return self._sql.execute(
            "UPDATE vouchers SET state = 'revoked', changed_at = ? WHERE batch_id = ? AND state = 'available'",
            (instant(at), batch_id),
        ).rowcount

    def by_code(self, tenant_id: str, code: str) -> Voucher | None:
        """A tenant's voucher by its code in the normal form."""
        row = self._sql.execute(_SELECT + "WHERE tenant_id = ? AND code = ?", (tenant_id, code)).fetchone()
        return None if row is None else _read(row)

    def of_batch(self, batch_id: str) -> list[Voucher]:
        """All vouchers of a batch, in order."""
        rows = self._sql.execute(_SELECT + "WHERE batch_id = ? ORDER BY number", (batch_id,))
        return [_read(row) for row in rows]

    def batch(self, batch_id: str) -> VoucherBatch | None:
        """A batch by its id."""
        row = self._sql.execute(
            f"SELECT {_BATCH_COLUMNS} FROM voucher_batches WHERE batch_id = ?",  # noqa: S608 - a constant
            (batch_id,),
        ).fetchone()
        return None if row is None else _read_batch(row)

    def batches(self, tenant_id: str, limit: int) -> list[VoucherBatch]:
        """A tenant's batches, the newest first."""
        rows = self._sql.execute(
            f"SELECT {_BATCH_COLUMNS} FROM voucher_batches WHERE tenant_id = ?"  # noqa: S608 - a constant
            " ORDER BY created_at DESC, batch_id LIMIT ?",
            (tenant_id, limit),
        )
        return [_read_batch(row) for row in rows]

    def batches_page(self, tenant_id: str, limit: int, after: Position | None = None) -> Page[VoucherBatch]:
        """A page of a tenant's batches, the newest first."""
        where, parameters = "tenant_id = ?", [tenant_id]
        if after is not None:
            where += " AND (created_at, batch_id) < (?, ?)"
            parameters += [instant(after.at), after.key]
        rows = self._sql.execute(
            f"SELECT {_BATCH_COLUMNS} FROM voucher_batches WHERE {where}"  # noqa: S608 - constants
            " ORDER BY created_at DESC, batch_id DESC LIMIT ?",
            (*parameters, limit + 1),
        )
        return page_of([[_read_batch(row) for row in rows]], limit, _position)

    def some_of_batch(self, batch_id: str, after: int, limit: int) -> list[Voucher]:
        """Vouchers of a batch in order, those with greater numbers than `after`; at most so many."""
        rows = self._sql.execute(
            _SELECT + "WHERE batch_id = ? AND number > ? ORDER BY number LIMIT ?", (batch_id, after, limit)
        )
        return [_read(row) for row in rows]

    def counts(self, batch_id: str) -> VoucherCounts:
        """How many of a batch stand where."""
        row = self._sql.execute(
            "SELECT total(state = 'available'), total(state = 'used'), total(state = 'revoked')"
            " FROM vouchers WHERE batch_id = ?",
            (batch_id,),
        ).fetchone()
        return VoucherCounts(*map(int, row))


class TrialsTable:
    """Free trials by tenant, device and day."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def add(self, tenant_id: str, mac: MacAddress, day: date, grant_id: str) -> None:
        """Note a trial; a second one of a device on a day is an `IntegrityError`."""
        self._sql.execute(
            "INSERT INTO trials (tenant_id, mac, day, grant_id) VALUES (?, ?, ?, ?)",
            (tenant_id, mac.text, day.isoformat(), grant_id),
        )

    def grant_of(self, tenant_id: str, mac: MacAddress, day: date) -> str | None:
        """The grant a device was given for free on a day; None where it was given none."""
        row = self._sql.execute(
            "SELECT grant_id FROM trials WHERE tenant_id = ? AND mac = ? AND day = ?",
            (tenant_id, mac.text, day.isoformat()),
        ).fetchone()
        return None if row is None else str(row[0])


def _read(row: tuple[Any, ...]) -> Voucher:
    return Voucher(row[0], row[1], row[2], row[3], VoucherState(row[4]), row[5], read_instant(row[6]))


def _position(batch: VoucherBatch) -> Position:
    return Position(batch.created_at, batch.batch_id)


def _read_batch(row: tuple[Any, ...]) -> VoucherBatch:
    return VoucherBatch(
        row[0], row[1], row[2], row[3], read_optional_instant(row[4]), row[5], row[6], read_instant(row[7])
    )
