"""Logins and usage between the wire and our own values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st
from pyrad.dictionary import Dictionary
from pyrad.packet import AcctPacket, AuthPacket

from easyisp_edge.adapters.radius.logins import (
    accept_attributes,
    framed_attributes,
    login_request,
    reject_attributes,
)
from easyisp_edge.adapters.radius.packets import SharedSecret, decode
from easyisp_edge.adapters.radius.usage import usage_report
from easyisp_edge.domain.logins import LoginAccepted, UsageKind, UsageReport
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import DataVolume, MacAddress, RateLimit
from easyisp_edge.errors import InvalidError

DICTIONARY = Dictionary(str(Path(__file__).with_name("radius_dictionary")))
SECRET = b"a secret of thirty-two characters"
GIB = 2**30


def hotspot_login() -> Any:
    """What RouterOS 7 sends for a hotspot login, in its order."""
    packet = AuthPacket(id=1, secret=SECRET, authenticator=b"0123456789abcdef", dict=DICTIONARY)
    packet["NAS-Port-Type"] = 19
    packet["Calling-Station-Id"] = "BC:24:11:EB:56:4D"
    packet["Called-Station-Id"] = "hs-vlan888-hotspot"
    packet["NAS-Port-Id"] = "vlan888-hotspot"
    packet["User-Name"] = "wanjiku"
    packet["NAS-Port"] = 2148532244
    packet["Acct-Session-Id"] = "80100014"
    packet["Framed-IP-Address"] = "10.5.88.9"
    packet["Mikrotik-Host-IP"] = "10.5.88.9"
    packet["User-Password"] = packet.PwCrypt("secret")
    packet["Service-Type"] = 1
    packet["NAS-Identifier"] = "MikroTik"
    packet["NAS-IP-Address"] = "10.5.88.1"
    return packet


def read(packet: Any) -> Any:
    return login_request(decode(packet.RequestPacket()), "router-1", SharedSecret(SECRET))


def test_a_hotspot_login_is_read() -> None:
    """Everything we need of it, and no more."""
    request = read(hotspot_login())
    assert request.router_id == "router-1"
    assert request.username == "wanjiku"
    assert request.credential.matches("secret")
    assert request.mac == MacAddress("BC:24:11:EB:56:4D")
    assert request.address == "10.5.88.9"
    assert request.service is Service.HOTSPOT
    assert request.session_id == "80100014"


@pytest.mark.parametrize(
    ("service_type", "framed_protocol", "service"),
    [(2, 1, Service.PPPOE), (2, None, Service.HOTSPOT), (1, 1, Service.HOTSPOT), (None, None, Service.HOTSPOT)],
)
def test_pppoe_is_a_framed_service_that_speaks_ppp(
    service_type: int | None, framed_protocol: int | None, service: Service
) -> None:
    """Both marks are needed; anything else is a hotspot login."""
    packet = hotspot_login()
    del packet["Service-Type"]
    if service_type is not None:
        packet["Service-Type"] = service_type
    if framed_protocol is not None:
        packet["Framed-Protocol"] = framed_protocol
    assert read(packet).service is service


@pytest.mark.parametrize("address", ["0.0.0.0", "255.255.255.255", "255.255.255.254"])
def test_a_placeholder_is_no_address(address: str) -> None:
    """RFC 2865 section 5.8 gives some values the meaning "to be chosen"."""
    packet = hotspot_login()
    packet["Framed-IP-Address"] = address
    assert read(packet).address is None


@pytest.mark.parametrize("spelling", ["ether1", "BC:24:11:EB:56", "+254 712 345 678", "é"])
def test_a_station_that_is_no_hardware_address_is_no_mac(spelling: str) -> None:
    """Calling-Station-Id may hold anything; the login is still read."""
    packet = hotspot_login()
    packet["Calling-Station-Id"] = spelling
    assert read(packet).mac is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("User-Name", "someone-else"),
        ("User-Password", b"x" * 16),
        ("Calling-Station-Id", "AA:AA:AA:AA:AA:AA"),
        ("Called-Station-Id", "hs-other"),
        ("Framed-IP-Address", "10.5.88.200"),
        ("Service-Type", 2),
        ("NAS-IP-Address", "10.9.9.9"),
        ("NAS-Identifier", "other"),
        ("NAS-Port", 1),
        ("NAS-Port-Id", "ether9"),
        ("NAS-Port-Type", 15),
        ("Acct-Session-Id", "81000000"),
        ("Framed-IP-Netmask", "255.0.0.0"),
        ("Framed-Protocol", 1),
        ("NAS-IPv6-Address", bytes(16)),
    ],
)
def test_a_doubled_attribute_is_refused(name: str, value: object) -> None:
    """A login form that makes the router send a second value gains nothing by it."""
    packet = hotspot_login()
    if name not in packet:  # what a hotspot does not say, a form may say twice
        packet.AddAttribute(name, value)
        assert read(packet).service is Service.HOTSPOT
    packet.AddAttribute(name, value)
    with pytest.raises(InvalidError, match=r"radius\.doubled"):
        read(packet)


@pytest.mark.parametrize("name", ["CHAP-Password", "CHAP-Challenge"])
def test_a_doubled_answer_to_a_challenge_is_refused(name: str) -> None:
    """One made for a challenge seen elsewhere cannot be slipped in beside the router's own."""
    packet = hotspot_login()
    del packet["User-Password"]
    packet["CHAP-Challenge"] = b"challenge-of-16!"
    packet["CHAP-Password"] = bytes(17)
    assert not read(packet).credential.matches("secret")
    packet.AddAttribute(name, bytes(17))
    with pytest.raises(InvalidError, match=r"radius\.doubled"):
        read(packet)


