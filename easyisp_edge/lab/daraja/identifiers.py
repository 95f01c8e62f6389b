"""Names Daraja gives to things: tokens, request ids, CheckoutRequestIDs, receipts."""

from __future__ import annotations

import string
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.nairobi import EAT

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.machine import Randomness

_DAYS = "0123456789" + string.ascii_uppercase  # the day letter: 1-9, then A = 10 … V = 31
_RECEIPT_ALPHABET = string.digits + string.ascii_uppercase
_RECEIPT_YEAR_A = 2006


class Identifiers:
    """Gives each name once."""

    def __init__(self, randomness: Randomness) -> None:
        self._randomness = randomness
        self._given: set[str] = set()

    def access_token(self) -> str:
        """28 letters and digits."""
        return self._draw(28, string.ascii_letters + string.digits)

    def request_id(self) -> str:
        """As in `requestId` and `MerchantRequestID`: hex groups with digits at the end."""
        groups = [self._draw(length, "0123456789abcdef") for length in (4, 4, 4, 12)]
        return "-".join(groups) + self._draw(6, string.digits)

    def checkout_request_id(self, at: datetime, phone: str) -> str:
        """`ws_CO_`, the Nairobi moment with 1-3 digits of fraction, and the subscriber number."""
        moment = at.astimezone(EAT)
        while True:
            name = f"ws_CO_{moment:%d%m%Y%H%M%S}{moment.microsecond // 1000}{phone[-9:]}"
            if self._first_time(name):
                return name
            moment += timedelta(milliseconds=1)

    def receipt(self, at: datetime) -> str:
        """Ten characters, the first three for the Nairobi year, month and day."""
        day = at.astimezone(EAT)
        year = string.ascii_uppercase[(day.year - _RECEIPT_YEAR_A) % 26]
        dated = year + string.ascii_uppercase[day.month - 1] + _DAYS[day.day]
        while True:
            code = dated + self._draw(1, string.digits) + self._draw(6, _RECEIPT_ALPHABET)
            if self._first_time(code):
                return code

    def _first_time(self, name: str) -> bool:
        if name in self._given:
            return False
        self._given.add(name)
        return True

    def _draw(self, length: int, alphabet: str) -> str:
        return "".join(alphabet[octet % len(alphabet)] for octet in self._randomness.token(length))
