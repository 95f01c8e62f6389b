from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.sync import Lane
from easyisp_edge.errors import UnavailableError
from easyisp_edge.hub.callbacks import BODY_MOST, SOURCE_MOST, WAITING_MOST
from easyisp_edge.hub.floods import PerMinute
from easyisp_edge.hub.store.callbacks import forget_callbacks
from tests.fakes.hub_stage import Box, enrolled_box, hub_config, parts_of, running_hub
from tests.unit.hub.seen import alarms, everything
from tests.unit.hub.test_hub_schemas import check

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from easyisp_edge.domain.database_address import PostgresqlAddress
    from easyisp_edge.hub.hub import Hub

TOKEN = "0123456789abcdef" * 2
ACCEPTED = (200, {"ResultCode": 0, "ResultDesc": "Accepted"})
NOTHING = (404, {"ResultCode": 1, "ResultDesc": "Not Found"})


def body_of(number: int = 1) -> bytes:
    return json.dumps({"Body": {"stkCallback": {"CheckoutRequestID": f"ws_CO_{number}", "ResultCode": 0}}}).encode()


async def post(http: aiohttp.ClientSession, hub: Hub, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    async with http.post(f"{hub.address}{path}", data=body, headers=headers) as answer:
        return answer.status, json.loads(await answer.read())


async def waiting(box: Box, after: int = 0) -> list[dict[str, Any]]:
    said = await box.send("GET", f"/edge/v1/down?after={after}&wait=0", lane=Lane.DOWN)
    assert (said.status, said.signed) == (200, True)
    check("messages", said.content)
    return [one["data"] for one in said.content["messages"]]


@pytest.mark.parametrize(
    ("path", "kind"), [("", "callback"), ("c/", "callback"), ("n/", "confirmation")], ids=["bare", "purchase", "notice"]
)
async def test_what_m_pesa_posts_reaches_the_box_as_it_came(
    hub: Hub, box: Box, http: Any, path: str, kind: str
) -> None:
    """Body, its digest, when and from where, under the secret of the address."""
    body = b'{"Body":  {"stkCallback": {"ResultDesc": "asante \xe2\x9c\x93 \\u0000"}}}'
    assert await post(http, hub, f"/cb/{box.site}/{path}{TOKEN}", body) == ACCEPTED
    (told,) = await waiting(box)
    assert told.pop("receivedAt").endswith("Z")
    assert told == {
        "token": TOKEN,
        "kind": kind,
        "body": body.decode(),
        "sha256": hashlib.sha256(body).hexdigest(),
        "source": "127.0.0.1",
    }


async def test_a_box_that_waits_has_a_callback_at_once(hub: Hub, box: Box, http: Any) -> None:
    """The long poll ends with it."""
    asking = asyncio.ensure_future(box.send("GET", "/edge/v1/down?after=0&wait=20", lane=Lane.DOWN))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of())
    assert len((await asking).content["messages"]) == 1
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("path", ["v", "t"])
async def test_a_question_whether_to_let_pay_is_nodded_and_not_kept(hub: Hub, box: Box, http: Any, path: str) -> None:
    """Nobody's money is turned away; nothing waits for the box."""
    assert await post(http, hub, f"/cb/{box.site}/{path}/{TOKEN}", b"{}") == ACCEPTED
    assert await waiting(box) == []


async def test_the_same_body_again_is_stored_once(hub: Hub, box: Box, http: Any) -> None:
    """M-Pesa posts twice; another body or another purchase is another callback."""
    for _ in range(3):
        assert await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of()) == ACCEPTED
    assert await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of(2)) == ACCEPTED
    assert await post(http, hub, f"/cb/{box.site}/c/{'f' * 32}", body_of()) == ACCEPTED
    assert len(await waiting(box)) == 3


async def test_the_same_body_much_later_is_stored_again(hub: Hub, box: Box, http: Any) -> None:
    """What was forgotten is new; the box knows what it had."""
    await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of())
    async with parts_of(hub).database.transaction() as tx:
        await forget_callbacks(tx, "9999")
    await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of())
    assert len(await waiting(box)) == 2


@pytest.mark.real_part("PostgreSQL")
async def test_two_hubs_that_get_the_same_callback_store_it_once(
    postgresql: PostgresqlAddress, tmp_path: Path, http: Any
) -> None:
    """However they race."""
    config = hub_config(tmp_path, postgresql)
    async with running_hub(config) as one, running_hub(config) as other:
        box = await enrolled_box(one, http)
        for turn in range(20):
            path, body = f"/cb/{box.site}/c/{TOKEN}", body_of(turn)
            answers = await asyncio.gather(*(post(http, hub, path, body) for hub in (one, other)))
            assert answers == [ACCEPTED, ACCEPTED]
        assert len(await waiting(box)) == 20


@pytest.mark.parametrize(
    "path",
    [
        "/cb/{other}/c/{token}",
        "/cb/{site}/c/{token}0",
        "/cb/{site}/c/" + "G" * 32,
        "/cb/{site}/c/" + "0123456789ABCDEF" * 2,
        "/cb/{site}x/c/{token}",
        "/cb/%27%20OR%201/c/{token}",
        "/cb/{other}/v/{token}",
    ],
)
async def test_an_address_that_is_none_is_not_told_from_another(hub: Hub, box: Box, http: Any, path: str) -> None:
    """Unknown site, wrong shape, wrong capitals: one answer, nothing kept."""
    before = await everything(hub)
    where = path.format(site=box.site, other="0" * 16, token=TOKEN)
    assert await post(http, hub, where, body_of()) == NOTHING
    assert await everything(hub) == before


