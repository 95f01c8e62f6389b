from __future__ import annotations

import json
import random
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_digest import digests
from easyisp_edge.domain.row_images import MONEY_KEYS
from easyisp_edge.hub.catching_up import project_again
from easyisp_edge.hub.projecting import AMOUNT_MOST
from easyisp_edge.hub.store.projections import images
from easyisp_edge.hub.store.streams import add_projection_errors
from tests.fakes.hub_stage import parts_of
from tests.unit.hub.seen import alarms, stored

if TYPE_CHECKING:
    from easyisp_edge.hub.hub import Hub
    from tests.fakes.hub_stage import Box


def payment(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "payment_id": f"p{number}",
        "tenant_id": "default",
        "amount_cents": 5000,
        "disposition": "unmatched",
        "mpesa_receipt_number": f"TKL{number:07}",
        "created_at": "2026-11-21T06:00:00.000Z",
        "note": "Ñandú \u2028 \0 end",
        **changes,
    }


async def books(hub: Hub, box: Box) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    async with parts_of(hub).database.reading() as tx:
        for table, image in await images(tx, box.site):
            found.setdefault(table, []).append(image)
    return found


async def errors(hub: Hub, box: Box) -> dict[int, str]:
    async with parts_of(hub).database.reading() as tx:
        rows = await tx.rows("SELECT seq, reason FROM projection_errors WHERE site_id = $1", box.site)
    return dict(rows)


async def test_the_last_image_of_a_row_stands(hub: Hub, box: Box) -> None:
    """Within an event, a batch and over batches, with the columns that are searched beside it."""
    box.make_rows(payments=[payment(1), payment(2)])
    box.make_rows(payments=[payment(1, disposition="wallet")])
    await box.post_all()
    box.make_rows(payments=[payment(2, disposition="grant", amount_cents=None), payment(2, disposition="refunded")])
    await box.post_all()
    found = {row["payment_id"]: row for row in (await books(hub, box))["payments"]}
    assert found == {"p1": payment(1, disposition="wallet"), "p2": payment(2, disposition="refunded")}
    async with parts_of(hub).database.reading() as tx:
        rows = await tx.rows(
            "SELECT row_key, disposition, amount_cents, seq FROM payments WHERE site_id = $1 ORDER BY row_key", box.site
        )
    assert rows == [("p1", "wallet", 5000, 2), ("p2", "refunded", 5000, 3)]


async def test_rows_known_by_several_columns_are_apart(hub: Hub, box: Box) -> None:
    """A voucher is its batch and number."""
    vouchers = [{"batch_id": batch, "number": number, "code": "x"} for batch in ("1", "11") for number in (1, 11)]
    box.make_rows(vouchers=vouchers)
    await box.post_all()
    found = (await books(hub, box))["vouchers"]
    assert sorted(found, key=lambda row: (row["batch_id"], row["number"])) == vouchers


async def test_what_a_grant_has_used_is_told_apart(hub: Hub, box: Box) -> None:
    """Money and usage each tell their columns; in whatever order they come, both stand."""
    box.make_rows(Stream.USAGE, grants=[{"grant_id": "g1", "seconds_used": 60, "octets_used": 9}])
    await box.post_all(Stream.USAGE)
    for state in ("running", "ended"):
        box.make_rows(grants=[{"grant_id": "g1", "state": state, "payment_id": "p1"}])
    await box.post_all()
    expected = {"grant_id": "g1", "state": "ended", "payment_id": "p1", "seconds_used": 60, "octets_used": 9}
    assert (await books(hub, box))["grants"] == [expected]


