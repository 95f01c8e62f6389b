"""Events that come back from a hub: taken only where they continue what is there, in whatever pieces they come."""

from __future__ import annotations

import functools
import hashlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.event_lines import PARKED, parked_line
from easyisp_edge.domain.events import GENESIS, Stream, chain
from easyisp_edge.domain.row_images import ROWS
from easyisp_edge.errors import ConflictError, EdgeError, InvalidError
from easyisp_edge.store.digests import digests
from easyisp_edge.store.rebuild import finish
from tests.fakes.clocks import START
from tests.unit.shop import MAC, add_grant, open_books
from tests.unit.store.told_books import Box, Business

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from easyisp_edge.store.store import Store, Tables

DAY = [
    (name, number)
    for number in range(8)
    for name in ("buy", "claim", "pay", "use", "receive", "print_vouchers", "redeem", "try_it", "live", "use")
]


@pytest.fixture(scope="module")
def told() -> Box:
    """A box whose day was told."""
    box = Box.open()
    business = Business(box)
    for happening in DAY:
        business.happen(*happening)
    box.count()
    return box


def as_it_stands(box: Box) -> tuple[dict[str, str], int, int]:
    return box.digests(), box.tx.events.head(Stream.MONEY)[0], box.tx.events.head(Stream.USAGE)[0]


@pytest.mark.parametrize("missing", [0, 1, 5])
def test_a_gap_is_refused(told: Box, missing: int) -> None:
    """Nothing of the page is taken."""
    other, lines = Box.open(telling=False), told.lines(Stream.MONEY)
    before = as_it_stands(other)
    with pytest.raises(ConflictError, match="do not continue"):
        other.take(Stream.MONEY, lines[:missing] + lines[missing + 1 :])
    assert as_it_stands(other) == before


@pytest.mark.parametrize("at", [0, 3, 40])
def test_a_changed_line_is_refused(told: Box, at: int) -> None:
    """Whatever was changed in it: the next does not continue it; nothing of the page is taken."""
    other, lines = Box.open(telling=False), told.lines(Stream.MONEY)
    before = as_it_stands(other)
    lines[at] = lines[at].replace(b'"clk":"', b'"clk":"x', 1)
    with pytest.raises(ConflictError, match=f"do not continue number {at + 1}"):
        other.take(Stream.MONEY, lines)
    assert as_it_stands(other) == before


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'"money"',
        b"\xff",
        b"[" * 100_000,
        b'{"parked": 1}',
        b'{"parked":1,"digest":"' + b"0" * 64 + b'"}',
        b'{"digest":"00","parked":1}',
        b'{"digest":"' + b"0" * 64 + b'","parked":true}',
    ],
)
def test_what_is_no_event_is_refused(line: bytes) -> None:
    """However it is broken."""
    other = Box.open(telling=False)
    before = as_it_stands(other)
    with pytest.raises(InvalidError):
        other.take(Stream.MONEY, [line])
    assert as_it_stands(other) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [("stream", "usage"), ("stream", "gossip"), ("seq", 0), ("seq", "1"), ("seq", True), ("type", None), ("key", 1),
     ("at", "yesterday"), ("at", "2026-11-21T06:00:00"), ("prev", "zz"), ("data", None), ("data", 7)],
)  # fmt: skip
def test_an_event_with_an_odd_field_is_refused(field: str, value: Any) -> None:
    """Each field is what it must be, or the line is none."""
    event = chain(Stream.MONEY, 1, GENESIS, kind="x", key="k", at=START, clock="synced", data={})
    other = Box.open(telling=False)
    other.take(Stream.MONEY, [event.body])
    line = json.dumps(json.loads(event.body) | {field: value}).encode()
    with pytest.raises(InvalidError):
        Box.open(telling=False).take(Stream.MONEY, [line])


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"rows": 5},
        {"rows": {"payments": [7]}},
        {"rows": {"clock": [{"id": 1}]}},
        {"rows": {"sessions": [{"session_id": 1}]}},
        {"rows": {"customers": [{"tenant_id": "default"}]}},
        {"rows": {"customers": [{"customer_id": "x"}]}},
        {"rows": {"customers": [{"customer_id": "x", "shoe_size": 43}]}},
        {"rows": {"customers": [{"customer_id": {"base64": "*"}}]}},
        {"rows": {"customers": [{"customer_id": ["x"]}]}},
        {"rows": {"customers; DROP TABLE payments": [{"customer_id": "x"}]}},
        {"rows": {"evidence": [{"evidence_id": 1, "raw": {"base32": ""}}]}},
    ],
)
def test_rows_that_do_not_fit_are_refused(data: dict[str, Any]) -> None:
    """An unknown table, column or kind of value: nothing is taken, and what to do is said."""
    other = Box.open(telling=False)
    before = as_it_stands(other)
    line = chain(Stream.MONEY, 1, GENESIS, kind=ROWS, key="books", at=START, clock="synced", data=data).body
    with pytest.raises(ConflictError, match="install the release") as refused:
        other.take(Stream.MONEY, [line])
    assert refused.value.code == "rebuild.unfit"
    assert as_it_stands(other) == before


def test_the_same_lines_again_change_nothing(told: Box) -> None:
    """As after an answer that was lost."""
    other, lines = Box.open(telling=False), told.lines(Stream.MONEY)
    other.take(Stream.MONEY, lines)
    before = as_it_stands(other)
    assert other.take(Stream.MONEY, lines[10:]) == len(lines)
    assert as_it_stands(other) == before


