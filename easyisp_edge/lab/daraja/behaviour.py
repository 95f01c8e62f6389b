"""What happens to a push, chosen per phone or for the next push."""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.daraja.faults import Fault  # noqa: TC001 - pydantic reads the annotations at run time
from easyisp_edge.lab.daraja.results import CANCELLED, NO_MONEY, PAID, STILL_PROCESSING, WRONG_PIN, Result


class Payer(enum.StrEnum):
    """What the person holding the phone does."""

    MANUAL = "manual"  # somebody at the phone page decides
    PIN = "pin"
    WRONG_PIN = "wrong-pin"
    CANCEL = "cancel"
    IGNORE = "ignore"  # the prompt runs out by itself
    NO_MONEY = "no-money"
    RESULT = "result"  # whatever `Behaviour.result_code` says


class BalanceItem(enum.StrEnum):
    """How the callback's `Balance` item looks."""

    NO_VALUE = "no-value"
    ABSENT = "absent"
    TEXT = "text"


class PhoneItem(enum.StrEnum):
    """How the callback's `PhoneNumber` item looks."""

    NUMBER = "number"
    MASKED = "masked"
    ABSENT = "absent"


class QueryAnswer(enum.StrEnum):
    """What an STK query says when it is not a `Fault`."""

    NORMAL = "normal"
    PENDING_ERROR = "pending-error"  # HTTP 500, 500.001.1001 "The transaction is being processed"
    PENDING_4999 = "pending-4999"  # HTTP 200, ResultCode "4999"
    PENDING_INVALID_ID = "pending-invalid-id"  # HTTP 400, Invalid CheckoutRequestID
    FAILED_ALTHOUGH_PAID = "failed-although-paid"


PENDING_SHAPES = frozenset({QueryAnswer.PENDING_ERROR, QueryAnswer.PENDING_4999, QueryAnswer.PENDING_INVALID_ID})


def _refuse_negative(what: str, *numbers: float) -> None:
    if any(number < 0 for number in numbers):
        raise InvalidError(f"lab.{what}", "Seconds and counts cannot be negative.")


@dataclass(frozen=True, slots=True)
class CallbackHandling:
    """What becomes of the callback. Each copy is tried once; there are no retries.

    Args:
        delay_seconds: After the result.
        copies: 0 loses it, 2 and more duplicate it.
        gap_seconds: Between copies.
        before_answer: The callback is delivered before the push itself is answered.
        balance: The shape of `Balance`.
        phone_number: The shape of `PhoneNumber`.
        date_as_text: `TransactionDate` as text instead of a number.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    delay_seconds: float = 0.0
    copies: int = 1
    gap_seconds: float = 0.0
    before_answer: bool = False
    balance: BalanceItem = BalanceItem.NO_VALUE
    phone_number: PhoneItem = PhoneItem.NUMBER
    date_as_text: bool = False

    def __post_init__(self) -> None:
        _refuse_negative("callback", self.delay_seconds, self.copies, self.gap_seconds)


@dataclass(frozen=True, slots=True)
class QueryHandling:
    """What STK queries about the push answer.

    Args:
        first: One answer per query, in this order.
        then: Every answer after those.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    first: tuple[QueryAnswer | Fault, ...] = ()
    then: QueryAnswer | Fault = QueryAnswer.NORMAL

    def answer(self, asked_before: int) -> QueryAnswer | Fault:
        """The answer to a query after so many earlier ones."""
        return self.first[asked_before] if asked_before < len(self.first) else self.then


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The whole story of one push.

    Args:
        fault: The answer to the push where it is not an acceptance.
        goes_through: With a fault: the push is taken all the same, and only its answer is wrong or lost.
        answer_after_seconds: How long the push's answer takes.
        payer: What the person does.
        payer_after_seconds: How long after the prompt; the prompt's life still bounds it.
        result_code: With `Payer.RESULT`: any result code but success and "still processing".
        result_description: Its text, where Daraja's usual one will not do.
        callback: What becomes of the callback.
        query: What queries answer.
        late_success_after_seconds: A failure turns into a payment this long after, money permitting.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    fault: Fault | None = None
    goes_through: bool = False
    answer_after_seconds: float = 0.0
    payer: Payer = Payer.MANUAL
    payer_after_seconds: float = 0.0
    result_code: str = ""
    result_description: str = ""
    callback: CallbackHandling = CallbackHandling()
    query: QueryHandling = QueryHandling()
    late_success_after_seconds: float | None = None

    def __post_init__(self) -> None:
        _refuse_negative(
            "behaviour",
            self.answer_after_seconds,
            self.payer_after_seconds,
            self.late_success_after_seconds or 0.0,
        )
        chosen = self.result_code not in {"", PAID, STILL_PROCESSING}
        if (self.payer is Payer.RESULT) != chosen:
            raise InvalidError(
                "lab.result_code", 'payer "result" needs a failing result_code, and nothing else takes one.'
            )
        if self.goes_through and self.fault is None:
            raise InvalidError("lab.goes_through", "goes_through only says something beside a fault.")

    @property
    def accepted(self) -> bool:
        """Whether the push is taken, whatever its answer says."""
        return self.fault is None or self.goes_through

    @property
    def scripted_result(self) -> Result | None:
        """What the payer's act ends in, where that does not hang on the money."""
        if self.payer is Payer.RESULT:
            return Result.of(self.result_code, self.result_description)
        return result_of_act(self.payer)


def result_of_act(act: Payer) -> Result | None:
    """The failure an act ends in; None for the right PIN and for what is no act."""
    codes = {Payer.WRONG_PIN: WRONG_PIN, Payer.CANCEL: CANCELLED, Payer.NO_MONEY: NO_MONEY}
    return Result.of(codes[act]) if act in codes else None


@dataclass(slots=True)
class Script:
    """Which behaviour the next push meets: one queued for it, its phone's, or the default."""

    default: Behaviour
    of_phones: dict[str, Behaviour] = field(default_factory=dict)
    queued: deque[Behaviour] = field(default_factory=deque)

    def take(self, phone: str) -> Behaviour:
        """The behaviour for a push to that phone that has just come in."""
        if self.queued:
            return self.queued.popleft()
        return self.of_phones.get(phone, self.default)
