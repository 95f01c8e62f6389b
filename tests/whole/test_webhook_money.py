"""The webhook at a whole site: told by many at once, and the daemon killed in between."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from easyisp_edge.web.webhooks import PATHS
from tests.whole.stage import EDGE, PHONE, Stage

if TYPE_CHECKING:
    from pathlib import Path

KEY = "only-good-on-loopback-too"
KEYED = EDGE.replace("[radius]", f'webhook_key = "{KEY}"\n[radius]')
PAYER, STRANGER = "254712345678", "254722999888"


def told(receipt: str, shillings: int, phone: str = PAYER) -> dict[str, Any]:
    """An STK callback about a push of somebody else's."""
    values = {"Amount": shillings, "MpesaReceiptNumber": receipt, "PhoneNumber": int(phone)}
    items = [{"Name": name, "Value": value} for name, value in values.items()]
    callback = {
        "MerchantRequestID": "1-2-3",
        "CheckoutRequestID": f"ws_CO_{receipt}",
        "ResultCode": 0,
        "ResultDesc": "The service request is processed successfully.",
        "CallbackMetadata": {"Item": items},
    }
    return {"Body": {"stkCallback": callback}}


async def tell(stage: Stage, body: dict[str, Any], *, port: str = "callbacks_port", path: str = PATHS[0]) -> int:
    """Tell the webhook; gives the status, 0 where nobody answered."""
    url = f"http://127.0.0.1:{stage.ports[port]}{path}"
    with contextlib.suppress(aiohttp.ClientError):
        async with stage.http.post(url, json=body, headers={"X-API-Key": KEY}) as answer:
            await answer.read()
            return answer.status
    return 0


async def _make_customer(stage: Stage) -> None:
    """Whoever bought once is known."""
    await stage.buy()
    await stage.pay()
    await stage.until_online()


async def _wallet_cents(stage: Stage) -> int:
    async with stage.books() as (_, connection):
        sums = "coalesce(sum(amount_cents * ((to_account = 'wallet') - (from_account = 'wallet'))), 0)"
        return int(connection.execute(f"SELECT {sums} FROM entries").fetchone()[0])  # noqa: S608 - a test's own words


@pytest.mark.parametrize("path", PATHS)
async def test_at_which_doors_it_is(tmp_path: Path, path: str) -> None:
    """At M-Pesa's door and the owner's; customers do not reach it."""
    async with Stage(tmp_path, files={"edge.toml": KEYED}) as stage:
        await _make_customer(stage)
        assert await tell(stage, told("SKL41DOOR1", 20), path=path) == 200
        assert await tell(stage, told("SKL41DOOR2", 30), path=path, port="admin_port") == 200
        assert await tell(stage, told("SKL41DOOR3", 40), path=path, port="portal_port") in {404, 405}
        assert await _wallet_cents(stage) == 5000


async def test_killed_between_a_thousand_webhooks(tmp_path: Path) -> None:
    """What was answered is in the books; told again, all of it is, and the money is that of the distinct receipts."""
    chance = random.Random(3)
    receipts = {f"SKM{number:07}": chance.randint(1, 500) for number in range(400)}
    strangers = set(list(receipts)[::4])
    bodies = [
        (receipt, told(receipt, shillings, STRANGER if receipt in strangers else PAYER))
        for receipt, shillings in receipts.items()
        for _ in range(chance.randint(1, 4))
    ]
    assert len(bodies) > 900
    chance.shuffle(bodies)
    async with Stage(tmp_path, as_process=True, files={"edge.toml": KEYED}) as stage:
        await _make_customer(stage)
        answered: set[str] = set()
        sending = asyncio.create_task(_tell_all(stage, bodies, answered))
        await stage.until(lambda: len(answered) > 60, seconds=20, what="the sixtieth answer")
        await stage.kill_daemon()
        await sending
        assert len(answered) < len(receipts)
        booked = await _receipts(stage)
        assert answered <= booked
        await stage.start_daemon()
        again: set[str] = set()
        await _tell_all(stage, bodies, again)
        assert again == set(receipts)
        assert await _receipts(stage) == set(receipts)
        credited = sum(shillings for receipt, shillings in receipts.items() if receipt not in strangers)
        assert await _wallet_cents(stage) == credited * 100
        assert await stage.count("payments", "disposition = 'unmatched'") == len(strangers)
        log = (tmp_path / "daemon.log").read_text()
        assert "webhook says" in log
        assert KEY not in log
        assert PHONE[1:] not in log


async def _tell_all(stage: Stage, bodies: list[tuple[str, dict[str, Any]]], acknowledged: set[str]) -> None:
    """Tell all of it, twenty at a time, and note the receipts that were acknowledged."""
    for at in range(0, len(bodies), 20):
        some = bodies[at : at + 20]
        statuses = await asyncio.gather(*(tell(stage, body) for _, body in some))
        acknowledged |= {receipt for (receipt, _), status in zip(some, statuses, strict=True) if status == 200}


async def _receipts(stage: Stage) -> set[str]:
    async with stage.books() as (_, connection):
        rows = connection.execute("SELECT mpesa_receipt_number FROM payments WHERE mpesa_receipt_number LIKE 'SKM%'")
        return {row[0] for row in rows}
