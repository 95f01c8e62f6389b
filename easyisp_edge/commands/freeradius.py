"""`easyisp-edge freeradius`: what a site needs that runs FreeRADIUS."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from easyisp_edge.adapters.freeradius.configuration import (
    DEBIAN_VERSION,
    REFUSALS,
    FreeradiusClient,
    FreeradiusServer,
    configuration_files,
)
from easyisp_edge.adapters.radius.peers import RadiusClient
from easyisp_edge.commands.check import DEFAULT_FOLDER
from easyisp_edge.config import ConfigError, load_config
from easyisp_edge.domain.database_address import parse_database
from easyisp_edge.errors import EdgeError, InvalidError, NotFoundError
from easyisp_edge.portal_files import portal_folder
from easyisp_edge.web.texts import Texts

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

    from easyisp_edge.config import Config, Router, RouterRadius
    from easyisp_edge.domain.database_address import DatabaseAddress

_DONE = 0
_FAILED = 1
_WRONG = 2
_PORT_MAX = 65535
# Lists what was written, so that the next time takes away what is no longer of use, and nothing else.
_MANIFEST = "MANIFEST"


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its arguments; its `run` takes them to `main`."""
    parser = subparsers.add_parser("freeradius", help="set up FreeRADIUS for the routers", description=__doc__)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    config = actions.add_parser("config", help="write a configuration of FreeRADIUS into a folder")
    config.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where to write it")
    config.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_FOLDER,
        metavar="FOLDER",
        help="where the .toml files are (default: %(default)s)",
    )
    config.add_argument(
        "--database",
        metavar="URL",
        help="sqlite:///… or postgresql://user:password@host/name (default: that of [freeradius] in edge.toml)",
    )
    config.add_argument(
        "--router", action="append", default=[], metavar="ID", help="only this router; may be given several times"
    )
    config.add_argument(
        "--release", metavar="VERSION", help="FreeRADIUS's release (default: the one installed here, else 3.2.1)"
    )
    config.add_argument(
        "--auth-port",
        type=_port,
        metavar="PORT",
        help="its UDP port for logins (default: that of [radius] in edge.toml)",
    )
    config.add_argument("--acct-port", type=_port, metavar="PORT", help="the same for accounting")
    config.add_argument("--json", action="store_true", help="answer as JSON")
    config.set_defaults(run=main)


def main(args: Namespace) -> int:
    """Run the command; 0 when it is written, 2 when the configuration is wrong, 1 when it cannot be written."""
    return write_configuration(
        args.out,
        args.config,
        os.environ,
        database=args.database,
        only=args.router,
        release=args.release or installed_release() or DEBIAN_VERSION,
        ports=(args.auth_port, args.acct_port),
        as_json=args.json,
    )


def write_configuration(
    out_folder: Path,
    config_folder: Path,
    environ: Mapping[str, str],
    *,
    database: str | None = None,
    only: Sequence[str] = (),
    release: str = DEBIAN_VERSION,
    ports: tuple[int | None, int | None] = (None, None),
    as_json: bool = False,
    out: TextIO | None = None,
) -> int:
    """Write FreeRADIUS's configuration, and say what was written.

    Without `database` it is the one of the configuration; without `only` it is for the routers that ask FreeRADIUS, or,
    where none does yet, for all that have a RADIUS secret. Ports that are None are those of `[radius]`.
    """
    out = sys.stdout if out is None else out
    try:
        config = load_config(config_folder, environ)
        server = _server(config, _database(config, database), list(_clients(config, only)), release, out_folder)
        server = replace(server, auth_port=ports[0] or server.auth_port, acct_port=ports[1] or server.acct_port)
        written = _write(out_folder, configuration_files(server))
    except ConfigError as error:
        return _say_wrong(out, error.message, as_json=as_json, code=_WRONG)
    except (EdgeError, OSError) as error:
        return _say_wrong(out, error.message if isinstance(error, EdgeError) else str(error), as_json=as_json)
    if as_json:
        out.write(json.dumps({"ok": True, "folder": str(out_folder), "files": written}) + "\n")
    else:
        out.write(_said(out_folder, server, written))
    return _DONE


