"""What boxes found wrong themselves, as alarms of the hub: pure. Whoever publishes for a box is not there to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easyisp_edge.hub.alarms import as_detail
from easyisp_edge.hub.instants import HOUR, instant, read_instant
from easyisp_edge.hub.store.alarms import Alarm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easyisp_edge.hub.batches import Line

EVENT: Final = "sync.alarm"
# Each has words of its own; all others share a kind, so that a box cannot make rows as it likes.
_KNOWN: Final = frozenset(
    {"config.old", "config.refused", "config.withdrawn", "forged", "fork.refused", "lost", "message"}
)
# The hub notes these itself.
_SEEN_HERE: Final = frozenset({"ahead", "fork", "parked"})
_TIMES_MOST: Final = 1_000_000


def box_alarms(site_id: str, lines: Iterable[Line], now: str) -> list[Alarm]:
    """Those among a site's events, each kind and hour once, at the time the box says; never in the future."""
    found: dict[tuple[str, str], Alarm] = {}
    for line in lines:
        if line.kind != EVENT or line.data is None or line.key in _SEEN_HERE:
            continue
        kind = f"box.{line.key}" if line.key in _KNOWN else "box"
        at = _not_later(line.at, now)
        times, said = line.data.get("times"), str(line.data.get("detail") or "")
        one = Alarm(
            site_id,
            kind,
            at[:HOUR],
            times if type(times) is int and 0 < times <= _TIMES_MOST else 1,
            at,
            at,
            as_detail(said if line.key in _KNOWN else f"{line.key}: {said}"),
        )
        before = found.get((kind, at[:HOUR]))
        if before is not None:
            one = one._replace(times=before.times + one.times, first_at=before.first_at)
        found[kind, at[:HOUR]] = one
    return list(found.values())


def _not_later(told: str, now: str) -> str:
    at = read_instant(told)
    return now if at is None else min(instant(at), now)
