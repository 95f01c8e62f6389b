"""Gateways that people made, in the table: they come back as written, and a tenant has one default."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.gateways import MadeGateway
from tests.fakes.clocks import START
from tests.unit.shop import TENANT, tables_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easyisp_edge.store.store import Tables

TILL = MadeGateway(
    gateway_id="a",
    tenant_id=TENANT,
    type="MPESA_API",
    sub_type="BUYGOODS",
    name="Counter",
    shortcode="512345",
    store_number="600987",
    account_number=None,
    environment="sandbox",
    consumer_key=b"\x00key",
    consumer_secret=b"\xffsecret",
    passkey=b"passkey",
    default=False,
    for_hotspot=True,
    for_pppoe=False,
    made_by="owner@example.com",
    created_at=START,
    updated_at=START,
)
BY_HAND = replace(
    TILL,
    gateway_id="b",
    type="MPESA_NO_API",
    name=None,
    store_number=None,
    consumer_key=None,
    consumer_secret=None,
    passkey=None,
    for_hotspot=False,
    for_pppoe=True,
    created_at=START + timedelta(seconds=1),
)


@pytest.fixture(name="tables")
def _tables() -> Iterator[Tables]:
    connection, tables = tables_in_memory()
    tables.made_gateways.add(TILL)
    tables.made_gateways.add(BY_HAND)
    yield tables
    connection.close()


def test_a_gateway_comes_back_as_written(tables: Tables) -> None:
    """Every value survives, by id, by tenant and in the list of all, oldest first."""
    assert tables.made_gateways.by_id("a") == TILL
    assert tables.made_gateways.of_tenant(TENANT) == tables.made_gateways.all() == [TILL, BY_HAND]
    assert tables.made_gateways.of_tenant("other") == []
    assert tables.made_gateways.by_id("c") is None


def test_what_may_change_changes(tables: Tables) -> None:
    """All is written but whose it is, who made it, when, and whether it is the default."""
    changed = replace(BY_HAND, gateway_id="a", updated_at=START + timedelta(hours=1), sub_type="PAYBILL", name="New")
    tables.made_gateways.update(replace(changed, made_by="thief", default=True))
    assert tables.made_gateways.by_id("a") == replace(changed, created_at=START)


def test_a_tenant_has_one_default(tables: Tables) -> None:
    """It moves from one to the other, and a second one is refused by the table itself."""
    tables.made_gateways.make_default(TILL)
    tables.made_gateways.make_default(BY_HAND)
    assert [each.default for each in tables.made_gateways.all()] == [False, True]
    tables.made_gateways.add(replace(TILL, gateway_id="c", tenant_id="other", default=True))
    with pytest.raises(sqlite3.IntegrityError):
        tables.made_gateways.add(replace(TILL, gateway_id="d", default=True))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(TILL, gateway_id="c", passkey=None),
        replace(TILL, gateway_id="c", consumer_key=None, consumer_secret=None, passkey=None),
        replace(BY_HAND, gateway_id="c", consumer_key=b"key", consumer_secret=b"secret", passkey=b"passkey"),
        replace(TILL, gateway_id="c", type="PAYPAL"),
    ],
)
def test_the_table_keeps_keys_whole(tables: Tables, wrong: MadeGateway) -> None:
    """With an API there are all three, without none."""
    with pytest.raises(sqlite3.IntegrityError):
        tables.made_gateways.add(wrong)


def test_a_gateway_stays_whose_it_is(tables: Tables) -> None:
    """No statement gives a gateway, and the money it takes, to another tenant."""
    with pytest.raises(sqlite3.IntegrityError, match="stays whose it is"):
        tables.made_gateways._sql.execute("UPDATE gateways SET tenant_id = 'other' WHERE gateway_id = 'a'")
