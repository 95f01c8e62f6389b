"""`hub publish`, `hub revoke` and `hub command`: what a site sells, what is taken back, and what its box does now."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.hub_opening import EXIT_REFUSED, add_config, ended, opened_parts
from easyisp_edge.domain.central import COMMAND_VERBS
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction
    from collections.abc import Awaitable, Callable

    from easyisp_edge.config.models import ConfigModel
    from easyisp_edge.config.problems import Document
    from easyisp_edge.hub.parts import Parts

_OCTETS_MAX = 1_000_000
_KEYS = ("package", "gateway")
_DEFAULT_TENANT = "default"


def add_actions(actions: _SubParsersAction[ArgumentParser]) -> None:
    """Add them to the hub's actions."""
    publishing = actions.add_parser(
        "publish", help="give a site its packages and gateways, in the place of those published before"
    )
    publishing.add_argument("site", metavar="ID", help="the site's id")
    publishing.add_argument(
        "file", type=Path, metavar="FILE", help="[[package]] and [[gateway]] tables as a box has them: TOML, or JSON"
    )
    add_config(publishing, as_json=True)
    publishing.set_defaults(run=publish)
    revoking = actions.add_parser("revoke", help="end a grant at its box")
    revoking.add_argument("site", metavar="ID", help="the site's id")
    revoking.add_argument("grant", metavar="GRANT", help="the grant's id")
    revoking.add_argument("--reason", required=True, help="why, for the books")
    add_config(revoking, as_json=True)
    revoking.set_defaults(run=revoke)
    commanding = actions.add_parser("command", help="have a box do something now")
    commanding.add_argument("site", metavar="ID", help="the site's id")
    commanding.add_argument(
        "verb", choices=COMMAND_VERBS, help="look: compare its routers with its books; sync: tell all it has"
    )
    add_config(commanding, as_json=True)
    commanding.set_defaults(run=command)


def publish(args: Namespace) -> int:
    """Publish a configuration; gives the exit code."""
    try:
        packages, gateways = read_published(args.file)
    except InvalidError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_REFUSED

    async def work(parts: Parts) -> tuple[dict[str, Any], str]:
        version = await parts.publisher.publish(args.site, packages, gateways)
        counted = f"{_counted(len(packages), 'package')} and {_counted(len(gateways), 'gateway')}"
        return {"site": args.site, "version": version}, f"Version {version} is published: {counted}.\n"

    return _worked(args, work)


def revoke(args: Namespace) -> int:
    """Take a grant back; gives the exit code."""

    async def work(parts: Parts) -> tuple[dict[str, Any], str]:
        is_new = await parts.publisher.revoke(args.site, args.grant, args.reason)
        said = "The box ends it as soon as it hears of it.\n" if is_new else "It was taken back before.\n"
        return {"site": args.site, "grant": args.grant, "new": is_new}, said

    return _worked(args, work)


def command(args: Namespace) -> int:
    """Have a box do something; gives the exit code."""

    async def work(parts: Parts) -> tuple[dict[str, Any], str]:
        number = await parts.down.publish(args.site, "command", {"verb": args.verb})
        said = "The box does it as soon as it hears of it.\n"
        return {"site": args.site, "verb": args.verb, "message": number}, said

    return _worked(args, work)


def _worked(args: Namespace, work: Callable[[Parts], Awaitable[tuple[dict[str, Any], str]]]) -> int:
    async def working() -> None:
        async with opened_parts(args.config) as parts:
            content, said = await work(parts)
        sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n" if args.json else said)

    return ended(working())


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def read_published(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The packages and gateways in a file, as a box may be told them: its secrets are read in.

    Raises:
        InvalidError: It cannot be read, or a box would not take it; every fault is named, and no secret.
    """
    # A hub that only runs does not need a box's configuration.
    from easyisp_edge.config.field_types import Surroundings  # noqa: PLC0415
    from easyisp_edge.config.gateways import Gateway  # noqa: PLC0415
    from easyisp_edge.config.models import PackageTable  # noqa: PLC0415
    from easyisp_edge.config.problems import Findings  # noqa: PLC0415
    from easyisp_edge.config.references import check_unique, id_identity, package_identity  # noqa: PLC0415
    from easyisp_edge.config.secret_files import SUFFIX, SecretFiles  # noqa: PLC0415
    from easyisp_edge.config.tables import TableReader, check_top  # noqa: PLC0415

    document, findings, told = _document(path), Findings(), {}
    secrets = SecretFiles(path.parent, None, development=False)
    reader = TableReader(secrets, Surroundings(path.parent, development=False), findings)
    check_top(document, _KEYS, findings)
    models: tuple[type[ConfigModel], ...] = (PackageTable, Gateway)
    for key, model, identity in zip(_KEYS, models, (package_identity, id_identity), strict=True):
        tables = [(place, {"tenant": _DEFAULT_TENANT, **table}) for place, table in document.tables(key)]
        check_unique(document, tables, identity, findings)
        told[key] = [dict(table) for _, table in document.tables(key)]
        for own, (place, table) in zip(told[key], tables, strict=True):
            read = reader.read(model, document, place, table)
            if "ca_file" in own:
                findings.add(document, (*place, "ca_file"), "a file of this machine, which a box does not have")
            for (name,) in model.SECRETS if read is not None else ():
                own.pop(name + SUFFIX, None)
                if secret := getattr(read, name).get_secret_value():
                    own[name] = secret
    findings.refuse_any()
    return told["package"], told["gateway"]


def _document(path: Path) -> Document:
    from easyisp_edge.config.problems import Document  # noqa: PLC0415 - as above
    from easyisp_edge.config.source_lines import source_lines  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            text = file.read(_OCTETS_MAX).decode("utf-8-sig").replace("\r\n", "\n")
        if path.suffix == ".json":
            content = json.loads(text)
            if isinstance(content, dict):
                return Document(str(path), content)
            raise InvalidError("publish.unreadable", f"{path}: has to be a JSON object.")
        return Document(str(path), tomllib.loads(text), source_lines(text))
    except OSError as error:
        raise InvalidError("publish.unreadable", f"{path}: cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidError("publish.unreadable", f"{path}: neither TOML nor JSON: {error}") from error
