"""A customer picks a package: the purchase is written, then the phone is prompted, or the pay code shown."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.payments import EvidenceSource, Outcome, Reason, StkPush
from easyisp_edge.domain.purchases import (
    OFFERED_LIFE,
    PHONE_HOLD,
    Purchase,
    PurchaseState,
    first_query_at,
    first_recheck_at,
)
from easyisp_edge.errors import ConflictError, InvalidError, OutcomeUnknownError, RefusedError, UnavailableError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.services.money.limits import PushLimits, check_offer_limits, check_push_limits
from easyisp_edge.services.money.selling import Selling

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from easyisp_edge.domain.packages import PackageVersion, Service
    from easyisp_edge.domain.payments import PromptAccepted
    from easyisp_edge.domain.values import MacAddress, Msisdn
    from easyisp_edge.loops import Errands
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.money.shelf import Shelf
    from easyisp_edge.services.ports import PaymentGateway
    from easyisp_edge.store.store import Store, Tables

log = logging.getLogger(__name__)

# How long a customer's request waits for the gateway's answer; after it the page takes over.
ANSWER_WAIT_SECONDS = 8.0
# With hundreds of millions of codes and some hundred thousand purchases, even a second draw is rare.
_CODES_DRAWN_MAX = 16


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
        gateway: How to ask it; None where it has no API, and customers pay from the M-Pesa menu.
        callback_base: Where it is to call back, without the purchase's secret; no slash at the end.
    """

    gateway_id: str
    gateway: PaymentGateway | None
    callback_base: str

    @property
    def prompts(self) -> bool:
        """Whether it can prompt a phone."""
        return self.gateway is not None


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
        limits: How often phones are prompted at most, as configured now.
        selling: Whether anything is sold now.
    """

    store: Store
    clock: Clock
    identifiers: Identifiers
    shelf: Shelf
    door_for: Callable[[str, Service], GatewayDoor]
    pushes: Errands
    query_due: Callable[[], None]
    limits: Callable[[], PushLimits] = PushLimits
    selling: Selling = field(default_factory=Selling)

    async def start_purchase(self, order: Order, *, prompt: bool = True) -> Purchase:
        """Write the purchase, prompt the phone, and return the purchase as it stands then.

        The same order again gives the purchase that is there and prompts nobody. Waits some seconds for the
        gateway; where that takes longer the push goes on and the purchase is returned as intended.

        Where the gateway cannot prompt, or the customer wants no `prompt`, the purchase is offered: it waits for
        money that comes from the M-Pesa menu with its pay code. That is never refused for how often a phone was
        prompted, nor for a prompt that stands on it.

        Raises:
            InvalidError: The order's own id is malformed.
            NotFoundError: No such package, or no gateway for it.
            ConflictError: The phone has a prompt open for something else, or would be prompted too often; or far too
                much is ordered.
        """
        if order.purchase_id is not None and not is_secret(order.purchase_id):
            raise InvalidError("request.invalid", "The purchase key must be 32 hex digits.", field="key")
        self.selling.refuse_while_resting()
        version = self.shelf.version(order.tenant_id, order.package_id, order.router_id)
        door = self.door_for(order.tenant_id, version.package.service)
        gateway = door.gateway if prompt else None
        state = PurchaseState.OFFERED if gateway is None else PurchaseState.INTENDED
        wanted, token = self._intend(order, version, door.gateway_id, state), self.identifiers.secret()
        purchase, is_new = await self.store.write(lambda tx: self._find_or_write(tx, wanted, token))
        if gateway is None or not is_new:
            return purchase
        push = self._push(purchase, f"{door.callback_base}/c/{token}", gateway)
        pushing = self.pushes.begin(push, name=f"push {purchase.account_reference}")
        await asyncio.wait({pushing}, timeout=ANSWER_WAIT_SECONDS)
        return self.store.read.purchases.by_id(purchase.purchase_id) or purchase

    async def recover(self) -> None:
        """After a restart: a push whose answer was never noted may have been sent; it is not sent again."""
        await self.store.write(lambda tx: _forget_unanswered(tx, self.clock.now()))

    def _intend(self, order: Order, version: PackageVersion, gateway_id: str, state: PurchaseState) -> Purchase:
        now = self.clock.now()
        return Purchase(
            purchase_id=order.purchase_id or self.identifiers.secret(),
            tenant_id=order.tenant_id,
            package_version_id=version.version_id,
            service=version.package.service,
            gateway_id=gateway_id,
            phone=order.phone,
            amount=version.package.price,
            mac=order.mac,
            router_id=order.router_id,
            language=order.language,
            state=state,
            reason=None,
            result_description="",
            account_reference=self.identifiers.pay_code(),
            checkout_request_id=None,
            merchant_request_id=None,
            created_at=now,
            changed_at=now,
            query_at=None,
            queries=0,
        )

    def _find_or_write(self, tx: Tables, wanted: Purchase, token: str) -> tuple[Purchase, bool]:
        """The purchase that stands for it already, or the one written; and whether it is new."""
        found = _find(tx, wanted)
        if found is not None:
            return found, False
        if wanted.state is not PurchaseState.OFFERED:
            check_push_limits(tx, wanted, self.limits())
        else:
            check_offer_limits(tx, wanted)
        written = self._with_own_pay_code(tx, wanted)
        _write(tx, written, token)
        return written, True

    def _with_own_pay_code(self, tx: Tables, wanted: Purchase) -> Purchase:
        for _ in range(_CODES_DRAWN_MAX):
            if tx.purchases.by_account_reference(wanted.account_reference) is None:
                return wanted
            wanted = replace(wanted, account_reference=self.identifiers.pay_code())
        raise UnavailableError("purchase.no_pay_code", "No pay code was free just now; try again.")

    async def _push(self, purchase: Purchase, callback_url: str, gateway: PaymentGateway) -> None:
        push = StkPush(
            phone=purchase.phone,
            amount=purchase.amount,
            account_reference=purchase.account_reference,
            description="Internet",
            callback_url=callback_url,
        )
        try:
            accepted = await gateway.stk_push(push)
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


def _find(tx: Tables, wanted: Purchase) -> Purchase | None:
    """The purchase that stands for the wanted one: the same id, or the same order still open.

    Raises:
        ConflictError: The id, or the phone, stands for something else.
    """
    there = tx.purchases.by_id(wanted.purchase_id)
    if there is not None:
        if _same_order(there, wanted):
            return there
        raise ConflictError("purchase.changed", "This purchase was already started for something else; start anew.")
    if wanted.state is PurchaseState.OFFERED:
        # Only an offer: who asks for the pay code may have waited in vain for a prompt that stands open here.
        return tx.purchases.same_offer(wanted, wanted.created_at - OFFERED_LIFE)
    return _find_prompting(tx, wanted)


def _find_prompting(tx: Tables, wanted: Purchase) -> Purchase | None:
    for earlier in tx.purchases.of_phone_since(wanted.phone, wanted.created_at - PHONE_HOLD):
        held_until = earlier.holds_phone_until()
        if held_until is None or held_until <= wanted.created_at:
            continue
        if _same_order(earlier, wanted) and earlier.state.prompting:
            return earlier
        seconds = max(1, round((held_until - wanted.created_at) / timedelta(seconds=1)))
        raise ConflictError(
            "purchase.phone_busy",
            f"An M-Pesa prompt is already open on this phone. Finish or cancel it, or wait {seconds} seconds.",
            seconds=seconds,
        )
    return None


def _write(tx: Tables, purchase: Purchase, token: str) -> None:
    tx.purchases.add(purchase, token)
    tx.events.append(
        Stream.MONEY,
        "purchase.started",
        purchase.purchase_id,
        {
            "tenant": purchase.tenant_id,
            "gateway": purchase.gateway_id,
            "packageVersion": purchase.package_version_id,
            "amountCents": purchase.amount.cents,
            "phone": purchase.phone.digits,
            "mac": None if purchase.mac is None else purchase.mac.text,
            "account": purchase.account_reference,
            "state": purchase.state.value,
        },
    )


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
        mpesa_receipt_number=None,
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
        mpesa_receipt_number=None,
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
