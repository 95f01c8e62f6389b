"""Pasted messages: every form in both languages is read, whatever customers do to it, and nothing is invented."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.mpesa_messages import (
    NAME_LENGTH_MAX,
    PASTED_LENGTH_MAX,
    MessageKind,
    PastedMessage,
    read_pasted,
)
from easyisp_edge.domain.receipts import receipt_day
from easyisp_edge.domain.values import NAIROBI, Money
from easyisp_edge.errors import InvalidError

MESSAGES = Path(__file__).parent / "mpesa_messages"
CODES = {"claim.empty", "claim.no_receipt", "claim.reversal", "claim.not_paid", "claim.too_long"}
TILL, FULIZA, REVERSAL = "till_en", "fuliza_companion_en", "reversal_credited_en"


def message(case: str) -> str:
    return (MESSAGES / f"{case}.txt").read_text(encoding="utf-8").rstrip("\n")


def nairobi(year: int, month: int, day: int, hour: int, minute: int) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=NAIROBI).astimezone(UTC)


def shillings(text: str) -> Money:
    return Money.parse(text)


READ = {
    "paybill_en": PastedMessage(
        "UFC7K2M4Q8", shillings("1250"), "ADK7Y3M", "LAKESIDE NET", nairobi(2026, 6, 12, 9, 5), MessageKind.PAYBILL
    ),
    "paybill_capitals_en": PastedMessage(
        "UBG1Q8HT2D", shillings("10"), "Order-SB1-00000387", "Lakeside-Net", nairobi(2026, 2, 16, 16, 12),
        MessageKind.PAYBILL,
    ),
    "paybill_bank_en": PastedMessage(
        "UEU5R7ZD2P", shillings("500"), "5800000001", "UMOJA BANK 247", nairobi(2026, 5, 30, 10, 41),
        MessageKind.PAYBILL,
    ),
    "till_en": PastedMessage(
        "UF3X4PP71C", shillings("400"), "", "MAMA ASHA SHOP & SONS", nairobi(2026, 6, 3, 12, 41), MessageKind.TILL
    ),
    "till_aggregator_en": PastedMessage(
        "UEB4T0V9SS", shillings("30"), "", "PETER OTIENO", nairobi(2026, 5, 11, 0, 7), MessageKind.TILL
    ),
    "person_en": PastedMessage(
        "UET6Q3W8ZA", shillings("50"), "", "ASHA MWANGI", nairobi(2026, 5, 29, 20, 10), MessageKind.PERSON
    ),
    "pochi_hidden_en": PastedMessage(
        "UET9K1J5TB", shillings("40"), "", "ASHA MWANGI", nairobi(2026, 5, 29, 21, 12), MessageKind.PERSON
    ),
    "pochi_named_en": PastedMessage(
        "UET2M8C0RD", shillings("20"), "", "ASHA'S KIOSK", nairobi(2026, 5, 29, 21, 30), MessageKind.PERSON
    ),
    "airtime_en": PastedMessage(
        "TLR3V7D1QX", shillings("30"), "", "", nairobi(2025, 12, 27, 10, 15), MessageKind.AIRTIME
    ),
    "fuliza_companion_en": PastedMessage("UF3X4PP71C", kind=MessageKind.FULIZA),
    "fuliza_repaid_en": PastedMessage("UET1H9S3YE", kind=MessageKind.FULIZA),
    "received_person_en": PastedMessage(
        "UFF4C8N2PE", shillings("5000"), "", "Asha Mwangi", nairobi(2026, 6, 15, 18, 31), MessageKind.RECEIVED
    ),
    "received_organisation_en": PastedMessage(
        "UE94C0V2RF", shillings("8000"), "", "AKIBA", nairobi(2026, 5, 9, 22, 0), MessageKind.RECEIVED
    ),
    "received_doubled_ksh_en": PastedMessage(
        "SLR5W1B8QG", shillings("4870"), "", "AKIBA", nairobi(2024, 12, 27, 7, 0), MessageKind.RECEIVED
    ),
    "received_remittance_en": PastedMessage(
        "UEU3J6L0XH", shillings("12852"), "", "Asha Mwangi in UK", nairobi(2026, 5, 30, 20, 6), MessageKind.RECEIVED
    ),
    "received_till_owner_en": PastedMessage(
        "QAJ2F6T9SJ", shillings("40"), "", "ASHA MWANGI", nairobi(2022, 1, 19, 15, 57), MessageKind.RECEIVED
    ),
    "received_till_owner_masked_en": PastedMessage(
        "UGF0M7D3GK", shillings("40"), "", "ASHA MWANGI", nairobi(2026, 7, 15, 15, 57), MessageKind.RECEIVED
    ),
    "received_paybill_owner_en": PastedMessage(
        "LJJ6K3D9VL", shillings("5000"), "BLOCK C 12", "ASHA MWANGI", nairobi(2017, 10, 19, 11, 1),
        MessageKind.RECEIVED,
    ),
    "received_pochi_en": PastedMessage(
        "TCI9Z0X2GM", shillings("10"), "", "ASHA MWANGI", nairobi(2025, 3, 18, 12, 3), MessageKind.RECEIVED
    ),
    "bank_own_en": PastedMessage(
        "UCUP6C3BNN", shillings("1850"), "", "0322417800001", nairobi(2026, 3, 30, 22, 22), MessageKind.OTHER
    ),
    "person_sw": PastedMessage(
        "TAE9K2E3VN", shillings("1"), "", "ASHA MWANGI", nairobi(2025, 1, 14, 17, 44), MessageKind.PERSON
    ),
    "received_sw": PastedMessage(
        "TAE1D2D3YP", shillings("1"), "", "ASHA MWANGI", nairobi(2025, 1, 14, 17, 39), MessageKind.RECEIVED
    ),
    "till_sw": PastedMessage(
        "TAF8R2H7ZQ", shillings("20"), "", "MAMA ASHA", nairobi(2025, 1, 15, 16, 53), MessageKind.TILL
    ),
    "airtime_sw": PastedMessage(
        "TAG5B3T6XR", shillings("5"), "", "", nairobi(2025, 1, 16, 20, 44), MessageKind.AIRTIME
    ),
    "paybill_sw": PastedMessage(
        "TAG7Y1N5LS", shillings("99"), "ADK7Y3M", "LAKESIDE NET", nairobi(2025, 1, 16, 7, 2), MessageKind.PAYBILL
    ),
    "bundles_sw": PastedMessage(
        "TAG2V8W4CT", shillings("20"), "DATA BUNDLES", "DATA BUNDLES", nairobi(2025, 1, 16, 6, 10),
        MessageKind.PAYBILL,
    ),
    "withdrawal_en": PastedMessage(
        "TA37D1F2SU", shillings("300"), "", "", nairobi(2025, 1, 3, 11, 1), MessageKind.OTHER
    ),
    "balance_sw": PastedMessage("TAE0C3Z6JV", kind=MessageKind.OTHER),
}  # fmt: skip
REFUSED = {
    "reversal_debited_en": "claim.reversal",
    "reversal_credited_en": "claim.reversal",
    "failed_shortage_en": "claim.not_paid",
    "failed_with_code_en": "claim.not_paid",
    "shortage_sw": "claim.not_paid",
}


def refusal(text: str) -> InvalidError:
    with pytest.raises(InvalidError) as refused:
        read_pasted(text)
    return refused.value


def read_or_refused(text: str) -> PastedMessage | None:
    """What a text says; None where it is refused by one of the codes."""
    try:
        return read_pasted(text)
    except InvalidError as error:
        refused = error
    assert refused.code in CODES
    return None


def stands_in(receipt: str, text: str) -> bool:
    """Whether a receipt stands in a text, in letters that were really typed."""
    plain = re.sub(r"[a-z]", lambda letter: letter[0].upper(), text)
    lone = "".join(letter for letter in plain if letter.isalnum())
    return receipt in plain or receipt == lone


def test_every_kept_message_has_its_expectation() -> None:
    """None lies about unread."""
    assert {path.stem for path in MESSAGES.glob("*.txt")} == READ.keys() | REFUSED.keys()


@pytest.mark.parametrize("case", READ)
def test_every_form_is_read(case: str) -> None:
    """In full: receipt, amount, account, other party, moment and kind."""
    assert read_pasted(message(case)) == READ[case]


@pytest.mark.parametrize("case", REFUSED)
def test_what_tells_of_no_payment_is_refused(case: str) -> None:
    """Money that went back, and money that never left."""
    assert refusal(message(case)).code == REFUSED[case]


@pytest.mark.parametrize("case", READ)
@pytest.mark.parametrize(
    "spoil",
    [
        str.lower,
        str.upper,
        lambda text: text.replace(" ", "  "),
        lambda text: text.replace(" ", "\u00a0"),
        lambda text: text.replace(" ", "\r\n"),
        lambda text: f"\u200e\ufeff{text}\n\n",
        lambda text: f"MPESA: {text}",
        lambda text: f"[15/06, 10:22] Asha: {text}",
        lambda text: f"nimelipa, check\n{text}\nthanks",
        lambda text: f'"{text}"',
    ],
    ids=["lower", "upper", "blanks", "nbsp", "lines", "marks", "sender", "forwarded", "wrapped", "quoted"],
)
def test_no_spoiling_hides_the_payment(case: str, spoil: object) -> None:
    """Whatever phones and people do to a message on its way."""
    assert callable(spoil)
    told, spoilt = READ[case], read_pasted(spoil(message(case)))
    assert (spoilt.receipt, spoilt.amount, spoilt.kind) == (told.receipt, told.amount, told.kind)
    assert spoilt.paid_at == told.paid_at
    assert spoilt.counterparty.upper() == told.counterparty.upper()


@pytest.mark.parametrize("case", READ)
def test_any_beginning_of_a_message_keeps_its_receipt(case: str) -> None:
    """Part of a message is enough, and never gives another receipt, amount, account or moment."""
    text, told = message(case), READ[case]
    begins = text.upper().find(told.receipt)
    for length in range(begins + 10, len(text) + 1):
        part = read_pasted(text[:length])
        assert part.receipt == told.receipt
        assert part.paid_at in {None, told.paid_at}
        assert part.amount in {None, told.amount} or told.kind is MessageKind.FULIZA
        assert part.account in {"", told.account}


@pytest.mark.parametrize("case", sorted(READ.keys() - {"bank_own_en"}))
def test_a_message_without_its_code_has_no_receipt(case: str) -> None:
    """Nothing else in it is taken for one, its account included."""
    assert refusal(message(case)[10:]).code == "claim.no_receipt"


@pytest.mark.parametrize("joint", ["\n", " ", ". "])
@pytest.mark.parametrize("other", [FULIZA, REVERSAL, "failed_shortage_en", "airtime_en", "fuliza_repaid_en"])
@pytest.mark.parametrize("payment", [TILL, "paybill_en", "person_en", "till_sw"])
def test_the_payment_wins_over_what_is_pasted_with_it(payment: str, other: str, joint: str) -> None:
    """In both orders, however the two are joined."""
    assert read_pasted(message(payment) + joint + message(other)) == READ[payment]
    assert read_pasted(message(other) + joint + message(payment)) == READ[payment]


def test_messages_glued_after_a_full_stop_are_told_apart() -> None:
    """As a chat program leaves them."""
    assert read_pasted(message(FULIZA) + message(TILL)) == READ[TILL]


def test_of_two_payments_the_first_counts() -> None:
    """The customer is told which one was read, and can paste the other."""
    assert read_pasted(f"{message('person_en')} {message(TILL)}").receipt == READ["person_en"].receipt


def test_a_payment_made_wins_over_one_received() -> None:
    """Who was sent money and paid with it has both on the phone."""
    assert read_pasted(f"{message('received_person_en')} {message(TILL)}") == READ[TILL]


@pytest.mark.parametrize(
    "text",
    [
        "UE92Q3N5H7", "ue92q3n5h7", "UE9 2Q3N 5H7", "ue92q3n5h7.", " *UE92Q3N5H7* ", "UE92-Q3N5-H7",
        "UE92Q3N5H7 Confirmed.", "ue92q3n5h7confirmed",
    ],
)  # fmt: skip
def test_a_bare_code_is_read(text: str) -> None:
    """In every way people type one."""
    assert read_pasted(text) == PastedMessage("UE92Q3N5H7")


@pytest.mark.parametrize("text", ["yzlyrEsRG1", "YZLYRESRG1 Confirmed. Ksh5.00 paid to X. on 9/5/26 at 1:00 PM."])
def test_receipts_without_a_scheme_are_read(text: str) -> None:
    """Alone and before "Confirmed": the sandbox gives such."""
    assert read_pasted(text).receipt == "YZLYRESRG1"


@pytest.mark.parametrize(
    "text",
    [
        "my code is ue92q3n5h7", "UE92Q3N5H7 not connected please", "nimelipa 50 bob UE92Q3N5H7!",
        "it failed. UE92Q3N5H7", "Risiti: UE92Q3N5H7", "code no. UE92Q3N5H7", "Transaction ID:UE92Q3N5H7",
        "Paid for account SB12345678 on 9/5/26, ref UE92Q3N5H7",
    ],
)  # fmt: skip
def test_a_code_among_own_words_is_found(text: str) -> None:
    """And the account of the payment is not taken for it."""
    said = read_pasted(text)
    assert (said.receipt, said.kind) == ("UE92Q3N5H7", MessageKind.OTHER)


@pytest.mark.parametrize(
    "text",
    [
        "hello world", "the management confirmed the withdrawal", "Management said settlement",
        "0712345678 confirmed", "Call 0712345678", "my number is 254712345678",
        "see https://example.net/UE92Q3N5H7", "UE92Q3N5H7@example.net", "xUE92Q3N5H7 was it",
        "I paid: UE92Q3N5H\u0667", "I paid: \u0415UE92Q3N5H7", "UE92Q3N5H7\u0415 I paid", "BI94HR849 Confirmed. Ksh5",
        "i paid 20 ksh", "Ref: INV0012345", "...", "\u0663\u0663\u0663", "Confirmed. Ksh400.00 paid to MAMA ASHA.",
    ],
)  # fmt: skip
def test_no_receipt_is_invented(text: str) -> None:
    """Words, phone numbers, links, look-alike alphabets, the nine characters of long ago."""
    assert refusal(text).code == "claim.no_receipt"


@pytest.mark.parametrize(
    ("text", "code", "telling"),
    [
        ("", "claim.empty", "Paste the message"),
        (" \u00a0\u200b\r\n\0", "claim.empty", "Paste the message"),
        ("UE92Q3N5H", "claim.no_receipt", "has 9: one is missing"),
        ("UE92Q3N5H77", "claim.no_receipt", "has 11: one is too many"),
        ("0712345678", "claim.no_receipt", "like a phone number"),
        ("Ksh50 sent to X", "claim.no_receipt", "Copy the whole message"),
        ("Your M-PESA balance is insufficient.", "claim.not_paid", "nothing was paid"),
        ("x" * (PASTED_LENGTH_MAX + 1), "claim.too_long", "too long"),
    ],
)
def test_a_refusal_says_what_to_do(text: str, code: str, telling: str) -> None:
    """With the field at fault, so that the page can show it there."""
    refused = refusal(text)
    assert (refused.code, refused.field) == (code, "message")
    assert telling in refused.message


@pytest.mark.parametrize(
    "wrong",
    [
        "Ksh3,3319.00", "Ksh1.2.3", "Ksh9999999999999", "Ksh,", "Ksh-5", "KshO.OO", "Ksh\u0665",
    ],
)  # fmt: skip
def test_an_amount_that_is_none_is_left_out(wrong: str) -> None:
    """Better none than a wrong one, and the balance behind it is not taken instead."""
    said = read_pasted(message(TILL).replace("Ksh400.00", wrong))
    assert (said.receipt, said.amount) == (READ[TILL].receipt, None)


@pytest.mark.parametrize(
    "wrong",
    [
        "31/2/26 at 1:00 PM", "3/13/26 at 1:00 PM", "3/6/26 at 13:00 PM", "3/6/26 at 0:30 AM", "3/6/26 at 1:60 PM",
        "3/6/26", "3/6/1 at 1:00 PM", "3/6/9999 at 1:00 PM", "0/0/00 at 0:00 AM",
    ],
)  # fmt: skip
def test_a_moment_that_is_none_is_left_out(wrong: str) -> None:
    """Edited messages have such."""
    said = read_pasted(message(TILL).replace("3/6/26 at 12:41 PM", wrong))
    assert (said.receipt, said.paid_at) == (READ[TILL].receipt, None)


def test_names_are_cut() -> None:
    """A customer's text fills no pages."""
    said = read_pasted(message("paybill_en").replace("LAKESIDE", "L" * 500).replace("ADK7Y3M", "A" * 500))
    assert (len(said.counterparty), len(said.account)) == (NAME_LENGTH_MAX, NAME_LENGTH_MAX)


