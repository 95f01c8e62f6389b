"""Guessing of logins: whoever is wrong too often is not listened to for a while."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.machine import Clock

# Devices remembered at most; then the one that was wrong longest ago is forgotten.
DEVICES_MAX = 4096


@dataclass(frozen=True, slots=True)
class LockoutLimits:
    """How often wrong is too often.

    Args:
        device: Wrong tries of one device within the span.
        site: Of all devices behind one router together.
        span_seconds: Within this span; after it without too many, tries count again.
    """

    device: int = 5
    site: int = 60
    span_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Lockout:
    """Counts wrong tries, per device and per router.

    Kept in memory alone: a restart forgets them, and nobody who guesses can bring one about.

    Args:
        clock: Box time.
        limits: How often is too often.
    """

    clock: Clock
    limits: LockoutLimits = LockoutLimits()
    _devices: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)
    _sites: dict[str, deque[float]] = field(default_factory=dict)

    def is_out(self, router_id: str, device: str) -> bool:
        """Whether a device, or all behind its router, were wrong too often of late."""
        own, site = self._devices.get(device), self._sites.get(router_id)
        return self._count(own) >= self.limits.device or self._count(site) >= self.limits.site

    def wrong(self, router_id: str, device: str) -> None:
        """It was wrong once more."""
        now = self.clock.monotonic()
        own = self._devices.setdefault(device, deque(maxlen=self.limits.device))
        self._devices.move_to_end(device)
        own.append(now)
        self._sites.setdefault(router_id, deque(maxlen=self.limits.site)).append(now)
        if len(self._devices) > DEVICES_MAX:
            self._devices.popitem(last=False)

    def _count(self, tries: deque[float] | None) -> int:
        if tries is None:
            return 0
        since = self.clock.monotonic() - self.limits.span_seconds
        while tries and tries[0] < since:
            tries.popleft()
        return len(tries)
