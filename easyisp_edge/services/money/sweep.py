"""A gateway's own list of transactions is read again and again: what no callback told is found there."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.central import SyncPhase
from easyisp_edge.errors import EdgeError, InvalidError, RefusedError, UnavailableError
from easyisp_edge.store.gateway_states import GatewayState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from easyisp_edge.domain.payments import MoneyRecord
    from easyisp_edge.domain.values import Msisdn
    from easyisp_edge.services.money.judgement import Receiver
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.ports import PaymentGateway
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

# A list goes back 48 hours: an hour less keeps clear of its edge.
LIST_REACHES_BACK = timedelta(hours=47)
# Payments show up in it some minutes late: what was read is read again.
OVERLAP = timedelta(minutes=30)
# In pieces that rarely need a second page, and short enough to tell Nairobi's time from UTC's in them.
PIECE = timedelta(hours=2)
_SHORTEST_PIECE = timedelta(minutes=1)
# Away for longer than this, and evidence is about to be lost.
AWAY_TOO_LONG = timedelta(hours=40)
PAUSE_SECONDS = 20.0
# While M-Pesa lets fewer queries through than there are customers waiting, the list is read more often.
IMPATIENT_SECONDS = 30.0
QUERIES_LATE = timedelta(seconds=20)
_FAILED_OR_EMPTY, _TOO_MUCH = "pull.failed", "pull.too_much"
_NEVER = float("-inf")


@dataclass(slots=True)
class _Tried:
    """How reading a list went in this life of the process.

    Args:
        began: When it was tried last, by the monotonic clock.
        failure: Why the last try failed; None where it did not.
        warned_of: The last reading that was said to be too long ago.
    """

    began: float = _NEVER
    failure: EdgeError | None = None
    warned_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class SweepService:
    """Reads gateways' lists of transactions.

    Args:
        settlement: Judges what is found; its store and clock are used.
    """

    settlement: SettlementService
    _tried: dict[str, _Tried] = field(default_factory=dict)

    def cut_off(self, gateway_id: str) -> bool:
        """Whether the list could not be had when it was tried last; an answer that may say it is empty is one."""
        failure = self._tried.get(gateway_id, _Tried()).failure
        return isinstance(failure, UnavailableError) and failure.code != _FAILED_OR_EMPTY

    def wanted_early(self, gateway_id: str) -> bool:
        """Whether to read the list before its time: purchases wait for longer than their turn to be asked about."""
        began = self._tried.get(gateway_id, _Tried()).began
        rested = self.settlement.clock.monotonic() - began >= IMPATIENT_SECONDS
        return rested and self._queries_late(gateway_id)

    async def notice_token(self, gateway_id: str) -> str:
        """The secret in the address a gateway's confirmations come to; made at the first call."""
        return (await self._state(gateway_id)).notice_token

    async def round(
        self, receiver: Receiver, gateway: PaymentGateway, nominated: Msisdn, callback_base: str
    ) -> float | None:
        """Read what is new in a gateway's list; gives a shorter wait until the next time where one is due.

        However often it is called, the list is read three times a minute at most, be it in vain.

        Args:
            receiver: Whose gateway it is.
            gateway: How to ask it.
            nominated: The phone number that stands for the short code at M-Pesa.
            callback_base: Any address of ours: registering asks for one.

        Raises:
            UnavailableError: It could not be read; it is tried again soon.
        """
        if self._waits_for_books(receiver.gateway_id):
            return PAUSE_SECONDS
        state = await self._state(receiver.gateway_id)
        tried = self._tried.setdefault(receiver.gateway_id, _Tried())
        rest = self._rest(state, tried)
        if rest > 0:
            return _resting(tried, rest)
        tried.began = self.settlement.clock.monotonic()
        try:
            state = await self._registered(state, gateway, nominated, callback_base)
            await self._read(state, receiver, gateway)
        except (RefusedError, InvalidError) as error:
            if str(error) != str(tried.failure):  # said once: it stands until somebody puts it right
                log.error("the list of %s is refused: %s", receiver.gateway_id, error)  # noqa: TRY400 - no bug of ours
            tried.failure = error
            return None
        except UnavailableError as error:
            tried.failure = error
            raise
        tried.failure = None
        return IMPATIENT_SECONDS if self._queries_late(receiver.gateway_id) else None

    def _waits_for_books(self, gateway_id: str) -> bool:
        """Whether the list is left for now: what it tells may stand in books that this box is taking back.

        Not for so long that M-Pesa forgets it.
        """
        read = self.settlement.store.read
        site, state = read.sync.site(), read.gateways.by_id(gateway_id)
        if site is None or site.phase is not SyncPhase.APART:
            return False
        until = None if state is None else state.swept_until
        return until is None or self.settlement.clock.now() - until < AWAY_TOO_LONG

    def _rest(self, state: GatewayState, tried: _Tried) -> float:
        """Seconds until it may be tried again; after a restart, too."""
        clock = self.settlement.clock
        gone_by = clock.monotonic() - tried.began
        if state.swept_at is not None:
            gone_by = min(gone_by, (clock.now() - state.swept_at).total_seconds())
        return PAUSE_SECONDS - gone_by

    def _queries_late(self, gateway_id: str) -> bool:
        """Whether purchases wait for longer than their turn: the list answers for all of them at once."""
        due = self.settlement.store.read.purchases.next_query_at(gateway_id)
        return due is not None and self.settlement.clock.now() - due > QUERIES_LATE

    async def _registered(
        self, state: GatewayState, gateway: PaymentGateway, nominated: Msisdn, callback_base: str
    ) -> GatewayState:
        if state.pull_registered_at is not None:
            return state
        await gateway.register_pull(nominated, f"{callback_base}/t/{state.notice_token}")
        return await self._put(replace(state, pull_registered_at=self.settlement.clock.now()))

    async def _read(self, state: GatewayState, receiver: Receiver, gateway: PaymentGateway) -> None:
        """Read up to now; what was read before a failure stays read."""
        until = self.settlement.clock.now()
        since = self._since(state, until)
        while since < until:
            since, records = await _read_piece(gateway, since, until)
            await self.settlement.take_records(receiver, records)
            state = replace(state, swept_until=max(state.swept_until or since, since))
            await self._put(replace(state, swept_at=until) if since == until else state)

    def _since(self, state: GatewayState, now: datetime) -> datetime:
        earliest = now - LIST_REACHES_BACK
        if state.swept_until is None:
            return earliest
        if now - state.swept_until > AWAY_TOO_LONG:
            self._warn(state.gateway_id, state.swept_until)
        return max(earliest, min(state.swept_until, now) - OVERLAP)

    def _warn(self, gateway_id: str, swept_until: datetime) -> None:
        tried = self._tried[gateway_id]
        if tried.warned_of != swept_until:
            log.warning(
                "the list of %s was last read at %s: older payments can only be found by hand",
                gateway_id,
                f"{swept_until:%Y-%m-%d %H:%M}",
            )
        tried.warned_of = swept_until

    async def _state(self, gateway_id: str) -> GatewayState:
        there = self.settlement.store.read.gateways.by_id(gateway_id)
        if there is not None:
            return there
        first = GatewayState(gateway_id, self.settlement.identifiers.secret())
        return await self.settlement.store.write(lambda tx: _begin(tx, first))

    async def _put(self, state: GatewayState) -> GatewayState:
        await self.settlement.store.write(lambda tx: tx.gateways.put(state))
        return state


