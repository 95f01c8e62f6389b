"""Staff decide claims: what accepting and refusing leads to, and what is refused to staff."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.claims import ClaimState, Refusal
from easyisp_edge.domain.payments import Disposition
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.back_office.staff_desk import ForCustomer, SeenMoney
from easyisp_edge.services.money.claiming import refuse
from easyisp_edge.services.money.judgement import Receiver
from tests.fakes.gateway import PAYER, RECEIPT, money_record
from tests.unit.desk import TWO_TENANTS, Office, open_office
from tests.unit.shop import MAC, OTHER_MAC, OTHER_PHONE, TENANT, a_claim, a_prompted_purchase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TEN = Money(1000)
CLAIM, OTHER_CLAIM = "d" * 32, "e" * 32


@pytest.fixture(name="office")
async def _office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


async def add_claim(office: Office, *, package_id: str | None = "1h", **changes: object) -> None:
    version = None if package_id is None else office.shelf.version(TENANT, package_id).version_id
    await office.add_claim(a_claim(package_version_id=version, **changes))


async def refused_for(office: Office, reason: Refusal) -> None:
    """Have the claim refused as a round of looks does."""
    await office.books.store.write(
        lambda tx: refuse(office.settlement.judge(tx).books, office.claim(CLAIM), reason),
    )


async def test_accepted_it_buys_what_is_wanted(office: Office) -> None:
    """The receipt is entered with what staff saw, and the claimant's device gets the package."""
    await add_claim(office)
    decided = await office.claims_desk.accept(RECEIPT.lower(), TEN, "mary")
    assert decided.claim.state is ClaimState.GRANTED
    assert decided.grant is not None
    assert decided.grant.mac == MAC
    assert office.payment(RECEIPT).amount == TEN
    assert office.told(CLAIM) == ["staff.claim_accepted"]
    assert office.granted == [TENANT]


async def test_accepted_with_less_it_is_credit(office: Office) -> None:
    """What does not cover the package waits in the claimant's wallet."""
    await add_claim(office, phone=OTHER_PHONE)
    decided = await office.claims_desk.accept(CLAIM, Money(600), "mary")
    assert (decided.claim.state, decided.grant) == (ClaimState.CREDITED, None)


async def test_accepted_for_ones_own_purchase_it_counts_once(office: Office) -> None:
    """Money of the claimant's own purchase settles that: a later word of M-Pesa's with the receipt changes nothing."""
    await office.add_purchase(a_prompted_purchase())
    await add_claim(office, phone=PAYER)
    await office.claims_desk.accept(CLAIM, TEN, "mary")
    await office.settlement.take_records(Receiver(TENANT, "paybill"), [money_record()])
    assert (office.books.count("payments"), office.books.count("grants")) == (1, 1)


@pytest.mark.parametrize("reason", [Refusal.TOO_OLD, Refusal.NOT_FOUND_IN_TIME, Refusal.UNKNOWN_RECEIPT])
async def test_refused_for_want_of_news_it_may_be_accepted(office: Office, reason: Refusal) -> None:
    """Staff who have seen the money overrule a claim that was refused because nobody knew it; named by its id."""
    await add_claim(office)
    await refused_for(office, reason)
    with pytest.raises(NotFoundError):
        await office.claims_desk.accept(RECEIPT, TEN, "mary")
    decided = await office.claims_desk.accept(CLAIM, TEN, "mary")
    assert (decided.claim.state, decided.claim.reason) == (ClaimState.GRANTED, None)


async def test_found_after_it_was_refused(office: Office) -> None:
    """Money that came to be known after the refusal is the claimant's when staff say so, with the amount booked."""
    await add_claim(office)
    await refused_for(office, Refusal.NOT_FOUND_IN_TIME)
    await office.desk.enter(SeenMoney(RECEIPT, TEN), tenant_id=None, gateway_id=None, by="mary")
    with pytest.raises(ConflictError) as raised:
        await office.claims_desk.accept(CLAIM, Money(5000), "mary")
    assert "KES 10, not KES 50" in raised.value.message
    assert office.claim(CLAIM).state is ClaimState.REFUSED
    decided = await office.claims_desk.accept(CLAIM, TEN, "mary")
    assert decided.claim.state is ClaimState.GRANTED


