"""The owner's vouchers: made all at once or not at all, counted, shown, taken back; who did it is noted."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.values import Money
from easyisp_edge.domain.vouchers import BATCH_VOUCHERS_MAX, VoucherState, grouped
from easyisp_edge.errors import ConflictError, EdgeError, InvalidError, NotFoundError
from easyisp_edge.services.back_office.vouchers_desk import BatchOrder
from tests.fakes.clocks import START
from tests.unit.shop import TENANT
from tests.unit.vouchers_stage import ROUTERS, PaperShop, open_paper_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(name="shop")
async def _shop(tmp_path: Path) -> AsyncIterator[PaperShop]:
    async with open_paper_shop(tmp_path) as shop:
        yield shop


def told(shop: PaperShop, key: str, kind: str) -> dict[str, Any] | None:
    return shop.office.tables.events.told(key, kind)


async def test_a_batch_is_made_as_ordered(shop: PaperShop) -> None:
    """Numbered from one, all codes different, with who had it made and what each is worth."""
    order = BatchOrder("week-end_pass-2026", 200, expires_on=date(2026, 12, 31), note=" Kiosk ")
    made = await shop.desk.make(order, "mary")
    batch = made.batch
    assert (batch.tenant_id, batch.count, batch.note, batch.made_by) == (TENANT, 200, "Kiosk", "mary")
    assert batch.expires_at == START.replace(year=2027, month=1, day=1, hour=0) - timedelta(hours=3)
    vouchers = shop.office.tables.vouchers.of_batch(batch.batch_id)
    assert [each.number for each in vouchers] == list(range(1, 201))
    assert len({each.code for each in vouchers}) == 200
    assert (made.counts.available, made.counts.used, made.sold, made.expired) == (200, 0, Money(0), False)
    assert shop.office.books.count("entries") == shop.office.books.count("grants") == 0
    assert told(shop, batch.batch_id, "staff.vouchers_made") == {
        "by": "mary",
        "tenant": TENANT,
        "package": "week-end_pass-2026",
        "packageVersion": batch.package_version_id,
        "count": 200,
        "priceCents": 5000,
        "expiresAt": "2026-12-31T21:00:00+00:00",
        "note": "Kiosk",
    }


async def test_the_largest_batch(shop: PaperShop) -> None:
    """Is made in one go."""
    made = await shop.desk.make(BatchOrder("1h", BATCH_VOUCHERS_MAX), "mary")
    assert made.counts.available == BATCH_VOUCHERS_MAX


@pytest.mark.parametrize(
    ("order", "kind", "code"),
    [
        (BatchOrder("1h", 0), InvalidError, "vouchers.count"),
        (BatchOrder("1h", BATCH_VOUCHERS_MAX + 1), InvalidError, "vouchers.count"),
        (BatchOrder("1h", 1, note="x" * 201), InvalidError, "vouchers.note"),
        (BatchOrder("1h", 1, note="two\nlines"), InvalidError, "vouchers.note"),
        (BatchOrder("1h", 1, expires_on=date(2026, 11, 20)), InvalidError, "vouchers.expires"),
        (BatchOrder("1y", 1), NotFoundError, "package.unknown"),
        (BatchOrder("1h", 1, tenant_id="other"), NotFoundError, "tenant.unknown"),
    ],
)
async def test_what_cannot_be_made(shop: PaperShop, order: BatchOrder, kind: type[EdgeError], code: str) -> None:
    """Nothing of it is."""
    with pytest.raises(kind) as refused:
        await shop.desk.make(order, "mary")
    assert refused.value.code == code
    assert shop.office.books.count("voucher_batches") == shop.office.books.count("vouchers") == 0


async def test_a_package_need_not_be_on_sale(shop: PaperShop) -> None:
    """It may be sold on paper alone."""
    assert await shop.make("trial")


async def test_what_was_sold_is_counted_at_the_price_of_then(shop: PaperShop) -> None:
    """The newest batch first; only what was used is sold."""
    one, _, _ = await shop.make(count=3)
    shop.office.books.time.advance(1)
    week_end, _ = await shop.make("week-end_pass-2026", count=2)
    await shop.redeem(one)
    await shop.redeem(week_end)
    newest, oldest = await shop.desk.batches(None, 9)
    assert [each.package.package_id for each in (newest, oldest)] == ["week-end_pass-2026", "1h"]
    assert (newest.sold, oldest.sold) == (Money(5000), Money(1000))
    assert (oldest.counts.available, oldest.counts.used) == (2, 1)
    assert len(await shop.desk.batches(TENANT, 1)) == 1
    with pytest.raises(NotFoundError):
        await shop.desk.batches("other", 9)


async def test_showing_codes_is_noted(shop: PaperShop) -> None:
    """Each time, with who saw them; with where each stands, who sells them and where the portal is."""
    one, two = await shop.make(count=2, expires_on=START.date())
    [listed] = await shop.desk.batches(None, 9)
    batch_id = listed.batch.batch_id
    assert told(shop, batch_id, "staff.vouchers_shown") is None
    await shop.redeem(one)
    shown = await shop.desk.show(batch_id.lower(), "mary")
    assert [(each.code, state) for each, state in shown.vouchers] == [
        (one, VoucherState.USED),
        (two, VoucherState.AVAILABLE),
    ]
    assert (shown.seller, shown.portal_url) == ("Mama Njeri's Wi-Fi", "http://10.5.50.2")
    assert told(shop, batch_id, "staff.vouchers_shown") == {"by": "mary"}
    shop.office.books.time.advance(24 * 3600)
    late = await shop.desk.show(batch_id, "john")
    assert [state for _, state in late.vouchers] == [VoucherState.USED, VoucherState.EXPIRED]
    assert late.listed.expired
    with pytest.raises(NotFoundError):
        await shop.desk.show("XXXXXX", "mary")


@pytest.mark.parametrize(
    ("setup", "url"),
    [
        ('portal_url = "https://wifi.example.com/"', "https://wifi.example.com"),
        ("", "http://10.0.0.2"),
        (None, None),
    ],
)
async def test_where_the_portal_is(tmp_path: Path, setup: str | None, url: str | None) -> None:
    """As the router's set-up says, else at the box's address; where there is no set-up nobody knows."""
    files = {"routers.toml": ROUTERS.replace('portal_url = "http://10.5.50.2"', setup or "")}
    if setup is None:
        files["routers.toml"] = ROUTERS[: ROUTERS.index("[router.setup]")]
    async with open_paper_shop(tmp_path, files) as shop:
        await shop.make()
        [listed] = await shop.desk.batches(None, 1)
        assert (await shop.desk.show(listed.batch.batch_id, "mary")).portal_url == url


async def test_one_is_taken_back_by_its_code(shop: PaperShop) -> None:
    """Once, and only before it was used; the others stay."""
    one, two, three = await shop.make(count=3)
    grant = await shop.redeem(one)
    listed, count = await shop.desk.revoke(grouped(two), None, "mary")
    assert (count, listed.counts) == (1, (1, 1, 1))
    assert told(shop, f"{listed.batch.batch_id}-2", "staff.voucher_revoked") == {"by": "mary"}
    for code, why in ((one, "voucher.used"), (two, "voucher.revoked")):
        with pytest.raises(ConflictError) as refused:
            await shop.desk.revoke(code, None, "mary")
        assert refused.value.code == why
    assert shop.office.tables.grants.by_id(grant.grant_id) == grant
    assert (await shop.redeem(three)).grant_id != grant.grant_id


async def test_a_batch_is_taken_back_as_far_as_nobody_used_it(shop: PaperShop) -> None:
    """What was used stays; a second time there is nothing left to take back."""
    one, *_ = await shop.make(count=4)
    await shop.redeem(one)
    [listed] = await shop.desk.batches(None, 1)
    batch_id = listed.batch.batch_id
    after, count = await shop.desk.revoke(batch_id, None, "mary")
    assert (count, after.counts) == (3, (0, 1, 3))
    assert told(shop, batch_id, "staff.vouchers_revoked") == {"by": "mary", "count": 3}
    assert (await shop.desk.revoke(batch_id, None, "mary"))[1] == 0


async def test_what_cannot_be_taken_back(shop: PaperShop) -> None:
    """An id that is none, and a code that nobody made."""
    codes = await shop.make()
    for key in ("XXXXXX", shop.office.books.identifiers.voucher_code(), codes[0][:-1]):
        with pytest.raises(NotFoundError):
            await shop.desk.revoke(key, None, "mary")
