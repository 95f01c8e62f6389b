"""Payments as one long CSV: written as it is read, so that it takes no more memory for a million rows than for one.

Source: RFC 4180; OWASP, CSV Injection.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import logging
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.domain.payments import NO_GATEWAY
from easyisp_edge.domain.values import NAIROBI

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from easyisp_edge.domain.values import Money
    from easyisp_edge.store.payment_lists import ListedPayment

log = logging.getLogger(__name__)

COLUMNS = (
    "createdAt",
    "transactionId",
    "amount",
    "status",
    "method",
    "phone",
    "account",
    "description",
    "disposition",
    "gatewayId",
    "customerId",
    "id",
)
MEDIA_TYPE = "text/csv"
# Whoever takes nothing for so long has gone away without a word.
_STALLED_SECONDS = 60.0
# What spreadsheets take for the beginning of a formula, in the widths they know.
_RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # fmt: skip


async def stream(
    request: web.Request, name: str, batches: AsyncGenerator[list[ListedPayment], None]
) -> web.StreamResponse:
    """Answer with payments as they come, as fast as the other side takes them.

    What goes wrong before the first row is raised. Later the connection is cut, so that nobody takes a part of the
    list for all of it.

    Args:
        request: What is answered.
        name: The file's name, in letters, digits, dots and dashes.
        batches: The payments; closed in the end, whatever happens.
    """
    async with contextlib.aclosing(batches):
        nothing: list[ListedPayment] = []
        first = await anext(batches, nothing)
        response = web.StreamResponse(
            headers={
                "Content-Type": f"{MEDIA_TYPE}; charset=utf-8; header=present",
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            }
        )
        await response.prepare(request)
        try:
            await _write(response, written([COLUMNS]))
            await _write(response, written(map(row_of, first)))
            async for batch in batches:
                await _write(response, written(map(row_of, batch)))
        except ConnectionError:
            log.info("Whoever asked for %s has gone away.", name)
        except Exception:
            log.exception("%s was broken off", name)
            _cut_off(request)
    return response


def row_of(payment: ListedPayment) -> tuple[str, ...]:
    """A payment's row: its time in Nairobi, its amount in shillings and cents."""
    return (
        payment.created_at.astimezone(NAIROBI).isoformat(timespec="seconds"),
        payment.transaction_id or "",
        shillings(payment.amount),
        payment.status.value,
        payment.method.value,
        "" if payment.phone is None else payment.phone.digits,
        defused(payment.account),
        defused(payment.description),
        "" if payment.disposition is None else payment.disposition.value,
        "" if payment.gateway_id == NO_GATEWAY else defused(payment.gateway_id),
        "" if payment.customer is None else payment.customer.customer_id,
        payment.key,
    )


def defused(text: str) -> str:
    """A text no spreadsheet runs: what begins like a formula gets an apostrophe before it."""
    return f"'{text}" if text.startswith(_RUN) else text


def shillings(amount: Money) -> str:
    """An amount with its two decimals."""
    return f"{amount.cents // 100}.{amount.cents % 100:02}"


def written(rows: Iterable[tuple[str, ...]]) -> bytes:
    """Rows in CSV, in UTF-8."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


async def _write(response: web.StreamResponse, octets: bytes) -> None:
    async with asyncio.timeout(_STALLED_SECONDS):
        await response.write(octets)


def _cut_off(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
