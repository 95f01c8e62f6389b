"""Payments at the back office: lists, statistics, money without a purpose, and the list handed out whole."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import NO_GATEWAY, Disposition, EvidenceSource, PaymentMethod, Reason
from easyisp_edge.domain.values import NAIROBI, Money, Msisdn
from easyisp_edge.errors import InvalidError, UnavailableError
from easyisp_edge.services.back_office import payment_lists
from easyisp_edge.services.back_office.payment_lists import PaymentLists, Span
from easyisp_edge.services.back_office.statistics import StatisticsService
from easyisp_edge.services.money.judgement import Judge, Receiver
from easyisp_edge.store.payment_lists import ListedPayment, ListStatus
from easyisp_edge.web.admin.payment_export import COLUMNS, defused, row_of, shillings, written
from easyisp_edge.web.admin.payments import PaymentsArea
from easyisp_edge.web.admin.serving import Desk
from easyisp_edge.web.app import admin_app
from tests.fakes.clocks import START, until
from tests.fakes.gateway import PAYER, money_record, not_paid
from tests.unit.desk import TWO_TENANTS, Office, open_office
from tests.unit.shop import MAC, OTHER_PHONE, PAY_CODE, PURCHASE_ID, RECEIVER, a_prompted_purchase
from tests.unit.web.admin.stage import Keys, asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

    from easyisp_edge.store.store import Tables

LIST, UNMATCHED, EXPORT = "/api/payments/electronic", "/api/payments/unmatched", "/api/payments/export.csv"
FILES = {name: text.replace('"other"', '"b"') for name, text in TWO_TENANTS.items()}
THEIRS = Receiver("b", "theirs")
RECEIPT, OTHER_RECEIPT = "UKL41A2B3C", "UKL41A2B3D"


@dataclass
class Counter:
    """The payments of a site, and a browser at its back office."""

    office: Office
    client: TestClient[Any, Any]

    @property
    def lists(self) -> PaymentLists:
        return PaymentLists(self.office.books.store, self.office.books.clock)

    async def receive(
        self, receipt: str = RECEIPT, shillings_: int = 50, receiver: Receiver = RECEIVER, **said: Any
    ) -> str:
        """Have money come in of which nobody knows the purpose; its id."""
        self.office.books.time.advance(1)
        record = money_record(receipt=receipt, amount=Money.shillings(shillings_), payer=Payer(), **said)

        def take(tx: Tables) -> None:
            Judge(tx, self.office.books.now(), self.office.books.identifiers).settle_record(receiver, record)

        await self.office.books.store.write(take)
        return self.office.payment(receipt).payment_id

    async def get(self, path: str = LIST, expect: int = 200, *, as_: str = "ADMIN", **query: Any) -> dict[str, Any]:
        return await asked(self.client, "GET", path, expect, as_=as_, params=query)

    async def post(self, path: str, body: dict[str, Any], expect: int = 200, *, as_: str = "ADMIN") -> dict[str, Any]:
        return await asked(self.client, "POST", path, expect, as_=as_, json=body)

    async def assign(self, key: str, body: dict[str, Any], expect: int = 200, **more: Any) -> dict[str, Any]:
        return await self.post(f"{UNMATCHED}/{key}/assign", body, expect, **more)

    async def refund(self, key: str, body: dict[str, Any], expect: int = 200, **more: Any) -> dict[str, Any]:
        return await self.post(f"/api/payments/{key}/refund", body, expect, **more)

    async def exported(self, *, as_: str = "ADMIN", **query: str) -> list[dict[str, str]]:
        """The rows of the list handed out whole."""
        async with self.client.get(EXPORT, params=query, headers={"Authorization": f"Bearer {as_}"}) as answer:
            assert answer.status == 200, await answer.text()
            return list(csv.DictReader(io.StringIO(await answer.text(), newline="")))


@pytest.fixture(name="counter")
async def _counter(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> AsyncIterator[Counter]:
    async with open_office(tmp_path, FILES) as office:
        client = await aiohttp_client(back_office(office))
        yield Counter(office, client)
        await client.close()


def back_office(office: Office) -> web.Application:
    """The payments' part of the admin door."""
    store, clock = office.books.store, office.books.clock
    area = PaymentsArea(PaymentLists(store, clock), StatisticsService(store, clock, office.site), office.desk)
    return admin_app(dict, Desk(Keys(), office.site), [area], set)


