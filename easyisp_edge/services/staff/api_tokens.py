"""Tokens that a user makes for programs: each with no more than the user may, shown once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.users import ApiToken
from easyisp_edge.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from easyisp_edge.services.staff.login_tokens import digest_of, new_api_token
from easyisp_edge.services.staff.logins import login_over, note

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.permissions import Permission
    from easyisp_edge.domain.users import Caller
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.store.store import Store, Tables

TOKENS_MAX = 50
_LIFE_MOST = timedelta(days=3660)


class MadeToken(NamedTuple):
    """A token that was just made.

    Args:
        token: What is kept of it.
        secret: The token itself, told this once.
    """

    token: ApiToken
    secret: str


@dataclass(frozen=True, slots=True)
class ApiTokens:
    """A user's own tokens for programs.

    Args:
        store: The store.
        clock: Box time.
        identifiers: New ids; its randomness makes the secrets.
    """

    store: Store
    clock: Clock
    identifiers: Identifiers

    def of_user(self, user_id: str) -> list[ApiToken]:
        """A user's tokens, the newest first."""
        return self.store.read.api_tokens.of_user(user_id)

    async def make(
        self, caller: Caller, name: str, permissions: frozenset[Permission], expires_at: datetime | None
    ) -> MadeToken:
        """Make a token.

        Args:
            caller: For whom.
            name: What it is for.
            permissions: What it may do.
            expires_at: When it is over; None for never.

        Raises:
            ForbiddenError: A program asks, or it would be allowed what the user is not.
            InvalidError: It would be over already, or in more than ten years.
            ConflictError: The user has too many.
            UnauthenticatedError: The user has gone meanwhile.
        """
        refuse_programs(caller)
        now = self.clock.now()
        if not permissions <= caller.permissions:
            more = ", ".join(sorted(permissions - caller.permissions))
            raise ForbiddenError("token.beyond_you", f"You may not do this yourself: {more}.")
        if expires_at is not None and not now < expires_at <= now + _LIFE_MOST:
            message = "It has to end in the future, within ten years; leave the end out for none."
            raise InvalidError("token.expires", message, field="expiresAt")
        secret = new_api_token(self.identifiers.randomness)
        token = ApiToken(
            token_id=self.identifiers.ordered(now),
            user_id=caller.user_id,
            name=name,
            permissions=permissions,
            created_at=now,
            expires_at=None if expires_at is None else expires_at.astimezone(UTC),
            used_at=None,
        )
        await self.store.write(lambda tx: _add(tx, caller, token, digest_of(secret)))
        return MadeToken(token, secret)

    async def revoke(self, caller: Caller, token_id: str) -> None:
        """Have a token of the caller's own not taken any more.

        Raises:
            ForbiddenError: A program asks.
            NotFoundError: The caller has no such token.
        """
        refuse_programs(caller)

        def work(tx: Tables) -> None:
            token = next((each for each in tx.api_tokens.of_user(caller.user_id) if each.token_id == token_id), None)
            user = tx.staff_users.by_id(caller.user_id)
            if token is None or user is None:
                raise NotFoundError("token.unknown", "You have no such token.")
            tx.api_tokens.remove(token_id)
            note(tx, "staff.token_revoked", user, caller.name, tokenName=token.name)

        await self.store.write(work)


def refuse_programs(caller: Caller) -> None:
    """Refuse what only a person who is logged in may do.

    Raises:
        ForbiddenError: The caller carries an API token.
    """
    if caller.session_id is None:
        message = "This takes a login with a password: an API token cannot do it."
        raise ForbiddenError("login.needed_in_person", message)


def _add(tx: Tables, caller: Caller, token: ApiToken, digest: bytes) -> None:
    user = tx.staff_users.by_id(caller.user_id)
    if user is None:
        raise login_over()
    if len(tx.api_tokens.of_user(caller.user_id)) >= TOKENS_MAX:
        raise ConflictError("token.too_many", f"You have {TOKENS_MAX} tokens. Revoke one that is not used any more.")
    tx.api_tokens.add(token, digest)
    ends = None if token.expires_at is None else token.expires_at.isoformat()
    note(tx, "staff.token_made", user, caller.name, tokenName=token.name, may=sorted(token.permissions), expiresAt=ends)
