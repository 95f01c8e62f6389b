"""How a box talks with its hub: what each answer leads to, however often it comes and whatever was before."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.central import (
    COUNTER_USED,
    FORGED,
    GAP,
    LATER,
    SHUT,
    EdgeKey,
    Enrolled,
    Stored,
    SyncPhase,
    SyncSite,
)
from easyisp_edge.domain.event_lines import Line
from easyisp_edge.domain.events import GENESIS, Stream, chain
from easyisp_edge.domain.row_images import MONEY_KEYS
from easyisp_edge.domain.sync import Lane
from easyisp_edge.errors import RefusedError, UnavailableError
from easyisp_edge.hub.batches import Batch as HubBatch
from easyisp_edge.hub.batches import judge, read_lines
from easyisp_edge.hub.store.streams import Head as HubHead
from easyisp_edge.machine import ClockState
from easyisp_edge.services.money.selling import Selling
from easyisp_edge.services.sync.apart import Progress, TakingBack
from easyisp_edge.services.sync.enrolment import EnrolmentService
from easyisp_edge.services.sync.in_step import SyncService
from easyisp_edge.services.sync.key_renewal import KeyRenewal
from easyisp_edge.services.sync.link import COUNTERS_RESERVED, WAIT_MOST_SECONDS, Pace, SyncLink
from easyisp_edge.services.sync.shedding import SheddingService
from easyisp_edge.services.sync.up import packed_batch
from easyisp_edge.store.digests import digests
from easyisp_edge.store.gateway_states import GatewayState
from tests.fakes.central import SITE, FakeCentral
from tests.fakes.clocks import START, SeededRandomness
from tests.unit.shop import HOUR, a_purchase, add_purchase, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from easyisp_edge.store.store import Tables
    from tests.unit.shop import Books


class Talk:
    """A box's side over books of its own, and a hub in memory."""

    def __init__(self, books: Books, hub: FakeCentral) -> None:
        self.books, self.hub = books, hub
        self.selling = Selling()
        self.rebuilt = self.clock_set = 0
        self.begin()

    def begin(self) -> None:
        """As after a restart: what is not on the disk is not known."""
        self.link = SyncLink(
            store=self.books.store,
            clock=self.books.clock,
            randomness=SeededRandomness(),
            connect=lambda _site: self.hub,
            selling=self.selling,
        )
        self.link.begin()
        self.sync = SyncService(self.link, TakingBack(self.link, self._rebuilt, Progress()), {}, self._set_clock)
        self.money = self.sync.up[Stream.MONEY]

    async def enrol(self) -> None:
        await self.books.store.write(lambda tx: tx.sync.enrol(SITE))
        self.link.enrolled_anew()

    async def compare(self) -> None:
        """Compare until nothing is left to do."""
        for _ in range(5):
            if await self.sync.compare_round():
                return
        raise AssertionError("box and hub do not come together")

    async def happen(self, count: int, stream: Stream = Stream.MONEY, word: str = "") -> None:
        def write(tx: Tables) -> None:
            for _ in range(count):
                tx.events.append(stream, "something.happened", "key", {"word": word})

        await self.books.store.write(write)

    async def sell(self, purchase_id: str) -> None:
        purchase = a_purchase(purchase_id=purchase_id, account_reference=purchase_id[:7].upper())
        await self.books.store.write(lambda tx: add_purchase(tx, purchase, purchase_id))

    def kinds(self) -> list[str]:
        return [alarm.kind for alarm in self.books.store.read.alarms.all()]

    async def _rebuilt(self) -> None:
        self.rebuilt += 1

    async def _set_clock(self) -> None:
        self.clock_set += 1


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with open_books(tmp_path) as books:
        talk = Talk(books, FakeCentral())
        await talk.enrol()
        await talk.compare()
        yield talk


# Up


async def test_all_goes_up_in_order_and_once(talk: Talk) -> None:
    """In batches of at most 500, each after the one before; what is known is not sent again."""
    await talk.happen(1200)
    await talk.money.round()
    first = len(talk.hub.lines[Stream.MONEY])
    assert first == talk.books.store.read.events.head(Stream.MONEY)[0]
    assert max(count for _, count in talk.hub.seen) == 500
    sent = len(talk.hub.seen)
    await talk.money.round()
    assert len(talk.hub.seen) == sent


async def test_a_gap_is_sent_from_where_the_hub_says(talk: Talk) -> None:
    """A hub that was restored from before gets again what it lost."""
    await talk.happen(10)
    await talk.money.round()
    del talk.hub.lines[Stream.MONEY][4:]
    await talk.happen(1)
    await talk.money.round()
    assert talk.hub.head(Stream.MONEY).last == 11


