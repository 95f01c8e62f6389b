"""`enrol`: makes this box a site's box at a hub; asks the running daemon."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.control_client import (
    CONFIG_FOLDER,
    DONE,
    ControlClient,
    NotReachedError,
    RefusedAnswerError,
    add_options,
    asked,
    control_socket,
    staff_name,
)
from easyisp_edge.system import SystemClock

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction
    from collections.abc import Callable

_LOOK_SECONDS = 1.0
_BAR_LENGTH = 30


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its arguments."""
    parser = subparsers.add_parser("enrol", help="make this box a site's box at a hub", description=__doc__)
    add_options(parser)
    parser.add_argument("url", metavar="URL", help="the hub's address, such as https://hub.example.com")
    parser.add_argument("code", metavar="CODE", help="the code the hub showed for this site")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until box and hub are in step")
    parser.set_defaults(run=main)


def main(args: Namespace) -> int:
    """Enrol, and show how box and hub come together; gives the exit code."""
    code = asked(args, lambda daemon: daemon.post("sync/enrol", url=args.url, code=args.code), _as_outcome)
    if code != DONE or args.no_wait or getattr(args, "json", False):
        return code
    daemon = ControlClient(control_socket(getattr(args, "config", CONFIG_FOLDER)), staff_name(os.environ))
    try:
        return watch(lambda: daemon.get("sync"), sys.stdout.write)
    except (NotReachedError, RefusedAnswerError) as error:
        sys.stderr.write(f"{error}\n")
        return DONE  # it is enrolled all the same
    except KeyboardInterrupt:
        sys.stdout.write("\nIt goes on by itself: easyisp-edge sync status\n")
        return DONE


def watch(look: Callable[[], dict[str, Any]], write: Callable[[str], Any]) -> int:
    """Show what is waited for, until box and hub are in step and all is told."""
    import asyncio  # noqa: PLC0415 - for those that wait only

    clock, said = SystemClock(), ""
    while True:
        status = look()
        now = progress_line(status)
        if now != said:
            write(f"{now}\n")
            said = now
        if status.get("inStep") and not any(each["waiting"] for each in status["streams"].values()):
            return DONE
        asyncio.run(clock.sleep(_LOOK_SECONDS))


def progress_line(status: dict[str, Any]) -> str:
    """How far box and hub have come together, in a line."""
    taking = status.get("takingBack")
    if taking:
        share = min(1.0, taking["taken"] / taking["last"]) if taking["last"] else 1.0
        bar = "#" * round(share * _BAR_LENGTH)
        return f"[{bar:<{_BAR_LENGTH}}] {taking['taken']} of {taking['last']} events of {taking['stream']} taken back"
    if status.get("inStep"):
        waiting = sum(each["waiting"] for each in status["streams"].values())
        return f"In step; {waiting} events are to go up." if waiting else "In step; the hub knows all."
    why = status.get("talk", {}).get("compare", {}).get("why", "")
    return f"Waiting: {why}" if why else "Box and hub compare their books."


def _as_outcome(found: dict[str, Any]) -> str:
    return (
        f"Enrolled as site {found['site']}, epoch {found['epoch']}. This box's key:\n\n"
        f"    {found['fingerprint']}\n\n"
        "Compare it with what the hub shows for this site, and confirm it there. Until then the hub takes what this\n"
        "box tells, and gives it nothing.\n"
    )
