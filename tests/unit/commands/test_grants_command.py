"""`easyisp-edge grants`: its words, its JSON, its exit codes; over a real Unix socket."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.commands.staff_words import span
from easyisp_edge.daemon.control_socket import peer_name
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.services.access.grant_life import let_on_again, pause, take_off
from tests.unit.desk import FILES
from tests.unit.grants_stage import GrantsOffice, open_grants_office
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER
from tests.unit.terminal import Terminal, run, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.store.store import Tables

DONE, REFUSED, USAGE = 0, 1, 64
FAMILY = replace(HOUR, package_id="7d", name="Family", devices_max=2)
ONLINE = replace(
    HOUR,
    package_id="3h",
    name="3 hours",
    duration=timedelta(days=7),
    online_time=timedelta(hours=3),
    data_limit=DataVolume(10**9),
)


HEADINGS = ("PACKAGE", "STATE", "DEVICE", "TIME LEFT", "DATA USED", "SPEED", "ONLINE", "BOUGHT", "ID")


class GrantsTerminal(Terminal[GrantsOffice]):
    """Runs `grants` beside a served office."""

    async def run(self, *arguments: str, expect: int = DONE) -> str:
        """Run `grants` as the command line does; gives what it wrote to standard output."""
        return await super().run("grants", *arguments, expect=expect)

    async def rows(self, *arguments: str) -> list[list[str]]:
        """The same, as cells of its table without the heading."""
        lines = (await self.run(*arguments)).splitlines()
        starts = [lines[0].index(heading) for heading in HEADINGS]
        return [
            [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
            for line in lines[1:]
        ]


@pytest.fixture(name="terminal")
async def _terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[GrantsTerminal]:
    edge = FILES["edge.toml"] + '[control]\npath = "box.sock"\n'
    async with open_grants_office(tmp_path, {"edge.toml": edge}) as office:
        folder = tmp_path / "config"
        async with served(office.control().app(peer_name), folder / "box.sock"):
            yield GrantsTerminal(folder, office, capsys)


async def test_nothing_sold_nothing_listed(terminal: GrantsTerminal) -> None:
    """It is said so, and how to see what is over."""
    assert await terminal.run() == "There are none that may be used; --all lists what is over too.\n"
    assert await terminal.run("--all") == "There are none.\n"


async def test_what_customers_may_use(terminal: GrantsTerminal) -> None:
    """A line each: package, state, device, time and data, speed, online or not, when bought, id."""
    await terminal.office.start(await terminal.office.sell(number=1))
    online = await terminal.office.sell(ONLINE, number=2, mac=OTHER_MAC)
    await terminal.office.use(online, seconds=600, octets=250 * 10**6)
    await terminal.office.sell(FAMILY, number=3, mac=None)
    rows = await terminal.rows()
    assert [row[:7] for row in rows] == [
        ["Family", "waiting", "any", "1 h", "0 B", "2M/5M", "no"],
        ["3 hours", "waiting", OTHER_MAC.text, "2 h 50 min online, within 7 d", "250 MB of 1 GB", "2M/5M", "no"],
        ["1 hour", "running", MAC.text, "1 h", "0 B", "2M/5M", f"on {ROUTER}"],
    ]
    assert [row[8] for row in rows] == ["grant-3", "grant-2", "grant-1"]


async def test_states_in_words(terminal: GrantsTerminal) -> None:
    """Set aside, over, and shut: until the hour, and the day where that is not within a day."""
    await terminal.office.start(await terminal.office.sell(number=1))
    await terminal.office.sell(number=2)
    await terminal.run("switch", "grant-2")
    night = replace(HOUR, package_id="night", schedule=Schedule.parse("22:00-06:00"))
    weekday = replace(HOUR, package_id="monday", schedule=Schedule.parse("mon 22:00-06:00"))
    await terminal.office.sell(night, number=3)
    await terminal.office.sell(weekday, number=4)
    await terminal.office.sell(number=5)
    await terminal.run("end", "grant-5", "--reason", "x")
    assert {row[8]: row[1] for row in await terminal.rows("--all")} == {
        "grant-1": "paused",
        "grant-2": "running",
        "grant-3": "shut until 22:00",
        "grant-4": "shut until Mon 22:00",
        "grant-5": "over",
    }


async def test_what_does_not_run_is_not_told_as_running(terminal: GrantsTerminal) -> None:
    """Signed out, and paused, also where it is shut at this hour; the JSON says the same."""
    running = await terminal.office.start(await terminal.office.sell(number=1))
    night = replace(HOUR, package_id="night", schedule=Schedule.parse("22:00-06:00"))
    aside = await terminal.office.sell(night, number=2, mac=OTHER_MAC)
    now = terminal.office.office.books.now()

    def put_off(tx: Tables) -> None:
        take_off(tx, running, now)
        pause(tx, aside.started(now), now)

    await terminal.office.office.books.store.write(put_off)
    assert {row[8]: row[1] for row in await terminal.rows()} == {
        "grant-1": "signed out",
        "grant-2": "paused, shut until 22:00",
    }
    found = json.loads(await terminal.run("--json"))
    assert {each["id"]: each["state"] for each in found["grants"]} == {"grant-1": "signed_out", "grant-2": "paused"}
    await terminal.office.office.books.store.write(lambda tx: let_on_again(tx, replace(running, off_since=now)))
    assert [row[1] for row in await terminal.rows("--device", MAC.text)][:1] == ["running"]


async def test_a_device_comes_with_its_sessions(terminal: GrantsTerminal) -> None:
    """After its grants: router, since when, how long, how much."""
    grant = await terminal.office.sell()
    assert "No session of the device is open." in await terminal.run("--device", MAC.text)
    await terminal.office.report(grant)
    _, sessions = (await terminal.run("--device", "aabbcc000001")).split("\n\n")
    title, heading, line = sessions.splitlines()
    assert title == "Open sessions, as last reported:"
    assert heading.split() == ["ROUTER", "SINCE", "SECONDS", "DATA", "ADDRESS"]
    assert line.split()[0] == ROUTER
    assert line.split()[3:] == ["600", "3", "MB", "10.5.50.11"]


async def test_one_is_looked_for(terminal: GrantsTerminal) -> None:
    """By number or receipt, as people type them; an unknown receipt is refused."""
    await terminal.office.sell(number=1)
    await terminal.office.sell(number=2)
    assert [row[8] for row in await terminal.rows("--phone", "0712 345678")] == ["grant-2", "grant-1"]
    assert [row[8] for row in await terminal.rows("--receipt", "receipt001")] == ["grant-1"]
    assert [row[8] for row in await terminal.rows("--limit", "1", "--tenant", "default")] == ["grant-2"]
    await terminal.run("--receipt", "UKLAAAAAA1", expect=REFUSED)
    assert "no payment with the receipt UKLAAAAAA1" in terminal.errors


async def test_started_moved_ended(terminal: GrantsTerminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person reads at each step, and who is written down for it."""
    monkeypatch.setenv("SUDO_USER", "mary")
    await terminal.office.start(await terminal.office.sell(number=1))
    await terminal.office.sell(FAMILY, number=2)
    switched = await terminal.run("switch", "grant-2")
    assert switched == f"Family (grant-2) is used now on {MAC}; what ran there before is set aside.\n"
    assert terminal.office.grant("grant-1").state is GrantState.PAUSED
    family = await terminal.run("move", "grant-2", "aabbcc000002")
    assert family == f"Family (grant-2) is for {OTHER_MAC} now; devices that are on by it stay on.\n"
    assert "any other device is put off" in await terminal.run("move", "grant-1", OTHER_MAC.text)
    ended = await terminal.run("end", "grant-1", "--reason", "sold by mistake")
    assert ended.startswith("1 hour (grant-1) is over")
    assert "No money was touched" in ended
    assert "payments refund" in ended
    for kind in ("switched", "ended"):
        (event,) = terminal.office.told(f"staff.grant_{kind}")
        assert event["by"].endswith("(mary)")


