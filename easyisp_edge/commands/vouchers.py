"""`vouchers`: codes to be sold on paper, made in batches, listed, printed and revoked; asks the running daemon."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from easyisp_edge.commands.control_client import RefusedAnswerError, add_options, asked, part, table
from easyisp_edge.commands.staff_words import moment, shillings
from easyisp_edge.domain.values import NAIROBI

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction
    from collections.abc import Mapping

    from easyisp_edge.commands.control_client import ControlClient

_HEADINGS = ("BATCH", "PACKAGE", "PRICE", "MADE", "LEFT", "USED", "SOLD", "REVOKED", "LAST DAY", "NOTE")
_VOUCHER_HEADINGS = ("NO", "CODE", "STATE", "SINCE", "GRANT")
_SUFFIXES = (".html", ".svg")
# Whoever reads a sheet can use what is on it.
_OWNER_ONLY = 0o600


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its sub-commands."""
    parser = subparsers.add_parser("vouchers", help="make, print, list and revoke vouchers", description=__doc__)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_make(actions)
    _add_list(actions)
    _add_show(actions)
    _add_revoke(actions)
    _add_sheet(actions)


def _add_make(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("make", help="make a batch; no money is booked")
    add_options(parser)
    parser.add_argument("package", metavar="PACKAGE", help="the package's id in packages.toml, on sale or not")
    parser.add_argument("--count", required=True, metavar="NUMBER", help="how many")
    parser.add_argument("--expires", metavar="DATE", help="the last day they are taken, such as 2026-12-31")
    parser.add_argument("--note", metavar="TEXT", help="your own, such as who sells them")
    parser.add_argument("--tenant", metavar="ID", help="whose, where several sell here")
    parser.set_defaults(run=make)


def _add_list(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("list", help="list the batches, without their codes, and what was sold by them")
    add_options(parser)
    parser.add_argument("--tenant", metavar="ID", help="only of this tenant")
    parser.add_argument("--limit", metavar="NUMBER", help="how many at most, the newest first (default: 50)")
    parser.set_defaults(run=listed)


def _add_show(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("show", help="list the codes of a batch; that you saw them is noted")
    add_options(parser)
    parser.add_argument("batch", metavar="BATCH", help="the batch's id")
    parser.set_defaults(run=show)


def _add_revoke(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser("revoke", help="take a voucher back, or all of a batch that nobody has used, unasked")
    add_options(parser)
    parser.add_argument("key", metavar="CODE|BATCH", help="a code, or a batch's id")
    parser.add_argument("--tenant", metavar="ID", help="whose code, where several sell here")
    parser.set_defaults(run=revoke)


def _add_sheet(actions: _SubParsersAction[ArgumentParser]) -> None:
    parser = actions.add_parser(
        "sheet",
        help="write A4 pages of cards to print and cut, of what nobody has used yet",
        description="Writes A4 pages of cards to print and cut, of what nobody has used yet.",
    )
    add_options(parser)
    parser.add_argument("batch", metavar="BATCH", help="the batch's id")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="FILE.html for all pages in one, to print from a browser; FILE.svg for a picture of each page",
    )
    parser.add_argument(
        "--portal",
        metavar="URL",
        help="the portal as customers reach it, where no [router.setup] says: http://10.5.50.2",
    )
    parser.set_defaults(run=sheet)


def make(args: Namespace) -> int:
    """Make a batch; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        fields = {"package": args.package, "count": args.count, "expires": args.expires}
        return daemon.post("vouchers", **fields, note=args.note, tenant=args.tenant)

    def tell(found: dict[str, Any]) -> str:
        batch = found["batch"]
        made = f"Batch {batch['id']}: {batch['count']} vouchers for {batch['package']['name']}"
        return f"{made}, {shillings(batch['price'])} each.\neasyisp-edge vouchers sheet {batch['id']} prints them.\n"

    return asked(args, ask, tell)


def listed(args: Namespace) -> int:
    """List batches; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        return daemon.get("vouchers", tenant=args.tenant, limit=args.limit)

    def tell(found: dict[str, Any]) -> str:
        rows = [_row(each) for each in found["batches"]]
        return table([_HEADINGS, *rows]) if rows else "There are none.\n"

    return asked(args, ask, tell)


def show(args: Namespace) -> int:
    """List the codes of a batch; gives the exit code."""

    def tell(found: dict[str, Any]) -> str:
        rows = [_voucher_row(each) for each in found["vouchers"]]
        return table([_HEADINGS, _row(found["batch"])]) + "\n" + table([_VOUCHER_HEADINGS, *rows])

    return asked(args, lambda daemon: daemon.get(f"vouchers/{part(args.batch)}"), tell)


def revoke(args: Namespace) -> int:
    """Take vouchers back; gives the exit code."""

    def tell(found: dict[str, Any]) -> str:
        batch = found["batch"]
        return f"{found['revoked']} of batch {batch['id']} revoked; {batch['used']} of it were used, and stay.\n"

    return asked(args, lambda daemon: daemon.post(f"vouchers/{part(args.key)}/revoke", tenant=args.tenant), tell)


def sheet(args: Namespace) -> int:
    """Write the sheet of a batch; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        if args.out.suffix.lower() not in _SUFFIXES:
            message = f"{args.out} has to end in .html or .svg. A browser prints .html, also into a PDF file."
            raise RefusedAnswerError({"code": "vouchers.format", "message": message})
        return _written(daemon.get(f"vouchers/{part(args.batch)}"), args.out, args.portal)

    return asked(args, ask, lambda found: f"{found['vouchers']} vouchers on {', '.join(found['files'])}.\n")


# --- the sheet


def _written(found: dict[str, Any], out: Path, portal: str | None) -> dict[str, Any]:
    from easyisp_edge.services.back_office.voucher_sheet import Card, html_document, svg_pages  # noqa: PLC0415 - for this one only

    url = _portal_url(found, portal)
    batch, unused = found["batch"], [each for each in found["vouchers"] if each["state"] == "available"]
    if not unused:
        message = f"Nothing of batch {batch['id']} can be used any more."
        raise RefusedAnswerError({"code": "vouchers.none_left", "message": message})
    cards = [
        Card(f"{batch['id']}-{each['number']}", each["code"], f"{url}/v/{each['code'].replace('-', '')}")
        for each in unused
    ]
    pages = svg_pages(cards, _words(found, url))
    if out.suffix.lower() == ".html":
        files = {out: html_document(pages, f"{found['seller']}: {batch['id']}")}
    elif len(pages) == 1:
        files = {out: pages[0]}
    else:
        files = {out.with_stem(f"{out.stem}-{at}"): page for at, page in enumerate(pages, start=1)}
    for path, text in files.items():
        _write(path, text)
    return {"vouchers": len(cards), "files": [str(path) for path in files]}


def _portal_url(found: dict[str, Any], portal: str | None) -> str:
    from easyisp_edge.config.urls import web_url  # noqa: PLC0415 - for this one only
    from easyisp_edge.errors import InvalidError  # noqa: PLC0415

    said = portal or found["portalUrl"]
    if not said:
        message = (
            "No file says where customers reach the portal: name it with --portal, such as http://10.5.50.2, or give"
            " the router a [router.setup]."
        )
        raise RefusedAnswerError({"code": "vouchers.portal", "message": message})
    try:
        return web_url(said).rstrip("/")
    except InvalidError as error:
        raise RefusedAnswerError({"code": error.code, "message": error.message}) from error


def _words(found: dict[str, Any], url: str) -> Any:
    from easyisp_edge.portal_files import portal_folder  # noqa: PLC0415 - for this one only
    from easyisp_edge.services.back_office.voucher_sheet import CardWords  # noqa: PLC0415
    from easyisp_edge.web.texts import Texts  # noqa: PLC0415

    batch, texts = found["batch"], Texts.load(portal_folder() / "translations")
    day = _last_day(batch)
    until = "" if day is None else " / ".join(texts.get(each, "sheet.until", day=day) for each in texts.languages)
    address = urlsplit(url)
    return CardWords(
        seller=found["seller"],
        offer=f"{batch['package']['name']} \u2013 {shillings(batch['price'])}",
        how_to=tuple(texts.get(each, "sheet.how_to", portal=address.netloc + address.path) for each in texts.languages),
        until=until,
    )


def _write(path: Path, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a path cannot say who may read it
            file.write(text)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise RefusedAnswerError({"code": "vouchers.not_written", "message": message}) from error


# --- words


def _row(batch: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        batch["id"],
        batch["package"]["name"],
        shillings(batch["price"]),
        moment(batch["createdAt"]),
        str(batch["available"]),
        str(batch["used"]),
        shillings(batch["sold"]),
        str(batch["revoked"]),
        _last_day(batch) or "-",
        batch["note"] or "-",
    )


def _voucher_row(voucher: Mapping[str, Any]) -> tuple[str, ...]:
    since = "-" if voucher["state"] == "available" else moment(voucher["changedAt"])
    return (str(voucher["number"]), voucher["code"], voucher["state"], since, voucher["grant"] or "-")


def _last_day(batch: Mapping[str, Any]) -> str | None:
    """The last day on which a batch is taken, by Kenya's clock."""
    if batch["expiresAt"] is None:
        return None
    over_at = datetime.fromisoformat(batch["expiresAt"]).astimezone(NAIROBI)
    return f"{over_at - timedelta(days=1):%Y-%m-%d}"
