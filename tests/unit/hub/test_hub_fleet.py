from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane
from easyisp_edge.errors import EdgeError
from easyisp_edge.hub.instants import instant
from easyisp_edge.machine import ClockState
from tests.fakes.hub_stage import Box, enrolled_box, hub_config, parts_of, running_hub
from tests.unit.hub.seen import alarms, everything

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

    from easyisp_edge.domain.database_address import DatabaseAddress
    from easyisp_edge.hub.hub import Hub

SECRET = "a-token-for-tests-and-nothing-else"
LISTS = ("sites", "takings", "unmatched", "not-online", "twice", "forks", "parked", "errors", "alarms")
PAGES = ("/fleet", *(f"/api/fleet/{name}" for name in LISTS))
# Half past ten in the evening in Nairobi.
NOW = datetime(2026, 11, 21, 19, 30, tzinfo=UTC)


class StoppedClock:
    """Stands where a test puts it; what sleeps by it sleeps on."""

    state = ClockState.SYNCED

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOW).total_seconds()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Stage:
    """A hub that tells about its fleet."""

    hub: Hub
    clock: StoppedClock
    http: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
        given = headers or {"Authorization": f"Bearer {SECRET}"}
        async with self.http.get(f"{self.hub.address}{path}", headers=given) as answer:
            return answer.status, (await answer.read()).decode(), dict(answer.headers)

    async def api(self, path: str) -> Any:
        status, text, _ = await self.get(f"/api/fleet/{path}")
        assert status == 200, text
        return next(iter(json.loads(text).values()))

    async def box(self, name: str = "") -> Box:
        return await enrolled_box(self.hub, self.http, name)


@contextlib.asynccontextmanager
async def staged(folder: Path, database: DatabaseAddress, http: aiohttp.ClientSession) -> AsyncIterator[Stage]:
    token_file = folder / "fleet-token"
    token_file.write_text(SECRET + "\n")
    token_file.chmod(0o600)
    clock = StoppedClock()
    config = hub_config(folder, database).model_copy(update={"fleet_token_file": token_file})
    async with running_hub(config, clock) as hub:
        yield Stage(hub, clock, http)


@pytest.fixture
async def stage(tmp_path: Path, database: DatabaseAddress, http: Any) -> AsyncIterator[Stage]:
    async with staged(tmp_path, database, http) as stage:
        yield stage


@pytest.fixture
async def small(tmp_path: Path, http: Any) -> AsyncIterator[Stage]:
    async with staged(tmp_path, SqliteAddress(tmp_path / "small.sqlite"), http) as stage:
        yield stage


def payment(number: int, at: datetime, cents: int = 5000, **given: Any) -> dict[str, Any]:
    return {
        "payment_id": f"p{number}",
        "tenant_id": "cafe",
        "disposition": "grant",
        "amount_cents": cents,
        "mpesa_receipt_number": f"TKL5RECPT{number}",
        "account": "K7M4Q2X",
        "created_at": instant(at),
    } | given


def grant(number: int, at: datetime) -> dict[str, Any]:
    return {"grant_id": f"g{number}", "tenant_id": "cafe", "payment_id": f"p{number}", "created_at": instant(at)}


async def tell(box: Box, stream: Stream = Stream.MONEY, **tables: list[dict[str, Any]]) -> None:
    event = box.make_rows(stream, **tables)
    assert (await box.post(stream, [event.body])).status == 200


def of(box: Box, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in found if one["site"] == box.site]


# --- the door


@pytest.mark.parametrize("path", [*PAGES, "/fleet/" + "0" * 16])
async def test_without_the_secret_nothing_is_told(small: Stage, path: str) -> None:
    """Whatever is shown in its place; an alarm says that somebody tried."""
    right = base64.b64encode(f"me:{SECRET}".encode()).decode()
    for shown in ("none", "Bearer", "Bearer ", f"Bearer {SECRET}x", f"Bearer {SECRET[:-1]}", f"Token {SECRET}",
                  "Basic " + base64.b64encode(f"{SECRET}:".encode()).decode(), "Basic !!", f"Basic {right}x",
                  "Bearer \xff"):  # fmt: skip
        status, text, headers = await small.get(path, Authorization=shown)
        assert status == 401
        assert SECRET not in text
        assert headers["WWW-Authenticate"].startswith("Basic" if path.startswith("/fleet") else "Bearer")
    assert (await alarms(small.hub, ""))["fleet.refused"] == 10
    assert (await small.get(path, Authorization=f"Basic {right}"))[0] == (404 if path.endswith("0" * 16) else 200)


