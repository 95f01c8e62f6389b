"""The schema: what one reads is what the migrations make, from whatever release one comes."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from importlib import resources
from pathlib import Path

import pytest

from easyisp_edge.errors import EdgeError
from easyisp_edge.store import migrations
from easyisp_edge.store.connections import ThreadedDatabase

RELEASES = sorted(Path(__file__).with_name("releases").glob("*.sql"))
LATEST = len(migrations.scripts())


def fresh() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def schema(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Everything the schema is made of, in whatever layout it was written."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name")
    return [(kind, name, re.sub(r"\s+", " ", sql)) for kind, name, sql in rows]


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_migrations_make_the_schema_one_reads() -> None:
    """A new file has exactly what schema.sql says: no table, index or trigger more or less."""
    written = fresh()
    written.executescript((resources.files("easyisp_edge.store") / "schema.sql").read_text(encoding="utf-8"))
    migrated = fresh()
    migrations.migrate(migrated)
    assert schema(migrated) == schema(written)
    assert version(migrated) == LATEST


def test_migrations_are_numbered_without_gaps() -> None:
    """The number reached is the number of scripts, so none may be missing."""
    folder = resources.files("easyisp_edge.store.migrations")
    numbers = sorted(int(entry.name[:4]) for entry in folder.iterdir() if entry.name.endswith(".sql"))
    assert numbers == list(range(1, LATEST + 1))


def test_every_schema_was_kept_as_a_release() -> None:
    """The dump of each schema stands beside this test, so that its migration is tried for ever."""
    assert [int(release.stem) for release in RELEASES] == list(range(1, LATEST + 1))


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.stem)
def test_each_release_migrates_and_keeps_its_rows(release: Path) -> None:
    """An earlier release's file ends with this release's schema, and its books are all there."""
    old, new = fresh(), fresh()
    old.executescript(release.read_text(encoding="utf-8"))
    old.execute(f"PRAGMA user_version = {int(release.stem)}")
    kept = {name: rows_of(old, name) for kind, name, _ in schema(old) if kind == "table"}
    assert all(kept.values()), f"a table is empty: {kept}"
    migrations.migrate(old)
    migrations.migrate(new)
    assert schema(old) == schema(new)
    assert {name: rows_of(old, name) for name in kept} == kept
    assert old.execute("PRAGMA foreign_key_check").fetchall() == []


def rows_of(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a test's own words


def test_migrating_twice_changes_nothing() -> None:
    """What is up to date stays as it is."""
    connection = fresh()
    migrations.migrate(connection)
    before = connection.total_changes
    migrations.migrate(connection)
    assert connection.total_changes == before


def test_a_newer_file_is_refused() -> None:
    """A release never writes into a schema it does not know."""
    connection = fresh()
    connection.execute(f"PRAGMA user_version = {LATEST + 1}")
    with pytest.raises(EdgeError) as refused:
        migrations.migrate(connection)
    assert refused.value.code == "store.newer"
    assert schema(connection) == []


def test_a_migration_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is whole or not at all; the file stays as the release before left it, and can be opened by it."""
    connection = fresh()
    migrations.migrate(connection)
    before = schema(connection)
    broken = "CREATE TABLE extra (id INTEGER) STRICT;\nINSERT INTO extra VALUES (1);\nINSERT INTO nowhere VALUES (1);\n"
    monkeypatch.setattr(migrations, "scripts", lambda: [*["-- done"] * LATEST, broken])
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrations.migrate(connection)
    assert (schema(connection), version(connection), connection.in_transaction) == (before, LATEST, False)


def test_steps_before_a_failing_one_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is a transaction of its own; the next start goes on from where the last came to."""
    connection = fresh()
    good = "CREATE TABLE extra (id INTEGER) STRICT;\n"
    monkeypatch.setattr(migrations, "scripts", lambda: [good, "CREATE TABLE extra (id INTEGER) STRICT;\n"])
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrations.migrate(connection)
    assert [name for _, name, _ in schema(connection)] == ["extra"]
    assert version(connection) == 1


async def test_a_refused_file_is_closed_again(tmp_path: Path) -> None:
    """After a refusal nothing holds the file: no thread keeps the process alive."""
    path = tmp_path / "edge.sqlite"
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {LATEST + 1}")
    newer.close()
    with pytest.raises(EdgeError, match="install the release that wrote it"):
        await ThreadedDatabase.open(path)
    path.rename(tmp_path / "moved.sqlite")


def test_a_migration_cut_short_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A last statement without its end is an error, not left out without a word."""
    monkeypatch.setattr(
        migrations, "scripts", lambda: ["CREATE TABLE one (id INTEGER);\nCREATE TABLE two (id INTEGER)\n"]
    )
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with contextlib.closing(connection), pytest.raises(ValueError, match="ends within a statement"):
        migrations.migrate(connection)
