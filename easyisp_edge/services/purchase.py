"""A customer picks a package: the purchase is written, then the phone is prompted."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.payments import EvidenceSource, Outcome, Reason, StkPush
from easyisp_edge.domain.purchases import PHONE_HOLD, Purchase, PurchaseState, first_query_at, first_recheck_at
from easyisp_edge.errors import ConflictError, InvalidError, OutcomeUnknownError, RefusedError, UnavailableError
from easyisp_edge.services.identifiers import ACCOUNT_REFERENCE_LENGTH, is_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from easyisp_edge.domain.packages import PackageVersion, Service
    from easyisp_edge.domain.payments import PromptAccepted
    from easyisp_edge.domain.values import MacAddress, Msisdn
    from easyisp_edge.loops import Errands
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.ports import PaymentGateway
    from easyisp_edge.services.shelf import Shelf
    from easyisp_edge.store.store import Store, Tables

log = logging.getLogger(__name__)

# How long a customer's request waits for the gateway's answer; after it the page takes over.
ANSWER_WAIT_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer asks for.

    Args:
        purchase_id: Made by the page and sent again with each retry; None to have one made.
        tenant_id: Who sells.
        package_id: What.
        phone: Who pays.
        mac: The device it is for, where known.
        router_id: Behind which router the device is, where known.
        language: In which the customer reads.
    """

    purchase_id: str | None
    tenant_id: str
    package_id: str
    phone: Msisdn
    mac: MacAddress | None
    router_id: str | None
    language: str


@dataclass(frozen=True, slots=True)
class GatewayDoor:
    """A gateway, ready to use.

    Args:
        gateway_id: Its id in the configuration.
        gateway: How to ask it.
        callback_base: Where it is to call back, without the purchase's secret; no slash at the end.
    """

    gateway_id: str
    gateway: PaymentGateway
    callback_base: str


@dataclass(frozen=True, slots=True)
class PurchaseService:
    """Starts purchases.

    Args:
        store: The store.
        clock: Box time.
        identifiers: New ids.
        shelf: What is on sale.
        door_for: The gateway for a tenant's service; `NotFoundError` where there is none.
        pushes: Pushes go on when the customer's request is gone.
        query_due: To be called when a purchase may have become due for a query.
    """

    store: Store
    clock: Clock
    identifiers: Identifiers
    shelf: Shelf
    door_for: Callable[[str, Service], GatewayDoor]
    pushes: Errands
    query_due: Callable[[], None]

    async def start_purchase(self, order: Order) -> Purchase:
        """Write the purchase, prompt the phone, and return the purchase as it stands then.

        The same order again gives the purchase that is there and prompts nobody. Waits some seconds for the
        gateway; where that takes longer the push goes on and the purchase is returned as intended.

        Raises:
            InvalidError: The order's own id is malformed.
            NotFoundError: No such package, or no gateway for it.
            ConflictError: The phone has a prompt open for something else.
        """
        if order.purchase_id is not None and not is_secret(order.purchase_id):
            raise InvalidError("request.invalid", "The purchase key must be 32 hex digits.", field="key")
        version = self.shelf.version(order.tenant_id, order.package_id, order.router_id)
        door = self.door_for(order.tenant_id, version.package.service)
        wanted, token = self._intend(order, version, door), self.identifiers.secret()
        purchase = await self.store.write(lambda tx: _write_or_find(tx, wanted, token))
        if purchase is not wanted:
            return purchase
        pushing = self.pushes.begin(self._push(purchase, token, door), name=f"push {purchase.account_reference}")
        await asyncio.wait({pushing}, timeout=ANSWER_WAIT_SECONDS)
        return self.store.read.purchases.by_id(purchase.purchase_id) or purchase

    async def recover(self) -> None:
        """After a restart: a push whose answer was never noted may have been sent; it is not sent again."""
        await self.store.write(lambda tx: _forget_unanswered(tx, self.clock.now()))

    def _intend(self, order: Order, version: PackageVersion, door: GatewayDoor) -> Purchase:
        now = self.clock.now()
        return Purchase(
            purchase_id=order.purchase_id or self.identifiers.secret(),
            tenant_id=order.tenant_id,
            package_version_id=version.version_id,
            service=version.package.service,
            gateway_id=door.gateway_id,
            phone=order.phone,
            amount=version.package.price,
            mac=order.mac,
            router_id=order.router_id,
            language=order.language,
            state=PurchaseState.INTENDED,
            reason=None,
            result_description="",
            account_reference=self.identifiers.readable(ACCOUNT_REFERENCE_LENGTH),
            checkout_request_id=None,
            merchant_request_id=None,
            created_at=now,
            changed_at=now,
            query_at=None,
            queries=0,
        )

    async def _push(self, purchase: Purchase, token: str, door: GatewayDoor) -> None:
        push = StkPush(
            phone=purchase.phone,
            amount=purchase.amount,
            account_reference=purchase.account_reference,
            description="Internet",
            callback_url=f"{door.callback_base}/c/{token}",
        )
        try:
            accepted = await door.gateway.stk_push(push)
        except (RefusedError, UnavailableError, InvalidError, OutcomeUnknownError) as error:
            log.warning("push for %s: %s", purchase.account_reference, error)
            told = error  # Python forgets `error` at the end of this block
            await self._note(lambda tx: _note_not_accepted(tx, purchase.purchase_id, told, self.clock.now()))
        else:
            await self._note(lambda tx: _note_accepted(tx, purchase.purchase_id, accepted, self.clock.now()))
        self.query_due()

    async def _note(self, work: Callable[[Tables], None]) -> None:
        # A box whose disk is full must not lose the gateway's id of a prompt that stands on somebody's phone.
        for pause in (0.2, 1.0, 5.0, None):
            try:
                await self.store.write(work)
            except UnavailableError:
                if pause is None:
                    log.exception("the answer to a push could not be noted")
                    return
                await self.clock.sleep(pause)
            else:
                return


