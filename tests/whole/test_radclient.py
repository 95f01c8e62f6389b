"""The whole daemon asked by FreeRADIUS's own tools: who paid is let on, all others are not, and what is used counts."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.real_parts import require
from tests.whole.stage import ADDRESS, HOST, MAC, OTHER_MAC, PACKAGES, RADIUS_ONLY, RADIUS_SECRET, Stage
from tests.whole.test_disconnect import INCOMING, in_the_books, log_in_by_form, off_by_order

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real_part("FreeRADIUS"), pytest.mark.timeout(120)]

MORE_PACKAGES = (
    PACKAGES
    + """[[package]]
id = "30mb"
name = "30 MB"
price = 5
duration = "24h"
speed = "1M/2M 2M/4M 1M/2M 10/10"
data = "30MB"
[[package]]
id = "home"
name = "Home"
service = "pppoe"
price = 100
duration = "24h"
speed = "4M/8M"
"""
)
FILES = {"packages.toml": MORE_PACKAGES, "routers.toml": RADIUS_ONLY + 'pppoe_pool = "customers"\n'}
SIGNED = "Message-Authenticator = 0x00"
PPPOE = ("Service-Type = Framed-User", "Framed-Protocol = PPP")
DOUBLED = "The router sent an attribute twice that may stand only once."
ACCEPT, REJECT = "Access-Accept", "Access-Reject"
MIB = 2**20


@dataclass(frozen=True)
class Answer:
    """What a tool says it got: nothing where `code` is empty."""

    code: str
    attributes: dict[str, str]

    @property
    def message(self) -> str | None:
        return self.attributes.get("Reply-Message")


@dataclass(frozen=True)
class Bought:
    """What somebody has to log in with."""

    username: str
    password: str
    receipt: str


async def run(*command: str, said: str = "") -> Answer:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(said.encode()), 20)
    # Of a reply that is not right in every octet radclient says something else.
    found = re.search(r"^Received (\S+) Id .*\n((?:\t.*\n)*)", output.decode(errors="replace"), re.MULTILINE)
    if found is None:
        return Answer("", {})
    lines = (line.strip().partition(" = ") for line in found[2].splitlines())
    return Answer(found[1], {name: value.strip('"') for name, _, value in lines})


class RadclientStage(Stage):
    """A site whose router is radclient."""

    async def radclient(self, kind: str, *attributes: str, secret: str = RADIUS_SECRET) -> Answer:
        """Send one packet and wait for its answer."""
        port = self.ports["radius_acct_port" if kind == "acct" else "radius_auth_port"]
        tool = require("radclient", "freeradius-utils")
        return await run(tool, "-x", "-r", "1", "-t", "2", f"{HOST}:{port}", kind, secret, said=", ".join(attributes))

    async def order(self, *attributes: str) -> Answer:
        """Order the lab's router to end a session."""
        tool = require("radclient", "freeradius-utils")
        place = f"{HOST}:{self.router.coa_port}"
        said = ", ".join(attributes)
        return await run(tool, "-x", "-r", "1", "-t", "2", place, "disconnect", RADIUS_SECRET, said=said)

    async def radtest(self, how: str, username: str, password: str) -> Answer:
        tool = require("radtest", "freeradius-utils")
        place = f"{HOST}:{self.ports['radius_auth_port']}"
        return await run(tool, "-t", how, username, password, place, "0", RADIUS_SECRET, "0", HOST)

    async def login(
        self, username: str, password: str | None, *more: str, mac: str | None = MAC, by: str = "User-Password"
    ) -> Answer:
        """Ask for a login as a hotspot does."""
        proof = [] if password is None else [f'{by} = "{password}"']
        station = [] if mac is None else [f'Calling-Station-Id = "{mac}"']
        return await self.radclient("auth", f'User-Name = "{username}"', *proof, *station, *more, SIGNED)

    async def report(self, username: str, status: str, *more: str, session: str = "80100001", mac: str = MAC) -> None:
        """Report a session as a hotspot does; it is answered."""
        said = [f"Acct-Status-Type = {status}", f'User-Name = "{username}"', f"Acct-Session-Id = {session}"]
        said += [f'Calling-Station-Id = "{mac}"', "Framed-IP-Address = 10.5.50.11"]
        assert (await self.radclient("acct", *said, *more)).code == "Accounting-Response"

    async def bought(self, **fields: Any) -> Bought:
        """Buy and pay."""
        purchase_id = await self.buy(**fields)
        await self.pay()
        status = await self.until_status(purchase_id, "completed")
        return Bought(status["username"], status["password"], status["transactionCode"])

    async def one(self, query: str) -> Any:
        """A row of the books."""
        async with self.books() as (_, connection):
            return tuple(connection.execute(query).fetchone())


