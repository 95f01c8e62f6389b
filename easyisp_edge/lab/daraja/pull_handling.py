"""How the Pull API behaves: every point on which its documentation and its users disagree."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.daraja.faults import Fault


class PullMethods(enum.StrEnum):
    """How `query` wants to be asked."""

    BOTH = "both"
    POST = "post"
    GET = "get"


class EmptyForm(enum.StrEnum):
    """What stands where there are no rows."""

    LISTS = "lists"  # "Response": [[]]
    TEXT = "text"  # "Transaction": "[[]]", a string
    NULL = "null"  # "Response": null
    ERROR = "error"  # HTTP 500 "failed to retrieve"


class TrxZone(enum.StrEnum):
    """How `trxDate` is written; the digits are Nairobi's either way."""

    OFFSET = "offset"  # 2026-07-15T13:06:00+03:00
    MISLABELLED_Z = "mislabelled-z"  # 2026-07-15T13:06:00Z


class PullMsisdn(enum.StrEnum):
    """How the payer's number is written."""

    NUMBER = "number"  # 254722000000, a JSON number
    NINE_DIGITS = "nine-digits"  # 722000000, a JSON number
    MASKED = "masked"  # "25472****000"


class TillRows(enum.StrEnum):
    """Which of a till's two numbers its rows stand under."""

    STORE = "store"
    TILL = "till"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class PullHandling:
    """The manners of the Pull API.

    Args:
        methods: How `query` wants to be asked.
        wrong_method_is_not_found: Any other way is a 404 instead of a 405.
        spaced_keys: The registration's answer says `Response Status` instead of `ResponseStatus`.
        request_id: The query's answer says `RequestID` instead of `ResponseRefID`.
        empty: What stands where there are no rows.
        nesting: How many lists the rows lie in.
        page_rows: Rows in one answer.
        window_hours: How far back rows reach, and the longest span one query may ask for.
        visible_after_seconds: How long after a payment its row appears.
        zone: How `trxDate` is written.
        msisdn: How the payer's number is written.
        payer_names: `sender` is the payer's name instead of `MPESA`.
        amount_as_number: `amount` is a number instead of text.
        no_till_reference: A till's rows have no `billreference` at all, instead of an empty one.
        till_rows: Which number a till's rows stand under.
        answer_after_seconds: How long each answer takes.
        dead_token: What a dead token is answered.
        fault: Answers every request, while set.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    methods: PullMethods = PullMethods.BOTH
    wrong_method_is_not_found: bool = False
    spaced_keys: bool = False
    request_id: bool = False
    empty: EmptyForm = EmptyForm.LISTS
    nesting: int = 2
    page_rows: int = 100
    window_hours: int = 48
    visible_after_seconds: float = 0.0
    zone: TrxZone = TrxZone.OFFSET
    msisdn: PullMsisdn = PullMsisdn.NUMBER
    payer_names: bool = False
    amount_as_number: bool = False
    no_till_reference: bool = False
    till_rows: TillRows = TillRows.STORE
    answer_after_seconds: float = 0.0
    dead_token: Fault = Fault.INVALID_ACCESS_PULL
    fault: Fault | None = None

    def __post_init__(self) -> None:
        if self.page_rows < 1 or self.nesting < 1 or self.window_hours < 1:
            raise InvalidError("lab.pull", "A page has a row, a list and an hour at least.")
        if self.visible_after_seconds < 0 or self.answer_after_seconds < 0:
            raise InvalidError("lab.pull", "Seconds cannot be negative.")
