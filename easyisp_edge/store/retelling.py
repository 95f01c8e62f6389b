"""Rows of a fork put beside a hub's: numbers both gave away are given anew, what both know under two ids is one."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.row_images import COUNTED, KEYS_OF, KIND_OF, columns_of, image, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
# What makes two rows of one number one row, that became otherwise meanwhile.
_SAME = {"sessions": ("router_id", "acct_session_id", "username", "started_at")}
# What a row never leaves again: where the hub's has come to it and ours has not, the hub's stays.
_FINAL = {
    "purchases": "state = 'paid'",
    "grants": "state = 'ended'",
    "claims": "state <> 'verifying'",
    "vouchers": "state <> 'available'",
    "gateway_states": "notice_token <> ''",
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
        begun: The number of the first event that is not of both.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        rebuild: Rebuild,
        stream: Stream,
        changed: set[tuple[str, tuple[Any, ...]]],
        begun: int,
    ) -> None:
        self._sql = connection
        self._rebuild = rebuild
        self._stream = stream
        self._changed = changed
        self._begun = begun
        self._renamed: dict[tuple[str, Any], Any] = {}
        self._put: dict[tuple[str, tuple[Any, ...]], None] = {}
        self._placed: set[str] = set()
        self._known: set[str] = set()
        self._final: set[tuple[str, tuple[Any, ...]]] = set()
        self.refused: set[tuple[str, tuple[Any, ...]]] = set()
        """Table and key of what cannot stand."""

    @property
    def count(self) -> int:
        """How many rows were put."""
        return len(self._put)

    def put_all(self, rows_of: Callable[[str], Sequence[dict[str, Any]]]) -> None:
        """Put what can stand, and take away of the rest what the hub has not.

        Args:
            rows_of: Gives the rows of a table; asked table by table.
        """
        for table in _GIVEN_ONCE if self._stream is Stream.MONEY else ():
            for row in rows_of(table):
                self._refuse_given_twice(table, row)
        for table in KEYS_OF[self._stream]:
            for row in rows_of(table):
                self._put_one(table, row)
        if self._stream is Stream.MONEY:
            self._stay_paid()
            self._ask_again()
            self._sum_up()
        else:
            self._use_at_least()

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The images of what was put, as it stands now, parents first."""
        order = list(KEYS_OF[self._stream])
        for table, key in sorted(self._put, key=lambda each: order.index(each[0])):
            yield from self._image(table, key)

    def renamed(self, key: str) -> str:
        """Who a customer is now."""
        return str(self._renamed.get(("customers", key), key))

    def renamed_facts(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The same of what an event tells."""
        return {name: self.renamed(value) if isinstance(value, str) else value for name, value in facts.items()}

    def is_of_refused(self, told: Mapping[str, Any]) -> bool:
        """Whether an event speaks of what cannot stand, or of how a row became that the hub's part has otherwise."""
        if told["key"] in _ids(self._final):
            return True
        gone = _ids(self.refused - self._final) | self._known
        return not gone.isdisjoint([told["key"], *(value for value in told["data"].values() if isinstance(value, str))])

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
        if self._is_known(table, row):
            if same:
                self._delete(table, key)
            return
        hubs = stood if (table, key) in self._changed else None
        if (table, key) in self.refused or not self._follow(table, row, hubs):
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
            self._put_numbered(table, row, stood)
        elif stood is not None and not same and self._is_final(table, key, row):
            self._final.add((table, key))  # the hub's stands, and what points to it may
            self.refused.add((table, key))
        else:
            self._insert(table, row, key)

    def _is_known(self, table: str, row: Mapping[str, Any]) -> bool:
        """Whether it tells of money that the hub's part has booked too, and for which nobody got anything here.

        Both read it in the gateway's list: there is nothing to decide, and the hub's stands.
        """
        if table == "entries":
            return row["payment_id"] in self._known
        if table != "payments" or row["disposition"] != "unmatched":
            return False
        query = "SELECT 1 FROM payments WHERE mpesa_receipt_number = ? AND payment_id <> ?"
        found = self._sql.execute(query, (row["mpesa_receipt_number"], row["payment_id"])).fetchone()
        if found is not None:
            self._known.add(row["payment_id"])
        return found is not None

    def _put_numbered(self, table: str, row: dict[str, Any], stood: Mapping[str, Any]) -> None:
        """Another row has that number, or the same row was told by both: then what was heard later counts."""
        key = self._key(table, row)
        if not is_same(table, row, stood):
            self._number_anew(table, row)
        elif row["updated_at"] <= stood["updated_at"]:
            self._put[table, key] = None  # as it stands
            return
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

    def _follow(self, table: str, row: dict[str, Any], hubs: Mapping[str, Any] | None) -> bool:
        """Have a row point to what its parents are called now; False where one cannot stand.

        Args:
            table: Its table.
            row: The row.
            hubs: The same row where the hub's part has it: a number it gives a parent is the hub's.
        """
        for parent, column in self._sql.execute('SELECT "table", "from" FROM pragma_foreign_key_list(?)', (table,)):
            if column not in row or row[column] is None:
                continue
            if parent in _NUMBERED and hubs is not None and hubs[column] == row[column]:
                continue
            gone = (parent, (row[column],)) in self.refused - self._final
            if gone or not self._is_there(parent, row, column):
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
            if table != "sessions":  # both parts opened that one: the router's next report says what it comes to
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
        before = self._before(table, key)
        if before is not None:
            self._rebuild.put(self._stream, table, before, self._stood(table, key))
            self._put[table, key] = None
            return
        where = " AND ".join(f"{column} = ?" for column in KEYS_OF[self._stream][table])
        self._sql.execute(f"DELETE FROM {table} WHERE {where}", key)  # noqa: S608 - constants

    def _before(self, table: str, key: tuple[Any, ...]) -> dict[str, Any] | None:
        """How a row stood that both had before they parted; None for one that came later. A long read."""
        if table in _NUMBERED:
            return None  # those are never changed
        known_by = KEYS_OF[self._stream][table]
        query = (
            "SELECT body FROM events WHERE stream = ? AND sequence < ? AND type = ? AND instr(body, ?)"
            " ORDER BY sequence DESC"
        )
        named = f'"{known_by[0]}":{json.dumps(key[0], ensure_ascii=False)}'.encode()
        for (body,) in self._sql.execute(query, (self._stream.value, self._begun, KIND_OF[self._stream], named)):
            for row in json.loads(body)["data"]["rows"].get(table, ()):
                if tuple(row[column] for column in known_by) == key:
                    return {column: value_of(value) for column, value in row.items()}
        return None

    def _stay_paid(self) -> None:
        """Success sticks: what somebody holds a grant for was paid, whatever was heard in between."""
        grants = [self._stood(table, key) for table, key in self._put if table == "grants"]
        for purchase_id in [row["purchase_id"] for row in grants if row is not None and row["purchase_id"] is not None]:
            changed = self._sql.execute(
                "UPDATE purchases SET state = 'paid', reason = NULL, result_description = '', query_at = NULL"
                " WHERE purchase_id = ? AND state <> 'paid'",
                (purchase_id,),
            ).rowcount
            if changed:
                self._put["purchases", (purchase_id,)] = None

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


def is_same(table: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows of one number are one, that has changed between them."""
    return table in _SAME and all(one[column] == other[column] for column in _SAME[table])


def last_words(table: str, told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of what was noted of one key, one after the other, what counts: of each row the last.

    Where numbers count up, a hub's row may have taken this box's number in between: then these are two.
    """
    found: list[dict[str, Any]] = []
    for row in told:
        if found and (table not in _NUMBERED or found[-1] == row or is_same(table, found[-1], row)):
            found[-1] = row
        else:
            found.append(row)
    return found


def _ids(rows: Iterable[tuple[str, tuple[Any, ...]]]) -> set[str]:
    return {key[0] for _, key in rows if len(key) == 1 and isinstance(key[0], str)}


def _is_placed(payment: Mapping[str, Any]) -> bool:
    return bool(payment["disposition"] != "unmatched")
