"""Guessing of passwords: it is stopped, and nobody is locked out for ever by it."""

from __future__ import annotations

import pytest

from easyisp_edge.errors import TooManyError
from easyisp_edge.services.staff.login_lockout import KEYS_MAX, LoginLimits, LoginLockout
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import ManualTime

MARY, JOHN, HOME, AWAY = "mary@x.ke", "john@x.ke", "10.0.0.2", "10.0.0.3"


class Stage:
    """A lockout with its time."""

    def __init__(self, **limits: int) -> None:
        self.time = ManualTime()
        self.lockout = LoginLockout(BoxClock(self.time, None), LoginLimits(**limits))

    def wrong(self, email: str, source: str, times: int = 1, *, is_known: bool = False) -> None:
        for _ in range(times):
            self.lockout.begin(email, source, is_known=is_known)

    def wait_of(self, email: str, source: str, *, is_known: bool = False) -> float:
        """How long nobody is listened to."""
        with pytest.raises(TooManyError) as refused:
            self.lockout.begin(email, source, is_known=is_known)
        assert refused.value.code == "login.locked"
        assert refused.value.retry_after_seconds is not None
        return refused.value.retry_after_seconds


def test_a_name_is_locked_where_it_was_tried() -> None:
    """After five tries, for as long as they count; from elsewhere, and for others, nothing has changed."""
    stage = Stage()
    stage.wrong(MARY, HOME, 4)
    stage.time.advance(100)
    assert stage.lockout.begin(MARY, HOME, is_known=False).is_last
    assert stage.wait_of(MARY, HOME) == 800
    stage.wrong(MARY, AWAY)
    stage.wrong(JOHN, HOME)
    stage.time.advance(799)
    stage.wait_of(MARY, HOME)
    stage.time.advance(1)
    stage.wrong(MARY, HOME, 4)
    stage.wait_of(MARY, HOME)


def test_a_try_that_nobody_looked_at_does_not_count() -> None:
    """Too many at once keep nobody out for longer: not the name there, nor the name anywhere, nor the address."""
    stage = Stage(here=2, email=2, source=2)
    stage.wrong(MARY, HOME)
    for _ in range(5):
        stage.time.advance(1)
        stage.lockout.unheard(stage.lockout.begin(MARY, HOME, is_known=False))
    stage.wrong(MARY, HOME)
    stage.wait_of(MARY, HOME)


def test_what_is_refused_does_not_count() -> None:
    """Who goes on trying is not locked the longer for it: a forgotten password in a program ends by itself."""
    stage = Stage()
    stage.wrong(MARY, HOME, 5)
    for _ in range(20):
        stage.time.advance(40)
        stage.wait_of(MARY, HOME)
    stage.time.advance(101)
    stage.wrong(MARY, HOME)


def test_an_address_that_tries_many_names_is_locked() -> None:
    """For all names, also those that do not exist; other addresses are not."""
    stage = Stage()
    for number in range(30):
        stage.wrong(f"name{number}@x.ke", HOME)
    stage.wait_of(MARY, HOME)
    stage.wait_of(MARY, HOME, is_known=True)
    stage.wrong(MARY, AWAY)


def test_nobody_is_locked_out_from_elsewhere() -> None:
    """A name that is tried from everywhere is locked, but not where its user is logged in."""
    stage = Stage()
    for number in range(50):
        stage.wrong(MARY, f"10.1.0.{number}")
    stage.wait_of(MARY, AWAY)
    stage.wrong(MARY, HOME, is_known=True)
    stage.time.advance(900)
    stage.wrong(MARY, AWAY)


def test_what_was_right_does_not_count() -> None:
    """However often somebody logs in; and what was wrong with that name there is forgotten, elsewhere it is not."""
    stage = Stage()
    for _ in range(100):
        stage.lockout.right(stage.lockout.begin(MARY, HOME, is_known=False))
    stage.wrong(MARY, HOME, 4)
    stage.wrong(MARY, AWAY, 5)
    stage.lockout.right(stage.lockout.begin(MARY, HOME, is_known=False))
    stage.wrong(MARY, HOME, 5)
    stage.wait_of(MARY, HOME)
    stage.wait_of(MARY, AWAY)


def test_logging_in_oneself_does_not_hide_guessing_others() -> None:
    """An address that guesses names is locked, also where one of them is its own and right."""
    stage = Stage(source=10)
    for number in range(10):
        stage.wrong(f"name{number}@x.ke", HOME)
        if number < 9:
            stage.lockout.right(stage.lockout.begin(JOHN, HOME, is_known=True))
    stage.wait_of(JOHN, HOME, is_known=True)


def test_memory_is_bounded() -> None:
    """Whatever is tried from wherever."""
    stage = Stage()
    for number in range(KEYS_MAX + 100):
        stage.wrong(f"name{number}@x.ke", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    counts = (stage.lockout._here, stage.lockout._sources, stage.lockout._emails)
    assert [len(each.moments) for each in counts] == [KEYS_MAX] * 3


def test_a_network_of_ipv6_is_one_address() -> None:
    """Whoever has one address of it has as many as it takes."""
    stage = Stage()
    for number in range(5):
        stage.wrong(MARY, f"2001:db8:1:2::{number}")
    stage.wait_of(MARY, "2001:db8:1:2:ffff::1")
    stage.wrong(MARY, "2001:db8:1:3::1")