async def test_a_gap_that_cannot_be_is_not_followed(talk: Talk) -> None:
    """A hub that expects what was just sent is held against its state first, and waited for."""
    await talk.happen(3)
    talk.hub.faults.append(RefusedError(GAP, "gap", expected=1))
    with pytest.raises(UnavailableError):
        await talk.money.round()
    assert not talk.link.in_step
    await talk.compare()
    await talk.money.round()
    assert talk.hub.head(Stream.MONEY).last == 3


async def test_a_batch_that_is_too_long_is_halved_and_grows_again(talk: Talk) -> None:
    """Until it is taken; nobody is told of it."""
    await talk.happen(200)
    talk.hub.takes_events = 60
    await talk.money.round()
    assert talk.hub.head(Stream.MONEY).last == 200
    assert [count for _, count in talk.hub.seen][:3] == [200, 100, 50]
    talk.hub.takes_events = 500
    await talk.happen(900)
    await talk.money.round()
    assert max(count for _, count in talk.hub.seen[-3:]) > 100
    assert talk.kinds() == []


async def test_a_hub_that_calls_everything_too_long_is_waited_for(talk: Talk) -> None:
    """It is at fault, not the events: none of them is given up."""
    await talk.happen(3)
    talk.hub.takes_events = 0
    with pytest.raises(UnavailableError):
        await talk.money.round()
    assert talk.books.store.read.sync.parked_in_all() == 0
    talk.hub.takes_events = 500
    await talk.money.round()
    assert talk.hub.head(Stream.MONEY).last == 3


@pytest.mark.parametrize("at", [0, 1, 41, 99])
async def test_one_event_the_hub_cannot_take_stops_no_other(talk: Talk, at: int) -> None:
    """Its digest stands in its place, the chain goes on over it, and a person is told."""
    talk.hub.unreadable = b"poison"
    await talk.happen(at)
    await talk.happen(1, word="poison")
    await talk.happen(99 - at)
    await talk.money.round()
    read = talk.books.store.read
    assert talk.hub.head(Stream.MONEY).digest == read.events.head(Stream.MONEY)[1]
    assert talk.hub.lines[Stream.MONEY][at].event.type == "edge.parked"
    assert read.sync.parked_in_all() == 1
    assert talk.kinds() == ["parked"]
    assert read.events.told("parked", "sync.alarm") is not None


async def test_usage_waits_while_there_is_much_news_of_money(talk: Talk) -> None:
    """A month of usage never delays a sale."""
    await talk.happen(600)
    await talk.happen(5, Stream.USAGE)
    await talk.sync.up[Stream.USAGE].round()
    assert talk.hub.head(Stream.USAGE).last == 0
    await talk.money.round()
    await talk.sync.up[Stream.USAGE].round()
    assert talk.hub.head(Stream.USAGE).last == 5


async def test_what_is_not_known_to_be_stored_is_sent_again(talk: Talk) -> None:
    """An answer that was lost, or is not the hub's, says nothing; the second is an alarm."""
    await talk.happen(3)
    for error in (UnavailableError(LATER, "later"), UnavailableError(FORGED, "not the hub")):
        talk.hub.faults.append(error)
        with pytest.raises(UnavailableError):
            await talk.money.round()
        assert talk.books.store.read.sync.acked(Stream.MONEY) == 0
    await talk.money.round()
    assert talk.kinds() == ["forged"]
    assert talk.hub.head(Stream.MONEY).last == 4  # the alarm is told, too


async def test_after_an_outage_news_waits_a_moment(talk: Talk) -> None:
    """A hub that is back is not overrun by all its boxes at once; the wait is a random part of half a minute."""
    await talk.happen(3)
    talk.hub.faults.extend(UnavailableError(LATER, "later") for _ in range(4))
    for _ in range(4):
        with pytest.raises(UnavailableError):
            await talk.money.round()
    talk.link.out_of_step()
    await talk.compare()
    assert await talk.money.round() == pytest.approx(15)
    assert talk.hub.head(Stream.MONEY).last == 0
    talk.books.time.advance(15)
    await talk.money.round()
    assert talk.hub.head(Stream.MONEY).last == 3


