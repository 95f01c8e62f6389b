"""A customer pastes a receipt: it is kept as a claim, looked for in the merchant's books, and then decided."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.claims import VISIBLE_WITHIN, Claim, ClaimState, Refusal
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.mpesa_messages import read_pasted
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.payments import EvidenceSource, Outcome
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.receipts import Plausibility, lookalikes, plausibility, receipt_day
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.services.money.booking import Buyer
from easyisp_edge.services.money.claiming import decide, give_back, refuse
from easyisp_edge.services.money.selling import Selling

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import PackageVersion
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.domain.values import MacAddress, Msisdn
    from easyisp_edge.services.money.judgement import Judge
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.money.shelf import Shelf
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

# How far back a merchant's list of transactions goes, in whole days.
LIST_DAYS = 2
_RECENT = timedelta(hours=48)
_FIRST_LOOK = timedelta(seconds=20)
_LOOKED_AT_MAX = 20
_ASKED_AGAIN_MAX = 3
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
# Access given on a receipt that cannot be looked up is a risk: it is given seldom, and to few at once.
PROVISIONAL_OPEN_MAX = 5
PROVISIONAL_PER_DAY_MAX = 20


class ClaimOrder(NamedTuple):
    """What a customer asks for.

    Args:
        claim_id: Made by the page and sent again with each retry; None to have one made.
        text: A receipt, or the whole message it came in.
        tenant_id: At whose site.
        package_id: What is wanted for it; None for whatever it pays for.
        phone: The number it was paid from, where the customer says so.
        mac: The device, where known.
        router_id: Behind which router it is, where known.
        language: In which the customer reads.
    """

    claim_id: str | None
    text: str
    tenant_id: str
    package_id: str | None
    phone: Msisdn | None
    mac: MacAddress | None
    router_id: str | None
    language: str


class ClaimRules(NamedTuple):
    """How many claims are taken, and what is given in advance.

    Args:
        per_device_hour: From one device.
        per_site_hour: From all together.
        provisional: Access given while M-Pesa cannot be asked; nought for none.
    """

    per_device_hour: int = 6
    per_site_hour: int = 120
    provisional: timedelta = timedelta(0)


class ClaimGateway(NamedTuple):
    """The gateway a claim's money should have come through.

    Args:
        gateway_id: Which.
        listed: Whether its list of transactions is read.
        cut_off: Whether M-Pesa cannot be asked at the moment.
    """

    gateway_id: str
    listed: bool
    cut_off: bool


@dataclass(frozen=True, slots=True)
class ClaimService:
    """Takes claims and follows them until they are decided.

    Args:
        settlement: How money is judged; its store and clock are used.
        shelf: What is on sale.
        gateway_of: The gateway that takes a tenant's hotspot payments.
        rules: The limits of a tenant.
        look: To be called when the merchant's books should be looked at now.
        selling: Whether anything is sold now.
    """

    settlement: SettlementService
    shelf: Shelf
    gateway_of: Callable[[str], ClaimGateway | None]
    rules: Callable[[str], ClaimRules]
    look: Callable[[], None]
    selling: Selling = field(default_factory=Selling)

    async def make(self, order: ClaimOrder) -> Claim:
        """Keep a claim and decide it where that can be done at once; the same again gives the one that is there.

        Raises:
            InvalidError: The text holds no usable receipt, or nobody can be given anything.
            NotFoundError: No such package, or no gateway.
            ConflictError: Too many claims from this device, or at this site.
        """
        if order.claim_id is not None and not is_secret(order.claim_id):
            raise InvalidError("request.invalid", "The claim key must be 32 hex digits.", field="key")
        if order.mac is None and order.phone is None:
            raise InvalidError("claim.who", "Tell the phone number it was paid from.", field="phone")
        self.selling.refuse_while_resting()
        gateway = self.gateway_of(order.tenant_id)
        if gateway is None:
            raise NotFoundError("gateway.missing", "M-Pesa payments are not set up for this service yet.")
        receipt, version = read_pasted(order.text).receipt, self._version(order)
        claim = await self.settlement.store.write(lambda tx: self._make(tx, order, receipt, version, gateway))
        self._follow_up(claim)
        return claim

    async def round(self) -> float | None:
        """Look at the claims that are due, or that a list read meanwhile decides; gives the seconds until the next."""
        store, clock = self.settlement.store, self.settlement.clock
        due = store.read.claims.due(clock.now(), _LOOKED_AT_MAX)
        provable = store.read.claims.provable(VISIBLE_WITHIN, _LOOKED_AT_MAX)
        for claim in {each.claim_id: each for each in due + provable}.values():
            gateway = self.gateway_of(claim.tenant_id)
            looked = await store.write(lambda tx, claim=claim, gateway=gateway: self._look_again(tx, claim, gateway))  # type: ignore[misc]
            self._follow_up(looked)
        next_at = store.read.claims.next_look_at()
        return None if next_at is None else max(0.0, (next_at - clock.now()).total_seconds())

    def _version(self, order: ClaimOrder) -> PackageVersion | None:
        if order.package_id is None:
            return None
        return self.shelf.version(order.tenant_id, order.package_id, order.router_id)

    def _follow_up(self, claim: Claim) -> None:
        log.info("claim on %s: %s %s", claim.mpesa_receipt_number, claim.state, claim.reason or "")
        if claim.state is ClaimState.VERIFYING:
            self.look()
        if claim.grant_id is not None or claim.provisional_grant_id is not None:
            self.settlement.granted(claim.tenant_id)

    def _make(
        self, tx: Tables, order: ClaimOrder, receipt: str, version: PackageVersion | None, gateway: ClaimGateway
    ) -> Claim:
        judge = self.settlement.judge(tx)
        typed, receipt = receipt, _known_reading(tx, order.tenant_id, receipt)
        there = self._there(tx, order, {typed, receipt})
        if there is not None:
            return there
        self._hold_to_limits(tx, order, judge.now)
        claim = self._write(judge, order, receipt, version, gateway)
        decided = decide(judge.books, judge.substitute.for_price, claim)
        if decided.state is not ClaimState.VERIFYING:
            return decided
        _ask_again(judge, claim)
        if gateway.listed and plausibility(receipt, judge.now, days_back=LIST_DAYS) is Plausibility.OLD:
            return refuse(judge.books, claim, Refusal.TOO_OLD)
        return self._provide(judge, claim, gateway)

    def _there(self, tx: Tables, order: ClaimOrder, readings: set[str]) -> Claim | None:
        """The claim this order repeats: by its key, or by the same person on the same receipt, still open."""
        there = None if order.claim_id is None else tx.claims.by_id(order.claim_id)
        if there is not None and there.tenant_id == order.tenant_id and there.mpesa_receipt_number in readings:
            return there
        for claim in (each for reading in readings for each in tx.claims.open_on(reading)):
            if (claim.tenant_id, claim.mac, claim.phone) == (order.tenant_id, order.mac, order.phone):
                return claim
        return None

    def _hold_to_limits(self, tx: Tables, order: ClaimOrder, now: datetime) -> None:
        rules, since = self.rules(order.tenant_id), now - _HOUR
        of_device = [] if order.mac is None else tx.claims.of_device_since(order.mac, since)
        if len(of_device) < rules.per_device_hour and tx.claims.count_since(since) < rules.per_site_hour:
            return
        # One more is taken when the oldest of as many as are allowed is an hour ago.
        full = len(of_device) >= rules.per_device_hour
        oldest = of_device[rules.per_device_hour - 1].created_at if full else now
        seconds = max(60, round((oldest + _HOUR - now).total_seconds()))
        raise ConflictError(
            "claim.limit",
            f"Too many receipts were tried from here. Ask the staff, or try again in {-(-seconds // 60)} minutes.",
            minutes=-(-seconds // 60),
        )

    def _write(
        self, judge: Judge, order: ClaimOrder, receipt: str, version: PackageVersion | None, gateway: ClaimGateway
    ) -> Claim:
        now = judge.now
        claim = Claim(
            claim_id=_new_key(judge, order),
            tenant_id=order.tenant_id,
            gateway_id=gateway.gateway_id,
            mpesa_receipt_number=receipt,
            package_version_id=None if version is None else version.version_id,
            phone=order.phone,
            mac=order.mac,
            router_id=order.router_id,
            language=order.language,
            state=ClaimState.VERIFYING,
            reason=None,
            grant_id=None,
            provisional_grant_id=None,
            customer_id=None,
            created_at=now,
            changed_at=now,
            look_at=now + _FIRST_LOOK,
            looks=0,
        )
        judge.tx.claims.add(claim)
        judge.tx.evidence.append(
            source=EvidenceSource.CLAIM,
            strong=False,
            purchase_id=None,
            mpesa_receipt_number=receipt,
            outcome=Outcome.UNKNOWN,
            verdict="look_up",
            raw=receipt.encode(),  # not the message: balances and names in it are nobody's business
            at=now,
        )
        data = {"receipt": receipt, "tenant": order.tenant_id, "mac": None if order.mac is None else order.mac.text}
        judge.tx.events.append(Stream.MONEY, "claim.made", claim.claim_id, data)
        return claim

    def _look_again(self, tx: Tables, claim: Claim, gateway: ClaimGateway | None) -> Claim:
        judge = self.settlement.judge(tx)
        standing = tx.claims.by_id(claim.claim_id)
        if standing is None or standing.state is not ClaimState.VERIFYING:
            return standing or claim
        meant = _known_reading(tx, claim.tenant_id, claim.mpesa_receipt_number)
        decided = decide(judge.books, judge.substitute.for_price, replace(standing, mpesa_receipt_number=meant))
        if decided.state is not ClaimState.VERIFYING:
            return decided
        settled_by = claim.created_at + VISIBLE_WITHIN
        listed = tx.gateways.swept_between(claim.gateway_id, settled_by, settled_by)
        if listed or gateway is None or not gateway.listed:
            own = _nameless_grant(judge, standing)
            if own is not None:  # most likely this very payment, proven by a query that tells no receipt
                return give_back(judge.books, standing, own)
        if listed:
            return refuse(judge.books, standing, Refusal.UNKNOWN_RECEIPT)
        look_at = standing.next_look_at(judge.now)
        if look_at is None:
            return refuse(judge.books, standing, Refusal.NOT_FOUND_IN_TIME)
        waiting = replace(standing, look_at=look_at, looks=standing.looks + 1)
        tx.claims.update(waiting)
        return waiting

    def _provide(self, judge: Judge, claim: Claim, gateway: ClaimGateway) -> Claim:
        """Give access in advance where the owner wants that, and nobody can be asked."""
        given = self.rules(claim.tenant_id).provisional
        if not given or not gateway.cut_off or not _is_of_today(claim.mpesa_receipt_number, judge.now):
            return claim
        version = self._version_for(judge, claim)
        if version is None or not _may_be_provided(judge.tx, claim, judge.now):
            return claim
        # A number that somebody typed proves nothing: with it the device could spend what is in that number's wallet.
        buyer = Buyer(claim.tenant_id, Service.HOTSPOT, claim.phone if claim.mac is None else None, claim.mac, None)
        grant = judge.books.provide(buyer, version, int(given.total_seconds()))
        provided = replace(claim, provisional_grant_id=grant.grant_id)
        judge.tx.claims.update(provided)
        return provided

    def _version_for(self, judge: Judge, claim: Claim) -> PackageVersion | None:
        if claim.package_version_id is not None:
            return judge.tx.packages.by_id(claim.package_version_id)
        offers = self.shelf.offers(claim.tenant_id, claim.router_id)
        return self.shelf.version(claim.tenant_id, offers[0].package_id, claim.router_id) if offers else None


def _known_reading(tx: Tables, tenant_id: str, receipt: str) -> str:
    """The receipt as typed, or as it was surely meant: where only a look-alike of it is known to the tenant's books."""
    if tx.payments.by_receipt(receipt) is None:
        for alike in lookalikes(receipt):
            payment = tx.payments.by_receipt(alike)
            if payment is not None and payment.tenant_id == tenant_id:
                return alike
    return receipt


