"""The commands that ask the daemon: their words, their JSON, their exit codes; over a real Unix socket."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.commands.check import DEFAULT_FOLDER
from easyisp_edge.commands.control_client import (
    CONFIG_FOLDER,
    CONTROL_SOCKET,
    NotReachedError,
    control_socket,
    staff_name,
)
from easyisp_edge.config import load_config
from easyisp_edge.config.models import Edge
from easyisp_edge.daemon.control_socket import open_control_socket, peer_name
from easyisp_edge.domain.claims import ClaimState
from easyisp_edge.errors import UnavailableError
from tests.fakes.gateway import PNG, RECEIPT
from tests.unit.desk import FILES, Office, open_office
from tests.unit.shop import MAC, PAY_CODE, TENANT, a_claim, a_prompted_purchase
from tests.unit.terminal import Terminal, run, served

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

OTHER_RECEIPT = "UKL9ZX8Y7W"
DONE, REFUSED, NOT_REACHED, USAGE = 0, 1, 2, 64


@pytest.fixture(name="terminal")
async def _terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Terminal[Office]]:
    edge = FILES["edge.toml"] + '[control]\npath = "box.sock"\n'
    async with open_office(tmp_path, {"edge.toml": edge}) as office:
        folder = tmp_path / "config"
        async with served(office.control().app(peer_name), folder / "box.sock"):
            yield Terminal(folder, office, capsys)


# --- payments


async def test_payments_are_entered_listed_and_assigned(terminal: Terminal[Office]) -> None:
    """What a person reads at each step of sorting a payment out."""
    assert await terminal.run("payments", "--unmatched") == "There are none.\n"
    entered = await terminal.run("payments", "enter", RECEIPT.lower(), "10", "--phone", "0722000111")
    assert entered.startswith(f"{RECEIPT}, KES 10: nobody knows yet what it is for")
    heading, line = (await terminal.run("payments", "--unmatched")).splitlines()
    assert heading.split() == ["RECEIPT", "OR", "ID", "CAME", "IN", "AMOUNT", "PHONE", "ACCOUNT", "WHERE", "IT", "IS"]
    assert line.split()[0] == RECEIPT
    assert line.split()[3:] == ["KES", "10", "0722000111", "-", "unmatched"]
    assigned = await terminal.run("payments", "assign", RECEIPT, "--phone", "0722000111", "--package", "1h")
    assert assigned.splitlines()[0] == f"{RECEIPT}, KES 10: it bought 1 hour."
    assert assigned.splitlines()[1].startswith("To log in: user name ")
    assert "bought 1 hour" in await terminal.run("payments")
    assert await terminal.run("payments", "--unmatched") == "There are none.\n"


async def test_a_pay_code_says_what_it_is_for(terminal: Terminal[Office]) -> None:
    """With the code of a purchase, its device is let on."""
    await terminal.office.add_purchase(a_prompted_purchase())
    await terminal.run("payments", "enter", RECEIPT, "10")
    assigned = await terminal.run("payments", "assign", RECEIPT, "--code", PAY_CODE)
    assert f"The device {MAC} is let on." in assigned


async def test_entered_with_all_it_takes(terminal: Terminal[Office]) -> None:
    """A whole message over several lines, account, gateway, tenant: as on the command line, so in the books."""
    text = f"{RECEIPT} Confirmed.\nKsh10.00 sent to EDGE for account rent on 21/11/26 at 9:00 AM."
    more = ("--account", "shop", "--gateway", "hand", "--tenant", TENANT)
    payment = (await terminal.json("payments", "enter", text, "10.00", *more))["payment"]
    assert (payment["gateway"], payment["account"], payment["amount"]) == ("hand", "shop", 10)


async def test_given_back(terminal: Terminal[Office]) -> None:
    """The note stands in the list."""
    await terminal.run("payments", "enter", RECEIPT, "1250.50")
    back = await terminal.run("payments", "refund", RECEIPT, "--note", "by hand")
    assert back == f"{RECEIPT}, KES 1,250.50: it was given back.\n"
    assert (await terminal.json("payments"))["payments"][0]["description"] == "Given back: by hand"


async def test_who_did_it_is_written_down(terminal: Terminal[Office], monkeypatch: pytest.MonkeyPatch) -> None:
    """The Unix user of the command's process, and behind sudo in brackets who called it."""
    monkeypatch.setenv("SUDO_USER", "mary")
    await terminal.run("payments", "enter", RECEIPT, "10")
    (body,) = terminal.office.books.store._database.reading.execute(
        "SELECT body FROM events WHERE type = 'staff.entered'"
    ).fetchone()
    assert json.loads(body)["data"]["by"] == f"{pwd.getpwuid(os.getuid()).pw_name} (mary)"


