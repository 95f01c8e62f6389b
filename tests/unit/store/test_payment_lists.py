"""Lists of payments and attempts: the same as going through all rows, at a cost that rows do not raise."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.paging import Position
from easyisp_edge.domain.payments import Disposition, PaymentMethod, Reason
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.values import MacAddress, Money, Msisdn
from easyisp_edge.store.payment_lists import MONEY, ListStatus
from easyisp_edge.store.payment_search import LOOKED_AT_MAX
from tests.fakes.clocks import START
from tests.unit.shop import HOUR, TENANT, a_payment, a_purchase, tables_in_memory

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from easyisp_edge.domain.payments import Payment
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.store.payment_lists import CountedPage
    from easyisp_edge.store.store import Tables

OTHER_TENANT = "other"
TENANTS = (TENANT, OTHER_TENANT)
ANY_STATUS = (None, *ListStatus)
MOST = 10_000
ON_NO_LIST = {Disposition.MERGED}
STATUS_OF = {
    PurchaseState.OFFERED: ListStatus.PENDING,
    PurchaseState.INTENDED: ListStatus.PENDING,
    PurchaseState.PROMPTED: ListStatus.PENDING,
    PurchaseState.UNKNOWN: ListStatus.PENDING,
    PurchaseState.FAILED: ListStatus.FAILED,
    PurchaseState.EXPIRED: ListStatus.EXPIRED,
}


@dataclass
class Books:
    """A store whose rows a test knows, too."""

    sql: sqlite3.Connection
    tx: Tables
    payments: list[Payment]
    purchases: list[Purchase]

    def expected(self, tenant_id: str, status: ListStatus | None) -> list[str]:
        """The keys of a list, newest first, by going through all rows."""
        if status is not None and status.of_attempts:
            mine = [each for each in self.purchases if each.tenant_id == tenant_id]
            found = [each for each in mine if STATUS_OF.get(each.state) is status]
            ordered = sorted(((each.created_at, each.account_reference) for each in found), reverse=True)
        else:
            ordered = sorted(
                ((each.created_at, each.payment_id) for each in self._money(tenant_id, status)), reverse=True
            )
        return [key for _, key in ordered]

    def _money(self, tenant_id: str, status: ListStatus | None) -> Iterator[Payment]:
        for each in self.payments:
            refunded = each.disposition is Disposition.REFUNDED
            if each.tenant_id != tenant_id or each.method is not PaymentMethod.MPESA or each.disposition in ON_NO_LIST:
                continue
            if status in {None, ListStatus.REFUNDED if refunded else ListStatus.COMPLETED}:
                yield each

    def page(self, status: ListStatus | None, limit: int = MOST, **where: Any) -> CountedPage:
        return self.tx.payment_lists.page(TENANT, status, limit, **where)

    def search(self, text: str, status: ListStatus | None = None, limit: int = MOST, **where: Any) -> CountedPage:
        return self.tx.payment_lists.search(TENANT, status, text, limit, **where)

    def found(self, text: str, status: ListStatus | None = None) -> list[str]:
        return keys(self.search(text, status))


def keys(found: CountedPage) -> list[str]:
    return [line.key for line in found.page.rows]


def empty_books() -> Books:
    sql, tx = tables_in_memory()
    tx.packages.version_of(HOUR, START)
    for tenant_id in TENANTS:
        tx.customers.paid(
            new_id=f"customer-of-{tenant_id}",
            tenant_id=tenant_id,
            service=HOUR.service,
            phone=Msisdn("254712345678"),
            mac=None,
            amount=Money(0),
            at=START,
        )
    return Books(sql, tx, [], [])


def pay(books: Books, number: int, **changes: Any) -> Payment:
    """Book a payment past the ledger, which lists do not look at."""
    tenant_id = changes.get("tenant_id", TENANT)
    plain = {
        "payment_id": f"payment-{number:06}",
        "mpesa_receipt_number": f"UKL{number:07}",
        "customer_id": f"customer-of-{tenant_id}",
        "purchase_id": None,
        "disposition": Disposition.WALLET,
    }
    payment = a_payment(**(plain | changes))
    books.tx.payments.add(payment)
    books.payments.append(payment)
    return payment


def attempt(books: Books, number: int, **changes: Any) -> Purchase:
    """Write an attempt as it stands."""
    plain = {"purchase_id": f"{number:032}", "account_reference": f"REF{number:06}"}
    purchase = a_purchase(**(plain | changes))
    books.tx.purchases.add(purchase, f"token-{number}")
    books.tx.purchases.update(purchase)
    books.purchases.append(purchase)
    return purchase


def fill(books: Books, count: int, *, days: int, seed: int = 1) -> Books:
    """Payments and attempts at times drawn within some days, some at the same instant."""
    drawn = random.Random(seed)
    for number in range(count):
        at = START + timedelta(seconds=drawn.randrange(days * 24 * 60) * 60)
        tenant_id = drawn.choices(TENANTS, (3, 1))[0]
        pay(
            books,
            number,
            tenant_id=tenant_id,
            created_at=at,
            disposition=drawn.choices(list(Disposition), (4, 4, 2, 1, 1))[0],
            method=drawn.choices([PaymentMethod.MPESA, PaymentMethod.CASH], (5, 1))[0],
            phone=Msisdn(f"2547{drawn.randrange(10**8):08}"),
            account=f"acc{number:05}",
        )
        state = drawn.choice([state for state in PurchaseState if state is not PurchaseState.PAID])
        attempt(books, number, tenant_id=tenant_id, created_at=at, state=state)
    return books


@pytest.fixture(scope="module")
def books() -> Books:
    return fill(empty_books(), 300, days=12)


@pytest.mark.parametrize("status", ANY_STATUS)
@pytest.mark.parametrize("limit", [1, 7, 13])
def test_pages_by_number_make_up_the_list(books: Books, status: ListStatus | None, limit: int) -> None:
    """Each page is the part of the whole list that its number says; the one after the last is empty."""
    whole = books.expected(TENANT, status)
    assert len(whole) > limit
    for skipped in range(0, len(whole) + limit, limit):
        found = books.page(status, limit, skipped=skipped)
        assert keys(found) == whole[skipped : skipped + limit]
        assert (found.total, found.exact) == (len(whole), True)
        assert (found.page.next is None) == (skipped + limit >= len(whole))


@pytest.mark.parametrize("status", ANY_STATUS)
def test_pages_by_position_make_up_the_list(books: Books, status: ListStatus | None) -> None:
    """Going on from where the page before ended gives every line once."""
    after, walked = None, []
    while True:
        found = books.page(status, 7, after=after)
        walked += keys(found)
        after = found.page.next
        if after is None:
            break
    assert walked == books.expected(TENANT, status)


def test_what_comes_in_meanwhile_shifts_nothing() -> None:
    """The page after a position is the same after newer rows came in."""
    books = fill(empty_books(), 40, days=2)
    first = books.page(None, 10)
    second = books.page(None, 10, after=first.page.next)
    pay(books, 9_001, created_at=START + timedelta(days=9))
    assert books.page(None, 10, after=first.page.next).page == second.page


def test_a_list_of_nothing_is_empty() -> None:
    """A tenant without any rows has a list, of none, whatever page is asked for."""
    books = empty_books()
    for status in ANY_STATUS:
        for skipped in (0, 1, 10**9):
            assert books.page(status, 20, skipped=skipped) == ((([], None)), 0, True)


def test_lines_tell_what_the_rows_say() -> None:
    """A payment's and an attempt's line: nothing of the buyer's secret id, and the customer by the number known."""
    books = empty_books()
    paid = pay(books, 1, account="ACC", description="1 hour")
    tried = attempt(
        books, 2, state=PurchaseState.FAILED, reason=Reason.CANCELLED, result_description="Request cancelled by user"
    )
    (line,) = books.page(None).page.rows
    assert line.customer is not None
    assert (line.key, line.transaction_id, line.amount) == (paid.payment_id, paid.mpesa_receipt_number, paid.amount)
    assert (line.phone, line.account, line.description) == (paid.phone, "ACC", "1 hour")
    assert (line.status, line.disposition) == (ListStatus.COMPLETED, Disposition.WALLET)
    assert line.customer == ("customer-of-default", "254712345678")
    (lost,) = books.page(ListStatus.FAILED).page.rows
    assert (lost.key, lost.account, lost.transaction_id) == ("REF000002", "REF000002", None)
    assert (lost.reason, lost.explanation) == (Reason.CANCELLED, "Request cancelled by user")
    assert (lost.description, lost.customer) == (HOUR.name, line.customer)
    assert tried.purchase_id not in repr(lost)


