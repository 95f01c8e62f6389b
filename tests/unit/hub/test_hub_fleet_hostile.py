"""A box may be anybody's: what it tells must not hide what other boxes tell."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane
from easyisp_edge.hub.fleet_routes import WRONG_MOST
from easyisp_edge.hub.instants import instant
from easyisp_edge.hub.projecting import AMOUNT_MOST, TEXT_OCTETS_MOST
from easyisp_edge.hub.store.fleet import ROWS_MOST, TENANTS_MOST
from tests.fakes.hub_stage import parts_of
from tests.unit.hub.seen import alarms
from tests.unit.hub.test_hub_fleet import NOW, PAGES, SECRET, grant, payment, staged, tell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.database_address import DatabaseAddress
    from tests.fakes.hub_stage import Box
    from tests.unit.hub.test_hub_fleet import Stage

TODAY = instant(NOW)[:10]
# Each lies between the ends of a day as text does.
NO_INSTANTS = (
    f"{TODAY}T1", f"{TODAY}Tnoon", f"{TODAY}", f"{TODAY}T99:00:00.000Z", f"{TODAY}T10:00:00", f"{TODAY}T10 o'clock",
    f"{TODAY}T09:00:00.000Z and more", f"{TODAY[:8]}3x", f"{TODAY}T٣٣:00:00.000Z",
)  # fmt: skip


@pytest.fixture
async def stage(tmp_path: Path, database: DatabaseAddress, http: Any) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database, http) as stage:
        yield stage


@pytest.fixture
async def small(tmp_path: Path, http: Any) -> AsyncIterator[Stage]:
    async with staged(tmp_path, SqliteAddress(tmp_path / "small.sqlite"), http) as stage:
        yield stage


async def honest(stage: Stage) -> Box:
    """A box with money of today, money nobody owns, and somebody who is not online."""
    box = await stage.box()
    at = NOW - timedelta(minutes=12)
    await tell(box, payments=[payment(1, at, 123_450)], grants=[grant(1, at)])
    await tell(box, payments=[payment(2, NOW, disposition="unmatched")])
    await box.send("GET", "/edge/v1/down?after=0&wait=0", lane=Lane.DOWN)
    return box


@pytest.mark.parametrize("at", [*NO_INSTANTS, "9999-12-31T23:30:00.000Z", "0001-01-01T00:00:00.000Z", None])
async def test_a_time_that_is_none_hides_nothing(stage: Stage, at: str | None) -> None:
    """Every page and list is there, with what the others told."""
    good, bad = await honest(stage), await stage.box()
    rows = [
        payment(number, NOW, 100, created_at=at, disposition=disposition)
        for number, disposition in enumerate(("grant", "unmatched", "refunded"), start=1)
    ]
    await tell(bad, payments=rows, grants=[{**grant(1, NOW), "created_at": at}])
    await bad.send("GET", "/edge/v1/down?after=0&wait=0", lane=Lane.DOWN)
    stage.clock.at += timedelta(minutes=30)
    for path in (*PAGES, f"/fleet/{bad.site}"):
        assert (await stage.get(path))[0] == 200, path
    (day,) = await stage.api(f"takings?site={good.site}&days=1")
    assert (day["payments"], day["amountCents"]) == (2, 128_450)
    assert len(await stage.api(f"not-online?site={good.site}")) == 1
    assert len(await stage.api(f"unmatched?site={bad.site}")) == 1


async def test_a_long_text_is_cut(small: Stage) -> None:
    """Two hundred of the longest a batch can carry would be a page of megabytes."""
    bad = await small.box()
    long = "x" * TEXT_OCTETS_MOST
    row = payment(1, NOW, disposition="unmatched", mpesa_receipt_number=long, account="x" * 50_000, tenant_id=long)
    await tell(bad, payments=[row])
    assert len(await small.api("unmatched")) == 1
    for path in ("/fleet", f"/fleet/{bad.site}", "/api/fleet/unmatched", "/api/fleet/takings"):
        status, text, _ = await small.get(path)
        assert status == 200
        assert len(text) < 20_000, path


async def test_what_turns_a_line_around_is_shown_as_a_sign(small: Stage) -> None:
    """No receipt is made to look like another by signs that nobody sees."""
    bad = await small.box()
    receipt = "TKL\u202e1TPCER\u200b\n\x1b[2J"
    await tell(bad, payments=[payment(1, NOW, disposition="unmatched", mpesa_receipt_number=receipt)])
    _, text, _ = await small.get("/fleet")
    assert "TKL\ufffd1TPCER\ufffd\ufffd\ufffd[2J" in text
    (one,) = await small.api("unmatched")
    assert one["mpesaReceiptNumber"] == "TKL\ufffd1TPCER\ufffd\ufffd\ufffd[2J"


@pytest.mark.parametrize(
    ("cents", "shown"), [(-50, "-0.50"), (-123_450, "-1,234.50"), (10**15 - 4, "9,999,999,999,999.96")]
)
async def test_money_of_any_size_is_shown(small: Stage, cents: int, shown: str) -> None:
    """As it was told, with its sign."""
    bad = await small.box()
    await tell(bad, payments=[payment(1, NOW, cents, disposition="unmatched")])
    status, text, _ = await small.get("/fleet")
    assert status == 200
    assert f">{shown}<" in text


async def test_money_beyond_all_sums_hides_no_page(stage: Stage) -> None:
    """What no event can tell as one amount, ten thousand can as a sum; it is the right one, as far as a box is."""
    good, bad = await honest(stage), await stage.box()
    for first in range(0, 10_000, 1000):
        await tell(bad, payments=[lean(number, AMOUNT_MOST) for number in range(first, first + 1000)])
    for path in (*PAGES, f"/fleet/{bad.site}"):
        assert (await stage.get(path))[0] == 200, path
    (day,) = await stage.api(f"takings?site={bad.site}&days=1")
    assert (day["payments"], day["amountCents"]) == (10_000, 10_000 * AMOUNT_MOST)
    (site,) = [one for one in await stage.api("sites") if one["site"] == bad.site]
    assert site["unmatched"] == {"count": 10_000, "amountCents": 10_000 * AMOUNT_MOST}
    assert (await stage.api(f"takings?site={good.site}&days=1"))[0]["amountCents"] == 128_450


def lean(number: int, cents: int, **given: Any) -> dict[str, Any]:
    """A payment that nobody owns, as short as one can be told."""
    return {"payment_id": number, "amount_cents": cents, "disposition": "unmatched", "created_at": instant(NOW)} | given


async def test_one_box_crowds_no_other_out_of_a_list(stage: Stage) -> None:
    """Whatever times it tells; of each site the newest come first, and how many are left out is said."""
    good, bad = await honest(stage), await stage.box()
    later = NOW + timedelta(days=300)
    rows = [lean(number, 100, created_at=instant(later)) for number in range(ROWS_MOST * 2)]
    await tell(bad, payments=rows)
    broken = [bad.make(Stream.MONEY, {"rows": {"x": []}}, "rows").body for _ in range(ROWS_MOST * 2)]
    assert (await bad.post(Stream.MONEY, broken)).status == 200
    await tell(good, x=[])
    at = NOW - timedelta(minutes=12)
    sold = [payment(number, at, tenant_id="x") for number in range(ROWS_MOST * 2)]
    for first in range(0, len(sold), 100):
        await tell(bad, payments=sold[first : first + 100], grants=[grant(n, at) for n in range(first, first + 100)])
    await bad.send("GET", "/edge/v1/down?after=0&wait=0", lane=Lane.DOWN)
    for name, theirs in (("unmatched", ROWS_MOST * 2), ("errors", ROWS_MOST * 2), ("not-online", ROWS_MOST * 2)):
        status, text, _ = await stage.get(f"/api/fleet/{name}")
        told = json.loads(text)
        of_sites = [one["site"] for one in told["items"]]
        assert (status, of_sites.count(good.site)) == (200, 1), name
        assert of_sites.count(bad.site) <= ROWS_MOST // 2
        assert told["leftOut"] >= theirs - of_sites.count(bad.site)
        own = json.loads((await stage.get(f"/api/fleet/{name}?site={bad.site}"))[1])
        assert (len(own["items"]), own["leftOut"]) == (ROWS_MOST, theirs - ROWS_MOST)
        alone = json.loads((await stage.get(f"/api/fleet/{name}?site={good.site}"))[1])
        assert (len(alone["items"]), alone["leftOut"]) == (1, 0)
    assert "200 older ones are not shown" in (await stage.get(f"/fleet/{bad.site}"))[1]
    assert "not shown" not in (await stage.get(f"/fleet/{good.site}"))[1]
    assert "older ones are not shown" in (await stage.get("/fleet"))[1]


async def test_the_alarms_of_one_box_crowd_out_no_other(small: Stage) -> None:
    """Nor those of strangers, whom no site is known of."""
    boxes = [await small.box() for _ in range(2)]
    for number in range(ROWS_MOST * 2):
        small.clock.at += timedelta(seconds=1)
        await parts_of(small.hub).alarms.note(boxes[1].site, f"kind {number}")
    await parts_of(small.hub).alarms.note("", "unsigned")
    small.clock.at -= timedelta(hours=3)
    await parts_of(small.hub).alarms.note(boxes[0].site, "fork")
    sites = [one["site"] for one in await small.api("alarms")]
    assert (sites.count(boxes[0].site), sites.count("")) == (1, 1)


async def test_a_box_with_many_tenants_makes_no_endless_list(stage: Stage) -> None:
    """Those that sold most are told one by one, and how many others there are; the page's sums hold all."""
    box = await stage.box()
    rows = [lean(number, 100, tenant_id=f"t{number:03}") for number in range(TENANTS_MOST + 25)]
    await tell(box, payments=[*rows, lean(9000, 500, tenant_id="t074"), lean(9001, 7, tenant_id=None)])
    _, text, _ = await stage.get(f"/api/fleet/takings?site={box.site}&days=1")
    told = json.loads(text)
    assert (len(told["takings"]), told["leftOut"]) == (TENANTS_MOST, 26)
    assert [one["amountCents"] for one in told["takings"] if one["tenant"] == "t074"] == [600]
    _, text, _ = await stage.get(f"/fleet/{box.site}?days=1")
    assert ">80.07<" in text


