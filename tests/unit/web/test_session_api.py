"""The rest of the portal's JSON: vouchers, signing in and out, how a device stands, and what is down."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.routers import LinkState, RouterHealth
from easyisp_edge.services.access.grant_life import PAUSES_PER_DAY
from easyisp_edge.services.access.lockout import LockoutLimits
from easyisp_edge.services.portal.outages import Outages
from easyisp_edge.web.session_api import session_id_of
from easyisp_edge.web.visits import Device
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, TENANT
from tests.unit.web.gatehouse import ADDRESS, OTHER_ADDRESS, Gatehouse, open_gatehouse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAME, PASSWORD = "USER000001", "PASSWORDAAAAAAAAAAAA"
LOGIN = {"username": NAME, "password": PASSWORD}
ROUTERS_ADDRESS = "10.0.0.1"
SHARED = replace(HOUR, package_id="s", name="For two", devices_max=2)


@pytest.fixture(name="house")
async def _house(tmp_path: Path) -> AsyncIterator[Gatehouse]:
    async with open_gatehouse(tmp_path) as house:
        house.see()
        house.see(OTHER_MAC, OTHER_ADDRESS)
        yield house


def admission(house: Gatehouse, grant_id: str = "grant-1") -> Any:
    found = house.books.store.read.grants.admission_by_id(grant_id)
    assert found is not None
    return found


# Signing in


async def test_a_login_lets_its_device_on(house: Gatehouse) -> None:
    """The right password: the router is to be looked at, the old fields are there, and no time runs by that alone."""
    await house.sell()
    status, said = await house.post("/login", **LOGIN, nasId="main", macAddress=str(MAC), ip=ADDRESS)
    assert (status, said["success"], said["loginUrl"]) == (200, True, None)
    assert said["sessionId"] == session_id_of(admission(house))
    assert said["customer"]["package"] == "1 hour"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said["customer"]["expiresAt"])
    assert said["quota"] == {"speed": "5/2 Mbps", "data": None, "time": "1 hour"}
    assert PASSWORD not in str(said)
    assert await house.rung()
    assert house.grant().state is GrantState.WAITING


async def test_the_device_need_not_name_itself(house: Gatehouse) -> None:
    """Who asks is known by the address; where it is not, the device has to be named."""
    await house.sell()
    assert (await house.post("/login", **LOGIN))[0] == 200
    status, said = await house.post("/login", source="10.5.50.99", **LOGIN)
    assert (status, said["code"], said["field"]) == (400, "mac.unreadable", "macAddress")


@pytest.mark.parametrize(
    ("username", "password"),
    [(NAME, "PASSWORDAAAAAAAAAAAB"), (NAME, NAME), ("USER999999", PASSWORD), (str(MAC), "x"), ("RECEIPT001", PASSWORD)],
)
async def test_a_wrong_password_is_refused(house: Gatehouse, username: str, password: str) -> None:
    """Whatever is wrong is said in the same words, and a device's own address proves nothing here."""
    await house.sell()
    status, said = await house.post("/login", username=username, password=password)
    assert (status, said["success"], said["code"]) == (422, False, "login.unknown_user")
    assert said["message"] == said["error"] != ""
    assert not await house.rung()


async def test_a_receipt_is_a_login_and_takes_its_package_along(house: Gatehouse) -> None:
    """In small letters, too; on another device the grant follows, as often in a day as receipts may."""
    await house.sell()
    status, _ = await house.post("/login", source=OTHER_ADDRESS, username="receipt001", password="RECEIPT001")
    assert status == 200
    assert house.grant().mac == OTHER_MAC
    for source in (ADDRESS, OTHER_ADDRESS, ADDRESS):
        status, said = await house.post("/login", source=source, username="RECEIPT001", password="receipt001")
    assert (status, said["code"]) == (422, "login.other_device")


async def test_a_login_of_another_device_is_refused(house: Gatehouse) -> None:
    """A package for one device stays its own, whoever knows its user name and password."""
    await house.sell()
    status, said = await house.post("/login", source=OTHER_ADDRESS, **LOGIN)
    assert (status, said["code"]) == (422, "login.other_device")


async def test_what_is_for_no_device_yet_becomes_the_first_ones(house: Gatehouse) -> None:
    """Bought where the page did not know the device: the daemon can let on only whom it knows."""
    await house.sell(mac=None)
    assert (await house.post("/login", **LOGIN))[0] == 200
    assert house.grant().mac == MAC


