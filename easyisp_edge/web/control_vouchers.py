"""What staff ask of the running daemon about vouchers: batches made, listed, shown and revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge.domain.vouchers import grouped
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.back_office.staff_desk import NOTE_LENGTH_MAX
from easyisp_edge.services.back_office.vouchers_desk import BatchOrder
from easyisp_edge.web.control_requests import WORD_LENGTH_MAX, asked_by, limit_of, tenant_of
from easyisp_edge.web.portal_api import answer
from easyisp_edge.web.requests import needed_text, read_object, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from easyisp_edge.services.back_office.vouchers_desk import ListedBatch, VouchersDesk


@dataclass(frozen=True, slots=True)
class ControlVouchers:
    """Handlers of the control routes about vouchers.

    Args:
        desk: What the owner may do about them.
    """

    desk: VouchersDesk

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/control/vouchers", self.batches),
            web.post("/control/vouchers", self.make),
            web.get("/control/vouchers/{key}", self.show),
            web.post("/control/vouchers/{key}/revoke", self.revoke),
        ]

    async def batches(self, request: web.Request) -> web.Response:
        """The batches, newest first; no codes."""
        found = await self.desk.batches(tenant_of(request.query), limit_of(request.query))
        return answer({"batches": [batch_json(each) for each in found]})

    async def make(self, request: web.Request) -> web.Response:
        """Make a batch; no codes."""
        fields = await read_object(request)
        order = BatchOrder(
            package_id=needed_text(fields, "package", most=WORD_LENGTH_MAX),
            count=_count(fields),
            tenant_id=tenant_of(fields),
            expires_on=_day(fields),
            note=text_of(fields, "note", most=NOTE_LENGTH_MAX, needed=False) or "",
        )
        return answer({"batch": batch_json(await self.desk.make(order, asked_by(request)))})

    async def show(self, request: web.Request) -> web.Response:
        """A batch with its codes."""
        shown = await self.desk.show(request.match_info["key"], asked_by(request))
        vouchers = [
            {
                "number": voucher.number,
                "code": grouped(voucher.code),
                "state": state.value,
                "grant": voucher.grant_id,
                "changedAt": _instant(voucher.changed_at),
            }
            for voucher, state in shown.vouchers
        ]
        beside = {"seller": shown.seller, "portalUrl": shown.portal_url}
        return answer({"batch": batch_json(shown.listed), "vouchers": vouchers, **beside})

    async def revoke(self, request: web.Request) -> web.Response:
        """Revoke a voucher, or what is left of a batch."""
        fields = await read_object(request)
        listed, count = await self.desk.revoke(request.match_info["key"], tenant_of(fields), asked_by(request))
        return answer({"batch": batch_json(listed), "revoked": count})


def batch_json(listed: ListedBatch) -> dict[str, Any]:
    """A batch for staff; `sold` is what the used ones came to at the price of then."""
    batch, package, counts = listed.batch, listed.package, listed.counts
    return {
        "id": batch.batch_id,
        "tenant": batch.tenant_id,
        "package": {"id": package.package_id, "name": package.name},
        "price": package.price.as_json(),
        "count": batch.count,
        "available": 0 if listed.expired else counts.available,
        "used": counts.used,
        "revoked": counts.revoked,
        "expired": counts.available if listed.expired else 0,
        "sold": listed.sold.as_json(),
        "expiresAt": None if batch.expires_at is None else _instant(batch.expires_at),
        "note": batch.note,
        "by": batch.made_by,
        "createdAt": _instant(batch.created_at),
    }


def _count(fields: Mapping[str, Any]) -> int:
    word = needed_text(fields, "count", most=WORD_LENGTH_MAX)
    if not (word.isascii() and word.isdigit()):
        raise InvalidError("vouchers.count", "Say as a number how many vouchers are to be made.", field="count")
    return int(word)


def _day(fields: Mapping[str, Any]) -> date | None:
    word = text_of(fields, "expires", most=WORD_LENGTH_MAX, needed=False)
    try:
        return None if word is None else date.fromisoformat(word)
    except ValueError as error:
        message = f"{word!r:.40} is no day such as 2026-12-31."
        raise InvalidError("vouchers.expires", message, field="expires") from error


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