# --- the list


async def test_the_list_is_as_front_ends_know_it(counter: Counter) -> None:
    """Every field of the contract, under its name, in its words and units; and the same by its older path."""
    await counter.receive(account="shop 7")
    listed = await counter.get()
    (row,) = listed["transactions"]
    assert (listed["total"], listed["page"], listed["pageSize"]) == (1, 1, 20)
    assert (listed["totalIsExact"], listed["nextCursor"]) == (True, None)
    assert (
        row.items()
        >= {
            "id": counter.office.payment(RECEIPT).payment_id,
            "transactionId": RECEIPT,
            "amount": 50,
            "phone": None,
            "account": "shop 7",
            "status": "completed",
            "customer": None,
            "createdAt": "2026-11-21T06:00:01.000Z",
            "gatewayId": "paybill",
            "disposition": "unmatched",
        }.items()
    )
    assert await counter.get("/api/payments/mpesa") == listed


async def test_a_known_customer_is_named(counter: Counter) -> None:
    """With id and name, and the number that paid."""
    await counter.receive()
    await counter.assign(RECEIPT, {"phone": "0712 345 678"})
    (row,) = (await counter.get())["transactions"]
    assert row["customer"]["name"] == PAYER.digits
    assert row["customer"]["id"] == counter.office.payment(RECEIPT).customer_id


async def test_failures_are_listed(counter: Counter) -> None:
    """Open and failed attempts in the same shape, without a receipt, under their pay code and not the secret id."""
    purchase = a_prompted_purchase()
    await counter.office.add_purchase(purchase)
    (row,) = (await counter.get(status="pending"))["transactions"]
    assert (row["id"], row["account"], row["transactionId"], row["status"]) == (PAY_CODE, PAY_CODE, None, "pending")
    report = not_paid(EvidenceSource.STK_CALLBACK, Reason.CANCELLED)
    await counter.office.settlement.store.write(
        lambda tx: counter.office.settlement.judge(tx).settle(PURCHASE_ID, report)
    )
    failed = await counter.get(status="failed")
    (row,) = failed["transactions"]
    assert (row["status"], row["reason"], row["disposition"]) == ("failed", "cancelled", None)
    assert (row["amount"], row["phone"], row["description"]) == (10, PAYER.digits, "1 hour")
    assert PURCHASE_ID not in str(failed)
    assert (await counter.get(status="pending"))["total"] == 0
    assert (await counter.get())["total"] == 0


async def test_statuses_are_told_apart(counter: Counter) -> None:
    """Refunded money is on the list by itself and among all; capitals are as good; another word is told the right."""
    await counter.receive()
    await counter.receive(OTHER_RECEIPT)
    await counter.refund(OTHER_RECEIPT, {"note": "by hand"})
    assert [row["status"] for row in (await counter.get())["transactions"]] == ["refunded", "completed"]
    assert (await counter.get(status="REFUNDED"))["transactions"][0]["transactionId"] == OTHER_RECEIPT
    assert (await counter.get(status="completed"))["total"] == 1
    told = await counter.get(expect=400, status="paid")
    assert told["field"] == "status"
    assert all(status.value in told["message"] for status in ListStatus)


