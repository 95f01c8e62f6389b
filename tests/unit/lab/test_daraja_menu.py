from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.errors import ConflictError, EdgeError, InvalidError, NotFoundError
from easyisp_edge.lab.daraja import (
    EQUITY,
    SANDBOX_MERCHANT,
    DarajaLab,
    DarajaOptions,
    Language,
    Merchant,
    MerchantKind,
    NoApiMerchant,
    Payer,
    ReceiverKind,
)
from tests.fakes.daraja_stage import PHONE, CrankedClock, SeededRandomness, Stage, daraja_stage

PAYBILL = SANDBOX_MERCHANT.short_code
OTHER = "254110000001"
OWNER = "254722000001"
STORE = Merchant("600100", "passkey", "lab-key", "lab-secret", "JUA CAFE", MerchantKind.BUYGOODS, till="512345")
TILL = NoApiMerchant("898989", "KIOSK YA MAMA", owner_phone=OWNER)
OWN_PAYBILL = NoApiMerchant("777777", "SACCO", ReceiverKind.PAYBILL, owner_phone=OWNER)
POCHI = NoApiMerchant("0733 000 001", "MARY WAMBUI", ReceiverKind.POCHI)
NO_API = (TILL, OWN_PAYBILL, POCHI)
KINDS = tuple(ReceiverKind)


def named(stage: Stage, language: Language = Language.ENGLISH) -> None:
    stage.lab.set_name(PHONE, "JANE DOE")
    stage.lab.set_name(OTHER, "PETER OTIENO")
    stage.lab.set_language(PHONE, language)


async def pay(stage: Stage, kind: ReceiverKind, shillings: int = 1200) -> str:
    """Pay that kind of receiver; returns the receipt."""
    number, account = {
        ReceiverKind.PAYBILL: (PAYBILL, "AB3-K9"),
        ReceiverKind.TILL: ("512345", ""),
        ReceiverKind.BANK: (EQUITY.paybill, "0110203040506"),
        ReceiverKind.PHONE: ("0110 000 001", ""),
        ReceiverKind.POCHI: ("0733000001", ""),
    }[kind]
    asked = ReceiverKind.PAYBILL if kind is ReceiverKind.BANK else kind
    return (await stage.lab.pay_from_menu(PHONE, asked, number, account, shillings)).receipt


async def test_a_payment_from_the_menu_is_a_debit_like_any_other() -> None:
    """Balance down by it, account up, one debit with no CheckoutRequestID, a dated receipt, one message."""
    async with daraja_stage() as stage:
        debit = await stage.lab.pay_bill("0708 374 149", PAYBILL, " ab3 k9 ", 50)
        assert stage.lab.debits == [debit]
        assert re.fullmatch(r"UKL[0-9][0-9A-Z]{6}", debit.receipt)
        assert (debit.phone, debit.shillings, debit.at) == (PHONE, 50, stage.clock.now())
        assert (debit.short_code, debit.party_b, debit.account_reference) == (PAYBILL, PAYBILL, "ab3 k9")
        assert debit.checkout_request_id == ""
        assert stage.lab.balance_shillings(PHONE) == debit.balance_after_shillings == 4950
        assert stage.lab.account_shillings(ReceiverKind.PAYBILL, PAYBILL) == 50
        (message,) = stage.lab.messages(PHONE)
        assert message.text.startswith(f"{debit.receipt} Confirmed.")
        assert stage.lab.pushes == []


