"""`easyisp-edge run`: what it says of a configuration it does not take, and of doors it cannot open."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.commands import run
from easyisp_edge.commands.running import real_surroundings
from easyisp_edge.errors import EdgeError

if TYPE_CHECKING:
    from pathlib import Path


async def test_each_problem_of_a_refused_reload_is_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A log has no line ends within a line: all in one would be shown as one endless line."""
    (tmp_path / "edge.toml").write_text("[portal]\nport = 99999\n[admin]\nprot = 1\n")
    daemon: Any = SimpleNamespace(ready=asyncio.Event())
    daemon.ready.set()
    await run._reload(daemon, tmp_path)
    first, *problems = [record.getMessage() for record in caplog.records]
    assert first == "the new configuration is refused, the last good one stays"
    assert [problem.split(": ")[0] for problem in problems] == [f"{tmp_path}/edge.toml:{line}" for line in (2, 4)]


def test_a_door_that_is_taken_is_said() -> None:
    """With how to find out by whom."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EdgeError) as refused:
            real_surroundings({}).listen("portal", "127.0.0.1", port)
    assert refused.value.message == (
        f"The portal door cannot be opened on 127.0.0.1 port {port}: Address already in use."
        " Another program is there: ss -lntup shows which."
    )


def test_an_address_the_machine_does_not_have_is_said() -> None:
    """TCP and UDP alike; no program is blamed for it."""
    surroundings = real_surroundings({})
    for open_door in (surroundings.listen, surroundings.bind_udp):
        with pytest.raises(EdgeError, match=r"192\.0\.2\.1 port 8080: .*no such address now: ip address shows"):
            open_door("portal", "192.0.2.1", 8080)
