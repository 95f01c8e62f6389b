"""Ports for programs that are told theirs in a file, and open it later."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

# Below the ports the kernel gives away by itself: none of those is ever taken between the choice and its use.
_FIRST, _COUNT = 20_000, 12_000
_turn = itertools.count(os.getpid() * 97)


def free_port(kind: int = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    """A port nobody has, and nobody gets who does not ask here; another at each call."""
    for turn in itertools.islice(_turn, _COUNT):
        port = _FIRST + turn % _COUNT
        with socket.socket(socket.AF_INET, kind) as trial, contextlib.suppress(OSError):
            trial.bind((host, port))
            return port
    raise OSError("all ports for tests are taken")
