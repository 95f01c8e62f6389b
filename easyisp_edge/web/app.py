"""The HTTP doors: each an application of its own with its own routes, so that none opens another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.web.daraja_callbacks import DarajaCallbacks, callback_error
from easyisp_edge.web.errors import answer_errors
from easyisp_edge.web.health import Health
from easyisp_edge.web.portal_api import PortalApi
from easyisp_edge.web.portal_pages import PortalPages
from easyisp_edge.web.requests import BODY_OCTETS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from easyisp_edge.errors import EdgeError
    from easyisp_edge.services.settlement import SettlementService
    from easyisp_edge.web.portal import Portal


def portal_app(portal: Portal) -> tuple[web.Application, PortalPages]:
    """The customers' door."""
    pages, api = PortalPages(portal), PortalApi(portal)

    def say(request: web.Request, status: int, error: EdgeError) -> web.Response:
        speaks_json = request.path.startswith("/api/")
        return api.error(request, status, error) if speaks_json else pages.error(request, status, error)

    app = web.Application(middlewares=[answer_errors(say)], client_max_size=BODY_OCTETS_MAX)
    app.add_routes(pages.routes() + api.routes() + DarajaCallbacks(portal.settlement).bare_routes())
    return app, pages


def callbacks_app(settlement: SettlementService) -> web.Application:
    """M-Pesa's door."""
    callbacks = DarajaCallbacks(settlement)
    app = web.Application(middlewares=[answer_errors(callback_error)], client_max_size=BODY_OCTETS_MAX)
    app.add_routes(callbacks.secret_routes() + callbacks.bare_routes())
    return app


def admin_app(facts: Callable[[], Mapping[str, Any]]) -> web.Application:
    """The owner's door."""
    app = web.Application(middlewares=[answer_errors(callback_error)], client_max_size=BODY_OCTETS_MAX)
    app.add_routes(Health(facts).routes())
    return app
