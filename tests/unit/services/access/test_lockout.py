"""Whoever is wrong too often is not listened to for a while."""

from __future__ import annotations

import pytest

from easyisp_edge.services.access.lockout import DEVICES_MAX, Lockout, LockoutLimits
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import ManualTime


@pytest.fixture
def time() -> ManualTime:
    return ManualTime()


@pytest.fixture
def lockout(time: ManualTime) -> Lockout:
    """The usual limits: 5 of a device and 60 of a site within ten minutes."""
    return Lockout(BoxClock(time, None))


def test_a_device_is_out_at_the_fifth_wrong_try(lockout: Lockout) -> None:
    """Not before, and no other device with it."""
    for _ in range(5):
        assert not lockout.is_out("main", "a")
        lockout.wrong("main", "a")
    assert lockout.is_out("main", "a")
    assert not lockout.is_out("main", "b")


def test_a_device_is_out_behind_every_router(lockout: Lockout) -> None:
    """It cannot begin anew by walking over."""
    for router in ("main", "main", "main", "second", "second"):
        lockout.wrong(router, "a")
    assert lockout.is_out("third", "a")


def test_it_lasts_until_one_of_the_tries_is_ten_minutes_old(lockout: Lockout, time: ManualTime) -> None:
    """Then one more is free, and no more than that until the next is as old."""
    for _ in range(5):
        lockout.wrong("main", "a")
        time.advance(60)
    time.advance(300)
    assert lockout.is_out("main", "a")
    time.advance(0.001)
    assert not lockout.is_out("main", "a")
    lockout.wrong("main", "a")
    assert lockout.is_out("main", "a")


def test_a_site_is_out_at_the_sixtieth_wrong_try(lockout: Lockout, time: ManualTime) -> None:
    """However many devices they came from: then nobody's receipt is listened to there for a while."""
    for number in range(60):
        assert not lockout.is_out("main", "honest")
        lockout.wrong("main", f"device {number}")
    assert lockout.is_out("main", "honest")
    assert not lockout.is_out("second", "honest")
    time.advance(600.001)
    assert not lockout.is_out("main", "honest")


def test_devices_that_come_and_go_take_no_room(time: ManualTime) -> None:
    """Whoever invents addresses fills no memory: those that were wrong longest ago are forgotten."""
    lockout = Lockout(BoxClock(time, None), LockoutLimits(device=1, site=10**6))
    for number in range(DEVICES_MAX + 1):
        lockout.wrong("main", str(number))
    assert len(lockout._devices) == DEVICES_MAX
    assert not lockout.is_out("main", "0")
    assert lockout.is_out("main", "1")
    lockout.wrong("main", "1")  # wrong of late: the next oldest goes instead
    lockout.wrong("main", "new")
    assert lockout.is_out("main", "1")
    assert not lockout.is_out("main", "2")


def test_what_is_kept_of_one_is_bounded(lockout: Lockout) -> None:
    """A thousand tries in a second are remembered as the last few."""
    for _ in range(1000):
        lockout.wrong("main", "a")
    assert len(lockout._devices["a"]) == 5
    assert len(lockout._sites["main"]) == 60
