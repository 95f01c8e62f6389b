"""`sync`: says how this box and its hub stand, what waits, since when and why; asks the running daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.control_client import add_options, asked, columns
from easyisp_edge.commands.staff_words import moment

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction

_ALARMS_SHOWN = 10
_UNCONFIRMED = "in step, but nobody has confirmed this box at the hub yet: until then nothing comes from there"


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its sub-commands."""
    parser = subparsers.add_parser("sync", help="say how this box and its hub stand", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    telling = actions.add_parser("status", help="what waits, since when, and why")
    add_options(telling)
    telling.set_defaults(run=status)
    trying = actions.add_parser("now", help="try now whatever waits for its time")
    add_options(trying)
    trying.set_defaults(run=now)


def status(args: Namespace) -> int:
    """Say how box and hub stand; gives the exit code."""
    return asked(args, lambda daemon: daemon.get("sync"), as_text)


def now(args: Namespace) -> int:
    """Have all that waits tried at once; gives the exit code."""
    return asked(args, lambda daemon: daemon.post("sync/now"), as_text)


def as_text(found: dict[str, Any]) -> str:
    """The status for people."""
    alarms = _alarms(found["alarms"])
    if not found["enrolled"]:
        return f"This box is not enrolled at a hub. See: easyisp-edge enrol --help\n{alarms}"
    return "".join(
        (
            f"hub         {found['hub']}\n",
            f"site        {found['site']}, epoch {found['epoch']}\n",
            f"key         since {moment(found['keySince'])}\n",
            f"standing    {_standing(found)}\n",
            f"config      {_config(found['config'])}\n",
            columns([_stream(name, each) for name, each in found["streams"].items()]),
            _rest(found),
            columns([_talk(name, each) for name, each in found["talk"].items()]),
            f"parked      {found['parked']} events the hub cannot take\n" if found["parked"] else "",
            alarms,
        )
    )


def _standing(found: dict[str, Any]) -> str:
    if found["inStep"]:
        return "in step" if found["confirmed"] else _UNCONFIRMED
    if not found["selling"]:
        taking = found["takingBack"]
        far = "" if taking is None else f" ({taking['stream']}: {taking['taken']} of {taking['last']})"
        return f"the hub knows more than this box: it is taken back{far}, and SALES REST until then"
    return "not compared yet since the start"


def _config(config: dict[str, Any]) -> str:
    version = "none by the hub" if config["version"] is None else f"version {config['version']} by the hub"
    trial = ", on trial" if config["onTrial"] else ""
    withdrawn = f"; not in force: {', '.join(map(str, config['withdrawn']))}" if config["withdrawn"] else ""
    return version + trial + withdrawn


def _stream(name: str, each: dict[str, Any]) -> tuple[str, ...]:
    if not each["waiting"]:
        return f"{name:<10}", f"all {each['events']} events are known"
    return (
        f"{name:<10}",
        f"{each['waiting']} of {each['events']} events wait, the oldest since {moment(each['oldest'])}",
    )


def _rest(found: dict[str, Any]) -> str:
    """Why news waits while all goes well: thousands of boxes find the hub again in the same second."""
    seconds = found.get("restsSeconds", 0)  # a daemon of before an update says nothing of it
    if not seconds or not any(each["waiting"] for each in found["streams"].values()):
        return ""
    return f"rest        {seconds} s until they go up, for the hub has just come back to all boxes\n"


def _talk(name: str, each: dict[str, Any]) -> tuple[str, ...]:
    if each["ok"]:
        return f"{name:<10}", f"ok, {moment(each['at'])}"
    return f"{name:<10}", f"waits since {moment(each['since'])}: {each['why']}"


def _alarms(alarms: list[dict[str, Any]]) -> str:
    shown = alarms[:_ALARMS_SHOWN]
    return "".join(
        f"ALARM       {each['kind']}, {each['times']} times, last {moment(each['last'])}: {each['detail']}\n"
        for each in shown
    )
