"""`admin`: who may log in to the back office; asks the running daemon."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.control_client import RefusedAnswerError, add_options, asked, part, table
from easyisp_edge.commands.staff_words import moment

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction

    from easyisp_edge.commands.control_client import ControlClient

_HEADINGS = ("E-MAIL", "NAME", "ROLE", "TENANT", "STATUS", "SINCE")
# Written here so that the command need not load the daemon's parts.
_ROLES = ("SUPER_ADMIN", "ADMIN", "STAFF", "CUSTOMER_CARE", "FIELD_TECH", "VIEWER")
_STDIN = "-"
_OCTETS_MAX = 4096


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its sub-commands."""
    parser = subparsers.add_parser("admin", help="say who may log in to the back office", description=__doc__)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_add(actions)
    _add_list(actions)
    _add_password(actions)
    for word, help_text in (
        ("suspend", "shut a user out, at once"),
        ("resume", "let a user in again"),
    ):
        each = actions.add_parser(word, help=help_text)
        add_options(each)
        each.add_argument("email", metavar="EMAIL", help="the user")
        each.set_defaults(run=switch, word=word)


def _add_add(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("add", help="make a user; the password is asked for, or read from a file")
    add_options(parser)
    parser.add_argument("email", metavar="EMAIL", help="what they log in with")
    parser.add_argument("--name", metavar="NAME", help="what people call them (default: what stands before the @)")
    parser.add_argument(
        "--role", choices=_ROLES, default=_ROLES[0], help="what they are there for (default: %(default)s)"
    )
    parser.add_argument("--tenant", metavar="ID", help="whose; a SUPER_ADMIN who is nobody's looks after the whole box")
    _add_password_file(parser)
    parser.set_defaults(run=add)


def _add_list(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("list", help="list users, the newest first")
    add_options(parser)
    parser.add_argument("--tenant", metavar="ID", help="only of this tenant")
    parser.set_defaults(run=listed)


def _add_password(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("password", help="set a user's password, such as one that was forgotten")
    add_options(parser)
    parser.add_argument("email", metavar="EMAIL", help="the user")
    _add_password_file(parser)
    parser.set_defaults(run=set_password)


def _add_password_file(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--password-file",
        metavar="PATH",
        help="a file whose first line is the password, or - for standard input; else it is asked for, twice",
    )


def add(args: Namespace) -> int:
    """Make a user; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        fields = {"email": args.email, "name": args.name, "role": args.role, "tenant": args.tenant}
        return daemon.post("users", **fields, password=_password(args.password_file))

    def tell(found: dict[str, Any]) -> str:
        user = found["user"]
        whose = "the whole box" if user["tenant"] is None else user["tenant"]
        return f"{user['email']} may log in now, as {user['role']} of {whose}.\n"

    return asked(args, ask, tell)


def listed(args: Namespace) -> int:
    """List users; gives the exit code."""

    def tell(found: dict[str, Any]) -> str:
        rows = [_row(each) for each in found["users"]]
        return table([_HEADINGS, *rows]) if rows else "Nobody may log in yet. easyisp-edge admin add makes a user.\n"

    return asked(args, lambda daemon: daemon.get("users", tenant=args.tenant), tell)


def set_password(args: Namespace) -> int:
    """Set a user's password; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        return daemon.post(f"users/{part(args.email)}/password", password=_password(args.password_file))

    def tell(found: dict[str, Any]) -> str:
        return f"{found['user']['email']} has a new password; all earlier logins are over.\n"

    return asked(args, ask, tell)


def switch(args: Namespace) -> int:
    """Shut a user out, or let one in again; gives the exit code."""

    def tell(found: dict[str, Any]) -> str:
        user = found["user"]
        return f"{user['email']} is {user['status'].lower()}.\n"

    return asked(args, lambda daemon: daemon.post(f"users/{part(args.email)}/{args.word}"), tell)


def _password(path: str | None) -> str:
    """A new password, never from the command line: others on the machine can read that.

    Raises:
        RefusedAnswerError: There is none.
    """
    if path is None:
        return _typed()
    try:
        if path == _STDIN:
            line = sys.stdin.readline(_OCTETS_MAX)
        else:
            with Path(path).open(encoding="utf-8-sig") as file:
                line = file.readline(_OCTETS_MAX)
    except (OSError, UnicodeDecodeError) as error:
        raise _refused("password.not_read", f"The password cannot be read from {path}: {error}.") from error
    return line.removesuffix("\n").removesuffix("\r")


def _typed() -> str:
    if not sys.stdin.isatty():
        raise _refused("password.not_asked", "There is no terminal to ask at: give the password by --password-file.")
    try:
        first, again = getpass.getpass("Password: "), getpass.getpass("Again: ")
    except EOFError as error:
        raise _refused("password.not_asked", "No password was typed.") from error
    if first != again:
        raise _refused("password.differs", "The two are not the same. Try again.")
    return first


def _refused(code: str, message: str) -> RefusedAnswerError:
    return RefusedAnswerError({"code": code, "message": message})


def _row(user: dict[str, Any]) -> tuple[str, ...]:
    whose = user["tenant"] or "whole box"
    return (user["email"], user["name"], user["role"], whose, user["status"].lower(), moment(user["createdAt"]))