@pytest.mark.parametrize("name", ["State", "Proxy-State", "Class"])
def test_a_doubled_attribute_that_is_only_passed_on_is_refused(name: str) -> None:
    """Once each is in order, twice is not."""
    packet = hotspot_login()
    packet.AddAttribute(name, b"one")
    assert read(packet).username == "wanjiku"
    packet.AddAttribute(name, b"two")
    with pytest.raises(InvalidError, match=r"radius\.doubled"):
        read(packet)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Mikrotik-Host-IP", "10.5.88.200"),
        ("Mikrotik-Realm", "staff"),
        ("Mikrotik-Group", "full"),
        ("Mikrotik-Total-Limit", 0),
        ("WISPr-Logoff-URL", "http://10.5.88.1/logout"),
        ("WISPr-Location-Name", "elsewhere"),
        ("WISPr-Session-Terminate-Time", "2037-12-31T23:59:59+03:00"),
        ("MS-CHAP-Domain", "corp"),
    ],
)
def test_a_doubled_vendor_attribute_that_is_not_read_changes_nothing(name: str, value: object) -> None:
    """A router may say such a thing more than once, and so may a login form."""
    packet = hotspot_login()
    plain = read(packet)
    for _ in range(2):
        packet.AddAttribute(name, value)
    assert read(packet) == plain


@pytest.mark.parametrize("spelling", ["BC:24:11:EB:56:4D", "bc-24-11-eb-56-4d", "bc2411eb564d", "bc24.11eb.564d"])
@pytest.mark.parametrize("password", [None, "", "same", "of the router"])
def test_a_login_by_the_devices_address_is_read(spelling: str, password: str | None) -> None:
    """In every spelling a router may be set to, with no password, its own, or the address again."""
    packet = hotspot_login()
    packet["User-Name"] = packet["Calling-Station-Id"] = spelling
    del packet["User-Password"]
    if password is not None:
        packet["User-Password"] = packet.PwCrypt(spelling if password == "same" else password)
    request = read(packet)
    assert MacAddress.parse(request.username) == request.mac
    assert not request.credential.matches("")
    assert request.credential.matches("of the router") is (password == "of the router")


def test_attributes_we_do_not_need_are_ignored() -> None:
    """Reply attributes smuggled into a request change nothing."""
    packet = hotspot_login()
    plain = read(packet)
    packet.AddAttribute("Session-Timeout", 999999)
    packet.AddAttribute("Class", b"edge:somebody-else")
    packet.AddAttribute("Mikrotik-Rate-Limit", "1000M/1000M")
    packet.AddAttribute("Mikrotik-Rate-Limit", "2000M/2000M")
    assert read(packet) == plain


@pytest.mark.parametrize("username", [None, b"", b"\xff\xfe", b"wanj\xc3"])
def test_a_user_name_must_be_there_and_in_utf_8(username: bytes | None) -> None:
    """No grant can have such a name."""
    packet = hotspot_login()
    del packet["User-Name"]
    if username is not None:
        packet[1] = [username]
    with pytest.raises(InvalidError, match=r"radius\.username"):
        read(packet)


