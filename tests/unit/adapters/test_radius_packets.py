"""Packets against an independent implementation (pyrad), the RFC's own samples, and against damage."""

from __future__ import annotations

import hashlib
import hmac
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrad.dictionary import Dictionary
from pyrad.packet import AcctPacket, AuthPacket

from easyisp_edge.adapters.radius import dictionary as number
from easyisp_edge.adapters.radius.credentials import credential
from easyisp_edge.adapters.radius.packets import SharedSecret, attribute, decode, response_digest, text_attribute
from easyisp_edge.errors import InvalidError

DICTIONARY = Dictionary(str(Path(__file__).with_name("radius_dictionary")))
SECRET = b"a secret of thirty-two characters"
NO_DIGEST = bytes(16)
# As RFC 2865 section 5.2 hides an empty password.
HIDDEN_NOTHING = hashlib.md5(SECRET + NO_DIGEST).digest()  # noqa: S324 - the protocol prescribes it

secrets = st.binary(min_size=1, max_size=64)
digests = st.binary(min_size=16, max_size=16)
identifiers = st.integers(0, 255)
# No surrogates, which UTF-8 cannot write, and no NUL at the end, which padding swallows.
passwords = (
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)
    .map(lambda text: text.encode()[:128].decode(errors="ignore").rstrip("\0"))
    .filter(bool)
)


def login(secret: bytes = SECRET, authenticator: bytes = NO_DIGEST, identifier: int = 1) -> Any:
    packet = AuthPacket(id=identifier, secret=secret, authenticator=authenticator, dict=DICTIONARY)
    packet["User-Name"] = "wanjiku"
    return packet


def signed(packet: Any) -> bytes:
    packet.message_authenticator = True
    datagram: bytes = packet.RequestPacket()
    return datagram


def raw(*attributes: tuple[int, bytes], code: int = 1, authenticator: bytes = NO_DIGEST) -> bytes:
    body = b"".join(attribute(kind, value) for kind, value in attributes)
    return struct.pack("!BBH", code, 7, 20 + len(body)) + authenticator + body


@given(secrets, digests, identifiers, passwords)
def test_a_pap_password_written_by_another_implementation_is_read(
    secret: bytes, authenticator: bytes, identifier: int, password: str
) -> None:
    """Any password of 1 to 128 octets matches itself, and nothing else."""
    packet = login(secret, authenticator, identifier)
    packet["User-Password"] = packet.PwCrypt(password)
    proof = credential(decode(packet.RequestPacket()), SharedSecret(secret))
    assert proof.matches(password)
    assert not proof.matches(password + "x")
    assert not proof.matches("")


@pytest.mark.parametrize("octets", [*range(1, 129)])
def test_a_pap_password_of_every_length_is_read(octets: int) -> None:
    """One to eight blocks, full or padded, come out as they went in."""
    password = "p" * octets
    packet = login(authenticator=bytes(range(16)))
    packet["User-Password"] = packet.PwCrypt(password)
    assert credential(decode(packet.RequestPacket()), SharedSecret(SECRET)).matches(password)


@given(digests, identifiers, passwords, st.none() | st.binary(min_size=5, max_size=64))
def test_a_chap_response_is_checked_as_another_implementation_checks_it(
    authenticator: bytes, chap_id: int, password: str, challenge: bytes | None
) -> None:
    """The challenge is CHAP-Challenge, or the Request Authenticator where there is none."""
    packet = login(authenticator=authenticator)
    response = response_digest(chap_id, password.encode(), challenge or authenticator)
    packet[number.CHAP_PASSWORD] = [bytes((chap_id,)) + response]
    if challenge is not None:
        packet[number.CHAP_CHALLENGE] = [challenge]
    datagram = packet.RequestPacket()
    oracle = AuthPacket(secret=SECRET, dict=DICTIONARY, packet=datagram)
    assert oracle.VerifyChapPasswd(password.encode())
    proof = credential(decode(datagram), SharedSecret(SECRET))
    assert proof.matches(password)
    assert not proof.matches(password + "x")