# What the generated messages are made of.
RECEIPTS = st.from_regex(r"[J-V][A-L][1-9A-S][0-9][A-Z0-9]{6}", fullmatch=True)
NAMES = st.lists(
    st.sampled_from(["ASHA", "MWANGI", "NET", "O'BRIEN", "&", "DR.", "SHOP-2"]), min_size=1, max_size=4
).map(" ".join)
AMOUNTS = st.integers(1, 25_000_000).map(Money)
MOMENTS = st.datetimes(datetime(2016, 1, 1), datetime(2030, 12, 31)).map(  # noqa: DTZ001 - made aware here
    lambda moment: moment.replace(second=0, microsecond=0, tzinfo=NAIROBI)
)
FORMS = {
    MessageKind.PAYBILL: [
        "{receipt} Confirmed. Ksh{amount} sent to {name} for account {account} on {at_en} New M-PESA balance is Ksh1",
        "{receipt} Imethibitishwa. Ksh{amount} imetumwa kwa {name} kwa akaunti nambari {account} tarehe {at_sw}.",
    ],
    MessageKind.TILL: [
        "{receipt} Confirmed. Ksh{amount} paid to {name}. on {at_en}.New M-PESA balance is Ksh1.00.",
        "{receipt} Imethibitishwa. Umelipa Ksh{amount} kwa {name} {day} {hour}.Baki yako mpya katika M-PESA ni",
    ],
    MessageKind.PERSON: [
        "{receipt} Confirmed. Ksh{amount} sent to {name} 0712000111 on {at_en}. New M-PESA balance is Ksh1.00.",
        "{receipt} Imethibitishwa Ksh{amount} imetumwa kwa {name} 0712000111 tarehe {at_sw}. Baki yako ya M-PESA ni",
    ],
    MessageKind.RECEIVED: [
        "{receipt} Confirmed.You have received Ksh{amount} from {name} 0712***111 on {at_en}  New M-PESA balance",
        "{receipt} Confirmed.on {at_en}Ksh{amount} received from 254712000111 {name}. New Account balance is Ksh1.00.",
        "{receipt} Imethibitishwa. Umepokea Ksh{amount} kutoka {name} 0712000111 mnamo {at_sw}  Baki yako ya M-PESA ni",
    ],
}  # fmt: skip
GENERATED = st.sampled_from([(kind, form) for kind, forms in FORMS.items() for form in forms])


