"""How the C2B side behaves: registrations, and what becomes of notifications."""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import ClassVar

from easyisp_edge.errors import InvalidError, NotFoundError
from easyisp_edge.lab.daraja.faults import Fault


class C2bVersion(enum.StrEnum):
    """Decides how a notification tells who paid."""

    V1 = "v1"  # the SHA-256 of the number
    V2 = "v2"  # the number, masked


class ResponseType(enum.StrEnum):
    """What M-Pesa does with a payment whose validation was not answered in time."""

    COMPLETED = "Completed"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True)
class NoticeHandling:
    """What becomes of one confirmation. Each copy is tried once; there are no retries.

    Args:
        delay_seconds: After the payment.
        copies: 0 loses it, 2 and more duplicate it.
        gap_seconds: Between copies.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    delay_seconds: float = 0.0
    copies: int = 1
    gap_seconds: float = 0.0

    def __post_init__(self) -> None:
        if min(self.delay_seconds, self.copies, self.gap_seconds) < 0:
            raise InvalidError("lab.notice", "Seconds and counts cannot be negative.")


@dataclass(frozen=True, slots=True)
class C2bHandling:
    """The manners of the C2B API.

    Args:
        once_per_short_code: As in production: a second registration is refused.
        validates: Safaricom has switched validation on: payments from the menu are asked about first.
        validation_limit_seconds: Then the registered ResponseType decides.
        notice: Of every confirmation nothing else is chosen for.
        till_type: `TransactionType` of a till's notifications: `Buy Goods`, or `Customer Merchant Payment`.
        dense_mask: `25470****149` instead of `2547 ***** 126`.
        correct_key: `OriginatorConversationID` in the registration's answer, which really lacks an n.
        small_success: `success` in its description.
        dead_token: What a dead token is answered.
        fault: Answers every registration, while set.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    once_per_short_code: bool = False
    validates: bool = False
    validation_limit_seconds: float = 8.0
    notice: NoticeHandling = NoticeHandling()
    till_type: str = "Buy Goods"
    dense_mask: bool = False
    correct_key: bool = False
    small_success: bool = False
    dead_token: Fault = Fault.INVALID_ACCESS_400
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class RegisteredUrls:
    """Where a short code's notifications go."""

    short_code: str
    version: C2bVersion
    response_type: ResponseType
    confirmation_url: str
    validation_url: str


class C2bRegister:
    """Who is told, and how; shared by the API that registers and the notices that use it."""

    def __init__(self, handling: C2bHandling) -> None:
        self.handling = handling
        self.urls: dict[str, RegisteredUrls] = {}  # by short code
        self.next_notices: deque[NoticeHandling] = deque()

    def take_notice(self) -> NoticeHandling:
        """What becomes of the confirmation of a payment just made."""
        return self.next_notices.popleft() if self.next_notices else self.handling.notice

    def forget(self, short_code: str) -> None:
        """Take a short code's addresses out, as its owner does in the portal.

        Raises:
            NotFoundError: It has none.
        """
        if self.urls.pop(short_code, None) is None:
            raise NotFoundError("lab.c2b_urls", f"{short_code!r:.40} has no addresses registered.")