async def test_pages_are_asked_for_by_number_and_by_cursor(counter: Counter) -> None:
    """Newest first; a cursor goes on where the page before ended, and stays true when newer money comes in."""
    receipts = [f"UKL41A00{number:02}" for number in range(7)]
    for receipt in receipts:
        await counter.receive(receipt)

    def shown(listed: dict[str, Any]) -> list[str]:
        return [row["transactionId"] for row in listed["transactions"]]

    newest_first = receipts[::-1]
    first = await counter.get(pageSize=3)
    assert (shown(first), first["total"]) == (newest_first[:3], 7)
    assert shown(await counter.get(pageSize=3, page=2)) == newest_first[3:6]
    last = await counter.get(pageSize=3, page=3)
    assert (shown(last), last["nextCursor"]) == (newest_first[6:], None)
    assert shown(await counter.get(pageSize=3, page=4)) == []
    await counter.receive("UKL41A9999")
    second = await counter.get(pageSize=3, cursor=first["nextCursor"])
    assert (shown(second), second["total"]) == (newest_first[3:6], 8)


@pytest.mark.parametrize("text", [RECEIPT, "ukl41a2b3c", "UKL41A2B3C.", "0712345", "254712", "SHOP", "shop 7"])
async def test_a_search_finds_it(counter: Counter, text: str) -> None:
    """By receipt, number and account, however it is typed."""
    await counter.receive(OTHER_RECEIPT, account="stall 9")
    await counter.receive(account="Shop 7")
    await counter.assign(OTHER_RECEIPT, {"phone": "0722 000 111"})
    await counter.office.books.store.write(lambda tx: _name_payer(tx, RECEIPT, PAYER))
    listed = await counter.get(search=text)
    assert [row["transactionId"] for row in listed["transactions"]] == [RECEIPT]
    assert listed["total"] == 1


def _name_payer(tx: Tables, receipt: str, phone: Msisdn) -> None:
    payment = tx.payments.by_receipt(receipt)
    assert payment is not None
    Judge(tx, START, None).books.learn(payment, phone=phone)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query",
    [
        {"page": 0},
        {"pageSize": 0},
        {"pageSize": 201},
        {"page": "x"},
        {"cursor": "!"},
        {"search": "a\x00b"},
        {"search": "x" * 65},
    ],
)
async def test_a_wrong_question_is_refused(counter: Counter, query: dict[str, Any]) -> None:
    """With the field that is wrong."""
    assert (await counter.get(expect=400, **query))["field"] == next(iter(query))


@pytest.mark.parametrize("path", [LIST, "/api/payments/mpesa", "/api/payments/mpesa/stats", UNMATCHED])
async def test_another_tenants_money_is_on_no_list(counter: Counter, path: str) -> None:
    """Neither its rows nor its counts."""
    before = await counter.get(path)
    await counter.receive(receiver=THEIRS)
    assert await counter.get(path) == before
    assert await counter.get(path, as_="ADMIN:b") != before


async def test_statistics_have_the_contracts_names(counter: Counter) -> None:
    """All seven, in shillings, per cent and ISO time."""
    await counter.receive()
    assert await counter.get("/api/payments/mpesa/stats") == {
        "todayReceived": 50,
        "todayTransactions": 1,
        "thisMonthReceived": 50,
        "thisMonthTransactions": 1,
        "successRate": 0,
        "pendingConfirmations": 0,
        "lastSync": "2026-11-21T06:00:01.000Z",
    }


# --- money without a purpose


async def test_unmatched_money_is_listed_until_it_is_assigned(counter: Counter) -> None:
    """Newest first, by cursor; what is assigned is on it no more."""
    for receipt in (RECEIPT, OTHER_RECEIPT):
        await counter.receive(receipt)
    first = await counter.get(UNMATCHED, limit=1)
    second = await counter.get(UNMATCHED, limit=1, cursor=first["nextCursor"])
    found = [row["transactionId"] for row in (*first["items"], *second["items"])]
    assert (found, second["nextCursor"]) == ([OTHER_RECEIPT, RECEIPT], None)
    await counter.assign(RECEIPT, {"phone": "0712345678"})
    assert len((await counter.get(UNMATCHED))["items"]) == 1


