"""Every route of every HTTP door against what no honest client sends: never our fault, nothing written."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
import re
import socket
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easyisp_edge.lab.daraja import Payer
from easyisp_edge.web.admin.problems import PROBLEM_TYPE
from easyisp_edge.web.webhooks import PATHS
from tests.whole.hostile_input import (
    BODY_TYPES,
    BROKEN_BODIES,
    FORM,
    FORM_TYPE,
    JSON_TYPE,
    METHODS,
    NAMES,
    NO_HTTP,
    NO_TEXTS,
    ODD_HEADERS,
    ODD_OCTETS,
    ODD_VALUES,
    ORDER,
    WRONG_FIELDS,
    WRONG_FORM_FIELDS,
)
from tests.whole.raw_http import RawAnswer, Route, ask, assert_calm, exchange, request, routes_of
from tests.whole.stage import HOST, MAC, OTHER_MAC, OTHER_PHONE, PHONE, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

COUNTED = {"seconds_used", "octets_used"}
WRITTEN = (
    "purchases",
    "payments",
    "evidence",
    "grants",
    "customers",
    "events",
    "package_versions",
    "claims",
    "entries",
)
# By contract whatever is posted there is answered as taken, so that M-Pesa never learns anything from it.
ALWAYS_TAKEN = {"/api/portal/mpesa/callback", "/v/{token}", "/t/{token}", *PATHS}
IN_BRACES = re.compile(r"\{[a-z_]+\}")


@dataclass(frozen=True)
class Targets:
    """A site with one purchase paid, one failed and a claim on the first, and where its routes lead for them."""

    stage: Stage
    routes: list[Route]
    paid: str
    failed: str
    claim: str
    token: str
    notice_token: str

    def path(self, route: Route) -> str:
        """The route's path, with what leads to something in place of its names."""
        leading = {
            "{token}": self.token if route.path.startswith("/c/") else self.notice_token,
            "{purchase_id}": self.paid,
            "{claim_id}": self.claim,
            "{key}": "0" * 32,
            "{rest}": "packages",
            "{code}": "K7M3PQ4ABCDM",  # of no voucher
            "{tenant}": "default",
        }
        return IN_BRACES.sub(lambda found: leading[found[0]], route.path)

    def wanting(self, method: str) -> list[Route]:
        """The routes of a method."""
        found = [route for route in self.routes if route.method == method]
        assert found, method
        return found

    async def written(self) -> dict[str, list[Any]]:
        """All that stands in the books, but for what the router counts of a device that is online all the while."""
        async with self.stage.books() as (_, connection):
            connection.row_factory = sqlite3.Row
            found: dict[str, list[Any]] = {}
            for table in WRITTEN:
                rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - names from above
                found[table] = [{name: row[name] for name in row.keys() if name not in COUNTED} for row in rows]  # noqa: SIM118 - a row gives its values
            return found


@pytest.fixture
async def targets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Targets]:
    """A site to be ill-treated; in the end its books are as before, and its log tells of no fault."""
    caplog.set_level(logging.INFO)
    async with Stage(tmp_path) as stage:
        paid = await stage.buy()
        await stage.pay()
        await stage.until_status(paid, "completed")
        await stage.until_online()
        failed = await stage.buy(phone=OTHER_PHONE, macAddress=OTHER_MAC)
        push = (await stage.daraja.wait_for_prompt(OTHER_PHONE)).push
        await stage.daraja.act(push.checkout_request_id, Payer.CANCEL)
        await stage.until_status(failed, "failed")
        token = push.request.callback_url.rpartition("/")[2]
        message = {"smsText": stage.daraja.debits[0].receipt, "macAddress": MAC}
        async with stage.http.post("/api/portal/mpesa/verify-sms", json=message) as answer:
            claim = (await answer.json())["claimId"]
        notice_token = await stage.daemon.parts.sweep.notice_token("paybill")
        # What the back office does with odd input has proofs of its own: test_back_office_property and its neighbours.
        routes = [route for route in routes_of(stage) if route.door != "admin" or not route.path.startswith("/api/")]
        site = Targets(stage, routes, paid, failed, claim, token, notice_token)
        before = await site.written()
        yield site
        assert await site.written() == before
    assert_calm(caplog.get_records("call"))