@given(GENERATED, st.tuples(RECEIPTS, AMOUNTS, MOMENTS), NAMES, st.from_regex(r"[A-Z0-9]{1,12}", fullmatch=True))
def test_a_message_of_any_form_reads_as_what_it_was_made_of(
    form: tuple[MessageKind, str], paid: tuple[str, Money, datetime], name: str, account: str
) -> None:
    """Every figure comes back, to the cent and to the minute."""
    (kind, wording), (receipt, amount, moment) = form, paid
    day = f"{moment.day}/{moment.month}/{moment:%y}"
    hour = f"{moment.hour % 12 or 12}:{moment:%M} {'PM' if moment.hour >= 12 else 'AM'}"
    text = wording.format(
        receipt=receipt, amount=f"{amount.cents // 100:,}.{amount.cents % 100:02}", name=name,
        account=account, day=day, hour=hour, at_en=f"{day} at {hour}", at_sw=f"{day} saa {hour}",
    )  # fmt: skip
    assert read_pasted(text) == PastedMessage(
        receipt,
        amount,
        account if kind is MessageKind.PAYBILL else "",
        name.strip(" .,"),
        moment.astimezone(UTC),
        kind,
    )


# Text made of what the reader looks for, so that near misses are many.
PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "UE92Q3N5H7", "ue92q3n5h7", "UE92Q", "0712345678", "Confirmed", "Imethibitishwa.", "Umelipa", "Ksh",
                "1,250.00", "5.", ",", "paid to ", "sent to", " kwa ", "for account ", "akaunti nambari", "from", "on",
                "KES ", "9/5/26", "31/2/26", "at", "saa", "1:00 PM", "13:99AM", "New M-PESA balance", "Fuliza",
                "Reversal of", "was reversed", "cancelled",
                "Failed.", "insufficient", "via ", "ref:", "/", "@", "_", "-", ".", " ", "\u00a0", "\n", "\0", "\u017f",
                "\u0131", "\u212a", "\uff35", "\u0663", "\ud800", "\u0301", "\u200d",
            ]
        ),
        st.text(max_size=6),
    ),
    max_size=30,
).map("".join)  # fmt: skip


