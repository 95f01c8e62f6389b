"""Posters: made once, kept, and made anew where they would say something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import load_config
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import NotFoundError, RefusedError
from easyisp_edge.services.portal.posters import PIXELS, poster_reference
from tests.fakes.gateway import PNG, unavailable
from tests.unit.desk import FILES, Office, open_office, write_files
from tests.unit.shop import TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.errors import UnavailableError


@pytest.fixture(name="office")
async def _office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


async def test_made_once(office: Office) -> None:
    """The gateway is asked for the picture of a package at its price once; after that it comes from the store."""
    assert await office.posters.png(TENANT, "1h") == PNG
    assert await office.posters.png(TENANT, "1h") == PNG
    name = office.site.config.tenant(TENANT).name
    assert office.gateway.qr_orders == [(name, "1H", Money(1000), PIXELS)]


@pytest.mark.parametrize(
    ("package_id", "reference"), [("1h", "1H"), ("week-end_pass-2026", "WEEKENDPASS2"), ("A_b", "AB")]
)
def test_reference(package_id: str, reference: str) -> None:
    """At most 12 capitals and digits of the package's id."""
    assert poster_reference(package_id) == reference


async def test_another_number_is_another_picture(office: Office, tmp_path: Path) -> None:
    """A gateway that pays into another short code than before gets a new picture; so does another price."""
    await office.posters.png(TENANT, "1h")
    for name, was, becomes in (("gateways.toml", "600986", "600999"), ("packages.toml", "price = 10", "price = 20")):
        write_files(tmp_path / "changed", {name: FILES[name].replace(was, becomes)})
        office.site.config = load_config(tmp_path / "changed", {})
        await office.shelf.put_out(office.site.config.packages)
        await office.posters.png(TENANT, "1h")
    assert [amount.cents for _, _, amount, _ in office.gateway.qr_orders] == [1000, 1000, 2000]


async def test_no_picture_nothing_kept(office: Office) -> None:
    """When the gateway makes none, the next try asks again."""
    failure: UnavailableError = unavailable()
    office.gateway.set_up_answers.append(failure)
    with pytest.raises(type(failure)):
        await office.posters.png(TENANT, "1h")
    assert await office.posters.png(TENANT, "1h") == PNG


async def test_where_there_can_be_none(tmp_path: Path) -> None:
    """A gateway without API makes no pictures; a package that is not sold has none; nor one without any gateway."""
    by_hand = FILES["gateways.toml"].partition('[[gateway]]\nid = "hand"')
    hand = "".join(by_hand[1:]).replace("for_hotspot = false", "")
    async with open_office(tmp_path, {"gateways.toml": hand}) as office:
        with pytest.raises(RefusedError):
            await office.posters.png(TENANT, "1h")
        with pytest.raises(NotFoundError):
            await office.posters.png(TENANT, "none")
    async with open_office(tmp_path / "without", {"gateways.toml": ""}) as office:
        with pytest.raises(NotFoundError) as raised:
            await office.posters.png(TENANT, "1h")
        assert raised.value.code == "gateway.missing"