ENGLISH_TAIL = "Transaction cost, Ksh0.00.Amount you can transact within the day is 498,800.00."
ENGLISH = {
    ReceiverKind.PAYBILL: "{} Confirmed. Ksh1,200.00 sent to EASYISP LAB for account AB3-K9 on 21/11/26 at 9:00 AM "
    "New M-PESA balance is Ksh3,800.00. " + ENGLISH_TAIL,
    ReceiverKind.TILL: "{} Confirmed. Ksh1,200.00 paid to JUA CAFE. on 21/11/26 at 9:00 AM."
    "New M-PESA balance is Ksh3,800.00. " + ENGLISH_TAIL,
    ReceiverKind.BANK: "{} Confirmed. Ksh1,200.00 sent to EQUITY BANK for account 0110203040506 on 21/11/26 at "
    "9:00 AM New M-PESA balance is Ksh3,800.00. " + ENGLISH_TAIL,
    ReceiverKind.PHONE: "{} Confirmed. Ksh1,200.00 sent to PETER  OTIENO 0110000001 on 21/11/26 at 9:00 AM. "
    "New M-PESA balance is Ksh3,800.00. " + ENGLISH_TAIL,
    ReceiverKind.POCHI: "{} Confirmed. Ksh1,200.00 sent to MARY  WAMBUI on 21/11/26 at 9:00 AM. "
    "New M-PESA balance is Ksh3,800.00. " + ENGLISH_TAIL,
}
SWAHILI_TAIL = "Baki yako ya M-PESA ni Ksh3,800.00. Gharama ya kutuma ni Ksh0.00."
SWAHILI = {
    ReceiverKind.PAYBILL: "{} Imethibitishwa. Ksh1,200.00 imetumwa kwa EASYISP LAB kwa akaunti nambari AB3-K9 "
    "tarehe 21/11/26 saa 9:00 AM " + SWAHILI_TAIL,
    ReceiverKind.TILL: "{} Imethibitishwa. Umelipa Ksh1,200.00 kwa JUA CAFE 21/11/26 9:00 AM."
    "Baki yako mpya katika M-PESA ni Ksh3,800.00. Gharama ya kununua ni Ksh0.00",
    ReceiverKind.BANK: "{} Imethibitishwa. Ksh1,200.00 imetumwa kwa EQUITY BANK kwa akaunti nambari 0110203040506 "
    "tarehe 21/11/26 saa 9:00 AM " + SWAHILI_TAIL,
    ReceiverKind.PHONE: "{} Imethibitishwa Ksh1,200.00 imetumwa kwa PETER  OTIENO 0110000001 tarehe 21/11/26 saa "
    "9:00 AM. " + SWAHILI_TAIL,
    ReceiverKind.POCHI: "{} Imethibitishwa Ksh1,200.00 imetumwa kwa MARY  WAMBUI tarehe 21/11/26 saa 9:00 AM. "
    + SWAHILI_TAIL,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("language", "forms"), [(Language.ENGLISH, ENGLISH), (Language.SWAHILI, SWAHILI)])
async def test_the_payer_gets_the_form_of_that_payment(
    kind: ReceiverKind, language: Language, forms: dict[ReceiverKind, str]
) -> None:
    """Each way to pay has its own wording, in the phone's language, punctuation included."""
    async with daraja_stage(merchants=(SANDBOX_MERCHANT, STORE), no_api=NO_API) as stage:
        named(stage, language)
        receipt = await pay(stage, kind)
        assert [message.text for message in stage.lab.messages(PHONE)] == [forms[kind].format(receipt)]


async def test_a_push_is_answered_in_the_phones_language_too() -> None:
    """The language belongs to the phone, not to the way of paying."""
    async with daraja_stage() as stage:
        named(stage, Language.SWAHILI)
        await stage.lab.act(await stage.pushed(), Payer.PIN)
        assert "Imethibitishwa. Ksh50.00 imetumwa kwa EASYISP LAB" in stage.lab.messages(PHONE)[0].text


RECEIVED: dict[str, tuple[ReceiverKind, str]] = {
    "898989": (
        ReceiverKind.TILL,
        (
            "{} Confirmed.on 21/11/26 at 9:00 AMKsh1,200.00 received from 254708374149 JANE DOE. "
            "New Account balance is Ksh1200.00. Transaction cost, Ksh0.00."
        ),
    ),
    "777777": (
        ReceiverKind.PAYBILL,
        (
            "{} Confirmed. on 21/11/26 at 9:00 AM Ksh1,200.00 received from JANE DOE 254708374149.  "
            "Account Number HOUSE 4 New Utility balance is Ksh1,200.00"
        ),
    ),
    "0733000001": (
        ReceiverKind.POCHI,
        (
            "{} Confirmed.You have received Ksh1,200.00 from JANE  DOE on 21/11/26 at 9:00 AM  "
            "New business balance is Ksh1,200.00. To access your funds, Dial *334#"
        ),
    ),
    "0110000001": (
        ReceiverKind.PHONE,
        (
            "{} Confirmed.You have received Ksh1,200.00 from Jane Doe 0708***149 on 21/11/26 at 9:00 AM  "
            "New M-PESA balance is Ksh6,200.00."
        ),
    ),
}


