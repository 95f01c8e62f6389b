"""Transaction Status: asking what became of a receipt. The answer is posted, so only a party with an address asks.

The initiator's credential can do more than ask: it belongs to a hub and never to a box.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from easyisp_edge.adapters.daraja.answers import fields_of, senseless
from easyisp_edge.adapters.daraja.json_values import (
    BODY_OCTETS_MAX,
    as_code,
    as_identifier,
    as_instant,
    as_money,
    as_receipt,
    as_text,
    fold,
    folded,
    read_json_object,
)
from easyisp_edge.adapters.daraja.push_rules import check_address
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import RAW_OCTETS_MAX, EvidenceSource, MoneyRecord, Reason
from easyisp_edge.errors import InvalidError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic import SecretStr

    from easyisp_edge.adapters.daraja.app import DarajaApp
    from easyisp_edge.adapters.daraja.exchange import WireAnswer

TRANSACTION_STATUS_PATH: Final = "/mpesa/transactionstatus/v1/query"

_PRODUCT = "Transaction Status"
_DONE = "0"
_UNKNOWN_TRANSACTION = "R000002"
# The initiator's name, password or rights are wrong, or it is locked.
_INITIATOR_REFUSED = frozenset({"18", "20", "21", "22", "2001", "8006"})
_COMPLETED = "completed"
_CAME_TO_NOTHING = frozenset({"cancelled", "canceled", "declined", "expired"})
_PARTY = re.compile(r"\s*([0-9*xX\u2022+]{3,20})(?:\s*-.*)?", re.DOTALL)
_DIGITS = re.compile(r"[0-9]{3,10}", re.ASCII)


class IdentifierType(enum.StrEnum):
    """What kind of number an organisation asks as. Values are the wire's."""

    TILL = "2"
    SHORT_CODE = "4"


@dataclass(frozen=True, slots=True)
class Initiator:
    """On whose authority is asked.

    Args:
        name: Of the API operator.
        security_credential: The operator's password, encrypted for M-Pesa, in base64.
        short_code: Of the organisation.
        identifier_type: What kind of number that is.
    """

    name: str
    security_credential: SecretStr
    short_code: str
    identifier_type: IdentifierType = IdentifierType.SHORT_CODE


async def ask_transaction_status(
    app: DarajaApp, initiator: Initiator, receipt: str, *, result_url: str, timeout_url: str
) -> str:
    """Have the status of a receipt posted to an address; gives the id of the conversation.

    Args:
        app: To call with.
        initiator: On whose authority.
        receipt: In capitals.
        result_url: Where the result is to be posted.
        timeout_url: Where it is to be posted that there was none in time.

    Raises:
        InvalidError: An address breaks Safaricom's rules; nothing was sent.
        UnavailableError: It was not taken, or nothing tells whether it was; asking again does no harm.
        RefusedError: Asking is refused; an operator must look.

    Source: Daraja, Transaction Status, request parameters.
    """
    check_address("result_url", result_url)
    check_address("timeout_url", timeout_url)
    body: dict[str, str | int] = {
        "Initiator": initiator.name,
        "SecurityCredential": initiator.security_credential.get_secret_value().strip(),
        "CommandID": "TransactionStatusQuery",
        "TransactionID": receipt,
        "PartyA": initiator.short_code,
        "IdentifierType": initiator.identifier_type.value,
        "ResultURL": result_url,
        "QueueTimeOutURL": timeout_url,
        "Remarks": "Receipt look-up",
        "Occasion": "Receipt look-up",
    }
    return _conversation_id(await app.ask(TRANSACTION_STATUS_PATH, lambda _instant: body))


def _conversation_id(answer: WireAnswer) -> str:
    told = folded(fields_of(answer, _PRODUCT))
    code = as_code(told.get("responsecode"))
    if not code:
        raise senseless(answer)
    if code.strip("0"):
        raise RefusedError(Reason.CONFIGURATION, f"M-Pesa does not look the receipt up. ({answer})")
    return as_identifier(told.get("conversationid"))


class Finding(NamedTuple):
    """What is known of a receipt.

    Args:
        found: Whether it is money that came in here; None where that stays open.
        record: The money, where it did.
        refused: Whether the initiator may not ask; more tries would lock it.
    """

    found: bool | None
    record: MoneyRecord | None = None
    refused: bool = False


def parse_status_result(body: bytes, receipt: str, receivers: Collection[str]) -> Finding:
    """Read what Daraja posted about a receipt.

    Only a completed payment of that receipt to one of the numbers is found. What is in doubt stays open: another
    receipt than was asked for, no receiver, an amount that cannot be read, a failure of the look-up itself.

    Args:
        body: The request's body as it came.
        receipt: That was asked for, in capitals.
        receivers: The numbers whose money counts.

    Raises:
        InvalidError: It is no result.

    Source: Daraja, Transaction Status, result parameters.
    """
    fields = read_json_object(body) if len(body) <= BODY_OCTETS_MAX else None
    result = folded(fields or {}).get("result")
    if not isinstance(result, dict):
        raise InvalidError("daraja.result_unreadable", "This is no result of a look-up.")
    told = folded(result)
    code = as_code(told.get("resultcode"))
    if code != _DONE:
        found = False if code == _UNKNOWN_TRANSACTION else None
        return Finding(found, refused=code in _INITIATOR_REFUSED)
    return _finding(_parameters(told.get("resultparameters")), body, receipt, receivers)


def _finding(told: Mapping[str, Any], body: bytes, receipt: str, receivers: Collection[str]) -> Finding:
    if as_receipt(told.get("receiptno")) != receipt:
        return Finding(None)
    status = as_text(told.get("transactionstatus")).casefold()
    if status in _CAME_TO_NOTHING:
        return Finding(found=False)
    receiver, amount = _number(told.get("creditpartyname")), as_money(told.get("amount"))
    if status != _COMPLETED or not receiver or amount is None or not amount.cents:
        return Finding(None)
    if receiver not in receivers:
        return Finding(found=False)
    record = MoneyRecord(
        source=EvidenceSource.CENTRAL,
        mpesa_receipt_number=receipt,
        amount=amount,
        account="",  # this look-up does not tell it
        payer=Payer.read(_party(told.get("debitpartyname"))),
        paid_at=as_instant(told.get("finalisedtime")) or as_instant(told.get("initiatedtime")),
        raw=body[:RAW_OCTETS_MAX],
    )
    return Finding(found=True, record=record)


def _parameters(parameters: object) -> dict[str, Any]:
    """The values by name, the first of each; one parameter may stand without a list around it."""
    held = folded(parameters).get("resultparameter") if isinstance(parameters, dict) else None
    found: dict[str, Any] = {}
    for item in held if isinstance(held, list) else [held]:
        told = folded(item) if isinstance(item, dict) else {}
        if told.get("value") is not None:
            found.setdefault(fold(as_text(told.get("key"))), told["value"])
    return found


def _party(value: object) -> str:
    """The number in `254708374149 - JOHN DOE`."""
    found = _PARTY.fullmatch(as_text(value))
    return found[1] if found else ""


def _number(value: object) -> str:
    party = _party(value)
    return party if _DIGITS.fullmatch(party) else ""
