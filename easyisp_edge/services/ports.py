"""The outside parties, as the services need them. Adapters keep these promises; they meet in `daemon.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from easyisp_edge.domain.central import DownMessage, EdgeKey, HubState, Stored
    from easyisp_edge.domain.events import Stream
    from easyisp_edge.domain.payments import MoneyRecord, PaymentReport, PromptAccepted, StkPush
    from easyisp_edge.domain.routers import (
        ActiveSession,
        DevicesSeen,
        FoundUser,
        HotspotCookie,
        HotspotHost,
        RouterState,
        UserProfile,
        WantedUser,
    )
    from easyisp_edge.domain.values import MacAddress, Money, Msisdn


class PaymentGateway(Protocol):
    """One way to be paid by customers: to ask for money, and to hear what came in."""

    async def stk_push(self, push: StkPush) -> PromptAccepted:
        """Ask for the customer's phone to be prompted for a PIN; accepted is not paid.

        Raises:
            UnavailableError: The gateway was not reached, or was too busy to take it; nothing was sent.
            RefusedError: The gateway said no; no prompt. `code` is a `Reason`.
            OutcomeUnknownError: No answer in time; the prompt may be on the phone. Never to be repeated.
        """

    async def check_credentials(self) -> None:
        """Have the gateway say now that it takes our keys; nothing is asked of any customer.

        Raises:
            UnavailableError: The gateway was not reached, or too busy to say.
            RefusedError: It does not take them.
        """

    async def query_turn(self) -> None:
        """Wait for the next place in the pace that all queries share; the query is to follow at once."""

    async def stk_query(self, checkout_request_id: str) -> PaymentReport:
        """Ask what became of a push; `query_turn` comes first.

        Raises:
            UnavailableError: No answer that says anything; ask again later.
            RefusedError: Asking is refused (credentials, set-up); an operator must look.
        """

    async def register_pull(self, nominated: Msisdn, callback_url: str) -> None:
        """Have what is paid listed for `pull_transactions`; once is enough, again is fine.

        Args:
            nominated: The phone number the gateway has on file for the receiver.
            callback_url: An address of ours; demanded, and nothing is known to be posted to it.

        Raises:
            InvalidError: The address is none the gateway takes; nothing was sent.
            UnavailableError: No answer that says anything; try again later.
            RefusedError: The gateway said no; an operator must look.
        """

    async def pull_transactions(self, since: datetime, until: datetime) -> list[MoneyRecord]:
        """What customers paid in a span of time, each receipt once, in no order to rely on.

        A payment may show some minutes late, and is gone after 48 hours: spans are to overlap, and what is told
        again is to be known by its receipt. A record's `paid_at` may be three hours early, and may lie outside of the
        span. An empty list may also mean that nothing was registered.

        Args:
            since: Aware.
            until: Aware, at most 48 hours later.

        Raises:
            InvalidError: It is no such span; nothing was sent.
            UnavailableError: No whole list; ask again later. With code `pull.too_much` only a shorter span helps;
                with `pull.failed` the list failed, or there was nothing to list.
            RefusedError: Asking is refused (credentials, set-up); an operator must look.
        """

    async def register_urls(self, confirmation_url: str, validation_url: str) -> None:
        """Have what is paid posted to us, whoever began it; in production possible once per receiver.

        Args:
            confirmation_url: Where payments are posted.
            validation_url: Where leave for a payment is asked; payments go through when nothing answers.

        Raises:
            InvalidError: An address is none the gateway takes; nothing was sent.
            UnavailableError: The gateway was not reached or too busy; nothing was registered.
            RefusedError: The gateway said no; `c2b.registered` where addresses stand that have to be removed first.
            OutcomeUnknownError: They may be registered; if so, the next try is refused with `c2b.registered`.
        """

    async def dynamic_qr(self, *, merchant_name: str, reference: str, amount: Money, pixels: int) -> bytes:
        """A picture (PNG) that customers scan to pay an amount; it stays good, so it may be printed and kept.

        Args:
            merchant_name: Shown to the payer, 1 to 50 characters.
            reference: What the payment carries as account, 1 to 20 characters.
            amount: Whole shillings.
            pixels: Width and height, 50 to 1000.

        Raises:
            InvalidError: A limit is broken; nothing was sent.
            UnavailableError: No picture came; ask again later.
            RefusedError: The gateway said no; an operator must look.
        """


class HotspotRouter(Protocol):
    """One MikroTik, by its API. Every call raises `UnavailableError` when the router is not reached in time.

    Whatever was under way then may or may not have happened on the router: the next round looks.
    """

    async def observe(self) -> RouterState:
        """Read what stands on the router: our profiles and users, all active sessions and hosts.

        It is the one question that takes long where there are thousands of users.

        Raises:
            RefusedError: The router does not let us read; so do all that only read.
        """

    async def observe_devices(self) -> DevicesSeen:
        """Read who is on and who is seen: all active sessions and hosts."""

    async def users_named(self, names: Collection[str]) -> dict[str, FoundUser]:
        """Read our users of those names, by name."""

    async def sessions_by(
        self, *, users: Collection[str] = (), macs: Collection[MacAddress] = ()
    ) -> tuple[ActiveSession, ...]:
        """Read the active sessions of those users and those devices."""

    async def hosts_of(self, macs: Collection[MacAddress]) -> tuple[HotspotHost, ...]:
        """Read those devices of those it sees."""

    async def cookies(self) -> tuple[HotspotCookie, ...]:
        """Read all logins it remembers for devices, whoever's they are."""

    async def remove_cookie(self, item_id: str) -> None:
        """Forget a remembered login; gone already is fine."""

    async def forget_device(self, user: str, mac: MacAddress | None) -> None:
        """Forget what it remembers of a device's login as that user, or of any device's; nothing is fine."""

    async def our_bindings(self) -> tuple[str, ...]:
        """Read the ids of the ip-bindings that carry our mark."""

    async def remove_binding(self, item_id: str) -> None:
        """Take a binding of ours away; gone already is fine."""

    async def put_profile(self, profile: UserProfile) -> None:
        """Make or set a user profile of ours."""

    async def put_user(self, user: WantedUser, found: FoundUser | None) -> None:
        """Make a user of ours, or set the one found; its counters stay."""

    async def remove_user(self, found: FoundUser) -> None:
        """Take a user of ours away, with its cookies; gone already is fine."""

    async def login(self, *, username: str, password: str, mac: MacAddress, address: str) -> None:
        """Log a device in as though it had sent the login form; already in is fine.

        Raises:
            RefusedError: The router said no; the message is the router's.
            ConflictError: Not at this moment: it does not see the device, or is busy with it; a later round will.
        """

    async def logout(self, item_id: str) -> None:
        """End an active session; gone already is fine."""


