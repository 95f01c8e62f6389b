"""Money goes into the books: as a grant, as credit in a wallet, or as unmatched until somebody knows better.

Nothing here judges who is right; it only keeps the books whole. Every function is one step within a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain import ledger
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import Funding, Grant, GrantState
from easyisp_edge.domain.payments import Disposition, Payment, PaymentMethod
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import ConflictError
from easyisp_edge.services.access import grant_life
from easyisp_edge.services.identifiers import PASSWORD_LENGTH, USERNAME_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from easyisp_edge.domain.ledger import Account
    from easyisp_edge.domain.packages import PackageVersion, Service
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.domain.values import MacAddress, Msisdn
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.store.store import Tables

UNMATCHED = "Nobody knows yet what for"
_CREDIT = "Credit"


@dataclass(frozen=True, slots=True)
class Told:
    """Money as somebody told of it, before it is booked.

    Args:
        tenant_id: Who received it.
        gateway_id: Through which gateway.
        amount: How much.
        mpesa_receipt_number: None where the source tells none.
        phone: The payer's number, where it was told.
        account: The account reference it came with.
        by_buyer: Whether it surely came from the phone of who made the purchase it is for.
        method: How it was paid.
        payment_id: Its id, where whoever tells it has one for it; None for a new one.
    """

    tenant_id: str
    gateway_id: str
    amount: Money
    mpesa_receipt_number: str | None
    phone: Msisdn | None
    account: str
    by_buyer: bool = False
    method: PaymentMethod = PaymentMethod.MPESA
    payment_id: str | None = None


class Buyer(NamedTuple):
    """Who a grant or a credit is for.

    Args:
        tenant_id: Whose customer.
        service: Hotspot or PPPoE.
        phone: The customer's number, where known; else the MAC must be.
        mac: The device.
        purchase_id: The purchase it answers, where there is one.
        proven: Whether the money came from that number. Anybody may name a number: only who pays from it is its
            customer, whose device may see and spend what is in the wallet.
    """

    tenant_id: str
    service: Service
    phone: Msisdn | None
    mac: MacAddress | None
    purchase_id: str | None
    proven: bool = False

    @classmethod
    def of(cls, purchase: Purchase, *, proven: bool = False) -> Buyer:
        """Who made a purchase."""
        phone, mac = purchase.phone, purchase.mac
        return cls(purchase.tenant_id, purchase.service, phone, mac, purchase.purchase_id, proven)

    @property
    def spends(self) -> bool:
        """Whether the wallet this is credited to is the buyer's own to spend."""
        return self.proven or self.phone is None


class Advance(NamedTuple):
    """What was had of a package before it was paid, and is taken off.

    Args:
        seconds: By the clock.
        online_seconds: Of time online.
        octets: Of data.
    """

    seconds: int = 0
    online_seconds: int = 0
    octets: int = 0


NOTHING_YET = Advance()


class TakenOver(NamedTuple):
    """How something stands that was sold before this box came.

    Args:
        username: What its devices log in with.
        password: The same.
        seconds_left: By the clock.
        ends_at: When that is; None where it runs from the next login on.
        seconds_used: Of time online.
        octets_used: Of data.
    """

    username: str
    password: str
    seconds_left: int
    ends_at: datetime | None
    seconds_used: int
    octets_used: int


class _Move(NamedTuple):
    amount: Money
    taker: Account


