"""FreeRADIUS's tables in SQLite are kept equal to what is wanted, and nothing of others is touched."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.adapters.freeradius import sqlite as adapter
from easyisp_edge.adapters.freeradius.opening import freeradius_database
from easyisp_edge.adapters.freeradius.rows import user_rows
from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.login_database import SessionsCursor, WantedLogin
from easyisp_edge.errors import UnavailableError
from tests.fakes.clocks import START
from tests.unit.adapters.test_freeradius_rows import RUNNING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.adapters.freeradius.database import FreeradiusDatabase

TABLES = ("radcheck", "radreply", "radusergroup", "radgroupreply", "radgroupcheck", "radacct")
BOTH_WAYS = ({"whole": True}, {"whole": False})
ONE, TWO = RUNNING, RUNNING._replace(username="USER000002", grant_id="grant-2", devices_max=2)


class Disk:
    """The file as another program sees it, with the database that keeps it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sql = sqlite3.connect(path, isolation_level=None)
        schema = files("easyisp_edge.adapters.freeradius") / "raddb/sql/schema-sqlite.sql"
        self.sql.executescript(schema.read_text(encoding="utf-8"))
        self.database: FreeradiusDatabase = freeradius_database(SqliteAddress(path))

    def rows(self, table: str, username: str | None = None) -> list[tuple[Any, ...]]:
        """A table's rows without their numbers."""
        name = "groupname" if table.startswith("radgroup") else "username"
        where = "" if username is None else f" WHERE {name} = '{username}'"
        return [row[1:] for row in self.sql.execute(f"SELECT * FROM {table}{where} ORDER BY 1")]  # noqa: S608 - a test's own words

    def all_rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables, with their numbers: a row written anew shows."""
        return {table: self.sql.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in TABLES}  # noqa: S608

    async def keep(self, *wanted: WantedLogin, whole: bool = True) -> int:
        return await self.database.keep({login.username: login for login in wanted}, whole=whole)


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    """An empty database of FreeRADIUS."""
    disk = Disk(tmp_path / "radius.sqlite")
    try:
        yield disk
    finally:
        await disk.database.close()
        disk.sql.close()


def foreign_rows(disk: Disk) -> None:
    """Users and groups the site had before us."""
    disk.sql.executescript(
        """
        INSERT INTO radcheck (username, attribute, op, value) VALUES ('boss', 'Cleartext-Password', ':=', 'theirs');
        INSERT INTO radreply (username, attribute, op, value) VALUES ('boss', 'Class', ':=', 'vip');
        INSERT INTO radusergroup (username, groupname) VALUES ('boss', 'staff'), ('boss', 'edge-2M-5M-x1-i300');
        INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES ('staff', 'Mikrotik-Rate-Limit', '=', '9M');
        INSERT INTO radgroupcheck (groupname, attribute, op, value) VALUES ('staff', 'Login-Time', ':=', 'Any');
        """
    )


async def test_all_rows_of_a_user_are_written(disk: Disk) -> None:
    """Check, reply, group and what the group is told."""
    assert await disk.keep(ONE) == 1
    wanted = user_rows(ONE)
    assert disk.rows("radcheck") == [(ONE.username, *row) for row in wanted.check]
    assert disk.rows("radreply") == [(ONE.username, *row) for row in wanted.reply]
    assert disk.rows("radusergroup") == [(ONE.username, "edge-2M-5M-x1-i300", 1)]
    assert {row[0] for row in disk.rows("radgroupreply")} == {"edge-2M-5M-x1-i300"}


@pytest.mark.parametrize("how", BOTH_WAYS)
async def test_only_what_differs_is_written(disk: Disk, how: dict[str, bool]) -> None:
    """A round in which nothing changed leaves every row, by its number, as it was."""
    await disk.keep(ONE, TWO)
    before = disk.all_rows()
    assert await disk.keep(ONE, TWO, **how) == 0
    assert disk.all_rows() == before
    assert await disk.keep(ONE, TWO._replace(password="OTHER"), **how) == 1
    after = disk.all_rows()
    assert [row for row in after["radcheck"] if row[1] == ONE.username] == [
        row for row in before["radcheck"] if row[1] == ONE.username
    ]
    assert ("Cleartext-Password", ":=", "OTHER") in {row[1:] for row in disk.rows("radcheck", TWO.username)}
    assert len(disk.rows("radcheck", TWO.username)) == len(user_rows(TWO).check)


@pytest.mark.parametrize("how", BOTH_WAYS)
async def test_who_is_wanted_no_more_is_taken_away(disk: Disk, how: dict[str, bool]) -> None:
    """All of the user's rows; a group nobody is in goes at the next whole look."""
    await disk.keep(ONE, TWO)
    assert await disk.keep(TWO, **how) == 1
    for table in ("radcheck", "radreply", "radusergroup"):
        assert not disk.rows(table, ONE.username)
        assert disk.rows(table, TWO.username)
    await disk.keep(TWO)
    assert {row[0] for row in disk.rows("radgroupreply")} == {user_rows(TWO).groups[0]}


