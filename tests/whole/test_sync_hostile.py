"""What is replayed, changed, another's, old or unsigned, between a real box and a real hub: refused, and told of."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from nacl.signing import SigningKey

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.sync import Lane, Reply, Request, configuration_signed
from tests.fakes.hub_stage import Box, enrolled_box, http_client, hub_config, parts_of, running_hub
from tests.unit.hub.seen import everything
from tests.whole.stage import MAC, OTHER_MAC, OTHER_PHONE, PHONE, RADIUS_ONLY, Stage
from tests.whole.sync_middle import Answered, Asked, Middle
from tests.whole.sync_stage import box_digests, enrol, side, until_in_step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from easyisp_edge.hub.hub import Hub

# The hub's, of who asked when and up to where, and of the events, which tell of alarms too.
_NOTES = frozenset({"lanes", "sites", "down_heads", "streams", "events"})
WEEK = {"id": "1w", "name": "1 week", "price": 300, "duration": "7d", "speed": "3M/8M"}


@dataclass
class Pair:
    """A box and its hub in step, with a sale behind them, somebody between them, and another site beside.

    Args:
        box: The box.
        hub: The hub.
        middle: Whoever is between them.
        other: The box of the other site, which talks to the hub by itself.
        site_id: The first box's site.
    """

    box: Stage
    hub: Hub
    middle: Middle
    other: Box
    site_id: str

    @property
    def key(self) -> Any:
        """The hub's own."""
        return parts_of(self.hub).key

    async def standing(self) -> tuple[Any, ...]:
        """All that may not change: the rows of both, how far each is, and what the box sells."""
        status = side(self.box).sync.status()
        told = {name: status[name] for name in ("streams", "epoch", "phase", "selling", "inStep", "callbackBase")}
        on_sale = [package.package_id for package in side(self.box).site.config.packages]
        return await box_digests(self.box.folder), await everything(self.hub), told, on_sale

    async def business(self) -> tuple[Any, ...]:
        """The same, but for what an alarm itself leaves: its event, and the hub's notes of who asked when."""
        box, hub, told, on_sale = await self.standing()
        async with self.box.books() as (_, connection):
            kinds = connection.execute("SELECT type, count(*) FROM events WHERE type != 'sync.alarm' GROUP BY type")
            events = kinds.fetchall()
        told = {name: value for name, value in told.items() if name != "streams"}
        return box, {name: rows for name, rows in hub.items() if name not in _NOTES}, told, on_sale, events

    def alarms(self, kind: str = "forged") -> int:
        """How often the box has noted one."""
        found = side(self.box).sync.status()["alarms"]
        return sum(each["times"] for each in found if each["kind"] == kind)

    async def until_alarm(self, before: int, what: str, kind: str = "forged") -> None:
        """Wait until the box has noted one more."""
        await self.box.until(lambda: self.alarms(kind) > before, seconds=5, what=f"an alarm: {what}")

    async def hub_alarms(self) -> int:
        """How often the hub has noted any."""
        await parts_of(self.hub).alarms.flush()
        async with parts_of(self.hub).database.reading() as tx:
            rows = await tx.rows("SELECT times FROM alarms")
        return sum(row[0] for row in rows)

    def ring(self) -> None:
        """Have the box ask at once, however long it would wait."""
        side(self.box).link.ring_all()

    def signed(self, asked: Asked, body: bytes, status: int = 200, **changed: Any) -> Answered:
        """An answer as the hub would sign it, to this request or one that differs in something."""
        facts = {"site": self.site_id, "lane": asked.lane, "counter": asked.counter, "status": status, "body": body}
        return Answered(status, body, self.key.sign(Reply(**{**facts, **changed}).signed()))

    def told(self, asked: Asked, kind: str, data: dict[str, Any]) -> Answered:
        """The next message, in an answer that the hub signed."""
        return self.signed(asked, next_message(asked, kind, data))


def next_message(asked: Asked, kind: str, data: dict[str, Any]) -> bytes:
    after = int(asked.target.partition("after=")[2].partition("&")[0])
    told = {"messages": [{"n": after + 1, "type": kind, "data": data}], "serverTime": "2026-11-23T06:00:00Z"}
    return json.dumps(told).encode()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    for name in ("hub", "box"):
        (tmp_path / name).mkdir()
    async with (
        running_hub(hub_config(tmp_path / "hub", SqliteAddress(tmp_path / "hub" / "hub.sqlite"))) as hub,
        http_client() as http,
        Middle(hub.address).standing() as middle,
        # A router that nobody looks at, so that nothing stirs by itself.
        Stage(tmp_path / "box", mode="radius", files={"routers.toml": RADIUS_ONLY}) as box,
    ):
        site_id = await enrol(box, hub, middle.url)
        await sell(box)
        made = Pair(box, hub, middle, await enrolled_box(hub, http, "Thika"), site_id)
        await until_all_is_told(made)
        yield made


