"""The one box: every spelling of every thing a customer may hold in the hand, and what is none of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.mpesa_messages import PASTED_LENGTH_MAX
from easyisp_edge.domain.one_box import Doubt, Meaning, Understood, understood
from easyisp_edge.domain.pay_codes import LETTERS, check_character
from easyisp_edge.domain.vouchers import grouped, voucher_code

VOUCHER = voucher_code("K7M3PQ4ABCD") or ""
PAY_CODE = "ABCDEF" + check_character("ABCDEF")
OTHER_PAY_CODE = "7K3M2P" + check_character("7K3M2P")
RECEIPT = "UKL41A7C9D"
PHONE = "254712345678"

AROUND = ("{}", " {}", "{} ", "{}.", "\u200b{}\u200b", "\n{}\n", '"{}"', "{},", "*{}*")
VOUCHER_LABELS = (
    "voucher: {}",
    "Voucher {}",
    "vocha {}",
    "Vocha: {}",
    "code {}",
    "my code is {}",
    "msimbo: {}",
    "kodi {}",
)
PHONE_LABELS = (
    "my number is {}",
    "simu: {}",
    "namba yangu ni {}",
    "phone {}",
    "nambari ya simu {}",
    "tel: {}",
    "call {}",
)
CODE_LABELS = ("pay code {}", "account {}", "akaunti: {}", "account no. {}", "msimbo {}", "acc {}")
RECEIPT_LABELS = (
    "{}",
    "code {}",
    "receipt {}",
    "risiti: {}",
    "ref: {}",
    "msimbo {}",
    "Transaction ID {}",
    "M-Pesa code: {}",
)


def spellings(code: str, part: int) -> list[str]:
    """A code in one piece and in groups, in capitals and small letters."""
    groups = [code[at : at + part] for at in range(0, len(code), part)]
    whole = [joint.join(groups) for joint in ("", "-", " ", " - ", "\u2013", ".", "\u2011")]
    return [cased for each in whole for cased in (each, each.lower(), each.capitalize())]


def within(forms: tuple[str, ...], values: list[str]) -> list[str]:
    return [form.format(value) for form in forms for value in values]


VOUCHERS = [
    *within(AROUND, spellings(VOUCHER, 4)),
    *within(VOUCHER_LABELS, [VOUCHER, grouped(VOUCHER), grouped(VOUCHER).lower(), VOUCHER.lower()]),
    f"http://10.5.50.2/v/{VOUCHER}",
    f"http://wifi.example/v/{grouped(VOUCHER)}?lang=sw",
    f"HTTP://10.5.50.2:8080/v/{VOUCHER.lower()}",
    f"I bought {grouped(VOUCHER)} at the kiosk for 50",
    f"nimenunua vocha {grouped(VOUCHER).lower()} hapo dukani",
    f"Mama Njeri Wi-Fi, 1 day, KES 50, {grouped(VOUCHER)}",
]
PHONES = [
    *within(
        AROUND,
        ["0712345678", "0712 345 678", "0712-345-678", "+254712345678", "254712345678", "712345678", "00254712345678",
         "+254 712 345 678", "2540712345678", "(0712) 345678", "0712.345.678"],
    ),
    *within(PHONE_LABELS, ["0712345678", "0712 345 678", "+254712345678", "254 712 345 678"]),
    "I paid with 0712345678 this morning",
    "nililipa na 0712 345 678 asubuhi",
    "please help, +254 712 345 678, not online",
]  # fmt: skip
PAY_CODES = [
    *within(AROUND, [PAY_CODE, PAY_CODE.lower(), f"{PAY_CODE[:3]}-{PAY_CODE[3:]}", f"{PAY_CODE[:3]} {PAY_CODE[3:]}"]),
    *within(CODE_LABELS, [PAY_CODE, f"{PAY_CODE[:3]}-{PAY_CODE[3:]}", PAY_CODE.lower()]),
]
RECEIPTS = [
    *within(AROUND, [RECEIPT, RECEIPT.lower(), f"{RECEIPT[:5]} {RECEIPT[5:]}", f"{RECEIPT[:5]}-{RECEIPT[5:]}"]),
    *within(RECEIPT_LABELS, [RECEIPT, RECEIPT.lower()]),
    "SFC4AB12CD",
]
ENGLISH = (
    (
        "{code} Confirmed. Ksh50.00 sent to WANJIKU CYBER for account A3BDEFG on 21/11/26 at 8:55 AM New M-PESA"
        " balance is Ksh3,331.90. Transaction cost, Ksh5.00."
    ),
    "{code} Confirmed. Ksh10.00 paid to MAMA NJERI WIFI. on 21/11/26 at 8:55 AM.New M-PESA balance is Ksh331.90.",
    "{code} Confirmed. Ksh20.00 sent to JOHN KAMAU 0722000111 on 21/11/26 at 7:01 PM. New M-PESA balance is Ksh1.00.",
    "{code} confirmed.You bought Ksh10.00 of airtime on 21/11/26 at 8:55 AM.",
    "Hi, I paid: {code} Confirmed. Ksh10.00 sent to WANJIKU CYBER for account 1 on 21/11/26 at 8:55 AM",
)
SWAHILI = (
    (
        "{code} Imethibitishwa. Ksh50.00 imetumwa kwa WANJIKU CYBER kwa akaunti A3BDEFG tarehe 21/11/26 saa 8:55 AM"
        " Baki yako mpya ya M-PESA ni Ksh3,331.90."
    ),
    "{code} Imethibitishwa. Ksh10.00 imelipwa kwa MAMA NJERI WIFI. tarehe 21/11/26 saa 8:55 AM.",
    "{code} Imethibitishwa. Umetuma Ksh20.00 kwa JOHN KAMAU 0722000111 mnamo 21/11/26 saa 7:01 PM.",
)
MESSAGES = [message.format(code=RECEIPT) for message in (*ENGLISH, *SWAHILI)]
MESSAGES += [f"\u200b{message}\n\n" for message in MESSAGES] + [message.replace(" ", "\n", 3) for message in MESSAGES]


def swapped(code: str) -> str:
    """One letter wrong."""
    at = LETTERS.index(code[3])
    return code[:3] + LETTERS[(at + 1) % len(LETTERS)] + code[4:]


DOUBTS = [
    *[(text, Doubt.EMPTY) for text in ("", "   ", "\n", "...", "\u200b")],
    ("x" * (PASTED_LENGTH_MAX + 1), Doubt.TOO_LONG),
    *[(text, Doubt.VOUCHER) for text in (grouped(swapped(VOUCHER)), swapped(VOUCHER), swapped(VOUCHER).lower())],
    (grouped(VOUCHER)[:-1], Doubt.VOUCHER),
    (f"{grouped(VOUCHER)}K", Doubt.VOUCHER),
    (f"http://10.5.50.2/v/{swapped(VOUCHER)}", Doubt.VOUCHER),
    (f"voucher {grouped(swapped(VOUCHER))}", Doubt.VOUCHER),
    *[(text, Doubt.PAY_CODE) for text in (swapped(PAY_CODE), f"{swapped(PAY_CODE)[:3]}-{swapped(PAY_CODE)[3:]}")],
    (f"account {swapped(OTHER_PAY_CODE)}", Doubt.PAY_CODE),
    *[(text, Doubt.RECEIPT) for text in ("UKL41A7C9", "UKL41A7C9D2", "UKL41A7C")],
    *[(text, Doubt.PHONE) for text in ("071234567", "07123456789", "0812345678", "+254712", "0512 345 678")],
    ("UKL41A7C9D Confirmed. Reversal of transaction UKL41A7C9C was successful on 21/11/26.", Doubt.REVERSAL),
    ("Failed. You do not have enough money in your M-PESA account to pay Ksh50.00.", Doubt.NOT_PAID),
    ("Imeshindikana. Huna pesa za kutosha kwenye akaunti yako.", Doubt.NOT_PAID),
    *[(text, Doubt.NOTHING) for text in ("hello", "I have paid", "nimelipa", "Wi-Fi", "50", "connection",
                                         "hakuna mtandao", "my connection is slow", "\u0667\u0661\u0662", "<script>",
                                         "internetii")],
]  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (VOUCHERS, Understood(Meaning.VOUCHER, VOUCHER)),
        (PHONES, Understood(Meaning.PHONE, PHONE)),
        (PAY_CODES, Understood(Meaning.PAY_CODE, PAY_CODE)),
        (MESSAGES, Understood(Meaning.MESSAGE, RECEIPT)),
    ],
    ids=["vouchers", "phones", "pay codes", "messages"],
)
def test_every_spelling_is_understood(texts: list[str], expected: Understood) -> None:
    """In capitals or not, in groups or not, with words before it in either language: it is the same thing."""
    wrong = {text: found for text in texts if (found := understood(text)) != expected}
    assert wrong == {}


def test_receipts_in_every_spelling() -> None:
    """Those of the sandbox included, whose letters say no day."""
    wrong = {text: found for text in RECEIPTS if (found := understood(text)).meaning is not Meaning.RECEIPT}
    assert wrong == {}
    assert {understood(text).value for text in RECEIPTS} == {RECEIPT, "SFC4AB12CD"}


@pytest.mark.parametrize(("text", "doubt"), DOUBTS)
def test_what_is_not_understood_says_why(text: str, doubt: Doubt) -> None:
    """A letter wrong in a voucher is told as such, and not as a wrong phone number."""
    assert understood(text) == Understood(Meaning.UNCLEAR, "", doubt)


def test_a_message_stays_a_message_whatever_is_in_it() -> None:
    """Its account may be a pay code and its payee a phone number: it is the receipt that counts."""
    message = f"{RECEIPT} Confirmed. Ksh50.00 sent to KAMAU 0722000111 for account {PAY_CODE} on 21/11/26 at 8:55 AM"
    assert understood(message) == Understood(Meaning.MESSAGE, RECEIPT)


@given(st.text(alphabet=LETTERS, min_size=11, max_size=11))
def test_any_voucher_is_told_from_all_else(drawn: str) -> None:
    """However its letters fall."""
    code = voucher_code(drawn)
    if code is not None:
        assert understood(code) == understood(grouped(code).lower()) == Understood(Meaning.VOUCHER, code)


@given(st.text(alphabet=LETTERS, min_size=6, max_size=6))
def test_any_pay_code_is_told_from_all_else(drawn: str) -> None:
    """However its letters fall."""
    code = drawn + check_character(drawn)
    assert understood(f"{code[:3]}-{code[3:]}".lower()) == Understood(Meaning.PAY_CODE, code)


@given(st.from_regex(r"(?:0|254|\+254)[17][0-9]{8}", fullmatch=True))
def test_any_number_is_a_number(text: str) -> None:
    """And never a receipt."""
    assert understood(text) == Understood(Meaning.PHONE, "254" + text[-9:])


@given(st.text(max_size=60))
def test_never_raises(text: str) -> None:
    """Whatever is pasted: a doubt is given where, and only where, it is unclear; else a value."""
    found = understood(text)
    assert (found.doubt is not None) == (found.meaning is Meaning.UNCLEAR)
    assert bool(found.value) == (found.meaning is not Meaning.UNCLEAR)


def test_no_letter_wrong_makes_another_voucher() -> None:
    """One wrong letter is told at once, at whatever place."""
    for place, letter in itertools.product(range(len(VOUCHER)), LETTERS):
        if letter != VOUCHER[place]:
            wrong = VOUCHER[:place] + letter + VOUCHER[place + 1 :]
            assert understood(wrong).meaning is Meaning.UNCLEAR