def test_the_samples_of_rfc_2865_are_read() -> None:
    """Sections 7.1 (PAP) and 7.2 (CHAP): both were made from the password "arctangent"."""
    pap = bytes.fromhex(
        "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f782a0aee"
        "0406c0a80110050600000003"
    )
    chap = bytes.fromhex(
        "010100472aee86f08d0d55969ca5978e0d3367a20108666c6f707379031316e97557c3161858"
        "95f293ff634407727504 06c0a80110050600000014060600000002070600000001"
    )
    for datagram, username in ((pap, b"nemo"), (chap, b"flopsy")):
        packet = decode(datagram)
        assert packet.value(number.USER_NAME) == username
        assert credential(packet, SharedSecret(b"xyzzy5461")).matches("arctangent")


@given(secrets, digests, identifiers, st.binary(min_size=0, max_size=200))
def test_a_message_authenticator_of_another_implementation_holds_for_its_secret_only(
    secret: bytes, authenticator: bytes, identifier: int, state: bytes
) -> None:
    """Who does not know the secret cannot make one."""
    packet = login(secret, authenticator, identifier)
    packet.AddAttribute("State", state)
    decoded = decode(signed(packet))
    assert SharedSecret(secret).message_authenticator_holds(decoded, decoded.authenticator)
    assert not SharedSecret(secret + b"x").message_authenticator_holds(decoded, decoded.authenticator)