@pytest.mark.parametrize("number", RECEIVED)
async def test_who_has_no_api_learns_of_money_by_text(number: str) -> None:
    """Till, PayBill, business wallet and phone each get their own form, on the right phone; no short code shows it."""
    kind, form = RECEIVED[number]
    async with daraja_stage(no_api=NO_API) as stage:
        named(stage)
        await stage.register_pull()
        debit = await stage.lab.pay_from_menu(PHONE, kind, number, "HOUSE 4", 1200)
        (message,) = stage.lab.received_sms(number)
        assert message.text == form.format(debit.receipt)
        owner = OWNER if len(number) < 8 else "254" + number[1:]
        assert stage.lab.messages(owner) == [message]
        assert debit.short_code == ""
        assert (await stage.pull()).body["ResponseCode"] == "1001"


async def test_a_receivers_forms_have_variants() -> None:
    """A till's message may mask the payer; a person's comes in their own language, with the number in whole."""
    options = replace(DarajaOptions.unhurried(), till_sms_masks_phone=True)
    async with daraja_stage(options, no_api=NO_API) as stage:
        named(stage)
        stage.lab.set_language(OTHER, Language.SWAHILI)
        stage.lab.set_language(OWNER, Language.SWAHILI)
        await stage.lab.pay_till(PHONE, "898989", 20)
        assert "received from 2547******49 JANE DOE." in stage.lab.received_sms("898989")[0].text
        debit = await stage.lab.send_money(PHONE, OTHER, 10)
        assert [message.text for message in stage.lab.received_sms(OTHER)] == [
            (
                f"{debit.receipt} Imethibitishwa. Umepokea Ksh10.00 kutoka JANE  DOE 0708374149 mnamo 21/11/26 saa "
                "9:00 AM  Baki yako ya M-PESA ni Ksh5,010.00"
            )
        ]


async def test_merchants_without_api_can_be_added_later() -> None:
    """A number becomes payable when it is added, a phone under the name given, and replaced when added again."""
    async with daraja_stage() as stage:
        with pytest.raises(NotFoundError):
            await stage.lab.pay_till(PHONE, "898989", 20)
        stage.lab.add_no_api(TILL)
        stage.lab.add_no_api(replace(TILL, name="NEW NAME"))
        assert (await stage.lab.pay_till(PHONE, "898989", 20)).receiver.name == "NEW NAME"
        stage.lab.add_no_api(NoApiMerchant("0110000001", "WIFI KWA JOHN", ReceiverKind.PHONE))
        assert (await stage.lab.send_money(PHONE, OTHER, 20)).receiver.name == "WIFI KWA JOHN"
        assert stage.lab.balance_shillings(OTHER) == 5020


@pytest.mark.parametrize(
    "merchant",
    [
        NoApiMerchant("12", "SHORT", owner_phone=OWNER),
        NoApiMerchant("898989", "UNTOLD"),
        NoApiMerchant("898989", "NO PHONE", ReceiverKind.POCHI),
        NoApiMerchant(EQUITY.paybill, "A BANK", ReceiverKind.BANK),
        NoApiMerchant(PAYBILL, "USURPER", ReceiverKind.PAYBILL, owner_phone=OWNER),
    ],
)
async def test_what_is_no_merchant_without_api(merchant: NoApiMerchant) -> None:
    """A number that cannot be one, nobody to tell, a bank, or a short code that has an API."""
    async with daraja_stage() as stage:
        with pytest.raises(InvalidError):
            stage.lab.add_no_api(merchant)
        assert (await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)).receiver.name == "EASYISP LAB"


async def test_a_banks_paybill_takes_the_money_and_shows_nothing() -> None:
    """Paid from the menu or by a push, what goes to a bank leaves no row and no notice on the own short code."""
    merchant = replace(SANDBOX_MERCHANT, banks=(EQUITY,))
    async with daraja_stage(merchants=(merchant,)) as stage:
        await stage.register_urls()
        await stage.register_pull()
        await stage.lab.pay_bill(PHONE, EQUITY.paybill, "0110203040506", 70)
        await stage.lab.act(await stage.pushed(PartyB=EQUITY.paybill, AccountReference="011020304050"), Payer.PIN)
        await stage.lab.quiet()
        assert [debit.receiver.kind for debit in stage.lab.debits] == [ReceiverKind.BANK, ReceiverKind.BANK]
        assert [debit.short_code for debit in stage.lab.debits] == ["", PAYBILL]
        assert stage.lab.balance_shillings(PHONE) == 4880
        assert (await stage.pull()).body["ResponseCode"] == "1001"
        assert stage.lab.notices == []
        assert stage.lab.account_shillings(ReceiverKind.PAYBILL, PAYBILL) == 0


