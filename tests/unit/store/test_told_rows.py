"""Every row that changes is told, once, as it stands after its transaction; books can be made anew from that alone."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_images import COUNTS, KEYS_OF, MONEY_KEYS, ROWS, USAGE_KEYS
from easyisp_edge.store import standing
from easyisp_edge.store.changes import EVENT_OCTETS_MAX, NOT_REPLICATED, columns_in, places
from easyisp_edge.store.checks import broken_rules
from easyisp_edge.store.gateway_states import GatewayState
from easyisp_edge.store.rebuild import follow
from tests.fakes.clocks import START, SeededRandomness
from tests.unit.shop import add_grant, open_books, tables_in_memory
from tests.unit.store.told_books import STEPS, Box, Business, UndoneError, money_of

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.store.changes import Place
    from easyisp_edge.store.store import Tables

HAPPENINGS = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 5)), min_size=10, max_size=60)
FULL_DAY = [
    (name, number)
    for number in range(10)
    for name in (
        "buy",
        "claim",
        "pay",
        "use",
        "receive",
        "print_vouchers",
        "redeem",
        "try_it",
        "live",
        "use",
        "use",
        "sweep",
    )
]


def rows_told(box: Box, stream: Stream = Stream.MONEY) -> list[dict[str, list[dict[str, Any]]]]:
    told = [json.loads(line) for line in box.lines(stream)]
    return [each["data"]["rows"] for each in told if each["type"] in {ROWS, COUNTS}]


def test_each_table_is_told_or_said_not_to_be() -> None:
    """A new table is of one kind or the other."""
    connection, _ = tables_in_memory()
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    told = {*MONEY_KEYS, *USAGE_KEYS}
    assert told.isdisjoint(NOT_REPLICATED)
    assert told | NOT_REPLICATED == tables


def test_a_row_is_known_by_its_primary_key() -> None:
    """What is written by hand of a table's key is what the schema says."""
    connection, _ = tables_in_memory()
    for keys in KEYS_OF.values():
        for table, key in keys.items():
            rows = connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,))
            assert key == tuple(row[0] for row in rows)


def test_rows_point_to_earlier_tables() -> None:
    """So that whoever takes them in order meets no row before what it points to."""
    connection, _ = tables_in_memory()
    order = list(MONEY_KEYS)
    for place, table in enumerate(order):
        for row in connection.execute('SELECT "table" FROM pragma_foreign_key_list(?)', (table,)):
            assert order.index(row[0]) < place


def test_each_column_is_told_by_one_stream() -> None:
    """No order in which the two streams are taken makes one take back what the other told."""
    connection, _ = tables_in_memory()
    told: dict[str, list[str]] = {}
    for place in places(connection):
        told.setdefault(place.table, []).extend(place.columns)
    for table, columns in told.items():
        beside_key = [column for column in columns if column not in KEYS_OF[Stream.USAGE].get(table, ())]
        assert len(beside_key) == len(set(beside_key))
        assert set(columns) == set(columns_in(connection, table))


def test_nothing_is_told_before_it_is_wanted() -> None:
    """A box that belongs to no hub writes not one event more."""
    box = Box.open(telling=False)
    box.do(add_grant)
    assert rows_told(box) == []
    assert box.sql.execute("SELECT count(*) FROM sqlite_temp_master").fetchone() == (0,)


def test_a_transaction_tells_its_rows_once() -> None:
    """Each row once, however often it was written, as it stands at the end; what the business says comes before."""
    box = Box.open()
    box.do(add_grant)
    (told,) = rows_told(box)
    assert {table: len(rows) for table, rows in told.items()} == {
        "package_versions": 1, "customers": 1, "purchases": 1, "payments": 1, "evidence": 1, "grants": 1, "entries": 1,
    }  # fmt: skip
    assert told["purchases"][0]["state"] == "paid"
    assert told["evidence"][0]["raw"].keys() == {"base64"}
    kinds = [json.loads(line)["type"] for line in box.lines(Stream.MONEY)]
    assert kinds[-1] == ROWS
    assert "payment.booked" in kinds


def test_a_row_written_twice_is_told_once() -> None:
    """A customer who pays twice within a transaction stands in it once, with both."""
    box = Box.open()
    box.do(lambda tx: [add_grant(tx, number=number) for number in (1, 2)])
    (told,) = rows_told(box)
    assert [row["total_spent_cents"] for row in told["customers"]] == [2000]
    assert len(told["grants"]) == 2


def test_what_was_undone_is_not_told() -> None:
    """Neither its rows nor the wish to tell them; and telling goes on."""
    box = Box.open()
    business = Business(box)
    with pytest.raises(UndoneError):
        box.do(lambda tx: business.undo(tx, 1))
    assert rows_told(box) == []
    box.do(lambda tx: business.buy(tx, 2))
    assert [list(told) for told in rows_told(box)] == [["package_versions", "purchases"]]


