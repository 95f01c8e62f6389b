"""A box and its hub both went on from the same number: nothing is lost without a word, and the books are whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.events import Stream
from easyisp_edge.services.access import grant_life
from easyisp_edge.store.checks import broken_rules
from easyisp_edge.store.rebuild import follow
from tests.fakes.clocks import SeededRandomness
from tests.unit.store.told_books import STEPS, Box, Business

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easyisp_edge.store.store import Tables

HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS.keys() - {"undo"})), st.integers(0, 4)), min_size=2, max_size=40
)
# What goes on while a box takes back what it lost: nothing is sold, but money comes in, and who is online stays so.
MEANWHILE = st.lists(
    st.tuples(st.sampled_from(["pay", "fail", "receive", "live", "use"]), st.integers(0, 4)), max_size=10
)
BUSY = [(name, number) for number in range(3) for name in ("buy", "pay", "live", "use", "receive", "try_it", "use")]

# A claim of one part whose money came in the other is due for a look, as any open claim, and that decides it.
NEXT_LOOK_DECIDES = "a claim whose money is known is decided"


def common_past(happenings: list[tuple[str, int]]) -> tuple[Box, Box]:
    """The first box, and the one that was restored from its card's copy; both know and told the same."""
    first, restored = Box.open(), Box.open()
    for box in (first, restored):
        business = Business(box)
        for happening in happenings:
            business.happen(*happening)
        box.count()
    assert restored.lines(Stream.MONEY) == first.lines(Stream.MONEY)
    return first, restored


def go_on(box: Box, happenings: list[tuple[str, int]], seed: int) -> None:
    business = Business(box, SeededRandomness(seed))
    for happening in happenings:
        business.happen(*happening)
    box.count()


