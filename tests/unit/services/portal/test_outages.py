"""What is said to be down: only what was tried in vain, more than once, and lately."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import Gateway, load_config
from easyisp_edge.domain.reach import FAILURES_TO_TELL, KNOWN_FOR_SECONDS, Reach
from easyisp_edge.domain.routers import LinkState, RouterHealth
from easyisp_edge.services.portal.outages import Outage, Outages
from easyisp_edge.services.site import Site
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.clocks import ManualTime
from tests.unit.desk import FILES
from tests.unit.shop import ROUTER, TENANT

if TYPE_CHECKING:
    from pathlib import Path

SECOND = """[[router]]
id = "second"
address = "10.0.0.2"
mode = "hotspot-user"
api = { tls = false, username = "u", password = "p" }
"""
UP, DOWN, UNTRIED = (RouterHealth(state=state) for state in (LinkState.UP, LinkState.DOWN, LinkState.UNTRIED))
CUT_OFF = {Outage.DARAJA, Outage.UPLINK}


@dataclass
class Watched:
    """Two routers and a gateway, as they were found when they were last tried."""

    site: Site
    time: ManualTime = field(default_factory=ManualTime)
    reach: Reach | None = field(default_factory=Reach)
    healths: dict[str, RouterHealth] = field(default_factory=dict)
    central: bool = False

    def __post_init__(self) -> None:
        self.clock = BoxClock(self.time, None)
        self.outages = Outages(self.site, self.clock, self._reach_of, self.healths.get, lambda: self.central)

    def _reach_of(self, gateway: Gateway) -> Reach | None:
        assert gateway.id == "paybill"
        return self.reach

    def fail(self, times: int, *, connected: bool) -> None:
        for _ in range(times):
            assert self.reach is not None
            self.reach.failed(self.clock.monotonic(), connected=connected)

    def now(self, router_id: str | None = ROUTER) -> set[Outage]:
        return self.outages.now(TENANT, router_id)


@pytest.fixture(name="at")
def _at(tmp_path: Path) -> Watched:
    for name, text in {**FILES, "routers.toml": FILES["routers.toml"] + SECOND}.items():
        (tmp_path / name).write_text(text)

    def nowhere(_gateway: Gateway) -> None:
        raise AssertionError("nothing is asked for it")

    return Watched(Site(load_config(tmp_path, {}), nowhere))  # type: ignore[arg-type]


def test_nothing_is_down_that_was_not_tried(at: Watched) -> None:
    """Before anything was asked, all is taken to work."""
    at.reach = None
    assert at.now() == set()
    at.healths[ROUTER] = UNTRIED
    assert at.now() == set()


def test_one_lost_answer_is_no_outage(at: Watched) -> None:
    """Several in a row are; one answer, and it is over."""
    at.fail(FAILURES_TO_TELL - 1, connected=True)
    assert at.now() == set()
    at.fail(1, connected=True)
    assert at.now() == {Outage.DARAJA}
    assert at.reach is not None
    at.reach.answered()
    assert at.now() == set()


def test_without_a_connection_it_is_the_uplink(at: Watched) -> None:
    """Where nobody could even be connected to, as the last try tells."""
    at.fail(FAILURES_TO_TELL, connected=False)
    assert at.now() == CUT_OFF
    at.fail(1, connected=True)
    assert at.now() == {Outage.DARAJA}


def test_what_is_long_ago_is_not_known(at: Watched) -> None:
    """Nobody asked since: it may be back."""
    at.fail(FAILURES_TO_TELL, connected=False)
    at.time.advance(KNOWN_FOR_SECONDS)
    assert at.now() == CUT_OFF
    at.time.advance(1)
    assert at.now() == set()


def test_a_router_is_down_for_those_behind_it(at: Watched) -> None:
    """Who is behind an unknown one is told so only where all are."""
    at.healths |= {ROUTER: DOWN, "second": UP}
    assert at.now() == {Outage.ROUTER}
    assert at.now("second") == set()
    assert at.now(None) == set()
    assert at.now("another tenant's") == set()
    at.healths["second"] = DOWN
    assert at.now(None) == {Outage.ROUTER}


def test_central_is_told_where_there_is_one(at: Watched) -> None:
    """It is away when its part says so."""
    at.central = True
    assert at.now() == {Outage.CENTRAL}