async def test_a_shared_package_goes_by_the_routers_form(house: Gatehouse) -> None:
    """Its own device is let on by the box; for another the page is told where the login form goes, of the files."""
    await house.sell(SHARED)
    assert (await house.post("/login", **LOGIN))[1]["loginUrl"] is None
    assert (await house.post("/login", source=OTHER_ADDRESS, **LOGIN))[1]["loginUrl"] == "http://10.5.50.1/login"


async def test_what_is_used_up_is_refused(house: Gatehouse) -> None:
    """In the words routers show."""
    await house.go_online(await house.sell())
    house.books.time.advance(3601)
    house.see()
    status, said = await house.post("/login", **LOGIN)
    assert (status, said["code"]) == (422, "login.time_up")
    assert "used up" in said["message"]


async def test_guessing_is_locked_out(house: Gatehouse) -> None:
    """After too many wrong tries even the right password is not listened to, whatever device is named; others go on."""
    await house.sell()
    for number in range(LockoutLimits().device):
        await house.post("/login", username=NAME, password=f"{number}", macAddress=f"02:00:00:00:00:0{number}")
    status, said = await house.post("/login", **LOGIN)
    assert (status, said["code"]) == (422, "login.locked")
    assert (await house.post("/login", source="10.5.50.99", macAddress=str(MAC), **LOGIN))[0] == 200
    house.books.time.advance(601)
    house.see()
    assert (await house.post("/login", **LOGIN))[0] == 200


async def test_behind_the_routers_own_address_devices_are_told_apart(house: Gatehouse) -> None:
    """Where a router hides its devices, one that guesses does not lock out all; together they are bounded."""
    await house.sell()
    for number in range(LockoutLimits().site):
        wrong = {"username": NAME, "password": "x", "macAddress": f"02:00:00:00:00:{number:02x}"}
        await house.post("/login", source=ROUTERS_ADDRESS, **wrong)
        if number == LockoutLimits().device:
            assert (await house.post("/login", source=ROUTERS_ADDRESS, macAddress=str(MAC), **LOGIN))[0] == 200
    status, said = await house.post("/login", source=ROUTERS_ADDRESS, macAddress=str(MAC), **LOGIN)
    assert (status, said["code"]) == (422, "login.locked")


# Signing out


async def test_a_device_signs_out_by_itself(house: Gatehouse) -> None:
    """Its address is proof enough: its grant lets nobody on from then on, the clock goes on, the router is told."""
    await house.go_online(await house.sell())
    await house.rung()
    assert await house.post("/logout", macAddress=str(MAC)) == (200, {"success": True})
    grant = house.grant()
    assert (grant.state, grant.off_since) == (GrantState.RUNNING, house.books.now())
    assert await house.rung()
    assert (await house.ask(f"/check-session?mac={MAC}"))[1]["signedOut"] is True
    assert await house.post("/logout") == (200, {"success": True})
    assert house.books.events().count("grant.off") == 1


async def test_no_device_signs_out_another(house: Gatehouse) -> None:
    """By naming it, by its page's token, or by a login that is not its own: nothing happens."""
    await house.go_online(await house.sell())
    for wrong in ({"macAddress": str(MAC)}, {"d": Device(MAC, ROUTER).token}, {"macAddress": str(MAC), **LOGIN}):
        status, said = await house.post("/logout", source=OTHER_ADDRESS, **wrong)
        assert (status, said["code"]) == (422, "session.not_yours")
    for wrong in (
        {"macAddress": str(MAC)},
        {"macAddress": str(MAC), "username": NAME},
        {"macAddress": str(MAC), "username": NAME, "password": "x"},
        {"macAddress": str(OTHER_MAC), **LOGIN},
        {"sessionId": "grant-1"},
        {"sessionId": f"grant-1-{'0' * 32}"},
        {"username": NAME},
    ):
        status, said = await house.post("/logout", source="10.5.50.99", **wrong)
        assert (status, said["code"]) == (422, "session.not_yours"), wrong
    status, said = await house.post("/logout", source="10.5.50.99")
    assert (status, said["code"], said["field"]) == (400, "mac.unreadable", "macAddress")
    assert house.grant().off_since is None


