"""Long lists page by page: whole, in order, and along indexes that leave the looks of the hot paths as they were."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.paging import Position
from easyisp_edge.domain.sessions import Session
from easyisp_edge.domain.values import MacAddress, Money, Msisdn
from easyisp_edge.store.customers import CustomersSought
from easyisp_edge.store.grant_pages import GrantsSought, GrantStanding
from tests.fakes.clocks import START
from tests.fakes.gateway import PAYER
from tests.unit.shop import HOUR, MAC, OTHER_MAC, TENANT, a_grant, add_customer, tables_in_memory

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.paging import Page
    from easyisp_edge.store.store import Tables

AFTER = Position(START, "x")
AFTER_SESSION = Position(START, "1".zfill(19))
OF_ONE = {
    "of a customer": GrantsSought(customer_id="c"),
    "of a number": GrantsSought(phone=PAYER),
    "for a device": GrantsSought(mac=MAC),
    "by a receipt": GrantsSought(mpesa_receipt_number="RECEIPT001"),
}


def asked(look: Callable[[Tables], object]) -> list[str]:
    """How SQLite answers all that a look asks, as lines of its plans."""
    connection, tables = tables_in_memory()
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    look(tables)
    connection.set_trace_callback(None)
    return [plan_of(connection, each) for each in statements]


def plan_of(connection: sqlite3.Connection, statement: str) -> str:
    return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))


def grants_page(sought: GrantsSought, after: Position | None) -> Callable[[Tables], object]:
    return lambda tx: tx.grants.page(TENANT, sought, START, limit=50, after=after)


PAGES: dict[str, Callable[[Tables], object]] = {
    **{
        f"grants {standing} {later}": grants_page(GrantsSought(standing), later)
        for standing in (None, *GrantStanding)
        for later in (None, AFTER)
    },
    "customers": lambda tx: tx.customers.page(TENANT, CustomersSought(), limit=50, after=AFTER),
    "batches": lambda tx: tx.vouchers.batches_page(TENANT, 50, AFTER),
}
FEW: dict[str, Callable[[Tables], object]] = {
    **{
        f"grants {one} {standing}": grants_page(of_one._replace(standing=standing), AFTER)
        for standing in (None, GrantStanding.USABLE, GrantStanding.ENDED)
        for one, of_one in OF_ONE.items()
    },
    "customers by phone": lambda tx: tx.customers.page(TENANT, CustomersSought(phone=PAYER), limit=50),
    "customers by beginning": lambda tx: tx.customers.page(TENANT, CustomersSought(phone_begins="2547"), limit=50),
    "customers by device": lambda tx: tx.customers.page(TENANT, CustomersSought(mac=MAC), limit=50),
    "sessions open": lambda tx: tx.sessions.page_of_routers(["a"], over=False, limit=50, after=AFTER_SESSION),
    "sessions of a device": lambda tx: tx.sessions.page_of_device(MAC, ["a"], over=True, limit=50, after=AFTER_SESSION),
    "sessions by a grant": lambda tx: tx.sessions.page_of_grant("g", over=True, limit=50, after=AFTER_SESSION),
    "payments of a customer": lambda tx: tx.payments.of_customer("c", 20),
}


@pytest.mark.parametrize("look", PAGES.values(), ids=PAGES)
def test_a_page_is_read_off_an_index(look: Callable[[Tables], object]) -> None:
    """Nothing is walked whole, and nothing is sorted: a page of a million costs what one of a hundred does."""
    for plan in asked(look):
        assert "SCAN" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan


@pytest.mark.parametrize("look", FEW.values(), ids=FEW)
def test_few_are_found_by_an_index_of_their_own(look: Callable[[Tables], object]) -> None:
    """What one customer, device, router or grant has may be sorted; never is all of a tenant's walked."""
    for plan in asked(look):
        assert "SCAN" not in plan.replace("SCAN (subquery", ""), plan
        assert "(tenant_id=?)" not in plan, plan
        assert "(tenant_id=? AND (created_at" not in plan, plan


def test_sessions_that_are_over_are_read_off_an_index() -> None:
    """Also of a router that had a million."""
    page = asked(lambda tx: tx.sessions.page_of_routers(["a"], over=True, limit=50, after=AFTER_SESSION))
    assert "sessions_over_on_router" in page[1]
    assert "TEMP B-TREE" not in page[1]


HOT: dict[str, tuple[Callable[[Tables], object], str]] = {
    "a device's grants": (lambda tx: tx.grants.usable_of_device(TENANT, MAC), "grants_by_device"),
    "all usable grants": (lambda tx: tx.grants.usable(TENANT), "grants_usable"),
    "a device's sessions": (lambda tx: tx.sessions.open_of_device(MAC), "sessions_open_by_device"),
    "a grant's sessions": (lambda tx: tx.sessions.open_of_grant("g"), "sessions_open_by_grant"),
    "a router's sessions": (lambda tx: tx.sessions.open_on("r"), "sessions_open"),
    "who has an address": (lambda tx: tx.sessions.open_at("r", "10.5.50.11"), "sessions_open"),
    "who is not heard of": (lambda tx: tx.sessions.unheard("r", START), "sessions_open"),
    "a router's open page": (lambda tx: tx.sessions.page_of_routers(["r"], over=False, limit=9), "sessions_open"),
    "online time": (lambda tx: tx.sessions.open_by_online_time(), "sessions_open_by_grant"),
}