@pytest.mark.parametrize(
    ("kind", "number", "account", "shillings", "error"),
    [
        ("paybill", "999999", "A", 1, NotFoundError),
        ("paybill", "512345", "A", 1, NotFoundError),
        ("till", PAYBILL, "", 1, NotFoundError),
        ("pochi", "0110000001", "", 1, NotFoundError),
        ("paybill", PAYBILL, " ", 1, InvalidError),
        ("paybill", PAYBILL, "A" * 21, 1, InvalidError),
        ("paybill", PAYBILL, "A", 0, InvalidError),
        ("paybill", PAYBILL, "A", -5, InvalidError),
        ("phone", "12", "", 1, InvalidError),
        ("phone", PHONE, "", 1, InvalidError),
        ("paybill", PAYBILL, "A", 5001, ConflictError),
        ("paybill", PAYBILL, "A", 250_001, ConflictError),
    ],
)
async def test_what_the_menu_refuses(
    kind: str, number: str, account: str, shillings: int, error: type[EdgeError]
) -> None:
    """An unknown number, a PayBill as till, nothing to type, one's own phone, too much: no money moves."""
    async with daraja_stage(merchants=(SANDBOX_MERCHANT, STORE)) as stage:
        with pytest.raises(error):
            await stage.lab.pay_from_menu(PHONE, ReceiverKind(kind), number, account, shillings)
        assert stage.lab.debits == []
        assert stage.lab.balance_shillings(PHONE) == 5000


async def test_refusals_m_pesa_writes_about() -> None:
    """Too little money, a wrong PIN, the daily limit: told on the phone, without a receipt."""
    async with daraja_stage() as stage:
        with pytest.raises(ConflictError, match="not have enough money"):
            await stage.lab.pay_bill(PHONE, PAYBILL, "A", 5001)
        with pytest.raises(ConflictError, match="wrong PIN"):
            await stage.lab.pay_from_menu(PHONE, ReceiverKind.PAYBILL, PAYBILL, "A", 5, pin="0000")
        stage.lab.set_balance(PHONE, 600_000)
        for _ in range(2):
            await stage.lab.pay_bill(PHONE, PAYBILL, "A", 250_000)
        with pytest.raises(ConflictError, match="within the day"):
            await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)
        failures = [message.text for message in stage.lab.messages(PHONE) if "Confirmed" not in message.text]
        assert [text.split(".")[0] for text in failures] == ["Failed"] * 3
        assert len(stage.lab.debits) == 2


async def test_limits_count_pushes_and_menu_together() -> None:
    """What a push took from the day's limit is missing in the menu."""
    async with daraja_stage() as stage:
        stage.lab.set_balance(PHONE, 600_000)
        await stage.lab.act(await stage.pushed(Amount=250_000), Payer.PIN)
        await stage.lab.pay_bill(PHONE, PAYBILL, "A", 250_000)
        with pytest.raises(ConflictError):
            await stage.lab.pay_bill(PHONE, PAYBILL, "A", 1)


async def test_a_reversal_brings_the_money_back_and_tells_of_it() -> None:
    """Its own receipt first, then the payment's; the phone has its money again, the receiver no longer."""
    async with daraja_stage(no_api=NO_API) as stage:
        debit = await stage.lab.pay_till(PHONE, "898989", 1200)
        reversal = stage.lab.reverse(debit.receipt)
        assert (reversal.of, reversal.shillings, stage.lab.reversals) == (debit.receipt, 1200, [reversal])
        assert reversal.receipt != debit.receipt
        assert stage.lab.messages(PHONE)[-1].text == (
            f"{reversal.receipt}  confirmed. Reversal of transaction {debit.receipt} has been successfully reversed  "
            "on 21/11/26  at 9:00 AM and Ksh1,200.00 is credited to your M-PESA account. "
            "New M-PESA account balance is Ksh5,000.00."
        )
        assert "is debited from your M-PESA account" in stage.lab.received_sms("898989")[-1].text
        assert stage.lab.balance_shillings(PHONE) == 5000
        assert stage.lab.account_shillings(ReceiverKind.TILL, "898989") == 0
        assert stage.lab.debits == [debit]


