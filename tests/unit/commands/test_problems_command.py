"""`easyisp-edge problems`: its words, its JSON, its exit codes; over a real Unix socket."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.commands.control_client import staff_name
from easyisp_edge.daemon.control_socket import peer_name
from easyisp_edge.services.back_office.problems_desk import ProblemsDesk
from easyisp_edge.services.portal.problems import Problem, ProblemService
from easyisp_edge.web.control_problems import ControlProblems
from tests.unit.desk import FILES, Office, open_office
from tests.unit.shop import MAC, ROUTER, TENANT, a_purchase
from tests.unit.terminal import Terminal, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

REFUSED, USAGE = 1, 64
SLOW = Problem(TENANT, MAC, ROUTER, "online", "Very slow\nsince \x1b[31mmorning\u202e", "sw")


@pytest.fixture(name="terminal")
async def _terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Terminal[Office]]:
    edge = FILES["edge.toml"] + '[control]\npath = "box.sock"\n'
    async with open_office(tmp_path, {"edge.toml": edge}) as office:
        desk = ProblemsDesk(office.books.store, office.books.clock, office.site)
        control = replace(office.control(), themes=(ControlProblems(desk),))
        folder = tmp_path / "config"
        async with served(control.app(peer_name), folder / "box.sock"):
            yield Terminal(folder, office, capsys)


async def report(office: Office, problem: Problem = SLOW) -> None:
    await ProblemService.over(office.books.store, office.books.clock).report(problem)


async def test_nothing_reported_nothing_listed(terminal: Terminal[Office]) -> None:
    """It is said so, and how to see what was seen to."""
    assert "--all" in await terminal.run("problems")
    assert await terminal.run("problems", "--all") == "There are none.\n"


async def test_a_line_each(terminal: Terminal[Office]) -> None:
    """With the number to call; a customer's words move nothing on the terminal they are read on."""
    await terminal.office.add_purchase(a_purchase(mac=MAC))
    await report(terminal.office)
    heading, line = (await terminal.run("problems")).splitlines()
    assert heading.split()[:4] == ["ID", "REPORTED", "PHONE", "DEVICE"]
    assert line.startswith("problem-1 ")
    assert "0712345678" in line
    assert MAC.text in line
    assert line.endswith("Very slow since  [31mmorning")
    assert line.isprintable()


async def test_marked_as_seen_to(terminal: Terminal[Office]) -> None:
    """By whoever sits there; it leaves the list, and cannot be marked again."""
    await report(terminal.office)
    said = await terminal.run("problems", "done", "1", "--note", "Cable changed")
    assert said.startswith("problem-1 is marked as seen to by ")
    assert "--all" in await terminal.run("problems")
    assert "Cable changed" in await terminal.run("problems", "--all")
    await terminal.run("problems", "done", "1", expect=REFUSED)
    assert "seen to it already" in terminal.errors


async def test_as_json(terminal: Terminal[Office], monkeypatch: pytest.MonkeyPatch) -> None:
    """The customer's words letter for letter, and who saw to it."""
    monkeypatch.setenv("SUDO_USER", "mary")
    await report(terminal.office)
    (before,) = (await terminal.json("problems"))["problems"]
    assert before == {
        "id": "problem-1",
        "reportedAt": terminal.office.books.now().isoformat(timespec="seconds"),
        "tenant": TENANT,
        "router": ROUTER,
        "mac": MAC.text,
        "phone": None,
        "step": "online",
        "language": "sw",
        "text": SLOW.text,
        "handled": None,
    }
    done = (await terminal.json("problems", "done", "problem-1"))["problem"]["handled"]
    assert done["note"] is None
    assert staff_name({"SUDO_USER": "mary"}) in done["by"]
    assert (await terminal.json("problems"))["problems"] == []
    assert [each["handled"] for each in (await terminal.json("problems", "--all"))["problems"]] == [done]


async def test_no_such_problem(terminal: Terminal[Office]) -> None:
    """Refused with words and an exit code; what is no command is none."""
    await terminal.run("problems", "done", "7", expect=REFUSED)
    assert "no reported problem" in terminal.errors
    await terminal.run("problems", "--tenant", "gone", expect=REFUSED)
    await terminal.run("problems", "done", expect=USAGE)
