from __future__ import annotations

import argparse
import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.adapters.routeros.tls import fingerprint
from easyisp_edge.commands import router_certificate
from tests.fakes.certificates import der, pem_text, showing, showing_none
from tests.fakes.scripted_routeros import DONE, ScriptedRouter

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

SHOWN, OTHER = fingerprint(der("signed_in_1970")), fingerprint(der("other"))


def write_config(folder: Path, port: int, lines: str = 'certificate_file = "router-main.pem"') -> None:
    """Just what the command reads; nothing else of a configuration is there yet."""
    text = f'[[router]]\nid = "main"\naddress = "127.0.0.1"\n[router.api]\nport = {port}\n{lines}\n'
    (folder / "routers.toml").write_text(f'{text}[[router]]\nid = "yard"\naddress = "127.0.0.1"\n')


async def run(folder: Path, *arguments: str) -> int:
    """Run the command as the command line does."""
    parser = argparse.ArgumentParser()
    router_certificate.add_parser(parser.add_subparsers())
    args = parser.parse_args(["certificate", "--config", str(folder), *arguments])
    code: int = await asyncio.to_thread(args.run, args)
    return code


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def router(tls: ssl.SSLContext | None = None) -> ScriptedRouter:
    return ScriptedRouter(lambda _: DONE, tls=tls or showing("signed_in_1970"))


async def test_a_certificate_is_shown_and_nothing_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --save the fingerprint is shown, with where to compare it, and no file made."""
    async with router() as there:
        write_config(tmp_path, there.port)
        assert await run(tmp_path, "main") == 0
    told = capsys.readouterr().out
    assert SHOWN in told
    assert "/certificate print detail" in told
    assert "Nothing was written. If it is the same, run this again with --save." in told
    assert names_in(tmp_path) == ["routers.toml"]


async def test_a_certificate_is_pinned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --save it is written where routers.toml says, readable for the service; the same again changes nothing."""
    file = tmp_path / "router-main.pem"
    before = os.umask(0o077)
    try:
        async with router() as there:
            write_config(tmp_path, there.port)
            assert await run(tmp_path, "main", "--save") == 0
            first = file.stat()
            assert await run(tmp_path, "main", "--save") == 0
            assert await run(tmp_path, "main") == 0
    finally:
        os.umask(before)
    assert file.read_text() == pem_text("signed_in_1970")
    assert first.st_mode & 0o777 == 0o644
    assert file.stat().st_ino == first.st_ino
    told = capsys.readouterr().out
    assert told.count(f"It is written to {file}") == 1
    assert told.count(f"It is the one in {file}.") == 2
    assert names_in(tmp_path) == ["router-main.pem", "routers.toml"]


@pytest.mark.parametrize("held", [pem_text("other"), "no certificate"])
async def test_another_one_is_never_replaced_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], held: str
) -> None:
    """What is pinned stays until a person says that it may go."""
    file = tmp_path / "router-main.pem"
    file.write_text(held)
    async with router() as there:
        write_config(tmp_path, there.port)
        assert await run(tmp_path, "main") == 0
        assert f"{file} holds ANOTHER one" in capsys.readouterr().out
        assert await run(tmp_path, "main", "--save") == 1
        refused = capsys.readouterr().err
        assert file.read_text() == held
        assert await run(tmp_path, "main", "--save", "--replace") == 0
    assert SHOWN in refused
    assert "--replace" in refused
    assert (OTHER in refused) == (held == pem_text("other"))
    assert file.read_text() == pem_text("signed_in_1970")


async def test_a_program_gets_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json everything is there by name, errors too."""
    async with router() as there:
        write_config(tmp_path, there.port)
        assert await run(tmp_path, "main", "--json", "--save") == 0
        assert json.loads(capsys.readouterr().out) == {
            "router": "main",
            "address": "127.0.0.1",
            "port": there.port,
            "fingerprint": SHOWN,
            "pem": pem_text("signed_in_1970"),
            "file": str(tmp_path / "router-main.pem"),
            "pinned": SHOWN,
            "written": True,
        }
    assert await run(tmp_path, "main", "--json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "router.unreachable"


async def test_a_router_without_a_certificate_is_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is none to pin, the technician hears which command on the router makes one serve."""
    async with router(showing_none()) as there:
        write_config(tmp_path, there.port)
        assert await run(tmp_path, "main", "--save") == 1
    assert "/ip/service set api-ssl certificate=" in capsys.readouterr().err
    assert not (tmp_path / "router-main.pem").exists()


async def test_no_file_named_is_said_with_the_line_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A router whose certificate has no place yet can be looked at; to save it, its place comes first."""
    async with router() as there:
        write_config(tmp_path, there.port, lines="")
        assert await run(tmp_path, "main") == 0
        assert await run(tmp_path, "main", "--save") == 1
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert 'certificate_file = "router-main.pem"' in text


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (None, 2, "cannot be read"),
        ("[[router", 2, "cannot be read"),
        ('[[router]]\nid = "hall"', 1, 'There is no router "main" in {file}; known: hall.'),
        ("router = 3", 1, "known: none."),
        ('[[router]]\nid = "main"\naddress = "10.0.0.1"', 1, "has no [router.api]"),
        ('[[router]]\nid = "main"\naddress = "ten"\napi = {}', 1, "Run easyisp-edge check."),
        ('[[router]]\nid = "main"\naddress = "10.0.0.1"\napi = { port = 0 }', 1, "Run easyisp-edge check."),
        ('[[router]]\nid = "main"\naddress = "10.0.0.1"\napi = { certificate_file = 3 }', 1, "Run easyisp-edge check."),
    ],
)
async def test_what_routers_toml_lacks_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, code: int, message: str
) -> None:
    """A file that does not say where the router is ends the command in words, not in a traceback."""
    if text is not None:
        (tmp_path / "routers.toml").write_text(text)
    assert await run(tmp_path, "main") == code
    assert message.format(file=tmp_path / "routers.toml") in capsys.readouterr().err


def test_the_port_of_a_plain_api_is_not_asked_for_a_certificate(tmp_path: Path) -> None:
    """A site that still speaks plainly asks at the port of api-ssl, whatever port its plain API has."""
    write_config(tmp_path, 8728, lines="tls = false")
    assert router_certificate.place_of(tmp_path, "main").port == 8729


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    """What `check` takes is taken here: some editors put one first."""
    write_config(tmp_path, 8729)
    text = (tmp_path / "routers.toml").read_text()
    (tmp_path / "routers.toml").write_text(text, encoding="utf-8-sig")
    assert router_certificate.place_of(tmp_path, "main").router_id == "main"


async def test_a_place_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be written ends the command in words."""
    async with router() as there:
        write_config(tmp_path, there.port, lines='certificate_file = "gone/router.pem"')
        assert await run(tmp_path, "main", "--save") == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
