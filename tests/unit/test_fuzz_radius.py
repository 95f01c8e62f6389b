"""Hundreds of thousands of hostile packets at the embedded RADIUS server's door, the same ones each time.

By chance here, from packets as routers send them; led by coverage in `tests/fuzz/radius_fuzz.py`. A longer search of
the second kind: `python -m tests.fuzz.radius_fuzz -max_total_time=3600`.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyrad.packet import AuthPacket

from easyisp_edge.adapters.radius import logins
from easyisp_edge.adapters.radius.credentials import NoPassword
from easyisp_edge.adapters.radius.duplicates import DuplicateCache
from easyisp_edge.adapters.radius.packets import Packet, SharedSecret
from easyisp_edge.adapters.radius.server import RadiusServer
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.logins import LoginAccepted, LoginRejected
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import UnavailableError
from easyisp_edge.lab.mikrotik.radius_packets import radius_dictionary
from easyisp_edge.machine import UdpAddress
from easyisp_edge.services.access.logins import LoginService
from tests.fuzz import radius_judgement
from tests.fuzz.radius_door import GRANTED, BrokenPromiseError, WatchedDoor
from tests.fuzz.radius_fuzz import ACCOUNTING_DOOR, LENIENT_ROUTER, RIGHT_PASSWORD, SEALED, offered
from tests.fuzz.radius_judgement import (
    ACCESS,
    DEVICE,
    GRANTS,
    LENIENT,
    NO_DIGEST,
    PASSWORD,
    RECEIPT,
    ROUTERS,
    STRICT,
    USERNAME,
    Offer,
    attributes,
    encoded,
)
from tests.fuzz.radius_site import LEFT_ALONE, WatchedSite
from tests.fuzz.radius_traffic import KINDS, SIGNATURE, Traffic
from tests.unit.shop import open_books

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easyisp_edge.adapters.radius.peers import Peer
    from easyisp_edge.domain.logins import LoginAnswer, LoginRequest

ROOT = Path(__file__).parents[2]
PASSWORD_OF = {USERNAME: PASSWORD, RECEIPT: RECEIPT}
PACKETS = 300_000
SITE_PACKETS = 60_000
# Until tables of bounded size are full.
WARM_UP = 40_000
SECONDS_BETWEEN_PACKETS = 0.005
# What memory may have grown by, in blocks: one small object kept of every two hundred packets would be more.
BLOCKS_MORE = 1000
SERVER_LOG = "easyisp_edge.adapters.radius.server"
RUNS = 80_000


async def watch(door: WatchedDoor, traffic: Iterator[Offer], packets: int) -> None:
    """Bring so many packets to a door, with time going by."""
    for at in range(packets):
        door.clock.seconds += SECONDS_BETWEEN_PACKETS
        offer = next(traffic)
        try:
            await door.offer(offer)
        except BrokenPromiseError as broken:
            packet = f"packet {at} at {offer.door} from {offer.source}: {offer.datagram.hex()}"
            raise AssertionError(f"{broken}: {packet}") from broken


async def rest(door: WatchedDoor) -> int:
    """Blocks of memory in use once everything that is kept for a time is forgotten."""
    door.clock.seconds += 3600
    await door.offer(Traffic(0).sound())
    door.replies.clear()
    door.accepts.clear()
    gc.collect()
    return sys.getallocatedblocks()


@pytest.fixture
async def door() -> Any:
    made = WatchedDoor()
    await made.open()
    yield made
    await made.close()


def second_opinion(offer: Offer, reply: bytes) -> str:
    """Another implementation finds the grant's proof in what was accepted, and believes the reply; gives the grant."""
    secret = ROUTERS[offer.source.host].secret
    packet: Any = AuthPacket(secret=secret, dict=radius_dictionary(), packet=offer.datagram)
    (name,) = packet["User-Name"]
    if name not in PASSWORD_OF:
        assert MacAddress.parse(name) == MacAddress.parse(packet["Calling-Station-Id"][0]) == MacAddress(DEVICE)
    elif "User-Password" in packet:
        assert packet.PwDecrypt(packet[2][0]) == PASSWORD_OF[name]
    else:
        assert packet.VerifyChapPasswd(PASSWORD_OF[name])
    accepted = packet.CreateReply(packet=reply)
    assert packet.VerifyReply(accepted, reply, enforce_ma=True)
    return str(accepted["Class"][0].decode().removeprefix("edge:"))


