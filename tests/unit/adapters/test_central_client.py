"""Asking a hub: what is signed is signed for that very request, and nothing else is believed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from nacl.signing import SigningKey, VerifyKey

from easyisp_edge.adapters.central.client import CentralClient, enrol, hub_url
from easyisp_edge.domain import central
from easyisp_edge.domain.central import ConfigSnapshot, EdgeKey, ReceiptAnswer, RelayedCallback, Revocation, SyncSite
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.sync import Lane, Reply, Request, configuration_signed, enrolment_proof, renewal_proof
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import InvalidError, RefusedError, UnavailableError
from tests.fakes.clocks import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

SITE_ID = "0123456789abcdef"
HUB, BOX = SigningKey(b"h" * 32), SigningKey(b"b" * 32)
KEY = EdgeKey(bytes(BOX.verify_key), lambda message: bytes(BOX.sign(message).signature))
SITE = SyncSite(
    hub_url="https://hub.example.com",
    site_id=SITE_ID,
    epoch=3,
    hub_key=bytes(HUB.verify_key),
    public_key=KEY.public,
    callback_base="https://hub.example.com/cb/x",
    enrolled_at=START,
    key_since=START,
)


class ScriptedHub:
    """Answers each request as told, signed for it; a test may spoil the answer."""

    def __init__(self) -> None:
        self.status = 200
        self.content: Any = {}
        self.body: bytes | None = None
        self.headers: dict[str, str] = {}
        self.signed_as: dict[str, Any] = {}
        self.key = HUB
        self.spoil: Callable[[httpx.Response], httpx.Response] = lambda answer: answer
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        body = json.dumps(self.content).encode() if self.body is None else self.body
        asked = {
            "site": request.headers.get("Edge-Site", SITE_ID),
            "lane": Lane(request.headers.get("Edge-Lane", "ask")),
            "counter": int(request.headers.get("Edge-Counter", 0)),
            "status": self.status,
            "body": body,
        }
        signature = base64.b64encode(self.key.sign(Reply(**(asked | self.signed_as)).signed()).signature).decode()
        headers = {"Hub-Signature": signature, **self.headers}
        return self.spoil(answered(self.status, body, headers))


@pytest.fixture
def hub() -> ScriptedHub:
    return ScriptedHub()


@pytest.fixture
async def client(hub: ScriptedHub) -> AsyncIterator[CentralClient]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(hub)) as http:
        yield CentralClient(http, SITE, KEY)


async def test_each_request_is_signed_as_the_hub_reads_it(hub: ScriptedHub, client: CentralClient) -> None:
    """Method, path and query, site, epoch, lane, counter and the body as it is sent."""
    hub.content = {"ack": 7, "configVersion": 2}
    body = gzip.compress(b"a line\n")
    assert await client.upload(Stream.MONEY, body, 9, 41) == central.Stored(7, 2)
    (request,) = hub.seen
    assert request.headers["Content-Encoding"] == "gzip"
    asked = Request("POST", "/edge/v1/streams/money?last=9", SITE_ID, 3, Lane.MONEY, 41, body)
    assert request.url.raw_path.decode() == asked.target
    assert request.content == body
    VerifyKey(KEY.public).verify(asked.signed(), base64.b64decode(request.headers["Edge-Signature"]))


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (409, {"code": "gap", "expected": 5}, (central.GAP, {"expected": 5})),
        (409, {"code": "behind", "last": 9, "head": "00"}, (central.BEHIND, {"last": 9})),
        (409, {"code": "counter.used", "last": 77}, (central.COUNTER_USED, {"last": 77})),
        (409, {"code": "epoch", "epoch": 4}, (central.OLD_EPOCH, {"epoch": 4})),
        (413, {"code": "too.long"}, (central.TOO_LONG, {})),
        (400, {"code": "event", "seq": None, "line": 3}, (central.UNREADABLE, {"line": 3})),
        (422, {"code": "fork", "seq": 4, "last": 9}, (central.FORK, {"seq": 4, "last": 9})),
        (401, {"code": "site.unknown"}, (central.SHUT, {"wire": "site.unknown"})),
        (403, {"code": "site.waiting"}, (central.SHUT, {"wire": "site.waiting"})),
        (409, {"code": "gap", "expected": -1}, (central.GAP, {})),
        (409, {"code": "gap", "expected": True}, (central.GAP, {})),
    ],
)
async def test_each_signed_refusal_has_its_code(
    hub: ScriptedHub, client: CentralClient, status: int, content: dict[str, Any], said: tuple[str, dict[str, Any]]
) -> None:
    """With the numbers it carries, where they are numbers."""
    hub.status, hub.content = status, content
    with pytest.raises(RefusedError) as refused:
        await client.upload(Stream.MONEY, b"", 1, 1)
    assert (refused.value.code, refused.value.values) == said


@pytest.mark.parametrize("status", [429, 503])
async def test_patience_is_asked_for_in_seconds(hub: ScriptedHub, client: CentralClient, status: int) -> None:
    """`Retry-After` comes with it."""
    hub.status, hub.headers = status, {"Retry-After": "17"}
    with pytest.raises(UnavailableError) as later:
        await client.state(1)
    assert (later.value.code, later.value.retry_after_seconds) == (central.LATER, 17.0)


async def test_any_flipped_bit_of_an_answer_is_noticed(hub: ScriptedHub, client: CentralClient) -> None:
    """Of its body, its signature, its status: nothing of it is believed."""
    hub.content = {"ack": 3}
    sound = hub(httpx.Request("GET", "https://hub.example.com/", headers={"Edge-Lane": "money", "Edge-Counter": "1"}))
    body = sound.read()
    for bit in range(len(body) * 8):
        hub.spoil = lambda answer, bit=bit: answered(200, flipped(answer.read(), bit), answer.headers)  # type: ignore[misc]
        await assert_forged(client)
    signature = base64.b64decode(sound.headers["Hub-Signature"])
    for bit in range(len(signature) * 8):
        spoilt = base64.b64encode(flipped(signature, bit)).decode()
        hub.spoil = lambda answer, spoilt=spoilt: answered(200, answer.read(), {"Hub-Signature": spoilt})  # type: ignore[misc]
        await assert_forged(client)
    hub.spoil = lambda answer: answered(202, answer.read(), answer.headers)
    await assert_forged(client)


@pytest.mark.parametrize(
    "signed_as", [{"counter": 2}, {"lane": Lane.USAGE}, {"site": "f" * 16}, {"status": 409}, {"body": b"{}"}]
)
async def test_an_answer_to_another_request_is_none(
    hub: ScriptedHub, client: CentralClient, signed_as: dict[str, Any]
) -> None:
    """However truly the hub signed it."""
    hub.content, hub.signed_as = {"ack": 3}, signed_as
    await assert_forged(client)


async def test_who_is_not_the_hub_is_not_believed(hub: ScriptedHub, client: CentralClient) -> None:
    """Neither with another key, nor with none."""
    hub.content, hub.key = {"ack": 3}, SigningKey(b"x" * 32)
    await assert_forged(client)
    hub.spoil = lambda answer: answered(200, answer.read(), {})
    await assert_forged(client)


async def test_what_stands_before_the_hub_may_say_it_is_away(hub: ScriptedHub, client: CentralClient) -> None:
    """A proxy's 502 is no forgery."""
    hub.spoil = lambda _answer: answered(502, b"Bad gateway", {})
    with pytest.raises(UnavailableError) as later:
        await client.state(1)
    assert later.value.code == central.LATER


