"""The back office's lists over one store's file, for anybody who asks.

Run as a process with a port and a file name.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from easyisp_edge.domain.permissions import Permission, Role
from easyisp_edge.domain.users import Caller
from easyisp_edge.services.back_office.payment_lists import PaymentLists
from easyisp_edge.services.back_office.statistics import StatisticsService
from easyisp_edge.store.connections import ThreadedDatabase
from easyisp_edge.store.store import Store
from easyisp_edge.system import SystemTime
from easyisp_edge.timekeeping import BoxClock
from easyisp_edge.web.admin.payments import PaymentsArea
from easyisp_edge.web.admin.serving import Desk
from easyisp_edge.web.app import admin_app
from tests.bench.many_payments import TENANT
from tests.bench.serving import serve_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from easyisp_edge.services.site import Site


class Anybody:
    """A gatekeeper that lets everybody do everything."""

    async def caller_of(self, token: str) -> Caller:
        """Somebody."""
        return Caller("u1", token, TENANT, Role.ADMIN, frozenset(Permission))


class OpenedLater:
    """Stands for the store until the loop runs that its threads need."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.store: Any = None

    async def opened(self, _app: web.Application) -> AsyncIterator[None]:
        """Open it for as long as the server runs."""
        database = await ThreadedDatabase.open(self._path)
        self.store = Store(database, BoxClock(SystemTime(), None))
        yield
        await database.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def main(port: int, path: Path) -> None:
    """Serve until terminated."""
    later = OpenedLater(path)
    site = cast("Site", SimpleNamespace(config=SimpleNamespace(gateways=())))
    store, clock = cast("Store", later), BoxClock(SystemTime(), None)
    area = PaymentsArea(PaymentLists(store, clock), StatisticsService(store, clock, site), cast("Any", None))
    app = admin_app(dict, Desk(Anybody(), site), [area], set)
    app.cleanup_ctx.append(later.opened)
    serve_http(app, port)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
