"""The back office as the front ends of the old deployment call it: the same paths, fields and words, row by row."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from easyisp_edge.web.webhooks import PATHS
from tests.unit.web.webhook_bodies import ACCEPTED, c2b_body, stk_body
from tests.whole.answer_shapes import ID, INSTANT, Each, differences, filled
from tests.whole.back_office_stage import (
    EASTERNERS,
    NOBODY,
    OWNER,
    SANDBOX,
    STRANGER,
    WEBHOOK_KEY,
    WEST_GATEWAY,
    BackOfficeStage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

MASK = "••••"
PHONE = "254712345678"
ANYTHING = re.compile(r".+", re.DOTALL)


class Row(NamedTuple):
    """A request and what it is answered.

    Args:
        method: The HTTP method.
        path: With names of the stage's `ids` in braces.
        expect: The HTTP status.
        stated: What the answer must hold.
        who: Who asks.
        body: What is sent.
        keep: Under which name to remember the answer's id.
    """

    method: str
    path: str
    expect: int
    stated: Any
    who: str = "ADMIN"
    body: dict[str, Any] | None = None
    keep: str = ""


def problem(status: int, code: str, **more: Any) -> dict[str, Any]:
    """A refusal: a problem document that has the old fields, too."""
    texts = {"title": str, "detail": ANYTHING, "message": ANYTHING, "error": ANYTHING}
    told = {"type": f"urn:easyisp-edge:problem:{code}", "code": code, "status": status, "statusCode": status}
    return texts | told | more


async def assert_as_stated(stage: BackOfficeStage, rows: Sequence[Row]) -> None:
    """Ask for each row in turn; all that is not as stated is told at once."""
    wrong: list[str] = []
    for row in rows:
        answered = await stage.ask(row.method, row.path, row.who, filled(row.body, stage.ids))
        found = differences(answered.content, filled(row.stated, stage.ids))
        if answered.status != row.expect:
            found = [f"status {answered.status}: {answered.text}"]
        elif row.keep:
            stage.ids[row.keep] = answered.content["id"]
        if row.expect >= 400 and "code" in row.stated and answered.headers["Content-Type"] != PROBLEM:
            found.append(f"it is {answered.headers['Content-Type']}")
        wrong += [f"{row.method} {row.path} by {row.who}: {each}" for each in found]
    assert not wrong, "\n".join(wrong)


PROBLEM = "application/problem+json; charset=utf-8"

# --- /api/payment-gateways, of a tenant that has none

_GATEWAY = {
    "id": ID,
    "tenantId": "east",
    "type": "MPESA_API",
    "subType": "PAYBILL",
    "name": "Sandbox",
    "shortcode": "174379",
    "storeNumber": None,
    "accountNumber": None,
    "consumerKey": MASK,
    "consumerSecret": MASK,
    "passkey": MASK,
    "env": "sandbox",
    "isDefault": True,
    "forHotspot": False,
    "forPppoe": False,
    "createdAt": INSTANT,
    "updatedAt": INSTANT,
}
_KEYS = {"consumerKey": "a-key", "consumerSecret": "a-secret", "passkey": "a-passkey"}
_TILL = {"subType": "BUYGOODS", "shortcode": "512000", "storeNumber": "600111", "name": "Till", "forPppoe": True}
_BANK = {"subType": "BANK", "shortcode": "247247", "storeNumber": "600333", "accountNumber": "0123456789"}
_LIST = "/api/payment-gateways"
_DONE = {"success": True}
_NO_GATEWAY = problem(404, "gateway.unknown")
_DECLARED = problem(409, "gateway.declared", declaredIn="gateways.toml", message=re.compile(r".*gateways\.toml.*"))
GATEWAYS: tuple[Row, ...] = (
    Row("GET", _LIST, 200, []),
    Row("POST", _LIST, 400, problem(400, "request.invalid", field="shortcode"), body={"env": "sandbox"}),
    Row("POST", _LIST, 400, problem(400, "request.invalid", field="shortcode"), body={**SANDBOX, "shortcode": "12"}),
    Row("POST", _LIST, 400, problem(400, "request.invalid", field="env"), body={**SANDBOX, "env": "test"}),
    Row("POST", _LIST, 400, problem(400, "request.invalid", field="subType"), body={**SANDBOX, "subType": "POCHI"}),
    Row("GET", _LIST, 200, []),
    Row("POST", _LIST, 201, _GATEWAY, body=SANDBOX, keep="first"),
    Row(
        "POST",
        _LIST,
        201,
        _GATEWAY | {**_TILL, "isDefault": False, "env": "production"},
        body={**_TILL, **_KEYS},
        keep="till",
    ),
    Row(
        "POST",
        _LIST,
        201,
        _GATEWAY | {**_BANK, "name": None, "isDefault": False, "env": "production"},
        body={**_BANK, **_KEYS},
        keep="bank",
    ),
    Row("GET", _LIST, 200, [{"id": "{bank}"}, {"id": "{till}"}, {"id": "{first}"}]),
    # What is left out stands; null, empty and masked secrets are no new ones.
    Row("PUT", _LIST + "/{first}", 200, _GATEWAY | {"name": "Main"}, body={"name": "Main"}),
    Row(
        "PUT",
        _LIST + "/{first}",
        200,
        _GATEWAY | {"name": "Main"},
        body={"consumerKey": None, "consumerSecret": "", "passkey": MASK},
    ),
    Row("POST", _LIST + "/{first}/test", 200, {"success": True, "message": ANYTHING}),
    Row("PUT", _LIST + "/{first}", 200, _GATEWAY | {"name": "Main"}, body={"consumerSecret": "wrong"}),
    Row("POST", _LIST + "/{first}/test", 400, {"success": False, "message": ANYTHING}),
    Row("PUT", _LIST + "/{first}", 400, problem(400, "request.invalid", field="shortcode"), body={"shortcode": "1"}),
    # One is the default, always.
    Row("POST", _LIST + "/{till}/default", 200, _DONE),
    Row("GET", _LIST, 200, [{"isDefault": False}, {"id": "{till}", "isDefault": True}, {"isDefault": False}]),
    Row("DELETE", _LIST + "/{till}", 200, _DONE),
    Row("GET", _LIST, 200, [{"id": "{bank}", "isDefault": False}, {"id": "{first}", "isDefault": True}]),
    # What a file declares is shown, and changed there only.
    Row("GET", _LIST + "?tenantId=west", 200, [{"id": "west-till", "isDefault": True, "consumerKey": MASK}], OWNER),
    Row("PUT", _LIST + "/west-till?tenantId=west", 409, _DECLARED, OWNER, {"name": "Mine"}),
    Row("DELETE", _LIST + "/west-till?tenantId=west", 409, _DECLARED, OWNER),
    Row("POST", _LIST + "/west-till/default?tenantId=west", 409, _DECLARED, OWNER),
    Row("POST", _LIST + "/west-till/test?tenantId=west", 200, _DONE, OWNER),
    Row("PUT", _LIST + "/none", 404, _NO_GATEWAY, body={"name": "Mine"}),
    Row("DELETE", _LIST + "/{till}", 404, _NO_GATEWAY),
)

# --- /api/payments, after a day's business


def paid(**other: Any) -> dict[str, Any]:
    """A transaction of the list."""
    customer = {"id": "{customer}", "name": PHONE}
    told = {"id": "{payment}", "transactionId": "{receipt}", "amount": 10, "phone": PHONE, "account": "{account}"}
    return {**told, "status": "completed", "customer": customer, "createdAt": INSTANT, **other}


def page(transactions: Any, **other: Any) -> dict[str, Any]:
    """A page of a list; without more, the only one."""
    counted = {"total": len(transactions)} if isinstance(transactions, list) else {}
    return {"transactions": transactions, **counted, "page": 1, "pageSize": 20, **other}


_NOBODYS = {"phone": STRANGER, "customer": None, "account": ""}
_LOST = paid(id="{unmatched}", transactionId="SKL41LOST1", amount=30, **_NOBODYS)
_REFUNDED = paid(id="{refunded}", transactionId="SKL41LOST2", amount=25, status="refunded", **_NOBODYS)
_ATTEMPT = {"id": ANYTHING, "transactionId": None, "amount": 10, "customer": None, "createdAt": INSTANT}
_FAILED = _ATTEMPT | {"phone": "254722000111", "status": "failed", "account": ANYTHING}
_PENDING = _ATTEMPT | {"phone": "254744000111", "status": "pending", "account": ANYTHING}
_ALL = [_REFUNDED, _LOST, paid()]
_ELECTRONIC = ("/api/payments/electronic", "/api/payments/mpesa")
_ELECTRONIC_PAGES: tuple[tuple[str, Any], ...] = (
    ("", page(_ALL)),
    ("?search=", page(_ALL)),
    ("?page=1&pageSize=2", page(_ALL[:2], total=3, pageSize=2)),
    ("?page=2&pageSize=2", page(_ALL[2:], total=3, page=2, pageSize=2)),
    ("?page=3&pageSize=2", page([], total=3, page=3, pageSize=2)),
    ("?status=completed", page(_ALL[1:])),
    ("?status=COMPLETED", page(_ALL[1:])),
    ("?status=refunded", page([_REFUNDED])),
    ("?status=failed", page([_FAILED])),
    ("?status=pending", page([_PENDING])),
    ("?status=expired", page([])),
    ("?search={receipt}", page([paid()])),
    ("?search=skl41lost1", page([_LOST])),
    ("?search=0712345678", page([paid()])),
    ("?search=254755", page([_REFUNDED, _LOST])),
    ("?search={account}", page([paid()])),
    ("?search=nothing", page([])),
    ("?search=254755&status=completed", page([_LOST])),
)
_MANUAL = {
    "id": "{manual}",
    "amount": 250,
    "method": "CASH",
    "description": "At the counter",
    "status": "COMPLETED",
    "customer": {"id": "{customer}", "name": PHONE},
    "createdAt": INSTANT,
}
_STATISTICS = {
    "todayReceived": 40,
    "todayTransactions": 2,
    "thisMonthReceived": 40,
    "thisMonthTransactions": 2,
    "successRate": 50,
    "pendingConfirmations": 1,
    "lastSync": INSTANT,
}
_WRONG_QUERIES = (
    ("?page=0", "page"),
    ("?page=x", "page"),
    ("?pageSize=0", "pageSize"),
    ("?pageSize=100000", "pageSize"),
    ("?status=gone", "status"),
    ("?cursor=x", "cursor"),
    ("?page=1&page=2", "page"),
)
LOOKING: tuple[Row, ...] = (
    *(Row("GET", path + query, 200, stated) for path in _ELECTRONIC for query, stated in _ELECTRONIC_PAGES),
    *(Row("GET", path, 200, page(_ALL), who) for path in _ELECTRONIC for who in ("STAFF", "VIEWER")),
    *(Row("GET", _ELECTRONIC[0] + query, 400, {"field": field, "code": str}) for query, field in _WRONG_QUERIES),
    Row("GET", "/api/payments/electronic", 400, problem(400, "tenant.which", field="tenantId"), OWNER),
    Row("GET", "/api/payments/electronic?tenantId=west", 404, problem(404, "tenant.unknown")),
    Row("GET", "/api/payments/electronic", 401, problem(401, "login.needed"), NOBODY),
    Row("GET", "/api/payments/mpesa/stats", 200, _STATISTICS),
    Row("GET", "/api/payments/manual", 200, page([_MANUAL])),
    Row("GET", "/api/payments/manual?page=2&pageSize=1", 200, page([], total=1, page=2, pageSize=1)),
    Row("GET", "/api/payments/manual?tenantId=west", 200, page([{"id": "{west_manual}"}]), OWNER),
    Row("GET", "/api/payments/unmatched", 200, {"items": [_LOST], "nextCursor": None}),
    Row("GET", "/api/payments/unmatched?tenantId=west", 200, {"items": [{"id": "{west_unmatched}"}]}, OWNER),
)

# --- /api/payments/manual


def by_hand(**other: Any) -> dict[str, Any]:
    """What is sent to write a payment down."""
    return {"customerId": "{customer}", "amount": 20, **other}


_HAND = "/api/payments/manual"
MANUAL: tuple[Row, ...] = (
    Row("POST", _HAND, 400, problem(400, "request.invalid", field="customerId"), body={"amount": 20}),
    Row("POST", _HAND, 400, problem(400, "request.invalid", field="amount"), body={"customerId": "{customer}"}),
    Row("POST", _HAND, 400, problem(400, "money.nothing", field="amount"), body=by_hand(amount=0)),
    *(
        Row("POST", _HAND, 400, problem(400, "request.invalid", field="amount"), body=by_hand(amount=amount))
        for amount in (-5, "20", 20.005, True, 1e12)
    ),
    Row("POST", _HAND, 400, problem(400, "request.invalid", field="method"), body=by_hand(method="MPESA")),
    Row("POST", _HAND, 404, problem(404, "customer.unknown"), body=by_hand(customerId="none")),
    Row("POST", _HAND, 404, problem(404, "customer.unknown"), body=by_hand(customerId="{west_customer}")),
    Row("POST", _HAND, 403, problem(403, "permission.missing"), "VIEWER", by_hand()),
    Row("GET", _HAND, 200, page([_MANUAL])),
    Row("POST", _HAND, 201, {"id": ID, "amount": 20, "method": "CASH", "status": "COMPLETED"}, "STAFF", by_hand()),
    *(
        Row(
            "POST",
            _HAND,
            201,
            {"amount": 20.5, "method": method},
            body=by_hand(amount=20.5, method=method, description=f"By {method}"),
        )
        for method in ("BANK_TRANSFER", "CARD", "OTHER")
    ),
    Row("GET", _HAND + "?pageSize=1", 200, page([{"method": "OTHER", "description": "By OTHER"}], total=5, pageSize=1)),
    Row("GET", "/api/customers/{customer}", 200, {"walletBalance": 331.5, "totalSpent": 341.5}),
    # Written down once under a key, however often it is sent; the key stands for nothing else.
    Row("POST", _HAND, 201, {"amount": 20}, body=by_hand(idempotencyKey="till-4711"), keep="once"),
    Row("POST", _HAND, 201, {"id": "{once}", "amount": 20}, body=by_hand(idempotencyKey="till-4711")),
    Row("POST", _HAND, 409, {"code": str}, body=by_hand(amount=21, idempotencyKey="till-4711")),
    Row("GET", "/api/customers/{customer}", 200, {"walletBalance": 351.5}),
    Row("DELETE", _HAND, 403, problem(403, "permission.missing"), "STAFF"),
    Row("DELETE", _HAND, 200, {"success": True, "clearedCount": 6}),
    Row("GET", _HAND, 200, page(Each({"status": "REFUNDED"}), total=6)),
    Row("DELETE", _HAND, 200, {"success": True, "clearedCount": 0}),
    Row("GET", _HAND + "?tenantId=west", 200, page([{"status": "COMPLETED"}]), OWNER),
)

# --- Who may ask for what

_HEADS, _DESK = ("OWNER", "ADMIN"), ("OWNER", "ADMIN", "STAFF", "CUSTOMER_CARE")
_LOOKERS = (*_DESK, "VIEWER")
WHO_MAY: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("GET", "/api/payment-gateways", _HEADS),
    ("POST", "/api/payment-gateways", _HEADS),
    ("PUT", "/api/payment-gateways/{gateway}", _HEADS),
    ("DELETE", "/api/payment-gateways/{gateway}", _HEADS),
    ("POST", "/api/payment-gateways/{gateway}/default", _HEADS),
    ("POST", "/api/payment-gateways/{gateway}/test", _HEADS),
    ("GET", "/api/payments/electronic", _LOOKERS),
    ("GET", "/api/payments/mpesa", _LOOKERS),
    ("GET", "/api/payments/mpesa/stats", _LOOKERS),
    ("GET", "/api/payments/manual", _LOOKERS),
    ("POST", "/api/payments/manual", _DESK),
    ("DELETE", "/api/payments/manual", _HEADS),
    ("GET", "/api/payments/unmatched", _LOOKERS),
    ("POST", "/api/payments/unmatched/{unmatched}/assign", _DESK),
    ("POST", "/api/payments/{unmatched}/refund", _HEADS),
    ("GET", "/api/payments/export.csv", _HEADS),
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[BackOfficeStage]:
    """A box of two tenants after a day's business."""
    async with BackOfficeStage(tmp_path) as stage:
        await stage.do_business()
        yield stage


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[BackOfficeStage]:
    """A box where EAST has no gateway yet."""
    async with BackOfficeStage(tmp_path, files={"gateways.toml": WEST_GATEWAY}) as stage:
        yield stage


