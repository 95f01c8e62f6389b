"""What all pages of the captive portal have in common: their frame, their style, their policy, their links.

What each of them says stands in `pages_choosing`, `pages_paying`, `pages_online` and `side_pages`.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import parse_qsl, quote, urlencode

from easyisp_edge.domain.claims import Refusal
from easyisp_edge.domain.one_box import Doubt, Meaning
from easyisp_edge.domain.payments import Reason
from easyisp_edge.domain.schedules import WEEKDAYS
from easyisp_edge.errors import InvalidError
from easyisp_edge.web.page_values import ClaimStep, Closure, Phase
from easyisp_edge.web.palette import palette
from easyisp_edge.web.pay_menu import MenuKind
from easyisp_edge.web.router_errors import ROUTER_SAID
from easyisp_edge.web.templates import load_templates, read_portal_file, tightened

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from easyisp_edge.web.page_values import Offer, Shop
    from easyisp_edge.web.texts import Texts

# The texts that are chosen while a page is made; those the templates name are found in the templates.
_TEXTS_CHOSEN = (
    "language.name",
    *(f"waiting.{phase}.{part}" for phase in get_args(Phase) for part in ("title", "text")),
    *(f"waiting.given.{part}" for part in ("title", "text")),
    *(f"claim.{step}.{part}" for step in get_args(ClaimStep) if step != "refused" for part in ("title", "text")),
    "claim.verifying.staff",
    *(f"refused.{reason}.{part}" for reason in Refusal for part in ("title", "text")),
    *(f"menu.{prefix}{kind}" for prefix in ("", "open_") for kind in get_args(MenuKind)),
    *(f"menu.{title}" for title in ("title", "late", "rest")),
    *(f"reasons.{reason}.{part}" for reason in (*Reason, "unknown") for part in ("title", "text")),
    *(f"box.is.{meaning}" for meaning in Meaning),
    *(f"box.doubts.{doubt}" for doubt in Doubt),
    *(f"box.{told}" for told in ("over", "open", "none_phone", "none_pay_code")),
    *(f"outage.{party}" for party in ("daraja", "uplink", "router", "central", "sales")),
    *(f"closed.{why}" for why in get_args(Closure)),
    *(f"days.{day}" for day in WEEKDAYS),
    *("hours.nights", "hours.daily", "moments.weekday", "package.online"),
    *(f"router_said.{said}" for said in ROUTER_SAID),
    *(f"rejects.{why}" for why in ("devices_full", "other_device", "time_up", "data_up")),
    *(f"error.{kind}_{part}" for kind in ("bad", "missing", "busy", "broken") for part in ("title", "text")),
)

_HOLDER = re.compile(r"(/[pkw]/[0-9a-f]{32})(?:\?.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Style:
    sheet: str
    source: str  # as a Content-Security-Policy names it


class Pages:
    """Renders every page of the portal.

    Every page takes `here`: its own path and query, for the link to the other language; by default the address
    it usually has. Device tokens are put in letter for letter where they are of letters, digits, `_` and `-`, so
    that a page may be rendered once with a stand-in and have it replaced for each device.

    Args:
        folder: The `captive_portal` folder.
        texts: What is said.

    Raises:
        InvalidError: A file is missing, a template is wrong, or it uses a text there is not.
    """

    texts: Texts
    """What is said."""
    static: dict[str, tuple[bytes, str]]
    """Files the pages ask for below `/static/`: name to body and content type; the name changes with the body."""
    zipped: dict[str, bytes]
    """The same bodies, compressed by gzip: a third of the octets."""

    def __init__(self, folder: Path, texts: Texts) -> None:
        self.texts = texts
        script = read_portal_file(folder / "static" / "portal.js")
        name = f"portal.{hashlib.sha256(script.encode()).hexdigest()[:8]}.js"
        self.static = {name: (script.encode(), "text/javascript; charset=utf-8")}
        self.zipped = {name: gzip.compress(body, mtime=0) for name, (body, _) in self.static.items()}
        self._script = f"/static/{name}"
        self._sheet = tightened(read_portal_file(folder / "static" / "portal.css"))
        self._styles: dict[str, _Style] = {}
        self._environment = load_templates(folder / "templates", texts, _TEXTS_CHOSEN)

    def csp(self, shop: Shop, form_targets: Sequence[str] = ()) -> str:
        """The Content-Security-Policy for the pages of that shop.

        Args:
            shop: Its colour is part of the style sheet, and so of the policy.
            form_targets: Addresses forms may be sent to beside the portal: the routers' login pages.

        Raises:
            InvalidError: A target is no http or https address, or the colour is none.

        Source: Content Security Policy Level 3.
        """
        targets = dict.fromkeys(["'self'", *map(_origin, form_targets)])
        return "; ".join(
            (
                "default-src 'none'",
                f"style-src {self._style(shop.colour).source}",
                "script-src 'self'",
                "connect-src 'self'",
                "img-src 'self' data:",
                f"form-action {' '.join(targets)}",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            )
        )

    def render(self, template: str, language: str, shop: Shop, here: str, device: str, **values: Any) -> bytes:
        """A page by its template; what every page has is there already."""
        spoken = language if language in self.texts.languages else self.texts.negotiate(None, language)
        start = f"/?d={quote(device, safe='')}&lang={spoken}"
        page = {
            "t": functools.partial(self.texts.get, spoken),
            "language": spoken,
            "others": self._others(spoken, here),
            "shop": shop,
            "style": self._style(shop.colour).sheet,
            "script": self._script,
            "device": device,
            "start": start,
            "more": f"/?more=1&d={quote(device, safe='')}&lang={spoken}",
            "buy": lambda offer: f"{buy_link(offer, device)}&lang={spoken}",
            "paid": lambda offer: f"{paid_link(offer and offer.package_id, device)}&lang={spoken}",
            "problem": f"/problem?d={quote(device, safe='')}&lang={spoken}",
            "keep": holder[1] if (holder := _HOLDER.fullmatch(here)) else None,
            "poll_url": None,
            "refresh_seconds": 0,
        }
        return self._environment.get_template(f"{template}.html").render(page | values).encode()

    def _others(self, language: str, here: str) -> list[dict[str, str]]:
        return [
            {"language": other, "name": self.texts.get(other, "language.name"), "link": _spoken(here, other)}
            for other in self.texts.languages
            if other != language
        ]

    def countdown(self, language: str, seconds: int) -> dict[str, object]:
        """What a page needs to tell a span that runs down."""
        return {
            "seconds_left": seconds,
            "time_left": self.texts.duration(language, seconds),
            "units": self.texts.duration_words(language),
        }

    def _style(self, colour: str) -> _Style:
        if colour not in self._styles:
            sheet = palette(colour) + self._sheet
            digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
            self._styles[colour] = _Style(sheet, f"'sha256-{digest}'")
        return self._styles[colour]


def buy_link(offer: Offer, device: str) -> str:
    """Where a package is bought."""
    return f"/buy?package={quote(offer.package_id, safe='')}&d={quote(device, safe='')}"


def paid_link(package_id: str | None, device: str) -> str:
    """Where a receipt is shown, for that package where one is named."""
    package = "" if package_id is None else f"package={quote(package_id, safe='')}&"
    return f"/paid?{package}d={quote(device, safe='')}"


def _spoken(here: str, language: str) -> str:
    path, _, query = here.partition("?")
    if re.fullmatch(r"/(?![/\\])[^\\\s]*|/", path) is None:
        path = "/"
    kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "lang"]
    return f"{path}?{urlencode([*kept, ('lang', language)])}"


def _origin(address: str) -> str:
    found = re.fullmatch(r"(https?://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?)(?:/.*)?", address, re.ASCII)
    if found is None:
        raise InvalidError("portal.form_target", f"{address!r:.80} is no address such as http://10.5.50.1/login.")
    return found[1]
