"""Logins of the back office: begun by a password, kept going by refresh tokens, ended."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.users import LOGIN_LIFE, LOST_ANSWER_GRACE, TOKEN_LIFE, StaffLogin, UserStatus
from easyisp_edge.errors import UnauthenticatedError
from easyisp_edge.services.staff.login_tokens import digest_of

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.users import StaffUser
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.staff.login_tokens import LoginTokens, RefreshToken
    from easyisp_edge.store.store import Store, Tables

# Of one user at once; the oldest gives way.
LOGINS_MAX = 20


class Tokens(NamedTuple):
    """What a login carries from now on.

    Args:
        token: For each request.
        refresh_token: For the next ones; it works once.
        expires_in: Seconds that `token` is good for.
    """

    token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True)
class StaffLogins:
    """Logins.

    Args:
        store: The store.
        clock: Box time.
        identifiers: New ids.
        tokens: What logins carry.
    """

    store: Store
    clock: Clock
    identifiers: Identifiers
    tokens: LoginTokens

    def begin(self, tx: Tables, user: StaffUser, source: str) -> Tokens:
        """Begin a login within a transaction; what is over goes, and the oldest where there are too many."""
        now, login_id = self.clock.now(), self.identifiers.secret()
        refresh_token = self.tokens.refresh_token(login_id, 1)
        tx.staff_logins.add(
            StaffLogin(
                login_id=login_id,
                user_id=user.user_id,
                source=source,
                turn=1,
                refresh_digest=digest_of(refresh_token),
                turned_at=now,
                created_at=now,
                ends_at=now + LOGIN_LIFE,
            )
        )
        tx.staff_logins.end_old(user.user_id, LOGINS_MAX, now)
        return self._tokens(user, login_id, refresh_token, now)

    async def refresh(self, refresh_token: str) -> Tokens:
        """New tokens for a refresh token, which works once.

        Who asks again with the one before within half a minute has not got the answer, and gets the same again. Any
        older one was copied by somebody: then the login is over, for whoever carries it.

        Raises:
            UnauthenticatedError: It is none, or its login is over.
        """
        said, now = self.tokens.read_refresh(refresh_token), self.clock.now()
        if said is None:
            raise login_over()
        tokens = await self.store.write(lambda tx: self._turn(tx, said, now))
        if tokens is None:  # said only now, for what it undid has to stay undone
            raise login_over()
        return tokens

    async def log_out(self, user: StaffUser, login_id: str, by: str) -> None:
        """End a login: from now on its tokens are good for nothing."""

        def work(tx: Tables) -> None:
            tx.staff_logins.end(login_id)
            note(tx, "staff.logged_out", user, by)

        await self.store.write(work)

    def _turn(self, tx: Tables, said: RefreshToken, now: datetime) -> Tokens | None:
        """The next tokens; None where the login is over, also where it is over because of this."""
        carried = tx.staff_logins.carried(said.login_id)
        if carried is None or not isinstance(carried.by, StaffLogin):
            return None
        user, login = carried.user, carried.by
        if login.ends_at <= now or user.status is not UserStatus.ACTIVE:
            tx.staff_logins.end(login.login_id)
            return None
        if said.turn == login.turn and hmac.compare_digest(said.digest, login.refresh_digest):
            return self._next(tx, user, login, now)
        if said.turn == login.turn - 1 and now - login.turned_at <= LOST_ANSWER_GRACE:
            return self._tokens(user, login.login_id, self.tokens.refresh_token(login.login_id, login.turn), now)
        tx.staff_logins.end(login.login_id)
        note(tx, "staff.login_ended", user, user.email, reason="an old refresh token was used again")
        return None

    def _next(self, tx: Tables, user: StaffUser, login: StaffLogin, now: datetime) -> Tokens:
        refresh_token = self.tokens.refresh_token(login.login_id, login.turn + 1)
        tx.staff_logins.update(
            replace(
                login,
                turn=login.turn + 1,
                refresh_digest=digest_of(refresh_token),
                turned_at=now,
                ends_at=now + LOGIN_LIFE,
            )
        )
        return self._tokens(user, login.login_id, refresh_token, now)

    def _tokens(self, user: StaffUser, login_id: str, refresh_token: str, now: datetime) -> Tokens:
        return Tokens(self.tokens.sign(user, login_id, now), refresh_token, int(TOKEN_LIFE.total_seconds()))


def note(tx: Tables, kind: str, user: StaffUser, by: str, **more: object) -> None:
    """Note what happened to a user; never a password, a hash or a token."""
    data = {"by": by, "tenant": user.tenant_id, "email": user.email, **more}
    tx.events.append(Stream.MONEY, kind, user.user_id, data)


def login_over() -> UnauthenticatedError:
    """What is said of a login that has ended, or never was."""
    return UnauthenticatedError("login.ended", "This login is over. Log in again.")