async def test_gateways(bare: BackOfficeStage) -> None:
    """All six calls: the first is the default, the default moves, keys are tried, files are read-only."""
    await assert_as_stated(bare, GATEWAYS)


async def test_lists_and_statistics(office: BackOfficeStage) -> None:
    """Every list of payments with its filters, search and pages, by both names, and what today came to."""
    await assert_as_stated(office, LOOKING)


async def test_money_written_down(office: BackOfficeStage) -> None:
    """Manual payments: refused with the field at fault, recorded by each method, listed, cleared and kept."""
    await assert_as_stated(office, MANUAL)


async def test_who_may_ask(office: BackOfficeStage) -> None:
    """Each call by each role; who may is told that there is no such tenant, so that nothing changes."""
    rows = [
        Row(method, f"{path}?tenantId=none", 404, problem(404, "tenant.unknown"), who)
        if who in may
        else Row(method, f"{path}?tenantId=none", 403, problem(403, "permission.missing", permission=ANYTHING), who)
        for method, path, may in WHO_MAY
        for who in (OWNER, *EASTERNERS)
    ]
    nobody = [Row(method, path, 401, problem(401, "login.needed"), NOBODY) for method, path, _ in WHO_MAY]
    await assert_as_stated(office, rows + nobody)


async def test_permissions_are_added_and_removed_a_user(office: BackOfficeStage) -> None:
    """They count from the next request on; a removal wins over the role."""
    viewer, admin = "/api/users/{user_VIEWER}", "/api/users/{user_ADMIN}"
    added = {"addedPermissions": ["payments:export", "settings:payment_gateway"]}
    removed = {"removedPermissions": ["payments:view_manual", "payments:view_electronic"]}
    told = {"role": "VIEWER", **added, "permissions": list}
    await assert_as_stated(
        office,
        [
            Row("GET", "/api/payment-gateways", 403, problem(403, "permission.missing"), "VIEWER"),
            Row("PUT", viewer, 200, told, OWNER, added),
            Row("GET", "/api/payment-gateways", 200, Each({"consumerSecret": MASK}), "VIEWER"),
            Row("PUT", admin, 200, {"role": "ADMIN"}, OWNER, removed),
            Row("GET", "/api/payments/manual", 403, problem(403, "permission.missing")),
            Row("GET", "/api/payments/mpesa/stats", 403, problem(403, "permission.missing")),
            Row("GET", "/api/payments/unmatched", 403, problem(403, "permission.missing")),
        ],
    )


