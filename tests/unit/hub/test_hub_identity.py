"""A hub signs with the key its boxes believe, or not at all."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.__main__ import main
from easyisp_edge.domain.database_address import PostgresqlAddress, SqliteAddress
from easyisp_edge.errors import EdgeError
from easyisp_edge.hub.identity import own_key, take_new_key
from easyisp_edge.hub.store.database import open_database
from tests.fakes.clocks import SeededRandomness
from tests.fakes.hub_stage import fresh_database, hub_config, running_hub, write_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.hub.store.database import Database


@pytest.fixture
async def books(database: Any) -> AsyncIterator[Database]:
    """A database that no hub has run on."""
    address = await fresh_database(database) if isinstance(database, PostgresqlAddress) else database
    opened = await open_database(address)
    yield opened
    await opened.close()


async def test_the_first_key_is_the_databases(books: Database, tmp_path: Path) -> None:
    """Made once; another hub with a copy of the file has the same."""
    path, copy = tmp_path / "a.key", tmp_path / "b.key"
    key = await own_key(books, path, SeededRandomness(1))
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o600)
    assert (await own_key(books, path, SeededRandomness(2))).public == key.public
    assert (await own_key(books, copy, SeededRandomness(3))).public == key.public


async def test_a_lost_key_is_not_made_anew(books: Database, tmp_path: Path) -> None:
    """The file stays missing, and the message says what to do."""
    path = tmp_path / "a.key"
    await own_key(books, path, SeededRandomness(1))
    path.unlink()
    with pytest.raises(EdgeError, match="is missing") as refused:
        await own_key(books, path, SeededRandomness(2))
    assert "hub new-key" in refused.value.message
    assert not path.exists()


async def test_a_second_hub_without_the_file_does_not_start(books: Database, tmp_path: Path) -> None:
    """Nor one with a key of its own: every box would refuse its answers."""
    await own_key(books, tmp_path / "a.key", SeededRandomness(1))
    await asyncio.to_thread(_make_another, tmp_path / "b.key")
    with pytest.raises(EdgeError, match="put a copy of the right file there"):
        await own_key(books, tmp_path / "b.key", SeededRandomness(2))


def _make_another(path: Path) -> None:
    path.write_text("YW5vdGhlciBodWIncyBrZXksIDMyIG9jdGV0cyBpdCA=\n")
    path.chmod(0o600)


async def test_two_hubs_that_start_together_have_one_key(books: Database, tmp_path: Path) -> None:
    """Of two that make one each, the first stays; the other is told."""
    found = await asyncio.gather(
        *(own_key(books, tmp_path / f"{turn}.key", SeededRandomness(turn)) for turn in range(2)), return_exceptions=True
    )
    assert sorted(isinstance(one, EdgeError) for one in found) == [False, True]


async def test_a_new_key_may_be_begun_with(books: Database, tmp_path: Path) -> None:
    """By whoever says so; with the same one nothing changes."""
    path = tmp_path / "a.key"
    old = await own_key(books, path, SeededRandomness(1))
    assert await take_new_key(books, path, SeededRandomness(2)) is False
    path.unlink()
    assert await take_new_key(books, path, SeededRandomness(3)) is True
    new = await own_key(books, path, SeededRandomness(4))
    assert new.public != old.public


async def test_a_hub_with_anothers_key_does_not_open(tmp_path: Path, capsys: Any) -> None:
    """Neither to run nor for a command; `new-key` is the way on."""
    address = SqliteAddress(tmp_path / "hub.sqlite")
    async with running_hub(hub_config(tmp_path, address)):
        pass
    (tmp_path / "hub.key").unlink()
    with pytest.raises(BaseExceptionGroup) as refused:
        async with running_hub(hub_config(tmp_path, address)):
            pass
    assert refused.group_contains(EdgeError, match="is missing")
    config = ["--config", str(write_config(tmp_path, address, 0))]
    assert await asyncio.to_thread(main, ["hub", "site", "list", *config]) == 1
    assert "hub new-key" in capsys.readouterr().err
    assert await asyncio.to_thread(main, ["hub", "new-key", *config]) == 0
    assert "make a code" in capsys.readouterr().out
    assert await asyncio.to_thread(main, ["hub", "site", "list", *config]) == 0


async def test_a_key_that_everybody_may_read_is_refused(books: Database, tmp_path: Path) -> None:
    """It signs for the whole fleet."""
    path = tmp_path / "a.key"
    await own_key(books, path, SeededRandomness(1))
    path.chmod(0o644)
    with pytest.raises(EdgeError, match="chmod 600"):
        await own_key(books, path, SeededRandomness(1))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_a_key_that_root_makes_is_the_services(books: Database, tmp_path: Path) -> None:
    """The folder's owner is who runs the hub: it could not read root's."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, 64321, 64322)
    await own_key(books, folder / "a.key", SeededRandomness(1))
    found = (folder / "a.key").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (64321, 64322, 0o600)
