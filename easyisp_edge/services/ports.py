"""The outside parties, as the services need them. Adapters keep these promises; they meet in `daemon.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from easyisp_edge.domain.payments import PaymentReport, PromptAccepted, StkPush
    from easyisp_edge.domain.routers import FoundUser, RouterState, UserProfile, WantedUser
    from easyisp_edge.domain.values import MacAddress


class PaymentGateway(Protocol):
    """One way to ask a customer for money."""

    async def stk_push(self, push: StkPush) -> PromptAccepted:
        """Ask for the customer's phone to be prompted for a PIN; accepted is not paid.

        Raises:
            UnavailableError: The gateway was not reached, or was too busy to take it; nothing was sent.
            RefusedError: The gateway said no; no prompt. `code` is a `Reason`.
            OutcomeUnknownError: No answer in time; the prompt may be on the phone. Never to be repeated.
        """

    async def query_turn(self) -> None:
        """Wait for the next place in the pace that all queries share; the query is to follow at once."""

    async def stk_query(self, checkout_request_id: str) -> PaymentReport:
        """Ask what became of a push; `query_turn` comes first.

        Raises:
            UnavailableError: No answer that says anything; ask again later.
            RefusedError: Asking is refused (credentials, set-up); an operator must look.
        """


class HotspotRouter(Protocol):
    """One MikroTik, by its API. Every call raises `UnavailableError` when the router is not reached in time.

    Whatever was under way then may or may not have happened on the router: the next round looks.
    """

    async def observe(self) -> RouterState:
        """Read what stands on the router: our profiles and users, all active sessions and hosts."""

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