async def test_money_is_assigned_to_a_pay_code(counter: Counter) -> None:
    """It settles that purchase; the grant is told without its password, and the event says who did it."""
    await counter.office.add_purchase(a_prompted_purchase(phone=OTHER_PHONE))
    key = await counter.receive(shillings_=10)
    told = await counter.assign(key, {"code": "abc-defp"})
    grant = counter.office.tables.grants.by_purchase(PURCHASE_ID)
    assert grant is not None
    assert told["payment"]["disposition"] == "grant"
    assert told["grant"] == {
        "id": grant.grant_id,
        "state": GrantState.WAITING.value,
        "secondsLeft": 3600,
        "mac": MAC.text,
        "username": grant.username,
    }
    assert grant.password not in str(told)
    assert counter.office.told(key) == ["staff.assigned"]


async def test_money_is_assigned_to_a_customer(counter: Counter) -> None:
    """It buys the package for the device named, where it covers that."""
    key = await counter.receive(shillings_=10)
    told = await counter.assign(key, {"phone": "0722000111", "packageId": "1h", "mac": "aa-bb-cc-00-00-02"})
    assert (told["grant"]["mac"], told["payment"]["description"]) == ("AA:BB:CC:00:00:02", "1 hour")
    assert told["payment"]["customer"]["name"] == OTHER_PHONE.digits


@pytest.mark.parametrize(
    ("body", "expect"),
    [
        ({}, 400),
        ({"code": "ABC-DEFP", "phone": "0712345678"}, 400),
        ({"code": "nothing"}, 400),
        ({"code": PAY_CODE}, 404),
        ({"phone": "12"}, 400),
        ({"phone": "0712345678", "mac": "x"}, 400),
        ({"phone": "0712345678", "packageId": "none"}, 404),
        ({"phone": 712345678}, 400),
    ],
)
async def test_a_wrong_assignment_changes_nothing(counter: Counter, body: dict[str, Any], expect: int) -> None:
    """It is refused in words, and the money waits as before."""
    await counter.receive()
    assert (await counter.assign(RECEIPT, body, expect))["message"]
    assert counter.office.payment(RECEIPT).disposition.value == "unmatched"


async def test_what_a_page_leaves_empty_is_not_said(counter: Counter) -> None:
    """Its fields for the pay code, the package and the device come along, and say nothing."""
    key = await counter.receive()
    told = await counter.assign(key, {"code": "", "phone": "0712345678", "packageId": "", "mac": " "})
    assert (told["payment"]["disposition"], told["grant"]) == ("wallet", None)


async def test_money_is_assigned_once(counter: Counter) -> None:
    """Who comes second is told what it is booked as."""
    key = await counter.receive()
    await counter.assign(key, {"phone": "0712345678"})
    told = await counter.assign(key, {"phone": "0712345678"}, 409)
    assert (told["code"], told["payment"]) == ("payment.booked", key)


async def test_a_refund_is_noted_with_who_did_it(counter: Counter) -> None:
    """Unmatched money and whole credit may be given back, once; the note and the person stand in the history."""
    key = await counter.receive()
    told = await counter.refund(key, {"note": "sent back by M-Pesa, SKL1"})
    assert (told["status"], told["description"]) == ("refunded", "Given back: sent back by M-Pesa, SKL1")
    assert counter.office.told(key) == ["staff.refunded"]
    assert (await counter.refund(key, {"note": "again"}, 409))["code"] == "payment.booked"


@pytest.mark.parametrize("body", [{}, {"note": ""}, {"note": "  "}, {"note": "x" * 201}, {"note": "two\nlines"}])
async def test_a_refund_needs_a_note(counter: Counter, body: dict[str, Any]) -> None:
    """One line, not empty; without it nothing changes."""
    await counter.receive()
    assert (await counter.refund(RECEIPT, body, 400))["field"] == "note"
    assert counter.office.payment(RECEIPT).disposition.value == "unmatched"


async def test_spent_credit_cannot_be_given_back(counter: Counter) -> None:
    """What bought something is a conflict that says so."""
    key = await counter.receive(shillings_=10)
    await counter.assign(key, {"phone": "0722000111", "packageId": "1h"})
    assert (await counter.refund(key, {"note": "no"}, 409))["disposition"] == "grant"


