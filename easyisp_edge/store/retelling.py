"""Rows of a fork put beside a hub's: numbers both gave away are given anew, what both know under two ids is one."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_images import COUNTED, KEYS_OF, columns_of, image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from easyisp_edge.store.rebuild import Rebuild

# Whose numbers count up in each box, so that two give away the same.
_NUMBERED = {
    "package_versions": "version_id",
    "evidence": "evidence_id",
    "entries": "entry_id",
    "sessions": "session_id",
}
# What makes two rows one, whatever their ids.
_TWINS = {
    "package_versions": "tenant_id = :tenant_id AND package_id = :package_id AND fingerprint = :fingerprint",
    "customers": "tenant_id = :tenant_id AND service = :service AND phone IS :phone"
    " AND (phone IS NOT NULL OR last_mac = :last_mac)",
}
# What a row never leaves again: where the hub's has come to it and ours has not, the hub's stays.
_FINAL = {
    "purchases": "state = 'paid'",
    "grants": "state = 'ended'",
    "claims": "state <> 'verifying'",
    "vouchers": "state <> 'available'",
}
_GIVEN_ONCE = ("vouchers", "trials")
_OWNERS = {"from_account": "from_owner", "to_account": "to_owner"}


class Retelling:
    """Puts rows of one stream, parents first, and knows what became of each.

    Args:
        connection: The database.
        rebuild: How rows are read.
        stream: Of which stream.
        changed: Table and key of the rows that the hub's part changed.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        rebuild: Rebuild,
        stream: Stream,
        changed: set[tuple[str, tuple[Any, ...]]],
    ) -> None:
        self._sql = connection
        self._rebuild = rebuild
        self._stream = stream
        self._changed = changed
        self._renamed: dict[tuple[str, Any], Any] = {}
        self._put: dict[tuple[str, tuple[Any, ...]], None] = {}
        self._placed: set[str] = set()
        self.refused: set[tuple[str, tuple[Any, ...]]] = set()
        """Table and key of what cannot stand."""

    def put_all(self, rows: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """Put what can stand, and take away of the rest what the hub has not."""
        for table in _GIVEN_ONCE:
            for row in rows[table]:
                self._refuse_given_twice(table, row)
        for table in KEYS_OF[self._stream]:
            for row in rows[table]:
                self._put_one(table, row)
        if self._stream is Stream.MONEY:
            self._ask_again()
            self._sum_up()
        else:
            self._use_at_least()

    def rows(self) -> list[tuple[str, dict[str, Any]]]:
        """The images of what was put, as it stands now, parents first."""
        order = list(KEYS_OF[self._stream])
        put = sorted(self._put, key=lambda each: order.index(each[0]))
        return [image_of for table, key in put for image_of in self._image(table, key)]

    def renamed(self, key: str) -> str:
        """Who a customer is now."""
        return str(self._renamed.get(("customers", key), key))

    def renamed_facts(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The same of what an event tells."""
        return {name: self.renamed(value) if isinstance(value, str) else value for name, value in facts.items()}

    def is_of_refused(self, told: Mapping[str, Any]) -> bool:
        """Whether an event speaks of what cannot stand."""
        ids = {key[0] for _, key in self.refused if len(key) == 1 and isinstance(key[0], str)}
        return not ids.isdisjoint([told["key"], *(value for value in told["data"].values() if isinstance(value, str))])

    def _image(self, table: str, key: tuple[Any, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
        row = self._stood(table, key)
        if row is not None:
            columns = columns_of(self._stream, table, self._rebuild.columns(table))
            yield table, image(columns, [row[column] for column in columns])

    def _stood(self, table: str, key: tuple[Any, ...]) -> dict[str, Any] | None:
        return self._rebuild.row(table, dict(zip(KEYS_OF[self._stream][table], key, strict=True)))

    def _key(self, table: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[column] for column in KEYS_OF[self._stream][table])

    def _refuse_given_twice(self, table: str, row: dict[str, Any]) -> None:
        stood = self._stood(table, self._key(table, row))
        if stood is not None and stood.get("state") != "available" and stood["grant_id"] != row["grant_id"]:
            self.refused.add((table, self._key(table, row)))
            if row["grant_id"] is not None:
                self.refused.add(("grants", (row["grant_id"],)))

    def _put_one(self, table: str, row: dict[str, Any]) -> None:
        key, own = self._key(table, row), dict(row)
        stood = self._stood(table, key)
        same = stood is not None and all(stood[column] == value for column, value in own.items())
        if (table, key) in self.refused or not self._follow(table, row):
            self._refuse(table, key, take_away=same)
            return
        if self._stream is Stream.USAGE and table == "grants":
            self._use(row, stood)
        elif (twin := self._twin(table, row)) is not None:
            self._is_twin(table, key, twin, take_away=same)
        elif table == "payments" and stood is not None and (table, key) in self._changed and _is_placed(stood):
            self._keep_placed(key, same=stood["disposition"] == own["disposition"])
        elif table == "entries" and not self._is_covered(row):
            self._refuse(table, key, take_away=same)
        elif stood is not None and not same and table in _NUMBERED:
            self._number_anew(table, row)
            self._insert(table, row, key)
        elif stood is not None and not same and self._is_final(table, key, row):
            self.refused.add((table, key))
        else:
            self._insert(table, row, key)

    def _keep_placed(self, key: tuple[Any, ...], *, same: bool) -> None:
        """Both placed that money: how the hub's part did counts, and none of it is moved twice."""
        self._placed.add(key[0])
        if not same:
            self.refused.add(("payments", key))

    def _is_covered(self, row: Mapping[str, Any]) -> bool:
        """Whether money can move so beside what the hub's part moved."""
        if row["payment_id"] in self._placed:
            return False
        if row["from_account"] != "wallet":
            return True
        held = self._sql.execute(
            "SELECT coalesce(sum(CASE to_owner WHEN ?1 THEN amount_cents ELSE 0 END)"
            " - sum(CASE from_owner WHEN ?1 THEN amount_cents ELSE 0 END), 0) FROM entries WHERE entry_id <> ?2"
            " AND ((to_account = 'wallet' AND to_owner = ?1) OR (from_account = 'wallet' AND from_owner = ?1))",
            (row["from_owner"], row["entry_id"] if self._is_own(row) else 0),
        ).fetchone()[0]
        if held >= row["amount_cents"]:
            return True
        if row["grant_id"] is not None and row["payment_id"] is None:
            self._put.pop(("grants", (row["grant_id"],)), None)
            self._refuse("grants", (row["grant_id"],), take_away=True)
        return False

    def _is_own(self, row: Mapping[str, Any]) -> bool:
        stood = self._stood("entries", (row["entry_id"],))
        return stood is not None and all(stood[column] == value for column, value in row.items())

    def _follow(self, table: str, row: dict[str, Any]) -> bool:
        """Have a row point to what its parents are called now; False where one cannot stand."""
        for parent, column in self._sql.execute('SELECT "table", "from" FROM pragma_foreign_key_list(?)', (table,)):
            if column not in row or row[column] is None:
                continue
            if (parent, (row[column],)) in self.refused or not self._is_there(parent, row, column):
                if table != "sessions":
                    return False
                row[column] = None
        if table == "entries":
            for account, owner in _OWNERS.items():
                if row[account] == "wallet":
                    row[owner] = self.renamed(row[owner])
        return True

    def _is_there(self, parent: str, row: dict[str, Any], column: str) -> bool:
        row[column] = self._renamed.get((parent, row[column]), row[column])
        (key,) = KEYS_OF[Stream.MONEY][parent]
        return self._rebuild.row(parent, {key: row[column]}) is not None

    def _twin(self, table: str, row: dict[str, Any]) -> Any:
        if table not in _TWINS:
            return None
        (key,) = KEYS_OF[self._stream][table]
        query = f"SELECT {key} FROM {table} WHERE {_TWINS[table]} AND {key} <> :{key}"  # noqa: S608 - constants
        found = self._sql.execute(query, row).fetchone()
        return None if found is None else found[0]

    def _is_twin(self, table: str, key: tuple[Any, ...], twin: Any, *, take_away: bool) -> None:
        self._renamed[table, key[0]] = twin
        if take_away:
            self._delete(table, key)
        if table == "customers":
            self._put[table, (twin,)] = None

    def _number_anew(self, table: str, row: dict[str, Any]) -> None:
        column = _NUMBERED[table]
        number = self._sql.execute(f"SELECT max({column}) + 1 FROM {table}").fetchone()[0]  # noqa: S608 - constants
        self._renamed[table, row[column]] = number
        row[column] = number

    def _is_final(self, table: str, key: tuple[Any, ...], row: Mapping[str, Any]) -> bool:
        if table not in _FINAL:
            return False
        where = " AND ".join(f"{column} = ?" for column in KEYS_OF[self._stream][table])
        query = f"SELECT 1 FROM {table} WHERE {where} AND {_FINAL[table]}"  # noqa: S608 - constants
        if self._sql.execute(query, key).fetchone() is None:
            return False
        column = _FINAL[table].split()[0]
        stood = self._stood(table, key)
        return stood is not None and stood[column] != row[column]

    def _insert(self, table: str, row: dict[str, Any], own_key: tuple[Any, ...]) -> None:
        key = KEYS_OF[self._stream][table]
        stood = self._stood(table, self._key(table, row))
        whole = {**dict.fromkeys(COUNTED if table == "grants" else (), 0), **(stood or {}), **row}
        try:
            self._sql.execute(
                f"INSERT INTO {table} ({', '.join(whole)}) VALUES ({', '.join('?' * len(whole))})"  # noqa: S608
                f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET"
                f" {', '.join(f'{column} = excluded.{column}' for column in whole)}",
                tuple(whole.values()),
            )
        except sqlite3.IntegrityError:
            self._refuse(table, own_key, take_away=False)
        else:
            self._put[table, self._key(table, row)] = None

    def _refuse(self, table: str, key: tuple[Any, ...], *, take_away: bool) -> None:
        self.refused.add((table, key))
        if take_away:
            self._delete(table, key)

    def _delete(self, table: str, key: tuple[Any, ...]) -> None:
        if (table, key) in self._changed:
            return  # the hub's, though it says what ours says
        where = " AND ".join(f"{column} = ?" for column in KEYS_OF[self._stream][table])
        self._sql.execute(f"DELETE FROM {table} WHERE {where}", key)  # noqa: S608 - constants

    def _ask_again(self) -> None:
        """A purchase whose payment cannot stand is not known to be paid: its gateway is asked."""
        for table, key in self._put:
            if table == "purchases":
                self._sql.execute(
                    "UPDATE purchases SET state = 'unknown', query_at = changed_at WHERE purchase_id = ?1"
                    " AND state = 'paid' AND NOT EXISTS (SELECT 1 FROM grants WHERE purchase_id = ?1)",
                    key,
                )

    def _sum_up(self) -> None:
        """What a customer has spent is what stands now."""
        found = (self._stood(table, key) for table, key in list(self._put) if table == "payments")
        paid = {row["customer_id"] for row in found if row is not None}
        customers = {key[0] for table, key in self._put if table == "customers"}
        for customer_id in sorted(customers | (paid - {None})):
            self._sql.execute(
                "UPDATE customers SET total_spent_cents = (SELECT coalesce(sum(amount_cents), 0) FROM payments"
                " WHERE customer_id = ?1 AND disposition <> 'merged') WHERE customer_id = ?1",
                (customer_id,),
            )
            self._put["customers", (customer_id,)] = None

    def _use(self, row: Mapping[str, Any], stood: Mapping[str, Any] | None) -> None:
        if stood is None:
            return
        self._sql.execute(
            "UPDATE grants SET seconds_used = max(seconds_used, ?), octets_used = max(octets_used, ?)"
            " WHERE grant_id = ?",
            (row["seconds_used"], row["octets_used"], row["grant_id"]),
        )
        self._put["grants", (row["grant_id"],)] = None

    def _use_at_least(self) -> None:
        """A grant has used what its sessions of both parts come to, at least."""
        for grant_id in [key[0] for table, key in self._put if table == "grants"]:
            self._sql.execute(
                "UPDATE grants SET seconds_used = max(seconds_used, told.seconds),"
                " octets_used = max(octets_used, told.octets) FROM (SELECT coalesce(sum(seconds), 0) AS seconds,"
                " coalesce(sum(min(octets_in + octets_out, 1 << 50)), 0) AS octets FROM sessions"
                " WHERE grant_id = ?1) AS told WHERE grants.grant_id = ?1",
                (grant_id,),
            )


def _is_placed(payment: Mapping[str, Any]) -> bool:
    return bool(payment["disposition"] != "unmatched")
