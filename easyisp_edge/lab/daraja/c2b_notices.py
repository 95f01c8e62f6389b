"""C2B notifications: the one body that validation and confirmation share, and its delivery.

Source: Daraja, Customer To Business, validation and confirmation.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.c2b_handling import C2bVersion, ResponseType
from easyisp_edge.lab.daraja.ledger import NoticeSent
from easyisp_edge.lab.daraja.nairobi import compact
from easyisp_edge.lab.daraja.receivers import ReceiverKind

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.lab.daraja.background import Background
    from easyisp_edge.lab.daraja.c2b_handling import C2bHandling, C2bRegister, NoticeHandling, RegisteredUrls
    from easyisp_edge.lab.daraja.courier import Courier, Delivery
    from easyisp_edge.lab.daraja.ledger import Debit, Ledger, Payment
    from easyisp_edge.lab.daraja.subscribers import Subscribers
    from easyisp_edge.machine import Clock

_OK = 200
_BILL_REFERENCE_LENGTH_MAX = 20


class Said(enum.Enum):
    """How a validation ended."""

    YES = "yes"
    NO = "no"
    NOTHING = "nothing"  # no answer in time, or none that can be read


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a payment may go ahead, and what its confirmation must echo."""

    goes_ahead: bool
    third_party_id: str = ""


GO_AHEAD = Verdict(goes_ahead=True)


class C2bNotices:
    """Asks and tells the registered addresses.

    Args:
        clock: For delays, limits and times.
        ledger: Where each try is recorded.
        courier: Carries them.
        background: Owns deliveries under way.
        register: Whom to tell, and how.
        subscribers: For the payer's first name.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ledger: Ledger,
        courier: Courier,
        background: Background,
        register: C2bRegister,
        subscribers: Subscribers,
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self._courier = courier
        self._background = background
        self._register = register
        self._subscribers = subscribers

    def confirm(self, debit: Debit, third_party_id: str = "") -> None:
        """Tell of the payment, where its short code has addresses; delivery goes on in the background."""
        urls = self._register.urls.get(debit.receiver.short_code)
        if urls is None:
            return
        fields = self._fields(urls, debit, debit.receipt, debit.at)
        fields["OrgAccountBalance"] = f"{debit.receiver_balance_shillings}.00"
        fields["ThirdPartyTransID"] = third_party_id
        self._background.start(
            self._deliver(self._register.take_notice(), debit.receipt, urls.confirmation_url, json.dumps(fields)),
            name=f"notice {debit.receipt}",
        )

    async def validate(self, payment: Payment, receipt: str) -> Verdict:
        """Ask whether the payment may go ahead; without validation it may."""
        urls = self._register.urls.get(payment.receiver.short_code)
        if urls is None or not self._register.handling.validates:
            return GO_AHEAD
        body = json.dumps(self._fields(urls, payment, receipt, self._clock.now()))
        delivery = await self._in_time(receipt, urls.validation_url, body)
        said, third_party_id = _read_validation(delivery)
        if said is Said.NOTHING:
            return Verdict(goes_ahead=urls.response_type is ResponseType.COMPLETED)
        return Verdict(goes_ahead=said is Said.YES, third_party_id=third_party_id)

    async def _deliver(self, handling: NoticeHandling, receipt: str, url: str, body: str) -> None:
        await self._clock.sleep(handling.delay_seconds)
        for copy in range(handling.copies):
            if copy:
                await self._clock.sleep(handling.gap_seconds)
            await self._send("confirmation", receipt, url, body)

    async def _in_time(self, receipt: str, url: str, body: str) -> Delivery | None:
        async with asyncio.TaskGroup() as group:
            limit = group.create_task(self._clock.sleep(self._register.handling.validation_limit_seconds))
            asking = group.create_task(self._send("validation", receipt, url, body))
            await asyncio.wait({limit, asking}, return_when=asyncio.FIRST_COMPLETED)
            answered = asking.done()
            limit.cancel()
            asking.cancel()
        if answered:
            return asking.result()
        late = NoticeSent("validation", receipt, url, body, self._clock.now(), None, error="no answer in time")
        self._ledger.notices.append(late)
        return None

    async def _send(self, kind: str, receipt: str, url: str, body: str) -> Delivery:
        at = self._clock.now()
        delivery = await self._courier.post(url, body)
        sent = NoticeSent(kind, receipt, url, body, at, delivery.status, delivery.answer, delivery.error)
        self._ledger.notices.append(sent)
        return delivery

    def _fields(self, urls: RegisteredUrls, paid: Payment | Debit, receipt: str, at: datetime) -> dict[str, str]:
        by_account = paid.receiver.kind is ReceiverKind.PAYBILL
        handling = self._register.handling
        return {
            "TransactionType": "Pay Bill" if by_account else handling.till_type,
            "TransID": receipt,
            "TransTime": compact(at),
            "TransAmount": f"{paid.shillings}.00",
            "BusinessShortCode": urls.short_code,
            "BillRefNumber": paid.account_reference[:_BILL_REFERENCE_LENGTH_MAX] if by_account else "",
            "InvoiceNumber": "",
            "OrgAccountBalance": "",
            "ThirdPartyTransID": "",
            "MSISDN": _msisdn(paid.phone, urls.version, handling),
            "FirstName": self._subscribers.name_of(paid.phone).split(" ")[0],
            "MiddleName": "",
            "LastName": "",
        }


def _msisdn(phone: str, version: C2bVersion, handling: C2bHandling) -> str:
    if version is C2bVersion.V1:
        return hashlib.sha256(phone.encode()).hexdigest()
    return f"{phone[:5]}****{phone[-3:]}" if handling.dense_mask else f"{phone[:4]} ***** {phone[-3:]}"


def _read_validation(delivery: Delivery | None) -> tuple[Said, str]:
    if delivery is None or delivery.status != _OK:
        return Said.NOTHING, ""
    try:
        answer = json.loads(delivery.answer)
    except (ValueError, RecursionError):
        return Said.NOTHING, ""
    if not isinstance(answer, dict) or "ResultCode" not in answer:
        return Said.NOTHING, ""
    said = Said.YES if str(answer["ResultCode"]).strip() == "0" else Said.NO
    return said, str(answer.get("ThirdPartyTransID") or "")