@pytest.mark.parametrize("key_of", ["id", "receipt"])
async def test_another_tenants_payment_is_not_there(counter: Counter, key_of: str) -> None:
    """By id or receipt it is a 404 in the words of one that does not exist, and stays as it is."""
    payment_id = await counter.receive(receiver=THEIRS)
    key = payment_id if key_of == "id" else RECEIPT
    for told, missing in (
        (
            await counter.assign(key, {"phone": "0712345678"}, 404),
            await counter.assign("x" * len(key), {"phone": "0712345678"}, 404),
        ),
        (
            await counter.assign(key, {"code": PAY_CODE}, 404),
            await counter.assign("x" * len(key), {"code": PAY_CODE}, 404),
        ),
        (await counter.refund(key, {"note": "mine"}, 404), await counter.refund("x" * len(key), {"note": "mine"}, 404)),
    ):
        assert told["message"].replace(key, "…") == missing["message"].replace("x" * len(key), "…")
        assert told["code"] == missing["code"]
    assert counter.office.payment(RECEIPT).disposition.value == "unmatched"
    assert counter.office.told(payment_id) == []


async def test_a_viewer_changes_nothing(counter: Counter) -> None:
    """May look at lists, and neither assign, nor give back, nor take the list home."""
    await counter.receive()
    await counter.get(as_="VIEWER")
    for told in (
        await counter.assign(RECEIPT, {"phone": "0712345678"}, 403, as_="VIEWER"),
        await counter.refund(RECEIPT, {"note": "mine"}, 403, as_="VIEWER"),
        await counter.get(EXPORT, 403, as_="VIEWER"),
    ):
        assert told["code"] == "permission.missing"
    assert counter.office.payment(RECEIPT).disposition.value == "unmatched"


# --- handed out whole


async def test_the_list_is_handed_out_whole(counter: Counter) -> None:
    """In columns of the list's names, oldest first, amounts with two decimals, times of Nairobi's."""
    for receipt in (RECEIPT, OTHER_RECEIPT):
        await counter.receive(receipt)
    await counter.assign(OTHER_RECEIPT, {"phone": "0712345678"})
    await counter.receive("UKL41A2B3E", receiver=THEIRS)
    first, second = await counter.exported()
    assert list(first) == list(COLUMNS)
    assert first["createdAt"] == "2026-11-21T09:00:01+03:00"
    assert (first["transactionId"], first["amount"], first["method"]) == (RECEIPT, "50.00", "MPESA")
    assert (second["transactionId"], second["disposition"]) == (OTHER_RECEIPT, "wallet")
    assert second["customerId"] == counter.office.payment(OTHER_RECEIPT).customer_id


async def test_it_comes_as_a_file(counter: Counter) -> None:
    """CSV in UTF-8 with a header line and lines that end as RFC 4180 says, kept by nobody on the way."""
    await counter.receive(account="caf\u00e9, \u201cx\u201d")
    headers = {"Authorization": "Bearer ADMIN"}
    async with counter.client.get(EXPORT, params={"from": "2026-11-01"}, headers=headers) as answer:
        octets = await answer.read()
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="payments_2026-11-01.csv"'
        assert answer.headers["Cache-Control"] == "no-store"
    assert octets.startswith(",".join(COLUMNS).encode() + b"\r\n")
    assert octets.endswith(b"\r\n")
    assert '"caf\u00e9, \u201cx\u201d"'.encode() in octets