def test_an_attempt_by_nobody_known_has_no_customer() -> None:
    """Who never paid is no customer; who paid from no number told is known by the device."""
    books = empty_books()
    attempt(books, 1, phone=Msisdn("254799000000"), state=PurchaseState.EXPIRED)
    assert books.page(ListStatus.EXPIRED).page.rows[0].customer is None
    known = books.tx.customers.paid(
        new_id="by-device",
        tenant_id=TENANT,
        service=HOUR.service,
        phone=None,
        mac=MacAddress("AA:BB:CC:00:00:07"),
        amount=Money(1),
        at=START,
    )
    pay(books, 1, customer_id=known, phone=None)
    assert books.page(None).page.rows[0].customer == ("by-device", "AA:BB:CC:00:00:07")


# --- search


@pytest.mark.parametrize("text", ["UKL0000012", "ukl0000012", "ukl 000-0012", "UKL00000", "acc0001", "ACC00012", "u"])
def test_a_text_finds_what_begins_like_it(books: Books, text: str) -> None:
    """Receipts and accounts by their beginning, in small letters or capitals, of this tenant only, newest first."""
    bare = text.upper().replace(" ", "").replace("-", "")
    known = {each.payment_id: each for each in books.payments}

    def fits(key: str) -> bool:
        return (known[key].mpesa_receipt_number or "").startswith(bare) or known[key].account.upper().startswith(bare)

    whole = [key for key in books.expected(TENANT, None) if fits(key)]
    assert books.found(text) == whole
    assert books.search(text).total == len(whole)


