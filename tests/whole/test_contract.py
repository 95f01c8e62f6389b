"""The portal's JSON as the pages of the old deployment call it: the same paths, fields and status words."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.lab.daraja import Merchant, MerchantKind, Payer
from tests.whole.raw_http import ask
from tests.whole.stage import MAC, OTHER_MAC, OTHER_PHONE, PHONE, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PACKAGES = """
[[package]]
id = "week"
name = "One week"
price = 250
duration = "7d"
speed = "2M/5M"
data = "10GB"
devices = 2
[[package]]
id = "hour"
name = "One hour"
price = 10
duration = "1h"
speed = "10M"
[[package]]
id = "half"
name = "Half an hour"
price = 10
duration = "30m"
speed = "512k/1500k"
[[package]]
id = "nights"
name = "Night owl"
price = 300
duration = "30d"
online = "10h"
hours = "22:00-06:00"
days = ["fri", "sat"]
speed = "5M/10M 10M/20M"
[[package]]
id = "old"
name = "No longer sold"
price = 5
duration = "1h"
speed = "1M"
active = false
[[package]]
id = "home"
name = "At home"
price = 1500
duration = "30d"
speed = "20M"
service = "pppoe"
"""
TENANTS = """
[[tenant]]
id = "mtaani"
name = "Mtaani"
business_name = "Mtaani Networks Ltd"
phone = "0712 345 678"
email = "hello@mtaani.example"
primary_colour = "#123abc"
"""
TILL = Merchant("600987", "till-passkey", "till-key", "till-secret", kind=MerchantKind.BUYGOODS, till="512345")
TILL_GATEWAY = """
[[gateway]]
id = "till"
sub_type = "BUYGOODS"
shortcode = "512345"
store_number = "600987"
consumer_key = "till-key"
consumer_secret = "till-secret"
passkey = "till-passkey"
environment = "sandbox"
base_url = "{daraja}"
"""
BANK_GATEWAY = """
[[gateway]]
id = "bank"
sub_type = "BANK"
shortcode = "247247"
business_shortcode = "600986"
account_number = "0123456789012"
consumer_key = "bank-key"
consumer_secret = "bank-secret"
passkey = "bank-passkey"
base_url = "{daraja}"
"""
ANY_ID = re.compile(r"[0-9a-f]{32}")
TIME_WITH_ZONE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)")
# What a package says that may be used at any hour, and whose time runs by the clock.
ALWAYS = {"onlineSeconds": None, "hours": None, "days": None}
HOUR = {
    "id": "hour",
    "name": "One hour",
    "price": 10,
    "speed": "10/10 Mbps",
    "duration": "1 hour",
    "durationSeconds": 3600,
    "data": None,
    "devices": 1,
    **ALWAYS,
}
HALF = {
    "id": "half",
    "name": "Half an hour",
    "price": 10,
    "speed": "1.5/0.51 Mbps",
    "duration": "30 min",
    "durationSeconds": 1800,
    "data": None,
    "devices": 1,
    **ALWAYS,
}
WEEK = {
    "id": "week",
    "name": "One week",
    "price": 250,
    "speed": "5/2 Mbps",
    "duration": "7 days",
    "durationSeconds": 604800,
    "data": "10 GB",
    "devices": 2,
    **ALWAYS,
}
NIGHTS = {
    "id": "nights",
    "name": "Night owl",
    "price": 300,
    "speed": "10/5 Mbps",
    "duration": "10 hours online, within 30 days",
    "durationSeconds": 2592000,
    "data": None,
    "devices": 1,
    "onlineSeconds": 36000,
    "hours": "22:00-06:00",
    "days": ["fri", "sat"],
}
TENANT = {
    "id": "mtaani",
    "name": "Mtaani Networks Ltd",
    "logo": None,
    "primaryColor": "#123abc",
    "contact": {"phone": "0712 345 678", "email": "hello@mtaani.example"},
}
VALID = {
    "configured": True,
    "valid": True,
    "configType": "PAYBILL",
    "errors": [],
    "details": {
        "tillNumber": None,
        "paybillNumber": "174379",
        "storeNumber": None,
        "environment": "sandbox",
        "hasPasskey": True,
        "hasCredentials": True,
    },
}
REACHABLE = {"ResultCode": 0, "ResultDesc": "Callback URL is reachable"}
# What a page on a site with one tenant may say of it.
TENANT_SPELLINGS = ("", "?tenantId=", "?tenantId=mtaani")
LOOKING: tuple[tuple[str, int, dict[str, Any]], ...] = (
    *((f"/packages{query}", 200, {"packages": [HALF, HOUR, WEEK, NIGHTS]}) for query in TENANT_SPELLINGS),
    *((f"/tenant{query}", 200, TENANT) for query in (*TENANT_SPELLINGS, "?nasIp=127.0.0.1", "?nasIp=10.9.9.9")),
    *((f"/mpesa/check{query}", 200, {"configured": True}) for query in TENANT_SPELLINGS),
    *((f"/mpesa/validate{query}", 200, VALID) for query in TENANT_SPELLINGS),
    ("/mpesa/callback", 200, REACHABLE),
    *((f"/check-session{query}", 200, {"hasActiveSession": False}) for query in (*TENANT_SPELLINGS, f"?mac={MAC}")),
    *((f"/status?{query}", 200, {"active": False}) for query in (f"mac={MAC}", "sessionId=HS-1", f"sessionId={MAC}")),
    ("/status", 400, {"success": False, "code": "request.invalid", "field": "macAddress"}),
    ("/status?mac=x", 400, {"success": False, "code": "mac.unreadable", "field": "macAddress"}),
    *(
        (f"{path}?tenantId=another", 400, {"success": False, "code": "tenant.other", "field": "tenantId"})
        for path in ("/packages", "/tenant", "/mpesa/check", "/mpesa/validate")
    ),
    ("/mpesa/status", 404, {"success": False, "code": "purchase.unknown"}),
    ("/mpesa/status?checkoutRequestId=", 404, {"success": False, "code": "purchase.unknown"}),
    (f"/mpesa/status?checkoutRequestId={'0' * 32}", 404, {"success": False, "code": "purchase.unknown"}),
    ("/mpesa/status?checkoutRequestId=ws_CO_21112026090000123708374149", 404, {"code": "purchase.unknown"}),
    *(
        (f"/mpesa/claim{query}", 404, {"success": False, "code": "claim.unknown"})
        for query in ("", "?claimId=", f"?claimId={'0' * 32}", "?claimId=UKL5QWERT1")
    ),
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A site with one tenant and packages of all kinds."""
    async with Stage(tmp_path, files={"packages.toml": PACKAGES, "tenants.toml": TENANTS}) as site:
        yield site


