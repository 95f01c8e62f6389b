"""A hub with another address: its boxes hear of it once, and have M-Pesa post there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.sync import Lane
from tests.fakes.hub_stage import PUBLIC_URL, Box, enrolled_box, hub_config, parts_of, running_hub
from tests.unit.hub.test_hub_schemas import check

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.domain.database_address import DatabaseAddress

ELSEWHERE = "https://fleet.example.org"


async def told(box: Box) -> list[dict[str, Any]]:
    said = await box.send("GET", "/edge/v1/down?after=0&wait=0", lane=Lane.DOWN)
    check("messages", said.content)
    return [one["data"] for one in said.content["messages"] if one["type"] == "site"]


async def test_boxes_hear_of_another_address_once(database: DatabaseAddress, tmp_path: Path, http: Any) -> None:
    """At its first start with that address, and of the old one when it is back; sites without a box do not."""
    config = hub_config(tmp_path, database)
    async with running_hub(config) as hub:
        box, closed = await enrolled_box(hub, http), await enrolled_box(hub, http)
        await parts_of(hub).enrolment.close(closed.site)
        empty = await parts_of(hub).enrolment.new_code("nobody came yet")
    async with running_hub(config) as hub:
        box.url = hub.address
        assert await told(box) == []
    for _ in range(2):
        async with running_hub(config.model_copy(update={"public_url": ELSEWHERE})) as hub:
            box.url = hub.address
            assert await told(box) == [{"callbackBase": f"{ELSEWHERE}/cb/{box.site}"}]
            async with parts_of(hub).database.reading() as tx:
                query = "SELECT count(*) FROM down_messages WHERE site_id = ANY($1)"
                assert (await tx.row(query, [closed.site, empty.site_id])) == (0,)
    async with running_hub(config) as hub:
        box.url = hub.address
        assert [one["callbackBase"] for one in await told(box)] == [
            f"{url}/cb/{box.site}" for url in (ELSEWHERE, PUBLIC_URL)
        ]
