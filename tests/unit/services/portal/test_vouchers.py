"""Vouchers are redeemed: each once, for one device, in one transaction; guessing is slowed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.domain.vouchers import VoucherState, grouped
from easyisp_edge.errors import ConflictError, EdgeError, InvalidError, NotFoundError, RefusedError
from easyisp_edge.services.access.grant_life import end, move
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.portal.vouchers import GUESSES
from tests.fakes.clocks import START, SeededRandomness
from tests.unit.shop import MAC, OTHER_MAC, ROUTER, TENANT
from tests.unit.vouchers_stage import HOLDER, PaperShop, open_paper_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DAY_SECONDS = 24 * 3600
UNKNOWN = Identifiers(SeededRandomness(99)).voucher_code()


@pytest.fixture(name="shop")
async def _shop(tmp_path: Path) -> AsyncIterator[PaperShop]:
    async with open_paper_shop(tmp_path) as shop:
        yield shop


async def refusal(shop: PaperShop, code: str, kind: type[EdgeError] = RefusedError, **changes: object) -> str:
    """The code of what redeeming is refused with."""
    with pytest.raises(kind) as refused:
        await shop.redeem(code, **changes)
    return refused.value.code


async def test_a_voucher_gets_the_grant_of_its_package(shop: PaperShop) -> None:
    """Whole, for the device that redeems it; routers are told, no money moves, and the history says all of it."""
    [code] = await shop.make("week-end_pass-2026")
    grant = await shop.redeem(grouped(code).lower())
    assert (grant.funding, grant.mac, grant.state) == (Funding.VOUCHER, MAC, GrantState.WAITING)
    assert (grant.seconds_left, grant.payment_id, grant.purchase_id) == (2 * DAY_SECONDS, None, None)
    assert shop.office.granted == [TENANT]
    assert shop.office.books.count("entries") == shop.office.books.count("payments") == 0
    voucher = shop.office.tables.vouchers.by_code(TENANT, code)
    assert voucher is not None
    assert (voucher.state, voucher.grant_id) == (VoucherState.USED, grant.grant_id)
    assert shop.office.tables.events.told(grant.grant_id, "grant.made") is not None
    told = shop.office.tables.events.told(voucher.voucher_id, "voucher.redeemed")
    assert told == {"grant": grant.grant_id, "router": ROUTER, "priceCents": 5000}


async def test_codes_are_in_no_event(shop: PaperShop) -> None:
    """What is told elsewhere lets nobody on: not when they are made, seen, redeemed or taken back."""
    one, two = await shop.make(count=2)
    await shop.redeem(one)
    await shop.desk.revoke(two, None, "mary")
    [listed] = await shop.desk.batches(None, 9)
    await shop.desk.show(listed.batch.batch_id, "mary")
    rows = shop.office.books.store._database.reading.execute("SELECT body FROM events").fetchall()
    assert len(rows) >= 5
    assert not [body for (body,) in rows if one.encode() in body or two.encode() in body]


async def test_the_same_device_gets_the_same_grant_again(shop: PaperShop) -> None:
    """A second tap, a reload, a scan of the same paper: nothing more is made."""
    [code] = await shop.make()
    first = await shop.redeem(code)
    assert await shop.redeem(code) == first
    assert shop.office.books.count("grants") == 1


async def test_another_device_is_refused(shop: PaperShop) -> None:
    """With words; what the first one got stays as it is."""
    [code] = await shop.make()
    grant = await shop.redeem(code)
    assert await refusal(shop, code, ConflictError, mac=OTHER_MAC) == "voucher.used"
    assert await refusal(shop, code, ConflictError, mac=None) == "voucher.used"
    assert shop.office.tables.grants.by_id(grant.grant_id) == grant


async def test_a_package_for_several_devices_is_given_to_several(shop: PaperShop) -> None:
    """The same grant, whose name and password let them on as far as it allows."""
    [code] = await shop.make("family")
    first = await shop.redeem(code)
    assert await shop.redeem(code, mac=OTHER_MAC) == first
    assert shop.office.books.count("grants") == 1


async def test_of_many_who_are_at_it_at_once_one_wins(shop: PaperShop) -> None:
    """Twenty devices with one code: one grant, nineteen refusals."""
    [code] = await shop.make()
    macs = [MacAddress(f"AA:BB:CC:00:01:{number:02}") for number in range(20)]
    found = await asyncio.gather(*(shop.redeem(code, mac=mac) for mac in macs), return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["ConflictError"] * 19 + ["Grant"]
    assert shop.office.books.count("grants") == 1


async def test_what_is_used_up_is_over(shop: PaperShop) -> None:
    """Whoever used it up is not told that it was somebody else."""
    [code] = await shop.make()
    grant = await shop.redeem(code)
    await shop.office.books.store.write(lambda tx: end(tx, grant, "time", START))
    assert await refusal(shop, code, ConflictError) == "voucher.over"
    assert await refusal(shop, code, ConflictError, mac=OTHER_MAC) == "voucher.over"


async def test_a_grant_that_moved_takes_its_voucher_along(shop: PaperShop) -> None:
    """The code is good where the grant is now, and no longer where it was."""
    [code] = await shop.make()
    grant = await shop.redeem(code)
    await shop.office.books.store.write(lambda tx: move(tx, grant, OTHER_MAC))
    assert (await shop.redeem(code, mac=OTHER_MAC)).grant_id == grant.grant_id
    assert await refusal(shop, code, ConflictError) == "voucher.used"


async def test_a_page_that_knows_no_device_gets_what_any_may_use(shop: PaperShop) -> None:
    """Whoever holds the code holds the grant's name and password."""
    [code] = await shop.make()
    grant = await shop.redeem(code, mac=None)
    assert grant.mac is None
    assert await shop.redeem(code, mac=None) == grant


