"""Grants held at hand are those of the books, whatever happens to them."""

from __future__ import annotations

import asyncio
import functools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.grants import GrantState
from easyisp_edge.services.access.followed_grants import FollowedGrants
from easyisp_edge.services.access.grant_life import end, move, pause, start
from tests.unit.shop import MAC, OTHER_MAC, TENANT, add_grant, open_books

if TYPE_CHECKING:
    from easyisp_edge.store.store import Tables
    from tests.unit.shop import Books

STEPS = st.lists(
    st.tuples(st.sampled_from(["start", "pause", "end", "move", "follow", "reread", "anew"]), st.integers(1, 3)),
    max_size=15,
)


async def test_a_beginning_is_no_change(tmp_path: Path) -> None:
    """The grant is held as it is now; but nobody has to do anything about it. An end is one, with its device."""
    async with open_books(tmp_path) as books:
        grants = FollowedGrants(books.store, (TENANT,))
        assert (await grants.follow()).whole
        await books.store.write(add_grant)
        changes = await grants.follow()
        assert (changes.grant_ids, changes.usernames, changes.macs) == ({"grant-1"}, {"USER000001"}, {MAC})
        await happen(books, "start", 1)
        assert not await grants.follow()
        assert grants.usable["grant-1"].state is GrantState.RUNNING
        await happen(books, "move", 1)
        assert (await grants.follow()).macs == {MAC, OTHER_MAC}
        await happen(books, "end", 1)
        changes = await grants.follow()
        assert changes
        assert (grants.usable, changes.usernames) == ({}, {"USER000001"})


async def test_other_tenants_are_not_held(tmp_path: Path) -> None:
    """Neither read as a whole nor followed."""
    async with open_books(tmp_path) as books:
        grants = FollowedGrants(books.store, (TENANT,))
        await grants.follow()
        await books.store.write(lambda tx: add_grant(tx, tenant_id="other"))
        assert not await grants.follow()
        assert grants.reread("grant-1") is None
        await grants.follow(anew=True)
        assert grants.usable == {}


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_what_is_held_is_what_stands(steps: list[tuple[str, int]]) -> None:
    """Also by device; however the events came."""
    asyncio.run(live(steps))


async def live(steps: list[tuple[str, int]]) -> None:
    """Let all this happen to three grants, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_books(Path(folder)) as books:
            grants = FollowedGrants(books.store, (TENANT,))
            for number, mac in ((1, MAC), (2, MAC), (3, None)):
                await books.store.write(functools.partial(add_grant, number=number, mac=mac))
            for step, number in steps:
                if step == "reread":
                    grants.reread(f"grant-{number}")
                elif step in {"follow", "anew"}:
                    await grants.follow(anew=step == "anew")
                else:
                    await happen(books, step, number)
            await grants.follow()
            standing = {each.grant_id: each for each in books.store.read.grants.usable(TENANT)}
            assert grants.usable == standing
            by_device = [each for held in grants.device_by_device() for each in held]
            assert {each.grant_id: each for each in by_device} == standing
            assert len(by_device) == len(standing)
            of_one = {each.grant_id for each in grants.of_devices([MAC])}
            assert of_one == {each.grant_id for each in standing.values() if each.mac == MAC}


async def happen(books: Books, step: str, number: int) -> None:
    """One thing happens to a grant, where it can."""

    def write(tx: Tables) -> None:
        grant = tx.grants.by_id(f"grant-{number}")
        assert grant is not None
        now = books.clock.now()
        if step == "start":
            start(tx, grant, now)
        elif step == "pause" and grant.state is GrantState.RUNNING:
            pause(tx, grant, now)
        elif step == "end":
            end(tx, grant, "time", now)
        elif step == "move" and grant.state is not GrantState.ENDED:
            move(tx, replace(grant), OTHER_MAC)

    await books.store.write(write)
