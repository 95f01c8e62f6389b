"""What `enrol` and `sync` say: how far box and hub have come together, what waits, since when and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.__main__ import main
from easyisp_edge.commands import enrol
from easyisp_edge.commands.enrol import progress_line, watch
from easyisp_edge.commands.sync import as_text

if TYPE_CHECKING:
    from pathlib import Path

STREAM = {"events": 10, "known": 10, "waiting": 0, "oldest": None}
STATUS: dict[str, Any] = {
    "enrolled": True,
    "hub": "https://hub.example.com",
    "site": "0123456789abcdef",
    "epoch": 2,
    "phase": "in_step",
    "keySince": "2026-11-20T06:00:00Z",
    "inStep": True,
    "confirmed": True,
    "selling": True,
    "callbackBase": "https://hub.example.com/cb/0123456789abcdef",
    "streams": {"money": STREAM, "usage": STREAM},
    "restsSeconds": 0,
    "talk": {"money": {"ok": True, "at": "2026-11-23T10:00:00Z", "since": "2026-11-23T09:00:00Z", "why": ""}},
    "counters": {"money": 101},
    "down": 3,
    "parked": 0,
    "alarms": [],
    "takingBack": None,
    "config": {"version": 4, "onTrial": True, "withdrawn": [3]},
}
BACKLOG = {"events": 10, "known": 4, "waiting": 6, "oldest": "2026-11-20T08:00:00Z"}
SILENT = {"ok": False, "at": "2026-11-23T10:00:00Z", "since": "2026-11-20T09:00:00Z", "why": "The hub is away."}


def test_a_box_in_step_says_so() -> None:
    """With its site, its epoch, and the configuration that is in force."""
    said = as_text(STATUS)
    assert "0123456789abcdef, epoch 2" in said
    assert "standing    in step\n" in said
    assert "nobody has confirmed this box" in as_text({**STATUS, "confirmed": False})
    assert "all 10 events are known" in said
    assert "version 4 by the hub, on trial; not in force: 3" in said
    assert "parked" not in said


def test_what_waits_is_said_with_since_when_and_why() -> None:
    """And every alarm, and what the hub cannot take."""
    alarm = {"kind": "forged", "times": 7, "last": "2026-11-23T10:00:00Z", "detail": "not the hub's"}
    streams = {"money": BACKLOG, "usage": STREAM}
    said = as_text({**STATUS, "streams": streams, "talk": {"money": SILENT}, "parked": 2, "alarms": [alarm]})
    assert "6 of 10 events wait, the oldest since 2026-11-20" in said
    assert "The hub is away." in said
    assert "2 events the hub cannot take" in said
    assert "ALARM       forged, 7 times" in said


def test_news_that_waits_for_the_crowd_to_pass_says_so() -> None:
    """All goes well, and still it waits: for some seconds, once the hub is back; nothing where nothing waits."""
    waiting = {**STATUS, "streams": {"money": BACKLOG, "usage": STREAM}}
    assert "rest        12 s until they go up" in as_text({**waiting, "restsSeconds": 12})
    assert "rest  " not in as_text(waiting) + as_text({**STATUS, "restsSeconds": 12})


def test_resting_sales_are_said_plainly() -> None:
    """With how far the taking back is."""
    taking = {"stream": "money", "taken": 500, "last": 2000}
    said = as_text({**STATUS, "inStep": False, "selling": False, "takingBack": taking})
    assert "SALES REST" in said
    assert "money: 500 of 2000" in said


def test_a_box_without_a_hub_says_how_to_get_one() -> None:
    """It is no fault."""
    assert "enrol" in as_text({"enrolled": False, "alarms": []})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inStep": False, "takingBack": {"stream": "money", "taken": 5, "last": 10}}, "5 of 10 events of money"),
        ({"inStep": False, "takingBack": {"stream": "usage", "taken": 0, "last": 0}}, "0 of 0 events of usage"),
        ({"inStep": False, "talk": {"compare": {"why": "Confirm it at the hub."}}}, "Waiting: Confirm it at the hub."),
        ({"inStep": False}, "compare their books"),
        ({"streams": {"money": BACKLOG, "usage": STREAM}}, "6 events are to go up"),
        ({}, "the hub knows all"),
    ],
)
def test_each_step_of_coming_together_has_its_line(changes: dict[str, Any], said: str) -> None:
    """So that whoever waits knows for what."""
    assert said in progress_line({**STATUS, **changes})


def test_who_waits_is_told_of_each_step_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until box and hub are in step and nothing waits."""
    monkeypatch.setattr(enrol, "_LOOK_SECONDS", 0.0)
    apart = {**STATUS, "inStep": False}
    steps = iter([apart, apart, {**STATUS, "streams": {"money": BACKLOG, "usage": STREAM}}, STATUS])
    said: list[str] = []
    assert watch(lambda: next(steps), said.append) == 0
    assert [line.split(";")[0].strip() for line in said] == ["Box and hub compare their books.", "In step", "In step"]


@pytest.mark.parametrize("arguments", [["enrol", "https://hub.example.com", "CODE"], ["sync", "status"]])
def test_without_the_daemon_nothing_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """And it is said what to do."""
    (tmp_path / "edge.toml").write_text(f'[control]\npath = "{tmp_path}/none.sock"\n', encoding="utf-8")
    assert main([*arguments, "--config", str(tmp_path)]) == 2
    assert "systemctl status easyisp-edge" in capsys.readouterr().err
