"""A RouterOS API server that says what a test tells it to, on the real wire, with a codec of its own."""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from types import TracebackType


class Fault(enum.Enum):
    """What a router may do instead of going on."""

    HANG = "hang"
    DROP = "drop"


Step = tuple[str, ...] | bytes | Fault | float  # a number of seconds to wait before the next
DONE: Sequence[Step] = (("!done",),)


def encode_word(word: str) -> bytes:
    data = word.encode()
    size = len(data)
    for octets, marker in ((1, 0), (2, 0x8000), (3, 0xC00000), (4, 0xE0000000)):
        if size < 1 << (7 * octets):
            return (size | marker).to_bytes(octets, "big") + data
    raise AssertionError(f"too long: {size}")


def encode_sentence(*words: str) -> bytes:
    return b"".join(encode_word(word) for word in words) + b"\0"


async def read_sentence(reader: asyncio.StreamReader) -> list[str]:
    words = []
    while word := await _read_word(reader):
        words.append(word)
    return words


async def _read_word(reader: asyncio.StreamReader) -> str:
    first = (await reader.readexactly(1))[0]
    more = next(more for more, end in enumerate((0x80, 0xC0, 0xE0, 0xF0)) if first < end)
    rest = await reader.readexactly(more)
    size = int.from_bytes(bytes((first,)) + rest, "big") & ((1 << (7 * (more + 1))) - 1)
    return (await reader.readexactly(size)).decode()


class ScriptedRouter:
    """Answers each sentence with the steps that `answer` returns for it; logins are taken unless told otherwise."""

    def __init__(self, answer: Callable[[list[str]], Sequence[Step]], *, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.login_answer: Sequence[Step] = DONE
        self.logins: list[list[str]] = []
        self.received: list[list[str]] = []
        self.connections = 0
        self.port = 0
        self.heard = asyncio.Event()
        self._tls = tls
        self._writers: list[asyncio.StreamWriter] = []
        self._over = asyncio.Event()
        self._serving = 0
        self._idle = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.close()
        self.hang_up()
        await self.all_left()
        await self._server.wait_closed()

    def hang_up(self) -> None:
        """End all connections, as a reboot does."""
        for writer in self._writers:
            writer.transport.abort()

    async def all_left(self) -> None:
        """Return once no client is connected."""
        while self._serving:
            self._idle.clear()
            await self._idle.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving += 1
        self._writers.append(writer)
        try:
            while await self._answer_one(reader, writer):
                pass
        except (OSError, EOFError):
            pass
        finally:
            writer.transport.abort()
            self._serving -= 1
            self._idle.set()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        words = await read_sentence(reader)
        is_login = words[0] == "/login"
        (self.logins if is_login else self.received).append(words)
        if not is_login:
            self.heard.set()
        for step in self.login_answer if is_login else self.answer(words):
            if step is Fault.DROP:
                return False
            if step is Fault.HANG:
                await self._over.wait()
                return False
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            writer.write(step if isinstance(step, bytes) else encode_sentence(*step))
            await writer.drain()
        return True
