"""Tables `sites`, `enrol_codes` and `lanes`: who the boxes are, and how far each lane of theirs has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import GENESIS, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easyisp_edge.hub.store.database import Transaction

NEW, WAITING, CONFIRMED, CLOSED = "new", "waiting", "confirmed", "closed"
_COLUMNS = "site_id, name, state, epoch, public_key, former_key, next_key, config_version"
_SELECT = f"SELECT {_COLUMNS} FROM sites"  # noqa: S608 - constants
_STREAMS = frozenset(stream.value for stream in Stream)
EVERY_LANE = (
    "SELECT site_id, lane, counter, seen_at FROM lanes"
    " UNION ALL SELECT site_id, stream, counter, seen_at FROM streams WHERE seen_at IS NOT NULL"
)
_TAKE = (
    "INSERT INTO lanes (site_id, lane, counter, seen_at) VALUES ($1, $2, $3, $4) ON CONFLICT (site_id, lane)"
    " DO UPDATE SET counter = excluded.counter, seen_at = excluded.seen_at WHERE lanes.counter < excluded.counter"
    " RETURNING counter"
)
_TAKE_OF_STREAM = (
    "UPDATE streams SET counter = $3, seen_at = $4 WHERE site_id = $1 AND stream = $2 AND counter < $3"
    " RETURNING counter"
)


@dataclass(frozen=True, slots=True)
class Site:
    """A site as its row stands.

    Args:
        site_id: On the wire.
        name: For people.
        state: `new` until a box enrolled, `waiting` until a person compared its key, `confirmed`, or `closed`.
        epoch: The life the site is in; 0 before the first.
        public_key: Of its box.
        former_key: What was its key before: of the box before it, or of the same.
        next_key: What its box goes on with; the first request it signs ends the present one.
        config_version: Of the last configuration that was published for it.
    """

    site_id: str
    name: str
    state: str
    epoch: int
    public_key: bytes | None
    former_key: bytes | None
    next_key: bytes | None
    config_version: int

    @property
    def confirmed(self) -> bool:
        """Whether a person said that the box is the right one."""
        return self.state == CONFIRMED


async def add_site(tx: Transaction, site_id: str, name: str, at: str) -> None:
    """Add a site; its streams begin empty."""
    await tx.rows(
        "INSERT INTO sites (site_id, name, state, epoch, config_version, created_at) VALUES ($1, $2, 'new', 0, 0, $3)",
        site_id,
        name,
        at,
    )
    for stream in Stream:
        await tx.rows(
            "INSERT INTO streams (site_id, stream, counter, last, head, received_at) VALUES ($1, $2, 0, 0, $3, $4)",
            site_id,
            stream.value,
            GENESIS,
            at,
        )


async def sites_of(tx: Transaction, site_ids: Iterable[str]) -> dict[str, Site]:
    """Those of some sites that exist, by id."""
    rows = await tx.rows(f"{_SELECT} WHERE site_id = ANY($1)", sorted(set(site_ids)))
    return {row[0]: Site(*row) for row in rows}


async def all_sites(tx: Transaction) -> list[Site]:
    """All sites, by name."""
    return [Site(*row) for row in await tx.rows(f"{_SELECT} ORDER BY name")]


async def site_named(tx: Transaction, name: str) -> Site | None:
    """The site of a name."""
    row = await tx.row(f"{_SELECT} WHERE name = $1", name)
    return None if row is None else Site(*row)


async def last_seen(tx: Transaction) -> dict[str, str]:
    """When each site last asked for anything."""
    query = f"SELECT site_id, max(seen_at) FROM ({EVERY_LANE}) AS known GROUP BY site_id"  # noqa: S608 - constants
    return dict(await tx.rows(query))


async def confirm_site(tx: Transaction, site_id: str, at: str) -> bool:
    """Note that a person compared the keys; False where no box waits for that."""
    row = await tx.row(
        "UPDATE sites SET state = 'confirmed', confirmed_at = $2 WHERE site_id = $1 AND state = 'waiting'"
        " RETURNING site_id",
        site_id,
        at,
    )
    return row is not None


async def close_site(tx: Transaction, site_id: str) -> None:
    """Hear no more of a site; what is known of it stays."""
    await tx.rows("UPDATE sites SET state = 'closed' WHERE site_id = $1", site_id)


async def add_code(tx: Transaction, digest: bytes, site_id: str, expires_at: str) -> None:
    """Keep a code's digest."""
    await tx.rows(
        "INSERT INTO enrol_codes (code_digest, site_id, expires_at) VALUES ($1, $2, $3)", digest, site_id, expires_at
    )


