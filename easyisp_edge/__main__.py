"""`easyisp-edge`: arguments in, one command run, exit code out."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import NoReturn

from easyisp_edge import __version__

_COMMANDS = (
    "run",
    "check",
    "demo",
    "payments",
    "claims",
    "grants",
    "problems",
    "vouchers",
    "admin",
    "poster",
    "gateway",
    "router",
    "freeradius",
    "import",
    "verify-ledger",
    "enrol",
    "sync",
    "hub",
    "openapi",
)
# Where a command cannot be the name of its module.
_MODULES = {"import": "import_users"}
_EXIT_USAGE, _EXIT_INTERRUPTED = 64, 130


class _Parser(argparse.ArgumentParser):
    """A parser whose exit code for wrong arguments is none that a command gives."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and end."""
        self.print_usage(sys.stderr)
        self.exit(_EXIT_USAGE, f"{self.prog}: error: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives its exit code. Whoever reads what it writes may have seen enough before its end."""
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except BrokenPipeError:  # the daemon's own trouble comes in groups
        return 0
    finally:
        _write_the_rest()


def _main(arguments: list[str]) -> int:
    parser = _Parser(
        prog="easyisp-edge",
        description="Sells hotspot time through M-Pesa beside a MikroTik router, and lets the payer online.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    # Only the command that is asked for is loaded: the daemon carries no stand-ins in its memory.
    asked = [command for command in _COMMANDS if arguments[:1] == [command]]
    for command in asked or _COMMANDS:
        module = _MODULES.get(command, command.replace("-", "_"))
        importlib.import_module(f"easyisp_edge.commands.{module}").add_parser(subparsers)
    args = parser.parse_args(arguments)
    return int(args.run(args))


def _write_the_rest() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # At its end Python would complain of what it could not write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