def installed_release() -> str | None:
    """The release of FreeRADIUS on this machine; None where there is none, or none that says it."""
    program = shutil.which("freeradius", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        return None
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False, timeout=10)  # noqa: S603 - found by name
    found = re.search(r"FreeRADIUS Version ([0-9.]+)", said.stdout)
    return None if found is None else found[1]


def _server(
    config: Config, database: DatabaseAddress, clients: Sequence[FreeradiusClient], release: str, out_folder: Path
) -> FreeradiusServer:
    if not clients:
        raise NotFoundError("freeradius.routers", "No router in routers.toml has a [router.radius] with a secret.")
    return FreeradiusServer(
        database=database,
        clients=clients,
        messages=_messages(config.portal.default_language),
        version=release,
        address="*" if config.edge.radius.address in {"0.0.0.0", "::"} else config.edge.radius.address,  # noqa: S104
        auth_port=config.edge.radius.auth_port,
        acct_port=config.edge.radius.acct_port,
        written_to=str(out_folder),
    )


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= port <= _PORT_MAX:
        raise ArgumentTypeError(f"{text!r:.20} is no port: 1 to {_PORT_MAX}")
    return port


def _messages(language: str) -> dict[str, str]:
    """What customers are told, in the site's language."""
    texts = Texts.load(portal_folder() / "translations")
    return {refusal: texts.get(language, f"rejects.{refusal}") for refusal in REFUSALS}


def _database(config: Config, given: str | None) -> DatabaseAddress:
    if given is not None:
        return parse_database(given)
    if config.edge.freeradius is None:
        raise NotFoundError("freeradius.database", "No database: edge.toml has no [freeradius]; add it, or --database.")
    return config.edge.freeradius.database


def _clients(config: Config, only: Sequence[str]) -> Iterator[FreeradiusClient]:
    asking = [router for router in config.routers if router.asks_freeradius]
    routers = [config.router(router_id) for router_id in only] or asking or config.routers
    for router in routers:
        if router.radius is not None:
            yield FreeradiusClient(_radius_client(router, router.radius), router.tenant)
        elif only:
            raise NotFoundError("freeradius.router", f'Router "{router.id}" has no [router.radius] with a secret.')


def _radius_client(router: Router, radius: RouterRadius) -> RadiusClient:
    return RadiusClient(
        router_id=router.id,
        address=router.address,
        secret=radius.secret.get_secret_value().encode(),
        message_authenticator=radius.message_authenticator,
        interim_seconds=radius.interim_seconds,
        pppoe_pool=radius.pppoe_pool,
    )


def _write(folder: Path, contents: Mapping[str, str]) -> list[str]:
    """Write the files, and take away those written before that are no longer among them."""
    manifest = folder / _MANIFEST
    if folder.exists() and any(folder.iterdir()) and not manifest.is_file():
        raise InvalidError("freeradius.folder", f"{folder} holds something else; name an empty folder, or a new one.")
    before = manifest.read_text(encoding="utf-8").splitlines() if manifest.is_file() else []
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    for name in sorted(set(before) - contents.keys()):
        if not Path(name).is_absolute() and ".." not in Path(name).parts:
            (folder / name).unlink(missing_ok=True)
    # First of all, so that what a full disk cuts short is known for ours the next time.
    _write_file(manifest, "".join(f"{name}\n" for name in sorted(contents)))
    for name, content in contents.items():
        (folder / name).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        _write_file(folder / name, content)
    return sorted(contents)


def _write_file(path: Path, content: str) -> None:
    """Write a file that only its owner may write, and only its group read besides."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o640)
        file.write(content)


def _said(folder: Path, server: FreeradiusServer, written: Sequence[str]) -> str:
    routers = ", ".join(client.router.router_id for client in server.clients)
    secret = sum(name.startswith("secrets/") for name in written)
    return (
        f"written for FreeRADIUS {server.version} and {routers}: {folder}\n"
        + "".join(f"  {name}\n" for name in written)
        + f"{len(written)} files, {secret} of them with secrets; how to install them is in {folder / 'README.md'}\n"
    )


def _say_wrong(out: TextIO, message: str, *, as_json: bool, code: int = _FAILED) -> int:
    out.write(json.dumps({"ok": False, "message": message}, ensure_ascii=False) + "\n" if as_json else f"{message}\n")
    return code
