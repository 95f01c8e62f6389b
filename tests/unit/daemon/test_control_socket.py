"""The Unix socket for the box's own commands: who may open it, and what is replaced."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config.models import Edge
from easyisp_edge.daemon.control_socket import open_control_socket, peer_name
from easyisp_edge.errors import ConflictError, EdgeError
from tests.fakes.service_manager import SERVICE, UNITS, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "box" / "control.sock"


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with contextlib.closing(open_control_socket(path)) as found:
        yield found


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_made_for_it(path: Path) -> None:
    """One folder that is missing is made, closed to others."""
    with listening(path):
        assert mode_of(path.parent) & 0o007 == 0


@pytest.mark.parametrize(
    ("folder_mode", "mode"), [(0o750, 0o660), (0o700, 0o600), (0o755, 0o600), (0o777, 0o600), (0o740, 0o600)]
)
def test_the_group_may_in_where_the_folder_is_made_for_it(path: Path, folder_mode: int, mode: int) -> None:
    """Owner only; the group too where it may enter the folder and nobody else may. Whatever the umask is."""
    path.parent.mkdir()
    path.parent.chmod(folder_mode)
    for umask in (0o000, 0o077):
        before = os.umask(umask)
        try:
            with listening(path):
                assert mode_of(path) == mode
        finally:
            os.umask(before)


def test_a_dead_daemons_socket_is_replaced(path: Path) -> None:
    """What nobody listens at any more is in nobody's way."""
    with listening(path):
        pass
    assert path.is_socket()
    with listening(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_living_one_is_left_alone(path: Path) -> None:
    """Where another daemon listens, this one does not start; the other's socket stays."""
    with listening(path):
        with pytest.raises(ConflictError) as raised:
            open_control_socket(path)
        assert str(path) in raised.value.message
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_busy_one_lives_too(path: Path) -> None:
    """A daemon whose queue is full is not taken for dead."""
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as waiting:
        busy.bind(str(path))
        busy.listen(0)
        first = waiting.enter_context(socket.socket(socket.AF_UNIX))
        first.connect(str(path))
        with pytest.raises(ConflictError):
            open_control_socket(path)


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(path: Path, what: str) -> None:
    """A file that stands there by somebody's mistake is not deleted, and no link is followed."""
    path.parent.mkdir()
    if what == "file":
        path.write_text("mine")
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(EdgeError) as raised:
        open_control_socket(path)
    assert raised.value.code == "control.not_opened"
    assert os.path.lexists(path)


def test_where_it_cannot_be_made(tmp_path: Path) -> None:
    """The error names the path and the setting."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "control.sock", tmp_path / "none" / "none" / "control.sock"):
        with pytest.raises(EdgeError) as raised:
            open_control_socket(path)
        assert raised.value.code == "control.not_opened"
        assert str(path) in raised.value.message
        assert "[control]" in raised.value.message


def test_the_peer_is_told_by_the_kernel() -> None:
    """The name of the user at the other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_name(ours) == pwd.getpwuid(os.getuid()).pw_name


def test_a_peer_without_a_name_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user this machine has no name for."""

    def nobody(_user: int) -> object:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_name(ours) == f"uid {os.getuid()}"


def test_systemd_makes_the_folder() -> None:
    """The usual path is in the folder the service is given, with and without socket units: for it and its group."""
    service, without_sockets = Unit.read(SERVICE), Unit.read(UNITS / "without-sockets.conf")
    assert Path("/run", service.one("RuntimeDirectory")) == Edge().control.path.parent
    assert service.one("RuntimeDirectoryMode") == "0750"
    assert not any(key.startswith("RuntimeDirectory") for key, _ in without_sockets.settings)
