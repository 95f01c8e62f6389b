"""What a customer may tell us about money: nothing is believed that M-Pesa has not said itself."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.lab.daraja import Payer
from easyisp_edge.web.webhooks import PATHS
from tests.whole.raw_http import RawAnswer, ask, routes_of
from tests.whole.stage import GATEWAYS, MAC, OTHER_MAC, OTHER_PHONE, PHONE, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.lab.daraja import AcceptedPush

BARE = "/api/portal/mpesa/callback"
INVENTED = "UKN7ABCD12"
# Queries ten times a second, so that a test sees how many there are without waiting for them.
EAGER = {"gateways.toml": GATEWAYS.replace("queries_per_minute = 60", "queries_per_minute = 600")}
QUIET_SECONDS = 0.5


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A site that asks M-Pesa as fast as it likes."""
    async with Stage(tmp_path, files=EAGER) as site:
        yield site


def callback(
    checkout_request_id: str, *, amount: Any = 10, receipt: Any = INVENTED, code: Any = 0, phone: Any = 254712345678
) -> bytes:
    """A callback as M-Pesa writes them; items of None are left out."""
    items = {"Amount": amount, "MpesaReceiptNumber": receipt, "PhoneNumber": phone}
    listed = [{"Name": name, "Value": value} for name, value in items.items() if value is not None]
    told = {
        "MerchantRequestID": "29115-34620561-1",
        "CheckoutRequestID": checkout_request_id,
        "ResultCode": code,
        "ResultDesc": "The service request is processed successfully.",
        "CallbackMetadata": {"Item": listed},
    }
    return json.dumps({"Body": {"stkCallback": told}}).encode()


async def prompted(stage: Stage, phone: str = PHONE, mac: str = MAC) -> tuple[str, AcceptedPush]:
    """A purchase whose prompt is open, and its push as M-Pesa has it: what a spy in the middle would know."""
    purchase_id = await stage.buy(phone=phone, macAddress=mac)
    prompt = await asyncio.wait_for(stage.daraja.wait_for_prompt(phone), 5)
    return purchase_id, prompt.push


def secret_path(push: AcceptedPush) -> str:
    """The purchase's own callback address, below the callbacks' door."""
    return "/c/" + push.request.callback_url.rpartition("/")[2]


async def tell(stage: Stage, path: str, body: bytes, door: str = "callbacks") -> RawAnswer:
    """Post a callback."""
    return await ask(stage.ports[f"{door}_port"], "POST", path, body, [("Content-Type", b"application/json")])


async def assert_no_money(stage: Stage) -> None:
    """Nothing booked, nothing granted, nobody online."""
    for table in ("payments", "grants", "customers"):
        assert await stage.count(table) == 0, table
    assert stage.router.active == []


async def _honest_end(stage: Stage, purchase_id: str, phone: str = PHONE) -> None:
    """After all that: the payer's PIN still counts, once."""
    await stage.pay(phone)
    done = await stage.until_status(purchase_id, "completed")
    assert done["transactionCode"] == stage.daraja.debits[-1].receipt
    assert await stage.count("payments", f"purchase_id = '{purchase_id}' AND disposition = 'grant'") == 1
    assert await stage.count("grants") == await stage.count("payments", "disposition = 'grant'")


@pytest.mark.parametrize("door", ["portal", "callbacks"])
async def test_a_success_without_the_secret_is_only_a_reason_to_ask(stage: Stage, door: str) -> None:
    """Right CheckoutRequestID, right amount, invented receipt, twenty times: no money, three queries at most."""
    purchase_id, push = await prompted(stage)
    for number in range(20):
        body = callback(push.checkout_request_id, receipt=f"UKN7ABCD{number:02}")
        answer = await tell(stage, BARE, body, door)
        assert (answer.status, json.loads(answer.body)["ResultDesc"]) == (200, "Accepted")
    await stage.until(lambda: push.queries, seconds=3, what="a query")
    await asyncio.sleep(QUIET_SECONDS)
    assert push.queries <= 3
    assert await stage.count("evidence", "source = 'stk_callback_bare'") == 3
    assert await stage.count("evidence", "source = 'stk_callback_bare' AND strong") == 0
    assert (await stage.status(purchase_id))["status"] == "pending"
    await assert_no_money(stage)
    await _honest_end(stage, purchase_id)