async def test_answers_to_machines(terminal: GrantsTerminal) -> None:
    """The daemon's whole answer as JSON; a refusal with its code and exit code 1."""
    await terminal.office.sell()
    found: dict[str, Any] = json.loads(await terminal.run("--json"))
    assert [each["id"] for each in found["grants"]] == ["grant-1"]
    ended = json.loads(await terminal.run("end", "grant-1", "--reason", "x", "--json"))
    assert ended["grant"]["over"] is True
    again = json.loads(await terminal.run("end", "grant-1", "--reason", "x", "--json", expect=REFUSED))
    assert again["error"]["code"] == "grant.over"
    await terminal.run("end", "../payments", "--reason", "x", expect=REFUSED)
    assert "There is no grant" in terminal.errors


@pytest.mark.parametrize(
    "arguments",
    [
        ("--device", MAC.text, "--phone", "0712345678"),
        ("--receipt", "RECEIPT001", "--phone", "0712345678"),
        ("switch",),
        ("move", "grant-1"),
        ("end", "grant-1"),
        ("give", "grant-1"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 64, and how it is to be used; the daemon is not asked."""
    assert run("grants", *arguments) == USAGE
    assert "usage: easyisp-edge" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min 59 s"),
        (3660, "1 h 1 min"),
        (86_400 + 60, "1 d"),
        (7 * 86_400 - 1, "6 d 23 h"),
    ],
)
def test_spans(seconds: int, words: str) -> None:
    """In the two largest units that lie beside each other."""
    assert span(seconds) == words


async def test_more_time_is_given_by_hand(terminal: GrantsTerminal) -> None:
    """What is left now is said; the reason and who gave it stand in the books; what is over is refused."""
    await terminal.office.sell(number=1)
    said = await terminal.run("extend", "grant-1", "1h30m", "--reason", "The mast was down")
    assert said == "1 hour (grant-1) has 2 h 30 min left now.\n"
    (told,) = terminal.office.told("staff.grant_extended")
    assert (told["seconds"], told["reason"]) == (5400, "The mast was down")
    await terminal.run("end", "grant-1", "--reason", "x")
    await terminal.run("extend", "grant-1", "1h", "--reason", "x", expect=REFUSED)
    assert "stays over" in terminal.errors


@pytest.mark.parametrize("span_word", ["soon", "0m", "32d", "10s"])
async def test_a_span_that_makes_no_sense_is_refused(terminal: GrantsTerminal, span_word: str) -> None:
    """It has to be written like a package's duration, and be of a month at most."""
    await terminal.office.sell(number=1)
    await terminal.run("extend", "grant-1", span_word, "--reason", "x", expect=REFUSED)
    assert terminal.office.grant().seconds_left == 3600