@pytest.mark.timeout(300)
async def test_no_packet_breaks_a_promise(door: WatchedDoor, caplog: pytest.LogCaptureFixture) -> None:
    """No exception, no Accept without a grant, nothing from the unverified, each packet counted, memory flat."""
    caplog.set_level("CRITICAL", logger=SERVER_LOG)  # pytest would keep each line
    source = Traffic(20261123)
    traffic = iter(source)
    await watch(door, traffic, WARM_UP)
    blocks = await rest(door)
    await watch(door, traffic, PACKETS - WARM_UP)
    said = {second_opinion(offer, reply) for offer, reply in door.accepts}
    assert said == {grant_id for grant_id, times in door.let_on.items() if times > 1000} == set(GRANTS)
    assert await rest(door) - blocks < BLOCKS_MORE
    assert min(source.kinds[name] for name in KINDS) > 5000
    reached = {name: getattr(door.server.counters, name) for name in door.server.counters.__slots__}
    never = {"repeats_pending", "unavailable", "overload"}  # this judge is always there and answers at once
    assert {name for name, count in reached.items() if count < 1000} == never


async def test_the_same_seed_makes_the_same_packets() -> None:
    """So that what was found once is found again."""
    first, second = iter(Traffic(5)), iter(Traffic(5))
    assert [next(first) for _ in range(2000)] == [next(second) for _ in range(2000)]
    assert next(iter(Traffic(6))) != next(iter(Traffic(5)))


async def test_what_a_flood_leaves_in_the_log_is_bounded(door: WatchedDoor, caplog: pytest.LogCaptureFixture) -> None:
    """A line a minute for each router and fault, whatever came; and no password in any."""
    await watch(door, iter(Traffic(3)), 5000)
    minutes = 5000 * SECONDS_BETWEEN_PACKETS / 60
    assert 0 < len(caplog.records) <= 9 * (minutes + 1)
    assert PASSWORD not in caplog.text
    assert STRICT.secret.decode() not in caplog.text


def unverified(*_: object) -> bool:
    return True


async def forget(*_: object) -> None:
    raise UnavailableError("store.busy", "The store is busy.")


def unsigned(secret: SharedSecret, _code: int, request: Packet, more: bytes) -> bytes:
    return secret.accounting_reply(request, more)


def unwatchful(server: RadiusServer, peer: Peer) -> None:
    server.counters.unsigned += 1
    server._duplicates.begin((UdpAddress(peer.client.address, server.counters.unsigned), b""))


def stumble(*_: object) -> None:
    raise IndexError


