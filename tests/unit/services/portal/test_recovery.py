"""Paid and not online: what a number, a pay code or the secret of a purchase puts right, and for whom."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.errors import ConflictError, NotFoundError
from easyisp_edge.services.access.grant_life import MOVES_PER_DAY
from easyisp_edge.services.portal.recovery import RecoveryService, Trace
from tests.fakes.gateway import PAYER
from tests.unit.claims_stage import AN_HOUR, ClaimsStage, device, open_claims_stage
from tests.unit.shop import MAC, OTHER_MAC, OTHER_PHONE, PAY_CODE, PURCHASE_ID, TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ClaimsStage]:
    """Books with nothing in them."""
    async with open_claims_stage(tmp_path) as stage:
        yield stage


async def bought(stage: ClaimsStage) -> Grant:
    """An hour, paid by receipt for the usual device."""
    await stage.comes_in()
    claim = await stage.paste()
    return stage.grant(claim.grant_id)


async def test_an_unpaid_push_of_the_number_is_asked_about_at_once(stage: ClaimsStage) -> None:
    """It has waited for its next query; now that is due."""
    await stage.prompt()
    assert stage.purchase().query_at != stage.books.now()
    stage.pass_by(5)
    assert await RecoveryService(stage.settlement).by_phone(TENANT, MAC, PAYER) is Trace.OPEN
    assert stage.purchase().query_at == stage.books.now()


async def test_an_expired_push_is_asked_about_too(stage: ClaimsStage) -> None:
    """The page has given it up; who comes back has not."""
    await stage.prompt(state=PurchaseState.EXPIRED, query_at=None)
    assert await RecoveryService(stage.settlement).by_pay_code(TENANT, MAC, PAY_CODE) is Trace.OPEN
    assert stage.purchase().query_at == stage.books.now()


@pytest.mark.parametrize(
    ("tenant_id", "mac", "phone", "pay_code"),
    [
        (TENANT, OTHER_MAC, PAYER, PAY_CODE),
        (TENANT, MAC, OTHER_PHONE, "HJKMNPA"),
        ("elsewhere", MAC, PAYER, PAY_CODE),
    ],
)
async def test_of_another_device_nothing_is_told_and_nothing_done(
    stage: ClaimsStage, tenant_id: str, mac: object, phone: object, pay_code: str
) -> None:
    """A number and a pay code are no secrets: to a stranger a purchase looks like none."""
    await stage.prompt()
    due = stage.purchase().query_at
    stage.granted.clear()
    recovery = RecoveryService(stage.settlement)
    assert await recovery.by_phone(tenant_id, mac, phone) is Trace.NONE  # type: ignore[arg-type]
    assert await recovery.by_pay_code(tenant_id, mac, pay_code) is Trace.NONE  # type: ignore[arg-type]
    assert stage.purchase().query_at == due
    assert stage.granted == []


async def test_what_is_older_than_two_days_is_not_found_by_number(stage: ClaimsStage) -> None:
    """M-Pesa does not show it any more either."""
    await stage.prompt()
    stage.pass_by(48 * AN_HOUR + 1)
    assert await RecoveryService(stage.settlement).by_phone(TENANT, MAC, PAYER) is Trace.NONE


async def test_what_is_paid_and_usable_has_routers_told(stage: ClaimsStage) -> None:
    """The device should be on: it is put right at once. Used up, there is nothing to put right."""
    await stage.prompt()
    await stage.comes_in()
    await stage.paste(package_id=None)
    assert stage.purchase(PURCHASE_ID).state is PurchaseState.PAID
    stage.granted.clear()
    recovery = RecoveryService(stage.settlement)
    assert await recovery.by_phone(TENANT, MAC, PAYER) is Trace.OPEN
    assert stage.granted == [TENANT]
    grant = stage.books.store.read.grants.by_purchase(PURCHASE_ID)
    assert grant is not None
    await stage.use(grant.grant_id)
    stage.pass_by(AN_HOUR + 1)
    assert await recovery.by_phone(TENANT, MAC, PAYER) is Trace.OVER


async def test_the_holder_takes_it_along(stage: ClaimsStage) -> None:
    """To the device that shows the secret; routers are told. Told twice it has moved once."""
    grant, recovery = await bought(stage), RecoveryService(stage.settlement)
    stage.granted.clear()
    for _ in range(2):
        assert (await recovery.take_along(TENANT, grant.grant_id, OTHER_MAC)).mac == OTHER_MAC
    assert stage.grant(grant.grant_id).mac == OTHER_MAC
    assert stage.granted == [TENANT, TENANT]
    moves = stage.books.store.read.events.count_since(grant.grant_id, "grant.moved", stage.books.now() - timedelta(1))
    assert moves == 1


async def test_it_moves_so_often_a_day(stage: ClaimsStage) -> None:
    """Moving by receipt and moving by secret are the same moves."""
    grant, recovery = await bought(stage), RecoveryService(stage.settlement)
    for number in range(MOVES_PER_DAY):
        await recovery.take_along(TENANT, grant.grant_id, device(number))
    with pytest.raises(ConflictError) as caught:
        await recovery.take_along(TENANT, grant.grant_id, device(99))
    assert caught.value.code == "grant.moved_often"
    stage.pass_by(24 * AN_HOUR + 1)
    await recovery.take_along(TENANT, grant.grant_id, device(99))


async def test_nothing_to_take_along(stage: ClaimsStage) -> None:
    """What is unknown, another tenant's or over stays where it is."""
    grant, recovery = await bought(stage), RecoveryService(stage.settlement)
    for tenant_id, grant_id in ((TENANT, "none"), ("elsewhere", grant.grant_id)):
        with pytest.raises(NotFoundError):
            await recovery.take_along(tenant_id, grant_id, OTHER_MAC)
    await stage.use(grant.grant_id)
    await stage.books.store.write(lambda tx: tx.grants.update(stage.grant(grant.grant_id).ended(stage.books.now())))
    with pytest.raises(NotFoundError):
        await recovery.take_along(TENANT, grant.grant_id, OTHER_MAC)
