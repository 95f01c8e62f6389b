"""What a person reads who looks after a fleet."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.hub.alarm_words import in_words
from tests.fakes.hub_stage import parts_of
from tests.unit.hub.test_hub_fleet import staged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.hub.test_hub_fleet import Stage

# How the hub's code notes an alarm, and the answers to batches, which become alarms by their code.
_NOTED = re.compile(r"""(?:alarms\.note\([^,]+|_alarm\(site_id),\s*"([a-z._]+)\"""")
_REFUSED_BATCHES = {"behind", "counter.used", "epoch", "fork", "gap"}


@pytest.fixture
async def stage(tmp_path: Path, http: Any) -> AsyncIterator[Stage]:
    async with staged(tmp_path, SqliteAddress(tmp_path / "hub.sqlite"), http) as stage:
        yield stage


def test_every_alarm_has_words() -> None:
    """Nobody has to know what `down.ahead` is."""
    folder = files("easyisp_edge.hub")
    sources = [path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name.endswith(".py")]
    kinds = {kind for source in sources for kind in _NOTED.findall(source)} | _REFUSED_BATCHES
    assert {"signature", "callback.flood", "parked", "config.sealed"} <= kinds
    assert [kind for kind in sorted(kinds) if in_words(kind) == kind] == []


async def test_alarms_are_shown_in_words(stage: Stage) -> None:
    """One of a later release by its kind; programs are told the kind."""
    box = await stage.box()
    for kind in ("signature", "of.a.later.release"):
        await parts_of(stage.hub).alarms.note(box.site, kind)
    _, text, _ = await stage.get("/fleet")
    assert "a request with a wrong signature" in text
    assert "of.a.later.release" in text
    assert {one["kind"] for one in await stage.api("alarms")} == {"signature", "of.a.later.release"}


async def test_what_needs_a_person_is_in_sight_above_the_sites(stage: Stage) -> None:
    """With fifty sites the lists of it stand many screens below; where there is none, nothing is said."""
    box = await stage.box()
    assert "What needs a person" not in (await stage.get("/fleet"))[1]
    await parts_of(stage.hub).alarms.note(box.site, "signature")
    _, text, _ = await stage.get("/fleet")
    top, _, rest = text.partition('<section aria-labelledby="sites">')
    jumps = re.findall(r'href="#([a-z-]+)">([^<]+)</a> <span class="count bad">(\d+)<', top)
    assert jumps == [("alarms", "Alarms", "1")]
    assert 'id="alarms"' in rest


async def test_a_site_says_what_it_waits_for(stage: Stage) -> None:
    """The command to confirm it, or to have a box for it; nothing where all is well."""
    enrolment = parts_of(stage.hub).enrolment
    box = await stage.box("Kibera market")
    empty = (await enrolment.new_code("Nakuru")).site_id
    assert "hub site" not in (await stage.get(f"/fleet/{box.site}"))[1]
    assert "hub site add" in (await stage.get(f"/fleet/{empty}"))[1]
    await box.enrol((await enrolment.new_code("Kibera market")).code)
    assert f"hub site confirm {box.site}" in (await stage.get(f"/fleet/{box.site}"))[1]
    await enrolment.close(box.site)
    assert "Its box is refused" in (await stage.get(f"/fleet/{box.site}"))[1]


@pytest.mark.parametrize(("path", "status"), [("/fleet/" + "0" * 16, 404), ("/fleet?days=0", 400)])
async def test_people_read_text_and_programs_read_objects(stage: Stage, path: str, status: int) -> None:
    """What is wrong with an address is said in a line."""
    found, text, headers = await stage.get(path)
    assert found == status
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert text.endswith(".\n")
    assert "{" not in text
    assert (await stage.get("/fleet", Authorization="Basic eA=="))[1].startswith("Show the fleet's token")