async def _json(stage: Stage, path: str, *, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    method = "GET" if body is None else "POST"
    async with stage.http.request(method, f"/api/portal{path}", json=body) as answer:
        assert answer.content_type == "application/json"
        content: dict[str, Any] = await answer.json()
        return answer.status, content


async def test_looking(stage: Stage) -> None:
    """Every call that only looks, with its answer: exact where it succeeds, at least these fields where it does not."""
    for path, status, wanted in LOOKING:
        found = await _json(stage, path)
        assert found[0] == status, (path, found)
        said = found[1] if status == 200 else {key: found[1].get(key) for key in wanted}
        assert said == wanted, path
        if status != 200:
            assert found[1]["message"], path
            assert found[1]["error"] == found[1]["message"], path


async def test_packages_are_listed_cheapest_first_and_only_what_is_sold_here(stage: Stage) -> None:
    """No package that is inactive, none for PPPoE; prices and seconds are numbers, the cheapest comes first."""
    _, content = await _json(stage, "/packages")
    ids = [package["id"] for package in content["packages"]]
    prices = [package["price"] for package in content["packages"]]
    assert set(ids) == {"hour", "half", "week", "nights"}
    assert prices == sorted(prices)
    assert all(type(price) is int for price in prices)


async def test_pages_on_the_router_may_call(stage: Stage) -> None:
    """The hotspot's own pages stand on another address than the portal: they may call, and ask first."""
    async with stage.http.options("/api/portal/mpesa/initiate", headers={"Origin": "http://10.5.50.1"}) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    async with stage.http.get("/api/portal/packages") as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("gateway", "wanted"),
    [
        (
            TILL_GATEWAY,
            {
                "configType": "BUYGOODS",
                "details": {
                    "tillNumber": "512345",
                    "paybillNumber": None,
                    "storeNumber": "****87",
                    "environment": "sandbox",
                    "hasPasskey": True,
                    "hasCredentials": True,
                },
            },
        ),
        (
            BANK_GATEWAY,
            {
                "configType": "BANK",
                "details": {
                    "tillNumber": None,
                    "paybillNumber": "247247",
                    "storeNumber": None,
                    "environment": "production",
                    "hasPasskey": True,
                    "hasCredentials": True,
                },
            },
        ),
    ],
)
async def test_validate_tells_a_gateway_without_its_secrets(
    tmp_path: Path, gateway: str, wanted: dict[str, Any]
) -> None:
    """The kind and the public numbers; the store number masked; of keys, secrets and accounts only that they are."""
    async with Stage(tmp_path, files={"gateways.toml": gateway}) as stage:
        async with stage.http.get("/api/portal/mpesa/validate") as answer:
            content = await answer.json()
            text = await answer.text()
        assert content == {"configured": True, "valid": True, "errors": [], **wanted}
        for secret in ("-key", "-secret", "-passkey", "600987", "600986", "0123456789012"):
            assert secret not in text