SessionT_contra = TypeVar("SessionT_contra", contravariant=True)


class SessionControl(Protocol[SessionT_contra]):
    """Sessions that routers run, ended there at our word, without the RouterOS API.

    What names a session is the adapter's own, since the router and its secret are part of it; the daemon makes it.
    A call may take ten seconds where a router is silent, and longer where many are under way to it.
    """

    async def disconnect(self, session: SessionT_contra) -> None:
        """End a session; the device may log in again unless logins are refused too.

        Raises:
            ConflictError: The router has no such session (`coa.no_session`): what was wanted is so.
            RefusedError: The router said no.
            UnavailableError: The router did not answer; the session may have ended. Go by its API.
        """


class Central(Protocol):
    """The hub, for a box that is enrolled there.

    Every call takes a `counter`, above all before it in its lane. It raises `UnavailableError` where nobody who is
    the hub answered anything that says something (nothing is known then; the same may be asked again), and
    `RefusedError` with a code of `domain.central` where the hub itself refuses.
    """

    async def upload(self, stream: Stream, body: bytes, own_last: int, counter: int) -> Stored:
        """Send a batch of a stream, packed by gzip.

        Args:
            stream: Which.
            body: Lines.
            own_last: The number of the last event there is here.
            counter: Of the stream's lane.
        """

    async def keep_fork(self, stream: Stream, body: bytes, counter: int) -> None:
        """Have lines kept that the hub knows otherwise; packed, as a batch."""

    async def state(self, counter: int) -> HubState:
        """How far the hub has come with this box."""

    async def page(self, stream: Stream, after: int, counter: int) -> list[bytes]:
        """The next events the hub has after a number, in order; none where there are none."""

    async def begin_epoch(self, epoch: int, counter: int) -> int:
        """Begin a new life of the site; gives the one it is in then."""

    async def announce_key(self, key: EdgeKey, counter: int) -> None:
        """Have the hub take that key from its first request on; until then the present one holds."""

    async def messages(self, after: int, wait_seconds: int, counter: int) -> list[DownMessage]:
        """What waits after a number; waits so long for it. A connection that hangs is `SILENT`."""

    async def look_up(self, mpesa_receipt_number: str, short_code: str, counter: int) -> None:
        """Have a receipt looked up; the answer comes as a message."""

    async def time(self, nonce: str, counter: int) -> datetime:
        """What time it is, answering that nonce."""
