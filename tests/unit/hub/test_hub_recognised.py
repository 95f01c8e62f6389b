"""A hub that recognises a box by what it looked up before holds that against the site's row before it stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane
from tests.fakes.hub_stage import Box, parts_of
from tests.unit.hub.seen import alarms, everything, stored

if TYPE_CHECKING:
    import aiohttp

    from easyisp_edge.hub.hub import Hub

# As another hub on the same database may do it: this one is not tbox.
_CLOSE = "UPDATE sites SET state = 'closed' WHERE site_id = $1"
_NEW_EPOCH = "UPDATE sites SET epoch = epoch + 1 WHERE site_id = $1"
_PUBLISH = "UPDATE sites SET config_version = 7 WHERE site_id = $1"


async def changed(hub: Hub, statement: str, site_id: str) -> None:
    async with parts_of(hub).database.transaction() as tx:
        await tx.rows(statement, site_id)


async def known(box: Box) -> None:
    """Have the hub know a box by a batch."""
    box.make(Stream.MONEY)
    assert (await box.post_all()).status == 200


async def test_a_batch_of_a_known_box_looks_no_key_up(hub: Hub, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked up once is enough for its next batch."""
    await known(box)
    monkeypatch.setattr(parts_of(hub).doorkeeper, "identify", None)
    await known(box)


@pytest.mark.parametrize(("statement", "status", "code"), [(_CLOSE, 403, "site.closed"), (_NEW_EPOCH, 409, "epoch")])
async def test_a_change_of_the_site_holds_from_the_next_batch_on(
    hub: Hub, box: Box, statement: str, status: int, code: str
) -> None:
    """The batch is refused as if the box had never been known, and nothing of it is stored."""
    await known(box)
    await changed(hub, statement, box.site)
    before = await everything(hub)
    box.make(Stream.MONEY)
    said = await box.post_all()
    assert (said.status, said.code, said.signed) == (status, code, True)
    assert await everything(hub) == before


async def test_a_replaced_box_is_refused_at_once(hub: Hub, box: Box, http: aiohttp.ClientSession) -> None:
    """Its key ended with the enrolment of the new one, whose batches are taken from the first counter on."""
    await known(box)
    enrolment = parts_of(hub).enrolment
    name = next(one.site.name for one in await enrolment.seen() if one.site.site_id == box.site)
    new = Box(http, hub.address)
    assert (await new.enrol((await enrolment.new_code(name)).code)).status == 200
    assert new.site == box.site
    box.make(Stream.MONEY)
    said = await box.post_all()
    assert (said.status, said.code, said.signed) == (403, "site.replaced", True)
    assert await stored(hub, box.site, Stream.MONEY) == box.lines(Stream.MONEY, 1, 1)
    assert "site.replaced" in await alarms(hub, box.site)
    new.streams = box.streams
    assert (await new.post_all()).content["ack"] == 2
    assert new.counters[Lane.MONEY] == 1


async def test_a_wrong_signature_of_a_known_box_is_nobodys(hub: Hub, box: Box) -> None:
    """To be known helps nobody who does not hold the key."""
    await known(box)
    before = await everything(hub)
    box.make(Stream.MONEY)
    thief = Box(box.http, box.url, site=box.site, epoch=box.epoch, hub_key=box.hub_key, streams=box.streams)
    thief.counters[Lane.MONEY] = 100
    said = await thief.post_all()
    assert (said.status, said.code, said.signed) == (401, "site.unknown", True)
    assert await everything(hub) == before


async def test_a_batch_is_answered_with_the_configuration_as_it_stands(hub: Hub, box: Box) -> None:
    """Its version is read where the batch is stored, not where the box was looked up."""
    await known(box)
    await changed(hub, _PUBLISH, box.site)
    box.make(Stream.MONEY)
    assert (await box.post_all()).content["configVersion"] == 7


@pytest.mark.parametrize("lane", [Lane.MONEY, Lane.USAGE])
async def test_a_stream_and_all_else_in_its_lane_count_together(hub: Hub, box: Box, lane: Lane) -> None:
    """A counter that another request of the lane used is used for events too, and the other way round."""
    stream = Stream(lane.value)
    box.make(stream)
    box.counters[lane] = 4
    assert (await box.send("GET", "/edge/v1/state", lane=lane)).content["counter"][lane] == 5
    box.counters[lane] = 4
    said = await box.post_all(stream)
    assert (said.status, said.code, said.content["last"]) == (409, "counter.used", 5)
    assert (await box.post_all(stream)).content["ack"] == 1
    box.counters[lane] = 5
    said = await box.send("GET", "/edge/v1/state", lane=lane)
    assert (said.status, said.code, said.content["last"]) == (409, "counter.used", 6)