async def test_a_page_may_be_packed_and_is_never_a_bomb(hub: ScriptedHub, client: CentralClient) -> None:
    """What is longer unpacked than any page is not unpacked."""
    hub.body, hub.headers = gzip.compress(b"one\ntwo\n"), {"Content-Encoding": "gzip"}
    assert await client.page(Stream.MONEY, 0, 1) == [b"one", b"two"]
    hub.body = b""
    hub.headers = {}
    assert await client.page(Stream.MONEY, 2, 2) == []
    hub.body, hub.headers = gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"}
    with pytest.raises(UnavailableError, match="longer"):
        await client.page(Stream.MONEY, 0, 3)


async def test_the_state_is_read(hub: ScriptedHub, client: CentralClient) -> None:
    """Heads of both streams; what is none is no state."""
    head = {"last": 4, "head": "ab" * 32}
    hub.content = {"epoch": 3, "streams": {"money": head, "usage": head}, "confirmed": True, "configVersion": 1}
    state = await client.state(1)
    assert state.heads[Stream.USAGE] == central.Head(4, bytes.fromhex("ab" * 32))
    hub.content = {"epoch": 3, "streams": {"money": head}}
    with pytest.raises(UnavailableError):
        await client.state(2)


async def test_messages_are_read_and_those_that_cannot_be_are_empty(hub: ScriptedHub, client: CentralClient) -> None:
    """A callback whose body is another, an unknown type, a configuration signed for another site: without content."""
    body = '{"Body": {}}'
    digest = hashlib.sha256(body.encode()).hexdigest()
    content = {"packages": [], "gateways": [], "revoked": ["g1"]}
    record = {
        "mpesaReceiptNumber": "SKL41A2B3C",
        "amountCents": 5000,
        "account": "",
        "payer": "",
        "raw": "{}",
    }
    told: list[tuple[str, dict[str, Any]]] = [
        ("callback", {"token": "t", "body": body, "sha256": digest}),
        ("callback", {"token": "t", "body": body + " ", "sha256": digest}),
        ("revoke", {"grant": "g1", "reason": "stolen"}),
        ("revoke", {"grant": 1, "reason": "stolen"}),
        ("later", {}),
        ("config", {"version": 2, **content, "signature": signature(SITE_ID, 2, content)}),
        ("config", {"version": 3, **content, "signature": signature(SITE_ID, 2, content)}),
        ("config", {"version": 2, **content, "signature": signature("f" * 16, 2, content)}),
        ("receipt", {"receipt": "SKL41A2B3C", "found": True, "record": record}),
    ]
    hub.content = {"messages": [{"n": n, "type": kind, "data": data} for n, (kind, data) in enumerate(told, 1)]}
    found = [message.content for message in await client.messages(0, 5, 1)]
    assert found[:5] == [RelayedCallback("t", body.encode()), None, Revocation("g1", "stolen"), None, None]
    config = found[5]
    assert isinstance(config, ConfigSnapshot)
    assert [each.grant_id for each in config.revocations] == ["g1"]
    assert found[6:8] == [None, None]
    receipt = found[8]
    assert isinstance(receipt, ReceiptAnswer)
    assert receipt.record is not None
    assert receipt.record.amount == Money(5000)


