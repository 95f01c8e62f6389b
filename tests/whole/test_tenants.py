"""Whose money, whose packages, whose router: one tenant with several gateways, and two tenants on one box."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from easyisp_edge.lab.daraja import EQUITY, Behaviour, CallbackHandling, DarajaOptions, Merchant, MerchantKind
from easyisp_edge.lab.mikrotik import MikrotikLab
from easyisp_edge.system import SystemClock, SystemRandomness
from tests.whole.stage import ADDRESS, MAC, OTHER_ADDRESS, OTHER_MAC, OTHER_PHONE, PHONE, ROUTERS, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Self

    from easyisp_edge.lab.daraja import AcceptedPush

LOST = DarajaOptions.unhurried(Behaviour(callback=CallbackHandling(copies=0)))
PAYBILL = Merchant("600111", "east-passkey", "east-key", "east-secret", name="EAST")
TILL = Merchant("600222", "west-passkey", "west-key", "west-secret", "WEST", MerchantKind.BUYGOODS, till="512345")
BANK = Merchant("600333", "bank-passkey", "bank-key", "bank-secret", name="BANK USER", banks=(EQUITY,))

PAYBILL_GATEWAY = """
[[gateway]]
id = "paybill"
{tenant_a}
sub_type = "PAYBILL"
shortcode = "600111"
consumer_key = "east-key"
consumer_secret = "east-secret"
passkey = "east-passkey"
environment = "sandbox"
base_url = "{daraja}"
queries_per_minute = 600
"""
TILL_GATEWAY = """
[[gateway]]
id = "till"
{tenant_b}
sub_type = "BUYGOODS"
shortcode = "512345"
store_number = "600222"
consumer_key = "west-key"
consumer_secret = "west-secret"
passkey = "west-passkey"
environment = "sandbox"
base_url = "{daraja}"
queries_per_minute = 600
"""
BANK_GATEWAY = """
[[gateway]]
id = "bank"
sub_type = "BANK"
shortcode = "247247"
business_shortcode = "600333"
account_number = "012345678901"
consumer_key = "bank-key"
consumer_secret = "bank-secret"
passkey = "bank-passkey"
base_url = "{daraja}"
queries_per_minute = 600
"""
HOTSPOT_AND_HOME = """
[[package]]
id = "1h"
name = "1 hour"
price = 10
duration = "1h"
speed = "2M/5M"
[[package]]
id = "home"
name = "At home"
price = 1500
duration = "30d"
speed = "20M"
service = "pppoe"
"""
TWO_GATEWAYS = {
    "packages.toml": HOTSPOT_AND_HOME,
    "gateways.toml": PAYBILL_GATEWAY.replace("{tenant_a}", "for_hotspot = true")
    + TILL_GATEWAY.replace("{tenant_b}", "for_hotspot = false\nfor_pppoe = true"),
}

# Two tenants. In EAST's hotspot devices have the address 127.0.0.2, in WEST's 127.0.0.3.
EAST_ROUTER, WEST_ROUTER = "127.0.0.1", "127.0.0.4"
EAST_DEVICE, WEST_DEVICE, NOBODYS_DEVICE = "127.0.0.2", "127.0.0.3", "127.0.0.9"
TENANTS = """
[[tenant]]
id = "east"
name = "East Wi-Fi"
[[tenant]]
id = "west"
name = "West Wi-Fi"
"""
TWO_PACKAGES = """
[[package]]
id = "1h"
tenant = "east"
name = "East hour"
price = 10
duration = "1h"
speed = "2M/5M"
[[package]]
id = "1h"
tenant = "west"
name = "West hour"
price = 20
duration = "1h"
speed = "2M/5M"
[[package]]
id = "only-west"
tenant = "west"
name = "West day"
price = 70
duration = "1d"
speed = "2M/5M"
"""
TWO_ROUTERS = ROUTERS.replace('id = "main"', f'id = "east"\ntenant = "east"\nhotspot_networks = ["{EAST_DEVICE}/32"]')
WEST = (
    ROUTERS.replace('id = "main"', f'id = "west"\ntenant = "west"\nhotspot_networks = ["{WEST_DEVICE}/32"]')
    .replace(f'address = "{EAST_ROUTER}"', f'address = "{WEST_ROUTER}"')
    .replace("{api_port}", "{{west_api_port}}")
)


class TwoTenants(Stage):
    """A box with two tenants, a router each; the usual router is EAST's."""

    async def __aenter__(self) -> Self:
        self.merchants = (PAYBILL, TILL)
        self.west = MikrotikLab(clock=SystemClock(), randomness=SystemRandomness(), options=self._plain_options())
        await self.west.start(WEST_ROUTER)
        self.files = {
            "tenants.toml": TENANTS,
            "packages.toml": TWO_PACKAGES,
            "gateways.toml": PAYBILL_GATEWAY.replace("{tenant_a}", 'tenant = "east"')
            + TILL_GATEWAY.replace("{tenant_b}", 'tenant = "west"'),
            "routers.toml": TWO_ROUTERS + WEST.replace("{{west_api_port}}", str(self.west.api_port)),
        }
        # The same phones are seen by both routers: who has paid here is not online there.
        self.west.connect_device(MAC, ADDRESS)
        self.west.connect_device(OTHER_MAC, OTHER_ADDRESS)
        self._browsers = contextlib.AsyncExitStack()
        return await super().__aenter__()

    async def __aexit__(self, *error: object) -> None:
        await self._browsers.aclose()
        await super().__aexit__(*error)
        refused = list(self.west.refused)
        await self.west.close()
        assert not refused, refused

    def _plain_options(self) -> Any:
        self._ports = {"radius_auth_port": 0, "radius_acct_port": 0}
        return self._router_options()

    async def browser(self, address: str) -> aiohttp.ClientSession:
        """A browser on a device with that address."""
        connector = aiohttp.TCPConnector(local_addr=(address, 0))
        session = aiohttp.ClientSession(base_url=self.portal_url, connector=connector)
        return await self._browsers.enter_async_context(session)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[TwoTenants]:
    """A box with two tenants."""
    async with TwoTenants(tmp_path) as stage:
        yield stage


