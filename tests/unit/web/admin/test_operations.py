"""Operations of the back office: who may come in, how input is refused, and that the document tells the same."""

from __future__ import annotations

import contextlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.permissions import Permission, Role, permissions_of
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import InvalidError, NotFoundError, TooManyError
from easyisp_edge.services.site import Site
from easyisp_edge.web.admin.areas import AREAS
from easyisp_edge.web.admin.manual_payments import KEY_HEADER
from easyisp_edge.web.admin.models import ApiModel, CursorQuery, Listed, Shillings, next_cursor, read_cursor
from easyisp_edge.web.admin.openapi import document
from easyisp_edge.web.admin.operations import Answer, Call, Door, operation
from easyisp_edge.web.admin.serving import Desk
from easyisp_edge.web.app import admin_app
from tests.unit.web.admin.stage import Keys, asked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.test_utils import TestClient

    from easyisp_edge.config import Config

ORIGIN = "https://admin.example.com"


class NewThing(ApiModel):
    """A thing to be made."""

    paid_amount: Shillings
    how_many: int = Field(default=1, ge=1, le=9)


class Thing(NewThing):
    """A thing."""

    tenant: str
    by: str


class Trouble(ApiModel):
    """What a test found."""

    success: bool


@dataclass(frozen=True)
class ThingsArea:
    """Things."""

    made: list[Thing] = field(default_factory=list)

    @operation("GET", "/api/things", needs=Permission.PACKAGES_VIEW, query=CursorQuery, answers=Listed[Thing])
    async def list_things(self, call: Call) -> Listed[Thing]:
        """Things, newest first."""
        assert call.query(CursorQuery).limit
        return Listed(items=self.made)

    @operation("POST", "/api/things", needs=Permission.VOUCHERS_MAKE, body=NewThing, answers=Thing, status=201)
    async def make_thing(self, call: Call) -> Thing:
        """Make a thing."""
        new = call.body(NewThing)
        thing = Thing(paid_amount=new.paid_amount, how_many=new.how_many, tenant=call.tenant_id, by=call.by)
        self.made.append(thing)
        return thing

    @operation("POST", "/api/things/{id}/test", needs=Door.SIGNED_IN, answers=Trouble, answers_else={400: Trouble})
    async def test_thing(self, call: Call) -> Trouble | Answer:
        """Try a thing."""
        if call.path("id") == "none":
            raise NotFoundError("thing.unknown", "There is no such thing.")
        return Answer(Trouble(success=False), 400)

    @operation("POST", "/api/open", needs=Door.OPEN)
    async def knock(self, _call: Call) -> None:
        """Knock."""
        raise TooManyError("login.locked", "Wait a minute.", retry_after_seconds=60)


def a_site(*tenant_ids: str) -> Site:
    """A site with those tenants."""

    def tenant(tenant_id: str) -> SimpleNamespace:
        if tenant_id not in tenant_ids:
            raise NotFoundError("tenant.unknown", "There is no such tenant.")
        return SimpleNamespace(id=tenant_id)

    tenants = [SimpleNamespace(id=each) for each in tenant_ids]
    only = tenants[0] if len(tenants) == 1 else None
    config = SimpleNamespace(tenant=tenant, tenants=tenants, only_tenant=lambda: only)
    return Site(config=cast("Config", config), open_gateway=lambda gateway: pytest.fail(f"opened {gateway}"))


@pytest.fixture(name="client")
async def _client(aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]]) -> TestClient[Any, Any]:
    desk = Desk(Keys(), a_site("default", "b"))
    return await aiohttp_client(admin_app(dict, desk, [ThingsArea()], lambda: {ORIGIN}))


async def test_whoever_is_not_known_is_told_to_log_in(client: TestClient[Any, Any]) -> None:
    """No token and a wrong one are 401 with a challenge, whatever else is wrong with the request."""
    for headers in (
        {},
        {"Authorization": "Bearer nobody"},
        {"Authorization": "Basic QTpC"},
        {"Authorization": "Bearer"},
    ):
        async with client.post("/api/things", headers=headers, data=b"{") as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert (await answer.json(content_type=None))["code"] in {"login.needed", "token.unknown"}


async def test_whoever_lacks_the_permission_changes_nothing(client: TestClient[Any, Any]) -> None:
    """A missing permission is 403, names itself, and the handler does not run."""
    told = await asked(client, "POST", "/api/things", 403, as_="VIEWER", json={"paidAmount": 5})
    assert told["permission"] == "vouchers:make"
    assert (await asked(client, "GET", "/api/things", 200, as_="VIEWER"))["items"] == []


