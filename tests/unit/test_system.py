"""The real machine, where it differs from what one expects of it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NoReturn

import pytest

from easyisp_edge import system
from easyisp_edge.errors import EdgeError
from easyisp_edge.system import BOOT_ID_VARIABLE, SocketUdpEndpoint, SystemTime

HOST = "127.0.0.1"


class ClosedPath:
    """A file in a folder that is closed to us, as it looks to those who are not root."""

    def stat(self) -> NoReturn:
        raise PermissionError(13, "Permission denied")


def test_boot_id_is_told_or_read() -> None:
    """The boot id is the kernel's whether systemd tells it, without dashes, or the kernel itself."""
    by_kernel = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    assert SystemTime({}).boot_id == by_kernel.replace("-", "")
    assert SystemTime({BOOT_ID_VARIABLE: by_kernel.replace("-", "")}).boot_id == SystemTime({}).boot_id


def test_boot_id_of_the_service_manager_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the kernel's file is hidden, what systemd tells suffices; with neither it is said what to do."""
    monkeypatch.setattr(system, "_BOOT_ID_FILE", tmp_path / "hidden")
    assert SystemTime({BOOT_ID_VARIABLE: "4361c8eb0c67"}).boot_id == "4361c8eb0c67"
    with pytest.raises(EdgeError, match=f"Environment={BOOT_ID_VARIABLE}=%b"):
        SystemTime({})


@pytest.mark.parametrize("marked", [True, False])
def test_synchronised_by_any_mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, marked: bool) -> None:
    """One mark that is there suffices; one in a folder closed to us counts as missing and harms nobody."""
    mark = tmp_path / "synchronized"
    if marked:
        mark.touch()
    monkeypatch.setattr(system, "_CLOCK_SET_MARKS", (ClosedPath(), mark))
    assert SystemTime({}).synchronised() is marked


def test_a_larger_buffer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receive buffer larger than ours, as systemd may give, stays; a smaller one grows."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((HOST, 0))
        given = bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        monkeypatch.setattr(system, "RECEIVE_BUFFER_OCTETS", given // 4)
        SocketUdpEndpoint(bound)
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == given
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, given // 16)
        SocketUdpEndpoint(bound)
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > given // 8