async def test_a_failure_without_the_secret_fails_nothing(stage: Stage) -> None:
    """A neighbour's "cancelled" for somebody's open prompt changes nothing on his page."""
    purchase_id, push = await prompted(stage)
    await tell(stage, BARE, callback(push.checkout_request_id, code=1032))
    await stage.until(lambda: push.queries, seconds=3, what="a query")
    assert (await stage.status(purchase_id))["status"] == "pending"
    await _honest_end(stage, purchase_id)


async def test_a_success_for_a_cancelled_push_is_asked_about_and_not_believed(stage: Stage) -> None:
    """The payer cancels and then posts success himself: M-Pesa says cancelled, and so it stays."""
    purchase_id, push = await prompted(stage)
    await stage.daraja.act(push.checkout_request_id, Payer.CANCEL)
    await stage.until_status(purchase_id, "failed")
    for _ in range(10):
        await tell(stage, BARE, callback(push.checkout_request_id), "portal")
    await stage.until(lambda: push.queries, seconds=3, what="a query")
    await asyncio.sleep(QUIET_SECONDS)
    assert push.queries <= 3
    assert (await stage.status(purchase_id))["status"] == "failed"
    await assert_no_money(stage)


async def test_no_other_door_and_no_other_address_takes_a_callback(stage: Stage) -> None:
    """On every route of every door but its own secret one: refused, or without effect."""
    purchase_id, push = await prompted(stage)
    own = secret_path(push)
    for door in ("portal", "admin"):
        assert (await tell(stage, own, callback(push.checkout_request_id), door)).status == 404
    for wrong in ("0" * 32, own[3:-1], own[3:].upper(), own[3:] + "0", "%00" + own[3:], own[3:] + "%0a", "x"):
        assert (await tell(stage, f"/c/{wrong}", callback(push.checkout_request_id))).status == 404, wrong
    for route in routes_of(stage):
        if route.method != "OPTIONS" and route.path not in {"/c/{token}", BARE}:
            path = re.sub(r"\{[a-z_]+\}", purchase_id, route.path)
            answer = await ask(route.port, "POST", path, callback(push.checkout_request_id))
            # The back office hears nobody who has not logged in; the webhook says yes to all, and does nothing.
            unheard = route.path in PATHS or (route.door == "admin" and answer.status == 401)
            assert unheard or answer.status in {400, 404, 405}, str(route)
    await assert_no_money(stage)
    assert push.queries == 0
    assert await stage.count("evidence", "source <> 'stk_push'") == 0


async def test_a_secret_speaks_of_its_own_push_only(stage: Stage) -> None:
    """On one purchase's secret address, another's CheckoutRequestID: neither is paid, each post asks once at most."""
    one_id, one = await prompted(stage)
    other_id, other = await prompted(stage, OTHER_PHONE, OTHER_MAC)
    for _ in range(5):
        assert (await tell(stage, secret_path(one), callback(other.checkout_request_id))).status == 200
    await asyncio.sleep(QUIET_SECONDS)
    assert one.queries <= 5
    assert other.queries == 0
    await assert_no_money(stage)
    assert await stage.count("evidence", "source = 'stk_callback' AND strong") == 0
    for purchase_id, phone in ((one_id, PHONE), (other_id, OTHER_PHONE)):
        await _honest_end(stage, purchase_id, phone)


@pytest.mark.parametrize("amount", [1, 11, 9.99, "1,000"])
async def test_a_wrong_amount_is_kept_and_grants_nothing(stage: Stage, amount: Any) -> None:
    """M-Pesa itself tells another amount than the price: the money is booked as unmatched, the page says so."""
    purchase_id, push = await prompted(stage)
    body = callback(push.checkout_request_id, amount=amount)
    for _ in range(3):
        assert (await tell(stage, secret_path(push), body)).status == 200
    status = await stage.status(purchase_id)
    assert (status["status"], status["code"]) == ("failed", "wrong_amount")
    assert await stage.count("grants") == 0
    cents = round(float(str(amount).replace(",", "")) * 100)
    kept = f"disposition = 'unmatched' AND mpesa_receipt_number = '{INVENTED}' AND amount_cents = {cents}"
    assert await stage.count("payments", kept) == await stage.count("payments") == 1
    _, page = await stage.get(f"/p/{purchase_id}")
    assert "The amount was not the price" in page
    assert "Try again" not in page


