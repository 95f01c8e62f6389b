"""The door for the box's own commands: what it answers, what it refuses, whom it writes down."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.payments import Disposition
from easyisp_edge.errors import OutcomeUnknownError
from tests.fakes.gateway import PNG, RECEIPT, refused, unavailable
from tests.unit.desk import TWO_TENANTS, Office, open_office
from tests.unit.grants_stage import GrantsOffice, open_grants_office
from tests.unit.shop import HOUR, MAC, OTHER_MAC, PAY_CODE, ROUTER, TENANT, a_claim, a_prompted_purchase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

MONEY: dict[str, Any] = {"receipt": RECEIPT, "amount": "10"}


@pytest.fixture(name="office")
async def _office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


@pytest.fixture(name="client")
async def _client(
    office: Office, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> TestClient[Any, Any]:
    return await aiohttp_client(office.control().app(lambda _connection: "root"))


@pytest.fixture(name="grants")
async def _grants(tmp_path: Path) -> AsyncIterator[GrantsOffice]:
    async with open_grants_office(tmp_path) as office:
        yield office


@pytest.fixture(name="grants_client")
async def _grants_client(
    grants: GrantsOffice, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> TestClient[Any, Any]:
    return await aiohttp_client(grants.control().app(lambda _connection: "root"))


async def told(client: TestClient[Any, Any], route: str, expect: int = 200, **fields: object) -> dict[str, Any]:
    """What a post leads to."""
    async with client.post(f"/control/{route}", json=fields) as answer:
        content: dict[str, Any] = await answer.json()
        assert answer.status == expect, content
        return content


async def read(client: TestClient[Any, Any], route: str, expect: int = 200, **query: str) -> dict[str, Any]:
    """What a look finds."""
    async with client.get(f"/control/{route}", params=query) as answer:
        content: dict[str, Any] = await answer.json()
        assert answer.status == expect, content
        return content


async def test_entered_listed_assigned_given_back(client: TestClient[Any, Any], office: Office) -> None:
    """The way of a payment nobody knew: each answer shows how it stands, whole phone number included."""
    entered = await told(client, "payments", **MONEY, phone="0722 000 111", account="rent")
    payment = entered["payment"]
    assert (payment["receipt"], payment["amount"], payment["disposition"]) == (RECEIPT, 10, "unmatched")
    assert (payment["phone"], payment["account"], payment["tenant"]) == ("254722000111", "rent", TENANT)
    assert (await read(client, "payments", unmatched="1"))["payments"] == [payment]
    assigned = await told(client, f"payments/{payment['id']}/assign", phone="0722000111", package="1h", mac=MAC.text)
    assert assigned["payment"]["disposition"] == "grant"
    assert assigned["grant"]["mac"] == MAC.text
    assert {"username", "password", "secondsLeft"} <= assigned["grant"].keys()
    assert (await read(client, "payments", unmatched="1"))["payments"] == []
    assert [each["id"] for each in (await read(client, "payments"))["payments"]] == [payment["id"]]
    await told(client, "payments", receipt="UKL9ZX8Y7W", amount="1,250.50")
    back = await told(client, "payments/UKL9ZX8Y7W/refund", note="at the counter")
    assert (back["payment"]["disposition"], back["payment"]["amount"]) == ("refunded", 1250.5)
    assert office.payment("UKL9ZX8Y7W").disposition is Disposition.REFUNDED


async def test_assigned_to_a_pay_code(client: TestClient[Any, Any], office: Office) -> None:
    """A pay code is enough to say what money is for."""
    await office.add_purchase(a_prompted_purchase())
    await told(client, "payments", **MONEY)
    assigned = await told(client, f"payments/{RECEIPT}/assign", code=PAY_CODE)
    assert assigned["payment"]["disposition"] == "grant"


@pytest.mark.parametrize(
    "fields", [{}, {"code": PAY_CODE, "phone": "0722000111"}, {"phone": "12"}, {"phone": "0722000111", "mac": "x"}]
)
async def test_an_assignment_names_one_purpose(
    client: TestClient[Any, Any], office: Office, fields: dict[str, Any]
) -> None:
    """A pay code or a customer, readable; else nothing happens."""
    await told(client, "payments", **MONEY)
    assert (await told(client, f"payments/{RECEIPT}/assign", expect=400, **fields))["code"]
    assert office.payment(RECEIPT).disposition is Disposition.UNMATCHED


async def test_claims_are_listed_and_decided(client: TestClient[Any, Any], office: Office) -> None:
    """Open claims show with what they want; accepted and refused ones show under their state."""
    version = office.shelf.version(TENANT, "1h").version_id
    await office.add_claim(a_claim(package_version_id=version))
    await office.add_claim(a_claim(claim_id="e" * 32, mpesa_receipt_number="UKL9ZX8Y7W"))
    listed = (await read(client, "claims"))["claims"]
    wants = {each["receipt"]: each["wants"] for each in listed}
    assert wants == {RECEIPT: {"id": "1h", "name": "1 hour", "price": 10}, "UKL9ZX8Y7W": None}
    accepted = await told(client, f"claims/{RECEIPT}/accept", amount="10")
    assert (accepted["claim"]["state"], accepted["grant"]["mac"]) == ("granted", MAC.text)
    refused_claim = await told(client, f"claims/{'e' * 32}/refuse")
    assert refused_claim["claim"]["reason"] == "unknown_receipt"
    found = await read(client, "claims", state="refused")
    assert [each["id"] for each in found["claims"]] == ["e" * 32]
    assert (await read(client, "claims", expect=400, state="odd"))["field"] == "state"


async def test_errors_say_what_is_wrong(client: TestClient[Any, Any]) -> None:
    """Code, message, the field at fault, and what the error tells beside; with the status the house gives it."""
    entered = await told(client, "payments", **MONEY)
    again = await told(client, "payments", expect=409, **MONEY)
    assert (again["code"], again["payment"]) == ("payment.booked", entered["payment"]["id"])
    assert "assign it" in again["message"]
    odd = await told(client, "payments", expect=400, receipt=RECEIPT, amount="a lot")
    assert (odd["code"], odd["field"]) == ("money.unreadable", "amount")
    assert (await told(client, "payments/UKLAAAAAA1/refund", expect=404, note="x"))["code"] == "payment.unknown"
    assert (await read(client, "nothing", expect=404))["code"] == "request.invalid"
    for limit in ("0", "501", "x", "-1"):
        assert (await read(client, "payments", expect=400, limit=limit))["field"] == "limit"


async def test_the_look_alike_needs_to_be_sure(client: TestClient[Any, Any]) -> None:
    """What looks like a receipt in the books is entered when staff say that they are sure."""
    await told(client, "payments", receipt="UKL41A2B30", amount="10")
    alike: dict[str, Any] = {"receipt": "UKL41A2B3O", "amount": "10"}
    assert (await told(client, "payments", expect=409, **alike))["code"] == "payment.lookalike"
    await told(client, "payments", **alike, sure=True)


async def test_a_poster_is_a_picture(client: TestClient[Any, Any], office: Office) -> None:
    """It comes as PNG; what the gateway refuses is said as such."""
    office.gateway.set_up_answers.extend([refused(), unavailable()])
    assert (await read(client, "packages/1h/poster", expect=422))["message"]
    assert (await read(client, "packages/1h/poster", expect=503))["message"]
    async with client.get("/control/packages/1h/poster") as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (200, "image/png", PNG)


async def test_addresses_are_shown_and_registered(client: TestClient[Any, Any], office: Office) -> None:
    """A look registers nothing; a post does, and what may have happened is told apart from what did not."""
    shown = await read(client, "gateways/paybill/c2b")
    assert (shown["shortCode"], shown["environment"]) == ("600986", "production")
    assert shown["confirmationUrl"].startswith("https://pay.example.com/edge/n/")
    assert office.gateway.url_registrations == []
    office.gateway.set_up_answers.append(OutcomeUnknownError("c2b.unknown", "It may be registered."))
    assert (await told(client, "gateways/paybill/c2b", expect=502))["code"] == "c2b.unknown"
    assert await told(client, "gateways/paybill/c2b") == shown
    assert office.gateway.url_registrations == [(shown["confirmationUrl"], shown["validationUrl"])]


async def test_tenants_are_named_where_there_are_several(
    tmp_path: Path, aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]
) -> None:
    """Without a name the door says which there are; with one it does what is asked."""
    async with open_office(tmp_path / "two", TWO_TENANTS) as office:
        client = await aiohttp_client(office.control().app(lambda _connection: "root"))
        assert "default, other" in (await told(client, "payments", expect=400, **MONEY))["message"]
        entered = await told(client, "payments", **MONEY, tenant="other")
        assert entered["payment"]["gateway"] == "theirs"
        assert (await read(client, "payments", tenant="default"))["payments"] == []
        assert (await read(client, "packages/1h/poster", expect=400))["code"] == "tenant.which"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (None, "root"),
        ("root", "root"),
        ("mary", "root (mary)"),
        ("mary@shop.local", "root (mary@shop.local)"),
        ("mary) by (root", "root"),
        ("x" * 65, "root"),
        ("", "root"),
    ],
)
async def test_who_did_it_is_the_kernels_word_first(
    client: TestClient[Any, Any], office: Office, said: str | None, written: str
) -> None:
    """The name behind the socket is written down; what the command says of itself only in brackets, and only a name."""
    headers = {} if said is None else {"X-Staff": said}
    async with client.post("/control/payments", json=MONEY, headers=headers) as answer:
        assert answer.status == 200
    bodies = office.books.store._database.reading.execute("SELECT body FROM events WHERE type = 'staff.entered'")
    assert [f'"by":"{written}"' in row[0].decode() for row in bodies] == [True]


# --- grants


async def test_a_grant_shows_all_there_is_to_know(grants_client: TestClient[Any, Any], grants: GrantsOffice) -> None:
    """Sizes in octets, spans in seconds, instants with their zone, the whole phone number."""
    grant = await grants.start(await grants.sell())
    await grants.report(grant)
    found = await read(grants_client, "grants")
    assert found == {
        "at": "2026-11-21T06:00:00+00:00",
        "grants": [
            {
                "id": "grant-1",
                "tenant": TENANT,
                "phone": "254712345678",
                "package": {"id": "1h", "name": "1 hour"},
                "speed": "2M/5M",
                "state": "running",
                "over": False,
                "opensAt": None,
                "mac": MAC.text,
                "devicesMax": 1,
                "secondsLeft": 3600,
                "onlineSecondsLeft": None,
                "octetsUsed": 3_000_000,
                "octetsMax": None,
                "online": True,
                "routers": [ROUTER],
                "createdAt": "2026-11-21T06:00:01+00:00",
            }
        ],
    }
    of_device = await read(grants_client, "grants", device="aabbcc000001")
    assert of_device["grants"] == found["grants"]
    assert of_device["sessions"] == [
        {
            "router": ROUTER,
            "grant": "grant-1",
            "mac": MAC.text,
            "address": "10.5.50.11",
            "since": "2026-11-21T06:00:00+00:00",
            "reportedAt": "2026-11-21T06:00:00+00:00",
            "seconds": 600,
            "octets": 3_000_000,
        }
    ]


async def test_a_grant_is_started_moved_and_ended(grants_client: TestClient[Any, Any], grants: GrantsOffice) -> None:
    """Each answer shows how it stands; what was done is written down with who did it."""
    await grants.start(await grants.sell(number=1))
    await grants.sell(replace(HOUR, package_id="7d", name="Week"), number=2)
    switched = (await told(grants_client, "grants/grant-2/switch"))["grant"]
    assert (switched["state"], switched["package"]["name"]) == ("running", "Week")
    moved = (await told(grants_client, "grants/grant-2/move", mac="aa-bb-cc-00-00-02"))["grant"]
    assert moved["mac"] == OTHER_MAC.text
    ended = (await told(grants_client, "grants/grant-2/end", reason="sold by mistake"))["grant"]
    assert (ended["state"], ended["over"]) == ("ended", True)
    assert [each["id"] for each in (await read(grants_client, "grants"))["grants"]] == ["grant-1"]
    assert [each["id"] for each in (await read(grants_client, "grants", all="1"))["grants"]] == ["grant-1", "grant-2"]
    for kind in ("switched", "moved", "ended"):
        assert [each["by"] for each in grants.told(f"staff.grant_{kind}")] == ["root"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"device": "12"}, "mac"),
        ({"phone": "12"}, "phone"),
        ({"receipt": "12"}, "receipt"),
        ({"device": MAC.text, "phone": "0712345678"}, "device"),
        ({"phone": "0712345678", "receipt": RECEIPT}, "device"),
        ({"limit": "0"}, "limit"),
    ],
)
async def test_one_thing_is_looked_for(grants_client: TestClient[Any, Any], query: dict[str, str], field: str) -> None:
    """A device, a number or a receipt, readable; else the answer says which is wrong."""
    assert (await read(grants_client, "grants", expect=400, **query))["field"] == field


@pytest.mark.parametrize(
    ("route", "fields", "status"),
    [
        ("grants/grant-1/move", {}, 400),
        ("grants/grant-1/move", {"mac": "12"}, 400),
        ("grants/grant-1/end", {}, 400),
        ("grants/grant-1/end", {"reason": "x" * 201}, 400),
        ("grants/grant-9/switch", {}, 404),
        ("grants/grant-1/move", {"mac": MAC.text}, 409),
    ],
)
async def test_what_is_wrong_changes_no_grant(
    grants_client: TestClient[Any, Any], grants: GrantsOffice, route: str, fields: dict[str, Any], status: int
) -> None:
    """It is refused with a reason, and the grant stands as it did."""
    before = await grants.sell()
    refused_order = await told(grants_client, route, expect=status, **fields)
    assert refused_order["code"]
    assert refused_order["message"]
    assert grants.grant() == before


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.text(max_size=40),
            st.sampled_from([RECEIPT, "10", "0722000111", PAY_CODE, "1h", MAC.text, TENANT, "paybill"]),
            st.lists(st.text(max_size=3), max_size=2),
        )
        for name in ("receipt", "amount", "phone", "account", "gateway", "tenant", "sure", "code", "package", "note")
    },
)
ROUTES = st.sampled_from(
    [
        "payments",
        f"payments/{RECEIPT}/assign",
        f"payments/{RECEIPT}/refund",
        f"claims/{RECEIPT}/accept",
        "claims/UKL9ZX8Y7W/accept",
        "claims/UKL9ZX8Y7W/refuse",
    ]
)


@settings(max_examples=60)
@given(orders=st.lists(st.tuples(ROUTES, FIELDS), min_size=1, max_size=8))
def test_no_order_breaks_the_books(orders: list[tuple[str, dict[str, Any]]]) -> None:
    """Whatever is asked is done, or refused with a reason; it never fails over, and the books are whole after it."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_asked(Path(folder), orders))


async def _asked(folder: Path, orders: list[tuple[str, dict[str, Any]]]) -> None:
    async with open_office(folder) as office:
        await office.add_purchase(a_prompted_purchase())
        await office.add_claim(a_claim(mpesa_receipt_number="UKL9ZX8Y7W"))
        server = TestServer(office.control().app(lambda _connection: "root"))
        async with TestClient(server) as client:
            for route, fields in orders:
                async with client.post(f"/control/{route}", json=fields) as answer:
                    content = await answer.json()
                    assert answer.status in {200, 400, 404, 409}, content
                    assert answer.status == 200 or (content["code"] and content["message"])


async def test_the_history_stays_whole(client: TestClient[Any, Any], office: Office) -> None:
    """What staff do is chained into the history as everything about money is."""
    await told(client, "payments", **MONEY)
    await told(client, f"payments/{RECEIPT}/refund", note="back")
    assert office.tables.events.first_break(Stream.MONEY) is None