FAULTS: dict[str, tuple[Any, str, Callable[..., object], str]] = {
    "logins unverified": (RadiusServer, "_login_verified", unverified, "something unverified was heard"),
    "reports unverified": (RadiusServer, "_report_verified", unverified, "something unverified was heard"),
    "signatures unverified": (RadiusServer, "_signature_holds", unverified, "something unverified was heard"),
    "everybody let on": (WatchedDoor, "authorize", lambda *_: GRANTED, "let on without a grant"),
    "nobody let on": (WatchedDoor, "authorize", lambda *_: LoginRejected("No."), "no reply of code 2"),
    "reports lost": (WatchedDoor, "account", forget, "no reply of code 5"),
    "replies forgotten": (DuplicateCache, "remember", lambda *_: None, "a repeat that"),
    "an exception": (RadiusServer, "_answer_status", stumble, "an exception"),
    "nothing counted": (RadiusServer, "_drop_unsigned", lambda *_: None, "counted 0 times"),
    "replies unsigned": (SharedSecret, "signed_reply", unsigned, "a reply to something else"),
    "an empty password is every password": (NoPassword, "matches", unverified, "let on without a grant"),
    "any device is let on by another's name": (WatchedDoor, "is_its_own_name", unverified, "let on without a grant"),
    "the unheard are remembered": (RadiusServer, "_drop_unsigned", unwatchful, "left its mark"),
    "every accept is of PPPoE": (logins, "_service", lambda _: Service.PPPOE, "an accept of grant-. that says"),
    "no accept is of PPPoE": (logins, "_service", lambda _: Service.HOTSPOT, "an accept of grant-. that says"),
    "a limit forgotten": (logins, "_total_limit", lambda _: b"", "an accept of grant-. that says"),
    "Proxy-State lost": (Packet, "proxy_states", lambda _: b"", "Proxy-State did not come back"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_watch_finds_a_planted_fault(door: WatchedDoor, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Among a few thousand packets, and says which it is."""
    owner, name, broken, said = FAULTS[fault]
    await door.close()
    monkeypatch.setattr(owner, name, broken)
    await door.open()
    with pytest.raises(AssertionError, match=said):
        await watch(door, iter(Traffic(2)), 6000)


async def test_the_watch_finds_what_is_kept(
    door: WatchedDoor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One small thing kept of each packet that goes unheard shows among far fewer packets than are brought."""
    caplog.set_level("CRITICAL", logger=SERVER_LOG)
    kept: list[object] = []
    drop = RadiusServer._drop_wrong_secret

    def keep(server: RadiusServer, peer: Peer) -> None:
        kept.append([peer])
        drop(server, peer)

    monkeypatch.setattr(RadiusServer, "_drop_wrong_secret", keep)
    traffic = iter(Traffic(4))
    await watch(door, traffic, 10_000)
    blocks = await rest(door)
    await watch(door, traffic, 10_000)
    assert await rest(door) - blocks > BLOCKS_MORE


# --- with the daemon's own services and store behind the door


@pytest.fixture
async def site(tmp_path: Path) -> Any:
    async with open_books(tmp_path) as books:
        made = WatchedSite(books=books, folder=tmp_path)
        await made.open()
        yield made
        await made.close()


async def test_nothing_unverified_changes_the_books(site: WatchedSite, caplog: pytest.LogCaptureFixture) -> None:
    """Of all packets only answered reports and accepts do; what nobody named is as it was sold."""
    caplog.set_level("CRITICAL", logger=SERVER_LOG)
    source = Traffic(20261124)
    await watch(site, iter(source), SITE_PACKETS)
    assert site.books is not None
    read = site.books.store.read.grants
    grants = {grant_id: read.by_id(grant_id) for grant_id in (*GRANTS, LEFT_ALONE)}
    began = {grant_id for grant_id, grant in grants.items() if grant and grant.state is GrantState.RUNNING}
    assert began == set(GRANTS)
    alone = grants[LEFT_ALONE]
    assert alone is not None
    assert (alone.state, alone.seconds_used, alone.octets_used) == (GrantState.WAITING, 0, 0)
    assert site.books.events().count("grant.started") == len(GRANTS)
    assert min(site.let_on[grant_id] for grant_id in GRANTS) > 100
    assert site.books.count("sessions") > 1000


async def begin_first(service: LoginService, request: LoginRequest) -> LoginAnswer:
    admission = service.access.store.read.grants.admission(request.username)
    if admission is not None:
        await service.access.started(admission)
    answer = ANSWER(service, request)
    return answer if isinstance(answer, LoginAccepted | LoginRejected) else await answer


ANSWER = LoginService.answer
SITE_FAULTS: dict[str, tuple[Any, str, Callable[..., object], str]] = {
    "begun before it is proven": (LoginService, "answer", begin_first, "the books changed"),
    "no proof needed": (LoginService, "_unproven", lambda *_: None, "let on without a grant"),
    "reports unverified": (RadiusServer, "_report_verified", unverified, "something unverified was heard"),
}


@pytest.mark.parametrize("fault", SITE_FAULTS)
async def test_the_watch_of_the_books_finds_a_planted_fault(
    site: WatchedSite, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Among a few hundred packets, and says which it is."""
    owner, name, broken, said = SITE_FAULTS[fault]
    monkeypatch.setattr(owner, name, broken)
    site.server._doors[1].verified = site.server._report_verified
    with pytest.raises(AssertionError, match=said):
        await watch(site, iter(Traffic(2)), 2000)


# --- led by coverage

LANDMARKS = (
    b"edge:grant-1", b"\x28\x06\0\0\0", b"\x50\x12" + NO_DIGEST, b"\x21\x03x", b"\x3c\x12" + NO_DIGEST,
    b"\x03\x13" + NO_DIGEST + b"\0", b"\x02\x12" + NO_DIGEST, b"\x06\x06\0\0\0\x02\x07\x06\0\0\0\x01",
    b"\x08\x06\0\0\0\0", b"\x31\x06\0\0\0\x0b", b"\x1f\x13BC:24:11:EB:56:4D", b"\x01\x0c" + USERNAME.encode(),
    b"\x01\x0c" + RECEIPT.encode(), b"\x01\x13" + DEVICE.encode(), b"\x02\x02", b"\x07\x06\0\0\0\x01",
)  # fmt: skip


@pytest.fixture
def atheris() -> None:
    """The fuzzer: without it these tests skip loudly, and fail under CI."""
    if importlib.util.find_spec("atheris") is not None:
        return
    message = "atheris is not installed here (pip install atheris): no search for packets that break the RADIUS server"
    if os.environ.get("CI", "").lower() in {"", "0", "false"}:
        pytest.skip(message)
    pytest.fail(message)


def search(folder: Path, *arguments: str, seed: int = 1) -> subprocess.CompletedProcess[str]:
    """One search with a folder for what it finds on its way."""
    corpus = folder / f"corpus-{seed}"
    corpus.mkdir()
    words = folder / "words"
    escaped = ("".join(f"\\x{octet:02x}" for octet in word) for word in LANDMARKS)
    words.write_text("".join(f'"{word}"\n' for word in escaped), encoding="ascii")
    command = [
        sys.executable, "-m", "tests.fuzz.radius_fuzz", f"-seed={seed}", "-max_len=4200", "-timeout=5",
        f"-dict={words}", f"-artifact_prefix={folder}/", *arguments, str(corpus),
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=110, check=False
    )  # fmt: skip


def seeds(folder: Path, *offers: Offer) -> str:
    """A folder of packets to begin with, each with the octet that has it sealed anew."""
    kept = folder / "seeds"
    kept.mkdir()
    for at, offer in enumerate(offers):
        how = SEALED | (ACCOUNTING_DOOR if offer.door == "acct" else 0)
        how |= LENIENT_ROUTER if offer.source.host == LENIENT.address else 0
        how |= RIGHT_PASSWORD if offer.due == 2 else 0
        (kept / f"{at:03}").write_bytes(bytes((how,)) + offer.datagram)
    return str(kept)


def sound(packets: int) -> list[Offer]:
    traffic = Traffic(1)
    return [traffic.sound() for _ in range(packets)]


@pytest.mark.usefixtures("atheris")
def test_the_search_finds_no_broken_promise(tmp_path: Path) -> None:
    """Beginning from every kind of packet, as many runs as were asked for."""
    done = search(tmp_path, f"-runs={RUNS}", seeds(tmp_path, *sound(60)))
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS} runs" in done.stderr


@pytest.mark.usefixtures("atheris")
def test_the_search_is_led_by_what_has_run(tmp_path: Path) -> None:
    """From one kept packet it reaches more branches than that packet does."""
    done = search(tmp_path, "-runs=3000", seeds(tmp_path, *sound(1)))
    reached = [int(count) for count in re.findall(r"cov: (\d+)", done.stderr)]
    assert done.returncode == 0, done.stderr[-3000:]
    assert reached[-1] > reached[0] > 1


@pytest.mark.usefixtures("atheris")
def test_the_search_finds_a_planted_fault(tmp_path: Path) -> None:
    """Begun with a login that is rejected, one of a few searches comes by itself to one that is not."""
    begun = seeds(tmp_path, next(offer for offer in sound(60) if is_rejected_by_password(offer)))
    searches = (search(tmp_path, "-runs=30000", "--planted", begun, seed=seed) for seed in range(1, 7))
    found = next((done for done in searches if done.returncode != 0), None)
    assert found is not None
    assert "the planted fault" in found.stdout + found.stderr


def is_rejected_by_password(offer: Offer) -> bool:
    """Whether it names a grant and shows another password than its own."""
    first = dict(reversed(attributes(offer.datagram) or []))
    return offer.due == 3 and len(first.get(2, b"")) >= 16 and first[1].decode() in PASSWORD_OF


async def test_what_the_search_mends_is_heard(door: WatchedDoor) -> None:
    """Else it would only ever knock: a packet of nonsense digests is sealed anew, and a wrong password put right."""
    found = [(1, USERNAME.encode()), (2, NO_DIGEST), SIGNATURE]
    octets = bytes((ACCESS, 9, 0, 0)) + NO_DIGEST + encoded(found)
    reply = await door.offer(offered(radius_judgement, bytes((SEALED | RIGHT_PASSWORD,)) + octets))
    assert reply is not None
    assert reply[0] == 2
    door.clock.seconds += 60
    unsealed = await door.offer(offered(radius_judgement, bytes((RIGHT_PASSWORD,)) + octets))
    assert unsealed is None
