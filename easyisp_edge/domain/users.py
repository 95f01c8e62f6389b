"""People who work at the back office, and who is asking."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.permissions import Role, is_beyond, permissions_of
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.permissions import Permission

PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX = 10, 200
EMAIL_LENGTH_MAX = 254
NAME_LENGTH_MAX = 200

# How long a token is good for by itself, and a login without being used.
TOKEN_LIFE = timedelta(minutes=15)
LOGIN_LIFE = timedelta(days=30)
# An answer with new tokens may be lost on its way: for so long, whoever asks again with the old ones gets it again.
LOST_ANSWER_GRACE = timedelta(seconds=30)

_EMAIL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]+@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)


class UserStatus(enum.StrEnum):
    """Whether a user may come in. Values are stored and part of the HTTP contract."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


class Caller(NamedTuple):
    """Who asks the back office for something, as proven by what they carry.

    Args:
        user_id: The user.
        name: What stands in the events as who did it: the user's e-mail address, and the token's name where it was one.
        tenant_id: Whose user; None for one who looks after the whole box.
        role: What the user is there for.
        permissions: What this caller may do.
        session_id: The login this belongs to; None with an API token.
    """

    user_id: str
    name: str
    tenant_id: str | None
    role: Role
    permissions: frozenset[Permission]
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class StaffUser:
    """Somebody who works at the back office.

    Args:
        user_id: Its id.
        email: The name to log in with, in its normal form; no two users of the box share one.
        name: What people call them.
        tenant_id: Whose user; None for one who looks after the whole box, which only a SUPER_ADMIN does.
        role: What they are there for.
        added: What they may do beside it.
        removed: What they may not do all the same.
        status: Whether they may come in.
        created_at: When they were made.
        changed_at: When anything of this was changed last.
    """

    user_id: str
    email: str
    name: str
    tenant_id: str | None
    role: Role
    added: frozenset[Permission]
    removed: frozenset[Permission]
    status: UserStatus
    created_at: datetime
    changed_at: datetime

    @property
    def permissions(self) -> frozenset[Permission]:
        """What they may do."""
        return permissions_of(self.role, self.added, self.removed)

    @property
    def looks_after_box(self) -> bool:
        """Whether they may come in, and are nobody's in particular."""
        return self.tenant_id is None and self.status is UserStatus.ACTIVE

    def is_within(self, caller: Caller) -> bool:
        """Whether they are nothing, and may do nothing, that a caller is or may not."""
        return not is_beyond(self.role, caller.role) and self.permissions <= caller.permissions


@dataclass(frozen=True, slots=True)
class StaffLogin:
    """From a password to its end.

    Args:
        login_id: Its id.
        user_id: Whose.
        source: The address it was made from.
        turn: Which of its refresh tokens stands, from 1.
        refresh_digest: That one's digest.
        turned_at: Since when that one stands.
        created_at: When the password was given.
        ends_at: When it is over, if it is not used before.
    """

    login_id: str
    user_id: str
    source: str
    turn: int
    refresh_digest: bytes
    turned_at: datetime
    created_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What a program carries in a user's name.

    Args:
        token_id: Its id.
        user_id: In whose name.
        name: What it is for, in the user's words.
        permissions: What it may do at most; never more than its user may at that moment.
        created_at: When it was made.
        expires_at: When it is over; None for never.
        used_at: When it was used last, give or take an hour; None for never.
    """

    token_id: str
    user_id: str
    name: str
    permissions: frozenset[Permission]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None

    def is_over(self, now: datetime) -> bool:
        """Whether it is good for nothing any more."""
        return self.expires_at is not None and self.expires_at <= now


def parse_email(text: str) -> str:
    """An e-mail address in its normal form: without blanks around it, in small letters.

    Raises:
        InvalidError: It is none.
    """
    email = text.strip().lower()
    if len(email) > EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(email):
        raise InvalidError("user.email", f"{text!r:.60} is no e-mail address.", field="email")
    return email


def parse_name(text: str) -> str:
    """A person's name, without blanks around it.

    Raises:
        InvalidError: It is empty, too long, or no plain text.
    """
    name = text.strip()
    if not 1 <= len(name) <= NAME_LENGTH_MAX or not name.isprintable():
        raise InvalidError("user.name", f"A name is one line of at most {NAME_LENGTH_MAX} characters.", field="name")
    return name


def check_password(password: str, email: str, *, field: str = "password") -> None:
    """Refuse a new password that is too easy to find, or too long to hash.

    Args:
        password: The password.
        email: Of the user whose it shall be.
        field: Which input it came in.

    Raises:
        InvalidError: It is too short, too long, or the e-mail address.
    """
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        message = f"A password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters; a few words are good."
        raise InvalidError("password.length", message, field=field)
    if password.strip().lower() == email:
        raise InvalidError("password.is_email", "The password must not be the e-mail address.", field=field)
