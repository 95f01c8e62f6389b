from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from pyrad import packet as pyrad_packet

from easyisp_edge.lab.mikrotik import MikrotikOptions, TrapError
from easyisp_edge.lab.mikrotik.radius_packets import radius_dictionary
from easyisp_edge.lab.mikrotik.sessions import TerminateCause
from tests.fakes.mikrotik_stage import (
    IP,
    MAC,
    OTHER_MAC,
    SECRET,
    RadiusAuthority,
    Stage,
    let_run,
    mikrotik_stage,
    radius_options,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PLACE = ["NAS-Port-Type", "Calling-Station-Id", "Called-Station-Id", "NAS-Port-Id"]
SESSION = ["User-Name", "NAS-Port", "Acct-Session-Id"]
ADDRESSES = ["Framed-IP-Address", "Mikrotik-Host-IP"]
LOGIN_END = ["Service-Type", "WISPr-Logoff-URL", "NAS-Identifier", "NAS-IP-Address"]
ACCOUNT_END = ["Event-Timestamp", "NAS-Identifier", "Acct-Delay-Time", "NAS-IP-Address"]


@contextlib.asynccontextmanager
async def asking(
    authority: RadiusAuthority, *, coa_port: int | None = None, server: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Stage]:
    async with authority:
        settings = radius_options(authority.as_server(**(server or {})), **options)
        async with mikrotik_stage(settings, coa_port=coa_port) as stage:
            stage.router.connect_device(MAC, IP)
            yield stage


def said(packet: Any, name: str) -> Any:
    (value,) = packet[name]
    return value


async def monitored(stage: Stage) -> dict[str, str]:
    client = await stage.raw()
    row = (await client.ask("/radius/monitor", "=.id=*1", "=once="))[0]
    await client.close()
    return dict(word[1:].split("=", 1) for word in row[1:])


async def refused(stage: Stage) -> str:
    with pytest.raises(TrapError) as trap:
        await stage.router.log_in(MAC, "QWE7X", "pw")
    return trap.value.message


async def test_a_pap_login_says_all_a_hotspot_says() -> None:
    """Access-Request carries the attributes of RouterOS in its order, Message-Authenticator last."""
    authority = RadiusAuthority()
    async with asking(authority) as stage:
        await stage.router.log_in(MAC, "QWE7X", "sésame")
        (request,) = authority.logins
        assert request.keys() == [
            *PLACE,
            *SESSION,
            *ADDRESSES,
            "User-Password",
            *LOGIN_END,
            "Message-Authenticator",
        ]
        assert request.verify_message_authenticator()
        assert request.PwDecrypt(request["User-Password"][0]) == "sésame"
        assert said(request, "Calling-Station-Id") == MAC
        assert said(request, "Called-Station-Id") == "hotspot1"
        assert said(request, "NAS-Port") == int(said(request, "Acct-Session-Id"), 16)
        assert said(request, "Service-Type") == "Login-User"
        assert said(request, "NAS-Port-Type") == "Wireless-802.11"
        assert said(request, "NAS-IP-Address") == "127.0.0.1"
        assert stage.router.active[0].radius


async def test_a_chap_login_never_says_the_password() -> None:
    """Without http-pap the request carries a challenge and its answer, which the password proves."""
    authority = RadiusAuthority()
    async with asking(authority, login_by="http-chap") as stage:
        await stage.router.log_in(MAC, "QWE7X", "pw")
        (request,) = authority.logins
        assert "User-Password" not in request
        keys = request.keys()
        assert keys[keys.index("Mikrotik-Host-IP") + 1 :][:2] == ["CHAP-Challenge", "CHAP-Password"]
        assert request.VerifyChapPasswd("pw")
        assert not request.VerifyChapPasswd("other")
        assert stage.router.active[0].login_by == "http-chap"


@pytest.mark.parametrize("options", [{"version": "7.12.2"}, {"server": {"require_message_auth": False}}])
async def test_older_or_lenient_routers_sign_nothing(options: dict[str, Any]) -> None:
    """Before 7.15, or when told not to, no Message-Authenticator is sent, and none is asked for."""

    def unsigned(reply: Any) -> None:
        reply.message_authenticator = False

    authority = RadiusAuthority(spoil=unsigned)
    async with asking(authority, **options) as stage:
        await stage.router.log_in(MAC, "QWE7X", "pw")
        assert "Message-Authenticator" not in authority.logins[0]
        assert stage.router.is_online(MAC)


async def test_a_local_user_comes_first() -> None:
    """RADIUS is asked only for names the router does not have."""
    authority = RadiusAuthority()
    async with asking(authority) as stage:
        stage.router.configuration.users.add({"name": "QWE7X", "password": "other"})
        assert await refused(stage) == "invalid username or password"
        assert not authority.logins


async def test_a_refusal_shows_its_reply_message() -> None:
    """Reply-Message is the error; without one it is the ordinary wording."""
    verdicts = iter(["Time is up", ""])
    authority = RadiusAuthority(decide=lambda _: next(verdicts))
    async with asking(authority) as stage:
        assert await refused(stage) == "Time is up"
        assert await refused(stage) == "invalid username or password"
        assert (await monitored(stage))["rejects"] == "2"


async def test_an_accept_sets_the_session_s_limits() -> None:
    """Times, gigawords, rate and port limit of the reply hold, the profile's default for the rest."""
    authority = RadiusAuthority(
        decide=lambda _: {
            "Session-Timeout": 7200,
            "Idle-Timeout": 600,
            "Mikrotik-Total-Limit": 1073741824,
            "Mikrotik-Total-Limit-Gigawords": 1,
            "Mikrotik-Rate-Limit": "2M/5M",
            "Port-Limit": 2,
        }
    )
    async with asking(authority) as stage:
        await stage.router.log_in(MAC, "QWE7X", "pw")
        client = await stage.raw()
        (row,) = [row for row in await client.ask("/ip/hotspot/active/print") if row[0] == "!re"]
        for word in (
            "=session-time-left=2h",
            "=idle-timeout=10m",
            "=keepalive-timeout=2m",
            "=limit-bytes-total=5368709120",
            "=radius=true",
        ):
            assert word in row
        assert (await client.ask("/queue/simple/print", "=.proplist=max-limit"))[0] == (
            "!re",
            "=max-limit=2000000/5000000",
        )
        for number, expected in ((1, None), (2, "no more sessions are allowed for user QWE7X")):
            mac = f"02:00:00:00:00:0{number}"
            stage.router.connect_device(mac, f"10.5.50.2{number}")
            if expected is None:
                await stage.router.log_in(mac, "QWE7X", "pw")
            else:
                with pytest.raises(TrapError, match=expected):
                    await stage.router.log_in(mac, "QWE7X", "pw")


async def test_a_group_names_a_profile_of_the_router() -> None:
    """Mikrotik-Group picks the user profile that gives what the reply does not."""
    authority = RadiusAuthority(decide=lambda _: {"Mikrotik-Group": "gold"})
    async with asking(authority) as stage:
        stage.router.configuration.user_profiles.add({"name": "gold", "rate-limit": "3M", "session-timeout": "1h"})
        await stage.router.log_in(MAC, "QWE7X", "pw")
        (session,) = stage.router.active
        assert (session.rate_limit, session.time_left_seconds) == ("3M", 3600)


async def test_the_same_octets_are_sent_again() -> None:
    """A lost request is repeated unchanged after the time-out, and its answer counts."""
    authority = RadiusAuthority(mute=2)
    async with asking(authority) as stage:
        login = asyncio.ensure_future(stage.router.log_in(MAC, "QWE7X", "pw"))
        for sent in (1, 2, 3):
            await authority.heard(sent)
            await stage.clock.advance(0.3)
        await login
        assert len(set(authority.datagrams[:3])) == 1
        counted = await monitored(stage)
        assert (counted["requests"], counted["resends"], counted["accepts"]) == ("2", "2", "1")


async def test_silence_goes_to_the_next_server_and_then_to_the_customer() -> None:
    """Servers are tried in order; when none answers the error says so."""
    silent, second = RadiusAuthority(mute=1000), RadiusAuthority()
    async with silent, second:
        options = radius_options(silent.as_server(), second.as_server())
        async with mikrotik_stage(options) as stage:
            stage.router.connect_device(MAC, IP)
            login = asyncio.ensure_future(stage.router.log_in(MAC, "QWE7X", "pw"))
            await let_run()
            await stage.clock.advance(2)
            await login
            asked = [data for data in silent.datagrams if data[0] == pyrad_packet.AccessRequest]
            assert (len(asked), len(second.logins)) == (3, 1)
            second.mute = 1000
            (row,) = stage.router.active
            stage.router.hotspot.end(stage.router.hotspot.sessions[row.mac], TerminateCause.NAS_REQUEST)
            failing = asyncio.ensure_future(refused(stage))
            await let_run()
            await stage.clock.advance(3)
            assert await failing == "RADIUS server is not responding"


def _unsigned(reply: Any) -> None:
    reply.message_authenticator = False


def _other_secret(reply: Any) -> None:
    reply.secret = b"another"


def _other_identifier(reply: Any) -> None:
    reply.id = (reply.id + 1) % 256


@pytest.mark.parametrize(("spoil", "bad"), [(_unsigned, "3"), (_other_secret, "3"), (_other_identifier, "0")])
async def test_replies_that_do_not_hold_are_dropped(spoil: Any, bad: str) -> None:
    """Unsigned, wrongly signed or unasked-for replies are as good as none; bad ones are counted."""
    authority = RadiusAuthority(spoil=spoil)
    async with asking(authority) as stage:
        login = asyncio.ensure_future(refused(stage))
        for sent in (1, 2, 3):
            await authority.heard(sent)
            await let_run()
            await stage.clock.advance(0.3)
        assert await login == "RADIUS server is not responding"
        assert (await monitored(stage))["bad-replies"] == bad


async def test_posting_twice_is_told_to_wait() -> None:
    """While a login waits for RADIUS a second one of the same device is refused."""
    authority = RadiusAuthority(mute=1)
    async with asking(authority) as stage:
        login = asyncio.ensure_future(stage.router.log_in(MAC, "QWE7X", "pw"))
        await until(lambda: authority.datagrams)
        assert await refused(stage) == "already authorizing, retry later"
        await stage.clock.advance(0.3)
        await login
        assert len(authority.logins) == 1


async def test_accounting_from_start_to_stop() -> None:
    """Start, interims and Stop carry RouterOS's attributes in order, counters with gigawords, Class as given."""
    authority = RadiusAuthority(
        decide=lambda _: {"Session-Timeout": 700, "Acct-Interim-Interval": 300, "Class": b"0x41 grant"}
    )
    async with asking(authority) as stage:
        await stage.router.log_in(MAC, "QWE7X", "pw")
        await until(lambda: len(authority.accounting) == 1)
        stage.router.traffic(MAC, 5_000_000_000, 7)
        await stage.clock.advance(700)
        await until(lambda: len(authority.accounting) == 4)
        start, first, second, stop = authority.accounting
        usage = [
            "Acct-Input-Octets",
            "Acct-Output-Octets",
            "Acct-Input-Gigawords",
            "Acct-Output-Gigawords",
            "Acct-Input-Packets",
            "Acct-Output-Packets",
            "Acct-Session-Time",
        ]
        common = [*PLACE, *SESSION, "Class", *ADDRESSES]
        assert start.keys() == ["Acct-Status-Type", *common, *ACCOUNT_END]
        assert first.keys() == ["Acct-Status-Type", *common, *usage, *ACCOUNT_END]
        assert stop.keys() == ["Acct-Status-Type", "Acct-Terminate-Cause", *common, *usage, *ACCOUNT_END]
        assert [said(told, "Acct-Status-Type") for told in (start, first, second, stop)] == [
            "Start",
            "Interim-Update",
            "Interim-Update",
            "Stop",
        ]
        assert [said(told, "Acct-Session-Time") for told in (first, second, stop)] == [300, 600, 700]
        assert (said(stop, "Acct-Input-Gigawords"), said(stop, "Acct-Input-Octets")) == (1, 705_032_704)
        assert said(stop, "Acct-Terminate-Cause") == "Session-Timeout"
        assert {said(told, "Acct-Session-Id") for told in authority.accounting} == {
            said(authority.logins[0], "Acct-Session-Id")
        }
        assert said(stop, "Class") == b"0x41 grant"
        assert said(stop, "Event-Timestamp") == int(stage.clock.now().timestamp())


async def test_the_stop_says_why() -> None:
    """Bytes used up, an active row removed and a device gone each have their terminate cause."""
    authority = RadiusAuthority(decide=lambda _: {"Mikrotik-Total-Limit": 1000})
    async with asking(authority) as stage:
        await stage.router.log_in(MAC, "a", "pw")
        stage.router.traffic(MAC, 600, 600)
        await stage.router.log_in(MAC, "b", "pw")
        client = await stage.raw()
        assert await client.ask("/ip/hotspot/active/remove", "=.id=*2") == [("!done",)]
        await stage.router.log_in(MAC, "c", "pw")
        stage.router.disconnect_device(MAC)
        await stage.clock.advance(121)
        await until(lambda: len(authority.accounting) == 6)
        causes = [said(told, "Acct-Terminate-Cause") for told in authority.accounting if "Acct-Terminate-Cause" in told]
        assert causes == ["NAS-Request", "Admin-Reset", "Lost-Service"]


async def test_accounting_is_sent_again_and_then_given_up() -> None:
    """An unanswered Start is repeated unchanged; after the last try it is lost."""
    authority = RadiusAuthority()
    async with asking(authority) as stage:
        await stage.router.log_in(MAC, "QWE7X", "pw")
        await until(lambda: authority.accounting)
        await let_run()
        authority.mute = 3
        (row,) = stage.router.active
        stage.router.hotspot.end(stage.router.hotspot.sessions[row.mac], TerminateCause.USER_REQUEST)
        for sent in (3, 4, 5):
            await authority.heard(sent)
            await stage.clock.advance(0.3)
        await stage.clock.advance(5)
        assert len(authority.datagrams) == 5
        assert len(set(authority.datagrams[2:])) == 1
        assert len(authority.accounting) == 1


async def test_a_reboot_sends_no_stop() -> None:
    """Sessions of before a power cut are never told of; the next one has the next boot digit."""
    authority = RadiusAuthority()
    async with asking(authority) as stage:
        await stage.router.log_in(MAC, "QWE7X", "pw")
        await until(lambda: len(authority.accounting) == 1)
        await stage.router.reboot(down_seconds=30)
        await stage.clock.advance(31)
        stage.router.traffic(MAC)
        await stage.router.log_in(MAC, "QWE7X", "pw")
        await until(lambda: len(authority.accounting) == 2)
        assert [said(told, "Acct-Status-Type") for told in authority.accounting] == ["Start", "Start"]
        assert [said(told, "Acct-Session-Id")[:3] for told in authority.accounting] == ["800", "801"]
        assert said(authority.accounting[1], "Event-Timestamp") < 10 * 86400


async def test_an_outage_loses_radius_packets() -> None:
    """While the link is gone RADIUS is not responding."""
    authority = RadiusAuthority()
    async with asking(authority) as stage, stage.router.outage():
        failing = asyncio.ensure_future(refused(stage))
        await let_run()
        await stage.clock.advance(1)
        assert await failing == "RADIUS server is not responding"
        assert not authority.datagrams


async def test_mac_login_asks_radius_for_every_new_device() -> None:
    """With `mac` in login-by the MAC in radius-mac-format is the user name, and its password as set."""
    authority = RadiusAuthority(decide=lambda _: "not known")
    async with asking(authority, login_by="mac,http-pap") as stage:
        profiles = stage.router.configuration.server_profiles
        profiles.change("hsprof1", {"radius-mac-format": "XX-XX-XX-XX-XX-XX", "mac-auth-password": "shared"})
        await until(lambda: len(authority.logins) == 1)
        await let_run()
        stage.router.connect_device(OTHER_MAC, "10.5.50.11")
        await until(lambda: len(authority.logins) == 2)
        request = authority.logins[1]
        assert said(request, "User-Name") == "34-12-F9-8A-21-4D"
        assert said(request, "Calling-Station-Id") == "34-12-F9-8A-21-4D"
        assert request.PwDecrypt(request["User-Password"][0]) == "shared"


class CoaSender(asyncio.DatagramProtocol):
    """Sends one request and keeps the answers."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers.append(data)


async def order(port: int | None, code: int, secret: str = SECRET, **attributes: Any) -> tuple[int, str] | None:
    """The answer's code and Error-Cause; None for silence."""
    sender = CoaSender()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: sender, remote_addr=("127.0.0.1", port or 0))
    request = pyrad_packet.CoAPacket(code=code, secret=secret.encode(), dict=radius_dictionary(), **attributes)
    transport.sendto(request.RequestPacket())
    if secret == SECRET:
        await until(lambda: sender.answers)
    else:
        await asyncio.sleep(0.05)
    transport.close()
    if not sender.answers:
        return None
    reply = request.CreateReply(packet=sender.answers[0])
    assert request.VerifyReply(reply)
    return reply.code, reply.get("Error-Cause", [""])[0]


