"""Receipts: what people type as one, what its letters say of the day, and what it may have been misread from."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.receipts import (
    LOOKALIKES_MAX,
    Plausibility,
    lookalikes,
    parse_receipt,
    plausibility,
    receipt_day,
)
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import InvalidError

CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
RECEIPTS = st.text(alphabet=CAPITALS, min_size=10, max_size=10).filter(lambda text: not text.isdigit())
DAYS = st.dates(date(2006, 1, 1), date(2031, 12, 31))
# What readers look for, what resembles it, and what it is to be kept apart from.
NEARLY = st.text(alphabet="UEFABO01259ue9z.-_ \u00a0\u200b\u0663\uff35\u017f\u0131\u212a\ud800\n\0", max_size=16)

# Receipts seen in messages or notifications together with the day they came.
SEEN = {
    "JGU0SWAWMQ": "30/7/15", "LGH3197RIB": "17/7/17", "LGR7OWQX0R": "27/7/17", "LHG31AA5TX": "16/8/17",
    "LJI7QV5BP9": "18/10/17", "MAO0DO9BYO": "24/1/18", "MBN31H462N": "23/2/18", "NLJ7RT61SV": "19/12/19",
    "OA90000000": "9/1/20", "QAI1S35S7Z": "18/1/22", "QC352PDIVL": "3/3/22", "RAQ788BUHD": "26/1/23",
    "RJP5FWG77X": "25/10/23", "RKL51ZDR4F": "21/11/23", "RKT6NKF44A": "29/11/23", "SCI1G5CAWL": "18/3/24",
    "SG632NMUAB": "6/7/24", "SGV8FIL2TI": "31/7/24", "SLR41L5AO8": "27/12/24", "TAD62EDKVQ": "13/1/25",
    "TAE46D879G": "14/1/25", "TBP9D0EL9H": "25/2/25", "TCH01GAG8Y": "17/3/25", "TCO5V187SF": "24/3/25",
    "TDN9WBCDSD": "23/4/25", "TI27ZWJC3B": "2/9/25", "TKT95BCZ9V": "29/11/25", "TLQ0K25M9C": "26/12/25",
    "UB6DL632FM": "6/2/26", "UBB7G6CRBZ": "11/2/26", "UBSLA7T9HY": "28/2/26", "UCB048VVN7": "11/3/26",
    "UCVLAB13O1": "31/3/26", "UE92Q3N5H7": "9/5/26", "UEULA5XMT4": "30/5/26", "UF1LA633NI": "1/6/26",
    "UFF2Q7WPTV": "15/6/26", "UGFMXB3GR6": "15/7/26", "UIPDS807K6": "25/9/26", "UJ2H08M4M3": "2/10/26",
}  # fmt: skip
# Of edited or made-up texts: their letters say another day than the text around them.
EDITED = {"RKTQDM7W6S": "22/11/19", "SKE52PAWR9": "14/11/21", "TJF987E58C": "15/10/24"}


def a_day(text: str) -> date:
    day, month, year = (int(figure) for figure in text.split("/"))
    return date(2000 + year, month, day)


def receipt_of(day: date, rest: str = "2Q3N5H7") -> str:
    """The receipt of a day, by the scheme as it is written down."""
    year = chr(ord("A") + day.year - 2006)
    letter = str(day.day) if day.day < 10 else chr(ord("A") + day.day - 10)
    return year + chr(ord("A") + day.month - 1) + letter + rest


def read_or_refused(text: str) -> str | None:
    """The receipt a text is; None where it is refused as it should be."""
    try:
        return parse_receipt(text)
    except InvalidError as error:
        refused = error
    assert refused.code == "receipt.unreadable"
    return None


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=NAIROBI)


@pytest.mark.parametrize(
    "text",
    [
        "UE92Q3N5H7", "ue92q3n5h7", "Ue92q3N5h7", " UE92Q3N5H7\n", "UE92Q3N5H7.", "UE9 2Q3 N5H7", "ue92-q3n5-h7",
        "UE92\u00a0Q3N5H7", "\u200eUE92Q3N5H7\u200b", "UE92Q3N5H7 .", "*UE92Q3N5H7*", "\u201cUE92Q3N5H7\u201d",
        "(UE92Q3N5H7)", "UE92\u2011Q3N5\u2013H7", "\ufeffUE92Q3N5H7,",
    ],
)  # fmt: skip
def test_every_way_of_typing_one_is_read(text: str) -> None:
    """Case, blanks of all kinds, dashes and what stands around it do not matter."""
    assert parse_receipt(text) == "UE92Q3N5H7"


@pytest.mark.parametrize("text", ["yzlyrEsRG1", "NLJ7RT61SV", "UBSLAXTKHY"])
def test_receipts_without_a_scheme_are_receipts(text: str) -> None:
    """Those of the sandbox follow none, and one may be all letters."""
    assert parse_receipt(text) == text.upper()


@pytest.mark.parametrize(
    ("text", "telling"),
    [
        ("", "Type the M-Pesa code"),
        (" \n", "Type the M-Pesa code"),
        ("UE92Q3N5H", "has 9: one is missing"),
        ("UE92Q3", "has 6: some are missing"),
        ("UE92Q3N5H77", "has 11: one is too many"),
        ("UE92Q3N5H7 Confirmed", "type the code alone"),
        ("0712345678", "like a phone number"),
        ("+254 712 345 678", "only the letters A to Z"),
        ("254712345678", "like a phone number"),
        ("UE92Q3N5H\u0667", "only the letters A to Z"),  # an Arabic seven
        ("\uff35E92Q3N5H7", "only the letters A to Z"),  # a full-width U
        ("UE92Q3N5\u017f7", "only the letters A to Z"),  # becomes S in capitals
        ("UE92Q3N5\u01317", "only the letters A to Z"),  # becomes I in capitals
        ("UE92Q3N5\u00df", "only the letters A to Z"),  # becomes SS in capitals: ten
        ("UE92/Q3N5H7", "only the letters A to Z"),
        ("UE92\ud800Q3N5H7", "only the letters A to Z"),
    ],
)
def test_what_is_none_is_refused_with_a_reason(text: str, telling: str) -> None:
    """The person can only mend it when told what is wrong."""
    with pytest.raises(InvalidError) as refused:
        parse_receipt(text)
    assert (refused.value.code, refused.value.field) == ("receipt.unreadable", "receipt")
    assert telling in refused.value.message


@given(RECEIPTS, st.integers(0, 9), st.sampled_from([" ", "-", "\u00a0", ".", ""]))
def test_reading_twice_changes_nothing(receipt: str, at: int, joint: str) -> None:
    """A receipt that was read is one; blanks and dashes anywhere in it are taken out."""
    typed = f"{receipt[:at]}{joint}{receipt[at:]}".lower() if joint != "." else f"{receipt.lower()}."
    once = parse_receipt(typed)
    assert once == receipt == parse_receipt(once)


@given(st.one_of(NEARLY, st.text(max_size=40)))
def test_any_text_is_a_receipt_or_refused(text: str) -> None:
    """Never another error, never a character that was not typed."""
    receipt = read_or_refused(text)
    if receipt is None:
        return
    assert len(receipt) == 10
    assert set(receipt) <= set(CAPITALS)
    assert [letter for letter in text if letter.isalnum()] == [
        letter for letter in text if letter.upper() in CAPITALS and letter.isascii()
    ]


@pytest.mark.parametrize(("receipt", "day"), SEEN.items())
def test_the_letters_say_the_day(receipt: str, day: str) -> None:
    """As in everything seen with its date."""
    assert receipt_day(receipt) == a_day(day)


@pytest.mark.parametrize(("receipt", "day"), EDITED.items())
def test_edited_texts_betray_themselves(receipt: str, day: str) -> None:
    """Their receipt is of another day; it may be looked up all the same."""
    assert receipt_day(receipt) not in {None, a_day(day)}
    assert parse_receipt(receipt) == receipt


@given(DAYS)
def test_every_day_has_its_letters(day: date) -> None:
    """From the first year letter to the last, month ends and leap days included."""
    assert receipt_day(receipt_of(day)) == day


@pytest.mark.parametrize(
    "receipt",
    ["YZLYRESRG1", "UBU2Q3N5H7", "UBT2Q3N5H7", "UM12Q3N5H7", "UE02Q3N5H7", "UEW2Q3N5H7", "1E92Q3N5H7", "U1", ""],
)  # fmt: skip
def test_letters_that_make_no_day(receipt: str) -> None:
    """30 and 29 February of a common year, a thirteenth month, days 0 and W, a digit for a year, too little."""
    assert receipt_day(receipt) is None


@pytest.mark.parametrize(
    ("days_ago", "expected"),
    [
        (0, Plausibility.FITS), (7, Plausibility.FITS), (8, Plausibility.FITS), (9, Plausibility.OLD),
        (400, Plausibility.OLD), (-1, Plausibility.FITS), (-2, Plausibility.FUTURE), (-400, Plausibility.FUTURE),
    ],
)  # fmt: skip
def test_plausibility_allows_a_day_both_ways(days_ago: int, expected: Plausibility) -> None:
    """Nobody knows which midnight turns the letter, and clocks differ."""
    today = date(2026, 6, 15)
    receipt = receipt_of(today - timedelta(days=days_ago))
    assert plausibility(receipt, noon(today), days_back=7) is expected


def test_plausibility_goes_by_the_day_in_nairobi() -> None:
    """At 22:30 UTC it is tomorrow there."""
    late = datetime(2026, 6, 15, 22, 30, tzinfo=UTC)
    assert plausibility(receipt_of(date(2026, 6, 17)), late, days_back=0) is Plausibility.FITS
    assert plausibility(receipt_of(date(2026, 6, 14)), late, days_back=0) is Plausibility.OLD


def test_a_receipt_without_a_day_is_not_implausible() -> None:
    """It says nothing, which is no reason for a question."""
    assert plausibility("YZLYRESRG1", noon(date(2026, 6, 15)), days_back=7) is Plausibility.NO_DAY


@given(RECEIPTS, st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), st.integers(0, 10**9))  # noqa: DTZ001 - made aware below
def test_plausibility_survives_any_clock(receipt: str, now: datetime, days_back: int) -> None:
    """A box that woke up in 1970 asks strange questions, and does not fall over."""
    answer = plausibility(receipt, now.replace(tzinfo=UTC), days_back=days_back)
    assert (answer is Plausibility.NO_DAY) == (receipt_day(receipt) is None)


@pytest.mark.parametrize(
    ("misread", "right"),
    [
        ("UE92Q3N5H7", "UE9ZQ3N5H7"), ("UE9ZQ3N5H7", "UE92Q3N5H7"), ("U892Q3N5H7", "UB92Q3N5H7"),
        ("UE02Q3N5H7", "UEO2Q3N5H7"), ("UEZLA5XMT4", "UE2LA5XMT4"), ("5CI1G5CAWL", "SCI1G5CAWL"),
        ("QC352PDIVL", "QC352PD1VL"), ("OAOOOOOOOO", "OAO0000000"),
    ],
)  # fmt: skip
def test_the_right_reading_is_among_the_lookalikes(misread: str, right: str) -> None:
    """However many letters were mistaken, as long as the bound allows."""
    assert (right in lookalikes(misread)) == (misread != "OAOOOOOOOO")


def test_few_changes_come_first() -> None:
    """One mistake is likelier than two."""
    assert lookalikes("UE9AQ3N5HO") == ("UE9AQ3N5H0", "UE9AQ3NSHO", "UE9AQ3NSH0")


@pytest.mark.parametrize("receipt", ["UE9AQ3N4H7", "NLJ7RT6XVV"])
def test_what_cannot_be_misread_has_none(receipt: str) -> None:
    """No letter of a pair stands in it where both could."""
    assert lookalikes(receipt) == ()


@given(RECEIPTS)
def test_lookalikes_are_bounded_and_obey_the_scheme(receipt: str) -> None:
    """Never more than the bound, never itself, never twice, never a digit or a day made where none can be."""
    found = lookalikes(receipt)
    assert len(found) <= LOOKALIKES_MAX
    assert len(set(found)) == len(found)
    assert receipt not in found
    for reading in found:
        places = [at for at in range(10) if reading[at] != receipt[at]]
        assert {"".join(sorted((receipt[at], reading[at]))) for at in places} <= {"0O", "1I", "5S", "8B", "2Z"}
        assert not any(reading[at].isdigit() for at in places if at < 2)
        assert 2 not in places or reading[2] not in "0WXYZ"


@given(RECEIPTS)
def test_one_mistake_can_be_taken_back(receipt: str) -> None:
    """Where both letters can stand, each is among the lookalikes of the other."""
    for other in lookalikes(receipt)[:3]:
        allowed = receipt[0].isalpha() and receipt[1].isalpha() and receipt[2] not in "0WXYZ"
        close = sum(one != two for one, two in zip(receipt, other, strict=True)) == 1
        if allowed and close:
            assert receipt in lookalikes(other)
