"""What a claim on a receipt leads to, given what the books know of the money: within one transaction.

The customer's word is only the key. What a receipt buys, gives back or is refused is decided by the payment it
belongs to, once somebody on the merchant's side has told of that payment.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from easyisp_edge.domain.claims import ClaimState, Refusal
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.payments import Disposition
from easyisp_edge.domain.purchases import CLOCKS_DIFFER, PAID_WITHIN
from easyisp_edge.services.access.grant_life import follow
from easyisp_edge.services.money.booking import Advance, Buyer
from easyisp_edge.services.money.corrections import merge

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.domain.claims import Claim
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import PackageVersion
    from easyisp_edge.domain.payments import Payment
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.domain.values import Money
    from easyisp_edge.services.money.booking import Bookkeeper

    ForPrice = Callable[[str, Service, str | None, Money], PackageVersion | None]


def honour_claims(books: Bookkeeper, for_price: ForPrice, mpesa_receipt_number: str) -> None:
    """Decide all claims that wait for a receipt, first come first; those that must go on waiting stay."""
    for claim in books.tx.claims.open_on(mpesa_receipt_number):
        decide(books, for_price, claim)


def decide(books: Bookkeeper, for_price: ForPrice, claim: Claim) -> Claim:
    """Decide a claim by the payment its receipt belongs to; as it was where nobody knows that payment yet."""
    payment = books.tx.payments.by_receipt(claim.mpesa_receipt_number)
    if payment is None:
        return claim
    if payment.tenant_id != claim.tenant_id:
        return refuse(books, claim, Refusal.UNKNOWN_RECEIPT)
    if payment.disposition is Disposition.UNMATCHED:
        return _take(books, for_price, claim, payment)
    if payment.disposition is Disposition.REFUNDED:
        return refuse(books, claim, Refusal.REFUNDED)
    if not _is_theirs(books, claim, payment):
        return refuse(books, claim, Refusal.USED)
    grant = books.tx.grants.by_payment(payment.payment_id)
    return _spend(books, for_price, claim, payment) if grant is None else give_back(books, claim, grant)


def refuse(books: Bookkeeper, claim: Claim, reason: Refusal) -> Claim:
    """Say no, for good; what was given in advance ends."""
    return _close(books, claim, ClaimState.REFUSED, reason=reason)


def give_back(books: Bookkeeper, claim: Claim, grant: Grant) -> Claim:
    """Let the claimant use what the money bought before, on the device it is claimed from."""
    other = claim.mac is not None and grant.mac is not None and claim.mac != grant.mac
    if claim.mac is not None and other and grant.state is not GrantState.ENDED:
        follow(books.tx, grant, claim.mac, books.now, claim=claim.claim_id)
    return _close(books, claim, ClaimState.GIVEN_BACK, grant_id=grant.grant_id, customer_id=grant.customer_id)


def _take(books: Bookkeeper, for_price: ForPrice, claim: Claim, payment: Payment) -> Claim:
    """The money was nobody's: it is the first claimant's."""
    if payment.purchase_id is not None:
        return _take_kept(books, for_price, claim, payment)
    purchase = _own_purchase(books, claim, payment)
    if purchase is not None:
        return give_back(books, claim, _answered(books, purchase, payment))
    buyer = _claimant(claim, payment)
    if buyer.phone is None and buyer.mac is None:
        return claim  # there is nobody it could be booked for
    version = _wanted(books, for_price, claim, payment.amount)
    if version is not None and payment.amount >= version.package.price:
        _, grant = books.sell(payment, buyer, version, advance=_given(books, claim))
        return _close(books, claim, ClaimState.GRANTED, grant_id=grant.grant_id, customer_id=grant.customer_id)
    return _spend(books, for_price, claim, books.credit(payment, buyer))


def _take_kept(books: Bookkeeper, for_price: ForPrice, claim: Claim, payment: Payment) -> Claim:
    """It came for a purchase and did not fit: its buyer has it as credit, so that what does fit still buys that."""
    purchase = None if payment.purchase_id is None else books.tx.purchases.by_id(payment.purchase_id)
    if purchase is None or not _is_theirs(books, claim, payment):
        return refuse(books, claim, Refusal.USED)
    return _spend(books, for_price, claim, books.credit(payment, Buyer.of(purchase)))


def _own_purchase(books: Bookkeeper, claim: Claim, payment: Payment) -> Purchase | None:
    """The purchase of the claimant's device that this money must have been paid for; else it would buy twice."""
    if claim.mac is None:
        return None
    since, paid_by = payment.created_at - PAID_WITHIN, payment.created_at + CLOCKS_DIFFER
    fitting = [
        each
        for each in books.tx.purchases.recent_of_device(claim.tenant_id, claim.mac, since)
        if (each.gateway_id, each.amount) == (payment.gateway_id, payment.amount) and each.created_at <= paid_by
    ]
    proven = next((each for each in fitting if books.nameless(each, payment.amount) is not None), None)
    return proven or next((each for each in fitting if _still_wanted(books, claim, each)), None)