async def test_disconnect_ends_the_session_it_names() -> None:
    """Known: ACK and a Stop with Admin-Reset. Unknown: NAK. Wrong secret: silence."""
    authority = RadiusAuthority()
    async with asking(authority, coa_port=0) as stage:
        await stage.router.log_in(MAC, "QWE7X", "pw")
        port, named = stage.router.coa_port, {"User_Name": "QWE7X", "Framed_IP_Address": IP}
        disconnect = pyrad_packet.DisconnectRequest
        assert await order(port, disconnect, "wrong", **named) is None
        elsewhere = {**named, "Framed_IP_Address": "10.5.50.77"}
        assert await order(port, disconnect, **elsewhere) == (
            pyrad_packet.DisconnectNAK,
            "Session-Context-Not-Found",
        )
        assert stage.router.is_online(MAC)
        assert await order(port, disconnect, **named) == (pyrad_packet.DisconnectACK, "")
        assert not stage.router.is_online(MAC)
        await until(lambda: len(authority.accounting) == 2)
        assert said(authority.accounting[1], "Acct-Terminate-Cause") == "Admin-Reset"
        counters = stage.router.incoming.counters
        assert (counters.bad_requests, counters.acks, counters.naks) == (1, 1, 1)


async def test_coa_changes_limits_from_the_session_s_start() -> None:
    """A new Session-Timeout counts from the start; what CoA cannot change is refused."""
    authority = RadiusAuthority(decide=lambda _: {"Session-Timeout": 600})
    async with asking(authority, coa_port=0) as stage:
        await stage.router.log_in(MAC, "QWE7X", "pw")
        await stage.clock.advance(100)
        port, named = stage.router.coa_port, {"User_Name": "QWE7X", "Framed_IP_Address": IP}
        changed = await order(port, pyrad_packet.CoARequest, **named, Session_Timeout=1000, Mikrotik_Rate_Limit="1M/2M")
        assert changed == (pyrad_packet.CoAACK, "")
        (session,) = stage.router.active
        assert (session.time_left_seconds, session.rate_limit) == (900, "1M/2M")
        assert await order(port, pyrad_packet.CoARequest, **named, Framed_Pool="x") == (
            pyrad_packet.CoANAK,
            "Unsupported-Attribute",
        )
        await stage.clock.advance(901)
        assert not stage.router.is_online(MAC)