@pytest.mark.parametrize("attribute", [6, 8])
def test_a_number_or_address_of_wrong_length_is_refused(attribute: int) -> None:
    """Four octets, as the attribute's type demands."""
    packet = hotspot_login()
    packet[attribute] = [b"\0\0\2"]
    with pytest.raises(InvalidError):
        read(packet)


def reply_to(answer: LoginAccepted, interim_seconds: int = 300) -> Any:
    asked = hotspot_login()
    request = decode(asked.RequestPacket())
    attributes = accept_attributes(answer, interim_seconds)
    return asked.CreateReply(packet=SharedSecret(SECRET).signed_reply(2, request, attributes))


def accepted(data_left: DataVolume | None = None, seconds: int = 3600) -> LoginAccepted:
    return LoginAccepted("grant-1", seconds, RateLimit.parse("2M/5M"), data_left, 3)


def test_what_the_router_is_held_to_is_read_by_another_implementation() -> None:
    """Time, speed with the customer's upload first, devices, interim and our mark are all there."""
    reply = reply_to(accepted())
    assert reply["Session-Timeout"] == [3600]
    assert reply["Mikrotik-Rate-Limit"] == ["2M/5M"]
    assert reply["Port-Limit"] == [3]
    assert reply["Acct-Interim-Interval"] == [300]
    assert reply["Class"] == [b"edge:grant-1"]
    assert "Mikrotik-Total-Limit" not in reply
    assert "Mikrotik-Total-Limit-Gigawords" not in reply


@pytest.mark.parametrize(("asked", "sent"), [(0, 1), (1, 1), (2_592_000, 2_592_000), (2**40, 21_474_720)])
def test_time_stays_within_what_a_router_takes(asked: int, sent: int) -> None:
    """Nought could be read as "no limit", too much as anything."""
    assert reply_to(accepted(seconds=asked))["Session-Timeout"] == [sent]


@given(st.integers(0, 2**64 - 1) | st.integers(0, 2**32 - 1).map(lambda words: words << 32))
@example(0)
@example(1)
@example(2**32 - 1)
@example(2**32)
@example(2**32 + 1)
@example(2**33)
@example(2**63)
@example(2**64 - 1)
def test_a_volume_never_becomes_no_limit(octets: int) -> None:
    """Low and high word together are the volume, one octet more where the low word would be nought."""
    reply = reply_to(accepted(DataVolume(octets)))
    low = reply["Mikrotik-Total-Limit"][0]
    high = reply.get("Mikrotik-Total-Limit-Gigawords", [0])[0]
    assert low > 0
    assert high > 0 or "Mikrotik-Total-Limit-Gigawords" not in reply
    assert (high << 32 | low) - octets == (1 if octets % 2**32 == 0 else 0)


def test_more_than_64_bits_is_as_much_as_fits() -> None:
    """No number runs over into nought."""
    reply = reply_to(accepted(DataVolume(2**70)))
    words = reply["Mikrotik-Total-Limit"] + reply["Mikrotik-Total-Limit-Gigawords"]
    assert words == [2**32 - 1, 2**32 - 1]


def test_five_gibibytes_are_written_as_mikrotik_shows_them() -> None:
    """1 GiB in the low word and 1 in the high."""
    reply = reply_to(accepted(DataVolume(5 * GIB)))
    assert reply["Mikrotik-Total-Limit"] == [GIB]
    assert reply["Mikrotik-Total-Limit-Gigawords"] == [1]


speeds = st.tuples(st.integers(1, 999_999), st.sampled_from("kM")).map(lambda speed: f"{speed[0]}{speed[1]}")
both_ways = st.tuples(speeds, speeds).map("/".join) | speeds
seconds_both_ways = st.tuples(st.integers(1, 999), st.integers(1, 999)).map(lambda pair: f"{pair[0]}/{pair[1]}")


@st.composite
def rate_limits(draw: st.DrawFn) -> RateLimit:
    """Any that a package may have, with any number of its parts left out at the end."""
    own = draw(both_ways)
    parts = [draw(both_ways), draw(both_ways), draw(seconds_both_ways), str(draw(st.integers(1, 8))), draw(both_ways)]
    words = [own, own, *parts[1:]] if draw(st.booleans()) else [own, *parts]
    try:
        return RateLimit.parse(" ".join(words[: draw(st.integers(1, 6))]))
    except InvalidError:  # a burst below the speed
        reject()


