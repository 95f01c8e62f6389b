"""Requests whose line breaks in the middle of them: every day's business on a weak signal."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane
from tests.fakes.hub_stage import HOST, parts_of

if TYPE_CHECKING:
    from easyisp_edge.hub.hub import Hub
    from tests.fakes.hub_stage import Box


@pytest.mark.parametrize("target", ["/edge/v1/streams/money", "/edge/v1/enrol"])
async def test_a_body_that_is_cut_off_is_no_fault_of_the_hub(
    hub: Hub, box: Box, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is stored, no error is logged, and the box's next request is taken."""
    caplog.set_level(logging.DEBUG)
    event = box.make(Stream.MONEY)
    headers = box.headers("POST", target, event.body, Lane.MONEY)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    _, writer = await asyncio.open_connection(HOST, int(hub.address.rpartition(":")[2]))
    writer.write(f"POST {target} HTTP/1.1\r\nHost: hub\r\n{head}Content-Length: 9000\r\n\r\n".encode() + event.body)
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()
    await asyncio.sleep(0.05)
    async with parts_of(hub).database.reading() as tx:
        assert await tx.rows("SELECT * FROM events WHERE site_id = $1", box.site) == []
    assert (await box.post_all()).status == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