async def sell(box: Stage, phone: str = PHONE, mac: str = MAC) -> None:
    purchase_id = await box.buy(phone=phone, macAddress=mac)
    await box.pay(phone)
    bought = await box.until_status(purchase_id, "completed")
    await box.router.log_in(mac, bought["username"], bought["password"])


async def until_all_is_told(pair: Pair) -> None:
    """Wait until the session is in the books, the hub knows of it, and nothing has stirred for a second."""

    async def at_rest() -> bool:
        before = await pair.standing()
        await asyncio.sleep(1)
        return await pair.standing() == before

    async def seen() -> bool:
        return await pair.box.count("sessions") > 0

    await pair.box.until(seen, seconds=10, what="the session in the books")
    await until_in_step(pair.box)
    await pair.box.until(at_rest, seconds=20, what="rest")


def flipped(octets: bytes, at: int = -2) -> bytes:
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)


def flipped_text(signature: str) -> str:
    return base64.b64encode(flipped(base64.b64decode(signature))).decode()


# From the box to the hub


def signed_by(key: SigningKey, asked: Asked, counter: int) -> Asked:
    """The same request as somebody with another key would make it."""
    site, epoch = asked.headers["Edge-Site"], int(asked.headers["Edge-Epoch"])
    request = Request(asked.method, asked.target, site, epoch, asked.lane, counter, asked.body)
    signature = base64.b64encode(key.sign(request.signed()).signature).decode()
    return with_header(with_header(asked, "Edge-Counter", str(counter)), "Edge-Signature", signature)


def with_header(asked: Asked, name: str, value: str) -> Asked:
    return asked._replace(headers={**asked.headers, name: value})


def requests_to_refuse(pair: Pair, asked: Asked) -> dict[str, tuple[Asked, int, str]]:
    """What may be made of a true request: how the hub answers each."""
    stranger = SigningKey.generate()
    unsigned = {name: value for name, value in asked.headers.items() if name != "Edge-Signature"}
    later, other_lane = asked.counter + 1000, Lane.USAGE if asked.lane is Lane.ASK else Lane.ASK
    question = "&" if "?" in asked.target else "?"
    unknown = (401, "site.unknown")
    cases = {
        "replayed": (asked, 409, "counter.used"),
        "unsigned": (asked._replace(headers=unsigned), 401, "unsigned"),
        "signature flipped": (
            with_header(asked, "Edge-Signature", flipped_text(asked.headers["Edge-Signature"])),
            *unknown,
        ),
        "counter raised": (with_header(asked, "Edge-Counter", str(later)), *unknown),
        "counter lowered": (with_header(asked, "Edge-Counter", str(asked.counter - 1)), *unknown),
        "epoch raised": (with_header(asked, "Edge-Epoch", "2"), *unknown),
        "another lane": (with_header(asked, "Edge-Lane", other_lane.value), *unknown),
        "another site's name": (with_header(asked, "Edge-Site", pair.other.site), *unknown),
        "a site of nobody": (with_header(asked, "Edge-Site", "0" * 16), *unknown),
        "another address": (asked._replace(target=f"{asked.target}{question}wait=0"), *unknown),
        "another site's key": (signed_by(pair.other.key, asked, counter=later), *unknown),
        "nobody's key": (signed_by(stranger, asked, counter=later), *unknown),
    }
    if asked.body:
        cases["body flipped"] = (asked._replace(body=flipped(asked.body)), *unknown)
    return cases


async def test_what_is_not_the_boxs_is_refused_by_the_hub(pair: Pair) -> None:
    """Of each lane's true request, whatever is made of it changes nothing in either's books and is an alarm."""
    last = {asked.lane: asked for asked in pair.middle.asked}
    assert set(last) >= {Lane.MONEY, Lane.DOWN, Lane.ASK}
    for lane, asked in last.items():
        for name, (request, status, code) in requests_to_refuse(pair, asked).items():
            before, alarms = await pair.standing(), await pair.hub_alarms()
            said = await pair.middle.say_to_hub(request)
            assert (said.status, json.loads(said.body)["code"]) == (status, code), (lane, name)
            assert await pair.standing() == before, (lane, name)
            assert await pair.hub_alarms() > alarms, (lane, name)
    await sell(pair.box, OTHER_PHONE, OTHER_MAC)
    await until_in_step(pair.box)


