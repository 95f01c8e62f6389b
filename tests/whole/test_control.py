"""Staff before a terminal: real commands as processes, the real socket, the running daemon, the device on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.lab.daraja import Fault
from tests.whole.stage import GATEWAYS, MAC, OTHER_MAC, OTHER_PHONE, PHONE, Stage

if TYPE_CHECKING:
    from pathlib import Path

RECEIPT, OTHER_RECEIPT = "UKL41A2B3C", "UKL9ZX8Y7W"
PAYBILL = "174379"
CONFIRMED = {"gateways.toml": GATEWAYS + "c2b = true\n"}


async def command(folder: Path, *arguments: str, expect: int = 0) -> tuple[str, str]:
    """Run a command as a process of its own; gives what it wrote to its two outputs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "easyisp_edge",
        *arguments,
        "--config",
        str(folder),
        env={**os.environ, "PYTHONWARNINGS": "error", "SUDO_USER": "mary"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == expect, (out, err)
    return out.decode(), err.decode()


async def answer(folder: Path, *arguments: str) -> dict[str, Any]:
    """The same, with its answer as JSON."""
    found: dict[str, Any] = json.loads((await command(folder, *arguments, "--json"))[0])
    return found


@pytest.mark.parametrize("mode", ["hotspot-user", "radius"])
async def test_money_that_was_seen_gets_the_customer_online(tmp_path: Path, mode: str) -> None:
    """Staff enter a receipt, see it unmatched, give it to the customer, and the router lets the device on."""
    async with Stage(tmp_path, mode=mode) as stage:
        await command(tmp_path, "payments", "enter", RECEIPT, "10")
        listed = await answer(tmp_path, "payments", "--unmatched")
        assert [each["receipt"] for each in listed["payments"]] == [RECEIPT]
        said, _ = await command(
            tmp_path, "payments", "assign", RECEIPT, "--phone", PHONE, "--package", "1h", "--mac", MAC
        )
        assert "it bought 1 hour" in said
        await stage.until_online()
        _, refused = await command(tmp_path, "payments", "enter", RECEIPT, "10", expect=1)
        assert "it bought 1 hour" in refused
        async with stage.books() as (tables, connection):
            assert tables.events.first_break(Stream.MONEY) is None
            rows = connection.execute("SELECT body FROM events WHERE type LIKE 'staff.%' ORDER BY sequence")
            assert {json.loads(body)["data"]["by"].rpartition(" ")[2] for (body,) in rows} == {"(mary)"}


async def test_a_purchase_whose_prompt_failed_is_paid_by_its_code(tmp_path: Path) -> None:
    """The customer of a purchase is let on when staff assign the money to its pay code; its page says so."""
    async with Stage(tmp_path) as stage:
        purchase_id = await stage.buy()
        async with stage.books() as (tables, _):
            purchase = tables.purchases.by_id(purchase_id)
        assert purchase is not None
        await command(tmp_path, "payments", "enter", RECEIPT, "10")
        await command(tmp_path, "payments", "assign", RECEIPT, "--code", purchase.account_reference)
        await stage.until_online()
        await stage.until_status(purchase_id, "completed")


async def test_the_door_is_the_sockets_alone(tmp_path: Path) -> None:
    """The socket is its owner's; no door of the network has its routes."""
    async with Stage(tmp_path) as stage:
        path = tmp_path / "control.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        doors = stage.daemon.doors
        assert doors.control == str(path)
        async with aiohttp.ClientSession() as http:
            for door in (doors.portal, doors.admin, doors.callbacks):
                async with http.get(f"{door}/control/payments") as response:
                    assert response.status == 404
                async with http.post(f"{door}/control/payments", json={}) as response:
                    assert response.status in {404, 405}


async def test_without_a_daemon_it_is_said_so(tmp_path: Path) -> None:
    """Before it runs, after it stopped and after it was killed: exit code 2; started again, it answers at once."""
    async with Stage(tmp_path, as_process=True) as stage:
        await command(tmp_path, "payments")
        await stage.kill_daemon()
        assert (tmp_path / "control.sock").is_socket()
        _, said = await command(tmp_path, "payments", expect=2)
        assert str(tmp_path / "control.sock") in said
        assert "must be running" in said
        await stage.start_daemon()
        await command(tmp_path, "payments", "enter", RECEIPT, "10")
    await command(tmp_path, "payments", expect=2)


async def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    """Two must not keep the same books: the second says what is in its way, and the first goes on."""
    async with Stage(tmp_path) as stage:
        _, said = await command(tmp_path, "run", expect=1)
        assert f"Another daemon keeps the books in {tmp_path / 'edge.sqlite'}" in said
        await command(tmp_path, "payments")
        assert (await stage.get("/"))[0] == 200


async def test_a_second_daemon_with_a_socket_of_its_own_is_refused(tmp_path: Path) -> None:
    """Started from a copy of the files it is refused as well, before it puts anything right that is not wrong."""
    async with Stage(tmp_path):
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in ("edge.toml", "packages.toml", "gateways.toml", "routers.toml"):
            shutil.copy(tmp_path / name, copy)
        edge = (copy / "edge.toml").read_text()
        (copy / "edge.toml").write_text(edge.replace("control.sock", "other.sock"))
        _, said = await command(copy, "run", expect=1)
        assert f"Another daemon keeps the books in {tmp_path / 'edge.sqlite'}" in said


async def test_money_from_the_menu_is_confirmed_and_sorted_out(tmp_path: Path) -> None:
    """With addresses registered, what is paid without a pay code shows up unmatched, to be given to its payer."""
    async with Stage(tmp_path, files=CONFIRMED) as stage:
        told, _ = await command(tmp_path, "gateway", "register-c2b", "paybill", expect=1)
        assert f"{stage.callbacks_url}/n/" in told
        await command(tmp_path, "gateway", "register-c2b", "paybill", "--yes")
        debit = await stage.daraja.pay_bill(OTHER_PHONE, PAYBILL, "rent", 50)

        async def is_listed() -> bool:
            listed = await answer(tmp_path, "payments", "--unmatched")
            return [each["receipt"] for each in listed["payments"]] == [debit.receipt]

        await stage.until(is_listed, seconds=10, what="the payment")
        await command(
            tmp_path, "payments", "assign", debit.receipt, "--phone", OTHER_PHONE, "--package", "1d", "--mac", OTHER_MAC
        )
        await stage.until_online(OTHER_MAC)


async def test_a_poster_is_made_once(tmp_path: Path) -> None:
    """M-Pesa is asked until it makes the picture, and not again: then the picture comes from the books."""
    async with Stage(tmp_path) as stage:
        stage.daraja.next_qr_answers(Fault.MAINTENANCE, None, Fault.MAINTENANCE)
        first, second = tmp_path / "first.png", tmp_path / "second.png"
        await command(tmp_path, "poster", "1h", "-o", str(first), expect=1)
        await command(tmp_path, "poster", "1h", "-o", str(first))
        await command(tmp_path, "poster", "1h", "-o", str(second))
        assert first.read_bytes() == second.read_bytes()
        assert first.read_bytes().startswith(b"\x89PNG")


async def test_a_claim_is_decided_by_hand(tmp_path: Path) -> None:
    """A pasted receipt nobody can be asked about: staff who saw the money accept it, and the device is let on."""
    async with Stage(tmp_path) as stage:
        order = {"tenantId": "default", "smsText": OTHER_RECEIPT, "packageId": "1h", "macAddress": MAC, "phone": PHONE}
        async with stage.http.post("/api/portal/mpesa/verify-sms", json=order) as response:
            assert response.status == 202, await response.text()
        listed, _ = await command(tmp_path, "claims")
        assert OTHER_RECEIPT in listed
        said, _ = await command(tmp_path, "claims", "accept", OTHER_RECEIPT, "10")
        assert "The customer has what was asked for" in said
        await stage.until_online()


@pytest.mark.parametrize("mode", ["hotspot-user", "radius"])
async def test_a_grant_is_moved_and_ended_at_once(tmp_path: Path, mode: str) -> None:
    """Moved, the other device is online and the first is off; ended, nobody is, and no money went anywhere."""
    async with Stage(tmp_path, mode=mode) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online()

        async def is_seen() -> bool:
            (grant,) = (await answer(tmp_path, "grants", "--phone", PHONE))["grants"]
            return (grant["mac"], grant["online"], grant["routers"]) == (MAC, True, ["main"])

        await stage.until(is_seen, seconds=10, what="the device in the list")
        (grant,) = (await answer(tmp_path, "grants"))["grants"]
        grant_id = grant["id"]
        await command(tmp_path, "grants", "move", grant_id, OTHER_MAC)
        await stage.until_online(OTHER_MAC)
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="the first device off")
        said, _ = await command(tmp_path, "grants", "end", grant_id, "--reason", "sold by mistake")
        assert "No money was touched" in said
        await stage.until(lambda: not stage.router.is_online(OTHER_MAC), seconds=5, what="the other device off")
        assert (await answer(tmp_path, "grants"))["grants"] == []
        assert await stage.count("payments", "disposition = 'grant'") == 1


@pytest.mark.parametrize("mode", ["hotspot-user", "radius"])
async def test_a_grant_is_started_before_another(tmp_path: Path, mode: str) -> None:
    """The device is online by the one staff name; the other waits with the time it has left."""
    async with Stage(tmp_path, mode=mode) as stage:
        for receipt, package in ((RECEIPT, "1h"), (OTHER_RECEIPT, "1d")):
            price = "10" if package == "1h" else "50"
            await command(tmp_path, "payments", "enter", receipt, price)
            more = ("--phone", PHONE, "--package", package, "--mac", MAC)
            await command(tmp_path, "payments", "assign", receipt, *more)
        await stage.until_online()
        (day,) = (await answer(tmp_path, "grants", "--receipt", OTHER_RECEIPT))["grants"]
        assert day["state"] == "waiting"
        await command(tmp_path, "grants", "switch", day["id"])

        async def is_used() -> bool:
            found = (await answer(tmp_path, "grants", "--device", MAC))["grants"]
            stands = {each["package"]["id"]: (each["state"], each["online"]) for each in found}
            return stands == {"1h": ("paused", False), "1d": ("running", True)}

        await stage.until(is_used, seconds=10, what="the day in use")
        assert stage.router.is_online(MAC)