async def test_incoming_is_off_until_the_api_says_so() -> None:
    """`/radius/incoming` opens and closes the port it names."""
    authority = RadiusAuthority()
    async with asking(authority) as stage:
        assert stage.router.coa_port is None
        client = await stage.raw()
        assert (await client.ask("/radius/incoming/print"))[0] == ("!re", "=accept=false", "=port=3799", "=vrf=main")
        loop = asyncio.get_running_loop()
        probe, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        free = probe.get_extra_info("sockname")[1]
        probe.close()
        await asyncio.sleep(0)
        assert await client.ask("/radius/incoming/set", "=accept=yes", f"=port={free}") == [("!done",)]
        assert stage.router.coa_port == free
        nobody = await order(free, pyrad_packet.DisconnectRequest, User_Name="nobody")
        assert nobody == (pyrad_packet.DisconnectNAK, "Session-Context-Not-Found")
        assert (await client.ask("/radius/incoming/monitor", "=once="))[0][1:] == (
            "=requests=1",
            "=bad-requests=0",
            "=acks=0",
            "=naks=1",
        )
        await client.ask("/radius/incoming/set", "=accept=no")
        assert stage.router.coa_port is None
        bad = await client.ask("/radius/incoming/set", "=port=99999")
        assert bad[0] == ("!trap", "=category=1", "=message=invalid value for argument port")


