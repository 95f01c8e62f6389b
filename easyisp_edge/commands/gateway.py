"""`gateway`: sets a gateway up at M-Pesa; asks the running daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.control_client import REFUSED, add_options, asked, part

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its sub-commands."""
    parser = subparsers.add_parser("gateway", help="set a gateway up at M-Pesa", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    registering = actions.add_parser("register-c2b", help="have M-Pesa confirm each payment to this box's address")
    add_options(registering)
    registering.add_argument("gateway", metavar="ID", help="the gateway's id in gateways.toml")
    registering.add_argument("--yes", action="store_true", help="do it, and not only say what it would do")
    registering.set_defaults(run=register_c2b)


def register_c2b(args: Namespace) -> int:
    """Register a gateway's addresses, or say which; gives the exit code: only what was done is 0."""
    route = f"gateways/{part(args.gateway)}/c2b"
    if args.yes:
        return asked(args, lambda daemon: daemon.post(route), _as_done)
    return asked(args, lambda daemon: {**daemon.get(route), "registered": False}, _as_warning) or REFUSED


def _as_done(found: dict[str, Any]) -> str:
    return f"M-Pesa confirms payments to {found['shortCode']} here now.\n{_addresses(found)}"


def _as_warning(found: dict[str, Any]) -> str:
    once = (
        "M-Pesa takes addresses for a short code ONCE in production. To have others put in their place you would have"
        " to ask M-Pesa's API support to delete these. Make sure that the addresses lead to this box, now and for"
        " good, before you go on.\n"
    )
    tried = "The sandbox takes addresses as often as you like; production takes them once for each short code.\n"
    return (
        f"This would have M-Pesa ({found['environment']}) confirm each payment to {found['shortCode']} to:\n"
        f"{_addresses(found)}{once if found['environment'] == 'production' else tried}"
        "Nothing was registered. To do it, run the same again with --yes.\n"
    )


def _addresses(found: dict[str, Any]) -> str:
    return f"  confirmation  {found['confirmationUrl']}\n  validation    {found['validationUrl']}\n"
