"""What a RADIUS packet deserves, judged from its octets by another reading of RFC 2865, 2866 and 3579."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.adapters.radius.peers import RadiusClient

if TYPE_CHECKING:
    from easyisp_edge.machine import UdpAddress

# What was bought: by the user name and password of the first, by a receipt, by a device that is known by its address.
USERNAME, PASSWORD, RECEIPT, DEVICE = "USER000001", "PASSWORDAAAAAAAAAAAA", "RECEIPT002", "BC:24:11:EB:56:4D"
GRANT_ID, GRANT_OF_RECEIPT, GRANT_OF_DEVICE = "grant-1", "grant-2", "grant-3"
GRANTS = (GRANT_ID, GRANT_OF_RECEIPT, GRANT_OF_DEVICE)

STRICT = RadiusClient("strict", "10.5.50.1", b"a secret of thirty-two characters", "required", 300, "customers")
LENIENT = RadiusClient("lenient", "10.5.50.2", b"another", "if-present", 60)
ROUTERS = {router.address: router for router in (STRICT, LENIENT)}
STRANGER = "10.5.50.3"

ACCESS, ACCOUNTING, STATUS = 1, 4, 12
HEADER, DIGEST, NO_DIGEST = 20, 16, bytes(16)
REPLY_OCTETS_MAX = 4096

Attribute = tuple[int, bytes]

# What every accept holds, but for the grant and the router's own interval: an hour, 2M/5M, one device.
_GRANTED = [(27, b"\0\0\x0e\x10"), (26, b"\0\0\x3a\x8c\x08\x07" + b"2M/5M"), (62, b"\0\0\0\x01")]
# 5 GiB.
LIMITED = [
    (26, b"\0\0\x3a\x8c\x11\x06" + b"\x40\0\0\0"),
    (26, b"\0\0\x3a\x8c\x12\x06" + b"\0\0\0\x01"),
]


class Offer(NamedTuple):
    """A datagram as it comes in.

    Args:
        door: Where: "auth" or "acct".
        datagram: Its octets.
        source: Where it says it is from.
        due: Code of the reply it must get; None where it need not get any.
    """

    door: str
    datagram: bytes
    source: UdpAddress
    due: int | None = None


def attributes(datagram: bytes) -> list[Attribute] | None:
    """Its attributes in order; None where its framing is unsound."""
    end = int.from_bytes(datagram[2:4], "big")
    if not HEADER <= end <= min(len(datagram), REPLY_OCTETS_MAX):
        return None
    found, at = [], HEADER
    while at < end:
        length = datagram[at + 1] if at + 1 < end else 0
        if length < 2 or at + length > end:
            return None
        found.append((datagram[at], datagram[at + 2 : at + length]))
        at += length
    return found


def encoded(found: list[Attribute]) -> bytes:
    return b"".join(bytes((kind, len(value) + 2)) + value for kind, value in found)


def signature(datagram: bytes, authenticator: bytes, secret: bytes) -> bytes:
    """What its Message-Authenticator should be. Source: RFC 3579 section 3.2."""
    blanked = [(kind, NO_DIGEST if kind == 80 else value) for kind, value in attributes(datagram) or []]
    return hmac.new(secret, datagram[:4] + authenticator + encoded(blanked), "md5").digest()


def sealed(code: int, identifier: int, found: list[Attribute], secret: bytes, authenticator: bytes) -> bytes:
    """A packet of these attributes with its length, Message-Authenticator (where it has one) and authenticator right.

    Args:
        code: Of the packet.
        identifier: Of the packet.
        found: Its attributes.
        secret: Shared with the server.
        authenticator: Of a login or Status-Server; accounting makes its own.
    """
    authenticator = NO_DIGEST if code == ACCOUNTING else authenticator
    body = encoded(found)
    head = bytes((code, identifier)) + (HEADER + len(body)).to_bytes(2, "big")
    if any(kind == 80 for kind, _ in found):
        blank = encoded([(kind, NO_DIGEST if kind == 80 else value) for kind, value in found])
        signed = hmac.digest(secret, head + authenticator + blank, "md5")
        body = encoded([(kind, signed if kind == 80 else value) for kind, value in found])
    if code == ACCOUNTING:
        authenticator = hashlib.md5(head + authenticator + body + secret).digest()  # noqa: S324 - RADIUS
    return head + authenticator + body


def deserves_hearing(datagram: bytes, router: RadiusClient) -> bool:
    """Whether whoever sent it showed to know the secret, as far as the router's settings ask it."""
    found = attributes(datagram)
    if found is None:
        return False
    datagram = datagram[: HEADER + len(encoded(found))]
    code, signatures = datagram[0], [value for kind, value in found if kind == 80]
    authenticator = NO_DIGEST if code == ACCOUNTING else datagram[4:HEADER]
    signed = signatures == [signature(datagram, authenticator, router.secret)]
    if code == ACCOUNTING:
        sealed = hashlib.md5(datagram[:4] + NO_DIGEST + datagram[HEADER:] + router.secret).digest()  # noqa: S324 - RADIUS
        return sealed == datagram[4:HEADER] and (signed or not signatures)
    echoes = any(kind == 33 for kind, _ in found)
    unsigned_is_fine = code == ACCESS and router.message_authenticator == "if-present" and not echoes
    return signed or (unsigned_is_fine and not signatures)


