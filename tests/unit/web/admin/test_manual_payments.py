"""Money that people take and write down, at the back office: recorded, listed, taken back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.paging import Position
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.values import MacAddress, Money, Msisdn
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.back_office.manual_payments import CLEARED_PER_TRANSACTION, ManualPayments, TakenByHand
from easyisp_edge.services.money.booking import Buyer, TakenOver
from easyisp_edge.web.admin.manual_payments import ManualPaymentsArea
from easyisp_edge.web.admin.serving import Desk
from easyisp_edge.web.app import admin_app
from tests.fakes.clocks import START
from tests.fakes.gateway import PAYER, money_record
from tests.unit.desk import TWO_TENANTS, Office, open_office
from tests.unit.shop import HOUR, MAC, OTHER_MAC, OTHER_PHONE, RECEIVER, TENANT, tables_in_memory
from tests.unit.web.admin.stage import Keys, asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

    from easyisp_edge.store.store import Store, Tables

MANUAL = "/api/payments/manual"
FILES = {name: text.replace('"other"', '"b"') for name, text in TWO_TENANTS.items()}


@dataclass
class Till:
    """The manual payments of a site, and a browser at its back office."""

    office: Office
    client: TestClient[Any, Any]

    async def customer(
        self, phone: Msisdn | None = PAYER, tenant_id: str = TENANT, mac: MacAddress | None = MAC
    ) -> str:
        """A customer who has paid nothing yet."""

        def make(tx: Tables) -> str:
            return tx.customers.paid(
                new_id=self.office.books.identifiers.ordered(self.office.books.now()),
                tenant_id=tenant_id,
                service=Service.HOTSPOT,
                phone=phone,
                mac=mac,
                amount=Money(0),
                at=self.office.books.now(),
            )

        return await self.office.books.store.write(make)

    async def take(self, customer_id: str, shillings: float = 100, *, expect: int = 201, **more: Any) -> dict[str, Any]:
        """Write down money that was taken."""
        self.office.books.time.advance(1)
        asking = {key: more.pop(key) for key in ("as_", "headers", "params") if key in more}
        body = {"customerId": customer_id, "amount": shillings, **more}
        return await asked(self.client, "POST", MANUAL, expect, json=body, **asking)

    async def clear(self, expect: int = 200, **more: Any) -> dict[str, Any]:
        """Take everything back."""
        return await asked(self.client, "DELETE", MANUAL, expect, **more)

    async def listed(self, expect: int = 200, *, as_: str = "ADMIN", **query: Any) -> dict[str, Any]:
        """A page of the list."""
        return await asked(self.client, "GET", MANUAL, expect, as_=as_, params=query)

    def wallet(self, customer_id: str) -> Money:
        return self.office.tables.ledger.wallet(customer_id)

    def spent(self, customer_id: str) -> int:
        """What the customer has spent by the books, in cents."""
        connection = self.office.books.store._database.reading
        row = connection.execute("SELECT total_spent_cents FROM customers WHERE customer_id = ?", (customer_id,))
        return int(row.fetchone()[0])

    async def buy_an_hour(self, customer_id: str) -> None:
        """Spend ten shillings of the wallet."""

        def buy(tx: Tables) -> None:
            version = tx.packages.version_of(HOUR, START)
            buyer = Buyer(TENANT, Service.HOTSPOT, PAYER, MAC, None)
            assert self.office.settlement.judge(tx).books.sell_from_wallet(customer_id, buyer, version) is not None

        await self.office.books.store.write(buy)


@pytest.fixture
async def till(tmp_path: Path, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]) -> AsyncIterator[Till]:
    """A site of two tenants."""
    async with open_office(tmp_path, FILES) as office:
        area = ManualPaymentsArea(ManualPayments(office.settlement))
        client = await aiohttp_client(admin_app(dict, Desk(Keys(), office.site), [area], set))
        yield Till(office, client)
        await client.close()


async def test_recorded_money_is_in_the_wallet(till: Till) -> None:
    """201 with the contract's fields; wallet, total spent and the event with who did it are there at once."""
    customer = await till.customer()
    told = await till.take(customer, 250.5, method="BANK_TRANSFER", description="June", as_="STAFF")
    assert told == {"id": told["id"], "amount": 250.5, "method": "BANK_TRANSFER", "status": "COMPLETED"}
    assert (till.wallet(customer), till.spent(customer)) == (Money(25050), 25050)
    event = till.office.tables.events.told(told["id"], "staff.recorded")
    assert event is not None
    assert (event["by"], event["note"], event["amountCents"]) == ("STAFF@x.ke", "June", 25050)
    payment = till.office.tables.payments.by_id(told["id"])
    assert payment is not None
    assert (payment.mpesa_receipt_number, payment.purchase_id, payment.gateway_id) == (None, None, "-")


