"""What staff ask of the running daemon about its hub: enrolling the box there, and how the two stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.web.control_requests import asked_by
from easyisp_edge.web.portal_api import answer
from easyisp_edge.web.requests import needed_text, read_object

if TYPE_CHECKING:
    from easyisp_edge.services.sync.enrolment import EnrolmentService
    from easyisp_edge.services.sync.in_step import SyncService

_TEXT_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class ControlSync:
    """Handlers of the routes about the hub.

    Args:
        enrolment: Enrols the box.
        sync: Keeps box and hub in step.
    """

    enrolment: EnrolmentService
    sync: SyncService

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/control/sync", self.status),
            web.post("/control/sync/enrol", self.enrol),
            web.post("/control/sync/now", self.now),
        ]

    async def status(self, _request: web.Request) -> web.Response:
        """How box and hub stand."""
        return answer(self.sync.status())

    async def enrol(self, request: web.Request) -> web.Response:
        """Enrol the box with a code."""
        fields = await read_object(request)
        new = await self.enrolment.run(
            needed_text(fields, "url", most=_TEXT_LENGTH_MAX),
            needed_text(fields, "code", most=_TEXT_LENGTH_MAX),
            asked_by(request),
        )
        return answer({"site": new.site.site_id, "epoch": new.site.epoch, "fingerprint": new.fingerprint})

    async def now(self, _request: web.Request) -> web.Response:
        """Try now whatever waits for its time."""
        self.sync.link.ring_all()
        return answer(self.sync.status())
