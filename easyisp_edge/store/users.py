"""Tables `staff_users`, `staff_logins` and `api_tokens`: who works at the back office, and what they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.permissions import Permission, Role
from easyisp_edge.domain.users import ApiToken, StaffLogin, StaffUser, UserStatus
from easyisp_edge.store.columns import instant, optional_instant, read_instant, read_optional_instant

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection
    from datetime import datetime

_KNOWN = frozenset(Permission)
_USER = (
    "u.user_id, u.email, u.name, u.tenant_id, u.role, u.added_permissions, u.removed_permissions, u.status,"
    " u.created_at, u.changed_at"
)
_LOGIN = "l.login_id, l.user_id, l.source, l.turn, l.refresh_digest, l.turned_at, l.created_at, l.ends_at"
_TOKEN = "t.token_id, t.user_id, t.name, t.permissions, t.created_at, t.expires_at, t.used_at"  # noqa: S105 - columns
_USER_COLUMNS = 10


class Carried(NamedTuple):
    """What a token stands for, read at once.

    Args:
        user: Whose it is.
        by: The login or the API token itself.
    """

    user: StaffUser
    by: StaffLogin | ApiToken


class StaffUsersTable:
    """Users by id, by e-mail address, by age."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def add(self, user: StaffUser, password_hash: str) -> None:
        """Write a new user. An e-mail address that is there already is an `IntegrityError`."""
        self._sql.execute(
            "INSERT INTO staff_users (user_id, created_at, email, name, tenant_id, role, added_permissions,"
            " removed_permissions, status, changed_at, password_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(user.user_id, instant(user.created_at), user.email, user.name, user.tenant_id, *_rights(user)),
                *(user.status.value, instant(user.changed_at), password_hash),
            ),
        )

    def update(self, user: StaffUser) -> None:
        """Write what changed of a user; whose it is never does."""
        self._sql.execute(
            "UPDATE staff_users SET email = ?, name = ?, role = ?, added_permissions = ?, removed_permissions = ?,"
            " status = ?, changed_at = ? WHERE user_id = ?",
            (user.email, user.name, *_rights(user), user.status.value, instant(user.changed_at), user.user_id),
        )

    def set_password(self, user_id: str, password_hash: str, at: datetime) -> None:
        """Write a new password's hash."""
        self._sql.execute(
            "UPDATE staff_users SET password_hash = ?, changed_at = ? WHERE user_id = ?",
            (password_hash, instant(at), user_id),
        )

    def remove(self, user_id: str) -> None:
        """Forget a user, with logins and API tokens."""
        self._sql.execute("DELETE FROM staff_users WHERE user_id = ?", (user_id,))

    def by_id(self, user_id: str) -> StaffUser | None:
        """A user by id."""
        query = f"SELECT {_USER} FROM staff_users u WHERE u.user_id = ?"  # noqa: S608 - a constant
        row = self._sql.execute(query, (user_id,)).fetchone()
        return None if row is None else _read_user(row)

    def by_email(self, email: str) -> StaffUser | None:
        """A user by e-mail address in its normal form."""
        query = f"SELECT {_USER} FROM staff_users u WHERE u.email = ?"  # noqa: S608 - a constant
        row = self._sql.execute(query, (email,)).fetchone()
        return None if row is None else _read_user(row)

    def password_hash(self, user_id: str) -> str | None:
        """The hash of a user's password; None where there is no such user."""
        row = self._sql.execute("SELECT password_hash FROM staff_users WHERE user_id = ?", (user_id,)).fetchone()
        return None if row is None else str(row[0])

    def page(self, tenant_id: str | None, after: Position | None, limit: int) -> Page[StaffUser]:
        """Users, the newest first: a tenant's, or all where none is named."""
        conditions, values = (["u.tenant_id = ?"], [tenant_id]) if tenant_id is not None else ([], [])
        if after is not None:
            conditions.append("(u.created_at, u.user_id) < (?, ?)")
            values += [instant(after.at), after.key]
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        query = (
            f"SELECT {_USER} FROM staff_users u {where}"  # noqa: S608 - constants
            " ORDER BY u.created_at DESC, u.user_id DESC LIMIT ?"
        )
        rows = [_read_user(row) for row in self._sql.execute(query, (*values, limit + 1))]
        more = Position(rows[limit - 1].created_at, rows[limit - 1].user_id) if len(rows) > limit else None
        return Page(rows[:limit], more)

    def count_looking_after_box(self) -> int:
        """How many may come in and look after the whole box."""
        query = "SELECT count(*) FROM staff_users WHERE tenant_id IS NULL AND status = 'ACTIVE'"
        return int(self._sql.execute(query).fetchone()[0])


