from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from easyisp_edge.daemon.bells import LoginsFirst
from easyisp_edge.daemon.routers import FreeradiusRounds
from easyisp_edge.errors import UnavailableError
from easyisp_edge.machine import Wake
from easyisp_edge.system import SystemClock

if TYPE_CHECKING:
    from easyisp_edge.services.access.freeradius import FreeradiusService


class FakeService:
    """Rounds in which something may happen, and that may fail."""

    def __init__(self) -> None:
        self.meanwhile: Any = lambda: None

    async def round(self) -> float | None:
        self.meanwhile()
        return None


async def rang(bell: Wake) -> bool:
    return await bell.wait(SystemClock(), 0)


async def test_the_logins_come_before_the_router() -> None:
    """Who rings for the router wakes the round; the router is woken when that is over, and once."""
    logins = Wake()
    first, second = LoginsFirst(logins), LoginsFirst(logins)
    rounds = FreeradiusRounds(cast("FreeradiusService", FakeService()), [first, second])
    first.ring()
    assert not await rang(first)
    assert await rang(logins)
    await rounds.round()
    assert await rang(first)
    assert not await rang(second)
    await rounds.round()
    assert not await rang(first)


async def test_a_database_that_is_away_keeps_nobody_on() -> None:
    """The router is woken all the same: who is over is put off by it."""
    service, bell = FakeService(), LoginsFirst(Wake())

    def fail() -> None:
        raise UnavailableError("freeradius.database", "away")

    service.meanwhile = fail
    bell.ring()
    with pytest.raises(UnavailableError):
        await FreeradiusRounds(cast("FreeradiusService", service), [bell]).round()
    assert await rang(bell)


async def test_a_ring_in_the_middle_is_for_the_next_round() -> None:
    """What it is about may not have been read any more."""
    service, logins = FakeService(), Wake()
    bell = LoginsFirst(logins)
    rounds = FreeradiusRounds(cast("FreeradiusService", service), [bell])
    service.meanwhile = bell.ring
    await rounds.round()
    assert not await rang(bell)
    assert await rang(logins)
    service.meanwhile = lambda: None
    await rounds.round()
    assert await rang(bell)
