"""The HTTP doors: each an application of its own with its own routes, so that none opens another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.http_log import connections
from easyisp_edge.web.admin.cors import allow_origins
from easyisp_edge.web.admin.openapi import description_routes
from easyisp_edge.web.admin.problems import problem
from easyisp_edge.web.box_pages import BoxPages
from easyisp_edge.web.captive_api import CaptiveApi
from easyisp_edge.web.claim_api import ClaimApi
from easyisp_edge.web.claim_pages import ClaimPages
from easyisp_edge.web.daraja_callbacks import DarajaCallbacks, callback_error
from easyisp_edge.web.errors import answer_errors
from easyisp_edge.web.health import Health
from easyisp_edge.web.moving_pages import MovingPages
from easyisp_edge.web.origins import portal_urls, refuse_other_sites
from easyisp_edge.web.portal_api import PortalApi
from easyisp_edge.web.portal_pages import PortalPages
from easyisp_edge.web.requests import BODY_OCTETS_MAX
from easyisp_edge.web.session_api import SessionApi
from easyisp_edge.web.session_pages import SessionPages
from easyisp_edge.web.standing_pages import SwitchPages
from easyisp_edge.web.voucher_pages import VoucherPages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any

    from aiohttp.typedefs import Middleware

    from easyisp_edge.errors import EdgeError
    from easyisp_edge.services.money.judgement import Receiver
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.web.admin.serving import Desk
    from easyisp_edge.web.portal import Portal
    from easyisp_edge.web.webhooks import MpesaWebhook


# Nobody who calls us compresses what he sends; unpacking it would only serve those who send bombs.
_CONNECTIONS = {"logger": connections, "auto_decompress": False}


def _app(say: Callable[[web.Request, int, EdgeError], web.Response], *inside: Middleware) -> web.Application:
    return web.Application(
        middlewares=[answer_errors(say), *inside], client_max_size=BODY_OCTETS_MAX, handler_args=_CONNECTIONS
    )


def portal_app(portal: Portal) -> web.Application:
    """The customers' door."""
    pages, api = PortalPages(portal), PortalApi(portal)

    def say(request: web.Request, status: int, error: EdgeError) -> web.Response:
        speaks_json = request.path.startswith("/api/")
        return api.error(request, status, error) if speaks_json else pages.error(request, status, error)

    captive = CaptiveApi(portal)
    app = _app(say, captive.by_host(), refuse_other_sites(_is_by_form, lambda: portal_urls(portal.site.config)))
    app.add_routes(captive.routes() + SessionApi(portal).routes())
    callbacks = DarajaCallbacks(portal.settlement, portal.site.receiver)
    claims = ClaimPages(portal).routes() + ClaimApi(portal).routes()
    beside = BoxPages(portal).routes() + VoucherPages(portal).routes() + SessionPages(portal).routes()
    app.add_routes(beside + MovingPages(portal).routes())
    app.add_routes(pages.routes() + SwitchPages(portal).routes() + claims + api.routes() + callbacks.bare_routes())
    return app


def _is_by_form(request: web.Request) -> bool:
    """Whether only our own pages' forms send it: the JSON is for the hotspot's pages and for M-Pesa, too."""
    return not request.path.startswith("/api/")


def callbacks_app(
    settlement: SettlementService, receiver_of: Callable[[str], Receiver | None], webhook: MpesaWebhook
) -> web.Application:
    """M-Pesa's door, and that of whoever else is trusted to tell of payments."""
    callbacks = DarajaCallbacks(settlement, receiver_of)
    app = _app(callback_error)
    app.add_routes(callbacks.secret_routes() + callbacks.bare_routes() + webhook.routes())
    return app


def admin_app(
    facts: Callable[[], Mapping[str, Any]], desk: Desk, areas: Sequence[object], origins: Callable[[], Collection[str]]
) -> web.Application:
    """The owner's door.

    Args:
        facts: How the daemon is.
        desk: Serves the back office.
        areas: What the back office offers.
        origins: Where front ends may come from that run in browsers.
    """
    app = _app(problem)
    allow_origins(app, origins)
    app.add_routes([*Health(facts).routes(), *desk.routes(areas), *description_routes([type(area) for area in areas])])
    return app