async def test_days_are_nairobis_and_both_included(counter: Counter) -> None:
    """From the first day's midnight to the last's, in Nairobi."""
    midnight = datetime(2026, 11, 22, tzinfo=NAIROBI).astimezone(UTC)
    for number, at in enumerate((midnight - timedelta(milliseconds=1), midnight, midnight + timedelta(days=1))):
        counter.office.books.time.advance((at - counter.office.books.now()).total_seconds() - 1)
        await counter.receive(f"UKL41A000{number}")
    await counter.receive("UKL41A0009")

    async def of(**span: str) -> str:
        return "".join(row["transactionId"][-1] for row in await counter.exported(**span))

    assert await of() == "0129"
    assert await of(**{"from": "2026-11-22"}) == "129"
    assert await of(**{"from": "2026-11-22", "to": "2026-11-22"}) == "1"
    assert await of(to="2026-11-21") == "0"
    assert await of(to="2026-11-20") == ""


@pytest.mark.parametrize("day", ["1999-12-31", "3000-01-01", "2026-13-01", "2026-1-1", "2026-01-01T00:00"])
async def test_what_is_no_day_is_refused_in_words(counter: Counter, day: str) -> None:
    """The message is for people: nothing of the program that wrote it stands in it."""
    told = await counter.get(EXPORT, 400, to=day)
    assert told["field"] == "to"
    assert "datetime." not in told["detail"]


async def test_one_status_may_be_handed_out(counter: Counter) -> None:
    """What was given back, or what was not."""
    for receipt in (RECEIPT, OTHER_RECEIPT):
        await counter.receive(receipt)
    await counter.refund(RECEIPT, {"note": "by hand"})
    assert [row["transactionId"] for row in await counter.exported(status="refunded")] == [RECEIPT]
    assert [row["transactionId"] for row in await counter.exported(status="completed")] == [OTHER_RECEIPT]


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-11-22", "to": "2026-11-21"},
        {"from": "yesterday"},
        {"to": "1700000000"},
        {"from": "2026-02-30"},
        {"to": "9999-12-31"},
        {"from": "0001-01-01"},
        {"status": "pending"},
    ],
)
async def test_a_wrong_span_is_refused(counter: Counter, query: dict[str, str]) -> None:
    """As a problem, before any of it is handed out."""
    assert (await counter.get(EXPORT, 400, **query))["field"] in query


async def test_attempts_are_no_money(counter: Counter) -> None:
    """They are never handed out among it."""
    with pytest.raises(InvalidError) as raised:
        await anext(counter.lists.booked("default", Span(), ListStatus.FAILED))
    assert raised.value.field == "status"