def test_a_wish_to_tell_that_was_undone_leaves_nothing() -> None:
    """The next transaction of a box that was not enrolled after all tells nothing."""
    box = Box.open(telling=False)

    def begin(tx: Tables) -> None:
        tx.changes.begin(START)
        add_grant(tx)
        raise UndoneError

    with pytest.raises(UndoneError):
        box.do(begin)
    box.do(lambda tx: add_grant(tx, number=2))
    assert rows_told(box) == []


def test_large_transactions_are_told_in_parts() -> None:
    """No event is larger than a part may be, and together they have each row once."""
    box = Box.open()
    business = Business(box)

    def print_many(tx: Tables) -> None:
        for number in range(400):
            business.print_vouchers(tx, number)

    box.do(print_many)
    sizes = [len(line) for line in box.lines(Stream.MONEY)]
    assert max(sizes) < EVENT_OCTETS_MAX + 1000
    assert len(rows_told(box)) > 2
    vouchers = [(row["batch_id"], row["number"]) for told in rows_told(box) for row in told.get("vouchers", [])]
    assert (len(vouchers), len(set(vouchers))) == (1200, 1200)


@settings(max_examples=25)
@given(HAPPENINGS)
@example(FULL_DAY[:80])
def test_books_are_made_anew_from_events_alone(happenings: list[tuple[str, int]]) -> None:
    """After each transaction the events say how the books stand: another box that takes them has the same rows."""
    box, other = Box.open(), Box.open(telling=False)
    business = Business(box)
    for name, number in happenings:
        business.happen(name, number)
        other.take_all(box)
        assert money_of(other.digests()) == money_of(box.digests())
    box.count()
    other.take_all(box)
    assert other.digests() == box.digests()
    assert broken_rules(box.sql) == []
    assert broken_rules(other.sql) == []


@settings(max_examples=25)
@given(HAPPENINGS, HAPPENINGS, st.integers(1, 40))
@example(FULL_DAY, FULL_DAY, 9)
def test_books_that_stood_are_made_anew_too(
    before: list[tuple[str, int]], meanwhile: list[tuple[str, int]], page: int
) -> None:
    """What was there before the box was enrolled is told while business goes on; the last image of a row counts."""
    box = Box.open(telling=False)
    business = Business(box)
    for happening in before:
        business.happen(*happening)
    box.do(lambda tx: tx.changes.begin(START))
    left = list(meanwhile)
    while box.do(lambda tx: tx.standing.tell_page()):
        if left:
            business.happen(*left.pop())
    box.count()
    other = Box.open(telling=False)
    for stream in Stream:
        lines = box.lines(stream)
        for at in range(0, len(lines), page):
            other.take(stream, lines[at : at + page])
    other.rewrite(follow)
    assert other.digests() == box.digests()
    assert broken_rules(other.sql) == []


def test_standing_rows_are_told_in_bounded_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page has at most so many rows; one after the other, each row is told once."""
    monkeypatch.setattr(standing, "PAGE_ROWS_MAX", 7)
    box = Box.open(telling=False)
    business = Business(box)
    for happening in FULL_DAY:
        business.happen(*happening)
    box.do(lambda tx: tx.changes.begin(START))
    before = len(box.lines(Stream.MONEY))
    while box.do(lambda tx: tx.standing.tell_page()):
        pass
    assert box.tx.standing.are_told()
    pages = [json.loads(line)["data"]["rows"] for line in box.lines(Stream.MONEY, before)]
    assert {len(rows) for told in pages for rows in told.values()} <= set(range(1, 8))
    for table, key in MONEY_KEYS.items():
        keys = [tuple(row[column] for column in key) for told in pages for row in told.get(table, [])]
        stood = box.sql.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - a test's own words
        assert len(keys) == len(set(keys)) == stood > 0


def test_a_box_made_anew_sells_on() -> None:
    """Numbers go on above those that came, guards stand as before, and its books stay whole."""
    box, other = Box.open(), Box.open(telling=False)
    business = Business(box)
    for happening in FULL_DAY:
        business.happen(*happening)
    box.count()
    other.take_all(box)
    triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    assert other.sql.execute(triggers).fetchall() == box.sql.execute(triggers).fetchall()
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.sql.execute("DELETE FROM entries")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        other.sql.execute("UPDATE payments SET customer_id = 'nobody' WHERE customer_id IS NULL")
    other.do(lambda tx: tx.changes.begin(START, standing=False))
    other.time.advance(60 * 60 * 24)
    business = Business(other, SeededRandomness(7))
    for name, number in FULL_DAY:
        business.happen(name, number + 10)
    assert broken_rules(other.sql) == []
    assert other.tx.events.head(Stream.MONEY)[0] > box.tx.events.head(Stream.MONEY)[0]
    third = Box.open(telling=False)
    other.count()
    third.take_all(other)
    assert third.digests() == other.digests()


def test_used_is_told_with_its_sessions() -> None:
    """Reports while a session is on write nothing; its beginning and its end do, with what its grant has used."""
    box = Box.open()
    business = Business(box)
    grant = box.do(add_grant)
    box.do(lambda tx: tx.grants.update(grant.started(START)))
    for number in (1, 1, 1, 1):  # goes on
        business.happen("use", number)
    assert [set(told) for told in rows_told(box, Stream.USAGE)] == [{"sessions", "grants"}]
    box.do(lambda tx: tx.changes.count(START + timedelta(minutes=1)))
    box.do(lambda tx: tx.changes.count(START + timedelta(minutes=9)))
    assert len(rows_told(box, Stream.USAGE)) == 1
    box.do(lambda tx: tx.changes.count(START + timedelta(minutes=11)))
    assert rows_told(box, Stream.USAGE)[1:] == [
        {"grants": [{"grant_id": "grant-1", "seconds_used": 180, "octets_used": 180 * 8}]}
    ]
    box.do(lambda tx: tx.changes.count(START + timedelta(minutes=50)))
    assert len(rows_told(box, Stream.USAGE)) == 2, "nothing was heard of the session for long"
    box.time.advance(45 * 60)
    business.happen("use", 1)
    box.do(lambda tx: tx.changes.count(START + timedelta(minutes=61)))
    assert set(rows_told(box, Stream.USAGE)[2]) == {"sessions", "grants"}


async def test_telling_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Whether rows are told stands in the books; how far the standing ones are told does too."""
    async with open_books(tmp_path) as books:
        await books.store.write(add_grant)
        await books.store.write(lambda tx: tx.changes.begin(books.now()))
        assert await books.store.write(lambda tx: tx.standing.tell_page())
        told = books.events().count(ROWS)
    assert told == 1
    async with open_books(tmp_path) as books:
        await standing.tell_standing_rows(books.store)
        assert books.store.read.standing.are_told()
        assert books.events().count(ROWS) == len(MONEY_KEYS) - 5  # no voucher, batch, trial, claim or gateway stands
        await books.store.write(lambda tx: add_grant(tx, number=2))
        assert books.events()[-1] == ROWS


