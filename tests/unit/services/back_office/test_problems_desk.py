"""Staff see what customers reported, and say that they have seen to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.back_office.problems_desk import ProblemsDesk
from easyisp_edge.services.back_office.staff_desk import NOTE_LENGTH_MAX
from easyisp_edge.services.portal.problems import Problem, ProblemService
from tests.fakes.gateway import PAYER
from tests.unit.desk import Office, open_office
from tests.unit.shop import MAC, OTHER_MAC, ROUTER, TENANT, a_purchase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SLOW = Problem(TENANT, MAC, ROUTER, "online", "Very slow\nsince morning", "en")


@pytest.fixture(name="office")
async def _office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


@pytest.fixture(name="desk")
def _desk(office: Office) -> ProblemsDesk:
    return ProblemsDesk(office.books.store, office.books.clock, office.site)


async def report(office: Office, *problems: Problem) -> None:
    service = ProblemService.over(office.books.store, office.books.clock)
    for problem in problems:
        await service.report(problem)
        office.books.time.advance(60)


async def listed(desk: ProblemsDesk, tenant_id: str | None = None, *, handled: bool = False) -> list[str]:
    return [each.problem_id for each in (await desk.page(tenant_id, handled=handled, limit=9)).rows]


async def test_newest_first_each_as_it_was_reported(office: Office, desk: ProblemsDesk) -> None:
    """With when, who, where and the customer's own words; as many as are asked for."""
    first = office.books.now()
    await report(office, SLOW, SLOW._replace(mac=None, router_id=None, text="No network"))
    second, one = (await desk.page(None, handled=False, limit=9)).rows
    assert (one.problem_id, one.at, one.problem, one.phone, one.handled) == ("problem-1", first, SLOW, None, None)
    assert (second.problem.text, second.problem.mac) == ("No network", None)
    assert [each.problem_id for each in (await desk.page(None, handled=False, limit=1)).rows] == [second.problem_id]


async def test_with_the_number_to_call(office: Office, desk: ProblemsDesk) -> None:
    """The whole one that was last used to pay from that device."""
    await office.add_purchase(a_purchase(mac=MAC))
    await report(office, SLOW, SLOW._replace(mac=OTHER_MAC))
    other, one = (await desk.page(None, handled=False, limit=9)).rows
    assert (one.phone, other.phone) == (PAYER, None)


async def test_more_than_nine_stand_in_order(office: Office, desk: ProblemsDesk) -> None:
    """By their numbers, not by their letters."""
    await report(office, *[SLOW._replace(mac=None if at % 2 else MAC) for at in range(6)])
    await desk.done("problem-1", "", "mary")  # an event between
    office.books.time.advance(3601)
    await report(office, *[SLOW._replace(text=f"again {at}", mac=OTHER_MAC if at % 2 else MAC) for at in range(6)])
    page = await desk.page(None, handled=True, limit=7)
    found = [*page.rows, *(await desk.page(None, handled=True, limit=7, after=page.next)).rows]
    assert [each.at for each in found] == sorted((each.at for each in found), reverse=True)
    assert len({each.problem_id for each in found}) == 12


async def test_seen_to_is_an_event_with_who_did_it(office: Office, desk: ProblemsDesk) -> None:
    """It leaves the list, and stands in the one of all with when, by whom and the note; by its number alone, too."""
    await report(office, SLOW, SLOW)
    at = office.books.now()
    done = await desk.done("1", " Cable changed ", "mary")
    assert done.handled is not None
    assert (done.handled.by, done.handled.at, done.handled.note) == ("mary", at, "Cable changed")
    told = office.tables.events.told("problem-1", "problem.handled")
    assert told == {"at": at.isoformat(), "by": "mary", "note": "Cable changed", "tenant": TENANT}
    assert await listed(desk) == ["problem-2"]
    assert await listed(desk, handled=True) == ["problem-2", "problem-1"]


async def test_once_is_enough(office: Office, desk: ProblemsDesk) -> None:
    """The second is told who was first, and writes nothing."""
    await report(office, SLOW)
    await desk.done("problem-1", "", "mary")
    with pytest.raises(ConflictError, match="mary has seen to it"):
        await desk.done("problem-1", "", "paul")
    told = office.tables.events.told("problem-1", "problem.handled")
    assert told is not None
    assert told["by"] == "mary"


@pytest.mark.parametrize("problem_id", ["problem-2", "2", "", "problem-", "x", "grant-1"])
async def test_nothing_else_can_be_marked(office: Office, desk: ProblemsDesk, problem_id: str) -> None:
    """A name that is of no reported problem is told so."""
    await report(office, SLOW)
    with pytest.raises(NotFoundError):
        await desk.done(problem_id, "", "mary")


async def test_a_note_has_an_end(office: Office, desk: ProblemsDesk) -> None:
    """One that is too long is refused before anything is written."""
    await report(office, SLOW)
    with pytest.raises(InvalidError):
        await desk.done("problem-1", "x" * (NOTE_LENGTH_MAX + 1), "mary")
    assert await listed(desk) == ["problem-1"]


async def test_each_tenants_staff_see_their_own(office: Office, desk: ProblemsDesk) -> None:
    """Of a tenant that there is not nothing can be asked."""
    await report(office, SLOW, SLOW._replace(tenant_id="gone"))
    assert await listed(desk, TENANT) == ["problem-1"]
    assert await listed(desk) == ["problem-2", "problem-1"]
    with pytest.raises(NotFoundError):
        await listed(desk, "gone")