async def test_a_mistyped_code_is_told_at_once(shop: PaperShop) -> None:
    """Its check does; it is no guess, however often it happens."""
    [code] = await shop.make()
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    for typed in [wrong, "", "hello", "0712345678"] * GUESSES.device:
        assert await refusal(shop, typed, InvalidError) == "voucher.mistyped"
    assert (await shop.redeem(code)).funding is Funding.VOUCHER


async def test_another_tenants_code_is_unknown(tmp_path: Path) -> None:
    """A code says nothing at somebody else's site."""
    two = '[[tenant]]\nid = "default"\nname = "A"\n[[tenant]]\nid = "other"\nname = "B"\n'
    packages = "".join(
        f'[[package]]\nid = "1h"\ntenant = "{tenant}"\nname = "1 hour"\nprice = 10\nduration = "1h"\nspeed = "2M"\n'
        for tenant in ("default", "other")
    )
    routers = '[[router]]\nid = "main"\ntenant = "default"\naddress = "10.0.0.1"\nmode = "hotspot-user"\n'
    routers += 'api = { tls = false, username = "u", password = "p" }\n'
    files = {"tenants.toml": two, "packages.toml": packages, "routers.toml": routers, "gateways.toml": ""}
    async with open_paper_shop(tmp_path, files) as shop:
        [code] = await shop.make(tenant_id="other")
        assert await refusal(shop, code, NotFoundError) == "voucher.unknown"
        with pytest.raises(InvalidError, match="default, other"):
            await shop.make()


async def test_what_was_taken_back_is_refused(shop: PaperShop) -> None:
    """With its own words."""
    [code] = await shop.make()
    await shop.desk.revoke(code, None, "mary")
    assert await refusal(shop, code) == "voucher.revoked"


async def test_what_is_too_old_is_refused(shop: PaperShop) -> None:
    """From the end of its last day on, by Kenya's clock; what was redeemed before goes on."""
    last_day = START.date()
    one, two = await shop.make(count=2, expires_on=last_day)
    shop.office.books.time.advance(15 * 3600 - 1)  # it is nine in the morning in Kenya
    grant = await shop.redeem(one)
    shop.office.books.time.advance(1)
    assert await refusal(shop, two) == "voucher.expired"
    assert await shop.redeem(one) == grant


