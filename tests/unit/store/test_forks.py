"""A box and its hub both went on from the same number: nothing is lost without a word, and the books are whole."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.events import Stream
from easyisp_edge.store.checks import broken_rules
from easyisp_edge.store.rebuild import follow
from tests.fakes.clocks import SeededRandomness
from tests.unit.store.told_books import STEPS, Box, Business

HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS.keys() - {"undo"})), st.integers(0, 4)), min_size=2, max_size=40
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


def heal(restored: Box, first: Box, parted: dict[Stream, int]) -> list[tuple[str, tuple[object, ...]]]:
    """What the restored box does once it hears of the other's history; gives what it could not keep."""
    for stream in Stream:
        restored.rewrite(lambda tx, stream=stream: tx.forks.set_aside(stream, parted[stream]))  # type: ignore[misc]
    restored.take_all(first)
    refused: list[tuple[str, tuple[object, ...]]] = []
    for number, _ in restored.tx.forks.waiting():
        refused += restored.rewrite(lambda tx, number=number: tx.forks.tell_anew(number)).refused  # type: ignore[misc]
    restored.rewrite(follow)
    return refused


@settings(max_examples=25)
@given(HAPPENINGS, HAPPENINGS, HAPPENINGS)
@example(BUSY, BUSY, BUSY)
@example([("buy", 1)], [("pay", 1)], [("pay", 1), ("use", 1)])
@example([("print_vouchers", 1)], [("redeem", 1)], [("redeem", 1), ("live", 1)])
@example([("buy", 1)], [("receive", 1)], [("receive", 1), ("assign", 1)])
def test_both_parts_are_kept(
    past: list[tuple[str, int]], lost: list[tuple[str, int]], own: list[tuple[str, int]]
) -> None:
    """The hub's history stands as it is, ours on top; the books are whole, and events alone make them anew."""
    first, restored = common_past(past)
    parted = {stream: first.tx.events.head(stream)[0] for stream in Stream}
    go_on(first, lost, 11)
    go_on(restored, own, 12)
    heal(restored, first, parted)
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


def test_nothing_after_the_number_is_no_fork() -> None:
    """A box that did nothing since has nothing to set aside."""
    box = Box.open()
    go_on(box, BUSY, 1)
    head = box.tx.events.head(Stream.MONEY)[0]
    assert box.rewrite(lambda tx: tx.forks.set_aside(Stream.MONEY, head)) is None
    assert box.tx.forks.waiting() == []
