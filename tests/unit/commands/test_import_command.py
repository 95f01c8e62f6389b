"""`easyisp-edge import`: what it takes, and its words; the whole of it is tried against a router elsewhere."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.__main__ import main
from easyisp_edge.commands.import_users import _as_text

if TYPE_CHECKING:
    from pathlib import Path

USAGE, NOT_REACHED = 64, 2
ASKED = ["import", "mikhmon", "--router", "main"]
USER: dict[str, Any] = {
    "name": "kofi", "profile": "1d", "server": "all", "mac": None, "comment": "", "outcome": "take", "reason": "",
    "due": True, "package": {"id": "1d", "name": "1 day"}, "running": True, "secondsLeft": 3700,
    "onlineSecondsLeft": None, "octetsLeft": None,
}  # fmt: skip


def told(*users: dict[str, Any], disable: bool = False, **more: Any) -> str:
    """What is written of an answer."""
    found = {"users": list(users), "schedulers": [], **more}
    return _as_text(Namespace(disable_schedulers=disable), found)


@pytest.mark.parametrize("map_", ["1d", "=1d", "1d=", "="])
def test_a_map_needs_both_sides(map_: str) -> None:
    """A profile, and a package."""
    with pytest.raises(SystemExit) as ended:
        main([*ASKED, "--map", map_])
    assert ended.value.code == USAGE


@pytest.mark.parametrize("arguments", [["import"], ["import", "excel"], ["import", "mikhmon"]])
def test_a_source_and_a_router_are_needed(arguments: list[str]) -> None:
    """Nothing is guessed from the configuration."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == USAGE


def test_something_has_to_say_who_the_users_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the router nor an export, or an export that cannot be read."""
    assert main([*ASKED, "--offline"]) == USAGE
    assert main([*ASKED, "--file", str(tmp_path / "none.rsc")]) == USAGE
    assert "none.rsc cannot be read: No such file" in capsys.readouterr().err


def test_the_daemon_has_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It alone keeps the books and the way to the router."""
    (tmp_path / "edge.toml").write_text('[control]\npath = "none.sock"\n')
    assert main([*ASKED, "--config", str(tmp_path)]) == NOT_REACHED
    assert "does not answer" in capsys.readouterr().err


def test_a_line_a_user() -> None:
    """With what is left of each: by the clock, online, of data; and of those that are not taken over why."""
    voucher = {**USER, "name": "vc1", "running": False, "secondsLeft": 86400, "mac": "AA:BB:CC:00:11:22"}
    limited = {**USER, "name": "ama", "onlineSecondsLeft": 60, "octetsLeft": 5_000_000, "reason": "Was for 3 devices."}
    over = {"name": "old", "profile": "1d", "mac": None, "outcome": "over", "reason": "Its time is up.", "due": False}
    odd = {**over, "name": "a\nb", "outcome": "refused"}
    lines = told(USER, voucher, limited, over, odd).splitlines()
    assert lines[1].split() == ["kofi", "1d", "1d", "1", "h", "1", "min", "-", "-", "any", "To", "be", "taken", "over."]
    assert "1 d from the next login" in lines[2]
    assert "AA:BB:CC:00:11:22" in lines[2]
    assert "1 min" in lines[3]
    assert "5 MB" in lines[3]
    assert lines[3].endswith("Was for 3 devices.")
    assert lines[4].endswith("Over. Its time is up.")
    assert lines[5].startswith("'a\\nb'")
    assert "5 users: 3 to be taken over, 1 over, 1 refused." in lines
    assert lines[-1] == "Nothing was changed. --apply takes them over."


def test_schedulers_come_with_the_command_that_switches_them_off() -> None:
    """Safe to paste, whatever they are called; those that are off are not worth a word."""
    schedulers = [
        {"name": 'a"$b', "disabled": False, "neededBy": 0},
        {"name": "c", "disabled": False, "neededBy": 3},
        {"name": "d", "disabled": True, "neededBy": 0},
    ]
    said = told(USER, schedulers=schedulers)
    assert '/system scheduler disable [find name="a\\"\\$b"]\n' in said
    assert "still ends 3 users" in said
    assert 'name="d"' not in said
    assert "--disable-schedulers switches off" in said
    assert "--disable-schedulers switches off" not in told(USER, schedulers=schedulers, disable=True)


def test_what_was_done_is_told() -> None:
    """How many, and which schedulers are off now."""
    assert "2 users were taken over. Switched off: a, b." in told(taken=["x", "y"], disabledSchedulers=["a", "b"])
    assert "There is nothing to take over." in told({**USER, "due": False})
    assert "The router has no hotspot users." in told()
