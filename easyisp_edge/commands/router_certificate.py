"""`router certificate`: shows by which certificate a router is known, and pins it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import tomllib
from argparse import SUPPRESS
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.adapters.routeros.tls import ShownCertificate, fetch_certificate, fingerprint
from easyisp_edge.commands.control_client import CONFIG_FOLDER, DONE, NOT_REACHED, REFUSED
from easyisp_edge.config.certificates import read_certificate
from easyisp_edge.errors import ConflictError, EdgeError, InvalidError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction

_API_TLS_PORT = 8729
_PORT_MOST = 65535
_TIMEOUT_SECONDS = 10.0
# No secret: the router shows it to everyone. The service, which is not root, has to read it.
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Place:
    """Where a router is and where its certificate belongs, as `routers.toml` says.

    Args:
        router_id: Which router.
        address: Its IP address.
        port: Of api-ssl.
        file: Its `certificate_file`; None where it names none.
    """

    router_id: str
    address: str
    port: int
    file: Path | None


def add_parser(actions: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command among the actions of `router`."""
    parser = actions.add_parser(
        "certificate", help="show by which certificate a router is known, and pin it", description=__doc__
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=SUPPRESS,
        metavar="FOLDER",
        help=f"where the .toml files are (default: {CONFIG_FOLDER})",
    )
    parser.add_argument("--json", action="store_true", default=SUPPRESS, help="answer as JSON")
    parser.add_argument("router", metavar="ID", help="the router's id in routers.toml")
    parser.add_argument("--save", action="store_true", help="write it to the certificate_file that routers.toml names")
    parser.add_argument("--replace", action="store_true", help="with --save: also in the place of another one")
    parser.set_defaults(run=run)


def run(args: Namespace) -> int:
    """Show a router's certificate, and write it where that is asked for; gives the exit code."""
    as_json = getattr(args, "json", False)
    try:
        # The rest of the configuration may still be wrong: without this file it is.
        place = place_of(getattr(args, "config", CONFIG_FOLDER), args.router)
        shown = asyncio.run(fetch_certificate(place.address, place.port, _TIMEOUT_SECONDS))
        pinned = _pinned(place)
        written = args.save and _save(place, shown, pinned, replace=args.replace)
    except EdgeError as error:
        return _failed(error, as_json=as_json)
    found = {
        "router": place.router_id,
        "address": place.address,
        "port": place.port,
        "fingerprint": shown.fingerprint,
        "pem": shown.pem,
        "file": None if place.file is None else str(place.file),
        "pinned": shown.fingerprint if written else pinned,
        "written": written,
    }
    sys.stdout.write(json.dumps(found) + "\n" if as_json else _in_words(found))
    return DONE


def place_of(folder: Path, router_id: str) -> Place:
    """Where a router is, read from `routers.toml` alone.

    Raises:
        UnavailableError: The file cannot be read.
        NotFoundError: It has no such router, or no API for it.
        InvalidError: What it says of the router makes no sense.
    """
    file = folder / "routers.toml"
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("router", [])
    except (OSError, ValueError) as error:
        raise UnavailableError("config.unread", f"{file} cannot be read: {error}.") from error
    routers = [table for table in tables if isinstance(table, dict)] if isinstance(tables, list) else []
    for table in routers:
        if table.get("id") == router_id:
            return _place(folder, table)
    known = ", ".join(sorted(str(table.get("id")) for table in routers)) or "none"
    raise NotFoundError("router.unknown", f'There is no router "{router_id}" in {file}; known: {known}.')


def _place(folder: Path, table: dict[str, Any]) -> Place:
    router_id, api = str(table["id"]), table.get("api")
    if not isinstance(api, dict):
        raise NotFoundError("router.no_api", f"Router {router_id} has no [router.api]: there is nobody to ask.")
    port = api.get("port", _API_TLS_PORT) if api.get("tls", True) else _API_TLS_PORT
    address, named = table.get("address"), api.get("certificate_file")
    good_port = isinstance(port, int) and 0 < port <= _PORT_MOST
    if not _is_address(address) or not good_port or not isinstance(named, str | None):
        message = f"The address, port or certificate_file of router {router_id} makes no sense. Run easyisp-edge check."
        raise InvalidError("config.invalid", message)
    return Place(router_id, str(address), port, folder / named if named else None)


def _is_address(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(ip_address(value))
    except ValueError:
        return False


def _pinned(place: Place) -> str | None:
    """The fingerprint of what is pinned so far; empty where the file holds something else, None without a file."""
    if place.file is None or not place.file.exists():
        return None
    try:
        return fingerprint(read_certificate(place.file))
    except InvalidError:
        return ""


def _save(place: Place, shown: ShownCertificate, pinned: str | None, *, replace: bool) -> bool:
    """Pin what was shown; gives whether anything had to be written."""
    if place.file is None:
        name = f"router-{place.router_id}.pem"
        raise InvalidError(
            "router.no_certificate_file",
            f"routers.toml does not say where the certificate of router {place.router_id} belongs. Write under its"
            f' [router.api]: certificate_file = "{name}"',
        )
    if pinned == shown.fingerprint:
        return False
    if pinned is not None and not replace:
        raise ConflictError(
            "router.other_certificate",
            f"Nothing was written: {place.file} holds another one{f' ({pinned})' if pinned else ''}, and the router"
            f" shows {shown.fingerprint}. If you replaced the router or its certificate, compare, and run this again"
            " with --replace. If nobody did, something is between the box and the router.",
        )
    try:
        _write(place.file, shown.pem)
    except OSError as error:
        message = f"{place.file} cannot be written: {error.strerror}. Try again with sudo."
        raise UnavailableError("config.unwritten", message) from error
    return True


def _write(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as writing:
            writing.write(text)
            writing.flush()
            os.fchmod(descriptor, _MODE)
            os.fsync(descriptor)
        Path(name).replace(file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def _in_words(found: dict[str, Any]) -> str:
    return (
        f"Router {found['router']} ({found['address']} port {found['port']}) shows a certificate with this SHA-256"
        f" fingerprint:\n  {found['fingerprint']}\n"
        "Compare it with the one that the router itself tells, in WinBox or at its console, not over this network:\n"
        f"  /certificate print detail\n{_outcome(found)}\n"
    )


def _outcome(found: dict[str, Any]) -> str:
    file, pinned = found["file"], found["pinned"]
    if found["written"]:
        return f"It is written to {file}, and trusted from the next connection on. If it differs, delete that file."
    if pinned == found["fingerprint"]:
        return f"It is the one in {file}."
    if pinned is not None:
        return f"{file} holds ANOTHER one, so the box does not talk to it. To pin this one: --save --replace"
    if file is None:
        return f'Nothing was written. To pin it, write certificate_file = "router-{found["router"]}.pem" first.'
    return "Nothing was written. If it is the same, run this again with --save."


def _failed(error: EdgeError, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps({"error": {"code": error.code, "message": error.message}}) + "\n")
    else:
        sys.stderr.write(f"{error.message}\n")
    return NOT_REACHED if isinstance(error, UnavailableError) else REFUSED
