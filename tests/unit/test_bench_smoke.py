from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench import freeradius_server
from tests.real_parts import require

ROOT = Path(__file__).parents[2]

# One measure that only comes out when the figure was really taken, for each figure an owner may ask for.
EXPECTED = {
    "portal": {
        "bare aiohttp JSON: ceiling of the load tool",
        "first page: rate / bare aiohttp JSON",
        "first page: on the wire",
        "packages: rate / bare aiohttp JSON",
        "poll, paid: p95",
        "poll, pending: p95",
    },
    "purchase": {"initiate, 1 at once: p50 beyond the relay's", "initiate, 8 at once: rate"},
    "callback": {
        "callback, 1 at once: p99",
        "callback, 16 at once: rate",
        "callback, router away, 1 at once: p99",
    },
    "radius": {
        "login, PAP, running: rate / pyrad ServerAsync, PAP",
        "32 at once, running: lost",
        "32 at once, first use: lost",
    },
    "footprint": {
        "daemon, empty books: start to READY",
        "50 grants, router away: resident",
        "50 grants, all on the router: resident",
    },
    "store": {f"store, {callers} callers: rate / commit for each" for callers in (1, 32, 256)},
}
FREERADIUS = {
    *(
        f"accepts, {kind}, {many} outstanding: rate / FreeRADIUS, {kind}, {many} outstanding"
        for kind in ("PAP", "CHAP")
        for many in (1, 32, 256)
    ),
    *(f"updates, {many} outstanding: rate / FreeRADIUS, updates, {many} outstanding" for many in (1, 32, 256)),
    "accepts, PAP, 256 outstanding: lost",
    "updates, 256 outstanding: load tool busy",
    "daemon: resident after all",
    "all, 50/s, portal with 16 connections: p99",
    "first page beside it: rate",
}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "tests.bench", *arguments)


@pytest.fixture(scope="module")
def benchmarks() -> dict[str, list[dict[str, Any]]]:
    done = bench("--quick", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)["benchmarks"]
    return found


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_figure_is_produced(name: str, benchmarks: dict[str, list[dict[str, Any]]]) -> None:
    """A quick run of all gives each figure as a finite number; how large it is says nothing here."""
    hold_figures(benchmarks[name], EXPECTED[name])


@pytest.mark.real_part("FreeRADIUS")
def test_every_figure_beside_freeradius_is_produced() -> None:
    """So does a quick run of the one that needs FreeRADIUS and is run by name only."""
    require(freeradius_server.found() or "freeradius", "freeradius")
    done = bench("--quick", "--json", "freeradius")

    assert done.returncode == 0, done.stderr[-2000:]
    measures = json.loads(done.stdout)["benchmarks"]["freeradius"]
    hold_figures(measures, FREERADIUS)
    assert [one["figure"] for one in measures if one["measure"] == "lost" and one["target"] and one["median"]] == []


def test_without_freeradius_nothing_is_measured_beside_it() -> None:
    """Where FreeRADIUS is not installed, its benchmark says so, and measures nothing."""
    program = "import sys; from tests.bench import __main__ as b, freeradius_server as f; f.found = lambda: None; "
    done = run(sys.executable, "-c", program + "sys.exit(b.main(['--quick', '--json', 'freeradius']))")

    assert done.returncode == 0, done.stderr[-2000:]
    assert "freeradius is not installed" in done.stderr
    assert json.loads(done.stdout)["benchmarks"]["freeradius"] == []


def hold_figures(measures: list[dict[str, Any]], expected: set[str]) -> None:
    found = {f"{measure['figure']}: {measure['measure']}" for measure in measures}
    assert found >= expected
    assert all(math.isfinite(measure[part]) for measure in measures for part in ("median", "min", "max"))
    assert all(measure["min"] <= measure["median"] <= measure["max"] for measure in measures)


def test_an_unknown_benchmark_is_refused() -> None:
    """A mistyped name runs nothing and says so."""
    done = bench("portals")

    assert done.returncode == 2
    assert "portals" in done.stderr