def _new_key(judge: Judge, order: ClaimOrder) -> str:
    """The page's key; a new one where the page sends another receipt under the same."""
    if order.claim_id is None or judge.tx.claims.by_id(order.claim_id) is not None:
        return judge.identifiers.secret()
    return order.claim_id


def _is_of_today(receipt: str, now: datetime) -> bool:
    """Whether its letters say today, by Nairobi's midnight or by that of UTC: which one turns them is not known."""
    return receipt_day(receipt) in {now.astimezone(NAIROBI).date(), now.astimezone(UTC).date()}


def _ask_again(judge: Judge, claim: Claim) -> None:
    """Most often the callback of one's own push was lost: have those pushes asked about now."""
    unpaid = [
        each
        for each in _own_purchases(judge.tx, claim, judge.now)
        if each.state is not PurchaseState.PAID and each.checkout_request_id is not None
    ]
    for purchase in unpaid[:_ASKED_AGAIN_MAX]:
        judge.look_up(purchase)


def _own_purchases(tx: Tables, claim: Claim, now: datetime) -> list[Purchase]:
    found: dict[str, Purchase] = {}
    if claim.mac is not None:
        found |= {p.purchase_id: p for p in tx.purchases.recent_of_device(claim.tenant_id, claim.mac, now - _RECENT)}
    if claim.phone is not None:
        found |= {p.purchase_id: p for p in tx.purchases.of_phone_since(claim.phone, now - _RECENT)}
    return [purchase for purchase in found.values() if purchase.tenant_id == claim.tenant_id]


def _nameless_grant(judge: Judge, claim: Claim) -> Grant | None:
    """What the claimant's device bought, on the day the receipt says, with a payment whose receipt is not known.

    Not what the number bought that the claimant names: anybody could have it moved to a device of theirs.
    """
    tx, receipt = judge.tx, claim.mpesa_receipt_number
    if claim.mac is None:
        return None
    for purchase in tx.purchases.recent_of_device(claim.tenant_id, claim.mac, judge.now - _RECENT):
        when = plausibility(receipt, purchase.created_at, days_back=0)
        if when in {Plausibility.FITS, Plausibility.NO_DAY} and judge.books.nameless(purchase, purchase.amount):
            return tx.grants.by_purchase(purchase.purchase_id)
    return None


def _may_be_provided(tx: Tables, claim: Claim, now: datetime) -> bool:
    today = tx.claims.provisional_since(now - _DAY)
    theirs = [
        each
        for each in today
        if (claim.mac is not None and each.mac == claim.mac) or (claim.phone is not None and each.phone == claim.phone)
    ]
    waiting = [each for each in today if each.state is ClaimState.VERIFYING]
    return not theirs and len(waiting) < PROVISIONAL_OPEN_MAX and len(today) < PROVISIONAL_PER_DAY_MAX
