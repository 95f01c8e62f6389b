"""Table `purchases`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.payments import Reason
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.domain.values import Money, Msisdn
from easyisp_edge.store.columns import (
    instant,
    optional_instant,
    optional_mac,
    read_instant,
    read_optional_instant,
    read_optional_mac,
)

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.domain.values import MacAddress

_SELECT = (
    "SELECT purchase_id, tenant_id, package_version_id, service, gateway_id, phone, amount_cents, mac, router_id,"
    " language, state, reason, result_description, account_reference, checkout_request_id, merchant_request_id,"
    " created_at, changed_at, query_at, queries FROM purchases "
)
# Letter for letter as the index of open purchases has it, or it would not be used.
_OPEN = "state IN ('offered', 'intended', 'prompted', 'unknown')"
# What may have come to a phone. Once paid, an offer counts too: M-Pesa was used either way.
_PUSHED_AT = (
    "SELECT created_at FROM purchases WHERE state <> 'offered' AND NOT (state = 'failed'"
    " AND checkout_request_id IS NULL AND ifnull(reason, '') IN ('unreachable', 'busy', 'configuration')) AND "
)
# Read at every poll of every waiting page: a look-up is a third of what calling the enumeration costs.
_SERVICES = {service.value: service for service in Service}
_STATES = {state.value: state for state in PurchaseState}


class PurchasesTable:
    """Purchases by id, by device, by phone, by what is due."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def add(self, purchase: Purchase, callback_token: str) -> None:
        """Write a new purchase; of the token only a digest is kept."""
        self._sql.execute(
            "INSERT INTO purchases (purchase_id, tenant_id, package_version_id, service, gateway_id, phone,"
            " amount_cents, mac, router_id, language, state, account_reference, callback_token_digest, created_at,"
            " changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                purchase.purchase_id,
                purchase.tenant_id,
                purchase.package_version_id,
                purchase.service.value,
                purchase.gateway_id,
                purchase.phone.digits,
                purchase.amount.cents,
                optional_mac(purchase.mac),
                purchase.router_id,
                purchase.language,
                purchase.state.value,
                purchase.account_reference,
                _digest(callback_token),
                instant(purchase.created_at),
                instant(purchase.changed_at),
            ),
        )

    def update(self, purchase: Purchase) -> None:
        """Write what may change: state, reason, gateway ids, the next query."""
        self._sql.execute(
            "UPDATE purchases SET state = ?, reason = ?, result_description = ?, checkout_request_id = ?,"
            " merchant_request_id = ?, changed_at = ?, query_at = ?, queries = ? WHERE purchase_id = ?",
            (
                purchase.state.value,
                purchase.reason,
                purchase.result_description,
                purchase.checkout_request_id,
                purchase.merchant_request_id,
                instant(purchase.changed_at),
                optional_instant(purchase.query_at),
                purchase.queries,
                purchase.purchase_id,
            ),
        )

    def by_id(self, purchase_id: str) -> Purchase | None:
        """A purchase by the id its buyer holds."""
        return self._one("WHERE purchase_id = ?", purchase_id)

    def progress(self, purchase_id: str) -> tuple[PurchaseState, Reason | None, str] | None:
        """State, reason and language of a purchase: all that the many polls of waiting pages need."""
        query = "SELECT state, reason, language FROM purchases WHERE purchase_id = ?"
        row = self._sql.execute(query, (purchase_id,)).fetchone()
        return None if row is None else (_STATES[row[0]], None if row[1] is None else Reason(row[1]), row[2])

    def by_callback_token(self, token: str) -> Purchase | None:
        """The purchase whose secret callback address ends in this token."""
        return self._one("WHERE callback_token_digest = ?", _digest(token))

    def by_checkout_request_id(self, checkout_request_id: str) -> Purchase | None:
        """The purchase whose push the gateway calls by this id."""
        return self._one("WHERE checkout_request_id = ?", checkout_request_id)

    def latest_of_device(self, tenant_id: str, mac: MacAddress) -> Purchase | None:
        """What a device bought or tried to buy last."""
        return self._one("WHERE mac = ? AND tenant_id = ? ORDER BY created_at DESC LIMIT 1", mac.text, tenant_id)

    def of_phone_since(self, phone: Msisdn, since: datetime) -> list[Purchase]:
        """What a phone was asked to pay since then, newest first, whoever asked."""
        return self._many("WHERE phone = ? AND created_at >= ? ORDER BY created_at DESC", phone.digits, instant(since))

    def due_for_query(self, gateway_id: str, now: datetime) -> Purchase | None:
        """The purchase of that gateway longest due for a query."""
        return self._one(
            "WHERE gateway_id = ? AND query_at IS NOT NULL AND query_at <= ? ORDER BY query_at LIMIT 1",
            gateway_id,
            instant(now),
        )

    def next_query_at(self, gateway_id: str) -> datetime | None:
        """When the next query of that gateway is due."""
        row = self._sql.execute(
            "SELECT min(query_at) FROM purchases WHERE gateway_id = ? AND query_at IS NOT NULL", (gateway_id,)
        ).fetchone()
        return read_optional_instant(row[0])

    def open_since_before(self, moment: datetime) -> list[Purchase]:
        """Purchases pushed before that moment of which nothing final is known."""
        return self._many(f"WHERE {_OPEN} AND state <> 'offered' AND created_at < ?", instant(moment))

    def offered_since_before(self, moment: datetime) -> list[Purchase]:
        """Purchases made before that moment that still wait for money from the M-Pesa menu."""
        return self._many(f"WHERE {_OPEN} AND state = 'offered' AND created_at < ?", instant(moment))

    # Finding the purchase that money is for

    def by_account_reference(self, code: str) -> Purchase | None:
        """The purchase with this pay code, in its canonical spelling."""
        return self._one("WHERE account_reference = ?", code)

    def payable(self, gateway_id: str, amount: Money, since: datetime, until: datetime) -> list[Purchase]:
        """What was to be paid by this amount at this gateway, made from `since` to `until`, both included.

        Whatever became of it, oldest first.
        """
        return self._many(
            "WHERE gateway_id = ? AND amount_cents = ? AND created_at >= ? AND created_at <= ? ORDER BY created_at",
            gateway_id,
            amount.cents,
            instant(since),
            instant(until),
        )

    def recent_of_device(self, tenant_id: str, mac: MacAddress, since: datetime) -> list[Purchase]:
        """What a device bought or tried to buy of a tenant since then, newest first."""
        return self._many(
            "WHERE mac = ? AND tenant_id = ? AND created_at >= ? ORDER BY created_at DESC",
            mac.text,
            tenant_id,
            instant(since),
        )

    def same_offer(self, wanted: Purchase, since: datetime) -> Purchase | None:
        """A purchase of the same, for the same device and phone, that since then waits for money from the menu."""
        return self._one(
            "WHERE phone = ? AND created_at > ? AND state = 'offered' AND tenant_id = ? AND package_version_id = ?"
            " AND gateway_id = ? AND mac IS ? ORDER BY created_at DESC LIMIT 1",
            wanted.phone.digits,
            instant(since),
            wanted.tenant_id,
            wanted.package_version_id,
            wanted.gateway_id,
            optional_mac(wanted.mac),
        )

    # Counting pushes; `most` bounds what is read

    def pushes_to_phone(self, phone: Msisdn, since: datetime, most: int) -> list[datetime]:
        """When a phone was prompted after `since`, newest first, whoever asked."""
        return self._moments(
            _PUSHED_AT + "phone = ? AND created_at > ? ORDER BY created_at DESC LIMIT ?",
            phone.digits,
            instant(since),
            most,
        )

    def pushes_of_device(self, mac: MacAddress, since: datetime, most: int) -> list[datetime]:
        """When a device had phones prompted after `since`, newest first, whosever hotspot it was at."""
        return self._moments(
            _PUSHED_AT + "mac = ? AND created_at > ? ORDER BY created_at DESC LIMIT ?",
            mac.text,
            instant(since),
            most,
        )

    def offers_of_device(self, mac: MacAddress, since: datetime, most: int) -> list[datetime]:
        """When a device was given pay codes after `since`, newest first, paid since or not."""
        return self._moments(
            "SELECT created_at FROM purchases WHERE mac = ? AND created_at > ? AND checkout_request_id IS NULL"
            " ORDER BY created_at DESC LIMIT ?",
            mac.text,
            instant(since),
            most,
        )

    def begun(self, since: datetime, most: int) -> list[datetime]:
        """When purchases of this box began after `since`, newest first, of whatever kind."""
        query = "SELECT created_at FROM purchases WHERE created_at > ? ORDER BY created_at DESC LIMIT ?"
        return self._moments(query, instant(since), most)

    def pushes_of_site(self, since: datetime, most: int) -> list[datetime]:
        """When this box had phones prompted after `since`, newest first, for all tenants."""
        return self._moments(_PUSHED_AT + "created_at > ? ORDER BY created_at DESC LIMIT ?", instant(since), most)

    def cancels_of_phone(self, phone: Msisdn, since: datetime, most: int) -> list[datetime]:
        """When prompts sent to a phone after `since` were cancelled there, newest first."""
        return self._moments(
            "SELECT changed_at FROM purchases WHERE phone = ? AND created_at > ? AND state = 'failed'"
            " AND reason = 'cancelled' ORDER BY changed_at DESC LIMIT ?",
            phone.digits,
            instant(since),
            most,
        )

    def last_debit(self, phone: Msisdn, amount: Money, since: datetime) -> datetime | None:
        """When M-Pesa last took this amount from a phone, or may have; only for purchases made after `since`.

        Known to be paid: when that was known. Not known, or refused as repeated: when it was asked for.
        """
        moments = self._moments(
            "SELECT max(CASE state WHEN 'paid' THEN changed_at ELSE created_at END) FROM purchases"
            " WHERE phone = ? AND created_at > ? AND amount_cents = ? AND (state IN ('paid', 'intended', 'prompted',"
            " 'unknown') OR reason = 'repeated') HAVING count(*) > 0",
            phone.digits,
            instant(since),
            amount.cents,
        )
        return moments[0] if moments else None

    def _moments(self, query: str, *parameters: Any) -> list[datetime]:
        return [read_instant(row[0]) for row in self._sql.execute(query, parameters)]

    def _one(self, where: str, *parameters: Any) -> Purchase | None:
        row = self._sql.execute(_SELECT + where, parameters).fetchone()
        return None if row is None else _read(row)

    def _many(self, where: str, *parameters: Any) -> list[Purchase]:
        return [_read(row) for row in self._sql.execute(_SELECT + where, parameters)]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _read(row: tuple[Any, ...]) -> Purchase:
    return Purchase(
        purchase_id=row[0],
        tenant_id=row[1],
        package_version_id=row[2],
        service=_SERVICES[row[3]],
        gateway_id=row[4],
        phone=Msisdn(row[5]),
        amount=Money(row[6]),
        mac=read_optional_mac(row[7]),
        router_id=row[8],
        language=row[9],
        state=_STATES[row[10]],
        reason=None if row[11] is None else Reason(row[11]),
        result_description=row[12],
        account_reference=row[13],
        checkout_request_id=row[14],
        merchant_request_id=row[15],
        created_at=read_instant(row[16]),
        changed_at=read_instant(row[17]),
        query_at=read_optional_instant(row[18]),
        queries=row[19],
    )
