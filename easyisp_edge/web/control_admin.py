"""What is asked at the box itself about who works at the back office: its first admin, and forgotten passwords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge.domain.permissions import Role
from easyisp_edge.domain.users import PASSWORD_LENGTH_MAX, UserStatus
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.back_office.staff_desk import LISTED_MAX
from easyisp_edge.services.staff.users import Author, NewUser, UserChange
from easyisp_edge.web.control_requests import WORD_LENGTH_MAX, asked_by, tenant_of
from easyisp_edge.web.portal_api import answer
from easyisp_edge.web.requests import needed_text, read_object, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.domain.users import StaffUser
    from easyisp_edge.services.staff.users import StaffUsers

_EMAIL_LENGTH_MAX = 254


@dataclass(frozen=True, slots=True)
class ControlAdmin:
    """Handlers of the control routes about users of the back office.

    Args:
        users: Users.
    """

    users: StaffUsers

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/control/users", self.listed),
            web.post("/control/users", self.add),
            web.post("/control/users/{email}/password", self.set_password),
            web.post("/control/users/{email}/suspend", self.suspend),
            web.post("/control/users/{email}/resume", self.resume),
        ]

    async def listed(self, request: web.Request) -> web.Response:
        """Users, the newest first; of all tenants where none is named."""
        named = tenant_of(request.query)
        tenant_id = None if named is None else self.users.site.config.tenant(named).id
        page = self.users.page(tenant_id, None, LISTED_MAX)
        return answer({"users": [user_json(each) for each in page.rows]})

    async def add(self, request: web.Request) -> web.Response:
        """Make a user; a SUPER_ADMIN without a tenant looks after the whole box."""
        fields = await read_object(request)
        role, tenant_id = _role_of(fields), tenant_of(fields)
        email = needed_text(fields, "email", most=_EMAIL_LENGTH_MAX)
        new = NewUser(
            email=email,
            name=text_of(fields, "name", most=200, needed=False) or email.partition("@")[0],
            role=role,
            tenant_id=tenant_id if role is Role.SUPER_ADMIN else self.users.site.named_tenant(tenant_id),
            password=_password_of(fields),
        )
        return answer({"user": user_json(await self.users.add(new, Author(asked_by(request))))})

    async def set_password(self, request: web.Request) -> web.Response:
        """Give a user a new password; all logins of that user are over."""
        return await self._change(request, UserChange(password=_password_of(await read_object(request))))

    async def suspend(self, request: web.Request) -> web.Response:
        """Shut a user out."""
        return await self._change(request, UserChange(status=UserStatus.SUSPENDED))

    async def resume(self, request: web.Request) -> web.Response:
        """Let a user in again."""
        return await self._change(request, UserChange(status=UserStatus.ACTIVE))

    async def _change(self, request: web.Request, change: UserChange) -> web.Response:
        user = self.users.named(request.match_info["email"])
        changed = await self.users.change(user.user_id, change, Author(asked_by(request)))
        return answer({"user": user_json(changed)})


def user_json(user: StaffUser) -> dict[str, Any]:
    """A user, as the box's own commands show it."""
    return {
        "id": user.user_id,
        "email": user.email,
        "name": user.name,
        "tenant": user.tenant_id,
        "role": user.role.value,
        "status": user.status.value,
        "createdAt": user.created_at.isoformat(timespec="seconds"),
    }


def _role_of(fields: Mapping[str, Any]) -> Role:
    word = text_of(fields, "role", most=WORD_LENGTH_MAX, needed=False) or Role.SUPER_ADMIN.value
    if word not in set(Role):
        raise InvalidError("request.invalid", f"A role is one of: {', '.join(Role)}.", field="role")
    return Role(word)


def _password_of(fields: Mapping[str, Any]) -> str:
    """The password as it was typed: blanks around it are part of it."""
    password = fields.get("password")
    if not isinstance(password, str) or not password or len(password) > PASSWORD_LENGTH_MAX:
        message = f"A password is a text of at most {PASSWORD_LENGTH_MAX} characters."
        raise InvalidError("password.length", message, field="password")
    return password