async def test_what_is_not_for_here_is_refused(shop: PaperShop) -> None:
    """Behind another router, or for another service; nothing is taken by that. Of an unknown router it is believed."""
    [code], [home] = await shop.make("hall"), await shop.make("home")
    assert await refusal(shop, code, router_id="second") == "voucher.closed_here"
    assert await refusal(shop, home) == "voucher.closed_here"
    assert (await shop.redeem(home, service=Service.PPPOE)).service is Service.PPPOE
    assert (await shop.redeem(code, router_id=None)).funding is Funding.VOUCHER
    assert await refusal(shop, code, router_id="second") == "voucher.closed_here"


async def test_guessing_is_slowed_per_device(shop: PaperShop) -> None:
    """After some wrong codes right ones are refused too, for ten minutes; other devices are not in it."""
    [code] = await shop.make()
    for _ in range(GUESSES.device):
        assert await refusal(shop, UNKNOWN, NotFoundError) == "voucher.unknown"
    assert await refusal(shop, code) == "voucher.locked"
    assert shop.vouchers.package_of(HOLDER, code) is None
    assert await refusal(shop, UNKNOWN, NotFoundError, mac=OTHER_MAC) == "voucher.unknown"
    shop.office.books.time.advance(601)
    assert (await shop.redeem(code)).funding is Funding.VOUCHER


async def test_guessing_is_slowed_per_router(shop: PaperShop) -> None:
    """However many devices a page names; behind another router one may go on."""
    [code] = await shop.make()
    for number in range(GUESSES.site):
        mac = MacAddress(f"AA:BB:CC:00:{number // 100:02}:{number % 100:02}")
        await refusal(shop, UNKNOWN, NotFoundError, mac=mac)
    assert await refusal(shop, code) == "voucher.locked"
    assert (await shop.redeem(code, router_id="second")).funding is Funding.VOUCHER


async def test_guesses_write_nothing(shop: PaperShop) -> None:
    """They wear out no card and stand in nobody's way."""
    before = shop.office.books.store._database.reading.execute("SELECT at FROM clock").fetchone()
    await refusal(shop, UNKNOWN, NotFoundError)
    assert shop.office.books.store._database.reading.execute("SELECT at FROM clock").fetchone() == before


async def test_what_it_is_for_is_told_before_it_is_taken(shop: PaperShop) -> None:
    """For a page that asks first; nothing for what cannot be redeemed, and asking for others' codes is guessing."""
    [code] = await shop.make()
    package = shop.vouchers.package_of(HOLDER, code)
    assert package is not None
    assert package.package_id == "1h"
    assert shop.office.books.count("grants") == 0
    await shop.redeem(code)
    assert shop.vouchers.package_of(HOLDER, code) is None
    for _ in range(GUESSES.device):
        assert shop.vouchers.package_of(HOLDER, UNKNOWN) is None
    assert await refusal(shop, code) == "voucher.locked"


async def test_what_would_be_refused_is_told_before(shop: PaperShop) -> None:
    """In the words it is refused with, and nothing is taken or counted; its own device would not be refused."""
    code, old, back = await shop.make(count=3, expires_on=START.date())
    [home] = await shop.make("home")

    def why(code: str, mac: MacAddress = MAC) -> str | None:
        refused = shop.vouchers.refusal_of(HOLDER._replace(mac=mac), code)
        return None if refused is None else refused.code

    assert [why(each) for each in (code, "hello", home)] == [None, "voucher.mistyped", "voucher.closed_here"]
    for _ in range(GUESSES.device):
        assert why(UNKNOWN) == "voucher.unknown"
    grant = await shop.redeem(code)
    await shop.desk.revoke(back, None, "mary")
    assert [why(code), why(code, OTHER_MAC), why(back)] == [None, "voucher.used", "voucher.revoked"]
    await shop.office.books.store.write(lambda tx: end(tx, grant, "time", START))
    shop.office.books.time.advance(24 * 3600)
    assert [why(code), why(old)] == ["voucher.over", "voucher.expired"]
    assert shop.office.books.count("grants") == 1


async def test_it_is_worth_what_it_was_made_for(shop: PaperShop) -> None:
    """A price or a speed that changes later, or a package no longer sold, changes nothing on paper."""
    [code] = await shop.make()
    await shop.office.shelf.put_out([])
    grant = await shop.redeem(code)
    version = shop.office.tables.packages.by_id(grant.package_version_id)
    assert (version.package.package_id, version.package.price.cents) == ("1h", 1000)