def _still_wanted(books: Bookkeeper, claim: Claim, purchase: Purchase) -> bool:
    if books.tx.grants.by_purchase(purchase.purchase_id) is not None:
        return False
    return claim.package_version_id in {None, purchase.package_version_id}


def _answered(books: Bookkeeper, purchase: Purchase, payment: Payment) -> Grant:
    """What a purchase was answered with, now that this money is known to be for it."""
    nameless = books.nameless(purchase, payment.amount)
    if nameless is not None:
        merge(books, nameless, payment)
    else:
        books.sell(payment, Buyer.of(purchase), books.tx.packages.by_id(purchase.package_version_id))
        books.close(purchase)
    grant = books.tx.grants.by_purchase(purchase.purchase_id)
    if grant is None:  # what is paid has one
        raise LookupError(purchase.purchase_id)
    return grant


def _spend(books: Bookkeeper, for_price: ForPrice, claim: Claim, payment: Payment) -> Claim:
    """The money is in the claimant's wallet: buy what is wanted, where that suffices."""
    customer_id = payment.customer_id
    if customer_id is None:  # what is in a wallet is somebody's
        raise LookupError(payment.payment_id)
    version = _wanted(books, for_price, claim, payment.amount)
    buyer = _claimant(claim, payment)
    own = buyer.spends and _is_known_on(books, claim, customer_id)
    if version is None or not (own or payment.amount >= version.package.price):
        return _close(books, claim, ClaimState.CREDITED, customer_id=customer_id)
    grant = books.sell_from_wallet(customer_id, buyer, version, advance=_given(books, claim))
    if grant is None:
        return _close(books, claim, ClaimState.CREDITED, customer_id=customer_id)
    return _close(books, claim, ClaimState.GRANTED, grant_id=grant.grant_id, customer_id=customer_id)


def _claimant(claim: Claim, payment: Payment) -> Buyer:
    """Who gets what a claim leads to: known by the number it was paid from, else by the device.

    The number a customer types proves nothing: it stands only where there is no device to know the customer by.
    """
    phone = payment.phone or (claim.phone if claim.mac is None else None)
    return Buyer(claim.tenant_id, Service.HOTSPOT, phone, claim.mac, None, proven=payment.phone is not None)


def _is_known_on(books: Bookkeeper, claim: Claim, customer_id: str) -> bool:
    """Whether the claimant's device is one the customer has paid from."""
    return claim.mac is not None and claim.mac == books.tx.customers.mac_of(customer_id)


def _wanted(books: Bookkeeper, for_price: ForPrice, claim: Claim, amount: Money) -> PackageVersion | None:
    if claim.package_version_id is not None:
        return books.tx.packages.by_id(claim.package_version_id)
    return for_price(claim.tenant_id, Service.HOTSPOT, claim.router_id, amount)


def _is_theirs(books: Bookkeeper, claim: Claim, payment: Payment) -> bool:
    """Whether the claimant is who the payment is booked for: by the device, or by the number it was paid from."""
    grant = books.tx.grants.by_payment(payment.payment_id)
    purchase = None if payment.purchase_id is None else books.tx.purchases.by_id(payment.purchase_id)
    macs = {None if grant is None else grant.mac, None if purchase is None else purchase.mac}
    phones = {payment.phone, None if purchase is None else purchase.phone}
    if payment.customer_id is not None:
        phones.add(books.tx.customers.phone_of(payment.customer_id))
        macs.add(books.tx.customers.mac_of(payment.customer_id))
    return (claim.mac is not None and claim.mac in macs) or (claim.phone is not None and claim.phone in phones)


def _given(books: Bookkeeper, claim: Claim) -> Advance:
    """What a claimant has had by what was given in advance."""
    given = None if claim.provisional_grant_id is None else books.tx.grants.by_id(claim.provisional_grant_id)
    if given is None or given.started_at is None:
        return Advance()
    until = books.now if given.ends_at is None else min(books.now, given.ends_at)
    seconds = max(0, math.floor((until - given.started_at).total_seconds()))
    return Advance(seconds, given.seconds_used, given.octets_used)


def _close(
    books: Bookkeeper,
    claim: Claim,
    state: ClaimState,
    *,
    reason: Refusal | None = None,
    grant_id: str | None = None,
    customer_id: str | None = None,
) -> Claim:
    closed = replace(
        claim,
        state=state,
        reason=reason,
        grant_id=grant_id,
        customer_id=customer_id,
        changed_at=books.now,
        look_at=None,
    )
    books.tx.claims.update(closed)
    _end_provisional(books, claim)
    data = {"receipt": claim.mpesa_receipt_number, "state": state.value, "reason": reason, "grant": grant_id}
    books.tx.events.append(Stream.MONEY, "claim.decided", claim.claim_id, data)
    return closed


def _end_provisional(books: Bookkeeper, claim: Claim) -> None:
    given = None if claim.provisional_grant_id is None else books.tx.grants.by_id(claim.provisional_grant_id)
    if given is not None:
        books.end(given, "decided")
