"""How Transaction Status behaves, as far as a script decides it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import ClassVar

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.daraja.faults import Fault


class StatusDelivery(enum.StrEnum):
    """What becomes of a result."""

    POSTED = "posted"
    LOST = "lost"
    TIMED_OUT = "timed-out"  # told to the address for that, without a result


@dataclass(frozen=True, slots=True)
class StatusHandling:
    """Transaction Status' manners.

    Args:
        initiator: The API operator who may ask.
        security_credential: What proves it; M-PESA's real one is an encrypted password.
        result_after_seconds: How late the result is posted.
        copies: How often.
        delivery: What becomes of it.
        knows_others: Whether it tells of payments to somebody else's short code.
        unknown_code: The result code for a receipt it does not know.
        codes_as_text: `ResultCode` and `ResultType` as text.
        dead_token: What a dead token is answered.
        fault: Answers every request, while set.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    initiator: str = "labapi"
    security_credential: str = field(default="bGFiLWNyZWRlbnRpYWw=", repr=False)
    result_after_seconds: float = 0.0
    copies: int = 1
    delivery: StatusDelivery = StatusDelivery.POSTED
    knows_others: bool = False
    unknown_code: str = "R000002"
    codes_as_text: bool = False
    dead_token: Fault = Fault.INVALID_ACCESS_400
    fault: Fault | None = None

    def __post_init__(self) -> None:
        if self.result_after_seconds < 0 or self.copies < 1:
            raise InvalidError("lab.status", "A result is posted once at least, and not before it is asked for.")
