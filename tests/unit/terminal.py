"""The command line beside a served office: commands run as people run them, over a real Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiohttp import web

from easyisp_edge.__main__ import main
from easyisp_edge.daemon.control_socket import open_control_socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

OfficeT = TypeVar("OfficeT")


class Terminal(Generic[OfficeT]):
    """Runs commands beside a served office.

    Args:
        folder: Of the configuration.
        office: What answers.
        capsys: Where output is caught.
    """

    def __init__(self, folder: Path, office: OfficeT, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.office = office
        self._capsys = capsys
        self.errors = ""

    async def run(self, *arguments: str, expect: int = 0) -> str:
        """Run a command as the command line does; gives what it wrote to standard output."""
        self._capsys.readouterr()
        code = await asyncio.to_thread(run, *arguments, "--config", str(self.folder))
        written = self._capsys.readouterr()
        self.errors = written.err
        assert code == expect, written
        return written.out

    async def json(self, *arguments: str, expect: int = 0) -> dict[str, Any]:
        """The same, with its answer as JSON."""
        found: dict[str, Any] = json.loads(await self.run(*arguments, "--json", expect=expect))
        return found


def run(*arguments: str) -> int:
    """The exit code of a command."""
    try:
        return main(list(arguments))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else -1


@contextlib.asynccontextmanager
async def served(app: web.Application, path: Path) -> AsyncIterator[None]:
    """An application at a Unix socket."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, open_control_socket(path)).start()
        yield
    finally:
        await runner.cleanup()
