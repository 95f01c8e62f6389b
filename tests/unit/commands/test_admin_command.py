"""`easyisp-edge admin`: who may log in, said at the box itself; over a real Unix socket."""

from __future__ import annotations

import getpass
import io
import sys
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.commands.admin import _ROLES
from easyisp_edge.domain.permissions import Role
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.staff.passwords import Cost, Passwords
from easyisp_edge.services.staff.users import StaffUsers
from easyisp_edge.web.control import Control
from easyisp_edge.web.control_admin import ControlAdmin
from tests.fakes.clocks import SeededRandomness
from tests.unit.desk import FILES, Office, open_office
from tests.unit.terminal import Terminal, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web

PASSWORD = "correct horse battery"
OTHER = "staple of another colour"
MARY = "mary@example.com"
EDGE = FILES["edge.toml"] + '[control]\npath = "box.sock"\n'
TENANTS = '[[tenant]]\nid = "default"\nname = "One"\n[[tenant]]\nid = "b"\nname = "Two"\n'
TWO = {"edge.toml": EDGE, "tenants.toml": TENANTS} | {
    f"{each}s.toml": FILES[f"{each}s.toml"].replace(f"[[{each}]]\n", f'[[{each}]]\ntenant = "default"\n')
    for each in ("gateway", "package", "router")
}


def users_of(office: Office) -> StaffUsers:
    """The users of an office."""
    randomness = SeededRandomness(2)
    passwords = Passwords(randomness, Cost(1, 8192))
    return StaffUsers(office.books.store, office.books.clock, Identifiers(randomness), passwords, office.site)


def door_of(office: Office) -> web.Application:
    """The door for the box's own commands."""
    usual = office.control()
    themes = (ControlAdmin(users_of(office)),)
    control = Control(usual.desk, usual.claims_desk, usual.posters, usual.registration, themes)
    return control.app(lambda _socket: "root")


@pytest.fixture(name="terminal")
async def _terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Terminal[Office]]:
    async with open_office(tmp_path, {"edge.toml": EDGE}) as office:
        folder = tmp_path / "config"
        async with served(door_of(office), folder / "box.sock"):
            (folder / "word").write_text(f"{PASSWORD}\nand not this\n", encoding="utf-8")
            yield Terminal(folder, office, capsys)


async def added(terminal: Terminal[Office], email: str = MARY, *more: str, expect: int = 0) -> str:
    return await terminal.run(
        "admin", "add", email, "--password-file", str(terminal.folder / "word"), *more, expect=expect
    )


async def fits(terminal: Terminal[Office], password: str, email: str = MARY) -> bool:
    """Whether a user has a password."""
    users = users_of(terminal.office)
    return await users.passwords.fits(password, users.store.read.staff_users.password_hash(users.named(email).user_id))


async def test_the_first_admin_is_made(terminal: Terminal[Office]) -> None:
    """Looks after the whole box, with the first line of the file as password; a second of the name is refused."""
    assert await terminal.run("admin", "list") == "Nobody may log in yet. easyisp-edge admin add makes a user.\n"
    assert await added(terminal) == f"{MARY} may log in now, as SUPER_ADMIN of the whole box.\n"
    assert await fits(terminal, PASSWORD)
    heading, line = (await terminal.run("admin", "list")).splitlines()
    assert heading.split() == ["E-MAIL", "NAME", "ROLE", "TENANT", "STATUS", "SINCE"]
    assert line.split()[:6] == [MARY, "mary", "SUPER_ADMIN", "whole", "box", "active"]
    await added(terminal, MARY.upper(), expect=1)
    assert "has this e-mail address already" in terminal.errors


async def test_others_are_a_tenants(terminal: Terminal[Office]) -> None:
    """The only one's, or the one that is named."""
    assert await added(terminal, MARY, "--role", "STAFF", "--name", "Mary W") == (
        f"{MARY} may log in now, as STAFF of default.\n"
    )
    made = await terminal.json("admin", "list", "--tenant", "default")
    assert [(each["name"], each["role"], each["tenant"]) for each in made["users"]] == [("Mary W", "STAFF", "default")]
    await added(terminal, "n@x.ke", "--role", "ADMIN", "--tenant", "nobody", expect=1)
    await added(terminal, "n@x.ke", "--role", "OWNER", expect=64)


