"""Payment gateways at the back office: made, changed, tried, taken away; declared ones only shown; secrets never."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.config import Gateway, load_config
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.back_office.gateways_desk import GatewaysDesk
from easyisp_edge.services.keyring import Keyring
from easyisp_edge.services.site import Site
from easyisp_edge.web.admin import payment_gateways
from easyisp_edge.web.admin.payment_gateways import PaymentGatewaysArea
from easyisp_edge.web.admin.serving import Desk
from easyisp_edge.web.app import admin_app
from tests.fakes.clocks import START, SeededRandomness
from tests.fakes.gateway import FakeGateway, refused, unavailable
from tests.unit.desk import FILES
from tests.unit.shop import Books, a_claim, a_purchase, add_purchase, open_books
from tests.unit.web.admin.stage import Keys, asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

    from easyisp_edge.store.store import Tables

    Client = TestClient[Any, Any]
    Serve = Callable[["Office"], Awaitable["Office"]]

ROOT = "/api/payment-gateways"
CANARIES = ("canary-of-the-key", "canary-of-the-secret", "canary-of-the-passkey", "canary-that-is-new")
PAYBILL = {
    "name": "Main PayBill",
    "shortcode": "600986",
    "consumerKey": CANARIES[0],
    "consumerSecret": CANARIES[1],
    "passkey": CANARIES[2],
    "forHotspot": True,
}
BY_HAND = {"type": "MPESA_NO_API", "subType": "BUYGOODS", "shortcode": "512345"}
TENANTS = '[[tenant]]\nid = "default"\nname = "First"\n[[tenant]]\nid = "b"\nname = "Second"\n'
DECLARED = FILES["gateways.toml"].replace("sub_type =", 'tenant = "default"\nsub_type =')
LEGACY = {
    "MPESA_CONSUMER_KEY": "legacy-key",
    "MPESA_CONSUMER_SECRET": "legacy-secret",
    "MPESA_SHORTCODE": "600999",
    "MPESA_PASSKEY": "legacy-passkey",
    "MPESA_ENV": "production",
}
EDGE = '[callbacks]\npublic_url = "https://pay.example.com/edge/"\n'


@dataclass
class Office:
    """A desk for gateways over real books.

    Args:
        books: The store, with its clock.
        site: What is configured.
        desk: The desk.
        gateway: What any gateway is.
        opened: The gateways that were asked, in order.
        client: The admin door.
    """

    books: Books
    site: Site
    desk: GatewaysDesk
    gateway: FakeGateway
    opened: list[Gateway]
    changes: list[str]
    client: Client = field(init=False)

    async def ask(self, method: str, path: str, expect: int, **more: Any) -> Any:
        return await asked(self.client, method, ROOT + path, expect, **more)

    async def make(self, **changes: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("POST", "", 201, json={**PAYBILL, **changes})
        return found

    async def listed(self, **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.ask("GET", "", 200, **more)
        return found

    def in_force(self, gateway_id: str) -> Gateway:
        found = self.site.gateway(gateway_id)
        assert found is not None
        return found

    def told(self) -> list[tuple[str, str, dict[str, Any]]]:
        """All events of gateways: type, key, facts."""
        rows = self.books.store._database.reading.execute(
            "SELECT type, key, body FROM events WHERE stream = ? AND type LIKE 'gateway.%' ORDER BY sequence",
            (Stream.MONEY.value,),
        )
        return [(kind, key, json.loads(body)["data"]) for kind, key, body in rows]

    async def purchase(self, gateway_id: str, state: PurchaseState) -> None:
        await self.books.store.write(lambda tx: add_purchase(tx, a_purchase(gateway_id=gateway_id, state=state)))


def octets_of(folder: Path) -> list[bytes]:
    """The database, with whatever lies beside it."""
    return [file.read_bytes() for file in folder.glob("edge.sqlite*")]


def write_config(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    written = {"edge": EDGE, "tenants": TENANTS, "gateways": "", "packages": "", "portal": "", "routers": "", **files}
    for name, text in written.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")


@contextlib.asynccontextmanager
async def open_desk(
    folder: Path, *, key: bytes = bytes(32), environ: dict[str, str] | None = None, **files: str
) -> AsyncIterator[Office]:
    """A desk; opened again on the same folder it is the same box after a restart."""
    write_config(folder / "config", **files)
    async with open_books(folder) as books:
        gateway, opened, changes = FakeGateway(), [], []

        def open_gateway(configured: Gateway) -> FakeGateway:
            opened.append(configured)
            return gateway

        site = Site(load_config(folder / "config", environ or {}), open_gateway)
        # Like ids drawn after a restart, these differ from those before.
        ids = replace(books.identifiers, randomness=SeededRandomness(books.count("events") + 1))
        desk = GatewaysDesk(
            site, books.store, books.clock, ids, Keyring(key), lambda: changes.append("changed"), since=START
        )
        desk.take_in()
        yield Office(books, site, desk, gateway, opened, changes)


@pytest.fixture(name="serve")
def _serve(aiohttp_client: Callable[..., Awaitable[Client]]) -> Serve:
    async def serve(office: Office) -> Office:
        area = PaymentGatewaysArea(office.desk)
        office.client = await aiohttp_client(admin_app(dict, Desk(Keys(), office.site), [area], set))
        return office

    return serve


@pytest.fixture(name="office")
async def _office(tmp_path: Path, serve: Serve) -> AsyncIterator[Office]:
    async with open_desk(tmp_path) as office:
        yield await serve(office)


# --- making


async def test_a_gateway_is_made_and_at_once_in_force(office: Office) -> None:
    """What is made comes back by the contract's names with 201, and takes the tenant's money from then on."""
    made = await office.make()
    assert made == {
        "id": made["id"],
        "tenantId": "default",
        "type": "MPESA_API",
        "subType": "PAYBILL",
        "name": "Main PayBill",
        "shortcode": "600986",
        "storeNumber": None,
        "accountNumber": None,
        "consumerKey": "••••",
        "consumerSecret": "••••",
        "passkey": "••••",
        "env": "production",
        "isDefault": True,
        "forHotspot": True,
        "forPppoe": False,
        "createdAt": "2026-11-21T06:00:00.000Z",
        "updatedAt": "2026-11-21T06:00:00.000Z",
        "hasCredentials": True,
        "readOnly": False,
        "declaredIn": None,
        "problem": None,
    }
    assert await office.listed() == [made]
    door = office.site.door_for("default", Service.HOTSPOT)
    assert door.gateway_id == made["id"]
    assert office.opened[-1].consumer_key.get_secret_value() == CANARIES[0]
    assert office.changes


async def test_what_old_front_ends_leave_out_is_as_it_was(office: Office) -> None:
    """With number and keys alone it is a PayBill with API, in production, for neither hotspot nor PPPoE."""
    sent = {key: PAYBILL[key] for key in ("shortcode", "consumerKey", "consumerSecret", "passkey")}
    made = await office.ask("POST", "", 201, json=sent)
    told = ("type", "subType", "env", "forHotspot", "forPppoe", "name")
    assert [made[key] for key in told] == ["MPESA_API", "PAYBILL", "production", False, False, None]


async def test_each_kind_puts_its_numbers_where_they_belong(office: Office) -> None:
    """The store number signs for a till, and for a bank account as the tenant's own short code."""
    till = await office.make(subType="BUYGOODS", shortcode="512345", storeNumber="600987")
    bank = await office.make(subType="BANK", shortcode="247247", storeNumber="600988", accountNumber="0123456789")
    hand = await office.ask("POST", "", 201, json=BY_HAND)
    assert [office.in_force(made["id"]).signing_shortcode for made in (till, bank)] == ["600987", "600988"]
    assert office.in_force(bank["id"]).business_shortcode == bank["storeNumber"] == "600988"
    assert (hand["hasCredentials"], hand["consumerKey"]) == (False, None)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"shortcode": "12"}, {"shortcode"}),
        ({"shortcode": None}, {"shortcode"}),
        ({"shortcode": 600986}, {"shortcode"}),
        ({"type": "PAYPAL"}, {"type"}),
        ({"subType": "TILL"}, {"subType"}),
        ({"env": "moon"}, {"env"}),
        ({"consumerKey": "", "passkey": "••••"}, {"consumerKey", "passkey"}),
        ({"consumerSecret": None}, {"consumerSecret"}),
        ({"consumerSecret": "two\nlines"}, {"consumerSecret"}),
        ({"storeNumber": "600987"}, {"storeNumber"}),
        ({"subType": "BANK", "shortcode": "247247"}, {"storeNumber", "accountNumber"}),
        ({"subType": "BUYGOODS", "storeNumber": "x"}, {"storeNumber"}),
        ({"shortcode": "174379"}, {"shortcode"}),
        ({"name": "two\nlines"}, {"name"}),
        ({"type": "MPESA_NO_API"}, {"consumerKey", "consumerSecret", "passkey"}),
        ({"forHotspot": "yes"}, {"forHotspot"}),
    ],
)
async def test_what_breaks_a_rule_is_refused(office: Office, changes: dict[str, Any], fields: set[str]) -> None:
    """The rules of files hold here, too; each fault is told by the API's own name of its field, and nothing is made."""
    told = await office.ask("POST", "", 400, json={**PAYBILL, **changes})
    assert {fault["field"] for fault in told["details"]} == fields
    assert not re.search("[a-z]_[a-z]", told["message"]), "that is how files spell it"
    assert await office.listed() == []
    assert office.told() == []