async def test_a_site_without_a_gateway_says_so(tmp_path: Path) -> None:
    """Not configured: said by check and validate, and initiate refuses with 404 before anything is written."""
    async with Stage(tmp_path, files={"gateways.toml": ""}) as stage:
        assert await _json(stage, "/mpesa/check") == (200, {"configured": False})
        status, content = await _json(stage, "/mpesa/validate")
        assert (status, content["configured"], content["valid"]) == (200, False, False)
        assert content["configType"] is None
        assert content["errors"]
        refused = await stage.initiate(expect=404)
        assert refused["code"] == "gateway.missing"
        assert await stage.count("purchases") == 0


@pytest.mark.parametrize("said", [{}, {"tenantId": ""}, {"tenantId": None}, {"tenantId": "mtaani"}])
async def test_initiate_prompts_the_phone(stage: Stage, said: dict[str, Any]) -> None:
    """Success, an id to ask by, a message that masks the number; the id is our own and no word of M-Pesa's."""
    order = {"phone": PHONE, "packageId": "hour", "macAddress": MAC, **said}
    status, content = await _json(stage, "/mpesa/initiate", body=order)
    assert (status, content["success"], content["status"]) == (200, True, "pending")
    assert ANY_ID.fullmatch(content["checkoutRequestId"])
    assert "0712 ••• 678" in content["message"]
    push = (await stage.daraja.wait_for_prompt(PHONE)).push
    assert len(push.request.account_reference) <= 12
    assert push.request.shillings == 10
    told = str(content)
    assert push.checkout_request_id not in told
    assert push.request.callback_url.rpartition("/")[2] not in told
    assert push.request.phone not in told


async def test_initiate_takes_numbers_for_texts_and_needs_no_device(stage: Stage) -> None:
    """Pages send phone numbers as JSON numbers, too; macAddress and nasIp may be left out."""
    status, content = await _json(stage, "/mpesa/initiate", body={"phone": 254712345678, "packageId": "hour"})
    assert (status, content["success"]) == (200, True)


WRONG_ORDERS: tuple[tuple[dict[str, Any], int, str, str | None], ...] = (
    ({}, 400, "request.invalid", "packageId"),
    ({"packageId": "hour"}, 400, "request.invalid", "phone"),
    ({"packageId": "hour", "phone": "12"}, 400, "phone.unreadable", "phone"),
    ({"packageId": "hour", "phone": PHONE, "macAddress": "x"}, 400, "mac.unreadable", "macAddress"),
    ({"packageId": "hour", "phone": PHONE, "tenantId": "another"}, 400, "tenant.other", "tenantId"),
    ({"packageId": "nope", "phone": PHONE}, 404, "purchase.package_closed", None),
    ({"packageId": "old", "phone": PHONE}, 404, "purchase.package_closed", None),
)


async def test_initiate_says_what_is_wrong(stage: Stage) -> None:
    """A refusal has success false, a code for programs, a message for people, and the field where it is one's fault."""
    for order, status, code, field in WRONG_ORDERS:
        found, content = await _json(stage, "/mpesa/initiate", body=order)
        assert (found, content["success"], content["code"], content.get("field")) == (status, False, code, field)
        assert content["message"]
    assert await stage.count("purchases") == 0


async def test_a_phone_is_asked_once_at_a_time(stage: Stage) -> None:
    """The same order again gives the same purchase and no second prompt; another one is 409 with seconds to wait."""
    order = {"phone": PHONE, "packageId": "hour", "macAddress": MAC}
    _, first = await _json(stage, "/mpesa/initiate", body=order)
    _, again = await _json(stage, "/mpesa/initiate", body=order)
    assert again["checkoutRequestId"] == first["checkoutRequestId"]
    status, content = await _json(stage, "/mpesa/initiate", body={**order, "packageId": "week"})
    assert (status, content["code"]) == (409, "purchase.phone_busy")
    assert 0 < content["seconds"] <= 120
    assert str(content["seconds"]) in content["message"]
    assert len(stage.daraja.accepted) == 1


