"""A whole box of two businesses with something of everything, and those who ask at its back office."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from easyisp_edge.domain.permissions import Role
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.services.portal.problems import Problem
from easyisp_edge.services.staff.users import Author, NewUser
from easyisp_edge.web.admin.areas import AREAS
from easyisp_edge.web.admin.auth import AuthArea
from easyisp_edge.web.admin.openapi import document
from easyisp_edge.web.admin.operations import operations_of
from easyisp_edge.web.webhooks import KEY_HEADER, PATHS
from tests.unit.web.webhook_bodies import c2b_body
from tests.whole.stage import EDGE, HOST, MAC, OTHER_MAC
from tests.whole.test_tenants import EAST_DEVICE, WEST_DEVICE, TwoTenants

if TYPE_CHECKING:
    import sqlite3

    from easyisp_edge.domain.users import StaffUser
    from easyisp_edge.web.admin.operations import Operation

WEBHOOK_KEY = "canary-webhook-key-7Qm2xV9t"
PASSWORD = "canary password of nobody else 4Rw8"
GATEWAY = {
    "subType": "PAYBILL",
    "shortcode": "174379",
    "consumerKey": "canary-consumer-key-1Ht5",
    "consumerSecret": "canary-consumer-secret-9Kd3",
    "passkey": "canary-passkey-5Jw0",
    "env": "sandbox",
}
KEYED = EDGE.replace("[radius]", f'webhook_key = "{WEBHOOK_KEY}"\n[radius]') + '[mpesa]\nbase_url = "{daraja}"\n'

OPERATIONS: dict[str, Operation] = {told.operation_id: told for area in AREAS for told in operations_of(area)}
DOCUMENT = document(AREAS)


@dataclass(frozen=True)
class Answered:
    """What a request led to: its status, headers and body as they came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def content(self) -> Any:
        """The body, read where it is JSON."""
        return json.loads(self.body) if "json" in self.headers.get("Content-Type", "") else self.text

    @property
    def code(self) -> str:
        """The problem's code; empty where it is none."""
        content = self.content
        return str(content.get("code", "")) if isinstance(content, dict) else ""


@dataclass
class Business:
    """What there is of one business.

    Args:
        tenant_id: Which.
        device: The address its customers' devices have.
        mac: Of the customer's device.
        phone: Of the customer.
        letter: What its receipts differ in.
        ids: What its things are called in requests, by what they are.
    """

    tenant_id: str
    device: str
    mac: str
    phone: str
    letter: str
    ids: dict[str, str] = field(default_factory=dict)

    def receipt(self, number: int) -> str:
        """A receipt of its customers."""
        return f"SF{self.letter}41HOO{number:02}"


# What changes by itself: what routers and M-Pesa are asked about in the background, and what is used.
_OF_TIME = {"clock", "sessions", "gateway_states", "gateway_sweeps", "posters"}
_COLUMNS_OF_TIME = {
    "grants": {"seconds_used", "octets_used"},
    "purchases": {"query_at", "queries", "state", "reason", "result_description", "changed_at"},
    "attempts": {"status", "purchases"},
    "api_tokens": {"used_at"},
}
# Whose a row is where it does not say so itself; what the box and its hub agree on is no tenant's.
_OWNED = dict.fromkeys(
    (
        "central_configs",
        "events_forked",
        "forks",
        "recording",
        "rows_forked",
        "sync_alarms",
        "sync_asks",
        "sync_lanes",
        "sync_parked",
        "sync_site",
    ),
    "0",
) | {
    "entries": "payment_id IN (SELECT payment_id FROM payments WHERE tenant_id = :t)"
    " OR grant_id IN (SELECT grant_id FROM grants WHERE tenant_id = :t)",
    "staff_logins": "user_id IN (SELECT user_id FROM staff_users WHERE tenant_id = :t)",
    "api_tokens": "user_id IN (SELECT user_id FROM staff_users WHERE tenant_id = :t)",
    "events": "stream = 'money' AND (sequence IN (SELECT sequence FROM acts WHERE tenant_id = :t)"
    " OR json_extract(CAST(body AS TEXT), '$.data.tenant') = :t)",
    "evidence": "mpesa_receipt_number IN (SELECT mpesa_receipt_number FROM payments WHERE tenant_id = :t)",
}


