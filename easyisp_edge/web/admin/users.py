"""Who works at the back office, for those who look after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.domain.permissions import Permission, Role, permissions_of
from easyisp_edge.services.staff.users import Author, NewUser, UserChange
from easyisp_edge.web.admin.models import Listed, next_cursor
from easyisp_edge.web.admin.operations import Door, operation
from easyisp_edge.web.admin.people import (
    ChangedUserModel,
    Done,
    NewUserModel,
    PermissionsModel,
    RoleModel,
    UserModel,
)
from easyisp_edge.web.admin.whose import WhoseQuery, whose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easyisp_edge.services.staff.users import StaffUsers
    from easyisp_edge.web.admin.operations import Call


@dataclass(frozen=True, slots=True)
class UsersArea:
    """Users of the back office.

    Args:
        users: Users.
    """

    users: StaffUsers

    @operation(
        "GET",
        "/api/users",
        needs=Permission.OPERATORS_VIEW,
        query=WhoseQuery,
        answers=Listed[UserModel],
        refusals=(404,),
        of_tenant=False,
    )
    async def list_users(self, call: Call) -> Listed[UserModel]:
        """List users, the newest first.

        Those of your tenant; who looks after the whole box sees all, or those of the tenant that is named.
        """
        asked = call.query(WhoseQuery)
        page = self.users.page(whose(call, self.users.site), asked.after, asked.limit)
        return Listed(items=[UserModel.of(each) for each in page.rows], next_cursor=next_cursor(page))

    @operation(
        "POST",
        "/api/users",
        needs=Permission.OPERATORS_ADD,
        body=NewUserModel,
        answers=UserModel,
        status=201,
        refusals=(409,),
    )
    async def make_user(self, call: Call) -> UserModel:
        """Make a user of a tenant.

        Nobody gives a role or a permission they do not have. Who looks after the whole box is made on the box itself,
        by `easyisp-edge admin add`.
        """
        given = call.body(NewUserModel)
        new = NewUser(
            email=given.email,
            name=given.name,
            role=given.role,
            tenant_id=call.tenant_id,
            password=given.password,
            added=frozenset(given.added_permissions),
            removed=frozenset(given.removed_permissions),
        )
        return UserModel.of(await self.users.add(new, _author(call)))

    @operation("GET", "/api/users/{id}", needs=Permission.OPERATORS_VIEW, answers=UserModel, of_tenant=False)
    async def show_user(self, call: Call) -> UserModel:
        """Show a user."""
        return UserModel.of(self.users.user(call.path("id"), call.caller.tenant_id))

    @operation(
        "PUT",
        "/api/users/{id}",
        needs=Permission.OPERATORS_EDIT,
        body=ChangedUserModel,
        answers=UserModel,
        refusals=(409,),
        of_tenant=False,
    )
    async def change_user(self, call: Call) -> UserModel:
        """Change a user: what is left out stays.

        A new password, and a suspension, end all logins of that user at once.
        """
        given = call.body(ChangedUserModel)
        change = UserChange(
            email=given.email,
            name=given.name,
            role=given.role,
            added=_set(given.added_permissions),
            removed=_set(given.removed_permissions),
            status=given.status,
            password=given.password,
        )
        return UserModel.of(await self.users.change(call.path("id"), change, _author(call)))

    @operation(
        "DELETE", "/api/users/{id}", needs=Permission.OPERATORS_DELETE, answers=Done, refusals=(409,), of_tenant=False
    )
    async def remove_user(self, call: Call) -> Done:
        """Remove a user.

        What they did stays in the audit trail.
        """
        await self.users.remove(call.path("id"), _author(call))
        return Done(message="The user is removed.")

    @operation("GET", "/api/permissions", needs=Door.SIGNED_IN, answers=PermissionsModel, of_tenant=False)
    async def list_permissions(self, _call: Call) -> PermissionsModel:
        """List all permissions, and what each role may do."""
        roles = [RoleModel(role=role, permissions=sorted(permissions_of(role))) for role in Role]
        return PermissionsModel(permissions=sorted(Permission), roles=roles)


def _author(call: Call) -> Author:
    return Author(call.by, call.caller)


def _set(permissions: Iterable[Permission] | None) -> frozenset[Permission] | None:
    return None if permissions is None else frozenset(permissions)
