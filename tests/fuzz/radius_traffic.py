"""RADIUS packets as routers send them, and what hostile hands make of them, drawn from a seed."""

from __future__ import annotations

import random
from collections import Counter, deque
from typing import TYPE_CHECKING

from easyisp_edge.machine import UdpAddress
from tests.fuzz.radius_judgement import (
    ACCESS,
    ACCOUNTING,
    DEVICE,
    GRANTS,
    LENIENT,
    NO_DIGEST,
    PASSWORD,
    RECEIPT,
    ROUTERS,
    STATUS,
    STRANGER,
    STRICT,
    USERNAME,
    Attribute,
    Offer,
    attributes,
    chap_answer,
    encoded,
    hidden,
    sealed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easyisp_edge.adapters.radius.peers import RadiusClient

SIGNATURE: Attribute = (80, NO_DIGEST)


def integer(value: int) -> bytes:
    return value.to_bytes(4, "big")


def mikrotik(kind: int, value: bytes) -> Attribute:
    return 26, integer(14988) + bytes((kind, len(value) + 2)) + value


class Traffic:
    """Packets as routers send them, and what hostile hands make of them; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.lately: deque[Offer] = deque(maxlen=400)
        self.identifier = 0
        self.kinds: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Offer]:
        names, weights = list(KINDS), [weight for _, weight in KINDS.values()]
        while True:
            for name in self.chance.choices(names, weights, k=1000):
                self.kinds[name] += 1
                offer = KINDS[name][0](self)
                self.lately.append(offer)
                yield offer

    # --- as routers send them

    def router(self) -> RadiusClient:
        return self.chance.choice((STRICT, LENIENT))

    def place(self, found: list[Attribute], station: bytes | None = None) -> list[Attribute]:
        """What every packet of a hotspot says of the device and its place, around other attributes."""
        return [
            (61, integer(19)), (31, station or self.some_device()), (30, b"hs-vlan888"),
            (87, b"vlan888"), *found, (8, b"\x0a\x05\x58" + self.chance.randbytes(1)), (32, b"MikroTik"),
            (4, b"\x0a\x05\x32\x01"),
        ]  # fmt: skip

    def some_device(self) -> bytes:
        return b"BC:24:11:EA:%02X:%02X" % tuple(self.chance.randbytes(2))

    def login(self, router: RadiusClient, *, right: bool, authenticator: bytes) -> list[Attribute]:
        """The attributes of an Access-Request: by user name and password, by a receipt, or by the device's address."""
        which = self.chance.random()
        if which < 0.25:
            name, station, proof = self.by_address(router, right=right, authenticator=authenticator)
        else:
            name, password = (RECEIPT, RECEIPT) if which < 0.5 else (USERNAME, PASSWORD)
            station, proof = None, self.proof(router, password, right=right, authenticator=authenticator)
        named = [(1, name.encode()), (5, integer(0x80100014)), (44, b"80100014")]
        framed = [(6, integer(2)), (7, integer(1))] if self.chance.random() < 0.2 else [(6, integer(1))]
        ending = [*framed, (26, integer(14122) + b"\x03\x1chttp://10.5.88.1/logout..")]
        found = self.place(named + proof + ending, station)
        old = router is LENIENT and self.chance.random() < 0.5
        return found if old else [*found, SIGNATURE]

    def proof(self, router: RadiusClient, password: str, *, right: bool, authenticator: bytes) -> list[Attribute]:
        """That password by PAP or CHAP; or else a wrong one, an empty one or none."""
        which = self.chance.random()
        if not right and which < 0.3:
            return [] if which < 0.1 else [(2, b"" if which < 0.2 else hidden(b"", authenticator, router.secret))]
        if which < 0.6:
            octets = password.encode() if right else self.chance.randbytes(self.chance.randrange(1, 40))
            return [(2, hidden(octets, authenticator, router.secret))]
        challenge = self.chance.randbytes(16)
        return [(60, challenge), (3, chap_answer(7, challenge if right else b"another", password))]

    def by_address(
        self, router: RadiusClient, *, right: bool, authenticator: bytes
    ) -> tuple[str, bytes, list[Attribute]]:
        """User name, device and proof: the device that bought; or else one that did not, or goes by that one's name."""
        station = DEVICE.encode() if right else self.some_device()
        name = DEVICE if right or self.chance.random() < 0.5 else station.decode()
        name = name.replace(":", self.chance.choice((":", "-", "")))
        passwords = (b"", DEVICE.encode(), b"of the router", None)
        password = self.chance.choice(passwords)
        proof = [] if password is None else [(2, hidden(password, authenticator, router.secret))]
        return self.chance.choice((name, name.lower())), station, proof

    def report(self) -> list[Attribute]:
        """The attributes of an Accounting-Request."""
        status = self.chance.choice((1, 2, 3, 3, 3, 7, 8))
        usage = [(kind, self.chance.randbytes(4)) for kind in (42, 43, 47, 48, 46)]
        usage += [(kind, integer(self.chance.randrange(4))) for kind in (52, 53)]
        name, mark = self.chance.choice((USERNAME, RECEIPT, DEVICE)), b"edge:" + self.chance.choice(GRANTS).encode()
        named = [(1, name.encode()), (44, b"801%05x" % self.chance.randrange(2**20)), (25, mark)]
        cause = [(49, integer(self.chance.randrange(20)))] if status == 2 else []
        return [(40, integer(status)), *cause, *self.place([*named, *usage, (55, integer(1)), (41, integer(0))])]

    def made(
        self, code: int, found: list[Attribute], router: RadiusClient, authenticator: bytes, due: int | None
    ) -> Offer:
        self.identifier = (self.identifier + 1) % 256
        datagram = sealed(code, self.identifier, found, router.secret, authenticator)
        door = "acct" if code == ACCOUNTING or (code == STATUS and self.identifier % 2) else "auth"
        return Offer(door, datagram, UdpAddress(router.address, self.chance.randrange(1024, 65536)), due)

    def sound(self) -> Offer:
        """A packet with nothing wrong with it: it has to be answered, whatever came before."""
        router, authenticator, which = self.router(), self.chance.randbytes(16), self.chance.random()
        if which < 0.1:
            offer = self.made(STATUS, [SIGNATURE], router, authenticator, 2)
            return offer._replace(due=5 if offer.door == "acct" else 2)
        if which < 0.5:
            return self.made(ACCOUNTING, self.report(), router, authenticator, 5)
        right = which < 0.75
        found = self.login(router, right=right, authenticator=authenticator)
        return self.made(ACCESS, found, router, authenticator, 2 if right else 3)

    # --- as hostile hands make them, without the secret

    def changed(self, change: Callable[[bytearray], object]) -> Offer:
        """A sound packet after a change; nothing is due for it."""
        offer = self.sound()
        octets = bytearray(offer.datagram)
        change(octets)
        return offer._replace(datagram=bytes(octets), due=None)

    def bits(self) -> Offer:
        """Some bits turned."""

        def turn(octets: bytearray) -> None:
            for _ in range(self.chance.randrange(1, 9)):
                octets[self.chance.randrange(len(octets))] ^= 1 << self.chance.randrange(8)

        return self.changed(turn)

    def cut(self) -> Offer:
        """Cut short, as though it were whole or not."""

        def shorten(octets: bytearray) -> None:
            del octets[self.chance.randrange(len(octets)) :]
            if self.chance.random() < 0.5 and len(octets) >= 4:
                octets[2:4] = len(octets).to_bytes(2, "big")

        return self.changed(shorten)

    def lengths(self) -> Offer:
        """Lengths that lie: the header's, or an attribute's."""

        def lie(octets: bytearray) -> None:
            if self.chance.random() < 0.4:
                octets[2:4] = self.chance.randbytes(2)
                return
            ends = [20]
            while ends[-1] < len(octets):
                ends.append(ends[-1] + octets[ends[-1] + 1])
            octets[self.chance.choice(ends[:-1]) + 1] = self.chance.choice((0, 1, 2, 255, self.chance.randrange(256)))

        return self.changed(lie)

    def added(self, more: list[Attribute]) -> Offer:
        """More attributes, and an honest length."""

        def add(octets: bytearray) -> None:
            octets += encoded(more)
            octets[2:4] = min(len(octets), 0xFFFF).to_bytes(2, "big")

        return self.changed(add)

    def doubled(self) -> Offer:
        """Attributes twice."""
        found = attributes(self.sound().datagram) or []
        return self.added(self.chance.choices(found, k=self.chance.randrange(1, 5)))

    def flood(self) -> Offer:
        """Proxy-State as far as it goes, and further."""
        return self.added(self.proxy_states())

    def proxy_states(self) -> list[Attribute]:
        size = self.chance.choice((0, 1, 16, 253, 253))
        return [(33, self.chance.randbytes(size))] * self.chance.choice((1, 2, 64, 65, 66, 4300 // (size + 2)))

    def authenticator(self) -> Offer:
        """An authenticator of chance, or of nought."""
        digest = self.chance.choice((NO_DIGEST, self.chance.randbytes(16)))
        return self.changed(lambda octets: octets.__setitem__(slice(4, 20), digest))

    def another_secret(self) -> Offer:
        """Made as it should be, with the other router's secret or any."""
        offer, router = self.sound(), self.router()
        secret = self.chance.choice((self.chance.randbytes(8), STRICT.secret + b"\n", LENIENT.secret))
        found = attributes(offer.datagram) or []
        datagram = sealed(offer.datagram[0], offer.datagram[1], found, secret, offer.datagram[4:20])
        return Offer(offer.door, datagram, offer.source._replace(host=router.address))

    def stranger(self) -> Offer:
        """From where no router of ours is."""
        offer = self.sound()
        return offer._replace(source=offer.source._replace(host=STRANGER), due=None)

    def noise(self) -> Offer:
        """Octets of chance, some behind a header that looks right."""
        octets = self.chance.randbytes(self.chance.choice((0, 1, 19, 20, 21, 60, 300)))
        if self.chance.random() < 0.5:
            head = bytes((self.chance.choice((1, 4, 12)), 1)) + (20 + len(octets)).to_bytes(2, "big")
            octets = head + NO_DIGEST + octets
        return Offer(self.chance.choice(("auth", "acct")), octets, UdpAddress(self.router().address, 40000))

    def again(self) -> Offer:
        """What came lately, once more: from the same place or another, at its own door or the other."""
        offer = self.chance.choice(self.lately or [self.sound()])._replace(due=None)
        which = self.chance.random()
        if which < 0.2:
            return offer._replace(source=offer.source._replace(port=1024))
        if which < 0.4:
            return offer._replace(source=offer.source._replace(host=self.chance.choice([*ROUTERS, STRANGER])))
        return offer._replace(door=self.chance.choice(("auth", "acct"))) if which < 0.5 else offer

    def spliced(self) -> Offer:
        """The head of one packet and the tail of another."""
        tail = self.sound().datagram

        def splice(octets: bytearray) -> None:
            octets[self.chance.randrange(len(octets)) :] = tail[self.chance.randrange(len(tail)) :]
            octets[2:4] = len(octets).to_bytes(2, "big")

        return self.changed(splice)

    # --- as a router would that was taken over: with the secret

    def hostile(self) -> Offer:
        """Sealed as it should be, around anything."""
        router, authenticator = self.router(), self.chance.randbytes(16)
        code = self.chance.choice((ACCESS, ACCESS, ACCOUNTING, ACCOUNTING, STATUS, self.chance.randrange(256)))
        found = self.report() if code == ACCOUNTING else self.login(router, right=True, authenticator=authenticator)
        for _ in range(self.chance.randrange(1, 6)):
            self.chance.choice((self.twist, self.insert, self.drop, self.repeat))(found)
        if self.chance.random() < 0.05:
            found += self.proxy_states()
        offer = self.made(code, found, router, authenticator, None)
        return offer if self.chance.random() < 0.95 else offer._replace(door=self.chance.choice(("auth", "acct")))

    def value(self) -> bytes:
        size = self.chance.choice((0, 1, 3, 4, 5, 16, 17, 128, 253, self.chance.randrange(254)))
        return self.chance.choice(NONSENSE) if self.chance.random() < 0.6 else self.chance.randbytes(size)

    def twist(self, found: list[Attribute]) -> None:
        if found:
            at = self.chance.randrange(len(found))
            found[at] = (found[at][0], self.value())

    def insert(self, found: list[Attribute]) -> None:
        kind = self.chance.choice((*ONES_WE_READ, self.chance.randrange(256)))
        found.insert(self.chance.randrange(len(found) + 1), (kind, self.value()))

    def drop(self, found: list[Attribute]) -> None:
        if found:
            del found[self.chance.randrange(len(found))]

    def repeat(self, found: list[Attribute]) -> None:
        if found:
            found += [self.chance.choice(found)] * self.chance.choice((1, 2, 70))


ONES_WE_READ = (1, 2, 3, 4, 6, 7, 8, 24, 25, 26, 31, 33, 40, 42, 43, 44, 46, 49, 52, 53, 60, 79, 80, 95)
NONSENSE = (
    b"", b"\0", b"\xff" * 4, b"\0" * 4, b"\x80\0\0\0", b"\0\0\0\x02", b"\0\0\0\x07", b"\0\0\0\x08", b"\0" * 16,
    b"\xff\xfe", b"\xed\xa0\x80", b"edge:", b"edge:\xff\xff", b"edge:grant-1", b"'; DROP TABLE grants; --", b"%n%s%x",
    b"BC:24:11:EB:56:4D", b"bc-24-11", b"00000000000000000", b"x" * 253, b"\xc3\xa9" * 126, b"USER000001\0",
    b"user000001", RECEIPT.encode(), b"\r\n\x1b[2J", b"\xf0\x9f\x92\xb8", b"\x00\x00\x3a\x8c\x08\xff",
    "\u202e\u0663".encode(),
)  # fmt: skip

KINDS: dict[str, tuple[Callable[[Traffic], Offer], int]] = {
    "sound": (Traffic.sound, 10),
    "bits": (Traffic.bits, 14),
    "cut": (Traffic.cut, 6),
    "lengths": (Traffic.lengths, 8),
    "doubled": (Traffic.doubled, 5),
    "flood": (Traffic.flood, 3),
    "authenticator": (Traffic.authenticator, 5),
    "another secret": (Traffic.another_secret, 5),
    "stranger": (Traffic.stranger, 4),
    "noise": (Traffic.noise, 6),
    "again": (Traffic.again, 10),
    "spliced": (Traffic.spliced, 6),
    "hostile": (Traffic.hostile, 18),
}
