"""Staff decide receipts that customers pasted and nobody else can tell about."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.claims import ClaimState, Refusal
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.payments import Disposition
from easyisp_edge.domain.receipts import parse_receipt
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.back_office.staff_desk import SeenMoney, booked_already, staff_record
from easyisp_edge.services.money.claiming import honour_claims, refuse
from easyisp_edge.services.money.judgement import Receiver

if TYPE_CHECKING:
    from easyisp_edge.domain.claims import Claim
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import PackageVersion
    from easyisp_edge.domain.payments import MoneyRecord
    from easyisp_edge.domain.values import Money
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

# Refused because nobody knew the money: staff who have seen it may know better. The rest stays refused.
_FOR_WANT_OF_NEWS = {Refusal.UNKNOWN_RECEIPT, Refusal.TOO_OLD, Refusal.NOT_FOUND_IN_TIME}


class ListedClaim(NamedTuple):
    """A claim with what it asks for.

    Args:
        claim: The claim.
        wanted: The package asked for, where one was.
    """

    claim: Claim
    wanted: PackageVersion | None


class DecidedClaim(NamedTuple):
    """A claim that staff decided.

    Args:
        claim: As it stands now.
        grant: What it led to, where to any.
    """

    claim: Claim
    grant: Grant | None


@dataclass(frozen=True, slots=True)
class ClaimsDesk:
    """What staff may do about claims.

    Args:
        settlement: How money is judged; its store is used.
        site: Who sells.
    """

    settlement: SettlementService
    site: Site

    async def claims(self, tenant_id: str | None, state: ClaimState, limit: int) -> list[ListedClaim]:
        """Claims in a state, newest first; of all tenants where none is named.

        Raises:
            NotFoundError: No such tenant.
        """
        config = self.site.config
        tenants = config.tenants if tenant_id is None else (config.tenant(tenant_id),)

        def look(tables: Tables) -> list[ListedClaim]:
            found = [claim for tenant in tenants for claim in tables.claims.in_state(tenant.id, state, limit)]
            newest = sorted(found, key=lambda claim: claim.created_at, reverse=True)[:limit]
            return [ListedClaim(claim, _wanted(tables, claim)) for claim in newest]

        return await self.settlement.store.survey(look)

    async def accept(self, key: str, amount: Money, by: str) -> DecidedClaim:
        """Enter a claim's receipt with the amount staff saw, so that the claim gets what it is worth.

        Args:
            key: The claim's id, or the receipt of one that is open.
            amount: What staff saw, not what the customer says.
            by: Who saw it.

        Raises:
            InvalidError: There is no amount.
            NotFoundError: No such claim.
            ConflictError: It is decided otherwise, another claimed the receipt before it, or the books say otherwise.
        """
        decided = await self.settlement.store.write(lambda tx: self._accept(tx, key, amount, by))
        self._tell(decided.claim, f"accepted by {by}")
        return decided

    async def refuse(self, key: str, by: str) -> DecidedClaim:
        """Refuse a claim, because no such money came.

        Args:
            key: The claim's id, or its receipt.
            by: Who looked.

        Raises:
            NotFoundError: No such claim.
            ConflictError: It is decided already.
        """
        claim = await self.settlement.store.write(lambda tx: self._refuse(tx, key, by))
        self._tell(claim, f"refused by {by}")
        return DecidedClaim(claim, None)

    # --- within one transaction

    def _accept(self, tx: Tables, key: str, amount: Money, by: str) -> DecidedClaim:
        claim = _reopened(tx, _by_key(tx, key))
        receipt = claim.mpesa_receipt_number
        if tx.claims.open_on(receipt)[0].claim_id != claim.claim_id:
            message = f"Somebody else claimed {receipt} before. Decide that claim first."
            raise ConflictError("claim.not_first", message)
        self._book(tx, Receiver(claim.tenant_id, claim.gateway_id), staff_record(SeenMoney(receipt, amount), by))
        decided = _by_id(tx, claim.claim_id)
        data = {"by": by, "receipt": receipt, "amountCents": amount.cents, "state": decided.state.value}
        tx.events.append(Stream.MONEY, "staff.claim_accepted", claim.claim_id, data)
        return DecidedClaim(decided, None if decided.grant_id is None else tx.grants.by_id(decided.grant_id))

    def _book(self, tx: Tables, receiver: Receiver, record: MoneyRecord) -> None:
        """Book the money, which decides the claim; where it came to be known meanwhile, what is booked decides it."""
        judge, booked = self.settlement.judge(tx), tx.payments.by_receipt(record.mpesa_receipt_number)
        if booked is None:
            judge.settle_record(receiver, record)
            return
        if booked.disposition is not Disposition.UNMATCHED or booked.tenant_id != receiver.tenant_id:
            raise booked_already(booked)
        if booked.amount != record.amount:
            message = f"{record.mpesa_receipt_number} is in the books with {booked.amount}, not {record.amount}."
            raise ConflictError("money.differs", message)
        honour_claims(judge.books, judge.substitute.for_price, record.mpesa_receipt_number)

    def _refuse(self, tx: Tables, key: str, by: str) -> Claim:
        claim = _by_key(tx, key)
        if claim.state is not ClaimState.VERIFYING:
            raise _decided(claim)
        refused = refuse(self.settlement.judge(tx).books, claim, Refusal.UNKNOWN_RECEIPT)
        data = {"by": by, "receipt": claim.mpesa_receipt_number}
        tx.events.append(Stream.MONEY, "staff.claim_refused", claim.claim_id, data)
        return refused

    def _tell(self, claim: Claim, what: str) -> None:
        log.info("claim on %s, %s: %s", claim.mpesa_receipt_number, what, claim.state)
        # Also where it was refused: access that was given in advance has ended.
        self.settlement.granted(claim.tenant_id)


def _by_id(tx: Tables, claim_id: str) -> Claim:
    claim = tx.claims.by_id(claim_id)
    if claim is None:
        raise NotFoundError("claim.unknown", f"There is no claim {claim_id!r:.40}.")
    return claim


def _by_key(tx: Tables, key: str) -> Claim:
    """A claim by its id, or the first open one on a receipt, as people type it."""
    try:
        waiting = tx.claims.open_on(parse_receipt(key))
    except InvalidError:
        return _by_id(tx, key)
    if not waiting:
        message = f"No open claim is on {key!r:.40}. One that was decided has to be named by its id."
        raise NotFoundError("claim.unknown", message)
    return waiting[0]


def _reopened(tx: Tables, claim: Claim) -> Claim:
    """The claim, open: also one that was refused because nobody knew the money."""
    if claim.state is ClaimState.VERIFYING:
        return claim
    if claim.reason not in _FOR_WANT_OF_NEWS:
        raise _decided(claim)
    reopened = replace(claim, state=ClaimState.VERIFYING, reason=None)
    tx.claims.update(reopened)
    return reopened


def _decided(claim: Claim) -> ConflictError:
    because = f" ({claim.reason})" if claim.reason is not None else ""
    message = f"This claim on {claim.mpesa_receipt_number} is decided already: {claim.state}{because}."
    return ConflictError("claim.decided", message, state=claim.state.value)


def _wanted(tables: Tables, claim: Claim) -> PackageVersion | None:
    return None if claim.package_version_id is None else tables.packages.by_id(claim.package_version_id)
