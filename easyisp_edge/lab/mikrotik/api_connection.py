"""One connection of the API: logging in, commands in order, tags, cancel, and how it ends.

Source: RouterOS manual, API.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from typing import TYPE_CHECKING, NoReturn

from easyisp_edge.lab.mikrotik import wire
from easyisp_edge.lab.mikrotik.errors import INTERRUPTED, FatalError, RefusalError, TrapError, WireError
from easyisp_edge.lab.mikrotik.faults import BEFORE, FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easyisp_edge.lab.mikrotik.api_server import ApiServer
    from easyisp_edge.lab.mikrotik.console import ApiUser
    from easyisp_edge.lab.mikrotik.faults import Fault

_FAILURES_MOST = 4
_QUEUED_MOST = 1000


class _CutError(Exception):
    """The connection is to die without a word."""


class ApiConnection:
    """A client's connection.

    Args:
        server: Whose door it came through.
        reader: What the client sends.
        writer: What it is told.
        service: Which door it came through.
        address: Where it came from.
    """

    def __init__(
        self,
        server: ApiServer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        service: str,
        address: str,
    ) -> None:
        self.user: ApiUser | None = None
        self.service = service
        self.address = address
        self.row_id = ""
        self.logged_in_at = ""
        self._server = server
        self._reader = reader
        self._writer = writer
        self._failures = 0
        self._challenge: bytes | None = None
        self._in_order: asyncio.Queue[tuple[str, ...]] = asyncio.Queue(_QUEUED_MOST)
        self._tagged: dict[str, asyncio.Task[None]] = {}
        self._gone = asyncio.Event()

    async def run(self) -> None:
        """Serve the client until one side ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(tasks), name=f"read {self.address}")
                tasks.create_task(self._work(), name=f"work {self.address}")
        except* FatalError as fatal:
            self._say(["!fatal", _reason(fatal)])
        except* (WireError, OSError, _CutError):
            self.cut()
        finally:
            self.user = None
            self._writer.close()

    def cut(self) -> None:
        """Let the connection die without a word."""
        self._writer.transport.abort()

    async def _read(self, tasks: asyncio.TaskGroup) -> NoReturn:
        try:
            while True:
                await self._take(await self._sentence(), tasks)
        except asyncio.IncompleteReadError:
            self._gone.set()
        await self._in_order.join()  # what was sent before the client left is still carried out
        await asyncio.gather(*self._tagged.values(), return_exceptions=True)
        raise _CutError

    async def _sentence(self) -> tuple[str, ...]:
        return await wire.read_sentence(self._reader, self._octets_most, self._words_most)

    def _octets_most(self) -> int:
        # The log-in may still be under way when the next sentence begins to be waited for.
        return wire.WORD_OCTETS_MOST_BEFORE_LOGIN if self.user is None else wire.WORD_OCTETS_MOST

    def _words_most(self) -> int:
        return wire.WORDS_MOST_BEFORE_LOGIN if self.user is None else wire.WORDS_MOST

    async def _take(self, words: tuple[str, ...], tasks: asyncio.TaskGroup) -> None:
        self._server.record.commands_seen.append(words)
        tag = wire.tag_of(words)
        if self.user is not None and words[0] == "/cancel":
            await self._cancel(words, tag)
        elif self.user is not None and tag is not None:
            task = tasks.create_task(self._serve(words), name=f"{words[0]} tagged {tag}")
            self._tagged[tag] = task
            task.add_done_callback(lambda _: self._tagged.pop(tag, None))
        else:
            await self._in_order.put(words)

    async def _work(self) -> NoReturn:
        while True:
            words = await self._in_order.get()
            await self._serve(words)
            self._in_order.task_done()

    async def _cancel(self, words: tuple[str, ...], own_tag: str | None) -> None:
        wanted = next((word.removeprefix("=tag=") for word in words if word.startswith("=tag=")), None)
        tags = [tag for tag in self._tagged if wanted in {None, tag}]
        for tag in tags:
            task = self._tagged[tag]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._say(["!trap", f"=category={INTERRUPTED}", "=message=interrupted"], tag)
        self._say(["!done"], own_tag)
        for tag in tags:
            self._say(["!done"], tag)
        await self._drain()

    async def _serve(self, words: tuple[str, ...]) -> None:
        tag = wire.tag_of(words)
        try:
            answer = await self._answer(words)
        except TrapError as trap:
            if isinstance(trap, RefusalError):
                self._server.refuse(words, trap.message)
            category = [] if trap.category is None else [f"=category={trap.category}"]
            self._say(["!trap", *category, f"=message={trap.message}"], tag)
            self._say(["!done"], tag)
        else:
            self._say_answer(answer, tag)
        await self._drain()

    async def _answer(self, words: tuple[str, ...]) -> wire.Answer:
        if self._server.faults.mute:
            await self._hang()
        if words[0] == "/quit":
            raise FatalError("session terminated on request")
        request = wire.parse_request(words)
        if request.command == "/login":
            return self._log_in(request)
        if self.user is None:
            raise FatalError("not logged in")
        self._server.settle()
        fault = self._server.faults.take(request.command)
        if fault is not None:
            await self._before(fault)
        if wait := self._server.faults.wait_seconds():
            await self._server.clock.sleep(wait)
        answer = await self._server.console.run(request, self.user)
        if fault is not None:
            await self._after(fault, answer, request.tag)
        return answer

    async def _before(self, fault: Fault) -> None:
        if fault.kind is FaultKind.SLOW:
            await self._server.clock.sleep(fault.seconds)
        elif fault.kind is FaultKind.TRAP:
            raise TrapError(fault.message)
        elif fault.kind in BEFORE:
            await self._end_by(fault)

    async def _after(self, fault: Fault, answer: wire.Answer, tag: str | None) -> None:
        if fault.kind is FaultKind.LATE:
            await self._server.clock.sleep(fault.seconds)
        elif fault.kind is FaultKind.HANG_MIDWAY:
            self._say_half(answer, tag)
            await self._hang()
        elif fault.kind not in {*BEFORE, FaultKind.SLOW}:
            await self._end_by(fault)

    async def _end_by(self, fault: Fault) -> NoReturn:
        if fault.kind in {FaultKind.DROP, FaultKind.DROP_AFTER}:
            raise _CutError
        if fault.kind in {FaultKind.RESET, FaultKind.RESET_AFTER}:
            linger = struct.pack("ii", 1, 0)  # closing at once sends a reset
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            raise _CutError
        if fault.kind is FaultKind.MUTE:
            self._server.faults.mute = True
        elif fault.kind in {FaultKind.REBOOT, FaultKind.REBOOT_AFTER, FaultKind.WIPE_AFTER}:
            self._server.trouble(fault)
        await self._hang()

    async def _hang(self) -> NoReturn:
        await self._gone.wait()
        raise _CutError

    def _log_in(self, request: wire.Request) -> wire.Answer:
        if self._failures >= _FAILURES_MOST:
            raise FatalError("too many commands before login")
        given = request.arguments
        if self._server.rules.old_login and "response" not in given:
            self._challenge = self._server.randomness.token(16)
            return wire.Answer(ret=self._challenge.hex())
        user = self._server.rules.find_user(given.get("name", ""), self.address)
        if user is None or not self._proves(user, request):
            self._failures += 1
            self._log(f"login failure for user {given.get('name', '')} from {self.address} via {self.service}")
            wording = "cannot log in" if self._server.rules.old_login else "invalid user name or password (6)"
            raise TrapError(wording)
        if "api" not in user.policies:
            raise RefusalError("not enough permissions (9)")
        self.user, self.row_id = user, self._server.next_row_id()
        self.logged_in_at = self._server.clock.now().strftime("%Y-%m-%d %H:%M:%S")
        self._log(f"user {user.name} logged in from {self.address} via {self.service}")
        return wire.Answer()

    def _log(self, message: str) -> None:
        self._server.rules.log("system,info,account", message)

    def _proves(self, user: ApiUser, request: wire.Request) -> bool:
        if not self._server.rules.old_login:
            return request.arguments.get("password") == user.password
        if self._challenge is None:
            return False
        challenge, self._challenge = self._challenge, None
        return request.arguments.get("response") == challenge_response(challenge, user.password)

    def _say_answer(self, answer: wire.Answer, tag: str | None) -> None:
        for words in self._sentences(answer):
            self._say(words, tag)

    def _say_half(self, answer: wire.Answer, tag: str | None) -> None:
        octets = b"".join(_tagged(words, tag) for words in self._sentences(answer))
        if not self._writer.is_closing():
            self._writer.write(octets[: len(octets) // 2])

    def _sentences(self, answer: wire.Answer) -> Iterator[list[str]]:
        for row in answer.rows:
            yield ["!re", *(f"={name}={value}" for name, value in row.items())]
        if answer.listing and not answer.rows and self._server.rules.says_empty:
            yield ["!empty"]
        yield ["!done"] if answer.ret is None else ["!done", f"=ret={answer.ret}"]

    def _say(self, words: list[str], tag: str | None = None) -> None:
        if not self._writer.is_closing():
            self._writer.write(_tagged(words, tag))

    async def _drain(self) -> None:
        if not self._writer.is_closing():
            await self._writer.drain()


def _tagged(words: list[str], tag: str | None) -> bytes:
    first, *rest = words
    return wire.encode_sentence(words if tag is None else [first, f".tag={tag}", *rest])


def _reason(fatal: BaseExceptionGroup[FatalError]) -> str:
    first = fatal.exceptions[0]
    return first.reason if isinstance(first, FatalError) else _reason(first)


def challenge_response(challenge: bytes, password: str) -> str:
    """What a client answers to a challenge of versions before 6.43."""
    octets = b"\x00" + password.encode("utf-8", "surrogateescape") + challenge
    return "00" + hashlib.md5(octets, usedforsecurity=False).hexdigest()