@pytest.mark.parametrize(
    "text", ["0712345678", "712345678", "+254 712 345 678", "254712345678", "00254712345678", "0712"]
)
def test_numbers_are_found_as_people_type_them(text: str) -> None:
    """Any spelling of the number, and its beginning."""
    books = empty_books()
    mine = pay(books, 1, phone=Msisdn("254712345678"))
    pay(books, 2, phone=Msisdn("254722345678"))
    pay(books, 3, phone=Msisdn("254712345678"), tenant_id=OTHER_TENANT)
    attempt(books, 1, phone=Msisdn("254712345678"), state=PurchaseState.FAILED)
    attempt(books, 2, phone=Msisdn("254712345678"), state=PurchaseState.PROMPTED)
    attempt(books, 3, phone=Msisdn("254712345678"), state=PurchaseState.FAILED, tenant_id=OTHER_TENANT)
    assert books.found(text) == [mine.payment_id]
    assert books.found(text, ListStatus.FAILED) == ["REF000001"]
    assert books.found(text, ListStatus.PENDING) == ["REF000002"]


def test_an_attempt_is_found_by_its_pay_code() -> None:
    """By the whole of it, and by no other tenant."""
    books = empty_books()
    attempt(books, 1, state=PurchaseState.EXPIRED)
    attempt(books, 2, state=PurchaseState.EXPIRED, tenant_id=OTHER_TENANT)
    assert books.found("ref000001", ListStatus.EXPIRED) == ["REF000001"]
    assert books.found("ref00000", ListStatus.EXPIRED) == []
    assert books.found("REF000002", ListStatus.EXPIRED) == []


def test_what_was_found_is_told_in_pages(books: Books) -> None:
    """By number and by position, as without a search."""
    whole = books.found("ukl", ListStatus.COMPLETED)
    assert len(whole) > 30
    assert keys(books.search("ukl", ListStatus.COMPLETED, 10, skipped=20)) == whole[20:30]
    after = books.search("ukl", ListStatus.COMPLETED, 10).page.next
    assert keys(books.search("ukl", ListStatus.COMPLETED, 10, after=after)) == whole[10:20]
    assert books.search("ukl", ListStatus.COMPLETED, len(whole)).page.next is None


def test_of_too_many_it_says_so() -> None:
    """Beyond what is looked at the total is told to be no exact one; another tenant's rows do not count for that."""
    books = empty_books()
    books.sql.execute("BEGIN")
    for number in range(LOOKED_AT_MAX):
        pay(books, number)
        pay(books, 50_000 + number, tenant_id=OTHER_TENANT)
    assert (books.search("UKL", limit=5).total, books.search("UKL", limit=5).exact) == (LOOKED_AT_MAX, True)
    pay(books, LOOKED_AT_MAX)
    found = books.search("UKL", limit=5)
    assert (found.total, found.exact) == (LOOKED_AT_MAX, False)
    one = books.search("UKL0000007")
    assert (one.total, one.exact, keys(one)) == (1, True, ["payment-000007"])


@given(st.text(max_size=30), st.sampled_from(ANY_STATUS))
@settings(max_examples=60)
def test_any_text_is_looked_up(text: str, status: ListStatus | None) -> None:
    """Nothing that can be typed is an error, also what means something in SQL."""
    books = _SMALL.get("books") or _SMALL.setdefault("books", fill(empty_books(), 20, days=1))
    found = books.search(text, status, 5)
    assert set(keys(found)) <= set(books.expected(TENANT, status))


