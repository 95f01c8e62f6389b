"""`easyisp-edge vouchers`: its words, its files, its exit codes; over a real Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from easyisp_edge.__main__ import main
from easyisp_edge.daemon.control_socket import open_control_socket, peer_name
from easyisp_edge.domain.vouchers import grouped
from tests.unit.desk import FILES
from tests.unit.vouchers_stage import ROUTERS, PaperShop, open_paper_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DONE, REFUSED, USAGE = 0, 1, 64
EDGE = FILES["edge.toml"] + '[control]\npath = "box.sock"\n'


@dataclass
class Terminal:
    """Runs commands beside a served shop."""

    folder: Path
    shop: PaperShop
    capsys: pytest.CaptureFixture[str]
    errors: str = ""

    async def run(self, *arguments: str, expect: int = DONE) -> str:
        """Run `vouchers` as the command line does; gives what it wrote to standard output."""
        self.capsys.readouterr()
        code = await asyncio.to_thread(_run, "vouchers", *arguments, "--config", str(self.folder))
        written = self.capsys.readouterr()
        self.errors = written.err
        assert code == expect, written
        return written.out

    async def make(self, count: int = 3, *more: str) -> tuple[str, list[str]]:
        """A batch's id and its codes."""
        found = json.loads(await self.run("make", "1h", "--count", str(count), *more, "--json"))
        batch_id = found["batch"]["id"]
        return batch_id, [each.code for each in self.shop.office.tables.vouchers.of_batch(batch_id)]


def _run(*arguments: str) -> int:
    try:
        return main(list(arguments))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else -1


@contextlib.asynccontextmanager
async def _terminal(
    folder: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str] | None = None
) -> AsyncIterator[Terminal]:
    async with open_paper_shop(folder, {"edge.toml": EDGE} | (files or {})) as shop:
        runner = web.AppRunner(shop.control().app(peer_name), access_log=None)
        await runner.setup()
        try:
            await web.SockSite(runner, open_control_socket(folder / "config" / "box.sock")).start()
            yield Terminal(folder / "config", shop, capsys)
        finally:
            await runner.cleanup()


@pytest.fixture(name="terminal")
async def _usual(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Terminal]:
    async with _terminal(tmp_path, capsys) as terminal:
        yield terminal


async def test_a_batch_in_words(terminal: Terminal) -> None:
    """What was made, its price, and how to print it; the list counts what was sold."""
    assert await terminal.run("list") == "There are none.\n"
    said = await terminal.run("make", "1h", "--count", "3", "--expires", "2026-12-31", "--note", "Kiosk")
    batch_id = said.split()[1].rstrip(":")
    assert said == (
        f"Batch {batch_id}: 3 vouchers for 1 hour, KES 10 each.\neasyisp-edge vouchers sheet {batch_id} prints them.\n"
    )
    code = terminal.shop.office.tables.vouchers.of_batch(batch_id)[0].code
    await terminal.shop.redeem(code)
    headings, row = (await terminal.run("list")).splitlines()
    assert headings.split()[:3] == ["BATCH", "PACKAGE", "PRICE"]
    cells = [cell for cell in row.split("  ") if cell]
    assert [cell.strip() for cell in cells[:3]] == [batch_id, "1 hour", "KES 10"]
    assert [cell.strip() for cell in cells[4:]] == ["2", "1", "KES 10", "0", "2026-12-31", "Kiosk"]


async def test_codes_in_words(terminal: Terminal) -> None:
    """Only `show` says them, one a line with where it stands."""
    batch_id, codes = await terminal.make()
    grant = await terminal.shop.redeem(codes[0])
    assert not [code for code in codes if grouped(code) in await terminal.run("list")]
    said = await terminal.run("show", batch_id.lower())
    lines = [line.split() for line in said.splitlines() if line and line[0].isdigit()]
    assert [line[:3] for line in lines] == [
        ["1", grouped(codes[0]), "used"],
        ["2", grouped(codes[1]), "available"],
        ["3", grouped(codes[2]), "available"],
    ]
    assert lines[0][-1] == grant.grant_id


