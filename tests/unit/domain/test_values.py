"""Small values: every spelling is read, nothing else is, and each has one spelling of its own."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.values import Burst, DataVolume, MacAddress, Money, Msisdn, Rate, RateLimit, phone_prefix
from easyisp_edge.errors import InvalidError
from tests.unit.shop import a_purchase

if TYPE_CHECKING:
    from collections.abc import Callable

CENTS = st.integers(0, 10**13)
HEX_PAIRS = st.lists(st.from_regex(r"[0-9A-Fa-f]{2}", fullmatch=True), min_size=6, max_size=6)
# Text made of what the readers look for, so that near misses are many.
NEARLY = st.text(alphabet="0123456789abcdefABCDEF+:-., kMGiB/\u0663\uff14\u00b2\n\0\ud800", max_size=24)

V = TypeVar("V")


def read_if_it_is(parse: Callable[[str], V], text: str) -> V | None:
    """What a text reads as; None where it is refused as it should be."""
    try:
        return parse(text)
    except InvalidError:
        return None


def spelled(cents: int) -> list[str]:
    whole, rest = divmod(cents, 100)
    texts = [f"{whole}.{rest:02}", f" {whole}.{rest:02}00 ", f"{whole:,}.{rest:02}"]
    if rest % 10 == 0:
        texts.append(f"{whole}.{rest // 10}")
    if rest == 0:
        texts += [f"{whole}", f"{whole:,}"]
    return texts


@given(CENTS)
def test_money_is_read_in_every_spelling(cents: int) -> None:
    """Decimals, thousands commas, trailing noughts and blanks around all mean the same amount."""
    assert {Money.parse(text) for text in spelled(cents)} == {Money(cents)}


@given(CENTS)
def test_money_comes_back_from_json(cents: int) -> None:
    """What is written as a JSON number is read back to the cent."""
    assert Money.parse(Money(cents).as_json()) == Money(cents)


@pytest.mark.parametrize(
    ("number", "cents"),
    [(1.1, 110), (0.29, 29), (50, 5000), (50.0, 5000), (1300.5, 130050), (0, 0), (0.07, 7), (1.15, 115)],
)
def test_money_in_a_float_is_its_shortest_text(number: float, cents: int) -> None:
    """Binary fractions never eat a cent."""
    assert Money.parse(number) == Money(cents)


@pytest.mark.parametrize(
    "odd",
    [
        "", " ", "-1", "+1", "1.005", "1e3", "0x10", "1,30", "1,3000", ",100", "1.", ".5", "1 300", "KES 50",
        "\u0663\u0660", "\uff15\uff10",
        "1\n2", "1" * 13, "1,000" * 50, "1,000,000,000,000,000,000", float("nan"), float("inf"), -0.01, 1e16, 1e-5,
        True, False,
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(odd: Any) -> None:
    """Signs, exponents, fractions of a cent, misplaced commas, other scripts' digits and truth values are no amount."""
    with pytest.raises(InvalidError):
        Money.parse(odd)


def test_an_amount_is_never_negative() -> None:
    """Not even one made in the code."""
    with pytest.raises(InvalidError):
        Money(-1)


@given(st.integers(0, 10**9))
def test_only_whole_shillings_are_given_as_such(cents: int) -> None:
    """Nothing is rounded: cents left over are an error."""
    if cents % 100:
        with pytest.raises(InvalidError):
            _ = Money(cents).whole_shillings
    else:
        assert Money.shillings(Money(cents).whole_shillings) == Money(cents)


@pytest.mark.parametrize(("cents", "text"), [(5000, "KES 50"), (130050, "KES 1,300.50"), (7, "KES 0.07"), (0, "KES 0")])
def test_money_reads_as_people_write_it(cents: int, text: str) -> None:
    """Cents are shown only where there are some."""
    assert str(Money(cents)) == text


@given(st.one_of(st.text(), NEARLY, st.floats(), st.integers(-(10**40), 10**40)))
def test_anything_else_is_an_amount_or_refused(odd: Any) -> None:
    """No input raises anything but `InvalidError`, and no amount is too large for the books."""
    amount = read_if_it_is(Money.parse, odd)
    assert amount is None or amount.cents < 2**63


@given(HEX_PAIRS)
def test_a_hardware_address_is_read_in_every_spelling(pairs: list[str]) -> None:
    """Colons, dashes, dotted fours, none at all, either case: one address."""
    digits = "".join(pairs)
    dotted = ".".join(digits[at : at + 4] for at in (0, 4, 8))
    spellings = [":".join(pairs), "-".join(pairs), dotted, digits, f" {digits.lower()}\n", digits.upper()]
    read = {MacAddress.parse(text) for text in spellings}
    assert len(read) == 1
    assert MacAddress.parse(str(read.pop())).text == ":".join(pairs).upper()