def assert_spoken(route: Route, method: str, answer: RawAnswer) -> None:
    """No fault of ours; JSON where programs ask, a page under its policy where people do; errors say what is wrong."""
    told = f"{route} asked by {method}: {answer.status} {answer.body[:200]!r}"
    assert answer.status < 500, told
    assert "evil.example" not in answer.headers.get("location", ""), told
    if answer.status == 405:
        assert answer.headers.get("allow"), told
    if answer.status in {204, 302, 303}:
        return
    if route.door != "portal" or route.path.startswith("/api/"):
        wanted = PROBLEM_TYPE if route.door == "admin" and answer.status >= 400 else "application/json"
        assert answer.content_type == wanted, told
        if method != "HEAD":
            _assert_json_says(route, answer, told)
    elif route.path == "/captive" and answer.status < 400:
        assert answer.content_type == "application/captive+json", told
    elif answer.status >= 400 or not route.path.startswith("/static/"):
        assert answer.content_type == "text/html", told
        assert "default-src 'none'" in answer.headers["content-security-policy"], told
        if method != "HEAD":
            assert b"<h1>" in answer.body, told


def _assert_json_says(route: Route, answer: RawAnswer, told: str) -> None:
    content = json.loads(answer.body)
    if answer.status < 400:
        return
    if route.door == "portal":
        assert content["success"] is False, told
        assert content["code"], told
        assert len(content["message"]) > 10, told
    elif route.door == "admin":
        assert content["detail"], told
    else:
        assert content["ResultDesc"], told


def _refused(route: Route, answer: RawAnswer, *statuses: int, told: str = "") -> None:
    assert_spoken(route, route.method, answer)
    wanted = {200} if route.path in ALWAYS_TAKEN else set(statuses)
    assert answer.status in wanted, f"{route} {told}: {answer.status} {answer.body[:200]!r}"


async def test_every_door_is_looked_at(targets: Targets) -> None:
    """The routes come from the applications themselves, so that a new one is ill-treated here from its first day."""
    seen = {(route.door, route.method, route.path) for route in targets.routes}
    assert {
        ("portal", "POST", "/buy"),
        ("portal", "POST", "/api/portal/mpesa/initiate"),
        ("callbacks", "POST", "/c/{token}"),
        ("admin", "GET", "/health"),
    } <= seen


async def test_a_body_that_cannot_be_meant_is_refused(targets: Targets) -> None:
    """Whatever its content type says, on every route that takes a body: refused with 400 or 413."""
    for route in targets.wanting("POST"):
        for name, body in BROKEN_BODIES.items():
            for headers in BODY_TYPES:
                answer = await ask(route.port, "POST", targets.path(route), body, headers)
                _refused(route, answer, 400, 413, told=name)


async def test_a_body_in_chunks_is_read_like_any_other(targets: Targets) -> None:
    """Chunked bodies are bounded and judged as whole ones are."""
    chunked = (*JSON_TYPE, ("Transfer-Encoding", b"chunked"))
    for route in targets.wanting("POST"):
        for body in (b"0\r\n\r\n", b'3\r\n{"a\r\n2\r\n":\r\n0\r\n\r\n', b"8000\r\n" + b"a" * 0x8000 + b"\r\n0\r\n\r\n"):
            _refused(route, await ask(route.port, "POST", targets.path(route), body, chunked), 400, 413)


def _wrong_orders() -> list[tuple[str, str, Any]]:
    return [
        (field, name, value) for field, wrong in WRONG_FIELDS.items() for name, value in {**NO_TEXTS, **wrong}.items()
    ]


async def test_each_field_of_an_order_is_held_to_its_kind(targets: Targets) -> None:
    """Of an order that is right otherwise, one field wrong: 400, with a code, naming what to mend."""
    port = targets.stage.ports["portal_port"]
    for field, name, value in _wrong_orders():
        order = {key: kept for key, kept in {**ORDER, field: value}.items() if kept is not None}
        answer = await ask(port, "POST", "/api/portal/mpesa/initiate", json.dumps(order).encode(), JSON_TYPE)
        content = json.loads(answer.body)
        assert answer.status == 400, (field, name, answer.status, content)
        assert content["field"] == field, (field, name, content)