# --- /api/webhooks/mpesa


class Told(NamedTuple):
    """Something told to the webhook, and what it leads to.

    Args:
        case: Which rule.
        body: What is told: JSON, or octets as they are.
        wallet: How many shillings more the customer has.
        payments: How many payments more there are.
        unmatched: How many of them nobody knows the purpose of.
        headers: With which headers.
        query: And which query.
    """

    case: str
    body: dict[str, Any] | bytes
    wallet: int = 0
    payments: int = 0
    unmatched: int = 0
    headers: dict[str, str] = {"X-API-Key": WEBHOOK_KEY}  # noqa: RUF012 - never changed
    query: str = "tenantId=east"


_RIGHT = stk_body("SKL42HOOK0", shillings=999, phone=PHONE)
WEBHOOK: tuple[Told, ...] = (
    Told("no key", _RIGHT, headers={}),
    Told("a wrong key", _RIGHT, headers={"X-API-Key": "wrong"}),
    Told("half a key", _RIGHT, headers={"X-API-Key": WEBHOOK_KEY[:-1]}),
    Told("an empty key", _RIGHT, headers={"X-API-Key": ""}),
    Told("a wrong key in the address", _RIGHT, headers={}, query="tenantId=east&key=wrong"),
    Told("no JSON", b"\xff{"),
    Told("nothing", b""),
    Told("a failure", stk_body("SKL42HOOK0", phone=PHONE, code=1032)),
    Told("no receipt", stk_body(None, phone=PHONE)),
    Told("no amount", stk_body("SKL42HOOK0", None, phone=PHONE)),
    Told("a customer by number", stk_body("SKL42HOOK1", 20, PHONE), wallet=20, payments=1),
    Told("the same receipt", stk_body("SKL42HOOK1", 20, PHONE)),
    Told("the same with more money", stk_body("SKL42HOOK1", 2000, PHONE)),
    Told("the same as a confirmation", c2b_body("SKL42HOOK1", "20", PHONE)),
    Told("the last nine digits", c2b_body("SKL42HOOK2", "30.00", "0712345678"), wallet=30, payments=1),
    Told("a user name", c2b_body("SKL42HOOK3", "40", STRANGER, account="{username}"), wallet=40, payments=1),
    Told("an earlier receipt", c2b_body("SKL42HOOK4", "50", STRANGER, account="{receipt}"), wallet=50, payments=1),
    Told("the key in the address", stk_body("SKL42HOOK5", 60, PHONE), 60, 1, 0, {}, f"tenantId=east&key={WEBHOOK_KEY}"),
    Told("an unknown customer", stk_body("SKL42HOOK6", 70, "254755000222"), payments=1, unmatched=1),
    Told("an unknown customer again", stk_body("SKL42HOOK6", 70, "254755000222")),
    Told("a customer of the other tenant", c2b_body("SKL42HOOK7", "80", "254733000111"), payments=1, unmatched=1),
    Told("whose it is is not said", stk_body("SKL42HOOK8", 90, PHONE), payments=1, unmatched=1, query=""),
)