async def test_batches_make_up_the_whole(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows are read at a time, each comes once; what is booked meanwhile is not among them."""
    monkeypatch.setattr(payment_lists, "BATCH_ROWS_MAX", 2)
    receipts = [f"UKL41A000{number}" for number in range(4)]
    for receipt in receipts:
        await counter.receive(receipt)
    counter.office.books.time.advance(1)
    seen: list[ListedPayment] = []
    async for batch in counter.lists.booked("default", Span(), None):
        assert len(batch) <= 2
        seen += batch
        await counter.receive(f"UKL41A9{len(seen):03}")  # nobody who writes waits for who reads
    assert [line.transaction_id for line in seen] == receipts
    assert counter.office.books.count("payments") == 6


async def test_what_goes_wrong_on_the_way_cuts_the_connection(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody takes a part of the list for all of it: the answer ends without its end."""
    await counter.receive()
    _break_after_first(counter, monkeypatch)
    request = counter.client.get(EXPORT, headers={"Authorization": "Bearer ADMIN"})
    with pytest.raises(Exception, match=r"(?i)payload|disconnected|reset") as raised:
        async with request as answer:
            await answer.read()
    assert type(raised.value).__module__.startswith("aiohttp")
    assert "broken off" in caplog.text


async def test_what_goes_wrong_at_once_is_told(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first row there is an answer to be given in words."""

    async def booked(*asked_: Any) -> AsyncIterator[list[ListedPayment]]:
        if asked_:
            raise UnavailableError("store.busy", "Later.")
        yield []

    monkeypatch.setattr(PaymentLists, "booked", booked)
    assert (await counter.get(EXPORT, 503))["code"] == "store.busy"


def _break_after_first(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PaymentLists.booked

    async def booked(lists: PaymentLists, *asked_: Any) -> AsyncIterator[list[ListedPayment]]:
        async for batch in whole(lists, *asked_):
            yield batch
        raise UnavailableError("store.busy", "Later.")

    monkeypatch.setattr(PaymentLists, "booked", booked)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_whoever_goes_away_stops_it(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, *, cancelled: bool
) -> None:
    """The rest is not read, and nothing of it stays behind; it reads no faster than the other side takes it."""
    await counter.receive()
    (line,) = [line async for batch in counter.lists.booked("default", Span(), None) for line in batch]
    read, closed = 0, asyncio.Event()

    async def endless(_lists: PaymentLists, *_asked: Any) -> AsyncIterator[list[ListedPayment]]:
        nonlocal read
        try:
            while True:
                read += 1
                await asyncio.sleep(0)
                yield [line] * 250
        finally:
            closed.set()

    monkeypatch.setattr(PaymentLists, "booked", endless)
    runner = web.AppRunner(back_office(counter.office), handler_cancellation=cancelled)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with contextlib.closing(socket.create_connection(runner.addresses[0])) as connection:
        connection.sendall(f"GET {EXPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ADMIN\r\n\r\n".encode())
        stood = -1
        while stood != read:
            stood = read
            await asyncio.sleep(0.05)
        assert 0 < read < 2000
        assert not closed.is_set()
    await until(closed.is_set)
    await runner.cleanup()


@pytest.mark.parametrize("text", ["=1+1", "+254", "-1", "@x", "\tx", "\r=x", "\n=x", "\uff1d1"])
def test_no_spreadsheet_runs_a_field(text: str) -> None:
    """What begins like a formula gets an apostrophe; other text stays as it is."""
    assert defused(text) == f"'{text}"
    assert defused(f"a{text}") == f"a{text}"
    assert defused("") == ""


async def test_an_account_is_defused_on_its_way(counter: Counter) -> None:
    """What a payer types as account reaches no spreadsheet as a formula."""
    await counter.receive(account='=HYPERLINK("http://x")')
    assert (await counter.exported())[0]["account"] == '\'=HYPERLINK("http://x")'


def test_what_came_by_no_gateway_names_none() -> None:
    """The column of cash is empty: the sign that stands for it in the books is nothing to a reader of a list."""
    at = datetime(2026, 11, 21, 6, tzinfo=UTC)
    cash = ListedPayment(
        *("id", None, Money.shillings(5), None, "", ListStatus.COMPLETED, None, at, NO_GATEWAY, PaymentMethod.CASH),
        *(Disposition.WALLET, ""),
    )
    row = dict(zip(COLUMNS, row_of(cash), strict=True))
    assert (row["gatewayId"], row["method"], row["amount"]) == ("", "CASH", "5.00")
    assert dict(zip(COLUMNS, row_of(cash._replace(gateway_id="till")), strict=True))["gatewayId"] == "till"


async def test_its_head_alone_is_not_given(counter: Counter) -> None:
    """Who asks by HEAD is told what there is in its place; nothing follows that would be taken for the next answer."""
    await counter.receive()
    async with counter.client.head(EXPORT, headers={"Authorization": "Bearer ADMIN"}) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    assert len(await counter.exported()) == 1


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_rows_come_back_from_csv(rows: list[tuple[str, str]]) -> None:
    """Whatever is in them, a reader of RFC 4180 gets it back."""
    clean = [tuple(text.encode("utf-8", "ignore").decode() for text in row) for row in rows]
    octets = written([(one, other) for one, other in clean])
    assert [tuple(row) for row in csv.reader(io.StringIO(octets.decode(), newline=""))] == clean


@pytest.mark.parametrize(("cents", "text"), [(0, "0.00"), (5, "0.05"), (100, "1.00"), (123456789, "1234567.89")])
def test_amounts_have_two_decimals(cents: int, text: str) -> None:
    """Without anything between thousands."""
    assert shillings(Money(cents)) == text