async def test_cash_goes_without_saying(till: Till) -> None:
    """Without a method it is cash; a whole amount is a whole number."""
    told = await till.take(await till.customer(), 100)
    assert (told["method"], told["amount"]) == ("CASH", 100)


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 0},
        {"amount": -5},
        {"amount": 1.005},
        {"amount": "100"},
        {"amount": True},
        {"amount": 1e300},
        {"amount": None},
        {"method": "MPESA"},
        {"method": "cash"},
        {"description": "two\nlines"},
        {"description": "x" * 201},
        {"customerId": ""},
        {"idempotencyKey": "x" * 65},
        {"idempotencyKey": ""},
    ],
)
async def test_what_cannot_be_is_refused(till: Till, body: dict[str, Any]) -> None:
    """400, and nothing is booked."""
    customer = await till.customer()
    sent = {"customerId": customer, "amount": 10, **body}
    await asked(till.client, "POST", MANUAL, 400, json=sent)
    assert till.office.books.count("payments") == 0


@pytest.mark.parametrize("left_empty", ["", "  ", None])
async def test_a_description_may_be_left_empty(till: Till, left_empty: str | None) -> None:
    """Pages send the fields they leave empty, too; the list has none then."""
    await till.take(await till.customer(), description=left_empty)
    assert [each["description"] for each in (await till.listed())["transactions"]] == [None]


async def test_what_cannot_be_a_line_is_refused_in_words(till: Till) -> None:
    """People read them: no pattern that programs check by stands in them."""
    sent = {"customerId": await till.customer(), "amount": 10, "description": "two\nlines"}
    told = await asked(till.client, "POST", MANUAL, 400, json=sent)
    assert told["detail"] == "description: must be one line of plain text"
    assert told["details"] == [{"field": "description", "message": "must be one line of plain text"}]


async def test_another_tenants_customer_is_not_there(till: Till) -> None:
    """404 with the same words as for one who does not exist; nothing is booked."""
    customer = await till.customer()
    theirs = await till.take(customer, as_="ADMIN:b", expect=404)
    nobody = await till.take("nobody", as_="ADMIN:b", expect=404)
    assert theirs == nobody
    assert till.office.books.count("payments") == 0


async def test_who_may(till: Till) -> None:
    """A viewer sees and changes nothing; staff record; only who may clear clears; a technician sees nothing."""
    customer = await till.customer()
    await till.take(customer, as_="VIEWER", expect=403)
    await till.take(customer, as_="STAFF")
    for role in ("VIEWER", "STAFF", "CUSTOMER_CARE", "FIELD_TECH"):
        await till.clear(403, as_=role)
    assert till.wallet(customer) == Money(10000)
    assert (await till.listed(as_="VIEWER"))["total"] == 1
    await till.listed(403, as_="FIELD_TECH")


