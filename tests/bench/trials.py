"""Rounds: everybody does the same in turn, so that a slow spell of the machine strikes all alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.measures import Measure, Spread, at_most, one, percentile
from tests.bench.processes import LOAD_CORE, on_core

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.measures import Target
    from tests.bench.processes import Server


@dataclass(slots=True)
class Load:
    """What a span of load brought.

    Args:
        seconds: From the first request to the last answer.
        latencies: Of each answer, in seconds.
        own_seconds: What it cost whoever asked, on its core.
        lost: Requests that were never answered.
    """

    seconds: float
    latencies: list[float]
    own_seconds: float
    lost: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds


@dataclass(frozen=True, slots=True)
class Contestant:
    """Somebody who is put under load.

    Args:
        name: The figure.
        server: Its process.
        drive: Puts it under load once.
    """

    name: str
    server: Server
    drive: Callable[[], Load]


@dataclass(slots=True)
class Trials:
    """One contestant's rounds."""

    name: str
    loads: list[Load] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    def rate(self, target: Target | None = None) -> Measure:
        """Answers a second."""
        return Measure(self.name, "rate", "/s", Spread.of(load.rate for load in self.loads), target)

    def ratio(self, reference: Trials, target: Target | None = None) -> Measure:
        """The rate against that of the reference, round by round."""
        ratios = (ours.rate / bare.rate for ours, bare in zip(self.loads, reference.loads, strict=True))
        return Measure(self.name, f"rate / {reference.name}", "x", Spread.of(ratios), target)

    def latency(self, share: float, target: Target | None = None) -> Measure:
        """That percentile of each round, in milliseconds."""
        spread = Spread.of(percentile(load.latencies, share) * 1000 for load in self.loads)
        return Measure(self.name, f"p{share * 100:g}", "ms", spread, target)

    def cpu(self) -> Measure:
        """What one answer costs its server."""
        return Measure(self.name, "CPU per answer", "µs", Spread.of(each * 1e6 for each in self._cpu_each()))

    def busy(self) -> Measure:
        """How much of its core the server had, in percent: far below 100, its rate says more of others than of it."""
        shares = (cpu / load.seconds * 100 for cpu, load in zip(self.cpu_seconds, self.loads, strict=True))
        return Measure(self.name, "busy", "%", Spread.of(shares))

    def cpu_ratio(self, reference: Trials) -> Measure:
        """The same against the reference: less is better, and a busy machine changes it least of all figures."""
        ours, bare = self._cpu_each(), reference._cpu_each()
        ratios = (mine / theirs for mine, theirs in zip(ours, bare, strict=True))
        return Measure(self.name, f"CPU / {reference.name}", "x", Spread.of(ratios))

    def _cpu_each(self) -> list[float]:
        return [cpu / len(load.latencies) for cpu, load in zip(self.cpu_seconds, self.loads, strict=True)]

    def ceiling(self) -> Measure:
        """How much the load tool could have asked for, had its core done nothing else."""
        spent = (len(load.latencies) / load.own_seconds for load in self.loads)
        return Measure(self.name, "ceiling of the load tool", "/s", Spread.of(spent))

    def lost(self) -> Measure:
        """Requests never answered, all rounds together."""
        return one(self.name, "lost", "", sum(load.lost for load in self.loads), at_most(0))


def contest(contestants: Sequence[Contestant], rounds: int) -> list[Trials]:
    """Let each be driven once a round, from the load's core; who begins changes from round to round.

    A round before the first warms up and is not counted.
    """
    trials = {contestant.name: Trials(contestant.name) for contestant in contestants}
    for turn in range(rounds + 1):
        first = turn % len(contestants)
        for contestant in [*contestants[first:], *contestants[:first]]:
            _drive(contestant, trials[contestant.name] if turn else Trials(contestant.name))
    return list(trials.values())


def _drive(contestant: Contestant, trials: Trials) -> None:
    spent = contestant.server.cpu_seconds()
    with on_core(LOAD_CORE):
        load = contestant.drive()
    trials.loads.append(load)
    trials.cpu_seconds.append(contestant.server.cpu_seconds() - spent)
