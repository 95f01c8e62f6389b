"""What a benchmark found: figures with their spread, held against the targets, as a table or as JSON."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HEADINGS = ("figure", "measure", "median", "(min-max)", "target", "")  # the last says whether it is reached


@dataclass(frozen=True, slots=True)
class Spread:
    """The rounds of one measure: their median, least and most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one value."""
        known = list(values)
        return cls(statistics.median(known), min(known), max(known))


@dataclass(frozen=True, slots=True)
class Target:
    """What the median is wanted to be.

    Args:
        bound: In the measure's unit.
        at_least: Whether more is better.
    """

    bound: float
    at_least: bool

    def reached_by(self, spread: Spread) -> bool:
        """Whether the median keeps to it."""
        return spread.median >= self.bound if self.at_least else spread.median <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {number(self.bound)}"


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the result.

    Args:
        figure: What was done, such as `first page`.
        name: What was measured of it, such as `rate`.
        unit: Of the values.
        spread: The values.
        target: What is wanted; None where it is only told.
    """

    figure: str
    name: str
    unit: str
    spread: Spread
    target: Target | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        return None if self.target is None else self.target.reached_by(self.spread)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "figure": self.figure,
            "measure": self.name,
            "unit": self.unit,
            "median": self.spread.median,
            "min": self.spread.least,
            "max": self.spread.most,
            "target": None if self.target is None else str(self.target),
            "reached": self.reached,
        }

    def cells(self) -> tuple[str, ...]:
        """For people."""
        spread = self.spread
        range_shown = "" if spread.least == spread.most else f"({number(spread.least)}-{number(spread.most)})"
        verdict = {None: "", True: "reached", False: "MISSED"}[self.reached]
        shown = f"{number(spread.median)} {self.unit}".strip()
        return (self.figure, self.name, shown, range_shown, "" if self.target is None else str(self.target), verdict)


def one(figure: str, name: str, unit: str, value: float, target: Target | None = None) -> Measure:
    """A measure that was taken once."""
    return Measure(figure, name, unit, Spread(value, value, value), target)


def at_least(bound: float) -> Target:
    """More is better."""
    return Target(bound, at_least=True)


def at_most(bound: float) -> Target:
    """Less is better."""
    return Target(bound, at_least=False)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all do not exceed; `share` from 0 to 1."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def number(value: float) -> str:
    """Three digits, or all of a whole number, with blanks between thousands."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def table(measures: Iterable[Measure]) -> Iterator[str]:
    """The lines of a table; a figure is named once."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    last = ""
    for measure in measures:
        figure, *cells = measure.cells()
        rows.append((figure if figure != last else "", *cells))
        last = figure
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADINGS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
