"""What staff ask of the running daemon about problems that customers reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge.services.back_office.staff_desk import NOTE_LENGTH_MAX
from easyisp_edge.web.control_requests import asked_by, flag_of, limit_of, tenant_of
from easyisp_edge.web.portal_api import answer
from easyisp_edge.web.requests import read_object, text_of

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.services.back_office.problems_desk import ListedProblem, ProblemsDesk


@dataclass(frozen=True, slots=True)
class ControlProblems:
    """Handlers of the control routes about problems.

    Args:
        desk: What staff may do about them.
    """

    desk: ProblemsDesk

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/control/problems", self.problems),
            web.post("/control/problems/{key}/done", self.done),
        ]

    async def problems(self, request: web.Request) -> web.Response:
        """What was reported, newest first."""
        query = request.query
        page = await self.desk.page(tenant_of(query), handled=flag_of(query, "all"), limit=limit_of(query))
        return answer({"problems": [problem_json(each) for each in page.rows]})

    async def done(self, request: web.Request) -> web.Response:
        """Mark a problem as seen to."""
        fields = await read_object(request)
        note = text_of(fields, "note", most=NOTE_LENGTH_MAX, needed=False) or ""
        listed = await self.desk.done(request.match_info["key"], note, asked_by(request))
        return answer({"problem": problem_json(listed)})


def problem_json(listed: ListedProblem) -> dict[str, Any]:
    """A problem as staff see it, with the whole phone number: they may call."""
    problem, handled = listed.problem, listed.handled
    return {
        "id": listed.problem_id,
        "reportedAt": _instant(listed.at),
        "tenant": problem.tenant_id,
        "router": problem.router_id,
        "mac": None if problem.mac is None else problem.mac.text,
        "phone": None if listed.phone is None else listed.phone.digits,
        "step": problem.standing,
        "language": problem.language,
        "text": problem.text,
        "handled": None
        if handled is None
        else {"by": handled.by, "at": _instant(handled.at), "note": handled.note or None},
    }


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
