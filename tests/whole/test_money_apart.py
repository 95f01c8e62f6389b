"""Whose money it is: two gateways of one tenant, and two tenants on one box. Neither's money grants for the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.lab.daraja import Merchant
from tests.whole.money_stage import LISTED_FOR_SURE_SECONDS, PULL, MoneyStage
from tests.whole.stage import EDGE, MAC, OTHER_MAC, OTHER_PHONE, PHONE, ROUTERS

if TYPE_CHECKING:
    from pathlib import Path

EAST = Merchant("600111", "east-passkey", "east-key", "east-secret", name="EAST")
WEST = Merchant("600222", "west-passkey", "west-key", "west-secret", name="WEST")
GATEWAY = """[[gateway]]
id = "{0}"
{1}
sub_type = "PAYBILL"
shortcode = "{2}"
consumer_key = "{0}-key"
consumer_secret = "{0}-secret"
passkey = "{0}-passkey"
environment = "sandbox"
base_url = "{{daraja}}"
queries_per_minute = 600
c2b = true
"""
HOTSPOT_AND_HOME = """[[package]]
id = "1h"
name = "1 hour"
price = 10
duration = "1h"
speed = "2M/5M"
[[package]]
id = "home"
name = "At home"
price = 10
duration = "30d"
speed = "20M"
service = "pppoe"
"""
TWO_SERVICES = {
    "packages.toml": HOTSPOT_AND_HOME,
    "gateways.toml": GATEWAY.format("east", "for_hotspot = true", "600111")
    + PULL
    + GATEWAY.format("west", "for_hotspot = false\nfor_pppoe = true", "600222")
    + PULL,
}

# The pages of each tenant are told apart by the router they name; WEST's is never looked at, only asks by RADIUS.
AT_EAST: dict[str, Any] = {"nasIp": "127.0.0.1"}
AT_WEST: dict[str, Any] = {"nasIp": "127.0.0.4"}
TENANTS = """[[tenant]]
id = "east"
name = "East Wi-Fi"
[[tenant]]
id = "west"
name = "West Wi-Fi"
"""
PACKAGE = '[[package]]\nid = "1h"\ntenant = "{0}"\nname = "1 hour"\nprice = 10\nduration = "1h"\nspeed = "2M/5M"\n'
WEST_ROUTER = """[[router]]
id = "west"
tenant = "west"
address = "127.0.0.4"
mode = "radius"
login_url = "http://127.0.0.1:9/login"
[router.radius]
secret = "only-good-on-loopback"
"""
TWO_TENANTS = {
    "edge.toml": EDGE,
    "tenants.toml": TENANTS,
    "packages.toml": PACKAGE.format("east") + PACKAGE.format("west"),
    "gateways.toml": GATEWAY.format("east", 'tenant = "east"', "600111")
    + PULL
    + GATEWAY.format("west", 'tenant = "west"', "600222")
    + PULL,
    "routers.toml": ROUTERS.replace('id = "main"', 'id = "main"\ntenant = "east"') + WEST_ROUTER,
}
# How the money is told of: by confirmation, or by the list alone.
TOLD_BY = pytest.mark.parametrize("confirmed", [True, False])


def site(folder: Path, files: dict[str, str]) -> MoneyStage:
    """A box with both PayBills."""
    return MoneyStage(folder, merchants=(EAST, WEST), files=files)


async def until_booked(stage: MoneyStage, payments: int, *, confirmed: bool) -> None:
    """Have what was paid told of in that way."""
    if not confirmed:
        stage.read_lists()
    await stage.until_count("payments", payments)


async def pay(stage: MoneyStage, short_code: str, account: str, phone: str = PHONE) -> str:
    """Pay ten shillings to a PayBill; gives the receipt."""
    return (await stage.daraja.pay_bill(phone, short_code, account, 10)).receipt


async def have_both_told(stage: MoneyStage, *, confirmed: bool) -> None:
    """Register both gateways' addresses where confirmations are wanted."""
    for gateway_id in ("east", "west") if confirmed else ():
        await stage.have_told(gateway_id)