@pytest.mark.parametrize(("look", "index"), HOT.values(), ids=HOT)
def test_hot_paths_look_at_what_is_open_alone(look: Callable[[Tables], object], index: str) -> None:
    """An index for lists of what is over must not draw them away: they would walk years of it."""
    (plan,) = asked(look)
    assert f"USING INDEX {index} (" in plan, plan


# --- pages are whole


def walked(page_after: Callable[[Position | None], Page[Any]], limit: int) -> list[Any]:
    """All rows, page by page."""
    rows: list[Any] = []
    after = None
    while True:
        page = page_after(after)
        rows += page.rows
        if page.next is None:
            return rows
        assert len(page.rows) == limit
        after = page.next


few_instants = st.integers(0, 3).map(lambda minute: START + timedelta(minutes=minute))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(few_instants, st.sampled_from("ab"), st.booleans(), st.sampled_from([MAC, OTHER_MAC]))),
    st.integers(1, 4),
)
def test_pages_of_sessions_are_whole(rows: list[tuple[Any, str, bool, MacAddress]], limit: int) -> None:
    """Whatever began when and wherever: each comes once, the last to begin first."""
    _, tables = tables_in_memory()
    for number, (at, router, over, mac) in enumerate(rows):
        stopped_at = at if over else None
        name = f"{number:08x}"
        tables.sessions.add(
            Session(0, router, name, "USER", None, mac, None, at, at, stopped_at, 0, 0, 0, "x" if over else "")
        )
    order = sorted(((at, number + 1) for number, (at, *_) in enumerate(rows)), reverse=True)
    by_number = dict(enumerate(rows, 1))

    def found(**asked_for: Any) -> list[int]:
        look = tables.sessions.page_of_routers
        sessions = walked(lambda after: look(["a", "b"], limit=limit, after=after, **asked_for), limit)
        return [session.session_id for session in sessions]

    assert found(over=True) == [number for _, number in order]
    assert found(over=False) == [number for _, number in order if not by_number[number][2]]
    of_device = walked(
        lambda after: tables.sessions.page_of_device(MAC, ["a"], over=True, limit=limit, after=after), limit
    )
    wanted = [number for _, number in order if by_number[number][1] == "a" and by_number[number][3] == MAC]
    assert [session.session_id for session in of_device] == wanted


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(few_instants, st.integers(0, 999))), st.integers(1, 4))
def test_pages_of_customers_are_whole(rows: list[tuple[Any, int]], limit: int) -> None:
    """Whoever came when: each comes once, the last to come first; by the beginning of a number the same."""
    _, tables = tables_in_memory()
    known: dict[str, tuple[Any, str]] = {}
    for number, (at, tail) in enumerate(rows):
        phone = Msisdn(f"254712000{tail:03}")
        customer_id = tables.customers.paid(
            new_id=f"c{number:03}",
            tenant_id=TENANT,
            service=Service.HOTSPOT,
            phone=phone,
            mac=None,
            amount=Money(0),
            at=at,
        )
        known.setdefault(customer_id, (at, phone.digits))
    order = sorted(((at, customer_id) for customer_id, (at, _) in known.items()), reverse=True)

    def found(sought: CustomersSought) -> list[str]:
        look = tables.customers.page
        rows = walked(lambda after: look(TENANT, sought, limit=limit, after=after), limit)
        return [customer.customer_id for customer in rows]

    assert found(CustomersSought()) == [customer_id for _, customer_id in order]
    begun = [customer_id for _, customer_id in order if known[customer_id][1].startswith("2547120001")]
    assert found(CustomersSought(phone_begins="2547120001")) == begun


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(few_instants, st.sampled_from(GrantState), st.sampled_from([MAC, OTHER_MAC]))), st.integers(1, 4)
)
def test_pages_of_grants_are_whole(rows: list[tuple[Any, GrantState, MacAddress]], limit: int) -> None:
    """Whatever was bought when and stands where: each comes once, the newest first; by a filter those it is for."""
    _, tables = tables_in_memory()
    version_id, customer_id = tables.packages.version_of(HOUR, START).version_id, add_customer(tables)
    for number, (at, state, mac) in enumerate(rows):
        grant = a_grant(
            grant_id=f"g{number:03}",
            customer_id=customer_id,
            funding=Funding.TRIAL,
            payment_id=None,
            purchase_id=None,
            package_version_id=version_id,
            username=f"USER{number}",
            mac=mac,
            created_at=at,
        )
        tables.grants.add(stood(grant, state))
    order = sorted(((at, f"g{number:03}", state, mac) for number, (at, state, mac) in enumerate(rows)), reverse=True)

    def found(sought: GrantsSought) -> list[str]:
        owned = walked(lambda after: tables.grants.page(TENANT, sought, START, limit=limit, after=after), limit)
        return [each.grant.grant_id for each in owned]

    every = [grant_id for _, grant_id, *_ in order]
    assert found(GrantsSought()) == found(GrantsSought(phone=PAYER)) == every
    for state in GrantState:
        wanted = [grant_id for _, grant_id, stands, _ in order if stands is state]
        assert found(GrantsSought(GrantStanding(state.value))) == wanted
        assert found(GrantsSought(GrantStanding(state.value), customer_id=customer_id)) == wanted
    assert found(GrantsSought(mac=MAC)) == [grant_id for _, grant_id, _, mac in order if mac == MAC]


def stood(grant: Grant, state: GrantState) -> Grant:
    """A grant as it stands there."""
    if state is GrantState.WAITING:
        return grant
    running = grant.started(START)
    return {
        GrantState.RUNNING: running,
        GrantState.PAUSED: running.paused(START),
        GrantState.ENDED: running.ended(START),
    }[state]
