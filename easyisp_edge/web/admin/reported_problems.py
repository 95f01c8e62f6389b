"""The back office: what customers reported, and what staff did about it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

from easyisp_edge.domain.permissions import Permission
from easyisp_edge.services.back_office.problems_desk import ListedProblem, ProblemsDesk
from easyisp_edge.services.back_office.staff_desk import NOTE_LENGTH_MAX
from easyisp_edge.web.admin.identities import Device
from easyisp_edge.web.admin.models import ApiModel, CursorQuery, Instant, Listed, next_cursor
from easyisp_edge.web.admin.operations import Call, operation


class ProblemsQuery(CursorQuery):
    """Which problems."""

    handled: bool = Field(default=False, description="Whether also those that somebody has seen to.")


class SeenTo(ApiModel):
    """That somebody has seen to a problem."""

    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=NOTE_LENGTH_MAX)] = Field(
        default="", description="What is to be said about it."
    )


class HandledModel(ApiModel):
    """Who has seen to a problem."""

    by: str
    at: Instant
    note: str


class ProblemModel(ApiModel):
    """What a customer reported."""

    id: str
    reported_at: Instant
    text: str = Field(description="In the customer's words, as they were typed: not to be shown as HTML.")
    language: str
    standing: str = Field(description="Where the device stood, in the words of its page.")
    mac: Device | None
    phone: str | None = Field(description="The number last used to pay from that device: staff may call.")
    router: str | None
    handled: HandledModel | None = Field(description="Null while nobody has seen to it.")


@dataclass(frozen=True)
class ProblemsArea:
    """Problems.

    Args:
        desk: What staff may do about them.
    """

    desk: ProblemsDesk

    @operation(
        "GET", "/api/problems", needs=Permission.PROBLEMS_VIEW, query=ProblemsQuery, answers=Listed[ProblemModel]
    )
    async def list_problems(self, call: Call) -> Listed[ProblemModel]:
        """What customers reported, the newest first; what nobody has seen to alone, unless asked otherwise."""
        query = call.query(ProblemsQuery)
        page = await self.desk.page(call.tenant_id, handled=query.handled, limit=query.limit, after=query.after)
        return Listed(items=[_model(each) for each in page.rows], next_cursor=next_cursor(page))

    @operation(
        "POST",
        "/api/problems/{id}/done",
        needs=Permission.PROBLEMS_HANDLE,
        body=SeenTo,
        answers=ProblemModel,
        refusals=(409,),
    )
    async def close_problem(self, call: Call) -> ProblemModel:
        """Say that a problem was seen to."""
        return _model(await self.desk.done(call.path("id"), call.body(SeenTo).note, call.by, call.tenant_id))


def _model(listed: ListedProblem) -> ProblemModel:
    problem, handled = listed.problem, listed.handled
    return ProblemModel(
        id=listed.problem_id,
        reported_at=listed.at,
        text=problem.text,
        language=problem.language,
        standing=problem.standing,
        mac=problem.mac,
        phone=None if listed.phone is None else listed.phone.digits,
        router=problem.router_id,
        handled=None if handled is None else HandledModel(by=handled.by, at=handled.at, note=handled.note),
    )
