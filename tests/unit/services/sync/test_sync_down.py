"""What a hub sends down: each message taken once, with its number, and judged as though it had come by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from easyisp_edge.adapters.daraja.c2b import parse_c2b
from easyisp_edge.adapters.daraja.messages import parse_stk_callback
from easyisp_edge.domain.central import (
    SILENT,
    Command,
    ConfigSnapshot,
    DownMessage,
    ReceiptAnswer,
    RelayedCallback,
    Revocation,
    SiteChanged,
    SyncPhase,
)
from easyisp_edge.domain.claims import ClaimState, Refusal
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.sync.asks import AskService
from easyisp_edge.services.sync.central_config import TRIAL_SECONDS, CentralConfigService
from easyisp_edge.services.sync.down import TOO_SOON_SECONDS, WAIT_LEAST_SECONDS, WAIT_MOST_SECONDS, DownService
from easyisp_edge.services.sync.link import SyncLink
from tests.fakes.central import SITE, FakeCentral
from tests.fakes.clocks import SeededRandomness
from tests.fakes.gateway import CHECKOUT, RECEIPT, money_record
from tests.unit.claims_stage import TODAY, open_claims_stage
from tests.unit.shop import GATEWAY, HOUR, RECEIVER, TENANT, TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.central import DownContent
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables
    from tests.unit.claims_stage import ClaimsStage

_TOLD = {"Amount": 10.0, "MpesaReceiptNumber": RECEIPT, "PhoneNumber": 254712345678}
_CALLBACK = {
    "MerchantRequestID": "29115-1",
    "CheckoutRequestID": CHECKOUT,
    "ResultCode": 0,
    "ResultDesc": "ok",
    "CallbackMetadata": {"Item": [{"Name": name, "Value": value} for name, value in _TOLD.items()]},
}
PAID = json.dumps({"Body": {"stkCallback": _CALLBACK}}).encode()


class Below:
    """The way down over open books, with a hub in memory."""

    def __init__(self, stage: ClaimsStage) -> None:
        self.stage, self.hub = stage, FakeCentral()
        books = stage.books
        self.published: list[ConfigSnapshot | None] = []
        self.refuse = False
        self.looks = 0
        self.site = cast(
            "Site",
            SimpleNamespace(
                config=SimpleNamespace(
                    development=False, gateways=[SimpleNamespace(id=GATEWAY, pull=None, shortcode="174379")]
                ),
                receiver=lambda gateway_id: RECEIVER if gateway_id == GATEWAY else None,
                relayed_base="",
            ),
        )
        self.link = SyncLink(
            store=books.store,
            clock=books.clock,
            randomness=SeededRandomness(),
            connect=lambda _site: self.hub,
        )
        self.configs = CentralConfigService(books.store, books.clock, self._publish, self._in_force)
        self.down = DownService(
            link=self.link,
            settlement=stage.settlement,
            access=AccessService(books.store, books.clock, {}, {}),
            site=self.site,
            configs=self.configs,
            read_callback=parse_stk_callback,
            read_notice=lambda body: parse_c2b(body).record,
            look=self._look,
            tenants=lambda: {TENANT},
        )

    async def begin(self) -> None:
        await self.stage.books.store.write(lambda tx: tx.sync.enrol(SITE))
        await self.stage.books.store.write(lambda tx: tx.sync.come_to(SyncPhase.IN_STEP))
        self.link.in_step = True

    async def send(self, *contents: DownContent | None) -> None:
        """Messages after the last, and the question that fetches them."""
        after = self.after
        self.hub.down.append([DownMessage(after + at, "a type", content) for at, content in enumerate(contents, 1)])
        await self.down.round()

    @property
    def after(self) -> int:
        site = self.link.site
        assert site is not None
        return site.down_after

    def kinds(self) -> list[str]:
        return [alarm.kind for alarm in self.stage.books.store.read.alarms.all()]

    def _publish(self, snapshot: ConfigSnapshot | None) -> None:
        if self.refuse:
            raise InvalidError("config.invalid", "package[1].speed: no speed")
        self.published.append(snapshot)

    async def _in_force(self) -> None:
        return

    def _look(self) -> None:
        self.looks += 1


@pytest.fixture
async def below(tmp_path: Path) -> AsyncIterator[Below]:
    async with open_claims_stage(tmp_path) as stage:
        below = Below(stage)
        await below.begin()
        yield below


def relayed(token: str = TOKEN, body: bytes = PAID) -> RelayedCallback:
    return RelayedCallback(token, body)


@pytest.mark.parametrize("token", [TOKEN, f"c/{TOKEN}"])
async def test_a_relayed_callback_settles_its_purchase_once(below: Below, token: str) -> None:
    """The secret in the address decides; told again it changes nothing."""
    purchase = await below.stage.prompt()
    await below.send(relayed(token), relayed(token))
    assert below.stage.payment(RECEIPT).amount == HOUR.price
    evidence = below.stage.books.store.read.evidence
    assert evidence.count(purchase.purchase_id, EvidenceSource.STK_CALLBACK_RELAYED) == 2
    assert (below.after, below.looks) == (2, 2)


@pytest.mark.parametrize("spoilt", [relayed("f" * 32), relayed("no token"), relayed(TOKEN, b"{}"), None])
async def test_what_cannot_be_taken_is_passed_over_and_told(below: Below, spoilt: RelayedCallback | None) -> None:
    """An unknown secret, a body that is no callback, a message this release cannot read: what follows is taken."""
    await below.stage.prompt()
    await below.send(spoilt, relayed())
    assert below.stage.payment(RECEIPT).amount == HOUR.price
    assert (below.after, below.kinds()) == (2, ["message"])


async def test_a_message_and_its_number_are_one_transaction(below: Below, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk does not take it, it is fetched again, and nothing of it stands."""
    await below.stage.prompt()

    def full(_self: object, _number: int) -> None:
        raise UnavailableError("store.not_written", "The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr("easyisp_edge.store.sync_state.SyncTable.take_down", full)
        with pytest.raises(UnavailableError):
            await below.send(relayed())
    assert below.after == 0
    assert below.stage.books.store.read.payments.by_receipt(RECEIPT) is None
    await below.send(relayed())
    assert below.stage.payment(RECEIPT).amount == HOUR.price


@pytest.mark.parametrize("error", [ConflictError("x", "No."), NotFoundError("x", "No."), ValueError("a bug")])
async def test_a_message_that_cannot_be_taken_stops_none_behind_it(
    below: Below, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Nothing of it remains but its number and an alarm; the daemon lives on."""
    await below.stage.prompt()

    def spoilt(tx: Tables, _revocation: object, _now: object) -> None:
        tx.events.append(Stream.MONEY, "half.done", "x", {})
        raise error

    monkeypatch.setattr("easyisp_edge.services.sync.down.revoke_grant", spoilt)
    await below.send(Revocation("grant", "why"), relayed())
    assert below.stage.payment(RECEIPT).amount == HOUR.price
    assert (below.after, below.kinds()) == (2, ["message"])
    assert below.stage.books.store.read.events.of_key("x") == []


async def test_a_message_to_who_the_box_was_is_not_taken(below: Below, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enrolled elsewhere while an answer was gone through: its number would hide the new hub's first messages."""
    messages = below.hub.messages

    async def enrolled_meanwhile(after: int, wait_seconds: int, counter: int) -> list[DownMessage]:
        found = await messages(after, wait_seconds, counter)
        below.stage.books.store.writing(lambda tx: tx.sync.enrol(replace(SITE, site_id="f" * 16)))
        return found

    monkeypatch.setattr(below.hub, "messages", enrolled_meanwhile)
    with pytest.raises(UnavailableError, match="another one"):
        await below.send(Command("sync"))
    assert below.after == 0


async def test_messages_that_were_taken_are_passed_over(below: Below) -> None:
    """However often a hub sends them; and those between may be missing, which it had forgotten."""
    below.hub.down.append([DownMessage(7, "command", Command("sync")), DownMessage(9, "command", Command("look"))])
    await below.down.round()
    assert below.after == 9
    below.hub.down.append([DownMessage(7, "command", Command("dance")), DownMessage(9, "command", Command("dance"))])
    await below.down.round()
    assert (below.after, below.kinds()) == (9, [])


async def test_nothing_is_fetched_while_the_box_is_behind(below: Below) -> None:
    """A callback for a purchase that is not back yet would be lost."""
    below.link.in_step = False
    await below.down.round()
    assert below.hub.waits == []


async def test_a_path_that_forgets_connections_is_asked_in_shorter_ones(below: Below) -> None:
    """Halved at each hang, and longer again slowly."""
    for _ in range(6):
        below.hub.down.append(UnavailableError(SILENT, "nothing"))
        with pytest.raises(UnavailableError):
            await below.down.round()
    assert below.hub.waits == [50, 25, 12, 6, 5, 5]
    for _ in range(20):
        await below.down.round()
    assert (below.hub.waits[6], below.hub.waits[7], below.hub.waits[-1]) == (WAIT_LEAST_SECONDS, 10, WAIT_MOST_SECONDS)


async def test_whoever_answers_at_once_with_nothing_is_asked_later(below: Below) -> None:
    """Nor whoever sends again and again what was taken: no question follows another without a pause."""
    assert await below.down.round() == TOO_SOON_SECONDS
    below.hub.down.append([DownMessage(1, "command", Command("look"))])
    assert await below.down.round() == 0.0
    below.hub.down.append([DownMessage(1, "command", Command("look"))])
    assert await below.down.round() == TOO_SOON_SECONDS


async def test_other_verbs_are_refused(below: Below) -> None:
    """Only what stands on the list is ever done."""
    await below.send(Command("format"))
    assert (below.after, below.kinds()) == (1, ["message"])


async def test_the_hub_may_move_where_callbacks_come(below: Below) -> None:
    """To an address M-Pesa takes; to no other."""
    await below.send(SiteChanged("https://other.example.com/cb/x"))
    assert below.site.relayed_base == "https://other.example.com/cb/x"
    await below.send(SiteChanged("http://10.0.0.1/cb"))
    assert below.site.relayed_base == "https://other.example.com/cb/x"
    assert below.kinds() == ["message"]


async def test_a_revoked_grant_ends_once(below: Below) -> None:
    """With the hub's reason; one that is not here is told."""
    await below.stage.prompt()
    await below.send(relayed())
    payment = below.stage.payment(RECEIPT)
    grant = below.stage.books.store.read.grants.by_payment(payment.payment_id)
    assert grant is not None
    await below.send(Revocation(grant.grant_id, "stolen"), Revocation(grant.grant_id, "stolen"))
    assert below.stage.grant(grant.grant_id).state is GrantState.ENDED
    types = below.stage.books.store.read.events.of_key(grant.grant_id)
    assert types.count("grant.revoked") == 1
    await below.send(Revocation("nobody's", "stolen"))
    assert below.kinds() == ["message"]


# Receipts


async def test_a_receipt_that_the_hub_found_decides_its_claim(below: Below) -> None:
    """It is asked for once, by the gateway's short code, and its money is booked by the hub's word."""
    below.stage.unlisted()
    claim = await below.stage.paste()
    asks = AskService(below.link, below.site)
    await asks.round()
    await asks.round()
    assert below.hub.asked == [(TODAY, "174379")]
    await below.send(
        ReceiptAnswer(TODAY, found=True, record=money_record(receipt=TODAY, source=EvidenceSource.CENTRAL))
    )
    assert below.stage.claim(claim.claim_id).state is ClaimState.GRANTED
    await asks.round()
    assert len(below.hub.asked) == 1


async def test_money_that_another_site_had_buys_nothing(below: Below) -> None:
    """Two sites share a short code: the receipt is good once."""
    below.stage.unlisted()
    claim = await below.stage.paste()
    record = money_record(receipt=TODAY, source=EvidenceSource.CENTRAL)
    await below.send(ReceiptAnswer(TODAY, found=True, record=record, used=True))
    found = below.stage.claim(claim.claim_id)
    assert (found.state, found.reason) == (ClaimState.REFUSED, Refusal.USED)


async def test_a_receipt_nobody_knows_is_refused_only_once_it_must_show(below: Below) -> None:
    """M-Pesa may take a quarter of an hour; where nobody could tell, the claim waits on."""
    below.stage.unlisted()
    claim = await below.stage.paste()
    await below.send(ReceiptAnswer(TODAY, found=False, record=None))
    below.stage.pass_by(20 * 60)
    await below.send(ReceiptAnswer(TODAY, found=None, record=None))
    assert below.stage.claim(claim.claim_id).state is ClaimState.VERIFYING
    await below.send(ReceiptAnswer(TODAY, found=False, record=None))
    assert below.stage.claim(claim.claim_id).reason is Refusal.UNKNOWN_RECEIPT


async def test_an_answer_nobody_asked_for_books_nothing(below: Below) -> None:
    """Whose money it would be cannot be told."""
    await below.send(ReceiptAnswer(TODAY, found=True, record=money_record(receipt=TODAY)))
    assert below.stage.books.store.read.payments.by_receipt(TODAY) is None
    assert below.kinds() == ["message"]


# Configurations


def snapshot(version: int, **content: Any) -> ConfigSnapshot:
    return ConfigSnapshot(version, {"packages": [], "gateways": [], "revoked": [], **content}, "signature")


async def test_a_configuration_is_on_trial_for_five_minutes(below: Below) -> None:
    """And good after them; an older one that comes late changes nothing."""
    await below.send(snapshot(2))
    central = below.stage.books.store.read.central
    assert (central.in_force(), central.on_trial()) == (snapshot(2), 2)
    await below.configs.round()
    below.stage.pass_by(TRIAL_SECONDS)
    await below.configs.round()
    assert central.on_trial() is None
    await below.send(snapshot(1), snapshot(2))
    assert below.published == [snapshot(2)]
    assert below.after == 3


async def test_a_hub_of_an_old_copy_is_told_of(below: Below) -> None:
    """It counts its configurations from where it was: what it publishes is not used, and a person knows why."""
    await below.send(snapshot(5))
    await below.send(snapshot(5))
    assert below.kinds() == []
    await below.send(snapshot(3))
    assert (below.published, below.kinds()) == ([snapshot(5)], ["config.old"])


async def test_another_configuration_of_a_number_this_box_had_is_told_of(below: Below) -> None:
    """The first that a hub of an old copy publishes may have the number of the last before: it is not taken for it."""
    await below.send(snapshot(5))
    await below.send(snapshot(5, packages=[{"id": "1w"}]))
    assert (below.published, below.kinds()) == ([snapshot(5)], ["config.old"])
    (alarm,) = below.stage.books.store.read.alarms.all()
    assert "until the version is above 5" in alarm.detail


async def test_death_within_the_trial_brings_the_one_before_back(below: Below) -> None:
    """But not a power cut, nor an orderly end: those say nothing against it."""
    store = below.stage.books.store
    await below.send(snapshot(1))
    below.stage.pass_by(TRIAL_SECONDS)
    await below.configs.round()
    await below.configs.round()
    below.stage.pass_by(TRIAL_SECONDS)
    await below.configs.round()
    await below.send(snapshot(2))
    assert await store.write(lambda tx: tx.central.begin_life("another boot")) is None
    await below.configs.rest()
    assert await store.write(lambda tx: tx.central.begin_life("another boot")) is None
    assert await store.write(lambda tx: tx.central.begin_life("another boot")) == 2
    assert store.read.central.in_force() == snapshot(1)
    assert store.read.central.withdrawn() == [2]


async def test_a_refused_configuration_leaves_what_was(below: Below) -> None:
    """It is kept as refused, and a person is told why."""
    await below.send(snapshot(1))
    below.refuse = True
    await below.send(snapshot(2))
    assert below.stage.books.store.read.central.in_force() == snapshot(1)
    assert (below.kinds(), below.after) == (["config.refused"], 2)


def test_the_callback_of_these_tests_is_one() -> None:
    """Else they would prove nothing."""
    report = parse_stk_callback(PAID, EvidenceSource.STK_CALLBACK_RELAYED)
    assert (report.mpesa_receipt_number, report.amount) == (RECEIPT, HOUR.price)
