"""Books with a past: purchases made, paid and used, written by the code that writes them in earnest."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from easyisp_edge.adapters.daraja.messages import parse_stk_callback
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.domain.purchases import Purchase, PurchaseState
from easyisp_edge.domain.values import MacAddress, Msisdn
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.money.judgement import Judge
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Store, Tables, running
from easyisp_edge.system import SystemRandomness, SystemTime
from easyisp_edge.timekeeping import BoxClock
from tests.bench.site import ROUTER, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from easyisp_edge.config import Config
    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.packages import PackageVersion
    from easyisp_edge.machine import Clock

T = TypeVar("T")

_AT_ONCE = 500
_STARTED_AGO = timedelta(hours=1)
# Longer than pay codes are: among very many nobody looks whether one is free.
_REFERENCE_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Prompted:
    """A purchase whose prompt is on the phone, and the callback that will pay it."""

    purchase_id: str
    token: str
    callback: bytes


@dataclass(frozen=True, slots=True)
class Granted:
    """A purchase that was paid, and the login it gave."""

    purchase_id: str
    username: str
    password: str
    mac: str


@dataclass(frozen=True, slots=True)
class Past:
    """Books of a site that has run for a while; to be copied for each site that is to begin with them.

    Args:
        path: The store's file.
        running: Its grants, all running.
    """

    path: Path
    running: Sequence[Granted]

    @classmethod
    def write(cls, folder: Path, grants: int) -> Past:
        """Write them once for a whole run: they take seconds."""
        site = Site.lay_out(folder / "past", "radius")
        return cls(site.store, Books(site.config, site.store).granted(grants, GrantState.RUNNING))


class Books:
    """Writes purchases of one package into the store of a site that does not run.

    Args:
        config: Of the site; what is bought is its most lasting package.
        path: The store's file; made where there is none.
    """

    def __init__(self, config: Config, path: Path) -> None:
        self._package = max(config.packages, key=lambda package: package.duration)
        self._gateway_id = config.gateways[0].id
        self._path = path
        self._random = SystemRandomness()
        self._identifiers = Identifiers(self._random)

    def prompted(self, count: int) -> list[Prompted]:
        """That many purchases that wait for their money."""

        def prompt(tx: Tables, clock: Clock, version: PackageVersion) -> Prompted:
            return self._prompt(tx, clock, version)[1]

        return asyncio.run(self._write(count, prompt))

    def granted(self, count: int, state: GrantState) -> list[Granted]:
        """That many paid purchases, with grants that wait for their first use or are running."""

        def grant(tx: Tables, clock: Clock, version: PackageVersion) -> Granted:
            return self._grant(tx, clock, version, state)

        return asyncio.run(self._write(count, grant))

    async def _write(self, count: int, each: Callable[[Tables, Clock, PackageVersion], T]) -> list[T]:
        database = await ThreadedDatabase.open(self._path)
        clock = BoxClock(SystemTime(), Tables(database.reading, None).clock.last())
        written: list[T] = []
        try:
            async with running(Store(database, clock)) as store:
                version = await store.write(lambda tx: tx.packages.version_of(self._package, clock.now()))
                for begin in range(0, count, _AT_ONCE):
                    several = partial(_several, each, min(_AT_ONCE, count - begin), clock, version)
                    written += await store.write(several)
        finally:
            await database.close()
        return written

    def _prompt(self, tx: Tables, clock: Clock, version: PackageVersion) -> tuple[Purchase, Prompted]:
        token, purchase = self._identifiers.secret(), self._purchase(clock, version)
        tx.purchases.add(purchase, token)
        tx.purchases.update(purchase)
        tx.events.append(Stream.MONEY, "purchase.started", purchase.purchase_id, {"phone": purchase.phone.digits})
        receipt = self._identifiers.readable(10)
        return purchase, Prompted(purchase.purchase_id, token, paid_callback(purchase, receipt))

    def _purchase(self, clock: Clock, version: PackageVersion) -> Purchase:
        drawn, now = self._identifiers.secret(), clock.now()
        return Purchase(
            purchase_id=drawn,
            tenant_id=version.package.tenant_id,
            package_version_id=version.version_id,
            service=version.package.service,
            gateway_id=self._gateway_id,
            phone=Msisdn.parse(f"2547{int(drawn, 16) % 10**8:08}"),
            amount=version.package.price,
            mac=MacAddress.parse(f"02{drawn[:10]}"),
            router_id=ROUTER,
            language="en",
            state=PurchaseState.PROMPTED,
            reason=None,
            result_description="",
            account_reference=self._identifiers.readable(_REFERENCE_LENGTH),
            checkout_request_id=f"ws_CO_{drawn}",
            merchant_request_id=f"29115-{drawn[:12]}",
            created_at=now,
            changed_at=now,
            query_at=None,
            queries=0,
        )

    def _grant(self, tx: Tables, clock: Clock, version: PackageVersion, state: GrantState) -> Granted:
        purchase, prompted = self._prompt(tx, clock, version)
        report = parse_stk_callback(prompted.callback, EvidenceSource.STK_CALLBACK)
        Judge(tx, clock.now(), self._identifiers).settle(purchase.purchase_id, report)
        grant = _grant_of(tx, purchase.purchase_id)
        if state is GrantState.RUNNING:
            tx.grants.update(grant.started(clock.now() - _STARTED_AGO))
        return Granted(purchase.purchase_id, grant.username, grant.password, str(grant.mac))


def _several(
    each: Callable[[Tables, Clock, PackageVersion], T], count: int, clock: Clock, version: PackageVersion, tx: Tables
) -> list[T]:
    return [each(tx, clock, version) for _ in range(count)]


def paid_callback(purchase: Purchase, receipt: str) -> bytes:
    """What M-Pesa posts when the customer has paid."""
    items = [
        {"Name": "Amount", "Value": float(purchase.amount.whole_shillings)},
        {"Name": "MpesaReceiptNumber", "Value": receipt},
        {"Name": "TransactionDate", "Value": 20261123090000},
        {"Name": "PhoneNumber", "Value": int(purchase.phone.digits)},
    ]
    callback = {
        "MerchantRequestID": purchase.merchant_request_id,
        "CheckoutRequestID": purchase.checkout_request_id,
        "ResultCode": 0,
        "ResultDesc": "The service request is processed successfully.",
        "CallbackMetadata": {"Item": items},
    }
    return json.dumps({"Body": {"stkCallback": callback}}).encode()


def _grant_of(tx: Tables, purchase_id: str) -> Grant:
    grant = tx.grants.by_purchase(purchase_id)
    if grant is None:
        raise LookupError(purchase_id)
    return grant
