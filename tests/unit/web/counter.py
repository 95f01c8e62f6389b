"""The portal over open books, with nothing of the world behind it but the configuration of one tenant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.config import load_config
from easyisp_edge.machine import Wake
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.services.access.sign_outs import SignOutService
from easyisp_edge.services.money.shelf import Shelf
from easyisp_edge.services.portal.outages import Outages
from easyisp_edge.services.portal.standing import StandingService
from easyisp_edge.services.site import Site
from easyisp_edge.web.pages import Pages
from easyisp_edge.web.portal import Portal
from easyisp_edge.web.texts import Texts
from tests.unit.shop import ROUTER, TENANT

if TYPE_CHECKING:
    from tests.unit.shop import Books

CAPTIVE_PORTAL = Path(__file__).parents[3] / "captive_portal"
TEXTS = Texts.load(CAPTIVE_PORTAL / "translations")
PAGES = Pages(CAPTIVE_PORTAL, TEXTS)


def open_portal(books: Books, folder: Path, presence: Presence | None = None) -> Portal:
    """A portal that shows and switches what devices have; nothing can be bought at it."""
    if not (folder / "edge.toml").exists():
        (folder / "edge.toml").write_text("")
    presence, nowhere = presence or Presence(), _nowhere()
    site = Site(load_config(folder, {}), nowhere)
    access = AccessService(books.store, books.clock, {ROUTER: TENANT}, {ROUTER: Wake()})
    return Portal(
        site=site,
        store=books.store,
        clock=books.clock,
        identifiers=books.identifiers,
        shelf=Shelf(books.store, books.clock),
        purchases=nowhere,
        settlement=nowhere,
        claims=nowhere,
        wallets=nowhere,
        access=access,
        standing=StandingService(books.store, books.clock, presence),
        logins=nowhere,
        vouchers=nowhere,
        trials=nowhere,
        recovery=nowhere,
        problems=nowhere,
        sign_outs=SignOutService(access),
        outages=Outages(site, books.clock, lambda _gateway: None, lambda _router_id: None),
        pages=PAGES,
        texts=TEXTS,
    )


def _nowhere() -> Any:
    """Stands for parts that are not asked; an `AttributeError` where one is."""
    return object()
