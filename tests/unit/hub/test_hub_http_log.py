from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from easyisp_edge.http_log import connections
from tests.unit.hub.seen import everything

if TYPE_CHECKING:
    from easyisp_edge.hub.hub import Hub
    from tests.fakes.hub_stage import Box

CANARY = "c4n4ry-of-a-token"


async def said_to(hub: Hub, raw: bytes) -> bytes:
    """What the hub answers to octets that are no request."""
    where = urlsplit(hub.address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(raw)
    try:
        async with asyncio.timeout(5):
            return await reader.readline()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /fleet HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: Bearer CANARY\r\n\r\n",
        b"GET /fleet HTTP/1.1\r\nHost: a\r\nAuthori zation: Bearer CANARY\r\n\r\n",
        b"GET /fleet HTTP/1.1\r\nHost: a\r\nContent-Length: CANARY\r\n\r\n",
        b"POST /edge/v1/enrol HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nCANARY\r\n",
        b"GET /CANARY%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 9000),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CANARY\r\n\r\n",
    ],
    ids=["two hosts", "header", "length", "chunk", "long", "HTTP/2", "nothing"],
)
async def test_what_is_no_http_fills_no_log(hub: Hub, box: Box, raw: bytes, caplog: Any) -> None:
    """Refused with 400; not a line at the level hubs run with, never a trace, never a piece of it; nothing changes."""
    before = await everything(hub)
    caplog.set_level(logging.DEBUG, logger="easyisp_edge.hub")
    caplog.set_level(logging.INFO, logger="easyisp_edge.connections")
    caplog.clear()
    assert b" 400 " in await said_to(hub, raw.replace(b"CANARY", CANARY.encode()))
    assert [record for record in caplog.records if record.levelno > logging.DEBUG or record.exc_info] == []
    assert CANARY not in caplog.text
    assert await everything(hub) == before


def test_a_fault_of_the_hubs_is_logged_whole(caplog: Any) -> None:
    """With its trace: nobody would find it otherwise."""
    connections.error("Error handling request from %s", "127.0.0.1", exc_info=ValueError("ours"))
    (record,) = caplog.records
    assert record.getMessage() == "Error handling request from 127.0.0.1"
    assert record.exc_info[0] is ValueError
