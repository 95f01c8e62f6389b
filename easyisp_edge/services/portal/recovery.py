"""Who has paid and is not online finds the way back: by number or pay code, and with what was bought on a new device.

Neither a number nor a pay code is a secret, and nor is a device's address: they only have asked about, and put right,
what the very device that names them has bought. Whoever holds the secret of a purchase may take it along.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.errors import ConflictError, NotFoundError
from easyisp_edge.services.access.grant_life import follow

if TYPE_CHECKING:
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.domain.values import MacAddress, Msisdn
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.store.store import Tables

# How far back somebody looks who asks what became of a payment: as far as M-Pesa shows its own.
_RECENT = timedelta(hours=48)
_ASKED_AGAIN_MAX = 3


class Trace(enum.StrEnum):
    """What there is of a device's purchases. Values name texts."""

    NONE = "none"  # or of another device, which is the same to whoever asks
    OVER = "over"  # bought, and used up
    OPEN = "open"  # being paid, or paid and usable


@dataclass(frozen=True, slots=True)
class RecoveryService:
    """Finds what a device has bought, and has it asked about and put right.

    Args:
        settlement: How purchases are asked about; its store and clock are used.
    """

    settlement: SettlementService

    async def by_phone(self, tenant_id: str, mac: MacAddress, phone: Msisdn) -> Trace:
        """Put right what a device has bought with that number of late."""
        since = self.settlement.clock.now() - _RECENT
        found = self.settlement.store.read.purchases.recent_of_device(tenant_id, mac, since)
        return await self._put_right(tenant_id, [each for each in found if each.phone == phone])

    async def by_pay_code(self, tenant_id: str, mac: MacAddress, pay_code: str) -> Trace:
        """Put right what a device has bought under that pay code, in its normal form."""
        found = self.settlement.store.read.purchases.by_account_reference(pay_code)
        is_theirs = found is not None and (found.tenant_id, found.mac) == (tenant_id, mac)
        return await self._put_right(tenant_id, [found] if found is not None and is_theirs else [])

    async def take_along(self, tenant_id: str, grant_id: str, mac: MacAddress) -> Grant:
        """Move a grant to another device of its holder; the device it was on is put off.

        Who asks has to have shown the secret of the purchase, the claim or the credit that it came from.

        Raises:
            NotFoundError: There is no such grant, or it is over.
            ConflictError: It has been moved often enough today.
        """
        grant = await self.settlement.store.write(lambda tx: self._take_along(tx, tenant_id, grant_id, mac))
        self.settlement.granted(tenant_id)
        return grant

    async def _put_right(self, tenant_id: str, purchases: list[Purchase]) -> Trace:
        unpaid = [each for each in purchases if each.state is not PurchaseState.PAID]
        asked = [each.purchase_id for each in unpaid if each.checkout_request_id is not None][:_ASKED_AGAIN_MAX]
        if asked:
            await self.settlement.store.write(lambda tx: self._ask_again(tx, asked))
            self.settlement.query_due()
        usable = any(self._is_usable(each) for each in purchases)
        if usable:
            self.settlement.granted(tenant_id)
        if usable or unpaid:
            return Trace.OPEN
        return Trace.OVER if purchases else Trace.NONE

    def _ask_again(self, tx: Tables, purchase_ids: list[str]) -> None:
        judge = self.settlement.judge(tx)
        for purchase in map(tx.purchases.by_id, purchase_ids):
            if purchase is not None:
                judge.look_up(purchase)

    def _is_usable(self, purchase: Purchase) -> bool:
        bought = self.settlement.store.read.grants.bought_by(purchase.purchase_id)
        return bought is not None and bought[0].usable_at(self.settlement.clock.now())

    def _take_along(self, tx: Tables, tenant_id: str, grant_id: str, mac: MacAddress) -> Grant:
        grant = tx.grants.by_id(grant_id)
        if grant is None or grant.tenant_id != tenant_id or grant.state is GrantState.ENDED:
            raise NotFoundError("grant.unknown", "This package is used up, or is no longer this device's.")
        if grant.mac in {None, mac}:
            return grant
        moved = follow(tx, grant, mac, self.settlement.clock.now(), holder=mac.text)
        if moved is None:
            raise ConflictError("grant.moved_often", "This package has moved often enough today; try again tomorrow.")
        return moved