async def test_what_is_made_carries_who_made_it_and_whose_it_is(client: TestClient[Any, Any]) -> None:
    """Amounts go in and out as shillings, names are camelCase, and the acting user is handed on."""
    made = await asked(client, "POST", "/api/things", 201, json={"paidAmount": 12.5, "howMany": 3})
    assert made == {"paidAmount": 12.5, "howMany": 3, "tenant": "default", "by": "ADMIN@x.ke"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"paidAmount": "12"}, "paidAmount"),
        ({"paidAmount": -1}, "paidAmount"),
        ({"paidAmount": 1.001}, "paidAmount"),
        ({"paidAmount": True}, "paidAmount"),
        ({"paidAmount": 1e300}, "paidAmount"),
        ({"paidAmount": 1, "howMany": 10}, "howMany"),
        ({"paidAmount": 1, "howMany": "3"}, "howMany"),
        ({}, "paidAmount"),
    ],
)
async def test_wrong_input_names_its_field(client: TestClient[Any, Any], body: dict[str, Any], field: str) -> None:
    """Input that breaks the model is 400 with the field, in the words of the problem document and in the old ones."""
    told = await asked(client, "POST", "/api/things", 400, json=body)
    assert (told["code"], told["field"], told["status"], told["statusCode"]) == ("request.invalid", field, 400, 400)
    assert told["details"][0]["field"] == field
    assert told["message"] == told["error"] == told["detail"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":1,"a":2}', b'{"paidAmount":NaN}', b"\xff", b"[" * 5000])
async def test_a_body_that_is_no_object_is_refused(client: TestClient[Any, Any], body: bytes) -> None:
    """What is no JSON object is 400, never an error of ours."""
    assert (await asked(client, "POST", "/api/things", 400, data=body))["code"] == "request.invalid"


async def test_a_query_is_checked(client: TestClient[Any, Any]) -> None:
    """A query is held to its model; a field left empty counts as left out; twice the same is refused."""
    await asked(client, "GET", "/api/things?limit=&cursor=", 200)
    for query in ("limit=0", "limit=201", "limit=x", "limit=1&limit=2"):
        assert (await asked(client, "GET", f"/api/things?{query}", 400))["field"] == "limit"


async def test_another_tenants_data_is_out_of_reach(client: TestClient[Any, Any]) -> None:
    """Naming another tenant is 404, whether it exists or not; who looks after all has to name one."""
    for other in ("b", "nobody"):
        told = await asked(client, "GET", f"/api/things?tenantId={other}", 404)
        assert told["code"] == "tenant.unknown"
    await asked(client, "GET", "/api/things?tenantId=b", 200, as_="ADMIN:b")
    assert (await asked(client, "GET", "/api/things", 400, as_="SUPER_ADMIN:all"))["code"] == "tenant.which"
    await asked(client, "GET", "/api/things?tenantId=b", 200, as_="SUPER_ADMIN:all")
    await asked(client, "GET", "/api/things?tenantId=nobody", 404, as_="SUPER_ADMIN:all")


async def test_errors_of_handlers_are_problems(client: TestClient[Any, Any]) -> None:
    """Each kind of error has its status; another answer than a problem comes as the operation declares it."""
    assert (await asked(client, "POST", "/api/things/none/test", 404))["code"] == "thing.unknown"
    assert await asked(client, "POST", "/api/things/a/test", 400) == {"success": False}
    async with client.post("/api/open") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
    assert (await asked(client, "GET", "/api/nothing", 404))["code"] == "request.invalid"
    assert (await asked(client, "PUT", "/api/things", 405))["code"] == "request.invalid"


async def test_only_known_origins_are_allowed(client: TestClient[Any, Any]) -> None:
    """A front end that the owner named may ask; another one's browser is told nothing."""
    asking = {"Access-Control-Request-Method": "POST"}
    async with client.options("/api/things", headers={"Origin": ORIGIN, **asking}) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    async with client.options("/api/things", headers={"Origin": "https://evil.example", **asking}) as answer:
        assert answer.status == 405
        assert "Access-Control-Allow-Origin" not in answer.headers
    async with client.get("/api/things", headers={"Origin": ORIGIN}) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)


async def test_a_front_end_elsewhere_may_do_what_the_page_says(client: TestClient[Any, Any]) -> None:
    """It may send the key that has a payment booked once, and read when to ask again and how a file is called."""
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
    async with client.options("/api/things", headers={"Origin": ORIGIN, **asking}) as answer:
        assert KEY_HEADER in answer.headers["Access-Control-Allow-Headers"].split(", ")
    async with client.post("/api/open", headers={"Origin": ORIGIN}) as answer:
        assert answer.status == 429
        shown = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Retry-After", "Content-Disposition"} <= set(shown)


async def test_the_document_tells_what_is_served(client: TestClient[Any, Any]) -> None:
    """Paths, permissions, input, answers and refusals stand in the document that the admin door serves."""
    async with client.get("/api/openapi.json") as answer:
        told = await answer.json()
    assert told == document([ThingsArea])
    made = told["paths"]["/api/things"]["post"]
    assert (made["operationId"], made["summary"], made["x-permission"]) == (
        "makeThing",
        "Make a thing",
        "vouchers:make",
    )
    assert made["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/NewThing"}
    assert set(made["responses"]) == {"201", "400", "401", "403", "404", "503"}
    tried = told["paths"]["/api/things/{id}/test"]["post"]["responses"]["400"]["content"]
    assert set(tried) == {"application/json", "application/problem+json"}
    assert "security" not in told["paths"]["/api/open"]["post"]
    amount = told["components"]["schemas"]["NewThing"]["properties"]["paidAmount"]
    assert (amount["type"], amount["minimum"]) == ("number", 0)


def test_the_document_allows_every_amount() -> None:
    """As those who check by it reckon: in floats, of which a good part of all amounts are no multiples of a cent."""
    assert 0.07 / 0.01 != 7
    assert "multipleOf" not in json.dumps(document(AREAS))


def test_no_schema_stands_for_another() -> None:
    """Two models of one name are no document: clients made from it would read one as the other."""
    again = type("Thing", (ApiModel,), {"__annotations__": {"other": str}, "__doc__": "Another thing."})

    class OtherArea:
        """Other things."""

        @operation("GET", "/api/others", needs=Door.OPEN, answers=again, of_tenant=False)
        async def show_other(self, _call: Call) -> None:
            """Show another thing."""

    with pytest.raises(ValueError, match="Thing"):
        document([ThingsArea, OtherArea])


def test_what_is_done_is_told_as_it_is_answered() -> None:
    """Each area's own: that a login is over comes with a message, that a gateway is gone without."""
    told = document(AREAS)

    def answer(path: str, method: str) -> set[str]:
        schema = told["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
        return set(told["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"])

    assert answer("/api/auth/logout", "post") == {"success", "message"}
    assert answer("/api/payment-gateways/{id}", "delete") == {"success"}


def test_what_is_always_answered_is_not_optional() -> None:
    """Clients need not look whether a cursor is there at all; of a problem, what does not apply is left out."""
    schemas = document(AREAS)["components"]["schemas"]
    assert "nextCursor" in schemas["Listed_Transaction"]["required"]
    assert set(schemas["Done"]["required"]) == {"success", "message"}
    assert set(schemas["WebhookAccepted"]["required"]) == {"ResultCode", "ResultDesc"}
    assert {"field", "details"}.isdisjoint(schemas["Problem"]["required"])
    assert schemas["NewManualPayment"]["required"] == ["customerId", "amount"]


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.text("0123456789abcdef-", min_size=1, max_size=40),
)
def test_a_cursor_comes_back(at: datetime, key: str) -> None:
    """A position survives its way through a page, to the millisecond that instants are kept in."""
    kept = at.replace(microsecond=at.microsecond // 1000 * 1000)
    text = next_cursor(Page([], Position(kept, key)))
    assert text is not None
    assert read_cursor(text) == Position(kept, key)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "2026-01-01T00:00:00", ""])
