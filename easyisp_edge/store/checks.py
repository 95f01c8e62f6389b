"""What must hold of the books at every moment, as queries that each find what breaks one rule."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.errors import EdgeError
from easyisp_edge.store import migrations
from easyisp_edge.store.events import EventsTable
from easyisp_edge.store.ledger import LedgerTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from easyisp_edge.domain.ledger import AccountKind

EXAMPLES_MAX = 5
_BUSY_TIMEOUT_SECONDS = 5.0
_CACHE_KIB = 8192


class BrokenRule(NamedTuple):
    """A rule that does not hold.

    Args:
        rule: Which, in words.
        example_keys: Some of the rows to look at: ids of payments, grants, purchases, claims, customers,
            batches of vouchers or tenants.
    """

    rule: str
    example_keys: tuple[str, ...]


# What each payment's entries come to, by kind of account; and what every account holds.
_VIEWS = """
WITH placed AS (
  SELECT payment_id,
    sum(amount_cents * ((from_account = 'received') - (to_account = 'received'))) AS came,
    sum(amount_cents * ((to_account = 'unmatched') - (from_account = 'unmatched'))) AS unmatched,
    sum(amount_cents * ((to_account = 'wallet') - (from_account = 'wallet'))) AS wallet,
    sum(amount_cents * ((to_account = 'sold') - (from_account = 'sold'))) AS sold,
    sum(amount_cents * ((to_account = 'refunded') - (from_account = 'refunded'))) AS refunded
  FROM entries WHERE payment_id IS NOT NULL GROUP BY payment_id),
held AS (
  SELECT account, owner, sum(cents) AS cents FROM (
    SELECT to_account AS account, to_owner AS owner, amount_cents AS cents FROM entries
    UNION ALL SELECT from_account, from_owner, -amount_cents FROM entries)
  GROUP BY account, owner)
