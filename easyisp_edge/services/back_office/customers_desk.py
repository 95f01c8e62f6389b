"""A tenant's customers for its back office: who they are, what they have in the wallet, and what they bought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.paging import Page
from easyisp_edge.errors import NotFoundError
from easyisp_edge.store.grant_pages import GrantsSought, GrantStanding

if TYPE_CHECKING:
    from easyisp_edge.domain.paging import Position
    from easyisp_edge.domain.payments import Payment
    from easyisp_edge.domain.values import Money
    from easyisp_edge.services.back_office.grant_pages import GrantPages, ShownGrant
    from easyisp_edge.store.customers import Customer, CustomersSought
    from easyisp_edge.store.store import Store, Tables

# So many of each stand beside a customer; lists of them show the rest.
GRANTS_SHOWN = 50
PAYMENTS_SHOWN = 20


class ListedCustomer(NamedTuple):
    """A customer in a list.

    Args:
        customer: As they stand in the store.
        credit: What they have in the wallet.
    """

    customer: Customer
    credit: Money


class ShownCustomer(NamedTuple):
    """A customer with what there is beside.

    Args:
        listed: The customer.
        grants: What they may use now, newest first.
        payments: What they paid last, newest first.
    """

    listed: ListedCustomer
    grants: list[ShownGrant]
    payments: list[Payment]


@dataclass(frozen=True, slots=True)
class CustomersDesk:
    """Reads customers.

    Args:
        store: The store.
        grants: What they may use.
    """

    store: Store
    grants: GrantPages

    async def page(
        self, tenant_id: str, sought: CustomersSought, *, limit: int, after: Position | None = None
    ) -> Page[ListedCustomer]:
        """A page of a tenant's customers, those who came last first."""

        def look(tables: Tables) -> Page[ListedCustomer]:
            found = tables.customers.page(tenant_id, sought, limit=limit, after=after)
            return Page([_listed(tables, each) for each in found.rows], found.next)

        return await self.store.survey(look)

    async def one(self, tenant_id: str, customer_id: str) -> ShownCustomer:
        """One of a tenant's customers.

        Raises:
            NotFoundError: The tenant has no such customer.
        """

        def look(tables: Tables) -> tuple[ListedCustomer, list[Payment]]:
            found = tables.customers.of_id(tenant_id, customer_id)
            if found is None:
                raise NotFoundError("customer.unknown", f"There is no customer {customer_id!r:.40}.")
            return _listed(tables, found), tables.payments.of_customer(customer_id, PAYMENTS_SHOWN)

        listed, payments = await self.store.survey(look)
        usable = GrantsSought(standing=GrantStanding.USABLE, customer_id=customer_id)
        grants = await self.grants.page(tenant_id, usable, limit=GRANTS_SHOWN)
        return ShownCustomer(listed, grants.rows, payments)


def _listed(tables: Tables, customer: Customer) -> ListedCustomer:
    return ListedCustomer(customer, tables.ledger.wallet(customer.customer_id))
