"""`poster`: a picture that customers scan to pay for a package; asks the running daemon, and it M-Pesa."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.commands.control_client import RefusedAnswerError, add_options, asked, part

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction

    from easyisp_edge.commands.control_client import ControlClient


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("poster", help="make a picture customers scan to pay", description=__doc__)
    add_options(parser)
    parser.add_argument("package", metavar="PACKAGE", help="the package's id in packages.toml")
    parser.add_argument("--tenant", metavar="ID", help="whose package, where several sell here")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.png", help="where to put it")
    parser.set_defaults(run=poster)


def poster(args: Namespace) -> int:
    """Write the picture; gives the exit code."""

    def ask(daemon: ControlClient) -> dict[str, Any]:
        png = daemon.fetch(f"packages/{part(args.package)}/poster", tenant=args.tenant)
        try:
            args.output.write_bytes(png)
        except OSError as error:
            message = f"{args.output} cannot be written: {error.strerror}."
            raise RefusedAnswerError({"code": "poster.not_written", "message": message}) from error
        return {"file": str(args.output), "octets": len(png)}

    return asked(args, ask, _as_outcome)


def _as_outcome(found: dict[str, Any]) -> str:
    return (
        f"{found['file']} is written. Whoever scans it pays the price it has now, and then types the receipt on the"
        " portal under 'I have paid already'.\n"
    )