# --- claims


async def test_claims_are_listed_and_decided(terminal: Terminal[Office]) -> None:
    """Those still open are listed; accepted and refused ones by their state."""
    assert await terminal.run("claims") == "There are none.\n"
    version = terminal.office.shelf.version(TENANT, "1h").version_id
    await terminal.office.add_claim(a_claim(package_version_id=version))
    await terminal.office.add_claim(a_claim(claim_id="e" * 32, mpesa_receipt_number=OTHER_RECEIPT))
    listed = await terminal.run("claims")
    assert "1 hour, KES 10" in listed
    assert len(listed.splitlines()) == 3
    accepted = await terminal.run("claims", "accept", RECEIPT, "10")
    assert accepted == f"{RECEIPT}: The customer has what was asked for.\nThe device {MAC} is let on.\n"
    assert await terminal.run("claims", "refuse", "e" * 32) == f"{OTHER_RECEIPT}: The claim is refused.\n"
    assert "refused: unknown_receipt" in await terminal.run("claims", "--state", "refused")


def test_all_states_can_be_listed() -> None:
    """The command offers the states there are."""
    from easyisp_edge.commands import claims  # noqa: PLC0415 - commands load what they need when they are asked for

    assert set(claims._STATES) == set(ClaimState)


# --- posters and gateways


async def test_a_poster_is_written(terminal: Terminal[Office], tmp_path: Path) -> None:
    """The file is the picture; a place that cannot be written to is refused."""
    file = tmp_path / "poster.png"
    assert str(file) in await terminal.run("poster", "1h", "-o", str(file))
    assert file.read_bytes() == PNG
    await terminal.run("poster", "1h", "-o", str(tmp_path / "none" / "poster.png"), expect=REFUSED)
    assert "cannot be written" in terminal.errors
    await terminal.run("poster", "none", "-o", str(file), expect=REFUSED)
    assert "not on sale" in terminal.errors


async def test_registering_explains_itself_first(terminal: Terminal[Office]) -> None:
    """Without --yes nothing is registered, and the addresses and the one chance are told; with it, it is done."""
    told = await terminal.run("gateway", "register-c2b", "paybill", expect=REFUSED)
    assert "ONCE" in told
    assert "https://pay.example.com/edge/n/" in told
    assert "https://pay.example.com/edge/v/" in told
    assert "--yes" in told
    assert terminal.office.gateway.url_registrations == []
    done = await terminal.run("gateway", "register-c2b", "paybill", "--yes")
    assert "600986" in done
    assert len(terminal.office.gateway.url_registrations) == 1
    await terminal.run("gateway", "register-c2b", "paybill", "--yes", expect=REFUSED)
    assert "registered already" in terminal.errors


# --- refusals and exit codes


async def test_a_refusal_says_why(terminal: Terminal[Office]) -> None:
    """Exit code 1, the daemon's words to people, its whole answer to machines."""
    await terminal.run("payments", "enter", RECEIPT, "10")
    await terminal.run("payments", "enter", RECEIPT, "10", expect=REFUSED)
    assert terminal.errors == (
        f"{RECEIPT} is booked already: KES 10 on 21 Nov 2026; nobody has said yet what it is for: assign it.\n"
    )
    refused = await terminal.json("payments", "enter", RECEIPT, "10", expect=REFUSED)
    assert refused["error"]["code"] == "payment.booked"
    await terminal.run("payments", "enter", "UKL41A2B30", "10")
    await terminal.run("payments", "enter", "UKL41A2B3O", "10", expect=REFUSED)
    await terminal.run("payments", "enter", "UKL41A2B3O", "10", "--sure")


async def test_a_key_is_one_part_of_the_route(terminal: Terminal[Office]) -> None:
    """What is typed for an id cannot lead to another route."""
    for key in ("../claims", "a/b", "?", "", "%2e"):
        await terminal.run("payments", "refund", key, "--note", "x", expect=REFUSED)


