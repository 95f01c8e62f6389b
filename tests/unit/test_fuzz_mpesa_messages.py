"""A bounded search, led by coverage, for texts that break what the readers of pasted messages promise.

The same seed makes the same search. A longer one: `python -m tests.fuzz.mpesa_messages_fuzz -max_total_time=3600`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests/unit/domain/mpesa_messages"
RUNS = 50_000
# Words a search by chance would be long in finding.
LANDMARKS = (
    "Confirmed.", "Imethibitishwa", "Ksh", "paid to ", "sent to ", "for account ", " kwa ", "received", "from ", "via ",
    "Fuliza", "Reversal of", "Failed.", "insufficient", "New M-PESA balance", "on 9/5/26 at 1:00 PM", "UE92Q3N5H7",
    "ref: ", "\u00a0", "\u200b", "\u017f", "\uff35", "\u0663",
)  # fmt: skip


@pytest.fixture
def atheris() -> None:
    """The fuzzer: without it these tests skip loudly, and fail under CI."""
    if importlib.util.find_spec("atheris") is not None:
        return
    message = "atheris is not installed here (pip install atheris): no search for texts that break the readers"
    if os.environ.get("CI", "").lower() in {"", "0", "false"}:
        pytest.skip(message)
    pytest.fail(message)


def escaped(word: str) -> str:
    return "".join(f"\\x{octet:02x}" for octet in word.encode())


def search(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One search with a folder for what it finds on its way."""
    corpus = folder / "corpus"
    corpus.mkdir()
    words = folder / "words"
    words.write_text("".join(f'"{escaped(word)}"\n' for word in LANDMARKS), encoding="ascii")
    command = [
        sys.executable, "-m", "tests.fuzz.mpesa_messages_fuzz", "-seed=1", "-max_len=2100", "-timeout=5",
        f"-dict={words}", f"-artifact_prefix={folder}/", str(corpus), *arguments,  # what is found goes into the first
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=110, check=False
    )  # fmt: skip


@pytest.mark.usefixtures("atheris")
def test_the_search_finds_no_broken_promise(tmp_path: Path) -> None:
    """Beginning from every form of message, as many runs as were asked for."""
    done = search(tmp_path, f"-runs={RUNS}", str(KEPT))
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS} runs" in done.stderr


@pytest.mark.usefixtures("atheris")
def test_the_search_is_led_by_what_has_run(tmp_path: Path) -> None:
    """From one kept message it reaches more branches than that message does."""
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "one").write_bytes((KEPT / "till_en.txt").read_bytes())
    done = search(tmp_path, "-runs=5000", str(seeds))
    reached = [int(count) for count in re.findall(r"cov: (\d+)", done.stderr)]
    assert done.returncode == 0, done.stderr[-3000:]
    assert reached[-1] > reached[0] > 1


@pytest.mark.usefixtures("atheris")
def test_the_search_finds_a_planted_fault(tmp_path: Path) -> None:
    """Begun with nothing but a code: it has to find a message of Fuliza by itself."""
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "one").write_bytes(b"UE92Q3N5H7 Confirmed. Ksh4.00 paid to X.")
    done = search(tmp_path, "-runs=100000", "--planted", str(seeds))
    assert done.returncode != 0
    assert "the planted fault" in done.stdout + done.stderr
