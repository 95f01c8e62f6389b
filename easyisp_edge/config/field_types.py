"""The kinds of value a configuration file may hold, each read into the domain's own value.

A reader here says what is wrong in words that follow the key: `package[2].speed: "fast" is no speed …`.
"""

import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, PlainValidator, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

from easyisp_edge.config.problems import nearest
from easyisp_edge.config.urls import callback_url, origin, service_url, web_url
from easyisp_edge.domain.database_address import DatabaseAddress, parse_database
from easyisp_edge.domain.schedules import WEEKDAYS, Schedule
from easyisp_edge.domain.values import DataVolume, Money, Msisdn, RateLimit
from easyisp_edge.errors import InvalidError

T = TypeVar("T")

# What STK push takes in one go.
PRICE_MOST_SHILLINGS = 250_000
RADIUS_SECRET_LEAST = 16
_DURATION_MOST = timedelta(days=366)
_NO_TIME = re.compile(r"0+[wdhm]", re.ASCII)
_PROVISIONAL_MOST = timedelta(minutes=60)
_SWEEP_LEAST, _SWEEP_MOST = timedelta(minutes=1), timedelta(hours=6)
_SHORTCODE = re.compile(r"[0-9]{5,7}", re.ASCII)
_BANK_ACCOUNT = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)
# Linux's sun_path holds 108 with the zero at its end.
_SOCKET_PATH_OCTETS_MOST = 107
_DURATION = re.compile(r"(?:([0-9]{1,3})w)?(?:([0-9]{1,3})d)?(?:([0-9]{1,4})h)?(?:([0-9]{1,6})m)?", re.ASCII)
# What a speed goes on with, one word after the other.
_SPEED_WORDS = (
    "burst speed such as 4M/10M",
    "burst threshold such as 1500k/4M",
    "number of burst seconds such as 10/10",
    "priority from 1 to 8",
    "least speed such as 512k/1M",
)
_LOOSE_SPEED = re.compile(r"([0-9]{1,6})\s*([km])(?:i?b(?:it)?s?(?:ps|/s)?|ps)?\b", re.ASCII | re.IGNORECASE)
_CLOCK = r"([0-9]{1,2})(?:[:.h]?([0-9]{2}))?(am|pm)?"
_LOOSE_HOURS = re.compile(rf"{_CLOCK}(?:[-\u2013\u2014]|to){_CLOCK}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What reading a value may depend on beside the value.

    Args:
        folder: Of the configuration; relative file names are relative to it.
        development: Permits what a site must not have.
    """

    folder: Path
    development: bool


def refuse(message: str, *, nearest: str | None = None) -> PydanticCustomError:
    """The error of a value that will not do."""
    return PydanticCustomError("refused", "{message}", {"message": message, "nearest": nearest})


def text(value: object) -> str:
    """The value, which has to be text."""
    if isinstance(value, str):
        return value
    raise PydanticCustomError("string_type", "not text")


def read_by(parse: Callable[[str], T]) -> PlainValidator:
    """A reader that takes text and gives what `parse` makes of it."""

    def read(value: object) -> T:
        try:
            return parse(text(value))
        except InvalidError as error:
            raise refuse(error.message.rstrip(".")) from None

    return PlainValidator(read)


def read_near(parse: Callable[[str, Surroundings], T]) -> PlainValidator:
    """A reader like `read_by` whose `parse` looks at the surroundings; without any, a site's rules hold."""

    def read(value: object, info: ValidationInfo) -> T:
        here = info.context if isinstance(info.context, Surroundings) else Surroundings(Path(), development=False)
        try:
            return parse(text(value), here)
        except InvalidError as error:
            raise refuse(error.message.rstrip(".")) from None

    return PlainValidator(read)


def _matching(pattern: str, expected: str) -> PlainValidator:
    compiled = re.compile(pattern, re.ASCII)

    def parse(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise InvalidError("config.text", f'"{value:.40}" is not {expected}')
        return value

    return read_by(parse)


def _label(value: str) -> str:
    stripped = value.strip()
    if not stripped.isprintable() or not 1 <= len(stripped) <= 80:  # noqa: PLR2004 - said in the message
        raise InvalidError("config.label", "has to be one line of 1 to 80 characters")
    return stripped


def _note(value: str) -> str:
    stripped = value.strip()
    if not all(line.isprintable() for line in stripped.split("\n")) or len(stripped) > 400:  # noqa: PLR2004
        raise InvalidError("config.note", "has to be at most 400 characters of plain text")
    return stripped


def _price(value: object) -> Money:
    if isinstance(value, bool) or not isinstance(value, int):
        hint = re.fullmatch(r"\s*([0-9]{1,6})(?:\.0+)?\s*", str(value), re.ASCII)
        raise refuse(
            "has to be whole shillings, as a number without quotes or decimals",
            nearest=hint[1] if hint else None,
        )
    if not 1 <= value <= PRICE_MOST_SHILLINGS:
        raise refuse(f"M-Pesa takes from 1 to {PRICE_MOST_SHILLINGS} shillings at once")
    return Money.shillings(value)


def parse_duration(value: str) -> timedelta:
    """Read `30m`, `24h`, `7d`, `2w`, `1d12h`.

    Raises:
        InvalidError: It is no duration, or not between a minute and a year.
    """
    found = _DURATION.fullmatch(value.strip())
    if found is None or not found[0]:
        raise InvalidError("duration.unreadable", f'"{value:.40}" is no duration such as 30m, 24h, 7d or 1d12h')
    weeks, days, hours, minutes = (int(part or 0) for part in found.groups())
    duration = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
    if not timedelta(minutes=1) <= duration <= _DURATION_MOST:
        raise InvalidError("duration.range", f'"{value:.40}" is not between a minute and a year')
    return duration


def _sweep_interval(value: str) -> timedelta:
    interval = parse_duration(value)
    if not _SWEEP_LEAST <= interval <= _SWEEP_MOST:
        raise InvalidError("duration.range", f'"{value:.40}" is not between 1m and 6h')
    return interval


def _provisional(value: str) -> timedelta | None:
    """Nothing where it is no time at all."""
    if _NO_TIME.fullmatch(value.strip()):
        return None
    span = parse_duration(value)
    if span > _PROVISIONAL_MOST:
        raise InvalidError("duration.range", f'"{value:.40}" is not between 0m and 60m')
    return span


def _speed(value: object) -> RateLimit:
    """A speed with whatever MikroTik lets follow it; says which of its words is wrong."""
    written = text(value)
    try:
        return RateLimit.parse(written)
    except InvalidError as error:
        message = error.message if error.code != "rate.unreadable" else _wrong_speed_word(written) or error.message
    meant = _LOOSE_SPEED.sub(lambda found: found[1] + {"k": "k", "m": "M"}[found[2].lower()], written.strip())
    raise refuse(message.rstrip("."), nearest=meant if meant != written and _is_speed(meant) else None)


def _wrong_speed_word(written: str) -> str | None:
    """What is wrong from the second word on; None where the first is wrong, or there are too many."""
    words = re.sub(r"\s*/\s*", "/", written).split()
    for at, wanted in enumerate(_SPEED_WORDS, start=1):
        if len(words) > at and _is_speed(" ".join(words[:at])) and not _is_speed(" ".join(words[: at + 1])):
            return f'"{words[at]:.40}" is no {wanted}'
    return None


def _is_speed(written: str) -> bool:
    try:
        RateLimit.parse(written)
    except InvalidError:
        return False
    return True


def _hours(value: object) -> Schedule:
    """Hours of the day, without days."""
    written = text(value)
    try:
        schedule = Schedule.parse(re.sub(r"\s*-\s*", "-", written))
    except InvalidError:
        raise refuse(f'"{written:.40}" is no hours such as 22:00-06:00', nearest=_meant_hours(written)) from None
    if schedule.days != Schedule(0, 0).days:
        raise refuse(f'"{written:.40}" has days in it; they belong under days')
    if (schedule.closes - schedule.opens) % (24 * 60) == 0:
        raise refuse(f'"{written:.40}" is the whole day; leave hours out for that')
    return schedule


def _meant_hours(written: str) -> str | None:
    """The hours of the clock that `10pm-6am`, `22-6` or `22.00 to 6.00` most likely are."""
    found = _LOOSE_HOURS.fullmatch(re.sub(r"\s", "", written).lower())
    if found is None:
        return None
    try:
        return Schedule.parse(f"{_clock(*found.groups()[:3])}-{_clock(*found.groups()[3:])}").hours
    except InvalidError:
        return None


def _clock(hours: str, minutes: str | None, half: str | None) -> str:
    whole = int(hours) if half is None else int(hours) % 12 + (12 if half == "pm" else 0)
    return f"{whole:02}:{minutes or '00'}"


def _weekday(value: object) -> str:
    """A day of the week in three letters."""
    day = text(value)
    if day in WEEKDAYS:
        return day
    begun = day.strip().lower()[:3]
    raise refuse(
        f'"{day:.40}" is not one of {", ".join(WEEKDAYS)}',
        nearest=begun if begun in WEEKDAYS else nearest(day, WEEKDAYS),
    )


def parse_shortcode(value: str) -> str:
    """Read a PayBill, till or store number.

    Raises:
        InvalidError: It is none.
    """
    if _SHORTCODE.fullmatch(value):
        return value
    raise InvalidError("config.text", f'"{value:.40}" is not 5 to 7 digits')


def parse_paid_number(value: str) -> str:
    """Read what customers pay without an API: a short code, or a mobile number, which comes back as `0712345678`.

    Raises:
        InvalidError: It is neither.
    """
    if _SHORTCODE.fullmatch(value):
        return value
    try:
        return "0" + Msisdn.parse(value).digits.removeprefix("254")
    except InvalidError:
        message = f'"{value:.40}" is neither 5 to 7 digits nor a mobile number such as 0712345678'
        raise InvalidError("config.text", message) from None


def _bank_account(value: object) -> str:
    number = text(value)
    if _BANK_ACCOUNT.fullmatch(number):
        return number
    bare = re.sub(r"[\s./-]", "", number)
    raise refuse(
        f'"{number:.40}" is not an account number: letters and digits, at most 20',
        nearest=bare if _BANK_ACCOUNT.fullmatch(bare) else None,
    )


def _data(value: str) -> DataVolume:
    volume = DataVolume.parse(value)
    if not volume.octets:
        raise InvalidError("volume.zero", f'"{value:.40}" would let nothing through')
    return volume


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise InvalidError("config.address", f'"{value:.40}" is no IP address such as 10.5.50.1') from None


def _router_address(value: str) -> str:
    address = _address(value)
    if ipaddress.ip_address(address).is_unspecified or ipaddress.ip_address(address).is_multicast:
        raise InvalidError("config.address", f'"{value:.40}" is not the address of one router')
    return address


def _network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    spelling = text(value)
    try:
        network = ipaddress.ip_network(spelling if "/" in spelling else "", strict=False)
    except ValueError:
        raise refuse(f'"{spelling:.40}" is no network such as 10.5.50.0/24') from None
    if ipaddress.ip_address(spelling.split("/")[0]) != network.network_address:
        raise refuse(f'"{spelling:.40}" is no whole network', nearest=str(network))
    return network


def _present(suffixes: tuple[str, ...]) -> PlainValidator:
    def parse(value: str, here: Surroundings) -> Path:
        path = here.folder / value
        try:
            found = path.is_file()
        except (OSError, ValueError):
            found = False
        if not found:
            raise InvalidError("config.file", f'there is no file "{value:.80}" in {here.folder}')
        if path.suffix.lower() not in suffixes:
            raise InvalidError("config.file", f'"{value:.80}" does not end in {", ".join(suffixes)}')
        return path

    return read_near(parse)


def _store_path(value: str, here: Surroundings) -> Path:
    if not value.strip() or not value.isprintable() or value.endswith("/"):
        raise InvalidError("config.path", "has to be the path of a file")
    return here.folder / value


def _socket_path(value: str, here: Surroundings) -> Path:
    path = _store_path(value, here)
    if len(os.fsencode(path)) > _SOCKET_PATH_OCTETS_MOST:
        message = f"longer than {_SOCKET_PATH_OCTETS_MOST} octets, all that the path of a socket may have"
        raise InvalidError("config.path", message)
    return path


def _radius_secret(value: SecretStr, info: ValidationInfo) -> SecretStr:
    development = isinstance(info.context, Surroundings) and info.context.development
    if len(value.get_secret_value().encode()) < RADIUS_SECRET_LEAST and not development:
        raise refuse(f"shorter than {RADIUS_SECRET_LEAST} characters, and so soon guessed from one packet")
    return value


def _database(value: object) -> DatabaseAddress:
    # It comes as a secret where it has a password in it, or stands in a file.
    try:
        return parse_database(value.get_secret_value() if isinstance(value, SecretStr) else text(value))
    except InvalidError as error:
        raise refuse(error.message.rstrip(".")) from None


def _secure_url(value: str) -> str:
    return web_url(value, schemes=("https",))


def _web_origin(value: str) -> str:
    url = web_url(value)
    if url != origin(url):
        raise InvalidError("url.origin", f"give scheme and host only: {origin(url)}")
    return url


def _callback_base(value: str, here: Surroundings) -> str:
    return callback_url(value, development=here.development)


def _service_base(value: str, here: Surroundings) -> str:
    return service_url(value, development=here.development)


Identifier = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "an id: letters, digits, - and _, at most 64")]
Label = Annotated[str, read_by(_label)]
Note = Annotated[str, read_by(_note)]
Colour = Annotated[str, _matching(r"#[0-9A-Fa-f]{6}", 'a colour such as "#0a7d3c"')]
ContactPhone = Annotated[str, _matching(r"\+?[0-9][0-9 ()-]{2,24}", 'a phone number such as "0712 345 678"')]
Email = Annotated[str, _matching(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,190}", "an e-mail address")]
Shortcode = Annotated[str, read_by(parse_shortcode)]
BankAccount = Annotated[str, PlainValidator(_bank_account)]
KenyanMobile = Annotated[Msisdn, read_by(Msisdn.parse)]
RouterWord = Annotated[str, _matching(r"[ -~]{1,64}", "1 to 64 plain characters")]
Price = Annotated[Money, PlainValidator(_price)]
Duration = Annotated[timedelta, read_by(parse_duration)]
SweepInterval = Annotated[timedelta, read_by(_sweep_interval)]
ProvisionalSpan = Annotated[timedelta | None, read_by(_provisional)]
Speed = Annotated[RateLimit, PlainValidator(_speed)]
Hours = Annotated[Schedule, PlainValidator(_hours)]
Weekday = Annotated[str, PlainValidator(_weekday)]
Data = Annotated[DataVolume, read_by(_data)]
Address = Annotated[str, read_by(_address)]
RouterAddress = Annotated[str, read_by(_router_address)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, PlainValidator(_network)]
# 0 takes any free port; the tests and the demo do so.
ListenPort = Annotated[int, Field(ge=0, le=65535)]
Port = Annotated[int, Field(ge=1, le=65535)]
WebUrl = Annotated[str, read_by(web_url)]
SecureUrl = Annotated[str, read_by(_secure_url)]
WebOrigin = Annotated[str, read_by(_web_origin)]
CallbackBase = Annotated[str, read_near(_callback_base)]
ServiceBase = Annotated[str, read_near(_service_base)]
CertificateFile = Annotated[Path, _present((".pem", ".crt", ".cer"))]
Picture = Annotated[Path, _present((".png", ".jpg", ".jpeg", ".webp"))]
StorePath = Annotated[Path, read_near(_store_path)]
SocketPath = Annotated[Path, read_near(_socket_path)]
LoginDatabase = Annotated[DatabaseAddress, PlainValidator(_database)]
RadiusSecret = Annotated[SecretStr, AfterValidator(_radius_secret)]