async def test_no_other_sites_page_signs_a_device_out(house: Gatehouse) -> None:
    """The customer's browser is where it comes from, yet the customer did not ask; our page and the router's may."""
    await house.go_online(await house.sell())
    for foreign in ("https://evil.example", "null", "http://10.5.50.1.evil.example", "http://127.0.0.1:1"):
        status, said = await house.post("/logout", origin=foreign)
        assert (status, said["code"]) == (422, "session.not_yours")
    assert house.grant().off_since is None
    for own in ("http://10.5.50.1", f"http://127.0.0.1:{house.client.port}"):
        assert (await house.post("/logout", origin=own))[0] == 200
        await house.portal.sign_outs.sign_in(TENANT, MAC)


@pytest.mark.parametrize("shown", ["login", "session", "token"])
async def test_who_shows_the_login_signs_out(house: Gatehouse, shown: str) -> None:
    """From an address nobody knows: the device with its user name and password, or what came of showing them."""
    await house.go_online(await house.sell())
    fields = {
        "login": {"macAddress": str(MAC), **LOGIN},
        "session": {"sessionId": session_id_of(admission(house))},
        "token": {"d": Device(MAC, ROUTER).token, **LOGIN},
    }
    assert await house.post("/logout", source="10.5.50.99", **fields[shown]) == (200, {"success": True})
    assert house.grant().off_since is not None


async def test_who_signed_out_is_on_again_by_signing_in(house: Gatehouse) -> None:
    """Its login takes the wish to be off back, and only for the device it is of."""
    await house.go_online(await house.sell())
    await house.post("/logout")
    await house.rung()
    assert (await house.post("/login", source=OTHER_ADDRESS, **LOGIN))[0] == 422
    assert house.grant().off_since is not None
    assert (await house.post("/login", **LOGIN))[0] == 200
    assert house.grant().off_since is None
    assert await house.rung()


async def test_a_shared_package_is_not_ended_under_others(house: Gatehouse) -> None:
    """Where another device is on by it, signing out would put that off, too: refused, and nothing changes."""
    grant = await house.go_online(await house.sell(SHARED))
    await house.report(grant)
    await house.report(grant, acct_session_id="second", mac=OTHER_MAC, address=OTHER_ADDRESS)
    status, said = await house.post("/logout")
    assert (status, said["code"]) == (409, "session.shared")
    assert house.grant().off_since is None


async def test_nothing_to_sign_out_of(house: Gatehouse) -> None:
    """404 where the device is on by nothing; 409 once it went to and fro too often in a day."""
    status, said = await house.post("/logout")
    assert (status, said["success"], said["code"]) == (404, False, "session.none")
    await house.go_online(await house.sell(replace(HOUR, duration=timedelta(days=2))))
    for _ in range(PAUSES_PER_DAY):
        assert (await house.post("/logout"))[0] == 200
        assert (await house.post("/login", **LOGIN))[0] == 200
    status, said = await house.post("/logout")
    assert (status, said["code"]) == (409, "session.limit")


# How a device stands


async def test_status_of_a_session(house: Gatehouse) -> None:
    """By the session's id or the device's address: how long, how much, by which package; never a login."""
    assert await house.ask(f"/status?mac={MAC}") == (200, {"active": False})
    grant = await house.go_online(await house.sell())
    began = house.books.now() - timedelta(seconds=90)
    await house.report(grant, started_at=began, seconds=60, octets_in=1000, octets_out=2000)
    wanted = {
        "active": True,
        "uptime": "1 min 30 s",
        "uptimeSeconds": 90,
        "bytesIn": 1000,
        "bytesOut": 2000,
        "customer": {"name": None, "package": "1 hour"},
    }
    session_id = session_id_of(admission(house))
    assert await house.ask(f"/status?sessionId={session_id}") == (200, {**wanted, "sessionId": session_id})
    assert await house.ask(f"/status?mac={MAC}", source=OTHER_ADDRESS) == (200, {**wanted, "sessionId": None})


async def test_status_by_an_id_that_was_made_up(house: Gatehouse) -> None:
    """A grant's id is no secret; what makes a session's id of it is."""
    await house.go_online(await house.sell())
    for wrong in ("grant-1", f"grant-1-{'0' * 32}", "-", "\u00e9-\u00e9"):
        assert await house.ask(f"/status?sessionId={wrong}") == (200, {"active": False})
    status, said = await house.ask("/status", source="10.5.50.99")
    assert (status, said["field"]) == (400, "macAddress")