async def test_what_cannot_be_a_row_is_noted_and_stops_nothing(hub: Hub, box: Box) -> None:
    """The event is kept, its other rows and all later ones stand, and a person is told."""
    good = payment(1)
    bad: list[dict[str, Any]] = [
        {"rows": {"payments": [good], "unheard_of": [{"a": 1}]}},
        {"rows": {"payments": [{"amount_cents": 1}]}},
        {"rows": {"payments": [payment(3, amount_cents="5000")]}},
        {"rows": {"payments": [payment(3, amount_cents=2**70)]}},
        {"rows": {"payments": [payment(3, amount_cents=True)]}},
        {"rows": {"payments": [payment(3, tenant_id="a\0b")]}},
        {"rows": {"payments": [payment(3, tenant_id=7)]}},
        {"rows": {"payments": [payment(3, payment_id="a\0b")]}},
        {"rows": {"payments": [payment(3, amount_cents=10**15 + 1)]}},
        {"rows": {"payments": [payment(3, amount_cents=-(10**15) - 1)]}},
        {"rows": {"payments": [payment(3, amount_cents=5.0)]}},
        {"rows": {"payments": [payment(3, payment_id=2**70, created_at=7)]}},
        {"rows": {"payments": [payment(3, note=[[]])]}},
        {"rows": {"payments": [payment(3, note={"base64": {"a": 1}})]}},
        {"rows": {"a\0b": [payment(3)]}},
        {"rows": {"payments": ["x"]}},
        {"rows": {"payments": {}}},
        {"rows": {"sessions": [{"session_id": 1}]}},
        {"rows": []},
        {},
    ]
    for data in bad:
        box.make(Stream.MONEY, data, "rows")
    box.make_rows(payments=[payment(2)])
    assert (await box.post_all()).content["ack"] == len(bad) + 1
    assert {row["payment_id"] for row in (await books(hub, box))["payments"]} == {"p1", "p2"}
    assert sorted(await errors(hub, box)) == list(range(1, len(bad) + 1))
    assert "projection" in await alarms(hub, box.site)


LONG = secrets.token_hex(5000)  # PostgreSQL packs what repeats, and has no fault with it


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("payments", payment(3, mpesa_receipt_number=LONG)),
        ("payments", payment(3, payment_id=LONG)),
        ("payments", payment(3, created_at=LONG)),
        ("payments", payment(3, mpesa_receipt_number="".join(map(chr, range(0x20000, 0x20000 + 501))))),
        ("grants", {"grant_id": "g1", "payment_id": LONG}),
        ("grants", {"grant_id": LONG}),
        ("vouchers", {"batch_id": LONG, "number": 1}),
        ("vouchers", {"batch_id": "b", "number": 10**4000}),
        ("entries", {"entry_id": "e1", "at": LONG}),
        ("entries", {"entry_id": "e1", "amount_cents": 2**62}),
    ],
)
async def test_what_no_index_holds_is_noted_and_stops_nothing(
    hub: Hub, box: Box, table: str, row: dict[str, Any]
) -> None:
    """Nor what leaves no room to add up; it is kept as it came, and what comes behind it stands."""
    body = box.make(Stream.MONEY, {"rows": {table: [row]}}, "rows").body
    box.make_rows(payments=[payment(1)])
    assert (await box.post_all()).content["ack"] == 2
    assert [list(rows) for rows in (await books(hub, box)).values()] == [[payment(1)]]
    assert list(await errors(hub, box)) == [1]
    assert (await stored(hub, box.site, Stream.MONEY))[0] == body


async def test_the_longest_that_an_index_holds_stands(hub: Hub, box: Box) -> None:
    """Five hundred characters of four octets, in every text that is searched for, and the largest amount."""
    long = "".join(map(chr, range(0x20000, 0x20000 + 500)))
    row = payment(1, payment_id=long, mpesa_receipt_number=long, created_at=long, amount_cents=AMOUNT_MOST)
    box.make_rows(payments=[row], sessions=[])
    box.make_rows(grants=[{"grant_id": long, "payment_id": long, "created_at": long}])
    await box.post_all()
    assert (await books(hub, box))["payments"] == [row]
    assert list(await errors(hub, box)) == [1]  # for the table, which is none of this stream's