async def test_a_closed_site_has_no_address(hub: Hub, box: Box, http: Any) -> None:
    """As though it never was."""
    async with parts_of(hub).database.transaction() as tx:
        await tx.rows("UPDATE sites SET state = 'closed' WHERE site_id = $1", box.site)
    assert await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of()) == NOTHING


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"\xff\xfe{}", 400),
        (b'{"a": "\xed\xa0\x80"}', 400),
        (b"[" * 10_000, 400),
        (gzip.compress(b"{}"), 400),
        (b'{"a": "' + b"x" * BODY_MOST + b'"}', 413),
    ],
    ids=["empty", "list", "null", "no UTF-8", "surrogate", "deep", "gzip", "long"],
)
async def test_what_is_no_callback_is_refused(hub: Hub, box: Box, http: Any, body: bytes, status: int) -> None:
    """And nothing of it is kept."""
    before = await everything(hub)
    found, said = await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body)
    assert (found, said["ResultCode"]) == (status, 1)
    assert await everything(hub) == before


async def test_a_body_without_end_is_cut_off(hub: Hub, box: Box, http: Any) -> None:
    """The hub stops reading at its bound, where no length was told too."""

    async def endless() -> Any:
        for _ in range(200):
            yield b"x" * 4096

    try:
        status, _ = await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", endless())
    except OSError:  # it may hang up on us while we still write
        status = 413
    assert status == 413
    assert await waiting(box) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), token=st.text(max_size=40))
async def test_no_body_and_no_address_brings_the_hub_down(
    hub: Hub, box: Box, http: Any, body: bytes, token: str
) -> None:
    """Always an answer of the few there are."""
    async with http.post(f"{hub.address}/cb/{box.site}/c/{quote(token, safe='')}", data=body) as answer:
        assert answer.status in {200, 400, 404, 405, 429}


async def test_a_flood_is_bounded_for_its_source_and_leaves_room_for_others(hub: Hub, box: Box, http: Any) -> None:
    """One source uses up what is its own; M-Pesa's callback from elsewhere is taken; an alarm says so."""
    path = f"/cb/{box.site}/c/{TOKEN}"
    answers = [await post(http, hub, path, body_of(turn)) for turn in range(SOURCE_MOST + 3)]
    assert answers[:SOURCE_MOST] == [ACCEPTED] * SOURCE_MOST
    assert [status for status, _ in answers[SOURCE_MOST:]] == [429] * 3
    assert await post(http, hub, path, body_of(-1), **{"X-Forwarded-For": "196.201.214.200"}) == ACCEPTED
    assert (await alarms(hub, box.site)) == {"callback.flood": 3}


async def test_more_than_a_disk_holds_is_not_taken(hub: Hub, box: Box, http: Any) -> None:
    """M-Pesa is told to come again, and nothing is kept."""
    async with parts_of(hub).database.transaction() as tx:
        await tx.rows("INSERT INTO down_heads (site_id, last, acked) VALUES ($1, $2, 0)", box.site, WAITING_MOST)
    before = await everything(hub)
    assert (await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of()))[0] == 503
    assert await everything(hub) == before


async def test_nothing_is_accepted_before_it_is_on_the_disk(hub: Hub, box: Box, http: Any, monkeypatch: Any) -> None:
    """A commit that fails is answered 503, so that M-Pesa's side knows."""

    def broken() -> Any:
        raise UnavailableError("hub.database", "the hub's database: down")

    monkeypatch.setattr(parts_of(hub).database, "transaction", broken)
    assert (await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of()))[0] == 503
    monkeypatch.undo()
    assert await waiting(box) == []
    assert await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of()) == ACCEPTED
    assert len(await waiting(box)) == 1


@pytest.mark.parametrize(
    ("told", "source"),
    [
        ("196.201.214.200", "196.201.214.200"),
        ("10.0.0.1, 196.201.214.200", "196.201.214.200"),
        ("196.201.214.200, <script>", "127.0.0.1"),
        ("2001:db8::7", "2001:db8::7"),
        ("", "127.0.0.1"),
    ],
)
async def test_the_proxy_says_where_it_came_from(hub: Hub, box: Box, http: Any, told: str, source: str) -> None:
    """Its own word is the last; what stands before it anybody may have written."""
    await post(http, hub, f"/cb/{box.site}/c/{TOKEN}", body_of(), **{"X-Forwarded-For": told})
    assert [one["source"] for one in await waiting(box)] == [source]


def test_a_limit_counts_by_the_minute_and_forgets_who_is_quiet() -> None:
    """So many of a key, anew each minute; the table of keys is bounded."""
    clock = _clock()
    limit = PerMinute(clock, most=2, keys_most=3)
    assert [limit.takes("a") for _ in range(3)] == [True, True, False]
    assert limit.takes("b")
    clock.seconds = 60.0
    assert limit.takes("a")
    for key in "cdefgh":
        limit.takes(key)
    assert len(limit) == 3


class _Clock:
    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def _clock() -> Any:
    return _Clock()
