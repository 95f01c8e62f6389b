"""The back office: vouchers made, looked up, printed and taken back.

A code is money to whoever reads it: those who may not make vouchers see its last letters alone.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import Field

from easyisp_edge.config.urls import web_url
from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.permissions import Permission
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.domain.vouchers import BATCH_VOUCHERS_MAX, Voucher, VoucherState, grouped
from easyisp_edge.errors import ConflictError, InvalidError
from easyisp_edge.services.back_office.voucher_sheet import (
    CARDS_PER_PAGE,
    HTML_END,
    Card,
    CardWords,
    html_begin,
    svg_pages,
)
from easyisp_edge.services.back_office.vouchers_desk import BatchOrder, BatchPage, ListedBatch, ShownBatch, VouchersDesk
from easyisp_edge.web.admin.models import (
    ApiModel,
    CursorQuery,
    Instant,
    Key,
    Listed,
    MaybeLine,
    Shillings,
    SumOfShillings,
    next_cursor,
)
from easyisp_edge.web.admin.operations import Call, operation
from easyisp_edge.web.texts import Texts

# What the box's own commands call otherwise.
_FIELDS: Mapping[str | None, str] = {"expires": "expiresOn"}
_HIDDEN = "*"
_SHOWN_LETTERS = 4
_SHEET_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-modals",
}


class NewBatch(ApiModel):
    """Vouchers to be made."""

    package_id: Key
    count: int = Field(ge=1, le=BATCH_VOUCHERS_MAX)
    expires_on: date | None = Field(
        default=None, description="The last day on which they are taken, by Kenya's clock; null for no end."
    )
    note: MaybeLine = None


class PackageOfBatch(ApiModel):
    """What each voucher is for, as it was then."""

    id: str
    name: str


class BatchModel(ApiModel):
    """Vouchers that were made together."""

    id: str
    package: PackageOfBatch
    price: Shillings
    count: int
    available: int
    used: int
    revoked: int
    expired: int
    sold: SumOfShillings = Field(description="What those that were used came to, at the price of then.")
    expires_at: Instant | None
    note: str
    by: str = Field(description="Who had them made.")
    created_at: Instant


class VoucherModel(ApiModel):
    """A voucher."""

    number: int
    code: str = Field(description="Its last letters alone for those who may not make vouchers.")
    state: Literal["available", "used", "revoked", "expired"]
    grant: str | None = Field(description="What it got, where it was used.")
    changed_at: Instant


class BatchDetail(ApiModel):
    """A batch, with a page of its vouchers in order."""

    batch: BatchModel
    items: list[VoucherModel]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null at the end.")


class RevokedBatch(ApiModel):
    """What became of a batch."""

    batch: BatchModel
    revoked: int = Field(description="How many were taken back now.")


class SheetQuery(ApiModel):
    """How a sheet is made."""

    portal: str | None = Field(
        default=None,
        max_length=200,
        description="The portal as customers reach it, where no file says: `http://10.5.50.2`.",
    )


@dataclass(frozen=True)
class VouchersArea:
    """Vouchers.

    Args:
        desk: What may be done about them.
        texts: What stands on the cards.
    """

    desk: VouchersDesk
    texts: Texts

    @operation("GET", "/api/vouchers", needs=Permission.VOUCHERS_VIEW, query=CursorQuery, answers=Listed[BatchModel])
    async def list_voucher_batches(self, call: Call) -> Listed[BatchModel]:
        """Batches of vouchers, newest first, without their codes."""
        query = call.query(CursorQuery)
        page = await self.desk.page(call.tenant_id, limit=query.limit, after=query.after)
        return Listed(items=[_batch(each) for each in page.rows], next_cursor=next_cursor(page))

    @operation("GET", "/api/vouchers/{batchId}", needs=Permission.VOUCHERS_VIEW, query=CursorQuery, answers=BatchDetail)
    async def show_voucher_batch(self, call: Call) -> BatchDetail:
        """A batch with its vouchers, a page at a time.

        That somebody saw whole codes is noted.
        """
        query, sees_codes = call.query(CursorQuery), Permission.VOUCHERS_MAKE in call.caller.permissions
        found = await self.desk.some(
            call.tenant_id,
            call.path("batchId"),
            call.by if sees_codes else None,
            after=_number(query.after),
            limit=query.limit,
        )
        items = [_voucher(each, state, whole=sees_codes) for each, state in found.vouchers]
        return BatchDetail(batch=_batch(found.listed), items=items, next_cursor=_next(found))

    @operation("POST", "/api/vouchers", needs=Permission.VOUCHERS_MAKE, body=NewBatch, answers=BatchModel, status=201)
    async def make_vouchers(self, call: Call) -> BatchModel:
        """Make a batch of vouchers for a package, as it is now and at its price of now."""
        new = call.body(NewBatch)
        order = BatchOrder(new.package_id, new.count, call.tenant_id, new.expires_on, new.note or "")
        try:
            return _batch(await self.desk.make(order, call.by))
        except InvalidError as error:
            raise InvalidError(error.code, error.message, field=_FIELDS.get(error.field, error.field)) from None

    @operation("POST", "/api/vouchers/{batchId}/revoke", needs=Permission.VOUCHERS_REVOKE, answers=RevokedBatch)
    async def revoke_voucher_batch(self, call: Call) -> RevokedBatch:
        """Take back all of a batch that nobody has used; what was used stays."""
        listed, count = await self.desk.revoke_batch(call.tenant_id, call.path("batchId"), call.by)
        return RevokedBatch(batch=_batch(listed), revoked=count)

    @operation(
        "GET",
        "/api/vouchers/{batchId}/sheet",
        needs=Permission.VOUCHERS_MAKE,
        query=SheetQuery,
        answers=str,
        media_type="text/html",
        refusals=(409,),
    )
    async def print_vouchers(self, call: Call) -> web.StreamResponse:
        """A4 pages of cards to print and cut, of what nobody has used yet."""
        named = call.query(SheetQuery).portal
        portal = None if named is None else _web_url(named)
        shown = await self.desk.show(call.path("batchId"), call.by, call.tenant_id)
        cards, words = _cards(shown, portal), self._words(shown, portal)
        response = web.StreamResponse(headers=_SHEET_HEADERS)
        response.content_type, response.charset = "text/html", "utf-8"
        await response.prepare(call.request)
        await response.write(html_begin(f"{shown.seller}: {shown.listed.batch.batch_id}").encode())
        for first in range(0, len(cards), CARDS_PER_PAGE):
            # Pictures to scan take long to make: elsewhere, and a page at a time.
            pages = await asyncio.to_thread(svg_pages, cards[first : first + CARDS_PER_PAGE], words)
            await response.write("".join(pages).encode())
        await response.write(HTML_END.encode())
        await response.write_eof()
        return response

    def _words(self, shown: ShownBatch, portal: str | None) -> CardWords:
        address, day, texts = urlsplit(_portal_url(shown, portal)), _last_day(shown.listed), self.texts
        place = address.netloc + address.path
        package = shown.listed.package
        return CardWords(
            seller=shown.seller,
            offer=f"{package.name} \u2013 {package.price}",
            how_to=tuple(texts.get(each, "sheet.how_to", portal=place) for each in texts.languages),
            until=""
            if day is None
            else " / ".join(texts.get(each, "sheet.until", day=day) for each in texts.languages),
        )


def _cards(shown: ShownBatch, portal: str | None) -> list[Card]:
    batch_id, url = shown.listed.batch.batch_id, _portal_url(shown, portal)
    unused = [voucher for voucher, state in shown.vouchers if state is VoucherState.AVAILABLE]
    if not unused:
        raise ConflictError("vouchers.none_left", f"Nothing of batch {batch_id} can be used any more.")
    return [Card(each.voucher_id, grouped(each.code), f"{url}/v/{each.code}") for each in unused]


def _portal_url(shown: ShownBatch, portal: str | None) -> str:
    url = portal or shown.portal_url
    if url is None:
        message = "No file says where customers reach the portal: name it as portal, such as http://10.5.50.2."
        raise ConflictError("vouchers.portal", message)
    return url


def _web_url(text: str) -> str:
    try:
        return web_url(text)
    except InvalidError as error:
        raise InvalidError(error.code, error.message, field="portal") from None


def _last_day(listed: ListedBatch) -> str | None:
    expires_at = listed.batch.expires_at
    return None if expires_at is None else f"{expires_at.astimezone(NAIROBI) - timedelta(days=1):%Y-%m-%d}"


def _batch(listed: ListedBatch) -> BatchModel:
    batch, counts = listed.batch, listed.counts
    return BatchModel(
        id=batch.batch_id,
        package=PackageOfBatch(id=listed.package.package_id, name=listed.package.name),
        price=listed.package.price,
        count=batch.count,
        available=0 if listed.expired else counts.available,
        used=counts.used,
        revoked=counts.revoked,
        expired=counts.available if listed.expired else 0,
        sold=listed.sold,
        expires_at=batch.expires_at,
        note=batch.note,
        by=batch.made_by,
        created_at=batch.created_at,
    )


def _voucher(voucher: Voucher, state: VoucherState, *, whole: bool) -> VoucherModel:
    hidden = _HIDDEN * (len(voucher.code) - _SHOWN_LETTERS) + voucher.code[-_SHOWN_LETTERS:]
    return VoucherModel(
        number=voucher.number,
        code=grouped(voucher.code if whole else hidden),
        state=state.value,
        grant=voucher.grant_id,
        changed_at=voucher.changed_at,
    )


def _next(found: BatchPage) -> str | None:
    if not found.more:
        return None
    last, _ = found.vouchers[-1]
    return next_cursor(Page([], Position(found.listed.batch.created_at, str(last.number))))


def _number(after: Position | None) -> int:
    if after is None:
        return 0
    if not (after.key.isascii() and after.key.isdigit() and int(after.key) <= BATCH_VOUCHERS_MAX):
        raise InvalidError("cursor.unreadable", "This is no position in a batch of vouchers.", field="cursor")
    return int(after.key)