async def _get(browser: aiohttp.ClientSession, path: str) -> tuple[int, dict[str, Any]]:
    async with browser.get(f"/api/portal{path}") as answer:
        content: dict[str, Any] = await answer.json()
        return answer.status, content


async def _initiate(browser: aiohttp.ClientSession, **order: Any) -> tuple[int, dict[str, Any]]:
    wanted = {"phone": PHONE, "packageId": "1h", "macAddress": MAC, **order}
    async with browser.post("/api/portal/mpesa/initiate", json=wanted) as answer:
        content: dict[str, Any] = await answer.json()
        return answer.status, content


async def _push(stage: Stage, phone: str) -> AcceptedPush:
    return (await asyncio.wait_for(stage.daraja.wait_for_prompt(phone), 5)).push


def _ours(router: MikrotikLab) -> list[str]:
    return [user["name"] for user in router.users if user.get("comment", "").startswith("edge:")]


class TestOneTenant:
    async def test_the_package_chooses_the_gateway_by_its_service(self, tmp_path: Path) -> None:
        """Hotspot money goes to the PayBill, PPPoE money to the till, each asked for with its own keys."""
        async with Stage(tmp_path, merchants=(PAYBILL, TILL), files=TWO_GATEWAYS) as stage:
            await stage.buy()
            await stage.buy(packageId="home", phone=OTHER_PHONE, macAddress=OTHER_MAC)
            hotspot = await _push(stage, PHONE)
            home = await _push(stage, OTHER_PHONE)
            assert hotspot.merchant is PAYBILL
            assert hotspot.request.transaction_type == "CustomerPayBillOnline"
            assert (hotspot.request.credentials.short_code, hotspot.request.party_b) == ("600111", "600111")
            assert home.merchant is TILL
            assert home.request.transaction_type == "CustomerBuyGoodsOnline"
            assert (home.request.credentials.short_code, home.request.party_b) == ("600222", "512345")
            await stage.pay(OTHER_PHONE)
            await stage.until(
                lambda: stage.count("payments", "gateway_id = 'till' AND amount_cents = 150000"),
                seconds=3,
                what="the payment on the till",
            )
            assert [debit.party_b for debit in stage.daraja.debits] == ["512345"]

    async def test_a_bank_is_paid_by_its_paybill_and_account(self, tmp_path: Path) -> None:
        """PartyB is the bank's PayBill and the account number its reference; the tenant's own short code signs."""
        async with Stage(tmp_path, merchants=(BANK,), files={"gateways.toml": BANK_GATEWAY}) as stage:
            purchase_id = await stage.buy()
            push = await _push(stage, PHONE)
            assert push.request.credentials.short_code == "600333"
            assert (push.request.party_b, push.request.account_reference) == ("247247", "012345678901")
            assert push.request.transaction_type == "CustomerPayBillOnline"
            await stage.pay()
            await stage.until_status(purchase_id, "completed")
            assert stage.daraja.debits[0].party_b == "247247"

    @pytest.mark.parametrize(
        ("merchant", "gateway"), [(BANK, BANK_GATEWAY), (TILL, TILL_GATEWAY.replace("{tenant_b}", ""))]
    )
    async def test_a_query_signs_as_its_push_did(self, tmp_path: Path, merchant: Merchant, gateway: str) -> None:
        """With the callback lost, the query finds the payment of a bank or a till: it names the push's short code."""
        files = {"gateways.toml": gateway}
        async with Stage(tmp_path, merchants=(merchant,), files=files, daraja_options=LOST) as stage:
            purchase_id = await stage.buy()
            await stage.pay()
            stage.time.move(10)
            stage.daemon.parts.bells.ring_queries()
            await stage.until_status(purchase_id, "completed")
            assert stage.daraja.accepted[0].queries == 1


