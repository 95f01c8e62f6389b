"""Asking the running daemon: it alone writes the books, so commands that change them go through its socket."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import sys
import tomllib
from argparse import SUPPRESS, ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

# What `check` and the configuration say too; written here so that a command need not load either.
CONFIG_FOLDER = Path("/etc/easyisp-edge")
CONTROL_SOCKET = Path("/run/easyisp-edge/control.sock")

DONE, REFUSED, NOT_REACHED = 0, 1, 2
# M-Pesa may have to be asked first, and it takes its time.
_ANSWER_SECONDS = 90.0
_FIRST_FAILURE = 400


class NotReachedError(Exception):
    """Nobody answered; the message says where and what to do."""


class RefusedAnswerError(Exception):
    """The daemon said no.

    Args:
        content: Its answer: at least `code` and `message`.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(str(content.get("message", "The daemon refused it without saying why.")))
        self.content = content


@dataclass(frozen=True, slots=True)
class ControlClient:
    """Asks the daemon at a socket.

    Args:
        path: Of the socket.
        staff: Who sits before this command.
    """

    path: Path
    staff: str

    def get(self, route: str, **query: str | None) -> dict[str, Any]:
        """Read something; None is left out of the query.

        Raises:
            NotReachedError: Nobody answered.
            RefusedAnswerError: The daemon said no.
        """
        return _object(self.fetch(route, **query), self.path)

    def post(self, route: str, **fields: object) -> dict[str, Any]:
        """Have something done; None is left out of the fields.

        Raises:
            NotReachedError: Nobody answered.
            RefusedAnswerError: The daemon said no.
        """
        return _object(self._ask("POST", route, {"json": _given(fields)}), self.path)

    def fetch(self, route: str, **query: str | None) -> bytes:
        """As `get`, for what is no JSON.

        Raises:
            NotReachedError: Nobody answered.
            RefusedAnswerError: The daemon said no.
        """
        return self._ask("GET", route, {"params": _given(query)})

    def _ask(self, method: str, route: str, more: dict[str, Any]) -> bytes:
        import httpx  # noqa: PLC0415 - half of the time a command takes to start: for those that ask only

        self._reach()
        try:
            with httpx.Client(
                transport=httpx.HTTPTransport(uds=str(self.path)),
                base_url="http://control",
                headers={"X-Staff": self.staff},
                timeout=_ANSWER_SECONDS,
            ) as client:
                response = client.request(method, f"/control/{route}", **more)
        except httpx.HTTPError as error:
            message = f"No answer came from the daemon at {self.path}: look what it did before you try again."
            raise NotReachedError(message) from error
        if response.status_code >= _FIRST_FAILURE:
            raise RefusedAnswerError(_object(response.content, self.path))
        return response.content

    def _reach(self) -> None:
        """See that somebody listens, before anything is sent: until here it is certain that nothing was done."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_ANSWER_SECONDS)
            try:
                probe.connect(str(self.path))
            except PermissionError as error:
                raise NotReachedError(f"You may not open {self.path}. Try again with sudo.") from error
            except OSError as error:
                raise NotReachedError(
                    f"The daemon does not answer at {self.path} ({error.strerror or error}). It must be running, for it"
                    " alone keeps the books: systemctl status easyisp-edge. If its [control] path is another one, name"
                    " the folder of its configuration with --config."
                ) from error


def add_options(parser: ArgumentParser) -> None:
    """Add what all commands have that ask the daemon; they may stand before and after a sub-command."""
    parser.add_argument(
        "--config",
        type=Path,
        default=SUPPRESS,
        metavar="FOLDER",
        help=f"where edge.toml says where the daemon's socket is (default: {CONFIG_FOLDER})",
    )
    parser.add_argument("--json", action="store_true", default=SUPPRESS, help="answer as JSON")


def asked(
    args: Namespace, ask: Callable[[ControlClient], dict[str, Any]], tell: Callable[[dict[str, Any]], str]
) -> int:
    """Ask the daemon and write what it says; gives the exit code.

    Args:
        args: With the options of `add_options`.
        ask: Asks.
        tell: Puts the answer into words for people, with the end of its last line.
    """
    as_json = getattr(args, "json", False)
    try:
        found = ask(ControlClient(control_socket(getattr(args, "config", CONFIG_FOLDER)), staff_name(os.environ)))
    except RefusedAnswerError as error:
        return _failed(str(error), error.content, REFUSED, as_json=as_json)
    except NotReachedError as error:
        content = {"code": "control.not_reached", "message": str(error)}
        return _failed(str(error), content, NOT_REACHED, as_json=as_json)
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n" if as_json else tell(found))
    return DONE


def control_socket(folder: Path) -> Path:
    """Where the daemon's socket is, by the `edge.toml` in a folder; the rest of the configuration may be secret.

    Raises:
        NotReachedError: The file cannot be read.
    """
    file = folder / "edge.toml"
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("control", {})
        path = said.get("path", str(CONTROL_SOCKET)) if isinstance(said, dict) else None
    except FileNotFoundError as error:
        if folder == CONFIG_FOLDER:
            return CONTROL_SOCKET
        # A mistyped folder must not lead to the daemon that is at the usual place.
        raise NotReachedError(
            f"There is no {file}: --config names the folder of the daemon's configuration."
        ) from error
    except NotADirectoryError as error:
        raise NotReachedError(f"{folder} is no folder: --config names the one that holds edge.toml.") from error
    except (OSError, ValueError) as error:
        raise NotReachedError(f"{file} cannot be read: {error}.") from error
    if not isinstance(path, str):
        raise NotReachedError(f"[control] path in {file} is no path. Run easyisp-edge check.")
    return folder / path


def staff_name(environ: Mapping[str, str]) -> str:
    """Who sits before this command: behind sudo, who called it."""
    try:
        name = environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        name = f"uid-{os.getuid()}"
    return name.encode("ascii", "replace").decode()


def part(text: str) -> str:
    """A text as one part of a route."""
    return quote(text, safe="")


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows below their headings; on a terminal that is too narrow for them each row by itself, a line a heading."""
    shown = columns(rows)
    if not sys.stdout.isatty() or max(map(len, shown.splitlines())) <= shutil.get_terminal_size().columns:
        return shown
    headings, *others = rows
    return "\n".join(columns(list(zip(headings, row, strict=True))) for row in others)


def columns(rows: list[tuple[str, ...]]) -> str:
    """Rows in columns as wide as they need; the last is not padded."""
    if not rows:
        return ""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _failed(message: str, content: dict[str, Any], code: int, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps({"error": content}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"{message}\n")
    return code


def _given(values: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _object(content: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NotReachedError(f"What answers at {path} is not the daemon.")
    return found
