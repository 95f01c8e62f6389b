from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from nacl.signing import SigningKey

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane, fingerprint
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.hub.edge_routes import WRONG_CODES_MOST
from easyisp_edge.system import SystemClock
from tests.fakes.hub_stage import PUBLIC_URL, Box, hub_config, parts_of, running_hub
from tests.unit.hub.seen import alarms, everything
from tests.unit.hub.test_hub_schemas import check

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import aiohttp

    from easyisp_edge.domain.database_address import DatabaseAddress
    from easyisp_edge.hub.hub import Hub
    from tests.fakes.hub_stage import Said


async def test_a_code_enrols_one_box(hub: Hub, http: aiohttp.ClientSession) -> None:
    """It says who the site is, in which epoch, and whom to believe; the same box may ask twice, no other."""
    new = await parts_of(hub).enrolment.new_code("one box")
    box = Box(http, hub.address)
    said = await box.enrol(new.code)
    told = said.content
    assert (told["site"], told["epoch"]) == (new.site_id, 1)
    assert told["callbackBase"] == f"{PUBLIC_URL}/cb/{new.site_id}"
    assert box.hub_key == parts_of(hub).key.public
    again = (await box.enrol(new.code)).content
    assert {**again, "serverTime": ""} == {**told, "serverTime": ""}
    other = await Box(http, hub.address).enrol(new.code)
    assert (other.status, other.code) == (401, "enrol.refused")
    assert (await box.send("GET", "/edge/v1/state")).status == 200


async def test_a_code_may_be_written_in_any_way(hub: Hub, http: aiohttp.ClientSession) -> None:
    """A person types it: groups and capitals do not count."""
    new = await parts_of(hub).enrolment.new_code("typed")
    assert (await Box(http, hub.address).enrol(new.code.lower().replace("-", " "))).status == 200


async def test_wrong_proofs_are_refused_alike(hub: Hub, http: aiohttp.ClientSession) -> None:
    """No code, another's key, a proof of something else: one answer, nothing changes, an alarm."""
    new = await parts_of(hub).enrolment.new_code("proofs")
    box, other = Box(http, hub.address), Box(http, hub.address)
    good = box.enrolment(new.code)
    before = await everything(hub)
    wrong = [
        {**good, "code": "AAAA"},
        {**good, "code": new.code + "A"},
        {**good, "code": None},
        {**good, "code": "x" * 10_000},
        {**good, "publicKey": other.enrolment(new.code)["publicKey"]},
        {**good, "publicKey": "x"},
        {**good, "proof": other.enrolment(new.code)["proof"]},
        {**good, "proof": box.enrolment("another")["proof"]},
        {name: value for name, value in good.items() if name != "proof"},
        {},
    ]
    for asked in wrong:
        said = await box.send("POST", "/edge/v1/enrol", _json(asked), headers={})
        assert (said.status, said.code) == (401, "enrol.refused"), asked
    assert await everything(hub) == before
    assert (await alarms(hub, ""))["enrol"] >= len(wrong)
    assert (await box.enrol(new.code)).status == 200


