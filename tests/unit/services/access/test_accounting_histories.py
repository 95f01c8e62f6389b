"""True histories of sessions against the books: reboots, ids that come round, packets lost, late and doubled."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.logins import UsageKind, UsageReport
from tests.unit.services.access.accounting_desk import USER, accounting_desk
from tests.unit.shop import MAC, OTHER_MAC, ROUTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easyisp_edge.domain.values import MacAddress
    from tests.unit.services.access.accounting_desk import AccountingDesk

INTERIM_SECONDS = 60
LATE_MAX = 10
BOOT_SECONDS = 41
LOOK_SECONDS = 20


class Packet(NamedTuple):
    """A report, and when it comes; so often."""

    report: UsageReport
    arrivals: list[float]


@dataclass(frozen=True)
class Life:
    """What happens on a router before the next session, in it, and at its end.

    Args:
        pause: Seconds before it.
        length: Seconds it takes.
        rate: Octets per second.
        power_cut: Whether a power cut ends it.
        fates: Of its packets, one after the other: how late each copy comes; none for a lost one.
    """

    pause: int
    length: int
    rate: int
    power_cut: bool
    fates: list[tuple[float, ...]]


@dataclass(frozen=True)
class Truth:
    """A session as it really was.

    Args:
        began: When.
        life: How it went.
        packets: What was sent of it.
    """

    began: int
    life: Life
    packets: list[Packet]

    @property
    def heard(self) -> list[UsageReport]:
        """What came, in the order it was sent."""
        return [packet.report for packet in self.packets if packet.arrivals]


def history(lives: list[Life], boots: int, router_id: str, mac: MacAddress) -> Iterator[Truth]:
    """What a router really did, and sent; its ids come round after so many boots."""
    now, boot, count = 0, 0, 0
    for life in lives:
        now, count = now + life.pause, count + 1
        yield Truth(now, life, list(packets(life, now, f"80{boot:x}{count:05x}", router_id, mac)))
        now += life.length
        if life.power_cut:
            now, boot, count = now + BOOT_SECONDS, (boot + 1) % boots, 0


def packets(life: Life, began: int, session_id: str, router_id: str, mac: MacAddress) -> Iterator[Packet]:
    """What a router sends of a session."""
    moments = [(UsageKind.START, 0)]
    moments += [(UsageKind.INTERIM, seconds) for seconds in range(INTERIM_SECONDS, life.length, INTERIM_SECONDS)]
    moments += [] if life.power_cut else [(UsageKind.STOP, life.length)]
    for number, (kind, seconds) in enumerate(moments):
        octets = seconds * life.rate
        report = UsageReport(router_id, kind, session_id, USER, None, mac, None, seconds, octets, 2 * octets, "")
        late = life.fates[number % len(life.fates)]
        yield Packet(report, [began + seconds + delay for delay in late])


FATES = st.lists(st.floats(0, LATE_MAX), max_size=3).map(tuple) | st.just((0.0,))
LIVES = st.lists(
    st.builds(
        Life,
        pause=st.integers(1, 400),
        length=st.integers(0, 700),
        rate=st.integers(0, 10**6),
        power_cut=st.booleans(),
        fates=st.lists(FATES, min_size=1, max_size=13),
    ),
    min_size=1,
    max_size=8,
)


async def live_through(desk: AccountingDesk, truths: list[Truth]) -> None:
    """Let it all happen, with looks for silence in between, until long after the end."""
    arrivals = [
        (at, number, packet.report)
        for number, packet in enumerate(packet for truth in truths for packet in truth.packets)
        for at in packet.arrivals
    ]
    end = int(max((at for at, _, _ in arrivals), default=0)) + 10 * INTERIM_SECONDS
    looks = [(float(at), -1, None) for at in range(0, end, LOOK_SECONDS)]
    now = 0.0
    for at, _, report in sorted([*arrivals, *looks], key=lambda each: each[:2]):
        desk.time.advance(at - now)
        now = at
        if report is None:
            await desk.service.silence_round()
        else:
            await desk.report(report)


def check_against(desk: AccountingDesk, truth: Truth) -> None:
    """Hold the books against one session that was heard of."""
    first, last = truth.heard[0], truth.heard[-1]
    rows = desk.sql.execute(
        "SELECT seconds, octets_in, octets_out, stopped_at IS NOT NULL FROM sessions"
        " WHERE router_id = ? AND acct_session_id = ? AND abs(julianday(started_at) * 86400 - ?) <= ?",
        (first.router_id, first.session_id, _julian_seconds(desk) + truth.began + LATE_MAX / 2, LATE_MAX / 2 + 0.5),
    ).fetchall()
    assert len(rows) == 1, truth
    seconds, octets_in, octets_out, over = rows[0]
    assert over
    assert (octets_in, octets_out) == (last.octets_in, last.octets_out)
    if last.kind is UsageKind.STOP:
        assert seconds == truth.life.length
        return
    lost = (truth.life.length - last.seconds) // INTERIM_SECONDS
    half = INTERIM_SECONDS / 2
    assert last.seconds <= seconds <= last.seconds + half
    assert abs(seconds - truth.life.length) <= half + lost * INTERIM_SECONDS + LATE_MAX / 2 + 1


def _julian_seconds(desk: AccountingDesk) -> float:
    began = desk.service.listening_since.isoformat()
    return float(desk.sql.execute("SELECT julianday(?) * 86400", (began,)).fetchone()[0])


@settings(deadline=None, max_examples=150)
@given(LIVES, LIVES, st.integers(1, 3))
def test_the_books_say_what_happened(lives: list[Life], elsewhere: list[Life], boots: int) -> None:
    """Each session that was heard of stands in the books once, with the octets that were last reported.

    Its length is exact where its end was heard; else it is off by half an interval and by those that were lost. What
    the grant used is the sum, whatever happened: two devices on two routers, each with its own lives.
    """
    desk = accounting_desk()
    truths = [*history(lives, boots, ROUTER, MAC), *history(elsewhere, boots, "second", OTHER_MAC)]
    asyncio.run(live_through(desk, truths))
    heard = [truth for truth in truths if truth.heard]
    assert len(desk.sessions()) == len(heard)
    for truth in heard:
        check_against(desk, truth)
    seconds, octets = desk.used()
    assert octets == sum(truth.heard[-1].octets_in + truth.heard[-1].octets_out for truth in heard)
    assert octets <= sum(3 * truth.life.rate * truth.life.length for truth in truths)
    assert desk.tx.sessions.open_of_grant("grant-1") == []
    assert seconds == sum(row.seconds for row in desk.sessions())