NO_AMOUNTS: tuple[Any, ...] = (
    None,
    0,
    "0.00",
    -10,
    "-10",
    "10.001",
    "\u0661\u0660",
    True,
    [10],
    {"KES": 10},
    "10 KES",
    10**30,
    1e300,
    "",
)


async def test_a_success_without_a_readable_amount_proves_nothing(stage: Stage) -> None:
    """Not even on the secret address: M-Pesa is asked, and says that nobody has paid yet."""
    purchase_id, push = await prompted(stage)
    for amount in NO_AMOUNTS:
        assert (await tell(stage, secret_path(push), callback(push.checkout_request_id, amount=amount))).status == 200
        await assert_no_money(stage)
        assert (await stage.status(purchase_id))["status"] == "pending", amount
    await _honest_end(stage, purchase_id)


async def test_a_callback_told_again_books_once(stage: Stage) -> None:
    """The very callback of the payment ten times more, at once and in turn: answered 200, one payment, one grant."""
    purchase_id, push = await prompted(stage)
    await stage.pay()
    await stage.until_status(purchase_id, "completed")
    await stage.until_online()
    sent = [await stage.daraja.send_callback(push.checkout_request_id) for _ in range(5)]
    sent += await asyncio.gather(*(stage.daraja.send_callback(push.checkout_request_id) for _ in range(5)))
    assert {callback.status for callback in sent} == {200}
    assert await stage.count("payments") == await stage.count("grants") == 1
    assert (
        await stage.count("events", "type = 'payment.booked'")
        == await stage.count("events", "type = 'grant.made'")
        == 1
    )
    assert await stage.count("customers", "total_spent_cents = 1000") == 1


async def test_the_first_callback_told_many_times_at_once_books_once(stage: Stage) -> None:
    """Twenty copies race each other before anything is booked: one payment, one grant."""
    purchase_id, push = await prompted(stage)
    body = callback(push.checkout_request_id)
    answers = await asyncio.gather(*(tell(stage, secret_path(push), body) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert (await stage.status(purchase_id))["status"] == "completed"
    assert await stage.count("payments") == await stage.count("grants") == 1


async def test_a_receipt_settles_one_purchase_only(stage: Stage) -> None:
    """A receipt that has settled a purchase grants nothing to another; that one's own payment still does."""
    first_id, first = await prompted(stage)
    await stage.pay()
    await stage.until_status(first_id, "completed")
    receipt = stage.daraja.debits[0].receipt
    second_id, second = await prompted(stage, OTHER_PHONE, OTHER_MAC)
    for spelling in (receipt, receipt.lower(), f" {receipt} "):
        body = callback(second.checkout_request_id, receipt=spelling)
        assert (await tell(stage, secret_path(second), body)).status == 200
    assert (await stage.status(second_id))["status"] == "pending"
    assert await stage.count("payments") == await stage.count("grants") == 1
    assert await stage.count("events", "type = 'evidence.contradicted'") == 3
    assert not stage.router.is_online(OTHER_MAC)
    assert first.checkout_request_id != second.checkout_request_id
    await _honest_end(stage, second_id, OTHER_PHONE)
    assert await stage.count("payments") == 2


async def test_the_page_tells_nothing_to_forge_with(stage: Stage) -> None:
    """Neither M-Pesa's ids nor the secret address are in any answer a customer gets.

    The pay code is: it is made to be typed, and money that carries it can only ever pay for this purchase.
    """
    purchase_id, push = await prompted(stage)
    answers = [
        await stage.get(f"/p/{purchase_id}"),
        await stage.get("/", mac=MAC),
        await stage.get("/api/portal/mpesa/status", checkoutRequestId=purchase_id),
        await stage.get("/api/portal/standing", mac=MAC),
        await stage.get("/api/portal/mpesa/status", checkoutRequestId=push.checkout_request_id),
    ]
    known = (push.checkout_request_id, push.merchant_request_id, secret_path(push)[3:])
    for _, text in answers[:4]:
        assert not [word for word in known if word in text]
    assert answers[4][0] == 404
    # Who only knows the device's address learns that somebody is paying, and not by what he could follow it.
    assert purchase_id not in answers[1][1] + answers[3][1]
