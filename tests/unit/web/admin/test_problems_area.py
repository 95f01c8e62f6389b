"""Reported problems over the back office's door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.services.portal.problems import Problem, ProblemService
from tests.unit.shop import MAC, ROUTER, TENANT
from tests.unit.web.admin.site_stage import SiteOffice, open_site_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

SLOW = Problem(TENANT, MAC, ROUTER, "online", "Very <b>slow</b>", "en")


@pytest.fixture(name="site")
async def _site(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> AsyncIterator[SiteOffice]:
    async with open_site_office(tmp_path, aiohttp_client) as site:
        books = site.sales.office.books
        service = ProblemService.over(books.store, books.clock)
        for problem in (SLOW, SLOW._replace(tenant_id="b", text="theirs"), SLOW._replace(text="again")):
            await service.report(problem)
            books.time.advance(60)
        yield site


async def test_the_newest_first_and_ones_own_alone(site: SiteOffice) -> None:
    """Page by page, in the customer's words, with where the device stood."""
    found = await site.all_of("/api/problems", limit=1)
    assert [(each["id"], each["text"]) for each in found] == [("problem-3", "again"), ("problem-1", "Very <b>slow</b>")]
    assert (found[0]["mac"], found[0]["router"], found[0]["handled"]) == (MAC.text, ROUTER, None)


async def test_seen_to_with_who_did_it(site: SiteOffice) -> None:
    """It leaves the list, stands in the one of all, and a second time is refused."""
    done = await site.post("/api/problems/problem-1/done", json={"note": "Cable changed"})
    assert (done["handled"]["by"], done["handled"]["note"]) == ("ADMIN@x.ke", "Cable changed")
    assert [each["id"] for each in await site.all_of("/api/problems")] == ["problem-3"]
    assert [each["id"] for each in await site.all_of("/api/problems?handled=true")] == ["problem-3", "problem-1"]
    assert (await site.post("/api/problems/problem-1/done", 409, json={}))["code"] == "problem.handled"


@pytest.mark.parametrize("problem_id", ["problem-2", "problem-9", "x", "%F0%9F%92%A9"])
async def test_another_tenants_is_as_none(site: SiteOffice, problem_id: str) -> None:
    """What is not one's own looks like what does not exist."""
    told = await site.post(f"/api/problems/{problem_id}/done", 404, json={})
    assert told["code"] == "problem.unknown"


async def test_who_may_only_look_closes_nothing(site: SiteOffice) -> None:
    """A VIEWER sees problems, and sees to none."""
    await site.post("/api/problems/problem-1/done", 403, json={}, as_="VIEWER")
    assert len(await site.all_of("/api/problems", as_="VIEWER")) == 2