async def test_what_others_put_there_is_never_touched(disk: Disk) -> None:
    """Not even a user of theirs that somebody put into one of our groups."""
    foreign_rows(disk)
    theirs = {table: disk.rows(table) for table in ("radcheck", "radreply", "radusergroup", "radgroupcheck")}
    await disk.keep(ONE, TWO)
    await disk.keep()
    assert {table: disk.rows(table) for table in theirs} == theirs
    assert disk.rows("radgroupreply", "staff") == [("staff", "Mikrotik-Rate-Limit", "=", "9M")]


@pytest.mark.parametrize("how", BOTH_WAYS)
async def test_a_name_somebody_else_has_is_left_alone(
    disk: Disk,
    how: dict[str, bool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And said once: the others are written all the same."""
    await disk.keep()
    disk.sql.execute(
        "INSERT INTO radcheck (username, attribute, op, value) VALUES (?, 'Cleartext-Password', ':=', 'theirs')",
        (ONE.username,),
    )
    for _ in range(2):
        await disk.keep(ONE, TWO, **how)
    assert disk.rows("radcheck", ONE.username) == [(ONE.username, "Cleartext-Password", ":=", "theirs")]
    assert disk.rows("radcheck", TWO.username)
    assert [record.levelno for record in caplog.records if ONE.username in record.message] == [logging.ERROR]
    disk.sql.execute("DELETE FROM radcheck WHERE username = ?", (ONE.username,))
    assert await disk.keep(ONE, TWO, **how) == 1


async def test_what_somebody_changed_by_hand_is_put_right(disk: Disk) -> None:
    """At the next whole look, whatever was changed: a row too many, one too few, one that differs, a group's."""
    await disk.keep(ONE, TWO)
    before = [disk.rows(table) for table in TABLES]
    disk.sql.executescript(
        f"""
        INSERT INTO radcheck (username, attribute, op, value) VALUES ('{ONE.username}', 'Auth-Type', ':=', 'Accept');
        DELETE FROM radreply WHERE username = '{TWO.username}';
        UPDATE radgroupreply SET value = '99M' WHERE attribute = 'Mikrotik-Rate-Limit';
        """  # noqa: S608 - a test's own words
    )
    assert await disk.keep(ONE, TWO) == 2
    assert [sorted(disk.rows(table)) for table in TABLES] == [sorted(rows) for rows in before]
    disk.sql.execute("INSERT INTO radcheck SELECT NULL, username, attribute, op, value FROM radcheck")
    assert await disk.keep(ONE, TWO) == 2
    assert [sorted(disk.rows(table)) for table in TABLES] == [sorted(rows) for rows in before]


@pytest.mark.parametrize("how", BOTH_WAYS)
async def test_nothing_of_a_login_that_cannot_be_written_stands(disk: Disk, how: dict[str, bool]) -> None:
    """Where it stood before it is taken away: what FreeRADIUS has must not be more than is wanted."""
    await disk.keep(ONE, TWO)
    await disk.keep(ONE._replace(password="`id`"), TWO, **how)
    for table in ("radcheck", "radreply", "radusergroup"):
        assert {row[0] for row in disk.rows(table)} == {TWO.username}


async def test_a_user_is_changed_wholly_or_not_at_all(disk: Disk) -> None:
    """A failure in the middle leaves each user as it was; the next call does the rest."""
    await disk.keep(ONE)
    before = disk.all_rows()
    disk.sql.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON radusergroup BEGIN SELECT RAISE(ABORT, 'disk on fire'); END"
    )
    with pytest.raises(UnavailableError, match="disk on fire"):
        await disk.keep(ONE._replace(password="NEW"), TWO)
    assert {table: rows for table, rows in disk.all_rows().items() if table != "radgroupreply"} == {
        table: rows for table, rows in before.items() if table != "radgroupreply"
    }
    disk.sql.execute("DROP TRIGGER broken")
    assert await disk.keep(ONE._replace(password="NEW"), TWO, whole=False) == 2


async def test_a_missing_file_is_waited_for(tmp_path: Path) -> None:
    """FreeRADIUS makes it, so that it belongs to whom it has to."""
    database = freeradius_database(SqliteAddress(tmp_path / "none.sqlite"))
    with contextlib.closing(sqlite3.connect(":memory:")), pytest.raises(UnavailableError, match="FreeRADIUS makes it"):
        await database.keep({}, whole=True)
    assert not (tmp_path / "none.sqlite").exists()
    await database.close()


async def test_each_table_is_read_once(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many users there are."""
    wanted = {f"U{number:06}": ONE._replace(username=f"U{number:06}") for number in range(3000)}
    await disk.database.keep(wanted, whole=True)
    asked: list[str] = []
    connect = adapter._connect

    def watched(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(asked.append)
        return connection

    await disk.database.close()
    monkeypatch.setattr(adapter, "_connect", watched)
    assert await disk.database.keep(wanted, whole=True) == 0
    assert sum(query.startswith("SELECT") for query in asked) == 4
    asked.clear()
    assert await disk.database.keep(wanted | {"NEW": ONE._replace(username="NEW")}, whole=False) == 1
    assert sum(query.startswith("BEGIN IMMEDIATE") for query in asked) == 2  # the group, the user
    assert len(asked) < 30


def add_session(
    disk: Disk, number: int, *, update: int | None, stop: int | None = None, klass: str = "edge:grant-1", **columns: Any
) -> None:
    """A row of radacct; times are seconds after the start of the test's time."""
    began = int(START.timestamp())
    values = {
        "acctsessionid": f"8010000{number}",
        "acctuniqueid": f"unique-{number}",
        "username": ONE.username,
        "nasipaddress": "192.168.88.1",
        "acctstarttime": began,
        "acctupdatetime": None if update is None else began + update,
        "acctstoptime": None if stop is None else began + stop,
        "acctsessiontime": 60,
        "acctinputoctets": 5_000_000_000,
        "acctoutputoctets": 7,
        "callingstationid": "AA:BB:CC:00:00:01",
        "framedipaddress": "10.5.50.9",
        "class": klass,
    } | columns
    marks = ", ".join("?" * len(values))
    disk.sql.execute(f"INSERT INTO radacct ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608


async def test_sessions_come_in_the_order_of_their_last_change(disk: Disk) -> None:
    """A stock query that stops a session leaves its time of update as it was."""
    add_session(disk, 1, update=50)
    add_session(disk, 2, update=10, stop=60, acctterminatecause="User-Request")
    add_session(disk, 3, update=20)
    add_session(disk, 4, update=None)
    add_session(disk, 5, update=-100)
    found = await disk.database.sessions_after(SessionsCursor(START, 0), 10)
    assert [(session.row_id, session.stopped, session.cause) for session in found] == [
        (4, False, ""),
        (3, False, ""),
        (1, False, ""),
        (2, True, "User-Request"),
    ]
    assert found[0].octets_in == 5_000_000_000
    assert found[0].grant_id == "grant-1"


async def test_sessions_are_read_in_pages(disk: Disk) -> None:
    """Each page goes on where the one before ended, also within one second."""
    for number in range(1, 8):
        add_session(disk, number, update=10)
    cursor, numbers = SessionsCursor(START, 0), []
    while page := await disk.database.sessions_after(cursor, 3):
        numbers += [session.row_id for session in page]
        cursor = page[-1].cursor
    assert numbers == list(range(1, 8))


async def test_odd_sessions_are_read_all_the_same(disk: Disk) -> None:
    """No device address, no IP address, no counters, a Class in hex or none of ours."""
    odd: dict[str, Any] = {
        "callingstationid": "somewhere",
        "framedipaddress": "",
        "acctsessiontime": None,
        "acctinputoctets": None,
    }
    add_session(disk, 1, update=1, klass="0x" + b"edge:grant-1".hex(), **odd)
    add_session(disk, 2, update=2, klass="ai:0123")
    add_session(disk, 3, update=3, klass="0xzz")
    first, second, third = await disk.database.sessions_after(SessionsCursor(START, 0), 10)
    assert (first.mac, first.address, first.seconds, first.octets_in) == (None, None, 0, 0)
    assert [session.grant_id for session in (first, second, third)] == ["grant-1", None, None]
