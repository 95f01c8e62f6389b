"""Logins and accounting by RADIUS, beside FreeRADIUS on SQLite with the rows that are written for it.

Each has one core: FreeRADIUS, which has threads for more, would gain by a second. Both commit every report to the disk
before they answer it. Then the daemon alone: what a router waits for while a crowd opens the portal.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.store.checks import opened_for_reading
from easyisp_edge.store.connections import ThreadedDatabase
from tests.bench import freeradius_server, freeradius_steady, radius_load
from tests.bench.freeradius_updates import Sessions, Updates
from tests.bench.measures import Measure, Spread, at_least, at_most, one
from tests.bench.processes import SLOW_SYNC_SECONDS, BenchError, Server, can_slow_disk, slow_disk
from tests.bench.site import Site
from tests.bench.trials import Contestant, contest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.bench.books import Granted, Past
    from tests.bench.freeradius_server import Freeradius
    from tests.bench.measures import Target
    from tests.bench.sizes import Sizes
    from tests.bench.trials import Load, Trials

OUTSTANDING = (1, 32, 256)
_ACCEPTS_TARGET, _UPDATES_TARGET = at_least(1.5), at_least(5)
# A load tool busier than that tells of itself.
_TOOL_BUSY_TARGET = at_most(90)
_SYNCHRONOUS_FULL = 2
_WAL = "wal"
_SESSIONS_ON_A_SLOW_DISK = 100


class _Ours(NamedTuple):
    """The site and the daemon that runs on it."""

    site: Site
    daemon: Server


def run(folder: Path, sizes: Sizes, past: Past) -> Iterator[Measure]:
    """Rates, times and losses of both; memory of both; the daemon's answers while the portal is busy."""
    if freeradius_server.found() is None:
        sys.stderr.write("SKIPPED: freeradius is not installed (apt-get install freeradius): nothing was measured\n")
        return
    site = Site.lay_out(folder / "site", "radius", past.path)
    ours_synchronous = asyncio.run(_synchronous(site.store))
    with contextlib.ExitStack() as stack:
        theirs = stack.enter_context(freeradius_server.run(folder, past))
        ours = _Ours(site, stack.enter_context(site.run()))
        yield from _journals(theirs, site, ours_synchronous)
        for kind, chap in (("PAP", False), ("CHAP", True)):
            yield from _accepts(kind, _Logins(past.running, sizes, chap=chap), theirs, ours, sizes.rounds)
        sessions = Sessions.of(site, past.running[: sizes.burst])
        yield from _updates(sessions, theirs, ours, sizes)
        yield one(_name(theirs), "resident after all", "MB", theirs.process.resident_mb())
        yield one("daemon", "resident after all", "MB", ours.daemon.resident_mb())
        yield from freeradius_steady.run(site, sizes, past.running, sessions)
    slow = folder / "slow"
    slow.mkdir()
    yield from _updates_on_a_slow_disk(slow, sizes, past)


def _name(theirs: Freeradius) -> str:
    return f"FreeRADIUS {theirs.release}"


async def _synchronous(store: Path) -> int:
    """Of the connection the daemon writes by."""
    database = await ThreadedDatabase.open(store)
    try:
        return await database.write(lambda writing: int(writing.execute("PRAGMA synchronous").fetchone()[0]))
    finally:
        await database.close()


def _journals(theirs: Freeradius, site: Site, ours_synchronous: int) -> Iterator[Measure]:
    """Both write alike, or there is nothing to compare."""
    with opened_for_reading(site.store) as connection:
        ours = (connection.execute("PRAGMA journal_mode").fetchone()[0], ours_synchronous)
    for name, found in ((_name(theirs), (theirs.journal_mode(), theirs.synchronous())), ("daemon", ours)):
        if found != (_WAL, _SYNCHRONOUS_FULL):
            raise BenchError(f"{name} writes with journal mode and synchronous of {found}")
        yield one(name, f"journal mode {found[0]}, synchronous (2 is FULL)", "", found[1])