async def test_the_time_answers_its_own_question(hub: ScriptedHub, client: CentralClient) -> None:
    """An answer kept from another day does not set a clock."""
    hub.content = {"time": "2026-11-23T10:00:00Z", "nonce": "mine"}
    assert (await client.time("mine", 1)).year == 2026
    with pytest.raises(UnavailableError):
        await client.time("another", 2)


async def test_a_new_key_is_announced_by_the_old_and_proven_by_itself(hub: ScriptedHub, client: CentralClient) -> None:
    """A hub that noted another one has not noted it."""
    signing = SigningKey(b"n" * 32)
    new = EdgeKey(bytes(signing.verify_key), lambda message: bytes(signing.sign(message).signature))
    public = base64.b64encode(new.public).decode()
    hub.content = {"publicKey": public}
    await client.announce_key(new, 1)
    sent = json.loads(hub.seen[0].content)
    assert (hub.seen[0].url.path, sent["publicKey"]) == ("/edge/v1/key", public)
    VerifyKey(new.public).verify(renewal_proof(SITE_ID, SITE.epoch, public), base64.b64decode(sent["proof"]))
    hub.content = {"publicKey": base64.b64encode(KEY.public).decode()}
    with pytest.raises(UnavailableError):
        await client.announce_key(new, 2)


async def test_enrolling_proves_the_key_and_holds_the_hub_to_its_own() -> None:
    """The proof is over code and key; who answers has to hold the key it tells."""
    answer = {
        "site": SITE_ID,
        "epoch": 1,
        "hubKey": base64.b64encode(SITE.hub_key).decode(),
        "callbackBase": "https://hub.example.com/cb/x",
    }
    hub = ScriptedHub()
    hub.content = answer
    async with httpx.AsyncClient(transport=httpx.MockTransport(hub)) as http:
        found = await enrol(http, "https://hub.example.com", "CODE", KEY)
        assert (found.site_id, found.epoch, found.hub_key) == (SITE_ID, 1, SITE.hub_key)
        sent = json.loads(hub.seen[0].content)
        proof = enrolment_proof("CODE", sent["publicKey"])
        VerifyKey(KEY.public).verify(proof, base64.b64decode(sent["proof"]))
        hub.key = SigningKey(b"x" * 32)
        with pytest.raises(UnavailableError):
            await enrol(http, "https://hub.example.com", "CODE", KEY)
        hub.status = 401
        with pytest.raises(RefusedError):
            await enrol(http, "https://hub.example.com", "CODE", KEY)


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>Welcome</html>"), (301, b""), (400, b"<html>"), (403, b"<html>"), (404, b"{}")]
)
async def test_whoever_answers_at_a_mistyped_address_is_no_hub(status: int, body: bytes) -> None:
    """It is not said that the code is wrong, nor that patience helps."""
    hub = ScriptedHub()
    hub.status, hub.body = status, body
    async with httpx.AsyncClient(transport=httpx.MockTransport(hub)) as http:
        with pytest.raises(UnavailableError, match=r"at https://hub\.example\.com is not a hub"):
            await enrol(http, "https://hub.example.com", "CODE", KEY)