async def test_status_of_a_purchase_that_is_paid(stage: Stage) -> None:
    """Pending first, without credentials; then completed, with what the page needs to log in and to show."""
    purchase_id = await stage.buy(packageId="hour")
    pending = await stage.status(purchase_id)
    assert pending["status"] == "pending"
    assert not {"username", "password", "transactionCode"} & pending.keys()
    await stage.pay()
    done = await stage.until_status(purchase_id, "completed")
    assert done["package"] == HOUR
    assert re.fullmatch(r"[0-9A-Z]{10}", done["username"])
    assert re.fullmatch(r"[0-9A-Z]{16}", done["password"])
    assert done["transactionCode"] == stage.daraja.debits[0].receipt
    assert TIME_WITH_ZONE.fullmatch(done["expiresAt"])
    assert datetime.fromisoformat(done["expiresAt"]).tzinfo is not None
    assert 3590 <= done["secondsLeft"] <= 3600


async def test_status_of_a_purchase_that_fails(stage: Stage) -> None:
    """Failed carries a message for the customer and a code, and no credentials."""
    purchase_id = await stage.buy(packageId="hour", phone=OTHER_PHONE, macAddress=OTHER_MAC)
    push = (await stage.daraja.wait_for_prompt(OTHER_PHONE)).push
    await stage.daraja.act(push.checkout_request_id, Payer.CANCEL)
    failed = await stage.until_status(purchase_id, "failed")
    assert failed["code"] == "cancelled"
    assert "cancelled" in failed["message"]
    assert "username" not in failed


async def test_status_of_a_purchase_nothing_was_heard_of(stage: Stage) -> None:
    """After five minutes without a word it is expired; a payment that comes later still completes it."""
    purchase_id = await stage.buy(packageId="hour")
    push = (await stage.daraja.wait_for_prompt(PHONE)).push
    stage.time.move(301)
    await stage.daemon.parts.settlement.expire_round()
    assert (await stage.status(purchase_id))["status"] == "expired"
    await stage.daraja.enter_pin(push.checkout_request_id)
    assert (await stage.until_status(purchase_id, "completed"))["username"]


async def test_login_status_and_logout(stage: Stage) -> None:
    """What the old page does: log in, show how it stands, log out; the old fields are there, the password counts."""
    purchase_id = await stage.buy(packageId="hour")
    await stage.pay()
    bought = await stage.until_status(purchase_id, "completed")
    await stage.until_online()
    login = {"username": bought["username"], "password": bought["password"], "macAddress": MAC, "ip": "10.5.50.11"}
    status, refused = await _json(stage, "/login", body={**login, "password": bought["username"]})
    assert (status, refused["success"], refused["code"]) == (422, False, "login.unknown_user")
    status, said = await _json(stage, "/login", body={**login, "nasId": "main"})
    assert (status, said["success"]) == (200, True)
    assert {"sessionId", "customer", "quota"} <= said.keys()
    assert said["customer"].keys() == {"name", "package", "expiresAt"}
    assert said["quota"] == {"speed": "10/10 Mbps", "data": None, "time": "1 hour"}
    status, shown = await _json(stage, f"/status?sessionId={said['sessionId']}")
    assert (status, shown["active"], shown["sessionId"]) == (200, True, said["sessionId"])
    assert {"uptime", "uptimeSeconds", "bytesIn", "bytesOut"} <= shown.keys()
    assert shown["customer"] == {"name": None, "package": "One hour"}
    status, known = await _json(stage, f"/check-session?mac={MAC}&tenantId=mtaani")
    assert (status, known["hasActiveSession"], known["customer"]["packageName"]) == (200, True, "One hour")
    assert 59 <= known["customer"]["remainingMinutes"] <= 60
    assert bought["username"] not in str(known)
    status, refused = await _json(stage, "/logout", body={"macAddress": MAC})
    assert (status, refused["success"], refused["code"]) == (422, False, "session.not_yours")
    assert await _json(stage, "/logout", body={"sessionId": said["sessionId"]}) == (200, {"success": True})
    await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="the device put off")


async def test_a_voucher_that_is_none(stage: Stage) -> None:
    """Success false, a code for programs and words for people; nothing is written."""
    for code, status, told in (("", 400, "request.invalid"), ("AAAA-AAAA-AAAA", 400, "voucher.mistyped")):
        found, said = await _json(stage, "/voucher", body={"code": code, "macAddress": MAC, "nasId": "main"})
        assert (found, said["success"], said["code"], said["field"]) == (status, False, told, "code")
    assert await stage.count("grants") == 0


