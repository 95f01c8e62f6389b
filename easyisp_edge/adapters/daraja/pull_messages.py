"""Pull Transactions on the wire: a span of time asked for, page by page, and rows of what came in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.adapters.daraja.answers import fields_of, senseless
from easyisp_edge.adapters.daraja.json_values import (
    as_account,
    as_code,
    as_instant,
    as_money,
    as_receipt,
    as_text,
    folded,
    read_json,
)
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import RAW_OCTETS_MAX, EvidenceSource, MoneyRecord, Reason
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import InvalidError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from easyisp_edge.adapters.daraja.exchange import WireAnswer
    from easyisp_edge.domain.values import Msisdn

PULL_REGISTER_PATH = "/pulltransactions/v1/register"
PULL_QUERY_PATH = "/pulltransactions/v1/query"
PULL_OCTETS_MAX = 8 * 1024 * 1024  # some thousands of rows may come at once
PULL_FAILED = "pull.failed"
WINDOW_MAX = timedelta(hours=48)

_PRODUCT = "Pull Transactions"
_DONE = "1000"
_NOTHING_TO_DO = "1001"  # registered already, or no rows
_ROWS_KEYS = ("response", "transaction", "transactions")
_FAILED = re.compile(r"failed to retrieve", re.IGNORECASE)
_C2B_TYPES = frozenset({"c2b-pay-bill-debit", "c2b-buy-goods-debit"})

_DATE = re.compile(r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_NAIROBI_AHEAD = timedelta(hours=3)
_TOLERANCE = timedelta(minutes=10)  # between the party's clock and the span it was asked for


# --- registering


def register_body(short_code: str, nominated: Msisdn, callback_url: str) -> dict[str, str | int]:
    """A request to let a short code's payments be pulled.

    Source: Daraja, Pull Transactions, register.
    """
    return {
        "ShortCode": short_code,
        "RequestType": "Pull",
        "NominatedNumber": nominated.digits,
        "CallBackURL": callback_url,
    }


def check_registered(answer: WireAnswer) -> None:
    """Read the answer to a registration; registered already is registered.

    Raises:
        UnavailableError: It says nothing of use.
        RefusedError: Not registered; an operator must look.

    Source: Daraja, Pull Transactions, register; seen with blanks in its keys and without.
    """
    told = folded(fields_of(answer, _PRODUCT))
    status = as_code(told.get("responsestatus")) or as_code(told.get("responsecode"))
    if status in {_DONE, _NOTHING_TO_DO}:
        return
    if not status:
        raise senseless(answer)
    raise RefusedError(Reason.CONFIGURATION, f"Safaricom does not let this short code's payments be pulled. ({answer})")


# --- asking


@dataclass(frozen=True, slots=True)
class PullWindow:
    """The span of time asked for.

    Args:
        since: Its beginning, aware.
        until: Its end, aware; at most 48 hours later.

    Raises:
        InvalidError: It is no such span.
    """

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise InvalidError("daraja.window", "A span of time needs a time zone.", field="since")
        if not timedelta(0) < self.until - self.since <= WINDOW_MAX:
            raise InvalidError("daraja.window", "M-Pesa lists more than nothing and at most 48 hours.", field="until")

    def body(self, short_code: str, offset: int) -> dict[str, str | int]:
        """A question for the rows after the first `offset` ones.

        Source: Daraja, Pull Transactions, query.
        """
        return {
            "ShortCode": short_code,
            "StartDate": _nairobi_text(self.since),
            "EndDate": _nairobi_text(self.until),
            "OffSetValue": str(offset),
        }

    def correction(self, dates: Iterable[_Date]) -> timedelta:
        """What to take off the dates marked as UTC.

        Their mark is probably wrong and they are Nairobi's, three hours less; but the mark holds where only with it
        they fall into the span they were asked by. A date far from it says nothing.
        """
        marked = [date.at for date in dates if date.marked_utc]
        begin, end = self.since - _TOLERANCE, self.until + _TOLERANCE
        mark_is_wrong = any(end < at <= end + _NAIROBI_AHEAD for at in marked)
        mark_is_right = any(begin <= at < begin + _NAIROBI_AHEAD for at in marked)
        return timedelta(0) if mark_is_right and not mark_is_wrong else _NAIROBI_AHEAD


def _nairobi_text(instant: datetime) -> str:
    return instant.astimezone(NAIROBI).strftime("%Y-%m-%d %H:%M:%S")


# --- pages


def rows_of_page(answer: WireAnswer) -> list[object]:
    """The rows in an answer, however deep in lists.

    Raises:
        UnavailableError: It says nothing of use; `pull.failed` where it may mean that there are no rows,
            `pull.too_much` where it is too long.
        RefusedError: Asking is refused; an operator must look.

    Source: Daraja, Pull Transactions, query; rows are told in lists of lists, nothing as null or as text.
    """
    if len(answer.body) >= PULL_OCTETS_MAX:
        raise too_much()
    if answer.error is not None and answer.error.code.startswith("500") and _FAILED.search(answer.error.message):
        raise UnavailableError(
            PULL_FAILED, f"M-Pesa did not list payments; perhaps there were none in that span. ({answer})"
        )
    told = folded(fields_of(answer, _PRODUCT))
    code, rows = as_code(told.get("responsecode")), _rows(told)
    if rows or code == _NOTHING_TO_DO:
        return rows or []
    if rows is None or code not in {"", _DONE}:
        raise senseless(answer)
    return rows


def too_much() -> UnavailableError:
    """The error for a span that holds more than is taken at once."""
    return UnavailableError("pull.too_much", "M-Pesa has too many payments of that span; ask for a shorter one.")


def _rows(told: dict[str, Any]) -> list[object] | None:
    """None where no rows are told, not even none."""
    found = [_unpacked(told[key]) for key in _ROWS_KEYS if key in told]
    rows = _flat([value for value in found if not isinstance(value, str)])
    told_none = found and not any(isinstance(value, str) for value in found)
    return rows if rows or told_none else None


def _unpacked(value: object) -> object:
    """Rows that came as JSON inside a text."""
    if not isinstance(value, str):
        return value
    try:
        return read_json(value) if value.strip() else []
    except ValueError:
        return value


def _flat(value: object) -> list[object]:
    rows: list[object] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif item is not None:
            rows.append(item)
    return rows


def row_key(row: object) -> object:
    """What tells a row from the others, so that one that comes again is known."""
    told = folded(row) if isinstance(row, dict) else {}
    receipt = as_text(told.get("transactionid"))
    return (receipt, as_text(told.get("transactiontype"))) if receipt else _raw(row)


# --- rows


class Pulled(NamedTuple):
    """What was made of the rows of a span.

    Args:
        records: What came in, each receipt once.
        unreadable: How many rows may be money and could not be read.
    """

    records: list[MoneyRecord]
    unreadable: int


class _Date(NamedTuple):
    at: datetime
    marked_utc: bool


def read_rows(rows: Sequence[object], window: PullWindow) -> Pulled:
    """The records in rows; rows about anything but customers' payments are passed over.

    Source: Daraja, Pull Transactions, query, response parameters.
    """
    told = [folded(row) if isinstance(row, dict) else {} for row in rows]
    dates = [_date(fields.get("trxdate")) for fields in told]
    correction = window.correction(date for date in dates if date is not None)
    found: dict[str, MoneyRecord] = {}
    unreadable = 0
    for row, fields, date in zip(rows, told, dates, strict=True):
        kind = re.sub(r"[\s_]+", "-", as_text(fields.get("transactiontype"))).casefold()
        if kind and kind not in _C2B_TYPES:
            continue
        record = _record(row, fields, _paid_at(date, correction)) if kind else None
        if record is None:
            unreadable += 1
        else:
            found.setdefault(record.mpesa_receipt_number, record)
    return Pulled(list(found.values()), unreadable)


def _record(row: object, fields: dict[str, Any], paid_at: datetime | None) -> MoneyRecord | None:
    receipt, amount, raw = as_receipt(fields.get("transactionid")), as_money(fields.get("amount")), _raw(row)
    if receipt is None or amount is None or not amount.cents or raw is None:
        return None
    return MoneyRecord(
        source=EvidenceSource.PULL,
        mpesa_receipt_number=receipt,
        amount=amount,
        account=as_account(fields.get("billreference")),
        payer=Payer.read(as_text(fields.get("msisdn"))),
        paid_at=paid_at,
        raw=raw,
    )


def _raw(row: object) -> bytes | None:
    """The row as JSON; None where it is nested too deep to be written."""
    try:
        return json.dumps(row, default=str).encode()[:RAW_OCTETS_MAX]
    except RecursionError:
        return None


def _paid_at(date: _Date | None, correction: timedelta) -> datetime | None:
    if date is None:
        return None
    return date.at - correction if date.marked_utc else date.at


def _date(value: object) -> _Date | None:
    text = as_text(value).upper()
    found = _DATE.fullmatch(text)
    if found is None:
        at = as_instant(text)
        return None if at is None else _Date(at, marked_utc=False)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=NAIROBI)
    return _Date(at.astimezone(UTC), marked_utc=found[1] is not None and not at.utcoffset())
