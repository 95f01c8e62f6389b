"""Stands in for systemd: opens the sockets that the units describe, starts the service, hears what it says."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shlex
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

UNITS = Path(__file__).parents[2] / "systemd"
SERVICE = UNITS / "easyisp-edge.service"
HOST = "127.0.0.1"
PATIENCE_SECONDS = 20.0
_FIRST_DESCRIPTOR = 3
_OUT_OF_THE_WAY = 20


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file.

    Args:
        path: Where it is.
        settings: Its assignments in order; a key may come more than once.
    """

    path: Path
    settings: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> Unit:
        """Read a unit file; those of this project continue no line on the next."""
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        pairs = (line.partition("=") for line in lines if line and line[0] not in "#;[")
        return cls(path, tuple((key, value) for key, _, value in pairs))

    def every(self, key: str) -> list[str]:
        """All values of a key."""
        return [value for name, value in self.settings if name == key]

    def one(self, key: str) -> str:
        """The value of a key that has to be there once."""
        (value,) = self.every(key)
        return value


def socket_units() -> list[Unit]:
    """The socket units."""
    return [Unit.read(path) for path in sorted(UNITS.glob("*.socket"))]


@dataclass
class ServiceManager:
    """Starts the daemon as the units say, on loopback and free ports.

    Args:
        folder: Of the configuration; the notification socket is there too.
        watchdog_seconds: After how long a service that says nothing would be ended.
        sockets: By the name under which each is handed over.
        states: All that the service told its manager, in order.
        written: All that it wrote on standard error.
    """

    folder: Path
    watchdog_seconds: float = 1.0
    sockets: dict[str, socket.socket] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    written: str = ""
    process: asyncio.subprocess.Process | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _listeners: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, folder: Path) -> AsyncIterator[ServiceManager]:
        """One with its sockets open; kills what it started, should it still run at the end."""
        manager = cls(folder)
        with contextlib.ExitStack() as open_sockets:
            for unit in socket_units():
                manager.sockets[unit.one("FileDescriptorName")] = open_sockets.enter_context(_opened(unit))
            hearing = open_sockets.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            hearing.setblocking(False)  # noqa: FBT003 - the standard library's own
            hearing.bind(str(folder / "notify"))
            manager._listeners.append(asyncio.create_task(manager._hear(hearing)))
            try:
                yield manager
            finally:
                await manager._end()

    def port(self, name: str) -> int:
        """Where a door is."""
        return int(self.sockets[name].getsockname()[1])

    async def start(self) -> None:
        """Start the service; returns at once."""
        moved = [fcntl.fcntl(door, fcntl.F_DUPFD, _OUT_OF_THE_WAY) for door in self.sockets.values()]
        handed_over = " ".join(f"{_FIRST_DESCRIPTOR + place}<&{number}" for place, number in enumerate(moved))
        try:
            # Only the shell that becomes the service knows its number.
            self.process = await asyncio.create_subprocess_exec(
                "bash",
                "-c",
                f'export LISTEN_PID=$$; exec "$@" {handed_over}',
                "bash",
                *self._command(),
                env=self._environ(),
                pass_fds=moved,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        finally:
            for number in moved:
                os.close(number)
        self._listeners.append(asyncio.create_task(self._read(self.process)))

    async def heard(self, state: str, times: int = 1) -> None:
        """Wait until the service has told that so often."""
        await self._until(lambda: self.states.count(state) >= times)

    async def wrote(self, text: str) -> None:
        """Wait until that stands in what the service wrote on standard error."""
        await self._until(lambda: text in self.written)

    def tell(self, number: signal.Signals) -> None:
        """Send the service a signal."""
        self._running().send_signal(number)

    async def ended(self) -> int:
        """Wait for the end; gives the exit code."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._running().wait()

    def left_over(self) -> bool:
        """Whether the service, or anything it started, still runs."""
        try:
            os.killpg(self._running().pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _running(self) -> asyncio.subprocess.Process:
        assert self.process is not None
        return self.process

    def _command(self) -> Iterator[str]:
        """The unit's own command, with this interpreter and this folder."""
        unit = Unit.read(SERVICE)
        _, *arguments = shlex.split(unit.one("ExecStart"))
        yield from (sys.executable, "-m", "easyisp_edge")
        configuration = f"/etc/{unit.one('ConfigurationDirectory')}"
        yield from (str(self.folder) if argument == configuration else argument for argument in arguments)

    def _environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LISTEN_FDS": str(len(self.sockets)),
            "LISTEN_FDNAMES": ":".join(self.sockets),
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "WATCHDOG_USEC": str(int(self.watchdog_seconds * 1_000_000)),
        }

    async def _until(self, it_is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait_for(it_is_so)

    async def _hear(self, hearing: socket.socket) -> None:
        while True:
            message = await asyncio.get_running_loop().sock_recv(hearing, 4096)
            async with self._news:
                self.states.extend(message.decode().split("\n"))
                self._news.notify_all()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            async with self._news:
                self.written += line.decode()
                self._news.notify_all()

    async def _end(self) -> None:
        if self.process is not None and self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()
        for listener in self._listeners:
            listener.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)


def _opened(unit: Unit) -> socket.socket:
    if unit.every("ListenStream"):
        return socket.create_server((HOST, 0))
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.bind((HOST, 0))
    return door
