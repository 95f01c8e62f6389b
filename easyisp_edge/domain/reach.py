"""Whether an outside party answers, as far as the last tries tell."""

from __future__ import annotations

from dataclasses import dataclass

# One lost answer is no outage.
FAILURES_TO_TELL = 2
# After so long without a try nothing is known any more.
KNOWN_FOR_SECONDS = 600.0


@dataclass(slots=True)
class Reach:
    """How tries to reach a party went, in monotonic seconds.

    Args:
        failures: In a row.
        connected: Whether the last one that failed found somebody to talk to at all.
        failed_at: When that was.
    """

    failures: int = 0
    connected: bool = True
    failed_at: float = 0.0

    def answered(self) -> None:
        """It answered, whatever it said."""
        self.failures = 0

    def failed(self, now: float, *, connected: bool) -> None:
        """It did not answer, or could not even be connected to."""
        self.failures += 1
        self.connected = connected
        self.failed_at = now

    def is_away(self, now: float) -> bool:
        """Whether it does not answer of late."""
        return self.failures >= FAILURES_TO_TELL and now - self.failed_at <= KNOWN_FOR_SECONDS

    def is_cut_off(self, now: float) -> bool:
        """Whether not even a connection came about of late."""
        return self.is_away(now) and not self.connected
