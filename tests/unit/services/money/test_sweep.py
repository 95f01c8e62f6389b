"""A gateway's list of transactions, read again and again: nothing is missed, nothing is taken twice."""

from __future__ import annotations

import asyncio
import itertools
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.central import SyncPhase
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import Disposition
from easyisp_edge.errors import InvalidError, UnavailableError
from easyisp_edge.services.money.sweep import (
    IMPATIENT_SECONDS,
    LIST_REACHES_BACK,
    OVERLAP,
    PAUSE_SECONDS,
    PIECE,
    QUERIES_LATE,
    SweepService,
)
from tests.fakes.central import SITE
from tests.fakes.clocks import START, settle_down
from tests.fakes.gateway import money_record, refused, unavailable
from tests.unit.claims_stage import (
    AN_HOUR,
    BASE,
    MINUTE,
    NOMINATED,
    TODAY,
    TODAY_TOO,
    ClaimsStage,
    open_claims_stage,
)
from tests.unit.shop import GATEWAY, HOUR, PURCHASE_ID, RECEIVER, TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.store.gateway_states import GatewayState

TOO_MUCH, FAILED = "pull.too_much", "pull.failed"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ClaimsStage]:
    """Books with nothing in them, and a gateway with an empty list."""
    async with open_claims_stage(tmp_path) as stage:
        yield stage


def state(stage: ClaimsStage) -> GatewayState:
    found = stage.books.store.read.gateways.by_id(GATEWAY)
    assert found is not None
    return found


def spans(stage: ClaimsStage) -> list[tuple[float, float]]:
    """What was asked for, in minutes from the beginning of the books; it is forgotten then."""
    asked = [((since - START) / minutes(1), (until - START) / minutes(1)) for since, until in stage.gateway.pulls]
    stage.gateway.pulls.clear()
    return asked


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def gapless(asked: list[tuple[datetime, datetime]]) -> bool:
    return all(until == since for (_, until), (since, _) in itertools.pairwise(asked))


# --- what is asked for


async def test_the_first_reading_goes_back_as_far_as_the_list(stage: ClaimsStage) -> None:
    """Forty-seven hours in pieces of two, without a gap."""
    await stage.read_list()
    asked = stage.gateway.pulls
    assert (asked[0][0], asked[-1][1]) == (START - LIST_REACHES_BACK, START)
    assert gapless(asked)
    assert [until - since for since, until in asked] == [PIECE] * 23 + [timedelta(hours=1)]
    assert (state(stage).swept_until, state(stage).swept_at) == (START, START)


async def test_later_readings_overlap(stage: ClaimsStage) -> None:
    """What shows up late is read the next time: half an hour is read again."""
    await stage.read_list()
    spans(stage)
    stage.pass_by(5 * MINUTE)
    await stage.read_list()
    assert spans(stage) == [(-30.0, 5.0)]


async def test_the_list_waits_while_books_are_taken_back(stage: ClaimsStage) -> None:
    """What it tells may stand in them, and so may the gateway's address; it is read before M-Pesa forgets it."""
    store = stage.books.store
    await store.write(lambda tx: tx.sync.enrol(SITE))
    await store.write(lambda tx: tx.sync.come_to(SyncPhase.APART))
    await stage.read_list()
    assert stage.gateway.pulls == []
    assert store.read.gateways.by_id(GATEWAY) is None
    await store.write(lambda tx: tx.sync.come_to(SyncPhase.IN_STEP))
    await stage.read_list()
    spans(stage)
    await store.write(lambda tx: tx.sync.come_to(SyncPhase.APART))
    stage.pass_by(39 * AN_HOUR)
    await stage.read_list()
    assert stage.gateway.pulls == []
    stage.pass_by(2 * AN_HOUR)
    await stage.read_list()
    assert stage.gateway.pulls != []


async def test_after_an_absence_all_of_it_is_read(stage: ClaimsStage) -> None:
    """Three hours in two pieces."""
    await stage.read_list()
    spans(stage)
    stage.pass_by(3 * AN_HOUR)
    await stage.read_list()
    assert spans(stage) == [(-30.0, 90.0), (90.0, 180.0)]