WRONG_MESSAGES: tuple[tuple[dict[str, Any], int, str, str | None], ...] = (
    ({"smsText": None}, 400, "request.invalid", "smsText"),
    ({"smsText": "UKL5QWERT"}, 400, "request.invalid", "smsText"),
    ({"smsText": 1234567890}, 400, "request.invalid", "smsText"),
    ({"smsText": "no code in this at all"}, 400, "claim.no_receipt", "smsText"),
    ({"macAddress": "x"}, 400, "mac.unreadable", "macAddress"),
    ({"macAddress": None}, 400, "claim.who", "phone"),
    ({"phone": "12"}, 400, "phone.unreadable", "phone"),
    ({"tenantId": "another"}, 400, "tenant.other", "tenantId"),
    ({"claimId": "x"}, 400, "request.invalid", "claimId"),
    ({"packageId": "nope"}, 404, "purchase.package_closed", None),
)


async def test_verify_sms_says_what_is_wrong(stage: Stage) -> None:
    """A code for programs, a message for people, and the field where it is one's fault; nothing is written."""
    order = {"smsText": "UKL5QWERT1", "packageId": "hour", "macAddress": MAC}
    for wrong, status, code, field in WRONG_MESSAGES:
        found, content = await _json(stage, "/mpesa/verify-sms", body=order | wrong)
        assert (found, content["success"], content["code"], content.get("field")) == (status, False, code, field)
        assert content["message"]
    assert await stage.count("claims") == 0


async def test_verify_sms_gives_back_what_was_paid_for(stage: Stage) -> None:
    """A receipt the books know: at once what the old page logs in with; pasted by a stranger it is 422."""
    purchase_id = await stage.buy(packageId="hour")
    await stage.pay()
    done = await stage.until_status(purchase_id, "completed")
    message = stage.daraja.messages(PHONE)[-1].text
    status, content = await _json(
        stage, "/mpesa/verify-sms", body={"smsText": message, "packageId": "hour", "macAddress": MAC}
    )
    assert (status, content["success"], content["status"]) == (200, True, "completed")
    for field in ("username", "password", "package", "transactionCode"):
        assert content[field] == done[field], field
    assert TIME_WITH_ZONE.fullmatch(content["expiresAt"])
    assert await _json(stage, f"/mpesa/claim?claimId={content['claimId']}") == (status, content)
    stranger = {"smsText": message, "packageId": "hour", "macAddress": OTHER_MAC, "phone": OTHER_PHONE}
    status, refused = await _json(stage, "/mpesa/verify-sms", body=stranger)
    assert (status, refused["success"], refused["code"]) == (422, False, "used")
    assert not {"username", "password", "transactionCode"} & refused.keys()


async def test_verify_sms_of_what_nobody_knows_yet(stage: Stage) -> None:
    """202 and an id to ask by; the same id again makes no second claim, and too many claims are 409."""
    order = {"smsText": "UKL5QWERT1", "macAddress": MAC, "claimId": "c" * 32}
    for _ in range(2):
        status, content = await _json(stage, "/mpesa/verify-sms", body=order)
        assert (status, content["success"], content["status"]) == (202, False, "verifying")
        assert content["claimId"] == "c" * 32
        assert content["message"]
    for number in range(2, 7):
        await _json(stage, "/mpesa/verify-sms", body={"smsText": f"UKL5QWERT{number}", "macAddress": MAC})
    status, content = await _json(stage, "/mpesa/verify-sms", body={"smsText": "UKL5QWERT9", "macAddress": MAC})
    assert (status, content["code"], content["minutes"]) == (409, "claim.limit", 60)
    assert await stage.count("claims") == 6


NO_CALLBACKS = (
    b"",
    b"no json",
    b"{}",
    b'{"Body":{"stkCallback":{}}}',
    b'{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"ResultDesc":"x"}}}',
)


async def test_the_old_callback_address_takes_everything(stage: Stage) -> None:
    """At both doors, always HTTP 200 and accepted, whatever it is; nothing is written of what fits no purchase."""
    for door in ("portal_port", "callbacks_port"):
        for body in NO_CALLBACKS:
            answer = await ask(stage.ports[door], "POST", "/api/portal/mpesa/callback", body)
            assert answer.status == 200
            assert answer.body == b'{"ResultCode": 0, "ResultDesc": "Accepted"}'
        answer = await ask(stage.ports[door], "GET", "/api/portal/mpesa/callback")
        assert answer.body == b'{"ResultCode": 0, "ResultDesc": "Callback URL is reachable"}'
    assert await stage.count("evidence") == 0
