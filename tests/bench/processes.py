"""The processes a benchmark starts: pinned to a core, waited for until ready, looked at from outside."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
HOST = "127.0.0.1"

SLOW_SYNC_SECONDS = 0.005
_READY_WITHIN_SECONDS = 60.0
_STOP_WITHIN_SECONDS = 30.0
_NANOSECONDS = 1_000_000_000
_KIB_PER_MB = 1_000_000 / 1024


class BenchError(Exception):
    """The benchmark itself went wrong; nothing was measured."""


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run on one core only inside this block, and start children there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def slow_disk(command: Sequence[str]) -> list[str]:
    """The command, for which the disk takes `SLOW_SYNC_SECONDS` longer for each sync, as a memory card's does.

    Put in at the system call: a library in between would miss programs that go past it.
    """
    calls = "fdatasync,fsync"
    delay = f"inject={calls}:delay_exit={round(SLOW_SYNC_SECONDS * 1e6)}"
    strace = ["strace", "-D", "-f", "--seccomp-bpf", "-q", "-o", os.devnull, "-e", f"trace={calls}", "-e", delay]
    return [*strace, *command]


def can_slow_disk() -> bool:
    """Whether strace is here, and may trace."""
    try:
        return subprocess.run(slow_disk(["true"]), check=False, capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class Server:
    """A started process that told it is ready, as systemd is told.

    Args:
        command: Program and arguments.
        core: Where it is to run.
        environ: What it sees beside our own environment.

    Raises:
        BenchError: It ended, or was not ready in a minute.
    """

    def __init__(self, command: Sequence[str], *, core: int, environ: Mapping[str, str] | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="edge-bench-"))
        self._log = self._folder / "log"
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self._folder)
            ready = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            ready.bind(str(self._folder / "notify"))
            told = {**os.environ, "NOTIFY_SOCKET": str(self._folder / "notify"), **(environ or {})}
            log = stack.enter_context(self._log.open("wb"))
            started_at = time.perf_counter()
            with on_core(core):
                self._process = subprocess.Popen(
                    command, env=told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
                )
            self._wait_until_ready(ready)
            self.ready_after_seconds = time.perf_counter() - started_at
            stack.pop_all()
            ready.close()

    def _wait_until_ready(self, ready: socket.socket) -> None:
        ready.settimeout(0.2)
        deadline = time.perf_counter() + _READY_WITHIN_SECONDS
        while time.perf_counter() < deadline and self._process.poll() is None:
            with contextlib.suppress(TimeoutError):
                if ready.recv(256).startswith(b"READY=1"):
                    return
        self._process.kill()
        self._process.wait()
        raise BenchError(f"{self._process.args!r} did not get ready:\n{self.log_text()[-2000:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _t: TracebackType | None) -> None:
        code = self._ended()
        text = self.log_text()
        shutil.rmtree(self._folder)
        if code != 0 and error is None:
            raise BenchError(f"{self._process.args!r} ended with {code}:\n{text[-2000:]}")

    def _ended(self) -> int:
        self._process.terminate()
        try:
            self._process.communicate(timeout=_STOP_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        return self._process.returncode

    def ask(self, line: str) -> str:
        """Write a line to its standard input and read one from its standard output."""
        if self._process.stdin is None or self._process.stdout is None:
            raise BenchError("the process has no pipes")
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()
        return self._process.stdout.readline().decode().strip()

    def log_text(self) -> str:
        """What it wrote to standard error so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for_log(self, text: str, *, within_seconds: float) -> None:
        """Return once it has logged that.

        Raises:
            BenchError: It did not.
        """
        deadline = time.perf_counter() + within_seconds
        while text not in self.log_text():
            if time.perf_counter() > deadline:
                raise BenchError(f"never logged {text!r}:\n{self.log_text()[-2000:]}")
            time.sleep(0.05)

    def cpu_seconds(self) -> float:
        """Time on a core so far, all threads."""
        spent = 0
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread may end while we look
                spent += int((task / "schedstat").read_text(encoding="ascii").split()[0])
        return spent / _NANOSECONDS

    def resident_mb(self) -> float:
        """Memory it holds now (VmRSS), in millions of octets."""
        return self._memory("VmRSS")

    def peak_mb(self) -> float:
        """The most it ever held (VmHWM), in millions of octets."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
        return int(line.split()[1]) / _KIB_PER_MB


def own_module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of this benchmark."""
    return [sys.executable, "-m", f"tests.bench.{name}", *arguments]
