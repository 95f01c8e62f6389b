"""`/pulltransactions/v1/register` and `…/query`: the payments of a short code, asked for by its owner.

Source: Daraja, Pull Transactions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from easyisp_edge.lab.daraja.callback_url import is_plausible
from easyisp_edge.lab.daraja.door import read_fields
from easyisp_edge.lab.daraja.fault_queue import FaultQueue
from easyisp_edge.lab.daraja.faults import (
    INVALID_PULL_SHORT_CODE,
    METHOD_NOT_ALLOWED,
    PULL_FAILED,
    RESOURCE_NOT_FOUND,
    DarajaRefusalError,
    bad_request,
)
from easyisp_edge.lab.daraja.nairobi import read_plain
from easyisp_edge.lab.daraja.pull_handling import EmptyForm, PullHandling, PullMethods

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from easyisp_edge.lab.daraja.door import Door
    from easyisp_edge.lab.daraja.identifiers import Identifiers
    from easyisp_edge.lab.daraja.merchants import Merchant
    from easyisp_edge.lab.daraja.options import CallbackUrlRules
    from easyisp_edge.lab.daraja.pull_rows import PullRows
    from easyisp_edge.machine import Clock


@dataclass(frozen=True, slots=True)
class _Span:
    since: datetime
    until: datetime
    offset: int


class Pull:
    """Registers short codes and gives out their rows.

    Attributes:
        handling: How it behaves from now on.
        faults: In store for the next requests, registrations and queries alike.
        registered: The short codes, and tills, that may be asked about.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        door: Door,
        identifiers: Identifiers,
        rows: PullRows,
        handling: PullHandling,
        url_rules: CallbackUrlRules,
    ) -> None:
        self._clock = clock
        self._door = door
        self._identifiers = identifiers
        self._rows = rows
        self._url_rules = url_rules
        self.handling = handling
        self.faults = FaultQueue()
        self.registered: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        """Its part of the wire; there is no `/mpesa` in front of it."""
        query = "/pulltransactions/v1/query"
        return [
            web.post("/pulltransactions/v1/register", self.register),
            web.post(query, self.query),
            web.get(query, self.query, allow_head=False),
        ]

    async def register(self, request: web.Request) -> web.StreamResponse:
        """Take the short code in; 1001 where it is in already."""
        fields, merchants = await self._let_in(request)
        number = str(fields.get("ShortCode", ""))
        if not merchants:
            raise DarajaRefusalError(INVALID_PULL_SHORT_CODE)
        self._check_registration(fields)
        status, said = "1000", "Shortcode Registered Successfully"
        if number in self.registered:
            status, said = "1001", "Shortcode already Registered"
        self.registered.add(number)
        space = " " if self.handling.spaced_keys else ""
        return web.json_response(
            {
                f"Response{space}RefID": self._identifiers.request_id(),
                f"Response{space}Status": status,
                "ShortCode": number,
                f"Response{space}Description": said,
            }
        )

    async def query(self, request: web.Request) -> web.StreamResponse:
        """One page of rows; 1001 where there is none or the short code is not registered."""
        wanted = {PullMethods.POST: hdrs.METH_POST, PullMethods.GET: hdrs.METH_GET}.get(self.handling.methods)
        if wanted not in {None, request.method}:
            not_found = self.handling.wrong_method_is_not_found
            raise DarajaRefusalError(RESOURCE_NOT_FOUND if not_found else METHOD_NOT_ALLOWED)
        fields, merchants = await self._let_in(request)
        if not merchants:
            raise DarajaRefusalError(INVALID_PULL_SHORT_CODE)
        span = self._read_span(fields)
        number = str(fields["ShortCode"])
        page = self._page(merchants, number, span) if number in self.registered else []
        return self._answer(page)

    async def _let_in(self, request: web.Request) -> tuple[Mapping[str, object], list[Merchant]]:
        consumer_key = self._door.app_of(request, self.handling.dead_token)
        fields = await read_fields(request)
        await self._clock.sleep(self.handling.answer_after_seconds)
        self.faults.strike(self.handling.fault)
        return fields, self._door.merchants_at(consumer_key, str(fields.get("ShortCode", "")))

    def _check_registration(self, fields: Mapping[str, object]) -> None:
        nominated = re.fullmatch(r"(254|0)[17][0-9]{8}", str(fields.get("NominatedNumber", "")))
        good = {
            "RequestType": fields.get("RequestType") == "Pull",
            "NominatedNumber": nominated is not None,
            "CallBackURL": is_plausible(str(fields.get("CallBackURL", "")), self._url_rules),
        }
        for name, is_good in good.items():
            if not is_good:
                raise DarajaRefusalError(bad_request(name))

    def _read_span(self, fields: Mapping[str, object]) -> _Span:
        since = read_plain(str(fields.get("StartDate", "")))
        until = read_plain(str(fields.get("EndDate", "")))
        longest = timedelta(hours=self.handling.window_hours)
        if since is None:
            raise DarajaRefusalError(bad_request("StartDate"))
        if until is None or not timedelta(0) <= until - since <= longest:
            raise DarajaRefusalError(bad_request("EndDate"))
        offset = str(fields.get("OffSetValue", "0"))
        if re.fullmatch(r"[0-9]{1,9}", offset) is None:
            raise DarajaRefusalError(bad_request("OffSetValue"))
        return _Span(since, until, int(offset))

    def _page(self, merchants: list[Merchant], number: str, span: _Span) -> list[dict[str, object]]:
        """The rows asked for, as far as they are neither too old nor too new to be shown."""
        now, handling = self._clock.now(), self.handling
        since = max(span.since, now - timedelta(hours=handling.window_hours))
        until = min(span.until, now - timedelta(seconds=handling.visible_after_seconds))
        rows = self._rows.of(merchants, number, since, until, handling)
        return rows[span.offset : span.offset + handling.page_rows]

    def _answer(self, page: list[dict[str, object]]) -> web.Response:
        name = "RequestID" if self.handling.request_id else "ResponseRefID"
        answer: dict[str, object] = {name: self._identifiers.request_id()}
        if page:
            answer |= {"ResponseCode": "1000", "ResponseMessage": "Success", "Response": self._nested(page)}
            return web.json_response(answer)
        if self.handling.empty is EmptyForm.ERROR:
            raise DarajaRefusalError(PULL_FAILED)
        said = "No records found or Organization Name not available"
        return web.json_response(answer | {"ResponseCode": "1001", "ResponseMessage": said} | self._nothing())

    def _nothing(self) -> dict[str, object]:
        if self.handling.empty is EmptyForm.TEXT:
            return {"Transaction": "[[]]"}
        return {"Response": None if self.handling.empty is EmptyForm.NULL else self._nested([])}

    def _nested(self, page: list[dict[str, object]]) -> list[object]:
        nested: list[object] = list(page)
        for _ in range(self.handling.nesting - 1):
            nested = [nested]
        return nested
