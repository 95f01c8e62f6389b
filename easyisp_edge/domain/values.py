"""Small values with one spelling: parsed once at the door, trusted after."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import NamedTuple

from easyisp_edge.errors import InvalidError

NAIROBI = timezone(timedelta(hours=3), "EAT")  # no summer time, so no time zone database either

_CENTS_PER_SHILLING = 100
_COUNTRY = "254"
# Between the digits of a number that a person wrote.
_JOINTS = re.compile(r"[\s\-().]")
_CANONICAL_MAC = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of Kenyan shillings in whole cents; may be zero, never negative."""

    cents: int

    def __post_init__(self) -> None:
        if self.cents < 0:
            raise InvalidError("money.negative", f"An amount cannot be negative: {self.cents} cents.")

    @classmethod
    def parse(cls, text: str | float) -> Money:
        """Read an amount of shillings such as `50`, `"50.00"`, `1.0` or `"1,300.50"`.

        Raises:
            InvalidError: It is no amount, or finer than a cent.
        """
        # A float goes through its shortest text, so that 1.1 is 110 cents and not 109.
        found = re.fullmatch(r"(\d{1,12}|\d{1,3}(?:,\d{3}){1,3})(?:\.(\d{1,2})0*)?", str(text).strip(), re.ASCII)
        if isinstance(text, bool) or found is None:
            raise InvalidError("money.unreadable", f"{text!r:.40} is no amount in shillings, such as 50 or 50.00.")
        whole, fraction = found.groups(default="")
        return cls(int(whole.replace(",", "")) * _CENTS_PER_SHILLING + int(fraction.ljust(2, "0")))

    @classmethod
    def shillings(cls, count: int) -> Money:
        """That many whole shillings."""
        return cls(count * _CENTS_PER_SHILLING)

    @property
    def whole_shillings(self) -> int:
        """The amount in shillings.

        Raises:
            InvalidError: There are cents left over; nothing is rounded.
        """
        if self.cents % _CENTS_PER_SHILLING:
            raise InvalidError("money.not_whole", f"{self} is not a whole number of shillings.")
        return self.cents // _CENTS_PER_SHILLING

    def __str__(self) -> str:
        shillings, cents = divmod(self.cents, _CENTS_PER_SHILLING)
        return f"KES {shillings:,}.{cents:02}" if cents else f"KES {shillings:,}"

    def as_json(self) -> float:
        """A whole or two-decimal number of shillings, as the HTTP contract wants it."""
        shillings, cents = divmod(self.cents, _CENTS_PER_SHILLING)
        return self.cents / _CENTS_PER_SHILLING if cents else shillings


@dataclass(frozen=True, slots=True, order=True)
class MacAddress:
    """A device's hardware address, upper case with colons."""

    text: str

    @classmethod
    def parse(cls, text: str) -> MacAddress:
        """Read any usual spelling: `aa:bb:…`, `AA-BB-…`, `aabb.ccdd.eeff`, `AABBCCDDEEFF`.

        Raises:
            InvalidError: It is no hardware address.
        """
        if _CANONICAL_MAC.fullmatch(text):
            return cls(text)
        stripped = text.strip()
        digits = re.sub(r"[:.\-]", "", stripped)
        # 17 characters fit the longest spelling; longer text is no address with odd separators.
        if len(stripped) > 17 or re.fullmatch(r"[0-9A-Fa-f]{12}", digits, re.ASCII) is None:  # noqa: PLR2004
            raise InvalidError(
                "mac.unreadable", f"{text!r:.40} is no device address such as AA:BB:CC:00:11:22.", field="mac"
            )
        upper = digits.upper()
        return cls(":".join(upper[at : at + 2] for at in range(0, 12, 2)))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class Msisdn:
    """A Kenyan mobile number as M-Pesa writes it: twelve digits, `2547…` or `2541…`. Masks itself in logs."""

    digits: str

    @classmethod
    def parse(cls, text: str) -> Msisdn:
        """Read what people type: `0712…`, `+254 712…`, `712…`, `00254…`, `2540712…`, with blanks and dashes.

        Raises:
            InvalidError: It is no Kenyan mobile number.
        """
        bare = _JOINTS.sub("", text)
        found = re.fullmatch(r"(?:\+?254|00254)?0?([17][0-9]{8})", bare, re.ASCII)
        if found is None:
            raise InvalidError(
                "phone.unreadable",
                f"{text!r:.40} is no Safaricom number; write it as 0712 345 678 or 0110 345 678.",
                field="phone",
            )
        return cls(_COUNTRY + found.group(1))

    @property
    def masked(self) -> str:
        """Enough for its owner to know it by: `0712 ••• 678`."""
        local = "0" + self.digits[3:]
        return f"{local[:4]} ••• {local[-3:]}"

    def __str__(self) -> str:
        return self.masked

    def __repr__(self) -> str:
        return f"Msisdn({self.masked})"


def phone_prefix(text: str) -> str | None:
    """How numbers begin, as `Msisdn` has them, for a beginning as people type it; None where it is none.

    `0712`, `712`, `254712`, `+254 712` and `00254712` all stand for `254712`, and `0` for any.
    """
    digits = re.sub(r"^(\+|00(?=2)|0(?=0$))", "", _JOINTS.sub("", text))
    if not (digits.isascii() and digits.isdigit()):
        return None
    if _COUNTRY.startswith(digits):
        return digits
    return _COUNTRY + digits.removeprefix(_COUNTRY).removeprefix("0")


class Rate(NamedTuple):
    """Kilobits per second up and down, seen from the customer."""

    upload_kbps: int
    download_kbps: int

    def __str__(self) -> str:
        return f"{_rate_word(self.upload_kbps)}/{_rate_word(self.download_kbps)}"


