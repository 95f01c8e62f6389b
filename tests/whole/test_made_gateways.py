"""A box without any gateway is given one by HTTP, sells with it, is killed, and sells on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

import aiohttp

from easyisp_edge.config.daraja_answers import SANDBOX_PASSKEY
from easyisp_edge.lab.daraja import Behaviour, CallbackHandling, DarajaOptions
from tests.whole.stage import EDGE, HOST, OTHER_MAC, OTHER_PHONE, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OWNER, PASSWORD = "owner@example.com", "correct horse battery"
FILES = {"gateways.toml": "", "edge.toml": EDGE + '[mpesa]\nbase_url = "{daraja}"\n'}
GATEWAY = {
    "name": "Sandbox",
    "shortcode": "174379",
    "consumerKey": "lab-key",
    "consumerSecret": "lab-secret",
    "passkey": SANDBOX_PASSKEY,
    "env": "sandbox",
    "forHotspot": True,
}


class BackOffice:
    """The owner's front end.

    Args:
        stage: The site.
        http: A session that carries the owner's token.
    """

    def __init__(self, stage: Stage, http: aiohttp.ClientSession) -> None:
        self.stage = stage
        self.http = http

    async def ask(self, method: str, path: str, expect: int, **fields: Any) -> Any:
        """What a request leads to."""
        async with self.http.request(method, path, json=fields or None) as answer:
            content = await answer.json(content_type=None)
            assert answer.status == expect, content
            return content


@contextlib.asynccontextmanager
async def back_office(stage: Stage) -> AsyncIterator[BackOffice]:
    """The owner, made by the box's own command and logged in by HTTP."""
    await add_owner(stage.folder)
    async with aiohttp.ClientSession(base_url=f"http://{HOST}:{stage.ports['admin_port']}") as http:
        office = BackOffice(stage, http)
        login = await office.ask("POST", "/api/auth/login", 200, email=OWNER, password=PASSWORD)
        http.headers["Authorization"] = f"Bearer {login['token']}"
        yield office


async def add_owner(folder: Path) -> None:
    """Make the owner's user; there already is fine."""
    command = [sys.executable, "-m", "easyisp_edge", "admin", "add", OWNER, "--password-file", "-"]
    adding = await asyncio.create_subprocess_exec(
        *command, "--config", str(folder), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=-2
    )
    said, _ = await asyncio.wait_for(adding.communicate(f"{PASSWORD}\n".encode()), 30)
    assert adding.returncode == 0, said.decode()


async def test_a_gateway_made_by_http_sells_before_and_after_a_kill(tmp_path: Path) -> None:
    """No gateway, no sale; one made by HTTP sells at once, and after SIGKILL and a new start, with the same keys."""
    async with Stage(tmp_path, files=FILES, as_process=True) as stage, back_office(stage) as office:
        assert (await stage.get("/api/portal/mpesa/check"))[1] == '{"configured": false}'
        await stage.initiate(expect=404)
        made = await office.ask("POST", "/api/payment-gateways", 201, **GATEWAY)
        tested = await office.ask("POST", f"/api/payment-gateways/{made['id']}/test", 200)
        assert tested["success"]
        assert (await stage.get("/api/portal/mpesa/check"))[1] == '{"configured": true}'
        purchase = await stage.buy()
        await office.ask("DELETE", f"/api/payment-gateways/{made['id']}", 409)
        await stage.pay()
        await stage.until_online()
        await stage.until_status(purchase, "completed")

        await stage.kill_daemon()
        await stage.start_daemon()
        (listed,) = await office.ask("GET", "/api/payment-gateways", 200)
        assert listed == made
        await stage.buy(phone=OTHER_PHONE, macAddress=OTHER_MAC)
        await stage.pay(OTHER_PHONE)
        await stage.until_online(OTHER_MAC)
        assert (await stage.count("payments"), len(stage.daraja.debits)) == (2, 2)
        assert await stage.count("payments", f"gateway_id = '{made['id']}'") == 2
        assert stage_secrets(stage.folder) == []


def stage_secrets(folder: Path) -> list[str]:
    """Where in the box's folder a secret of the gateway is to be read."""
    secrets = [GATEWAY[name] for name in ("consumerSecret", "passkey")]
    files = [path for path in folder.iterdir() if path.is_file()]
    return [path.name for path in files for secret in secrets if str(secret).encode() in path.read_bytes()]


async def test_a_gateway_made_by_http_is_asked_what_became_of_its_pushes(tmp_path: Path) -> None:
    """The box asks a gateway made while it runs: a purchase whose callback is lost is settled all the same."""
    options = DarajaOptions.unhurried(Behaviour(callback=CallbackHandling(copies=0)))
    async with Stage(tmp_path, files=FILES, daraja_options=options) as stage, back_office(stage) as office:
        await office.ask("POST", "/api/payment-gateways", 201, **GATEWAY)
        await stage.buy()
        await stage.pay()
        await stage.until_online(seconds=30)


async def test_new_keys_are_in_force_at_once(tmp_path: Path) -> None:
    """With a wrong secret nothing is pushed and the test says so; with the right one the next push goes out."""
    async with Stage(tmp_path, files=FILES) as stage, back_office(stage) as office:
        made = await office.ask("POST", "/api/payment-gateways", 201, **{**GATEWAY, "consumerSecret": "wrong"})
        path = f"/api/payment-gateways/{made['id']}"
        refused = await office.ask("POST", f"{path}/test", 400)
        assert (refused["success"], bool(refused["message"])) == (False, True)
        failed = await stage.buy()
        assert (await stage.status(failed))["status"] == "failed"
        await office.ask("PUT", path, 200, consumerSecret="lab-secret")
        await office.ask("POST", f"{path}/test", 200)
        await stage.buy(phone=OTHER_PHONE)
        await stage.pay(OTHER_PHONE)
        await stage.until_online()
        running = [name for name in stage.daemon._background if made["id"] in name]
        assert running == [f"query {made['id']}"]
        await office.ask("DELETE", path, 200)
        assert not [name for name in stage.daemon._background if made["id"] in name]
        assert (os.stat(tmp_path / "secrets.key").st_mode & 0o777) == 0o600  # noqa: PTH116 - of a moment
