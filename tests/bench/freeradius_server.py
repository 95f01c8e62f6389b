"""The real FreeRADIUS as a process: the configuration and the users that are written for it, on a core of its own."""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.adapters.freeradius.configuration import DEBIAN_FOLDER
from easyisp_edge.commands.freeradius import installed_release, write_configuration
from tests.bench.processes import SERVER_CORE, BenchError, Server
from tests.bench.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.books import Past

_WRITTEN_WITHIN_SECONDS = 120.0
_CPU_CLOCK_OF_PROCESS = 2
_SQLITE_OK = 0


def found() -> str | None:
    """Where FreeRADIUS is; None where it is not installed."""
    return shutil.which("freeradius", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


class FreeradiusProcess(Server):
    """FreeRADIUS, which tells systemd of itself as the daemon does."""

    def cpu_seconds(self) -> float:
        """Time on a core so far, of threads that have ended too: it ends those it has no use for."""
        # What clock_getcpuclockid(3) gives, which Python does not have.
        return time.clock_gettime((~self._process.pid << 3) | _CPU_CLOCK_OF_PROCESS)

    def sqlite_library(self) -> str:
        """The SQLite it has loaded."""
        maps = Path(f"/proc/{self._process.pid}/maps").read_text(encoding="utf-8").splitlines()
        return next(line.split()[-1] for line in maps if "/libsqlite3.so" in line)


@dataclass(frozen=True, slots=True)
class Freeradius:
    """FreeRADIUS with all users of a site.

    Args:
        process: Runs until the block ends.
        release: Its own number.
        database: What it answers from.
        auth_port: Where it answers logins.
        acct_port: Where it answers accounting.
        log: What it complained of.
    """

    process: FreeradiusProcess
    release: str
    database: Path
    auth_port: int
    acct_port: int
    log: Path

    def journal_mode(self) -> str:
        """Of its file, whoever opens it."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return str(connection.execute("PRAGMA journal_mode").fetchone()[0])

    def synchronous(self) -> int:
        """Of its connections: what its SQLite does unasked, since its driver asks for nothing."""
        return _unasked(ctypes.CDLL(self.process.sqlite_library()), self.database, "PRAGMA synchronous")

    def octets_of(self) -> dict[str, int]:
        """The most that is noted of each user."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return dict(connection.execute("SELECT username, max(acctinputoctets) FROM radacct GROUP BY username"))


@contextlib.contextmanager
def run(folder: Path, past: Past, wrapped: Callable[[Sequence[str]], Sequence[str]] = list) -> Iterator[Freeradius]:
    """FreeRADIUS with the configuration that the command writes, and all users that the daemon writes.

    Args:
        folder: For its files.
        past: What stands in the books.
        wrapped: Puts its command into another program's, where it is to run in one.
    """
    site, database = _lay_out(folder / "freeradius", past)
    command = [_program(), "-f", "-d", str(_configured(site))]
    with FreeradiusProcess(wrapped(command), core=SERVER_CORE) as process:
        # It has made the file by now; the daemon turns that to WAL and writes into it.
        with site.run() as daemon:
            daemon.wait_for_log("users written for FreeRADIUS", within_seconds=_WRITTEN_WITHIN_SECONDS)
        _hold_users(database, len(past.running))
        ports, log = site.ports, site.folder / "log" / "radius.log"
        release = installed_release() or ""
        yield Freeradius(process, release, database, ports.radius_auth, ports.radius_acct, log)


def _program() -> str:
    program = found()
    if program is None:
        raise BenchError("freeradius is not installed")
    return program


def _lay_out(folder: Path, past: Past) -> tuple[Site, Path]:
    """The same site once more, whose router asks FreeRADIUS."""
    site, database = Site.lay_out(folder, "radius", past.path), folder / "radius.sqlite"
    with (folder / "edge.toml").open("a", encoding="utf-8") as edge:
        edge.write(f'[freeradius]\ndatabase = "sqlite:///{database}"\n')
    with (folder / "routers.toml").open("a", encoding="utf-8") as routers:
        routers.write('server = "freeradius"\n')  # of its last table, which is that of RADIUS
    return site, database


def _configured(site: Site) -> Path:
    """The folder with what the command wrote, for that folder in place of the system's."""
    raddb, log = site.folder / "raddb", site.folder / "log"
    log.mkdir()
    said = io.StringIO()
    release = installed_release()
    if release is None:
        raise BenchError("freeradius does not tell its release")
    if write_configuration(raddb, site.folder, {}, release=release, as_json=True, out=said) != 0:
        raise BenchError(json.loads(said.getvalue())["message"])
    main = raddb / "radiusd.conf"
    text = main.read_text(encoding="utf-8")
    moved = {DEBIAN_FOLDER: raddb, "/var/log/freeradius": log, "/run/freeradius": log}
    for there, here in moved.items():
        text = text.replace(there, str(here))
    main.write_text(text, encoding="utf-8")
    return raddb


def _hold_users(database: Path, count: int) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        written = connection.execute("SELECT count(DISTINCT username) FROM radcheck").fetchone()[0]
    if written != count:
        raise BenchError(f"FreeRADIUS knows {written} users of {count}")


def _unasked(library: ctypes.CDLL, path: Path, statement: str) -> int:
    """What a connection that was told nothing answers to a statement with one number."""
    values: list[int] = []

    def row(_given: object, _columns: int, texts: Any, _names: object) -> int:
        values.append(int(texts[0]))
        return _SQLITE_OK

    texts = ctypes.POINTER(ctypes.c_char_p)
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, texts, texts)(row)
    connection = ctypes.c_void_p()
    try:
        code = library.sqlite3_open(os.fsencode(path), ctypes.byref(connection))
        code = code or library.sqlite3_exec(connection, statement.encode(), callback, None, None)
    finally:
        library.sqlite3_close(connection)
    if code != _SQLITE_OK:
        raise BenchError(f"SQLite answered {code} to {statement}")
    return values[0]
