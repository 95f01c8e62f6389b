"""A back office whose users log in: real books, real passwords, the admin door, and two tenants."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from aiohttp.test_utils import TestClient, TestServer

from easyisp_edge.daemon.staff_parts import StaffParts
from easyisp_edge.domain.permissions import Role
from easyisp_edge.errors import NotFoundError
from easyisp_edge.services.keyring import Keyring
from easyisp_edge.services.staff.passwords import Cost
from easyisp_edge.services.staff.users import Author, NewUser
from easyisp_edge.web.admin.serving import Desk
from easyisp_edge.web.app import admin_app
from tests.unit.shop import Books, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.users import StaffUser
    from easyisp_edge.services.site import Site

PASSWORD = "correct horse battery"
OWNER, ADMIN, CLERK, VIEWER, STRANGER = (
    f"{name}@example.com" for name in ("owner", "admin", "clerk", "viewer", "stranger")
)


def a_site(*tenant_ids: str) -> Site:
    """A site with those tenants."""
    tenants = [SimpleNamespace(id=each) for each in tenant_ids]

    def tenant(tenant_id: str) -> SimpleNamespace:
        if tenant_id not in tenant_ids:
            raise NotFoundError("tenant.unknown", f'There is no tenant "{tenant_id}".')
        return SimpleNamespace(id=tenant_id)

    only = tenants[0] if len(tenants) == 1 else None
    config = SimpleNamespace(tenant=tenant, tenants=tenants, only_tenant=lambda: only)
    return cast("Site", SimpleNamespace(config=config))


@dataclass
class BackOffice:
    """What a test holds of a back office.

    Args:
        books: Where it all is written.
        site: Its tenants: `default` and `b`.
        parts: Who may come in.
        client: Asks at its door.
    """

    books: Books
    site: Site
    parts: StaffParts
    client: TestClient[Any, Any]

    async def add(
        self, email: str, role: Role = Role.ADMIN, tenant_id: str | None = "default", **more: Any
    ) -> StaffUser:
        """Make a user, as on the box itself."""
        new = NewUser(email, email.partition("@")[0], role, tenant_id, more.pop("password", PASSWORD), **more)
        return await self.parts.control.users.add(new, Author("root"))

    async def add_all(self) -> None:
        """One who looks after the box, three of a tenant, and one of another."""
        await self.add(OWNER, Role.SUPER_ADMIN, None)
        await self.add(ADMIN, Role.ADMIN)
        await self.add(CLERK, Role.STAFF)
        await self.add(VIEWER, Role.VIEWER)
        await self.add(STRANGER, Role.ADMIN, "b")

    async def ask(
        self, method: str, path: str, expect: int, *, token: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """What a request leads to, as JSON; its headers stand under `headers`."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        async with self.client.request(method, path, headers=headers | more.pop("headers", {}), **more) as answer:
            content = await answer.json(content_type=None)
            assert answer.status == expect, content
            if expect >= 400:
                assert answer.content_type == "application/problem+json"
            return {"items": content} if isinstance(content, list) else {**content, "headers": dict(answer.headers)}

    async def log_in(self, email: str, password: str = PASSWORD, expect: int = 200, **more: Any) -> dict[str, Any]:
        """A login."""
        return await self.ask("POST", "/api/auth/login", expect, json={"email": email, "password": password}, **more)

    async def token(self, email: str, password: str = PASSWORD) -> str:
        """What a user carries after logging in."""
        return str((await self.log_in(email, password))["token"])

    async def user_id(self, email: str) -> str:
        """A user's id."""
        return self.parts.control.users.named(email).user_id


@contextlib.asynccontextmanager
async def open_back_office(folder: Path) -> AsyncIterator[BackOffice]:
    """A back office in which nobody may log in yet; its books are held against all rules at the end."""
    async with open_books(folder) as books:
        site = a_site("default", "b")
        parts = StaffParts.of(
            store=books.store,
            clock=books.clock,
            identifiers=books.identifiers,
            keyring=Keyring(bytes(range(32))),
            site=site,
            cost=Cost(1, 8192),
        )
        app = admin_app(dict, Desk(parts.gate, site), parts.areas, set)
        async with TestClient(TestServer(app)) as client:
            yield BackOffice(books, site, parts, client)
