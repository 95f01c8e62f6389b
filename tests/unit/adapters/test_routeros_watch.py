"""A router's health, and the circuit that keeps everybody from waiting for one that is down."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.adapters.routeros import watch as watch_module
from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.adapters.routeros.tls import RouterTls
from easyisp_edge.adapters.routeros.watch import FAILURES_TO_OPEN, PAUSE_MOST_SECONDS, Circuit, RouterWatch
from easyisp_edge.domain.router_versions import RouterVersion
from easyisp_edge.domain.routers import LinkState, RouterHealth
from easyisp_edge.errors import EdgeError, RefusedError, UnavailableError
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.certificates import der, showing
from tests.fakes.clocks import START, ManualTime
from tests.fakes.scripted_routeros import DONE, Fault, ScriptedRouter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tests.fakes.scripted_routeros import Step

REFUSED_LOGIN: Sequence[Step] = [("!trap", "=message=invalid user name or password (6)"), ("!done",)]


class Stage:
    """A scripted router that says what it is, its link, and a clock in the test's hands."""

    def __init__(self, router: ScriptedRouter, *, deadline_seconds: float, tls: RouterTls | None = None) -> None:
        self.router = router
        self.time = ManualTime()
        self.watch = RouterWatch("main", BoxClock(self.time, None))
        self.answer: Sequence[Step] = DONE
        self.version = "7.24.2 (stable)"
        router.answer = self.script
        connect = functools.partial(dial, "127.0.0.1", router.port, username="edge", password="pw", tls=tls)
        self.link = RouterLink("main", connect, deadline_seconds=deadline_seconds, watch=self.watch)

    def script(self, words: list[str]) -> Sequence[Step]:
        if words[0] == "/system/identity/print":
            return [("!re", "=name=Reception"), ("!done",)]
        if words[0] == "/system/resource/print":
            return [("!re", f"=version={self.version}", "=board-name=hAP ax2", "=uptime=3d4h"), ("!done",)]
        return self.answer

    @property
    def health(self) -> RouterHealth:
        return self.watch.health

    @property
    def commands(self) -> int:
        """How many commands reached the router, beside what it was asked about itself."""
        return sum(not words[0].startswith("/system/") for words in self.router.received)

    async def run(self) -> str:
        """Run a command; gives the code of its error, or nothing."""
        try:
            await self.link.run("/x", {})
        except EdgeError as error:
            return error.code
        return ""

    async def break_circuit(self) -> None:
        for _ in range(FAILURES_TO_OPEN):
            assert await self.run()


@contextlib.asynccontextmanager
async def staged(*, deadline_seconds: float = 5.0, shown: str = "", pinned: str = "") -> AsyncIterator[Stage]:
    async with ScriptedRouter(lambda _: DONE, tls=showing(shown) if shown else None) as router:
        tls = RouterTls.pinning(der(pinned)) if pinned else None
        stage = Stage(router, deadline_seconds=deadline_seconds, tls=tls)
        try:
            yield stage
        finally:
            await stage.link.close()


def test_pauses_double_up_to_a_bound() -> None:
    """A circuit opens at the third failure in a row, and each trial in vain doubles the pause until the next."""
    time = ManualTime()
    circuit = Circuit(BoxClock(time, None))
    pauses = []
    for _ in range(9):
        circuit.failed()
        pauses.append(circuit.pause_seconds)
        time.advance(circuit.pause_seconds)
        assert circuit.pause_seconds == 0
    assert pauses == [0, 0, 1, 2, 4, 8, 16, PAUSE_MOST_SECONDS, PAUSE_MOST_SECONDS]
    circuit.succeeded()
    assert not circuit.is_open
    circuit.failed()
    assert not circuit.is_open


def test_a_week_of_failures_overflows_nothing() -> None:
    """However long a router is away, the pause stays what it is."""
    circuit = Circuit(BoxClock(ManualTime(), None), failures=10**6)
    circuit.failed()
    assert circuit.pause_seconds == PAUSE_MOST_SECONDS


async def test_a_router_known_to_be_down_keeps_nobody_waiting() -> None:
    """After three commands without an answer the next are told so at once, in the words of the last, and not sent."""
    async with staged() as stage:
        stage.answer = [Fault.DROP]
        await stage.break_circuit()
        assert stage.commands == FAILURES_TO_OPEN
        for _ in range(50):
            with pytest.raises(UnavailableError) as unavailable:
                stage.link.run("/x", {}).send(None)  # it ends without giving way even once
        assert (unavailable.value.code, unavailable.value.retry_after_seconds) == ("router.unreachable", 1.0)
        assert "gave no answer to /x" in unavailable.value.message
        assert stage.commands == FAILURES_TO_OPEN


async def test_one_trial_is_let_through_after_the_pause() -> None:
    """After the pause one command tries; others meanwhile wait for nothing, and a success lets all through."""
    async with staged() as stage:
        stage.answer = [Fault.DROP]
        await stage.break_circuit()
        stage.time.advance(1)
        ends = await asyncio.gather(*(stage.run() for _ in range(10)))
        assert set(ends) == {"router.unreachable"}
        assert stage.commands == FAILURES_TO_OPEN + 1
        stage.time.advance(1)  # the pause is two seconds now
        assert await stage.run() == "router.unreachable"
        assert stage.commands == FAILURES_TO_OPEN + 1
        stage.time.advance(1)
        stage.answer = DONE
        assert await stage.run() == ""
        assert await asyncio.gather(*(stage.run() for _ in range(10))) == [""] * 10


