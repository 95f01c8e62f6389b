"""`router plan` and `router apply` as a technician types them, against the lab's router."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.__main__ import main
from easyisp_edge.commands.router import site_of
from easyisp_edge.config import load_config
from tests.fakes.router_setup_stage import ADMIN, SetupStage, options, setup_stage

if TYPE_CHECKING:
    from pathlib import Path

EDGE = 'development = true\n[callbacks]\npublic_url = "https://pay.example.com"\n'
TENANTS = '[[tenant]]\nid = "default"\nname = "Site"\n'
ROUTERS = """
[[router]]
id = "main"
address = "127.0.0.1"
mode = "radius"
[router.api]
username = "easyisp"
password = "box-password"
tls = false
port = {port}
[router.radius]
secret = "a-secret-of-sixteen"
[router.setup]
interface = "bridge1"
box_address = "127.0.0.1"
"""


def folder_for(stage: SetupStage, folder: Path) -> Path:
    for name, text in (
        ("edge.toml", EDGE),
        ("tenants.toml", TENANTS),
        ("packages.toml", ""),
        ("gateways.toml", ""),
        ("portal.toml", ""),
        ("routers.toml", ROUTERS.format(port=stage.stage.router.api_port)),
    ):
        (folder / name).write_text(text)
    (folder / "admin").write_text(f"{ADMIN.password}\n")
    return folder


async def typed(folder: Path, *words: str, admin: bool = True) -> int:
    login = ("--user", ADMIN.name, "--password-file", str(folder / "admin")) if admin else ()
    action, *others = words
    arguments = ["router", action, "main", "--config", str(folder), *login, *others]
    return await asyncio.to_thread(main, arguments)


async def test_plan_then_apply_then_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan changes nothing, apply does, and then even this box's own user sees that nothing is left to do."""
    async with setup_stage() as stage:
        folder = folder_for(stage, tmp_path)
        before = await stage.state()
        assert await typed(folder, "plan") == 0
        shown = capsys.readouterr().out
        assert "+ /radius" in shown
        assert "a-secret-of-sixteen" not in shown
        assert await stage.state() == before
        assert await typed(folder, "apply", "--yes") == 0
        assert "confirmed" in capsys.readouterr().err
        assert await typed(folder, "plan", admin=False) == 0
        assert capsys.readouterr().out.endswith("nothing to do\n")
        assert await typed(folder, "apply", "--yes") == 0
        capsys.readouterr()
        assert await typed(folder, "apply", "--yes", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"ok": True, "changed": 0}


async def test_plan_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs it is one object, with no secret in it."""
    async with setup_stage() as stage:
        assert await typed(folder_for(stage, tmp_path), "plan", "--json") == 0
    shown = capsys.readouterr().out
    answer = json.loads(shown)
    assert answer["ok"] is True
    assert answer["nothingToDo"] is False
    assert {"verb", "menu", "key", "before", "after", "why"} <= answer["changes"][0].keys()
    assert "box-password" not in shown


async def test_nobody_to_ask_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --yes, and with nobody at a terminal, the router stays as it is."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    async with setup_stage() as stage:
        before = await stage.state()
        assert await typed(folder_for(stage, tmp_path), "apply") == 1
        assert await stage.state() == before
    assert "--yes" in capsys.readouterr().err


async def test_apply_needs_another_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This box's own user may not set the router up, and is not tried."""
    async with setup_stage() as stage:
        folder = folder_for(stage, tmp_path)
        assert await typed(folder, "apply", "--yes", admin=False) == 1
        assert await typed(folder, "apply", "--yes", "--user", "easyisp", admin=False) == 1
        assert not stage.stage.router.commands_seen
    assert "--user admin" in capsys.readouterr().err


