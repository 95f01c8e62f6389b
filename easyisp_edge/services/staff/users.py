"""Who works at the back office: made, changed and removed, by others who may do no less."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.permissions import Permission, Role
from easyisp_edge.domain.users import StaffUser, UserStatus, check_password, parse_email, parse_name
from easyisp_edge.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from easyisp_edge.services.staff.api_tokens import refuse_programs
from easyisp_edge.services.staff.logins import note

if TYPE_CHECKING:
    from easyisp_edge.domain.paging import Page, Position
    from easyisp_edge.domain.users import Caller
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.site import Site
    from easyisp_edge.services.staff.passwords import Passwords
    from easyisp_edge.store.store import Store, Tables

log = logging.getLogger(__name__)

_NOBODY: frozenset[Permission] = frozenset()


class Author(NamedTuple):
    """Who makes or changes users.

    Args:
        name: As it stands in the events.
        caller: What they may do; None for whoever sits at the box itself, who may do all.
    """

    name: str
    caller: Caller | None = None


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made.

    Args:
        email: The name to log in with.
        name: What people call them.
        role: What they are there for.
        tenant_id: Whose; None for one who looks after the whole box.
        password: The first password.
        added: What they may do beside their role.
        removed: What they may not do all the same.
    """

    email: str
    name: str
    role: Role
    tenant_id: str | None
    password: str
    added: frozenset[Permission] = _NOBODY
    removed: frozenset[Permission] = _NOBODY


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to change of a user; None for what stays."""

    email: str | None = None
    name: str | None = None
    role: Role | None = None
    added: frozenset[Permission] | None = None
    removed: frozenset[Permission] | None = None
    status: UserStatus | None = None
    password: str | None = None

    @property
    def touches_rights(self) -> bool:
        """Whether it is about what the user may do."""
        return not (self.role is None and self.added is None and self.removed is None)

    def applied(self, user: StaffUser) -> StaffUser:
        """The user after it, but for the password.

        Raises:
            InvalidError: A value cannot be.
        """
        return replace(
            user,
            email=user.email if self.email is None else parse_email(self.email),
            name=user.name if self.name is None else parse_name(self.name),
            role=self.role or user.role,
            added=user.added if self.added is None else self.added,
            removed=user.removed if self.removed is None else self.removed,
            status=self.status or user.status,
        )


@dataclass(frozen=True, slots=True)
class StaffUsers:
    """Users of the back office.

    Args:
        store: The store.
        clock: Box time.
        identifiers: New ids.
        passwords: Hashes passwords.
        site: Which tenants there are.
    """

    store: Store
    clock: Clock
    identifiers: Identifiers
    passwords: Passwords
    site: Site

    def page(self, tenant_id: str | None, after: Position | None, limit: int) -> Page[StaffUser]:
        """Users, the newest first: a tenant's, or all where none is named."""
        return self.store.read.staff_users.page(tenant_id, after, limit)

    def user(self, user_id: str, tenant_id: str | None) -> StaffUser:
        """A user.

        Args:
            user_id: Which.
            tenant_id: Who asks is of this tenant; None for who looks after the whole box.

        Raises:
            NotFoundError: There is none, as far as such a one may know.
        """
        return _within_reach(self.store.read.staff_users.by_id(user_id), tenant_id)

    def named(self, email: str) -> StaffUser:
        """A user by e-mail address, for whoever sits at the box itself.

        Raises:
            InvalidError: It is no e-mail address.
            NotFoundError: Nobody has it.
        """
        return _within_reach(self.store.read.staff_users.by_email(parse_email(email)), None)

    async def add(self, new: NewUser, author: Author) -> StaffUser:
        """Make a user.

        Raises:
            InvalidError: A value cannot be, or the password is too easy.
            ForbiddenError: The author may not give this, or is a program.
            NotFoundError: There is no such tenant.
            ConflictError: The e-mail address is taken.
            UnavailableError: Too many passwords are being hashed.
        """
        now = self.clock.now()
        user = StaffUser(
            user_id=self.identifiers.ordered(now),
            email=parse_email(new.email),
            name=parse_name(new.name),
            tenant_id=None if new.tenant_id is None else self.site.config.tenant(new.tenant_id).id,
            role=new.role,
            added=new.added,
            removed=new.removed,
            status=UserStatus.ACTIVE,
            created_at=now,
            changed_at=now,
        )
        if user.tenant_id is None and user.role is not Role.SUPER_ADMIN:
            message = "Only a SUPER_ADMIN looks after the whole box; name the tenant of anybody else."
            raise InvalidError("user.tenant", message, field="tenantId")
        if author.caller is not None:
            refuse_programs(author.caller)
            _refuse_given(user, author.caller, touches_rights=bool(user.added or user.removed))
        check_password(new.password, user.email)
        _refuse_taken(self.store.read, user)
        password_hash = await self.passwords.hashed(new.password)

        def work(tx: Tables) -> None:
            _refuse_taken(tx, user)
            tx.staff_users.add(user, password_hash)
            note(tx, "staff.user_made", user, author.name, **_rights(user))

        await self.store.write(work)
        log.info("user %s (%s) made by %s", user.email, user.role, author.name)
        return user

    async def change(self, user_id: str, change: UserChange, author: Author) -> StaffUser:
        """Change a user. A new password, and a suspension, end all logins.

        Raises:
            InvalidError: A value cannot be, or the password is too easy.
            NotFoundError: There is no such user, as far as the author may know.
            ForbiddenError: The author may not do this to this user, or may not give this, or is a program.
            ConflictError: The e-mail address is taken, the author would suspend itself, or nobody would be left to
                look after the box.
            UnavailableError: Too many passwords are being hashed.
        """
        tenant_id = None if author.caller is None else author.caller.tenant_id
        before = self.user(user_id, tenant_id)
        self._refuse_change(before, change, author)
        new_hash = None
        if change.password is not None:
            check_password(change.password, change.applied(before).email)
            new_hash = await self.passwords.hashed(change.password)

        def work(tx: Tables) -> StaffUser:
            standing = _within_reach(tx.staff_users.by_id(user_id), tenant_id)
            self._refuse_change(standing, change, author)
            changed = replace(change.applied(standing), changed_at=self.clock.now())
            if changed.email != standing.email:
                _refuse_taken(tx, changed)
            if standing.looks_after_box and not (changed.looks_after_box and changed.role is Role.SUPER_ADMIN):
                _refuse_last(tx)
            _refuse_without_tenant(changed)
            tx.staff_users.update(changed)
            if new_hash is not None:
                tx.staff_users.set_password(user_id, new_hash, changed.changed_at)
            if new_hash is not None or changed.status is not UserStatus.ACTIVE:
                tx.staff_logins.end_all(user_id)
            note(tx, "staff.user_changed", changed, author.name, **_differences(standing, changed, new_hash))
            return changed

        changed = await self.store.write(work)
        log.info("user %s changed by %s", changed.email, author.name)
        return changed

    async def remove(self, user_id: str, author: Author) -> None:
        """Remove a user, with logins and API tokens; what they did stays in the events.

        Raises:
            NotFoundError: There is no such user, as far as the author may know.
            ForbiddenError: The author may not do this to this user, or is a program.
            ConflictError: The author would remove itself, or nobody would be left to look after the box.
        """
        tenant_id = None if author.caller is None else author.caller.tenant_id

        def work(tx: Tables) -> StaffUser:
            user = _within_reach(tx.staff_users.by_id(user_id), tenant_id)
            if author.caller is not None:
                refuse_programs(author.caller)
                _refuse_self(user, author.caller, "remove")
                _refuse_beyond(user, author.caller)
            if user.looks_after_box:
                _refuse_last(tx)
            tx.staff_users.remove(user_id)
            note(tx, "staff.user_removed", user, author.name)
            return user

        user = await self.store.write(work)
        log.info("user %s removed by %s", user.email, author.name)

    def _refuse_change(self, user: StaffUser, change: UserChange, author: Author) -> None:
        caller = author.caller
        if caller is None:
            return
        refuse_programs(caller)
        _refuse_beyond(user, caller)
        if change.status is UserStatus.SUSPENDED:
            _refuse_self(user, caller, "suspend")
        if change.password is not None and user.user_id == caller.user_id:
            message = "Change your own password at PUT /api/auth/password, with the old one."
            raise ForbiddenError("user.own_password", message)
        _refuse_given(change.applied(user), caller, touches_rights=change.touches_rights)


