"""Looking payments and attempts up by what a person types: the beginning of a receipt, a phone number or an account.

Each is looked up in an index of the tenant's own rows, and at most `LOOKED_AT_MAX` rows of each are looked at: a
search costs the same however many payments there are, and says when there was more than it looked at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.values import phone_prefix

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

LOOKED_AT_MAX = 1000

_JOINTS = re.compile(r"[\s\-().]")
_RECEIPT = re.compile(r"[A-Z][A-Z0-9]{0,9}", re.ASCII)
# Sorts after whatever may follow a prefix, in octets and without regard to case alike.
_LAST = "\U0010ffff"


class Term(NamedTuple):
    """One thing a text may stand for.

    Args:
        condition: In SQL, with a question mark for each value.
        order: In SQL: how the index that serves the condition is read backwards.
        values: For the question marks.
    """

    condition: str
    order: str
    values: tuple[str, ...]


class Found(NamedTuple):
    """What a search found.

    Args:
        places: Instant and key of each row, the newest first.
        exact: Whether these are all; else there were more rows than are looked at.
    """

    places: list[tuple[str, str]]
    exact: bool


def payment_terms(text: str) -> list[Term]:
    """What a text may stand for among payments: the beginning of a receipt, of a number, or of an account.

    Small letters are as good as capitals, as far as ASCII goes.
    """
    terms = [
        Term("mpesa_receipt_number >= ? AND mpesa_receipt_number < ?", "mpesa_receipt_number DESC", _from(each))
        for each in _receipts(text)
    ]
    account = "account >= ? COLLATE NOCASE AND account < ? COLLATE NOCASE AND account <> ''"
    terms.append(Term(account, "account COLLATE NOCASE DESC, created_at DESC", _from(text)))
    return [*terms, *_phones(text)]


def attempt_terms(text: str) -> list[Term]:
    """The same among attempts: the beginning of a number, or a whole pay code; they have no receipt."""
    return [Term("account_reference = ?", "account_reference", (text.upper(),)), *_phones(text)]


def find(
    connection: sqlite3.Connection, terms: Iterable[Term], query_of: Callable[[Term], str], tenant_id: str
) -> Found:
    """Look all terms up.

    Args:
        connection: Where.
        terms: What for.
        query_of: The query for a term: instant, key, and whether the row counts; the tenant and the term's values are
            its question marks, in this order, and at last how many rows to look at.
        tenant_id: Whose rows.
    """
    places: set[tuple[str, str]] = set()
    exact = True
    for term in terms:
        looked_at = connection.execute(query_of(term), (tenant_id, *term.values, LOOKED_AT_MAX + 1)).fetchall()
        exact = exact and len(looked_at) <= LOOKED_AT_MAX
        places |= {(at, key) for at, key, counts in looked_at[:LOOKED_AT_MAX] if counts}
    return Found(sorted(places, reverse=True), exact)


def _phones(text: str) -> Iterator[Term]:
    prefix = phone_prefix(text)
    if prefix is not None:
        yield Term("phone >= ? AND phone < ?", "phone DESC, created_at DESC", _from(prefix))


def _receipts(text: str) -> Iterator[str]:
    receipt = _JOINTS.sub("", text).upper()
    if _RECEIPT.fullmatch(receipt):
        yield receipt


def _from(prefix: str) -> tuple[str, str]:
    return prefix, prefix + _LAST
