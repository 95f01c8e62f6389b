"""What a box finds wrong is seen at the hub, by whoever published for it or looks after it from afar."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.events import GENESIS, Event, Stream, chain
from easyisp_edge.hub.batches import read_lines
from easyisp_edge.hub.box_alarms import box_alarms
from easyisp_edge.hub.instants import instant
from easyisp_edge.system import SystemClock
from tests.fakes.clocks import START
from tests.unit.hub.test_hub_fleet import staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.hub.store.alarms import Alarm
    from tests.fakes.hub_stage import Box
    from tests.unit.hub.test_hub_fleet import Stage

REFUSED = 'Configuration 2 of the hub: packages[1].tenant: there is no tenant "nosuch"'
NOW = instant(START)


@pytest.fixture
async def stage(tmp_path: Path, http: Any) -> AsyncIterator[Stage]:
    async with staged(tmp_path, SqliteAddress(tmp_path / "hub.sqlite"), http) as stage:
        yield stage


def alarm_event(key: str, data: dict[str, Any], *, kind: str = "sync.alarm", hours: float = 0.0) -> Event:
    at = START + timedelta(hours=hours)
    return chain(Stream.MONEY, 1, GENESIS, kind=kind, key=key, at=at, clock="synced", data=data)


def seen(*events: Event) -> list[Alarm]:
    return box_alarms("site", [line for event in events for line in read_lines(event.body, Stream.MONEY)], NOW)


async def test_a_configuration_that_a_box_refuses_is_seen_where_it_was_published(stage: Stage) -> None:
    """In the list and on the site's page, once however often it is sent."""
    box: Box = await stage.box("Kibera market")
    data = {"times": 3, "detail": REFUSED}
    event = chain(
        Stream.MONEY, 1, GENESIS, kind="sync.alarm", key="config.refused", at=SystemClock().now(), clock="synced",
        data=data,
    )  # fmt: skip
    for _ in range(2):
        assert (await box.post(Stream.MONEY, [event.body])).status == 200
    (told,) = await stage.api("alarms")
    assert (told["site"], told["kind"], told["times"], told["detail"]) == (box.site, "box.config.refused", 3, REFUSED)
    _, text, _ = await stage.get(f"/fleet/{box.site}")
    assert "the box cannot use the configuration that was published" in text


def test_alarms_of_a_box_are_as_old_as_it_says_and_never_of_the_future() -> None:
    """A month that is told at once raises nothing anew; a clock that is ahead hides nothing."""
    (old,) = seen(alarm_event("forged", {"times": 2, "detail": "x"}, hours=-300))
    assert (old.last_at, old.hour, old.times) == (instant(START - timedelta(hours=300)), old.last_at[:13], 2)
    (early,) = seen(alarm_event("forged", {"times": 2, "detail": "x"}, hours=9))
    assert early.last_at == NOW


def test_what_the_hub_notes_itself_is_not_told_twice_and_other_events_are_none() -> None:
    """Forks and what is parked have alarms of their own there."""
    events = [alarm_event(key, {"detail": "x"}) for key in ("fork", "parked", "ahead")]
    assert seen(*events, alarm_event("forged", {"detail": "x"}, kind="payment.booked")) == []


def test_a_box_cannot_make_rows_as_it_likes() -> None:
    """Kinds nobody knows are one kind, those of an hour one row, and words are cut and plain."""
    events = [alarm_event(f"kind-{number}\0\u202e", {"times": True, "detail": "y" * 999}) for number in range(50)]
    (one,) = seen(*events, alarm_event("k", {"times": 10**30, "detail": {"deep": 1}}), alarm_event("k", {}))
    assert (one.kind, one.times, one.detail) == ("box", 52, "k: ")
    (one,) = seen(events[0])
    assert len(one.detail) <= 200
    assert one.detail.isprintable()
    assert one.detail.isascii()