async def test_stopped_by_a_trap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trap that stops is said with the command for it, and nothing is changed."""
    async with setup_stage(options(device_mode="home")) as stage:
        folder = folder_for(stage, tmp_path)
        before = await stage.state()
        assert await typed(folder, "plan") == 1
        assert "/system/device-mode/update hotspot=yes scheduler=yes" in capsys.readouterr().out
        assert await typed(folder, "apply", "--yes") == 1
        assert await stage.state() == before


async def test_pages_written_for_older_routers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pages come without asking the router, with the portal's address in them."""
    async with setup_stage() as stage:
        folder = folder_for(stage, tmp_path)
        assert await typed(folder, "plan", "--write-files", str(tmp_path / "pages"), admin=False) == 0
        assert not stage.stage.router.commands_seen
    assert "http://127.0.0.1/" in (tmp_path / "pages" / "login.html").read_text()
    assert "edge-" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", None),
        ('portal_url = "http://wifi.example.com"', None),
        ('portal_url = "https://wifi.example.com"', "https://wifi.example.com/captive"),
        ('portal_url = "https://wifi.example.com/wifi/"', "https://wifi.example.com/wifi/captive"),
        ('portal_url = "https://wifi.example.com"\ncaptive_api_url = "https://a.example/b"', "https://a.example/b"),
    ],
)
def test_devices_are_told_where_they_learn_that_they_are_captive(tmp_path: Path, lines: str, told: str | None) -> None:
    """Where the portal is HTTPS it follows from that, unless the file says another; devices ask by nothing else."""
    setup = f'[router.setup]\ninterface = "bridge1"\nbox_address = "10.5.50.2"\n{lines}\n'
    router = '[[router]]\nid = "main"\naddress = "10.5.50.1"\nmode = "hotspot-user"\n'
    api = '[router.api]\ntls = false\nusername = "u"\npassword = "p"\n'
    (tmp_path / "edge.toml").write_text("development = true\n")
    (tmp_path / "routers.toml").write_text(router + api + setup)
    config = load_config(tmp_path, {})
    assert site_of(config, config.routers[0]).captive_api_url == told


async def test_a_password_that_nobody_types(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without anybody to be asked, as in a script, the command ends in words that say how else to give it."""

    def nobody(_prompt: str, _stream: object) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", nobody)
    async with setup_stage() as stage:
        folder = folder_for(stage, tmp_path)
        assert await typed(folder, "plan", "--user", "admin", admin=False) == 1
        assert "No password of admin was typed" in (said := capsys.readouterr().err)
        assert "--password-file" in said


def test_a_prompt_is_left_by_pressing_ctrl_c_once(tmp_path: Path) -> None:
    """Nothing was begun, and nothing waits for a password that nobody means to type."""
    (tmp_path / "edge.toml").write_text(EDGE)
    (tmp_path / "routers.toml").write_text(ROUTERS.format(port=1))
    command = [sys.executable, "-m", "easyisp_edge", "router", "plan", "main", "--user", "admin"]
    with subprocess.Popen(
        [*command, "--config", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # without a terminal of its own it reads standard input
    ) as running:
        assert running.stderr is not None
        said = b""
        while b"password of admin" not in said:
            said += (more := os.read(running.stderr.fileno(), 1024))
            assert more, said
        running.send_signal(signal.SIGINT)
        try:
            assert running.wait(timeout=20) == 130
        finally:
            running.kill()
        assert b"Traceback" not in running.stderr.read()


async def test_wrong_password_and_no_set_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A login that is refused, and a router without a set-up, are said and end in failure."""
    async with setup_stage() as stage:
        folder = folder_for(stage, tmp_path)
        (folder / "admin").write_text("wrong")
        assert await typed(folder, "plan") == 1
        assert "does not let us log in" in capsys.readouterr().err
        text = (folder / "routers.toml").read_text()
        (folder / "routers.toml").write_text(text[: text.index("[router.setup]")])
        assert await typed(folder, "plan") == 1
        assert "[router.setup]" in capsys.readouterr().err