class TestTwoTenants:
    @TOLD_BY
    async def test_a_pay_code_at_the_other_tenants_paybill(self, tmp_path: Path, confirmed: bool) -> None:  # noqa: FBT001 - a parameter
        """EAST's code typed at WEST's PayBill is WEST's unmatched money: nobody is granted anything for it."""
        async with site(tmp_path, TWO_TENANTS) as stage:
            await have_both_told(stage, confirmed=confirmed)
            offered = await stage.offer(**AT_EAST)
            await pay(stage, "600222", offered["menu"]["account"])
            await until_booked(stage, 1, confirmed=confirmed)
            assert await stage.count("payments", "tenant_id = 'west' AND disposition = 'unmatched'") == 1
            assert await stage.count("grants") == 0
            assert (await stage.status(offered["checkoutRequestId"]))["status"] == "pending"

    @TOLD_BY
    async def test_the_same_phone_and_amount_at_both(self, tmp_path: Path, confirmed: bool) -> None:  # noqa: FBT001 - a parameter
        """A payer who waits at EAST and pays WEST's PayBill without a code: by number and amount it is nobody's."""
        async with site(tmp_path, TWO_TENANTS) as stage:
            await have_both_told(stage, confirmed=confirmed)
            await stage.offer(**AT_EAST)
            await pay(stage, "600222", "wifi")
            await until_booked(stage, 1, confirmed=confirmed)
            assert await stage.count("payments", "tenant_id = 'west' AND disposition = 'unmatched'") == 1
            assert await stage.count("grants") == 0

    @TOLD_BY
    async def test_each_payment_grants_at_its_own(self, tmp_path: Path, confirmed: bool) -> None:  # noqa: FBT001 - a parameter
        """Both waiting, both paid from one phone, each with its own code: one grant each, each of its own money."""
        async with site(tmp_path, TWO_TENANTS) as stage:
            await have_both_told(stage, confirmed=confirmed)
            east = await stage.offer(**AT_EAST)
            west = await stage.offer(**AT_WEST, macAddress=OTHER_MAC)
            await stage.pay_from_menu(west)
            await stage.pay_from_menu(east)
            await until_booked(stage, 2, confirmed=confirmed)
            for tenant_id in ("east", "west"):
                assert await stage.count("grants", f"tenant_id = '{tenant_id}'") == 1
            await stage.until_online(MAC, seconds=3)
            assert not stage.router.is_online(OTHER_MAC)

    @TOLD_BY
    async def test_a_receipt_of_the_other_is_refused(self, tmp_path: Path, confirmed: bool) -> None:  # noqa: FBT001 - a parameter
        """Pasted at EAST, a receipt of WEST's money is unknown, and stays WEST's to be claimed there."""
        async with site(tmp_path, TWO_TENANTS) as stage:
            await have_both_told(stage, confirmed=confirmed)
            receipt = await pay(stage, "600222", "wifi")
            looking = await stage.paste(receipt, expect=None, **AT_EAST)
            await until_booked(stage, 1, confirmed=confirmed)
            refused = await stage.until_claim(looking["claimId"], "failed")
            assert refused["code"] == "unknown_receipt"
            assert await stage.count("grants") == 0
            done = await stage.paste(receipt, macAddress=OTHER_MAC, **AT_WEST)
            assert done["status"] == "completed"
            assert await stage.count("grants", "tenant_id = 'west'") == await stage.count("grants") == 1


class TestTwoGateways:
    @TOLD_BY
    async def test_by_number_and_amount_each_gateway_is_for_itself(self, tmp_path: Path, confirmed: bool) -> None:  # noqa: FBT001 - a parameter
        """Ten shillings for the hotspot and ten for home: without a code, money on one grants nothing of the other."""
        async with site(tmp_path, TWO_SERVICES) as stage:
            await have_both_told(stage, confirmed=confirmed)
            await stage.offer()
            await stage.offer(packageId="home", phone=OTHER_PHONE, macAddress=OTHER_MAC)
            await pay(stage, "600222", "wifi", PHONE)
            await pay(stage, "600111", "home", OTHER_PHONE)
            await until_booked(stage, 2, confirmed=confirmed)
            assert await stage.count("payments", "disposition = 'unmatched'") == 2
            assert await stage.count("grants") == 0

    @TOLD_BY
    async def test_a_pay_code_names_its_purchase_on_either(self, tmp_path: Path, confirmed: bool) -> None:  # noqa: FBT001 - a parameter
        """The same owner's other PayBill, with the right code: it is for that purchase, and for no other."""
        async with site(tmp_path, TWO_SERVICES) as stage:
            await have_both_told(stage, confirmed=confirmed)
            hotspot = await stage.offer()
            home = await stage.offer(packageId="home", phone=OTHER_PHONE, macAddress=OTHER_MAC)
            await pay(stage, "600222", hotspot["menu"]["account"])
            await until_booked(stage, 1, confirmed=confirmed)
            await stage.until_online(MAC, seconds=3)
            assert (await stage.status(home["checkoutRequestId"]))["status"] == "pending"
            assert await stage.count("grants") == 1

    async def test_a_sweep_of_one_refuses_no_receipt_of_the_other(self, tmp_path: Path) -> None:
        """Claims wait for the list of the gateway they should have come through, not for whichever was read."""
        async with site(tmp_path, TWO_SERVICES) as stage:
            looking = await stage.paste("UKN7ABCD12", expect=202)
            wakes, parts = stage.daemon.parts.bells.sweeps, stage.daemon.parts

            def swept(gateway_id: str) -> Any:
                state = parts.store.read.gateways.by_id(gateway_id)
                return None if state is None else state.swept_at

            await stage.until(lambda: swept("east") and swept("west"), seconds=10, what="the first lists")
            stage.time.move(LISTED_FOR_SURE_SECONDS)
            moved_at = parts.clock.now()
            wakes["west"].ring()
            assert (await stage.until_refused(looking["claimId"]))["code"] == "unknown_receipt"
            assert swept("east") >= moved_at