def test_a_cursor_beyond_time_is_refused(at: str) -> None:
    """Also one whose moment has no zone, or leaves the calendar on its way to UTC."""
    text = urlsafe_b64encode(f"{at} a".encode()).decode()
    with pytest.raises(InvalidError):
        read_cursor(text)


@given(st.text(max_size=60))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Any text is read as a position or refused; nothing else happens."""
    with contextlib.suppress(InvalidError):
        assert read_cursor(text).key


def test_taken_permissions_win() -> None:
    """What was taken from somebody is gone, also where it was added; a SUPER_ADMIN keeps everything."""
    some = Permission.PAYMENTS_REFUND
    assert some in permissions_of(Role.STAFF, [some])
    assert some not in permissions_of(Role.ADMIN, [some], [some])
    assert permissions_of(Role.SUPER_ADMIN, (), set(Permission)) == frozenset(Permission)


def test_a_viewer_may_only_look() -> None:
    """No permission of a VIEWER is one to change anything."""
    assert {each.value.partition(":")[2].partition("_")[0] for each in permissions_of(Role.VIEWER)} <= {
        "view",
        "details",
    }


def test_money_is_exact() -> None:
    """A tenth of a shilling is ten cents, not nine."""
    assert NewThing.model_validate_json(b'{"paidAmount": 1.1}').paid_amount == Money(110)
