"""What the hub says and takes is what docs/sync/ says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from nacl.signing import SigningKey

from easyisp_edge.domain.event_lines import parked_line
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane
from tests.fakes.hub_stage import Box, parts_of

if TYPE_CHECKING:
    import aiohttp

    from easyisp_edge.hub.hub import Hub

FOLDER = Path(__file__).parents[3] / "docs" / "sync"
NAMES = sorted(path.name.removesuffix(".schema.json") for path in FOLDER.glob("*.schema.json"))


def schema(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))


def check(name: str, content: Any) -> None:
    jsonschema_rs.Draft202012Validator(schema(name)).validate(content)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_and_lets_fields_be_added(name: str) -> None:
    """Every one is valid itself, needs what the protocol needs, and closes no object to later fields."""
    found = schema(name)
    jsonschema_rs.meta.validate(found)
    assert found["required"]
    assert '"additionalProperties": false' not in json.dumps(found)
    with pytest.raises(jsonschema_rs.ValidationError):
        check(name, {})


async def test_every_answer_is_as_its_schema_says(hub: Hub, box: Box, http: aiohttp.ClientSession) -> None:
    """And every request that is taken."""
    new = await parts_of(hub).enrolment.new_code("by schema")
    fresh = Box(http, hub.address)
    check("enrol-request", fresh.enrolment(new.code))
    check("enrol-answer", (await fresh.enrol(new.code)).content)
    for _ in range(3):
        event = box.make(Stream.MONEY)
        check("event", json.loads(event.body))
    rows = box.make_rows(payments=[{"payment_id": "p1"}])
    check("event", json.loads(rows.body))
    check("parked", json.loads(parked_line(4, rows.digest)))
    check("ack", (await box.post_all()).content)
    fork = await box.send("POST", "/edge/v1/streams/money/fork", rows.body, Lane.MONEY)
    check("fork-answer", fork.content)
    check("state", (await box.send("GET", "/edge/v1/state")).content)
    for path, request, answer, content in (
        ("epoch", "epoch-request", "epoch-answer", {"epoch": 1}),
        ("ask", "ask", "ask-answer", {"receipt": "TKL1234567", "gateway": "174379"}),
        ("time", "time-request", "time-answer", {"nonce": "x"}),
        ("key", "key-request", "key-answer", box.renewal(SigningKey.generate())),
    ):
        check(request, content)
        check(answer, (await box.ask(f"/edge/v1/{path}", content)).content)
    await parts_of(hub).down.publish(box.site, "command", {"verb": "look"})
    check("messages", (await box.send("GET", "/edge/v1/down?after=0", lane=Lane.DOWN)).content)


async def test_every_refusal_is_as_its_schema_says(hub: Hub, box: Box) -> None:
    """With the values the protocol promises for its code."""
    for _ in range(3):
        box.make(Stream.MONEY)
    await box.post_all()
    refusals = [
        await box.post(Stream.MONEY, [], query="?last=1"),
        await box.post(Stream.MONEY, [box.streams[Stream.MONEY][0].body, b"{"]),
        await box.post(Stream.USAGE, [b"{"]),
        await box.ask("/edge/v1/epoch", {"epoch": 9}),
        await box.send("GET", "/edge/v1/state", headers={}),
        await box.ask("/edge/v1/time", {}),
    ]
    box.streams[Stream.MONEY][2:] = []
    box.make(Stream.MONEY, {"n": "other"})
    box.make(Stream.MONEY)
    box.make(Stream.MONEY)
    refusals += [await box.post_all(), await box.post(Stream.MONEY, box.lines(Stream.MONEY, 5, 5))]
    box.counters[Lane.ASK] = 0
    refusals.append(await box.send("GET", "/edge/v1/state"))
    for said in refusals:
        assert said.status >= 400
        check("refusal", said.content)
    codes = {"behind", "event", "epoch", "unsigned", "request", "fork", "gap", "counter.used"}
    assert {said.code for said in refusals} == codes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("event", {"v": 1}),
        ("parked", {"parked": 0, "digest": "0" * 64}),
        ("refusal", {"code": "gap", "message": "x"}),
        ("ack", {"ack": -1, "serverTime": "2026-01-01T00:00:00Z", "configVersion": 0}),
        ("messages", {"messages": [{"n": 1, "type": "callback", "data": {}}], "serverTime": "2026-01-01T00:00:00Z"}),
    ],
)
def test_a_schema_refuses_what_is_not_so(name: str, content: Any) -> None:
    """Else it would say nothing."""
    with pytest.raises(jsonschema_rs.ValidationError):
        check(name, content)