async def test_after_a_long_absence_no_more_is_asked_than_there_is(
    stage: ClaimsStage, caplog: pytest.LogCaptureFixture
) -> None:
    """A month later the list reaches back two days all the same, and people are told to look by hand."""
    await stage.read_list()
    stage.gateway.pulls.clear()
    stage.pass_by(30 * 24 * AN_HOUR)
    with caplog.at_level(logging.WARNING):
        await stage.read_list()
    assert stage.gateway.pulls[0][0] == stage.books.now() - LIST_REACHES_BACK
    assert [record.getMessage() for record in caplog.records] == [
        f"the list of {GATEWAY} was last read at 2026-11-21 06:00: older payments can only be found by hand"
    ]


async def test_it_warns_before_anything_is_lost(stage: ClaimsStage, caplog: pytest.LogCaptureFixture) -> None:
    """From forty hours on; once, however often it is tried in vain."""
    await stage.read_list()
    stage.pass_by(40 * AN_HOUR)
    for warnings in (0, 1, 1, 1):
        stage.gateway.pull_answers.append(unavailable())
        with pytest.raises(UnavailableError):
            await stage.read_list()
        assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == warnings
        stage.pass_by(PAUSE_SECONDS)


async def test_too_much_at_once_is_asked_for_in_halves(stage: ClaimsStage) -> None:
    """Until it is little enough; then on from there, without a gap."""
    stage.gateway.pull_answers += [unavailable(TOO_MUCH), unavailable(TOO_MUCH), []]
    await stage.read_list()
    asked = stage.gateway.pulls
    begin = START - LIST_REACHES_BACK
    assert asked[:3] == [(begin, begin + PIECE), (begin, begin + PIECE / 2), (begin, begin + PIECE / 4)]
    assert gapless(asked[2:])
    assert asked[-1][1] == START


async def test_what_is_too_much_in_a_minute_is_given_up(stage: ClaimsStage) -> None:
    """No list is that full: halving ends, and it is tried again later."""
    stage.gateway.pull_answers += [unavailable(TOO_MUCH)] * 100
    with pytest.raises(UnavailableError):
        await stage.read_list()
    assert len(stage.gateway.pulls) < 12
    assert stage.sweep.cut_off(GATEWAY)


# --- what is found


async def test_what_is_listed_is_booked(stage: ClaimsStage) -> None:
    """Nobody's money is kept; a purchase's settles it, and the routers are told."""
    await stage.prompt()
    paid_at = START - minutes(1)
    stage.gateway.records = [
        money_record(receipt=TODAY, paid_at=START),
        money_record(receipt=TODAY_TOO, payer=Payer(), paid_at=paid_at),
    ]
    await stage.read_list()
    assert stage.payment(TODAY).purchase_id == PURCHASE_ID
    assert stage.payment(TODAY_TOO).disposition is Disposition.UNMATCHED
    assert TENANT in stage.granted


async def test_what_is_told_again_changes_nothing(stage: ClaimsStage) -> None:
    """No evidence, no event, no bell, however often it is listed."""
    await stage.prompt()
    stage.gateway.records = [money_record(receipt=TODAY), money_record(receipt=TODAY_TOO, payer=Payer())]
    await stage.read_list()  # in each of its pieces
    tables = ("evidence", "payments", "grants", "entries", "customers")
    before = [stage.books.count(table) for table in tables], stage.books.events()
    assert before[0][:3] == [2, 2, 1]
    stage.granted.clear()
    for _ in range(3):
        stage.pass_by(MINUTE)
        await stage.read_list()
    assert ([stage.books.count(table) for table in tables], stage.books.events()) == before
    assert stage.granted == []


async def test_a_payment_that_shows_up_late_is_found(stage: ClaimsStage) -> None:
    """It was made before the last reading, and listed only after it."""
    await stage.read_list()
    stage.pass_by(5 * MINUTE)
    stage.gateway.records = [money_record(receipt=TODAY, payer=Payer(), paid_at=START - minutes(20))]
    await stage.read_list()
    assert stage.payment(TODAY).disposition is Disposition.UNMATCHED


# --- failing


async def test_a_failure_half_way_loses_nothing(stage: ClaimsStage) -> None:
    """What was read is booked and stays read; the rest is read the next time, and only then all is covered."""
    begin = START - LIST_REACHES_BACK
    stage.gateway.pull_answers += [[money_record(receipt=TODAY, payer=Payer())], [], unavailable()]
    with pytest.raises(UnavailableError):
        await stage.read_list()
    assert stage.payment(TODAY).amount == HOUR.price
    assert (state(stage).swept_until, state(stage).swept_at) == (begin + 2 * PIECE, None)
    stage.gateway.pulls.clear()
    late = money_record(receipt=TODAY_TOO, payer=Payer(), paid_at=begin + 2 * PIECE + minutes(1))
    stage.gateway.records = [late]
    stage.pass_by(MINUTE)
    await stage.read_list()
    assert (stage.gateway.pulls[0][0], stage.gateway.pulls[-1][1]) == (begin + 2 * PIECE - OVERLAP, stage.books.now())
    assert gapless(stage.gateway.pulls)
    assert stage.payment(TODAY_TOO).amount == HOUR.price
    assert state(stage).swept_at == stage.books.now()