@given(st.data())
def test_a_signed_login_with_any_octet_changed_does_not_hold(data: st.DataObject) -> None:
    """Header, authenticator and every attribute are covered."""
    packet = login(authenticator=b"0123456789abcdef")
    packet["Calling-Station-Id"] = "BC:24:11:EB:56:4D"
    datagram = bytearray(signed(packet))
    datagram[data.draw(st.integers(0, len(datagram) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode(bytes(datagram))
    except InvalidError:
        return
    assert not SharedSecret(SECRET).message_authenticator_holds(decoded, decoded.authenticator)


def test_two_message_authenticators_do_not_hold() -> None:
    """A packet that is signed twice is signed by nobody, though the first signature fits the whole."""
    first = login(authenticator=b"0123456789abcdef")
    first.AddAttribute("Message-Authenticator", NO_DIGEST)
    first.AddAttribute("Message-Authenticator", b"f" * 16)
    blank = first.RequestPacket()
    datagram = blank.replace(NO_DIGEST, hmac.digest(SECRET, blank, "md5"), 1)
    decoded = decode(datagram)
    assert decoded.repeated == [number.MESSAGE_AUTHENTICATOR]
    assert not SharedSecret(SECRET).message_authenticator_holds(decoded, decoded.authenticator)


def report(secret: bytes = SECRET, identifier: int = 1, **values: object) -> Any:
    packet = AcctPacket(id=identifier, secret=secret, dict=DICTIONARY)
    packet["Acct-Status-Type"] = 3
    packet["Acct-Session-Id"] = "80100014"
    for name, value in values.items():
        packet[name.replace("_", "-")] = value
    return packet


@given(secrets, identifiers, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_an_accounting_authenticator_of_another_implementation_holds_for_its_secret_only(
    secret: bytes, identifier: int, username: str
) -> None:
    """Who does not know the secret cannot report usage."""
    decoded = decode(report(secret, identifier, User_Name=username).RequestPacket())
    assert SharedSecret(secret).accounting_authenticator_holds(decoded)
    assert not SharedSecret(secret + b"x").accounting_authenticator_holds(decoded)


@given(st.data())
def test_a_report_with_any_octet_changed_does_not_hold(data: st.DataObject) -> None:
    """Accounting is covered as a whole by its Request Authenticator."""
    datagram = bytearray(report(User_Name="wanjiku", Acct_Input_Octets=12345).RequestPacket())
    datagram[data.draw(st.integers(0, len(datagram) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode(bytes(datagram))
    except InvalidError:
        return
    assert not SharedSecret(SECRET).accounting_authenticator_holds(decoded)


@given(secrets, digests, identifiers, st.sampled_from([2, 3]), st.text(max_size=80))
def test_another_implementation_believes_a_signed_reply(
    secret: bytes, authenticator: bytes, identifier: int, code: int, message: str
) -> None:
    """Response Authenticator and Message-Authenticator are right, and the latter comes first."""
    asked = login(secret, authenticator, identifier)
    request = decode(signed(asked))
    message = message.encode(errors="ignore").decode()
    datagram = SharedSecret(secret).signed_reply(code, request, text_attribute(number.REPLY_MESSAGE, message))
    reply = asked.CreateReply(packet=datagram)
    assert reply.code == code
    assert asked.VerifyReply(reply, datagram, enforce_ma=True)
    assert datagram[20:22] == b"\x50\x12"
    assert reply.get("Reply-Message", [""]) == [message]


@given(secrets, identifiers)
def test_another_implementation_believes_an_accounting_reply(secret: bytes, identifier: int) -> None:
    """The Response Authenticator is right, and there is nothing else in it."""
    asked = report(secret, identifier)
    datagram = SharedSecret(secret).accounting_reply(decode(asked.RequestPacket()), b"")
    assert len(datagram) == 20
    assert asked.VerifyReply(asked.CreateReply(packet=datagram), datagram)


@given(st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=40)), max_size=30))
def test_attributes_are_found_where_they_are(attributes: list[tuple[int, bytes]]) -> None:
    """The first value of each number is given, and every further one is known to be there."""
    packet = decode(raw(*attributes, code=12))
    first: dict[int, bytes] = {}
    for kind, value in attributes:
        first.setdefault(kind, value)
    assert {kind: packet.value(kind) for kind in packet.offsets} == first
    assert len(packet.repeated) == len(attributes) - len(first)
    proxied = b"".join(attribute(33, value) for kind, value in attributes if kind == number.PROXY_STATE)
    assert packet.proxy_states() == proxied


@given(st.binary(max_size=400), st.booleans())
def test_rubbish_is_refused_or_read_but_never_trips(rubbish: bytes, fitting: bool) -> None:  # noqa: FBT001 - drawn
    """No datagram brings about any error but the expected one."""
    datagram = rubbish
    if fitting and len(rubbish) >= 20:
        datagram = rubbish[:2] + len(rubbish).to_bytes(2, "big") + rubbish[4:]
    try:
        packet = decode(datagram)
    except InvalidError:
        return
    values = b"".join(attribute(kind, packet.value(kind) or b"") for kind in packet.offsets)
    assert len(values) <= len(packet.datagram) - 20


def test_padding_after_the_packet_is_ignored() -> None:
    """RFC 2865 section 3: octets beyond the length in the header are no part of the packet."""
    datagram = signed(login())
    packet = decode(datagram + b"\1\2\3")
    assert packet.datagram == datagram
    assert SharedSecret(SECRET).message_authenticator_holds(packet, packet.authenticator)


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(raw()[:19], id="half a header"),
        pytest.param(b"\1\7\0\x13" + bytes(16), id="length below a header"),
        pytest.param(b"\1\7\0\x15" + bytes(16), id="length beyond the datagram"),
        pytest.param(b"\1\7\0\x15" + bytes(16) + b"\1", id="attribute without a length"),
        pytest.param(b"\1\7\0\x16" + bytes(16) + b"\1\0", id="attribute of length 0"),
        pytest.param(b"\1\7\0\x16" + bytes(16) + b"\1\1", id="attribute of length 1"),
        pytest.param(b"\1\7\0\x16" + bytes(16) + b"\1\3", id="attribute over the end"),
        pytest.param(raw(*[(1, bytes(253))] * 16) + b"\1\2" * 20, id="more than 4096 octets"),
        pytest.param(raw(*[(1, b"")] * 2038), id="thousands of empty attributes"),
        pytest.param(raw(*[(33, bytes(253))] * 9), id="more Proxy-State than a reply holds"),
    ],
)
def test_a_packet_of_impossible_shape_is_refused(datagram: bytes) -> None:
    """Framing is checked before anything is believed."""
    with pytest.raises(InvalidError):
        decode(datagram)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_a_long_message_is_cut_between_characters(message: str) -> None:
    """At most 253 octets, always whole UTF-8, and as much of the message as fits."""
    written = text_attribute(number.REPLY_MESSAGE, message)
    shown = written[2:].decode()
    assert message.startswith(shown)
    assert len(shown.encode()) <= 253
    rest = message[len(shown) :]
    assert not rest or len((shown + rest[0]).encode()) > 253
    assert written == b"" or written[1] == len(written)


@pytest.mark.parametrize(("message", "octets"), [("x" * 253, 253), ("x" * 254, 253), ("é" * 127, 252), ("", None)])
def test_a_message_at_the_edge_is_cut_right(message: str, octets: int | None) -> None:
    """253 octets are the most an attribute holds; an empty one is left out."""
    written = text_attribute(number.REPLY_MESSAGE, message)
    assert written[1:2] == (b"" if octets is None else bytes([octets + 2]))


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param([(2, bytes(16)), (3, bytes(17))], id="PAP and CHAP"),
        pytest.param([(2, b""), (3, bytes(17))], id="empty PAP and CHAP"),
        pytest.param([(3, b"")], id="empty CHAP"),
        pytest.param([(2, bytes(15))], id="PAP below a block"),
        pytest.param([(2, bytes(144))], id="PAP above eight blocks"),
        pytest.param([(3, bytes(16))], id="CHAP too short"),
        pytest.param([(3, bytes(18))], id="CHAP too long"),
    ],
)
def test_a_login_with_two_proofs_or_an_unsound_one_is_refused(attributes: list[tuple[int, bytes]]) -> None:
    """Not both kinds, and no impossible length."""
    with pytest.raises(InvalidError, match=r"radius\.credential"):
        credential(decode(raw(*attributes)), SharedSecret(SECRET))