@dataclass(frozen=True, slots=True)
class Bookkeeper:
    """Writes money into the books.

    Args:
        tx: The transaction.
        now: The instant it is written with.
        identifiers: New ids and credentials.
    """

    tx: Tables
    now: datetime
    identifiers: Identifiers

    def keep(self, told: Told, purchase_id: str | None) -> Payment:
        """Book money as unmatched."""
        moves = [_Move(told.amount, ledger.unmatched(told.tenant_id))]
        return self._place(self._new(told, purchase_id), Disposition.UNMATCHED, None, UNMATCHED, moves)

    def sell(
        self, money: Told | Payment, buyer: Buyer, version: PackageVersion, *, advance: Advance = NOTHING_YET
    ) -> tuple[Payment, Grant]:
        """Let money that covers a package buy it; what it is too much goes to the buyer's wallet.

        Args:
            money: Told just now, or booked as unmatched.
            buyer: Who gets it.
            version: What is bought.
            advance: What was given in advance, and is taken off.
        """
        payment = self._payment(money, buyer.purchase_id)
        price = version.package.price
        customer_id = self._customer(buyer, payment.amount)
        grant = self._grant(buyer, version, customer_id, Funding.PAYMENT, payment.payment_id, advance)
        rest = Money(payment.amount.cents - price.cents)
        moves = [_Move(price, ledger.sold(payment.tenant_id)), _Move(rest, ledger.wallet(customer_id))]
        booked = self._place(payment, Disposition.GRANT, customer_id, version.package.name, moves, grant)
        self.tell_wallet(customer_id, rest.cents, booked.payment_id)
        return booked, grant

    def credit(self, money: Told | Payment, buyer: Buyer) -> Payment:
        """Put money into the buyer's wallet."""
        payment = self._payment(money, buyer.purchase_id)
        customer_id = self._customer(buyer, payment.amount)
        moves = [_Move(payment.amount, ledger.wallet(customer_id))]
        booked = self._place(payment, Disposition.WALLET, customer_id, _CREDIT, moves)
        self.tell_wallet(customer_id, payment.amount.cents, booked.payment_id)
        return booked

    def credit_known(self, money: Told | Payment, customer_id: str, description: str = _CREDIT) -> Payment:
        """Put money into the wallet of a customer who stands in the books already, whoever paid it.

        Args:
            money: Told just now, or booked as unmatched.
            customer_id: Whose wallet; a customer of the tenant who received the money.
            description: What for, for lists.
        """
        payment = self._payment(money, None)
        self.tx.customers.spent(customer_id, payment.amount)
        moves = [_Move(payment.amount, ledger.wallet(customer_id))]
        booked = self._place(payment, Disposition.WALLET, customer_id, description, moves)
        self.tell_wallet(customer_id, payment.amount.cents, booked.payment_id)
        return booked

    def sell_from_wallet(
        self,
        customer_id: str,
        buyer: Buyer,
        version: PackageVersion,
        *,
        grant_id: str | None = None,
        advance: Advance = NOTHING_YET,
    ) -> Grant | None:
        """Let a customer's wallet buy a package in full; None where it does not cover it."""
        price = version.package.price
        if self.tx.ledger.wallet(customer_id) < price:
            return None
        grant = self._grant(buyer, version, customer_id, Funding.WALLET, None, advance)
        if grant_id is not None:
            grant = replace(grant, grant_id=grant_id)
        self._write_grant(grant)
        self.tx.ledger.move(
            price, ledger.wallet(customer_id), ledger.sold(buyer.tenant_id), at=self.now, grant_id=grant.grant_id
        )
        self.tell_wallet(customer_id, -price.cents, grant.grant_id)
        return grant

    def provide(self, buyer: Buyer, version: PackageVersion, seconds: int) -> Grant:
        """Give access for which no money is known yet."""
        customer_id = self._customer(buyer, Money(0))
        whole = int(version.package.duration.total_seconds())
        grant = self._grant(buyer, version, customer_id, Funding.PROVISIONAL, None, Advance(max(0, whole - seconds)))
        self._write_grant(grant)
        return grant

    def take_over(
        self, buyer: Buyer, version: PackageVersion, standing: TakenOver, told: Mapping[str, object]
    ) -> Grant:
        """Give what was sold before this box came, as it stands now and with its user name and password.

        Args:
            buyer: Who has it.
            version: What it was sold as, with its own limits.
            standing: How it stands.
            told: Where it came from, for the history.
        """
        customer_id = self._customer(buyer, Money(0))
        grant = replace(
            self._grant(buyer, version, customer_id, Funding.IMPORTED, None, NOTHING_YET),
            username=standing.username,
            password=standing.password,
            seconds_left=standing.seconds_left,
            seconds_used=standing.seconds_used,
            octets_used=standing.octets_used,
        )
        if standing.ends_at is not None:
            grant = replace(grant, state=GrantState.RUNNING, started_at=self.now, ends_at=standing.ends_at)
        self._write_grant(grant, {"takenOver": dict(told)})
        return grant

    def give(self, buyer: Buyer, version: PackageVersion, funding: Funding, **told: object) -> Grant:
        """Give a whole package for which no money moves here: it was paid for on paper, or is free.

        Args:
            buyer: Who gets it.
            version: What.
            funding: Why.
            told: More of that, for the history.
        """
        customer_id = self._customer(buyer, Money(0))
        grant = self._grant(buyer, version, customer_id, funding, None, NOTHING_YET)
        self._write_grant(grant, told)
        return grant

    def refund(self, payment: Payment) -> Payment:
        """Note that unmatched money was given back, outside of this box."""
        moves = [_Move(payment.amount, ledger.refunded(payment.tenant_id))]
        return self._place(payment, Disposition.REFUNDED, payment.customer_id, payment.description, moves)

    def learn(self, payment: Payment, *, receipt: str | None = None, phone: Msisdn | None = None) -> Payment:
        """Add to a payment what was not told before."""
        learned = replace(
            payment,
            mpesa_receipt_number=payment.mpesa_receipt_number or receipt,
            phone=payment.phone or phone,
        )
        if learned == payment:
            return payment
        self.tx.payments.update(learned)
        if learned.mpesa_receipt_number != payment.mpesa_receipt_number:
            self.tell("payment.receipt", payment.payment_id, {"purchase": payment.purchase_id, "receipt": receipt})
        if learned.phone is not None and payment.phone is None:
            self.tell("payment.payer", payment.payment_id, {"phone": learned.phone.digits})
        return learned

    def attribute(self, payment: Payment, purchase: Purchase) -> Payment:
        """Note for which purchase money came; where it is stays as it was."""
        known = replace(payment, purchase_id=purchase.purchase_id)
        self.tx.payments.update(known)
        self.tell("payment.assigned", known.payment_id, where(known))
        return known

    def explain(self, payment: Payment, purchase: Purchase) -> Payment:
        """Note whose push took money that was booked by its payer alone: it came with that one's account."""
        if payment.account == purchase.account_reference:
            return payment
        explained = replace(payment, account=purchase.account_reference)
        self.tx.payments.update(explained)
        self.tell("payment.explained", payment.payment_id, {"account": purchase.account_reference})
        return explained

    def came_for(self, purchase: Purchase) -> list[Payment]:
        """All money booked for a purchase, each shilling once."""
        payments = self.tx.payments.of_purchase(purchase.purchase_id)
        return [payment for payment in payments if payment.disposition is not Disposition.MERGED]

    def nameless(self, purchase: Purchase, amount: Money) -> Payment | None:
        """Money of that amount booked for a purchase whose receipt nobody told yet."""
        came = self.came_for(purchase)
        return next((each for each in came if each.mpesa_receipt_number is None and each.amount == amount), None)

    def close(self, purchase: Purchase) -> None:
        """Note that a purchase is paid."""
        self.tx.purchases.update(
            replace(
                purchase,
                state=PurchaseState.PAID,
                reason=None,
                result_description="",
                changed_at=self.now,
                query_at=None,
            )
        )

    def recognise(self, purchase: Purchase) -> None:
        """Note the device of a customer who is known to have paid a purchase from the own number."""
        customer_id = self.tx.customers.of_phone(purchase.tenant_id, purchase.service, purchase.phone)
        if customer_id is not None and purchase.mac is not None:
            self.tx.customers.recognise(customer_id, purchase.mac)

    def end(self, grant: Grant, cause: str) -> Grant:
        """End a grant before its time; one that never began had no time at all."""
        return grant_life.end(self.tx, grant, cause, self.now)

    def _payment(self, money: Told | Payment, purchase_id: str | None) -> Payment:
        if isinstance(money, Payment):
            return replace(money, purchase_id=money.purchase_id or purchase_id)
        return self._new(money, purchase_id)

    def _new(self, told: Told, purchase_id: str | None) -> Payment:
        return Payment(
            payment_id=told.payment_id or self.identifiers.ordered(self.now),
            tenant_id=told.tenant_id,
            gateway_id=told.gateway_id,
            method=told.method,
            amount=told.amount,
            disposition=Disposition.UNMATCHED,
            mpesa_receipt_number=told.mpesa_receipt_number,
            purchase_id=purchase_id,
            customer_id=None,
            phone=told.phone,
            account=told.account,
            description=UNMATCHED,
            created_at=self.now,
        )

    def _customer(self, buyer: Buyer, amount: Money) -> str:
        return self.tx.customers.paid(
            new_id=self.identifiers.ordered(self.now),
            tenant_id=buyer.tenant_id,
            service=buyer.service,
            phone=buyer.phone,
            mac=buyer.mac if buyer.spends else None,
            amount=amount,
            at=self.now,
        )

    def _place(  # noqa: PLR0917 - the one place where a payment and its entries are written
        self,
        payment: Payment,
        disposition: Disposition,
        customer_id: str | None,
        description: str,
        moves: list[_Move],
        grant: Grant | None = None,
    ) -> Payment:
        """Write where a payment goes: a new one, or one that was booked as unmatched before.

        Raises:
            ConflictError: It is not unmatched any more: somebody else was faster.
        """
        standing = self.tx.payments.by_id(payment.payment_id)
        booked = standing is not None
        if standing is not None and standing.disposition is not Disposition.UNMATCHED:
            raise ConflictError("payment.placed", f"This money is {standing.disposition} already; look at it again.")
        placed = replace(payment, disposition=disposition, customer_id=customer_id, description=description)
        if booked:
            self.tx.payments.update(placed)
            self.tell("payment.assigned", placed.payment_id, where(placed))
        else:
            self.tx.payments.add(placed)
            self.tell("payment.booked", placed.payment_id, _whole(placed))
        giver = ledger.unmatched(placed.tenant_id) if booked else ledger.received(placed.tenant_id)
        if grant is not None:
            self._write_grant(grant)
        for amount, taker in moves:
            sold = grant.grant_id if grant is not None and taker.kind is ledger.AccountKind.SOLD else None
            self.tx.ledger.move(amount, giver, taker, at=self.now, payment_id=placed.payment_id, grant_id=sold)
        return placed

    def _grant(  # noqa: PLR0917 - what a grant is made of
        self,
        buyer: Buyer,
        version: PackageVersion,
        customer_id: str,
        funding: Funding,
        payment_id: str | None,
        advance: Advance,
    ) -> Grant:
        return Grant(
            grant_id=self.identifiers.ordered(self.now),
            tenant_id=buyer.tenant_id,
            customer_id=customer_id,
            funding=funding,
            payment_id=payment_id,
            purchase_id=buyer.purchase_id,
            package_version_id=version.version_id,
            service=version.package.service,
            username=self.identifiers.readable(USERNAME_LENGTH),
            password=self.identifiers.readable(PASSWORD_LENGTH),
            mac=buyer.mac,
            state=GrantState.WAITING,
            seconds_left=max(1, int(version.package.duration.total_seconds()) - advance.seconds),
            created_at=self.now,
            started_at=None,
            ends_at=None,
            seconds_used=advance.online_seconds,
            octets_used=advance.octets,
        )

    def _write_grant(self, grant: Grant, more: Mapping[str, object] | None = None) -> None:
        self.tx.grants.add(grant)
        self.tell(
            "grant.made",
            grant.grant_id,
            {
                "funding": grant.funding.value,
                "payment": grant.payment_id,
                "customer": grant.customer_id,
                "packageVersion": grant.package_version_id,
                "seconds": grant.seconds_left,
                "mac": None if grant.mac is None else grant.mac.text,
                **(more or {}),
            },
        )

    def tell_wallet(self, customer_id: str, cents: int, because: str) -> None:
        """Note that a wallet changed by so many cents, nothing for none."""
        if cents:
            self.tell("wallet.changed", customer_id, {"cents": cents, "because": because})

    def tell(self, kind: str, key: str, data: dict[str, object]) -> None:
        """Note in the history what happened."""
        self.tx.events.append(Stream.MONEY, kind, key, data)


def _whole(payment: Payment) -> dict[str, object]:
    return {
        "tenant": payment.tenant_id,
        "gateway": payment.gateway_id,
        "method": payment.method.value,
        "amountCents": payment.amount.cents,
        "receipt": payment.mpesa_receipt_number,
        "phone": None if payment.phone is None else payment.phone.digits,
        "account": payment.account,
        **where(payment),
    }


def where(payment: Payment) -> dict[str, object]:
    """Where a payment is, as the history tells it."""
    return {
        "disposition": payment.disposition.value,
        "purchase": payment.purchase_id,
        "customer": payment.customer_id,
    }
