"""Long batches go into PostgreSQL by another way than short ones: what is stored is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.event_lines import parked_line
from easyisp_edge.domain.events import Stream
from tests.fakes.hub_stage import parts_of

if TYPE_CHECKING:
    from easyisp_edge.hub.hub import Hub
    from easyisp_edge.hub.store.database import Row
    from tests.fakes.hub_stage import Box

# What means something to one way of writing or the other.
_TEXTS = ("\\N", "a\tb\nc\\d", "{}", "NULL", "'", '"', "ñ€", "\ufeff")
_LINES, _PAYMENTS = 240, 40  # each payment is told twice


async def paid(hub: Hub, site_id: str) -> list[Row]:
    async with parts_of(hub).database.reading() as tx:
        return await tx.rows(
            "SELECT row_key, seq, amount_cents, mpesa_receipt_number FROM payments WHERE site_id = $1 ORDER BY row_key",
            site_id,
        )


async def parked(hub: Hub, site_id: str) -> list[Row]:
    async with parts_of(hub).database.reading() as tx:
        return await tx.rows("SELECT seq, digest FROM parked_events WHERE site_id = $1", site_id)


def a_day(box: Box) -> list[bytes]:
    """Lines of a box: payments that are told twice, one event of which only the digest can come."""
    for number in range(1, _LINES + 1):
        text = _TEXTS[number % len(_TEXTS)]
        if number % 3:
            box.make(Stream.MONEY, {"n": number, "account": text})
        else:
            row = {
                "payment_id": f"p{number % (3 * _PAYMENTS):03}",
                "amount_cents": number,
                "mpesa_receipt_number": text,
            }
            box.make_rows(payments=[row])
    lines = box.lines(Stream.MONEY, 1, _LINES)
    lines[9] = parked_line(10, box.streams[Stream.MONEY][9].digest)
    return lines


@pytest.mark.parametrize("size", [1, 20, 120, _LINES])
async def test_all_is_stored_however_long_the_batch(hub: Hub, box: Box, size: int) -> None:
    """Lines come back octet by octet, a digest stands for its event, and each payment is as it was told last."""
    lines = a_day(box)
    for start in range(0, _LINES, size):
        assert (await box.post(Stream.MONEY, lines[start : start + size])).status == 200
    page = await box.send("GET", "/edge/v1/streams/money?after=0", more={"Accept-Encoding": "identity"})
    assert page.body.splitlines() == lines
    last = range(_LINES // 2 + 3, _LINES + 1, 3)
    expected = [(f"p{number % (3 * _PAYMENTS):03}", number, number, _TEXTS[number % len(_TEXTS)]) for number in last]
    assert await paid(hub, box.site) == sorted(expected)
    assert await parked(hub, box.site) == [(10, box.streams[Stream.MONEY][9].digest)]


async def test_a_long_batch_is_stored_whole_or_not_at_all(hub: Hub, box: Box) -> None:
    """Where its last table cannot be written, nothing of it stands, and the same batch is taken afterwards."""
    lines = a_day(box)
    async with parts_of(hub).database.transaction() as tx:
        await tx.rows(
            "INSERT INTO events (site_id, stream, seq, epoch, digest, received_at) VALUES ($1, 'money', $2, 1, $3, '')",
            box.site, _LINES, bytes(32),
        )  # fmt: skip
    assert (await box.post(Stream.MONEY, lines)).status == 500
    async with parts_of(hub).database.transaction() as tx:
        assert await tx.rows("SELECT seq FROM events WHERE site_id = $1", box.site) == [(_LINES,)]
        await tx.rows("DELETE FROM events WHERE site_id = $1", box.site)
    assert await paid(hub, box.site) == []
    said = await box.post(Stream.MONEY, lines)
    assert (said.status, said.content["ack"]) == (200, _LINES)