_SMALL: dict[str, Books] = {}


# --- unmatched, and all that came in


def test_unmatched_money_is_listed_by_itself(books: Books) -> None:
    """All of this tenant's that nobody knows the purpose of, by whatever way it came in, newest first."""
    mine = [each for each in books.payments if (each.tenant_id, each.disposition) == (TENANT, Disposition.UNMATCHED)]
    whole = [key for _, key in sorted(((each.created_at, each.payment_id) for each in mine), reverse=True)]
    first = books.tx.payment_lists.unmatched(TENANT, None, 5)
    rest = books.tx.payment_lists.unmatched(TENANT, first.next, MOST)
    assert [line.key for line in (*first.rows, *rest.rows)] == whole
    assert rest.next is None


@pytest.mark.parametrize("status", [None, *MONEY])
def test_all_that_came_in_is_given_oldest_first(books: Books, status: ListStatus | None) -> None:
    """Of every method and of the instants asked for: the first belongs to it, the last does not."""
    since, before = START + timedelta(days=2), START + timedelta(days=5)
    wanted = [
        each
        for each in books.payments
        if each.tenant_id == TENANT
        and since <= each.created_at < before
        and each.disposition is not Disposition.MERGED
        and (status is None or (each.disposition is Disposition.REFUNDED) == (status is ListStatus.REFUNDED))
    ]
    whole = [key for _, key in sorted((each.created_at, each.payment_id) for each in wanted)]
    after, walked = None, []
    while batch := books.tx.payment_lists.booked(TENANT, status, since, before, after, 9):
        walked += [line.key for line in batch]
        after = Position(batch[-1].created_at, batch[-1].key)
    assert whole
    assert walked == whole


def test_a_payment_is_a_line_for_its_own_tenant_only(books: Books) -> None:
    """Another tenant's is not there."""
    theirs = next(each for each in books.payments if each.tenant_id == OTHER_TENANT)
    assert books.tx.payment_lists.by_id(TENANT, theirs.payment_id) is None
    found = books.tx.payment_lists.by_id(OTHER_TENANT, theirs.payment_id)
    assert found is not None
    assert found.key == theirs.payment_id


# --- what it costs


def test_no_list_goes_through_a_table() -> None:
    """Every statement of every list is answered from an index; only the few open attempts are gone through."""
    books = fill(empty_books(), 30, days=3)
    told: list[str] = []
    books.sql.set_trace_callback(told.append)
    _ask_everything(books)
    books.sql.set_trace_callback(None)
    reads = {statement for statement in told if statement.startswith("SELECT")}
    assert len(reads) > 30
    for statement in reads:
        plan = [row[3] for row in books.sql.execute(f"EXPLAIN QUERY PLAN {statement}")]
        scans = [step for step in plan if step.startswith("SCAN") and "json_each" not in step]
        assert all("purchases_open" in step for step in scans), (statement, plan)
        assert not any("INDEX purchases_by_phone " in step for step in plan), "it has all tenants' rows, and paid ones"
        sorts = [step for step in plan if step == "USE TEMP B-TREE FOR ORDER BY"]
        assert not sorts or "json_each" in statement or "purchases_open" in statement, (statement, plan)


def _ask_everything(books: Books) -> None:
    somewhere = Position(START + timedelta(days=1), "x")
    for status in ANY_STATUS:
        for where in ({}, {"skipped": 3}, {"after": somewhere}):
            books.page(status, 5, **where)
        books.search("0712", status, 5)
        books.search("ukl", status, 5)
    books.tx.payment_lists.unmatched(TENANT, somewhere, 5)
    for status in (None, *MONEY):
        books.tx.payment_lists.booked(TENANT, status, START, START + timedelta(days=1), somewhere, 5)


