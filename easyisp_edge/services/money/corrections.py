"""What turns out to be otherwise than it was booked: the same money twice, or claimed before it was known whose.

Nothing that was written is rewritten: entries are undone by entries the other way, and every shilling of a
payment stays in one place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from easyisp_edge.domain import ledger
from easyisp_edge.domain.grants import Funding
from easyisp_edge.domain.ledger import AccountKind
from easyisp_edge.domain.payments import Disposition
from easyisp_edge.errors import ConflictError
from easyisp_edge.services.money.booking import UNMATCHED, where

if TYPE_CHECKING:
    from easyisp_edge.domain.ledger import Entry
    from easyisp_edge.domain.payments import Payment
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.services.money.booking import Bookkeeper


def merge(books: Bookkeeper, nameless: Payment, named: Payment) -> None:
    """Find that a payment proven without a receipt and unmatched money with one are the same.

    The one with the receipt takes the other's place, and the other counts no more.
    """
    tx, held = books.tx, books.tx.ledger.of_payment(nameless.payment_id)
    grant = tx.grants.by_payment(nameless.payment_id)
    gone = replace(nameless, disposition=Disposition.MERGED)
    tx.payments.update(gone)
    books.tell("payment.merged", gone.payment_id, {"into": named.payment_id, **where(gone)})
    joined = replace(
        named,
        disposition=nameless.disposition,
        purchase_id=nameless.purchase_id,
        customer_id=nameless.customer_id,
        phone=named.phone or nameless.phone,
        account=nameless.account,
        description=nameless.description,
    )
    tx.payments.update(joined)
    books.tell("payment.assigned", joined.payment_id, where(joined))
    _move_over(books, nameless, joined, held)
    if grant is not None:
        tx.grants.rebook(replace(grant, payment_id=named.payment_id))


def take_back(books: Bookkeeper, payment: Payment) -> Payment | None:
    """Undo what a claim made of money: it is unmatched again; None where it is spent, or was given back.

    A grant it bought ends, as one that was given for no money.
    """
    if payment.disposition not in {Disposition.GRANT, Disposition.WALLET}:
        return None
    tx, held = books.tx, books.tx.ledger.of_payment(payment.payment_id)
    wallets = [each for each in held if each.taker.kind is AccountKind.WALLET]
    if any(tx.ledger.wallet(each.taker.owner) < each.amount for each in wallets):
        return None
    grant = tx.grants.by_payment(payment.payment_id)
    if grant is not None:
        unfunded = replace(books.end(grant, "taken_back"), funding=Funding.PROVISIONAL, payment_id=None)
        tx.grants.rebook(unfunded)
    waiting = ledger.unmatched(payment.tenant_id)
    for amount, taker, grant_id in held:
        tx.ledger.move(amount, taker, waiting, at=books.now, payment_id=payment.payment_id, grant_id=grant_id)
    if payment.customer_id is not None:
        tx.customers.took_back(payment.customer_id, payment.amount)
    free = replace(payment, disposition=Disposition.UNMATCHED, customer_id=None, description=UNMATCHED)
    tx.payments.update(free)
    books.tell("payment.assigned", free.payment_id, where(free))
    for each in wallets:
        books.tell_wallet(each.taker.owner, -each.amount.cents, payment.payment_id)
    return free


def refund_credit(books: Bookkeeper, payment: Payment) -> Payment:
    """Note that credit was given back outside of this box: it leaves the wallet it is in.

    Raises:
        ConflictError: The customer has spent of it.
    """
    customer_id = payment.customer_id
    if customer_id is None:  # what is in a wallet is somebody's
        raise LookupError(payment.payment_id)
    left = books.tx.ledger.wallet(customer_id)
    if left < payment.amount:
        message = f"The customer has spent of it: {left} is left in the wallet, and this was {payment.amount}."
        raise ConflictError("wallet.spent", message)
    return give_back_credit(books, payment, customer_id)


def give_back_credit(books: Bookkeeper, payment: Payment, customer_id: str) -> Payment:
    """As `refund_credit`, for whoever has looked already that the customer's wallet holds as much."""
    refunded = replace(payment, disposition=Disposition.REFUNDED)
    books.tx.payments.update(refunded)
    giver, taker = ledger.wallet(customer_id), ledger.refunded(payment.tenant_id)
    books.tx.ledger.move(payment.amount, giver, taker, at=books.now, payment_id=payment.payment_id)
    books.tx.customers.took_back(customer_id, payment.amount)
    books.tell("payment.assigned", payment.payment_id, where(refunded))
    books.tell_wallet(customer_id, -payment.amount.cents, payment.payment_id)
    return refunded


def adopt(books: Bookkeeper, payment: Payment, purchase: Purchase) -> None:
    """Find that money somebody bought a grant with by its receipt was for a purchase: that is paid, by this grant."""
    books.attribute(payment, purchase)
    grant = books.tx.grants.by_payment(payment.payment_id)
    if grant is None:  # money that bought something has what it bought
        raise LookupError(payment.payment_id)
    books.tx.grants.rebook(replace(grant, purchase_id=purchase.purchase_id))
    books.tell("grant.assigned", grant.grant_id, {"purchase": purchase.purchase_id})
    books.close(purchase)


def _move_over(books: Bookkeeper, nameless: Payment, named: Payment, held: list[Entry]) -> None:
    move = books.tx.ledger.move
    came, waited = ledger.received(named.tenant_id), ledger.unmatched(named.tenant_id)
    for amount, taker, grant_id in held:
        move(amount, taker, came, at=books.now, payment_id=nameless.payment_id, grant_id=grant_id)
        if taker != waited:
            move(amount, waited, taker, at=books.now, payment_id=named.payment_id, grant_id=grant_id)
