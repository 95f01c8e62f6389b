"""The hotspot adapter against the whole stand-in router, in every version it plays."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.adapters.routeros.hotspot import MikrotikHotspot
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.domain.routers import HotspotHost, UserProfile, WantedUser
from easyisp_edge.domain.values import MacAddress, RateLimit
from easyisp_edge.errors import ConflictError, RefusedError, UnavailableError
from easyisp_edge.lab.mikrotik import Fault, FaultKind, MikrotikLab, MikrotikOptions
from easyisp_edge.system import SystemClock, SystemRandomness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VERSIONS = ("7.9.2", "7.12.2", "7.15.3", "7.16.2", "7.18.2", "7.20.8", "7.22.3", "7.24")
MAC = MacAddress.parse("34:12:F9:8A:21:4C")
ADDRESS = "10.5.50.10"
SPEED = UserProfile("edge-2M-5M", RateLimit.parse("2M/5M"), 1)
WANTED = WantedUser("12345", "yes", SPEED.name, MAC, 3600, "edge:v1")


@pytest.fixture
def version() -> str:
    return "7.20.8"


@pytest.fixture
async def router(version: str) -> AsyncIterator[MikrotikLab]:
    options = MikrotikOptions(version=version)
    router = MikrotikLab(clock=SystemClock(), randomness=SystemRandomness(), options=options)
    await router.start()
    yield router
    await router.close()


@pytest.fixture
async def hotspot(router: MikrotikLab) -> AsyncIterator[MikrotikHotspot]:
    connect = functools.partial(dial, router.host, router.api_port, username="edge", password="s3cret")
    link = RouterLink("lab", connect, deadline_seconds=0.5)
    yield MikrotikHotspot(link, hotspot_server="hotspot1", mark="edge:")
    await link.close()


async def let_in(hotspot: MikrotikHotspot) -> None:
    await hotspot.login(username=WANTED.name, password=WANTED.password, mac=MAC, address=ADDRESS)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_customer_comes_and_goes(router: MikrotikLab, hotspot: MikrotikHotspot) -> None:
    """From nothing to online and back, the router takes every sentence, in each version."""
    router.connect_device(str(MAC), ADDRESS)
    assert (await hotspot.observe()).hosts == (HotspotHost(MAC, ADDRESS, authorized=False, bypassed=False),)
    await hotspot.put_profile(SPEED)
    await hotspot.put_profile(replace(SPEED, shared_users=2))
    await hotspot.put_user(WANTED, None)
    await let_in(hotspot)
    assert router.is_online(str(MAC))
    state = await hotspot.observe()
    assert state.profiles == {SPEED.name: replace(SPEED, shared_users=2)}
    assert state.hosts[0].authorized
    (session,) = state.active
    assert (session.user, session.mac, session.address, session.by_radius) == ("12345", MAC, ADDRESS, False)
    found = state.users["12345"]
    assert (found.profile, found.limit_uptime_seconds, found.disabled) == (SPEED.name, 3600, False)
    await hotspot.put_user(replace(WANTED, mac=None, uptime_left_seconds=7200, comment="edge:v2"), found)
    await hotspot.logout(session.item_id)
    await hotspot.logout(session.item_id)
    await hotspot.remove_user(found)
    await hotspot.remove_user(found)
    state = await hotspot.observe()
    assert (state.users, state.active) == ({}, ())
    assert not router.is_online(str(MAC))
    # Only what was gone already was refused: every command and argument is one the version has.
    assert {refusal.message for refusal in router.refused} <= {"no such item"}


async def test_time_used_is_kept_when_time_is_added(router: MikrotikLab, hotspot: MikrotikHotspot) -> None:
    """An add that meets a user of ours with time on its counter sets it: used and left together."""
    await hotspot.put_profile(SPEED)
    await hotspot.put_user(WANTED, None)
    for row in router.configuration.users:
        row.shown["uptime"] = "10m"
    await hotspot.put_user(replace(WANTED, comment="edge:v2"), None)
    found = (await hotspot.observe()).users["12345"]
    assert (found.uptime_seconds, found.limit_uptime_seconds, found.comment) == (600, 4200, "edge:v2")


async def test_an_owners_user_stays_as_it_is(router: MikrotikLab, hotspot: MikrotikHotspot) -> None:
    """A user the owner made is neither seen nor changed, even under the name we want."""
    await hotspot.put_profile(SPEED)
    router.configuration.users.add({"name": "12345", "server": "hotspot1", "password": "own"})
    before = router.users
    with pytest.raises(RefusedError) as refused:
        await hotspot.put_user(WANTED, None)
    assert refused.value.code == "router.user_not_ours"
    assert router.users == before
    assert (await hotspot.observe()).users == {}


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.HANG_AFTER])
async def test_what_was_done_without_an_answer_can_be_done_again(
    kind: FaultKind, router: MikrotikLab, hotspot: MikrotikHotspot
) -> None:
    """Every write may lose its answer; repeating it ends as though it had not."""
    router.connect_device(str(MAC), ADDRESS)
    writes = (
        functools.partial(hotspot.put_profile, SPEED),
        functools.partial(hotspot.put_user, WANTED, None),
        functools.partial(let_in, hotspot),
    )
    for write, verb in zip(writes, ("user/profile/add", "user/add", "active/login"), strict=True):
        router.faults.add(Fault(kind, f"/ip/hotspot/{verb}"))
        with pytest.raises(UnavailableError):
            await write()
        await write()
    state = await hotspot.observe()
    assert (list(state.profiles), list(state.users), len(state.active)) == ([SPEED.name], ["12345"], 1)


async def test_a_device_not_seen_yet_is_for_later(router: MikrotikLab, hotspot: MikrotikHotspot) -> None:
    """A device that has sent nothing cannot be logged in now; once it is heard, it can."""
    await hotspot.put_profile(SPEED)
    await hotspot.put_user(WANTED, None)
    with pytest.raises(ConflictError) as conflict:
        await let_in(hotspot)
    assert conflict.value.code == "router.device_unseen"
    router.connect_device(str(MAC), ADDRESS)
    await let_in(hotspot)
    assert router.is_online(str(MAC))


async def test_a_wrong_password_is_refused_in_the_routers_words(router: MikrotikLab, hotspot: MikrotikHotspot) -> None:
    """The router's no reaches the caller with its text."""
    router.connect_device(str(MAC), ADDRESS)
    with pytest.raises(RefusedError, match="invalid username or password"):
        await let_in(hotspot)


async def test_a_router_that_was_away_is_reached_again(router: MikrotikLab, hotspot: MikrotikHotspot) -> None:
    """While the link is gone everything is unavailable; after it, the next call works by itself."""
    await hotspot.observe()
    async with router.outage():
        with pytest.raises(UnavailableError):
            await hotspot.observe()
    await hotspot.observe()


async def test_a_missing_profile_is_refused_not_retried_forever(hotspot: MikrotikHotspot) -> None:
    """A user whose profile is not on the router is a refusal that names the matter."""
    with pytest.raises(RefusedError, match="profile"):
        await hotspot.put_user(WANTED, None)
