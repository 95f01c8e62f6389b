"""The back office of a running daemon: the first admin from a terminal, a login from a browser, a kill in between."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.whole.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

EMAIL, PASSWORD = "owner@example.com", "correct horse battery"


async def command(folder: Path, *arguments: str, typed: str = "") -> str:
    """What a command as a process of its own writes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "easyisp_edge",
        *arguments,
        "--config",
        str(folder),
        env={**os.environ, "PYTHONWARNINGS": "error", "SUDO_USER": "mary"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(typed.encode()), 30)
    assert process.returncode == 0, (out, err)
    return out.decode()


async def asked(url: str, path: str, expect: int, *, token: str = "", **body: Any) -> dict[str, Any]:
    """What a request to the admin door leads to."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    method = "POST" if body else "GET"
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.request(method, f"{url}{path}", json=body or None) as answer,
    ):
        content: dict[str, Any] = await answer.json(content_type=None)
        assert answer.status == expect, content
        return content


async def test_the_owner_logs_in_and_stays_so(tmp_path: Path) -> None:
    """An admin made at the box logs in, is known after a power cut, and reads there what was done."""
    async with Stage(tmp_path, as_process=True) as stage:
        said = await command(tmp_path, "admin", "add", EMAIL, "--password-file", "-", typed=f"{PASSWORD}\n")
        assert "SUPER_ADMIN of the whole box" in said
        admin = f"http://127.0.0.1:{stage.ports['admin_port']}"
        assert (await asked(admin, "/api/auth/me", 401))["code"] == "login.needed"
        await asked(admin, "/api/auth/login", 401, email=EMAIL, password="a wrong one")
        login = await asked(admin, "/api/auth/login", 200, email=EMAIL, password=PASSWORD)
        await stage.kill_daemon()
        await stage.start_daemon()
        assert (await asked(admin, "/api/auth/me", 200, token=login["token"]))["email"] == EMAIL
        pair = await asked(admin, "/api/auth/refresh", 200, refreshToken=login["refreshToken"])
        told = await asked(admin, "/api/audit", 200, token=pair["token"])
        assert [(each["action"], each["by"].rpartition(" ")[2]) for each in told["items"]] == [
            ("staff.logged_in", EMAIL),
            ("staff.user_made", "(mary)"),
        ]
        assert PASSWORD not in json.dumps(told)
        await command(tmp_path, "admin", "password", EMAIL, "--password-file", "-", typed="staple of another colour")
        await asked(admin, "/api/auth/me", 401, token=pair["token"])
    assert "The books are whole." in await command(tmp_path, "verify-ledger")
