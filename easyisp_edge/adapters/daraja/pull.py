"""Pulling a short code's own list of payments, page after page."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from easyisp_edge.adapters.daraja.pull_messages import (
    PULL_FAILED,
    PULL_OCTETS_MAX,
    PULL_QUERY_PATH,
    read_rows,
    row_key,
    rows_of_page,
    too_much,
)
from easyisp_edge.domain.payments import Reason
from easyisp_edge.errors import UnavailableError

if TYPE_CHECKING:
    from easyisp_edge.adapters.daraja.app import DarajaApp
    from easyisp_edge.adapters.daraja.pull_messages import PullWindow
    from easyisp_edge.domain.payments import MoneyRecord

PAGES_MAX = 300
_PAUSE_SECONDS = 2.0
_PAUSE_SECONDS_MAX = 60.0

log = logging.getLogger(__name__)


async def pull(app: DarajaApp, short_code: str, window: PullWindow) -> list[MoneyRecord]:
    """All payments of a span that can be read; how many cannot is logged.

    Raises:
        UnavailableError: Not all pages could be had; `pull.too_much` where there are too many, `pull.failed` where
            perhaps there is none.
        RefusedError: Asking is refused; an operator must look.
    """
    rows = await _rows(app, short_code, window)
    pulled = read_rows(rows, window)
    if pulled.unreadable:
        log.warning("%s: %d of %d rows that M-Pesa lists cannot be read", short_code, pulled.unreadable, len(rows))
    return pulled.records


async def _rows(app: DarajaApp, short_code: str, window: PullWindow) -> list[object]:
    """Page by page, until one is empty or brings nothing new: how long a page is, nobody tells."""
    rows: list[object] = []
    seen: set[object] = set()
    for _ in range(PAGES_MAX):
        page = await _page(app, window.body(short_code, len(rows)), is_first=not rows)
        keys = {row_key(row) for row in page}
        if keys <= seen:
            return rows
        seen |= keys
        rows += page
    raise too_much()


async def _page(app: DarajaApp, body: dict[str, str | int], *, is_first: bool) -> list[object]:
    try:
        return await _ask(app, body)
    except UnavailableError as error:
        seconds = error.retry_after_seconds or _PAUSE_SECONDS
        if is_first or error.code not in {Reason.BUSY, PULL_FAILED} or seconds > _PAUSE_SECONDS_MAX:
            raise
    # Not to lose the pages already had; else a rate below two pages at once would let nothing be pulled, ever.
    await app.pause(seconds)
    return await _last_try(app, body)


async def _last_try(app: DarajaApp, body: dict[str, str | int]) -> list[object]:
    try:
        return await _ask(app, body)
    except UnavailableError as error:
        if error.code != PULL_FAILED:
            raise
        return []  # after rows, and said again: there are no more


async def _ask(app: DarajaApp, body: dict[str, str | int]) -> list[object]:
    return rows_of_page(await app.read(PULL_QUERY_PATH, lambda _instant: body, octets_max=PULL_OCTETS_MAX))