# By which address, and what the page says: whose page it is.
WHOSE = (
    (EAST_DEVICE, "", "east"),
    (WEST_DEVICE, "", "west"),
    (EAST_DEVICE, "?tenantId=east", "east"),
    (WEST_DEVICE, "?tenantId=west", "west"),
    (NOBODYS_DEVICE, f"?nasIp={EAST_ROUTER}", "east"),
    (NOBODYS_DEVICE, f"?nasIp={WEST_ROUTER}&tenantId=west", "west"),
    (NOBODYS_DEVICE, "?router=west", "west"),
    (EAST_DEVICE, f"?nasIp={WEST_ROUTER}", "east"),  # where the request came through is no claim
    (EAST_DEVICE, "?router=west", "east"),
)


class TestTwoTenants:
    async def test_the_router_tells_the_tenant(self, box: TwoTenants) -> None:
        """Found by the network a device is in, else by nasIp or the hand-over; never by what the page says alone."""
        for device, query, tenant in WHOSE:
            browser = await box.browser(device)
            status, content = await _get(browser, f"/tenant{query}")
            assert (status, content["id"]) == (200, tenant), (device, query)

    async def test_each_sells_its_own_packages(self, box: TwoTenants) -> None:
        """The same id may be both tenants': each device is shown, and charged for, its own tenant's package."""
        for device, other, named in ((EAST_DEVICE, "West", ["1h"]), (WEST_DEVICE, "East", ["1h", "only-west"])):
            browser = await box.browser(device)
            _, content = await _get(browser, "/packages")
            assert [package["id"] for package in content["packages"]] == named
            async with browser.get("/") as answer:
                page = await answer.text()
            assert other not in page
        east = await box.browser(EAST_DEVICE)
        status, content = await _initiate(east, packageId="only-west")
        assert (status, content["code"]) == (404, "purchase.package_closed")

    async def test_each_is_paid_on_its_own_gateway_and_grants_on_its_own_router(self, box: TwoTenants) -> None:
        """Keys, price, payment and grant are the tenant's; the device is on at its tenant's router only."""
        for device, mac, phone, merchant, here, there, shillings in (
            (EAST_DEVICE, MAC, PHONE, PAYBILL, box.router, box.west, 10),
            (WEST_DEVICE, OTHER_MAC, OTHER_PHONE, TILL, box.west, box.router, 20),
        ):
            browser = await box.browser(device)
            status, content = await _initiate(browser, macAddress=mac, phone=phone)
            assert status == 200
            push = await _push(box, phone)
            assert push.merchant is merchant
            assert push.request.shillings == shillings
            await box.pay(phone)
            await box.until_status(content["checkoutRequestId"], "completed")
            await box.until(lambda here=here, mac=mac: here.is_online(mac), seconds=5, what=f"{mac} online")  # type: ignore[misc]
            assert not there.is_online(mac)
        assert len(_ours(box.router)) == len(_ours(box.west)) == 1
        for tenant, gateway, cents in (("east", "paybill", 1000), ("west", "till", 2000)):
            where = f"tenant_id = '{tenant}' AND gateway_id = '{gateway}' AND amount_cents = {cents}"
            assert await box.count("payments", where) == 1
            assert await box.count("grants", f"tenant_id = '{tenant}'") == 1

    async def test_a_device_known_to_both_stands_apart_with_each(self, box: TwoTenants) -> None:
        """What a device bought of one tenant is nothing to the other: there it chooses a package like anybody."""
        east, west = await box.browser(EAST_DEVICE), await box.browser(WEST_DEVICE)
        _, content = await _initiate(east)
        await box.pay()
        await box.until_status(content["checkoutRequestId"], "completed")
        await box.until_online()
        assert (await _get(east, f"/standing?mac={MAC}"))[1]["step"] == "online"
        assert (await _get(west, f"/standing?mac={MAC}"))[1]["step"] == "choose"
        assert not box.west.is_online(MAC)

    async def test_a_callback_of_one_settles_nothing_of_the_other(self, box: TwoTenants) -> None:
        """A payment told on the other tenant's secret address grants nothing to either, and is not booked."""
        east, west = await box.browser(EAST_DEVICE), await box.browser(WEST_DEVICE)
        await _initiate(east)
        await _initiate(west, macAddress=OTHER_MAC, phone=OTHER_PHONE)
        mine = await _push(box, PHONE)
        other = await _push(box, OTHER_PHONE)
        told = {"CheckoutRequestID": mine.checkout_request_id, "ResultCode": 0, "ResultDesc": "ok"}
        told["CallbackMetadata"] = {"Item": [{"Name": "Amount", "Value": 10}]}
        async with east.post(other.request.callback_url, json={"Body": {"stkCallback": told}}) as answer:
            assert answer.status == 200
        assert await box.count("payments") == await box.count("grants") == 0

    async def test_a_page_that_names_the_other_tenant_is_refused(self, box: TwoTenants) -> None:
        """400, and nothing of the other tenant is told."""
        browser = await box.browser(EAST_DEVICE)
        for path in ("/packages", "/tenant", "/mpesa/check", "/mpesa/validate", "/standing"):
            status, content = await _get(browser, f"{path}?tenantId=west")
            assert (status, content["code"]) == (400, "tenant.other"), path
            assert "West" not in str(content)

    async def test_an_order_that_names_the_other_tenant_is_refused(self, box: TwoTenants) -> None:
        """400 by JSON and by form, before anything is written or anybody prompted."""
        browser = await box.browser(EAST_DEVICE)
        assert (await _initiate(browser, tenantId="west"))[0] == 400
        assert (await _initiate(browser, tenantId="west", nasIp=WEST_ROUTER))[0] == 400
        form = {"package": "1h", "phone": PHONE, "tenantId": "west", "router": "west", "mac": MAC}
        async with browser.post("/buy", data=form) as answer:
            assert answer.status == 400
        assert await box.count("purchases") == 0
        assert not box.daraja.pushes

    async def test_without_a_way_to_tell_it_is_404(self, box: TwoTenants) -> None:
        """From no known network and with no router named: 404 that says what to send, and no tenant is guessed."""
        browser = await box.browser(NOBODYS_DEVICE)
        for query in ("", "?tenantId=east", "?nasIp=10.1.1.1", "?router=nowhere"):
            for path in ("/packages", "/tenant", "/mpesa/check", "/mpesa/validate", "/standing"):
                status, content = await _get(browser, path + query)
                assert (status, content["code"]) == (404, "tenant.unknown"), path + query
                assert content["field"] == "nasIp"
            async with browser.get("/" + query) as answer:
                page = await answer.text()
            assert answer.status == 404
            assert "hour" not in page
        status, content = await _initiate(browser, tenantId="east")
        assert (status, content["code"]) == (404, "tenant.unknown")
        assert await box.count("purchases") == 0