@given(st.one_of(st.text(), NEARLY))
def test_anything_else_is_an_address_or_refused(odd: str) -> None:
    """No text raises anything but `InvalidError`; what is read has the one shape."""
    mac = read_if_it_is(MacAddress.parse, odd)
    assert mac is None or re.fullmatch(r"([0-9A-F]{2}:){5}[0-9A-F]{2}", str(mac))


@pytest.mark.parametrize("odd", ["AA:BB:CC:00:11", "AA:BB:CC:00:11:2", "AA:BB:CC:00:11:22:33", "GG:BB:CC:00:11:22", ""])
def test_what_is_no_address_is_refused(odd: str) -> None:
    """Too short, too long or not hexadecimal; the error names the input field."""
    with pytest.raises(InvalidError) as refused:
        MacAddress.parse(odd)
    assert refused.value.field == "mac"


@given(st.from_regex(r"[17][0-9]{8}", fullmatch=True))
def test_a_phone_is_read_in_every_spelling(subscriber: str) -> None:
    """With and without country code, trunk nought, plus, double nought, blanks, dashes, dots and brackets."""
    grouped = f"{subscriber[:3]} {subscriber[3:6]}-{subscriber[6:]}"
    spellings = [
        subscriber,
        "0" + subscriber,
        "254" + subscriber,
        "+254" + subscriber,
        "00254" + subscriber,
        "2540" + subscriber,
        f"+254 (0) {grouped}",
        f"0{grouped}",
        f" 0{subscriber[:3]}.{subscriber[3:]} ",
    ]
    assert {Msisdn.parse(text) for text in spellings} == {Msisdn("254" + subscriber)}


@pytest.mark.parametrize(
    "odd",
    ["", "0812345678", "071234567", "07123456789", "255712345678", "+1712345678", "0712x45678", "071234567\uff18"],
)
def test_what_is_no_kenyan_mobile_is_refused(odd: str) -> None:
    """Other countries, other ranges, other scripts' digits, a digit too many or too few."""
    with pytest.raises(InvalidError) as refused:
        Msisdn.parse(odd)
    assert refused.value.field == "phone"


@given(st.one_of(st.text(), NEARLY))
def test_anything_else_is_a_phone_or_refused(odd: str) -> None:
    """No text raises anything but `InvalidError`; what is read has M-Pesa's shape."""
    phone = read_if_it_is(Msisdn.parse, odd)
    assert phone is None or re.fullmatch(r"254[17][0-9]{8}", phone.digits)


def test_a_phone_masks_itself(caplog: pytest.LogCaptureFixture) -> None:
    """However it gets into a text or a log, alone or within a purchase, its middle is not shown."""
    phone = Msisdn.parse("0712345678")
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%s %r", phone, a_purchase(phone=phone))
    for text in (str(phone), repr(phone), f"{phone}", f"{phone!r}", format(phone), caplog.text):
        assert "2345" not in text
        assert "0712 ••• 678" in text


@given(st.integers(1, 999_999), st.sampled_from("kM"), st.integers(1, 999_999), st.sampled_from("kM"))
def test_a_speed_comes_back(up: int, up_unit: str, down: int, down_unit: str) -> None:
    """What is written of a speed that was read reads as the same speed."""
    rate = RateLimit.parse(f" {up}{up_unit} / {down}{down_unit}")
    assert RateLimit.parse(str(rate)) == rate
    assert RateLimit.parse(f"{up}{up_unit}") == RateLimit(rate.upload_kbps, rate.upload_kbps)


RATES = st.builds(Rate, st.integers(1, 499_999), st.integers(1, 499_999))
SECONDS = st.integers(1, 999)


@given(RATES, RATES, RATES, SECONDS, SECONDS, st.none() | st.integers(1, 8), st.none() | RATES)
def test_a_speed_with_all_that_may_follow_comes_back(  # noqa: PLR0917 - that is how much may follow
    own: Rate, more: Rate, threshold: Rate, up: int, down: int, priority: int | None, least: Rate | None
) -> None:
    """Burst, threshold, seconds, priority and least speed, in this order; what follows may be left out from the end."""
    faster = Rate(own.upload_kbps + more.upload_kbps, own.download_kbps + more.download_kbps)
    priority = 8 if priority is None and least is not None else priority
    words = [own, faster, threshold, f"{up}/{down}", priority, least]
    wanted = RateLimit(*own, Burst(faster, threshold, up, down), priority, least)
    text = " ".join(str(word) for word in words if word is not None)
    assert RateLimit.parse(text) == wanted
    assert RateLimit.parse(str(wanted)) == wanted
    assert str(wanted) == text


