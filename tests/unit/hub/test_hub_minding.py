"""What whoever minds a hub types and reads."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.__main__ import main
from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.sync import Lane, fingerprint
from easyisp_edge.errors import ConflictError, InvalidError
from easyisp_edge.hub.config import load_hub_config
from tests.fakes.hub_stage import HOST, Box, enrolled_box, hub_config, parts_of, running_hub, write_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.hub.hub import Hub

GOOD = 'public_url = "https://hub.example.com"\ndatabase = "sqlite:///tmp/hub.sqlite"\nkey_file = "hub.key"\n'
MPESA = '[[mpesa]]\nshort_code = "600000"\nconsumer_key_file = "k"\nconsumer_secret_file = "s"\npull = true\n'


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(hub_config(tmp_path, SqliteAddress(tmp_path / "hub.sqlite"))) as hub:
        yield hub


@pytest.fixture
def config(tmp_path: Path) -> str:
    return str(write_config(tmp_path, SqliteAddress(tmp_path / "hub.sqlite"), 0))


async def said(capsys: Any, *words: str) -> tuple[int, str]:
    """Run the command beside the hub; its exit code and what it wrote."""
    code = await asyncio.to_thread(main, ["hub", *words])
    wrote = capsys.readouterr()
    return code, wrote.out + wrote.err


async def state(box: Box) -> tuple[int, str]:
    answer = await box.send("GET", "/edge/v1/state")
    return answer.status, answer.code


async def test_a_closed_site_is_refused_until_another_box_enrols(hub: Hub, http: Any, config: str, capsys: Any) -> None:
    """The key of a stolen box ends with its next request; a code opens the site again, for a new box."""
    box = await enrolled_box(hub, http, "Kibera market")
    assert (await state(box))[0] == 200
    code, told = await said(capsys, "site", "close", box.site, "--config", config)
    assert (code, "change those at M-Pesa" in told) == (0, True)
    assert await state(box) == (403, "site.closed")
    assert "Kibera market: closed" in (await said(capsys, "site", "list", "--config", config))[1]
    code, told = await said(capsys, "site", "confirm", box.site, "--config", config)
    assert (code, "the site is closed" in told) == (1, True)
    new = json.loads((await said(capsys, "site", "add", "Kibera market", "--config", config, "--json"))[1])
    other = Box(http, hub.address)
    assert (await other.enrol(new["code"])).status == 200
    assert other.site == box.site
    assert (await state(other))[0] == 200
    assert await state(box) == (403, "site.replaced")


async def test_closing_ends_a_wait_for_messages(hub: Hub, http: Any, config: str, capsys: Any) -> None:
    """A stolen box that waits is given nothing more."""
    box = await enrolled_box(hub, http)
    assert (await said(capsys, "site", "close", box.site, "--config", config))[0] == 0
    await parts_of(hub).down.publish(box.site, "command", {"verb": "look"})
    answer = await box.send("GET", "/edge/v1/down?after=0&wait=0", lane=Lane.DOWN)
    assert (answer.status, answer.code) == (403, "site.closed")


async def test_a_code_for_a_site_with_a_box_says_so(hub: Hub, http: Any, config: str, capsys: Any) -> None:
    """Whoever meant another site of the same name sees it before the box is cut off."""
    _, told = await said(capsys, "site", "add", "Kibera market", "--config", config)
    assert "has a box" not in told
    box = Box(http, hub.address)
    assert (await box.enrol(re.search(r"code  (\S+)", told)[1])).status == 200  # type: ignore[index]
    _, told = await said(capsys, "site", "add", "Kibera market", "--config", config)
    assert f"has a box, with the key {fingerprint(bytes(box.key.verify_key))}" in told


async def test_who_is_confirmed_is_said(hub: Hub, http: Any, config: str, capsys: Any) -> None:
    """The key stands in the answer; twice is said; a name that is none is said with where to find it."""
    box = await enrolled_box(hub, http, confirmed=False)
    shown = fingerprint(bytes(box.key.verify_key))
    assert await said(capsys, "site", "confirm", box.site, "--config", config) == (
        0, f"Confirmed: the box with the key {shown}. It gets what waits for it now.\n"
    )  # fmt: skip
    code, told = await said(capsys, "site", "confirm", box.site, "--config", config)
    assert (code, "confirmed already" in told) == (1, True)
    code, told = await said(capsys, "site", "close", "Kibera", "--config", config)
    assert (code, "hub site list" in told) == (1, True)


async def test_a_box_that_took_another_ones_place_is_not_confirmed_for_it(hub: Hub, http: Any) -> None:
    """Where the hub is told the key that the box showed, it compares; in any writing."""
    first = await enrolled_box(hub, http, "Kibera market", confirmed=False)
    shown = fingerprint(bytes(first.key.verify_key))
    second = await enrolled_box(hub, http, "Kibera market", confirmed=False)
    enrolment = parts_of(hub).enrolment
    with pytest.raises(ConflictError, match="not confirmed"):
        await enrolment.confirm(second.site, shown)
    answer = await second.send("GET", "/edge/v1/state")
    assert answer.content["confirmed"] is False
    theirs = fingerprint(bytes(second.key.verify_key))
    assert await enrolment.confirm(second.site, theirs.upper().replace(" ", "")) == theirs


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("key_file", "keyfile", "keyfile is no setting of the hub's; did you mean key_file?"),
        ("key_file", "zzz", "zzz is no setting of the hub's"),
        ('key_file = "hub.key"', "", "key_file is missing"),
        ("https://hub.example.com", "hub.example.com", "public_url: has to be the address boxes and M-Pesa reach"),
        ('key_file = "hub.key"', 'key_file = "k"\nproxies = ["10.0.0.0/8"]', "has to be the address of one machine"),
        ('key_file = "hub.key"\n', 'key_file = "k"\n' + MPESA + "pul = true\n", "mpesa.0.pul is no setting of the"),
        ('key_file = "hub.key"\n', 'key_file = "k"\n' + MPESA + 'base_url = "http://pay.example.com"\n', "https://"),
        (
            'key_file = "hub.key"\n',
            'key_file = "k"\n' + MPESA + 'base_url = "https://u:p@pay.example.com"\n',
            "https://",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_said_in_plain_words(tmp_path: Path, old: str, new: str, told: str) -> None:
    """With the setting's name, and the right one where it is near."""
    path = tmp_path / "hub.toml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(InvalidError) as refused:
        load_hub_config(path)
    assert told in refused.value.message
    for jargon in ("Value error", "Extra inputs", "Field required", "pattern"):
        assert jargon not in refused.value.message


