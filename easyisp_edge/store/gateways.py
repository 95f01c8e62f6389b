"""Table `gateways`: those that people made; what files declare stands in the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.gateways import MadeGateway
from easyisp_edge.store.columns import instant, read_instant

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = (
    "gateway_id, tenant_id, type, sub_type, name, shortcode, store_number, account_number, environment,"
    " consumer_key, consumer_secret, passkey, is_default, for_hotspot, for_pppoe, made_by, created_at, updated_at"
)
_SELECT = f"SELECT {_COLUMNS} FROM gateways "  # noqa: S608 - a constant
# Named, lest all that was ever paid through a gateway be gone through for the few that are open.
_OPEN_PURCHASE = (
    "SELECT 1 FROM purchases INDEXED BY purchases_open"
    " WHERE state IN ('offered', 'intended', 'prompted', 'unknown') AND gateway_id = ? LIMIT 1"
)
_OPEN_CLAIM = "SELECT 1 FROM claims INDEXED BY claims_open WHERE state = 'verifying' AND gateway_id = ? LIMIT 1"


class MadeGatewaysTable:
    """Gateways by id, by tenant."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def add(self, gateway: MadeGateway) -> None:
        """Write a new gateway."""
        marks = ", ".join("?" * len(_COLUMNS.split(",")))
        self._sql.execute(
            f"INSERT INTO gateways ({_COLUMNS}) VALUES ({marks})",  # noqa: S608 - constants
            (
                gateway.gateway_id,
                gateway.tenant_id,
                *_changing(gateway),
                gateway.default,
                gateway.for_hotspot,
                gateway.for_pppoe,
                gateway.made_by,
                instant(gateway.created_at),
                instant(gateway.updated_at),
            ),
        )

    def update(self, gateway: MadeGateway) -> None:
        """Write what may change: all but whose it is, who made it and whether it is the default."""
        self._sql.execute(
            "UPDATE gateways SET type = ?, sub_type = ?, name = ?, shortcode = ?, store_number = ?,"
            " account_number = ?, environment = ?, consumer_key = ?, consumer_secret = ?, passkey = ?,"
            " for_hotspot = ?, for_pppoe = ?, updated_at = ? WHERE gateway_id = ?",
            (
                *_changing(gateway),
                gateway.for_hotspot,
                gateway.for_pppoe,
                instant(gateway.updated_at),
                gateway.gateway_id,
            ),
        )

    def make_default(self, gateway: MadeGateway) -> None:
        """Let it be its tenant's only default."""
        self._sql.execute(
            "UPDATE gateways SET is_default = 0 WHERE tenant_id = ? AND is_default = 1", (gateway.tenant_id,)
        )
        self._sql.execute("UPDATE gateways SET is_default = 1 WHERE gateway_id = ?", (gateway.gateway_id,))

    def remove(self, gateway_id: str) -> None:
        """Take a gateway away, with its secrets; payments keep its id."""
        self._sql.execute("DELETE FROM gateways WHERE gateway_id = ?", (gateway_id,))

    def by_id(self, gateway_id: str) -> MadeGateway | None:
        """A gateway."""
        row = self._sql.execute(_SELECT + "WHERE gateway_id = ?", (gateway_id,)).fetchone()
        return None if row is None else _read(row)

    def of_tenant(self, tenant_id: str) -> list[MadeGateway]:
        """A tenant's, oldest first."""
        query = _SELECT + "WHERE tenant_id = ? ORDER BY created_at, gateway_id"
        return [_read(row) for row in self._sql.execute(query, (tenant_id,))]

    def all(self) -> list[MadeGateway]:
        """Everybody's, oldest first."""
        return [_read(row) for row in self._sql.execute(_SELECT + "ORDER BY created_at, gateway_id")]

    def in_use(self, gateway_id: str) -> bool:
        """Whether somebody may be paying through it just now, or waits for a receipt to be found there."""
        return any(
            self._sql.execute(query, (gateway_id,)).fetchone() is not None for query in (_OPEN_PURCHASE, _OPEN_CLAIM)
        )


def _changing(gateway: MadeGateway) -> tuple[Any, ...]:
    return (
        gateway.type,
        gateway.sub_type,
        gateway.name,
        gateway.shortcode,
        gateway.store_number,
        gateway.account_number,
        gateway.environment,
        gateway.consumer_key,
        gateway.consumer_secret,
        gateway.passkey,
    )


def _read(row: tuple[Any, ...]) -> MadeGateway:
    return MadeGateway(
        gateway_id=row[0],
        tenant_id=row[1],
        type=row[2],
        sub_type=row[3],
        name=row[4],
        shortcode=row[5],
        store_number=row[6],
        account_number=row[7],
        environment=row[8],
        consumer_key=row[9],
        consumer_secret=row[10],
        passkey=row[11],
        default=bool(row[12]),
        for_hotspot=bool(row[13]),
        for_pppoe=bool(row[14]),
        made_by=row[15],
        created_at=read_instant(row[16]),
        updated_at=read_instant(row[17]),
    )
