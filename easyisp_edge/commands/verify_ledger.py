"""`verify-ledger`: says where every shilling is, and holds the books against the rules that must always hold."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.commands.check import add_options
from easyisp_edge.config import load_config
from easyisp_edge.domain.ledger import AccountKind
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import EdgeError
from easyisp_edge.store.checks import ALL_RULES, balances, broken_rules, opened_for_reading

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TextIO

EXIT_WHOLE, EXIT_BROKEN, EXIT_NOT_READ = 0, 1, 2
_PLACES = {
    "in": AccountKind.RECEIVED,
    "sold": AccountKind.SOLD,
    "wallets": AccountKind.WALLET,
    "unmatched": AccountKind.UNMATCHED,
    "refunded": AccountKind.REFUNDED,
}


class Findings(NamedTuple):
    """What was found in the books.

    Args:
        cents: What came in, and where it is.
        broken: The rules that do not hold, each with keys to look at.
    """

    cents: dict[str, int]
    broken: dict[str, tuple[str, ...]]


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its arguments; its `run` takes them to `main`."""
    parser = subparsers.add_parser("verify-ledger", help="say whether the books are whole", description=__doc__)
    add_options(parser)
    parser.set_defaults(run=main)


def main(args: Namespace) -> int:
    """Run the command; 0 when the books are whole, 1 when a rule is broken, 2 when they could not be read."""
    return run_verify(args.config, os.environ, as_json=args.json)


def run_verify(folder: Path, environ: Mapping[str, str], *, as_json: bool = False, out: TextIO | None = None) -> int:
    """Read the books a configuration names, also while the daemon runs, and write what was found."""
    out = sys.stdout if out is None else out
    try:
        with opened_for_reading(load_config(folder, environ).edge.store.path) as connection:
            held, broken = balances(connection), dict(broken_rules(connection))
    except EdgeError as error:
        out.write(json.dumps({"ok": False, "error": error.message}) + "\n" if as_json else f"{error.message}\n")
        return EXIT_NOT_READ
    # What came in stands below nought on the account it was given from.
    cents = {name: -held[kind] if kind is AccountKind.RECEIVED else held[kind] for name, kind in _PLACES.items()}
    findings = Findings(cents, broken)
    out.write(_as_json(findings) if as_json else _as_text(findings))
    return EXIT_BROKEN if broken else EXIT_WHOLE


def _as_json(findings: Findings) -> str:
    rules = [
        {"rule": rule, "ok": rule not in findings.broken, "look_at": list(findings.broken.get(rule, ()))}
        for rule in ALL_RULES
    ]
    return json.dumps({"ok": not findings.broken, "cents": findings.cents, "rules": rules}, ensure_ascii=False) + "\n"


def _as_text(findings: Findings) -> str:
    lines = [f"{name:<10} {_money(cents):>20}" for name, cents in findings.cents.items()]
    lines += [_rule(rule, findings.broken.get(rule)) for rule in ALL_RULES]
    verdict = "The books are whole." if not findings.broken else "The books are NOT whole: look at what is named above."
    return "".join(f"{line}\n" for line in (*lines, verdict))


def _rule(rule: str, keys: tuple[str, ...] | None) -> str:
    return f"ok         {rule}" if keys is None else f"BROKEN     {rule}: {', '.join(keys)}"


def _money(cents: int) -> str:
    return f"-{Money(-cents)}" if cents < 0 else str(Money(cents))