def as_a_router_reads(text: str) -> dict[str, tuple[int, int] | int]:
    """MikroTik's grammar read anew: what is missing has the value the manual gives it."""
    words = dict(zip(("rate", "burst", "threshold", "seconds", "priority", "least"), text.split(" "), strict=False))
    factors = {"k": 1000, "M": 1_000_000}

    def pair(name: str, default: tuple[int, int]) -> tuple[int, int]:
        if name not in words:
            return default
        up, _, down = words[name].partition("/")
        upload, download = (int(one.rstrip("kM")) * factors.get(one[-1], 1) for one in (up, down or up))
        return upload, download

    rate = pair("rate", (0, 0))
    return {
        "rate": rate,
        "burst": pair("burst", (0, 0)),
        "threshold": pair("threshold", rate),
        "seconds": pair("seconds", (1, 1)),
        "priority": int(words.get("priority", "8")),
        "least": pair("least", (0, 0)),
    }


@given(rate_limits())
def test_a_router_reads_the_speed_that_was_meant(rate_limit: RateLimit) -> None:
    """The customer's upload first, burst, threshold, seconds, priority and least speed each in its place."""
    (sent,) = reply_to(accepted()._replace(rate_limit=rate_limit))["Mikrotik-Rate-Limit"]
    read_back = as_a_router_reads(sent)
    own = (rate_limit.upload_kbps * 1000, rate_limit.download_kbps * 1000)
    assert read_back["rate"] == own
    assert read_back["priority"] == (rate_limit.priority or 8)
    least = rate_limit.least
    assert read_back["least"] == ((0, 0) if least is None else (least.upload_kbps * 1000, least.download_kbps * 1000))
    burst = rate_limit.burst
    if burst is None:
        assert read_back["burst"] in ((0, 0), own)  # a burst of the speed itself is none
    else:
        assert read_back["burst"] == (burst.rate.upload_kbps * 1000, burst.rate.download_kbps * 1000)
        assert read_back["threshold"] == (burst.threshold.upload_kbps * 1000, burst.threshold.download_kbps * 1000)
        assert read_back["seconds"] == (burst.upload_seconds, burst.download_seconds)
    assert str(RateLimit.parse(sent)) == sent


@pytest.mark.parametrize(
    "speed",
    ["2M/5M", "128k/512k", "512k/2M 1M/4M 384k/1536k 10/10 8 256k/512k", "2M/5M 4M/10M 1500k/4M 10/10"],
)
def test_the_manuals_own_speeds_go_out_as_they_stand(speed: str) -> None:
    """What a technician knows from a router is what the router is told."""
    reply = reply_to(accepted()._replace(rate_limit=RateLimit.parse(speed)))
    assert reply["Mikrotik-Rate-Limit"] == [speed]


@pytest.mark.parametrize("pool", ["pppoe-customers", "x" * 64, None])
def test_what_pppoe_carries_beside_is_read_by_another_implementation(pool: str | None) -> None:
    """Framed user, PPP, and the pool where there is one."""
    asked = hotspot_login()
    attributes = framed_attributes(pool)
    reply = asked.CreateReply(packet=SharedSecret(SECRET).signed_reply(2, decode(asked.RequestPacket()), attributes))
    assert (reply["Service-Type"], reply["Framed-Protocol"]) == ([2], [1])
    assert reply.get("Framed-Pool") == (None if pool is None else [pool])


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Muda wako umekwisha. Nunua tena kwenye ukurasa huu.", "Muda wako umekwisha. Nunua tena kwenye ukurasa huu."),
        ("é" * 127, "é" * 126),
        ("x" + "é" * 127, "x" + "é" * 126),
        ("₵" * 90, "₵" * 84),
        ("📶" * 64, "📶" * 63),
        ("", None),
    ],
)
def test_a_refusal_is_cut_to_what_a_router_shows(message: str, shown: str | None) -> None:
    """At most 253 octets in whole characters, read by another implementation."""
    asked = hotspot_login()
    attributes = reject_attributes(message)
    reply = asked.CreateReply(packet=SharedSecret(SECRET).signed_reply(3, decode(asked.RequestPacket()), attributes))
    assert reply.get("Reply-Message") == (None if shown is None else [shown])


