"""`import`: take over hotspot users that Mikhmon or the router kept, with what they have left; asks the daemon."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.control_client import add_options, asked, table
from easyisp_edge.commands.staff_words import span
from easyisp_edge.domain.values import DataVolume

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction

    from easyisp_edge.commands.control_client import ControlClient

_USAGE = 64
_HEADINGS = ("USER", "PROFILE", "PACKAGE", "TIME LEFT", "ONLINE LEFT", "DATA LEFT", "DEVICE", "WHAT HAPPENS")
_SOURCES = {
    "mikhmon": "users that Mikhmon made: ends are in comments or schedulers, validity in the profiles' login scripts",
    "routeros": "users made by hand or by other programs: their own limits count, and dates in their comments",
}
_OUTCOMES = {
    "take": "to be taken over",
    "ours": "ours already",
    "over": "over",
    "disabled": "disabled",
    "refused": "refused",
}


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command, with a sub-command per source."""
    parser = subparsers.add_parser(
        "import",
        help="take over hotspot users that were sold before, with the time they have left",
        description="Shows what would become of each user. With --apply they are taken over: user names and passwords"
        " stay as they are, so printed vouchers go on working, and nobody is put off. A second run does nothing more.",
    )
    sources = parser.add_subparsers(required=True, metavar="SOURCE")
    for source, words in _SOURCES.items():
        _add_options(sources.add_parser(source, help=words, description=words.capitalize() + "."), source)


def _add_options(parser: ArgumentParser, source: str) -> None:
    add_options(parser)
    parser.add_argument("--router", required=True, metavar="ID", help="the users' router, as in routers.toml")
    parser.add_argument(
        "--file", type=Path, metavar="EXPORT", help="the router's export, for passwords that it hides from the API"
    )
    parser.add_argument("--offline", action="store_true", help="do not ask the router: the export is all there is")
    parser.add_argument(
        "--map",
        action="append",
        type=_pair,
        default=[],
        metavar="PROFILE=PACKAGE",
        help="the package that takes a user profile's place; once per profile",
    )
    parser.add_argument("--zone", metavar="OFFSET", help="what the router's dates are in, such as +03:00")
    parser.add_argument("--ignore-clock", action="store_true", help="go on although the router's clock is wrong")
    parser.add_argument("--no-passwords", action="store_true", help="the users really have no passwords")
    parser.add_argument("--apply", action="store_true", help="take them over")
    if source == "mikhmon":
        parser.add_argument(
            "--disable-schedulers", action="store_true", help="afterwards switch off Mikhmon's own schedulers"
        )
    parser.set_defaults(run=run, source=source)


def _pair(text: str) -> tuple[str, str]:
    profile, found, package = text.rpartition("=")
    if not (found and profile and package):
        raise argparse.ArgumentTypeError("must be a profile and a package, such as 1-day=1d")
    return profile, package


def run(args: Namespace) -> int:
    """Show what would be done, or do it; gives the exit code."""
    if args.offline and args.file is None:
        return _wrong("--offline goes with --file: something has to say who the users are.")
    try:
        order = _order(args)
    except OSError as error:
        return _wrong(f"{args.file} cannot be read: {error.strerror}.")

    def ask(daemon: ControlClient) -> dict[str, Any]:
        plan = daemon.post("import", **order)
        return {**plan, **_applied(args, daemon, order)} if args.apply else plan

    return asked(args, ask, lambda found: _as_text(args, found))


def _order(args: Namespace) -> dict[str, Any]:
    # What is not ASCII stands there in escapes.
    export = None if args.file is None else args.file.read_text(encoding="utf-8-sig", errors="replace")
    return {
        "source": args.source,
        "router": args.router,
        "packages": dict(args.map),
        "zone": args.zone,
        "ignoreClock": args.ignore_clock,
        "noPasswords": args.no_passwords,
        "export": export,
        "offline": args.offline,
        "disableSchedulers": getattr(args, "disable_schedulers", False),
    }


def _applied(args: Namespace, daemon: ControlClient, order: dict[str, Any]) -> dict[str, Any]:
    """Take over until nothing remains: the daemon does some at a time."""
    taken: list[str] = []
    while True:
        done = daemon.post("import/apply", **order)
        taken += done["taken"]
        if not getattr(args, "json", False):
            _progress(len(taken), len(taken) + done["remaining"])
        if not done["remaining"] or not done["taken"]:
            return {"taken": taken, "remaining": done["remaining"], "disabledSchedulers": done["disabledSchedulers"]}


def _progress(done: int, whole: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == whole else ""
        sys.stderr.write(f"\r{done} of {whole} users{end}")
        sys.stderr.flush()


def _wrong(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return _USAGE


# --- words


def _as_text(args: Namespace, found: dict[str, Any]) -> str:
    rows = [_row(each) for each in found["users"]]
    users = table([_HEADINGS, *rows]) if rows else "The router has no hotspot users.\n"
    return users + _totals(found) + _schedulers(args, found) + _ending(found)


def _row(user: dict[str, Any]) -> tuple[str, ...]:
    happens = " ".join(word for word in (_sentence(user), user["reason"]) if word)
    name = user["name"] if user["name"].isprintable() else repr(user["name"])
    if user["outcome"] != "take":
        return name, user["profile"], "-", "-", "-", "-", user["mac"] or "any", happens
    return (
        name,
        user["profile"],
        user["package"]["id"],
        _clock(user),
        "-" if user["onlineSecondsLeft"] is None else span(user["onlineSecondsLeft"]),
        "-" if user["octetsLeft"] is None else str(DataVolume(user["octetsLeft"])),
        user["mac"] or "any",
        happens,
    )


def _sentence(user: dict[str, Any]) -> str:
    return f"{_OUTCOMES[user['outcome']].capitalize()}."


def _clock(user: dict[str, Any]) -> str:
    return span(user["secondsLeft"]) + ("" if user["running"] else " from the next login")


def _totals(found: dict[str, Any]) -> str:
    counts = Counter(each["outcome"] for each in found["users"])
    said = [f"{counts[outcome]} {words}" for outcome, words in _OUTCOMES.items() if counts[outcome]]
    return f"\n{len(found['users'])} users: {', '.join(said)}.\n" if said else ""


def _schedulers(args: Namespace, found: dict[str, Any]) -> str:
    on = [each for each in found["schedulers"] if not each["disabled"]]
    if not on:
        return ""
    lines = "".join(_scheduler(each) for each in on)
    how = "" if args.disable_schedulers else "--disable-schedulers switches off those that nobody needs any more.\n"
    return f"\nMikhmon's schedulers on the router end users by themselves:\n{lines}{how}"


def _scheduler(scheduler: dict[str, Any]) -> str:
    needed = scheduler["neededBy"]
    by = f"   # still ends {needed} users that are not taken over" if needed else ""
    name = re.sub(r'(["\\$?])', r"\\\1", scheduler["name"])
    return f'  /system scheduler disable [find name="{name}"]{by}\n'


def _ending(found: dict[str, Any]) -> str:
    if "taken" not in found:
        due = any(each["due"] for each in found["users"])
        return "\nNothing was changed. --apply takes them over.\n" if due else "\nThere is nothing to take over.\n"
    off = found["disabledSchedulers"]
    schedulers = f" Switched off: {', '.join(off)}." if off else ""
    return f"\n{len(found['taken'])} users were taken over.{schedulers}\n"
