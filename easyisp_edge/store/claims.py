"""Table `claims`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.claims import Claim, ClaimState, Refusal
from easyisp_edge.domain.values import Msisdn
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
    from datetime import datetime, timedelta

    from easyisp_edge.domain.values import MacAddress

_COLUMNS = (
    "claim_id, tenant_id, gateway_id, mpesa_receipt_number, package_version_id, phone, mac, router_id, language,"
    " state, reason, grant_id, provisional_grant_id, customer_id, created_at, changed_at, look_at, looks"
)
_SELECT = f"SELECT {_COLUMNS} FROM claims "  # noqa: S608 - a constant


class ClaimsTable:
    """Claims by id, by receipt, by device, by what is due."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def add(self, claim: Claim) -> None:
        """Write a new claim."""
        self._sql.execute(
            f"INSERT INTO claims ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                claim.claim_id,
                claim.tenant_id,
                claim.gateway_id,
                claim.mpesa_receipt_number,
                claim.package_version_id,
                None if claim.phone is None else claim.phone.digits,
                optional_mac(claim.mac),
                claim.router_id,
                claim.language,
                claim.state.value,
                claim.reason,
                claim.grant_id,
                claim.provisional_grant_id,
                claim.customer_id,
                instant(claim.created_at),
                instant(claim.changed_at),
                optional_instant(claim.look_at),
                claim.looks,
            ),
        )

    def update(self, claim: Claim) -> None:
        """Write what may change: state, what it led to, the next look."""
        self._sql.execute(
            "UPDATE claims SET state = ?, reason = ?, grant_id = ?, provisional_grant_id = ?, customer_id = ?,"
            " changed_at = ?, look_at = ?, looks = ? WHERE claim_id = ?",
            (
                claim.state.value,
                claim.reason,
                claim.grant_id,
                claim.provisional_grant_id,
                claim.customer_id,
                instant(claim.changed_at),
                optional_instant(claim.look_at),
                claim.looks,
                claim.claim_id,
            ),
        )

    def by_id(self, claim_id: str) -> Claim | None:
        """A claim by the id its maker holds."""
        return self._one("WHERE claim_id = ?", claim_id)

    def open_on(self, mpesa_receipt_number: str) -> list[Claim]:
        """Who waits for that receipt, first come first."""
        return self._many(
            "WHERE mpesa_receipt_number = ? AND state = 'verifying' ORDER BY created_at", mpesa_receipt_number
        )

    def latest_of_device(self, tenant_id: str, mac: MacAddress) -> Claim | None:
        """What a device claimed last."""
        return self._one("WHERE mac = ? AND tenant_id = ? ORDER BY created_at DESC LIMIT 1", mac.text, tenant_id)

    def of_device_since(self, mac: MacAddress, since: datetime) -> list[Claim]:
        """What a device claimed since then, newest first."""
        return self._many("WHERE mac = ? AND created_at >= ? ORDER BY created_at DESC", mac.text, instant(since))

    def in_state(self, tenant_id: str, state: ClaimState, limit: int) -> list[Claim]:
        """Claims of a tenant in a state, newest first. A long read."""
        return self._many(
            "WHERE tenant_id = ? AND state = ? ORDER BY created_at DESC LIMIT ?", tenant_id, state.value, limit
        )

    def count_since(self, since: datetime) -> int:
        """How many claims were made since then."""
        row = self._sql.execute("SELECT count(*) FROM claims WHERE created_at >= ?", (instant(since),)).fetchone()
        return int(row[0])

    def provisional_since(self, since: datetime) -> list[Claim]:
        """Claims made since then that were given provisional access, newest first."""
        return self._many(
            "WHERE created_at >= ? AND provisional_grant_id IS NOT NULL ORDER BY created_at DESC", instant(since)
        )

    def due(self, now: datetime, limit: int) -> list[Claim]:
        """Claims to be looked at, longest due first."""
        return self._many("WHERE look_at IS NOT NULL AND look_at <= ? ORDER BY look_at LIMIT ?", instant(now), limit)

    def provable(self, visible_within: timedelta, limit: int) -> list[Claim]:
        """Claims whose gateway's list was read so long after they were made that it knows their receipt, or nobody."""
        return self._many(
            "WHERE state = 'verifying' AND EXISTS (SELECT 1 FROM gateway_sweeps s"
            " WHERE s.gateway_id = claims.gateway_id"
            " AND min(s.swept_at, s.swept_until) >= strftime('%Y-%m-%dT%H:%M:%fZ', claims.created_at, ?))"
            " ORDER BY created_at LIMIT ?",
            f"+{visible_within.total_seconds():.0f} seconds",
            limit,
        )

    def next_look_at(self) -> datetime | None:
        """When the next claim is to be looked at."""
        row = self._sql.execute("SELECT min(look_at) FROM claims WHERE look_at IS NOT NULL").fetchone()
        return read_optional_instant(row[0])

    def _one(self, where: str, *parameters: Any) -> Claim | None:
        row = self._sql.execute(_SELECT + where, parameters).fetchone()
        return None if row is None else _read(row)

    def _many(self, where: str, *parameters: Any) -> list[Claim]:
        return [_read(row) for row in self._sql.execute(_SELECT + where, parameters)]


def _read(row: tuple[Any, ...]) -> Claim:
    return Claim(
        claim_id=row[0],
        tenant_id=row[1],
        gateway_id=row[2],
        mpesa_receipt_number=row[3],
        package_version_id=row[4],
        phone=None if row[5] is None else Msisdn(row[5]),
        mac=read_optional_mac(row[6]),
        router_id=row[7],
        language=row[8],
        state=ClaimState(row[9]),
        reason=None if row[10] is None else Refusal(row[10]),
        grant_id=row[11],
        provisional_grant_id=row[12],
        customer_id=row[13],
        created_at=read_instant(row[14]),
        changed_at=read_instant(row[15]),
        look_at=read_optional_instant(row[16]),
        looks=row[17],
    )