async def test_a_package_nobody_sells_is_not_found(targets: Targets) -> None:
    """A package id that leads nowhere is 404, however it is spelled."""
    port = targets.stage.ports["portal_port"]
    for package_id in ("nope", "1H", 0, "1h'--", "\u0661h", "../1h"):
        order = json.dumps({**ORDER, "packageId": package_id}).encode()
        answer = await ask(port, "POST", "/api/portal/mpesa/initiate", order, JSON_TYPE)
        assert (answer.status, json.loads(answer.body)["code"]) == (404, "purchase.package_closed"), package_id


async def test_each_field_of_the_form_is_held_to_its_kind(targets: Targets) -> None:
    """The same for the form: a page that says what is wrong, and no purchase."""
    route = next(route for route in targets.wanting("POST") if route.path == "/buy")
    for field, wrong in WRONG_FORM_FIELDS.items():
        for name, value in wrong.items():
            body = urlencode({**FORM, field: value}).encode()
            answer = await ask(route.port, "POST", "/buy", body, FORM_TYPE)
            assert answer.status in {400, 404}, (field, name, answer.status)
            assert_spoken(route, "POST", answer)


async def test_no_parameter_of_an_address_upsets_a_route(targets: Targets) -> None:
    """Parameters with values nobody sends, all of them, alone and twice: understood, or 400, or 404."""
    spellings = [quote(value, safe="") for value in ODD_VALUES] + list(ODD_OCTETS)
    queries = ["&".join(f"{name}={value}" for name in NAMES) for value in spellings]
    queries += [f"{name}={value}" for name in NAMES for value in ("", "%00", "%ff", "%D9%A1", "a" * 3000, "[]")]
    queries += [f"{name}=x&{name}=%0d%0a&{name}" for name in NAMES]
    for route in targets.wanting("GET"):
        for query in queries:
            answer = await ask(route.port, "GET", f"{targets.path(route)}?{query}")
            assert answer.status in {200, 302, 303, 400, 404}, (str(route), query, answer.status)
            assert_spoken(route, "GET", answer)


async def test_what_no_path_leads_to_is_not_found(targets: Targets) -> None:
    """Purchases, tokens and paths that are none: 404, by page or by JSON."""
    for route in targets.routes:
        if "{" not in route.path or "{rest}" in route.path:
            continue
        for value in ("x", "0" * 32, "F" * 32, "%00", "..%2f", "%ff", "a" * 4000, "\u0661" * 32, targets.failed[:-1]):
            path = value.join(IN_BRACES.split(route.path))
            answer = await ask(route.port, route.method, quote(path, safe="/%"), b'{"Body":{}}')
            assert answer.status in {400, 404}, (str(route), value, answer.status)
            assert_spoken(route, route.method, answer)


async def test_a_method_a_route_does_not_have_is_refused(targets: Targets) -> None:
    """405 with the methods there are, in the route's own language; no method is taken for another."""
    there: dict[tuple[str, str], set[str]] = {}
    for route in targets.routes:
        there.setdefault((route.door, route.path), set()).add(route.method)
    for route in targets.routes:
        preflighted = {"OPTIONS"} if route.door == "portal" and route.path.startswith("/api/") else set()
        for method in METHODS:
            if method in there[route.door, route.path] | preflighted or route.method == "OPTIONS":
                continue
            answer = await ask(route.port, method, targets.path(route))
            if method == "CONNECT":  # it asks for a host, not for a path of ours
                assert answer.status == 404, (str(route), answer.status)
                continue
            assert answer.status == 405, (str(route), method, answer.status)
            assert_spoken(route, method, answer)


