"""How often phones are prompted: each limit by itself, and all of them against a plain count of the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.payments import Reason
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.errors import ConflictError
from easyisp_edge.services.money.limits import PushLimits, check_push_limits
from tests.fakes.clocks import START
from tests.fakes.gateway import PAYER
from tests.unit.shop import HOUR, MAC, OTHER_MAC, OTHER_PHONE, a_purchase, add_purchase, tables_in_memory

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.store.store import Tables

FAILED, PAID, OFFERED = PurchaseState.FAILED, PurchaseState.PAID, PurchaseState.OFFERED
PROMPTING = (PurchaseState.INTENDED, PurchaseState.PROMPTED, PurchaseState.UNKNOWN)
UNSENT = (Reason.UNREACHABLE, Reason.BUSY, Reason.CONFIGURATION)
DEAR = Money(5000)
NOW = START + timedelta(days=2)
LIMITS = PushLimits()


@dataclass(frozen=True)
class Refusal:
    """Which limit stood against a push, and for how long."""

    code: str
    seconds: int


class Books:
    """Purchases of the past, in memory."""

    def __init__(self) -> None:
        self.purchases: list[Purchase] = []
        self.tables: Tables = tables_in_memory()[1]

    def add(self, seconds_ago: float, *, changed: float = 0, **changes: Any) -> None:
        """A purchase made so long ago, and in its state since `changed` seconds later."""
        number, at = len(self.purchases), NOW - timedelta(seconds=seconds_ago)
        purchase = a_purchase(
            purchase_id=f"{number:032}",
            account_reference=f"R{number}",
            created_at=at,
            changed_at=at + timedelta(seconds=changed),
            **changes,
        )
        self.purchases.append(add_purchase(self.tables, purchase, f"token-{number}"))

    def refusal(self, limits: PushLimits = LIMITS, *, after: int = 0, **changes: Any) -> Refusal | None:
        """What would be said to the usual order, but for the changes, so many seconds from now."""
        wanted = a_purchase(created_at=NOW + timedelta(seconds=after), **changes)
        try:
            check_push_limits(self.tables, wanted, limits)
        except ConflictError as error:
            return Refusal(error.code, int(str(error.values["seconds"])))
        return None


def test_the_first_push_is_free() -> None:
    """Nothing has been counted."""
    assert Books().refusal() is None


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in {*UNSENT, Reason.REPEATED}])
def test_a_minute_lies_between_two_pushes_to_a_phone(reason: Reason) -> None:
    """Whatever became of the first, whoever asked for it and whatever it cost; another phone need not wait."""
    books = Books()
    books.add(59.5, state=FAILED, reason=reason, mac=OTHER_MAC, tenant_id="other")
    assert books.refusal() == Refusal("purchase.too_soon", 1)
    assert books.refusal(amount=DEAR) == Refusal("purchase.too_soon", 1)
    assert books.refusal(phone=OTHER_PHONE) is None
    assert books.refusal(after=1) is None


def test_the_same_amount_waits_two_minutes_from_when_it_was_taken() -> None:
    """M-Pesa counts from the payment, not from the push; another amount waits only for the push."""
    books = Books()
    books.add(100, changed=40, state=PAID)
    assert books.refusal() == Refusal("purchase.too_soon", 60)
    assert books.refusal(after=60) is None
    assert books.refusal(amount=DEAR) is None
    assert books.refusal(phone=OTHER_PHONE) is None


def test_the_same_amount_waits_also_after_it_was_paid_from_the_menu() -> None:
    """It may have been offered hours before."""
    books = Books()
    books.add(7200, changed=7190, state=PAID)
    assert books.refusal() == Refusal("purchase.too_soon", 110)


@pytest.mark.parametrize("state", PROMPTING)
def test_what_may_have_been_taken_counts_as_taken(state: PurchaseState) -> None:
    """While nobody knows, the same amount waits two minutes from the push, another one minute."""
    books = Books()
    books.add(70, changed=5, state=state)
    assert books.refusal() == Refusal("purchase.too_soon", 50)
    assert books.refusal(amount=DEAR) is None


def test_what_mpesa_called_repeated_waits_two_minutes() -> None:
    """It says itself that it took that amount a moment ago."""
    books = Books()
    books.add(70, changed=5, state=FAILED, reason=Reason.REPEATED)
    assert books.refusal() == Refusal("purchase.too_soon", 50)


@pytest.mark.parametrize("reason", UNSENT)
def test_what_was_not_sent_is_no_push(reason: Reason) -> None:
    """The gateway was not reached, had no time or is set up wrongly: the phone saw nothing."""
    books = Books()
    for number in range(30):
        books.add(number, state=FAILED, reason=reason)
    assert books.refusal() is None


@pytest.mark.parametrize("reason", UNSENT)
def test_what_was_accepted_is_a_push(reason: Reason) -> None:
    """Whatever was said of it afterwards: it may have been on the phone."""
    books = Books()
    books.add(30, state=FAILED, reason=reason, checkout_request_id="ws_CO_1")
    assert books.refusal() == Refusal("purchase.too_soon", 30)


def test_an_offer_is_no_push() -> None:
    """Customers may ask for pay codes without using up prompts."""
    books = Books()
    for number in range(30):
        books.add(number, state=OFFERED)
    assert books.refusal() is None


def no_answer(books: Books, *moments: float, **changes: Any) -> None:
    """Pushes made so many seconds ago, which nobody answered."""
    for seconds in moments:
        books.add(seconds, state=FAILED, reason=Reason.NO_ANSWER, **changes)


def test_three_pushes_to_a_phone_in_an_hour() -> None:
    """Whoever asks; the next when the first of them is an hour old."""
    books = Books()
    no_answer(books, 3000, 2000)
    assert books.refusal() is None
    no_answer(books, 1000, mac=None, tenant_id="other", amount=DEAR)
    assert books.refusal(mac=OTHER_MAC) == Refusal("purchase.limit_phone", 600)
    assert books.refusal(mac=OTHER_MAC, after=599) == Refusal("purchase.limit_phone", 1)
    assert books.refusal(mac=OTHER_MAC, after=600) is None
    assert books.refusal(phone=OTHER_PHONE) is None


def test_six_pushes_by_a_device_in_an_hour() -> None:
    """To whatever phones; who shows no device is counted by phone alone."""
    books = Books()
    for number, seconds in enumerate((3500, 3000, 2500, 2000, 1500, 1000)):
        no_answer(books, seconds, phone=Msisdn(f"25472200020{number}"))
    assert books.refusal() == Refusal("purchase.limit_device", 100)
    assert books.refusal(after=100) is None
    assert books.refusal(mac=OTHER_MAC) is books.refusal(mac=None) is None


def test_twenty_pushes_by_the_box_in_a_minute() -> None:
    """For all its tenants, phones and devices."""
    books = Books()
    for number in range(20):
        no_answer(books, 50 - number, phone=Msisdn(f"2547220002{number:02}"), mac=None, tenant_id=f"tenant-{number}")
    assert books.refusal() == Refusal("purchase.limit_site", 10)
    assert books.refusal(after=10) is None


def test_a_phone_rests_after_cancels() -> None:
    """Three within a day: half an hour from the last; after it one more may be tried, and cancelling it counts."""
    books = Books()
    cancelled: dict[str, Any] = {"state": FAILED, "reason": Reason.CANCELLED, "changed": 20}
    books.add(80_000, **cancelled)
    books.add(40_000, **cancelled)
    assert books.refusal() is None
    books.add(620, **cancelled)
    assert books.refusal() == Refusal("purchase.limit_rest", 1200)
    assert books.refusal(phone=OTHER_PHONE) is None
    assert books.refusal(after=1200) is None
    books.add(-1200, **cancelled)
    assert books.refusal(after=1220) == Refusal("purchase.limit_rest", 1800)


def test_cancels_of_yesterday_are_forgotten() -> None:
    """And what was cancelled first and paid in the end was no cancel."""
    books = Books()
    books.add(86_400, state=FAILED, reason=Reason.CANCELLED)
    books.add(9000, state=PAID)
    for seconds in (8000, 700):
        books.add(seconds, state=FAILED, reason=Reason.CANCELLED)
    assert books.refusal() is None


def test_the_refusal_says_what_to_do() -> None:
    """How long to wait, to the second and in whole minutes, and the way that is always open."""
    books = Books()
    no_answer(books, 3000, 2000, 1019)
    with pytest.raises(ConflictError) as refused:
        check_push_limits(books.tables, a_purchase(created_at=NOW), LIMITS)
    assert refused.value.values == {"seconds": 600, "minutes": 10}
    assert "Wait 10 min" in refused.value.message
    assert "M-Pesa menu" in refused.value.message


def test_of_several_limits_the_longest_is_told() -> None:
    """Who waits as long as is said is not sent away again."""
    books = Books()
    no_answer(books, 3000, 2000, 10)
    assert books.refusal() == Refusal("purchase.limit_phone", 600)


# All at once

PASTS = st.lists(
    st.fixed_dictionaries(
        {
            "seconds_ago": st.integers(1, 200) | st.integers(1, 4000) | st.integers(1, 90_000),
            "changed": st.integers(0, 100),
            "phone": st.sampled_from([PAYER, OTHER_PHONE]),
            "mac": st.sampled_from([MAC, OTHER_MAC, None]),
            "amount": st.sampled_from([HOUR.price, DEAR]),
            "state": st.sampled_from(PurchaseState),
            "reason": st.sampled_from([Reason.CANCELLED, Reason.CANCELLED, Reason.BUSY, Reason.REPEATED]),
            "checkout_request_id": st.booleans(),
        }
    ),
    max_size=10,
)
SMALL = st.integers(1, 3)
SOME_LIMITS = st.builds(PushLimits, phone_hour=SMALL, device_hour=SMALL, site_minute=SMALL, cancels_day=SMALL)


def written_down(past: list[dict[str, Any]]) -> Books:
    """Purchases as they can be: only a failed one has a reason."""
    books = Books()
    for number, each in enumerate(past):
        failed, accepted = each["state"] is FAILED, each["checkout_request_id"]
        own = {
            "reason": each["reason"] if failed else None,
            "checkout_request_id": f"ws_{number}" if accepted else None,
        }
        books.add(**(each | own))
    return books


def standing(books: Books, limits: PushLimits, now: datetime) -> set[str]:
    """The limits that stand against the usual order, counted row by row."""

    def count(within: timedelta, **same: object) -> int:
        return sum(
            purchase.created_at > now - within
            and purchase.state is not OFFERED
            and (purchase.state is not FAILED or purchase.reason not in UNSENT or bool(purchase.checkout_request_id))
            and all(getattr(purchase, name) == value for name, value in same.items())
            for purchase in books.purchases
        )

    def taken(purchase: Purchase) -> datetime:
        maybe = purchase.state.prompting or purchase.reason is Reason.REPEATED
        never = START - timedelta(days=9)
        return purchase.changed_at if purchase.state is PAID else purchase.created_at if maybe else never

    hour, of_phone = timedelta(hours=1), [purchase for purchase in books.purchases if purchase.phone == PAYER]
    alike = [purchase for purchase in of_phone if purchase.amount == HOUR.price]
    cancels = [
        purchase.changed_at
        for purchase in of_phone
        if purchase.reason is Reason.CANCELLED and purchase.created_at > now - timedelta(days=1)
    ]
    found = {
        "purchase.too_soon": count(timedelta(minutes=1), phone=PAYER) > 0
        or any(taken(purchase) > now - timedelta(minutes=2) for purchase in alike),
        "purchase.limit_phone": count(hour, phone=PAYER) >= limits.phone_hour,
        "purchase.limit_device": count(hour, mac=MAC) >= limits.device_hour,
        "purchase.limit_site": count(timedelta(minutes=1)) >= limits.site_minute,
        "purchase.limit_rest": len(cancels) >= limits.cancels_day and max(cancels) > now - limits.rest,
    }
    return {code for code, stands in found.items() if stands}


@given(PASTS, SOME_LIMITS)
def test_limits_are_what_a_plain_count_says(past: list[dict[str, Any]], limits: PushLimits) -> None:
    """Refused exactly when a count of the rows refuses it, in one of its words; and free when the wait is over."""
    books = written_down(past)
    refusal = books.refusal(limits)
    expected = standing(books, limits, NOW)
    assert (refusal is None) == (not expected)
    if refusal is not None:
        assert refusal.code in expected
        assert books.refusal(limits, after=refusal.seconds) is None
        assert not standing(books, limits, NOW + timedelta(seconds=refusal.seconds))
        just_before = standing(books, limits, NOW + timedelta(seconds=refusal.seconds - 1))
        # The day of the cancels may end before the rest does.
        assert refusal.code in just_before or refusal.code == "purchase.limit_rest"
