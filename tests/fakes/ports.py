"""Ports for programs that are told theirs in a file, and open it later."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

# Below the ports the kernel gives away by itself: none of those is ever taken between the choice and its use.
_FIRST, _LAST = 20_000, 32_000
# Each process that tests run in side by side has a part of its own: a box that is started again finds its ports.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_COUNT = (_LAST - _FIRST) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_turn = itertools.count(os.getpid() * 97)


def free_port(kind: int = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    """A port nobody has, and nobody gets who does not ask here; another at each call."""
    for turn in itertools.islice(_turn, _COUNT):
        port = _FIRST + _WORKER * _COUNT + turn % _COUNT
        with socket.socket(socket.AF_INET, kind) as trial, contextlib.suppress(OSError):
            trial.bind((host, port))
            return port
    raise OSError("all ports for tests are taken")
