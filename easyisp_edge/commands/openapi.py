"""`openapi`: writes the back office's HTTP interface as an OpenAPI document, for whoever builds against it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from easyisp_edge.web.admin.areas import AREAS
from easyisp_edge.web.admin.openapi import document

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command; its `run` takes its arguments to `main`."""
    parser = subparsers.add_parser("openapi", help="write the back office's OpenAPI document", description=__doc__)
    parser.set_defaults(run=main)


def main(_args: Namespace) -> int:
    """Run the command; needs neither configuration nor daemon."""
    sys.stdout.write(json.dumps(document(AREAS), indent=1) + "\n")
    return 0
