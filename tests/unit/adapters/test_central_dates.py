"""A box whose clock stands in 1970 asks its hub for the time: no date is right then, and trust is another thing."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.adapters.central.client import dateless
from tests.fakes.certificates import pem_text, showing

if TYPE_CHECKING:
    from pathlib import Path


async def shake_hands(context: ssl.SSLContext) -> None:
    """With somebody whose certificate is not valid before 2090."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=showing("not_yet_valid"))
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.close()


def trusting(folder: Path, name: str) -> ssl.SSLContext:
    """A context that trusts one certificate, whatever name it is for."""
    file = folder / "trusted.pem"
    file.write_text(pem_text(name), encoding="ascii")
    context = ssl.create_default_context(cafile=str(file))
    context.check_hostname = False
    return context


async def test_dates_are_let_be_and_nothing_else(tmp_path: Path) -> None:
    """Who is not trusted is still not trusted."""
    with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
        await shake_hands(trusting(tmp_path, "not_yet_valid"))
    await shake_hands(dateless(trusting(tmp_path, "not_yet_valid")))
    with pytest.raises(ssl.SSLCertVerificationError):
        await shake_hands(dateless(trusting(tmp_path, "signed_in_1970")))
