"""`claims`: receipts that customers pasted, listed and decided by hand; asks the running daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.control_client import add_options, asked, part, table
from easyisp_edge.commands.staff_words import grant_line, moment, phone, shillings

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction

    from easyisp_edge.commands.control_client import ControlClient

_STATES = ("verifying", "granted", "given_back", "credited", "refused")
_HEADINGS = ("RECEIPT", "MADE", "PHONE", "DEVICE", "WANTS", "STATE", "ID")
_BECAME = {
    "granted": "The customer has what was asked for.",
    "given_back": "It had bought something already, which the customer may use.",
    "credited": "It is in the customer's wallet.",
    "refused": "The claim is refused.",
    "verifying": "The claim is still open.",
}


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its sub-commands."""
    parser = subparsers.add_parser(
        "claims", help="list receipts customers pasted, and decide them", description=__doc__
    )
    add_options(parser)
    parser.add_argument("--state", choices=_STATES, default="verifying", help="which (default: those still open)")
    parser.add_argument("--tenant", metavar="ID", help="only of this tenant")
    parser.add_argument("--limit", metavar="NUMBER", help="how many at most, the newest first (default: 50)")
    parser.set_defaults(run=listed)
    actions = parser.add_subparsers(metavar="ACTION")
    accepting = actions.add_parser("accept", help="you have seen the money: the customer gets what it is worth")
    add_options(accepting)
    accepting.add_argument("claim", metavar="ID", help="the receipt, or the claim's id")
    accepting.add_argument("amount", metavar="AMOUNT", help="in shillings, as you saw it on your side")
    accepting.set_defaults(run=accept)
    refusing = actions.add_parser("refuse", help="no such money came")
    add_options(refusing)
    refusing.add_argument("claim", metavar="ID", help="the receipt, or the claim's id")
    refusing.set_defaults(run=refuse)


def listed(args: Namespace) -> int:
    """List claims; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        return daemon.get("claims", state=args.state, tenant=args.tenant, limit=args.limit)

    return asked(args, ask, _as_table)


def accept(args: Namespace) -> int:
    """Accept a claim; gives the exit code."""
    return asked(args, lambda daemon: daemon.post(f"claims/{part(args.claim)}/accept", amount=args.amount), _as_outcome)


def refuse(args: Namespace) -> int:
    """Refuse a claim; gives the exit code."""
    return asked(args, lambda daemon: daemon.post(f"claims/{part(args.claim)}/refuse"), _as_outcome)


def _as_outcome(found: dict[str, Any]) -> str:
    claim = found["claim"]
    return f"{claim['receipt']}: {_BECAME[claim['state']]}\n" + grant_line(found.get("grant"))


def _as_table(found: dict[str, Any]) -> str:
    rows = [
        (
            each["receipt"],
            moment(each["createdAt"]),
            phone(each["phone"]),
            each["mac"] or "-",
            _wants(each["wants"]),
            each["state"] if each["reason"] is None else f"{each['state']}: {each['reason']}",
            each["id"],
        )
        for each in found["claims"]
    ]
    return table([_HEADINGS, *rows]) if rows else "There are none.\n"


def _wants(package: dict[str, Any] | None) -> str:
    return "-" if package is None else f"{package['name']}, {shillings(package['price'])}"
