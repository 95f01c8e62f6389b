"""Whose a name is that somebody logs in with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.services.access.login_names import LoginName, NameKind, login_name
from tests.unit.services.gate import Gate
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, TENANT, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.values import MacAddress


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    """Nobody has bought anything yet."""
    async with open_books(tmp_path) as books:
        yield Gate(books)


def name_of(
    gate: Gate,
    username: str,
    mac: MacAddress | None = MAC,
    tenant_id: str | None = TENANT,
    router_id: str | None = None,
) -> LoginName | None:
    return login_name(gate.books.store.read, tenant_id, username, mac, gate.books.now(), router_id)


async def test_a_grants_own_name_comes_first(gate: Gate) -> None:
    """It is proven by its own password, on whatever device."""
    grant = await gate.add()
    assert name_of(gate, grant.username) == LoginName(NameKind.GRANT, gate.admission(), grant.password)
    assert name_of(gate, grant.username, None) == name_of(gate, grant.username, OTHER_MAC)


async def test_an_address_is_proven_by_the_router(gate: Gate) -> None:
    """It stands for what that device has, or for nothing of that tenant's."""
    await gate.add()
    assert name_of(gate, "aabbcc000001") == LoginName(NameKind.DEVICE, gate.admission(), None)
    assert name_of(gate, str(OTHER_MAC), OTHER_MAC) == LoginName(NameKind.DEVICE, None, None)
    assert name_of(gate, str(MAC), OTHER_MAC) is None
    assert name_of(gate, str(MAC), None) is None


async def test_an_address_stands_for_what_is_valid_at_the_router(gate: Gate) -> None:
    """Where no router is named, for what comes first; where nothing is valid, for what is valid elsewhere."""
    await gate.add(replace(HOUR, package_id="x", router_ids=("second",)), number=1)
    assert name_of(gate, str(MAC), router_id=ROUTER) == LoginName(NameKind.DEVICE, gate.admission("grant-1"), None)
    await gate.add(number=2)
    for router_id, grant_id in ((None, "grant-1"), ("second", "grant-1"), (ROUTER, "grant-2")):
        found = name_of(gate, str(MAC), router_id=router_id)
        assert found == LoginName(NameKind.DEVICE, gate.admission(grant_id), None)


async def test_a_receipt_is_its_own_password(gate: Gate) -> None:
    """Known or not; one of another tenant's is as good as unknown."""
    await gate.add(number=1)
    await gate.add(number=2, tenant_id="other")
    assert name_of(gate, "receipt001") == LoginName(NameKind.RECEIPT, gate.admission(), "RECEIPT001")
    assert name_of(gate, "RECEIPT002") == LoginName(NameKind.RECEIPT, None, "RECEIPT002")
    assert name_of(gate, "RECEIPT003") == LoginName(NameKind.RECEIPT, None, "RECEIPT003")


async def test_what_is_over_still_has_its_name(gate: Gate) -> None:
    """So that its holder is told why."""
    grant = await gate.run()
    gate.books.time.advance(3600)
    await gate.access.end_round()
    for name in (grant.username, "RECEIPT001"):
        found = name_of(gate, name)
        assert found is not None
        assert found.admission == gate.admission()
    assert name_of(gate, str(MAC)) == LoginName(NameKind.DEVICE, None, None)


@pytest.mark.parametrize("tenant_id", ["other", None])
async def test_names_are_their_tenants_alone(gate: Gate, tenant_id: str | None) -> None:
    """A router of another's, or one nobody knows, learns of none."""
    grant = await gate.add()
    for name in (grant.username, str(MAC), "RECEIPT001"):
        found = name_of(gate, name, tenant_id=tenant_id)
        assert found is None or found.admission is None


@pytest.mark.parametrize("name", ["", "landlord", "0712345678", "receipt", "RECEIPT0011", "\x00", "é" * 10])
async def test_anything_else_is_nobodys(gate: Gate, name: str) -> None:
    """Words, phone numbers, what is almost a receipt."""
    assert name_of(gate, name) is None