def _within_reach(user: StaffUser | None, tenant_id: str | None) -> StaffUser:
    if user is None or tenant_id not in {None, user.tenant_id}:
        raise NotFoundError("user.unknown", "There is no such user.")
    return user


def _refuse_beyond(user: StaffUser, caller: Caller) -> None:
    """Whoever may set somebody's password may be that somebody: so nobody touches who may do more."""
    if not user.is_within(caller):
        raise ForbiddenError("user.beyond_you", "This user may do more than you: ask somebody who may do as much.")


def _refuse_given(user: StaffUser, caller: Caller, *, touches_rights: bool) -> None:
    if touches_rights and Permission.OPERATORS_MANAGE_PERMISSIONS not in caller.permissions:
        needed = Permission.OPERATORS_MANAGE_PERMISSIONS
        message = f"To say what somebody may do you need the permission {needed}."
        raise ForbiddenError("permission.missing", message, permission=needed.value)
    if not user.is_within(caller):
        message = "You cannot give a role or a permission that you do not have yourself."
        raise ForbiddenError("user.beyond_you", message)


def _refuse_self(user: StaffUser, caller: Caller, what: str) -> None:
    if user.user_id == caller.user_id:
        raise ConflictError("user.yourself", f"You cannot {what} yourself.")


def _refuse_taken(tables: Tables, user: StaffUser) -> None:
    other = tables.staff_users.by_email(user.email)
    if other is not None and other.user_id != user.user_id:
        raise ConflictError("user.exists", "Somebody at this box has this e-mail address already.")


def _refuse_last(tx: Tables) -> None:
    if tx.staff_users.count_looking_after_box() <= 1:
        message = "Nobody else looks after the whole box. First make another one: easyisp-edge admin add."
        raise ConflictError("user.last_admin", message)


def _refuse_without_tenant(user: StaffUser) -> None:
    if user.tenant_id is None and user.role is not Role.SUPER_ADMIN:
        message = "Who looks after the whole box is a SUPER_ADMIN. Make a user of a tenant for any other role."
        raise ConflictError("user.tenant", message)


def _rights(user: StaffUser) -> dict[str, object]:
    return {
        "name": user.name,
        "role": user.role.value,
        "added": sorted(user.added),
        "removed": sorted(user.removed),
    }


def _differences(before: StaffUser, after: StaffUser, new_hash: str | None) -> dict[str, object]:
    """What was changed, for the events: whatever it is now, and only that there is a new password."""
    now, then = _rights(after) | {"status": after.status.value}, _rights(before) | {"status": before.status.value}
    told = {name: value for name, value in now.items() if value != then[name]}
    if before.email != after.email:
        told["emailBefore"] = before.email
    if new_hash is not None:
        told["newPassword"] = True
    return told
