"""What a voucher got follows its holder to another device: whoever has the code may have it moved, not too often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.errors import ConflictError, EdgeError, InvalidError, NotFoundError, RefusedError
from easyisp_edge.services.access.grant_life import MOVES_PER_DAY, end, take_off
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.portal.vouchers import GUESSES
from tests.fakes.clocks import START, SeededRandomness
from tests.unit.shop import MAC, OTHER_MAC, ROUTER, TENANT
from tests.unit.vouchers_stage import HOLDER, PaperShop, open_paper_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.values import MacAddress

DAY_SECONDS = 24 * 3600
UNKNOWN = Identifiers(SeededRandomness(99)).voucher_code()


@pytest.fixture(name="shop")
async def _shop(tmp_path: Path) -> AsyncIterator[PaperShop]:
    async with open_paper_shop(tmp_path) as shop:
        yield shop


async def moved(shop: PaperShop, code: str, mac: MacAddress = OTHER_MAC, **changes: Any) -> Grant:
    return await shop.vouchers.move(HOLDER._replace(mac=mac, **changes), code)


async def refusal(shop: PaperShop, kind: type[EdgeError], code: str, **changes: Any) -> str:
    with pytest.raises(kind) as refused:
        await moved(shop, code, **changes)
    return refused.value.code


def elsewhere(shop: PaperShop, code: str, mac: MacAddress = OTHER_MAC, router_id: str = ROUTER) -> str | None:
    found = shop.vouchers.held_elsewhere(HOLDER._replace(mac=mac, router_id=router_id), code)
    return None if found is None else found.package_id


async def test_it_goes_to_the_other_device_with_the_time_it_has_left(shop: PaperShop) -> None:
    """No second grant is made; routers are told, and the history says by which voucher, not by which code."""
    [code] = await shop.make()
    grant = await shop.redeem(code)
    shop.office.granted.clear()
    found = await moved(shop, code.lower())
    assert (found.grant_id, found.mac, found.seconds_left) == (grant.grant_id, OTHER_MAC, grant.seconds_left)
    assert shop.office.books.count("grants") == 1
    assert shop.office.granted == [TENANT]
    voucher = shop.office.tables.vouchers.by_code(TENANT, code)
    assert voucher is not None
    told = shop.office.tables.events.told(grant.grant_id, "grant.moved")
    assert told == {"mac": OTHER_MAC.text, "voucher": voucher.voucher_id}
    assert code not in str(told)


async def test_as_often_a_day_as_anything_else_moves(shop: PaperShop) -> None:
    """A code shared around is on one device at a time, and soon on none other; tomorrow it may move again."""
    [code] = await shop.make("week-end_pass-2026")
    await shop.redeem(code)
    for number in range(MOVES_PER_DAY):
        await moved(shop, code, (OTHER_MAC, MAC)[number % 2])
    assert await refusal(shop, ConflictError, code, mac=MAC) == "grant.moved_often"
    shop.office.books.time.advance(DAY_SECONDS + 1)
    assert (await moved(shop, code, MAC)).mac == MAC


async def test_on_its_own_device_it_stays(shop: PaperShop) -> None:
    """Tapped twice is tapped once: nothing of the day's moves is used up by it."""
    [code] = await shop.make()
    await shop.redeem(code)
    for _ in range(MOVES_PER_DAY + 2):
        assert (await moved(shop, code)).mac == OTHER_MAC
    assert shop.office.tables.events.told((await moved(shop, code)).grant_id, "grant.moved") is not None
    assert elsewhere(shop, code) is None
    assert elsewhere(shop, code, MAC) == "1h"


async def test_one_that_nobody_used_is_redeemed(shop: PaperShop) -> None:
    """As if it had been asked for so."""
    [code] = await shop.make()
    assert elsewhere(shop, code) is None
    assert (await moved(shop, code)).mac == OTHER_MAC


async def test_its_holder_wants_to_be_on_there(shop: PaperShop) -> None:
    """Had it been signed out on the old device, it lets the new one on."""
    [code] = await shop.make()
    grant = await shop.redeem(code)
    await shop.office.books.store.write(lambda tx: take_off(tx, grant.started(START), START))
    assert (await moved(shop, code)).off_since is None


async def test_what_is_used_up_or_taken_back_does_not_move(shop: PaperShop) -> None:
    """Nor is anybody asked whether to move it."""
    ended, revoked = await shop.make(count=2)
    grant = await shop.redeem(ended)
    await shop.office.books.store.write(lambda tx: end(tx, grant, "time", START))
    await shop.desk.revoke(revoked, None, "mary")
    assert [elsewhere(shop, code) for code in (ended, revoked)] == [None, None]
    assert await refusal(shop, ConflictError, ended) == "voucher.over"
    assert await refusal(shop, RefusedError, revoked) == "voucher.revoked"


async def test_what_is_for_another_place_does_not_move_there(shop: PaperShop) -> None:
    """It stays for the router it was sold at."""
    [code] = await shop.make("hall")
    await shop.redeem(code)
    assert elsewhere(shop, code, router_id="second") is None
    assert await refusal(shop, RefusedError, code, router_id="second") == "voucher.closed_here"
    assert elsewhere(shop, code) == "hall"


async def test_guesses_find_nothing_to_move(shop: PaperShop) -> None:
    """No code is no code; wrong ones count as guesses, and after too many a right one is not looked at."""
    [code] = await shop.make()
    await shop.redeem(code)
    assert await refusal(shop, InvalidError, "hello") == "voucher.mistyped"
    assert elsewhere(shop, "hello") is None
    for _ in range(GUESSES.device):
        assert elsewhere(shop, UNKNOWN) is None
        assert await refusal(shop, NotFoundError, UNKNOWN) == "voucher.unknown"
    assert elsewhere(shop, code) is None
    assert await refusal(shop, RefusedError, code) == "voucher.locked"
