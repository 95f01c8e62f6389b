"""Table `grants`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.grants import Admission, Funding, Grant, GrantState
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import MacAddress, Msisdn
from easyisp_edge.store.columns import (
    instant,
    optional_instant,
    optional_mac,
    read_instant,
    read_optional_instant,
    read_optional_mac,
)
from easyisp_edge.store.grant_pages import page_parameters, page_queries
from easyisp_edge.store.pages import page_of

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from easyisp_edge.store.grant_pages import GrantsSought
    from easyisp_edge.store.packages import PackagesTable

_COLUMNS = (
    "grant_id, tenant_id, customer_id, funding, payment_id, purchase_id, package_version_id, service, username,"
    " password, mac, state, seconds_left, created_at, started_at, ends_at, seconds_used, octets_used,"
    " off_since"
)
_SELECT = f"SELECT {_COLUMNS} FROM grants "  # noqa: S608 - a constant
ADMISSION_COLUMNS = (
    "grant_id", "package_version_id", "username", "password", "mac", "state", "seconds_left",
    "created_at", "ends_at", "seconds_used", "octets_used", "off_since",
)  # fmt: skip
_SELECT_ADMISSION = f"SELECT {', '.join(ADMISSION_COLUMNS)} FROM grants "  # noqa: S608 - a constant
_SELECT_BOUGHT = (
    f"SELECT {', '.join(f'g.{column}' for column in ADMISSION_COLUMNS)}, p.mpesa_receipt_number"  # noqa: S608
    " FROM grants g LEFT JOIN payments p ON p.payment_id = g.payment_id WHERE g.purchase_id = ?"
)
_SELECT_OWNED = (
    f"SELECT {', '.join(f'g.{column}' for column in ADMISSION_COLUMNS)}, c.phone"  # noqa: S608 - a constant
    " FROM grants g JOIN customers c ON c.customer_id = g.customer_id WHERE g.tenant_id = :tenant_id"
    " AND (:mac IS NULL OR g.mac = :mac) AND (:phone IS NULL OR c.phone = :phone) AND (:receipt IS NULL"
    " OR g.payment_id IN (SELECT payment_id FROM payments WHERE mpesa_receipt_number = :receipt)"
    " OR g.purchase_id IN (SELECT purchase_id FROM payments WHERE mpesa_receipt_number = :receipt)) AND g.state"
)
_OWNED = f"{', '.join(f'g.{column}' for column in _COLUMNS.split(', '))}, c.phone"
# Read at every login: a look-up is a third of what making the value anew costs.
_SERVICES = {service.value: service for service in Service}
_STATES = {state.value: state for state in GrantState}
_mac = lru_cache(maxsize=1024)(MacAddress)


class OwnedGrant(NamedTuple):
    """A grant with what it bought, and whose it is.

    Args:
        grant: The grant.
        admission: The same as routers need to know it.
        phone: Its customer's number, where it was told.
    """

    grant: Grant
    admission: Admission
    phone: Msisdn | None


class GrantsTable:
    """Grants by id, user name, device, and by what is usable or over.

    Args:
        connection: The database.
        packages: What they bought.
    """

    def __init__(self, connection: sqlite3.Connection, packages: PackagesTable) -> None:
        self._sql = connection
        self._packages = packages

    def add(self, grant: Grant) -> None:
        """Write a new grant. A second one for the same payment is an `IntegrityError`."""
        self._sql.execute(
            f"INSERT INTO grants ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                grant.grant_id,
                grant.tenant_id,
                grant.customer_id,
                grant.funding.value,
                grant.payment_id,
                grant.purchase_id,
                grant.package_version_id,
                grant.service.value,
                grant.username,
                grant.password,
                optional_mac(grant.mac),
                grant.state.value,
                grant.seconds_left,
                instant(grant.created_at),
                optional_instant(grant.started_at),
                optional_instant(grant.ends_at),
                grant.seconds_used,
                grant.octets_used,
                optional_instant(grant.off_since),
            ),
        )

    def update(self, grant: Grant) -> None:
        """Write what changes with use: the device, state and time. What was used is `use`'s alone."""
        self._sql.execute(
            "UPDATE grants SET mac = ?, state = ?, seconds_left = ?, started_at = ?, ends_at = ?, off_since = ?"
            " WHERE grant_id = ?",
            (
                optional_mac(grant.mac),
                grant.state.value,
                grant.seconds_left,
                optional_instant(grant.started_at),
                optional_instant(grant.ends_at),
                optional_instant(grant.off_since),
                grant.grant_id,
            ),
        )

    def use(self, grant_id: str, seconds: int, octets: int) -> None:
        """Add to what was used."""
        self._sql.execute(
            "UPDATE grants SET seconds_used = seconds_used + ?, octets_used = octets_used + ? WHERE grant_id = ?",
            (seconds, octets, grant_id),
        )

    def rebook(self, grant: Grant) -> None:
        """Write what it stands on, where that turns out to be otherwise: the payment, the purchase it answers."""
        self._sql.execute(
            "UPDATE grants SET funding = ?, payment_id = ?, purchase_id = ? WHERE grant_id = ?",
            (grant.funding.value, grant.payment_id, grant.purchase_id, grant.grant_id),
        )

    def by_id(self, grant_id: str) -> Grant | None:
        """A grant by our id."""
        return self._one("WHERE grant_id = ?", grant_id)

    def by_payment(self, payment_id: str) -> Grant | None:
        """The grant a payment bought."""
        return self._one("WHERE payment_id = ?", payment_id)

    def by_purchase(self, purchase_id: str) -> Grant | None:
        """The grant a purchase was answered with."""
        return self._one("WHERE purchase_id = ?", purchase_id)

    def bought_by(self, purchase_id: str) -> tuple[Admission, str | None] | None:
        """The grant a purchase bought, with what it bought and the payment's receipt, where known."""
        row = self._sql.execute(_SELECT_BOUGHT, (purchase_id,)).fetchone()
        return None if row is None else (self.read_admission(row), row[-1])

    def by_username(self, username: str) -> Grant | None:
        """A grant by its user name, over or not."""
        return self._one("WHERE username = ?", username)

    def admission(self, username: str) -> Admission | None:
        """A grant by its user name, with what it bought."""
        return self._one_admission("WHERE username = ?", username)

    def admission_by_id(self, grant_id: str) -> Admission | None:
        """A grant by our id, with what it bought."""
        return self._one_admission("WHERE grant_id = ?", grant_id)

    def admission_by_receipt(self, mpesa_receipt_number: str) -> Admission | None:
        """What the payment of that receipt bought."""
        return self._one_admission(
            "WHERE payment_id = (SELECT payment_id FROM payments WHERE mpesa_receipt_number = ?)", mpesa_receipt_number
        )

    def language(self, grant_id: str) -> str | None:
        """In which language its purchase was made; None where it answers none."""
        query = "SELECT language FROM purchases JOIN grants USING (purchase_id) WHERE grant_id = ?"
        row = self._sql.execute(query, (grant_id,)).fetchone()
        return None if row is None else str(row[0])

    def schedules(self) -> list[Schedule]:
        """The hours of all packages that somebody still has something left of."""
        rows = self._sql.execute(
            "SELECT DISTINCT schedule FROM package_versions AS v WHERE schedule IS NOT NULL AND EXISTS"
            " (SELECT 1 FROM grants WHERE package_version_id = v.version_id AND state <> 'ended')"
        )
        return [Schedule.parse(row[0]) for row in rows]

    def usable_of_device(self, tenant_id: str, mac: MacAddress) -> list[Admission]:
        """What lets a device on, in the order it is used: what runs first, then by age."""
        rows = self._sql.execute(
            # The plus keeps SQLite from walking all of the tenant's grants instead of the device's few.
            _SELECT_ADMISSION
            + "WHERE mac = ? AND state <> 'ended' AND +tenant_id = ? ORDER BY state <> 'running', created_at",
            (mac.text, tenant_id),
        )
        return [self.read_admission(row) for row in rows]

    def usable(self, tenant_id: str) -> list[Admission]:
        """All that lets a device on at one tenant. A long read."""
        rows = self._sql.execute(_SELECT_ADMISSION + "WHERE tenant_id = ? AND state <> 'ended'", (tenant_id,))
        return [self.read_admission(row) for row in rows]

    def newest(
        self,
        tenant_id: str,
        limit: int,
        *,
        ended: bool,
        mac: MacAddress | None = None,
        phone: Msisdn | None = None,
        mpesa_receipt_number: str | None = None,
    ) -> list[tuple[Admission, Msisdn | None]]:
        """Those that were ended, or those that were not, newest first, with their customers' numbers. A long read.

        Only those of a device, of a number, of a payment's receipt or of the purchase that was paid by it, where named.
        """
        sought = {
            "tenant_id": tenant_id,
            "limit": limit,
            "mac": optional_mac(mac),
            "phone": None if phone is None else phone.digits,
            "receipt": mpesa_receipt_number,
        }
        state = " = 'ended'" if ended else " <> 'ended'"
        rows = self._sql.execute(_SELECT_OWNED + state + " ORDER BY g.created_at DESC LIMIT :limit", sought)
        return [(self.read_admission(row), None if row[-1] is None else Msisdn(row[-1])) for row in rows]

    def page(
        self, tenant_id: str, sought: GrantsSought, now: datetime, *, limit: int, after: Position | None = None
    ) -> Page[OwnedGrant]:
        """A page of a tenant's grants, newest first.

        Args:
            tenant_id: Whose.
            sought: Which.
            now: What is left of them is what is left then.
            limit: How many at most.
            after: Where the page before ended.
        """
        parameters = page_parameters(tenant_id, sought, now, limit + 1, after)
        queries = page_queries(_OWNED, sought, later=after is not None)
        parts = [[self._read_owned(row) for row in self._sql.execute(query, parameters)] for query in queries]
        return page_of(parts, limit, _position)

    def owned(self, tenant_id: str, grant_id: str) -> OwnedGrant | None:
        """One of a tenant's grants."""
        query = f"SELECT {_OWNED} FROM grants g JOIN customers c USING (customer_id)"  # noqa: S608 - constants
        row = self._sql.execute(f"{query} WHERE g.grant_id = ? AND +g.tenant_id = ?", (grant_id, tenant_id)).fetchone()
        return None if row is None else self._read_owned(row)

    def imported_since(self, since: datetime) -> list[Grant]:
        """What was taken over since then, and is not over."""
        rows = self._sql.execute(
            _SELECT + "WHERE funding = 'imported' AND state <> 'ended' AND created_at >= ?", (instant(since),)
        )
        return [_read(row) for row in rows]

    def over(self, now: datetime) -> list[Grant]:
        """Grants that still run although their time is up."""
        rows = self._sql.execute(_SELECT + "WHERE state = 'running' AND ends_at <= ?", (instant(now),))
        return [_read(row) for row in rows]

    def next_end(self) -> datetime | None:
        """When the next running grant is over."""
        row = self._sql.execute("SELECT min(ends_at) FROM grants WHERE state = 'running'").fetchone()
        return read_optional_instant(row[0])

    def _one_admission(self, where: str, parameter: str) -> Admission | None:
        row = self._sql.execute(_SELECT_ADMISSION + where, (parameter,)).fetchone()
        return None if row is None else self.read_admission(row)

    def read_admission(self, row: tuple[Any, ...]) -> Admission:
        """A grant with what it bought, from its `ADMISSION_COLUMNS`."""
        ends_at, package = row[8], self._packages.by_id(row[1]).package
        return Admission(
            row[0],
            package.tenant_id,
            row[2],
            row[3],
            None if row[4] is None else _mac(row[4]),
            _STATES[row[5]],
            row[6],
            read_instant(row[7]),
            None if ends_at is None else read_instant(ends_at),
            row[9],
            row[10],
            package,
            None if row[11] is None else read_instant(row[11]),
        )

    def _read_owned(self, row: tuple[Any, ...]) -> OwnedGrant:
        grant, phone = _read(row), row[-1]
        admission = Admission(
            grant.grant_id,
            grant.tenant_id,
            grant.username,
            grant.password,
            grant.mac,
            grant.state,
            grant.seconds_left,
            grant.created_at,
            grant.ends_at,
            grant.seconds_used,
            grant.octets_used,
            self._packages.by_id(grant.package_version_id).package,
            grant.off_since,
        )
        return OwnedGrant(grant, admission, None if phone is None else Msisdn(phone))

    def _one(self, where: str, *parameters: Any) -> Grant | None:
        row = self._sql.execute(_SELECT + where, parameters).fetchone()
        return None if row is None else _read(row)


def _position(owned: OwnedGrant) -> Position:
    return Position(owned.grant.created_at, owned.grant.grant_id)


def _read(row: tuple[Any, ...]) -> Grant:
    return Grant(
        grant_id=row[0],
        tenant_id=row[1],
        customer_id=row[2],
        funding=Funding(row[3]),
        payment_id=row[4],
        purchase_id=row[5],
        package_version_id=row[6],
        service=_SERVICES[row[7]],
        username=row[8],
        password=row[9],
        mac=read_optional_mac(row[10]),
        state=_STATES[row[11]],
        seconds_left=row[12],
        created_at=read_instant(row[13]),
        started_at=read_optional_instant(row[14]),
        ends_at=read_optional_instant(row[15]),
        seconds_used=row[16],
        octets_used=row[17],
        off_since=read_optional_instant(row[18]),
    )