async def test_the_same_key_is_booked_once(till: Till) -> None:
    """Sent again under its key, in the header or in the body, it is answered the same and booked once."""
    customer = await till.customer()
    first = await till.take(customer, idempotencyKey="slip 7")
    again = await till.take(customer, idempotencyKey="slip 7")
    by_header = await till.client.post(
        MANUAL,
        json={"customerId": customer, "amount": 100},
        headers={"Authorization": "Bearer ADMIN", "Idempotency-Key": "slip 7"},
    )
    assert first == again == await by_header.json()
    assert till.wallet(customer) == Money(10000)
    assert till.office.told(first["id"]) == ["staff.recorded"]


async def test_a_key_stands_for_one_payment(till: Till) -> None:
    """The same key for another amount, method or customer is refused; another tenant's key is another key."""
    customer, other = await till.customer(), await till.customer(OTHER_PHONE, mac=OTHER_MAC)
    await till.take(customer, idempotencyKey="slip 7")
    for changed in ({"shillings": 101}, {"method": "CARD"}):
        refused = await till.take(customer, idempotencyKey="slip 7", expect=409, **changed)
        assert refused["code"] == "payment.key_used"
    await till.take(other, idempotencyKey="slip 7", expect=409)
    theirs = await till.customer(tenant_id="b")
    await till.take(theirs, idempotencyKey="slip 7", as_="ADMIN:b")
    assert till.office.books.count("payments") == 2


async def test_without_a_key_each_is_another(till: Till) -> None:
    """Two payments of the same amount on one day are two payments."""
    customer = await till.customer()
    ids = {(await till.take(customer))["id"] for _ in range(3)}
    assert len(ids) == 3
    assert till.wallet(customer) == Money(30000)


async def test_a_customer_known_by_neither_phone_nor_device_pays(till: Till) -> None:
    """Who was taken over from before this box came may pay by hand all the same, and have it back."""

    def take_over(tx: Tables) -> str:
        version = tx.packages.version_of(HOUR, START)
        standing = TakenOver("vc1", "1", 3600, None, 0, 0)
        buyer = Buyer(TENANT, HOUR.service, None, None, None)
        books = till.office.settlement.judge(tx).books
        return books.take_over(buyer, version, standing, {"router": "main", "name": "vc1"}).customer_id

    customer = await till.office.books.store.write(take_over)
    await till.take(customer, 30)
    assert till.spent(customer) == 3000
    assert (await till.listed())["transactions"][0]["customer"] == {"id": customer, "name": ""}
    await till.clear()
    assert (till.wallet(customer), till.spent(customer)) == (Money(0), 0)


async def test_the_list_is_newest_first_and_paged(till: Till) -> None:
    """Page and size as asked, the total of all pages, and the contract's fields; M-Pesa's money is not in it."""
    customer, nameless = await till.customer(), await till.customer(None, mac=OTHER_MAC)
    await till.office.settlement.take_records(RECEIVER, [money_record(payer=Payer())])
    for shillings in range(1, 6):
        await till.take(customer, shillings, description=f"No. {shillings}")
    await till.take(nameless, 6)
    page = await till.listed(page=2, pageSize=2)
    assert (page["total"], page["page"], page["pageSize"]) == (6, 2, 2)
    assert [each["amount"] for each in page["transactions"]] == [4, 3]
    assert page["transactions"][0] == {
        "id": page["transactions"][0]["id"],
        "amount": 4,
        "method": "CASH",
        "description": "No. 4",
        "status": "COMPLETED",
        "customer": {"id": customer, "name": PAYER.digits},
        "createdAt": page["transactions"][0]["createdAt"],
    }
    newest = (await till.listed())["transactions"][0]
    assert (newest["description"], newest["customer"]["name"]) == (None, OTHER_MAC.text)
    assert (await till.listed(page=4, pageSize=2))["transactions"] == []


@pytest.mark.parametrize("query", [{"page": 0}, {"pageSize": 0}, {"pageSize": 201}, {"page": "x"}, {"page": 10**9}])
async def test_a_page_that_cannot_be_is_refused(till: Till, query: dict[str, Any]) -> None:
    """400 for what is no page."""
    await till.listed(400, **query)


