"""Staff sort out money by hand: what they may do, what is refused because the books say otherwise, who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.ledger import AccountKind
from easyisp_edge.domain.payments import Disposition, EvidenceSource
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.back_office.staff_desk import NOTE_LENGTH_MAX, ForCustomer, SeenMoney
from easyisp_edge.services.money.judgement import Receiver
from tests.fakes.gateway import PAYER, callback_paid, money_record, query_paid
from tests.unit.desk import TWO_TENANTS, Office, open_office
from tests.unit.shop import (
    MAC,
    OTHER_MAC,
    OTHER_PAY_CODE,
    OTHER_PHONE,
    OTHER_PURCHASE_ID,
    PAY_CODE,
    PURCHASE_ID,
    TENANT,
    a_prompted_purchase,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.services.back_office.staff_desk import Handled

RECEIPT, OTHER_RECEIPT = "UKL41A2B3C", "UKL9ZX8Y7W"
TEN, FIFTY = Money(1000), Money(5000)


@pytest.fixture(name="office")
async def _office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


async def enter(office: Office, receipt: str = RECEIPT, amount: Money = TEN, **more: object) -> Handled:
    seen = SeenMoney(receipt, amount, **more)  # type: ignore[arg-type]
    return await office.desk.enter(seen, tenant_id=None, gateway_id=None, by="mary")


# --- entering


async def test_money_nobody_claims_is_kept(office: Office) -> None:
    """What is entered and fits nothing is unmatched, with staff as its source, and stands in the list."""
    handled = await enter(office)
    assert (handled.payment.disposition, handled.grant) == (Disposition.UNMATCHED, None)
    assert office.tables.evidence.has_receipt(RECEIPT, EvidenceSource.STAFF)
    assert office.told(handled.payment.payment_id) == ["staff.entered"]
    assert await office.desk.payments(None, unmatched=True, limit=10) == [handled.payment]


async def test_entered_with_its_pay_code_it_buys(office: Office) -> None:
    """Money entered with the pay code of a purchase settles it, and the routers are told."""
    await office.add_purchase(a_prompted_purchase())
    handled = await enter(office, account="abc-defp")
    assert handled.grant is not None
    assert handled.grant.purchase_id == PURCHASE_ID
    assert office.granted == [TENANT]


async def test_entered_with_its_payer_it_buys(office: Office) -> None:
    """Money entered with the payer's number settles that payer's purchase of the amount."""
    await office.add_purchase(a_prompted_purchase())
    handled = await enter(office, phone=PAYER)
    assert handled.grant is not None
    purchase = office.tables.purchases.by_id(PURCHASE_ID)
    assert purchase is not None
    assert purchase.state is PurchaseState.PAID


async def test_a_whole_message_may_be_entered(office: Office) -> None:
    """The receipt and the account are read from a message; its amount has to be what staff saw."""
    await office.add_purchase(a_prompted_purchase())
    text = f"{RECEIPT} Confirmed. Ksh10.00 sent to EDGE for account {PAY_CODE} on 21/11/26 at 9:00 AM."
    with pytest.raises(InvalidError) as raised:
        await enter(office, text, FIFTY)
    assert (raised.value.code, raised.value.field) == ("money.differs", "amount")
    handled = await enter(office, text)
    assert handled.payment.purchase_id == PURCHASE_ID


async def test_what_a_query_proved_gets_its_receipt(office: Office) -> None:
    """Money proven without a receipt is not booked again when staff enter it with the payer's number."""
    await office.add_purchase(a_prompted_purchase())
    await office.books.store.write(lambda tx: office.settlement.judge(tx).settle(PURCHASE_ID, query_paid()))
    await enter(office, phone=PAYER)
    assert office.books.count("payments") == 1
    assert office.payment(RECEIPT).disposition is Disposition.GRANT


async def test_told_by_mpesa_afterwards_it_counts_once(office: Office) -> None:
    """A list of M-Pesa's that tells of entered money later changes nothing."""
    entered = await enter(office)
    await office.settlement.take_records(Receiver(TENANT, "paybill"), [money_record(receipt=RECEIPT)])
    assert office.books.count("payments") == 1
    assert office.payment(RECEIPT).amount == entered.payment.amount


