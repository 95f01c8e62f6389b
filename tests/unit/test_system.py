"""The real machine, where it differs from what one expects of it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NoReturn

import pytest

from easyisp_edge import system
from easyisp_edge.errors import EdgeError
from easyisp_edge.machine import UdpAddress
from easyisp_edge.system import BOOT_ID_VARIABLE, AskingUdpEndpoint, SocketUdpEndpoint, SystemTime
from tests.fakes.clocks import until

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


@pytest.mark.parametrize("source", ["127.0.0.2", "0.0.0.0"])
async def test_who_asks_sends_from_its_address_and_binds_nothing(source: str) -> None:
    """Each datagram comes from the address it was given; the port is there with the first; answers are heard."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as router:
        router.bind((HOST, 0))
        asking = AskingUdpEndpoint(source)
        heard: list[tuple[bytes, UdpAddress] | None] = []
        asking.on_readable(lambda: heard.append(asking.receive()))
        assert asking.address.port == 0
        try:
            for _ in range(2):
                asking.send(b"question", UdpAddress(*router.getsockname()))
            asked = [router.recvfrom(100) for _ in range(2)]
            place = ("127.0.0.2" if source == "127.0.0.2" else HOST, asking.address.port)
            assert asked == [(b"question", place)] * 2
            router.sendto(b"answer", place)
            await until(lambda: heard)
            assert heard == [(b"answer", UdpAddress(*router.getsockname()))]
        finally:
            asking.close()


def test_who_asks_never_calls_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that lets its service bind nothing does not stop it."""
    calls: list[object] = []

    class Unbindable(socket.socket):
        def bind(self, address: object, /) -> None:
            calls.append(address)
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("socket.socket", Unbindable)
    asking = AskingUdpEndpoint(HOST)
    asking.send(b"question", UdpAddress(HOST, 9))
    assert asking.address.port != 0
    asking.close()
    assert calls == []


def test_who_asks_by_ipv6_sends_from_its_address() -> None:
    """The other family says it in its own way."""
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as router:
        try:
            router.bind(("::1", 0))
        except OSError:
            pytest.skip("there is no IPv6 loopback here")
        asking = AskingUdpEndpoint("::1")
        asking.send(b"question", UdpAddress(*router.getsockname()[:2]))
        assert router.recvfrom(100)[1][:2] == ("::1", asking.address.port)
        asking.close()


def test_an_address_that_is_not_here_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing goes out, nothing is raised, and the log says why, not at each try."""
    asking = AskingUdpEndpoint("203.0.113.9")
    for _ in range(3):
        asking.send(b"question", UdpAddress(HOST, 9))
    asking.close()
    assert caplog.text.count("nothing can be sent from 203.0.113.9 to 127.0.0.1") == 1