async def test_check_session_never_tells_a_login(house: Gatehouse) -> None:
    """Whoever names a device learns that it has something; the device itself is let on by the box."""
    assert await house.ask(f"/check-session?mac={MAC}") == (200, {"hasActiveSession": False})
    await house.sell()
    status, said = await house.ask(f"/check-session?mac={MAC}&tenantId={TENANT}", source=OTHER_ADDRESS)
    assert (status, said["hasActiveSession"], said["online"], said["signedOut"]) == (200, True, False, False)
    assert said["customer"]["packageName"] == "1 hour"
    assert said["customer"]["remainingMinutes"] == 60
    assert said["customer"]["expiresAt"].endswith("Z")
    assert not {"username", "password"} & (said | said["customer"]).keys()
    assert NAME not in str(said)
    assert await house.rung()
    await house.go_online(house.grant())
    assert (await house.ask(f"/check-session?mac={MAC}"))[1]["online"] is True


async def test_check_session_of_nobody(house: Gatehouse) -> None:
    """No device named and none known: nothing is active. A name that is none is refused."""
    assert await house.ask("/check-session", source="10.5.50.99") == (200, {"hasActiveSession": False})
    status, said = await house.ask("/check-session?mac=x")
    assert (status, said["code"], said["field"]) == (400, "mac.unreadable", "macAddress")


# Vouchers


async def test_a_voucher_is_taken_for_the_device(house: Gatehouse) -> None:
    """The package, an id for status and logout, and the router told; again on the same device it is the same."""
    code = await house.make_voucher()
    status, said = await house.post("/voucher", code=code.lower(), macAddress=str(MAC), nasId="main")
    assert (status, said["success"], said["loginUrl"]) == (200, True, None)
    assert said["package"] == {"name": "1 hour", "speed": "5/2 Mbps", "duration": "1 hour"}
    assert not {"username", "password"} & said.keys()
    assert await house.rung()
    [grant] = house.books.store.read.grants.usable_of_device(TENANT, MAC)
    assert said["sessionId"].startswith(grant.grant_id)
    assert house.grant(grant.grant_id).funding is Funding.VOUCHER
    assert await house.post("/voucher", code=code) == (200, said)
    status, refused = await house.post("/voucher", source=OTHER_ADDRESS, code=code)
    assert (status, refused["success"], refused["code"]) == (409, False, "voucher.used")


async def test_a_voucher_for_a_device_nobody_knows(house: Gatehouse) -> None:
    """The page gets the login and where to send it: the router knows who sends it."""
    status, said = await house.post("/voucher", source="10.5.50.99", code=await house.make_voucher())
    assert (status, said["loginUrl"]) == (200, "http://10.5.50.1/login")
    assert house.books.store.read.grants.admission(said["username"]).password == said["password"]  # type: ignore[union-attr]


async def test_a_voucher_that_is_none(house: Gatehouse) -> None:
    """A code that was mistyped, or none at all: 400, with the field."""
    for wrong in ({"code": "ABCD-EFGH-JKMA"}, {"code": ""}, {}):
        status, said = await house.post("/voucher", **wrong)
        assert (status, said["success"], said["field"]) == (400, False, "code")


# What is down


async def test_health_tells_what_works(house: Gatehouse) -> None:
    """All is well as far as anybody tried; a router that is away is said, and nothing of how the site is made."""
    well = dict.fromkeys(("ok", "daraja", "uplink", "router", "central", "sales"), True)
    assert await house.ask("/health") == (200, {**well, "outages": []})


async def test_health_tells_what_does_not(tmp_path: Path) -> None:
    """By name, so that a page can say what still does."""
    async with open_gatehouse(tmp_path) as house:
        down = RouterHealth(state=LinkState.DOWN, last_error="10.0.0.1 refused")
        outages = Outages(house.portal.site, house.books.clock, lambda _gateway: None, lambda _router_id: down)
        object.__setattr__(house.portal, "outages", outages)  # the routes hold this very portal
        status, said = await house.ask("/health")
        assert (status, said["ok"], said["router"], said["daraja"]) == (200, False, False, True)
        assert said["outages"] == ["router"]
        assert "10.0.0.1" not in str(said)