async def test_who_tried_too_many_codes_is_told_so() -> None:
    """And not that the hub is busy."""
    hub = ScriptedHub()
    hub.status, hub.content = 429, {"code": "enrol.often", "message": "x"}
    async with httpx.AsyncClient(transport=httpx.MockTransport(hub)) as http:
        with pytest.raises(UnavailableError, match="wrong codes"):
            await enrol(http, "https://hub.example.com", "CODE", KEY)


async def test_nobody_on_the_way_packs_what_the_hub_signed(hub: ScriptedHub, client: CentralClient) -> None:
    """A proxy that packs what it may is offered nothing but the pages that the hub packs itself."""

    def pack(answer: httpx.Response) -> httpx.Response:
        if "gzip" not in hub.seen[-1].headers["Accept-Encoding"] or "Content-Encoding" in answer.headers:
            return answer
        return answered(200, gzip.compress(answer.read()), {**answer.headers, "Content-Encoding": "gzip"})

    hub.spoil = pack
    hub.content = {
        "site": SITE_ID,
        "epoch": 1,
        "hubKey": base64.b64encode(SITE.hub_key).decode(),
        "callbackBase": "https://hub.example.com/cb/x",
    }
    async with httpx.AsyncClient(transport=httpx.MockTransport(hub)) as http:
        assert (await enrol(http, SITE.hub_url, "CODE", KEY)).site_id == SITE_ID
    hub.content = {"ack": 7, "configVersion": 2}
    assert (await client.upload(Stream.MONEY, b"", 9, 41)).ack == 7
    hub.content = {"messages": []}
    assert await client.messages(0, 5, 1) == []
    hub.body, hub.headers = gzip.compress(b"one\n"), {"Content-Encoding": "gzip"}
    assert await client.page(Stream.MONEY, 0, 1) == [b"one"]
    assert hub.seen[-1].headers["Accept-Encoding"] == "gzip"


async def test_a_connection_that_hangs_is_told_from_one_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first makes the next question shorter."""

    async def hang(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    monkeypatch.setattr("easyisp_edge.adapters.central.client._WAIT_GRACE_SECONDS", 0.02)
    for transport, code in ((hang, central.SILENT), (refuse, central.AWAY)):
        async with httpx.AsyncClient(transport=httpx.MockTransport(transport)) as http:
            with pytest.raises(UnavailableError) as error:
                await CentralClient(http, SITE, KEY).messages(0, 0, 1)
            assert error.value.code == code


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://hub.example.com", "https://hub.example.com"),
        (" https://hub.example.com:8443/ ", "https://hub.example.com:8443"),
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700"),
    ],
)
def test_the_hubs_address_has_no_path(text: str, url: str) -> None:
    """Scheme, host and port are kept."""
    assert hub_url(text, development=True) == url


@pytest.mark.parametrize(
    "text", ["hub.example.com", "http://hub.example.com", "https://a@b", "https://a/b", "https://a:x"]
)
def test_what_is_no_address_of_a_hub_is_refused(text: str) -> None:
    """Nor is one in the clear, away from development."""
    with pytest.raises(InvalidError):
        hub_url(text, development=False)


def answered(status: int, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
    return httpx.Response(status, stream=httpx.ByteStream(body), headers=headers)


def flipped(octets: bytes, bit: int) -> bytes:
    return octets[: bit // 8] + bytes([octets[bit // 8] ^ 1 << bit % 8]) + octets[bit // 8 + 1 :]


def signature(site_id: str, version: int, content: dict[str, Any]) -> str:
    return base64.b64encode(HUB.sign(configuration_signed(site_id, version, content)).signature).decode()


async def assert_forged(client: CentralClient) -> None:
    with pytest.raises(UnavailableError) as forged, contextlib.suppress(RefusedError):
        await client.upload(Stream.MONEY, b"", 1, 1)
    assert forged.value.code == central.FORGED
