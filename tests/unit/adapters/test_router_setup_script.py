"""The undo script: what it says is what RouterOS reads, whatever stands in the values."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easyisp_edge.adapters.routeros.setup.undo_script import (
    SCRIPT,
    quoted,
    undo_of_add,
    undo_of_replaced,
    undo_of_set,
    undo_script,
)
from tests.fakes.mikrotik_stage import Stage, mikrotik_stage
from tests.fakes.router_setup_stage import ADMIN, options


async def _run(stage: Stage, source: str) -> None:
    client = await stage.raw(logged_in=False)
    assert (await client.ask("/login", f"=name={ADMIN.name}", f"=password={ADMIN.password}"))[-1] == ("!done",)
    await client.ask("/system/script/remove", f"=numbers={SCRIPT}")
    added = await client.ask("/system/script/add", f"=name={SCRIPT}", f"=source={source}")
    assert added[-1][0] == "!done", added
    assert await client.ask("/system/script/run", f"=number={SCRIPT}") == [("!done",)]
    await client.close()


async def _written(text: str) -> str:
    async with mikrotik_stage(options()) as stage:
        table = stage.router.configuration.others["/ip/firewall/filter"]
        table.add({"chain": "input", "comment": "old"})
        await _run(stage, undo_of_set("/ip/firewall/filter", {"comment": "old"}, {"comment": text}))
        return next(iter(table)).values.get("comment", "")


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
@settings(max_examples=60, deadline=None)
def test_quoted_text_comes_back(text: str) -> None:
    """Whatever text was on the router is written back letter for letter by the script."""
    assert asyncio.run(_written(text)) == text


@pytest.mark.parametrize(
    "text", ['"; /user remove [find]; "', "$x $(y)", "[/user find]", "a\\b", "é ✓", "what?", "\r\n\t"]
)
async def test_hostile_text_is_only_text(text: str) -> None:
    """Text that looks like commands, variables or escapes is written back, and carries nothing out."""
    assert await _written(text) == text


def test_plain_ascii_only() -> None:
    """The script holds nothing that depends on a character set, and no bare question mark."""
    assert quoted("é?\n") == '"\\C3\\A9\\3F\\n"'


async def test_one_failing_line_keeps_none_from_running() -> None:
    """A line that fails is logged, and the others and the script's own end still happen."""
    async with mikrotik_stage(options()) as stage:
        table = stage.router.configuration.others["/ip/firewall/filter"]
        table.add({"chain": "input", "comment": "ours"})
        broken = undo_of_set("/ip/hotspot", {"name": "hotspot1"}, {"profile": "gone"})
        await _run(stage, undo_script([broken, undo_of_add("/ip/firewall/filter", {"comment": "ours"})]))
        assert not list(table)
        assert stage.router.configuration.others["/system/script"].named(SCRIPT) is None
        assert any("undo, line 1 failed" in row["message"] for row in stage.router.log.rows())


@pytest.mark.parametrize("put_aside", [True, False])
async def test_replaced_user_comes_back_and_twice_is_once(put_aside: bool) -> None:  # noqa: FBT001 - a parameter
    """The old user is back under its name; where it never was put aside it is left alone, also the second time."""
    async with mikrotik_stage(options()) as stage:
        users = stage.router.configuration.others["/user"]
        users.add({"name": "edge-old-box" if put_aside else "box", "group": "full", "password": "old"})
        if put_aside:
            users.add({"name": "box", "group": "full", "password": "new"})
        line = f":{undo_of_replaced('/user', 'box', 'edge-old-box', {'disabled': 'no'})}"
        await _run(stage, line)
        await _run(stage, line)
        found = users.named("box")
        assert found is not None
        assert found.values["password"] == "old"
        assert users.named("edge-old-box") is None