async def test_with_two_tenants_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Except for one who looks after the whole box."""
    async with open_office(tmp_path, TWO) as office:
        folder = tmp_path / "config"
        async with served(door_of(office), folder / "box.sock"):
            (folder / "word").write_text(PASSWORD, encoding="utf-8")
            terminal = Terminal(folder, office, capsys)
            await added(terminal, MARY, "--role", "STAFF", expect=1)
            assert "which tenant" in terminal.errors
            await added(terminal, MARY, "--role", "SUPER_ADMIN", "--tenant", "b")
            await added(terminal, "owner@x.ke")
            told = await terminal.json("admin", "list")
            assert {each["email"]: each["tenant"] for each in told["users"]} == {MARY: "b", "owner@x.ke": None}


async def test_a_password_comes_from_standard_input(
    terminal: Terminal[Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With blanks that are part of it, without the end of the line."""
    await added(terminal)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f" {OTHER} \r\nmore\n"))
    told = await terminal.run("admin", "password", MARY, "--password-file", "-")
    assert told == f"{MARY} has a new password; all earlier logins are over.\n"
    assert await fits(terminal, f" {OTHER} ")


class Keyboard(io.StringIO):
    """A terminal at which somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("second", "expect"), [(OTHER, 0), ("another word", 1)])
async def test_a_password_is_typed_twice(
    terminal: Terminal[Office], monkeypatch: pytest.MonkeyPatch, second: str, expect: int
) -> None:
    """Without being shown; what is not the same twice is not taken."""
    await added(terminal)
    typed = iter([OTHER, second])
    monkeypatch.setattr(sys, "stdin", Keyboard())
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: next(typed))
    await terminal.run("admin", "password", MARY, expect=expect)
    assert await fits(terminal, PASSWORD if expect else OTHER)
    assert ("not the same" in terminal.errors) == bool(expect)


async def test_a_mark_of_the_editor_is_no_part_of_a_password(terminal: Terminal[Office]) -> None:
    """Nobody could type it."""
    await added(terminal)
    (terminal.folder / "word").write_text(f"{OTHER}\r\n", encoding="utf-8-sig")
    await terminal.run("admin", "password", MARY, "--password-file", str(terminal.folder / "word"))
    assert await fits(terminal, OTHER)


async def test_where_nobody_can_be_asked_it_is_said(
    terminal: Terminal[Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal, or with a file that is not there: nothing is sent."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD))
    await terminal.run("admin", "add", MARY, expect=1)
    assert "--password-file" in terminal.errors
    told = await terminal.json("admin", "add", MARY, "--password-file", "/nowhere/at/all", expect=1)
    assert told["error"]["code"] == "password.not_read"
    assert terminal.office.books.count("staff_users") == 0


async def test_an_easy_password_is_refused(terminal: Terminal[Office]) -> None:
    """By the same rule as everywhere."""
    (terminal.folder / "word").write_text("short\n", encoding="utf-8")
    await added(terminal, expect=1)
    assert "10 to 200 characters" in terminal.errors
    (terminal.folder / "word").write_text("\n", encoding="utf-8")
    await added(terminal, expect=1)


async def test_a_user_is_shut_out_and_let_in(terminal: Terminal[Office]) -> None:
    """But never the last who looks after the box; who is unknown is said to be."""
    await added(terminal)
    await terminal.run("admin", "suspend", MARY, expect=1)
    assert "Nobody else looks after the whole box" in terminal.errors
    await added(terminal, "john@example.com", "--role", "STAFF")
    assert await terminal.run("admin", "suspend", "john@example.com") == "john@example.com is suspended.\n"
    assert await terminal.run("admin", "resume", "John@Example.com") == "john@example.com is active.\n"
    await terminal.run("admin", "suspend", "nobody@example.com", expect=1)
    assert terminal.errors == "There is no such user.\n"


async def test_each_is_noted_with_who_sat_there(terminal: Terminal[Office], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name behind the socket, and sudo's."""
    monkeypatch.setenv("SUDO_USER", "njeri")
    await added(terminal, MARY, "--role", "STAFF")
    await terminal.run("admin", "suspend", MARY)
    acts = terminal.office.tables.acts.page("default", None, 9).rows
    assert [(each.kind, each.by) for each in acts] == [
        ("staff.user_changed", "root (njeri)"),
        ("staff.user_made", "root (njeri)"),
    ]


def test_the_roles_offered_are_the_roles_there_are() -> None:
    """The command does not load them, to be quick."""
    assert list(_ROLES) == [role.value for role in Role]