async def test_a_hub_without_the_file_has_no_such_door(tmp_path: Path, http: Any) -> None:
    """Nothing is told by default."""
    async with running_hub(hub_config(tmp_path, SqliteAddress(tmp_path / "hub.sqlite"))) as hub:
        for path in PAGES:
            async with http.get(f"{hub.address}{path}", headers={"Authorization": f"Bearer {SECRET}"}) as answer:
                assert answer.status == 404


async def test_a_short_secret_is_none(tmp_path: Path, http: Any) -> None:
    """The hub does not start with one that could be guessed."""
    path = tmp_path / "token"
    path.write_text("short")
    path.chmod(0o600)
    config = hub_config(tmp_path, SqliteAddress(tmp_path / "hub.sqlite")).model_copy(update={"fleet_token_file": path})
    with pytest.raises(BaseExceptionGroup) as refused:
        async with running_hub(config):
            pass
    assert refused.group_contains(EdgeError)


async def test_looking_changes_nothing(small: Stage) -> None:
    """By any of its addresses."""
    await tell(await small.box(), payments=[payment(1, NOW)])
    before = await everything(small.hub)
    for path in PAGES:
        assert (await small.get(path))[0] == 200
    assert await everything(small.hub) == before


@pytest.mark.parametrize("path", ["/fleet?days=0", "/fleet?days=32", "/fleet?days=x", "/api/fleet/takings?days=-1"])
async def test_a_span_has_bounds(small: Stage, path: str) -> None:
    """A day to a month."""
    assert (await small.get(path))[0] == 400


@pytest.mark.parametrize("path", ["/fleet/" + "0" * 16, "/fleet/%27", "/api/fleet/alarms?site=" + "0" * 16,
                                  "/api/fleet/unmatched?site=%3Cscript%3E"])  # fmt: skip
async def test_a_site_that_is_none_is_said(small: Stage, path: str) -> None:
    """And nothing of what was asked is repeated as it came."""
    status, text, _ = await small.get(path)
    assert status == 404
    assert "<script>" not in text


# --- what it tells


async def test_sites_are_told_with_what_waits(stage: Stage) -> None:
    """Who is there, how far it has come, and what it has not had."""
    box = await stage.box()
    await tell(box, payments=[payment(1, NOW, 700, disposition="unmatched")])
    await parts_of(stage.hub).down.publish(box.site, "command", {"verb": "look"})
    (site,) = of(box, await stage.api("sites"))
    assert (site["state"], site["epoch"], site["waitingDown"], site["configVersion"]) == ("confirmed", 1, 1, 0)
    assert site["streams"] == {"money": {"last": 1, "receivedAt": instant(NOW)}}
    assert site["lastSeenAt"] == instant(NOW)
    assert site["unmatched"] == {"count": 1, "amountCents": 700}
    assert re.fullmatch(r"([0-9a-f]{4} ){7}[0-9a-f]{4}", site["fingerprint"])
    await box.send("GET", "/edge/v1/down?after=1&wait=0", lane=Lane.DOWN)
    assert of(box, await stage.api("sites"))[0]["waitingDown"] == 0


async def test_takings_are_by_the_day_in_nairobi(stage: Stage) -> None:
    """Which begins three hours before the one in UTC; what was given back is told apart, twins are not counted."""
    box = await stage.box()
    midnight = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
    await tell(
        box,
        payments=[
            payment(1, midnight - timedelta(milliseconds=1), 100),
            payment(2, midnight, 1000),
            payment(3, NOW, 10_000, disposition="unmatched"),
            payment(4, NOW, 100_000, disposition="refunded"),
            payment(5, NOW, 1_000_000, disposition="merged"),
            payment(6, NOW, 7, tenant_id="bar"),
            payment(7, midnight - timedelta(days=7), 1),
        ],
    )
    found = [tuple(one.values())[1:] for one in of(box, await stage.api("takings?days=2"))]
    assert sorted(found) == [
        ("bar", "2026-11-21", 1, 7, 0),
        ("cafe", "2026-11-20", 1, 100, 0),
        ("cafe", "2026-11-21", 2, 11_000, 100_000),
    ]
    assert len(of(box, await stage.api(f"takings?days=9&site={box.site}"))) == 4