class StaffLoginsTable:
    """Logins by id and by user."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def add(self, login: StaffLogin) -> None:
        """Write a new login."""
        self._sql.execute(
            "INSERT INTO staff_logins (login_id, user_id, source, created_at, turn, refresh_digest, turned_at,"
            " ends_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (login.login_id, login.user_id, login.source, instant(login.created_at), *_turn(login)),
        )

    def update(self, login: StaffLogin) -> None:
        """Write what a turn changes."""
        self._sql.execute(
            "UPDATE staff_logins SET turn = ?, refresh_digest = ?, turned_at = ?, ends_at = ? WHERE login_id = ?",
            (*_turn(login), login.login_id),
        )

    def carried(self, login_id: str) -> Carried | None:
        """A login with its user."""
        row = self._sql.execute(
            f"SELECT {_USER}, {_LOGIN} FROM staff_logins l JOIN staff_users u USING (user_id)"  # noqa: S608 - constants
            " WHERE l.login_id = ?",
            (login_id,),
        ).fetchone()
        return None if row is None else Carried(_read_user(row), _read_login(row[_USER_COLUMNS:]))

    def has_come_from(self, user_id: str, source: str) -> bool:
        """Whether a user is logged in from an address."""
        query = "SELECT 1 FROM staff_logins WHERE user_id = ? AND source = ? LIMIT 1"
        return self._sql.execute(query, (user_id, source)).fetchone() is not None

    def end(self, login_id: str) -> None:
        """Forget a login."""
        self._sql.execute("DELETE FROM staff_logins WHERE login_id = ?", (login_id,))

    def end_all(self, user_id: str, *, but: str | None = None) -> int:
        """Forget a user's logins, but for one; gives how many those were."""
        query = "DELETE FROM staff_logins WHERE user_id = ? AND login_id IS NOT ?"
        return self._sql.execute(query, (user_id, but)).rowcount

    def end_old(self, user_id: str, keep: int, now: datetime) -> None:
        """Forget whatever is over, and the oldest of a user's that are more than `keep`."""
        self._sql.execute("DELETE FROM staff_logins WHERE ends_at <= ?", (instant(now),))
        self._sql.execute(
            "DELETE FROM staff_logins WHERE login_id IN (SELECT login_id FROM staff_logins WHERE user_id = ?"
            " ORDER BY created_at DESC, login_id DESC LIMIT -1 OFFSET ?)",
            (user_id, keep),
        )


class ApiTokensTable:
    """API tokens by digest and by user."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def add(self, token: ApiToken, digest: bytes) -> None:
        """Write a new token."""
        self._sql.execute(
            "INSERT INTO api_tokens (token_id, user_id, name, permissions, digest, created_at, expires_at, used_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(token.token_id, token.user_id, token.name, _words(token.permissions), digest),
                *(instant(token.created_at), optional_instant(token.expires_at), optional_instant(token.used_at)),
            ),
        )

    def used(self, token_id: str, at: datetime) -> None:
        """Note that a token was used."""
        self._sql.execute("UPDATE api_tokens SET used_at = ? WHERE token_id = ?", (instant(at), token_id))

    def remove(self, token_id: str) -> None:
        """Forget a token."""
        self._sql.execute("DELETE FROM api_tokens WHERE token_id = ?", (token_id,))

    def carried(self, digest: bytes) -> Carried | None:
        """A token by its digest, with its user."""
        row = self._sql.execute(
            f"SELECT {_USER}, {_TOKEN} FROM api_tokens t JOIN staff_users u USING (user_id)"  # noqa: S608 - constants
            " WHERE t.digest = ?",
            (digest,),
        ).fetchone()
        return None if row is None else Carried(_read_user(row), _read_token(row[_USER_COLUMNS:]))

    def of_user(self, user_id: str) -> list[ApiToken]:
        """A user's tokens, the newest first."""
        rows = self._sql.execute(
            f"SELECT {_TOKEN} FROM api_tokens t WHERE t.user_id = ?"  # noqa: S608 - a constant
            " ORDER BY t.created_at DESC, t.token_id DESC",
            (user_id,),
        )
        return [_read_token(row) for row in rows]


def _rights(user: StaffUser) -> tuple[str, str, str]:
    return user.role.value, _words(user.added), _words(user.removed)


def _turn(login: StaffLogin) -> tuple[int, bytes, str, str]:
    return login.turn, login.refresh_digest, instant(login.turned_at), instant(login.ends_at)


def _words(permissions: Collection[Permission]) -> str:
    return " ".join(sorted(permissions))


def _read_words(text: str) -> frozenset[Permission]:
    """Permissions that this release knows; what another one wrote beside them gives nothing."""
    return frozenset(Permission(word) for word in text.split() if word in _KNOWN)


def _read_user(row: Any) -> StaffUser:
    return StaffUser(
        user_id=row[0],
        email=row[1],
        name=row[2],
        tenant_id=row[3],
        role=Role(row[4]),
        added=_read_words(row[5]),
        removed=_read_words(row[6]),
        status=UserStatus(row[7]),
        created_at=read_instant(row[8]),
        changed_at=read_instant(row[9]),
    )


def _read_login(row: Any) -> StaffLogin:
    return StaffLogin(
        login_id=row[0],
        user_id=row[1],
        source=row[2],
        turn=row[3],
        refresh_digest=bytes(row[4]),
        turned_at=read_instant(row[5]),
        created_at=read_instant(row[6]),
        ends_at=read_instant(row[7]),
    )


def _read_token(row: Any) -> ApiToken:
    return ApiToken(
        token_id=row[0],
        user_id=row[1],
        name=row[2],
        permissions=_read_words(row[3]),
        created_at=read_instant(row[4]),
        expires_at=read_optional_instant(row[5]),
        used_at=read_optional_instant(row[6]),
    )
