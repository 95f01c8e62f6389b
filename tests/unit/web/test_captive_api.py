"""What devices ask to learn whether they are captive: each is told of itself, and of nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.services.access.presence import SEEN_FOR_SECONDS
from easyisp_edge.web.captive_api import EXPECTED, EXPECTED_OF_HOST
from easyisp_edge.web.visits import Device
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER
from tests.unit.web.gatehouse import ADDRESS, OTHER_ADDRESS, ROUTERS, Gatehouse, open_gatehouse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = Device(MAC, ROUTER).token
GIGABYTE = replace(HOUR, package_id="gb", name="1 GB", data_limit=DataVolume(10**9))
# It is nine in the morning in Kenya, and the package closes at half past nine.
MORNING = replace(HOUR, package_id="am", name="Mornings", schedule=Schedule.parse("06:00-09:30"))
BODIES = {
    "/hotspot-detect.html": b"<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>",
    "/connecttest.txt": b"Microsoft Connect Test",
    "/ncsi.txt": b"Microsoft NCSI",
    "/success.txt": b"success\n",
    "/check_network_status.txt": b"NetworkManager is online\n",
}
RADIUS_ONLY = """[[router]]
id = "main"
address = "10.0.0.1"
mode = "radius"
login_url = "http://10.5.50.1/login"
radius = { secret = "only-good-on-loopback" }
"""


@pytest.fixture(name="house")
async def _house(tmp_path: Path) -> AsyncIterator[Gatehouse]:
    async with open_gatehouse(tmp_path) as house:
        yield house


async def test_who_is_not_known_is_captive(house: Gatehouse) -> None:
    """Nothing known of the address: captive, with the portal's address, and nothing of anybody."""
    await house.go_online(await house.sell())
    status, headers, _ = await house.get("/captive", source="10.5.50.99")
    assert status == 200
    assert headers["Content-Type"] == "application/captive+json"
    assert headers["Cache-Control"] == "private"
    said = await house.captive("10.5.50.99")
    assert said == {"captive": True, "user-portal-url": said["user-portal-url"]}
    assert said["user-portal-url"].startswith("http://127.0.0.1:")


async def test_a_device_is_told_of_itself(house: Gatehouse) -> None:
    """Seen and without a package: captive. Online: not, with what is left; the portal's address names the device."""
    house.see()
    assert (await house.captive())["captive"] is True
    await house.go_online(await house.sell())
    said = await house.captive()
    assert (said["captive"], said["seconds-remaining"]) == (False, 3600)
    assert "bytes-remaining" not in said
    assert said["user-portal-url"].endswith(f"/?d={TOKEN}")


async def test_no_query_tells_one_device_of_another(house: Gatehouse) -> None:
    """Whatever a query names, the answer is about the address it came from."""
    house.see()
    house.see(OTHER_MAC, OTHER_ADDRESS)
    await house.go_online(await house.sell())
    for query in (f"?mac={MAC}", f"?d={TOKEN}", f"?ip={ADDRESS}", f"?mac={MAC}&router={ROUTER}"):
        said = await house.captive(OTHER_ADDRESS, query)
        assert said["captive"] is True
        assert TOKEN not in said["user-portal-url"]


async def test_bought_and_not_on_yet_is_captive(house: Gatehouse) -> None:
    """A package alone lets nobody out: only who is on is free."""
    house.see()
    await house.sell()
    assert (await house.captive())["captive"] is True


async def test_who_signed_out_is_captive(house: Gatehouse) -> None:
    """Also while the router's last look still has the device logged in."""
    house.see(authorized=True)
    grant = await house.go_online(await house.sell())
    await house.portal.sign_outs.sign_out("default", MAC)
    house.presence.left(ROUTER, grant.username)
    assert (await house.captive())["captive"] is True


@pytest.mark.parametrize("how", ["authorized", "bypassed"])
async def test_who_is_on_by_somebody_elses_word_is_free(house: Gatehouse, how: str) -> None:
    """The router lets it out and we sold it nothing: it is free, and nothing is said of what is left."""
    house.see(authorized=how == "authorized", bypassed=how == "bypassed")
    said = await house.captive()
    assert said["captive"] is False
    assert "seconds-remaining" not in said


async def test_data_left_is_told(house: Gatehouse) -> None:
    """Over all that comes one after the other; where one of them has no limit there is none."""
    house.see()
    grant = await house.go_online(await house.sell(GIGABYTE))
    await house.books.store.write(lambda tx: tx.grants.use(grant.grant_id, 60, 4 * 10**8))
    assert (await house.captive())["bytes-remaining"] == 6 * 10**8
    await house.sell(GIGABYTE, number=2)
    assert (await house.captive())["bytes-remaining"] == 16 * 10**8
    await house.sell(HOUR, number=3)
    assert "bytes-remaining" not in await house.captive()


async def test_hours_end_the_time(house: Gatehouse) -> None:
    """Where a package closes before its time is up, that is when its device becomes captive."""
    house.see()
    await house.go_online(await house.sell(MORNING))
    assert (await house.captive())["seconds-remaining"] == 1800 - 10


async def test_what_can_be_bought_extends(house: Gatehouse) -> None:
    """Whether the portal has anything to extend by, as it is sold there now."""
    house.see()
    await house.go_online(await house.sell())
    assert (await house.captive())["can-extend-session"] is False
    await house.portal.shelf.put_out([HOUR])
    assert (await house.captive())["can-extend-session"] is True