async def test_money_nobody_owns_is_listed(stage: Stage) -> None:
    """Until it has an owner; the newest first."""
    box, other = await stage.box(), await stage.box()
    for number in (1, 2):
        at = NOW - timedelta(hours=3 - number)
        await tell(box, payments=[payment(number, at, 100 * number, disposition="unmatched")])
    await tell(other, payments=[payment(3, NOW, disposition="unmatched")])
    found = await stage.api(f"unmatched?site={box.site}")
    assert [(one["mpesaReceiptNumber"], one["amountCents"], one["account"]) for one in found] == [
        ("TKL5RECPT2", 200, "K7M4Q2X"),
        ("TKL5RECPT1", 100, "K7M4Q2X"),
    ]
    await tell(box, payments=[payment(1, NOW, 100, disposition="wallet")])
    assert len(await stage.api(f"unmatched?site={box.site}")) == 1


async def test_who_paid_and_is_not_online_is_listed(stage: Stage) -> None:
    """Ten minutes after the payment; not who had a session, not without a payment, not for ever."""
    box = await stage.box()
    times = {1: NOW - timedelta(minutes=11), 2: NOW - timedelta(minutes=11), 3: NOW - timedelta(minutes=9),
             4: NOW - timedelta(hours=25)}  # fmt: skip
    await tell(
        box,
        payments=[payment(number, at) for number, at in times.items()],
        grants=[*(grant(number, at) for number, at in times.items()),
                {"grant_id": "g9", "payment_id": None, "created_at": instant(times[1])}],
    )  # fmt: skip
    await tell(box, Stream.USAGE, sessions=[session(2, times[2] + timedelta(minutes=1))])
    found = await stage.api(f"not-online?site={box.site}")
    assert [(one["grant"], one["mpesaReceiptNumber"], one["amountCents"]) for one in found] == [
        ("g1", "TKL5RECPT1", 5000)
    ]
    await tell(box, Stream.USAGE, sessions=[session(1, NOW)])
    assert await stage.api(f"not-online?site={box.site}") == []


def session(number: int, at: datetime) -> dict[str, Any]:
    return {"session_id": number, "router_id": "r1", "acct_session_id": f"s{number}", "username": "u",
            "grant_id": f"g{number}", "started_at": instant(at), "updated_at": instant(at)}  # fmt: skip


async def test_one_receipt_at_two_sites_is_listed(stage: Stage) -> None:
    """Where both gave something for it, as they can while one is out of reach; both are shown."""
    one, two, three = [await stage.box() for _ in range(3)]
    receipt = f"TW{one.site[:8].upper()}"
    for box, number, disposition in ((one, 1, "grant"), (two, 2, "wallet"), (three, 3, "unmatched")):
        row = payment(number, NOW, mpesa_receipt_number=receipt, disposition=disposition)
        await tell(box, payments=[row, payment(9, NOW, mpesa_receipt_number=f"{receipt}{number}")])
    for where in ("", f"?site={one.site}", f"?site={two.site}"):
        found = [row for row in await stage.api(f"twice{where}") if row["mpesaReceiptNumber"] == receipt]
        assert sorted(row["site"] for row in found) == sorted([one.site, two.site])
    assert await stage.api(f"twice?site={three.site}") == []
    _, text, _ = await stage.get("/fleet")
    assert "One receipt, two sites" in text


async def test_a_browser_that_asks_for_the_password_is_no_alarm(small: Stage) -> None:
    """Each first asks without one."""
    async with small.http.get(f"{small.hub.address}/fleet") as answer:
        assert answer.status == 401
    assert await alarms(small.hub, "") == {}


async def test_a_site_that_was_away_accuses_nobody(stage: Stage) -> None:
    """Its money may be here before its sessions are."""
    box = await stage.box()
    at = NOW - timedelta(minutes=11)
    await tell(box, payments=[payment(1, at)], grants=[grant(1, at)])
    assert await stage.api(f"not-online?site={box.site}") == []
    await box.send("GET", "/edge/v1/down?after=0&wait=0", lane=Lane.DOWN)
    assert len(await stage.api(f"not-online?site={box.site}")) == 1


