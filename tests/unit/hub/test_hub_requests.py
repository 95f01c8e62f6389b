from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from nacl.signing import SigningKey

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane
from easyisp_edge.hub.instants import instant
from easyisp_edge.hub.store.asks import Ask, ask, take_asks
from easyisp_edge.hub.store.sites import close_site
from easyisp_edge.system import SystemClock
from tests.fakes.hub_stage import Box, enrolled_box, parts_of
from tests.unit.hub.seen import alarms, everything, stored

if TYPE_CHECKING:
    import aiohttp

    from easyisp_edge.hub.hub import Hub

MONEY = "/edge/v1/streams/money"


async def test_an_answer_asks_to_be_left_as_it_was_sent(hub: Hub, box: Box, http: aiohttp.ClientSession) -> None:
    """A proxy that packed it would have the box hold it for another's: what is signed is the body as sent."""
    state = await box.send("GET", "/edge/v1/state")
    refused = await box.send("GET", "/edge/v1/down?after=x", lane=Lane.DOWN)
    enrolled = await Box(http, hub.address).enrol("a wrong code")
    for answer in (state, refused, enrolled):
        assert answer.headers["Cache-Control"] == "no-store, no-transform"


async def test_an_unsigned_request_changes_nothing(hub: Hub, box: Box) -> None:
    """Each of the headers is needed, and has one form; the answer is nobody's, so it bears no signature."""
    body = box.make(Stream.MONEY).body
    good = box.headers("POST", MONEY, body, Lane.MONEY)
    before = await everything(hub)
    cases: list[dict[str, str]] = [{}]
    cases += [{name: value for name, value in good.items() if name != left_out} for left_out in good]
    cases += [
        {**good, name: value}
        for name, values in {
            "Edge-Site": ("x", "../etc", good["Edge-Site"].upper() + "0"),
            "Edge-Epoch": ("01", "-1", "+1", "1.0", "٣", "9" * 30),
            "Edge-Lane": ("Money", "all", ""),
            "Edge-Counter": ("", "0x1", "1_0", "9" * 19),
            "Edge-Signature": ("", "x", base64.b64encode(bytes(63)).decode(), good["Edge-Signature"].rstrip("=")),
        }.items()
        for value in values
    ]
    for headers in cases:
        said = await box.send("POST", MONEY, body, headers=headers)
        assert (said.status, said.code) == (401, "unsigned"), headers
        assert "Hub-Signature" not in said.headers
    assert await everything(hub) == before
    assert (await alarms(hub, ""))["unsigned"] >= len(cases)


async def test_another_key_is_refused(hub: Hub, box: Box, http: aiohttp.ClientSession) -> None:
    """A key of nobody's, another site's, or a site nobody knows: one answer, and nothing changes."""
    other = await enrolled_box(hub, http)
    body = box.make(Stream.MONEY).body
    before, true_key = await everything(hub), box.key
    for key in (SigningKey.generate(), other.key):
        box.key = key
        said = await box.send("POST", MONEY, body, Lane.MONEY)
        assert (said.status, said.code, said.signed) == (401, "site.unknown", True)
    unknown = Box(http, hub.address, box.key, "0" * 16, 1, box.hub_key)
    refused = await unknown.send("POST", MONEY, body, Lane.MONEY)
    assert (refused.status, refused.body) == (said.status, said.body)
    assert await everything(hub) == before
    assert (await alarms(hub, box.site))["signature"] == 2
    assert "signature" in await alarms(hub, "")
    box.key = true_key
    assert (await box.send("POST", MONEY, body, Lane.MONEY)).status == 200


async def test_a_request_is_taken_once(hub: Hub, box: Box) -> None:
    """The same octets again are refused, whatever came meanwhile; the answer says which counter was last."""
    requests = []
    for path, lane, method, body in (
        (MONEY, Lane.MONEY, "POST", box.make(Stream.MONEY).body),
        ("/edge/v1/state", Lane.ASK, "GET", b""),
        ("/edge/v1/down?after=0", Lane.DOWN, "GET", b""),
        ("/edge/v1/time", Lane.ASK, "POST", b'{"nonce":"x"}'),
        ("/edge/v1/epoch", Lane.ASK, "POST", b'{"epoch":1}'),
        ("/edge/v1/ask", Lane.ASK, "POST", b'{"receipt":"TKL1234567","gateway":"174379"}'),
        (f"{MONEY}?after=0", Lane.MONEY, "GET", b""),
        (f"{MONEY}/fork", Lane.MONEY, "POST", box.streams[Stream.MONEY][0].body),
    ):
        headers = box.headers(method, path, body, lane)
        requests.append((method, path, body, lane, headers))
        said = await box.send(method, path, body, lane, headers=headers)
        assert said.status in {200, 202}, path
    before = await everything(hub)
    for method, path, body, lane, headers in requests:
        said = await box.send(method, path, body, lane, headers=headers)
        assert (said.status, said.code, said.content["last"], said.signed) == (
            409, "counter.used", box.counters[lane], True,
        ), path  # fmt: skip
    assert await everything(hub) == before
    assert (await alarms(hub, box.site))["counter.used"] == len(requests)


