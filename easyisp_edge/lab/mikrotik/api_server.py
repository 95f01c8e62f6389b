"""The API's door: who may connect, and the connections that stand."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.api_connection import ApiConnection
from easyisp_edge.lab.mikrotik.faults import Faults
from easyisp_edge.lab.mikrotik.owned_tasks import OwnedTasks
from easyisp_edge.lab.mikrotik.tables import Ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easyisp_edge.lab.mikrotik.console import ApiUser, Console
    from easyisp_edge.machine import Clock, Randomness

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """A sentence the router would not take.

    Args:
        words: As they came.
        message: What it was told.
    """

    words: tuple[str, ...]
    message: str


@dataclass(slots=True)
class ApiRecord:
    """What came in: the newest ten thousand sentences, and those of them that were refused."""

    commands_seen: deque[tuple[str, ...]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    refused: deque[Refusal] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


@dataclass(frozen=True, slots=True)
class ApiRules:
    """How the door behaves.

    Args:
        users: Who may log in.
        old_login: Whether it wants the challenge of versions before 6.43.
        max_sessions: How many connections may stand; None for any number.
        says_empty: Whether a print without rows says `!empty` (since 7.18).
        addresses: Who may connect; empty for all.
    """

    users: tuple[ApiUser, ...]
    old_login: bool
    max_sessions: int | None
    says_empty: bool
    addresses: frozenset[str]


class ApiServer:
    """Listens for API connections.

    Args:
        console: Carries commands out.
        rules: How the door behaves.
        clock: For slow answers and log-in times.
        randomness: For log-in challenges.
        settle: Called before each command, to bring the router up to now.
    """

    def __init__(
        self,
        *,
        console: Console,
        rules: ApiRules,
        clock: Clock,
        randomness: Randomness,
        settle: Callable[[], None],
    ) -> None:
        self.console = console
        self.rules = rules
        self.clock = clock
        self.randomness = randomness
        self.settle = settle
        self.faults = Faults()
        self.record = ApiRecord()
        self._ids = Ids()
        self._tasks = OwnedTasks()
        self._connections: set[ApiConnection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Open the door; 0 takes any free port. Returns the port.

        Raises:
            OSError: The port is taken.
        """
        self._server = await asyncio.start_server(self._connected, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def shut(self) -> None:
        """Close the door and cut every connection without a word."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in list(self._connections):
            connection.cut()
        tasks, self._tasks = self._tasks, OwnedTasks()
        await tasks.close()
        if server is not None:
            await server.wait_closed()

    def user_rows(self) -> Iterator[dict[str, str]]:
        """`/user/active`: one row per log-in that stands."""
        for connection in self._connections:
            if connection.user is not None:
                yield {
                    ".id": connection.row_id,
                    "when": connection.logged_in_at,
                    "name": connection.user.name,
                    "address": connection.address,
                    "via": "api",
                    "radius": "false",
                }

    def refuse(self, words: tuple[str, ...], message: str) -> None:
        """Remember a sentence that was refused."""
        self.record.refused.append(Refusal(words, message))

    def next_row_id(self) -> str:
        """An id for a row of `/user/active`."""
        return self._ids.next()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = str(writer.get_extra_info("peername", ("",))[0])
        most = self.rules.max_sessions
        welcome = not self.rules.addresses or address in self.rules.addresses
        if self._server is None or not welcome or (most is not None and len(self._connections) >= most):
            writer.transport.abort()
            return
        connection = ApiConnection(self, reader, writer, address)
        self._connections.add(connection)
        self._tasks.start(self._serve(connection), name=f"API connection of {address}")

    async def _serve(self, connection: ApiConnection) -> None:
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