def vendor(number_of_vendor: int, *inner: tuple[int, bytes]) -> tuple[int, bytes]:
    return 26, number_of_vendor.to_bytes(4, "big") + b"".join(attribute(kind, value) for kind, value in inner)


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param([], id="none"),
        pytest.param([(2, b"")], id="an empty attribute"),
        pytest.param([(2, HIDDEN_NOTHING)], id="an empty password, hidden"),
        pytest.param([(60, bytes(16))], id="a challenge alone"),
        pytest.param([vendor(311, (10, b"corp"), (11, bytes(16)))], id="MS-CHAP without a response"),
        pytest.param([vendor(312, (25, bytes(50)))], id="another vendor's"),
        pytest.param([(26, b"\0\0\1\x37"), (26, b"\0"), (26, b"\0\0\1\x37\x19\1")], id="a vendor's rubbish"),
    ],
)
def test_a_login_without_a_password_proves_nothing(attributes: list[tuple[int, bytes]]) -> None:
    """It is read, since a login by the device's address has none; it matches no password, not even an empty one."""
    proof = credential(decode(raw((1, b"BC:24:11:EB:56:4D"), *attributes)), SharedSecret(SECRET))
    assert not proof.matches("")
    assert not proof.matches("BC:24:11:EB:56:4D")


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param([(79, b"\2\1\0\5\1")], id="EAP"),
        pytest.param([vendor(311, (11, bytes(16)), (1, bytes(50)))], id="MS-CHAP"),
        pytest.param([vendor(311, (11, bytes(16))), vendor(311, (25, bytes(50)))], id="MS-CHAP version 2"),
    ],
)
def test_a_proof_of_another_kind_is_refused_by_name(attributes: list[tuple[int, bytes]]) -> None:
    """It must not pass for a login without a password; the reject tells a technician what to set."""
    with pytest.raises(InvalidError, match=r"by PAP or CHAP here, not by EAP or MS-CHAP"):
        credential(decode(raw((1, b"wanjiku"), *attributes)), SharedSecret(SECRET))


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20))))))
def test_vendor_attributes_are_found_wherever_they_are(sent: list[tuple[int, list[tuple[int, bytes]]]]) -> None:
    """Many to an attribute or one, in any order, and of that vendor only."""
    fitting = [(who, inner[:10]) for who, inner in sent[:8]]
    packet = decode(raw((1, b"x"), *(vendor(who, *inner) for who, inner in fitting)))
    for asked in {who for who, _ in fitting} | {311}:
        assert packet.vendor_attributes(asked) == {kind for who, inner in fitting if who == asked for kind, _ in inner}


@given(st.integers(0, 255).map(lambda octet: bytes([octet])) | st.binary(max_size=60))
def test_a_vendors_rubbish_never_trips(value: bytes) -> None:
    """Whatever stands in such an attribute."""
    assert decode(raw((26, b"\0\0\1\x37" + value), (26, value))).vendor_attributes(311) <= set(range(256))


def test_no_proof_and_no_secret_shows_itself() -> None:
    """What could end up in a log holds neither the password nor what it could be guessed from."""
    packet = login()
    packet["User-Password"] = packet.PwCrypt("hush-hush")
    pap = credential(decode(packet.RequestPacket()), SharedSecret(SECRET))
    chap = credential(decode(raw((3, b"h" * 17), (60, b"hush-hush"))), SharedSecret(SECRET))
    shown = f"{pap} {chap} {SharedSecret(SECRET)!r}"
    assert "hush" not in shown
    assert "hhh" not in shown
    assert "thirty-two" not in shown
