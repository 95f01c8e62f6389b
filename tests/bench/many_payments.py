"""Books with very many payments, written row by row past the code that writes them in earnest: that takes hours.

Counts are kept by the database's own triggers; indexes are built at the end, as that is quicker.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from easyisp_edge.store import migrations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TENANT = "default"
GATEWAY = "paybill"
DAYS = 365
_END = datetime(2026, 11, 22, 21, 0, tzinfo=UTC)  # the midnight in Nairobi before the day of the benchmark
_PAYMENTS_EACH = 5  # a customer's
_PAID_FOR_EACH_ATTEMPT_LOST = 4
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_CACHE_KIB = 200_000


@dataclass(frozen=True, slots=True)
class ManyPayments:
    """Books of a year.

    Args:
        path: The store's file.
        count: Of payments.
    """

    path: Path
    count: int

    @classmethod
    def write(cls, path: Path, count: int) -> ManyPayments:
        """Write them, evenly spread over the year."""
        books = cls(path, count)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
                connection.execute(f"PRAGMA {pragma}")
            migrations.migrate(connection)
            connection.execute("BEGIN")
            books._fill(connection)
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode=WAL")
        return books

    @property
    def customers(self) -> int:
        """How many paid."""
        return max(1, self.count // _PAYMENTS_EACH)

    def receipt(self, number: int) -> str:
        """The receipt of that payment, as M-Pesa makes them: its day first."""
        at = self._at(number, self.count)
        drawn, tail = random.Random(number).randrange(36**3), ""
        for _ in range(3):
            drawn, digit = divmod(drawn, 36)
            tail += _LETTERS[digit]
        return f"U{_LETTERS[at.month - 1]}{_LETTERS[at.day % 26]}{_base_36(number):A>4}{tail}"

    def phone(self, number: int) -> str:
        """The number of that payment's customer."""
        return f"2547{(number % self.customers) * 7919 % 100_000_000:08}"

    def _fill(self, connection: sqlite3.Connection) -> None:
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name IN ('payments', 'purchases', 'customers')"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(
            "INSERT INTO package_versions VALUES (1, ?, '1h', 'f', '1 hour', 'hotspot', 1000, 3600, NULL, '2M/5M',"
            " NULL, 1, 1, '', NULL, NULL, ?)",
            (TENANT, _text(_END)),
        )
        connection.executemany(
            "INSERT INTO customers (customer_id, tenant_id, service, phone, last_mac, total_spent_cents, created_at)"
            " VALUES (?, ?, 'hotspot', ?, NULL, 5000, ?)",
            self._customers(),
        )
        connection.executemany(
            "INSERT INTO payments VALUES (?, ?, ?, 'MPESA', 1000, ?, ?, NULL, ?, ?, ?, '1 hour', ?)", self._payments()
        )
        connection.executemany(
            "INSERT INTO purchases (purchase_id, tenant_id, package_version_id, service, gateway_id, phone,"
            " amount_cents, language, state, reason, account_reference, callback_token_digest, created_at, changed_at)"
            " VALUES (?1, ?2, 1, 'hotspot', ?3, ?4, 1000, 'en', 'failed', 'cancelled', ?5, CAST(?1 AS BLOB), ?6, ?6)",
            self._attempts(),
        )
        for _, statement in indexes:
            connection.execute(statement)

    def _customers(self) -> Iterator[tuple[str, ...]]:
        created_at = _text(_END - timedelta(days=DAYS))
        for number in range(self.customers):
            yield f"{number:032x}", TENANT, self.phone(number), created_at

    def _payments(self) -> Iterator[tuple[str | None, ...]]:
        for number in range(self.count):
            at = self._at(number, self.count)
            disposition = "refunded" if number % 97 == 0 else "wallet"
            yield (
                f"{int(at.timestamp() * 1000):012x}{number:020x}",
                TENANT,
                GATEWAY,
                disposition,
                self.receipt(number),
                f"{number % self.customers:032x}",
                self.phone(number),
                f"ACC{number:07}",
                _text(at),
            )

    def _attempts(self) -> Iterator[tuple[str | bytes, ...]]:
        count = max(1, self.count // _PAID_FOR_EACH_ATTEMPT_LOST)
        for number in range(count):
            drawn = random.Random(number).randbytes(16)
            code = f"A{number:09}"
            yield drawn.hex(), TENANT, GATEWAY, self.phone(number), code, _text(self._at(number, count))

    @staticmethod
    def _at(number: int, count: int) -> datetime:
        return _END - timedelta(days=DAYS) * ((count - number) / count)


def _base_36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _LETTERS[digit] + text
    return text or _LETTERS[0]


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