@pytest.mark.parametrize("prepared", ["unmatched", "grant", "wallet", "refunded"])
async def test_what_is_booked_is_refused_with_what_it_is(office: Office, prepared: str) -> None:
    """A receipt that is in the books cannot be entered again: staff are told what became of it."""
    first = await enter(office)
    if prepared == "grant":
        await office.desk.assign_to_customer(RECEIPT, ForCustomer(PAYER, "1h"), "mary")
    if prepared == "wallet":
        await office.desk.assign_to_customer(RECEIPT, ForCustomer(PAYER), "mary")
    if prepared == "refunded":
        await office.desk.refund(RECEIPT, "by hand", "mary")
    with pytest.raises(ConflictError) as raised:
        await enter(office)
    words = {"unmatched": "assign it", "grant": "it bought 1 hour", "wallet": "credit", "refunded": "given back"}
    assert words[prepared] in raised.value.message
    assert "KES 10 on 21 Nov 2026" in raised.value.message
    assert raised.value.values == {"payment": first.payment.payment_id, "disposition": prepared}
    assert office.told(first.payment.payment_id).count("staff.entered") == 1


async def test_look_alikes_are_asked_about(office: Office) -> None:
    """A receipt one misread letter away from a booked one over the same amount needs staff to be sure."""
    await enter(office, "UKL41A2B30")
    with pytest.raises(ConflictError) as raised:
        await enter(office, "UKL41A2B3O")
    assert raised.value.code == "payment.lookalike"
    await enter(office, "UKL41A28B0", FIFTY)
    await enter(office, "UKL41A2B3O", sure=True)
    assert office.books.count("payments") == 3


@pytest.mark.parametrize(
    ("text", "amount", "code"),
    [(RECEIPT, Money(0), "money.nothing"), ("0712345678", TEN, "claim.no_receipt"), ("", TEN, "claim.empty")],
)
async def test_nonsense_is_refused(office: Office, text: str, amount: Money, code: str) -> None:
    """No amount or no receipt: nothing is written."""
    with pytest.raises(InvalidError) as raised:
        await enter(office, text, amount)
    assert raised.value.code == code
    assert office.books.count("payments") == 0


async def test_the_gateway_may_be_named(office: Office) -> None:
    """Money is entered for the gateway that is named, else for the one that takes hotspot payments."""
    named = await office.desk.enter(SeenMoney(RECEIPT, TEN), tenant_id=None, gateway_id="hand", by="mary")
    usual = await enter(office, OTHER_RECEIPT)
    assert (named.payment.gateway_id, usual.payment.gateway_id) == ("hand", "paybill")
    with pytest.raises(NotFoundError):
        await office.desk.enter(SeenMoney("UKLAAAAAA1", TEN), tenant_id=None, gateway_id="none", by="mary")


# --- several tenants


async def test_tenants_are_told_apart(tmp_path: Path) -> None:
    """Where several sell, staff say for whom; lists can be of one or of all; codes of another are unknown."""
    async with open_office(tmp_path, TWO_TENANTS) as office:
        seen = SeenMoney(RECEIPT, TEN)
        with pytest.raises(InvalidError) as raised:
            await office.desk.enter(seen, tenant_id=None, gateway_id=None, by="mary")
        assert "default, other" in raised.value.message
        with pytest.raises(NotFoundError):
            await office.desk.enter(seen, tenant_id="other", gateway_id="paybill", by="mary")
        theirs = await office.desk.enter(seen, tenant_id="other", gateway_id=None, by="mary")
        assert theirs.payment.gateway_id == "theirs"
        ours = await office.desk.enter(SeenMoney(OTHER_RECEIPT, TEN), tenant_id=None, gateway_id="paybill", by="mary")
        assert await office.desk.payments("other", unmatched=False, limit=10) == [theirs.payment]
        found = await office.desk.payments(None, unmatched=True, limit=10)
        assert {each.payment_id for each in found} == {ours.payment.payment_id, theirs.payment.payment_id}
        with pytest.raises(NotFoundError):
            await office.desk.payments("nobody", unmatched=False, limit=10)
        with pytest.raises(ConflictError) as elsewhere:
            await office.desk.enter(seen, tenant_id="default", gateway_id=None, by="mary")
        assert "another business" in elsewhere.value.message
        await office.add_purchase(a_prompted_purchase())
        with pytest.raises(NotFoundError):
            await office.desk.assign_to_purchase(RECEIPT, PAY_CODE, "mary")


# --- assigning


async def test_assigned_to_a_purchase_it_buys(office: Office) -> None:
    """Unmatched money assigned to a pay code settles that purchase; by id or by receipt, however it is typed."""
    await office.add_purchase(a_prompted_purchase())
    await enter(office)
    handled = await office.desk.assign_to_purchase("ukl41 a2b3c", "abc-defp", "mary")
    assert handled.grant is not None
    assert handled.payment.purchase_id == PURCHASE_ID
    assert office.told(handled.payment.payment_id) == ["staff.entered", "staff.assigned"]
    assert office.granted == [TENANT, TENANT]