@given(RATES, st.integers(1, 8), st.none() | RATES)
def test_a_speed_without_burst_keeps_what_follows_in_its_place(own: Rate, priority: int, least: Rate | None) -> None:
    """A burst at its own speed is none, and stands where one would."""
    wanted = RateLimit(*own, None, priority, least)
    assert RateLimit.parse(str(wanted)) == wanted
    assert str(wanted).split()[:5] == [str(own)] * 3 + ["1/1", str(priority)]


READ_SPEEDS = {
    "2M/5M": RateLimit(2000, 5000),
    "5M": RateLimit(5000, 5000),
    "2M/5M 4M/10M": RateLimit(2000, 5000, Burst(Rate(4000, 10000), Rate(2000, 5000), 1, 1)),
    "1M 2M 1500k 10": RateLimit(1000, 1000, Burst(Rate(2000, 2000), Rate(1500, 1500), 10, 10)),
    "512k/2M 1M/4M 384k/1536k 10/10 8 256k/512k": RateLimit(
        512, 2000, Burst(Rate(1000, 4000), Rate(384, 1536), 10, 10), 8, Rate(256, 512)
    ),
    " 2M / 5M   4M /10M ": RateLimit(2000, 5000, Burst(Rate(4000, 10000), Rate(2000, 5000), 1, 1)),
    "2M/5M 2M/5M 2M/5M 1/1 5": RateLimit(2000, 5000, None, 5),
}


@pytest.mark.parametrize(("text", "rate"), READ_SPEEDS.items(), ids=READ_SPEEDS.keys())
def test_speeds_are_read_as_the_router_reads_them(text: str, rate: RateLimit) -> None:
    """One figure is both ways; what is missing of a burst is the speed itself, and one second."""
    assert RateLimit.parse(text) == rate


@given(st.one_of(st.text(), NEARLY))
def test_anything_else_is_a_speed_or_a_volume_or_refused(odd: str) -> None:
    """No text raises anything but `InvalidError`; no speed is nought."""
    rate = read_if_it_is(RateLimit.parse, odd)
    assert rate is None or min(rate.upload_kbps, rate.download_kbps) > 0
    volume = read_if_it_is(DataVolume.parse, odd)
    assert volume is None or 0 <= volume.octets < 2**63


ODD_BURSTS = [
    "5M 4M",
    "5M/5M 4M/6M",
    "5M 6M 0k",
    "5M 6M 5M 0",
    "5M 6M 5M 1000",
    "5M 6M 5M 1/0",
    "5M 6M 5M 1 0",
    "5M 6M 5M 1 9",
    "5M 6M 5M 1 1/1",
    "5M 6M 5M 1 1 0k",
    "5M 6M 5M 1 1 1M 1M",
    "5M 6M 5M 1M",
]


@pytest.mark.parametrize("odd", ["", "5", "5m", "0M", "5M/0k", "5G", "-5M", "5M/", "5M/5M/5M", "\u0665M", *ODD_BURSTS])
def test_what_is_no_speed_is_refused(odd: str) -> None:
    """Units are k and M, and something must come through."""
    with pytest.raises(InvalidError):
        RateLimit.parse(odd)


@pytest.mark.parametrize(
    ("text", "octets", "written"),
    [
        ("500MB", 500_000_000, "500 MB"),
        ("1.5 GB", 1_500_000_000, "1.5 GB"),
        ("2GiB", 2 * 2**30, "2.1 GB"),
        ("10 MiB", 10 * 2**20, "10.5 MB"),
        ("0.001GB", 1_000_000, "1 MB"),
        ("2GB", 2_000_000_000, "2 GB"),
    ],
)
def test_a_volume_is_read_and_written(text: str, octets: int, written: str) -> None:
    """M and G are decimal, Mi and Gi binary; it is written rounded, for people."""
    volume = DataVolume.parse(text)
    assert volume == DataVolume(octets)
    assert str(volume) == written


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("+", None), ("", None), ("2", "2"), ("25", "25"), ("254", "254"), ("+2547", "2547"), ("07", "2547"),
     ("0", "254"), ("00", "254"), ("002", "2"),
     ("00254 0712", "254712"), ("71-2", "254712"), ("0712x", None), ("\u0661", None)],
)  # fmt: skip
def test_beginnings_of_numbers(text: str, prefix: str | None) -> None:
    """With and without the country and the nought; what has other letters is no number."""
    assert phone_prefix(text) == prefix


@given(st.from_regex(r"[17][0-9]{8}", fullmatch=True), st.integers(1, 9))
def test_any_spelling_of_a_number_begins_as_it_is_stored(national: str, typed: int) -> None:
    """However much of a number is typed, and with whatever before it, it finds the number."""
    stored = str(Msisdn.parse(national).digits)
    for before in ("", "0", "254", "+254", "00254", "2540"):
        prefix = phone_prefix(before + national[:typed])
        assert prefix is not None
        assert stored.startswith(prefix)
        assert len(prefix) == 3 + typed
