"""Who carries a token: looked up at each request, so that whoever is shut out is out at once."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.domain.users import ApiToken, Caller, StaffLogin, UserStatus
from easyisp_edge.errors import UnauthenticatedError, UnavailableError
from easyisp_edge.services.staff.login_tokens import API_TOKEN_PREFIX, digest_of
from easyisp_edge.services.staff.logins import login_over
from easyisp_edge.services.staff.sign_in import is_of_site

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.users import StaffUser
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.site import Site
    from easyisp_edge.services.staff.login_tokens import LoginTokens
    from easyisp_edge.store.store import Store

USE_NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StaffGate:
    """Knows callers by the tokens they carry.

    Args:
        store: The store.
        clock: Box time.
        tokens: Reads signed tokens.
        site: Which tenants there are.
    """

    store: Store
    clock: Clock
    tokens: LoginTokens
    site: Site

    async def caller_of(self, token: str) -> Caller:
        """Who carries a token.

        Raises:
            UnauthenticatedError: Nobody who may come in (any more).
        """
        if token.startswith(API_TOKEN_PREFIX):
            return await self._by_api_token(token)
        return self._by_login(token)

    def _by_login(self, token: str) -> Caller:
        said = self.tokens.read(token, self.clock.now())  # a login outlives each token of its own
        carried = self.store.read.staff_logins.carried(said.login_id)
        if carried is None or not isinstance(carried.by, StaffLogin) or carried.user.user_id != said.user_id:
            raise login_over()
        user = self._let_in(carried.user)
        return Caller(user.user_id, user.email, user.tenant_id, user.role, user.permissions, carried.by.login_id)

    async def _by_api_token(self, token: str) -> Caller:
        now = self.clock.now()
        carried = self.store.read.api_tokens.carried(digest_of(token)) if token.isascii() else None
        if carried is None or not isinstance(carried.by, ApiToken) or carried.by.is_over(now):
            raise UnauthenticatedError("token.unknown", "This token is not known here, or is over.")
        user, own = self._let_in(carried.user), carried.by
        await self._note_use(own, now)
        return Caller(
            user.user_id, f"{user.email} ({own.name})", user.tenant_id, user.role, user.permissions & own.permissions
        )

    async def _note_use(self, token: ApiToken, now: datetime) -> None:
        """Note it at most once an hour; a disk that takes nothing keeps nobody from looking."""
        if token.used_at is None or now - token.used_at >= USE_NOTED_EVERY:
            with contextlib.suppress(UnavailableError):
                await self.store.write(lambda tx: tx.api_tokens.used(token.token_id, now))

    def _let_in(self, user: StaffUser) -> StaffUser:
        if user.status is not UserStatus.ACTIVE or not is_of_site(self.site, user.tenant_id):
            raise login_over()
        return user