async def test_a_list_that_fails_again_and_again_is_never_taken_for_read(stage: ClaimsStage) -> None:
    """Nor does what was read before become less, however small the pieces that still go through."""
    await stage.read_list()
    stage.pass_by(10 * AN_HOUR)
    for _ in range(5):
        stage.pass_by(MINUTE)
        stage.gateway.pull_answers += [unavailable(TOO_MUCH)] * 6 + [[], unavailable()]
        with pytest.raises(UnavailableError):
            await stage.read_list()
        assert (state(stage).swept_until, state(stage).swept_at) == (START, START)


async def test_an_empty_piece_that_is_told_as_a_failure_is_no_obstacle(stage: ClaimsStage) -> None:
    """M-Pesa may say that listing failed where there was nothing to list: a night without customers."""
    await stage.read_list()
    stage.gateway.pulls.clear()
    stage.pass_by(8 * AN_HOUR)
    stage.gateway.pull_answers += [unavailable(FAILED)]
    stage.gateway.records = [money_record(receipt=TODAY, payer=Payer(), paid_at=stage.books.now() - minutes(5))]
    await stage.read_list()
    now = stage.books.now()
    assert stage.gateway.pulls == [(START - OVERLAP, START - OVERLAP + PIECE), (now - LIST_REACHES_BACK, now)]
    assert state(stage).swept_at == now
    assert stage.payment(TODAY).amount == HOUR.price


async def test_where_all_fails_nothing_is_taken_for_read(stage: ClaimsStage) -> None:
    """With nothing in two days nobody can tell an empty list from a failure; M-Pesa answers, all the same."""
    stage.gateway.pull_answers += [unavailable(FAILED)] * 100
    with pytest.raises(UnavailableError):
        await stage.read_list()
    assert len(stage.gateway.pulls) == 2
    assert (state(stage).swept_until, state(stage).swept_at) == (None, None)
    assert not stage.sweep.cut_off(GATEWAY)


async def test_it_is_cut_off_from_the_failure_to_the_next_success(stage: ClaimsStage) -> None:
    """And not before the first try."""
    assert not stage.sweep.cut_off(GATEWAY)
    stage.gateway.pull_answers.append(unavailable())
    with pytest.raises(UnavailableError):
        await stage.read_list()
    assert stage.sweep.cut_off(GATEWAY)
    assert not stage.sweep.cut_off("till")
    stage.pass_by(PAUSE_SECONDS)
    await stage.read_list()
    assert not stage.sweep.cut_off(GATEWAY)


@pytest.mark.parametrize("error", [refused(), InvalidError("daraja.url", "No such address.")])
async def test_a_refusal_is_said_and_not_fatal(
    stage: ClaimsStage, caplog: pytest.LogCaptureFixture, error: InvalidError
) -> None:
    """Once: it stands until somebody puts the set-up right, and then all goes on."""
    for _ in range(3):
        stage.gateway.set_up_answers.append(error)
        assert await stage.read_list() is None
        assert not stage.sweep.cut_off(GATEWAY)  # M-Pesa is there, and says no
        stage.pass_by(5 * MINUTE)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert said == [f"the list of {GATEWAY} is refused: {error}"]
    assert stage.gateway.pulls == []
    await stage.read_list()
    assert not stage.sweep.cut_off(GATEWAY)
    assert state(stage).swept_at == stage.books.now()


async def test_a_list_that_is_refused_is_no_longer_read(stage: ClaimsStage) -> None:
    """Registered it is, and asking is refused: the same."""
    stage.gateway.pull_answers.append(refused())
    assert await stage.read_list() is None
    assert not stage.sweep.cut_off(GATEWAY)
    assert state(stage).swept_until is None


# --- registering