def used(seconds: int, octets_in: int, octets_out: int) -> list[str]:
    """What a report says was used so far."""
    words = {"Input": octets_in, "Output": octets_out}
    said = [f"Acct-Session-Time = {seconds}"]
    for direction, octets in words.items():
        said += [f"Acct-{direction}-Octets = {octets % 2**32}", f"Acct-{direction}-Gigawords = {octets >> 32}"]
    return said


def stage(folder: Path, *, incoming: bool = False) -> RadclientStage:
    require("radclient", "freeradius-utils")
    files = {**FILES, "routers.toml": FILES["routers.toml"] + INCOMING} if incoming else FILES
    return RadclientStage(folder, mode="radius", files=files, incoming=incoming)


async def test_who_paid_is_let_on_by_pap_and_by_chap(tmp_path: Path) -> None:
    """With all that holds the session, first by a signed reply that FreeRADIUS's own client believes."""
    async with stage(tmp_path) as site:
        bought = await site.bought()
        for by in ("User-Password", "CHAP-Password"):
            answer = await site.login(bought.username, bought.password, by=by)
            assert answer.code == ACCEPT
            assert 3590 < int(answer.attributes.pop("Session-Timeout")) <= 3600
            assert bytes.fromhex(answer.attributes.pop("Class").removeprefix("0x")).startswith(b"edge:")
            assert set(answer.attributes) - {"Message-Authenticator"} == {
                "Mikrotik-Rate-Limit",
                "Port-Limit",
                "Acct-Interim-Interval",
            }
            assert answer.attributes["Mikrotik-Rate-Limit"] == "2M/5M"
        for how in ("pap", "chap"):
            assert (await site.radtest(how, bought.username, bought.password)).code == ACCEPT
        assert await site.count("grants", "state = 'running'") == 1


async def test_who_may_not_go_online_is_told_why(tmp_path: Path) -> None:
    """A wrong password, a login nobody has, another device, another service, a proof we cannot check, time used up."""
    async with stage(tmp_path) as site:
        name, password = (bought := await site.bought()).username, bought.password
        others = "This login belongs to another device."
        wrong = "Wrong password."
        nobody = "We do not know this login. Buy a package, or check the M-Pesa receipt number."
        asked = [
            (site.login(name, "guess"), wrong),
            (site.login(name, "guess", by="CHAP-Password"), wrong),
            (site.login(name, ""), wrong),
            (site.login(name, None), wrong),
            (site.login("NOBODY", password), nobody),
            (site.login("", password), "A login needs a user name."),
            (site.login(name, password, mac=OTHER_MAC), others),
            (site.login(name, password, *PPPOE), "This package is not valid at this place."),
            (site.login(name, password, f'Calling-Station-Id = "{OTHER_MAC}"'), DOUBLED),
            (
                site.radtest("mschap", name, password),
                "Logins work by PAP or CHAP here, not by EAP or MS-CHAP; set the router to PAP or CHAP.",
            ),
        ]
        for asking, message in asked:
            answer = await asking
            assert (answer.code, answer.message) == (REJECT, message)
            assert set(answer.attributes) <= {"Reply-Message", "Message-Authenticator"}
        assert await site.count("grants", "state = 'waiting'") == 1
        assert (await site.login(name, password)).code == ACCEPT
        site.time.move(3601)
        answer = await site.login(name, password)
        assert (answer.code, answer.message) == (REJECT, "Your time is used up. Buy a new package to go on.")


