"""The way to one router: a session opened on need, used in turns, dropped when in doubt."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import TYPE_CHECKING

from librouteros.exceptions import LibRouterosError

from easyisp_edge.adapters.routeros.tls import WrongCertificateError, tls_trouble
from easyisp_edge.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from easyisp_edge.adapters.routeros.connection import ApiConnection, Reply

log = logging.getLogger(__name__)

# TypeError, IndexError and ValueError: what the library lets out when an answer is malformed.
_BROKEN = (OSError, LibRouterosError, TypeError, IndexError, ValueError)


class LinkWatch:
    """What a link tells of its life. This one keeps nothing of it, and lets every command try."""

    def admit(self, *, busy: bool) -> None:
        """A command is about to be run, or to wait for its turn where the link is `busy`.

        Raises:
            UnavailableError: It would be in vain.
        """

    async def met(self, connection: ApiConnection) -> None:
        """A session was opened; it may be used for questions until this returns."""

    def answered(self) -> None:
        """The router answered a command, be it with a no."""

    def failed(self, error: UnavailableError) -> None:
        """It did not."""

    def left(self) -> None:
        """The session is over."""


class RouterLink:
    """Commands to one router, one at a time over one session.

    Each command has a deadline, connecting included; waiting for its turn has the same once more. After a
    refusal the session goes on; after a time-out, a cancellation or any other trouble it is dropped and the
    next command opens a new one.

    Args:
        name: What people call the router; for messages.
        connect: Opens a session that is logged in.
        deadline_seconds: For one command.
        watch: Is told how it goes, and may keep commands from trying in vain.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[ApiConnection]],
        *,
        deadline_seconds: float = 10.0,
        watch: LinkWatch | None = None,
    ) -> None:
        self._name = name
        self._connect = connect
        self._deadline_seconds = deadline_seconds
        self._watch = watch or LinkWatch()
        self._turn = asyncio.Lock()
        self._connection: ApiConnection | None = None

    async def run(self, command: str, arguments: Mapping[str, str]) -> Reply:
        """Run a command with its arguments, such as `/ip/hotspot/user/add`.

        Raises:
            RefusedError: The router said no; the message is the router's.
            UnavailableError: No whole answer in time; it may or may not have been carried out.
        """
        return await self._run(command, *(f"={name}={value}" for name, value in arguments.items()))

    async def read(
        self, menu: str, fields: Iterable[str], where: Mapping[str, str] | None = None
    ) -> list[dict[str, str]]:
        """Read those fields of a menu's rows: of all of them, or where the named fields equal the values.

        Values are text as the router wrote it; a field that is not set is absent.

        Raises:
            RefusedError: The router said no; the message is the router's.
            UnavailableError: No whole answer in time.
        """
        rows: list[dict[str, str]] = []
        await self.read_each(menu, fields, rows.append, where)
        return rows

    async def read_each(
        self,
        menu: str,
        fields: Iterable[str],
        each: Callable[[dict[str, str]], None],
        where: Mapping[str, str] | None = None,
    ) -> None:
        """The same row by row, for tables too long to be held whole; `each` must not raise.

        Raises:
            RefusedError: The router said no; what was taken by then is not all.
            UnavailableError: No whole answer in time; the same.
        """
        queries = (f"?{name}={value}" for name, value in (where or {}).items())
        await self._run(f"{menu}/print", f"=.proplist={','.join(fields)}", *queries, each=each)

    async def close(self) -> None:
        """Let the command under way finish, then end the session."""
        async with self._turn:
            connection, self._connection = self._connection, None
            if connection is not None:
                self._watch.left()
                await connection.close()

    async def _run(self, command: str, *words: str, each: Callable[[dict[str, str]], None] | None = None) -> Reply:
        self._watch.admit(busy=self._turn.locked())
        async with self._my_turn():
            self._watch.admit(busy=False)  # it may have become hopeless meanwhile
            async with self._dropped_when_in_doubt(command), asyncio.timeout(self._deadline_seconds):
                connection = await self._connected()
                return await connection.run(command, *words, each=each)

    @contextlib.asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._turn.acquire()
        except TimeoutError as error:
            raise UnavailableError(
                "router.unreachable", f"Router {self._name} is still busy with earlier commands; try again."
            ) from error
        try:
            yield
        finally:
            self._turn.release()

    @contextlib.asynccontextmanager
    async def _dropped_when_in_doubt(self, command: str) -> AsyncIterator[None]:
        try:
            yield
        except RefusedError:
            self._watch.answered()
            raise
        except UnavailableError as error:
            self._fail(error)
            raise
        except _BROKEN as error:
            reason = self._reason(error)
            log.debug("router %s: connection dropped at %s: %s", self._name, command, reason)
            trouble = UnavailableError(
                "router.unreachable", f"Router {self._name} gave no answer to {command}: {reason}."
            )
            self._fail(trouble)
            raise trouble from error
        except BaseException:
            self._drop()
            raise
        else:
            self._watch.answered()

    def _fail(self, error: UnavailableError) -> None:
        self._drop()
        self._watch.failed(error)

    async def _connected(self) -> ApiConnection:
        if self._connection is not None and self._connection.stale:
            self._drop()
        if self._connection is None:
            self._connection = await self._logged_in()
            log.info("router %s: connected", self._name)
            await self._watch.met(self._connection)
        return self._connection

    async def _logged_in(self) -> ApiConnection:
        try:
            return await self._connect()
        except RefusedError as error:
            # To the caller it is a router out of reach, which a corrected password brings back.
            raise UnavailableError(
                "router.login_refused",
                f"Router {self._name} does not let us log in: {error.message}. "
                "Check the API user, its password and its allowed address.",
            ) from error
        except (ssl.SSLError, WrongCertificateError) as error:
            raise tls_trouble(self._name, error) from error

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._watch.left()
            connection.abort()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"nothing whole within {self._deadline_seconds:g} s"
        return str(error) or type(error).__name__
