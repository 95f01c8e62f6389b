"""Box time: never goes back, survives a machine that wakes up in 1970, and believes nobody at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from easyisp_edge.machine import ClockState

if TYPE_CHECKING:
    from easyisp_edge.machine import TimeSource

# No box was built before this; a clock that says so is not set.
BUILT_AFTER = datetime(2026, 11, 1, tzinfo=UTC)
# A step forward this large could end every session of a site: it must still stand a while later.
_LARGE_STEP = timedelta(minutes=10)
_LARGE_STEP_STANDS_SECONDS = 60.0
_DRIFT_IGNORED = timedelta(seconds=1)
_STEP_NOTICED = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class ClockMark:
    """Box time as it was last written down.

    Args:
        at: Box time.
        boot_id: Of the boot it was written in.
        since_boot: Seconds since that boot.
    """

    at: datetime
    boot_id: str
    since_boot: float


class BoxClock:
    """A `Clock` made from the machine's raw time and the last time written down.

    Box time goes on with the time since boot. The wall clock only moves it forward: at start when it is
    plausible, later when it is synchronised (and has been for a minute, if the step is large).
    """

    def __init__(self, source: TimeSource, last: ClockMark | None) -> None:
        self._source = source
        floor = _counted_on(source, last)
        wall = source.wall()
        believed = wall >= max(floor, BUILT_AFTER)
        self._base = wall if believed else max(floor, BUILT_AFTER)
        self._base_since_boot = source.since_boot()
        self._large_step_since: float | None = None
        self.state = ClockState.UNSET
        if believed:
            self.state = ClockState.SYNCED if source.synchronised() else ClockState.HOLDOVER
        # Over a power cut nobody knows how long it was, nor how wrong time was before it.
        goes_on = last is not None and last.boot_id == source.boot_id and self._base - floor <= _STEP_NOTICED
        self.set_at = BUILT_AFTER if goes_on else self._base
        """Since when box time has gone on without a step that matters."""

    def now(self) -> datetime:
        """Box time: aware UTC, never goes back."""
        return self._base + timedelta(seconds=self._source.since_boot() - self._base_since_boot)

    def monotonic(self) -> float:
        """Seconds since boot."""
        return self._source.since_boot()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await self._source.sleep(seconds)

    def mark(self) -> ClockMark:
        """What to write down, with every commit, so that a power cut never takes time back."""
        return ClockMark(self.now(), self._source.boot_id, self._source.since_boot())

    def look(self) -> None:
        """Compare with the wall clock and correct, forward only. To be called every few seconds."""
        if not self._source.synchronised():
            if self.state is ClockState.SYNCED:
                self.state = ClockState.HOLDOVER
            return
        step = self._source.wall() - self.now()
        if step > _LARGE_STEP and not self._stands():
            return
        self._large_step_since = None
        if step > _DRIFT_IGNORED:
            self._base += step
        if step > _STEP_NOTICED:
            self.set_at = self.now()
        self.state = ClockState.SYNCED

    def believe(self, told: datetime, *, since: float) -> None:
        """Take the time from somebody who is believed, forward only, while nobody else has told it.

        Args:
            told: The time, at some moment after `since`.
            since: Seconds since boot when it was asked for.
        """
        if self.state is not ClockState.UNSET:
            return
        half_way = timedelta(seconds=(self._source.since_boot() - since) / 2)
        step = told + half_way - self.now()
        if step > timedelta():
            self._base += step
        self.set_at = self.now()
        self.state = ClockState.HOLDOVER

    def _stands(self) -> bool:
        if self.state is ClockState.UNSET:
            return True  # nothing to protect: time was only being guessed
        if self._large_step_since is None:
            self._large_step_since = self.monotonic()
        return self.monotonic() - self._large_step_since >= _LARGE_STEP_STANDS_SECONDS


def _counted_on(source: TimeSource, last: ClockMark | None) -> datetime:
    if last is None:
        return BUILT_AFTER
    if last.boot_id != source.boot_id:
        return last.at  # how long the power was off, nobody knows
    return last.at + timedelta(seconds=max(0.0, source.since_boot() - last.since_boot))
