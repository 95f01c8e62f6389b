"""RouterOS's ways of writing values, read in every spelling and written in the normal one.

Each `…_text` function takes what a command may send and gives back what a print shows, or raises ValueError.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_UNIT_SECONDS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_UNITS = re.compile(r"(?=.)(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_CLOCK = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(\d+):([0-5]?\d)(?::([0-5]?\d(?:\.\d+)?))?")
_RATE_PART = r"\d+[kMG]?(?:/\d+[kMG]?)?"
_RATE_LIMIT = re.compile(
    rf"{_RATE_PART}(?: {_RATE_PART}(?: {_RATE_PART}(?: \d+(?:/\d+)?(?: [1-8](?: {_RATE_PART})?)?)?)?)?"
)
_RATE_UNITS = {"k": 1000, "M": 1_000_000, "G": 1_000_000_000}
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")
_PORTS = re.compile(r"!?\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*")


def parse_duration(text: str) -> float:
    """Seconds of `1w2d3h4m5s`, `250ms`, `1d02:03:04`, `00:05:32` or a bare number.

    Raises:
        ValueError: None of these.
    """
    if text.isascii() and text.isdigit():
        return float(text)
    if units := _UNITS.fullmatch(text):
        counts = zip(units.groups(), _UNIT_SECONDS.values(), strict=True)
        return sum(int(count) * seconds for count, seconds in counts if count)
    if clock := _CLOCK.fullmatch(text):
        weeks, days, hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return weeks * 604800 + days * 86400 + hours * 3600 + minutes * 60 + seconds
    raise ValueError(f"{text!r} is no duration")


def format_duration(seconds: float) -> str:
    """The normal form: `1w2d3h4m5s` without the parts that are zero, `0s` for none."""
    left = round(seconds * 1000)
    parts = []
    for unit, unit_seconds in _UNIT_SECONDS.items():
        count, left = divmod(left, round(unit_seconds * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def format_whole_seconds(seconds: float) -> str:
    """A running time as the router shows it: whole seconds, cut off."""
    return format_duration(int(seconds))


def duration_text(text: str) -> str:
    """A duration in normal form."""
    return format_duration(parse_duration(text))


def duration_or(*words: str) -> Callable[[str], str]:
    """A duration, or one of the words."""

    def normal(text: str) -> str:
        return text if text in words else duration_text(text)

    return normal


def parse_boolean(text: str) -> bool:
    """`yes`/`true` or `no`/`false`.

    Raises:
        ValueError: Neither.
    """
    if text in {"yes", "true"}:
        return True
    if text in {"no", "false"}:
        return False
    raise ValueError(f"{text!r} is neither yes nor no")


def boolean_text(text: str) -> str:
    """`true` or `false`."""
    return "true" if parse_boolean(text) else "false"


def any_text(text: str) -> str:
    """Any text, as it is."""
    return text


def filled_text(text: str) -> str:
    """Text that is not empty."""
    if not text:
        raise ValueError("must not be empty")
    return text


def mac_text(text: str) -> str:
    """Upper case with colons."""
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text!r} is no MAC address")
    return text.upper().replace("-", ":")


def address_text(text: str) -> str:
    """An IPv4 address."""
    return str(ipaddress.IPv4Address(text))


def network_text(text: str) -> str:
    """An IPv4 address, or a network with its prefix length; a leading `!` negates."""
    negated, bare = ("!", text[1:]) if text.startswith("!") else ("", text)
    network = ipaddress.IPv4Network(bare, strict=False)
    return negated + (str(network) if "/" in bare else str(network.network_address))


def ports_text(text: str) -> str:
    """A port, a range, or several with commas."""
    if not _PORTS.fullmatch(text):
        raise ValueError(f"{text!r} are no ports")
    return text


def interface_address_text(text: str) -> str:
    """An IPv4 address with its prefix length; 32 where none is given."""
    return str(ipaddress.IPv4Interface(text))


def interface_address6_text(text: str) -> str:
    """An IPv6 address with its prefix length; 64 where none is given."""
    return str(ipaddress.IPv6Interface(text if "/" in text else f"{text}/64"))


def network6_text(text: str) -> str:
    """An IPv6 address or network; a leading `!` negates."""
    negated, bare = ("!", text[1:]) if text.startswith("!") else ("", text)
    return negated + str(ipaddress.IPv6Network(bare, strict=False))


def networks_text(text: str) -> str:
    """IPv4 networks with commas between them; an address alone is a network of its own."""
    return ",".join(str(ipaddress.IPv4Network(part, strict=False)) for part in text.split(",") if part)


def some_or_none_of(*choices: str) -> Callable[[str], str]:
    """Words with commas between them; those with a leading `!`, as a print shows them too, are not given."""
    given = some_of(*choices)

    def normal(text: str) -> str:
        return given(",".join(word for word in text.split(",") if not word.startswith("!")))

    return normal


def rate_limit_text(text: str) -> str:
    """`rx[/tx] [burst] [threshold] [time] [priority] [minimum]`, or empty for none."""
    if text and not _RATE_LIMIT.fullmatch(text):
        raise ValueError(f"{text!r} is no rate limit")
    return text


def parse_rates(rate_limit: str) -> tuple[int, int]:
    """Bits per second from and to the client, of the first figures of a rate limit."""
    received, _, sent = rate_limit.split(" ", 1)[0].partition("/")
    return _bits(received), _bits(sent or received)


def _bits(figure: str) -> int:
    unit = _RATE_UNITS.get(figure[-1:])
    return int(figure[:-1]) * unit if unit else int(figure)


def integer_between(least: int, most: int) -> Callable[[str], str]:
    """A whole number within bounds."""

    def normal(text: str) -> str:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"{text!r} is not between {least} and {most}")
        return str(int(text))

    return normal


def one_of(*choices: str) -> Callable[[str], str]:
    """One of the words."""

    def normal(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return normal


def some_of(*choices: str) -> Callable[[str], str]:
    """Words with commas between them, each once, in the order RouterOS lists them."""

    def normal(text: str) -> str:
        given = {word for word in text.split(",") if word}
        if not given <= set(choices):
            raise ValueError(f"{text!r} has a word that is none of {', '.join(choices)}")
        return ",".join(choice for choice in choices if choice in given)

    return normal


def integer_or(word: str, least: int, most: int) -> Callable[[str], str]:
    """A whole number within bounds, or the word."""
    bounded = integer_between(least, most)

    def normal(text: str) -> str:
        return text if text == word else bounded(text)

    return normal


def mac_in_form(mac: str, form: str) -> str:
    """The MAC's hex digits put where `form`, a radius-mac-format, has its X."""
    digits = iter(mac.replace(":", ""))
    return "".join(next(digits) if letter == "X" else letter for letter in form)
