"""How often phones are prompted at most.

Counted from the purchases themselves, in the transaction that writes the next one: nothing is counted twice by a
race, and a restart forgets nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.purchases import OFFERED_LIFE
from easyisp_edge.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.store.store import Tables

_DAY, _HOUR, _MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
_SECOND = timedelta(seconds=1)

# An offer costs nobody anything but this box: each is kept for good, and told to the hub.
OFFERS_PER_DEVICE_HOUR = 30
PURCHASES_PER_SITE_MINUTE = 300
_MENU = "or pay from the M-Pesa menu, which always works."
_MESSAGES = {
    "purchase.too_soon": f"This phone was asked a moment ago. Wait {{seconds}} seconds and try again, {_MENU}",
    "purchase.limit_phone": f"This phone was asked often enough. Wait {{minutes}} min and try again, {_MENU}",
    "purchase.limit_device": f"This device has asked often enough. Wait {{minutes}} min and try again, {_MENU}",
    "purchase.limit_site": f"Many are paying here just now. Wait {{seconds}} seconds and try again, {_MENU}",
    "purchase.limit_rest": f"Prompts were cancelled on this phone. Wait {{minutes}} min and try again, {_MENU}",
    "purchase.limit_offers": "Too much was ordered from here. Wait {minutes} min and try again.",
}


@dataclass(frozen=True, slots=True)
class PushLimits:
    """How often is too often. Counts are 1 or more.

    Args:
        phone_hour: Pushes to a phone within an hour, whoever asks for them.
        device_hour: Pushes asked for by a device within an hour, to whatever phones.
        site_minute: Pushes of the whole box within a minute, for all tenants.
        cancels_day: With so many cancelled prompts within 24 hours a phone is left alone.
        rest: For how long, from the last of them.
        pause: Between two pushes to a phone, whatever became of the first; at most an hour.
        same_amount_pause: Until M-Pesa takes the same amount from the same phone again.

    Source: Daraja, M-Pesa Express (a minute between pushes; result 17 within two).
    """

    phone_hour: int = 3
    device_hour: int = 6
    site_minute: int = 20
    cancels_day: int = 3
    rest: timedelta = timedelta(minutes=30)
    pause: timedelta = timedelta(seconds=60)
    same_amount_pause: timedelta = timedelta(seconds=120)


def check_push_limits(tx: Tables, wanted: Purchase, limits: PushLimits) -> None:
    """Refuse a purchase, not yet written, whose push would be one too many.

    Raises:
        ConflictError: `purchase.too_soon`, `purchase.limit_phone`, `purchase.limit_device`,
            `purchase.limit_site` or `purchase.limit_rest`, with the `seconds` (and whole `minutes`) after which no
            limit stands against it any more, as far as is known now.
    """
    _refuse_while(_standing(tx, wanted, limits), wanted.created_at)


def check_offer_limits(tx: Tables, wanted: Purchase) -> None:
    """Refuse an offer, not yet written, where a device or the whole site has had more than people ever ask for.

    Raises:
        ConflictError: `purchase.limit_offers`, with the `seconds` and whole `minutes` after which it is not.
    """
    _refuse_while(_standing_of_offer(tx, wanted), wanted.created_at)


def _refuse_while(standing: Iterator[tuple[datetime, str]], now: datetime) -> None:
    until, code = max(standing, default=(now, ""))
    if until <= now:
        return
    seconds = math.ceil((until - now) / _SECOND)
    values = {"seconds": seconds, "minutes": math.ceil(seconds / 60)}
    raise ConflictError(code, _MESSAGES[code].format(**values), **values)


def _standing_of_offer(tx: Tables, wanted: Purchase) -> Iterator[tuple[datetime, str]]:
    purchases, now, code = tx.purchases, wanted.created_at, "purchase.limit_offers"
    if wanted.mac is not None:
        of_device = purchases.offers_of_device(wanted.mac, now - _HOUR, OFFERS_PER_DEVICE_HOUR)
        yield from _used_up(of_device, OFFERS_PER_DEVICE_HOUR, _HOUR, code)
    of_site = purchases.begun(now - _MINUTE, PURCHASES_PER_SITE_MINUTE)
    yield from _used_up(of_site, PURCHASES_PER_SITE_MINUTE, _MINUTE, code)


def _standing(tx: Tables, wanted: Purchase, limits: PushLimits) -> Iterator[tuple[datetime, str]]:
    """Until when which limit stands; moments that are past stand against nothing."""
    purchases, phone, now = tx.purchases, wanted.phone, wanted.created_at
    to_phone = purchases.pushes_to_phone(phone, now - _HOUR, limits.phone_hour)
    if to_phone:
        yield to_phone[0] + limits.pause, "purchase.too_soon"
    # M-Pesa refuses the same amount within two minutes of having taken it, not of having asked for it: where it is
    # known that nothing was taken (no money, wrong PIN, cancelled), only the pause counts.
    debited_at = purchases.last_debit(phone, wanted.amount, now - OFFERED_LIFE)
    if debited_at is not None:
        yield debited_at + limits.same_amount_pause, "purchase.too_soon"
    yield from _used_up(to_phone, limits.phone_hour, _HOUR, "purchase.limit_phone")
    if wanted.mac is not None:
        of_device = purchases.pushes_of_device(wanted.mac, now - _HOUR, limits.device_hour)
        yield from _used_up(of_device, limits.device_hour, _HOUR, "purchase.limit_device")
    of_site = purchases.pushes_of_site(now - _MINUTE, limits.site_minute)
    yield from _used_up(of_site, limits.site_minute, _MINUTE, "purchase.limit_site")
    cancels = purchases.cancels_of_phone(phone, now - _DAY, limits.cancels_day)
    if len(cancels) == limits.cancels_day:
        yield cancels[0] + limits.rest, "purchase.limit_rest"


def _used_up(moments: list[datetime], most: int, span: timedelta, code: str) -> Iterator[tuple[datetime, str]]:
    """With `most` moments within the span, the oldest of them has to leave it first."""
    if len(moments) == most:
        yield moments[-1] + span, code