def masked(octets: bytes, previous: bytes, secret: bytes) -> bytes:
    mask = hashlib.md5(secret + previous).digest()  # noqa: S324 - RADIUS
    return bytes(left ^ right for left, right in zip(octets, mask, strict=True))


def hidden(password: bytes, authenticator: bytes, secret: bytes) -> bytes:
    """A value for User-Password. Source: RFC 2865 section 5.2."""
    padded, value = password.ljust(-(-len(password) // DIGEST) * DIGEST or DIGEST, b"\0"), b""
    for at in range(0, len(padded), DIGEST):
        value += masked(padded[at : at + DIGEST], value[-DIGEST:] or authenticator, secret)
    return value


def chap_answer(identifier: int, challenge: bytes, password: str = PASSWORD) -> bytes:
    """A value for CHAP-Password that proves a password."""
    answered = hashlib.md5(bytes((identifier,)) + password.encode() + challenge).digest()  # noqa: S324 - CHAP
    return bytes((identifier,)) + answered


def proves(datagram: bytes, secret: bytes, password: str) -> bool:
    """Whether it shows that password, in one way."""
    found, authenticator = attributes(datagram) or [], datagram[4:HEADER]
    proofs = [(kind, value) for kind, value in found if kind in {2, 3}]
    challenge = next((value for kind, value in found if kind == 60), b"") or authenticator
    octets = [value for _, value in proofs]
    if [kind for kind, _ in proofs] == [2]:
        return octets[0].rstrip(b"\0") != b"" and _unmasked(octets[0], authenticator, secret) == password.encode()
    return [kind for kind, _ in proofs] == [3] and octets == [chap_answer(octets[0][0], challenge, password)]


def _unmasked(value: bytes, authenticator: bytes, secret: bytes) -> bytes:
    clear, previous = b"", authenticator
    for at in range(0, len(value), DIGEST):
        block = value[at : at + DIGEST]
        clear += masked(block, previous, secret)
        previous = block
    return clear.rstrip(b"\0")


def entitled_to(datagram: bytes, secret: bytes) -> str | None:
    """The grant a login may be let on by: it is named once, and proven, or is of the device that asks."""
    found = attributes(datagram) or []
    names = [value for kind, value in found if kind == 1]
    stations = [value for kind, value in found if kind == 31]
    if names == [USERNAME.encode()] and proves(datagram, secret, PASSWORD):
        return GRANT_ID
    if names == [RECEIPT.encode()] and proves(datagram, secret, RECEIPT):
        return GRANT_OF_RECEIPT
    if [_hexadecimal(each) for each in names + stations] == [DEVICE.replace(":", "")] * 2 and len(names) == 1:
        return GRANT_OF_DEVICE
    return None


def _hexadecimal(spelling: bytes) -> str:
    """A hardware address without what stands between its digits."""
    return spelling.decode(errors="replace").strip().translate(dict.fromkeys(map(ord, ":.-"))).upper()


def accept_due(datagram: bytes, router: RadiusClient, grant_id: str, limited: list[Attribute]) -> list[Attribute]:
    """All that an accept of that grant says, in order of kind; `limited` is what it says of data."""
    first: dict[int, bytes] = {}
    for kind, value in attributes(datagram) or []:
        first.setdefault(kind, value)
    found = [*_GRANTED, *limited, (85, router.interim_seconds.to_bytes(4, "big")), (25, b"edge:" + grant_id.encode())]
    if (first.get(6), first.get(7)) == (b"\0\0\0\x02", b"\0\0\0\x01"):
        found += [(6, first[6]), (7, first[7])]
        found += [] if router.pppoe_pool is None else [(88, router.pppoe_pool.encode())]
    return sorted(found)
