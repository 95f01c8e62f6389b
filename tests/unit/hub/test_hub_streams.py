from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.event_lines import parked_line
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import BATCH_OCTETS_MOST, EVENTS_MOST, Lane
from easyisp_edge.hub import forks
from tests.fakes.hub_stage import enrolled_box, parts_of
from tests.unit.hub.seen import alarms, stored
from tests.unit.hub.test_hub_schemas import check

if TYPE_CHECKING:
    from easyisp_edge.hub.hub import Hub
    from tests.fakes.hub_stage import Box


async def test_events_are_stored_in_order_and_acknowledged(hub: Hub, box: Box) -> None:
    """200 says up to where; each stream counts for itself; the lines are kept as they came."""
    for _ in range(3):
        box.make(Stream.MONEY)
    box.make(Stream.USAGE)
    said = await box.post_all(Stream.MONEY)
    assert (said.status, said.content["ack"], said.signed) == (200, 3, True)
    assert {"serverTime", "configVersion"} <= said.content.keys()
    assert (await box.post_all(Stream.USAGE)).content["ack"] == 1
    assert await stored(hub, box.site, Stream.MONEY) == box.lines(Stream.MONEY, 1, 3)
    assert await stored(hub, box.site, Stream.USAGE) == box.lines(Stream.USAGE, 1, 1)


async def test_the_same_again_is_stored_once(hub: Hub, box: Box) -> None:
    """A lost answer costs nothing: whole batches, parts and overlaps come again and are acknowledged."""
    for _ in range(6):
        box.make(Stream.MONEY)
    for first, last, ack in ((1, 3, 3), (1, 3, 3), (2, 2, 3), (2, 5, 5), (1, 6, 6), (6, 6, 6)):
        said = await box.post(Stream.MONEY, box.lines(Stream.MONEY, first, last))
        assert (said.status, said.content["ack"]) == (200, ack)
    assert await stored(hub, box.site, Stream.MONEY) == box.lines(Stream.MONEY, 1, 6)


async def test_no_lines_say_how_far_the_hub_is(hub: Hub, box: Box) -> None:
    """An empty batch is answered like any other."""
    box.make(Stream.MONEY)
    await box.post_all()
    assert (await box.post(Stream.MONEY, [], compressed=False)).content["ack"] == 1
    assert (await box.post(Stream.MONEY, [])).content["ack"] == 1


@pytest.mark.parametrize("picked", [(2, 3), (5, 6), (1, 3), (1, 2, 4)])
async def test_a_gap_is_refused_with_the_number_that_is_missing(hub: Hub, box: Box, picked: tuple[int, ...]) -> None:
    """Before the batch or within it; nothing of the batch is stored."""
    for _ in range(6):
        box.make(Stream.MONEY)
    said = await box.post(Stream.MONEY, [box.streams[Stream.MONEY][number - 1].body for number in picked])
    assert (said.status, said.code, said.content["expected"], said.signed) == (409, "gap", 1, True)
    assert await stored(hub, box.site, Stream.MONEY) == []
    assert "gap" in await alarms(hub, box.site)


async def test_lines_in_another_order_are_refused(hub: Hub, box: Box) -> None:
    """Numbers rise by one from line to line."""
    for _ in range(3):
        box.make(Stream.MONEY)
    one, two, three = box.lines(Stream.MONEY, 1, 3)
    for lines in ([two, one, three], [one, three, two], [one, one, two]):
        said = await box.post(Stream.MONEY, lines)
        assert (said.status, said.code) == (409, "gap")
    assert await stored(hub, box.site, Stream.MONEY) == []


async def test_another_event_of_the_same_number_is_a_fork(hub: Hub, box: Box) -> None:
    """422 names the number; what the hub had stays, an alarm tells a person."""
    for _ in range(3):
        box.make(Stream.MONEY)
    await box.post_all()
    before = box.lines(Stream.MONEY, 1, 3)
    del box.streams[Stream.MONEY][2:]
    box.make(Stream.MONEY, {"n": "another"})
    box.make(Stream.MONEY)
    for first, fork in ((3, 3), (4, 3), (1, 3)):
        said = await box.post(Stream.MONEY, box.lines(Stream.MONEY, first, 4))
        assert (said.status, said.code, said.content["seq"], said.signed) == (422, "fork", fork, True)
        assert said.content["last"] == 3
    assert await stored(hub, box.site, Stream.MONEY) == before
    assert "fork" in await alarms(hub, box.site)


async def test_a_broken_chain_within_a_batch_is_a_fork(hub: Hub, box: Box) -> None:
    """A line that says it follows another than the one before it is not stored, nor is what came with it."""
    box.make(Stream.MONEY)
    other = box.make(Stream.MONEY, {"n": "other"})
    del box.streams[Stream.MONEY][1:]
    box.make(Stream.MONEY)
    third = box.make(Stream.MONEY)
    said = await box.post(Stream.MONEY, [box.lines(Stream.MONEY, 1, 1)[0], other.body, third.body])
    assert (said.status, said.content["seq"]) == (422, 2)
    assert await stored(hub, box.site, Stream.MONEY) == []


