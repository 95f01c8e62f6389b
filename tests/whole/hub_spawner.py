"""A process that has loaded a hub and forks one whenever a line comes: a hub that was killed is back in no time.

Run as a program: `hub_spawner.py CONFIG`. For each line it is sent it says the id of the new process, and `ended` once
that has ended. All end with whoever started it.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys

import aiosqlite  # noqa: F401 - loaded once, not at each start
import asyncpg  # type: ignore[import-untyped]  # noqa: F401
import nacl.signing  # noqa: F401

import easyisp_edge.hub.hub  # noqa: F401
from easyisp_edge.commands import hub

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _run_hub(config: str) -> None:
    """Be the hub, as its command is."""
    _die_with_parent()
    parser = argparse.ArgumentParser()
    hub.add_parser(parser.add_subparsers())
    args = parser.parse_args(["hub", "run", "--config", config, "--log-level", "error"])
    os._exit(args.run(args))


def _spawn() -> None:
    _die_with_parent()
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            _run_hub(sys.argv[1])
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write("ended\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _spawn()