@pytest.mark.parametrize("depth", range(900, 1000, 7))
async def test_what_can_hardly_be_read_stops_nothing(hub: Hub, box: Box, depth: int) -> None:
    """An event that is nested to the limit is read, or refused as none: never half of both; nor does it end the hub."""
    box.make_rows(payments=[payment(1, note="PLACE")])
    (line,) = box.lines(Stream.MONEY, 1, 1)
    said = await box.post(Stream.MONEY, [line.replace(b'"PLACE"', b"[" * depth + b"]" * depth)])
    assert (said.status, said.code) in {(200, ""), (400, "event")}
    assert (await books(hub, box)).get("payments") is None
    await project_again(parts_of(hub).database)
    assert list(await errors(hub, box)) == ([1] if said.status == 200 else [])


async def test_what_is_understood_later_becomes_rows(hub: Hub, box: Box) -> None:
    """A newer hub tries again; what later events said meanwhile stands, and what is not understood yet stays noted."""
    box.make_rows(payments=[payment(1, disposition="old"), payment(2)])
    box.make(Stream.MONEY, {"rows": {"unheard_of": []}}, "rows")
    box.make_rows(payments=[payment(1, disposition="new")])
    await box.post_all()
    async with parts_of(hub).database.transaction() as tx:
        # As an older hub left it that did not understand the first event.
        await tx.rows("DELETE FROM payments WHERE site_id = $1 AND row_key = 'p2'", box.site)
        await add_projection_errors(tx, [(box.site, "money", 1, "its data is of a newer release", "")])
    await project_again(parts_of(hub).database)
    found = {row["payment_id"]: row["disposition"] for row in (await books(hub, box))["payments"]}
    assert found == {"p1": "new", "p2": "unmatched"}
    assert list(await errors(hub, box)) == [2]


async def test_half_a_character_is_noted_and_stops_nothing(hub: Hub, box: Box) -> None:
    """JSON can write what no database can hold; the line is kept as it came all the same."""
    box.make_rows(payments=[payment(1, payment_id="PLACE")])
    box.make_rows(payments=[payment(2, payment_id="p2", note="PLACE")])
    halves = [line.replace(b"PLACE", b"\\ud800") for line in box.lines(Stream.MONEY, 1, 2)]

    second = json.loads(halves[1])
    second["prev"] = sha256(halves[0]).hexdigest()
    said = await box.post(Stream.MONEY, [halves[0], json.dumps(second).encode()])
    assert said.content["ack"] == 2
    assert sorted(await errors(hub, box)) == [1]
    assert [row["note"] for row in (await books(hub, box))["payments"]] == ["?"]


async def test_the_digests_are_the_boxs(hub: Hub, box: Box) -> None:
    """Whatever order, size and repetition batches had, the hub's books are the box's, row for row."""
    chance = random.Random(7)
    own: dict[tuple[str, str], dict[str, Any]] = {}
    used: dict[str, dict[str, Any]] = {}
    for turn in range(150):
        table = chance.choice([name for name in MONEY_KEYS if len(MONEY_KEYS[name]) == 1])
        key = f"k{chance.randrange(12)}"
        row = {MONEY_KEYS[table][0]: key, "turn": turn, "text": chance.choice(["ü", "\0", "plain", None])}
        own[table, key] = row
        box.make_rows(Stream.MONEY, **{table: [row]})
        if turn % 5 == 0:
            grant = f"k{chance.randrange(12)}"
            if ("grants", grant) in own:
                used[grant] = {"grant_id": grant, "seconds_used": turn, "octets_used": 1}
                box.make_rows(Stream.USAGE, grants=[used[grant]])
    for stream in Stream:
        every = [event.body for event in box.streams[stream]]
        sent = 0
        while sent < len(every):
            first = max(0, sent - chance.randrange(3))
            last = min(len(every), sent + chance.randrange(1, 20))
            assert (await box.post(stream, every[first:last])).status == 200
            sent = last
    expected = [
        (table, {**row, **used.get(key, {})} if table == "grants" else row) for (table, key), row in own.items()
    ]
    async with parts_of(hub).database.reading() as tx:
        assert digests(await images(tx, box.site)) == digests(expected)
