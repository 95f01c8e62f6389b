"""A customer's credit: what was paid too much, too little or twice, spent on a package in full."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.grants import Funding
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import ConflictError, InvalidError, RefusedError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.services.money.booking import Buyer
from easyisp_edge.services.money.selling import Selling

if TYPE_CHECKING:
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import PackageVersion
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.money.shelf import Shelf
    from easyisp_edge.store.store import Tables


class Credit(NamedTuple):
    """What a customer may spend.

    Args:
        customer_id: Whose.
        amount: How much.
    """

    customer_id: str
    amount: Money


@dataclass(frozen=True, slots=True)
class WalletService:
    """Reads and spends wallets.

    Args:
        settlement: How money is booked; its store and clock are used.
        shelf: What is on sale.
        selling: Whether anything is sold now.
    """

    settlement: SettlementService
    shelf: Shelf
    selling: Selling = field(default_factory=Selling)

    def credit_of_device(self, tenant_id: str, mac: MacAddress) -> Credit | None:
        """The fullest wallet of those who last paid from a device; None where there is nothing in any."""
        return _fullest(self.settlement.store.read, tenant_id, mac)

    def credit_of(self, customer_id: str) -> Money:
        """What is in a customer's wallet."""
        return self.settlement.store.read.ledger.wallet(customer_id)

    async def buy(self, tenant_id: str, package_id: str, mac: MacAddress, router_id: str | None, key: str) -> Grant:
        """Buy a package for a device with the credit of who last paid from it.

        Args:
            tenant_id: At whose site.
            package_id: What.
            mac: The device.
            router_id: Behind which router it is, where known.
            key: Made by the page, 32 hex digits; the same again gives what was bought then.

        Raises:
            InvalidError: The key is malformed.
            NotFoundError: No such package on sale.
            ConflictError: The key stands for something else.
            RefusedError: There is not enough in the wallet.
        """
        if not is_secret(key):
            raise InvalidError("request.invalid", "The purchase key must be 32 hex digits.", field="key")
        version = self.shelf.version(tenant_id, package_id, router_id)
        self.selling.refuse_while_resting()
        grant = await self.settlement.store.write(lambda tx: self._buy(tx, tenant_id, version, mac, key))
        self.settlement.granted(tenant_id)
        return grant

    def _buy(self, tx: Tables, tenant_id: str, version: PackageVersion, mac: MacAddress, key: str) -> Grant:
        there = tx.grants.by_id(key)
        if there is not None:
            if _is_that(tx, there, version, mac):
                return there
            raise ConflictError("purchase.changed", "This purchase was already made for something else; start anew.")
        credit = _fullest(tx, tenant_id, mac)
        if credit is None or credit.amount < version.package.price:
            amount = Money(0) if credit is None else credit.amount
            raise RefusedError("wallet.short", f"There is {amount} in the wallet; the package costs more.")
        buyer = Buyer(tenant_id, Service.HOTSPOT, tx.customers.phone_of(credit.customer_id), mac, None)
        books = self.settlement.judge(tx).books
        grant = books.sell_from_wallet(credit.customer_id, buyer, version, grant_id=key)
        if grant is None:
            raise RefusedError("wallet.short", "There is not enough in the wallet.")
        return grant


def _is_that(tx: Tables, grant: Grant, version: PackageVersion, mac: MacAddress) -> bool:
    """Whether a grant is what a key bought before: a grant's id is no secret, and must open nobody else's."""
    bought = tx.packages.by_id(grant.package_version_id).package
    wanted = version.package
    return (grant.funding, grant.mac, bought.tenant_id, bought.package_id) == (
        Funding.WALLET,
        mac,
        wanted.tenant_id,
        wanted.package_id,
    )


def _fullest(tables: Tables, tenant_id: str, mac: MacAddress) -> Credit | None:
    credits_found = [Credit(each, tables.ledger.wallet(each)) for each in tables.customers.of_device(tenant_id, mac)]
    found = max(credits_found, key=lambda credit: credit.amount, default=None)
    return found if found is not None and found.amount.cents else None