def _write_or_find(tx: Tables, wanted: Purchase, token: str) -> Purchase:
    """Write the purchase, or find the one that stands for it: the same id, or the same order still open."""
    there = tx.purchases.by_id(wanted.purchase_id)
    if there is not None:
        if _same_order(there, wanted):
            return there
        raise ConflictError("purchase.changed", "This purchase was already started for something else; start anew.")
    for earlier in tx.purchases.of_phone_since(wanted.phone, wanted.created_at - PHONE_HOLD):
        held_until = earlier.holds_phone_until()
        if held_until is None or held_until <= wanted.created_at:
            continue
        if _same_order(earlier, wanted) and earlier.state.open:
            return earlier
        seconds = max(1, round((held_until - wanted.created_at) / timedelta(seconds=1)))
        raise ConflictError(
            "purchase.phone_busy",
            f"An M-Pesa prompt is already open on this phone. Finish or cancel it, or wait {seconds} seconds.",
            seconds=seconds,
        )
    tx.purchases.add(wanted, token)
    tx.events.append(
        Stream.MONEY,
        "purchase.started",
        wanted.purchase_id,
        {
            "tenant": wanted.tenant_id,
            "gateway": wanted.gateway_id,
            "packageVersion": wanted.package_version_id,
            "amountCents": wanted.amount.cents,
            "phone": wanted.phone.digits,
            "mac": None if wanted.mac is None else wanted.mac.text,
            "account": wanted.account_reference,
        },
    )
    return wanted


def _same_order(one: Purchase, other: Purchase) -> bool:
    return (one.tenant_id, one.package_version_id, one.phone, one.mac) == (
        other.tenant_id,
        other.package_version_id,
        other.phone,
        other.mac,
    )


def _note_accepted(tx: Tables, purchase_id: str, accepted: PromptAccepted, now: datetime) -> None:
    purchase = _existing(tx, purchase_id)
    holder = tx.purchases.by_checkout_request_id(accepted.checkout_request_id)
    if holder is not None and holder.purchase_id != purchase_id:
        odd = OutcomeUnknownError("gateway.id_taken", "The gateway gave this push the id of an earlier one.")
        _note_not_accepted(tx, purchase_id, odd, now)
        return
    tx.evidence.append(
        source=EvidenceSource.STK_PUSH,
        strong=False,
        purchase_id=purchase_id,
        outcome=Outcome.UNKNOWN,
        verdict="accepted",
        raw=accepted.raw,
        at=now,
    )
    noted = replace(
        purchase,
        checkout_request_id=accepted.checkout_request_id,
        merchant_request_id=accepted.merchant_request_id,
    )
    # The callback may have overtaken this answer: then the purchase has moved on, and only the ids are new.
    if purchase.state in {PurchaseState.INTENDED, PurchaseState.UNKNOWN}:
        noted = replace(noted, state=PurchaseState.PROMPTED, changed_at=now, query_at=first_query_at(now))
        tx.events.append(
            Stream.MONEY, "purchase.prompted", purchase_id, {"checkoutRequestId": accepted.checkout_request_id}
        )
    elif purchase.state is PurchaseState.FAILED:
        noted = replace(noted, query_at=first_recheck_at(now))
    elif purchase.state is PurchaseState.EXPIRED:
        noted = replace(noted, query_at=first_query_at(now))
    tx.purchases.update(noted)


def _note_not_accepted(
    tx: Tables,
    purchase_id: str,
    error: RefusedError | UnavailableError | InvalidError | OutcomeUnknownError,
    now: datetime,
) -> None:
    purchase = _existing(tx, purchase_id)
    if purchase.state is not PurchaseState.INTENDED:
        return
    if isinstance(error, OutcomeUnknownError):
        noted, kind = replace(purchase, state=PurchaseState.UNKNOWN, changed_at=now), "purchase.unknown"
    else:
        noted = replace(purchase, state=PurchaseState.FAILED, reason=_reason(error), changed_at=now)
        kind = "purchase.failed"
    tx.purchases.update(replace(noted, result_description=error.message))
    tx.evidence.append(
        source=EvidenceSource.STK_PUSH,
        strong=False,
        purchase_id=purchase_id,
        outcome=Outcome.UNKNOWN,
        verdict=noted.state.value,
        raw=error.message.encode(),
        at=now,
    )
    tx.events.append(Stream.MONEY, kind, purchase_id, {"reason": noted.reason, "message": error.message})


def _reason(error: RefusedError | UnavailableError | InvalidError) -> Reason:
    if isinstance(error, RefusedError) and error.code in set(Reason):
        return Reason(error.code)
    if isinstance(error, UnavailableError):
        return Reason.BUSY if error.code == Reason.BUSY else Reason.UNREACHABLE
    return Reason.CONFIGURATION


def _forget_unanswered(tx: Tables, now: datetime) -> None:
    for purchase in tx.purchases.open_since_before(now + timedelta(seconds=1)):
        if purchase.state is PurchaseState.INTENDED:
            tx.purchases.update(replace(purchase, state=PurchaseState.UNKNOWN, changed_at=now))
            tx.events.append(Stream.MONEY, "purchase.unknown", purchase.purchase_id, {"reason": "restart"})


def _existing(tx: Tables, purchase_id: str) -> Purchase:
    purchase = tx.purchases.by_id(purchase_id)
    if purchase is None:  # rows are never deleted
        raise LookupError(purchase_id)
    return purchase