class Burst(NamedTuple):
    """More speed for a moment: for as long as the mean over some seconds stays below a threshold.

    Args:
        rate: The speed while it lasts.
        threshold: The mean at which it ends.
        upload_seconds: Over how many seconds the mean is taken.
        download_seconds: The same.
    """

    rate: Rate
    threshold: Rate
    upload_seconds: int
    download_seconds: int


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A device's speed, seen from the customer: kilobits per second up and down.

    Args:
        upload_kbps: Speed up.
        download_kbps: Speed down.
        burst: More for a moment; None for no more.
        priority: 1, served first, to 8; None for what the router gives.
        least: What is kept for it where the router has too little for all; None for nothing.

    Source: MikroTik, RADIUS (Mikrotik-Rate-Limit) and Queues (burst).
    """

    upload_kbps: int
    download_kbps: int
    burst: Burst | None = None
    priority: int | None = None
    least: Rate | None = None

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """Read `5M` (both ways) or `2M/5M` (up/down), in `k` or `M` bits per second.

        More may follow, as MikroTik writes it: burst speed, threshold, seconds, priority and least speed, in this
        order, such as `2M/5M 4M/10M 1500k/4M 10/10 8 512k/1M`.

        Raises:
            InvalidError: It is no rate.
        """
        words = re.sub(r"\s*/\s*", "/", text).split()
        if not 1 <= len(words) <= _RATE_WORDS_MAX:
            raise _no_rate(text)
        own, *faster = [_rate(word, text) for word in words[:3]]
        seconds = _pair(words[3], text) if len(words) > 3 else (1, 1)  # noqa: PLR2004 - the fourth word
        priority = _priority(words[4], text) if len(words) > 4 else None  # noqa: PLR2004 - the fifth
        least = _rate(words[5], text) if len(words) == _RATE_WORDS_MAX else None
        return cls(*own, _burst(own, faster, seconds, text), priority, least)

    def __str__(self) -> str:
        words = [str(Rate(self.upload_kbps, self.download_kbps))]
        if self.burst is not None or self.priority is not None or self.least is not None:
            words += self._burst_words()
        if self.priority is not None or self.least is not None:
            words.append(str(self.priority or _PRIORITY_LAST))
        if self.least is not None:
            words.append(str(self.least))
        return " ".join(words)

    def _burst_words(self) -> list[str]:
        own = Rate(self.upload_kbps, self.download_kbps)
        burst = self.burst or Burst(own, own, 1, 1)  # at its own speed is none, and keeps its place
        return [str(burst.rate), str(burst.threshold), f"{burst.upload_seconds}/{burst.download_seconds}"]


_RATE_WORDS_MAX = 6
_PRIORITY_LAST = 8


def _no_rate(text: str) -> InvalidError:
    return InvalidError("rate.unreadable", f"{text!r:.60} is no speed such as 5M, or 2M/5M for up/down.")


def _rate(word: str, text: str) -> Rate:
    found = re.fullmatch(r"([0-9]{1,6})([kM])(?:/([0-9]{1,6})([kM]))?", word, re.ASCII)
    if found is None:
        raise _no_rate(text)
    up = _kbps(found[1], found[2])
    down = _kbps(found[3], found[4]) if found[3] else up
    if not up or not down:
        raise InvalidError("rate.zero", f"{text!r:.60} would let nothing through.")
    return Rate(up, down)


def _pair(word: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9][0-9]{0,2})(?:/([1-9][0-9]{0,2}))?", word, re.ASCII)
    if found is None:
        raise _no_rate(text)
    return int(found[1]), int(found[2] or found[1])


def _priority(word: str, text: str) -> int:
    if re.fullmatch(rf"[1-{_PRIORITY_LAST}]", word, re.ASCII) is None:
        raise _no_rate(text)
    return int(word)


def _burst(own: Rate, faster: list[Rate], seconds: tuple[int, int], text: str) -> Burst | None:
    if not faster or faster[0] == own:
        return None
    rate, threshold = faster[0], faster[1] if len(faster) > 1 else own
    if rate.upload_kbps < own.upload_kbps or rate.download_kbps < own.download_kbps:
        raise InvalidError("rate.burst", f"{text!r:.60} has a burst below its speed.")
    return Burst(rate, threshold, *seconds)


def _kbps(digits: str, unit: str) -> int:
    return int(digits) * (1000 if unit == "M" else 1)


def _rate_word(kbps: int) -> str:
    return f"{kbps // 1000}M" if kbps % 1000 == 0 else f"{kbps}k"


@dataclass(frozen=True, slots=True, order=True)
class DataVolume:
    """An amount of data in octets, both directions together."""

    octets: int

    @classmethod
    def parse(cls, text: str) -> DataVolume:
        """Read `500MB`, `1.5 GB`, `2GiB`; M and G are decimal, Mi and Gi binary.

        Raises:
            InvalidError: It is no volume.
        """
        found = re.fullmatch(r"\s*([0-9]{1,6})(?:\.([0-9]{1,3}))?\s*([MG]i?)B\s*", text, re.ASCII)
        if found is None:
            raise InvalidError("volume.unreadable", f"{text!r:.40} is no amount of data such as 500MB or 1.5GB.")
        unit = {"M": 10**6, "G": 10**9, "Mi": 2**20, "Gi": 2**30}[found[3]]
        thousandths = int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))
        return cls(thousandths * unit // 1000)

    def __str__(self) -> str:
        for unit, size in (("GB", 10**9), ("MB", 10**6)):
            if self.octets >= size:
                return f"{self.octets / size:.1f}".removesuffix(".0") + " " + unit
        return f"{self.octets} B"
