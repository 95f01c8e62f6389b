"""Users as the back office shows them."""

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from easyisp_edge.domain.permissions import Permission, Role
from easyisp_edge.domain.users import (
    EMAIL_LENGTH_MAX,
    PASSWORD_LENGTH_MAX,
    PASSWORD_LENGTH_MIN,
    ApiToken,
    StaffUser,
    UserStatus,
)
from easyisp_edge.web.admin.models import ApiModel, Instant, Line

Email = Annotated[str, StringConstraints(min_length=3, max_length=EMAIL_LENGTH_MAX)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=PASSWORD_LENGTH_MAX)]
NewPassword = Annotated[
    str,
    StringConstraints(max_length=PASSWORD_LENGTH_MAX),
    Field(description=f"At least {PASSWORD_LENGTH_MIN} characters, and not the e-mail address."),
]


class UserModel(ApiModel):
    """Somebody who works at the back office."""

    id: str
    name: str
    email: str
    role: Role
    tenant_id: str | None = Field(description="Null for one who looks after the whole box.")
    added_permissions: list[Permission]
    removed_permissions: list[Permission]
    permissions: list[Permission] = Field(description="What they may do in the end.")
    status: UserStatus
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, user: StaffUser, permissions: frozenset[Permission] | None = None) -> "UserModel":
        """A user as shown; with what a token of theirs may do, where that is less."""
        return cls(
            id=user.user_id,
            name=user.name,
            email=user.email,
            role=user.role,
            tenant_id=user.tenant_id,
            added_permissions=sorted(user.added),
            removed_permissions=sorted(user.removed),
            permissions=sorted(user.permissions if permissions is None else permissions),
            status=user.status,
            created_at=user.created_at,
            updated_at=user.changed_at,
        )


class NewUserModel(ApiModel):
    """A user to be made, of the caller's tenant."""

    name: Line
    email: Email
    password: NewPassword
    role: Role
    added_permissions: list[Permission] = Field(default=[], max_length=len(Permission))
    removed_permissions: list[Permission] = Field(default=[], max_length=len(Permission))


class ChangedUserModel(ApiModel):
    """What is to change of a user; what is left out, or null, stays."""

    name: Line | None = None
    email: Email | None = None
    password: NewPassword | None = None
    role: Role | None = None
    added_permissions: list[Permission] | None = Field(default=None, max_length=len(Permission))
    removed_permissions: list[Permission] | None = Field(default=None, max_length=len(Permission))
    status: UserStatus | None = None


class Credentials(ApiModel):
    """Who wants to come in."""

    email: Email
    password: Password


class TokenPair(ApiModel):
    """What a login carries from now on."""

    token: str = Field(description="To be sent with each request as `Authorization: Bearer`.")
    refresh_token: str = Field(description="For the next pair, at POST /api/auth/refresh; it works once, for 30 days.")
    expires_in: int = Field(description="How many seconds `token` is good for.")


class LoginModel(TokenPair):
    """A login that has begun."""

    user: UserModel


class RefreshModel(ApiModel):
    """What was given with the last pair."""

    refresh_token: str = Field(min_length=1, max_length=200)


class PasswordModel(ApiModel):
    """A user's own new password."""

    old_password: Password
    new_password: NewPassword


class Done(ApiModel):
    """It was done."""

    success: bool = True
    message: str


class NewTokenModel(ApiModel):
    """A token for a program."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[ -~]*$")]
    permissions: list[Permission] = Field(
        min_length=1, max_length=len(Permission), description="What it may do; never more than you may at that moment."
    )
    expires_at: AwareDatetime | None = Field(default=None, description="When it is over; left out for never.")


class TokenModel(ApiModel):
    """A token that a program carries."""

    id: str
    name: str
    permissions: list[Permission]
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None = Field(description="Give or take an hour.")

    @classmethod
    def of(cls, token: ApiToken) -> "TokenModel":
        """A token as shown, without itself."""
        return cls(
            id=token.token_id,
            name=token.name,
            permissions=sorted(token.permissions),
            created_at=token.created_at,
            expires_at=token.expires_at,
            last_used_at=token.used_at,
        )


class MadeTokenModel(TokenModel):
    """A token that was just made."""

    token: str = Field(description="To be sent as `Authorization: Bearer`. It is shown this once.")


class RoleModel(ApiModel):
    """A role, and what it may do by itself."""

    role: Role
    permissions: list[Permission]


class PermissionsModel(ApiModel):
    """All that somebody may be allowed to do."""

    permissions: list[Permission]
    roles: list[RoleModel]