async def test_it_is_registered_once(stage: ClaimsStage) -> None:
    """With the nominated number and a secret address of ours; a restart does not do it again."""
    await stage.read_list()
    stage.pass_by(MINUTE)
    await stage.read_list()
    stage.pass_by(MINUTE)
    await SweepService(stage.settlement).round(RECEIVER, stage.gateway, NOMINATED, BASE)
    token = await stage.sweep.notice_token(GATEWAY)
    assert stage.gateway.pull_registrations == [(NOMINATED, f"{BASE}/t/{token}")]
    assert state(stage).pull_registered_at == START


async def test_registering_in_vain_is_tried_again(stage: ClaimsStage) -> None:
    """Nothing is asked before it."""
    stage.gateway.set_up_answers.append(unavailable())
    with pytest.raises(UnavailableError):
        await stage.read_list()
    assert (stage.gateway.pulls, state(stage).pull_registered_at) == ([], None)
    stage.pass_by(PAUSE_SECONDS)
    await stage.read_list()
    assert len(stage.gateway.pull_registrations) == 1


async def test_a_gateway_has_one_secret(stage: ClaimsStage) -> None:
    """Whoever asks first, and whoever at the same time: the address M-Pesa is told must be the one that is kept."""
    tokens = await asyncio.gather(*(stage.sweep.notice_token(GATEWAY) for _ in range(5)))
    assert {*tokens} == {state(stage).notice_token}
    assert await stage.sweep.notice_token("till") not in tokens


# --- how often


async def test_it_is_read_three_times_a_minute_at_most(stage: ClaimsStage) -> None:
    """However often it is called; it says how long to wait."""
    await stage.read_list()
    stage.gateway.pulls.clear()
    for second in range(1, 60):
        stage.pass_by(1)
        waits = await stage.read_list()
        assert waits == (None if second % 20 == 0 else 20 - second % 20)
    assert len(stage.gateway.pulls) == 2


async def test_in_vain_it_is_tried_no_more_often(stage: ClaimsStage) -> None:
    """While M-Pesa is away those who ask are told so again, without M-Pesa being asked."""
    for _ in range(60):
        stage.gateway.pull_answers.clear()
        stage.gateway.pull_answers.append(unavailable())
        with pytest.raises(UnavailableError, match="unreachable: No answer of use"):
            await stage.read_list()
        stage.pass_by(1)
    assert len(stage.gateway.pulls) == 3


async def test_those_who_wait_are_told_how_long(stage: ClaimsStage) -> None:
    """Until the pause is over, or as long as M-Pesa said."""
    stage.gateway.pull_answers.append(UnavailableError("busy", "Too often.", retry_after_seconds=45.0))
    with pytest.raises(UnavailableError):
        await stage.read_list()
    stage.pass_by(5)
    with pytest.raises(UnavailableError) as caught:
        await stage.read_list()
    assert caught.value.retry_after_seconds == 45.0


async def test_a_refusal_is_not_asked_for_more_often(stage: ClaimsStage) -> None:
    """Bells ring for every claim; M-Pesa need not hear each."""
    asked = 0
    for _ in range(60):
        stage.gateway.set_up_answers.append(refused())
        await stage.read_list()
        asked += not stage.gateway.set_up_answers
        stage.gateway.set_up_answers.clear()
        stage.pass_by(1)
    assert asked == 3


async def test_two_at_once_are_one(stage: ClaimsStage) -> None:
    """A reading that takes long is not joined by a second one."""
    await stage.read_list()
    stage.gateway.pulls.clear()
    stage.pass_by(MINUTE)
    stage.gateway.hold()
    first = asyncio.create_task(stage.read_list())
    await settle_down()
    assert await stage.read_list() == PAUSE_SECONDS
    stage.gateway.open.set()
    await first
    assert len(stage.gateway.pulls) == 1


async def test_a_restart_keeps_the_pause(stage: ClaimsStage) -> None:
    """A daemon that starts again and again does not ask again and again."""
    await stage.read_list()
    stage.gateway.pulls.clear()
    stage.pass_by(5)
    again = SweepService(stage.settlement)
    assert await again.round(RECEIVER, stage.gateway, NOMINATED, BASE) == 15.0
    assert stage.gateway.pulls == []


async def test_while_queries_are_late_it_is_read_more_often(stage: ClaimsStage) -> None:
    """It answers for all who wait at once."""
    await stage.prompt(query_at=START)
    assert await stage.read_list() is None
    stage.pass_by(QUERIES_LATE.total_seconds())
    assert await stage.read_list() is None
    stage.pass_by(PAUSE_SECONDS)
    assert await stage.read_list() == IMPATIENT_SECONDS
