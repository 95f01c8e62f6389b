from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def benchmarks() -> dict[str, list[dict[str, Any]]]:
    done = bench("--quick", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)["benchmarks"]
    return found


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_figure_is_produced(name: str, benchmarks: dict[str, list[dict[str, Any]]]) -> None:
    """A quick run of all gives each figure as a finite number; how large it is says nothing here."""
    measures = benchmarks[name]

    found = {f"{measure['figure']}: {measure['measure']}" for measure in measures}
    assert found >= EXPECTED[name]
    assert all(math.isfinite(measure[part]) for measure in measures for part in ("median", "min", "max"))
    assert all(measure["min"] <= measure["median"] <= measure["max"] for measure in measures)


def test_an_unknown_benchmark_is_refused() -> None:
    """A mistyped name runs nothing and says so."""
    done = bench("portals")

    assert done.returncode == 2
    assert "portals" in done.stderr