def _begin(tx: Tables, state: GatewayState) -> GatewayState:
    """Write a first state, unless somebody did meanwhile: the address with the first token may be out already."""
    there = tx.gateways.by_id(state.gateway_id)
    if there is None:
        tx.gateways.put(state)
    return there or state


def _resting(tried: _Tried, rest: float) -> float:
    """Seconds to wait; while M-Pesa is away it is still away, so that its absence is one and is told once."""
    failure = tried.failure
    if isinstance(failure, UnavailableError):
        seconds = max(rest, failure.retry_after_seconds or 0.0)
        raise UnavailableError(failure.code, failure.message, retry_after_seconds=seconds) from failure
    return rest


async def _read_piece(
    gateway: PaymentGateway, since: datetime, until: datetime
) -> tuple[datetime, Sequence[MoneyRecord]]:
    """The list from `since` on, as far as it can be had at once, and how far that is."""
    end = min(since + PIECE, until)
    while True:
        try:
            return end, await gateway.pull_transactions(since, end)
        except UnavailableError as error:
            if error.code == _FAILED_OR_EMPTY:
                # Told of an empty list, too: one that goes back as far as it can tells which it was.
                return until, await gateway.pull_transactions(until - LIST_REACHES_BACK, until)
            if error.code != _TOO_MUCH or end - since <= _SHORTEST_PIECE:
                raise
            end = since + (end - since) / 2
