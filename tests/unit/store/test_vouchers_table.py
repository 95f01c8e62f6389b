"""Tables of vouchers and trials: what was made comes back, and what is done with it is done once."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.grants import Funding
from easyisp_edge.domain.vouchers import Voucher, VoucherBatch, VoucherState
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.booking import Buyer
from easyisp_edge.services.money.judgement import Judge
from easyisp_edge.store.vouchers import VoucherCounts
from tests.fakes.clocks import START, SeededRandomness
from tests.unit.shop import HOUR, MAC, OTHER_MAC, TENANT, check_books, tables_in_memory

if TYPE_CHECKING:
    from easyisp_edge.store.store import Tables

CODES = ("ABCDEFGHJKM6", "NPQRSTVWXY33", "3456789ABCD2")


def a_batch(tx: Tables, batch_id: str = "K7M3PQ", codes: tuple[str, ...] = CODES) -> VoucherBatch:
    version = tx.packages.version_of(HOUR, START)
    batch = VoucherBatch(
        batch_id, TENANT, version.version_id, len(codes), START + timedelta(days=1), "Kiosk", "mary", START
    )
    tx.vouchers.add(batch, codes)
    return batch


def redeem(tx: Tables, number: int = 1) -> Voucher:
    """The first of the batch, used."""
    voucher = tx.vouchers.of_batch("K7M3PQ")[number - 1]
    books = Judge(tx, START, Identifiers(SeededRandomness(number))).books
    buyer = Buyer(TENANT, HOUR.service, None, MAC, None)
    version = tx.packages.version_of(HOUR, START)
    tx.vouchers.use(voucher, books.give(buyer, version, Funding.VOUCHER, voucher=voucher.voucher_id).grant_id, START)
    return tx.vouchers.of_batch("K7M3PQ")[number - 1]


def test_a_batch_comes_back() -> None:
    """Whole, with its vouchers in order; one that nobody made does not."""
    connection, tx = tables_in_memory()
    batch = a_batch(tx)
    assert tx.vouchers.batch("K7M3PQ") == batch
    assert [(each.number, each.code) for each in tx.vouchers.of_batch("K7M3PQ")] == list(enumerate(CODES, start=1))
    second = Voucher("K7M3PQ", 2, TENANT, CODES[1], VoucherState.AVAILABLE, None, START)
    assert tx.vouchers.by_code(TENANT, CODES[1]) == second
    assert (tx.vouchers.by_code("other", CODES[1]), tx.vouchers.batch("XXXXXX")) == (None, None)
    assert tx.vouchers.batches(TENANT, 9) == [batch]
    assert tx.vouchers.batches("other", 9) == []
    check_books(connection)


def test_they_are_counted_by_where_they_stand() -> None:
    """Of an unknown batch there are none."""
    _, tx = tables_in_memory()
    a_batch(tx)
    redeem(tx)
    tx.vouchers.revoke(tx.vouchers.of_batch("K7M3PQ")[1], START)
    assert tx.vouchers.counts("K7M3PQ") == VoucherCounts(available=1, used=1, revoked=1)
    assert tx.vouchers.counts("XXXXXX") == VoucherCounts(0, 0, 0)
    assert tx.vouchers.revoke_rest("K7M3PQ", START) == 1
    assert tx.vouchers.counts("K7M3PQ") == VoucherCounts(available=0, used=1, revoked=2)


def test_one_is_used_once() -> None:
    """Nor is what was used or taken back ever anything else again."""
    connection, tx = tables_in_memory()
    a_batch(tx)
    used, second = redeem(tx), tx.vouchers.of_batch("K7M3PQ")[1]
    assert used.state is VoucherState.USED
    with pytest.raises(sqlite3.IntegrityError, match="taken once"):
        tx.vouchers.use(used, used.grant_id or "", START)
    with pytest.raises(sqlite3.IntegrityError, match="taken once"):
        tx.vouchers.revoke(used, START)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        tx.vouchers.use(second, used.grant_id or "", START)
    tx.vouchers.revoke(second, START)
    with pytest.raises(sqlite3.IntegrityError, match="taken once"):
        tx.vouchers.use(second, "grant-9", START)
    check_books(connection)


def test_a_code_is_one_tenants_once() -> None:
    """A second batch with one of the codes is refused as a whole by whoever writes it."""
    _, tx = tables_in_memory()
    a_batch(tx)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        a_batch(tx, "K7M3PR", CODES[:1])


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE vouchers SET code = 'X'",
        "UPDATE vouchers SET tenant_id = 'other'",
        "UPDATE vouchers SET number = 9 WHERE number = 1",
        "UPDATE vouchers SET state = 'used'",
        "UPDATE vouchers SET state = 'expired'",
        "UPDATE vouchers SET grant_id = 'nothing'",
        "DELETE FROM vouchers",
        "UPDATE voucher_batches SET note = 'x'",
        "DELETE FROM voucher_batches",
        "UPDATE trials SET day = '2026-01-01'",
        "DELETE FROM trials",
    ],
)
def test_nothing_is_rewritten(change: str) -> None:
    """By the database itself, whatever the code above it should try."""
    connection, tx = tables_in_memory()
    a_batch(tx)
    books = Judge(tx, START, Identifiers(SeededRandomness())).books
    version = tx.packages.version_of(HOUR, START)
    tried = books.give(Buyer(TENANT, HOUR.service, None, MAC, None), version, Funding.TRIAL)
    tx.trials.add(TENANT, MAC, START.date(), tried.grant_id)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(change)
    check_books(connection)


def test_a_device_tries_once_a_day() -> None:
    """What it was given is found by device and day; a second one is refused."""
    _, tx = tables_in_memory()
    books = Judge(tx, START, Identifiers(SeededRandomness())).books
    version, today = tx.packages.version_of(HOUR, START), START.date()
    first, second = (
        books.give(Buyer(TENANT, HOUR.service, None, MAC, None), version, Funding.TRIAL).grant_id for _ in range(2)
    )
    tx.trials.add(TENANT, MAC, today, first)
    assert tx.trials.grant_of(TENANT, MAC, today) == first
    for tenant_id, mac, day in ((TENANT, OTHER_MAC, today), ("other", MAC, today), (TENANT, MAC, today.replace(day=1))):
        assert tx.trials.grant_of(tenant_id, mac, day) is None
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        tx.trials.add(TENANT, MAC, today, second)