async def test_no_header_upsets_a_route(targets: Targets) -> None:
    """Languages, hosts and the rest are read with care or not at all."""
    for route in targets.routes:
        for path in {targets.path(route), targets.path(route).replace(targets.paid, targets.failed)}:
            for name, headers in ODD_HEADERS.items():
                answer = await ask(route.port, route.method, path, b"", headers)
                told = (str(route), name, answer.status, answer.body[:200])
                assert answer.status in {200, 204, 302, 303, 400, 404}, told
                assert_spoken(route, route.method, answer)


async def test_the_login_form_leads_back_to_no_odd_host(tmp_path: Path) -> None:
    """The form for the router names the host the page was asked from, to come back to: 400 where that is none."""
    async with Stage(tmp_path) as stage:
        waiting = await stage.buy(macAddress="AA:BB:CC:00:00:77", nasIp=HOST)
        await stage.pay()
        await stage.until_status(waiting, "completed")
        port = stage.ports["portal_port"]
        for host in (b"10.5.50.2", b"wifi.example:8080", b"[fe80::1]:80", b"under_score.example"):
            answer = await ask(port, "GET", f"/p/{waiting}", b"", [("Host", host)])
            assert answer.status == 200, host
            assert b'name="dst" value="http://' + host + b"/p/" + waiting.encode() in answer.body
        for host in (
            b"\xff\xfe",
            b"a b",
            b'"><script>',
            b"evil.example/",
            b"me@evil.example",
            b"a\\b",
            b"a:b",
            b"[::1",
        ):
            answer = await ask(port, "GET", f"/p/{waiting}", b"", [("Host", host)])
            assert (answer.status, answer.content_type) == (400, "text/html"), host


async def test_compressed_bodies_are_not_unpacked(targets: Targets) -> None:
    """Nobody who calls us compresses what he sends: what says it is compressed is read as it stands, and refused."""
    packed = gzip.compress(json.dumps(ORDER).encode()), gzip.compress(b"a" * 10_000_000), b"no such thing", b""
    for route in targets.wanting("POST"):
        for coding in (b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"x"):
            for body in packed:
                headers = (*JSON_TYPE, ("Content-Encoding", coding))
                _refused(route, await ask(route.port, "POST", targets.path(route), body, headers), 400, 415)


async def test_what_is_no_http_fills_no_log(targets: Targets) -> None:
    """Refused at the door; anybody on the Wi-Fi can send it, so it may not cost a traceback on the box's disk."""
    for port in {route.port for route in targets.routes}:
        for octets in NO_HTTP:
            answer = await asyncio.to_thread(exchange, port, octets)
            assert answer.status == 400, (octets[:80], answer)


async def test_a_body_that_breaks_off_is_nobodys_fault(targets: Targets) -> None:
    """A phone that leaves the Wi-Fi in the middle of a request, or goes on with rubbish, leaves no trace."""
    for route in targets.wanting("POST"):
        start = request("POST", targets.path(route), b"", (*JSON_TYPE, ("Content-Length", b"50")))
        await asyncio.to_thread(_leave_after, route.port, start + b'{"a"', b"")
        chunked = request("POST", targets.path(route), b"", (*JSON_TYPE, ("Transfer-Encoding", b"chunked")))
        await asyncio.to_thread(_leave_after, route.port, chunked + b'4\r\n{"a"\r\n', b"zz\r\n")
    await asyncio.sleep(0.05)


def _leave_after(port: int, octets: bytes, later: bytes) -> None:
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(octets)
        connection.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            connection.recv(1)
        if later:
            connection.sendall(later)
            with contextlib.suppress(TimeoutError):
                connection.recv(1)