async def test_more_logins_than_identifiers_wait_their_turn() -> None:
    """A rush of more requests than RADIUS has identifiers is served to the last one."""
    authority = RadiusAuthority()
    async with asking(authority) as stage:
        macs = [f"02:00:00:00:{number // 256:02X}:{number % 256:02X}" for number in range(300)]
        for number, mac in enumerate(macs):
            stage.router.connect_device(mac, f"10.6.{number // 200}.{number % 200 + 1}")
        logins = [asyncio.ensure_future(stage.router.log_in(mac, mac, "pw")) for mac in macs]
        while not all(login.done() for login in logins):
            await stage.clock.advance(0.3)  # a full socket drops some: they are sent again
        await asyncio.gather(*logins)
        assert len(stage.router.active) == 300
        assert len({said(login, "User-Name") for login in authority.logins}) == 300


async def test_malformed_orders_change_nothing() -> None:
    """A request cut short, or with an attribute of impossible length, gets no answer and ends no session."""
    authority = RadiusAuthority()
    async with asking(authority, coa_port=0) as stage:
        await stage.router.log_in(MAC, "QWE7X", "pw")
        request = pyrad_packet.CoAPacket(
            code=pyrad_packet.DisconnectRequest, secret=SECRET.encode(), dict=radius_dictionary(), User_Name="QWE7X"
        )
        request[8] = [b"abc"]
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            CoaSender, remote_addr=("127.0.0.1", stage.router.coa_port or 0)
        )
        for octets in (b"", b"(", request.RequestPacket()[:19], request.RequestPacket()):
            transport.sendto(octets)
        await until(lambda: stage.router.incoming.counters.bad_requests >= 3)
        await let_run()
        transport.close()
        assert stage.router.incoming.counters.acks == 0
        assert stage.router.is_online(MAC)


async def test_radius_off_asks_nobody() -> None:
    """With use-radius=no an unknown name is simply wrong."""
    async with mikrotik_stage(MikrotikOptions()) as stage:
        stage.router.connect_device(MAC, IP)
        assert await refused(stage) == "invalid username or password"