async def test_those_who_wait_for_their_turn_are_told_when_it_becomes_vain() -> None:
    """Commands that queued before the circuit opened do not each try in turn."""
    async with staged() as stage:
        stage.answer = [Fault.DROP]
        ends = await asyncio.gather(*(stage.run() for _ in range(20)))
        assert set(ends) == {"router.unreachable"}
        assert stage.commands == FAILURES_TO_OPEN


async def test_a_trial_given_up_leaves_room_for_the_next() -> None:
    """A trial that is cancelled counts for nothing: the next command is the trial."""
    async with staged() as stage:
        stage.answer = [Fault.DROP]
        await stage.break_circuit()
        stage.time.advance(1)
        stage.answer = [Fault.HANG]
        stage.router.heard.clear()
        trial = asyncio.ensure_future(stage.link.run("/x", {}))
        await stage.router.heard.wait()
        trial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trial
        stage.answer = DONE
        assert await stage.run() == ""


async def test_a_refusal_is_an_answer() -> None:
    """A router that says no is there, however often it does."""
    async with staged() as stage:
        stage.answer = [("!trap", "=message=no such item"), ("!done",)]
        for _ in range(10):
            with pytest.raises(RefusedError):
                await stage.link.run("/x", {})
        assert stage.health.state is LinkState.UP


async def test_failures_with_answers_between_them_open_nothing() -> None:
    """Only failures in a row count: a router that drops every other command still gets every one."""
    async with staged() as stage:
        for _ in range(FAILURES_TO_OPEN * 2):
            stage.answer = [Fault.DROP]
            assert await stage.run() == "router.unreachable"
            stage.answer = DONE
            assert await stage.run() == ""


async def test_a_refused_login_is_told_as_such_while_the_circuit_is_open() -> None:
    """Who is turned away at once hears why: a wrong password is not a router out of reach."""
    async with staged() as stage:
        stage.router.login_answer = REFUSED_LOGIN
        await stage.break_circuit()
        assert await stage.run() == "router.login_refused"
        assert len(stage.router.logins) == FAILURES_TO_OPEN
        assert stage.health.last_error is not None
        assert "invalid user name or password" in stage.health.last_error


async def test_a_wrong_certificate_is_told_as_such_while_the_circuit_is_open() -> None:
    """So does who might have reached somebody else than the router."""
    async with staged(shown="other", pinned="vouched") as stage:
        await stage.break_circuit()
        assert await stage.run() == "router.wrong_certificate"
        assert stage.router.logins == []


async def test_health_is_read_at_each_new_session() -> None:
    """What the router is, and since when the session stands, is asked once a session."""
    async with staged() as stage:
        assert stage.health == RouterHealth()
        await stage.run()
        assert stage.health == RouterHealth(LinkState.UP, "Reception", RouterVersion(7, 24, 2), "hAP ax2", START)
        await stage.run()
        assert len(stage.router.received) == 4


async def test_health_tells_of_an_outage() -> None:
    """What went wrong is told until an answer comes; what the router is stays known."""
    async with staged() as stage:
        await stage.run()
        stage.answer = [Fault.DROP]
        await stage.run()
        down = stage.health
        stage.answer, stage.version = DONE, "7.25beta3 (testing)"
        await stage.run()
    assert (down.state, down.connected_since, down.identity) == (LinkState.DOWN, None, "Reception")
    assert (down.last_error or "").startswith("router.unreachable: ")
    assert str(stage.health.version) == "7.25beta3"
    assert (stage.health.last_error, stage.health.connected_since) == (None, None)  # closed by now


@pytest.mark.parametrize("answer", [[("!trap", "=message=not enough permissions (9)"), ("!done",)], DONE])
async def test_a_router_that_does_not_say_what_it_is_is_served_all_the_same(answer: Sequence[Step]) -> None:
    """Health is a convenience: where it may not be read, or makes no sense, commands go on."""
    async with staged() as stage:
        stage.router.answer = lambda _: answer
        await stage.run()
        assert (stage.health.state, stage.health.identity, stage.health.version) == (LinkState.UP, "", None)


async def test_a_version_that_makes_no_sense_is_none() -> None:
    """What is no version is not taken for one."""
    async with staged() as stage:
        stage.version = "the newest"
        assert await stage.run() == ""
        assert stage.health.version is None


async def test_a_router_that_hangs_at_the_first_question_is_down() -> None:
    """Asking what it is has the deadline of the command, and leaves no session open."""
    async with staged(deadline_seconds=0.05) as stage:
        stage.router.answer = lambda _: [Fault.HANG]
        assert await stage.run() == "router.unreachable"
        assert stage.health.state is LinkState.DOWN
        assert stage.health.connected_since is None


@pytest.fixture
def warnings_of(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, logger=watch_module.__name__)
    return lambda: [record.getMessage() for record in caplog.records if record.name == watch_module.__name__]


async def test_known_holes_are_told_once_for_each_version(warnings_of: Callable[[], list[str]]) -> None:
    """The log says once what a version is known for, and again when there is another."""
    async with staged() as stage:
        for version in ("7.20.8 (stable)", "7.20.8 (stable)", "7.23.1 (stable)", "7.23.4 (stable)"):
            stage.version = version
            await stage.run()
            stage.router.hang_up()
            await stage.router.all_left()
            await asyncio.sleep(0.01)
    assert warnings_of() == [
        (
            "router main: RouterOS 7.20.8 has known security holes: the security fixes of September 2026 are missing."
            " Upgrade it to 7.23.4 or later"
        ),
        "router main: RouterOS 7.23.1 now, 7.20.8 before",
        (
            "router main: RouterOS 7.23.1 has known security holes: the security fixes of September 2026 are missing."
            " Upgrade it to 7.23.4 or later"
        ),
        "router main: RouterOS 7.23.4 now, 7.23.1 before",
    ]