# Made up by Hypothesis. It asks by blocking calls from a thread of its own, while the daemon runs in the loop.

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(ODD_VALUES)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
)
# Never the number of a phone: what is made of these can be no order.
_ORDERS = st.fixed_dictionaries(
    {"phone": _VALUES.filter(lambda value: not isinstance(value, str | int) or sum(map(str.isdigit, str(value))) < 9)},
    optional={name: _VALUES for name in ORDER if name != "phone"} | {"purchaseId": _VALUES, "tenantId": _VALUES},
)
_CALLBACKS = st.fixed_dictionaries(
    {"Body": st.fixed_dictionaries({"stkCallback": st.dictionaries(st.text(max_size=8), _VALUES) | _VALUES}) | _VALUES}
)
_BODIES = st.one_of(
    _ORDERS.map(json.dumps).map(str.encode),
    _CALLBACKS.map(json.dumps).map(str.encode),
    _VALUES.map(json.dumps).map(str.encode),
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from([*FORM, "mac"]), st.text(max_size=20).filter(lambda text: not text.isdigit())).map(
        lambda fields: urlencode(fields, errors="replace").encode()
    ),
)
_QUERIES = st.lists(
    st.tuples(st.sampled_from(NAMES) | st.text(max_size=5), st.text(max_size=40) | st.sampled_from(ODD_VALUES)),
    max_size=4,
).map(lambda pairs: urlencode(pairs, errors="replace"))
_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["Accept-Language", "Host", "Content-Type", "Cookie", "Origin", "Referer", "X-Odd"]),
        st.binary(max_size=40).map(lambda value: value.translate(None, bytes([*range(9), *range(10, 32), 127]))),
    ),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


async def _made_up(check: Callable[..., None], examples: int, **strategies: Any) -> None:
    bounded = settings(
        max_examples=examples, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    await asyncio.to_thread(bounded(given(**strategies)(check)))


async def test_made_up_bodies(targets: Targets) -> None:
    """Whatever a body holds, no route that takes one fails, and what is no order and no callback changes nothing."""

    def check(route: Route, body: bytes, headers: list[tuple[str, bytes]]) -> None:
        answer = exchange(route.port, request("POST", targets.path(route), body, headers), method="POST")
        of_another_site = {422} if "Origin" in dict(headers) else set()
        _refused(route, answer, 400, 404, 413, *of_another_site)

    await _made_up(check, 400, route=st.sampled_from(targets.wanting("POST")), body=_BODIES, headers=_HEADERS)


async def test_made_up_addresses(targets: Targets) -> None:
    """Whatever an address asks for and whatever the headers say, no route fails, and looking changes nothing."""
    asked = [route for route in targets.routes if route.method in {"GET", "HEAD", "OPTIONS"}]

    def check(route: Route, query: str, headers: list[tuple[str, bytes]]) -> None:
        target = f"{targets.path(route)}?{query}"
        answer = exchange(route.port, request(route.method, target, b"", headers), method=route.method)
        assert_spoken(route, route.method, answer)

    await _made_up(check, 600, route=st.sampled_from(asked), query=_QUERIES, headers=_HEADERS)


_AMOUNTS = _VALUES.filter(lambda value: str(value).strip() not in {"10", "10.0", "10.00"})


async def test_made_up_callbacks_grant_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On a purchase's own secret address, success with any amount but the price: no failure of ours, no grant."""
    caplog.set_level(logging.INFO)
    async with Stage(tmp_path) as stage:
        await stage.buy()
        push = (await stage.daraja.wait_for_prompt(PHONE)).push
        path = "/c/" + push.request.callback_url.rpartition("/")[2]
        port = stage.ports["callbacks_port"]

        def check(amount: Any, receipt: Any, phone: Any, name: Any) -> None:
            items = [("Amount", amount), ("MpesaReceiptNumber", receipt), ("PhoneNumber", phone), (name, amount)]
            callback = {
                "CheckoutRequestID": push.checkout_request_id,
                "ResultCode": 0,
                "ResultDesc": name,
                "CallbackMetadata": {"Item": [{"Name": key, "Value": value} for key, value in items]},
            }
            body = json.dumps({"Body": {"stkCallback": callback}}).encode()
            answer = exchange(port, request("POST", path, body), method="POST")
            assert answer.status in {200, 400}, answer

        # A name that reads as "Amount" comes second and so counts for nothing.
        await _made_up(check, 150, amount=_AMOUNTS, receipt=_VALUES, phone=_VALUES, name=_VALUES)
        assert await stage.count("grants") == 0
        assert await stage.count("payments", "disposition = 'grant'") == 0
    assert_calm(caplog.records)
