"""The benchmarks of the portal under a crowd and on a slow phone: quick runs give every figure."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench import paint
from tests.bench.sizes import QUICK
from tests.real_parts import require

ROOT = Path(__file__).parents[2]


def _measured(name: str) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)["benchmarks"][name]
    assert all(math.isfinite(each[part]) for each in found for part in ("median", "min", "max"))
    return {f"{each['figure']}: {each['measure']}": each for each in found}


def test_a_crowd_is_measured() -> None:
    """All are served, and how soon is told beside the bare server."""
    found = _measured("crowd")
    assert found["first page: served"]["min"] == found["a crowd: phones"]["median"]
    assert {"first page: p95", "bare aiohttp JSON: p95", "first page: p95 / bare aiohttp JSON"} <= found.keys()


@pytest.mark.real_part("chromium")
def test_a_slow_phone_is_measured() -> None:
    """Octets, first words and use of the first page, and of a page of the old portal's size."""
    require("chromium", "chromium")
    found = _measured("paint")
    for measure in ("received in all", "first words", "usable"):
        assert found[f"first page: {measure}"]["median"] > 0
        assert found[f"a page of the old portal's size: {measure}"]["median"] > 0


def test_without_chromium_nothing_is_painted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where Chromium is not installed, the benchmark says so, and measures nothing."""
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert list(paint.run(ROOT, QUICK, None)) == []  # type: ignore[arg-type]
    assert "chromium is not installed" in capsys.readouterr().err
