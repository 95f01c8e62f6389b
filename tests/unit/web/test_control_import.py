"""The control door's routes about taking users over: what they take, what they answer."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.web.control_import import ORDER_OCTETS_MAX, ControlImport
from tests.fakes.clocks import START
from tests.unit.services.importing.test_importing import a_move, a_user

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aiohttp import web
    from aiohttp.test_utils import TestClient

    from tests.unit.services.importing.test_importing import Move

    Client = TestClient[web.Request, web.Application]
    Serve = Callable[[web.Application], Awaitable[Client]]

ORDER = {"source": "mikhmon", "router": "main"}


async def served(move: Move, aiohttp_client: Serve) -> Client:
    """The door, open."""
    door = replace(move.office.control(), themes=(ControlImport(move.service),))
    return await aiohttp_client(door.app(lambda _: "root"))


async def test_a_plan_and_what_is_done(tmp_path: Path, aiohttp_client: Serve) -> None:
    """All but passwords is told; nothing is changed before it is asked for."""
    async with a_move(tmp_path, a_user(), a_user("odd", profile="gone", ends_at=START)) as move:
        client = await served(move, aiohttp_client)
        plan = await (await client.post("/control/import", json=ORDER)).json()
        kofi, odd = plan["users"]
        assert kofi["package"] == {"id": "1h", "name": "1 hour"}
        assert (kofi["outcome"], kofi["secondsLeft"], kofi["running"]) == ("take", 3600, False)
        assert (kofi["onlineSecondsLeft"], kofi["octetsLeft"], kofi["due"]) == (None, None, True)
        assert (odd["outcome"], odd["due"], "package" in odd) == ("over", False, False)
        assert "pw-kofi" not in str(plan)
        assert move.office.books.count("grants") == 0
        done = await (await client.post("/control/import/apply", json=ORDER)).json()
        assert done == {"taken": ["kofi"], "remaining": 0, "disabledSchedulers": []}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"source": None}, "source"),
        ({"source": "excel"}, "source"),
        ({"router": None}, "router"),
        ({"packages": ["1h"]}, "packages"),
        ({"packages": {"1h": 1}}, "packages"),
        ({"packages": {str(each): "1h" for each in range(501)}}, "packages"),
        ({"zone": "Nairobi"}, "zone"),
        ({"zone": "+15:00"}, "zone"),
        ({"export": 7}, "export"),
        ({"offline": True}, "export"),
        ({"export": "Dear sir"}, "file"),
    ],
)
async def test_what_cannot_be_understood(
    tmp_path: Path, aiohttp_client: Serve, change: dict[str, Any], field: str
) -> None:
    """Is refused with the field that is at fault; nothing is done."""
    async with a_move(tmp_path, a_user()) as move:
        client = await served(move, aiohttp_client)
        for route in ("/control/import", "/control/import/apply"):
            answer = await client.post(route, json={**ORDER, **change})
            assert (answer.status, (await answer.json())["field"]) == (400, field)
        assert move.office.books.count("grants") == 0


async def test_an_export_may_be_long(tmp_path: Path, aiohttp_client: Serve) -> None:
    """Longer than other requests, and no longer than the box has room for."""
    async with a_move(tmp_path, a_user()) as move:
        client = await served(move, aiohttp_client)
        users = "".join(f"add name=u{each} password=x limit-uptime=1h\n" for each in range(2000))
        order = {**ORDER, "offline": True, "zone": "-03:30", "export": "/ip hotspot user\n" + users}
        assert len((await (await client.post("/control/import", json=order)).json())["users"]) == 2000
        order["export"] = "#" * (ORDER_OCTETS_MAX + 1)
        answer = await client.post("/control/import", data=io.BytesIO(json.dumps(order).encode()))
        assert (answer.status, (await answer.json())["code"]) == (400, "request.too_large")
