"""Tables `configurations` and `revocations`: what each site is told to sell, and which grants are taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from easyisp_edge.hub.store.database import Transaction


class Configuration(NamedTuple):
    """What was published for a site.

    Args:
        version: Rises with each.
        packages: JSON.
        gateways: JSON, sealed: it may hold secrets.
        published_at: When.
    """

    version: int
    packages: str
    gateways: str
    published_at: str


async def next_version(tx: Transaction, site_id: str) -> int | None:
    """The version of the next configuration of a site; None where there is no such site."""
    row = await tx.row(
        "UPDATE sites SET config_version = config_version + 1 WHERE site_id = $1 RETURNING config_version", site_id
    )
    return None if row is None else int(row[0])


async def keep_configuration(tx: Transaction, site_id: str, told: Configuration) -> None:
    """Keep a site's configuration in the place of the one before."""
    await tx.rows(
        "INSERT INTO configurations (site_id, version, packages, gateways, published_at) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (site_id) DO UPDATE SET version = excluded.version, packages = excluded.packages,"
        " gateways = excluded.gateways, published_at = excluded.published_at",
        site_id,
        *told,
    )


async def configuration(tx: Transaction, site_id: str) -> Configuration | None:
    """A site's configuration."""
    row = await tx.row(
        "SELECT version, packages, gateways, published_at FROM configurations WHERE site_id = $1", site_id
    )
    return None if row is None else Configuration(*row)


async def drop_older_configurations(tx: Transaction, site_id: str, number: int) -> None:
    """Take back the messages that a newer configuration makes needless, which is message `number`."""
    await tx.rows("DELETE FROM down_messages WHERE site_id = $1 AND n < $2 AND type = 'config'", site_id, number)


async def has_grant(tx: Transaction, site_id: str, grant_id: str) -> bool:
    """Whether a site told of a grant."""
    row = await tx.row("SELECT row_key FROM grants WHERE site_id = $1 AND row_key = $2", site_id, grant_id)
    return row is not None


async def add_revocation(tx: Transaction, site_id: str, grant_id: str, reason: str, at: str) -> bool:
    """Note that a grant is taken back; False where it was already."""
    row = await tx.row(
        "INSERT INTO revocations (site_id, grant_id, reason, revoked_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING RETURNING grant_id",
        site_id,
        grant_id,
        reason,
        at,
    )
    return row is not None


async def revoked(tx: Transaction, site_id: str) -> list[str]:
    """All grants that were taken back at a site."""
    rows = await tx.rows("SELECT grant_id FROM revocations WHERE site_id = $1 ORDER BY grant_id", site_id)
    return [row[0] for row in rows]