async def test_work_that_shares_a_commit_is_told_together(tmp_path: Path) -> None:
    """Once for all that share a savepoint; where one fails, of it nothing and of the others all."""
    async with open_books(tmp_path) as books:
        await books.store.write(lambda tx: tx.changes.begin(books.now(), standing=False))
        works = [lambda tx, number=number: add_grant(tx, number=number) for number in range(1, 6)]
        done = [books.store.writing(work, repeatable=True) for work in works]
        failing = books.store.writing(lambda tx: [add_grant(tx, number=9), 1 // 0], repeatable=True)
        for each in done:
            await each
        with pytest.raises(ZeroDivisionError):
            await failing
        assert books.events().count(ROWS) in {1, 5}
        told = [
            json.loads(body)["data"]["rows"].get("grants", [])
            for _, body in books.store.read.events.bodies_after(Stream.MONEY, 0, 1000)
            if b'"type":"rows"' in body
        ]
        assert sorted(row["grant_id"] for rows in told for row in rows) == [f"grant-{n}" for n in range(1, 6)]


@pytest.mark.parametrize("place", places(tables_in_memory()[0]), ids=lambda place: place.name)
def test_rows_are_found_by_an_index(place: Place) -> None:
    """The row of a key, and the page after one: neither walks through a table."""
    connection, _ = tables_in_memory()
    keys, marks = ", ".join(place.key), ", ".join("?" * len(place.key))
    page = f"{place.select}WHERE ({keys}) > ({marks}) ORDER BY {keys} LIMIT 200"
    for query in (place.select + place.where_key, page):
        (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {query}", [""] * len(place.key)).fetchall()
        assert plan[3].startswith("SEARCH")


def test_open_sessions_are_found_by_an_index() -> None:
    """However many have ended since the site was opened: every ten minutes they are asked for."""
    box = Box.open()
    asked: list[str] = []
    box.sql.set_trace_callback(asked.append)
    box.count()
    (query,) = [each for each in asked if "FROM sessions" in each]
    (plan,) = box.sql.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
    assert "USING INDEX sessions_open_by_grant" in plan[3]


def test_where_money_is_told_comes_back() -> None:
    """The address that is registered at M-Pesa outlives the box; how far a list was read is told to nobody."""
    box, other = Box.open(), Box.open(telling=False)
    state = GatewayState("paybill", "f" * 32, START, START, START)
    box.do(lambda tx: tx.gateways.put(state))
    told = len(box.lines(Stream.MONEY))
    for minute in range(1, 6):
        read_at = START + timedelta(minutes=minute)
        box.do(lambda tx, at=read_at: tx.gateways.put(replace(state, swept_until=at, swept_at=at)))  # type: ignore[misc]
    assert len(box.lines(Stream.MONEY)) == told
    other.take_all(box)
    assert other.tx.gateways.by_notice_token("f" * 32) == GatewayState("paybill", "f" * 32, START)
    assert other.digests() == box.digests()