@pytest.mark.parametrize(
    "arguments",
    [
        ("payments", "enter", RECEIPT),
        ("payments", "assign", RECEIPT),
        ("payments", "assign", RECEIPT, "--code", PAY_CODE, "--phone", "0722000111"),
        ("payments", "assign", RECEIPT, "--code", PAY_CODE, "--mac", MAC.text),
        ("payments", "refund", RECEIPT),
        ("payments", "--odd"),
        ("claims", "--state", "odd"),
        ("claims", "accept", RECEIPT),
        ("poster", "1h"),
        ("gateway",),
        ("nothing",),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 64, and how it is to be used; the daemon is not asked."""
    assert run(*arguments) == USAGE
    assert "usage: easyisp-edge" in capsys.readouterr().err


async def test_a_busy_daemon_is_a_refusal(terminal: Terminal[Office], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the daemon could not do this time is said as such."""

    async def busy(*_: object, **__: object) -> None:
        raise UnavailableError("store.busy", "The box is too busy to note this; try again in a moment.")

    monkeypatch.setattr(type(terminal.office.books.store), "write", busy)
    await terminal.run("payments", "enter", RECEIPT, "10", expect=REFUSED)
    assert "try again" in terminal.errors


# --- when nobody answers


@pytest.mark.parametrize("left", ["nothing", "a dead daemon's socket"])
def test_no_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str], left: str) -> None:
    """Exit code 2: which socket, and that the daemon must run."""
    (tmp_path / "edge.toml").write_text('[control]\npath = "box.sock"\n')
    if left != "nothing":
        open_control_socket(tmp_path / "box.sock").close()
    assert run("payments", "--config", str(tmp_path)) == NOT_REACHED
    said = capsys.readouterr().err
    assert str(tmp_path / "box.sock") in said
    assert "must be running" in said
    assert run("payments", "--json", "--config", str(tmp_path)) == NOT_REACHED
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "control.not_reached"


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"]
)
def test_something_else_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str], reply: bytes) -> None:
    """An answer that breaks off, or is none of the daemon's, is not taken for one."""
    (tmp_path / "edge.toml").write_text('[control]\npath = "box.sock"\n')
    with open_control_socket(tmp_path / "box.sock") as listening:
        answering = threading.Thread(target=answer_once, args=(listening, reply))
        answering.start()
        assert run("payments", "--config", str(tmp_path)) == NOT_REACHED
        answering.join()
    assert str(tmp_path / "box.sock") in capsys.readouterr().err


def answer_once(listening: socket.socket, reply: bytes) -> None:
    listening.accept()[0].close()  # the look whether anybody is there
    connection, _ = listening.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(reply)


def test_where_the_socket_is(tmp_path: Path) -> None:
    """As the daemon finds it: in the same file, near the same folder, at the same usual place."""
    (tmp_path / "edge.toml").touch()
    assert control_socket(tmp_path) == CONTROL_SOCKET == Edge().control.path
    assert CONFIG_FOLDER == DEFAULT_FOLDER
    for path in ("box.sock", "../box.sock", "/run/other/box.sock"):
        for name, text in FILES.items():
            (tmp_path / name).write_text(text)
        for encoding in ("utf-8", "utf-8-sig"):  # some editors put a byte order mark first
            text = f'{FILES["edge.toml"]}[control]\npath = "{path}"\n'
            (tmp_path / "edge.toml").write_text(text, encoding=encoding)
            assert control_socket(tmp_path) == load_config(tmp_path, {}).edge.control.path


@pytest.mark.parametrize("named", ["mistyped", "edge.toml"])
def test_a_folder_that_is_none(tmp_path: Path, named: str) -> None:
    """A mistyped one is not taken for the usual one: what is meant for a trial must not reach the books."""
    (tmp_path / "edge.toml").touch()
    with pytest.raises(NotReachedError, match=rf"{named}.*--config names"):
        control_socket(tmp_path / named)


@pytest.mark.parametrize("text", ["[control", "[control]\npath = 7\n", "control = 1\n", '"\udcff"'])
def test_a_file_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """It is said which, and nothing is guessed."""
    (tmp_path / "edge.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(NotReachedError) as raised:
        control_socket(tmp_path)
    assert "edge.toml" in str(raised.value)


def test_who_sits_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who called sudo, else the user; plain characters only, for a header holds no others."""
    assert staff_name({"SUDO_USER": "mary"}) == "mary"
    assert staff_name({"SUDO_USER": "märy"}) == "m?ry"
    monkeypatch.setattr("getpass.getuser", lambda: "joe")
    assert staff_name({}) == "joe"


def test_listing_commands_loads_no_library() -> None:
    """What asking needs is loaded by asking: no other command waits for it, and this one not for the configuration."""
    program = (
        "import sys, easyisp_edge.commands.payments as _;"
        " sys.exit(bool({'httpx', 'pydantic', 'aiohttp'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