async def test_a_tenants_first_gateway_is_its_default(office: Office) -> None:
    """The first of a tenant becomes the default, the next does not, whoever else has one."""
    assert (await office.make())["isDefault"]
    assert not (await office.make(shortcode="600987"))["isDefault"]
    theirs = await office.ask("POST", "", 201, json=PAYBILL, as_="ADMIN:b")
    assert (theirs["isDefault"], theirs["tenantId"]) == (True, "b")


async def test_there_is_an_end_to_making(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant has only so many gateways: one more is 409."""
    monkeypatch.setattr("easyisp_edge.services.back_office.gateways_desk.GATEWAYS_MAX", 2)
    await office.make()
    await office.make()
    assert (await office.ask("POST", "", 409, json=PAYBILL))["code"] == "gateway.too_many"


# --- changing


async def test_only_what_is_sent_changes(office: Office) -> None:
    """A change names what is another; the rest stands, and when it was changed is told."""
    made = await office.make()
    office.books.time.advance(60)
    changed = await office.ask("PUT", f"/{made['id']}", 200, json={"name": "Counter", "forPppoe": True})
    assert changed == {
        **made,
        "name": "Counter",
        "forPppoe": True,
        "updatedAt": "2026-11-21T06:01:00.000Z",
    }
    assert (await office.ask("PUT", f"/{made['id']}", 200, json={"name": ""}))["name"] is None


@pytest.mark.parametrize("kept", ["", None, "••••", "********", "  "])
async def test_a_masked_secret_keeps_the_one_that_stands(office: Office, kept: str | None) -> None:
    """A front end that sends back what it was shown changes no secret."""
    made = await office.make()
    await office.ask("PUT", f"/{made['id']}", 200, json={"passkey": kept, "consumerKey": CANARIES[3], "name": "New"})
    gateway = office.in_force(made["id"])
    assert gateway.passkey.get_secret_value() == CANARIES[2]
    assert gateway.consumer_key.get_secret_value() == CANARIES[3]
    assert office.told()[-1][2]["changed"] == ["name", "consumer_key"]


async def test_what_a_page_sends_back_unchanged_is_no_change(office: Office) -> None:
    """A whole gateway sent back as it was shown is neither written nor told of."""
    made = await office.make(subType="BUYGOODS", shortcode="512345", storeNumber="600987")
    office.books.time.advance(60)
    assert await office.ask("PUT", f"/{made['id']}", 200, json=made) == made
    assert [kind for kind, _, _ in office.told()] == ["gateway.made"]


async def test_a_form_sent_whole_may_change_the_kind(office: Office) -> None:
    """A page sends the numbers it does not show any more, as they stood: they go; one that is typed anew is refused."""
    bank = await office.make(subType="BANK", shortcode="247247", storeNumber="600988", accountNumber="0123456789")
    path = f"/{bank['id']}"
    refused = await office.ask("PUT", path, 400, json={**bank, "subType": "PAYBILL", "storeNumber": "600111"})
    assert refused["field"] == "storeNumber"
    till = await office.ask("PUT", path, 200, json={**bank, "subType": "BUYGOODS", "shortcode": "512345"})
    assert (till["storeNumber"], till["accountNumber"]) == ("600988", None)
    paybill = await office.ask("PUT", path, 200, json={**till, "subType": "PAYBILL"})
    assert (paybill["subType"], paybill["storeNumber"], paybill["accountNumber"]) == ("PAYBILL", None, None)


async def test_another_kind_has_other_numbers(office: Office) -> None:
    """What only the former kind had a use for goes with it: store number, account, and keys where there is no API."""
    made = await office.make(subType="BUYGOODS", shortcode="512345", storeNumber="600987")
    path = f"/{made['id']}"
    changed = await office.ask("PUT", path, 200, json={"subType": "PAYBILL"})
    assert (changed["subType"], changed["storeNumber"]) == ("PAYBILL", None)
    changed = await office.ask("PUT", path, 200, json={"type": "MPESA_NO_API"})
    assert (changed["hasCredentials"], changed["passkey"]) == (False, None)
    told = await office.ask("PUT", path, 400, json={"type": "MPESA_API"})
    assert {fault["field"] for fault in told["details"]} == {"consumerKey", "consumerSecret", "passkey"}


@pytest.mark.parametrize(
    "change",
    [
        {"shortcode": "600987"},
        {"subType": "BUYGOODS"},
        {"env": "sandbox"},
        {"type": "MPESA_NO_API"},
    ],
)
async def test_who_is_paying_is_not_left_in_the_middle(office: Office, change: dict[str, Any]) -> None:
    """While a purchase is open, what it was pushed with stands: 409; keys and name may change; later all may."""
    made = await office.make()
    path = f"/{made['id']}"
    await office.purchase(made["id"], PurchaseState.PROMPTED)
    assert (await office.ask("PUT", path, 409, json=change))["code"] == "gateway.in_use"
    await office.ask("PUT", path, 200, json={"consumerKey": CANARIES[3], "name": "New"})
    await office.books.store.write(lambda tx: tx.purchases.update(_expired(tx)))
    await office.ask("PUT", path, 200, json=change)


def _expired(tx: Tables) -> Any:
    found = tx.purchases.by_id(a_purchase().purchase_id)
    assert found is not None
    return replace(found, state=PurchaseState.EXPIRED)


async def test_nothing_is_sold_through_what_is_being_changed(office: Office) -> None:
    """Between the look at open purchases and the new gateway in force, no purchase slips in."""
    made = await office.make()
    with office.site.holding(made["id"]), pytest.raises(UnavailableError):
        office.site.door_for("default", Service.HOTSPOT)
    assert office.site.door_for("default", Service.HOTSPOT).prompts


# --- taking away


async def test_a_gateway_is_taken_away(office: Office) -> None:
    """It is gone at once, and for good; what had the default leaves it to the oldest left."""
    made = await office.make()
    office.books.time.advance(1)
    heir = await office.make()
    office.books.time.advance(1)
    young = await office.make()
    assert [each["id"] for each in await office.listed()] == [young["id"], heir["id"], made["id"]]
    assert await office.ask("DELETE", f"/{made['id']}", 200) == {"success": True}
    assert office.site.gateway(made["id"]) is None
    assert {each["id"]: each["isDefault"] for each in await office.listed()} == {heir["id"]: True, young["id"]: False}
    await office.ask("DELETE", f"/{made['id']}", 404)
    assert office.told()[-1][2] == {
        "by": "ADMIN@x.ke",
        "tenant": "default",
        "shortcode": "600986",
        "default": heir["id"],
    }
    assert not (await office.make())["isDefault"], "the heir has it in the books, too"


@pytest.mark.parametrize("state", [PurchaseState.OFFERED, PurchaseState.INTENDED, PurchaseState.UNKNOWN])
async def test_a_gateway_with_an_open_purchase_stays(office: Office, state: PurchaseState) -> None:
    """Mend: while somebody may be paying through it, it is 409 with a message for people, and all stays."""
    made = await office.make()
    await office.purchase(made["id"], state)
    told = await office.ask("DELETE", f"/{made['id']}", 409)
    assert (told["code"], "paying" in told["message"]) == ("gateway.in_use", True)
    assert await office.listed() == [made]


async def test_a_gateway_somebody_claims_a_payment_at_stays(office: Office) -> None:
    """While a receipt is looked for there, it is 409."""
    made = await office.make()
    await office.books.store.write(lambda tx: tx.claims.add(a_claim(gateway_id=made["id"])))
    await office.ask("DELETE", f"/{made['id']}", 409)


async def test_what_is_paid_for_does_not_hold_it(office: Office) -> None:
    """A purchase that failed keeps the gateway's id, and not the gateway."""
    made = await office.make()
    await office.purchase(made["id"], PurchaseState.FAILED)
    await office.ask("DELETE", f"/{made['id']}", 200)


async def test_looking_for_open_purchases_goes_through_the_open_ones_only(office: Office) -> None:
    """However many were paid through a gateway, only the open ones are gone through."""
    queries: list[str] = []
    reading = office.books.store._database.reading
    reading.set_trace_callback(queries.append)
    office.books.store.read.made_gateways.in_use("x")
    reading.set_trace_callback(None)
    plans = [row[3] for query in queries for row in reading.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert [plan.split("INDEX ")[1] for plan in plans] == ["purchases_open", "claims_open"]


# --- the default


async def test_the_default_moves_in_one_step(office: Office) -> None:
    """It is one gateway's at any time; making it the default again changes nothing."""
    first, second = await office.make(), await office.make()
    for _ in range(2):
        assert await office.ask("POST", f"/{second['id']}/default", 200) == {"success": True}
    assert {each["id"]: each["isDefault"] for each in await office.listed()} == {first["id"]: False, second["id"]: True}
    assert [kind for kind, _, _ in office.told()].count("gateway.made_default") == 1
    gateway = office.site.config.gateway_for("default", Service.PPPOE)
    assert gateway is not None
    assert gateway.id == second["id"]


# --- testing


async def test_a_test_asks_with_this_gateways_keys(office: Office) -> None:
    """Where M-Pesa takes the keys it is success; where not, 400 with the same shape and what M-Pesa said."""
    made = await office.make()
    told = await office.ask("POST", f"/{made['id']}/test", 200)
    assert (told["success"], office.gateway.checks) == (True, 1)
    assert office.opened[-1] == office.in_force(made["id"])
    for error in (refused(), unavailable()):
        office.gateway.check_answers.append(error)
        assert await office.ask("POST", f"/{made['id']}/test", 400) == {"success": False, "message": error.message}


async def test_a_test_ends(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """M-Pesa that does not answer ends the test, not the patience."""
    monkeypatch.setattr("easyisp_edge.services.back_office.gateways_desk.TEST_SECONDS", 0.02)
    made = await office.make()
    office.gateway.hold()
    async with asyncio.timeout(1):
        told = await office.ask("POST", f"/{made['id']}/test", 400)
    assert "did not answer" in told["message"]


async def test_what_has_no_api_cannot_be_asked(office: Office) -> None:
    """A gateway without API explains itself."""
    made = await office.ask("POST", "", 201, json=BY_HAND)
    told = await office.ask("POST", f"/{made['id']}/test", 400)
    assert (told["success"], "no API" in told["message"]) == (False, True)
    assert office.gateway.checks == 0


async def test_keys_that_are_good_sell_nothing_without_an_address(tmp_path: Path, serve: Serve) -> None:
    """Where M-Pesa has nowhere to report to, a test says what is missing, however good the keys are."""
    async with open_desk(tmp_path, edge="") as opened:
        office = await serve(opened)
        made = await office.make()
        told = await office.ask("POST", f"/{made['id']}/test", 400)
        assert "public_url" in told["message"]


# --- what files and the environment declare


async def test_what_a_file_declares_is_shown_and_not_changed(tmp_path: Path, serve: Serve) -> None:
    """Declared gateways are listed without secrets; changing one is 409 that names the file; testing one works."""
    async with open_desk(tmp_path, edge="development = true\n" + EDGE, gateways=DECLARED) as opened:
        office = await serve(opened)
        listed = await office.listed()
        assert [each["id"] for each in listed] == ["paybill", "quiet", "hand"]
        assert {(each["readOnly"], each["declaredIn"]) for each in listed} == {(True, "gateways.toml")}
        assert listed[0]["passkey"] == "••••"
        for method, path, body in (("PUT", "/paybill", {"name": "x"}), ("DELETE", "/paybill", None)):
            told = await office.ask(method, path, 409, json=body)
            assert (told["code"], "gateways.toml" in told["message"]) == ("gateway.declared", True)
        await office.ask("POST", "/quiet/default", 409)
        await office.ask("POST", "/paybill/test", 200)
        made = await office.make()
        assert not made["isDefault"]
        assert not office.told()[-1][2]["default"]
        told = await office.ask("POST", f"/{made['id']}/default", 409)
        assert (told["code"], "gateways.toml" in told["message"]) == ("gateway.default_declared", True)


async def test_the_old_settings_show_as_one_gateway(tmp_path: Path, serve: Serve) -> None:
    """The old variables are one gateway, "Migrated Gateway", default, for both services, however often it is asked."""
    async with open_desk(tmp_path, environ=LEGACY) as opened:
        office = await serve(opened)
        first, again = await office.listed(), await office.listed()
        assert first == again
        told = ("name", "isDefault", "forHotspot", "forPppoe", "type", "env", "declaredIn", "shortcode")
        assert [[each[key] for key in told] for each in first] == [
            ["Migrated Gateway", True, True, True, "MPESA_API", "production", "environment", "600999"]
        ]
        assert "legacy-" not in json.dumps(first)
        refused_ = await office.ask("PUT", "/legacy", 409, json={"name": "x"})
        assert "MPESA_CONSUMER_KEY" in refused_["message"]
        assert await office.listed(as_="ADMIN:b") == []


async def test_a_reload_keeps_what_was_made(office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files read anew leave it; an id they take over is theirs from then on, and the log says so once."""
    caplog.set_level(logging.WARNING, "easyisp_edge.services.site")
    made = await office.make()
    reloaded = load_config(tmp_path / "config", {})
    office.site.declare(reloaded)
    assert office.in_force(made["id"]).shortcode == "600986"
    assert not caplog.records

    taken = DECLARED.replace('id = "paybill"', f'id = "{made["id"]}"')
    write_config(tmp_path / "config", edge="development = true\n" + EDGE, gateways=taken)
    for _ in range(2):
        office.site.declare(load_config(tmp_path / "config", {}))
    assert office.in_force(made["id"]).label == made["id"]
    assert [made["id"] in record.getMessage() for record in caplog.records] == [True]
    assert [each["readOnly"] for each in await office.listed()] == [True, True, True]
    await office.ask("DELETE", f"/{made['id']}", 409)


async def test_the_gateways_of_a_tenant_that_is_gone_are_left_out(
    office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A tenant gone from the files takes its made gateways out of force; back, they are back."""
    made = await office.ask("POST", "", 201, json=PAYBILL, as_="ADMIN:b")
    both = office.site.declared
    write_config(tmp_path / "config", tenants='[[tenant]]\nid = "default"\nname = "First"\n')
    office.site.declare(load_config(tmp_path / "config", {}))
    assert office.site.gateway(made["id"]) is None
    assert "no tenant b" in caplog.text
    office.site.declare(both)
    assert office.site.gateway(made["id"]) is not None


# --- whose


async def test_another_tenants_gateway_is_none(office: Office) -> None:
    """Mend: another tenant's gateway is 404 in the words of one that does not exist, and nothing happens to it."""
    theirs = await office.ask("POST", "", 201, json=PAYBILL, as_="ADMIN:b")
    assert await office.listed() == []
    for method, rest, body in (
        ("PUT", "", {"name": "mine"}),
        ("DELETE", "", None),
        ("POST", "/default", None),
        ("POST", "/test", None),
    ):
        told = await office.ask(method, f"/{theirs['id']}{rest}", 404, json=body)
        missing = await office.ask(method, f"/{'0' * 32}{rest}", 404, json=body)
        assert told["message"].replace(theirs["id"], "0" * 32) == missing["message"]
    assert await office.listed(as_="ADMIN:b") == [theirs]
    assert office.gateway.checks == 0


@pytest.mark.parametrize("role", ["STAFF", "CUSTOMER_CARE", "FIELD_TECH", "VIEWER"])
async def test_only_who_may_set_gateways_up_comes_in(office: Office, role: str) -> None:
    """Without the permission even the list is 403, and nothing changes."""
    made = await office.make()
    for method, path in (
        ("GET", ""),
        ("POST", ""),
        ("PUT", f"/{made['id']}"),
        ("DELETE", f"/{made['id']}"),
        ("POST", f"/{made['id']}/default"),
        ("POST", f"/{made['id']}/test"),
    ):
        told = await office.ask(method, path, 403, as_=role, json=PAYBILL)
        assert told["permission"] == "settings:payment_gateway"
    assert await office.listed() == [made]


async def test_every_change_says_who_and_what(office: Office) -> None:
    """Each change is an event with the acting user and the names of what changed."""
    made = await office.make()
    await office.ask("PUT", f"/{made['id']}", 200, json={"passkey": CANARIES[3], "env": "sandbox"}, as_="SUPER_ADMIN")
    assert office.told() == [
        (
            "gateway.made",
            made["id"],
            {
                "by": "ADMIN@x.ke",
                "tenant": "default",
                "type": "MPESA_API",
                "subType": "PAYBILL",
                "shortcode": "600986",
                "env": "production",
                "default": True,
            },
        ),
        (
            "gateway.changed",
            made["id"],
            {"by": "SUPER_ADMIN@x.ke", "tenant": "default", "changed": ["environment", "passkey"]},
        ),
    ]


# --- secrets


async def test_no_secret_is_to_be_found_anywhere(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Mend: in no answer, log line, event or octet of the database with its log is there any part of a secret."""
    caplog.set_level(logging.DEBUG)
    async with open_desk(tmp_path) as opened:
        office = await serve(opened)
        made = await office.make()
        path, texts = f"/{made['id']}", [json.dumps(made)]
        for method, rest, expect, body in (
            ("PUT", "", 200, {"passkey": CANARIES[3]}),
            ("PUT", "", 400, {"shortcode": "1", "passkey": CANARIES[3]}),
            ("PUT", "", 400, {"consumerKey": CANARIES[0] + "\n" + CANARIES[1]}),
            ("PUT", "", 400, {"consumerKey": [CANARIES[0]]}),
            ("POST", "/test", 200, None),
        ):
            texts.append(json.dumps(await office.ask(method, path + rest, expect, json=body)))
        texts += [json.dumps(await office.listed()), json.dumps(office.told()), repr(office.site.config)]
        files = octets_of(tmp_path)
        assert len(files) >= 2, "the write-ahead log is there, too"
        await office.ask("DELETE", path, 200)
    everything = "".join([*texts, caplog.text]).encode() + b"".join([*files, *octets_of(tmp_path)])
    for canary in CANARIES:
        assert canary.encode() not in everything
        assert canary[-9:].encode() not in everything


async def test_a_restart_sells_on(tmp_path: Path, serve: Serve) -> None:
    """What was made is in force again after a restart, keys and default and all."""
    async with open_desk(tmp_path) as opened:
        made = await (await serve(opened)).make()
    async with open_desk(tmp_path) as opened:
        office = await serve(opened)
        assert await office.listed() == [made]
        assert office.in_force(made["id"]).passkey.get_secret_value() == CANARIES[2]
        assert (await office.make())["id"] != made["id"]


async def test_a_lost_key_file_stops_nothing_else(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """With another key the box runs: the gateway is shown without credentials and not used, and says what to do."""
    async with open_desk(tmp_path) as opened:
        made = await (await serve(opened)).make()
    async with open_desk(tmp_path, key=bytes([1]) * 32) as opened:
        office = await serve(opened)
        (shown,) = await office.listed()
        assert (shown["hasCredentials"], shown["consumerKey"], shown["isDefault"]) == (False, None, False)
        assert "key file" in shown["problem"]
        assert office.site.gateway(made["id"]) is None
        assert caplog.text.count("key file") == 1
        path = f"/{made['id']}"
        assert "key file" in (await office.ask("POST", f"{path}/test", 400))["message"]
        await office.ask("POST", f"{path}/default", 409)
        await office.ask("PUT", path, 400, json={"name": "New"})
        keys = {key: PAYBILL[key] for key in ("consumerKey", "consumerSecret", "passkey")}
        mended = await office.ask("PUT", path, 200, json=keys)
        assert mended == {**made, "updatedAt": mended["updatedAt"]}


async def test_a_secret_moved_to_another_gateway_does_not_open(tmp_path: Path, serve: Serve) -> None:
    """Who can write to the database cannot give one gateway's keys to another."""
    async with open_desk(tmp_path) as opened:
        office = await serve(opened)
        made, other = await office.make(), await office.make(passkey="other")

        def move(tx: Tables) -> None:
            tx.made_gateways._sql.execute(
                "UPDATE gateways SET passkey = (SELECT passkey FROM gateways WHERE gateway_id = ?)"
                " WHERE gateway_id = ?",
                (made["id"], other["id"]),
            )

        await office.books.store.write(move)
        office.desk.take_in()
        assert {each["id"]: each["hasCredentials"] for each in await office.listed()} == {
            made["id"]: True,
            other["id"]: False,
        }


def test_the_mask_is_taken_for_no_secret() -> None:
    """What a front end was shown in the place of a secret is known when it comes back."""
    change = payment_gateways.GatewayChange(passkey=payment_gateways.MASK, consumer_key="k")
    assert change.said() == {"consumer_key": "k"}
