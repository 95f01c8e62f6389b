"""How much is done: a whole run for figures, a quick one to see that every figure comes out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done.

    Args:
        rounds: Of each contest.
        seconds: Of load in a round.
        grants: In the books at the beginning.
        callbacks: In a round.
        purchases: Started in a round.
        logins: In a round.
        burst: Devices that log in at once.
        starts: Of the daemon, to time.
        settle_seconds: How long it is left alone before its memory is looked at.
        idle_seconds: How long it is watched while there is nothing to do.
        customers: Who wait for what they paid at the same time.
        waiting_seconds: How long they are waited for at most.
        queries_per_minute: Which M-Pesa answers then.
    """

    rounds: int
    seconds: float
    grants: int
    callbacks: int
    purchases: int
    logins: int
    burst: int
    starts: int
    settle_seconds: float
    idle_seconds: float
    customers: int
    waiting_seconds: float
    queries_per_minute: int


WHOLE = Sizes(
    rounds=5,
    seconds=1.0,
    grants=10_000,
    callbacks=400,
    purchases=160,
    logins=8_000,
    burst=1_000,
    starts=5,
    settle_seconds=1.0,
    idle_seconds=12.0,  # two whole rounds of a router, at the round time of the site
    customers=40,
    waiting_seconds=600.0,
    queries_per_minute=5,
)
QUICK = Sizes(
    rounds=1,
    seconds=0.05,
    grants=50,
    callbacks=32,
    purchases=16,
    logins=64,
    burst=32,
    starts=1,
    settle_seconds=0.05,
    idle_seconds=0.2,
    customers=3,
    waiting_seconds=40.0,
    queries_per_minute=60,
)
