"""A box of two tenants with a back office: people of each role, and something of each kind, made as business makes it.

The hotspot behind the lab's MikroTik is EAST's; WEST has a router that is not there, and sells all the same.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import aiohttp

from easyisp_edge.domain.permissions import Role
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.lab.daraja import SANDBOX_MERCHANT, Merchant, MerchantKind, Payer
from tests.unit.web.webhook_bodies import c2b_body, stk_body
from tests.whole.stage import EDGE, GATEWAYS, HOST, MAC, OTHER_MAC, OTHER_PHONE, PHONE, ROUTERS, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multidict import CIMultiDictProxy

EAST, WEST = "east", "west"
EAST_ROUTER, WEST_ROUTER = "127.0.0.1", "127.0.0.4"
WEST_MAC, WEST_PHONE = "AA:BB:CC:00:00:03", "0733000111"
WAITING_MAC, WAITING_PHONE = "AA:BB:CC:00:00:04", "0744000111"
STRANGER = "254755000111"
PASSWORD = "correct horse battery"
WEBHOOK_KEY = "only-good-on-loopback-too"
OWNER, WESTERNER, NOBODY = "OWNER", "WEST_ADMIN", "NOBODY"
# EAST's people by role; who looks after the whole box, and WEST's, beside them.
EASTERNERS = tuple(role.value for role in Role if role is not Role.SUPER_ADMIN)

TILL = Merchant("600222", "west-passkey", "west-key", "west-secret", "WEST", MerchantKind.BUYGOODS, till="512345")
OFFICE_EDGE = (
    EDGE.replace("[admin]\n", '[admin]\nallowed_origins = ["https://admin.example.com"]\n').replace(
        "[radius]", f'webhook_key = "{WEBHOOK_KEY}"\n[radius]'
    )
    + '[mpesa]\nbase_url = "{daraja}"\n'
)
TENANTS = """[[tenant]]
id = "east"
name = "East Wi-Fi"
[[tenant]]
id = "west"
name = "West Wi-Fi"
"""
PACKAGES = """[[package]]
id = "1h"
tenant = "{0}"
name = "{0} hour"
price = 10
duration = "1h"
speed = "2M/5M"
[[package]]
id = "1d"
tenant = "{0}"
name = "{0} day"
price = 50
duration = "24h"
speed = "3M/8M"
data = "2GB"
devices = 2
"""
WEST_GATEWAY = """[[gateway]]
id = "west-till"
tenant = "west"
sub_type = "BUYGOODS"
shortcode = "512345"
store_number = "600222"
consumer_key = "west-key"
consumer_secret = "west-secret"
passkey = "west-passkey"
environment = "sandbox"
base_url = "{daraja}"
"""
WEST_ROUTER_FILE = """[[router]]
id = "west"
tenant = "west"
address = "127.0.0.4"
mode = "radius"
login_url = "http://127.0.0.1:9/login"
[router.radius]
secret = "only-good-on-loopback"
"""
FILES = {
    "edge.toml": OFFICE_EDGE,
    "tenants.toml": TENANTS,
    "packages.toml": PACKAGES.format(EAST) + PACKAGES.format(WEST),
    "gateways.toml": GATEWAYS.replace("sub_type", 'tenant = "east"\nsub_type') + WEST_GATEWAY,
    "routers.toml": ROUTERS.replace('id = "main"', 'id = "main"\ntenant = "east"') + WEST_ROUTER_FILE,
}
_AT_HAND = timedelta(minutes=2)
# A gateway that M-Pesa knows, as an admin enters it.
SANDBOX = {
    "name": "Sandbox",
    "shortcode": SANDBOX_MERCHANT.short_code,
    "consumerKey": SANDBOX_MERCHANT.consumer_key,
    "consumerSecret": SANDBOX_MERCHANT.consumer_secret,
    "passkey": SANDBOX_MERCHANT.passkey,
    "env": "sandbox",
}


class Answered(NamedTuple):
    """An answer of the box's.

    Args:
        status: The HTTP status.
        headers: Its headers.
        text: Its body.
        content: The same, where it is JSON.
    """

    status: int
    headers: CIMultiDictProxy[str]
    text: str
    content: Any


class BackOfficeStage(Stage):
    """A box of two tenants, whose people are logged in.

    `tokens` holds what each carries, by role or as OWNER and WEST_ADMIN. `ids` holds the ids of what there is, under
    names such as `payment` and, of WEST's, `west_payment`; they stand in paths as `{payment}`.
    """

    usual_files: ClassVar[Mapping[str, str]] = FILES

    async def __aenter__(self) -> Self:
        self.merchants = (SANDBOX_MERCHANT, TILL)
        self.files = {**self.usual_files, **self.files}
        self.tokens: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self._stay_within_a_day()
        await super().__aenter__()
        try:
            self.office = aiohttp.ClientSession(base_url=f"http://{HOST}:{self.ports['admin_port']}")
            self._stack.push_async_callback(self.office.close)
            await self.let_people_in()
        except BaseException:
            await self.__aexit__(*sys.exc_info())
            raise
        return self

    def _stay_within_a_day(self) -> None:
        """Wait out a midnight in Nairobi that is at hand: sums of a day are looked at."""
        now = self.time.wall().astimezone(NAIROBI)
        if (now + _AT_HAND).date() != now.date():
            self.time.move(_AT_HAND.total_seconds())

    # Asking at the door

    async def ask(
        self,
        method: str,
        path: str,
        who: str = OWNER,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answered:
        """Ask at the admin door; names in braces are those of `ids`."""
        token = self.tokens.get(who)
        sent = {**({} if token is None else {"Authorization": f"Bearer {token}"}), **(headers or {})}
        async with self.office.request(method, path.format_map(self.ids), json=body, headers=sent) as answer:
            text = await answer.text()
            content = await answer.json(content_type=None) if "json" in answer.content_type else None
            return Answered(answer.status, answer.headers, text, content)

    async def have(self, method: str, path: str, expect: int = 200, who: str = OWNER, **fields: Any) -> Any:
        """Ask for what has to be answered with that status; gives the answer's JSON."""
        answered = await self.ask(method, path, who, fields or None)
        assert answered.status == expect, (method, path, who, answered.text)
        return answered.content

    # People

    async def let_people_in(self) -> None:
        """Make the people, and log them in."""
        await self.add_owner()
        await self.log_in(OWNER)
        people = [(role, EAST, role) for role in EASTERNERS] + [(WESTERNER, WEST, "ADMIN")]
        for who, tenant_id, role in people:
            new = {"name": who.lower(), "email": _email(who), "password": PASSWORD, "role": role}
            made = await self.have("POST", f"/api/users?tenantId={tenant_id}", 201, **new)
            self.ids[f"user_{who}"] = made["id"]
            await self.log_in(who)

    async def add_owner(self) -> None:
        """Make who looks after the whole box, by the box's own command."""
        await self.add_first(_email(OWNER))

    async def add_first(self, email: str) -> None:
        """Make the first user."""
        adding = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "easyisp_edge", "admin", "add", email, "--password-file", "-"),
            *("--config", str(self.folder)),
            env={**os.environ, "PYTHONWARNINGS": "error"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(adding.communicate(f"{PASSWORD}\n".encode()), 30)
        assert adding.returncode == 0, said.decode()

    async def log_in(self, who: str) -> None:
        """Log somebody in, anew where they were."""
        login = await self.have("POST", "/api/auth/login", who=NOBODY, email=_email(who), password=PASSWORD)
        self.tokens[who] = login["token"]
        self.ids.setdefault(f"user_{who}", login["user"]["id"])

    # Business

    async def do_business(self) -> None:
        """Have something of each kind happen at both tenants."""
        await self.sell(EAST)
        await self.sell(WEST)
        await self._fail_and_wait()
        await self.tell(stk_body("SKL41LOST1", shillings=30, phone=STRANGER), EAST)
        await self.tell(c2b_body("SKL41LOST2", shillings="25", phone=STRANGER), EAST)
        await self.tell(stk_body("SKL41LOST3", shillings=35, phone=STRANGER), WEST)
        for tenant_id, prefix in ((EAST, ""), (WEST, "west_")):
            await self._note_what_there_is(tenant_id, prefix)
            await self._make_more(tenant_id, prefix)
        path = "/api/payments/SKL41LOST2/refund?tenantId=east"
        self.ids["refunded"] = (await self.have("POST", path, note="sent back by hand"))["id"]
        await self._redeem()

    async def sell(self, tenant_id: str) -> None:
        """Sell an hour by prompt."""
        east = tenant_id == EAST
        phone, mac, router = (PHONE, MAC, EAST_ROUTER) if east else (WEST_PHONE, WEST_MAC, WEST_ROUTER)
        purchase_id = await self.buy(phone=phone, macAddress=mac, nasIp=router, tenantId=tenant_id)
        await self.pay(phone)
        await self.until_status_at(tenant_id, purchase_id, "completed")
        if east:
            await self.until_online()

    async def until_status_at(self, tenant_id: str, purchase_id: str, status: str) -> None:
        """Wait until a tenant's purchase has that status."""

        async def has() -> bool:
            query = {"checkoutRequestId": purchase_id, "tenantId": tenant_id}
            async with self.http.get("/api/portal/mpesa/status", params=query) as answer:
                return bool((await answer.json()).get("status") == status)

        await self.until(has, seconds=10, what=f"status {status}")

    async def cancel(self, phone: str, **order: Any) -> str:
        """Start a purchase, and press Cancel on the phone."""
        purchase_id = await self.buy(phone=phone, nasIp=EAST_ROUTER, tenantId=EAST, **order)
        prompt = await asyncio.wait_for(self.daraja.wait_for_prompt(phone), 10)
        await self.daraja.act(prompt.push.checkout_request_id, Payer.CANCEL)
        await self.until_status_at(EAST, purchase_id, "failed")
        return purchase_id

    async def tell(self, body: dict[str, Any], tenant_id: str = EAST, *, key: str = WEBHOOK_KEY) -> Answered:
        """Tell the webhook of money."""
        path = f"/api/webhooks/mpesa?tenantId={tenant_id}"
        return await self.ask("POST", path, NOBODY, body, {"X-API-Key": key})

    async def _fail_and_wait(self) -> None:
        await self.cancel(OTHER_PHONE, macAddress=OTHER_MAC)
        await self.buy(phone=WAITING_PHONE, macAddress=WAITING_MAC, nasIp=EAST_ROUTER, tenantId=EAST)

    async def _note_what_there_is(self, tenant_id: str, prefix: str) -> None:
        query = f"?tenantId={tenant_id}"
        transactions = (await self.have("GET", f"/api/payments/electronic{query}"))["transactions"]
        (paid,) = [each for each in transactions if each["disposition"] == "grant"]
        (lost,) = [each for each in transactions if each["transactionId"] in {"SKL41LOST1", "SKL41LOST3"}]
        (grant,) = (await self.have("GET", f"/api/grants{query}"))["items"]
        self.ids |= {
            f"{prefix}payment": paid["id"],
            f"{prefix}receipt": paid["transactionId"],
            f"{prefix}account": paid["account"],
            f"{prefix}customer": paid["customer"]["id"],
            f"{prefix}unmatched": lost["id"],
            f"{prefix}grant": grant["id"],
        }

    async def _make_more(self, tenant_id: str, prefix: str) -> None:
        """What people make: a payment in cash, vouchers, and a gateway."""
        query, customer = f"?tenantId={tenant_id}", self.ids[f"{prefix}customer"]
        paid: dict[str, Any] = {"customerId": customer, "amount": 250, "description": "At the counter"}
        manual = await self.have("POST", f"/api/payments/manual{query}", 201, **paid)
        batch = await self.have("POST", f"/api/vouchers{query}", 201, packageId="1d", count=3, note="Fair")
        till: dict[str, Any] = {"subType": "BUYGOODS", "shortcode": "777888", "storeNumber": "600777", "name": "Kiosk"}
        keys: dict[str, Any] = {"consumerKey": "k-of-kiosk", "consumerSecret": "s-of-kiosk", "passkey": "p-of-kiosk"}
        gateway = await self.have("POST", f"/api/payment-gateways{query}", 201, **till, **keys, env="sandbox")
        self.ids |= {f"{prefix}manual": manual["id"], f"{prefix}batch": batch["id"], f"{prefix}gateway": gateway["id"]}

    async def _redeem(self) -> None:
        batch = await self.have("GET", "/api/vouchers/{batch}?tenantId=east")
        self.ids["code"] = batch["items"][0]["code"]
        order = {"code": self.ids["code"], "macAddress": OTHER_MAC, "nasId": "main", "tenantId": EAST}
        async with self.http.post("/api/portal/voucher", json=order) as answer:
            assert answer.status == 200, await answer.text()
        await self.until_online(OTHER_MAC)


def _email(who: str) -> str:
    return f"{who.lower()}@example.com"