async def _standing(office: BackOfficeStage) -> tuple[int, int, int]:
    """The customer's wallet in shillings, all payments, and how many of them nobody knows the purpose of."""
    customer = await office.have("GET", "/api/customers/{customer}", who="ADMIN")
    unmatched = await office.count("payments", "disposition = 'unmatched'")
    return int(customer["walletBalance"]), await office.count("payments"), unmatched


@pytest.mark.parametrize("path", PATHS)
async def test_the_webhook(office: BackOfficeStage, path: str) -> None:
    """Every rule, at both its addresses: always answered 200 and accepted, whatever it leads to."""
    office.ids["username"] = (await office.have("GET", "/api/grants/{grant}", who="ADMIN"))["username"]
    wrong = []
    before = await _standing(office)
    for told in WEBHOOK:
        body = told.body if isinstance(told.body, bytes) else json.dumps(filled(told.body, office.ids))
        async with office.office.post(f"{path}?{told.query}", data=body, headers=told.headers) as answer:
            if (answer.status, await answer.json()) != (200, ACCEPTED):
                wrong.append(f"{told.case}: {answer.status} {await answer.text()}")
        after = await _standing(office)
        led_to = tuple(now - then for now, then in zip(after, before, strict=True))
        if led_to != (told.wallet, told.payments, told.unmatched):
            wrong.append(f"{told.case}: wallet, payments and unmatched went up by {led_to}")
        before = after
    assert not wrong, "\n".join(wrong)
