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

# A broken promise planted on purpose, to prove that the search finds one.
PLANTED = "--planted"

ACCOUNTING_DOOR, LENIENT_ROUTER, UNKNOWN_ROUTER, SEALED, RIGHT_PASSWORD = 1, 2, 4, 8, 16
_ACCESS_ACCEPT = 2
_SECONDS_BETWEEN_PACKETS = 0.01


def load(atheris: Any) -> Any:
    """The watched door, with the modules under test instrumented so that the search sees what of them runs."""
    with atheris.instrument_imports(include=["easyisp_edge.adapters.radius"]):
        return importlib.import_module("tests.fuzz.radius_door")


def offered(radius_door: Any, octets: bytes) -> Any:
    """What an input means."""
    how, datagram = octets[0], octets[1:]
    router = radius_door.LENIENT if how & LENIENT_ROUTER else radius_door.STRICT
    host = radius_door.STRANGER if how & UNKNOWN_ROUTER else router.address
    if how & SEALED and len(datagram) >= radius_door.HEADER:
        datagram = mended(radius_door, datagram, router.secret, right_password=bool(how & RIGHT_PASSWORD))
    door = "acct" if how & ACCOUNTING_DOOR else "auth"
    return radius_door.Offer(door, datagram, radius_door.UdpAddress(host, 40000))


def mended(radius_door: Any, datagram: bytes, secret: bytes, *, right_password: bool) -> bytes:
    """The packet with everything put right that takes the secret, and without a tail that is no attribute."""
    found, authenticator = whole_attributes(datagram[radius_door.HEADER :]), datagram[4 : radius_door.HEADER]
    if right_password:
        value = radius_door.hidden(radius_door.PASSWORD.encode(), authenticator, secret)
        found = [(kind, value if kind == 2 else said) for kind, said in found]
    sealed: bytes = radius_door.sealed(datagram[0], datagram[1], found, secret, authenticator)
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
    radius_door = load(atheris)
    loop, door = asyncio.new_event_loop(), radius_door.WatchedDoor()
    loop.run_until_complete(door.open())
    planted = PLANTED in arguments

    def one_packet(octets: bytes) -> None:
        if not octets:
            return
        offer = offered(radius_door, octets)
        door.clock.seconds += _SECONDS_BETWEEN_PACKETS
        reply = loop.run_until_complete(door.offer(offer))
        let_on = reply is not None and (offer.datagram[0], reply[0]) == (radius_door.ACCESS, _ACCESS_ACCEPT)
        radius_door.promise(not (planted and let_on), "the planted fault")

    atheris.Setup([sys.argv[0], *(argument for argument in arguments if argument != PLANTED)], one_packet)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
