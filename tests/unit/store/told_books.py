"""Books whose rows are told, the business that goes on in them, and books made anew from what was told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import Funding, Grant
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.sessions import Session
from easyisp_edge.domain.values import MacAddress, Money, Msisdn
from easyisp_edge.domain.vouchers import VoucherBatch, VoucherState
from easyisp_edge.services.access import grant_life
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.booking import Buyer
from easyisp_edge.services.money.judgement import Judge
from easyisp_edge.store.digests import digests
from easyisp_edge.store.gateway_states import GatewayState
from easyisp_edge.store.guards import unguarded
from easyisp_edge.store.rebuild import follow
from easyisp_edge.store.store import Tables
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import START, ManualTime, SeededRandomness
from tests.fakes.gateway import callback_paid, money_record, not_paid
from tests.unit.shop import HOUR, RECEIVER, ROUTER, TENANT, a_claim, a_prompted_purchase, tables_in_memory

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from easyisp_edge.domain.payments import Payment

T = TypeVar("T")
USED = {"sessions", "grants.used"}


class UndoneError(Exception):
    """What a transaction raises that is to leave nothing."""


def money_of(found: dict[str, str]) -> dict[str, str]:
    """Of the digests those that the stream of money alone decides."""
    return {name: digest for name, digest in found.items() if name not in USED}


@dataclass
class Box:
    """Books in memory.

    Args:
        sql: The database.
        tx: Its tables.
        time: Its machine's time.
        clock: Box time.
    """

    sql: sqlite3.Connection
    tx: Tables
    time: ManualTime
    clock: BoxClock

    @classmethod
    def open(cls, *, telling: bool = True) -> Box:
        """Empty books."""
        time = ManualTime()
        sql, _ = tables_in_memory(time)
        clock = BoxClock(time, None)
        box = cls(sql, Tables(sql, clock), time, clock)
        if telling:
            box.do(lambda tx: tx.changes.begin(clock.now()))
        return box

    def do(self, work: Callable[[Tables], T]) -> T:
        """One transaction, as the store runs it."""
        self.sql.execute("BEGIN")
        try:
            result = work(self.tx)
            self.tx.changes.tell()
        except BaseException:
            self.sql.execute("ROLLBACK")
            self.tx.changes.look()
            raise
        self.sql.execute("COMMIT")
        return result

    def rewrite(self, work: Callable[[Tables], T]) -> T:
        """Put the books right, as the store has it done."""
        with unguarded(self.sql):
            tables = Tables(self.sql, self.clock)
            result = work(tables)
            tables.changes.forget()
        self.tx = Tables(self.sql, self.clock)
        self.tx.changes.look()
        return result

    def lines(self, stream: Stream, after: int = 0) -> list[bytes]:
        """The events after a number, as they are sent."""
        return [body for _, body in self.tx.events.bodies_after(stream, after, 100_000)]

    def take(self, stream: Stream, lines: Iterable[bytes]) -> int:
        """Take a page."""
        return self.rewrite(lambda tx: tx.rebuild.take(stream, lines))

    def take_all(self, other: Box) -> None:
        """Take all that another has told and this one has not."""
        for stream in Stream:
            self.take(stream, other.lines(stream, self.tx.events.head(stream)[0]))
        self.rewrite(follow)

    def count(self) -> None:
        """Tell what all sessions that are on come to."""
        self.do(lambda tx: tx.changes.count_open(START - timedelta(days=1), sessions=True))

    def digests(self) -> dict[str, str]:
        """What the books come to."""
        return digests(self.sql)


@dataclass
class Business:
    """What may happen at a site, each by name and number.

    Args:
        box: Where.
        randomness: Of ids and codes.
    """

    box: Box
    randomness: SeededRandomness = field(default_factory=SeededRandomness)

    def now(self) -> datetime:
        return self.box.clock.now()

    def judge(self, tx: Tables) -> Judge:
        return Judge(tx, self.now(), Identifiers(self.randomness))

    def buy(self, tx: Tables, number: int) -> None:
        if tx.purchases.by_id(_purchase_id(number)) is not None:
            return
        version = tx.packages.version_of(HOUR, START)
        purchase = a_prompted_purchase(
            purchase_id=_purchase_id(number),
            package_version_id=version.version_id,
            phone=_phone(number),
            mac=_mac(number),
            account_reference=f"REF{number:07}",
            checkout_request_id=f"ws_CO_{number}",
            created_at=self.now(),
        )
        tx.purchases.add(purchase, f"token-{number}")
        tx.purchases.update(purchase)

    def pay(self, tx: Tables, number: int) -> None:
        if tx.purchases.by_id(_purchase_id(number)) is not None:
            receipt = f"RECEIPT{number:03}"
            report = callback_paid(checkout=f"ws_CO_{number}", receipt=receipt, phone=_phone(number))
            self.judge(tx).settle(_purchase_id(number), report)

    def fail(self, tx: Tables, number: int) -> None:
        if tx.purchases.by_id(_purchase_id(number)) is not None:
            report = not_paid(EvidenceSource.STK_CALLBACK, checkout=f"ws_CO_{number}")
            self.judge(tx).settle(_purchase_id(number), report)

    def receive(self, tx: Tables, number: int) -> None:
        amount = Money(500 + 250 * (number % 3))
        self.judge(tx).settle_record(RECEIVER, money_record(receipt=f"MONEY{number:05}", amount=amount, payer=Payer()))

    def refund(self, tx: Tables, number: int) -> None:
        if (payment := _unmatched(tx, number)) is not None:
            self.judge(tx).books.refund(payment)

    def assign(self, tx: Tables, number: int) -> None:
        purchase = tx.purchases.by_id(_purchase_id(number))
        payment = _unmatched(tx, number)
        if payment is not None and purchase is not None and purchase.state is not PurchaseState.PAID:
            self.judge(tx).assign(payment, purchase)

    def print_vouchers(self, tx: Tables, number: int) -> None:
        batch_id = f"BATCH{number}"
        if tx.vouchers.batch(batch_id) is None:
            version = tx.packages.version_of(HOUR, START)
            batch = VoucherBatch(batch_id, TENANT, version.version_id, 3, None, "märz", "mary", self.now())
            tx.vouchers.add(batch, [f"CODE{number:05}{each}" for each in range(3)])

    def redeem(self, tx: Tables, number: int) -> None:
        vouchers = tx.vouchers.of_batch(f"BATCH{number % 4}")
        voucher = next((each for each in vouchers if each.state is VoucherState.AVAILABLE), None)
        if voucher is not None:
            buyer = Buyer(TENANT, HOUR.service, None, _mac(number), None)
            version = tx.packages.version_of(HOUR, START)
            named = f"{voucher.batch_id}-{voucher.number}"
            grant = self.judge(tx).books.give(buyer, version, Funding.VOUCHER, voucher=named)
            tx.vouchers.use(voucher, grant.grant_id, self.now())

    def revoke(self, tx: Tables, number: int) -> None:
        tx.vouchers.revoke_rest(f"BATCH{number % 4}", self.now())

    def try_it(self, tx: Tables, number: int) -> None:
        day = (self.now() + timedelta(hours=3)).date()
        if tx.trials.grant_of(TENANT, _mac(number), day) is None:
            buyer = Buyer(TENANT, HOUR.service, None, _mac(number), None)
            grant = self.judge(tx).books.give(buyer, tx.packages.version_of(HOUR, START), Funding.TRIAL)
            tx.trials.add(TENANT, _mac(number), day, grant.grant_id)

    def claim(self, tx: Tables, number: int) -> None:
        claim_id = f"c{number:031}"
        if tx.claims.by_id(claim_id) is None and tx.payments.by_receipt(f"RECEIPT{number:03}") is None:
            tx.claims.add(a_claim(claim_id=claim_id, mpesa_receipt_number=f"RECEIPT{number:03}", mac=_mac(number)))

    def live(self, tx: Tables, number: int) -> None:
        if (grant := _grant(tx, number)) is None:
            return
        steps: list[Callable[[], object]] = [
            lambda: grant_life.start(tx, grant, self.now()),
            lambda: grant_life.move(tx, grant, _mac(number + 1)),
            lambda: grant_life.end(tx, grant, "Over", self.now()),
            lambda: grant_life.take_off(tx, grant, self.now()),
        ]
        steps[number % 4 if number % 7 else 0]()

    def use(self, tx: Tables, number: int) -> None:
        """A report of a session: its first, a later one, or its end."""
        grant = _grant(tx, number)
        username = "somebody" if grant is None else grant.username
        name = f"8000{number % 5:04}"
        named = tx.sessions.named(ROUTER, name, username)
        kind = UsageKind.STOP if number % 4 == 0 else UsageKind.INTERIM
        seconds = 0 if not named else named[0].seconds + 60
        usage = UsageReport(
            ROUTER, kind, name, username, None, _mac(number), "10.5.50.11", seconds, 7 * seconds, seconds, ""
        )
        if not named:
            tx.sessions.add(Session.begun(usage, None if grant is None else grant.grant_id, self.now()))
            return
        before = named[0]
        told = before.told(usage, self.now())
        (tx.sessions.go_on if told.stopped_at == before.stopped_at else tx.sessions.update)(told)
        if before.grant_id is not None:
            octets = told.octets_counted - before.octets_counted
            tx.grants.use(before.grant_id, told.seconds - before.seconds, octets)

    def sweep(self, tx: Tables, number: int) -> None:
        """A gateway's address is made up, registered, and its list is read."""
        gateway_id = f"gateway-{number % 2}"
        state = tx.gateways.by_id(gateway_id) or GatewayState(gateway_id, self.randomness.token(16).hex())
        registered = state.pull_registered_at or (self.now() if number % 3 else None)
        tx.gateways.put(replace(state, pull_registered_at=registered, swept_until=self.now(), swept_at=self.now()))

    def undo(self, tx: Tables, number: int) -> None:
        """All of it at once, and nothing of it remains."""
        for step in (self.buy, self.pay, self.receive, self.try_it, self.use):
            step(tx, number)
        raise UndoneError

    def happen(self, name: str, number: int) -> None:
        """Let one thing happen, in a transaction of its own."""
        self.box.time.advance(61)
        try:
            self.box.do(lambda tx: STEPS[name](self, tx, number))
        except UndoneError:
            return


STEPS: dict[str, Callable[[Business, Tables, int], None]] = {
    name: getattr(Business, name)
    for name in (
        "buy", "pay", "fail", "receive", "refund", "assign", "print_vouchers", "redeem", "revoke", "try_it",
        "claim", "live", "use", "sweep", "undo",
    )
}  # fmt: skip


def _purchase_id(number: int) -> str:
    return f"{number:032}"


def _mac(number: int) -> MacAddress:
    return MacAddress(f"AA:BB:CC:00:00:{number % 4:02X}")


def _phone(number: int) -> Msisdn:
    return Msisdn(f"2547000000{number % 3:02}")


def _unmatched(tx: Tables, number: int) -> Payment | None:
    waiting = tx.payments.unmatched(TENANT, 20)
    return waiting[number % len(waiting)] if waiting else None


def _grant(tx: Tables, number: int) -> Grant | None:
    usable = tx.grants.usable_of_device(TENANT, _mac(number))
    return None if not usable else tx.grants.by_id(usable[number % len(usable)].grant_id)
