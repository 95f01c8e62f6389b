"""What was asked lately."""

from __future__ import annotations

from datetime import UTC, datetime

from easyisp_edge.adapters.radius.duplicates import DuplicateCache
from easyisp_edge.machine import ClockState, UdpAddress

ROUTER = UdpAddress("10.5.88.1", 40000)
REQUEST = bytes(range(40))


class HandClock:
    """A clock that moves when told."""

    state = ClockState.SYNCED

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_request_is_the_same_by_source_code_identifier_and_authenticator() -> None:
    """RFC 5080 section 2.2.2; length and attributes say nothing about it."""
    key = DuplicateCache.key(ROUTER, REQUEST)
    assert DuplicateCache.key(ROUTER, REQUEST[:2] + b"xx" + REQUEST[4:20] + b"other") == key
    assert DuplicateCache.key(UdpAddress("10.5.88.2", 40000), REQUEST) != key
    assert DuplicateCache.key(UdpAddress("10.5.88.1", 40001), REQUEST) != key
    for at in (0, 1, 4, 19):
        changed = bytearray(REQUEST)
        changed[at] ^= 1
        assert DuplicateCache.key(ROUTER, bytes(changed)) != key


def test_a_reply_is_kept_for_ten_seconds() -> None:
    """Long enough for every resend, and not for ever."""
    clock = HandClock()
    cache = DuplicateCache(clock)
    key = cache.key(ROUTER, REQUEST)
    assert cache.reply(key) is None
    cache.remember(key, b"reply")
    clock.seconds += 9.9
    assert cache.reply(key) == b"reply"
    clock.seconds += 0.1
    assert cache.reply(key) is None


def test_old_replies_are_let_go_whatever_is_asked_next() -> None:
    """Nothing stays in memory because nobody asked for it again."""
    clock = HandClock()
    cache = DuplicateCache(clock)
    for at in range(100):
        cache.remember((ROUTER, bytes([at])), b"reply")
    clock.seconds += 10
    cache.reply(cache.key(ROUTER, REQUEST))
    assert not cache._replies


def test_the_oldest_reply_goes_when_there_are_too_many() -> None:
    """Memory is bounded under any load."""
    cache = DuplicateCache(HandClock(), replies_max=3)
    keys = [(ROUTER, bytes([at])) for at in range(4)]
    for key in keys:
        cache.remember(key, key[1])
    assert [cache.reply(key) for key in keys] == [None, b"\1", b"\2", b"\3"]


def test_a_request_is_pending_from_begin_to_forget() -> None:
    """However long that takes."""
    clock = HandClock()
    cache = DuplicateCache(clock)
    key = cache.key(ROUTER, REQUEST)
    assert not cache.pending(key)
    cache.begin(key)
    clock.seconds += 1000
    assert cache.pending(key)
    cache.forget(key)
    assert not cache.pending(key)
