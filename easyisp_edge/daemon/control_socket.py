"""The Unix socket that the box's own commands open: made, and told who is at its other end.

Source: unix(7), pathname sockets and SO_PEERCRED.
"""

from __future__ import annotations

import os
import pwd
import socket
import stat
import struct
from typing import TYPE_CHECKING

from easyisp_edge.errors import ConflictError, EdgeError

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket
    from pathlib import Path

_BACKLOG = 16
_PROBE_SECONDS = 1.0
_FOLDER_MODE = 0o750
_OWNER_ONLY, _OWNER_AND_GROUP = 0o600, 0o660
# struct ucred: process, user, group.
_CREDENTIALS = struct.Struct("iII")


def open_control_socket(path: Path) -> socket.socket:
    """A listening socket at a path; what a dead daemon left there is replaced.

    It is for its owner alone; for the owner's group too where the folder was made for that group and nobody else.

    Raises:
        ConflictError: A living daemon listens there.
        EdgeError: It cannot be made.
    """
    try:
        path.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        _clear(path)
        return _listening(path)
    except OSError as error:
        raise EdgeError(
            "control.not_opened",
            f"The socket {path} for the box's own commands cannot be made: {error.strerror}."
            " May the daemon write to that folder? Else give another path under [control] in edge.toml.",
        ) from error


def peer_name(connection: TransportSocket | socket.socket) -> str:
    """The Unix user whose process is at the other end; its number where it has no name here.

    A service that runs in a user namespace of its own knows root and itself by name; all others are `nobody` to it.
    """
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _process, user, _group = _CREDENTIALS.unpack(credentials)
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"


def _listening(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(os.fspath(path))
        # Nobody gets in before `listen`, whatever the umask made of it until now.
        path.chmod(_mode_in(path.parent))
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _mode_in(folder: Path) -> int:
    mode = folder.stat().st_mode
    return _OWNER_AND_GROUP if mode & stat.S_IXGRP and not mode & stat.S_IRWXO else _OWNER_ONLY


def _clear(path: Path) -> None:
    """Take away the socket of a daemon that is no more."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        message = f"{path} is no socket. Take it away, or give another path under [control] in edge.toml."
        raise EdgeError("control.not_opened", message)
    if _answers(path):
        message = f"Another daemon listens at {path}. Stop that one first: two must not keep the same books."
        raise ConflictError("control.taken", message)
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (BlockingIOError, TimeoutError):  # so busy that its queue is full
            return True
    return True
