from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.daraja import SANDBOX_MERCHANT, CallbackUrlRules
from easyisp_edge.lab.daraja.callback_url import is_plausible
from easyisp_edge.lab.daraja.identifiers import Identifiers
from easyisp_edge.lab.daraja.nairobi import compact, read_plain
from easyisp_edge.lab.daraja.phones import read_phone
from easyisp_edge.lab.daraja.subscribers import Subscribers
from tests.fakes.daraja_stage import SeededRandomness

DAY_LETTERS = {"9/5/26": "UE9", "31/3/26": "UCV", "18/1/22": "QAI", "24/3/25": "TCO", "29/11/25": "TKT"}


def test_the_password_of_the_public_sample() -> None:
    """Short code, passkey and timestamp, joined and in base64, are the published password."""
    published = (
        "MTc0Mzc5YmZiMjc5ZjlhYTliZGJjZjE1OGU5N2RkNzFhNDY3Y2QyZTBjODkzMDU5YjEwZjc4ZTZiNzJhZGExZWQyYzkxOTIwMjEwNjI4"
        "MDkyNDA4"
    )
    assert SANDBOX_MERCHANT.password("20210628092408") == published
    assert base64.b64decode(published).endswith(b"20210628092408")


@pytest.mark.parametrize(("day", "letters"), DAY_LETTERS.items())
def test_receipts_carry_their_date(day: str, letters: str) -> None:
    """The first three characters are those of real receipts of that day."""
    at = datetime.strptime(day, "%d/%m/%y").replace(hour=12, tzinfo=UTC)
    receipt = Identifiers(SeededRandomness()).receipt(at)
    assert receipt[:3] == letters
    assert receipt[3].isdigit()
    assert len(receipt) == 10
    assert receipt.isalnum()
    assert receipt == receipt.upper()


def test_the_receipts_day_is_nairobis() -> None:
    """At half past nine in the evening UTC it is already tomorrow in Nairobi."""
    receipt = Identifiers(SeededRandomness()).receipt(datetime(2026, 5, 8, 21, 30, tzinfo=UTC))
    assert receipt.startswith("UE9")


class SaysItThrice:
    """Randomness that says everything three times and knows next to nothing."""

    def __init__(self) -> None:
        self._turn = 0

    def token(self, octets: int) -> bytes:
        self._turn += 1
        return bytes([self._turn // 3 % 200] * octets)

    def fraction(self) -> float:
        return 0.0


def test_names_are_given_once() -> None:
    """Neither a receipt nor a CheckoutRequestID repeats, even with poor randomness and a standing clock."""
    at = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
    names = Identifiers(SaysItThrice())
    assert len({names.receipt(at) for _ in range(20)}) == 20
    checkouts = {names.checkout_request_id(at, "254708374149") for _ in range(50)}
    assert len(checkouts) == 50


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8081/c/abc",
        "http://localhost/c/abc",
        "http://[::1]:80/c",
        "https://hub.easyisp.co.ke/c/site/0a1b",
        "https://hub.easyisp.co.ke:8443/c",
        "https://41.90.1.1/c",
    ],
)
def test_good_callback_addresses(url: str) -> None:
    """Public HTTPS, with a port if one likes, and anything on loopback."""
    assert is_plausible(url, CallbackUrlRules.STRICT)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hub.easyisp.co.ke/c",
        "ftp://hub.easyisp.co.ke/c",
        "http://hub.easyisp.co.ke/c",
        "https://",
        "https://hub/c",
        "https://192.168.1.4/c",
        "https://hub.easyisp.co.ke:0/c",
        "https://hub.easyisp.co.ke:99999/c",
        "https://hub.easyisp.co.ke/my shop",
        "https://hub.easyisp.co.ke/MPESA/c",
        "http://127.0.0.1/m-pesa",
        "https://hub.easyisp.co.ke/c?sql=1",
        "https://abc.ngrok.io/c",
        "https://example.com/c",
    ],
)
def test_callback_addresses_daraja_refuses(url: str) -> None:
    """Malformed, private, plain HTTP, placeholder hosts and the words of Safaricom's filter."""
    assert not is_plausible(url, CallbackUrlRules.STRICT)


@given(st.text())
def test_any_text_can_be_asked_about(url: str) -> None:
    """No text makes the check fail, and what strict rules take loose ones take too."""
    assert is_plausible(url, CallbackUrlRules.LOOSE) or not is_plausible(url, CallbackUrlRules.STRICT)


@pytest.mark.parametrize("text", ["0708374149", "+254 708 374 149", "254708374149", "708-374-149"])
def test_phones_as_people_write_them(text: str) -> None:
    """The lab's controls read each usual spelling."""
    assert read_phone(text) == "254708374149"


@pytest.mark.parametrize("text", ["", "0208374149", "25470837414", "<script>"])
def test_what_is_no_phone(text: str) -> None:
    """Anything else is refused with a word about it."""
    with pytest.raises(InvalidError, match="no phone number"):
        read_phone(text)


@pytest.mark.parametrize("text", ["2026-11-21 09:00:00", "2026-11-21 09:00"])
def test_plain_dates_are_nairobis(text: str) -> None:
    """Seconds may be left out; nine o'clock there is six in UTC."""
    assert read_plain(text) == datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - a Nairobi wall
def test_plain_dates_round_trip(wall: datetime) -> None:
    """What is read has the digits that were written."""
    moment = read_plain(f"{wall:%Y-%m-%d %H:%M:%S}")
    assert moment is not None
    assert compact(moment) == f"{wall:%Y%m%d%H%M%S}"


@given(st.text())
def test_what_is_no_plain_date(text: str) -> None:
    """Any text is a moment or none, and never an error; only ASCII can be one."""
    assert read_plain(text) is None or text.isascii()


def test_everybody_has_a_name() -> None:
    """The same phone always the same one, in capitals, until it is given another."""
    subscribers = Subscribers()
    name = subscribers.name_of("254708374149")
    assert name == name.upper() == subscribers.name_of("254708374149")
    assert len(name.split(" ")) == 2
    subscribers.set_name("254708374149", "JANE DOE")
    assert subscribers.name_of("254708374149") == "JANE DOE"
