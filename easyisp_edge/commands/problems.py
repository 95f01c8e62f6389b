"""`problems`: what customers said is wrong, listed, and marked once it was seen to; asks the running daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.control_client import add_options, asked, part, table
from easyisp_edge.commands.staff_words import moment, phone

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction

    from easyisp_edge.commands.control_client import ControlClient

_HEADINGS = ("ID", "REPORTED", "PHONE", "DEVICE", "ROUTER", "STOOD AT", "SEEN TO BY", "WHAT")
_NONE = "There are none that nobody has seen to; --all lists the others too.\n"


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its sub-command."""
    parser = subparsers.add_parser(
        "problems", help="list what customers said is wrong, and mark what was seen to", description=__doc__
    )
    add_options(parser)
    parser.add_argument("--all", action="store_true", help="also what was seen to")
    parser.add_argument("--tenant", metavar="ID", help="only of this tenant")
    parser.add_argument("--limit", metavar="NUMBER", help="how many at most, the newest first (default: 50)")
    parser.set_defaults(run=listed)
    actions = parser.add_subparsers(metavar="ACTION")
    marking = actions.add_parser("done", help="somebody has seen to it")
    add_options(marking)
    marking.add_argument("problem", metavar="ID", help="the problem's id, or its number")
    marking.add_argument("--note", metavar="TEXT", help="what is to be said about it")
    marking.set_defaults(run=done)


def listed(args: Namespace) -> int:
    """List problems; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        return daemon.get("problems", all="1" if args.all else None, tenant=args.tenant, limit=args.limit)

    return asked(args, ask, lambda found: _as_table(found, also_handled=args.all))


def done(args: Namespace) -> int:
    """Mark a problem as seen to; gives the exit code."""

    def tell(found: dict[str, Any]) -> str:
        return f"{found['problem']['id']} is marked as seen to by {found['problem']['handled']['by']}.\n"

    return asked(args, lambda daemon: daemon.post(f"problems/{part(args.problem)}/done", note=args.note), tell)


def _as_table(found: dict[str, Any], *, also_handled: bool) -> str:
    rows = [
        (
            each["id"],
            moment(each["reportedAt"]),
            phone(each["phone"]),
            each["mac"] or "-",
            each["router"] or "-",
            each["step"],
            _handled(each["handled"]),
            _one_line(each["text"]),
        )
        for each in found["problems"]
    ]
    if not rows:
        return "There are none.\n" if also_handled else _NONE
    return table([_HEADINGS, *rows])


def _handled(handled: dict[str, Any] | None) -> str:
    if handled is None:
        return "-"
    return handled["by"] if handled["note"] is None else f"{handled['by']}: {_one_line(handled['note'])}"


def _one_line(text: str) -> str:
    """Somebody else's words as one line of a terminal: no sign among them moves anything there."""
    return "".join(sign if sign.isprintable() else " " for sign in " ".join(text.split()))