async def test_assigned_to_a_purchase_that_was_proven_it_is_that_money(office: Office) -> None:
    """Where M-Pesa has proven the purchase without a receipt, the assigned money is the same: it counts once."""
    await office.add_purchase(a_prompted_purchase())
    await office.books.store.write(lambda tx: office.settlement.judge(tx).settle(PURCHASE_ID, query_paid()))
    await enter(office)
    await office.desk.assign_to_purchase(RECEIPT, PAY_CODE, "mary")
    assert office.books.count("payments") == 2
    assert office.payment(RECEIPT).disposition is Disposition.GRANT
    assert office.tables.ledger.balances()[AccountKind.SOLD] == 1000


async def test_given_to_a_customer_it_buys(office: Office) -> None:
    """Money that covers the package buys it; what is over is the customer's credit."""
    entered = await enter(office, amount=FIFTY)
    handled = await office.desk.assign_to_customer(
        entered.payment.payment_id, ForCustomer(OTHER_PHONE, "1h", MAC), "mary"
    )
    assert handled.grant is not None
    assert (handled.grant.mac, handled.grant.purchase_id) == (MAC, None)
    assert handled.payment.customer_id is not None
    assert office.tables.ledger.wallet(handled.payment.customer_id) == Money(4000)


async def test_too_little_is_credit_until_it_suffices(office: Office) -> None:
    """Money that does not cover the package is credit; a second one that covers it with the credit buys."""
    await enter(office, amount=Money(400))
    await enter(office, OTHER_RECEIPT, Money(600))
    customer = ForCustomer(OTHER_PHONE, "1h")
    first = await office.desk.assign_to_customer(RECEIPT, customer, "mary")
    assert (first.payment.disposition, first.grant) == (Disposition.WALLET, None)
    second = await office.desk.assign_to_customer(OTHER_RECEIPT, customer, "mary")
    assert second.grant is not None
    assert second.payment.disposition is Disposition.WALLET


async def test_without_a_package_it_is_credit(office: Office) -> None:
    """Money given to a customer with no package named waits in the wallet."""
    await enter(office)
    handled = await office.desk.assign_to_customer(RECEIPT, ForCustomer(OTHER_PHONE), "mary")
    assert (handled.payment.disposition, handled.grant) == (Disposition.WALLET, None)


async def test_a_customers_own_purchase_is_meant(office: Office) -> None:
    """Given to who has an unpaid purchase of just that, it settles it: a later word of M-Pesa's buys nothing twice."""
    await office.add_purchase(a_prompted_purchase())
    await enter(office)
    handled = await office.desk.assign_to_customer(RECEIPT, ForCustomer(PAYER, "1h"), "mary")
    assert handled.payment.purchase_id == PURCHASE_ID
    await office.books.store.write(lambda tx: office.settlement.judge(tx).settle(PURCHASE_ID, query_paid()))
    assert (office.books.count("payments"), office.books.count("grants")) == (1, 1)


async def test_a_purchase_for_another_device_is_not_meant(office: Office) -> None:
    """Where staff name another device than the purchase's, that device gets it."""
    await office.add_purchase(a_prompted_purchase())
    await enter(office)
    handled = await office.desk.assign_to_customer(RECEIPT, ForCustomer(PAYER, "1h", OTHER_MAC), "mary")
    assert handled.grant is not None
    assert (handled.grant.mac, handled.grant.purchase_id) == (OTHER_MAC, None)


async def test_money_that_came_for_a_purchase(office: Office) -> None:
    """Money of another amount than a push asked for stays that purchase's, and buys by way of the wallet.

    The purchase can still be paid rightly afterwards.
    """
    await office.add_purchase(a_prompted_purchase())
    other = a_prompted_purchase(
        purchase_id=OTHER_PURCHASE_ID, account_reference=OTHER_PAY_CODE, checkout_request_id="ws_CO_2"
    )
    await office.add_purchase(other, "d" * 32)
    told = callback_paid(amount=Money(1500), receipt=RECEIPT)
    await office.books.store.write(lambda tx: office.settlement.judge(tx).settle(PURCHASE_ID, told))
    with pytest.raises(ConflictError) as raised:
        await office.desk.assign_to_purchase(RECEIPT, OTHER_PAY_CODE, "mary")
    assert raised.value.code == "payment.of_other"
    handled = await office.desk.assign_to_customer(RECEIPT, ForCustomer(OTHER_PHONE, "1h", MAC), "mary")
    assert handled.grant is not None
    assert handled.payment.disposition is Disposition.WALLET
    right = callback_paid(receipt=OTHER_RECEIPT)
    await office.books.store.write(lambda tx: office.settlement.judge(tx).settle(PURCHASE_ID, right))
    assert office.payment(OTHER_RECEIPT).disposition is Disposition.GRANT


