"""Write the dump of a database of this release's schema, with rows in every table, beside the schema's tests.

Run as `python -m tests.unit.store.write_release` when a migration was added and before it is released; the dumps
of earlier releases stay as they are. The rows are written by the code that writes them in earnest.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from easyisp_edge.domain.central import ConfigSnapshot, SyncSite
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.gateways import MadeGateway
from easyisp_edge.domain.grants import Funding
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import NO_GATEWAY, EvidenceSource, PaymentMethod, Reason
from easyisp_edge.domain.permissions import Permission, Role
from easyisp_edge.domain.sessions import Session
from easyisp_edge.domain.sync import Lane
from easyisp_edge.domain.users import ApiToken, StaffLogin, StaffUser, UserStatus
from easyisp_edge.domain.values import Money
from easyisp_edge.domain.vouchers import VoucherBatch
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.booking import Buyer, TakenOver, Told
from easyisp_edge.services.money.corrections import refund_credit
from easyisp_edge.services.money.judgement import Judge
from easyisp_edge.store import migrations
from easyisp_edge.store.gateway_states import GatewayState
from easyisp_edge.store.guards import unguarded
from easyisp_edge.store.rebuild import follow
from easyisp_edge.store.sync_state import AskedReceipt
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import START, ManualTime, SeededRandomness
from tests.fakes.gateway import PAYER, PNG, callback_paid, money_record, not_paid, query_paid
from tests.unit.shop import (
    GATEWAY,
    HOUR,
    MAC,
    OTHER_MAC,
    OTHER_PAY_CODE,
    OTHER_PHONE,
    OTHER_PURCHASE_ID,
    PURCHASE_ID,
    RECEIVER,
    ROUTER,
    a_claim,
    a_prompted_purchase,
    a_purchase,
    add_purchase,
    check_books,
    tables_in_memory,
)

if TYPE_CHECKING:
    from easyisp_edge.store.store import Tables

RELEASES = Path(__file__).with_name("releases")


def fill(tx: Tables) -> None:
    """Let a site live a little: one paid by callback, one by query and merged, credit, a claim, unmatched money."""
    judge = Judge(tx, START, Identifiers(SeededRandomness()))
    add_purchase(tx, a_prompted_purchase())
    judge.settle(PURCHASE_ID, callback_paid())
    _merged(tx, judge)
    judge.settle_record(RECEIVER, money_record(receipt="SKL41CREDT", amount=Money(300), account=OTHER_PAY_CODE))
    judge.settle_record(RECEIVER, money_record(receipt="SKL41NBDYS", amount=Money(700), payer=Payer()))
    judge.settle_record(RECEIVER, money_record(receipt="SKL41RETRN", amount=Money(50), payer=Payer()))
    returned = tx.payments.by_receipt("SKL41RETRN")
    assert returned is not None
    judge.books.refund(returned)
    _claims(tx, judge)
    tx.gateways.put(GatewayState(GATEWAY, "e" * 32, START, START, START))
    tx.posters.put(GATEWAY, f"174379 {OTHER_PAY_CODE}", HOUR.price, PNG, START)
    _take_over(tx, judge)
    _give(tx, judge)
    _take_by_hand(tx, judge)
    _staff(tx)
    tx.made_gateways.add(made_gateway())
    _use(tx)
    _talk_with_hub(tx)


def _fork(tx: Tables) -> None:
    """Have it tell its rows, and part from its hub over the last of them."""
    tx.changes.begin(START)
    add_purchase(tx, a_purchase(purchase_id="9" * 32, account_reference="TVWXY34"), "fourth token")
    tx.changes.tell()
    tx.forks.set_aside(Stream.MONEY, tx.events.head(Stream.MONEY)[0] - 1)
    follow(tx)


def _talk_with_hub(tx: Tables) -> None:
    """Have it enrolled, with something of all that is noted about its hub."""
    tx.sync.enrol(
        SyncSite("https://hub.example.com", "a" * 16, 1, b"h" * 32, b"b" * 32, "https://hub.example.com", START, START)
    )
    tx.sync.reserve(Lane.MONEY, 100)
    tx.sync.park(Stream.USAGE, 1, START)
    tx.sync.note_asked(AskedReceipt("SKL41ASKED", GATEWAY), START)
    tx.alarms.note("forged", "An answer that is not the hub's.", START)
    tx.central.put(ConfigSnapshot(1, {"packages": [], "gateways": [], "revoked": []}), START, boot_id=None)


def made_gateway() -> MadeGateway:
    """A gateway that somebody made; what is sealed in it no key opens."""
    return MadeGateway(
        gateway_id="9" * 32,
        tenant_id=RECEIVER.tenant_id,
        type="MPESA_API",
        sub_type="BUYGOODS",
        name="Counter",
        shortcode="512345",
        store_number="600987",
        account_number=None,
        environment="production",
        consumer_key=bytes(40),
        consumer_secret=bytes(41),
        passkey=bytes(42),
        default=True,
        for_hotspot=True,
        for_pppoe=False,
        made_by="owner@example.com",
        created_at=START,
        updated_at=START,
    )


def _merged(tx: Tables, judge: Judge) -> None:
    other = a_prompted_purchase(
        purchase_id=OTHER_PURCHASE_ID,
        phone=OTHER_PHONE,
        mac=OTHER_MAC,
        account_reference=OTHER_PAY_CODE,
        checkout_request_id="ws_CO_2",
    )
    add_purchase(tx, other, "other token")
    judge.settle_record(RECEIVER, money_record(receipt="SKL41MERGE", payer=Payer()))
    judge.settle(OTHER_PURCHASE_ID, query_paid(checkout="ws_CO_2"))
    judge.settle(OTHER_PURCHASE_ID, callback_paid(checkout="ws_CO_2", receipt="SKL41MERGE", phone=OTHER_PHONE))


def _claims(tx: Tables, judge: Judge) -> None:
    buyer = Buyer(RECEIVER.tenant_id, HOUR.service, PAYER, MAC, None)
    version = tx.packages.version_of(HOUR, START)
    given = judge.books.provide(buyer, version, 900)
    tx.claims.add(a_claim(mpesa_receipt_number="SKL41LATER", provisional_grant_id=given.grant_id))
    failed = a_purchase(purchase_id="f" * 32, account_reference="QRSTVW8")
    add_purchase(tx, failed, "third token")
    judge.settle(failed.purchase_id, not_paid(EvidenceSource.STK_CALLBACK, Reason.CANCELLED, checkout="ws_CO_3"))


def _take_over(tx: Tables, judge: Judge) -> None:
    version = tx.packages.version_of(HOUR, START)
    voucher = TakenOver("vc7731", "7731", 3600, None, 0, 0)
    buyer = Buyer(RECEIVER.tenant_id, HOUR.service, None, None, None)
    judge.books.take_over(buyer, version, voucher, {"router": ROUTER, "name": "vc7731", "source": "mikhmon"})


def _give(tx: Tables, judge: Judge) -> None:
    version = tx.packages.version_of(HOUR, START)
    batch = VoucherBatch(
        "K7M3PQ", RECEIVER.tenant_id, version.version_id, 2, START + timedelta(days=90), "", "mary", START
    )
    tx.vouchers.add(batch, ("ABCDEFGHJKM6", "NPQRSTVWXY33"))
    buyer = Buyer(RECEIVER.tenant_id, HOUR.service, None, OTHER_MAC, None)
    redeemed = judge.books.give(buyer, version, Funding.VOUCHER, voucher="K7M3PQ-1")
    tx.vouchers.use(tx.vouchers.of_batch("K7M3PQ")[0], redeemed.grant_id, START)
    tried = judge.books.give(buyer, version, Funding.TRIAL)
    tx.trials.add(RECEIVER.tenant_id, OTHER_MAC, START.date(), tried.grant_id)


def _take_by_hand(tx: Tables, judge: Judge) -> None:
    customer_id = tx.customers.of_phone(RECEIVER.tenant_id, HOUR.service, OTHER_PHONE)
    assert customer_id is not None
    for amount in (Money(2500), Money(400)):
        told = Told(RECEIVER.tenant_id, NO_GATEWAY, amount, None, None, "", method=PaymentMethod.CASH)
        taken = judge.books.credit_known(told, customer_id, "For the month")
        data = {"by": "mary", "customer": customer_id, "amountCents": amount.cents, "method": "CASH"}
        tx.events.append(Stream.MONEY, "staff.recorded", taken.payment_id, data)
    refund_credit(judge.books, taken)


def _staff(tx: Tables) -> None:
    user = StaffUser(
        user_id="user-1",
        email="mary@example.com",
        name="Mary",
        tenant_id=RECEIVER.tenant_id,
        role=Role.STAFF,
        added=frozenset({Permission.PAYMENTS_EXPORT}),
        removed=frozenset({Permission.VOUCHERS_MAKE}),
        status=UserStatus.ACTIVE,
        created_at=START,
        changed_at=START,
    )
    tx.staff_users.add(user, "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
    over = START + timedelta(days=30)
    tx.staff_logins.add(StaffLogin("1" * 32, "user-1", "10.0.0.9", 1, bytes(32), START, START, over))
    may = frozenset({Permission.PAYMENTS_EXPORT})
    tx.api_tokens.add(ApiToken("token-1", "user-1", "books", may, START, None, None), b"1" * 32)


def _use(tx: Tables) -> None:
    grant = tx.grants.by_purchase(PURCHASE_ID)
    assert grant is not None
    tx.grants.update(grant.started(START))
    usage = UsageReport(ROUTER, UsageKind.INTERIM, "80000001", grant.username, None, MAC, "10.5.50.11", 60, 1, 2, "")
    stopped = usage._replace(kind=UsageKind.STOP, cause="User-Request")
    tx.sessions.add(Session.begun(stopped, grant.grant_id, START + timedelta(minutes=1)))
    tx.sessions.add(Session.begun(usage._replace(session_id="80000002"), grant.grant_id, START))
    tx.grants.use(grant.grant_id, 120, 6)
    tx.clock.write_down(BoxClock(ManualTime(), None).mark())


def main() -> None:
    """Write the file."""
    connection, tx = tables_in_memory()
    fill(tx)
    with unguarded(connection):
        _fork(tx)
    check_books(connection)
    path = RELEASES / f"{len(migrations.scripts()):04}.sql"
    path.write_text("".join(f"{line}\n" for line in connection.iterdump()), encoding="utf-8")
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