def report(status: int = 3, **values: object) -> Any:
    packet = AcctPacket(id=1, secret=SECRET, dict=DICTIONARY)
    packet["Acct-Status-Type"] = status
    packet["Calling-Station-Id"] = "BC:24:11:EB:56:4D"
    packet["User-Name"] = "wanjiku"
    packet["Acct-Session-Id"] = "80100014"
    packet["Framed-IP-Address"] = "10.5.88.9"
    packet["Event-Timestamp"] = 0
    packet["Acct-Delay-Time"] = 0
    for name, value in values.items():
        packet[name.replace("_", "-")] = value
    return packet


def read_report(packet: Any) -> UsageReport:
    return usage_report(decode(packet.RequestPacket()), "router-1")


def test_an_interim_report_is_read() -> None:
    """Who, where, how long and how much so far, and by which grant."""
    found = read_report(
        report(
            Class=b"edge:grant-1",
            Acct_Session_Time=61,
            Acct_Input_Octets=1073741824,
            Acct_Input_Gigawords=1,
            Acct_Output_Octets=7,
        )
    )
    assert found == UsageReport(
        router_id="router-1",
        kind=UsageKind.INTERIM,
        session_id="80100014",
        username="wanjiku",
        grant_id="grant-1",
        mac=MacAddress("BC:24:11:EB:56:4D"),
        address="10.5.88.9",
        seconds=61,
        octets_in=5 * GIB,
        octets_out=7,
        cause="",
    )


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_octets_are_put_together_from_both_words(octets_in: int, octets_out: int) -> None:
    """All 64 bits count."""
    found = read_report(
        report(
            Acct_Input_Octets=octets_in % 2**32,
            Acct_Input_Gigawords=octets_in >> 32,
            Acct_Output_Octets=octets_out % 2**32,
            Acct_Output_Gigawords=octets_out >> 32,
        )
    )
    assert (found.octets_in, found.octets_out) == (octets_in, octets_out)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (1, UsageKind.START),
        (2, UsageKind.STOP),
        (3, UsageKind.INTERIM),
        (7, UsageKind.ROUTER_ON),
        (8, UsageKind.ROUTER_OFF),
    ],
)
def test_every_kind_of_report_is_told_apart(status: int, kind: UsageKind) -> None:
    """RFC 2866 section 5.1."""
    assert read_report(report(status)).kind is kind


@pytest.mark.parametrize(("cause", "word"), [(1, "User-Request"), (5, "Session-Timeout"), (99, "99"), (None, "")])
def test_a_stop_says_why(cause: int | None, word: str) -> None:
    """In RFC 2866's words, or by number where it has none."""
    packet = report(2)
    if cause is not None:
        packet["Acct-Terminate-Cause"] = cause
    assert read_report(packet).cause == word


def test_a_router_that_speaks_of_itself_needs_no_session() -> None:
    """Accounting-On carries neither user nor session."""
    packet = report(7)
    del packet["Acct-Session-Id"]
    del packet["User-Name"]
    found = read_report(packet)
    assert (found.session_id, found.username, found.grant_id) == ("", "", None)


@pytest.mark.parametrize("value", [b"other:grant-1", b"", b"edg"])
def test_a_class_of_someone_elses_is_no_grant(value: bytes) -> None:
    """Only our own mark is believed."""
    assert read_report(report(Class=value)).grant_id is None


@pytest.mark.parametrize("status", [0, 9, 15])
def test_a_kind_nobody_records_is_refused(status: int) -> None:
    """What is not recorded must not be acknowledged."""
    with pytest.raises(InvalidError, match=r"radius\.status_type"):
        read_report(report(status))


@pytest.mark.parametrize("status", [1, 2, 3])
def test_a_session_must_be_named(status: int) -> None:
    """Without its id a session cannot be counted."""
    packet = report(status)
    del packet["Acct-Session-Id"]
    with pytest.raises(InvalidError, match=r"radius\.session"):
        read_report(packet)


@pytest.mark.parametrize("name", ["User-Name", "Acct-Session-Id", "Class", "Acct-Input-Octets", "Acct-Status-Type"])
def test_a_doubled_value_in_a_report_is_refused(name: str) -> None:
    """Which of two is meant cannot be known."""
    packet = report(Class=b"edge:grant-1", Acct_Input_Octets=1)
    packet.AddAttribute(name, packet[name][0])
    with pytest.raises(InvalidError, match=r"radius\.doubled"):
        read_report(packet)
