"""The store: reads at once, writes in transactions that share a commit."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, Never, TypeVar

from easyisp_edge.errors import UnavailableError
from easyisp_edge.store.acts import ActsTable
from easyisp_edge.store.central_configs import CentralConfigsTable
from easyisp_edge.store.changes import RowChanges
from easyisp_edge.store.claims import ClaimsTable
from easyisp_edge.store.clock import ClockTable
from easyisp_edge.store.customers import CustomersTable
from easyisp_edge.store.devices import Devices
from easyisp_edge.store.events import EventsTable
from easyisp_edge.store.evidence import EvidenceTable
from easyisp_edge.store.forks import Forks
from easyisp_edge.store.gateway_states import GatewayStatesTable
from easyisp_edge.store.gateways import MadeGatewaysTable
from easyisp_edge.store.grants import GrantsTable
from easyisp_edge.store.guards import unguarded
from easyisp_edge.store.ledger import LedgerTable
from easyisp_edge.store.packages import PackagesTable
from easyisp_edge.store.payment_lists import PaymentListsTable
from easyisp_edge.store.payments import PaymentsTable
from easyisp_edge.store.posters import PostersTable
from easyisp_edge.store.purchases import PurchasesTable
from easyisp_edge.store.rebuild import Rebuild
from easyisp_edge.store.sessions import SessionsTable
from easyisp_edge.store.standing import StandingRows
from easyisp_edge.store.sync_alarms import SyncAlarmsTable
from easyisp_edge.store.sync_state import SyncTable
from easyisp_edge.store.takings import TakingsTable
from easyisp_edge.store.users import ApiTokensTable, StaffLoginsTable, StaffUsersTable
from easyisp_edge.store.vouchers import TrialsTable, VouchersTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from easyisp_edge.store.connections import Database
    from easyisp_edge.timekeeping import BoxClock

T = TypeVar("T")

# How many transactions wait at most; beyond it the store is too slow for what comes in.
WAITING_MAX = 4096
# How many share a commit at most, so that none waits long behind a crowd.
COMMIT_SHARED_MAX = 256


class Tables:
    """All tables over one connection."""

    def __init__(self, connection: sqlite3.Connection, clock: BoxClock | None) -> None:
        self.clock = ClockTable(connection)
        self.packages = PackagesTable(connection)
        self.customers = CustomersTable(connection)
        self.purchases = PurchasesTable(connection)
        self.payments = PaymentsTable(connection)
        self.payment_lists = PaymentListsTable(connection)
        self.takings = TakingsTable(connection)
        self.evidence = EvidenceTable(connection)
        self.ledger = LedgerTable(connection)
        self.claims = ClaimsTable(connection)
        self.gateways = GatewayStatesTable(connection)
        self.made_gateways = MadeGatewaysTable(connection)
        self.grants = GrantsTable(connection, self.packages)
        self.sessions = SessionsTable(connection, self.grants)
        self.devices = Devices(connection)
        self.posters = PostersTable(connection)
        self.vouchers = VouchersTable(connection)
        self.trials = TrialsTable(connection)
        self.staff_users = StaffUsersTable(connection)
        self.staff_logins = StaffLoginsTable(connection)
        self.api_tokens = ApiTokensTable(connection)
        self.acts = ActsTable(connection)
        self.events = EventsTable(connection, clock)
        self.sync = SyncTable(connection)
        self.alarms = SyncAlarmsTable(connection, self.events)
        self.central = CentralConfigsTable(connection)
        self.changes = RowChanges(connection, self.events)
        self.standing = StandingRows(connection, self.changes)
        self.rebuild = Rebuild(connection, self.events, clock)
        self.forks = Forks(connection, self.events, self.changes, self.rebuild)


class _Waiting(Generic[T]):
    """A transaction that waits for its commit."""

    __slots__ = ("done", "error", "repeatable", "result", "work")

    def __init__(self, work: Callable[[Tables], T], done: asyncio.Future[Any], *, repeatable: bool) -> None:
        self.work = work
        self.done = done
        self.repeatable = repeatable
        self.result: T | None = None
        self.error: Exception | None = None


class Store:
    """The tables of one database.

    A transaction is a plain function over the tables: it cannot wait, so no network call ever stands inside
    one. Functions that arrive while a commit is under way run one after the other and share the next
    commit: nobody waits for a timer. Savepoints see to it that one's failure undoes only its own rows.

    Args:
        database: The open file.
        clock: Box time; written down with every commit.
    """

    def __init__(self, database: Database, clock: BoxClock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: deque[_Waiting[Any]] = deque()
        self._arrived = asyncio.Event()
        self._tables: Tables | None = None
        self.read = Tables(database.reading, None)

    async def write(self, work: Callable[[Tables], T]) -> T:
        """Run `work` as one transaction; returns its result once it is committed, and so on the disk.

        Raises:
            UnavailableError: It was not committed (disk full, too much waiting); nothing of it remains.
            Exception: What `work` raised; nothing of it remains.
        """
        return await self.writing(work)

    def writing(self, work: Callable[[Tables], T], *, repeatable: bool = False) -> asyncio.Future[T]:
        """The same as a future, for whoever has many under way; what it raises is raised by the future.

        Args:
            work: The transaction.
            repeatable: Whether it may be run again after what it wrote was undone. Such ones share a savepoint, and
                are run one by one only where one of them fails.

        Raises:
            UnavailableError: Too much is waiting.
        """
        if len(self._waiting) >= WAITING_MAX:
            raise UnavailableError("store.busy", "The box is too busy to note this; try again in a moment.")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(work, done, repeatable=repeatable))
        self._arrived.set()
        return done

    async def survey(self, work: Callable[[Tables], T]) -> T:
        """Run a long read off the event loop."""
        return await self._database.survey(lambda connection: work(Tables(connection, None)))

    async def rewrite(self, work: Callable[[Tables], T]) -> T:
        """Put right the books themselves, in one transaction, with nothing in the way that guards them in daily use.

        Neither triggers nor foreign keys hold within it, and what it changes is told in no event; the guards stand
        again after it. To be used while `run` runs.

        Raises:
            UnavailableError: It was not committed; nothing of it remains.
            Exception: What `work` raised; nothing of it remains.
        """
        try:
            result = await self._database.write(lambda connection: self._rewritten(connection, work))
        except sqlite3.Error as error:
            raise UnavailableError("store.not_written", f"The box could not write to its disk: {error}.") from error
        finally:
            self.read = Tables(self._database.reading, None)  # what it remembers of rows may be otherwise now
        await self.write(lambda _: None)  # whoever reads sees it from the next commit on
        return result

    def _rewritten(self, connection: sqlite3.Connection, work: Callable[[Tables], T]) -> T:
        self._tables = None
        with unguarded(connection):
            tables = Tables(connection, self._clock)
            result = work(tables)
            tables.changes.forget()
            tables.clock.write_down(self._clock.mark())
        return result

    async def run(self) -> Never:
        """Commit what arrives, for as long as the daemon lives; everybody's `write` waits on this."""
        while True:
            # Nobody else writes: until the next commit one snapshot stays true, and reads need no lock each.
            self._database.reading.execute("BEGIN")
            await self._arrived.wait()
            # It must not stand while the writer commits, or the write-ahead log could never start over.
            self._database.reading.execute("COMMIT")
            self._arrived.clear()
            while self._waiting:
                shared = [self._waiting.popleft() for _ in range(min(len(self._waiting), COMMIT_SHARED_MAX))]
                await self._commit(shared)

    async def _commit(self, shared: list[_Waiting[Any]]) -> None:
        try:
            await self._database.write(lambda connection: self._run_shared(connection, shared))
        except sqlite3.Error as error:
            failure = UnavailableError("store.not_written", f"The box could not write to its disk: {error}.")
            for waiting in shared:
                waiting.error = waiting.error or failure
            _answer(shared)
            if getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR"):
                raise  # what the disk holds is in doubt: start anew from what it really holds
        else:
            _answer(shared)

    def _run_shared(self, connection: sqlite3.Connection, shared: list[_Waiting[Any]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if self._tables is None:
                self._tables = Tables(connection, self._clock)
                self._tables.changes.look()
            for repeatable, several in itertools.groupby(shared, key=lambda waiting: waiting.repeatable):
                if repeatable:
                    _run_together(connection, self._tables, list(several))
                else:
                    for waiting in several:
                        _run_one(connection, self._tables, waiting)
            self._tables.changes.count(self._clock.now())
            self._tables.clock.write_down(self._clock.mark())
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # some errors have rolled back already
                connection.execute("ROLLBACK")
            self._tables = None
            raise


def _run_together(connection: sqlite3.Connection, tables: Tables, several: list[_Waiting[Any]]) -> None:
    connection.execute("SAVEPOINT several")
    try:
        for waiting in several:
            waiting.result = waiting.work(tables)
        tables.changes.tell()
    except sqlite3.OperationalError:
        raise
    except Exception:  # noqa: BLE001 - whoever it is will hear of it when run alone
        connection.execute("ROLLBACK TO several")
        tables.changes.look()
        for waiting in several:
            _run_one(connection, tables, waiting)
    connection.execute("RELEASE several")


def _run_one(connection: sqlite3.Connection, tables: Tables, waiting: _Waiting[Any]) -> None:
    connection.execute("SAVEPOINT one")
    try:
        waiting.result = waiting.work(tables)
        tables.changes.tell()
    except sqlite3.OperationalError:
        raise  # the disk, not the work: nobody in this commit may be told it went well
    except Exception as error:  # noqa: BLE001 - handed to the one who asked
        connection.execute("ROLLBACK TO one")
        tables.changes.look()
        waiting.error = error
    connection.execute("RELEASE one")


def _answer(shared: list[_Waiting[Any]]) -> None:
    for waiting in shared:
        if waiting.done.done():  # whoever asked has gone away meanwhile
            continue
        if waiting.error is None:
            waiting.done.set_result(waiting.result)
        else:
            waiting.done.set_exception(waiting.error)


@contextlib.asynccontextmanager
async def running(store: Store) -> AsyncIterator[Store]:
    """A store that commits within this block, for commands and tests; the daemon has its own TaskGroup."""
    async with asyncio.TaskGroup() as tasks:
        committing = tasks.create_task(store.run(), name="store")
        try:
            yield store
        finally:
            committing.cancel()
