"""Looks receipts up for boxes that cannot: in M-Pesa's list of a short code, or by Transaction Status.

What is found is told to the site that asked first, and to no other as its own. Secrets stay here.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from easyisp_edge.adapters.daraja.transaction_status import Finding, ask_transaction_status, parse_status_result
from easyisp_edge.domain.receipts import receipt_day
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.errors import EdgeError, InvalidError, RefusedError, UnavailableError
from easyisp_edge.hub.callbacks import BODY_MOST, TOKEN, mpesa_door, nothing_here
from easyisp_edge.hub.edge_routes import read_body
from easyisp_edge.hub.instants import instant
from easyisp_edge.hub.pulled import SPAN
from easyisp_edge.hub.store import lookups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from easyisp_edge.adapters.daraja.app import DarajaApp
    from easyisp_edge.adapters.daraja.transaction_status import Initiator
    from easyisp_edge.domain.payments import MoneyRecord
    from easyisp_edge.hub.mpesa_accounts import MpesaAccount
    from easyisp_edge.hub.parts import Parts
    from easyisp_edge.hub.pulled import Pulled
    from easyisp_edge.hub.store.asks import Ask
    from easyisp_edge.machine import Randomness

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS: Final = 30.0
_ROUND_MOST = 50
_DATABASE = "hub.database"
# M-Pesa posts a result within seconds or not at all; its list shows a payment some minutes late.
_RESULT_AFTER = timedelta(minutes=2)
_GIVEN_UP_AFTER = timedelta(minutes=15)
_LISTED_AFTER = timedelta(minutes=10)
_REST_SECONDS = 3600.0
_KEPT = timedelta(days=2)
_SMALL_HOURS = timedelta(hours=6)
_TOKEN_OCTETS = 16


@dataclass(frozen=True, slots=True)
class Lookup:
    """One short code, and how receipts are looked up for it.

    Args:
        account: As configured.
        app: To call with.
        pulled: Its list; None where it may not be pulled.
        initiator: For Transaction Status; None where it may not be asked.
    """

    account: MpesaAccount
    app: DarajaApp
    pulled: Pulled | None
    initiator: Initiator | None


class Lookups:
    """Answers what boxes ask.

    Args:
        parts: What the hub is made of.
        randomness: For the secret part of addresses.
        known: What can be looked up.
    """

    def __init__(self, parts: Parts, randomness: Randomness, known: Sequence[Lookup]) -> None:
        self._parts = parts
        self._randomness = randomness
        self._known: Mapping[str, Lookup] = {number: one for one in known for number in one.account.numbers}
        self._resting: dict[str, float] = {}

    def add_to(self, app: web.Application) -> None:
        """Open the addresses M-Pesa posts results to."""
        app.router.add_post("/r/{token}", mpesa_door(self._result))
        app.router.add_post("/q/{token}", mpesa_door(self._no_result))

    async def round(self) -> None:
        """Look up all that is asked; what has no answer yet is looked up again some time later.

        Raises:
            UnavailableError: The database does not answer.
        """
        while taken := await self._parts.down.take_asks(LOOK_AGAIN_SECONDS, _ROUND_MOST):
            by_gateway: dict[str, list[Ask]] = {}
            for asked in taken:
                by_gateway.setdefault(asked.gateway, []).append(asked)
            work = [self._look_up(self._known.get(number), asks) for number, asks in by_gateway.items()]
            for failure in await asyncio.gather(*work, return_exceptions=True):
                if failure is not None:
                    raise failure

    async def tidy(self) -> None:
        """Forget what M-Pesa was asked long ago."""
        async with self._parts.database.transaction() as tx:
            await lookups.forget_status_asks(tx, instant(self._parts.clock.now() - _KEPT))

    async def _look_up(self, known: Lookup | None, asks: Sequence[Ask]) -> None:
        allowed = [asked for asked in asks if known is not None and known.account.may_ask(asked.site_id)]
        for asked in asks:
            if asked not in allowed:
                if known is not None:
                    await self._parts.alarms.note(asked.site_id, "ask.foreign", f"short code {asked.gateway}")
                await self._answer(asked, Finding(None))
        if known is None or not allowed:
            return
        listed_until = await self._list(known)
        may_ask = known.initiator is not None
        for asked in allowed:
            try:
                await self._look_up_one(known, asked, listed_until, may_ask=may_ask)
            except EdgeError as error:
                if error.code == _DATABASE:
                    raise
                await self._could_not(asked.site_id, known, error)
                may_ask = False  # the others are taken again

    async def _list(self, known: Lookup) -> datetime | None:
        """Bring the list of a short code up to date; gives until when it is whole."""
        if known.pulled is None:
            return None
        try:
            await known.pulled.refresh()
        except EdgeError as error:
            await self._could_not("", known, error)
        return known.pulled.whole_until

    async def _look_up_one(self, known: Lookup, asked: Ask, listed_until: datetime | None, *, may_ask: bool) -> None:
        record = None if known.pulled is None else known.pulled.find(asked.receipt)
        if record is not None:
            await self._answer(asked, Finding(found=True, record=record), listed=True)
            return
        async with self._parts.database.reading() as tx:
            wanted_at = await lookups.asked_at(tx, asked)
        if wanted_at is None:
            return
        wanted = datetime.fromisoformat(wanted_at)
        now = self._parts.clock.now()
        if now - wanted >= _GIVEN_UP_AFTER:
            listed = listed_until is not None and listed_until >= wanted + _LISTED_AFTER
            await self._answer(asked, Finding(False if listed and _is_in_list(asked.receipt, now) else None))
        elif known.initiator is not None and may_ask and self._may_ask(known):
            await self._ask(known, known.initiator, asked)

    async def _ask(self, known: Lookup, initiator: Initiator, asked: Ask) -> None:
        """Ask M-Pesa, unless it was asked a moment ago."""
        now, token = self._parts.clock.now(), self._randomness.token(_TOKEN_OCTETS).hex()
        async with self._parts.database.transaction() as tx:
            if await lookups.was_asked(tx, asked, instant(now - _RESULT_AFTER)):
                return
            await lookups.open_status_ask(tx, token, asked, instant(now))
        base = self._parts.config.public_url
        try:
            await ask_transaction_status(
                known.app, initiator, asked.receipt, result_url=f"{base}/r/{token}", timeout_url=f"{base}/q/{token}"
            )
        except RefusedError:
            self._rest(known)
            raise
        except UnavailableError:
            async with self._parts.database.transaction() as tx:
                await lookups.drop_status_ask(tx, token)
            raise

    async def _result(self, request: web.Request) -> None:
        """Take what M-Pesa found."""
        token, asked = await self._asked(request)
        body = await read_body(request, BODY_MOST)
        known = self._known.get(asked.gateway)
        try:
            finding = parse_status_result(body, asked.receipt, known.account.numbers if known else ())
        except InvalidError as error:
            log.warning("a result that M-Pesa posted cannot be read: %s", error)
            finding = Finding(None)
        if finding.refused and known is not None:
            self._rest(known)
            await self._parts.alarms.note("", "mpesa.refused", f"{known.account.short_code}: its initiator")
        if finding.found is not None:
            await self._answer(asked, finding)
        await self._end(token)

    def _may_ask(self, known: Lookup) -> bool:
        return self._parts.clock.monotonic() >= self._resting.get(known.account.short_code, float("-inf"))

    def _rest(self, known: Lookup) -> None:
        """Ask nothing more for a while: an initiator that is refused too often is locked."""
        self._resting[known.account.short_code] = self._parts.clock.monotonic() + _REST_SECONDS

    async def _no_result(self, request: web.Request) -> None:
        """Take that M-Pesa had no result in time: it is asked again later."""
        token, _ = await self._asked(request)
        await read_body(request, BODY_MOST)
        await self._end(token)

    async def _asked(self, request: web.Request) -> tuple[str, Ask]:
        token = request.match_info["token"]
        found = None
        if TOKEN.fullmatch(token):
            async with self._parts.database.reading() as tx:
                found = await lookups.status_ask(tx, token)
        if found is None:
            await self._parts.alarms.note("", "result.unknown")
            raise nothing_here()
        return token, found

    async def _end(self, token: str) -> None:
        async with self._parts.database.transaction() as tx:
            await lookups.end_status_ask(tx, token, instant(self._parts.clock.now()))

    async def _answer(self, asked: Ask, finding: Finding, *, listed: bool = False) -> None:
        """Tell a box; of money that another site had first, only that."""
        record, used = None, False
        if finding.record is not None:
            async with self._parts.database.transaction() as tx:
                at = instant(self._parts.clock.now())
                used = not await lookups.told_first(tx, asked.receipt, asked.site_id, at)
            record = None if used else {**_told(finding.record), "listed": listed}
        told = {"receipt": asked.receipt, "gateway": asked.gateway, "found": finding.found, "record": record}
        if used:
            await self._parts.alarms.note(asked.site_id, "receipt.elsewhere", asked.receipt)
        await self._parts.down.answer(asked, {**told, "used": used})

    async def _could_not(self, site_id: str, known: Lookup, error: EdgeError) -> None:
        log.warning("receipts of %s: %s", known.account.short_code, error)
        if isinstance(error, RefusedError):
            await self._parts.alarms.note(site_id, "mpesa.refused", f"{known.account.short_code}: {error.code}")


def _told(record: MoneyRecord) -> dict[str, Any]:
    """Money as it stands in a `receipt` message."""
    payer = record.payer
    masked = f"{payer.beginning}***{payer.ending}" if payer.ending else payer.digest
    return {
        "mpesaReceiptNumber": record.mpesa_receipt_number,
        "amountCents": record.amount.cents,
        "account": record.account,
        "payer": masked if payer.phone is None else payer.phone.digits,
        "paidAt": None if record.paid_at is None else instant(record.paid_at),
        "raw": record.raw.decode(errors="replace"),
    }


def _is_in_list(receipt: str, now: datetime) -> bool:
    """Whether a receipt's own day is one that M-Pesa still lists in whole."""
    day = receipt_day(receipt)
    if day is None:
        return False
    # Which midnight turns the letters is not known: they may be a day off in the small hours.
    return datetime(day.year, day.month, day.day, tzinfo=NAIROBI) - _SMALL_HOURS >= now - SPAN
