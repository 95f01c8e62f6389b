"""Batches of events, from many boxes at once, into one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.hub.batches import judge, overlap
from easyisp_edge.hub.instants import HOUR, instant
from easyisp_edge.hub.projecting import Projection, as_row, sites_in
from easyisp_edge.hub.refusals import RequestRefused, counter_used
from easyisp_edge.hub.store.alarms import Alarm, add_alarms
from easyisp_edge.hub.store.sites import counters, take_counters
from easyisp_edge.hub.store.streams import add_events, add_projection_errors, digests_between, locked_heads, set_heads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from easyisp_edge.hub.batches import Batch, Taken
    from easyisp_edge.hub.store.database import Database, Transaction
    from easyisp_edge.hub.store.streams import Head
    from easyisp_edge.machine import Clock

Outcome = int | RequestRefused
"""The number up to which all is stored, or why nothing was."""


class _Judged(NamedTuple):
    batch: Batch
    taken: Taken


class Receiver:
    """Stores what boxes send, once.

    Args:
        database: Where.
        clock: For when it came.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def receive(self, batches: Sequence[Batch]) -> list[Outcome]:
        """Take in batches; what is answered is on the disk.

        Raises:
            UnavailableError: The database did not answer; nothing is certain, and nothing is lost by sending it again.
        """
        at = instant(self._clock.now())
        chosen = _one_each(batches)
        async with self._database.transaction() as tx:
            lanes = [(*lane, batch.counter, at) for lane, batch in chosen.items()]
            admitted = await take_counters(tx, lanes)
            welcome = [batch for key, batch in chosen.items() if key in admitted]
            outcomes = await _received(tx, welcome, at)
            answers = [outcomes[id(batch)] if id(batch) in outcomes else await _used(tx, batch) for batch in batches]
            await add_alarms(tx, _alarms(zip(batches, answers, strict=True), at))
        return answers


def _one_each(batches: Iterable[Batch]) -> dict[tuple[str, str], Batch]:
    """Of each stream one batch, the one with the highest counter: by what boxes promise there is no other."""
    return {(batch.site_id, batch.stream.value): batch for batch in sorted(batches, key=lambda batch: batch.counter)}


async def _used(tx: Transaction, batch: Batch) -> Outcome:
    return counter_used((await counters(tx, batch.site_id)).get(batch.stream.value, 0))


async def _received(tx: Transaction, batches: Sequence[Batch], at: str) -> dict[int, Outcome]:
    """Judge batches and store what is new; outcomes by the identity of the batch."""
    heads = await locked_heads(tx, ((batch.site_id, batch.stream.value) for batch in batches)) if batches else {}
    outcomes: dict[int, Outcome] = {}
    judged: list[_Judged] = []
    for batch in batches:
        outcome = await _judged(tx, batch, heads[batch.site_id, batch.stream.value])
        outcomes[id(batch)] = outcome if isinstance(outcome, RequestRefused) else outcome.last
        if not isinstance(outcome, RequestRefused) and outcome.fresh:
            judged.append(_Judged(batch, outcome))
    await _store(tx, judged, at)
    return outcomes


async def _judged(tx: Transaction, batch: Batch, known: Head) -> Taken | RequestRefused:
    span = overlap(batch, known.last)
    digests = {} if span is None else await digests_between(tx, batch.site_id, batch.stream.value, *span)
    try:
        return judge(batch, known, digests)
    except RequestRefused as refused:
        return refused


async def _store(tx: Transaction, judged: Sequence[_Judged], at: str) -> None:
    if not judged:
        return
    projection = Projection()
    events, heads = [], []
    for batch, (fresh, last, head) in judged:
        stream = batch.stream.value
        events += [(batch.site_id, stream, line.seq, batch.epoch, line.digest, line.body, at) for line in fresh]
        heads.append((batch.site_id, stream, last, head, at))
        projection.add(batch.site_id, batch.stream, fresh)
    await add_events(tx, events)
    await projection.put(tx)
    await set_heads(tx, heads)
    if projection.failures:
        await add_projection_errors(tx, [as_row(failure, at) for failure in projection.failures])
        told = sites_in(projection.failures)
        await add_alarms(tx, [_alarm(site_id, "projection", at, detail) for site_id, detail in told.items()])
    parked = {one.batch.site_id: line for one in judged for line in one.taken.fresh if line.body is None}
    if parked:
        await add_alarms(tx, [_alarm(site_id, "parked", at, str(line.seq)) for site_id, line in parked.items()])


def _alarms(answers: Iterable[tuple[Batch, Outcome]], at: str) -> list[Alarm]:
    """What was refused, each kind once a site."""
    found = {
        (batch.site_id, outcome.code): _alarm(batch.site_id, outcome.code, at, _said(batch, outcome))
        for batch, outcome in answers
        if isinstance(outcome, RequestRefused)
    }
    return list(found.values())


def _said(batch: Batch, outcome: RequestRefused) -> str:
    return f"{batch.stream.value}: {outcome.message}"


def _alarm(site_id: str, kind: str, at: str, detail: str) -> Alarm:
    return Alarm(site_id, kind, at[:HOUR], 1, at, at, detail)
