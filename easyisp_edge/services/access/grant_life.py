"""What happens to a grant between its purchase and its end: each is one step within a transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.store.store import Tables

# How often a grant may follow its buyer to another device within a day.
MOVES_PER_DAY = 3
# How often its buyer may have it stand aside within a day: each time the router is told.
PAUSES_PER_DAY = 12


def start(tx: Tables, grant: Grant, at: datetime) -> Grant:
    """Let its time run; as it is where it runs already, or is over."""
    if grant.state not in {GrantState.WAITING, GrantState.PAUSED}:
        return grant
    running = grant.started(at)
    tx.grants.update(running)
    ends_at = None if running.ends_at is None else running.ends_at.isoformat()
    _tell(tx, "grant.started", grant, {"seconds": running.seconds_left, "endsAt": ends_at})
    return running


def pause(tx: Tables, grant: Grant, now: datetime) -> Grant:
    """Set a running grant aside."""
    paused = grant.paused(now)
    tx.grants.update(paused)
    _tell(tx, "grant.paused", grant, {"seconds": paused.seconds_left})
    return paused


def take_off(tx: Tables, grant: Grant, now: datetime) -> Grant:
    """Have a running grant let nobody on, as its buyer wants it; its time by the clock runs on."""
    if grant.state is not GrantState.RUNNING or grant.off_since is not None:
        return grant
    off = replace(grant, off_since=now)
    tx.grants.update(off)
    _tell(tx, "grant.off", grant, {})
    return off


def let_on_again(tx: Tables, grant: Grant) -> Grant:
    """Have it let its devices on again; as it is where it does."""
    if grant.off_since is None:
        return grant
    on = replace(grant, off_since=None)
    tx.grants.update(on)
    _tell(tx, "grant.on_again", grant, {})
    return on


def extend(tx: Tables, grant: Grant, span: timedelta) -> Grant:
    """Give one that is not over more time by the clock: its end moves, or what it has left before it runs grows."""
    seconds = int(span.total_seconds())
    if grant.ends_at is None:
        longer = replace(grant, seconds_left=grant.seconds_left + seconds)
    else:
        longer = replace(grant, ends_at=grant.ends_at + timedelta(seconds=seconds))
    tx.grants.update(longer)
    ends_at = None if longer.ends_at is None else longer.ends_at.isoformat()
    _tell(tx, "grant.extended", grant, {"seconds": seconds, "endsAt": ends_at})
    return longer


def end(tx: Tables, grant: Grant, cause: str, now: datetime) -> Grant:
    """End it; once is enough."""
    if grant.state is GrantState.ENDED:
        return grant
    ended = grant.ended(now)
    tx.grants.update(ended)
    _tell(tx, "grant.ended", grant, {"cause": cause})
    return ended


def follow(tx: Tables, grant: Grant, mac: MacAddress, now: datetime, **because: str) -> Grant | None:
    """Let it follow its buyer to another device; None where it has been moved often enough today."""
    moves = tx.events.count_since(grant.grant_id, "grant.moved", now - timedelta(days=1))
    return None if moves >= MOVES_PER_DAY else move(tx, grant, mac, **because)


def move(tx: Tables, grant: Grant, mac: MacAddress, **because: str) -> Grant:
    """Move it to another device, however often that was done."""
    moved = replace(grant, mac=mac, off_since=None)  # whoever moves it wants to be on
    tx.grants.update(moved)
    _tell(tx, "grant.moved", grant, {"mac": mac.text, **because})
    return moved


def _tell(tx: Tables, kind: str, grant: Grant, data: dict[str, object]) -> None:
    tx.events.append(Stream.MONEY, kind, grant.grant_id, data)
