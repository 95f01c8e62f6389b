"""Logging in to the back office by e-mail address and password, and changing that password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.users import UserStatus, check_password, parse_email
from easyisp_edge.errors import ForbiddenError, InvalidError, UnauthenticatedError, UnavailableError
from easyisp_edge.services.staff.logins import login_over, note

if TYPE_CHECKING:
    from easyisp_edge.domain.users import StaffUser
    from easyisp_edge.services.site import Site
    from easyisp_edge.services.staff.login_lockout import LoginLockout, Try
    from easyisp_edge.services.staff.logins import StaffLogins, Tokens
    from easyisp_edge.services.staff.passwords import Passwords
    from easyisp_edge.store.store import Tables


class SignedIn(NamedTuple):
    """A login that has begun.

    Args:
        user: Whose.
        tokens: What it carries.
    """

    user: StaffUser
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class SignIn:
    """Lets users in.

    Args:
        logins: Where logins begin; its store and clock are used.
        passwords: Holds passwords against hashes.
        lockout: Counts tries.
        site: Which tenants there are.
    """

    logins: StaffLogins
    passwords: Passwords
    lockout: LoginLockout
    site: Site

    async def log_in(self, email: str, password: str, source: str) -> SignedIn:
        """Begin a login. A wrong name and a wrong password take as long as each other, and are answered the same.

        Args:
            email: As typed.
            password: As typed.
            source: The address it comes from.

        Raises:
            UnauthenticatedError: Wrong.
            ForbiddenError: Right, and suspended, or of a tenant that is not in the files any more.
            TooManyError: There were too many wrong tries.
            UnavailableError: Too many log in at once.
        """
        user, tables = self._named(email), self.logins.store.read
        user_id = "" if user is None else user.user_id
        known_hash = tables.staff_users.password_hash(user_id)
        tried = self.lockout.begin(_counted(email), source, is_known=tables.staff_logins.has_come_from(user_id, source))
        if not await self._fits(password, known_hash, tried) or user is None:
            await self._note_last(tried, user)
            raise _wrong()
        self.lockout.right(tried)

        def work(tx: Tables) -> SignedIn:
            standing = _unchanged(tx, user, known_hash)
            self._refuse_shut_out(standing)
            tokens = self.logins.begin(tx, standing, source)
            note(tx, "staff.logged_in", standing, standing.email, source=source)
            return SignedIn(standing, tokens)

        return await self.logins.store.write(work)

    async def change_password(self, user_id: str, login_id: str, words: tuple[str, str], source: str) -> None:
        """Change a user's own password; the user's other logins are over.

        Args:
            user_id: Whose.
            login_id: The login that stays.
            words: The old password and the new one.
            source: The address it comes from.

        Raises:
            InvalidError: The old one is wrong, or the new one too easy.
            TooManyError: There were too many wrong tries.
            UnauthenticatedError: The user has gone meanwhile.
            UnavailableError: Too many log in at once.
        """
        (old, new), tables = words, self.logins.store.read
        user, known_hash = tables.staff_users.by_id(user_id), tables.staff_users.password_hash(user_id)
        if user is None:
            raise login_over()
        check_password(new, user.email, field="newPassword")
        tried = self.lockout.begin(user.email, source, is_known=True)
        if not await self._fits(old, known_hash, tried):
            await self._note_last(tried, user)
            raise InvalidError("password.wrong", "The old password is wrong.", field="oldPassword")
        self.lockout.right(tried)
        new_hash = await self.passwords.hashed(new)

        def work(tx: Tables) -> None:
            standing = _unchanged(tx, user, known_hash)
            tx.staff_users.set_password(standing.user_id, new_hash, self.logins.clock.now())
            ended = tx.staff_logins.end_all(standing.user_id, but=login_id)
            note(tx, "staff.password_changed", standing, standing.email, loginsEnded=ended)

        await self.logins.store.write(work)

    async def _fits(self, password: str, known_hash: str | None, tried: Try) -> bool:
        """Whether it is right; a try that nobody has time to look at does not count."""
        try:
            return await self.passwords.fits(password, known_hash)
        except UnavailableError:
            self.lockout.unheard(tried)
            raise

    def _named(self, email: str) -> StaffUser | None:
        try:
            return self.logins.store.read.staff_users.by_email(parse_email(email))
        except InvalidError:
            return None

    def _refuse_shut_out(self, user: StaffUser) -> None:
        if user.status is not UserStatus.ACTIVE:
            raise ForbiddenError("user.suspended", "This user is suspended. Ask who looks after this box.")
        if not is_of_site(self.site, user.tenant_id):
            raise ForbiddenError("tenant.gone", "This user's business is not at this box any more.")

    async def _note_last(self, tried: Try, user: StaffUser | None) -> None:
        """Note that nobody is listened to any more; but not for names that do not exist, which anybody can make up."""
        if tried.is_last and user is not None:
            by = f"somebody at {tried.source or 'no address'}"
            await self.logins.store.write(lambda tx: note(tx, "staff.login_locked", user, by))


def is_of_site(site: Site, tenant_id: str | None) -> bool:
    """Whether a user is of a tenant that is there, or of none."""
    return tenant_id is None or any(tenant.id == tenant_id for tenant in site.config.tenants)


def _unchanged(tx: Tables, user: StaffUser, known_hash: str | None) -> StaffUser:
    """The user as it stands, if the password that was tried is still its own."""
    standing = tx.staff_users.by_id(user.user_id)
    if standing is None or tx.staff_users.password_hash(user.user_id) != known_hash:
        raise _wrong()
    return standing


def _wrong() -> UnauthenticatedError:
    return UnauthenticatedError("login.wrong", "The e-mail address or the password is wrong.")


def _counted(email: str) -> str:
    return email.strip().lower()[:254]