# --- guessing


async def test_who_guesses_is_sent_away_for_a_minute(small: Stage) -> None:
    """With the right secret too, so that nothing is learnt; others are let in; an alarm counts them."""
    from_one, from_other = ({"X-Forwarded-For": address} for address in ("198.51.100.7", "198.51.100.8"))
    right = {"Authorization": f"Bearer {SECRET}"}
    for number in range(WRONG_MOST):
        assert (await small.get("/api/fleet/sites", Authorization=f"Bearer {number}", **from_one))[0] == 401
    status, text, headers = await small.get("/api/fleet/sites", **right, **from_one)
    assert (status, headers["Retry-After"]) == (429, "60")
    assert json.loads(text)["code"] == "fleet.guessing"
    assert (await small.get("/fleet", **right, **from_one))[0] == 429
    assert (await small.get("/api/fleet/sites", **right, **from_other))[0] == 200
    assert (await alarms(small.hub, ""))["fleet.refused"] == WRONG_MOST
    small.clock.at += timedelta(minutes=1)
    assert (await small.get("/api/fleet/sites", **right, **from_one))[0] == 200


async def test_who_shows_the_secret_is_never_sent_away(small: Stage) -> None:
    """However often; and a browser that asks without one is no guess."""
    for _ in range(WRONG_MOST + 5):
        assert (await small.get("/api/fleet/forks"))[0] == 200

    async def without() -> int:
        async with small.http.get(f"{small.hub.address}/fleet") as answer:
            return answer.status

    assert set(await asyncio.gather(*(without() for _ in range(WRONG_MOST + 5)))) == {401}
    assert (await small.get("/fleet"))[0] == 200


def test_the_list_of_no_instants_bites() -> None:
    """Else the tests above show nothing: none is an instant as boxes write them."""
    assert not any(
        re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}T([01][0-9]|2[0-3])(:[0-9]{2}){2}\.[0-9]{3}Z", at) for at in NO_INSTANTS
    )