async def test_revoking_in_words(terminal: Terminal) -> None:
    """One by its code, the rest by the batch; what was used says how to end it."""
    batch_id, codes = await terminal.make(4)
    await terminal.shop.redeem(codes[0])
    one = await terminal.run("revoke", grouped(codes[1]))
    assert one == f"1 of batch {batch_id} revoked; 1 of it were used, and stay.\n"
    assert (await terminal.run("revoke", batch_id)).startswith("2 of batch")
    await terminal.run("revoke", codes[0], expect=REFUSED)
    assert "easyisp-edge grants end" in terminal.errors
    await terminal.run("revoke", "XXXXXX", expect=REFUSED)
    assert "vouchers list" in terminal.errors


async def test_a_sheet_for_the_browser(terminal: Terminal, tmp_path: Path) -> None:
    """All that nobody has used, in both languages, on one file that only its owner may read."""
    batch_id, codes = await terminal.make(25, "--expires", "2026-12-31")
    await terminal.shop.redeem(codes[0])
    out = tmp_path / "sheet.html"
    assert await terminal.run("sheet", batch_id, "--out", str(out)) == f"24 vouchers on {out}.\n"
    document = out.read_text(encoding="utf-8")
    assert document.count("<svg ") == 2
    assert grouped(codes[0]) not in document
    assert all(grouped(code) in document for code in codes[1:])
    assert "Mama Njeri&#x27;s Wi-Fi" in document
    assert "1 hour \u2013 KES 10" in document
    for words in ("Join the Wi-Fi", "Unganisha Wi-Fi", "10.5.50.2", "Until 2026-12-31", "Hadi 2026-12-31"):
        assert words in document
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


async def test_a_sheet_as_pictures(terminal: Terminal, tmp_path: Path) -> None:
    """One file where one page does, else one a page."""
    batch_id, _ = await terminal.make(21)
    out = tmp_path / "a.svg"
    assert await terminal.run("sheet", batch_id, "-o", str(out)) == f"21 vouchers on {out}.\n"
    assert out.read_text(encoding="utf-8").startswith("<svg ")
    more, _ = await terminal.make(22)
    found = json.loads(await terminal.run("sheet", more, "-o", str(tmp_path / "b.svg"), "--json"))
    assert found == {"vouchers": 22, "files": [str(tmp_path / "b-1.svg"), str(tmp_path / "b-2.svg")]}


async def test_what_cannot_be_printed(terminal: Terminal, tmp_path: Path) -> None:
    """Another kind of file, a folder or an address that there is not, and what is used up: no file is left."""
    batch_id, _ = await terminal.make(1)
    for out, more, words in (
        ("sheet.pdf", (), "A browser prints"),
        ("gone/sheet.html", (), "cannot be written"),
        ("sheet.html", ("--portal", "javascript:alert(1)"), "javascript"),
    ):
        await terminal.run("sheet", batch_id, "-o", str(tmp_path / out), *more, expect=REFUSED)
        assert words in terminal.errors
        assert not (tmp_path / out).exists()
    await terminal.run("revoke", batch_id)
    await terminal.run("sheet", batch_id, "-o", str(tmp_path / "sheet.html"), expect=REFUSED)
    assert "can be used any more" in terminal.errors


async def test_the_portals_address_may_have_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no router's set-up says it."""
    routers = ROUTERS[: ROUTERS.index("[router.setup]")]
    async with _terminal(tmp_path, capsys, {"routers.toml": routers}) as terminal:
        batch_id, _ = await terminal.make(1)
        out = tmp_path / "sheet.html"
        await terminal.run("sheet", batch_id, "-o", str(out), expect=REFUSED)
        assert "--portal" in terminal.errors
        await terminal.run("sheet", batch_id, "-o", str(out), "--portal", "http://192.168.88.2:8080/")
        assert "192.168.88.2:8080" in out.read_text(encoding="utf-8")


async def test_words_that_are_missing(terminal: Terminal) -> None:
    """Exit with the code of wrong arguments."""
    for arguments in ((), ("make", "1h"), ("make", "--count", "3"), ("sheet", "K7M3PQ"), ("show",)):
        await terminal.run(*arguments, expect=USAGE)
