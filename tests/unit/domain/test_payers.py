"""Payers: what a statement shows of a number fits that number, and never more than it shows."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.values import Msisdn

PHONES = st.builds(lambda first, rest: Msisdn(f"254{first}{rest:08}"), st.sampled_from("17"), st.integers(0, 10**8 - 1))
MASKS = st.sampled_from(["*", "***", "****", "xxxxxx", "XXX", "\u2022\u2022\u2022"])
# How a number's beginning is written: with the country, as it is dialled, or without either.
SPELLINGS = st.sampled_from(["254", "+254", "00254", "0", ""])
SHOWN_MIN = 4


def mask(phone: Msisdn, shown_first: int, shown_last: int, spelling: str, with_: str) -> str:
    """A number of which so many digits of its own are shown at each end."""
    own = phone.digits.removeprefix("254")
    return f"{spelling}{own[:shown_first]}{with_}{own[len(own) - shown_last :]}"


@given(PHONES, PHONES, SPELLINGS)
def test_a_number_is_that_number(phone: Msisdn, other: Msisdn, spelling: str) -> None:
    """However it is written, and no other."""
    payer = Payer.read(spelling + phone.digits.removeprefix("254"))
    assert (payer, payer.known) == (Payer(phone=phone), True)
    assert payer.fits(phone)
    assert payer.fits(other) == (other == phone)


@given(PHONES, PHONES, st.booleans())
def test_a_digest_is_of_that_number(phone: Msisdn, other: Msisdn, capitals: bool) -> None:  # noqa: FBT001 - drawn
    """In M-Pesa's spelling of it, and no other's."""
    digest = hashlib.sha256(phone.digits.encode()).hexdigest()
    payer = Payer.read(digest.upper() if capitals else digest)
    assert (payer, payer.known) == (Payer(digest=digest), True)
    assert payer.fits(phone)
    assert payer.fits(other) == (other == phone)


@given(PHONES, st.integers(1, 8), st.integers(1, 8), SPELLINGS, MASKS)
def test_a_masked_number_fits_itself(phone: Msisdn, first: int, last: int, spelling: str, with_: str) -> None:
    """Where enough of it is shown; else it is nobody."""
    assume(first + last <= 9)
    payer = Payer.read(mask(phone, first, last, spelling, with_))
    assert payer.known == payer.fits(phone) == (first + last >= SHOWN_MIN)


@given(PHONES, st.integers(1, 8), st.integers(1, 8), SPELLINGS, st.integers(1, 8), st.integers(1, 9))
def test_a_masked_number_fits_what_is_shown(  # noqa: PLR0917 - drawn
    phone: Msisdn, first: int, last: int, spelling: str, place: int, more: int
) -> None:
    """A number that differs where digits are shown is another; one that differs under the mask may be it."""
    assume(SHOWN_MIN <= first + last <= 9)
    own = phone.digits.removeprefix("254")
    digit = (int(own[place]) + more) % 10
    other = Msisdn(f"254{own[:place]}{digit}{own[place + 1 :]}")
    payer = Payer.read(mask(phone, first, last, spelling, "***"))
    assert payer.fits(other) == (first <= place < 9 - last)


@pytest.mark.parametrize(
    ("text", "payer"),
    [
        ("254722000000", Payer(phone=Msisdn("254722000000"))),
        ("722000000", Payer(phone=Msisdn("254722000000"))),
        ("2547 ***** 126", Payer(beginning="2547", ending="126")),
        ("25470****149", Payer(beginning="25470", ending="149")),
        ("254708***430", Payer(beginning="254708", ending="430")),
        ("0716***698", Payer(beginning="254716", ending="698")),
        ("0****45678", Payer(beginning="254", ending="45678")),
    ],
)
def test_spellings_of_statements(text: str, payer: Payer) -> None:
    """As they have been seen in confirmations, lists of transactions and messages."""
    assert Payer.read(text) == payer


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "JANE DOE",
        "****",
        "254*****",
        "*****126",
        "2547*****12",
        "254***126",
        "254722000*000126",  # more than a number has
        "60****1234",  # no beginning of a Kenyan mobile number
        "2545****12345",
        "25472200000",
        "25***4722000000",  # shows more than its own digits at the end
        "a" * 63,
        "a" * 65,
        "\u0662\u0665\u0664722000000",
        "2547*****\u0661\u0662\u0666",
    ],
)
def test_what_says_too_little_is_nobody(text: str) -> None:
    """It fits no number, not even by its beginning."""
    payer = Payer.read(text)
    assert (payer, payer.known) == (Payer(), False)
    assert not payer.fits(Msisdn("254722000126"))


@given(st.text() | st.text("0123456789*xX+ \u2022abcdef-", max_size=70))
def test_whoever_is_known_can_be_found(text: str) -> None:
    """No text raises; a payer who is known, and no digest, fits at least one number there can be."""
    payer = Payer.read(text)
    if payer.phone is not None:
        assert payer.fits(payer.phone)
    elif payer.known and not payer.digest:
        beginning = max(payer.beginning, "2547", key=len)
        hidden = "0" * (12 - len(beginning) - len(payer.ending))
        assert payer.fits(Msisdn.parse(beginning + hidden + payer.ending))