def test_another_event_under_a_number_that_is_there_is_said(told: Box) -> None:
    """Both went on from the same number: that is a person's matter, with the number named."""
    other, lines = Box.open(telling=False), told.lines(Stream.MONEY)
    other.take(Stream.MONEY, lines[:5])
    other.do(lambda tx: tx.events.append(Stream.MONEY, "box.started", "box", {}))
    before = as_it_stands(other)
    with pytest.raises(ConflictError) as refused:
        other.take(Stream.MONEY, lines)
    assert (refused.value.code, refused.value.values["sequence"]) == ("rebuild.forked", 6)
    assert as_it_stands(other) == before


def test_what_stands_in_an_events_place_keeps_the_chain(told: Box) -> None:
    """What a hub could not keep is passed over by its digest, and the history is whole with it."""
    other, lines = Box.open(telling=False), told.lines(Stream.MONEY)
    at = next(at for at, line in enumerate(lines) if json.loads(line)["type"] == "grant.started")
    lines[at] = parked_line(at + 1, hashlib.sha256(lines[at]).digest())
    assert other.take(Stream.MONEY, lines) == len(lines)
    assert other.tx.events.first_break(Stream.MONEY) is None
    assert other.tx.events.head(Stream.MONEY)[1] == told.tx.events.head(Stream.MONEY)[1]
    assert other.sql.execute("SELECT count(*) FROM events WHERE type = ?", (PARKED,)).fetchone() == (1,)
    other.sql.execute("DROP TRIGGER events_stand")
    other.sql.execute("UPDATE events SET digest = zeroblob(32) WHERE type = ?", (PARKED,))
    assert other.tx.events.first_break(Stream.MONEY) == at + 1


def test_rows_may_make_way_for_each_other() -> None:
    """What is unique may pass from one row to another in one transaction, in whichever order they are told."""
    box = Box.open()
    first, second = box.do(add_grant), box.do(lambda tx: add_grant(tx, number=2))

    def swap(tx: Tables) -> None:
        for grant_id, username in (
            (first.grant_id, "between"),
            (second.grant_id, "USER000001"),
            (first.grant_id, "USER000002"),
        ):
            box.sql.execute("UPDATE grants SET username = ? WHERE grant_id = ?", (username, grant_id))
        tx.grants.use(first.grant_id, 0, 0)

    other = Box.open(telling=False)
    other.take_all(box)
    other.rewrite(lambda tx: tx.grants.use(first.grant_id, 30, 40))
    box.do(swap)
    other.take_all(box)
    names = "SELECT grant_id, username, seconds_used, octets_used FROM grants ORDER BY grant_id"
    assert other.sql.execute(names).fetchall() == [("grant-1", "USER000002", 30, 40), ("grant-2", "USER000001", 0, 0)]


async def take(store: Store, stream: Stream, lines: Sequence[bytes]) -> int:
    """Take lines page by page, each in a transaction of its own."""
    last = 0
    for begin in range(0, len(lines), 10):
        last = await store.rewrite(functools.partial(_take_page, stream=stream, page=lines[begin : begin + 10]))
    return last


def _take_page(tx: Tables, stream: Stream, page: Sequence[bytes]) -> int:
    return tx.rebuild.take(stream, page)


async def test_a_new_box_for_a_dead_one(told: Box, tmp_path: Path) -> None:
    """Through the store, in small transactions, with others at work: rows and readers see all, and it sells on."""
    async with open_books(tmp_path) as books:
        await books.store.write(lambda tx: tx.changes.begin(START, standing=False))
        for stream in Stream:
            lines = told.lines(stream)
            assert await take(books.store, stream, lines[:15]) == 15
            assert await take(books.store, stream, lines) == len(lines)
        await finish(books.store)
        assert digests(books.store._database.reading) == told.digests()
        assert books.store.read.payments.recent("default", 5)
        before = books.events().count(ROWS)
        await books.store.write(lambda tx: add_grant(tx, number=77))
        assert books.events().count(ROWS) == before + 1, "what came in events is told by nobody again"


async def test_missing_pages_are_said(told: Box, tmp_path: Path) -> None:
    """Before a box goes on selling it is seen that every row points to one that is there."""
    async with open_books(tmp_path) as books:
        line = chain(
            Stream.MONEY, 1, GENESIS, kind=ROWS, key="books", at=START, clock="synced",
            data={"rows": {"trials": [{"tenant_id": "d", "mac": "m", "day": "2026-11-21", "grant_id": "nobody"}]}},
        ).body  # fmt: skip
        await take(books.store, Stream.MONEY, [line])
        with pytest.raises(ConflictError, match="trials"):
            await finish(books.store)
        await books.store.rewrite(lambda tx: tx.events._sql.execute("DELETE FROM trials"))


async def test_a_page_that_fails_leaves_nothing_and_all_guards(told: Box, tmp_path: Path) -> None:
    """Neither rows nor events nor a book without its triggers and keys."""
    async with open_books(tmp_path) as books:
        lines = told.lines(Stream.MONEY)
        with pytest.raises(EdgeError):
            await books.store.rewrite(lambda tx: _take_page(tx, Stream.MONEY, [*lines[:50], b"{}"]))
        assert books.count("events") == 0
        guarded = await books.store.survey(lambda tx: tx.events._sql.execute(_TRIGGERS).fetchall())
        assert guarded == told.sql.execute(_TRIGGERS).fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            await books.store.write(lambda tx: tx.trials.add("d", MAC, START.date(), "nobody"))


_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
