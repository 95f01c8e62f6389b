"""A site of two tenants whose back office is asked over HTTP: real books, real configuration, real services."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from easyisp_edge.daemon.back_office import site_areas
from easyisp_edge.portal_files import portal_folder
from easyisp_edge.services.back_office.grants_desk import GrantsDesk
from easyisp_edge.services.back_office.problems_desk import ProblemsDesk
from easyisp_edge.services.back_office.vouchers_desk import VouchersDesk
from easyisp_edge.web.admin.serving import Desk
from easyisp_edge.web.app import admin_app
from easyisp_edge.web.texts import Texts
from tests.unit.desk import FILES
from tests.unit.grants_stage import GrantsOffice, open_grants_office
from tests.unit.web.admin.stage import Keys, asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

    from easyisp_edge.domain.routers import RouterHealth

THEIRS: dict[str, Any] = {"as_": "ADMIN:b"}
_PACKAGES = FILES["packages.toml"].replace("name =", 'tenant = "default"\nname =')
TENANTS = {
    "tenants.toml": '[[tenant]]\nid = "default"\nname = "First"\n[[tenant]]\nid = "b"\nname = "Second"\n',
    "packages.toml": _PACKAGES + _PACKAGES.replace('"default"', '"b"'),
    "gateways.toml": FILES["gateways.toml"].replace("sub_type =", 'tenant = "default"\nsub_type ='),
    "routers.toml": FILES["routers.toml"].replace("mode =", 'tenant = "default"\nname = "Hall"\nmode =')
    + """[[router]]
id = "far"
tenant = "b"
address = "10.0.9.1"
mode = "radius"
login_url = "http://10.9.0.1/login"
radius = { secret = "not-to-be-told" }
""",
}


@dataclass
class SiteOffice:
    """The back office, and those whom it is about.

    Args:
        sales: Who sells, and looks after grants.
        client: At the back office's door.
        health: How routers are.
    """

    sales: GrantsOffice
    client: TestClient[Any, Any]
    health: dict[str, RouterHealth] = field(default_factory=dict)

    async def get(self, path: str, expect: int = 200, **more: Any) -> dict[str, Any]:
        """Ask for something."""
        return await asked(self.client, "GET", path, expect, **more)

    async def post(self, path: str, expect: int = 200, **more: Any) -> dict[str, Any]:
        """Have something done."""
        return await asked(self.client, "POST", path, expect, **more)

    async def all_of(self, path: str, limit: int = 2, **more: Any) -> list[dict[str, Any]]:
        """A whole list, page by page."""
        found, cursor, join = [], "", "&" if "?" in path else "?"
        while True:
            page = await self.get(f"{path}{join}limit={limit}&cursor={cursor}", **more)
            assert len(page["items"]) <= limit
            found += page["items"]
            if page["nextCursor"] is None:
                return found
            assert len(page["items"]) == limit
            cursor = page["nextCursor"]


@contextlib.asynccontextmanager
async def open_site_office(
    folder: Path,
    aiohttp_client: Callable[..., Awaitable[TestClient[Any, Any]]],
    files: dict[str, str] | None = None,
) -> AsyncIterator[SiteOffice]:
    """An office of two tenants, or as the files say; its books are held against all rules at the end."""
    health: dict[str, RouterHealth] = {}
    async with open_grants_office(folder, TENANTS | (files or {})) as sales:
        site = sales.office.site
        books = sales.office.books
        areas = site_areas(
            GrantsDesk(sales.access, sales.presence, site),
            VouchersDesk(books.store, books.clock, books.identifiers, site),
            ProblemsDesk(books.store, books.clock, site),
            texts=Texts.load(portal_folder() / "translations"),
            health_of=health.get,
        )
        app = admin_app(dict, Desk(Keys(), site), areas, set)
        yield SiteOffice(sales, await aiohttp_client(app), health)
