"""Where money is: accounts, and entries that move an amount from one to another."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from easyisp_edge.domain.values import Money


class AccountKind(enum.StrEnum):
    """Kinds of account. Values are stored."""

    RECEIVED = "received"  # a tenant's: gives what came in, and so stands below nought by all of it
    UNMATCHED = "unmatched"  # a tenant's: came in, and nobody knows yet what for
    WALLET = "wallet"  # a customer's
    SOLD = "sold"  # a tenant's: paid for grants
    REFUNDED = "refunded"  # a tenant's: given back outside of this box


class Account(NamedTuple):
    """One account.

    Args:
        kind: What it is for.
        owner: A customer's id for wallets, a tenant's for the others.
    """

    kind: AccountKind
    owner: str


class Entry(NamedTuple):
    """What an entry gave to an account.

    Args:
        amount: How much.
        taker: To which.
        grant_id: For which grant, where for one.
    """

    amount: Money
    taker: Account
    grant_id: str | None


def received(tenant_id: str) -> Account:
    """Where a tenant's money comes in."""
    return Account(AccountKind.RECEIVED, tenant_id)


def unmatched(tenant_id: str) -> Account:
    """Where it waits for somebody to say what it is for."""
    return Account(AccountKind.UNMATCHED, tenant_id)


def wallet(customer_id: str) -> Account:
    """A customer's credit."""
    return Account(AccountKind.WALLET, customer_id)


def sold(tenant_id: str) -> Account:
    """What was paid for grants."""
    return Account(AccountKind.SOLD, tenant_id)


def refunded(tenant_id: str) -> Account:
    """What was given back."""
    return Account(AccountKind.REFUNDED, tenant_id)
