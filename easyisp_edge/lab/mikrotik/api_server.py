"""The API's doors: who may connect, and the connections that stand."""

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
    import ssl
    from collections.abc import Callable, Iterator

    from easyisp_edge.lab.mikrotik.console import ApiUser, Console
    from easyisp_edge.lab.mikrotik.faults import Fault
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
    """How the doors behave.

    Args:
        find_user: Gives the user of that name who may come from that address; None where there is none.
        old_login: Whether they want the challenge of versions before 6.43.
        says_empty: Whether a print without rows says `!empty` (since 7.18).
        max_sessions: How many connections may stand on a service; None for any number.
        welcome: Whether a service may be used from an address.
        log: Takes a line's topics and message.
    """

    find_user: Callable[[str, str], ApiUser | None]
    old_login: bool
    says_empty: bool
    max_sessions: Callable[[str], int | None]
    welcome: Callable[[str, str], bool]
    log: Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class _Door:
    server: asyncio.Server
    port: int


class ApiServer:
    """Listens for API connections.

    Args:
        console: Carries commands out.
        rules: How the doors behave.
        clock: For slow answers and log-in times.
        randomness: For log-in challenges.
        settle: Called before each command, to bring the router up to now.
        trouble: What a fault does to the whole router.
    """

    def __init__(
        self,
        *,
        console: Console,
        rules: ApiRules,
        clock: Clock,
        randomness: Randomness,
        settle: Callable[[], None],
        trouble: Callable[[Fault], None],
    ) -> None:
        self.console = console
        self.rules = rules
        self.clock = clock
        self.randomness = randomness
        self.settle = settle
        self.trouble = trouble
        self.faults = Faults(clock)
        self.record = ApiRecord()
        self.opened: set[str] = set()
        self._ids = Ids()
        self._tasks = OwnedTasks()
        self._connections: set[ApiConnection] = set()
        self._doors: dict[str, _Door] = {}

    def port(self, service: str) -> int | None:
        """Where the service listens; None while it does not."""
        door = self._doors.get(service)
        return None if door is None else door.port

    async def listen(self, service: str, host: str, port: int, context: ssl.SSLContext | None = None) -> int:
        """Open a service's door, with a TLS context for the encrypted one; 0 takes any free port. Returns the port.

        Raises:
            OSError: The port is taken.
        """

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._connected(service, reader, writer)

        server = await asyncio.start_server(connected, host, port, ssl=context)
        door = _Door(server, int(server.sockets[0].getsockname()[1]))
        self._doors[service] = door
        self.opened.add(service)
        return door.port

    async def close_door(self, service: str) -> None:
        """Let nobody in any more; connections that stand go on."""
        self._doors.pop(service).server.close()

    async def shut(self) -> None:
        """Close every door and cut every connection without a word."""
        doors, self._doors = self._doors, {}
        for door in doors.values():
            door.server.close()
        for connection in list(self._connections):
            connection.cut()
        tasks, self._tasks = self._tasks, OwnedTasks()
        await tasks.close()
        for door in doors.values():
            await door.server.wait_closed()

    def user_rows(self) -> Iterator[dict[str, str]]:
        """`/user/active`: one row per log-in that stands."""
        for connection in self._connections:
            if connection.user is not None:
                yield {
                    ".id": connection.row_id,
                    "when": connection.logged_in_at,
                    "name": connection.user.name,
                    "address": connection.address,
                    "via": connection.service,
                    "radius": "false",
                }

    def refuse(self, words: tuple[str, ...], message: str) -> None:
        """Remember a sentence that was refused."""
        self.record.refused.append(Refusal(words, message))

    def next_row_id(self) -> str:
        """An id for a row of `/user/active`."""
        return self._ids.next()

    def _connected(self, service: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = str(writer.get_extra_info("peername", ("",))[0])
        most = self.rules.max_sessions(service)
        standing = sum(connection.service == service for connection in self._connections)
        full = most is not None and standing >= most
        if service not in self._doors or full or not self.rules.welcome(service, address):
            writer.transport.abort()
            return
        connection = ApiConnection(self, reader, writer, service, address)
        self._connections.add(connection)
        self._tasks.start(self._serve(connection), name=f"{service} connection of {address}")

    async def _serve(self, connection: ApiConnection) -> None:
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
