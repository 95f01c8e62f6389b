"""`grants`: what customers may use now, listed; started, moved, extended and ended by hand; asks the running daemon."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.control_client import add_options, asked, part, table
from easyisp_edge.commands.staff_words import moment, span
from easyisp_edge.domain.values import NAIROBI, DataVolume

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction

    from easyisp_edge.commands.control_client import ControlClient

_HEADINGS = ("PACKAGE", "STATE", "DEVICE", "TIME LEFT", "DATA USED", "SPEED", "ONLINE", "BOUGHT", "ID")
# What its buyer, or staff, made it: told also where it is shut at this hour.
_STATES = {"paused": "paused", "signed_out": "signed out"}
_SESSION_HEADINGS = ("ROUTER", "SINCE", "SECONDS", "DATA", "ADDRESS")


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its sub-commands."""
    parser = subparsers.add_parser(
        "grants", help="list what customers may use now, and start, move, extend or end it", description=__doc__
    )
    add_options(parser)
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--device", metavar="MAC", help="only for this device, with its open sessions")
    whose.add_argument("--phone", metavar="NUMBER", help="only of the customer with this number")
    whose.add_argument("--receipt", help="only what the payment with this M-Pesa receipt bought")
    parser.add_argument("--all", action="store_true", help="also what is over")
    parser.add_argument("--tenant", metavar="ID", help="only of this tenant")
    parser.add_argument("--limit", metavar="NUMBER", help="how many at most, the newest first (default: 50)")
    parser.set_defaults(run=listed)
    actions = parser.add_subparsers(metavar="ACTION")
    _add_switch(actions)
    _add_move(actions)
    _add_extend(actions)
    _add_end(actions)


def _add_switch(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("switch", help="start it now on its device; what runs there is set aside")
    add_options(parser)
    parser.add_argument("grant", metavar="ID", help="the grant's id")
    parser.set_defaults(run=switch)


def _add_move(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("move", help="let it follow to another device; the old one is put off")
    add_options(parser)
    parser.add_argument("grant", metavar="ID", help="the grant's id")
    parser.add_argument("mac", metavar="MAC", help="the address of the other device")
    parser.set_defaults(run=move)


def _add_extend(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser(
        "extend",
        help="give it more time by the clock; no money is touched",
        description="Gives it more time by the clock, from its end on; no money is touched.",
    )
    add_options(parser)
    parser.add_argument("grant", metavar="ID", help="the grant's id")
    parser.add_argument("span", metavar="SPAN", help="how much more: 30m, 2h or 1d12h; at most 31d at once")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why, for whoever reads the books")
    parser.set_defaults(run=extend)


def _add_end(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser(
        "end",
        help="end it at once, unasked; no money is touched",
        description="Ends it at once, unasked. No money is touched: refunds are `payments refund`.",
    )
    add_options(parser)
    parser.add_argument("grant", metavar="ID", help="the grant's id")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why, for whoever reads the books")
    parser.set_defaults(run=end)


def listed(args: Namespace) -> int:
    """List grants; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        return daemon.get(
            "grants",
            device=args.device,
            phone=args.phone,
            receipt=args.receipt,
            all="1" if args.all else None,
            tenant=args.tenant,
            limit=args.limit,
        )

    return asked(args, ask, lambda found: _as_tables(found, also_over=args.all))


def switch(args: Namespace) -> int:
    """Start a grant now; gives the exit code."""

    def tell(found: dict[str, Any]) -> str:
        grant = found["grant"]
        return f"{_name(grant)} is used now on {grant['mac']}; what ran there before is set aside.\n"

    return asked(args, lambda daemon: daemon.post(f"grants/{part(args.grant)}/switch"), tell)


def move(args: Namespace) -> int:
    """Let a grant follow to another device; gives the exit code."""

    def tell(found: dict[str, Any]) -> str:
        grant = found["grant"]
        put_off = "devices that are on by it stay on" if grant["devicesMax"] > 1 else "any other device is put off"
        return f"{_name(grant)} is for {grant['mac']} now; {put_off}.\n"

    return asked(args, lambda daemon: daemon.post(f"grants/{part(args.grant)}/move", mac=args.mac), tell)


def extend(args: Namespace) -> int:
    """Give a grant more time; gives the exit code."""

    def tell(found: dict[str, Any]) -> str:
        grant = found["grant"]
        return f"{_name(grant)} has {_time_left(grant)} left now.\n"

    fields = {"for": args.span, "reason": args.reason}
    return asked(args, lambda daemon: daemon.post(f"grants/{part(args.grant)}/extend", **fields), tell)


def end(args: Namespace) -> int:
    """End a grant; gives the exit code."""

    def tell(found: dict[str, Any]) -> str:
        over = f"{_name(found['grant'])} is over, and its device is put off."
        return f"{over} No money was touched: refunds are easyisp-edge payments refund.\n"

    return asked(args, lambda daemon: daemon.post(f"grants/{part(args.grant)}/end", reason=args.reason), tell)


# --- words


def _name(grant: dict[str, Any]) -> str:
    return f"{grant['package']['name']} ({grant['id']})"


def _as_tables(found: dict[str, Any], *, also_over: bool) -> str:
    at = datetime.fromisoformat(found["at"])
    rows = [_row(each, at) for each in found["grants"]]
    none = "There are none.\n" if also_over else "There are none that may be used; --all lists what is over too.\n"
    grants = table([_HEADINGS, *rows]) if rows else none
    return grants + _sessions(found["sessions"]) if "sessions" in found else grants


def _row(grant: dict[str, Any], at: datetime) -> tuple[str, ...]:
    return (
        grant["package"]["name"],
        _state(grant, at),
        grant["mac"] or "any",
        "-" if grant["over"] else _time_left(grant),
        _data(grant),
        grant["speed"],
        _online(grant),
        moment(grant["createdAt"]),
        grant["id"],
    )


def _sessions(sessions: list[dict[str, Any]]) -> str:
    if not sessions:
        return "\nNo session of the device is open.\n"
    rows = [
        (
            each["router"],
            moment(each["since"]),
            str(each["seconds"]),
            str(DataVolume(each["octets"])),
            each["address"] or "-",
        )
        for each in sessions
    ]
    return "\nOpen sessions, as last reported:\n" + table([_SESSION_HEADINGS, *rows])


def _state(grant: dict[str, Any], at: datetime) -> str:
    if grant["over"]:
        return "over"
    state = _STATES.get(grant["state"], "")
    if grant["opensAt"] is None:
        return state or str(grant["state"])
    # By Kenya's clock, as hours stand in the package.
    opening = datetime.fromisoformat(grant["opensAt"])
    day = "" if opening - at < timedelta(days=1) else "%a "
    shut = f"shut until {opening.astimezone(NAIROBI):{day}%H:%M}"
    return f"{state}, {shut}" if state else shut


def _time_left(grant: dict[str, Any]) -> str:
    by_clock, online = span(grant["secondsLeft"]), grant["onlineSecondsLeft"]
    return by_clock if online is None else f"{span(online)} online, within {by_clock}"


def _data(grant: dict[str, Any]) -> str:
    used, most = DataVolume(grant["octetsUsed"]), grant["octetsMax"]
    return str(used) if most is None else f"{used} of {DataVolume(most)}"


def _online(grant: dict[str, Any]) -> str:
    if not grant["online"]:
        return "no"
    return f"on {', '.join(grant['routers'])}" if grant["routers"] else "yes"