async def test_who_does_not_know_the_secret_hears_nothing(tmp_path: Path) -> None:
    """Nor who leaves the signature out; and nothing begins by it."""
    async with stage(tmp_path) as site:
        bought = await site.bought()
        login = [f'User-Name = "{bought.username}"', f'User-Password = "{bought.password}"']
        report = ["Acct-Status-Type = Start", f'User-Name = "{bought.username}"', "Acct-Session-Id = 80100001"]
        answers = await asyncio.gather(
            site.radclient("auth", *login, SIGNED, secret="another"),
            site.radclient("auth", *login),
            site.radclient("auth", f'User-Name = "{MAC}"', f'Calling-Station-Id = "{MAC}"'),
            site.radclient("acct", *report, secret="another"),
        )
        assert [answer.code for answer in answers] == [""] * 4
        assert await site.count("grants", "state = 'waiting'") == 1
        assert await site.count("sessions") == 0


async def test_a_device_that_paid_is_let_on_by_its_address(tmp_path: Path) -> None:
    """Without a password, an empty one, the address or any; not by another's address, nor where nothing was bought."""
    async with stage(tmp_path) as site:
        bought = await site.bought()
        spellings = [MAC, MAC.lower(), MAC.replace(":", "-"), MAC.replace(":", "")]
        for spelling, password in zip(spellings, [None, "", MAC, "of the router"], strict=True):
            answer = await site.login(spelling, password, mac=spelling)
            assert (answer.code, answer.attributes.get("Port-Limit")) == (ACCEPT, "1")
        assert (await site.login(MAC, MAC, by="CHAP-Password")).code == ACCEPT
        for name, mac in ((MAC, OTHER_MAC), (OTHER_MAC, OTHER_MAC), (OTHER_MAC, MAC), (MAC, None)):
            assert (await site.login(name, None, mac=mac)).code == REJECT
        await site.report(MAC, "Start")
        begun = "SELECT sessions.username, grants.username FROM sessions JOIN grants USING (grant_id)"
        assert await site.one(begun) == (MAC, bought.username)


async def test_the_receipt_is_user_name_and_password(tmp_path: Path) -> None:
    """As the message has it or in small letters, by PAP and CHAP; no other password does, nor another receipt."""
    async with stage(tmp_path) as site:
        receipt = (await site.bought()).receipt
        for spelling in (receipt, receipt.lower()):
            for by in ("User-Password", "CHAP-Password"):
                assert (await site.login(spelling, spelling, by=by)).code == ACCEPT
        for name, password in ((receipt, ""), (receipt, None), (receipt, "guess"), ("TKZ9QW8ER7", "TKZ9QW8ER7")):
            assert (await site.login(name, password)).code == REJECT
        await site.login(receipt, "guess")
        answer = await site.login(receipt, receipt)
        assert (answer.code, answer.message) == (REJECT, "Too many wrong tries. Wait a few minutes.")
        assert (await site.login(receipt, receipt, mac=OTHER_MAC)).code == ACCEPT
        assert await site.one("SELECT mac FROM grants") == (OTHER_MAC,)


async def test_pppoe_is_let_on_from_the_routers_pool(tmp_path: Path) -> None:
    """As a user of PPP; a hotspot's login by the same name is not."""
    async with stage(tmp_path) as site:
        bought = await site.bought(packageId="home")
        for by in ("User-Password", "CHAP-Password"):
            answer = await site.login(bought.username, bought.password, *PPPOE, by=by)
            assert answer.code == ACCEPT
            beside = [answer.attributes[name] for name in ("Service-Type", "Framed-Protocol", "Framed-Pool")]
            assert beside == ["Framed-User", "PPP", "customers"]
            assert answer.attributes["Mikrotik-Rate-Limit"] == "4M/8M"
        assert (await site.login(bought.username, bought.password)).code == REJECT


