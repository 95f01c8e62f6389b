from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.sync import Lane
from easyisp_edge.errors import NotFoundError
from easyisp_edge.hub.store.down import forget_passing
from tests.fakes.hub_stage import Box, enrolled_box, hub_config, parts_of, running_hub
from tests.unit.hub.seen import alarms

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.domain.database_address import PostgresqlAddress
    from easyisp_edge.hub.hub import Hub


async def messages(box: Box, after: int, wait: int = 0) -> list[dict[str, Any]]:
    said = await box.send("GET", f"/edge/v1/down?after={after}&wait={wait}", lane=Lane.DOWN)
    assert (said.status, said.signed) == (200, True)
    return list(said.content["messages"])


async def test_messages_come_in_order_until_they_are_acknowledged(hub: Hub, box: Box) -> None:
    """Numbered from 1 without gaps; the same request gives the same again, `after` says what was had."""
    down = parts_of(hub).down
    assert await messages(box, 0) == []
    assert [await down.publish(box.site, "command", {"verb": "look", "turn": turn}) for turn in range(3)] == [1, 2, 3]
    every = [{"n": turn + 1, "type": "command", "data": {"verb": "look", "turn": turn}} for turn in range(3)]
    assert await messages(box, 0) == every
    assert await messages(box, 0) == every
    assert await messages(box, 2) == every[2:]
    assert await messages(box, 3) == []


async def test_a_box_that_waits_is_answered_at_once(hub: Hub, box: Box) -> None:
    """A message that comes meanwhile ends the wait."""
    waiting = asyncio.ensure_future(messages(box, 0, wait=20))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await parts_of(hub).down.publish(box.site, "command", {"verb": "sync"})
    assert [one["type"] for one in await waiting] == ["command"]
    assert time.monotonic() - began < 2


async def test_a_wait_ends_with_its_time(hub: Hub, box: Box) -> None:
    """With nothing, and not before."""
    began = time.monotonic()
    assert await messages(box, 0, wait=1) == []
    assert 0.9 < time.monotonic() - began < 3


async def test_a_second_wait_ends_the_first(hub: Hub, box: Box) -> None:
    """A box that lost its connection asks anew; the hub holds one request a site."""
    first = asyncio.ensure_future(messages(box, 0, wait=20))
    await asyncio.sleep(0.1)
    second = asyncio.ensure_future(messages(box, 0, wait=20))
    assert await asyncio.wait_for(first, 3) == []
    await parts_of(hub).down.publish(box.site, "command", {"verb": "sync"})
    assert len(await asyncio.wait_for(second, 3)) == 1


async def test_a_hub_that_ends_sends_waiting_boxes_home(tmp_path: Path, database: Any, http: Any) -> None:
    """Its end takes no long poll's time."""
    async with running_hub(hub_config(tmp_path, database)) as hub:
        box = await enrolled_box(hub, http)
        waiting = asyncio.ensure_future(messages(box, 0, wait=30))
        await asyncio.sleep(0.1)
        began = time.monotonic()
    assert await waiting == []
    assert time.monotonic() - began < 4


@pytest.mark.real_part("PostgreSQL")
async def test_a_message_at_one_hub_wakes_a_box_at_another(
    postgresql: PostgresqlAddress, tmp_path: Path, http: Any
) -> None:
    """Hubs on one database tell each other."""
    config = hub_config(tmp_path, postgresql)
    async with running_hub(config) as one, running_hub(config) as other:
        box = await enrolled_box(one, http)
        await asyncio.sleep(0.2)  # both listen by now
        waiting = asyncio.ensure_future(messages(box, 0, wait=8))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await parts_of(other).down.publish(box.site, "command", {"verb": "sync"})
        assert len(await waiting) == 1
        assert time.monotonic() - began < 2


async def test_numbers_a_box_has_seen_are_never_given_again(hub: Hub, box: Box) -> None:
    """A hub whose database was restored from before goes on above what the box has, and says so."""
    down = parts_of(hub).down
    await down.publish(box.site, "command", {"verb": "look"})
    assert await messages(box, 7) == []
    assert "down.ahead" in await alarms(hub, box.site)
    assert await down.publish(box.site, "command", {"verb": "sync"}) == 8
    assert [one["n"] for one in await messages(box, 7)] == [8]


async def test_a_site_gets_its_own_messages_only(hub: Hub, box: Box, http: Any) -> None:
    """And one that does not exist gets none."""
    other = await enrolled_box(hub, http)
    await parts_of(hub).down.publish(other.site, "command", {"verb": "look"})
    assert await messages(box, 0) == []
    with pytest.raises(NotFoundError):
        await parts_of(hub).down.publish("0" * 16, "command", {"verb": "look"})


async def test_what_passed_is_dropped_and_the_configuration_stays(hub: Hub, box: Box) -> None:
    """Acknowledged callbacks go after a time; what a new box needs stays, and so does what was not acknowledged."""
    down = parts_of(hub).down
    for kind in ("config", "callback", "revoke", "callback"):
        await down.publish(box.site, kind, {"version": 1})
    await messages(box, 3)
    async with parts_of(hub).database.transaction() as tx:
        await forget_passing(tx, "9999")
    assert [one["n"] for one in await messages(box, 0)] == [1, 3, 4]


async def test_many_messages_come_in_pages(hub: Hub, box: Box) -> None:
    """So that one answer is bounded."""
    for turn in range(105):
        await parts_of(hub).down.publish(box.site, "command", {"turn": turn})
    first = await messages(box, 0)
    assert [one["n"] for one in first + await messages(box, first[-1]["n"])] == list(range(1, 106))


@pytest.mark.parametrize("query", ["", "?after=x", "?after=0&wait=-1", "?after=0&wait=1.5", "?wait=1"])
async def test_a_wait_says_from_where(hub: Hub, box: Box, query: str) -> None:
    """Anything but whole numbers is refused."""
    assert (await box.send("GET", f"/edge/v1/down{query}", lane=Lane.DOWN)).status == 400
