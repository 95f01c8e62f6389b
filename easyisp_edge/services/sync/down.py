"""What the hub has for this box: fetched by a long question, each message taken in one transaction with its number."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.config.urls import callback_url
from easyisp_edge.domain.central import (
    COMMAND_VERBS,
    SILENT,
    Command,
    ConfigSnapshot,
    ReceiptAnswer,
    RelayedCallback,
    Revocation,
    SiteChanged,
)
from easyisp_edge.domain.claims import Refusal
from easyisp_edge.domain.payments import EvidenceSource
from easyisp_edge.domain.sync import Lane
from easyisp_edge.errors import InvalidError, UnavailableError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.services.money.claiming import refuse
from easyisp_edge.services.sync.revoking import revoke_grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.domain.central import DownMessage, SyncSite
    from easyisp_edge.domain.payments import MoneyRecord, PaymentReport
    from easyisp_edge.services.access.granting import AccessService
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.site import Site
    from easyisp_edge.services.sync.central_config import CentralConfigService
    from easyisp_edge.services.sync.link import SyncLink
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)

IDLE_SECONDS = 60.0  # a bell rings when box and hub are in step
WAIT_MOST_SECONDS, WAIT_LEAST_SECONDS = 50, 5
_WAIT_GROWS_SECONDS = 5
# Whoever answers at once that there is nothing is not asked again at once.
TOO_SOON_SECONDS = 2.0
_WORDS_LENGTH = 40


@dataclass(slots=True)
class _Taken:
    """What is to be done once a message is committed.

    Args:
        tenants: Whose routers are to be told.
        look: Whether purchases and claims may be decided now.
        alarm: Kind and words of what is wrong with it.
    """

    tenants: set[str] = field(default_factory=set)
    look: bool = False
    alarm: tuple[str, str] | None = None


@dataclass(slots=True)
class DownService:
    """Takes messages.

    Args:
        link: To the hub.
        settlement: Judges evidence.
        access: Tells routers.
        site: Whose gateways there are; told where callbacks come.
        configs: Takes configurations.
        read_callback: Reads a push's callback; `InvalidError` where it is none.
        read_notice: Reads a notice of a payment; `InvalidError` where it is none.
        look: To be called when receipts or purchases may be decided now.
        tenants: All whose routers are here.
        wait_seconds: How long a question waits at the hub, as the path to it allows.
    """

    link: SyncLink
    settlement: SettlementService
    access: AccessService
    site: Site
    configs: CentralConfigService
    read_callback: Callable[[bytes, EvidenceSource], PaymentReport]
    read_notice: Callable[[bytes], MoneyRecord]
    look: Callable[[], None]
    tenants: Callable[[], set[str]]
    wait_seconds: int = WAIT_MOST_SECONDS

    async def round(self) -> float:
        """Fetch what waits, and take it; gives the seconds until the next question.

        Raises:
            UnavailableError: It has to be tried again.
            RefusedError: The hub will not hear this box.
        """
        site = self.link.site
        if site is None or not self.link.in_step:  # what comes for a purchase that is not back yet would be lost
            return IDLE_SECONDS
        after, wait, began = site.down_after, self.wait_seconds, self.link.clock.monotonic()
        try:
            messages = await self.link.turn(Lane.DOWN, lambda hub, counter: hub.messages(after, wait, counter))
        except UnavailableError as error:
            if error.code == SILENT:  # something on the way forgets connections that are still for so long
                self.wait_seconds = max(WAIT_LEAST_SECONDS, self.wait_seconds // 2)
            raise
        self.wait_seconds = min(WAIT_MOST_SECONDS, self.wait_seconds + _WAIT_GROWS_SECONDS)
        for message in messages:
            if message.number > after and self.link.in_step:
                await self._take(message, site)
                after = message.number
        at_once = after == site.down_after and self.link.clock.monotonic() - began < TOO_SOON_SECONDS
        return TOO_SOON_SECONDS if at_once else 0.0

    async def _take(self, message: DownMessage, site: SyncSite) -> None:
        content = message.content
        if isinstance(content, ConfigSnapshot):
            await self._take_config(message.number, content, site)
            return

        def work(tx: Tables) -> _Taken:
            taken = self._work(tx, message)
            _note(tx, message.number, site)
            return taken

        try:
            taken = await self.link.store.write(work)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one message, those after it have to come
            taken = await self._pass_over(message, site, error)
        await self._follow(taken)
        if isinstance(content, Command):
            self._obey(content)
        if isinstance(content, SiteChanged):
            self.site.relayed_base = (self.link.site or content).callback_base

    async def _pass_over(self, message: DownMessage, site: SyncSite, error: Exception) -> _Taken:
        """Leave a message that cannot be taken, of which nothing remains; a person is told."""
        log.error("message %d of the hub cannot be taken", message.number, exc_info=error)
        await self.link.store.write(lambda tx: _note(tx, message.number, site))
        kind = message.type[:_WORDS_LENGTH]
        return _Taken(alarm=("message", f"Message {message.number} ({kind}) cannot be taken: {error}"))

    def _work(self, tx: Tables, message: DownMessage) -> _Taken:
        content = message.content
        try:
            match content:
                case RelayedCallback():
                    taken = self._take_callback(tx, content)
                case ReceiptAnswer():
                    taken = self._take_receipt(tx, content)
                case Revocation():
                    taken = self._revoke(tx, content)
                case SiteChanged():
                    taken = self._move(tx, content)
                case Command() if content.verb in COMMAND_VERBS:
                    taken = _Taken()
                case _:
                    taken = _Taken(alarm=("message", f"Message {message.number} is none that is obeyed."))
        except InvalidError as error:
            kind = message.type[:_WORDS_LENGTH]
            return _Taken(alarm=("message", f"Message {message.number} ({kind}): {error.message}"))
        return taken

    # --- money

    def _take_callback(self, tx: Tables, relayed: RelayedCallback) -> _Taken:
        """Judge it as though it had come to this box: the secret in its address decides."""
        token = relayed.token.rpartition("/")[2]
        purchase = tx.purchases.by_callback_token(token) if is_secret(token) else None
        if purchase is not None:
            report = self.read_callback(relayed.body, EvidenceSource.STK_CALLBACK_RELAYED)
            self.settlement.judge(tx).settle(purchase.purchase_id, report)
            return _Taken(tenants={purchase.tenant_id}, look=True)
        state = tx.gateways.by_notice_token(token) if is_secret(token) else None
        receiver = None if state is None else self.site.receiver(state.gateway_id)
        if receiver is None:
            raise InvalidError("callback.unknown", "There is nothing at this address.")
        self.settlement.judge(tx).settle_record(receiver, self.read_notice(relayed.body))
        return _Taken(tenants={receiver.tenant_id}, look=True)

    def _take_receipt(self, tx: Tables, answer: ReceiptAnswer) -> _Taken:
        """Book what the hub found in the owner's books; refuse what must be there by now and is not."""
        receipt, judge = answer.mpesa_receipt_number, self.settlement.judge(tx)
        open_claims = tx.claims.open_on(receipt)
        gateway_id = tx.sync.asked_of(receipt) or next((claim.gateway_id for claim in open_claims), "")
        receiver = self.site.receiver(gateway_id)
        if receiver is None:
            raise InvalidError("receipt.unasked", f"Nobody here asked for the receipt {receipt}.")
        if answer.used:
            for claim in open_claims:
                refuse(judge.books, claim, Refusal.USED)
        elif answer.record is not None:
            judge.settle_record(receiver, answer.record)
        elif answer.found is False:
            late = set(tx.sync.waited_long_for(receipt, judge.now))
            for claim in open_claims:
                if claim.claim_id in late:
                    refuse(judge.books, claim, Refusal.UNKNOWN_RECEIPT)
        return _Taken(tenants={receiver.tenant_id}, look=True)

    # --- the rest

    def _revoke(self, tx: Tables, revocation: Revocation) -> _Taken:
        tenant = revoke_grant(tx, revocation, self.link.clock.now())
        if tenant is None:
            raise InvalidError("grant.unknown", "There is no such grant.")
        return _Taken(tenants={tenant})

    def _move(self, tx: Tables, changed: SiteChanged) -> _Taken:
        base = callback_url(changed.callback_base, development=self.site.config.development)
        tx.sync.be_called_at(base)
        return _Taken()

    async def _take_config(self, number: int, snapshot: ConfigSnapshot, site: SyncSite) -> None:
        """A configuration is checked before the transaction that keeps it, and put in force after."""
        tenants, alarm = await self.configs.take(snapshot, lambda tx: _note(tx, number, site))
        await self._follow(_Taken(tenants=tenants, alarm=alarm))

    def _obey(self, command: Command) -> None:
        if command.verb == "sync":
            self.link.ring_all()
        elif command.verb == "look":
            for tenant_id in self.tenants():
                self.access.tell_routers(tenant_id)

    async def _follow(self, taken: _Taken) -> None:
        for tenant_id in taken.tenants:
            self.access.tell_routers(tenant_id)
            self.access.ended.ring()
        if taken.look:
            self.settlement.query_due()
            self.look()
        if taken.alarm is not None:
            await self.link.alarm(*taken.alarm)


def _note(tx: Tables, number: int, site: SyncSite) -> None:
    """Note a message's number, where the box is still who it was for.

    Raises:
        UnavailableError: It is not: its new hub's numbers are others.
    """
    now = tx.sync.site()
    if now is None or (now.site_id, now.hub_url, now.public_key) != (site.site_id, site.hub_url, site.public_key):
        raise UnavailableError("sync.changed", "This box became another one to its hub meanwhile.")
    tx.sync.take_down(number)