async def test_status_server_says_that_it_is_there(tmp_path: Path) -> None:
    """To its routers, for monitoring; to who does not sign it does not."""
    async with stage(tmp_path) as site:
        assert (await site.radclient("status", SIGNED)).code == ACCEPT
        assert (await site.radclient("status")).code == ""
        assert site.daemon.doors.radius is not None
        assert site.daemon.doors.radius.counters.statuses == 1


async def test_what_is_used_is_counted_once(tmp_path: Path) -> None:
    """A session from Start to Stop is in the books with what it used; the Stop again changes nothing."""
    async with stage(tmp_path) as site:
        bought = await site.bought()
        assert (await site.login(bought.username, bought.password)).code == ACCEPT
        await site.report(bought.username, "Start")
        assert await site.count("sessions", "stopped_at IS NULL AND seconds = 0") == 1
        site.time.move(60)
        await site.report(bought.username, "Interim-Update", *used(60, 2 * MIB, 3 * MIB))
        of_session = "SELECT seconds, octets_in, octets_out FROM sessions"
        assert await site.one(of_session) == (60, 2 * MIB, 3 * MIB)
        site.time.move(60)
        for at in range(3):  # each a packet of its own, as after a restart of the router
            await site.report(
                bought.username,
                "Stop",
                *used(120, 5 * 2**30, 7 * 2**30),
                "Acct-Terminate-Cause = User-Request",
                f"Acct-Delay-Time = {at}",
            )
            site.time.move(20)
        assert await site.one(of_session) == (120, 5 * 2**30, 7 * 2**30)
        assert await site.count("sessions", "stopped_at IS NOT NULL AND cause = 'User-Request'") == 1
        assert await site.one("SELECT seconds_used, octets_used FROM grants") == (120, 12 * 2**30)
        assert await site.count("events", "type = 'session.stopped'") == 1


async def test_data_that_is_used_up_lets_on_no_more(tmp_path: Path) -> None:
    """Over two sessions; the second may use what the first left, and after it the customer is told why."""
    async with stage(tmp_path) as site:
        bought = await site.bought(packageId="30mb")
        answer = await site.login(bought.username, bought.password)
        assert answer.attributes["Mikrotik-Total-Limit"] == "30000000"
        assert answer.attributes["Mikrotik-Rate-Limit"] == "1M/2M 2M/4M 1M/2M 10/10"
        await site.report(bought.username, "Start")
        await site.report(bought.username, "Stop", *used(0, 4_000_000, 6_000_000))
        answer = await site.login(bought.username, bought.password)
        assert (answer.code, answer.attributes["Mikrotik-Total-Limit"]) == (ACCEPT, "20000000")
        await site.report(bought.username, "Start", session="80100002")
        await site.report(bought.username, "Interim-Update", *used(0, 0, 20_000_000), session="80100002")
        answer = await site.login(bought.username, bought.password)
        assert (answer.code, answer.message) == (REJECT, "Your data is used up. Buy a new package to go on.")


async def test_a_session_that_used_all_data_is_put_off(tmp_path: Path) -> None:
    """While it is on: the report that uses the rest up has the router ordered to end it."""
    async with stage(tmp_path, incoming=True) as site:
        bought = await site.bought(packageId="30mb")
        await site.router.log_in(MAC, bought.username, bought.password)
        await in_the_books(site)
        (session,) = await site.one("SELECT acct_session_id FROM sessions")
        await site.report(bought.username, "Interim-Update", *used(0, 10_000_000, 20_000_000), session=session)
        await off_by_order(site, seconds=3)


async def test_an_order_by_freeradius_own_client_is_obeyed_alike(tmp_path: Path) -> None:
    """The lab's router takes one from whoever knows the secret, as the daemon sends it; none for another session."""
    async with stage(tmp_path, incoming=True) as site:
        login = await log_in_by_form(site)
        await in_the_books(site)
        name = f'User-Name = "{login["username"]}"'
        assert (await site.order(name, "Framed-IP-Address = 10.5.50.99")).code == "Disconnect-NAK"
        assert site.router.is_online(MAC)
        assert (await site.order(name, f"Framed-IP-Address = {ADDRESS}")).code == "Disconnect-ACK"
        await off_by_order(site, seconds=1)
