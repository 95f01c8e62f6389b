"""Logging in to the back office and out again, own passwords, and tokens for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.permissions import Permission
from easyisp_edge.services.staff.api_tokens import refuse_programs
from easyisp_edge.web.admin.operations import Door, operation
from easyisp_edge.web.admin.people import (
    Credentials,
    Done,
    LoginModel,
    MadeTokenModel,
    NewTokenModel,
    PasswordModel,
    RefreshModel,
    TokenModel,
    TokenPair,
    UserModel,
)
from easyisp_edge.web.askers import source_of

if TYPE_CHECKING:
    from easyisp_edge.domain.users import Caller
    from easyisp_edge.services.staff.api_tokens import ApiTokens
    from easyisp_edge.services.staff.sign_in import SignIn
    from easyisp_edge.services.staff.users import StaffUsers
    from easyisp_edge.web.admin.operations import Call


@dataclass(frozen=True, slots=True)
class AuthArea:
    """Who comes in, and with what.

    Args:
        sign_in: Lets users in.
        users: Users.
        tokens: Tokens for programs.
    """

    sign_in: SignIn
    users: StaffUsers
    tokens: ApiTokens

    @operation(
        "POST",
        "/api/auth/login",
        needs=Door.OPEN,
        body=Credentials,
        answers=LoginModel,
        refusals=(401, 403, 429),
        of_tenant=False,
    )
    async def log_in(self, call: Call) -> LoginModel:
        """Log in.

        A wrong e-mail address and a wrong password are answered the same, `login.wrong`. After too many of either,
        nobody is listened to for a while (`login.locked`).
        """
        given = call.body(Credentials)
        user, pair = await self.sign_in.log_in(given.email, given.password, source_of(call.request))
        return LoginModel(user=UserModel.of(user), **pair._asdict())

    @operation(
        "POST",
        "/api/auth/refresh",
        needs=Door.OPEN,
        body=RefreshModel,
        answers=TokenPair,
        refusals=(401,),
        of_tenant=False,
    )
    async def refresh_login(self, call: Call) -> TokenPair:
        """Get the next pair of tokens.

        A refresh token works once. Whoever gets no answer asks again within half a minute and gets the same; any
        later use of an old one ends the login, for then two carry it.
        """
        pair = await self.sign_in.logins.refresh(call.body(RefreshModel).refresh_token)
        return TokenPair(**pair._asdict())

    @operation("POST", "/api/auth/logout", needs=Door.SIGNED_IN, answers=Done, of_tenant=False)
    async def log_out(self, call: Call) -> Done:
        """Log out.

        The login's tokens are good for nothing from now on. An API token is revoked instead.
        """
        login_id = _login_of(call.caller)
        user = self.users.user(call.caller.user_id, None)
        await self.sign_in.logins.log_out(user, login_id, call.by)
        return Done(message="You are logged out.")

    @operation("GET", "/api/auth/me", needs=Door.SIGNED_IN, answers=UserModel, of_tenant=False)
    async def show_me(self, call: Call) -> UserModel:
        """Show who asks, and what this login or token may do."""
        return UserModel.of(self.users.user(call.caller.user_id, None), call.caller.permissions)

    @operation(
        "PUT",
        "/api/auth/password",
        needs=Permission.SETTINGS_PASSWORD,
        body=PasswordModel,
        answers=Done,
        refusals=(429,),
        of_tenant=False,
    )
    async def change_my_password(self, call: Call) -> Done:
        """Change your own password.

        Your other logins are over; API tokens stay.
        """
        login_id, given = _login_of(call.caller), call.body(PasswordModel)
        words, source = (given.old_password, given.new_password), source_of(call.request)
        await self.sign_in.change_password(call.caller.user_id, login_id, words, source)
        return Done(message="The password is changed. Other logins of yours are over.")

    @operation("GET", "/api/auth/tokens", needs=Door.SIGNED_IN, answers=list[TokenModel], of_tenant=False)
    async def list_my_tokens(self, call: Call) -> list[TokenModel]:
        """List your tokens for programs, the newest first."""
        return [TokenModel.of(each) for each in self.tokens.of_user(call.caller.user_id)]

    @operation(
        "POST",
        "/api/auth/tokens",
        needs=Permission.SETTINGS_PASSWORD,
        body=NewTokenModel,
        answers=MadeTokenModel,
        status=201,
        refusals=(409,),
        of_tenant=False,
    )
    async def make_my_token(self, call: Call) -> MadeTokenModel:
        """Make a token for a program.

        It may do what it was made for as long as you may. It is shown this once.
        """
        new = call.body(NewTokenModel)
        made = await self.tokens.make(call.caller, new.name, frozenset(new.permissions), new.expires_at)
        return MadeTokenModel(token=made.secret, **dict(TokenModel.of(made.token)))

    @operation("DELETE", "/api/auth/tokens/{id}", needs=Permission.SETTINGS_PASSWORD, answers=Done, of_tenant=False)
    async def revoke_my_token(self, call: Call) -> Done:
        """Revoke a token of yours."""
        await self.tokens.revoke(call.caller, call.path("id"))
        return Done(message="The token is not taken any more.")


def _login_of(caller: Caller) -> str:
    refuse_programs(caller)
    return caller.session_id or ""