async def use_code(tx: Transaction, digest: bytes, key: bytes, at: str) -> tuple[str, bool] | None:
    """Whose a code is, and whether it is used for the first time.

    None where it is none, or no more; the same key may use it again while it is good: its first answer was lost.
    """
    row = await tx.row(
        "UPDATE enrol_codes SET used_at = $3, used_key = $2 WHERE code_digest = $1 AND used_at IS NULL"
        " AND expires_at > $3 RETURNING site_id",
        digest,
        key,
        at,
    )
    if row is not None:
        return row[0], True
    row = await tx.row(
        "SELECT site_id FROM enrol_codes WHERE code_digest = $1 AND used_key = $2 AND expires_at > $3", digest, key, at
    )
    return None if row is None else (row[0], False)


async def enrol(tx: Transaction, site_id: str, key: bytes, at: str) -> None:
    """Give a site a new box: the one before ends at once, and its epoch with it."""
    await tx.rows(
        "UPDATE sites SET former_key = public_key, public_key = $2, next_key = NULL, epoch = epoch + 1,"
        " state = 'waiting', enrolled_at = $3, confirmed_at = NULL WHERE site_id = $1",
        site_id,
        key,
        at,
    )
    await tx.rows("DELETE FROM lanes WHERE site_id = $1", site_id)
    await tx.rows("UPDATE streams SET counter = 0, seen_at = NULL WHERE site_id = $1", site_id)


async def announce_key(tx: Transaction, site_id: str, present: bytes, following: bytes) -> bool:
    """Let a confirmed box go on with another key; False where it is not the site's box any more."""
    row = await tx.row(
        "UPDATE sites SET next_key = $3 WHERE site_id = $1 AND public_key = $2 AND state = 'confirmed'"
        " RETURNING site_id",
        site_id,
        present,
        following,
    )
    return row is not None


async def change_key(tx: Transaction, site_id: str, following: bytes) -> None:
    """End the present key where that one was to follow it."""
    await tx.rows(
        "UPDATE sites SET former_key = public_key, public_key = next_key, next_key = NULL"
        " WHERE site_id = $1 AND next_key = $2",
        site_id,
        following,
    )


async def raise_epoch(tx: Transaction, site_id: str, epoch: int) -> int | None:
    """Begin that epoch where the one before is under way; gives the epoch the site is in, None for no site."""
    await tx.rows("UPDATE sites SET epoch = $2 WHERE site_id = $1 AND epoch = $2 - 1", site_id, epoch)
    row = await tx.row("SELECT epoch FROM sites WHERE site_id = $1", site_id)
    return None if row is None else int(row[0])


async def take_counter(tx: Transaction, site_id: str, lane: str, counter: int, at: str) -> bool:
    """Use a counter of a lane; False where it is not above all before."""
    taken = await tx.row(_TAKE_OF_STREAM if lane in _STREAMS else _TAKE, site_id, lane, counter, at)
    return taken is not None


async def counters(tx: Transaction, site_id: str) -> dict[str, int]:
    """The last counter of each lane that was ever used."""
    query = f"SELECT lane, counter FROM ({EVERY_LANE}) AS known WHERE site_id = $1"  # noqa: S608 - constants
    return dict(await tx.rows(query, site_id))