async def test_an_answer_that_takes_nothing_is_no_answer(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that says 200 and has none of it is asked again later, not again and again at once."""
    await talk.happen(3)
    asked = 0

    async def nothing(stream: Stream, body: bytes, own_last: int, counter: int) -> Stored:
        nonlocal asked
        asked += 1
        return Stored(0, 0)

    monkeypatch.setattr(talk.hub, "upload", nothing)
    with pytest.raises(UnavailableError):
        await talk.money.round()
    assert asked == 1


# Counters


async def test_no_counter_is_used_twice_over_restarts(talk: Talk) -> None:
    """The hub would take the second for a replay; those that were reserved and not used are passed over."""
    for _ in range(3):
        await talk.happen(1)
        await talk.money.round()
        used = talk.hub.counters[Lane.MONEY]
        talk.begin()
        await talk.compare()
        assert talk.books.store.read.sync.counter(Lane.MONEY) >= used
    assert talk.hub.counters[Lane.ASK] <= 4 * (COUNTERS_RESERVED + 2)


async def test_a_restored_box_goes_on_above_the_hubs_counters(talk: Talk) -> None:
    """It is told the last one, and asks again at once."""
    talk.hub.counters[Lane.MONEY] = 5000
    await talk.happen(1)
    await talk.money.round()
    assert talk.hub.counters[Lane.MONEY] == 5001
    assert talk.books.store.read.sync.counter(Lane.MONEY) > 5000


# Apart


async def test_a_box_that_knows_less_takes_it_back_and_sells_again(talk: Talk, tmp_path: Path) -> None:
    """A fresh box gets the rows of the one before, row for row, and tells nobody of a fork."""
    await talk.sell("a" * 32)
    await talk.sell("b" * 32)
    await talk.money.round()
    (tmp_path / "other").mkdir()
    async with open_books(tmp_path / "other") as books:
        other = Talk(books, talk.hub)
        await other.enrol()
        assert await other.sync.compare_round() == 0.0
        assert other.rebuilt == 1
        with pytest.raises(UnavailableError):  # until the two were compared once more
            other.selling.refuse_while_resting()
        await other.compare()
        other.selling.refuse_while_resting()
        assert await money_digests(books) == await money_digests(talk.books)
        assert other.kinds() == []
        assert talk.hub.epoch == 2


async def test_what_both_streams_lacked_is_said_of_both(talk: Talk) -> None:
    """The one that came last does not stand in the other's place: money is what a person looks for."""
    for stream in Stream:
        await talk.happen(1, stream)
        await talk.sync.up[stream].round()
        lines = talk.hub.lines[stream]
        before = lines[-1].event
        after = chain(
            stream, before.sequence + 1, before.digest, kind="something.happened", key="key", at=START, clock="synced",
            data={},
        )  # fmt: skip
        lines.append(Line(after, before.digest, {}))
    talk.link.out_of_step()
    await talk.compare()
    (alarm,) = talk.books.store.read.alarms.all()
    assert alarm.kind == "ahead"
    assert ("1 events of money" in alarm.detail, "1 events of usage" in alarm.detail) == (True, True)


async def test_selling_rests_over_a_restart_until_all_is_taken_back(talk: Talk) -> None:
    """What stands on the disk decides, not what a process remembers."""
    await talk.books.store.write(lambda tx: tx.sync.come_to(SyncPhase.APART))
    talk.begin()
    with pytest.raises(UnavailableError) as refused:
        talk.selling.refuse_while_resting()
    assert refused.value.code == "sales.rest"
    await talk.compare()
    talk.selling.refuse_while_resting()


async def test_a_fork_keeps_both_and_says_so(talk: Talk, tmp_path: Path) -> None:
    """The hub has its own line and this box's beside it; this box's rows stand on top of the hub's."""
    await talk.sell("a" * 32)
    await talk.money.round()
    (tmp_path / "other").mkdir()
    async with open_books(tmp_path / "other") as books:
        other = Talk(books, talk.hub)
        await other.sell("c" * 32)
        await other.enrol()
        await other.compare()
        await other.money.round()
        purchases = [books.store.read.purchases.by_id(key * 32) for key in "ac"]
        assert None not in purchases
        assert "fork" in other.kinds()
        assert talk.hub.forked
        assert other.link.in_step
        assert talk.hub.head(Stream.MONEY).digest == books.store.read.events.head(Stream.MONEY)[1]


async def test_nothing_is_sold_while_events_are_taken(
    talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From before the first of them stands here, and over a restart too."""
    await talk.sell("a" * 32)
    await talk.money.round()
    (tmp_path / "other").mkdir()
    async with open_books(tmp_path / "other") as books:
        other = Talk(books, talk.hub)
        await other.sell("c" * 32)
        await other.enrol()
        seen: list[tuple[bool, SyncPhase | None]] = []
        page = talk.hub.page

        async def watched(stream: Stream, after: int, counter: int) -> list[bytes]:
            site = other.link.site
            seen.append((other.selling.rests, None if site is None else site.phase))
            return await page(stream, after, counter)

        monkeypatch.setattr(talk.hub, "page", watched)
        await other.compare()
        assert set(seen) == {(True, SyncPhase.APART)}
        other.selling.refuse_while_resting()


@pytest.mark.parametrize("fresh", [True, False], ids=["a fresh box", "a fork"])
async def test_cut_off_anywhere_it_goes_on_from_what_stands(
    talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fresh: bool
) -> None:
    """Many an answer is lost, and the daemon dies each time: the rows are the same at the end, once."""
    for letter in "abde":
        await talk.sell(letter * 32)
    await talk.money.round()
    (tmp_path / "other").mkdir()
    async with open_books(tmp_path / "other") as books:
        other = Talk(books, talk.hub)
        if not fresh:
            await other.sell("c" * 32)
        await other.enrol()
        lose_many(talk.hub, monkeypatch)
        for _ in range(100):
            try:
                await other.compare()
            except UnavailableError:
                other.begin()
                continue
            break
        other.selling.refuse_while_resting()
        await other.money.round()
        purchases = [books.store.read.purchases.by_id(letter * 32) for letter in "abde"]
        assert None not in purchases
        assert (books.store.read.purchases.by_id("c" * 32) is None) == fresh
        head = books.store.read.events.head(Stream.MONEY)
        assert (talk.hub.head(Stream.MONEY).last, talk.hub.head(Stream.MONEY).digest) == head
        if fresh:
            assert await money_digests(books) == await money_digests(talk.books)


async def test_an_answer_to_who_the_box_was_is_no_answer(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enrolled elsewhere while a request was under way, it does not take the old hub's word for the new one's."""
    await talk.happen(3)
    upload = talk.hub.upload

    async def enrolled_meanwhile(stream: Stream, body: bytes, own_last: int, counter: int) -> Stored:
        stored = await upload(stream, body, own_last, counter)
        await talk.books.store.write(lambda tx: tx.sync.enrol(replace(SITE, site_id="f" * 16)))
        talk.link.enrolled_anew()
        return stored

    monkeypatch.setattr(talk.hub, "upload", enrolled_meanwhile)
    with pytest.raises(UnavailableError, match="another one"):
        await talk.money.round()
    assert talk.books.store.read.sync.acked(Stream.MONEY) == 0


async def test_a_box_without_a_clock_asks_for_the_time_first(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No certificate is valid in 1970; once somebody told the time, the hub is not asked for it."""
    await talk.sync.compare_round()
    assert talk.clock_set == 0
    monkeypatch.setattr(talk.books.clock, "state", ClockState.UNSET)
    await talk.sync.compare_round()
    assert talk.clock_set == 1


async def test_a_refusal_to_who_the_box_was_is_none(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old hub's word on counters, or that it will not hear this box, is not the new one's."""
    await talk.happen(3)

    async def refusing(stream: Stream, body: bytes, own_last: int, counter: int) -> Stored:
        await talk.books.store.write(lambda tx: tx.sync.enrol(replace(SITE, site_id="f" * 16)))
        talk.link.enrolled_anew()
        raise RefusedError(COUNTER_USED, "used", last=5000)

    monkeypatch.setattr(talk.hub, "upload", refusing)
    with pytest.raises(UnavailableError, match="another one"):
        await talk.money.round()
    assert talk.books.store.read.sync.counter(Lane.MONEY) == 0


async def test_a_new_box_has_the_addresses_of_the_one_before(talk: Talk, tmp_path: Path) -> None:
    """It made up some for its gateways, and put its packages out, before it knew any hub: these make way."""
    await talk.sell("a" * 32)
    told = GatewayState("paybill", "f" * 32, START)
    await talk.books.store.write(lambda tx: tx.gateways.put(told))
    await talk.money.round()
    (tmp_path / "other").mkdir()
    async with open_books(tmp_path / "other") as books:
        await books.store.write(lambda tx: tx.gateways.put(GatewayState("paybill", "0" * 32)))
        await books.store.write(lambda tx: tx.packages.version_of(HOUR, START))
        other = Talk(books, talk.hub)
        await other.enrol()
        await other.compare()
        assert books.store.read.gateways.by_notice_token("f" * 32) == told
        assert other.kinds() == []
        assert await money_digests(books) == await money_digests(talk.books)


async def test_a_fork_is_told_to_a_person_though_the_power_goes(
    talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was told anew, and that it was, are one transaction; nothing waits in a process's memory."""
    await talk.sell("a" * 32)
    await talk.money.round()
    (tmp_path / "other").mkdir()
    async with open_books(tmp_path / "other") as books:
        other = Talk(books, talk.hub)
        await other.sell("c" * 32)
        await other.enrol()

        async def cut(_epoch: int, _counter: int) -> int:
            raise UnavailableError(LATER, "the power goes")

        with monkeypatch.context() as patch:
            patch.setattr(talk.hub, "begin_epoch", cut)
            with pytest.raises(UnavailableError):
                await other.sync.compare_round()
        other.begin()
        await other.compare()
        assert other.kinds() == ["fork"]


async def test_a_box_that_is_taking_back_stays_at_it_when_it_is_enrolled_again(talk: Talk) -> None:
    """Half of its books are there: whoever it is then, it does not sell before they are whole."""
    await talk.books.store.write(lambda tx: tx.sync.come_to(SyncPhase.APART))
    enrolment = EnrolmentService(
        link=talk.link,
        new_key=lambda: EdgeKey(b"n" * 32, lambda _: b""),
        keep_key=lambda: None,
        enrol=_enrolled_anew,
        check_url=lambda url: url,
        enrolled=lambda _base: None,
        busy=asyncio.Lock(),
    )
    found = await enrolment.run("https://hub.example.com", "CODE", "mary")
    assert found.site.public_key == b"n" * 32
    talk.begin()
    assert talk.selling.rests
    await talk.compare()
    assert (talk.selling.rests, talk.rebuilt) == (False, 1)


async def _enrolled_anew(_url: str, _code: str, _key: EdgeKey) -> Enrolled:
    return Enrolled("f" * 16, 2, b"h" * 32, "https://hub.example.com/cb")


async def test_what_made_way_is_told_at_the_next_hub_too(talk: Talk) -> None:
    """A fork that waits to be told anew makes the two apart, whoever the hub is then."""
    await talk.happen(3)
    await talk.books.store.rewrite(lambda tx: tx.forks.set_aside(Stream.MONEY, 1))
    talk.begin()
    await talk.compare()
    assert talk.books.store.read.forks.waiting() == []
    assert talk.books.store.read.events.head(Stream.MONEY)[0] == 3
    assert talk.hub.epoch == 2


# Keys


class Keys:
    """Keys by number: the same again until it is kept."""

    def __init__(self) -> None:
        self.number = 0

    def new(self) -> EdgeKey:
        return EdgeKey(bytes([self.number]) * 32, lambda _: b"")

    def keep(self) -> None:
        self.number += 1


def renewal_of(talk: Talk, keys: Keys, busy: asyncio.Lock | None = None) -> KeyRenewal:
    return KeyRenewal(talk.link, keys.new, keys.keep, busy or asyncio.Lock())


def key_of(talk: Talk) -> bytes:
    site = talk.link.site
    assert site is not None
    return site.public_key


async def test_a_key_is_changed_when_it_is_old(talk: Talk) -> None:
    """After half a year, and half a year after that; what follows is signed by the new one."""
    keys = Keys()
    renewal = renewal_of(talk, keys)
    for number in range(2):
        assert await renewal.round() > 0
        talk.books.time.advance(179 * 86400)
        assert 0 < await renewal.round() <= 86400
        assert len(talk.hub.keys) == number
        talk.books.time.advance(86400)
        assert await renewal.round() > 0
        assert key_of(talk) == talk.hub.keys[number] == bytes([number]) * 32
    assert talk.books.store.read.events.count_since(SITE.site_id, "sync.key_changed", START) == 2
    await talk.money.round()
    assert talk.hub.head(Stream.MONEY).last == talk.books.store.read.events.head(Stream.MONEY)[0]


async def test_a_key_whose_announcement_was_not_answered_is_announced_again(talk: Talk) -> None:
    """The box goes on with the one it has; what the hub may have noted is what it announces next."""
    keys = Keys()
    keys.number = 5
    talk.books.time.advance(180 * 86400)
    talk.hub.faults.append(UnavailableError(LATER, "the answer is lost"))
    with pytest.raises(UnavailableError):
        await renewal_of(talk, keys).round()
    assert key_of(talk) == SITE.public_key
    talk.begin()
    talk.link.in_step = True
    await renewal_of(talk, keys).round()
    assert talk.hub.keys == [bytes([5]) * 32] * 2
    assert (key_of(talk), keys.number) == (bytes([5]) * 32, 6)


async def test_a_key_in_use_is_not_taken_for_a_new_one(talk: Talk) -> None:
    """The power went between the books and the file that says which key is new."""
    keys = Keys()
    await talk.books.store.write(lambda tx: tx.sync.change_key(keys.new().public, START))
    talk.books.time.advance(180 * 86400)
    await renewal_of(talk, keys).round()
    assert key_of(talk) == bytes([1]) * 32


async def test_a_hub_that_knows_no_later_key_is_asked_with_the_one_before(talk: Talk) -> None:
    """Its database was restored. Where it knows neither, the box asks rarely, with one and then the other."""
    keys = Keys()
    talk.books.time.advance(180 * 86400)
    await renewal_of(talk, keys).round()
    present = key_of(talk)
    unknown = RefusedError(SHUT, "who?", wire="site.unknown")
    pace = Pace(SeededRandomness())
    await talk.sync._refused("money", unknown, pace)
    assert not talk.link.in_step, "the two are compared first"
    assert key_of(talk) == present
    assert await talk.sync._refused("compare", unknown, pace) < 5
    assert key_of(talk) == SITE.public_key
    await talk.compare()
    assert talk.sync.status()["inStep"]
    await renewal_of(talk, keys).round()
    assert key_of(talk) == talk.hub.keys[-1] == bytes([1]) * 32, "the key that was fallen back to is old"
    await talk.sync._refused("compare", unknown, pace)
    for key in (bytes([1]) * 32, SITE.public_key, bytes([1]) * 32):
        assert await talk.sync._refused("compare", unknown, pace) >= 300
        assert key_of(talk) == key
    for wire in ("site.replaced", "site.closed"):
        assert await talk.sync._refused("compare", RefusedError(SHUT, "no", wire=wire), pace) >= 300
        assert key_of(talk) == key, "whoever was replaced has nothing to try"


async def test_a_full_disk_does_not_end_the_talk(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key before is tried when it can be noted."""
    await talk.books.store.write(lambda tx: tx.sync.change_key(b"k" * 32, START))

    async def full(_work: object) -> None:
        raise UnavailableError("store.full", "the disk is full")

    unknown = RefusedError(SHUT, "who?", wire="site.unknown")
    with monkeypatch.context() as patch:
        patch.setattr(type(talk.books.store), "write", lambda _self, work: full(work))
        assert await talk.sync._refused("compare", unknown, Pace(SeededRandomness())) >= 300
    assert key_of(talk) == b"k" * 32


@pytest.mark.parametrize("why", ["apart", "enrolling", "no clock", "no hub"])
async def test_no_key_is_changed_while(talk: Talk, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Box and hub are apart, somebody enrols the box, nobody knows how old the key is, or there is no hub."""
    keys, busy = Keys(), asyncio.Lock()
    talk.books.time.advance(200 * 86400)
    if why == "apart":
        talk.link.in_step = False
    elif why == "enrolling":
        await busy.acquire()
    elif why == "no clock":
        monkeypatch.setattr(talk.link, "clock", SimpleNamespace(state=ClockState.UNSET, now=talk.books.clock.now))
    else:
        monkeypatch.setattr(SyncLink, "site", None)
    assert await renewal_of(talk, keys, busy).round() > 0
    assert talk.hub.keys == []


async def test_nothing_signed_by_the_old_key_comes_after_the_new_one(talk: Talk) -> None:
    """What goes up waits while the key is changed, and is signed by the new one then."""
    keys = Keys()
    talk.books.time.advance(180 * 86400)
    signers: list[bytes] = []

    def connect(site: SyncSite) -> FakeCentral:
        signers.append(site.public_key)
        return talk.hub

    talk.link.connect = connect
    announced, answered = asyncio.Event(), asyncio.Event()
    announce = talk.hub.announce_key

    async def slow(key: EdgeKey, counter: int) -> None:
        await announce(key, counter)
        announced.set()
        await answered.wait()

    talk.hub.announce_key = slow  # type: ignore[method-assign]
    await talk.happen(3)
    async with asyncio.TaskGroup() as group:
        group.create_task(renewal_of(talk, keys).round())
        await announced.wait()
        upload = group.create_task(talk.money.round())
        for _ in range(20):
            await asyncio.sleep(0)
        assert talk.hub.seen == []
        answered.set()
        await upload
    assert signers[-1] == talk.hub.keys[0]
    assert talk.hub.seen


# Waiting


def test_a_box_that_waits_to_be_confirmed_asks_often_at_first() -> None:
    """Whoever compares two fingerprints sees the box begin within seconds; one that is forgotten asks seldom."""
    pace = Pace(SeededRandomness())
    waits = [pace.waiting() for _ in range(60)]
    assert max(waits[:10]) < 3.5
    assert sum(waits[:30]) > 120
    assert waits[-1] == 15
    pace.went_well()
    assert pace.waiting() == waits[0]


def test_waits_are_spread_over_all_of_a_span_that_doubles() -> None:
    """Up to five minutes; what the hub asks for comes on top."""
    pace = Pace(SeededRandomness(fraction=0.999))
    waits = [pace.failed(UnavailableError(LATER, "later")) for _ in range(12)]
    assert [round(wait) for wait in waits[:5]] == [1, 2, 4, 8, 16]
    assert waits[-1] == pytest.approx(WAIT_MOST_SECONDS, rel=0.01)
    pace.went_well()
    asked = UnavailableError(LATER, "later", retry_after_seconds=40)
    assert 40 <= pace.failed(asked) <= 41
    assert Pace(SeededRandomness(fraction=0.0)).failed(UnavailableError(LATER, "later")) == 0.0


async def test_news_rests_once_the_hub_is_back_and_goes_when_a_person_wants(talk: Talk) -> None:
    """For the sake of the others; how long is said, and whoever asks for it now need not wait."""
    await talk.happen(3)
    talk.hub.faults += [UnavailableError(LATER, "away") for _ in range(4)]
    for _ in range(4):
        with pytest.raises(UnavailableError):
            await talk.money.round()
    await talk.compare()
    assert 0 < talk.sync.status()["restsSeconds"] <= 30
    await talk.money.round()
    assert talk.sync.status()["streams"]["money"]["waiting"]
    talk.link.ring_all()
    await talk.money.round()
    status = talk.sync.status()
    assert (status["restsSeconds"], status["streams"]["money"]["waiting"]) == (0, 0)


async def test_a_box_nobody_confirmed_says_so(talk: Talk) -> None:
    """And sees within a minute that somebody did."""
    talk.hub.confirmed = False
    assert await talk.sync.compare_round() == 60
    assert not talk.sync.status()["confirmed"]
    talk.hub.confirmed = True
    assert await talk.sync.compare_round() > 3600
    assert talk.sync.status()["confirmed"]


async def test_what_becomes_of_each_configuration_is_told_at_once(talk: Talk) -> None:
    """Whoever publishes one that is refused publishes the next within the hour, and waits for what the box says."""
    for version in (2, 3):
        await talk.link.alarm("config.refused", f"Configuration {version} of the hub: no such tenant")
    read = talk.books.store.read
    bodies = [json.loads(body) for _, body in read.events.bodies_after(Stream.MONEY, 0, 100)]
    told = [body["data"]["detail"] for body in bodies if body["type"] == "sync.alarm"]
    assert [detail[:15] for detail in told] == ["Configuration 2", "Configuration 3"]


async def test_a_flood_of_alarms_is_a_row_and_an_event_an_hour(talk: Talk) -> None:
    """Whoever spoils a thousand answers fills no disk; the event says how many there were."""
    for _ in range(50):
        await talk.link.alarm("forged", "x" * 10_000)
    assert talk.books.store.read.events.count_since("forged", "sync.alarm", talk.books.clock.now() - timedelta(1)) == 1
    talk.books.time.advance(3601)
    await talk.link.alarm("forged", "again")
    (alarm,) = talk.books.store.read.alarms.all()
    assert (alarm.times, alarm.detail) == (51, "again")
    assert talk.books.store.read.events.count_since("forged", "sync.alarm", talk.books.clock.now() - timedelta(1)) == 2


# A full disk


async def test_a_full_disk_sheds_usage_and_never_money(talk: Talk) -> None:
    """First what the hub has and is old, then all it has, then counts it has not: these leave digests and a word."""
    await talk.happen(20, Stream.USAGE)
    await talk.happen(20)
    await talk.money.round()
    await talk.sync.up[Stream.USAGE].round()

    def count(tx: Tables) -> None:
        for _ in range(30):
            tx.events.append(Stream.USAGE, "counts", "books", {"rows": {"sessions": []}, "long": "x" * 500})

    await talk.books.store.write(count)
    money = talk.books.store.read.events.head(Stream.MONEY)
    free = [0]
    shedding = SheddingService(talk.books.store, talk.books.clock, lambda: free[0], lambda: 1 << 40)
    await shedding.round()
    read = talk.books.store.read
    assert read.events.head(Stream.MONEY) == money
    assert len(read.events.bodies_after(Stream.MONEY, 0, 100)) == 20
    left = [sequence for sequence, _ in read.events.bodies_after(Stream.USAGE, 0, 100)]
    assert left == list(range(21, 52))
    assert len(read.events.bodies_after(Stream.USAGE, 20, 1)[0][1]) < 200
    assert [read.events.first_break(stream) for stream in Stream] == [None, None]
    await talk.sync.up[Stream.USAGE].round()
    types = [line.event.type for line in talk.hub.lines[Stream.USAGE]]
    assert types[20:] == ["edge.parked"] * 29 + ["counts", "usage.shed"]
    told = read.events.told("books", "usage.shed")
    assert told == {"from": 21, "to": 49, "events": 29}


@pytest.mark.parametrize("left", [0, 4, 18, 19])
async def test_usage_that_neither_has_stops_nothing(talk: Talk, left: int) -> None:
    """A hub that was restored from before what the box has dropped: a person is told, and what comes after goes up."""
    await talk.happen(20, Stream.USAGE)
    usage = talk.sync.up[Stream.USAGE]
    await usage.round()
    await SheddingService(talk.books.store, talk.books.clock, lambda: 0, lambda: 1 << 40).round()
    del talk.hub.lines[Stream.USAGE][left:]
    await talk.happen(3, Stream.USAGE)
    talk.begin()
    await talk.compare()
    usage = talk.sync.up[Stream.USAGE]
    usage.events_most = 7
    await usage.round()
    head = talk.books.store.read.events.head(Stream.USAGE)
    assert (talk.hub.head(Stream.USAGE).last, talk.hub.head(Stream.USAGE).digest) == head
    types = [line.event.type for line in talk.hub.lines[Stream.USAGE]]
    assert types[left:] == ["edge.parked"] * (19 - left) + ["something.happened"] * 4
    assert talk.kinds() == (["lost"] if left < 19 else [])
    talk.begin()
    await talk.compare()
    assert talk.hub.epoch == 1, "the two were never apart"


async def test_what_stands_for_lost_usage_is_taken_by_a_hub(talk: Talk) -> None:
    """Read and judged as a real one does: the chain goes on over it."""
    await talk.happen(20, Stream.USAGE)
    await talk.sync.up[Stream.USAGE].round()
    await SheddingService(talk.books.store, talk.books.clock, lambda: 0, lambda: 1 << 40).round()
    known = HubHead(0, GENESIS)
    for _ in range(2):
        batch = packed_batch(talk.books.store.read, Stream.USAGE, known.last, 500)
        assert batch is not None
        lines = read_lines(gzip.decompress(batch.body), Stream.USAGE)
        sent = HubBatch("a" * 16, 1, None, Stream.USAGE, 1, lines, 20)
        taken = judge(sent, known, {known.last: known.head})
        known = HubHead(taken.last, taken.head)
    assert tuple(known) == talk.books.store.read.events.head(Stream.USAGE)


async def test_a_fork_in_usage_is_found_behind_what_was_dropped(talk: Talk) -> None:
    """What nobody knows any more is not held against the hub: only what differs is told anew."""
    await talk.happen(20, Stream.USAGE)
    usage = talk.sync.up[Stream.USAGE]
    await usage.round()
    await SheddingService(talk.books.store, talk.books.clock, lambda: 0, lambda: 1 << 40).round()
    await talk.happen(2, Stream.USAGE, "here")
    lines = talk.hub.lines[Stream.USAGE]
    other = chain(
        Stream.USAGE, 21, lines[-1].event.digest, kind="something.happened", key="k", at=START, clock="synced", data={}
    )
    lines.append(Line(other, lines[-1].event.digest, {}))
    talk.begin()
    await talk.compare()
    await talk.sync.up[Stream.USAGE].round()
    assert talk.hub.head(Stream.USAGE).last == 23
    assert [json.loads(line)["seq"] for line in talk.hub.forked] == [21, 22]


async def test_nothing_is_shed_while_there_is_room(talk: Talk) -> None:
    """Nor where nobody can tell how much there is."""
    await talk.happen(20, Stream.USAGE)
    await talk.sync.up[Stream.USAGE].round()

    def untold() -> int:
        raise OSError("no such disk")

    for free in (lambda: 1 << 40, untold):
        shedding = SheddingService(talk.books.store, talk.books.clock, free, lambda: 100_000_000)
        await shedding.round()
    assert len(talk.books.store.read.events.bodies_after(Stream.USAGE, 0, 100)) == 20


async def money_digests(books: Books) -> dict[str, str]:
    found = await books.store._database.survey(digests)
    return {table: found[table] for table in MONEY_KEYS}


def lose_many(hub: FakeCentral, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of five answers in the lane `ask` are lost, what was asked for done."""
    chance = random.Random(7)

    def losing(ask: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def asked(*values: object) -> object:
            answer = await ask(*values)
            if chance.random() < 0.4:
                raise UnavailableError(LATER, "the answer was lost")
            return answer

        return asked

    for name in ("state", "page", "keep_fork", "begin_epoch"):
        monkeypatch.setattr(hub, name, losing(getattr(hub, name)))