async def test_clearing_takes_the_money_back_out_of_the_wallets(till: Till) -> None:
    """Mend: what was cleared is in no wallet and no total any more; the rows stay, as refunded, with who did it."""
    customer, other = await till.customer(), await till.customer(OTHER_PHONE, mac=OTHER_MAC)
    ids = [(await till.take(each, amount))["id"] for each, amount in ((customer, 10), (customer, 20.5), (other, 40))]
    assert await till.clear() == {"success": True, "clearedCount": 3, "clearedAmount": 70.5, "keptCount": 0}
    assert [till.wallet(customer), till.wallet(other)] == [Money(0), Money(0)]
    assert [till.spent(customer), till.spent(other)] == [0, 0]
    listed = await till.listed()
    assert listed["total"] == 3
    assert {each["status"] for each in listed["transactions"]} == {"REFUNDED"}
    told = till.office.tables.events.told(ids[0], "staff.cleared")
    assert told is not None
    assert told["by"] == "ADMIN@x.ke"
    assert (await till.clear())["clearedCount"] == 0


async def test_what_is_spent_stays_paid(till: Till) -> None:
    """No wallet goes below nothing: the newest are taken back as far as the wallet goes, the others are kept."""
    customer = await till.customer()
    for _ in range(3):
        await till.take(customer, 10)
    await till.buy_an_hour(customer)
    assert await till.clear() == {"success": True, "clearedCount": 2, "clearedAmount": 20, "keptCount": 1}
    assert (till.wallet(customer), till.spent(customer)) == (Money(0), 1000)
    statuses = [each["status"] for each in (await till.listed())["transactions"]]
    assert statuses == ["REFUNDED", "REFUNDED", "COMPLETED"]


async def test_other_money_is_left_alone(till: Till) -> None:
    """Clearing is of one tenant's manual payments: M-Pesa's credit and another tenant's money stay."""
    customer, theirs = await till.customer(), await till.customer(tenant_id="b")
    await till.office.settlement.take_records(RECEIVER, [money_record(payer=Payer())])
    await till.office.books.store.write(lambda tx: _credit_unmatched(till.office, tx))
    await till.take(customer, 30)
    await till.take(theirs, 50, as_="ADMIN:b")
    assert (await till.clear())["clearedCount"] == 1
    assert (till.wallet(customer), till.wallet(theirs)) == (Money(1000), Money(5000))
    assert (await till.listed(as_="ADMIN:b"))["transactions"][0]["status"] == "COMPLETED"
    assert (await till.clear(as_="ADMIN:all", params={"tenantId": "b"}))["clearedCount"] == 1


async def test_a_payment_sent_again_after_it_was_cleared_stays_cleared(till: Till) -> None:
    """The key still stands for it: it is not booked anew."""
    customer = await till.customer()
    await till.take(customer, idempotencyKey="slip 7")
    await till.clear()
    assert (await till.take(customer, idempotencyKey="slip 7"))["status"] == "REFUNDED"
    assert till.wallet(customer) == Money(0)


class CutOffStore:
    """A store that takes so many transactions, and none after them; something may happen before each."""

    def __init__(self, store: Store, transactions: int, between: Callable[[], Awaitable[Any]] | None = None) -> None:
        self._store = store
        self._left = transactions
        self._between = between

    async def write(self, work: Callable[[Tables], Any]) -> Any:
        if not self._left:
            raise UnavailableError("store.not_written", "The box could not write to its disk.")
        self._left -= 1
        if self._between is not None:
            await self._between()
        return await self._store.write(work)


def _cut_off(office: Office, transactions: int, between: Callable[[], Awaitable[Any]] | None = None) -> ManualPayments:
    store: Any = CutOffStore(office.books.store, transactions, between)
    return ManualPayments(replace(office.settlement, store=store))


async def _many(office: Office, customers: list[str], number: int) -> None:
    manual = ManualPayments(office.settlement)

    def take_all(tx: Tables) -> None:
        for at in range(number):
            manual._record(tx, TENANT, TakenByHand(customers[at % len(customers)], Money(1000)), "mary")

    await office.books.store.write(take_all)


