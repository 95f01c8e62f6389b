"""Batches of events, from many boxes at once, into one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.hub.batches import judge, overlap
from easyisp_edge.hub.box_alarms import box_alarms
from easyisp_edge.hub.instants import HOUR, instant
from easyisp_edge.hub.projecting import Projection, as_row, sites_in
from easyisp_edge.hub.refusals import RequestRefused, counter_used
from easyisp_edge.hub.store.alarms import Alarm, add_alarms
from easyisp_edge.hub.store.sites import CLOSED
from easyisp_edge.hub.store.streams import add_projection_errors, digests_between, events, locked, standings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from easyisp_edge.hub.batches import Batch, Taken
    from easyisp_edge.hub.store.database import Database, Row, Transaction
    from easyisp_edge.hub.store.streams import Standing
    from easyisp_edge.machine import Clock


class Stored(NamedTuple):
    """A batch is on the disk.

    Args:
        ack: The number up to which all of its stream is.
        config_version: Of the last configuration that was published for the site.
    """

    ack: int
    config_version: int


Outcome = Stored | RequestRefused | None
"""What became of a batch; None where its site is not any more what its signature was judged by: nothing was done."""

_Key = tuple[str, str]  # site and stream


class _Judged(NamedTuple):
    batch: Batch
    standing: Standing
    verdict: Taken | RequestRefused


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
        async with self._database.transaction() as tx:
            known = await locked(tx, map(_key, batches))
            theirs = [batch for batch in batches if _is_as_judged(batch, known.get(_key(batch)))]
            chosen = _one_each(theirs)
            judged = {
                key: await _judged(tx, batch, known[key])
                for key, batch in chosen.items()
                if batch.counter > known[key].counter
            }
            outcomes = {id(batch): _outcome(batch, judged.get(_key(batch)), known) for batch in theirs}
            answers = [outcomes.get(id(batch)) for batch in batches]
            await _store(tx, list(judged.values()), at)
            await add_alarms(tx, _alarms(zip(batches, answers, strict=True), at))
        return answers


def _key(batch: Batch) -> _Key:
    return batch.site_id, batch.stream.value


def _is_as_judged(batch: Batch, standing: Standing | None) -> bool:
    """Whether the box is still the site's, in the life it says."""
    return (
        standing is not None
        and (standing.public_key, standing.epoch) == (batch.public_key, batch.epoch)
        and standing.state != CLOSED
    )


def _one_each(batches: Iterable[Batch]) -> dict[_Key, Batch]:
    """Of each stream one batch, the one with the highest counter: by what boxes promise there is no other."""
    return {_key(batch): batch for batch in sorted(batches, key=lambda batch: batch.counter)}


async def _judged(tx: Transaction, batch: Batch, standing: Standing) -> _Judged:
    known = standing.head
    span = overlap(batch, known.last)
    digests = {} if span is None else await digests_between(tx, *_key(batch), *span)
    try:
        return _Judged(batch, standing, judge(batch, known, digests))
    except RequestRefused as refused:
        return _Judged(batch, standing, refused)


def _outcome(batch: Batch, judged: _Judged | None, known: Mapping[_Key, Standing]) -> Outcome:
    if judged is None:
        return counter_used(known[_key(batch)].counter)
    if judged.batch is not batch:
        return counter_used(judged.batch.counter)
    if isinstance(judged.verdict, RequestRefused):
        return judged.verdict
    return Stored(judged.verdict.last, judged.standing.config_version)


async def _store(tx: Transaction, judged: Sequence[_Judged], at: str) -> None:
    """Store what is new of batches whose counters are used by this."""
    projection, rows, parked = Projection(), [], {}
    own: list[Alarm] = []
    for batch, _, verdict in judged:
        if isinstance(verdict, RequestRefused):
            continue
        key = _key(batch)
        rows += [(*key, line.seq, batch.epoch, line.digest, line.body, at) for line in verdict.fresh]
        projection.add(batch.site_id, batch.stream, verdict.fresh)
        if batch.stream is Stream.MONEY:
            own += box_alarms(batch.site_id, verdict.fresh, at)
        if unread := [line.seq for line in verdict.fresh if line.body is None]:
            parked[batch.site_id] = unread[-1]
    await tx.put(*events(rows), *projection.puts(), standings([_standing(one, at) for one in judged]))
    if projection.failures:
        await add_projection_errors(tx, [as_row(failure, at) for failure in projection.failures])
        told = sites_in(projection.failures)
        await add_alarms(tx, [_alarm(site_id, "projection", at, detail) for site_id, detail in told.items()])
    if own:
        await add_alarms(tx, own)
    if parked:
        await add_alarms(tx, [_alarm(site_id, "parked", at, str(seq)) for site_id, seq in parked.items()])


def _standing(judged: _Judged, at: str) -> Row:
    """How a stream stands after a batch: its lane has moved on, and the stream itself where there was anything new."""
    batch, standing, verdict = judged
    lane = (*_key(batch), batch.counter, at)
    if isinstance(verdict, RequestRefused) or not verdict.fresh:
        return *lane, *standing.head, standing.received_at
    return *lane, verdict.last, verdict.head, at


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