def _rows(connection: sqlite3.Connection, table: str, whose: str | None) -> list[str]:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    shown = ", ".join(f"quote({name})" for name in columns if name not in _COLUMNS_OF_TIME.get(table, ()))
    where = "1" if whose is None else _OWNED.get(table, "tenant_id = :t")
    if table == "events":
        where = f"({where}) AND stream = 'money'"
    query = f"SELECT {shown} FROM {table} WHERE {where}"  # noqa: S608 - a test's own words
    return sorted("|".join(row) for row in connection.execute(query, {"t": whose}))


class BackOfficeSite(TwoTenants):
    """Two businesses on one box, and something of everything of both."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        url = f"http://{HOST}:{self.ports['admin_port']}"
        self.office = await self._browsers.enter_async_context(aiohttp.ClientSession(base_url=url))
        self.answers: list[Answered] = []
        self.owner = await self.user("owner@box.example", Role.SUPER_ADMIN, None)
        self.ours = Business("east", EAST_DEVICE, MAC, "254712345678", "E")
        self.theirs = Business("west", WEST_DEVICE, OTHER_MAC, "254722000111", "W")
        return self

    def _write_config(self) -> None:
        self.files["edge.toml"] = KEYED
        super()._write_config()

    @property
    def auth(self) -> AuthArea:
        """Who comes in."""
        return next(area for area in self.daemon.parts.areas if isinstance(area, AuthArea))

    # Users

    async def user(self, email: str, role: Role, tenant_id: str | None, **more: Any) -> StaffUser:
        """Make a user as on the box itself."""
        new = NewUser(email, email.partition("@")[0], role, tenant_id, more.pop("password", PASSWORD), **more)
        return await self.auth.users.add(new, Author("root"))

    async def token(self, user: StaffUser) -> str:
        """A new login of a user's: its token."""
        logins = self.auth.sign_in.logins
        return (await logins.store.write(lambda tx: logins.begin(tx, user, "127.0.0.9"))).token

    # Asking

    async def ask(
        self, method: str, path: str, token: str | None = None, *, headers: dict[str, str] | None = None, **more: Any
    ) -> Answered:
        """What a request leads to."""
        carried = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with self.office.request(method, path, headers=carried | (headers or {}), **more) as answer:
            answered = Answered(answer.status, dict(answer.headers), await answer.read())
            self.answers.append(answered)
            return answered

    async def done(self, method: str, path: str, token: str, **fields: Any) -> Any:
        """What a request leads to that has to be done; `json` fields by name."""
        answered = await self.ask(method, path, token, json=fields or None)
        assert answered.status < 300, answered.text
        return answered.content

    # Business

    async def tell(self, business: Business, receipt: str, shillings: int, phone: str) -> None:
        """Tell of money that a business was paid."""
        body = c2b_body(receipt, f"{shillings}.00", phone, short_code="")
        path = f"{PATHS[0]}?tenantId={business.tenant_id}"
        assert (await self.ask("POST", path, headers={KEY_HEADER: WEBHOOK_KEY}, json=body)).status == 200

    async def furnish(self, business: Business) -> str:
        """Have something of everything made of a business, as business makes it; gives its admin's token."""
        tenant_id, ids = business.tenant_id, business.ids
        admin = await self.user(f"admin@{tenant_id}.example", Role.ADMIN, tenant_id)
        clerk = await self.user(f"clerk@{tenant_id}.example", Role.STAFF, tenant_id)
        token = await self.token(admin)
        stranger = business.phone[:-3] + "999"
        for number, phone in enumerate((business.phone, stranger, stranger), 1):
            await self.tell(business, business.receipt(number), 100, phone)
        unmatched = (await self.done("GET", "/api/payments/unmatched", token))["items"]
        first, second, third = sorted(unmatched, key=lambda each: str(each["transactionId"]))
        order = {"phone": business.phone, "packageId": "1h", "mac": business.mac}
        bought = await self.done("POST", f"/api/payments/unmatched/{first['id']}/assign", token, **order)
        await self.done("POST", f"/api/payments/unmatched/{third['id']}/assign", token, phone=stranger)
        customers = (await self.done("GET", f"/api/customers?phone={business.phone}", token))["items"]
        taken = {"customerId": customers[0]["id"], "amount": 25, "description": f"cash in {tenant_id}"}
        manual = await self.done("POST", "/api/payments/manual", token, **taken, idempotencyKey=f"{tenant_id}-first")
        batch = await self.done("POST", "/api/vouchers", token, packageId="1h", count=2, note=f"of {tenant_id}")
        gateway = await self.done(
            "POST", "/api/payment-gateways", token, **GATEWAY, name=f"Made in {tenant_id}", forHotspot=False
        )
        program = await self.done(
            "POST", "/api/auth/tokens", token, name=f"books of {tenant_id}", permissions=["payments:export"]
        )
        ids |= {
            "tenant": tenant_id,
            "customer": customers[0]["id"],
            "grant": bought["grant"]["id"],
            "payment": third["id"],
            "unmatched": second["id"],
            "manual": manual["id"],
            "batch": batch["id"],
            "gateway": gateway["id"],
            "package": "only-west" if tenant_id == "west" else "1h",
            "router": tenant_id,
            "user": clerk.user_id,
            "token": program["id"],
            "receipt": business.receipt(1),
            "key": f"{tenant_id}-first",
            "phone": business.phone,
            "mac": business.mac,
            "admin": admin.user_id,
            "declared": "till" if tenant_id == "west" else "paybill",
        }
        ids["code"] = await self._pay_code(business)
        ids["problem"] = await self._problem(business, token)
        return token

    async def until_on(self, customers: int) -> None:
        """Wait until so many customers are seen to be on."""

        async def on() -> bool:
            return await self.count("sessions") >= customers

        await self.until(on, seconds=10, what="the customers' sessions")

    async def rows(self, whose: str | None = None) -> dict[str, list[str]]:
        """What stands in the books, by table, but for what time alone changes; of one business, or all there is."""
        async with self.books() as (_, connection):
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return {table: _rows(connection, table, whose) for table in sorted(tables) if table not in _OF_TIME}

    async def _problem(self, business: Business, token: str) -> str:
        """Have a customer report a problem; gives its id."""
        said = f"It does not load, says somebody in {business.tenant_id}."
        problem = Problem(business.tenant_id, MacAddress(business.mac), business.tenant_id, "waiting", said, "en")
        await self.daemon.parts.portal.problems.report(problem)
        return str((await self.done("GET", "/api/problems", token))["items"][0]["id"])

    async def _pay_code(self, business: Business) -> str:
        """Have somebody begin to pay; gives the pay code."""
        browser = await self.browser(business.device)
        order = {"phone": business.phone, "packageId": "1h", "macAddress": business.mac}
        async with browser.post("/api/portal/mpesa/initiate", json=order) as answer:
            assert answer.status == 200, await answer.text()

        async def prompted() -> bool:
            return await self.count("purchases", f"tenant_id = '{business.tenant_id}' AND state = 'prompted'") > 0

        await self.until(prompted, seconds=10, what="the prompt")
        async with self.books() as (_, connection):
            query = "SELECT account_reference FROM purchases WHERE tenant_id = ?"
            return str(connection.execute(query, (business.tenant_id,)).fetchone()[0])