@given(st.one_of(PIECES, st.text(max_size=300)))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Never another error; what is read stands in the text and keeps to its bounds."""
    said = read_or_refused(text)
    if said is None:
        return
    assert re.fullmatch(r"[A-Z0-9]{10}", said.receipt)
    assert not said.receipt.isdigit()
    assert stands_in(said.receipt, text)
    assert max(len(said.account), len(said.counterparty)) <= NAME_LENGTH_MAX
    assert said.paid_at is None or said.paid_at.tzinfo is UTC
    assert read_pasted(said.receipt) == PastedMessage(said.receipt)


@pytest.mark.parametrize(
    "piece",
    [
        "a", " ", ".", "1", "/", "Ksh", "Ksh ", "1,", "1/1/26 ", "UE92Q3N5H7 ", "UE92Q3N5H7 Confirmed. ",
        "for account ",         "on 1", "new a ", "Reversal of ", "ref: ", "\u200b", "-", "A1", " to ", "paid to ",
    ],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    """The longest text, made of what the patterns begin with: far from the seconds of a runaway pattern."""
    text = (piece * PASTED_LENGTH_MAX)[:PASTED_LENGTH_MAX]
    begun = time.process_time()
    read_or_refused(text)
    assert time.process_time() - begun < 0.25


@pytest.mark.parametrize("case", [case for case, said in READ.items() if said.paid_at is not None])
def test_a_receipt_is_of_the_day_its_message_says(case: str) -> None:
    """In Nairobi, where a payment before three in the morning is of another day than in UTC."""
    told = READ[case]
    assert told.paid_at is not None
    assert receipt_day(told.receipt) == told.paid_at.astimezone(NAIROBI).date()