# From the hub to the box


def forgeries(pair: Pair, body: Callable[[Asked], bytes]) -> dict[str, Callable[[Asked], Answered]]:
    """What may be made of an answer that would do harm if it were believed."""
    other_hub = SigningKey.generate()
    lanes = {Lane.DOWN: Lane.ASK, Lane.ASK: Lane.DOWN, Lane.MONEY: Lane.USAGE, Lane.USAGE: Lane.MONEY}

    def by(key: SigningKey, asked: Asked) -> Answered:
        reply = Reply(pair.site_id, asked.lane, asked.counter, 200, body(asked))
        return Answered(200, reply.body, base64.b64encode(key.sign(reply.signed()).signature).decode())

    def true(asked: Asked, **changed: Any) -> Answered:
        return pair.signed(asked, body(asked), **changed)

    def spoiled(asked: Asked) -> Answered:
        answered = true(asked)
        return answered._replace(body=flipped(answered.body))

    def signature_spoiled(asked: Asked) -> Answered:
        answered = true(asked)
        return answered._replace(signature=flipped_text(answered.signature))

    return {
        "unsigned": lambda asked: true(asked)._replace(signature=""),
        "another hub's": lambda asked: by(other_hub, asked),
        "another box's": lambda asked: by(pair.other.key, asked),
        "for another site": lambda asked: true(asked, site=pair.other.site),
        "to an older request": lambda asked: true(asked, counter=asked.counter - 1),
        "to a later request": lambda asked: true(asked, counter=asked.counter + 1),
        "to another lane": lambda asked: true(asked, lane=lanes[asked.lane]),
        "of another status": lambda asked: true(asked, status=200)._replace(status=202),
        "body flipped": spoiled,
        "signature flipped": signature_spoiled,
        "unpacked otherwise": lambda asked: true(asked)._replace(encoding="gzip"),
    }


async def harm_by_message(pair: Pair) -> Callable[[Asked], bytes]:
    """A message that would take the customer's grant back."""
    async with pair.box.books() as (_, connection):
        (grant_id,) = connection.execute("SELECT grant_id FROM grants").fetchone()

    return lambda asked: next_message(asked, "revoke", {"grant": grant_id, "reason": "a thief's"})


def harm_by_state(asked: Asked) -> bytes:
    """A state that would have the box stop selling."""
    head = {"last": 10**6, "head": "ab" * 32}
    state = {"epoch": 7, "streams": {"money": head, "usage": head}, "counter": {}, "confirmed": True}
    return json.dumps({**state, "configVersion": 0, "serverTime": "2026-11-23T06:00:00Z"}).encode()


async def test_what_is_not_the_hubs_is_not_believed_by_the_box(pair: Pair) -> None:
    """No answer that was not signed for this very request takes a grant back or stops the sales; each is an alarm."""
    harms = {Lane.DOWN: await harm_by_message(pair), Lane.ASK: harm_by_state}
    for lane, harm in harms.items():
        for name, forge in forgeries(pair, harm).items():
            before, alarms = await pair.business(), pair.alarms()
            pair.middle.answer_next(lane, forge)
            pair.ring()
            await pair.until_alarm(alarms, f"{lane}, {name}")
            assert await pair.business() == before, (lane, name)
    assert side(pair.box).sync.status()["selling"]
    pair.middle.answer_next(Lane.DOWN, lambda asked: pair.signed(asked, harms[Lane.DOWN](asked)))
    pair.ring()

    async def ended() -> bool:
        return await pair.box.count("grants", "state = 'ended'") == 1

    await pair.box.until(ended, seconds=5, what="the end of the grant, as the hub itself says so")


def again(old: Answered, _: Asked) -> Answered:
    return old