async def test_a_reversal_happens_once_and_only_with_money_there() -> None:
    """A second one, one of an unknown receipt and one of money already spent are refused and move nothing."""
    async with daraja_stage() as stage:
        debit = await stage.lab.send_money(PHONE, OTHER, 100)
        stage.lab.set_balance(OTHER, 99)
        with pytest.raises(ConflictError):
            stage.lab.reverse(debit.receipt)
        stage.lab.set_balance(OTHER, 100)
        stage.lab.reverse(debit.receipt)
        with pytest.raises(ConflictError):
            stage.lab.reverse(debit.receipt)
        with pytest.raises(NotFoundError):
            stage.lab.reverse("UKL0000000")
        assert (stage.lab.balance_shillings(PHONE), stage.lab.balance_shillings(OTHER)) == (5000, 0)
        assert len(stage.lab.reversals) == 1


async def test_a_push_can_be_reversed_too() -> None:
    """Whatever way the money came."""
    async with daraja_stage() as stage:
        await stage.lab.act(await stage.pushed(), Payer.PIN)
        stage.lab.reverse(stage.lab.debits[0].receipt)
        assert stage.lab.balance_shillings(PHONE) == 5000


async def test_settled_money_has_left_m_pesa() -> None:
    """A merchant can settle what is there and no more; what is settled cannot be reversed."""
    async with daraja_stage() as stage:
        debit = await stage.lab.pay_bill(PHONE, PAYBILL, "A", 100)
        for shillings in (0, -1, 101):
            with pytest.raises(ConflictError):
                stage.lab.settle(ReceiverKind.PAYBILL, PAYBILL, shillings)
        assert stage.lab.settle(ReceiverKind.PAYBILL, PAYBILL, 40).shillings == 40
        assert stage.lab.account_shillings(ReceiverKind.PAYBILL, PAYBILL) == 60
        with pytest.raises(ConflictError):
            stage.lab.reverse(debit.receipt)


PEOPLE = (PHONE, OTHER, OWNER)
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["paybill", "till", "bank", "phone", "pochi", "reverse", "settle"]),
        st.sampled_from(PEOPLE),
        st.sampled_from(PEOPLE),
        st.integers(0, 6000),
    ),
    max_size=30,
)


@given(MOVES)
def test_no_shilling_is_made_or_lost(moves: list[tuple[str, str, str, int]]) -> None:
    """Whatever is paid, reversed and settled, refused or not: the sum of all accounts stays, receipts are unique."""

    async def play() -> None:
        lab = DarajaLab(
            clock=CrankedClock(),
            randomness=SeededRandomness(),
            merchants=(SANDBOX_MERCHANT, STORE),
            no_api=NO_API,
        )
        for move in moves:
            with contextlib.suppress(EdgeError):
                await _make(lab, *move)
        accounts = [
            (ReceiverKind.PAYBILL, PAYBILL),
            (ReceiverKind.TILL, "512345"),
            (ReceiverKind.PAYBILL, EQUITY.paybill),
            (ReceiverKind.POCHI, "0733000001"),
        ]
        held = sum(lab.account_shillings(*account) for account in accounts)
        settled = sum(settlement.shillings for settlement in lab._ledger.settlements)
        assert held + settled + sum(lab.balance_shillings(phone) for phone in PEOPLE) == 15_000
        receipts = [debit.receipt for debit in lab.debits] + [reversal.receipt for reversal in lab.reversals]
        receipts += [settlement.receipt for settlement in lab._ledger.settlements]
        assert len(set(receipts)) == len(receipts)
        assert all(lab.balance_shillings(phone) >= 0 for phone in PEOPLE)

    asyncio.run(play())


async def _make(lab: DarajaLab, move: str, phone: str, other: str, shillings: int) -> Any:
    if move == "reverse":
        return lab.reverse(lab.debits[shillings % len(lab.debits)].receipt) if lab.debits else None
    if move == "settle":
        return lab.settle(ReceiverKind.PAYBILL, PAYBILL, shillings)
    if move == "bank":
        return await lab.pay_bill(phone, EQUITY.paybill, "0110203040506", shillings)
    numbers = {"paybill": PAYBILL, "till": "512345", "phone": other, "pochi": "0733000001"}
    return await lab.pay_from_menu(phone, ReceiverKind(move), numbers[move], "A", shillings)