async def test_clearing_that_is_cut_off_goes_on_where_it_was(till: Till) -> None:
    """Killed between its transactions: what is cleared is whole, the rest stands; asked again, it does the rest."""
    customers = [await till.customer(Msisdn(f"25470000000{each}"), mac=None) for each in range(3)]
    await _many(till.office, customers, 3 * CLEARED_PER_TRANSACTION)
    with pytest.raises(UnavailableError):
        await _cut_off(till.office, 2).clear(TENANT, "mary")
    held = sum(till.wallet(each).cents for each in customers)
    assert held == sum(till.spent(each) for each in customers) == CLEARED_PER_TRANSACTION * 1000
    rest = await till.clear()
    assert (rest["clearedCount"], rest["keptCount"]) == (CLEARED_PER_TRANSACTION, 0)
    assert sum(till.wallet(each).cents for each in customers) == 0


async def test_what_is_taken_while_clearing_is_not_cleared(till: Till) -> None:
    """It is of what was written down until then: it ends, however busily money is taken meanwhile."""
    customer = await till.customer()
    await _many(till.office, [customer], 2 * CLEARED_PER_TRANSACTION)

    async def take_more() -> None:
        await till.take(customer, 7)

    cleared = await _cut_off(till.office, 9, take_more).clear(TENANT, "mary")
    assert (cleared.count, cleared.kept) == (2 * CLEARED_PER_TRANSACTION, 0)
    assert till.wallet(customer) == Money(3 * 700)


async def test_clearing_waits_for_nobody_long(till: Till) -> None:
    """Somebody else's transaction comes in between two of clearing's."""
    customer = await till.customer()
    await _many(till.office, [customer], 4 * CLEARED_PER_TRANSACTION)
    seen: list[int] = []

    async def look() -> None:
        seen.append(till.wallet(customer).cents)

    await _cut_off(till.office, 9, look).clear(TENANT, "mary")
    assert seen == [cents * CLEARED_PER_TRANSACTION * 1000 for cents in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("index", ["payments_by_hand", "payments_credit_by_hand"])
def test_lists_walk_an_index_of_their_own(index: str) -> None:
    """Neither a page nor a step of clearing looks at M-Pesa's payments, or sorts."""
    connection, tx = tables_in_memory()
    with contextlib.closing(connection):
        said: list[str] = []
        connection.set_trace_callback(said.append)
        if index == "payments_by_hand":
            tx.payments.taken_by_hand(TENANT, START, 20, skipped=40)
        else:
            tx.payments.credit_by_hand(TENANT, Position(START + timedelta(days=1), "~"), 100)
        connection.set_trace_callback(None)
        plans = [" ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")) for query in said]
        assert plans
        for plan in plans:
            assert f"INDEX {index} " in plan, plan
            assert "SEARCH" in plan
            assert "TEMP B-TREE" not in plan


def _credit_unmatched(office: Office, tx: Tables) -> None:
    payment = tx.payments.unmatched(TENANT, 1)[0]
    customer = tx.customers.of_phone(TENANT, Service.HOTSPOT, PAYER)
    assert customer is not None
    office.settlement.judge(tx).books.credit_known(payment, customer)


async def test_pages_over_many_days(till: Till) -> None:
    """Every payment stands on one page, in order, wherever the pages end within a day or between days."""
    customer = await till.customer()
    expected: list[float] = []
    for day, count in enumerate([3, 1, 4, 2]):
        for number in range(count):
            await till.take(customer, shillings := day * 10 + number + 1, method=("CASH", "CARD")[number % 2])
            expected.insert(0, shillings)
        till.office.books.time.advance(24 * 3600)
    for size in (1, 2, 3, 4, 7, 10, 11):
        pages = [await till.listed(page=number, pageSize=size) for number in range(1, 12)]
        assert [each["amount"] for page in pages for each in page["transactions"]] == expected
        assert {page["total"] for page in pages} == {10}
