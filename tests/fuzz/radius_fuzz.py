"""Searches for packets that break what the embedded RADIUS server promises, led by what of it has run.

`python -m tests.fuzz.radius_fuzz [libFuzzer's own flags] [folders of packets to begin with]`. It ends with 0 when the
runs asked for are over, and with another status, the packet printed, at the first broken promise.

An input is one octet that says how the rest comes in, and the rest: a packet. Since no search guesses an MD5, the
octet may have length, signature, authenticator and password put right: what a router says that was taken over.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Any

from easyisp_edge.machine import UdpAddress

# A broken promise planted on purpose, to prove that the search finds one.
PLANTED = "--planted"

ACCOUNTING_DOOR, LENIENT_ROUTER, UNKNOWN_ROUTER, SEALED, RIGHT_PASSWORD = 1, 2, 4, 8, 16
_ALL_WAYS = 31
_CHANGES_OF_PACKET_TO_ONE_OF_HOW = 8
_ACCESS_ACCEPT = 2
_SECONDS_BETWEEN_PACKETS = 0.01


def load(atheris: Any) -> Any:
    """The watched door and what judges it; the modules under test are instrumented, so that what of them runs shows."""
    with atheris.instrument_imports(include=["easyisp_edge.adapters.radius"]):
        door = importlib.import_module("tests.fuzz.radius_door")
        return door, importlib.import_module("tests.fuzz.radius_judgement")


def offered(judgement: Any, octets: bytes) -> Any:
    """What an input means."""
    how, datagram = octets[0], octets[1:]
    router = judgement.LENIENT if how & LENIENT_ROUTER else judgement.STRICT
    host = judgement.STRANGER if how & UNKNOWN_ROUTER else router.address
    if how & SEALED and len(datagram) >= judgement.HEADER:
        datagram = mended(judgement, datagram, router.secret, right_password=bool(how & RIGHT_PASSWORD))
    door = "acct" if how & ACCOUNTING_DOOR else "auth"
    return judgement.Offer(door, datagram, UdpAddress(host, 40000))


def mended(judgement: Any, datagram: bytes, secret: bytes, *, right_password: bool) -> bytes:
    """The packet with everything put right that takes the secret, and without a tail that is no attribute."""
    found, authenticator = whole_attributes(datagram[judgement.HEADER :]), datagram[4 : judgement.HEADER]
    if right_password:
        by_receipt = (1, judgement.RECEIPT.encode()) in found
        password = judgement.RECEIPT if by_receipt else judgement.PASSWORD
        value = judgement.hidden(password.encode(), authenticator, secret)
        found = [(kind, value if kind == 2 else said) for kind, said in found]
    sealed: bytes = judgement.sealed(datagram[0], datagram[1], found, secret, authenticator)
    return sealed


def whole_attributes(octets: bytes) -> list[tuple[int, bytes]]:
    """The attributes octets begin with."""
    found = []
    while len(octets) >= 2 <= octets[1] <= len(octets):
        found.append((octets[0], octets[2 : octets[1]]))
        octets = octets[octets[1] :]
    return found


def main(arguments: list[str]) -> None:
    """Search until the runs are over; does not return."""
    atheris: Any = importlib.import_module("atheris")
    radius_door, judgement = load(atheris)
    loop, door = asyncio.new_event_loop(), radius_door.WatchedDoor()
    loop.run_until_complete(door.open())
    planted = PLANTED in arguments

    def one_packet(octets: bytes) -> None:
        if not octets:
            return
        offer = offered(judgement, octets)
        door.clock.seconds += _SECONDS_BETWEEN_PACKETS
        reply = loop.run_until_complete(door.offer(offer))
        let_on = reply is not None and (offer.datagram[0], reply[0]) == (judgement.ACCESS, _ACCESS_ACCEPT)
        radius_door.promise(not (planted and let_on), "the planted fault")

    def changed(octets: bytes, octets_max: int, chance: int) -> bytes:
        # Alone it would hardly come upon the octet that says how: one among hundreds.
        if octets and chance % _CHANGES_OF_PACKET_TO_ONE_OF_HOW == 0:
            return bytes((chance >> 8 & _ALL_WAYS,)) + octets[1:]
        return bytes(atheris.Mutate(octets, octets_max))

    flags = [argument for argument in arguments if argument != PLANTED]
    atheris.Setup([sys.argv[0], *flags], one_packet, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