async def test_counters_of_lanes_are_apart_and_may_jump(hub: Hub, box: Box) -> None:
    """A restored box goes on above the last one it is told; a lane says nothing about another."""
    box.counters[Lane.ASK] = 10**15
    assert (await box.send("GET", "/edge/v1/state")).status == 200
    assert (await box.send("GET", "/edge/v1/down?after=0", lane=Lane.DOWN)).status == 200
    told = (await box.send("GET", "/edge/v1/state")).content["counter"]
    assert told == {"ask": 10**15 + 2, "down": 1}


async def test_a_former_epoch_is_refused_where_it_would_change_something(hub: Hub, box: Box) -> None:
    """409 `epoch` says which one is; asking how things stand is open to it, so that a restored box finds out."""
    assert (await box.ask("/edge/v1/epoch", {"epoch": 2})).content["epoch"] == 2
    body = box.make(Stream.MONEY).body
    for path, lane, method, sent in (
        (MONEY, Lane.MONEY, "POST", body),
        ("/edge/v1/down?after=0", Lane.DOWN, "GET", b""),
        ("/edge/v1/ask", Lane.ASK, "POST", b'{"receipt":"TKL1234567","gateway":"174379"}'),
    ):
        said = await box.send(method, path, sent, lane)
        assert (said.status, said.code, said.content["epoch"], said.signed) == (409, "epoch", 2, True)
    assert await stored(hub, box.site, Stream.MONEY) == []
    assert (await box.send("GET", "/edge/v1/state")).content["epoch"] == 2
    assert (await box.ask("/edge/v1/epoch", {"epoch": 2})).content["epoch"] == 2
    box.epoch = 2
    assert (await box.send("POST", MONEY, body, Lane.MONEY)).status == 200
    assert "epoch" in await alarms(hub, box.site)


@pytest.mark.parametrize("wanted", [1, 3, 0, -1, "2", True, None, 2**70])
async def test_an_epoch_follows_the_one_before(hub: Hub, box: Box, wanted: object) -> None:
    """The next one begins, the present one may be asked for again, none is left out."""
    said = await box.ask("/edge/v1/epoch", {"epoch": wanted})
    assert said.status == {1: 200, 3: 409}.get(wanted if type(wanted) is int else 0, 400)
    assert (await box.send("GET", "/edge/v1/state")).content["epoch"] == 1


