"""`easyisp-edge`: arguments in, one command run, exit code out."""

from __future__ import annotations

import argparse
import importlib
import sys

from easyisp_edge import __version__

_COMMANDS = ("run", "check", "demo")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    parser = argparse.ArgumentParser(
        prog="easyisp-edge",
        description="Sells hotspot time through M-Pesa beside a MikroTik router, and lets the payer online.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        importlib.import_module(f"easyisp_edge.commands.{command}").add_parser(subparsers)
    args = parser.parse_args(arguments)
    return int(args.run(args))


if __name__ == "__main__":
    sys.exit(main())
