"""How long what M-Pesa posted is kept for a box that does not come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.hub.callbacks import SITE_MOST, SOURCE_MOST, WAITING_MOST
from easyisp_edge.hub.down_line import LAPSED_AFTER
from easyisp_edge.hub.instants import instant
from tests.fakes.hub_stage import parts_of
from tests.unit.hub.seen import alarms
from tests.unit.hub.test_hub_callbacks import ACCEPTED, TOKEN, body_of, post, waiting

if TYPE_CHECKING:
    from easyisp_edge.hub.hub import Hub
    from tests.fakes.hub_stage import Box


async def age(hub: Hub, box: Box, by: timedelta) -> None:
    """Have all that waits for a box be queued that long ago."""
    async with parts_of(hub).database.transaction() as tx:
        at = instant(datetime.now(UTC) - by)
        await tx.rows("UPDATE down_messages SET queued_at = $2 WHERE site_id = $1", box.site, at)


async def test_a_callback_waits_for_a_box_that_was_away(hub: Hub, box: Box, http: Any) -> None:
    """A month and more; then nobody would do anything with it, and it goes. What a box is to sell never does."""
    await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of())
    await parts_of(hub).publisher.publish(box.site, [], [])
    await age(hub, box, LAPSED_AFTER - timedelta(minutes=1))
    await parts_of(hub).down.tidy()
    assert len(await waiting(box)) == 2
    await age(hub, box, LAPSED_AFTER + timedelta(minutes=1))
    await parts_of(hub).down.tidy()
    (left,) = await waiting(box)
    assert left["version"] == 1


async def test_too_much_that_waits_is_an_alarm(hub: Hub, box: Box, http: Any) -> None:
    """Its customers' callbacks are refused from then on: somebody has to know."""
    async with parts_of(hub).database.transaction() as tx:
        await tx.rows("INSERT INTO down_heads (site_id, last, acked) VALUES ($1, $2, 0)", box.site, WAITING_MOST)
    assert (await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of()))[0] == 503
    assert await alarms(hub, box.site) == {"callback.full": 1}


@pytest.mark.parametrize("network", ["2001:db8:1:2:", "2001:db8:1:3:"])
async def test_who_has_a_network_of_addresses_is_one_source(hub: Hub, box: Box, http: Any, network: str) -> None:
    """A flood from every address of one network leaves room for M-Pesa's."""
    path = f"/cb/{box.site}/c/{TOKEN}"
    answers = [
        (await post(http, hub, path, body_of(turn), **{"X-Forwarded-For": f"{network}:{turn:x}"}))[0]
        for turn in range(SOURCE_MOST + 2)
    ]
    assert answers.count(200) == SOURCE_MOST < SITE_MOST
    assert await post(http, hub, path, body_of(-1), **{"X-Forwarded-For": "196.201.214.200"}) == ACCEPTED