async def test_the_venue_is_told_where_it_has_a_page(tmp_path: Path) -> None:
    """Only where the owner names one."""
    async with open_gatehouse(tmp_path, portal_toml='venue_info_url = "https://example.com/menu"') as house:
        assert (await house.captive())["venue-info-url"] == "https://example.com/menu"


async def test_the_portal_is_where_the_site_says(tmp_path: Path) -> None:
    """By the configured address, whatever the request was sent to."""
    setup = 'setup = { interface = "bridge", box_address = "10.5.50.2", portal_url = "https://wifi.example.com" }\n'
    async with open_gatehouse(tmp_path, routers=ROUTERS + setup) as house:
        house.see()
        assert (await house.captive())["user-portal-url"] == f"https://wifi.example.com/?d={TOKEN}"


async def test_what_was_seen_long_ago_says_nothing(house: Gatehouse) -> None:
    """Addresses are lent again: after some minutes without a look nobody is known by one."""
    await house.go_online(await house.sell())
    house.see()
    house.books.time.advance(SEEN_FOR_SECONDS)
    assert (await house.captive())["captive"] is False
    house.books.time.advance(1)
    assert (await house.captive())["captive"] is True


async def test_a_router_that_only_reports_tells_by_its_sessions(tmp_path: Path) -> None:
    """Without an API who has an address is whose open session was reported with it, the latest where there are two."""
    async with open_gatehouse(tmp_path, routers=RADIUS_ONLY) as house:
        grant = await house.go_online(await house.sell())
        assert (await house.captive())["captive"] is True
        old = house.books.now() - timedelta(hours=1)
        await house.report(grant, acct_session_id="old", mac=OTHER_MAC, started_at=old, updated_at=old)
        assert (await house.captive())["captive"] is True
        await house.report(grant)
        assert (await house.captive())["captive"] is False


async def test_only_this_machine_speaks_for_others(house: Gatehouse) -> None:
    """Of several addresses in the header the last counts: the others are what the client itself claims."""
    house.see()
    await house.go_online(await house.sell())
    assert (await house.captive(f"{ADDRESS}, 10.5.50.99"))["captive"] is True
    assert (await house.captive(f"10.5.50.99, {ADDRESS}"))["captive"] is False
    assert (await house.captive(f"::ffff:{ADDRESS}"))["captive"] is False
    assert (await house.captive("no address"))["captive"] is True
    assert (await house.captive(None))["captive"] is True


@pytest.mark.parametrize("path", sorted(EXPECTED))
async def test_probes_lead_to_the_portal_and_are_answered_once_online(house: Gatehouse, path: str) -> None:
    """Before: 302 to the portal, for this device. After: what the system expects. Neither is kept by anybody."""
    house.see()
    status, headers, _ = await house.get(path, host="connectivity.example")
    assert (status, headers["Cache-Control"]) == (302, "no-store")
    port = house.client.port
    assert headers["Location"] == f"http://127.0.0.1:{port}/?d={TOKEN}"
    await house.go_online(await house.sell())
    status, headers, body = await house.get(path, host="connectivity.example")
    assert (status, headers["Cache-Control"]) == (200 if body else 204, "no-store")
    assert "Location" not in headers
    assert body == BODIES.get(path, body)
    assert (body == b"") is (path in {"/generate_204", "/gen_204"})


async def test_every_probe_is_answered_by_its_own_page(house: Gatehouse) -> None:
    """What is written here of the best known ones is what is answered, to the octet, and as text or HTML."""
    house.see()
    await house.go_online(await house.sell())
    for path, wanted in BODIES.items():
        _, headers, body = await house.get(path)
        assert body == wanted
        assert headers["Content-Type"] == ("text/html" if path.endswith(".html") else "text/plain")


@pytest.mark.parametrize("host", sorted(EXPECTED_OF_HOST))
async def test_the_systems_own_hosts_are_no_portal(house: Gatehouse, host: str) -> None:
    """What was led here under their names never shows our pages there, and never sends the browser back to them."""
    house.see()
    for path in ("/", "/redirect", "/anything"):
        status, headers, _ = await house.get(path, host=host)
        assert status == 302
        assert host not in headers["Location"]
        assert headers["Location"].startswith("http://127.0.0.1:")


async def test_the_root_of_apples_and_ubuntus_hosts(house: Gatehouse) -> None:
    """They are asked for `/` too: once online that is answered; of the other hosts it leads to the portal."""
    house.see()
    await house.go_online(await house.sell())
    assert (await house.get("/", host="captive.apple.com"))[2] == BODIES["/hotspot-detect.html"]
    status, headers, _ = await house.get("/", host="CONNECTIVITY-check.ubuntu.com:80")
    assert (status, headers["X-NetworkManager-Status"]) == (204, "online")
    assert (await house.get("/", host="www.msftconnecttest.com"))[0] == 302


async def test_the_portals_own_pages_stay(house: Gatehouse) -> None:
    """By any other name `/` is the portal's start, and probes of devices nobody knows lead to it without naming any."""
    house.see()
    assert (await house.get("/", host="10.5.50.2"))[0] == 200
    _, headers, _ = await house.get("/generate_204", source="10.5.50.99")
    assert headers["Location"] == f"http://127.0.0.1:{house.client.port}/?d={Device(None, ROUTER).token}"
