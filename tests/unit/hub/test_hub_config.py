from __future__ import annotations

import asyncio
import stat
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.commands import hub as command
from easyisp_edge.domain.database_address import PostgresqlAddress, SqliteAddress
from easyisp_edge.errors import EdgeError, InvalidError
from easyisp_edge.hub.config import load_hub_config
from easyisp_edge.hub.gathering import Gathered
from easyisp_edge.hub.keys import exact_base64, load_or_make_key
from easyisp_edge.hub.store.database import open_database
from tests.fakes.clocks import SeededRandomness
from tests.fakes.hub_stage import fresh_database

if TYPE_CHECKING:
    from collections.abc import Sequence

GOOD = """
public_url = "https://hub.example.com/"
database = "sqlite:///var/lib/easyisp-hub/hub.sqlite"
key_file = "hub.key"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "hub.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_configuration_is_read_whole(tmp_path: Path) -> None:
    """Names of files are relative to its folder; the public address ends without a slash."""
    config = load_hub_config(written(tmp_path, f"\ufeff{GOOD}"))  # some editors put a byte order mark first
    assert config.public_url == "https://hub.example.com"
    assert config.key_file == tmp_path / "hub.key"
    assert config.database == SqliteAddress(Path("/var/lib/easyisp-hub/hub.sqlite"))


def test_a_password_may_hold_anything(tmp_path: Path) -> None:
    """Written as addresses are: what means something there stands as % and two digits."""
    address = "postgresql://hub:p%40ss%2Fword@db.example.com:6432/hub"
    config = load_hub_config(written(tmp_path, GOOD.replace("sqlite:///var/lib/easyisp-hub/hub.sqlite", address)))
    assert config.database == PostgresqlAddress("db.example.com", 6432, "hub", "p@ss/word", "hub")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("key_file", "keyfile", "hub.toml:4: keyfile"),
        ("key_file", "keyfile", "hub.toml: key_file is missing"),
        ("https://hub.example.com/", "hub.example.com", "hub.toml:2: public_url"),
        ("https://hub.example.com/", "https://hub.example.com/path", "public_url"),
        ("sqlite:///var", "mysql://x:secret@y/var", "database"),
        ("sqlite:///var", "postgresql://x:secret@y:port/var", "database"),
        ("sqlite:///var", "postgresql://y/var?password=secret", "database"),
        ("database", "port = 99999\ndatabase", "port"),
        ("database", "database = ", "TOML"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(tmp_path: Path, old: str, new: str, named: str) -> None:
    """The message names the file and the key, and never a password."""
    with pytest.raises(InvalidError) as refused:
        load_hub_config(written(tmp_path, GOOD.replace(old, new)))
    assert named in refused.value.message
    assert "hub.toml" in refused.value.message
    assert "secret" not in refused.value.message


def test_the_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    """0600; the next start reads the same; a file that holds none is never overwritten."""
    path = tmp_path / "hub.key"
    key = load_or_make_key(path, SeededRandomness(1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_make_key(path, SeededRandomness(2)).public == key.public
    assert [other.name for other in tmp_path.iterdir()] == ["hub.key"]
    path.write_text("no key")
    with pytest.raises(EdgeError):
        load_or_make_key(path, SeededRandomness(3))
    assert path.read_text() == "no key"
    with pytest.raises(EdgeError):
        load_or_make_key(tmp_path / "missing" / "hub.key", SeededRandomness(3))


def test_base64_has_one_form() -> None:
    """Else a bit could be changed and the meaning stay."""
    assert exact_base64("AA==", 1) == b"\0"
    for other in ("AB==", "AA=", "AA", " AA==", "AA==\n", "AAAA", None, b"AA=="):
        assert exact_base64(other, 1) is None


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.real_part("PostgreSQL"))])
async def test_a_database_of_a_newer_release_is_left_alone(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """An older hub refuses to start on it; on its own it starts as often as it likes."""
    address: Any = SqliteAddress(tmp_path / "hub.sqlite")
    if kind == "postgresql":
        address = await fresh_database(request.getfixturevalue("postgresql"))
    for _ in range(2):
        database = await open_database(address)
        async with database.transaction() as tx:
            await tx.rows("SELECT 1 FROM sites")
        await database.close()
    database = await open_database(address)
    async with database.transaction() as tx:
        await tx.rows("INSERT INTO schema_versions (version) VALUES (999)")
    await database.close()
    with pytest.raises(EdgeError, match="newer"):
        await open_database(address)


async def test_a_database_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    """With its place."""
    with pytest.raises(EdgeError, match="missing"):
        await open_database(SqliteAddress(tmp_path / "missing" / "hub.sqlite"))
    with pytest.raises(EdgeError):
        await open_database(PostgresqlAddress("127.0.0.1", 1, "hub", "", "hub"))


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    parser = ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["hub", *arguments])
    code = args.run(args)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_sites_are_minded_by_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A code is shown, the site is listed; what cannot be confirmed is said, with an exit code."""
    config = str(written(tmp_path, GOOD.replace("/var/lib/easyisp-hub", str(tmp_path))))
    assert ran(capsys, "site", "list", "--config", config) == (0, "There are no sites yet.\n", "")
    code, out, _ = ran(capsys, "site", "add", "Kilifi north", "--config", config, "--json")
    assert (code, '"code"' in out) == (0, True)
    code, out, _ = ran(capsys, "site", "list", "--config", config)
    site = out.split()[0]
    assert "Kilifi north: no box yet" in out
    code, _, err = ran(capsys, "site", "confirm", site, "--config", config)
    assert (code, err) == (1, "No box of this site waits to be confirmed: none has enrolled yet.\n")
    code, _, err = ran(capsys, "site", "confirm", "x", "--config", config)
    assert (code, "no site x" in err) == (1, True)
    code, _, err = ran(capsys, "run", "--config", str(tmp_path / "none.toml"))
    assert (code, "none.toml" in err) == (1, True)


async def test_what_waits_together_is_done_together_and_fails_alone() -> None:
    """Rounds are bounded; whoever brings a round down is alone in failing."""
    rounds: list[int] = []

    async def work(asked: Sequence[int]) -> list[int]:
        rounds.append(len(asked))
        if 3 in asked:
            raise ValueError(asked)
        return [one * 2 for one in asked]

    gathered = Gathered(work, round_most=4, waiting_most=8)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(gathered.run())
        answers = await asyncio.gather(*(gathered.ask(one) for one in range(10)), return_exceptions=True)
        running.cancel()
    assert [answer for answer in answers if isinstance(answer, int)] == [0, 2, 4, 8, 10, 12, 14]
    refused = [answer for answer in answers if isinstance(answer, EdgeError)]
    assert [error.code for error in refused] == ["hub.fault", "hub.busy", "hub.busy"]
    assert max(rounds) == 4
