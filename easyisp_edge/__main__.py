"""`easyisp-edge`: arguments in, one command run, exit code out."""

from __future__ import annotations

import argparse
import importlib
import sys

from easyisp_edge import __version__

_COMMANDS = ("run", "check", "demo")
_EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


def _main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="easyisp-edge",
        description="Sells hotspot time through M-Pesa beside a MikroTik router, and lets the payer online.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    # Only the command that is asked for is loaded: the daemon carries no stand-ins in its memory.
    asked = [command for command in _COMMANDS if arguments[:1] == [command]]
    for command in asked or _COMMANDS:
        importlib.import_module(f"easyisp_edge.commands.{command}").add_parser(subparsers)
    args = parser.parse_args(arguments)
    return int(args.run(args))


if __name__ == "__main__":
    sys.exit(main())
