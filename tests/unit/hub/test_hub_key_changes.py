"""A box changes its key: at no moment does the hub take none, and the one before is worth nothing then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from nacl.signing import SigningKey

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane
from tests.fakes.hub_stage import Box, enrolled_box, hub_config, parts_of, running_hub
from tests.unit.hub.seen import alarms, everything, stored

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from easyisp_edge.domain.database_address import PostgresqlAddress
    from easyisp_edge.hub.hub import Hub

KEY = "/edge/v1/key"


async def sent(box: Box) -> int:
    """One more event; the answer's status."""
    box.make(Stream.MONEY)
    said = await box.post_all()
    if said.status != 200:
        box.streams[Stream.MONEY].pop()
    return said.status


def with_key(box: Box, key: SigningKey) -> Box:
    """The same box, signing with that key."""
    return Box(box.http, box.url, key, box.site, box.epoch, box.hub_key, box.counters, box.streams)


async def test_the_first_request_of_the_new_key_ends_the_old_one(hub: Hub, box: Box) -> None:
    """Until then the old one holds, since the answer may be lost; both ways of knowing a box see it."""
    new = SigningKey.generate()
    said = await box.ask(KEY, box.renewal(new))
    assert (said.status, said.signed) == (200, True)
    assert await sent(box) == 200
    renewed = with_key(box, new)
    assert await sent(renewed) == 200
    assert await sent(box) == 403
    said = await box.send("GET", "/edge/v1/state")
    assert (said.status, said.code, said.signed) == (403, "site.replaced", True)
    assert "site.replaced" in await alarms(hub, box.site)
    assert await sent(renewed) == 200
    assert await stored(hub, box.site, Stream.MONEY) == box.lines(Stream.MONEY, 1, 3)
    state = await renewed.send("GET", "/edge/v1/state")
    assert state.content["confirmed"], "nobody has to compare anything"


async def test_a_lost_answer_is_asked_for_again(box: Box) -> None:
    """With the same key or another: the last one said is what follows."""
    first, second = SigningKey.generate(), SigningKey.generate()
    for key in (first, first, second):
        assert (await box.ask(KEY, box.renewal(key))).status == 200
    assert (await with_key(box, first).send("GET", "/edge/v1/state")).status == 401
    renewed = with_key(box, second)
    assert (await renewed.send("GET", "/edge/v1/state")).status == 200
    assert (await renewed.ask(KEY, renewed.renewal(second))).status == 200, "what holds already is no trouble"
    assert await sent(renewed) == 200


async def test_only_who_holds_the_new_key_may_name_it(hub: Hub, box: Box) -> None:
    """Nor is a proof of another site, another life or another key one."""
    new, other = SigningKey.generate(), SigningKey.generate()
    good = box.renewal(new)
    later = Box(box.http, box.url, box.key, box.site, box.epoch + 1)
    elsewhere = Box(box.http, box.url, box.key, "f" * 16, box.epoch)
    wrong = [
        {**good, "proof": box.renewal(other)["proof"]},
        {**good, "publicKey": box.renewal(other)["publicKey"]},
        later.renewal(new),
        elsewhere.renewal(new),
        {"publicKey": good["publicKey"]},
        {**good, "publicKey": "x"},
        {**good, "publicKey": None},
        {},
    ]
    before = await everything(hub)
    for content in wrong:
        said = await box.ask(KEY, content)
        assert (said.status, said.code, said.signed) == (400, "request", True), content
    said = await with_key(box, other).ask(KEY, good)
    assert said.status == 401, "whoever has not the box's key changes nothing"
    assert await everything(hub) == before
    assert (await with_key(box, new).send("GET", "/edge/v1/state")).status == 401


async def test_a_box_nobody_confirmed_keeps_the_key_that_is_to_be_compared(
    hub: Hub, http: aiohttp.ClientSession
) -> None:
    """Else a person would compare what is no more."""
    box = await enrolled_box(hub, http, confirmed=False)
    said = await box.ask(KEY, box.renewal(SigningKey.generate()))
    assert (said.status, said.code) == (403, "site.waiting")


async def test_a_former_life_changes_no_key(box: Box) -> None:
    """It first asks how things stand."""
    assert (await box.ask("/edge/v1/epoch", {"epoch": 2})).status == 200
    said = await box.ask(KEY, box.renewal(SigningKey.generate()))
    assert (said.status, said.code) == (409, "epoch")


async def test_a_replayed_request_does_not_bring_a_key_back(box: Box) -> None:
    """Not even the announcement, word for word."""
    new = SigningKey.generate()
    content = box.renewal(new)
    assert (await box.ask(KEY, content)).status == 200
    renewed = with_key(box, new)
    assert await sent(renewed) == 200
    box.counters[Lane.ASK] -= 1
    assert (await box.ask(KEY, content)).status == 403
    assert await sent(renewed) == 200


async def test_a_new_box_ends_a_key_that_was_to_come(hub: Hub, box: Box, http: aiohttp.ClientSession) -> None:
    """Whoever enrols has the site, whatever the box before had announced."""
    announced = SigningKey.generate()
    assert (await box.ask(KEY, box.renewal(announced))).status == 200
    enrolment = parts_of(hub).enrolment
    name = next(one.site.name for one in await enrolment.seen() if one.site.site_id == box.site)
    new = Box(http, hub.address)
    assert (await new.enrol((await enrolment.new_code(name)).code)).status == 200
    old = with_key(box, announced)
    old.epoch = new.epoch
    assert (await old.send("GET", "/edge/v1/state")).status == 401
    assert (await new.send("GET", "/edge/v1/state")).status == 200


@pytest.mark.real_part("PostgreSQL")
async def test_a_key_changed_at_one_hub_holds_at_the_other(
    postgresql: PostgresqlAddress, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Which may have known the box by its old key."""
    config = hub_config(tmp_path, postgresql)
    async with running_hub(config) as one, running_hub(config) as other:
        box = await enrolled_box(one, http)
        there = with_key(box, box.key)
        there.url = other.address
        assert await sent(box) == await sent(there) == 200
        new = SigningKey.generate()
        assert (await box.ask(KEY, box.renewal(new))).status == 200
        assert await sent(with_key(box, new)) == 200
        assert await sent(there) == 403
        renewed = with_key(there, new)
        assert await sent(renewed) == 200
