"""Searches for texts the readers of pasted messages and receipts stumble over, led by what of them has run.

`python -m tests.fuzz.mpesa_messages_fuzz [libFuzzer's own flags] [folders of texts to begin with]`. It ends with 0
when the runs asked for are over, and with another status, the text printed, at the first broken promise.
"""

from __future__ import annotations

import importlib
import re
import sys
from datetime import UTC, datetime
from typing import Any

CLAIMS = {"claim.empty", "claim.no_receipt", "claim.reversal", "claim.not_paid", "claim.too_long"}
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
# A broken promise planted on purpose, to prove that the search finds one.
PLANTED = "--planted"


def load(atheris: Any) -> tuple[Any, Any, Any]:
    """The modules under test, so that the search sees which of their branches run."""
    with atheris.instrument_imports(include=["easyisp_edge"]):
        return (
            importlib.import_module("easyisp_edge.domain.mpesa_messages"),
            importlib.import_module("easyisp_edge.domain.receipts"),
            importlib.import_module("easyisp_edge.errors"),
        )


def main(arguments: list[str]) -> None:
    """Search until the runs are over; does not return."""
    atheris: Any = importlib.import_module("atheris")
    messages, receipts, errors = load(atheris)
    planted = PLANTED in arguments

    def keep_receipt_promises(text: str) -> None:
        try:
            receipt = receipts.parse_receipt(text)
        except errors.InvalidError as refused:
            promise(refused.code == "receipt.unreadable", "an unknown refusal")
            return
        promise(receipts.parse_receipt(receipt) == receipt, "read twice, it changes")
        receipts.plausibility(receipt, NOW, days_back=7)
        found = receipts.lookalikes(receipt)
        promise(len(found) <= receipts.LOOKALIKES_MAX and receipt not in found, "lookalikes out of bounds")

    def keep_message_promises(text: str) -> None:
        try:
            said = messages.read_pasted(text)
        except errors.InvalidError as refused:
            promise(refused.code in CLAIMS, "an unknown refusal")
            return
        promise(re.fullmatch(r"[A-Z0-9]{10}", said.receipt) is not None, "no receipt")
        promise(stands_in(said.receipt, text), "an invented receipt")
        promise(max(len(said.account), len(said.counterparty)) <= messages.NAME_LENGTH_MAX, "an endless name")
        promise(said.paid_at is None or said.paid_at.tzinfo is UTC, "a moment without a zone")
        promise(not (planted and said.kind is messages.MessageKind.FULIZA), "the planted fault")

    def one_text(octets: bytes) -> None:
        text = octets.decode("utf-8", "surrogateescape")
        keep_receipt_promises(text)
        keep_message_promises(text)

    atheris.Setup([sys.argv[0], *(argument for argument in arguments if argument != PLANTED)], one_text)
    atheris.Fuzz()


def promise(kept: bool, what: str) -> None:  # noqa: FBT001 - reads as the sentence it is
    """End the search unless a promise was kept."""
    if not kept:
        raise AssertionError(what)


def stands_in(receipt: str, text: str) -> bool:
    """Whether a receipt stands in a text in one piece, or is all the letters and digits there are."""
    capitals = re.sub(r"[a-z]", lambda letter: letter[0].upper(), text)
    return receipt in capitals or receipt == "".join(letter for letter in capitals if letter.isalnum())


if __name__ == "__main__":
    main(sys.argv[1:])