async def test_any_bit_changed_on_the_way_is_noticed(hub: Hub, box: Box) -> None:
    """Each bit of the method, the address, every header of ours and the body: refused, and nothing changes."""
    body = box.make(Stream.MONEY).body
    headers = box.headers("POST", MONEY, body, Lane.MONEY)
    before = await everything(hub)
    parts = [b"POST", MONEY.encode(), *(value.encode() for value in headers.values()), body]
    for place, part in enumerate(parts):
        for bit in range(len(part) * 8):
            flipped = bytearray(part)
            flipped[bit // 8] ^= 1 << bit % 8
            changed = [*parts[:place], bytes(flipped), *parts[place + 1 :]]
            status = await _raw(hub, changed, list(headers))
            assert 400 <= status < 500, (place, bit, bytes(flipped))
    assert await everything(hub) == before
    assert await _raw(hub, parts, list(headers)) == 200


async def _raw(hub: Hub, parts: list[bytes], names: list[str]) -> int:
    method, path, *values, body = parts
    place = urlsplit(hub.address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: hub", b"Connection: close"]
    lines += [name.encode() + b": " + value for name, value in zip(names, values, strict=True)]
    lines += [b"Content-Length: %d" % len(body), b"", body]
    writer.write(b"\r\n".join(lines))
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


async def test_a_flood_of_bad_requests_makes_few_rows(hub: Hub, box: Box) -> None:
    """They are counted by site, kind and hour, whoever they say they are."""
    true_key, box.key = box.key, SigningKey.generate()
    async with parts_of(hub).database.reading() as tx:
        before = await tx.rows("SELECT count(*) FROM alarms")
    for number in range(50):
        await box.send("GET", "/edge/v1/state")
        await Box(box.http, box.url, box.key, f"{number:016x}", 1).send("GET", "/edge/v1/state")
    box.key = true_key
    assert (await alarms(hub, box.site))["signature"] == 50
    assert (await alarms(hub, ""))["signature"] >= 50
    async with parts_of(hub).database.reading() as tx:
        after = await tx.rows("SELECT count(*) FROM alarms")
    assert after[0][0] - before[0][0] <= 4


async def test_a_closed_site_is_told_so(hub: Hub, box: Box) -> None:
    """403, and nothing is taken any more."""
    async with parts_of(hub).database.transaction() as tx:
        await close_site(tx, box.site)
    said = await box.send("POST", MONEY, box.make(Stream.MONEY).body, Lane.MONEY)
    assert (said.status, said.code, said.signed) == (403, "site.closed", True)
    assert (await alarms(hub, box.site))["site.closed"] >= 1
    assert await stored(hub, box.site, Stream.MONEY) == []


async def test_the_state_says_how_far_both_have_come(hub: Hub, box: Box) -> None:
    """Per stream the last number and its digest; an empty stream stands at 0."""
    box.make(Stream.MONEY)
    await box.post_all()
    told = (await box.send("GET", "/edge/v1/state")).content
    assert told["streams"]["money"] == {"last": 1, "head": box.streams[Stream.MONEY][0].digest.hex()}
    assert told["streams"]["usage"] == {"last": 0, "head": "0" * 64}
    assert (told["epoch"], told["confirmed"], told["counter"]) == (1, True, {"money": 1, "ask": 1})


async def test_the_time_comes_with_the_nonce(hub: Hub, box: Box) -> None:
    """So that nobody can answer with an older answer."""
    said = await box.ask("/edge/v1/time", {"nonce": "a nonce"})
    assert (said.content["nonce"], said.signed) == ("a nonce", True)
    assert said.content["time"].endswith("Z")
    for nonce in (None, "", "x" * 129, 1):
        assert (await box.ask("/edge/v1/time", {"nonce": nonce})).status == 400


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 10_000, b'"x"', b"\xff"])
async def test_a_body_that_is_no_object_is_refused(hub: Hub, box: Box, body: bytes) -> None:
    """With a signed 400; the hub goes on."""
    for path in ("time", "ask", "epoch"):
        said = await box.send("POST", f"/edge/v1/{path}", body)
        assert (said.status, said.signed) == (400, True)
    assert (await box.send("POST", "/edge/v1/enrol", body, headers={})).status == 400


async def test_look_ups_are_kept_once_and_bounded(hub: Hub, box: Box) -> None:
    """202 for each; asked again while it is open it is one; too many in an hour are refused."""
    for _ in range(2):
        assert (await box.ask("/edge/v1/ask", {"receipt": "TKL1234567", "gateway": "174379"})).status == 202
    async with parts_of(hub).database.reading() as tx:
        rows = await tx.rows("SELECT receipt, gateway FROM asks WHERE site_id = $1", box.site)
    assert rows == [("TKL1234567", "174379")]
    for receipt, gateway in (("x", "174379"), ("TKL1234567", ""), (1, "174379"), ("TKL1234567", None)):
        assert (await box.ask("/edge/v1/ask", {"receipt": receipt, "gateway": gateway})).status == 400
    for number in range(119):
        said = await box.ask("/edge/v1/ask", {"receipt": f"TKM{number:07}", "gateway": "174379"})
        assert said.status == 202
    said = await box.ask("/edge/v1/ask", {"receipt": "TKN0000000", "gateway": "174379"})
    assert (said.status, said.signed) == (429, True)
    assert int(said.headers["Retry-After"]) > 0


async def test_a_look_up_is_taken_by_one_and_answered_once(hub: Hub, box: Box) -> None:
    """Whoever takes it has it for a time; the answer is one message down."""
    down = parts_of(hub).down
    wanted = Ask(box.site, "TKL1234567", "174379")
    now = SystemClock().now()
    async with parts_of(hub).database.transaction() as tx:  # the hub itself takes what it finds open
        await ask(tx, wanted, instant(now))
        taken = await take_asks(tx, instant(now), instant(now + timedelta(minutes=5)), 5000)
    taken = [one for one in taken if one.site_id == box.site]
    assert taken == [wanted]
    assert [one for one in await down.take_asks(60, 5000) if one.site_id == box.site] == []
    found = {"receipt": "TKL1234567", "found": False, "record": None}
    assert await down.answer(taken[0], found)
    assert not await down.answer(taken[0], found)
    said = await box.send("GET", "/edge/v1/down?after=0", lane=Lane.DOWN)
    assert said.content["messages"] == [{"n": 1, "type": "receipt", "data": found}]
