"""Pay codes: what is typed is read as meant, or not at all; a slip of the finger makes no other code."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from easyisp_edge.domain.pay_codes import LETTERS, PAY_CODE_LENGTH, check_character, read_pay_code

BARE = st.text(LETTERS, min_size=PAY_CODE_LENGTH - 1, max_size=PAY_CODE_LENGTH - 1)
CODES = BARE.map(lambda letters: letters + check_character(letters))
PLACES = st.integers(0, PAY_CODE_LENGTH - 1)
# Letters whose capitals are, or begin with, ASCII letters of pay codes; digits and capitals that only look like them.
FOREIGN = "\u00df\u017f\ufb05\ufb06\ufb00\u0661\uff13\uff21\u0410\u2468"


def test_the_letters_are_not_mistaken_for_each_other() -> None:
    """A prime number of them, all different; of those that look or sound alike at most one."""
    assert len(set(LETTERS)) == len(LETTERS) == 29
    for alike in ("0O", "1IL", "UV", "2Z"):
        assert len(set(alike) & set(LETTERS)) <= 1


@given(CODES)
def test_a_code_is_read_as_it_is(code: str) -> None:
    """Letter for letter."""
    assert read_pay_code(code) == code


@given(CODES, st.lists(st.sampled_from(["", " ", "-", ".", "_", "/", "\u00a0", "\t", "  "]), min_size=8, max_size=8))
def test_spelling_does_not_matter(code: str, between: list[str]) -> None:
    """Small letters, blanks, dashes and a full stop at the end are how people type."""
    typed = "".join(separator + letter for separator, letter in zip(between, code, strict=False)) + between[-1]
    assert read_pay_code(typed) == code
    assert read_pay_code(typed.lower()) == code


@given(BARE)
def test_one_letter_completes_a_code(letters: str) -> None:
    """Of all that could follow, only the check."""
    assert [letter for letter in LETTERS if read_pay_code(letters + letter)] == [check_character(letters)]


@given(CODES, PLACES, st.sampled_from(LETTERS))
def test_one_wrong_letter_makes_no_other_code(code: str, place: int, wrong: str) -> None:
    """Wherever it stands, the check among them."""
    typed = code[:place] + wrong + code[place + 1 :]
    assert read_pay_code(typed) == (code if typed == code else None)


@given(CODES, PLACES, PLACES)
def test_two_exchanged_letters_make_no_other_code(code: str, one: int, other: int) -> None:
    """Neighbours or not."""
    letters = list(code)
    letters[one], letters[other] = letters[other], letters[one]
    typed = "".join(letters)
    assert read_pay_code(typed) == (code if typed == code else None)


@given(CODES, st.integers(0, PAY_CODE_LENGTH), st.sampled_from(LETTERS))
def test_a_letter_too_many_or_too_few_is_no_code(code: str, place: int, letter: str) -> None:
    """A code has seven."""
    assert read_pay_code(code[:place] + letter + code[place:]) is None
    assert read_pay_code(code[:place] + code[place + 1 :]) == (code if place == PAY_CODE_LENGTH else None)


@given(st.text() | st.text(LETTERS + LETTERS.lower() + " -" + FOREIGN, max_size=10))
@example("\u00dfaaa\u00df")
@example("a" * 100_000)
def test_nothing_is_read_into_a_text(text: str) -> None:
    """Whatever was typed, a code is only what stands there: nothing foreign is folded into letters of ours."""
    code = read_pay_code(text)
    if code is not None:
        assert "".join(letter for letter in text.upper() if letter in LETTERS) == code
        assert not set(text) & set(FOREIGN)
        assert read_pay_code(code) == code


@pytest.mark.parametrize("letter", FOREIGN)
@given(letters=st.text(LETTERS, max_size=6), place=PLACES)
def test_a_foreign_letter_is_no_slip(letter: str, letters: str, place: int) -> None:
    """Also one that would become a valid letter, or two, as a capital."""
    assert read_pay_code(letters[:place] + letter + letters[place:]) is None


@pytest.mark.parametrize(
    "text", ["", "       ", "-------", "WIFI", "0712345678", "0000000", "SKL41A2B3C", "ABCDEFG\u0301"]
)
def test_other_accounts_are_no_codes(text: str) -> None:
    """What people type instead: names, phone numbers, receipts."""
    assert read_pay_code(text) is None
