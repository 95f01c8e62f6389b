from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from tests.fakes.hub_stage import enrolled_box, http_client, hub_config, postgresql_server, running_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import aiohttp

    from easyisp_edge.domain.database_address import DatabaseAddress, PostgresqlAddress
    from easyisp_edge.hub.hub import Hub
    from tests.fakes.hub_stage import Box


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlAddress]:
    """A server whose first database all tests share, each with sites of its own."""
    # Not below pytest's own folder, which every run closes to other users when it starts.
    with tempfile.TemporaryDirectory() as folder, postgresql_server(Path(folder)) as address:
        yield address


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real_part("PostgreSQL"))])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseAddress:
    if request.param == "sqlite":
        return SqliteAddress(tmp_path / "hub.sqlite")
    found: PostgresqlAddress = request.getfixturevalue("postgresql")
    return found


@pytest.fixture(autouse=True)
def key_file(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """One key for all hubs that share a database."""
    if {"postgresql", "database"} & set(request.fixturenames):
        path = tmp_path / "hub.key"
        path.write_text("c2hhcmVkIGJ5IGFsbCB0ZXN0cyBvZiBvbmUgc2VydmU=\n")
        path.chmod(0o600)


@pytest.fixture
async def hub(database: DatabaseAddress, tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(hub_config(tmp_path, database)) as hub:
        yield hub


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with http_client() as http:
        yield http


@pytest.fixture
async def box(hub: Hub, http: aiohttp.ClientSession) -> Box:
    return await enrolled_box(hub, http)