def heal(
    restored: Box, first: Box, parted: dict[Stream, int], meanwhile: Sequence[tuple[str, int]] = ()
) -> list[tuple[str, tuple[object, ...]]]:
    """What the restored box does once it hears of the other's history; gives what it could not keep.

    It comes in two pages of each stream, and business goes on after each.
    """
    reached = dict(parted)
    for stream in Stream:
        lines = first.lines(stream, parted[stream])
        for page in (lines[: len(lines) // 2], lines[len(lines) // 2 :]):
            restored.rewrite(lambda tx, stream=stream: tx.forks.set_aside(stream, reached[stream], "parted"))  # type: ignore[misc]
            restored.take(stream, page)
            reached[stream] += len(page)
            go_on(restored, list(meanwhile), 13 + reached[stream])
    refused: list[tuple[str, tuple[object, ...]]] = []
    for stream in Stream:
        refused += restored.rewrite(lambda tx, stream=stream: tx.forks.tell_anew(stream, reached[stream])).refused  # type: ignore[misc]
    restored.rewrite(follow)
    return refused


@settings(max_examples=25)
@given(HAPPENINGS, HAPPENINGS, HAPPENINGS, MEANWHILE)
@example(BUSY, BUSY, BUSY, [])
@example(BUSY, BUSY, BUSY, [("live", 0), ("use", 0), ("pay", 1), ("live", 2), ("use", 3)])
@example([("buy", 1)], [("pay", 1)], [("pay", 1), ("use", 1)], [])
@example([], [("assign", 0), ("buy", 0)], [("assign", 0), ("buy", 0)], [("fail", 0)])
@example([], [("assign", 0), ("buy", 0)], [("assign", 0), ("buy", 0)], [("pay", 0), ("fail", 0)])
@example([("receive", 0), ("receive", 1)], [("receive", 2), ("use", 1)], [("receive", 3)], [("use", 1)])
@example([("buy", 0)], [("claim", 0), ("receive", 0), ("assign", 0)], [("buy", 1)], [("pay", 0)])
@example([("print_vouchers", 1)], [("redeem", 1)], [("redeem", 1), ("live", 1)], [])
@example([("buy", 1)], [("receive", 1)], [("receive", 1), ("assign", 1)], [])
@example([("buy", 1), ("receive", 0)], [("assign", 0), ("pay", 1)], [("assign", 0), ("assign", 1)], [])
def test_both_parts_are_kept(
    past: list[tuple[str, int]],
    lost: list[tuple[str, int]],
    own: list[tuple[str, int]],
    meanwhile: list[tuple[str, int]],
) -> None:
    """The hub's history stands as it is, ours on top; the books are whole, and events alone make them anew."""
    first, restored = common_past(past)
    parted = {stream: first.tx.events.head(stream)[0] for stream in Stream}
    go_on(first, lost, 11)
    go_on(restored, own, 12)
    heal(restored, first, parted, meanwhile)
    assert [broken for broken in broken_rules(restored.sql) if broken.rule != NEXT_LOOK_DECIDES] == []
    for stream in Stream:
        assert restored.lines(stream)[: len(first.lines(stream))] == first.lines(stream)
    assert restored.tx.forks.waiting() == []
    third = Box.open(telling=False)
    third.take_all(restored)
    assert third.digests() == restored.digests()


def test_sales_of_both_parts_stand_beside_each_other() -> None:
    """What has nothing to do with each other is all there, though both gave away the same numbers."""
    first, restored = common_past([])
    parted = {stream: first.tx.events.head(stream)[0] for stream in Stream}
    go_on(first, [("buy", 1), ("pay", 1), ("use", 1)], 11)
    go_on(restored, [("buy", 5), ("pay", 5), ("use", 5), ("buy", 4), ("pay", 4)], 12)
    assert heal(restored, first, parted) == []
    receipts = restored.sql.execute("SELECT mpesa_receipt_number FROM payments ORDER BY 1").fetchall()
    assert receipts == [("RECEIPT001",), ("RECEIPT004",), ("RECEIPT005",)]
    for table, count in {"grants": 3, "entries": 3, "evidence": 3, "sessions": 2, "package_versions": 1}.items():
        assert restored.sql.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,)  # noqa: S608


def test_a_receipt_booked_by_both_is_booked_once() -> None:
    """The hub's stays; ours is told to be refused, and kept to be looked at."""
    first, restored = common_past([("buy", 1)])
    parted = {stream: first.tx.events.head(stream)[0] for stream in Stream}
    go_on(first, [("pay", 1)], 11)
    go_on(restored, [("pay", 1)], 12)
    refused = heal(restored, first, parted)
    assert {table for table, _ in refused} == {"payments", "grants", "entries"}
    assert restored.sql.execute("SELECT count(*) FROM payments").fetchone() == (1,)
    kept = restored.sql.execute("SELECT count(*) FROM rows_forked WHERE told = 'refused'").fetchone()
    assert kept == (len(refused),)


def test_money_that_both_read_in_a_list_is_nobodys_to_decide() -> None:
    """Nobody got anything for it here: the hub's stands alone, and no person is asked."""
    first, restored = common_past([])
    parted = {stream: first.tx.events.head(stream)[0] for stream in Stream}
    go_on(first, [("receive", 1), ("receive", 2), ("buy", 1), ("assign", 1)], 11)
    go_on(restored, [("receive", 1), ("receive", 2), ("receive", 3)], 12)
    assert heal(restored, first, parted) == []
    receipts = restored.sql.execute("SELECT mpesa_receipt_number FROM payments ORDER BY 1").fetchall()
    assert receipts == [("MONEY00001",), ("MONEY00002",), ("MONEY00003",)]
    assert broken_rules(restored.sql) == []
    told = [json.loads(line) for line in restored.lines(Stream.MONEY)]
    assert [each["type"] for each in told].count("payment.booked") == 3
    third = Box.open(telling=False)
    third.take_all(restored)
    assert third.digests() == restored.digests()


def test_what_both_had_before_is_never_taken_away() -> None:
    """What this box did with money of the common past cannot stand: the money is where it was, and the hub hears so."""
    first, restored = common_past([("buy", 1), ("receive", 0)])
    parted = {stream: first.tx.events.head(stream)[0] for stream in Stream}
    go_on(first, [("pay", 1)], 11)
    go_on(restored, [("assign", 1)], 12)
    heal(restored, first, parted)
    assert broken_rules(restored.sql) == []
    receipts = restored.sql.execute("SELECT mpesa_receipt_number FROM payments ORDER BY 1").fetchall()
    assert receipts == [("MONEY00000",), ("RECEIPT001",)]
    third = Box.open(telling=False)
    third.take_all(restored)
    assert third.digests() == restored.digests()


def test_nothing_after_the_number_is_no_fork() -> None:
    """A box that did nothing since has nothing to set aside."""
    box = Box.open()
    go_on(box, BUSY, 1)
    head = box.tx.events.head(Stream.MONEY)[0]
    assert box.rewrite(lambda tx: tx.forks.set_aside(Stream.MONEY, head)) is None
    assert box.tx.forks.waiting() == []


def test_a_grant_that_ends_meanwhile_keeps_its_money() -> None:
    """It ends while the hub's part is taken: that is this box's own doing, and refuses nothing of its part."""
    first, restored = common_past([])
    parted = {stream: first.tx.events.head(stream)[0] for stream in Stream}
    go_on(first, [("buy", 1), ("pay", 1)], 11)
    go_on(restored, [("buy", 4), ("pay", 4), ("live", 4), ("use", 1)], 12)
    (grant,) = restored.sql.execute("SELECT grant_id FROM grants").fetchone()

    def end(tx: Tables) -> None:
        standing = tx.grants.by_id(grant)
        assert standing is not None
        grant_life.end(tx, standing, "Over", restored.clock.now())

    for stream in Stream:
        restored.rewrite(lambda tx, stream=stream: tx.forks.set_aside(stream, parted[stream]))  # type: ignore[misc]
    restored.take_all(first)
    restored.do(end)
    for stream in Stream:
        last = first.tx.events.head(stream)[0]
        told = restored.rewrite(lambda tx, stream=stream, last=last: tx.forks.tell_anew(stream, last))  # type: ignore[misc]
        assert told.refused == ()
    restored.rewrite(follow)
    assert broken_rules(restored.sql) == []
    assert restored.sql.execute("SELECT state FROM grants WHERE grant_id = ?", (grant,)).fetchone() == ("ended",)
    assert restored.sql.execute("SELECT count(*) FROM entries").fetchone() == (2,)


def test_words_without_rows_are_told_anew() -> None:
    """What people did, and what customers reported, changes no row of the books, and is history all the same."""
    box = Box.open()
    box.do(lambda tx: tx.events.append(Stream.MONEY, "staff.looked", "x", {"by": "mary"}))
    box.do(lambda tx: tx.events.append(Stream.USAGE, "problem.reported", "p", {"words": "slow"}))
    for stream in Stream:
        box.rewrite(lambda tx, stream=stream: tx.forks.set_aside(stream, 0, "parted"))  # type: ignore[misc]
    assert [stream for _, stream in box.tx.forks.waiting()] == list(Stream)
    for stream, kind in ((Stream.MONEY, "staff.looked"), (Stream.USAGE, "problem.reported")):
        told = box.rewrite(lambda tx, stream=stream: tx.forks.tell_anew(stream, 0))  # type: ignore[misc]
        assert told.details == ("parted",)
        assert [json.loads(line)["type"] for line in box.lines(stream)] == [kind]
    assert box.tx.forks.waiting() == []


def test_counts_that_were_shed_are_passed_over() -> None:
    """Of what made way on a full disk only the digest is left: there is nothing in it to tell anew."""
    box = Box.open()
    for _ in range(30):
        box.do(lambda tx: tx.events.append(Stream.USAGE, "counts", "books", {"rows": {}}))
    assert box.rewrite(lambda tx: tx.sync.shed_counts(0)) is not None
    box.rewrite(lambda tx: tx.forks.set_aside(Stream.USAGE, 0))
    box.rewrite(lambda tx: tx.forks.tell_anew(Stream.USAGE, 0))
    assert box.tx.forks.waiting() == []
    assert box.lines(Stream.USAGE) == []