def written(folder: Path, **changes: str) -> str:
    """A configuration with some lines changed."""
    values = {"public_url": "https://hub.example.com", "database": f"sqlite://{folder}/hub.sqlite",
              "key_file": "hub.key"} | changes  # fmt: skip
    path = folder / "hub.toml"
    lines = (f"{name} = {json.dumps(value)}" if name != "port" else f"port = {value}" for name, value in values.items())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: Any) -> None:
    """With where it is set."""
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        assert main(["hub", "run", "--config", written(tmp_path, port=str(port))]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"The hub cannot be opened on 127.0.0.1 port {port}: Address already in use. `address` and `port` in hub.toml"
        " say where."
    )


def test_a_server_that_does_not_answer_is_said(tmp_path: Path, capsys: Any) -> None:
    """Where it was looked for, and what may be wrong; never the password."""
    config = written(tmp_path, database="postgresql://hub:secret@127.0.0.1:1/hub")
    assert main(["hub", "site", "list", "--config", config]) == 1
    told = capsys.readouterr().err
    assert "PostgreSQL does not answer at 127.0.0.1 port 1" in told
    assert "Is it running" in told
    assert "secret" not in told


def test_a_secret_that_is_missing_is_said(tmp_path: Path, capsys: Any) -> None:
    """In words, not by the name of an error."""
    assert main(["hub", "run", "--config", written(tmp_path, fleet_token_file="none")]) == 1
    assert "none: cannot be read: No such file or directory." in capsys.readouterr().err


async def test_what_is_published_is_counted_in_words(
    hub: Hub, http: Any, config: str, capsys: Any, tmp_path: Path
) -> None:
    """One is one."""
    box = await enrolled_box(hub, http)
    path = tmp_path / "site.toml"
    path.write_text('[[package]]\nid = "day"\nname = "A day"\nprice = 50\nduration = "24h"\nspeed = "5M"\n')
    code, told = await said(capsys, "publish", box.site, str(path), "--config", config)
    assert (code, told) == (0, "Version 1 is published: 1 package and 0 gateways.\n")


@pytest.mark.parametrize(("url", "warned"), [("https://mpesa.example.com", True), ("https://hub.example.com", False)])
async def test_an_address_m_pesa_refuses_is_said(tmp_path: Path, caplog: Any, url: str, *, warned: bool) -> None:
    """At the start, and not when the first customer waits; a hub may do without callbacks."""
    config = hub_config(tmp_path, SqliteAddress(tmp_path / "hub.sqlite")).model_copy(update={"public_url": url})
    async with running_hub(config):
        pass
    assert ("get no callbacks by way of this hub" in caplog.text) is warned
