"""M-Pesa's list of a short code's payments, pulled when a receipt is looked for and kept as long as M-Pesa keeps it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from easyisp_edge.adapters.daraja.pull import pull
from easyisp_edge.adapters.daraja.pull_messages import PULL_FAILED, PullWindow
from easyisp_edge.errors import UnavailableError

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.adapters.daraja.app import DarajaApp
    from easyisp_edge.domain.payments import MoneyRecord
    from easyisp_edge.machine import Clock

# M-Pesa keeps 48 hours; an hour is left for clocks that differ.
SPAN: Final = timedelta(hours=47)
_WINDOW = timedelta(hours=12)
_OVERLAP = timedelta(minutes=30)
_NOT_BEFORE_SECONDS = 15.0


class Pulled:
    """The list of one short code.

    Args:
        app: To call with.
        short_code: Whose.
        clock: For spans.
    """

    def __init__(self, app: DarajaApp, short_code: str, clock: Clock) -> None:
        self._app = app
        self._short_code = short_code
        self._clock = clock
        self._records: dict[str, tuple[datetime, MoneyRecord]] = {}
        self._asked_at: float | None = None
        self._until: datetime | None = None
        self._turn = asyncio.Lock()

    @property
    def whole_until(self) -> datetime | None:
        """Until when nothing is missing.

        None where that cannot be told: of a short code that was never registered for it, M-Pesa lists nothing at all.
        """
        return self._until if self._records else None

    def find(self, receipt: str) -> MoneyRecord | None:
        """The money of a receipt, as far as the list is known."""
        found = self._records.get(receipt)
        return None if found is None else found[1]

    async def refresh(self) -> None:
        """Pull what is new, a little of what is not, and all of it the first time; not more often than makes sense.

        Raises:
            UnavailableError: Not all of it could be had; `whole_until` says how far it goes.
            RefusedError: Asking is refused; an operator must look.
        """
        async with self._turn:
            monotonic = self._clock.monotonic()
            if self._asked_at is not None and monotonic - self._asked_at < _NOT_BEFORE_SECONDS:
                return
            self._asked_at = monotonic
            await self._pull(self._clock.now())

    async def _pull(self, now: datetime) -> None:
        since = now - SPAN if self._until is None else max(now - SPAN, self._until - _OVERLAP)
        whole = True
        while since < now:
            until = min(now, since + _WINDOW)
            records = await self._window(since, until)
            whole = whole and records is not None
            self._records |= {record.mpesa_receipt_number: (until, record) for record in records or ()}
            self._until, since = until if whole else self._until, until
        self._records = {receipt: one for receipt, one in self._records.items() if one[0] > now - SPAN}

    async def _window(self, since: datetime, until: datetime) -> list[MoneyRecord] | None:
        """None where M-Pesa could not list it; which it also says where there is nothing."""
        try:
            return await pull(self._app, self._short_code, PullWindow(since, until))
        except UnavailableError as error:
            if error.code == PULL_FAILED:
                return None
            raise