"""

RULES: Mapping[str, str] = {
    "what came in is each payment's amount, once; nought where it is merged": """
        SELECT p.payment_id FROM payments p LEFT JOIN placed USING (payment_id)
        WHERE coalesce(came, 0) <> CASE p.disposition WHEN 'merged' THEN 0 ELSE p.amount_cents END""",
    "each payment's money is where the payment says": """
        SELECT p.payment_id FROM payments p LEFT JOIN placed USING (payment_id)
        LEFT JOIN grants g ON g.payment_id = p.payment_id
        LEFT JOIN package_versions v ON v.version_id = g.package_version_id
        WHERE coalesce(sold, 0) <> CASE p.disposition WHEN 'grant' THEN coalesce(v.price_cents, -1) ELSE 0 END
        OR coalesce(wallet, 0) <> CASE p.disposition WHEN 'grant' THEN p.amount_cents - coalesce(v.price_cents, -1)
          WHEN 'wallet' THEN p.amount_cents ELSE 0 END
        OR coalesce(unmatched, 0) <> CASE p.disposition WHEN 'unmatched' THEN p.amount_cents ELSE 0 END
        OR coalesce(refunded, 0) <> CASE p.disposition WHEN 'refunded' THEN p.amount_cents ELSE 0 END""",
    "money is moved within its tenant": """
        SELECT p.payment_id FROM entries e JOIN payments p USING (payment_id)
        WHERE (e.from_account <> 'wallet' AND e.from_owner <> p.tenant_id)
        OR (e.to_account <> 'wallet' AND e.to_owner <> p.tenant_id)""",
    "a payment's credit is in its own customer's wallet": """
        SELECT p.payment_id FROM (
          SELECT payment_id, owner, sum(cents) AS net FROM (
            SELECT payment_id, to_owner AS owner, amount_cents AS cents FROM entries
            WHERE to_account = 'wallet' AND payment_id IS NOT NULL
            UNION ALL SELECT payment_id, from_owner, -amount_cents FROM entries
            WHERE from_account = 'wallet' AND payment_id IS NOT NULL)
          GROUP BY payment_id, owner)
        JOIN payments p USING (payment_id) WHERE net <> 0 AND owner IS NOT p.customer_id""",
    "only credit moves without a payment, and buys for its own customer": """
        SELECT e.grant_id FROM entries e LEFT JOIN grants g USING (grant_id) WHERE e.payment_id IS NULL
        AND (e.from_account, e.from_owner, e.to_account, e.to_owner, g.funding)
          IS NOT ('wallet', g.customer_id, 'sold', g.tenant_id, 'wallet')""",
    "each grant that is paid for was sold at its price, and no other": """
        SELECT g.grant_id FROM grants g JOIN package_versions v ON v.version_id = g.package_version_id
        LEFT JOIN (
          SELECT grant_id, sum(amount_cents * ((to_account = 'sold') - (from_account = 'sold'))) AS sold
          FROM entries WHERE grant_id IS NOT NULL GROUP BY grant_id) USING (grant_id)
        WHERE coalesce(sold, 0) <> CASE WHEN g.funding IN ('payment', 'wallet') THEN v.price_cents ELSE 0 END""",
    "what is sold is sold for a grant": """
        SELECT coalesce(payment_id, entry_id) FROM entries
        WHERE (to_account = 'sold' OR from_account = 'sold') AND grant_id IS NULL""",
    "a grant is of its payment, and a payment that bought one has it": """
        SELECT p.payment_id FROM payments p LEFT JOIN grants g USING (payment_id)
        WHERE (p.disposition = 'grant') <> (g.grant_id IS NOT NULL)
        OR (p.disposition = 'grant' AND (p.purchase_id IS NOT g.purchase_id OR p.customer_id IS NOT g.customer_id))""",
    "what waits unmatched is the sum of the unmatched payments": """
        SELECT tenant_id FROM (
          SELECT tenant_id, sum(amount_cents) AS cents FROM payments WHERE disposition = 'unmatched' GROUP BY tenant_id
          UNION ALL SELECT owner, -cents FROM held WHERE account = 'unmatched')
        GROUP BY tenant_id HAVING sum(cents) <> 0""",
    "no wallet is below nought, and each is somebody's": """
        SELECT owner FROM held LEFT JOIN customers c ON c.customer_id = owner
        WHERE account = 'wallet' AND (cents < 0 OR c.customer_id IS NULL)""",
    "by the entries, what came in is what is sold, credited, unmatched and refunded": """
        SELECT coalesce(c.tenant_id, owner) AS tenant FROM held
        LEFT JOIN customers c ON account = 'wallet' AND c.customer_id = owner
        GROUP BY tenant HAVING sum(cents) <> 0""",
    "by the payments, what came in is what is sold, credited, unmatched and refunded": """
        SELECT tenant_id FROM (
          SELECT tenant_id, CASE WHEN disposition IN ('unmatched', 'refunded') THEN 0 ELSE amount_cents END AS cents
          FROM payments WHERE disposition <> 'merged'
          UNION ALL SELECT g.tenant_id, -v.price_cents FROM grants g
          JOIN package_versions v ON v.version_id = g.package_version_id
          WHERE g.funding IN ('payment', 'wallet')
          UNION ALL SELECT c.tenant_id, -cents FROM held JOIN customers c ON c.customer_id = owner
          WHERE account = 'wallet')
        GROUP BY tenant_id HAVING sum(cents) <> 0""",
    "what came in by the entries came in by the payments": """
        SELECT tenant_id FROM (
          SELECT tenant_id, sum(amount_cents) AS cents FROM payments WHERE disposition <> 'merged' GROUP BY tenant_id
          UNION ALL SELECT owner, cents FROM held WHERE account = 'received')
        GROUP BY tenant_id HAVING sum(cents) <> 0""",
    "a receipt stands once, in capitals": """
        SELECT p.payment_id FROM payments p WHERE p.mpesa_receipt_number IS NOT NULL
        AND p.mpesa_receipt_number <> upper(trim(p.mpesa_receipt_number))
        UNION ALL SELECT min(payment_id) FROM payments WHERE mpesa_receipt_number IS NOT NULL
        GROUP BY mpesa_receipt_number HAVING count(*) > 1""",
    "no money of M-Pesa's without proof that it was paid": """
        SELECT payment_id FROM payments p WHERE p.method = 'MPESA'
        AND NOT EXISTS (SELECT 1 FROM evidence e
          WHERE e.purchase_id = p.purchase_id AND e.strong AND e.outcome = 'paid')
        AND NOT EXISTS (SELECT 1 FROM evidence e
          WHERE e.mpesa_receipt_number = p.mpesa_receipt_number AND e.strong AND e.outcome = 'paid')""",
    "a purchase is paid where it has a grant, and only there": """
        SELECT u.purchase_id FROM purchases u LEFT JOIN grants g USING (purchase_id)
        WHERE (u.state = 'paid') <> (g.grant_id IS NOT NULL)""",
    "a grant of a purchase stands on money": """
        SELECT grant_id FROM grants WHERE purchase_id IS NOT NULL AND funding NOT IN ('payment', 'wallet')""",
    "a grant that was taken over says from which user of which router, and no other grant does": """
        SELECT g.grant_id FROM grants g WHERE (g.funding = 'imported') IS NOT (
          SELECT json_extract(said, '$.data.takenOver.router') IS NOT NULL
            AND json_extract(said, '$.data.takenOver.name') IS g.username
          FROM (SELECT CAST(body AS TEXT) AS said FROM events
            WHERE key = g.grant_id AND type = 'grant.made' LIMIT 1))""",
    "a voucher that was taken got one grant, of its own package, and a grant of a voucher says of which": """
        SELECT g.grant_id FROM grants g LEFT JOIN vouchers v USING (grant_id)
        LEFT JOIN voucher_batches b USING (batch_id) WHERE (g.funding = 'voucher') <> (v.grant_id IS NOT NULL)
        OR (g.funding = 'voucher' AND ((g.tenant_id, g.package_version_id) IS NOT (v.tenant_id, b.package_version_id)
          OR v.tenant_id <> b.tenant_id))
        OR (SELECT json_extract(CAST(body AS TEXT), '$.data.voucher') FROM events
          WHERE key = g.grant_id AND type = 'grant.made' LIMIT 1) IS NOT (v.batch_id || '-' || v.number)""",
    "a batch has as many vouchers as were made": """
        SELECT b.batch_id FROM voucher_batches b LEFT JOIN vouchers v USING (batch_id)
        GROUP BY b.batch_id HAVING count(v.number) <> b.count OR max(v.number) <> b.count""",
    "what is given for free is noted as its device's of that day": """
        SELECT g.grant_id FROM grants g LEFT JOIN trials t USING (grant_id)
        WHERE (g.funding = 'trial') <> (t.grant_id IS NOT NULL) OR g.tenant_id <> t.tenant_id
        OR t.day <> date(g.created_at, '+3 hours')""",
    "what is paid is not asked about and shows no failure": """
        SELECT purchase_id FROM purchases
        WHERE state = 'paid' AND (query_at IS NOT NULL OR reason IS NOT NULL OR result_description <> '')""",
    "purchase, payment, customer and grant are of one tenant": """
        SELECT g.grant_id FROM grants g JOIN customers c USING (customer_id)
        JOIN package_versions v ON v.version_id = g.package_version_id
        LEFT JOIN payments p ON p.payment_id = g.payment_id LEFT JOIN purchases u ON u.purchase_id = g.purchase_id
        WHERE c.tenant_id <> g.tenant_id OR v.tenant_id <> g.tenant_id
        OR coalesce(p.tenant_id, g.tenant_id) <> g.tenant_id OR coalesce(u.tenant_id, g.tenant_id) <> g.tenant_id
        UNION ALL
        SELECT p.payment_id FROM payments p LEFT JOIN purchases u USING (purchase_id)
        LEFT JOIN customers c ON c.customer_id = p.customer_id
        WHERE coalesce(u.tenant_id, p.tenant_id) <> p.tenant_id OR coalesce(c.tenant_id, p.tenant_id) <> p.tenant_id""",
    "what a customer has spent is the sum of the customer's payments": """
        SELECT c.customer_id FROM customers c LEFT JOIN (
          SELECT customer_id, sum(amount_cents) AS cents FROM payments
          WHERE disposition NOT IN ('merged', 'refunded') AND customer_id IS NOT NULL GROUP BY customer_id)
        USING (customer_id)
        WHERE c.total_spent_cents <> coalesce(cents, 0)""",
    "what a person took is credit or was given back, came through no gateway, and says who took it": """
        SELECT payment_id FROM payments p WHERE method <> 'MPESA' AND (
          (gateway_id, mpesa_receipt_number, purchase_id) IS NOT ('-', NULL, NULL)
          OR disposition NOT IN ('wallet', 'refunded') OR customer_id IS NULL
          OR (SELECT json_extract(CAST(body AS TEXT), '$.data.by') FROM events
            WHERE key = p.payment_id AND type = 'staff.recorded' LIMIT 1) IS NULL)""",
    "a claim has what its state says": """
        SELECT c.claim_id FROM claims c LEFT JOIN grants g USING (grant_id)
        LEFT JOIN grants given ON given.grant_id = c.provisional_grant_id
        WHERE (c.state = 'refused') <> (c.reason IS NOT NULL)
        OR (c.state IN ('granted', 'given_back')) <> (g.grant_id IS NOT NULL)
        OR (c.state IN ('granted', 'given_back', 'credited')) <> (c.customer_id IS NOT NULL)
        OR (c.state <> 'verifying' AND (c.look_at IS NOT NULL OR coalesce(given.state, 'ended') <> 'ended'))
        OR coalesce(given.funding, 'provisional') <> 'provisional'
        OR coalesce(g.tenant_id, c.tenant_id) <> c.tenant_id""",
    "a claim whose money is known is decided": """
        SELECT c.claim_id FROM claims c JOIN payments p USING (mpesa_receipt_number)
        WHERE c.state = 'verifying' AND coalesce(c.mac, c.phone, p.phone) IS NOT NULL""",
    "each payment is told as booked once": """
        SELECT payment_id FROM payments
        WHERE (SELECT count(*) FROM events WHERE key = payment_id AND type = 'payment.booked') <> 1""",
    "each grant is told as made once": """
        SELECT grant_id FROM grants
        WHERE (SELECT count(*) FROM events WHERE key = grant_id AND type = 'grant.made') <> 1""",
    "what was told last of a payment is how it stands": """
        SELECT payment_id FROM payments p WHERE (p.disposition, p.purchase_id, p.customer_id) IS NOT (
          SELECT json_extract(said, '$.data.disposition'), json_extract(said, '$.data.purchase'),
            json_extract(said, '$.data.customer')
          FROM (SELECT CAST(body AS TEXT) AS said FROM events
            WHERE key = p.payment_id AND stream = 'money'
            AND type IN ('payment.booked', 'payment.assigned', 'payment.merged') ORDER BY sequence DESC LIMIT 1))""",
    "a grant has used what its sessions tell, at least": """
        SELECT g.grant_id FROM grants g JOIN (
          SELECT grant_id, sum(seconds) AS seconds, sum(min(octets_in + octets_out, 1 << 50)) AS octets FROM sessions
          WHERE grant_id IS NOT NULL GROUP BY grant_id) AS told USING (grant_id)
        WHERE g.seconds_used < told.seconds OR g.octets_used < told.octets""",
    "what came in on each day is the sum of its payments": """
        SELECT tenant_id || ' ' || day FROM (
          SELECT tenant_id, method, date(created_at, '+3 hours') AS day,
            CASE disposition WHEN 'refunded' THEN 'refunded' ELSE 'completed' END AS status,
            1 AS payments, amount_cents FROM payments WHERE disposition <> 'merged'
          UNION ALL SELECT tenant_id, method, day, status, -payments, -amount_cents FROM takings)
        GROUP BY tenant_id, method, day, status HAVING sum(payments) <> 0 OR sum(amount_cents) <> 0""",
    "what was tried on each day is the number of its purchases": """
        SELECT tenant_id || ' ' || day FROM (
          SELECT tenant_id, date(created_at, '+3 hours') AS day,
            CASE WHEN state IN ('failed', 'expired', 'paid') THEN state ELSE 'pending' END AS status,
            1 AS purchases FROM purchases
          UNION ALL SELECT tenant_id, day, status, -purchases FROM attempts)
        GROUP BY tenant_id, day, status HAVING sum(purchases) <> 0""",
    "what people did is in the audit trail, and nothing else is": """
        SELECT key FROM events WHERE stream = 'money' AND (sequence IN (SELECT sequence FROM acts)) <> (
          instr(body, CAST('"by":' AS BLOB)) > 0 AND json_extract(CAST(body AS TEXT), '$.data.by') IS NOT NULL)
        UNION ALL SELECT sequence FROM acts
        WHERE sequence NOT IN (SELECT sequence FROM events WHERE stream = 'money')""",
    "nothing points to what is not there": """
        SELECT "table" || ' ' || coalesce(rowid, '') FROM pragma_foreign_key_check""",
}
_CHAIN_RULES = {f"the history of {stream.value} is whole": stream for stream in Stream}
ALL_RULES = (*RULES, *_CHAIN_RULES)


def broken_rules(connection: sqlite3.Connection) -> list[BrokenRule]:
    """Every rule that does not hold, with rows to look at. A long read; hold one transaction around it."""
    found = (BrokenRule(rule, _keys(connection, query)) for rule, query in RULES.items())
    chains = (BrokenRule(rule, _first_break(connection, stream)) for rule, stream in _CHAIN_RULES.items())
    return [broken for broken in (*found, *chains) if broken.example_keys]


def balances(connection: sqlite3.Connection) -> dict[AccountKind, int]:
    """Cents on all accounts of a kind together; what came in counts below nought. A long read."""
    return LedgerTable(connection).balances()


@contextlib.contextmanager
def opened_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """One snapshot of a store, whether a daemon writes to it or not; nothing in it can be changed.

    Raises:
        EdgeError: There is no such file, it is of another release, or it turns out to be damaged.
    """
    try:
        with contextlib.closing(_connect(path)) as connection:
            connection.execute("BEGIN")
            _refuse_other_release(connection, path)
            yield connection
    except sqlite3.OperationalError as error:
        raise EdgeError("store.not_opened", f"{path}: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise EdgeError("store.damaged", f"{path}: {error}. Restore it from a backup.") from error


def _refuse_other_release(connection: sqlite3.Connection, path: Path) -> None:
    found, known = connection.execute("PRAGMA user_version").fetchone()[0], len(migrations.scripts())
    if found != known:
        message = f"{path} is of schema {found}, this release knows {known}: use the release that the daemon runs."
        raise EdgeError("store.other_release", message)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None
    )
    for pragma in ("query_only=ON", "trusted_schema=OFF", "cell_size_check=ON", f"cache_size=-{_CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _keys(connection: sqlite3.Connection, query: str) -> tuple[str, ...]:
    rows = connection.execute(f"{_VIEWS}{query} LIMIT {EXAMPLES_MAX}")
    return tuple(str(row[0]) for row in rows)


def _first_break(connection: sqlite3.Connection, stream: Stream) -> tuple[str, ...]:
    at = EventsTable(connection, None).first_break(stream)
    return () if at is None else (f"{stream.value} {at}",)