async def test_who_guesses_codes_is_sent_away_for_a_minute(
    database: DatabaseAddress, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """With the right one too, so that nothing is learnt; from elsewhere a site gets its box meanwhile."""
    clock = _Later()
    async with running_hub(hub_config(tmp_path, database), clock) as hub:
        enrolment = parts_of(hub).enrolment
        new, other = await enrolment.new_code("guessed at"), await enrolment.new_code("not guessed at")
        box = Box(http, hub.address)

        async def asked(code: str, source: str) -> Said:
            headers = {"X-Forwarded-For": source}
            return await box.send("POST", "/edge/v1/enrol", _json(box.enrolment(code)), headers=headers)

        for number in range(WRONG_CODES_MOST):
            assert (await asked(f"AAAA{number}", f"2001:db8::{number + 1:x}")).status == 401
        said = await asked(new.code, "2001:db8::ffff")
        assert (said.status, said.code, said.headers["Retry-After"]) == (429, "enrol.often", "60")
        check("refusal", said.content)
        assert (await asked(other.code, "198.51.100.7")).status == 200
        clock.ahead = 61
        assert (await asked(new.code, "2001:db8::1")).status == 200


async def test_right_codes_are_never_too_many(hub: Hub, http: aiohttp.ClientSession) -> None:
    """A fleet that is set up behind one address is no guesser."""
    new = await parts_of(hub).enrolment.new_code("set up")
    box = Box(http, hub.address)
    for _ in range(WRONG_CODES_MOST + 5):
        assert (await box.enrol(new.code)).status == 200


class _Later(SystemClock):
    """A clock that can be set forward."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)


async def test_a_code_is_good_for_fifteen_minutes(
    database: DatabaseAddress, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Not for a second more; also not for the box that used it."""
    clock = _Later()
    async with running_hub(hub_config(tmp_path, database), clock) as hub:
        in_time = await parts_of(hub).enrolment.new_code("in time")
        late = await parts_of(hub).enrolment.new_code("late")
        clock.ahead = 14 * 60
        box = Box(http, hub.address)
        assert (await box.enrol(in_time.code)).status == 200
        clock.ahead = 15 * 60 + 1
        assert (await Box(http, hub.address).enrol(late.code)).status == 401
        assert (await box.enrol(in_time.code)).status == 401


async def test_until_a_person_confirms_it_a_box_only_tells(hub: Hub, http: aiohttp.ClientSession) -> None:
    """Its events are taken; it gets no message, no books and no look-up before the keys were compared."""
    enrolment = parts_of(hub).enrolment
    new = await enrolment.new_code("to be compared")
    box = Box(http, hub.address)
    await box.enrol(new.code)
    await parts_of(hub).publisher.publish(box.site, [], [])
    box.make(Stream.MONEY)
    said = await box.post_all()
    assert (said.status, said.content["configVersion"]) == (200, 1)
    assert (await box.send("GET", "/edge/v1/down?after=0", lane=Lane.DOWN)).content["messages"] == []
    page = await box.send("GET", "/edge/v1/streams/money?after=0", lane=Lane.MONEY)
    asked = await box.ask("/edge/v1/ask", {"receipt": "TKL1234567", "gateway": "174379"})
    assert [(one.status, one.code, one.signed) for one in (page, asked)] == [(403, "site.waiting", True)] * 2
    await enrolment.confirm(box.site)
    assert len((await box.send("GET", "/edge/v1/down?after=0", lane=Lane.DOWN)).content["messages"]) == 1
    with pytest.raises(ConflictError):
        await enrolment.confirm(box.site)
    with pytest.raises(NotFoundError):
        await enrolment.confirm("0" * 16)


async def test_a_new_box_ends_the_old_one_at_once(hub: Hub, box: Box, http: aiohttp.ClientSession) -> None:
    """The epoch rises, the old key is told it was replaced, and the new one can take the books back."""
    enrolment = parts_of(hub).enrolment
    box.make(Stream.MONEY)
    await box.post_all()
    name = next(one.site.name for one in await enrolment.seen() if one.site.site_id == box.site)
    new = await enrolment.new_code(name)
    assert (new.site_id, (await box.send("GET", "/edge/v1/state")).status) == (box.site, 200)
    fresh = Box(http, hub.address)
    assert (await fresh.enrol(new.code)).content["epoch"] == 2
    box.make(Stream.MONEY)
    said = await box.post_all()
    assert (said.status, said.code, said.signed) == (403, "site.replaced", True)
    assert "site.replaced" in await alarms(hub, box.site)
    assert (await fresh.send("GET", "/edge/v1/state")).content["streams"]["money"]["last"] == 1
    await enrolment.confirm(box.site)
    more = {"Accept-Encoding": "identity"}
    page = await fresh.send("GET", "/edge/v1/streams/money?after=0", lane=Lane.MONEY, more=more)
    assert page.body.splitlines() == box.lines(Stream.MONEY, 1, 1)


async def test_people_see_the_fingerprint_the_box_shows(hub: Hub, box: Box) -> None:
    """With when it was last heard of; a site without a box has none."""
    await box.send("GET", "/edge/v1/state")
    await parts_of(hub).enrolment.new_code("no box")
    seen = {one.site.site_id: one for one in await parts_of(hub).enrolment.seen()}
    assert seen[box.site].fingerprint == fingerprint(bytes(box.key.verify_key))
    assert seen[box.site].last_seen_at is not None
    assert [one.fingerprint for one in seen.values() if one.site.name == "no box"] == [""]


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\0b"])
async def test_a_site_needs_a_name(hub: Hub, name: str) -> None:
    """One that people can read in a line."""
    with pytest.raises(InvalidError):
        await parts_of(hub).enrolment.new_code(name)


async def test_a_key_that_is_none_enrols_nobody(hub: Hub, http: aiohttp.ClientSession) -> None:
    """The point of small order verifies much and belongs to nobody."""
    new = await parts_of(hub).enrolment.new_code("small order")
    box = Box(http, hub.address, SigningKey.generate())
    asked = {**box.enrolment(new.code), "publicKey": "A" * 43 + "=", "proof": "A" * 86 + "=="}
    assert (await box.send("POST", "/edge/v1/enrol", _json(asked), headers={})).status == 401


def _json(content: object) -> bytes:
    return json.dumps(content).encode()