async def test_the_lines_of_a_fork_are_kept_beside(hub: Hub, box: Box) -> None:
    """They come as often as they like; the stream itself is not touched."""
    for _ in range(2):
        box.make(Stream.MONEY)
    await box.post_all()
    before = box.lines(Stream.MONEY, 1, 2)
    del box.streams[Stream.MONEY][1:]
    for _ in range(2):
        box.make(Stream.MONEY, {"n": "another"})
    body = b"\n".join(box.lines(Stream.MONEY, 2, 3))
    for _ in range(2):
        said = await box.send("POST", "/edge/v1/streams/money/fork", body, Lane.MONEY)
        assert (said.status, said.content["kept"], said.signed) == (200, 2, True)
    async with parts_of(hub).database.reading() as tx:
        kept = await tx.rows("SELECT body FROM forked_events WHERE site_id = $1 ORDER BY seq", box.site)
    assert [row[0] for row in kept] == box.lines(Stream.MONEY, 2, 3)
    assert await stored(hub, box.site, Stream.MONEY) == before


async def test_the_lines_of_forks_are_bounded(hub: Hub, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that the box is told to wait and a person is told; what is kept may come again, and others may come."""
    monkeypatch.setattr(forks, "FORKED_OCTETS_MOST", 4000)
    for number in range(12):
        box.make(Stream.MONEY, {"n": f"fork {number}"})
    path = "/edge/v1/streams/money/fork"
    first, second = (b"\n".join(box.lines(Stream.MONEY, *span)) for span in ((1, 6), (7, 12)))
    for body, status in ((first, 200), (second, 429), (first, 200), (second, 429)):
        said = await box.send("POST", path, body, Lane.MONEY)
        assert (said.status, said.signed) == (status, True)
    assert (said.code, int(said.headers["Retry-After"]) > 0) == ("fork.full", True)
    check("refusal", said.content)
    async with parts_of(hub).database.reading() as tx:
        kept = await tx.rows("SELECT seq FROM forked_events WHERE site_id = $1 ORDER BY seq", box.site)
    assert [row[0] for row in kept] == [1, 2, 3, 4, 5, 6]
    assert (await alarms(hub, box.site))["fork.full"] == 2
    assert (await box.post_all()).status == 200
    other = await enrolled_box(hub, box.http)
    other.make(Stream.MONEY)
    assert (await other.send("POST", path, other.lines(Stream.MONEY, 1, 1)[0], Lane.MONEY)).status == 200


@pytest.mark.parametrize(("lines", "said"), [(1, "money: 1 line kept"), (2, "money: 2 lines kept")])
async def test_an_alarm_counts_the_lines_of_a_fork(hub: Hub, box: Box, lines: int, said: str) -> None:
    """As people count."""
    for _ in range(lines):
        box.make(Stream.MONEY)
    body = b"\n".join(box.lines(Stream.MONEY, 1, lines))
    assert (await box.send("POST", "/edge/v1/streams/money/fork", body, Lane.MONEY)).status == 200
    async with parts_of(hub).database.reading() as tx:
        found = await tx.rows("SELECT detail FROM alarms WHERE site_id = $1 AND kind = 'fork'", box.site)
    assert found == [(said,)]


async def test_a_hub_that_knows_more_says_so(hub: Hub, box: Box) -> None:
    """A box says its own last number; where the hub has more, 409 `behind` with where it stands."""
    for _ in range(4):
        box.make(Stream.MONEY)
    await box.post_all()
    said = await box.post(Stream.MONEY, box.lines(Stream.MONEY, 1, 2), query="?last=2")
    assert (said.status, said.code, said.content["last"]) == (409, "behind", 4)
    assert said.content["head"] == box.streams[Stream.MONEY][3].digest.hex()
    assert (await box.post(Stream.MONEY, box.lines(Stream.MONEY, 1, 2), query="?last=4")).status == 200


async def test_what_is_too_long_is_refused(hub: Hub, box: Box) -> None:
    """413 for too many events, too many octets, and for a body that would unpack to more than it may."""
    long = [box.make(Stream.MONEY, {"text": "x" * 1000}).body for _ in range(EVENTS_MOST + 1)]
    bomb = gzip.compress(b"x" * (64 * BATCH_OCTETS_MOST))
    assert len(bomb) < BATCH_OCTETS_MOST
    assert (await box.post(Stream.MONEY, long)).status == 413
    assert (await box.post(Stream.MONEY, long[:400], compressed=False)).status == 413
    small = [box.make(Stream.USAGE).body for _ in range(EVENTS_MOST + 1)]
    assert (await box.post(Stream.USAGE, small)).status == 413
    assert (await box.post(Stream.USAGE, small[:EVENTS_MOST])).status == 200
    more = {"Content-Encoding": "gzip"}
    said = await box.send("POST", "/edge/v1/streams/money", bomb, Lane.MONEY, more=more)
    assert (said.status, said.code, said.signed) == (413, "too.long", True)


BROKEN = [
    b"{",
    b"[]",
    b"1",
    b"{}",
    b'{"parked":2}',
    b'{"parked":0,"digest":"' + b"0" * 64 + b'"}',
    b'{"parked":true,"digest":"' + b"0" * 64 + b'"}',
    b"[" * 100_000,
    b'{"seq":NaN}',
    b"\xff\xfe",
    b"",
]


@pytest.mark.parametrize("broken", [*BROKEN, None], ids=[*(str(text[:20]) for text in BROKEN), "field"])
async def test_an_event_that_cannot_be_read_is_named(hub: Hub, box: Box, broken: bytes | None) -> None:
    """400 `event` with its number where it can be told, so that the box can park it; nothing is stored."""
    box.make(Stream.MONEY)
    first = box.lines(Stream.MONEY, 1, 1)[0]
    second = first.replace(b'"seq":1', b'"seq":"2"') if broken is None else broken
    said = await box.post(Stream.MONEY, [first, second, first])
    assert (said.status, said.code, said.content["seq"], said.content["line"]) == (400, "event", 2, 1)
    assert await stored(hub, box.site, Stream.MONEY) == []


async def test_a_line_of_the_other_stream_is_none(hub: Hub, box: Box) -> None:
    """Each stream takes its own events only, in its own lane."""
    box.make(Stream.USAGE)
    lines = box.lines(Stream.USAGE, 1, 1)
    assert (await box.post(Stream.MONEY, lines)).code == "event"
    said = await box.send("POST", "/edge/v1/streams/usage", lines[0], Lane.MONEY)
    assert (said.status, said.code) == (400, "request")


async def test_a_parked_event_keeps_its_place(hub: Hub, box: Box) -> None:
    """Its digest stands for it and the chain goes on over it; what comes back is the same line."""
    for _ in range(3):
        box.make(Stream.MONEY)
    one, two, three = box.streams[Stream.MONEY]
    parked = parked_line(2, two.digest)
    assert (await box.post(Stream.MONEY, [one.body, parked, three.body])).content["ack"] == 3
    assert "parked" in await alarms(hub, box.site)
    plain = {"Accept-Encoding": "identity"}
    said = await box.send("GET", "/edge/v1/streams/money?after=0", lane=Lane.MONEY, more=plain)
    assert said.body.splitlines() == [one.body, parked, three.body]
    assert (await box.post(Stream.MONEY, [two.body])).content["ack"] == 3
    box.make(Stream.MONEY)
    wrong = parked_line(5, bytes(32))
    assert (await box.post(Stream.MONEY, [*box.lines(Stream.MONEY, 4, 4), wrong])).status == 200
    box.make(Stream.MONEY)
    box.make(Stream.MONEY)
    assert (await box.post(Stream.MONEY, box.lines(Stream.MONEY, 6, 6))).status == 422


async def test_a_box_takes_back_what_it_lost(hub: Hub, box: Box) -> None:
    """Pages of at most a batch, compressed where it says so; only for a box that a person confirmed."""
    for _ in range(EVENTS_MOST + 20):
        box.make(Stream.MONEY, {"text": "x" * 300})
    every = [event.body for event in box.streams[Stream.MONEY]]
    for start in range(0, len(every), 250):
        assert (await box.post(Stream.MONEY, every[start : start + 250])).status == 200
    got: list[bytes] = []
    more = {"Accept-Encoding": "gzip"}
    while True:
        said = await box.send("GET", f"/edge/v1/streams/money?after={len(got)}", lane=Lane.MONEY, more=more)
        assert (said.status, said.signed, said.headers["Content-Encoding"]) == (200, True, "gzip")
        page = gzip.decompress(said.body)
        assert len(page) <= BATCH_OCTETS_MOST
        if not page:
            break
        got += page.splitlines()
    assert got == every


@pytest.mark.parametrize("query", ["", "?after=-1", "?after=x", "?after=1&after=2", "?after=01"])
async def test_a_page_needs_its_beginning(hub: Hub, box: Box, query: str) -> None:
    """Anything but one number is refused."""
    said = await box.send("GET", f"/edge/v1/streams/money{query}", lane=Lane.MONEY)
    assert (said.status, said.code) == (400, "request")


async def test_many_boxes_share_transactions_and_each_gets_its_own_answer(hub: Hub, box: Box) -> None:
    """Batches that wait together are stored together; one that is refused stops no other."""
    for _ in range(40):
        box.make(Stream.MONEY)
        box.make(Stream.USAGE)
    money = asyncio.gather(*(box.post(Stream.MONEY, box.lines(Stream.MONEY, 1, 40)) for _ in range(5)))
    usage = asyncio.gather(*(box.post(Stream.USAGE, box.lines(Stream.USAGE, 2, 40)) for _ in range(5)))
    stored_money, refused = await money, await usage
    assert {said.status for said in stored_money} <= {200, 409}
    assert 200 in {said.status for said in stored_money}
    assert all(said.code == "counter.used" for said in stored_money if said.status == 409)
    assert {said.code for said in refused} <= {"gap", "counter.used"}
    assert await stored(hub, box.site, Stream.MONEY) == box.lines(Stream.MONEY, 1, 40)
    assert await stored(hub, box.site, Stream.USAGE) == []