ASKED: dict[str, Callable[[Books], object]] = {
    "first page": lambda books: books.page(None, 20),
    "page in the middle": lambda books: books.page(None, 20, skipped=len(books.expected(TENANT, None)) // 2),
    "page from a position": lambda books: books.page(None, 20, after=Position(START + timedelta(days=30), "x")),
    "failed": lambda books: books.page(ListStatus.FAILED, 20),
    "refunded": lambda books: books.page(ListStatus.REFUNDED, 20),
    "receipt": lambda books: books.search("UKL0000300", limit=20),
    "phone": lambda books: books.search("0712345678", limit=20),
}


@pytest.fixture(scope="module")
def few_and_many() -> tuple[Books, Books]:
    few, many = empty_books(), empty_books()
    for books, count in ((few, 600), (many, 12_000)):
        books.sql.execute("BEGIN")
        _evenly(books, count, days=60)
        books.sql.execute("COMMIT")
    return few, many


def _evenly(books: Books, count: int, *, days: int) -> None:
    for number in range(count):
        at = START + timedelta(days=days) * (number / count)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        disposition = Disposition.REFUNDED if number % 10 == 0 else Disposition.WALLET
        phone = Msisdn(f"2547{number % (count // 5):08}") if number % 100 else Msisdn("254712345678")
        if number > 300 and phone.digits == "254712345678":
            phone = Msisdn("254799999999")
        pay(books, number, created_at=at, disposition=disposition, phone=phone)
        attempt(books, number, created_at=at, state=PurchaseState.FAILED)


@pytest.mark.parametrize("name", ASKED)
def test_twenty_times_as_many_cost_no_more(few_and_many: tuple[Books, Books], name: str) -> None:
    """Over the same days, a list takes at most half again as many of the database's own steps."""
    few, many = (_steps(books, ASKED[name]) for books in few_and_many)
    assert many <= few * 1.5 + 20, (few, many)


def _steps(books: Books, ask: Callable[[Books], object]) -> int:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    ask(books)
    books.sql.set_progress_handler(step, 1)
    ask(books)
    books.sql.set_progress_handler(None, 1)
    return steps


# --- what is counted


def test_days_are_nairobis() -> None:
    """The last millisecond before midnight in Nairobi and the first after it are two days."""
    books = empty_books()
    midnight = datetime(2026, 12, 31, 21, 0, tzinfo=UTC)
    pay(books, 1, created_at=midnight - timedelta(milliseconds=1), amount=Money(100))
    pay(books, 2, created_at=midnight, amount=Money(250))
    last, first = date(2026, 12, 31), date(2027, 1, 1)
    assert books.tx.takings.taken(TENANT, PaymentMethod.MPESA, last, last) == (1, 100)
    assert books.tx.takings.taken(TENANT, PaymentMethod.MPESA, first, first) == (1, 250)
    assert books.tx.takings.taken(TENANT, PaymentMethod.MPESA, last, first) == (2, 350)


@pytest.mark.parametrize("gone", [Disposition.REFUNDED, Disposition.MERGED])
def test_what_is_gone_is_not_taken(gone: Disposition) -> None:
    """Given back or found to be other money, a payment is taken out of the day it came in; assigned, it is not."""
    books, day = empty_books(), START.date()
    payment = pay(books, 1, disposition=Disposition.UNMATCHED)
    for disposition, taken in ((Disposition.WALLET, (1, 1000)), (Disposition.UNMATCHED, (1, 1000)), (gone, (0, 0))):
        books.tx.payments.update(a_payment(**{**_as_it_is(payment), "disposition": disposition}))
        assert books.tx.takings.taken(TENANT, PaymentMethod.MPESA, day, day) == taken
    total = books.tx.takings.payments(TENANT, [PaymentMethod.MPESA], ["completed", "refunded"])
    assert total == (1 if gone is Disposition.REFUNDED else 0)


def _as_it_is(payment: Payment) -> dict[str, Any]:
    return {name: getattr(payment, name) for name in payment.__dataclass_fields__}


def test_an_attempt_counts_where_it_stands() -> None:
    """From open to failed to expired to paid at last, it counts once, for the day it was made on."""
    books, day = empty_books(), START.date()
    purchase = attempt(books, 1, state=PurchaseState.INTENDED)
    for state, expected in (
        (PurchaseState.PROMPTED, (1, 0, 0, 0)),
        (PurchaseState.FAILED, (0, 1, 0, 0)),
        (PurchaseState.EXPIRED, (0, 0, 1, 0)),
        (PurchaseState.UNKNOWN, (1, 0, 0, 0)),
        (PurchaseState.PAID, (0, 0, 0, 1)),
    ):
        changed = {name: getattr(purchase, name) for name in purchase.__dataclass_fields__}
        books.tx.purchases.update(a_purchase(**{**changed, "state": state, "changed_at": START + timedelta(days=3)}))
        assert books.tx.takings.tried(TENANT, day, day) == expected
        assert books.tx.takings.all_tried(TENANT) == expected
    assert books.tx.takings.tried(OTHER_TENANT, day, day) == (0, 0, 0, 0)
