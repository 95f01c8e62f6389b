"""`payments`: money that came in, listed and sorted out by hand; asks the running daemon."""

from __future__ import annotations

from argparse import SUPPRESS
from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.control_client import add_options, asked, part, table
from easyisp_edge.commands.staff_words import grant_line, moment, payment_line, phone, shillings, where

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction

    from easyisp_edge.commands.control_client import ControlClient

_HEADINGS = ("RECEIPT OR ID", "CAME IN", "AMOUNT", "PHONE", "ACCOUNT", "WHERE IT IS")


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its sub-commands."""
    parser = subparsers.add_parser("payments", help="list money that came in, and sort it out", description=__doc__)
    add_options(parser)
    parser.add_argument("--unmatched", action="store_true", help="only money nobody knows the purpose of")
    parser.add_argument("--tenant", metavar="ID", help="only of this tenant")
    parser.add_argument("--limit", metavar="NUMBER", help="how many at most, the newest first (default: 50)")
    parser.set_defaults(run=listed)
    actions = parser.add_subparsers(metavar="ACTION")
    _add_enter(actions)
    _add_assign(actions)
    _add_refund(actions)


def _add_enter(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("enter", help="book money you have seen come in, by its receipt")
    add_options(parser)
    parser.add_argument("receipt", metavar="RECEIPT", help="the M-Pesa receipt, or the whole message in quotes")
    parser.add_argument("amount", metavar="AMOUNT", help="in shillings, as you saw it")
    parser.add_argument("--phone", help="who paid")
    parser.add_argument("--account", help="what the payer typed as account, such as the pay code")
    parser.add_argument("--gateway", metavar="ID", help="where it came in (default: what takes hotspot payments)")
    parser.add_argument("--tenant", metavar="ID", default=SUPPRESS, help="whose money it is, where several sell here")
    parser.add_argument("--sure", action="store_true", help="it is another payment than one that looks nearly alike")
    parser.set_defaults(run=enter)


def _add_assign(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("assign", help="say what unmatched money is for")
    add_options(parser)
    parser.add_argument("payment", metavar="ID", help="the payment's receipt or id")
    purpose = parser.add_mutually_exclusive_group(required=True)
    purpose.add_argument("--code", help="the pay code of the purchase it is for")
    purpose.add_argument("--phone", help="the customer it is for")
    parser.add_argument("--package", metavar="ID", help="what it buys the customer; credit where left out")
    parser.add_argument("--mac", metavar="ADDRESS", help="the customer's device")
    parser.set_defaults(run=assign, parser=parser)


def _add_refund(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("refund", help="note that you gave money back; this sends none")
    add_options(parser)
    parser.add_argument("payment", metavar="ID", help="the payment's receipt or id")
    parser.add_argument("--note", required=True, help="how and why it was given back")
    parser.set_defaults(run=refund)


def listed(args: Namespace) -> int:
    """List payments; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        unmatched = "1" if args.unmatched else None
        return daemon.get("payments", unmatched=unmatched, tenant=args.tenant, limit=args.limit)

    return asked(args, ask, _as_table)


def enter(args: Namespace) -> int:
    """Book money by its receipt; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        return daemon.post(
            "payments",
            receipt=" ".join(args.receipt.split()),
            amount=args.amount,
            phone=args.phone,
            account=args.account,
            gateway=args.gateway,
            tenant=args.tenant,
            sure=args.sure,
        )

    return asked(args, ask, _as_outcome)


def assign(args: Namespace) -> int:
    """Say what unmatched money is for; gives the exit code."""
    if args.code is not None and (args.package is not None or args.mac is not None):
        args.parser.error("--package and --mac go with --phone: a pay code stands for a package and a device")

    def ask(daemon: ControlClient) -> dict[str, Any]:
        route = f"payments/{part(args.payment)}/assign"
        return daemon.post(route, code=args.code, phone=args.phone, package=args.package, mac=args.mac)

    return asked(args, ask, _as_outcome)


def refund(args: Namespace) -> int:
    """Note that money was given back; gives the exit code."""
    return asked(args, lambda daemon: daemon.post(f"payments/{part(args.payment)}/refund", note=args.note), _as_outcome)


def _as_outcome(found: dict[str, Any]) -> str:
    return payment_line(found["payment"]) + grant_line(found.get("grant"))


def _as_table(found: dict[str, Any]) -> str:
    rows = [
        (
            each["receipt"] or each["id"],
            moment(each["createdAt"]),
            shillings(each["amount"]),
            phone(each["phone"]),
            each["account"] or "-",
            where(each),
        )
        for each in found["payments"]
    ]
    return table([_HEADINGS, *rows]) if rows else "There are none.\n"
