"""Voucher codes: what is typed is read as meant, or not at all; nothing else that customers type is ever one."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from easyisp_edge.domain.pay_codes import LETTERS, check_character, read_pay_code
from easyisp_edge.domain.receipts import parse_receipt
from easyisp_edge.domain.values import Msisdn
from easyisp_edge.domain.vouchers import (
    CODE_LENGTH,
    Voucher,
    VoucherBatch,
    VoucherState,
    grouped,
    read_voucher_code,
    voucher_code,
)
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.identifiers import Identifiers
from tests.fakes.clocks import START, SeededRandomness

BARE = st.text(LETTERS, min_size=CODE_LENGTH - 1, max_size=CODE_LENGTH - 1)
CODES = BARE.map(voucher_code).filter(bool).map(str)
PLACES = st.integers(0, CODE_LENGTH - 1)
BATCH = VoucherBatch("K7M3PQ", "default", 1, 1, START, "", "mary", START)
VOUCHER = Voucher("K7M3PQ", 1, "default", "ABCDEFGHJKM6", VoucherState.AVAILABLE, None, START)


def test_nobody_guesses_one() -> None:
    """What is drawn of a code is worth 50 bits at least; what looks alike is not in it."""
    assert (CODE_LENGTH - 1) * math.log2(len(LETTERS)) >= 50
    assert not set("0O1IL") & set(LETTERS)


@given(CODES)
def test_a_code_is_read_however_it_is_spelt(code: str) -> None:
    """In groups, with blanks or dashes of any kind, in small letters, with a full stop after it."""
    for typed in (code, grouped(code), grouped(code).lower(), " ".join(code), f" {code}.", "\u200b" + code + "\u00a0"):
        assert read_voucher_code(typed) == code
    assert grouped(code) == f"{code[:4]}-{code[4:8]}-{code[8:]}"


@given(CODES, PLACES, st.sampled_from(LETTERS))
def test_one_wrong_letter_makes_no_other_code(code: str, place: int, wrong: str) -> None:
    """Wherever it stands; it is told at once."""
    typed = code[:place] + wrong + code[place + 1 :]
    assert read_voucher_code(typed) == (code if typed == code else None)


@given(CODES, PLACES, PLACES)
def test_two_exchanged_letters_make_no_other_code(code: str, one: int, other: int) -> None:
    """Neighbours or not."""
    letters = list(code)
    letters[one], letters[other] = letters[other], letters[one]
    typed = "".join(letters)
    assert read_voucher_code(typed) == (code if typed == code else None)


@given(st.from_regex(r"(?:254|\+254|0)?[17][0-9]{8}|[0-9]{12}", fullmatch=True))
@example("254792345678")
@example("254 792 345 678")
def test_a_phone_number_is_no_code(typed: str) -> None:
    """Whatever its digits: no code is made of digits alone."""
    assert read_voucher_code(typed) is None


def test_a_code_of_digits_alone_is_never_made() -> None:
    """Of all that begin with the same eleven digits, the one whose check is a digit too is left out."""
    digits = [letter for letter in LETTERS if letter.isdigit()]
    drawn = next(
        bare for first in digits for second in digits if check_character(bare := first + second + "3" * 9).isdigit()
    )
    assert voucher_code(drawn) is None


@given(st.text(LETTERS, min_size=10, max_size=10), st.text(LETTERS, min_size=6, max_size=6))
def test_receipts_and_pay_codes_are_no_codes(receipt: str, bare: str) -> None:
    """Nor are codes any of them."""
    pay_code = bare + check_character(bare)
    assert read_voucher_code(receipt) is None
    assert read_voucher_code(pay_code) is None


@given(CODES)
def test_a_code_is_no_receipt_and_no_pay_code(code: str) -> None:
    """Grouped or not."""
    for typed in (code, grouped(code)):
        assert read_pay_code(typed) is None
        with pytest.raises(InvalidError):
            parse_receipt(typed)
        with pytest.raises(InvalidError):
            Msisdn.parse(typed)


@given(st.text(max_size=40))
@example("\u00df" * 12)
@example("\uff21" * 12)
def test_anything_may_be_typed(typed: str) -> None:
    """It is read as twelve letters of the alphabet, or as nothing."""
    read = read_voucher_code(typed)
    assert read is None or (len(read) == CODE_LENGTH and set(read) <= set(LETTERS))


def test_codes_that_are_made_are_codes() -> None:
    """All different, too."""
    identifiers = Identifiers(SeededRandomness())
    made = [identifiers.voucher_code() for _ in range(500)]
    assert len(set(made)) == 500
    assert [read_voucher_code(code) for code in made] == made


def test_a_voucher_expires_with_its_batch() -> None:
    """Unless it was used or taken back before; one without an end never does."""
    assert VOUCHER.state_at(START - timedelta(seconds=1), BATCH) is VoucherState.AVAILABLE
    assert VOUCHER.state_at(START, BATCH) is VoucherState.EXPIRED
    assert VOUCHER.state_at(START, replace(BATCH, expires_at=None)) is VoucherState.AVAILABLE
    used = replace(VOUCHER, state=VoucherState.USED, grant_id="grant-1")
    assert used.state_at(START, BATCH) is VoucherState.USED
    assert VOUCHER.voucher_id == "K7M3PQ-1"
