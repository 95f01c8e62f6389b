"""A gateway's addresses at M-Pesa: shown before, registered once, told with who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import load_config
from easyisp_edge.errors import ConflictError, NotFoundError, RefusedError
from easyisp_edge.services.identifiers import is_secret
from tests.unit.desk import FILES, Office, open_office, write_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(name="office")
async def _office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


async def test_shown_are_the_addresses_that_are_registered(office: Office) -> None:
    """Both end in the gateway's secret under the public address, which stays the same; showing registers nothing."""
    shown = await office.registration.addresses("paybill")
    base, _, token = shown.confirmation_url.rpartition("/n/")
    assert base == "https://pay.example.com/edge"
    assert is_secret(token)
    assert shown.validation_url == f"{base}/v/{token}"
    assert office.gateway.url_registrations == []
    assert await office.registration.register("paybill", "mary") == shown
    assert office.gateway.url_registrations == [tuple(shown)]
    assert office.told("paybill") == ["staff.c2b_registered"]
    found = office.tables.gateways.by_notice_token(token)
    assert found is not None
    assert found.gateway_id == "paybill"


async def test_a_second_time_is_refused(office: Office) -> None:
    """What M-Pesa refuses is no event."""
    await office.registration.register("paybill", "mary")
    with pytest.raises(RefusedError) as raised:
        await office.registration.register("paybill", "mary")
    assert raised.value.code == "c2b.registered"
    assert office.told("paybill") == ["staff.c2b_registered"]


@pytest.mark.parametrize("gateway_id", ["quiet", "hand"])
async def test_only_where_the_files_say_so(office: Office, gateway_id: str) -> None:
    """A gateway that is not set to be confirmed is not registered, and staff are told which key to set."""
    with pytest.raises(ConflictError) as raised:
        await office.registration.register(gateway_id, "mary")
    assert "c2b = true" in raised.value.message
    assert office.gateway.url_registrations == []


async def test_unknown_gateway(office: Office) -> None:
    """There is none of that name."""
    with pytest.raises(NotFoundError):
        await office.registration.addresses("none")


async def test_nothing_is_promised_without_an_address(office: Office, tmp_path: Path) -> None:
    """Where the public address is gone from the files, nothing is registered."""
    write_files(tmp_path / "changed", {"gateways.toml": FILES["gateways.toml"].replace("c2b = true", "")})
    config = load_config(tmp_path / "changed", {})
    gateways = tuple(gateway.model_copy(update={"c2b": True}) for gateway in config.gateways)
    callbacks = config.edge.callbacks.model_copy(update={"public_url": None})
    edge = config.edge.model_copy(update={"callbacks": callbacks})
    office.site.config = type(config)(
        config.folder, edge, config.portal, config.tenants, config.packages, gateways, config.routers
    )
    with pytest.raises(ConflictError) as raised:
        await office.registration.register("paybill", "mary")
    assert raised.value.code == "gateway.no_address"
