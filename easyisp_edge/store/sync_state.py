"""Tables `sync_site`, `sync_lanes`, `sync_parked` and `sync_asks`: this box and its hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.central import SyncPhase, SyncSite
from easyisp_edge.domain.claims import VISIBLE_WITHIN
from easyisp_edge.domain.event_lines import parked_line
from easyisp_edge.domain.row_images import MONEY_KEYS
from easyisp_edge.store.columns import instant, read_instant

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from easyisp_edge.domain.events import Stream
    from easyisp_edge.domain.sync import Lane

_COLUMNS = (
    "hub_url, site_id, epoch, hub_key, public_key, callback_base, enrolled_at, key_since, phase, down_after, former_key"
)
# A box puts its packages out, and makes up addresses for its gateways, before it knows any hub.
_OF_EVERY_BOX = ("package_versions", "gateway_states")
_SHED_AT_ONCE = 1000
# Fewer would free less than what is written about it.
_SHED_AT_LEAST = 20


class AskedReceipt(NamedTuple):
    """A receipt the hub is to look up.

    Args:
        mpesa_receipt_number: Which.
        gateway_id: Where the money should have come in.
    """

    mpesa_receipt_number: str
    gateway_id: str


class SyncTable:
    """How this box stands to its hub."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    # --- who it is

    def site(self) -> SyncSite | None:
        """Who this box is to its hub; None where it has none."""
        row = self._sql.execute(f"SELECT {_COLUMNS} FROM sync_site").fetchone()  # noqa: S608 - constants
        if row is None:
            return None
        return SyncSite(
            hub_url=row[0],
            site_id=row[1],
            epoch=row[2],
            hub_key=row[3],
            public_key=row[4],
            callback_base=row[5],
            enrolled_at=read_instant(row[6]),
            key_since=read_instant(row[7]),
            phase=SyncPhase(row[8]),
            down_after=row[9],
            former_key=row[10],
        )

    def enrol(self, site: SyncSite) -> None:
        """Be that from now on; what was counted with another hub, or in another life, counts no more."""
        self._sql.execute("DELETE FROM sync_site")
        self._sql.execute("DELETE FROM sync_lanes")
        self._sql.execute("DELETE FROM sync_parked")
        self._sql.execute(
            f"INSERT INTO sync_site (id, {_COLUMNS}) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                site.hub_url, site.site_id, site.epoch, site.hub_key, site.public_key, site.callback_base,
                instant(site.enrolled_at), instant(site.key_since), site.phase.value, site.down_after,
                site.former_key,
            ),
        )  # fmt: skip

    def come_to(self, phase: SyncPhase) -> None:
        """Note how the two stand."""
        self._sql.execute("UPDATE sync_site SET phase = ?", (phase.value,))

    def begin_epoch(self, epoch: int) -> None:
        """Live on in that epoch."""
        self._sql.execute("UPDATE sync_site SET epoch = ?", (epoch,))

    def change_key(self, public_key: bytes, since: datetime) -> None:
        """Sign with that key from now on; the one before is kept in mind."""
        self._sql.execute(
            "UPDATE sync_site SET former_key = iif(public_key = ?1, former_key, public_key), public_key = ?1,"
            " key_since = ?2",
            (public_key, instant(since)),
        )

    def fall_back(self, unknown_key: bytes) -> bool:
        """Sign with the key before that one, old as it is; False where there is none, or another is in use by now."""
        changed = self._sql.execute(
            "UPDATE sync_site SET former_key = public_key, public_key = former_key, key_since = enrolled_at"
            " WHERE public_key = ? AND former_key IS NOT NULL",
            (unknown_key,),
        )
        return changed.rowcount == 1

    def be_called_at(self, callback_base: str) -> None:
        """Have callbacks come that way."""
        self._sql.execute("UPDATE sync_site SET callback_base = ?", (callback_base,))

    def take_down(self, number: int) -> None:
        """Note that the message of that number was taken, in the transaction in which it was."""
        self._sql.execute("UPDATE sync_site SET down_after = max(down_after, ?)", (number,))

    def is_fresh(self) -> bool:
        """Whether these books say nothing yet, so that another box's may take their place."""
        if self._sql.execute("SELECT 1 FROM events LIMIT 1").fetchone() is not None:
            return False
        tables = [table for table in MONEY_KEYS if table not in _OF_EVERY_BOX]
        queries = (f"SELECT 1 FROM {table} LIMIT 1" for table in tables)  # noqa: S608 - the schema's own words
        return all(self._sql.execute(query).fetchone() is None for query in queries)

    def make_way(self) -> None:
        """Forget what every box has, for the rows of another box; within `Store.rewrite`, of fresh books."""
        for table in _OF_EVERY_BOX:
            self._sql.execute(f"DELETE FROM {table}")  # noqa: S608 - constants

    # --- how far it is

    def counter(self, lane: Lane) -> int:
        """The number that no request of a lane has gone beyond."""
        row = self._sql.execute("SELECT counter FROM sync_lanes WHERE lane = ?", (lane.value,)).fetchone()
        return 0 if row is None else int(row[0])

    def reserve(self, lane: Lane, counter: int) -> None:
        """Let requests of a lane go up to that number."""
        self._sql.execute(
            "INSERT INTO sync_lanes (lane, counter) VALUES (?, ?) ON CONFLICT (lane) DO UPDATE"
            " SET counter = max(counter, excluded.counter)",
            (lane.value, counter),
        )

    def acked(self, stream: Stream) -> int:
        """The number up to which the hub has a stream, as far as it said."""
        row = self._sql.execute("SELECT acked FROM sync_lanes WHERE lane = ?", (stream.value,)).fetchone()
        return 0 if row is None else int(row[0])

    def ack(self, stream: Stream, number: int) -> None:
        """Note up to where the hub has a stream; it may be less than before."""
        self._sql.execute(
            "INSERT INTO sync_lanes (lane, acked) VALUES (?, ?)"
            " ON CONFLICT (lane) DO UPDATE SET acked = excluded.acked",
            (stream.value, number),
        )

    def oldest_after(self, stream: Stream, number: int) -> datetime | None:
        """When the first event after that number happened."""
        query = "SELECT at FROM events WHERE stream = ? AND sequence > ? ORDER BY sequence LIMIT 1"
        row = self._sql.execute(query, (stream.value, number)).fetchone()
        return None if row is None else read_instant(row[0])

    # --- what the hub cannot take

    def park(self, stream: Stream, sequence: int, at: datetime) -> None:
        """Send the digest of an event in its place."""
        self._sql.execute(
            "INSERT INTO sync_parked (stream, sequence, parked_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (stream.value, sequence, instant(at)),
        )

    def parked(self, stream: Stream, after: int, limit: int) -> set[int]:
        """Those of the next events after a number whose digest is sent in their place."""
        query = "SELECT sequence FROM sync_parked WHERE stream = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        return {row[0] for row in self._sql.execute(query, (stream.value, after, limit))}

    def parked_in_all(self) -> int:
        """How many events stand so."""
        return int(self._sql.execute("SELECT count(*) FROM sync_parked").fetchone()[0])

    def forked_lines(self, fork: int, stream: Stream, after: int, limit: int) -> Iterator[tuple[int, bytes]]:
        """The lines of this box's part of a fork, in order, read as they are taken: number and body."""
        query = (
            "SELECT sequence, body FROM events_forked WHERE fork = ? AND stream = ? AND sequence > ?"
            " ORDER BY sequence LIMIT ?"
        )
        return ((row[0], row[1]) for row in self._sql.execute(query, (fork, stream.value, after, limit)))

    # --- what the hub is asked

    def to_be_asked(
        self, gateway_ids: Iterable[str], asked_before: datetime, times: int, limit: int
    ) -> list[AskedReceipt]:
        """Receipts that customers wait for and that were not asked about since then, nor so often."""
        ids = list(gateway_ids)
        marks = ", ".join("?" * len(ids))
        query = (
            "SELECT DISTINCT c.mpesa_receipt_number, c.gateway_id FROM claims c"  # noqa: S608 - question marks
            " LEFT JOIN sync_asks a ON a.mpesa_receipt_number = c.mpesa_receipt_number"
            f" WHERE c.state = 'verifying' AND c.gateway_id IN ({marks})"
            " AND (a.asked_at IS NULL OR (a.asked_at < ? AND a.times < ?)) LIMIT ?"
        )
        rows = self._sql.execute(query, (*ids, instant(asked_before), times, limit))
        return [AskedReceipt(*row) for row in rows]

    def note_asked(self, asked: AskedReceipt, at: datetime) -> None:
        """Note that the hub was asked."""
        self._sql.execute(
            "INSERT INTO sync_asks (mpesa_receipt_number, gateway_id, asked_at, times) VALUES (?, ?, ?, 1)"
            " ON CONFLICT (mpesa_receipt_number) DO UPDATE SET asked_at = excluded.asked_at,"
            " gateway_id = excluded.gateway_id, times = times + 1",
            (*asked, instant(at)),
        )

    def asked_of(self, mpesa_receipt_number: str) -> str | None:
        """At which gateway a receipt was to be looked up."""
        query = "SELECT gateway_id FROM sync_asks WHERE mpesa_receipt_number = ?"
        row = self._sql.execute(query, (mpesa_receipt_number,)).fetchone()
        return None if row is None else str(row[0])

    def waited_long_for(self, mpesa_receipt_number: str, now: datetime) -> list[str]:
        """Ids of open claims on a receipt, made so long ago that M-Pesa must know it by now."""
        query = "SELECT claim_id FROM claims WHERE mpesa_receipt_number = ? AND state = 'verifying' AND created_at <= ?"
        return [row[0] for row in self._sql.execute(query, (mpesa_receipt_number, instant(now - VISIBLE_WITHIN)))]

    # --- what is dropped when the disk is full

    def reusable_octets(self) -> int:
        """What the file holds that is free for new rows."""
        pages = self._sql.execute("PRAGMA freelist_count").fetchone()[0]
        return int(pages) * int(self._sql.execute("PRAGMA page_size").fetchone()[0])

    def drop_known_usage(self, acked: int, before: datetime | None) -> int:
        """Drop some of the usage events the hub has, the oldest first; gives how many. Within `Store.rewrite`.

        The stream's last event stays: the next one is chained to it.

        Args:
            acked: The hub has all up to this number.
            before: Only those that happened before then.
        """
        older = "" if before is None else "AND at < ?"
        values = () if before is None else (instant(before),)
        return self._sql.execute(
            "DELETE FROM events WHERE stream = 'usage' AND sequence IN (SELECT sequence FROM events"  # noqa: S608
            f" WHERE stream = 'usage' AND sequence <= ? {older} AND sequence <"
            " (SELECT max(sequence) FROM events WHERE stream = 'usage') ORDER BY sequence LIMIT ?)",
            (acked, *values, _SHED_AT_ONCE),
        ).rowcount

    def shed_counts(self, acked: int) -> tuple[int, int, int] | None:
        """Keep of some counts that the hub has not yet only their digests; the oldest first. Within `Store.rewrite`.

        Gives the first and the last number and how many; None where too few are left to be worth it.
        """
        rows = self._sql.execute(
            "SELECT sequence, digest FROM events WHERE stream = 'usage' AND sequence > ? AND type = 'counts'"
            " AND sequence < (SELECT max(sequence) FROM events WHERE stream = 'usage') ORDER BY sequence LIMIT ?",
            (acked, _SHED_AT_ONCE),
        ).fetchall()
        if len(rows) < _SHED_AT_LEAST:
            return None
        self._sql.executemany(
            "UPDATE events SET type = 'edge.parked', key = '', body = ? WHERE stream = 'usage' AND sequence = ?",
            [(parked_line(sequence, digest), sequence) for sequence, digest in rows],
        )
        return rows[0][0], rows[-1][0], len(rows)