class _Logins:
    """Logins of all users in turn."""

    def __init__(self, running: Sequence[Granted], sizes: Sizes, *, chap: bool) -> None:
        self._running = running
        self._sizes = sizes
        self._chap = chap

    def drive(self, port: int, outstanding: int) -> Load:
        several = itertools.islice(itertools.cycle(self._running), self._sizes.logins)
        logins = [radius_load.login(at, granted, os.urandom, chap=self._chap) for at, granted in enumerate(several)]
        return radius_load.drive(port, logins, outstanding=outstanding, seconds=self._sizes.seconds)


def _accepts(kind: str, logins: _Logins, theirs: Freeradius, ours: _Ours, rounds: int) -> Iterator[Measure]:
    for outstanding in OUTSTANDING:
        name = f"{kind}, {outstanding} outstanding"
        contestants = [
            Contestant(f"FreeRADIUS, {name}", theirs.process, partial(logins.drive, theirs.auth_port, outstanding)),
            Contestant(
                f"accepts, {name}", ours.daemon, partial(logins.drive, ours.site.ports.radius_auth, outstanding)
            ),
        ]
        yield from _compared(contest(contestants, rounds), _ACCEPTS_TARGET)


def _updates_on_a_slow_disk(folder: Path, sizes: Sizes, past: Past) -> Iterator[Measure]:
    """The same where the disk takes its time, as a small box's does."""
    if not can_slow_disk():
        sys.stderr.write("SKIPPED: strace is not installed, or may not trace: nothing was measured on a slow disk\n")
        return
    site = Site.lay_out(folder / "site", "radius", past.path)
    with (
        freeradius_server.run(folder, past, slow_disk) as theirs,
        site.run(slow_disk) as daemon,
    ):
        # Each of the first reports waits for a sync of its own: a hundred are enough to take turns.
        sessions = Sessions.of(site, past.running[:_SESSIONS_ON_A_SLOW_DISK])
        disk = f" with {SLOW_SYNC_SECONDS * 1000:g} ms more a sync"
        yield from _updates(sessions, theirs, _Ours(site, daemon), sizes, disk)


def _updates(sessions: Sessions, theirs: Freeradius, ours: _Ours, sizes: Sizes, disk: str = "") -> Iterator[Measure]:
    at_theirs, at_ours = (
        Updates(sessions, theirs.acct_port, sizes),
        Updates(sessions, ours.site.ports.radius_acct, sizes),
    )
    for updates in (at_theirs, at_ours):
        updates.open_all()
    for outstanding in OUTSTANDING:
        name = f"updates{disk}, {outstanding} outstanding"
        contestants = [
            Contestant(f"FreeRADIUS, {name}", theirs.process, partial(at_theirs.drive, outstanding)),
            Contestant(name, ours.daemon, partial(at_ours.drive, outstanding)),
        ]
        yield from _compared(contest(contestants, sizes.rounds), _UPDATES_TARGET)
    at_theirs.hold_against(theirs.octets_of())
    at_ours.hold_against(_octets_of(ours.site.store))


def _octets_of(store: Path) -> dict[str, int]:
    with opened_for_reading(store) as connection:
        return dict(connection.execute("SELECT username, max(octets_in) FROM sessions GROUP BY username"))


def _compared(trials: Sequence[Trials], target: Target) -> Iterator[Measure]:
    theirs, ours = trials
    yield from (theirs.rate(), theirs.latency(0.5), theirs.latency(0.99))
    yield one(theirs.name, "lost", "", sum(load.lost for load in theirs.loads))
    yield from (theirs.cpu(), theirs.busy(), _tool_busy(theirs))
    yield from (ours.rate(), ours.ratio(theirs, target), ours.latency(0.5), ours.latency(0.99), ours.lost())
    yield from (ours.cpu(), ours.cpu_ratio(theirs), ours.busy(), _tool_busy(ours))


def _tool_busy(trials: Trials) -> Measure:
    """How much of its core the load tool had: saturated, it would be the tool that is measured."""
    shares = Spread.of(load.own_seconds / load.seconds * 100 for load in trials.loads)
    return Measure(trials.name, "load tool busy", "%", shares, _TOOL_BUSY_TARGET)
