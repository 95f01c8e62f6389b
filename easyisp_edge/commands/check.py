"""`check`: says whether the configuration is right, or all that is wrong with it and where."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.config import Config, ConfigError, load_config

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction
    from collections.abc import Iterator, Mapping
    from typing import TextIO

    from easyisp_edge.config import Gateway

DEFAULT_FOLDER = Path("/etc/easyisp-edge")
_RIGHT = 0
_WRONG = 2


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its arguments; its `run` takes them to `main`."""
    parser = subparsers.add_parser("check", help="check the configuration", description=__doc__)
    add_options(parser)
    parser.set_defaults(run=main)


def add_options(parser: ArgumentParser) -> None:
    """Add what all commands have that read the configuration and answer by themselves."""
    parser.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_FOLDER,
        metavar="FOLDER",
        help="where the .toml files are (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="answer as JSON")


def main(args: Namespace) -> int:
    """Run the command; 0 when the configuration is right, 2 when it is not."""
    return run_check(args.config, os.environ, as_json=args.json)


def run_check(folder: Path, environ: Mapping[str, str], *, as_json: bool = False, out: TextIO | None = None) -> int:
    """Check the configuration in a folder and write what was found; 0 when it is right, 2 when it is not."""
    out = sys.stdout if out is None else out
    try:
        config = load_config(folder, environ)
    except ConfigError as error:
        out.write(_wrong_as_json(error) if as_json else f"{error.message}\n")
        return _WRONG
    out.write(_right_as_json(config) if as_json else _summary(config))
    return _RIGHT


def _wrong_as_json(error: ConfigError) -> str:
    problems: list[dict[str, Any]] = [dataclasses.asdict(problem) for problem in error.problems]
    return json.dumps({"ok": False, "problems": problems}, ensure_ascii=False) + "\n"


def _right_as_json(config: Config) -> str:
    notes = list(_notes(config))
    return json.dumps({"ok": True, **_counts(config), **({"notes": notes} if notes else {})}, ensure_ascii=False) + "\n"


def _counts(config: Config) -> dict[str, int]:
    return {
        "tenants": len(config.tenants),
        "packages": len(config.packages),
        "gateways": len(config.gateways),
        "routers": len(config.routers),
    }


def _summary(config: Config) -> str:
    counted = (f"{count} {noun.removesuffix('s') if count == 1 else noun}" for noun, count in _counts(config).items())
    return f"ok: {', '.join(counted)}\n" + "".join(
        f"{line}\n" for line in (*map(_money, config.gateways), *(f"note: {note}" for note in _notes(config)))
    )


def _notes(config: Config) -> Iterator[str]:
    """What is right, and may still not do what is meant by it."""
    yield from _overheard(config)
    yield from _one_radius_port(config)


def _overheard(config: Config) -> Iterator[str]:
    plain = [
        router.id
        for router in config.routers
        if router.api is not None and not router.api.tls and not ip_address(router.address).is_loopback
    ]
    if plain:
        yield (
            f"routers whose API is spoken in the clear, its password too (tls = false): {', '.join(plain)}. Whoever"
            " reaches the wire can take the router over; easyisp-edge router certificate ID --save prepares for TLS"
        )


def _one_radius_port(config: Config) -> Iterator[str]:
    freeradius = [router.id for router in config.routers if router.asks_freeradius]
    embedded = [router.id for router in config.routers if router.uses_radius and not router.asks_freeradius]
    if not freeradius or not embedded:
        return
    radius = config.edge.radius
    yield (
        f"routers ask this box ({', '.join(embedded)}) and FreeRADIUS ({', '.join(freeradius)}), both at"
        f" {radius.address}, ports {radius.auth_port} and {radius.acct_port}: on one machine only one of the two gets"
        " them. Give FreeRADIUS others with --auth-port and --acct-port of easyisp-edge freeradius config, and set them"
        " in /radius on its routers"
    )


def _money(gateway: Gateway) -> str:
    """Where a gateway's money goes and how the box learns of it, in a line."""
    paid = f"gateway {gateway.id}: {gateway.sub_type} {gateway.shortcode}"
    return f"{paid}, {', '.join(_ways(gateway))}"


def _ways(gateway: Gateway) -> Iterator[str]:
    if not gateway.has_api:
        yield "no API: somebody checks each receipt"
        return
    if gateway.signing_shortcode != gateway.shortcode:
        yield f"signed by {gateway.signing_shortcode}"
    if gateway.aggregated:
        yield "keys from the MPESA_ variables"
    yield str(gateway.environment)
    if gateway.pull is not None:
        yield f"Pull every {int(gateway.pull.every.total_seconds() / 60)} min"
    if gateway.c2b:
        yield "C2B confirmations"