async def test_gaps_forks_parked_events_and_errors_are_listed(stage: Stage) -> None:
    """Each with its site and number."""
    box = await stage.box()
    first = box.make(Stream.MONEY)
    second = box.make(Stream.MONEY, {"rows": {"payments": [{"no": "key"}]}}, "rows")
    third = box.make(Stream.MONEY)
    assert (await box.post(Stream.MONEY, [second.body])).code == "gap"
    assert (await box.post(Stream.MONEY, [first.body, second.body])).status == 200
    parked = b'{"parked": 3, "digest": "%s"}' % third.digest.hex().encode()
    assert (await box.post(Stream.MONEY, [parked])).status == 200
    twin = Box(box.http, box.url, box.key, box.site, box.epoch, box.hub_key, box.counters)
    forked = twin.make(Stream.MONEY, {"another": "first"})
    assert (await twin.post(Stream.MONEY, [forked.body])).code == "fork"
    said = await twin.send("POST", "/edge/v1/streams/money/fork", forked.body + b"\n", Lane.MONEY)
    assert said.status == 200, said.body
    where = f"?site={box.site}"
    assert [(one["stream"], one["seq"]) for one in await stage.api("parked" + where)] == [("money", 3)]
    (error,) = await stage.api("errors" + where)
    assert (error["seq"], error["reason"]) == (2, "a row of payments without its key")
    (fork,) = await stage.api("forks" + where)
    assert (fork["events"], fork["first"], fork["last"]) == (1, 1, 1)
    await parts_of(stage.hub).alarms.flush()
    assert {"gap", "fork", "parked", "projection"} <= {one["kind"] for one in await stage.api("alarms" + where)}


async def test_old_alarms_are_not_shown(small: Stage) -> None:
    """A week of them."""
    box = await small.box()
    await parts_of(small.hub).alarms.note(box.site, "fork", "long ago")
    small.clock.at += timedelta(days=8)
    await parts_of(small.hub).alarms.note(box.site, "gap", "now")
    assert [one["kind"] for one in await small.api(f"alarms?site={box.site}")] == ["gap"]


# --- the pages


class Links(HTMLParser):
    """Every element and address in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "style"
            if name in {"href", "src", "action"}:
                self.addresses.append(value or "")


async def test_the_pages_hold_no_script_and_nothing_from_elsewhere(small: Stage) -> None:
    """And their policy lets nothing of it run, should anything get in."""
    box = await small.box()
    for path in ("/fleet", f"/fleet/{box.site}"):
        status, text, headers = await small.get(path)
        assert status == 200
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
        assert (headers["Cache-Control"], headers["X-Frame-Options"]) == ("no-store", "DENY")
        found = Links()
        found.feed(text)
        assert not found.tags & {"script", "iframe", "object", "img", "form", "style"}
        assert found.addresses
        assert all(re.fullmatch(r"/fleet(/style\.css|/[0-9a-f]{16})?", address) for address in found.addresses)


async def test_what_boxes_say_is_shown_as_text(small: Stage) -> None:
    """No name, account or reason becomes an element."""
    evil = "<script>alert(1)</script>"
    box = await small.box(f"cafe {evil}")
    await tell(box, payments=[payment(1, NOW, account=evil, mpesa_receipt_number=evil, disposition="unmatched")])
    event = box.make(Stream.MONEY, {"rows": {f"t{evil}": [{"a": 1}]}}, "rows")
    assert (await box.post(Stream.MONEY, [event.body])).status == 200
    await parts_of(small.hub).alarms.note(box.site, evil, evil)
    for path in ("/fleet", f"/fleet/{box.site}"):
        _, text, _ = await small.get(path)
        assert "<script" not in text
        assert text.count("&lt;script&gt;") >= 4


async def test_the_page_says_what_needs_a_person(small: Stage) -> None:
    """In words and numbers."""
    box = await small.box("Kibera cafe")
    at = NOW - timedelta(minutes=12)
    await tell(box, payments=[payment(1, at, 123_450)], grants=[grant(1, at)])
    await tell(box, payments=[payment(2, NOW, disposition="unmatched")])
    await box.send("GET", "/edge/v1/down?after=0&wait=0", lane=Lane.DOWN)
    small.clock.at += timedelta(minutes=1)
    _, text, _ = await small.get("/fleet")
    plain = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    for said in ("Kibera cafe", "1,234.50", "TKL5RECPT1", "13 minutes ago", "TKL5RECPT2", "21 Nov 2026, 22:30",
                 "1 minute ago", "1,284.50"):  # fmt: skip
        assert said in plain
    small.clock.at += timedelta(minutes=20)
    _, text, _ = await small.get("/fleet")
    assert 'data-label="Last seen" class="bad"' in text


async def test_a_hub_without_sites_says_how_to_begin(small: Stage) -> None:
    """And shows no empty tables."""
    _, text, _ = await small.get("/fleet")
    assert "easyisp-edge hub site add" in text
    assert "<table" not in text


async def test_the_style_sheet_needs_no_password(small: Stage) -> None:
    """Browsers do not always send it along; it says nothing of the fleet."""
    status, text, headers = await small.get("/fleet/style.css", Authorization="none")
    assert (status, headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "url(" not in text
