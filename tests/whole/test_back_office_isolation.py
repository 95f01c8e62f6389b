"""One business's token reaches nothing of another's: every operation there is, with the other's own ids."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.web.admin.operations import Door
from tests.whole.back_office_requests import IN_FIELDS, IN_PATHS, PLAIN, absent, naming, places_of, right
from tests.whole.back_office_site import DOCUMENT, OPERATIONS, BackOfficeSite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from tests.whole.back_office_requests import Place, Right
    from tests.whole.back_office_site import Answered

_TIME = re.compile(r"\d{4}-\d\d-\d\d(T[\d:.]+Z)?")
_LEAF_LENGTH_MIN = 4
READS = [name for name, told in OPERATIONS.items() if told.method == "GET"]
WRITES = [name for name, told in OPERATIONS.items() if told.method != "GET"]
# What takes away all there is of one's own: asked last.
LAST = ("clearManualPayments", "revokeGrant", "removePaymentGateway")


@dataclass
class Neighbours:
    """Two businesses on one box, and one who is ADMIN of ours.

    Args:
        site: The box.
        token: The ADMIN's.
        owner: Of who looks after the whole box.
        alone: All texts the ADMIN saw while ours was alone.
        their_token: Of the other business's ADMIN.
        receipts: How many of ours are used.
    """

    site: BackOfficeSite
    token: str
    owner: str
    alone: set[str]
    their_token: str
    receipts: int = 3

    async def ask(self, request: Right, token: str, **query: str) -> Answered:
        """What a request leads to."""
        sent = request.sent
        sent["params"] = {**sent["params"], **query}
        return await self.site.ask(request.operation.method, request.path, token, **sent)

    async def renewed(self, request: Right, place: Place) -> Right:
        """The request about other money of ours, where the money it is about is gone once it is done."""
        if request.operation.operation_id != "assignPayment" or place.where != "body":
            return request
        self.receipts += 1
        await self.site.tell(self.site.ours, receipt := self.site.ours.receipt(self.receipts), 5, "254733000999")
        return replace(request, path=request.path.replace(self.site.ours.ids["unmatched"], receipt))


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Neighbours]:
    """Two businesses with something of everything."""
    async with BackOfficeSite(tmp_path) as site:
        token = await site.furnish(site.ours)
        alone = set[str]()
        for answered in [await _read(site, name, token, site.ours.ids) for name in READS]:
            alone |= set(_texts(answered.content))
        theirs = await site.furnish(site.theirs)
        await site.until_on(2)
        yield Neighbours(site, token, await site.token(site.owner), alone, theirs)


async def _read(site: BackOfficeSite, name: str, token: str, ids: Mapping[str, str]) -> Answered:
    request = right(name, ids)
    answered = await site.ask("GET", request.path, token, params=_fullest(name, request))
    assert answered.status == 200, (name, answered.text)
    return answered


def _fullest(name: str, request: Right) -> dict[str, str]:
    """A query that leaves out nothing that could be listed."""
    query = OPERATIONS[name].query
    names = set() if query is None else {each.alias for each in query.model_fields.values()}
    most = {"limit": "200", "pageSize": "200", "over": "true", "handled": "true", "portal": "http://10.5.50.2"}
    return request.query | {name: value for name, value in most.items() if name in names}


def _texts(content: Any) -> Iterator[str]:
    """All texts in an answer, at whatever depth; of one that is no JSON its words."""
    if isinstance(content, dict):
        for each in content.values():
            yield from _texts(each)
    elif isinstance(content, list):
        for each in content:
            yield from _texts(each)
    elif isinstance(content, str):
        page = "<" in content or "\n" in content
        yield from re.findall(r"[\w@.-]+", re.sub(r"<[^>]*>", " ", content)) if page else [content]


class TestTheTables:
    def test_every_place_where_something_is_named_is_known(self) -> None:
        """A new operation, or a new field of one, is either tried below or said to name nothing."""
        paths = {told.path for told in OPERATIONS.values() if "{" in told.path}
        assert paths == set(IN_PATHS)
        fields = {
            each.alias
            for told in OPERATIONS.values()
            for model in (told.query, told.body)
            if model is not None
            for each in model.model_fields.values()
        }
        assert fields == set(IN_FIELDS) | PLAIN


async def test_no_answer_shows_anything_of_the_other(box: Neighbours) -> None:
    """All there is to read of one's own holds no id, name, number or address that only the other's reading shows."""
    site = box.site
    theirs = {
        text for name in READS for text in _texts((await _read(site, name, box.their_token, site.theirs.ids)).content)
    }
    marks = {each for each in theirs - box.alone if len(each) >= _LEAF_LENGTH_MIN and not _TIME.fullmatch(each)}
    marks |= set(site.theirs.ids.values())
    assert len(marks) > 40
    for name in READS:
        seen = (await _read(site, name, box.token, site.ours.ids)).text
        assert not {mark for mark in marks if mark in seen}, name


@pytest.mark.parametrize("who", ["ADMIN", "SUPER_ADMIN"])
async def test_an_id_of_the_others_is_as_good_as_none(box: Neighbours, who: str) -> None:
    """In every place of every request the other's id leads to the very answer of one that does not exist.

    Also for who looks after the whole box and names ours as the tenant. Nothing of the other's changes by it.
    """
    site, before = box.site, await box.site.rows("west")
    assert all(before[table] for table in ("customers", "payments", "grants", "vouchers", "gateways", "staff_users"))
    named = {"tenantId": "east"} if who == "SUPER_ADMIN" else {}
    tried = 0
    for name in READS + [each for each in WRITES if each not in LAST] + list(LAST):
        told = OPERATIONS[name]
        if told.needs is Door.OPEN or (named and not told.of_tenant):
            continue
        request = right(name, site.ours.ids)
        for place in places_of(told):
            theirs = site.theirs.ids[place.kind]
            nothing = absent(place.kind, theirs)
            assert theirs not in {nothing, site.ours.ids[place.kind]}, place
            token = box.owner if named else box.token
            got = await box.ask(naming(await box.renewed(request, place), place, theirs), token, **named)
            expected = await box.ask(naming(await box.renewed(request, place), place, nothing), token, **named)
            assert _without(got, theirs) == _without(expected, nothing), (name, place, got.text)
            if place.where == "path":
                assert got.status == 404, (name, got.text)
            tried += 1
    assert tried > 25
    assert await site.rows("west") == before


def _without(answered: Answered, value: str) -> tuple[int, str, Any]:
    """An answer without what was named; of what was done only that it was."""
    content = (
        answered.text.replace(value, "...") if answered.status >= 400 or answered.text.startswith('{"items') else ""
    )
    return answered.status, answered.code, content


async def test_another_tenant_by_name_is_no_tenant(box: Neighbours) -> None:
    """With the other's tenantId every operation that takes one answers as with one that does not exist, and 404."""
    site, before = box.site, await box.site.rows()
    for name, told in OPERATIONS.items():
        described = DOCUMENT["paths"][told.path][told.method.lower()]
        takes = any(each["name"] == "tenantId" for each in described["parameters"])
        if told.needs is Door.OPEN or (not takes and name in WRITES):
            continue
        request = right(name, site.ours.ids)
        got = await box.ask(request, box.token, tenantId="west")
        expected = await box.ask(request, box.token, tenantId="nowhere")
        assert got.status == (404 if takes else 200), (name, got.text)
        assert got.code == ("tenant.unknown" if takes else ""), name
        assert got.text.replace("west", "...") == expected.text.replace("nowhere", "..."), name
    assert await site.rows() == before