async def test_an_old_answer_is_not_believed_again(pair: Pair) -> None:
    """What the hub truly said once, octet for octet, answers no later request of its lane."""
    first = {asked.lane: answered for asked, answered in reversed(pair.middle.seen)}
    for lane in (Lane.ASK, Lane.MONEY):
        alarms = pair.alarms()
        pair.middle.answer_next(lane, partial(again, first[lane]))
        if lane is Lane.MONEY:
            await sell(pair.box, OTHER_PHONE, OTHER_MAC)
        pair.ring()
        await pair.until_alarm(alarms, lane)
    await until_in_step(pair.box)


async def test_a_forged_acknowledgement_takes_nothing_off_the_list(pair: Pair) -> None:
    """What was sold is still sent, once the hub itself answers."""
    link = side(pair.box).link
    known = side(pair.box).sync.status()["streams"]["money"]["known"]
    forged = forgeries(pair, lambda _: json.dumps({"ack": known + 1, "configVersion": 0}).encode())
    for forge in forged.values():
        pair.middle.answer_next(Lane.MONEY, forge)
    await sell(pair.box, OTHER_PHONE, OTHER_MAC)

    def all_came() -> bool:
        link.bell("money").ring()
        if pair.alarms() < len(forged):
            assert side(pair.box).sync.status()["streams"]["money"]["known"] == known
        return pair.alarms() == len(forged)

    await pair.box.until(all_came, seconds=20, what="an alarm for each")
    await until_in_step(pair.box)
    assert pair.alarms() == len(forged)


# In an answer of the hub itself


def config(pair: Pair, *, site: str = "", version: int = 1, signed_version: int = 1, key: Any = None) -> dict[str, Any]:
    content = {"packages": [WEEK], "gateways": [], "revoked": []}
    message = configuration_signed(site or pair.site_id, signed_version, content)
    return {"version": version, **content, "signature": (key or pair.key).sign(message)}


class _OtherHub:
    """Signs as another hub would."""

    def __init__(self) -> None:
        self._key = SigningKey.generate()

    def sign(self, message: bytes) -> str:
        return base64.b64encode(self._key.sign(message).signature).decode()


def messages_to_refuse(pair: Pair) -> dict[str, tuple[str, dict[str, Any]]]:
    """Messages in answers that are truly signed: what one line of a hub's database may have become."""
    body = '{"Body": {}}'
    callback = {
        "token": "f" * 32,
        "kind": "callback",
        "body": body,
        "sha256": hashlib.sha256(body.encode()).hexdigest(),
    }
    callback |= {"receivedAt": "2026-11-23T06:00:00Z", "source": "192.0.2.1"}
    good = config(pair)
    record = {"amountCents": 100000, "account": "", "payer": "254712345678", "paidAt": None, "raw": ""}
    receipt = {"receipt": "TKL1234567", "gateway": "174379", "found": True, "record": record, "used": False}
    return {
        "a configuration for another site": ("config", config(pair, site=pair.other.site)),
        "a configuration of another version": ("config", config(pair, version=2)),
        "another hub's configuration": ("config", config(pair, key=_OtherHub())),
        "a configuration, signature flipped": ("config", {**good, "signature": flipped_text(good["signature"])}),
        "a configuration, price changed": ("config", {**good, "packages": [{**WEEK, "price": 1}]}),
        "a configuration, unsigned": ("config", {**good, "signature": ""}),
        "a callback to another site's address": ("callback", callback),
        "a callback that was changed": ("callback", {**callback, "body": body + " "}),
        "a receipt nobody asked for": ("receipt", receipt),
        "a grant that is not here": ("revoke", {"grant": "grant-of-another-site", "reason": "no reason"}),
        "a command that is none": ("command", {"verb": "shell"}),
        "an address that is none": ("site", {"callbackBase": "javascript:alert(1)"}),
        "a message that is none": ("firmware", {"url": "http://192.0.2.1/"}),
    }


async def test_messages_that_are_not_for_this_box_do_nothing(pair: Pair) -> None:
    """Each is passed over and told of; nothing in the books or on sale is otherwise, and the next true one is taken."""
    for name, (kind, data) in messages_to_refuse(pair).items():
        before, alarms = await pair.business(), pair.alarms("message")
        pair.middle.answer_next(Lane.DOWN, partial(pair.told, kind=kind, data=data))
        pair.ring()
        await pair.until_alarm(alarms, name, "message")
        assert await pair.business() == before, name
    pair.middle.answer_next(Lane.DOWN, lambda asked: pair.told(asked, "config", config(pair)))
    pair.ring()
    await pair.box.until(
        lambda: len(side(pair.box).site.config.packages) == 3, seconds=5, what="the hub's configuration"
    )