async def test_money_that_went_elsewhere_is_not_accepted(office: Office) -> None:
    """What bought something meanwhile stays; the claim stays refused, and staff are told."""
    await add_claim(office)
    await refused_for(office, Refusal.NOT_FOUND_IN_TIME)
    await office.desk.enter(SeenMoney(RECEIPT, TEN), tenant_id=None, gateway_id=None, by="mary")
    await office.desk.assign_to_customer(RECEIPT, ForCustomer(OTHER_PHONE, "1h"), "mary")
    with pytest.raises(ConflictError) as raised:
        await office.claims_desk.accept(CLAIM, TEN, "mary")
    assert "it bought 1 hour" in raised.value.message
    assert office.claim(CLAIM).reason is Refusal.NOT_FOUND_IN_TIME


async def test_the_first_claim_is_decided_first(office: Office) -> None:
    """Of two open claims on a receipt the later one is not accepted; the first one's gain refuses it."""
    await add_claim(office)
    office.books.time.advance(60)
    await add_claim(office, claim_id=OTHER_CLAIM, mac=OTHER_MAC, created_at=office.books.now())
    with pytest.raises(ConflictError) as raised:
        await office.claims_desk.accept(OTHER_CLAIM, TEN, "mary")
    assert raised.value.code == "claim.not_first"
    await office.claims_desk.accept(CLAIM, TEN, "mary")
    assert office.claim(OTHER_CLAIM).reason is Refusal.USED


async def test_after_the_first_is_refused_the_second_may_have_it(office: Office) -> None:
    """Refusing the first claim leaves the receipt to the second."""
    await add_claim(office)
    await add_claim(office, claim_id=OTHER_CLAIM, mac=OTHER_MAC, created_at=office.books.now().replace(second=1))
    await office.claims_desk.refuse(RECEIPT, "mary")
    assert office.claim(CLAIM).state is ClaimState.REFUSED
    decided = await office.claims_desk.accept(RECEIPT, TEN, "mary")
    assert decided.claim.claim_id == OTHER_CLAIM


async def test_refused_it_is_told_with_who_did_it(office: Office) -> None:
    """The claim is refused as unknown money, the routers are told, no money is booked; twice is a conflict."""
    await add_claim(office)
    decided = await office.claims_desk.refuse(CLAIM, "mary")
    assert (decided.claim.state, decided.claim.reason) == (ClaimState.REFUSED, Refusal.UNKNOWN_RECEIPT)
    assert office.told(CLAIM) == ["staff.claim_refused"]
    assert office.granted == [TENANT]
    assert office.books.count("payments") == 0
    with pytest.raises(ConflictError) as raised:
        await office.claims_desk.refuse(CLAIM, "mary")
    assert raised.value.values == {"state": "refused"}


async def test_what_is_decided_is_not_accepted_again(office: Office) -> None:
    """A claim that has its package is done; one refused because the money was another's stays refused."""
    await add_claim(office)
    await office.claims_desk.accept(CLAIM, TEN, "mary")
    with pytest.raises(ConflictError):
        await office.claims_desk.accept(CLAIM, TEN, "mary")
    assert office.payment(RECEIPT).disposition is Disposition.GRANT


async def test_nothing_is_accepted_for_nothing(office: Office) -> None:
    """No amount is no payment; no such claim is said so."""
    await add_claim(office)
    with pytest.raises(InvalidError):
        await office.claims_desk.accept(CLAIM, Money(0), "mary")
    with pytest.raises(NotFoundError):
        await office.claims_desk.accept("f" * 32, TEN, "mary")
    assert office.claim(CLAIM).state is ClaimState.VERIFYING


async def test_claims_are_listed_by_state(tmp_path: Path) -> None:
    """Newest first, no more than asked for, of one tenant or of all, with what is wanted."""
    async with open_office(tmp_path, TWO_TENANTS) as office:
        await add_claim(office)
        office.books.time.advance(60)
        now = office.books.now()
        await add_claim(office, package_id=None, claim_id=OTHER_CLAIM, tenant_id="other", created_at=now)
        found = await office.claims_desk.claims(None, ClaimState.VERIFYING, 10)
        assert [each.claim.claim_id for each in found] == [OTHER_CLAIM, CLAIM]
        assert [None if each.wanted is None else each.wanted.package.name for each in found] == [None, "1 hour"]
        assert len(await office.claims_desk.claims(None, ClaimState.VERIFYING, 1)) == 1
        assert [each.claim.tenant_id for each in await office.claims_desk.claims("other", ClaimState.VERIFYING, 9)] == [
            "other"
        ]
        assert await office.claims_desk.claims(None, ClaimState.REFUSED, 10) == []
