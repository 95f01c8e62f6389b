"""The controls about the APIs beside STK: Pull, C2B, Dynamic QR."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.lab.daraja import control_messages as messages

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.faults import Fault
    from easyisp_edge.lab.daraja.lab_apis import LabApis


class ControlApis:
    """Their routes under `/lab/`."""

    def __init__(self, lab: LabApis) -> None:
        self._lab = lab

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.put("/lab/pull", self.set_pull),
            web.post("/lab/pull/answers", self.next_pull_answers),
            web.get("/lab/pull/registered", self.pull_registered),
            web.put("/lab/c2b", self.set_c2b),
            web.post("/lab/c2b/answers", self.next_c2b_answers),
            web.post("/lab/c2b/next-notices", self.next_notices),
            web.get("/lab/c2b/urls", self.c2b_urls),
            web.delete("/lab/c2b/urls/{short_code}", self.forget_c2b_urls),
            web.get("/lab/notices", self.notices),
            web.post("/lab/qr/answers", self.next_qr_answers),
        ]

    async def set_pull(self, request: web.Request) -> web.Response:
        """Choose how Pull behaves."""
        self._lab.set_pull(messages.read(messages.PULL, await request.read()))
        return _done()

    async def next_pull_answers(self, request: web.Request) -> web.Response:
        """Choose what the next Pull requests get."""
        self._lab.next_pull_answers(*await _faults(request))
        return _done()

    async def pull_registered(self, _: web.Request) -> web.Response:
        """The short codes Pull may be asked about."""
        return web.json_response(sorted(self._lab.pull_registered))

    async def set_c2b(self, request: web.Request) -> web.Response:
        """Choose how C2B behaves."""
        self._lab.set_c2b(messages.read(messages.C2B, await request.read()))
        return _done()

    async def next_c2b_answers(self, request: web.Request) -> web.Response:
        """Choose what the next registrations of addresses get."""
        self._lab.next_c2b_answers(*await _faults(request))
        return _done()

    async def next_notices(self, request: web.Request) -> web.Response:
        """Choose what becomes of the next confirmations."""
        self._lab.next_notices(*messages.read(messages.NOTICES, await request.read()))
        return _done()

    async def c2b_urls(self, _: web.Request) -> web.Response:
        """The addresses registered now."""
        return web.json_response([dataclasses.asdict(urls) for urls in self._lab.c2b_urls])

    async def forget_c2b_urls(self, request: web.Request) -> web.Response:
        """Take a short code's addresses out."""
        self._lab.forget_c2b_urls(request.match_info["short_code"])
        return _done()

    async def notices(self, _: web.Request) -> web.Response:
        """Every try to deliver a C2B notification."""
        return web.json_response([messages.notice_json(sent) for sent in self._lab.notices])

    async def next_qr_answers(self, request: web.Request) -> web.Response:
        """Choose what the next requests for a picture get."""
        self._lab.next_qr_answers(*await _faults(request))
        return _done()


async def _faults(request: web.Request) -> list[Fault | None]:
    return messages.read(messages.ANSWERS, await request.read()).faults


def _done() -> web.Response:
    return web.Response(status=204)