async def test_what_is_placed_is_not_assigned(office: Office) -> None:
    """Only unmatched money is assigned; a second assignment is told what became of it."""
    await enter(office)
    await office.desk.assign_to_customer(RECEIPT, ForCustomer(OTHER_PHONE, "1h"), "mary")
    with pytest.raises(ConflictError) as raised:
        await office.desk.assign_to_customer(RECEIPT, ForCustomer(PAYER), "joe")
    assert "it bought 1 hour" in raised.value.message


async def test_what_is_unknown_is_said_so(office: Office) -> None:
    """No such payment, no such code, no such package; a code that is none."""
    await enter(office)
    with pytest.raises(NotFoundError) as payment:
        await office.desk.assign_to_purchase("UKLAAAAAA1", PAY_CODE, "mary")
    with pytest.raises(NotFoundError) as purchase:
        await office.desk.assign_to_purchase(RECEIPT, PAY_CODE, "mary")
    with pytest.raises(NotFoundError) as package:
        await office.desk.assign_to_customer(RECEIPT, ForCustomer(PAYER, "none"), "mary")
    with pytest.raises(InvalidError) as code:
        await office.desk.assign_to_purchase(RECEIPT, "ABCDEFG", "mary")
    assert [each.value.code for each in (payment, purchase, package, code)] == [
        "payment.unknown",
        "purchase.unknown",
        "purchase.package_closed",
        "pay_code.unreadable",
    ]
    assert office.payment(RECEIPT).disposition is Disposition.UNMATCHED


# --- giving back


async def test_unmatched_money_is_given_back(office: Office) -> None:
    """It is noted, with why and by whom, and cannot be given back or assigned again."""
    await enter(office)
    refunded = await office.desk.refund(RECEIPT, "reversed at the counter", "mary")
    assert refunded.disposition is Disposition.REFUNDED
    assert refunded.description == "Given back: reversed at the counter"
    assert office.payment(RECEIPT) == refunded
    assert office.told(refunded.payment_id) == ["staff.entered", "staff.refunded"]
    with pytest.raises(ConflictError):
        await office.desk.refund(RECEIPT, "again", "mary")
    with pytest.raises(ConflictError):
        await office.desk.assign_to_customer(RECEIPT, ForCustomer(PAYER), "mary")


async def test_credit_is_given_back_while_it_is_there(office: Office) -> None:
    """Credit leaves the wallet it is in; what is spent of it already cannot be given back."""
    await enter(office)
    credited = await office.desk.assign_to_customer(RECEIPT, ForCustomer(OTHER_PHONE), "mary")
    customer_id = credited.payment.customer_id
    assert customer_id is not None
    await office.desk.refund(RECEIPT, "paid twice", "mary")
    assert office.tables.ledger.wallet(customer_id) == Money(0)
    assert office.tables.ledger.balances()[AccountKind.REFUNDED] == 1000
    await enter(office, OTHER_RECEIPT, Money(600))
    await enter(office, "UKLAAAAAA1", Money(600))
    for receipt, package_id in ((OTHER_RECEIPT, None), ("UKLAAAAAA1", "1h")):
        await office.desk.assign_to_customer(receipt, ForCustomer(OTHER_PHONE, package_id), "mary")
    with pytest.raises(ConflictError) as raised:
        await office.desk.refund(OTHER_RECEIPT, "too late", "mary")
    assert raised.value.code == "wallet.spent"


async def test_what_bought_something_is_not_given_back(office: Office) -> None:
    """Money that bought a grant stays sold."""
    await enter(office)
    await office.desk.assign_to_customer(RECEIPT, ForCustomer(OTHER_PHONE, "1h"), "mary")
    with pytest.raises(ConflictError):
        await office.desk.refund(RECEIPT, "no", "mary")


@pytest.mark.parametrize("note", ["", "   ", "a\nb", "x" * (NOTE_LENGTH_MAX + 1)])
async def test_a_note_is_needed(office: Office, note: str) -> None:
    """One line that says how; nothing happens without."""
    await enter(office)
    with pytest.raises(InvalidError):
        await office.desk.refund(RECEIPT, note, "mary")
    assert office.payment(RECEIPT).disposition is Disposition.UNMATCHED


# --- listing


async def test_lists_are_newest_first_and_bounded(office: Office) -> None:
    """The newest come first, no more than asked for; those that are placed show only in the whole list."""
    receipts = [RECEIPT, OTHER_RECEIPT, "UKLAAAAAA1"]
    for receipt in receipts:
        await enter(office, receipt)
        office.books.time.advance(60)
    await office.desk.assign_to_customer("UKLAAAAAA1", ForCustomer(OTHER_PHONE), "mary")
    everything = await office.desk.payments(None, unmatched=False, limit=10)
    assert [each.mpesa_receipt_number for each in everything] == receipts[::-1]
    waiting = await office.desk.payments(TENANT, unmatched=True, limit=1)
    assert [each.mpesa_receipt_number for each in waiting] == [OTHER_RECEIPT]
