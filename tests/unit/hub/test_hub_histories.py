"""What boxes of each release told: the hub takes it as it came, and its projection is those boxes' books."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_digest import digests
from easyisp_edge.hub.store.projections import images
from tests.fakes.hub_stage import parts_of
from tests.unit.store.test_kept_histories import RELEASES, history
from tests.unit.store.write_history import HISTORIES

if TYPE_CHECKING:
    from easyisp_edge.hub.hub import Hub
    from tests.fakes.hub_stage import Box


@pytest.mark.parametrize("release", RELEASES)
async def test_an_earlier_box_is_understood(hub: Hub, box: Box, release: str) -> None:
    """All of its events are known, and the rows are the same to the last column."""
    for stream in Stream:
        lines = history(release, stream)
        said = await box.post(stream, lines)
        assert (said.status, said.content["ack"]) == (200, len(lines))
    async with parts_of(hub).database.reading() as tx:
        found = digests(await images(tx, box.site))
        assert await tx.rows("SELECT seq, reason FROM projection_errors WHERE site_id = $1", box.site) == []
    assert found == json.loads((HISTORIES / f"{release}-digests.json").read_text(encoding="utf-8"))
