"""The captive portal's pages as bytes: what a customer sees at every step, in every language."""

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
from easyisp_edge.domain.mpesa_messages import PASTED_LENGTH_MAX
from easyisp_edge.domain.one_box import Doubt, Meaning
from easyisp_edge.domain.payments import Reason
from easyisp_edge.domain.schedules import WEEKDAYS
from easyisp_edge.errors import InvalidError
from easyisp_edge.web.page_values import ClaimStep, Closure, Pasted, Phase
from easyisp_edge.web.palette import palette
from easyisp_edge.web.pay_menu import MenuKind
from easyisp_edge.web.templates import NO_BREAK, load_templates, read_portal_file, tightened

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from easyisp_edge.web.page_values import ClaimNews, InUse, LoginForm, Next, Offer, Own, PaidShort, Shop, Ways
    from easyisp_edge.web.pay_menu import PayMenu
    from easyisp_edge.web.texts import Texts

# The texts that are chosen while a page is made; those the templates name are found in the templates.
_TEXTS_CHOSEN = (
    "language.name",
    *(f"waiting.{phase}.{part}" for phase in get_args(Phase) for part in ("title", "text")),
    *(f"claim.{step}.{part}" for step in get_args(ClaimStep) if step != "refused" for part in ("title", "text")),
    "claim.verifying.staff",
    *(f"refused.{reason}.{part}" for reason in Refusal for part in ("title", "text")),
    *(f"menu.{prefix}{kind}" for prefix in ("", "open_") for kind in get_args(MenuKind)),
    *(f"menu.{title}" for title in ("title", "late", "rest")),
    *(f"reasons.{reason}.{part}" for reason in (*Reason, "unknown") for part in ("title", "text")),
    *(f"box.is.{meaning}" for meaning in Meaning),
    *(f"box.doubts.{doubt}" for doubt in Doubt),
    *(f"box.{told}" for told in ("over", "open", "none_phone", "none_pay_code")),
    *(f"outage.{party}" for party in ("daraja", "uplink", "router", "central")),
    *(f"closed.{why}" for why in get_args(Closure)),
    *(f"days.{day}" for day in WEEKDAYS),
    *("hours.nights", "hours.daily", "moments.weekday", "package.online"),
    *(f"error.{kind}_{part}" for kind in ("bad", "missing", "busy", "broken") for part in ("title", "text")),
)

# How long the page says the prompt stays open: what most handsets give it.
PROMPT_SHOWN_SECONDS = 60
# When a prompt that has not come by then most likely needs the phone's owner to do something.
HINT_AFTER_SECONDS = 20
# Without script the page loads itself anew.
_REFRESH_WAITING_SECONDS = 4
_REFRESH_OFFERED_SECONDS = 15  # somebody is reading numbers off it
_REFRESH_FAILED_SECONDS = 15
_REFRESH_ONLINE_SECONDS = 60
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

    static: dict[str, tuple[bytes, str]]
    """Files the pages ask for below `/static/`: name to body and content type; the name changes with the body."""
    zipped: dict[str, bytes]
    """The same bodies, compressed by gzip: a third of the octets."""

    def __init__(self, folder: Path, texts: Texts) -> None:
        self._texts = texts
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

    def choose(
        self,
        *,
        language: str,
        shop: Shop,
        offers: Sequence[Offer],
        device: str,
        notice: str | None = None,
        credit: str | None = None,
        trial: str | None = None,
        outages: Sequence[str] = (),
        here: str | None = None,
    ) -> bytes:
        """The packages on offer; above them what the customer has in the wallet, and, as they are, the notices.

        Below them how long a free trial is, and the one box for everything, whose form posts `text`, `d` and `lang`
        to `/find`.
        """
        said: dict[str, Any] = {"notice": notice, "credit": credit, "trial": trial, "outages": outages}
        return self.render("choose", language, shop, here or f"/?d={device}", device, offers=offers, **said)

    def phone(
        self,
        *,
        language: str,
        shop: Shop,
        offer: Offer,
        device: str,
        key: str,
        ways: Ways,
        phone: str = "",
        error: str | None = None,
        outages: Sequence[str] = (),
        here: str | None = None,
    ) -> bytes:
        """The question for the phone number.

        The form posts `package`, `d`, `lang`, `key` and `phone` to `/buy`, and `prompt=no` to pay from the menu;
        that for the credit posts the same without a phone to `/credit`. `phone` and `error` are what was typed
        before and what was wrong with it, in the page's language.
        """
        return self.render(
            "phone",
            language,
            shop,
            here or _buy_link(offer, device),
            device,
            offer=offer,
            key=key,
            ways=ways,
            phone=phone,
            error=error,
            outages=outages,
        )

    def waiting(
        self,
        *,
        language: str,
        shop: Shop,
        offer: Offer,
        phase: Phase,
        phone_masked: str,
        seconds_waited: float,
        poll_url: str,
        menu: PayMenu | None = None,
        login_form: LoginForm | None = None,
        outages: Sequence[str] = (),
        device: str = "",
        here: str | None = None,
    ) -> bytes:
        """What is being waited for: the PIN, news of a lost push, late news, or the router.

        Until the money is in, `menu` is the other way to pay; after some seconds the page says what to do where no
        prompt has come.
        """
        said = functools.partial(self._texts.get, language)
        left = max(0, PROMPT_SHOWN_SECONDS - int(seconds_waited)) if phase == "prompted" else 0
        return self.render(
            "waiting",
            language,
            shop,
            here or f"/?d={device}",
            device,
            offer=offer,
            phase=phase,
            step=phase,
            title=said(f"waiting.{phase}.title"),
            text=said(f"waiting.{phase}.text", phone=phone_masked.replace(" ", NO_BREAK)),
            poll_url=poll_url,
            menu=menu,
            menu_title=said("menu.late" if phase == "expired" else "menu.title"),
            menu_number=self._number_called(language, menu),
            login_form=login_form,
            outages=outages,
            hint_after=max(0, HINT_AFTER_SECONDS - int(seconds_waited)),
            refresh_seconds=_REFRESH_WAITING_SECONDS,
            **self.countdown(language, left),
        )

    def offered(
        self,
        *,
        language: str,
        shop: Shop,
        offer: Offer,
        menu: PayMenu | None,
        poll_url: str,
        device: str = "",
        here: str | None = None,
    ) -> bytes:
        """How to pay from the M-Pesa menu, step by step; None where the gateway is no longer there to be paid."""
        return self.render(
            "offered",
            language,
            shop,
            here or f"/?d={device}",
            device,
            offer=offer,
            step="offered",
            menu=menu,
            menu_number=self._number_called(language, menu),
            first="" if menu is None else self._texts.get(language, f"menu.open_{menu.kind}"),
            poll_url=poll_url,
            refresh_seconds=_REFRESH_OFFERED_SECONDS,
        )

    def online(
        self,
        *,
        language: str,
        shop: Shop,
        offer: Offer,
        in_use: InUse,
        receipt: str | None,
        device: str,
        poll_url: str,
        after: Sequence[Next] = (),
        own: Own | None = None,
        outages: Sequence[str] = (),
        here: str | None = None,
    ) -> bytes:
        """That the device is online, for how long, by which receipt, and what comes after.

        What may begin at once has a form that posts `turn`, `d` and `lang` to `/switch`. Whose `own` it is has forms
        that post `h`, `d` and `lang` to `/off`, and `turn` beside them to `/pause`.
        """
        return self.render(
            "online",
            language,
            shop,
            here or f"/?d={device}",
            device,
            offer=offer,
            step="online",
            in_use=in_use,
            after=after,
            own=own,
            outages=outages,
            receipt=receipt,
            poll_url=poll_url,
            refresh_seconds=_REFRESH_ONLINE_SECONDS,
            **self.countdown(language, in_use.seconds_left),
        )

    def shut(
        self,
        *,
        language: str,
        shop: Shop,
        offer: Offer,
        opens: str,
        seconds_to_go: int,
        receipt: str | None,
        device: str,
        poll_url: str,
        here: str | None = None,
    ) -> bytes:
        """That what was bought may not be used at this hour, and when it may."""
        return self.render(
            "shut",
            language,
            shop,
            here or f"/?d={device}",
            device,
            offer=offer,
            step="shut",
            opens=opens,
            receipt=receipt,
            poll_url=poll_url,
            refresh_seconds=_REFRESH_ONLINE_SECONDS,
            **self.countdown(language, seconds_to_go),
        )

    def failed(
        self,
        *,
        language: str,
        shop: Shop,
        offer: Offer,
        reason: Reason | None,
        device: str,
        poll_url: str,
        short: PaidShort | None = None,
        here: str | None = None,
    ) -> bytes:
        """Why the payment did not come about and what to do next; None is for reasons nobody told."""
        key = f"reasons.{reason.value if reason else 'unknown'}"
        return self.render(
            "failed",
            language,
            shop,
            here or f"/?d={device}",
            device,
            offer=offer,
            step="failed",
            title=self._texts.get(language, f"{key}.title"),
            text=self._texts.get(language, f"{key}.text"),
            # Where the money is here, a second payment of the whole helps nobody.
            again=reason not in {Reason.WRONG_AMOUNT, Reason.PAID_SHORT},
            short=short,
            menu=None if short is None else short.menu,
            menu_title=self._texts.get(language, "menu.rest"),
            menu_number=self._number_called(language, None if short is None else short.menu),
            poll_url=poll_url,
            refresh_seconds=_REFRESH_FAILED_SECONDS,
        )

    def paid(
        self,
        *,
        language: str,
        shop: Shop,
        device: str,
        key: str,
        needs_phone: bool,
        package_id: str | None = None,
        pasted: Pasted | None = None,
        understood: str | None = None,
        here: str | None = None,
    ) -> bytes:
        """The question for the receipt of what is paid already; `understood` is what was typed before taken for.

        The form posts `text`, `phone`, `package`, `d`, `lang` and `key` to `/paid`; a phone must be told where the
        device is not known.
        """
        return self.render(
            "paid",
            language,
            shop,
            here or _paid_link(package_id, device),
            device,
            key=key,
            needs_phone=needs_phone,
            package_id=package_id,
            pasted=pasted or Pasted(),
            understood=understood,
            text_length_max=PASTED_LENGTH_MAX,
        )

    def claim(
        self,
        *,
        language: str,
        shop: Shop,
        news: ClaimNews,
        offer: Offer | None,
        device: str,
        poll_url: str,
        login_form: LoginForm | None = None,
        understood: str | None = None,
        here: str | None = None,
    ) -> bytes:
        """What came of a claim, or that it is still looked for; `offer` is what is wanted for it.

        `understood` is what the text was taken for that led here.
        """
        looking = news.step in {"verifying", "provisional"}
        title, text = self._claim_words(language, news)
        return self.render(
            "claim",
            language,
            shop,
            here or f"/?d={device}",
            device,
            offer=offer,
            news=news,
            looking=looking,
            understood=understood,
            step=news.step,
            title=title,
            text=text,
            login_form=login_form,
            poll_url=poll_url if looking else None,
            refresh_seconds=_REFRESH_WAITING_SECONDS if looking else 0,
            **self.countdown(language, news.seconds_left),
        )

    def closed(self, *, language: str, shop: Shop, why: Closure, device: str = "", here: str | None = None) -> bytes:
        """That nothing can be bought: M-Pesa is not set up, or there are no packages."""
        return self.render(
            "closed",
            language,
            shop,
            here or f"/?d={device}",
            device,
            text=self._texts.get(language, f"closed.{why}"),
        )

    def error(
        self,
        *,
        language: str,
        shop: Shop,
        status: int,
        message: str | None = None,
        device: str = "",
        here: str | None = None,
    ) -> bytes:
        """What went wrong, by HTTP status; `message` says it better where something better is known."""
        kind = _error_kind(status)
        return self.render(
            "error",
            language,
            shop,
            here or f"/?d={device}",
            device,
            title=self._texts.get(language, f"error.{kind}_title"),
            text=message or self._texts.get(language, f"error.{kind}_text"),
        )

    def render(self, template: str, language: str, shop: Shop, here: str, device: str, **values: Any) -> bytes:
        """A page by its template; what every page has is there already."""
        spoken = language if language in self._texts.languages else self._texts.negotiate(None, language)
        start = f"/?d={quote(device, safe='')}&lang={spoken}"
        page = {
            "t": functools.partial(self._texts.get, spoken),
            "language": spoken,
            "others": self._others(spoken, here),
            "shop": shop,
            "style": self._style(shop.colour).sheet,
            "script": self._script,
            "device": device,
            "start": start,
            "more": f"/?more=1&d={quote(device, safe='')}&lang={spoken}",
            "buy": lambda offer: f"{_buy_link(offer, device)}&lang={spoken}",
            "paid": lambda offer: f"{_paid_link(offer and offer.package_id, device)}&lang={spoken}",
            "problem": f"/problem?d={quote(device, safe='')}&lang={spoken}",
            "keep": holder[1] if (holder := _HOLDER.fullmatch(here)) else None,
            "poll_url": None,
            "refresh_seconds": 0,
        }
        return self._environment.get_template(f"{template}.html").render(page | values).encode()

    def _number_called(self, language: str, menu: PayMenu | None) -> str:
        return "" if menu is None else self._texts.get(language, f"menu.{menu.kind}")

    def _claim_words(self, language: str, news: ClaimNews) -> tuple[str, str]:
        key = f"refused.{news.reason}" if news.step == "refused" else f"claim.{news.step}"
        text = "staff" if news.step == "verifying" and not news.watched else "text"
        return (
            self._texts.get(language, f"{key}.title"),
            self._texts.get(language, f"{key}.{text}", amount=news.credit.replace(" ", NO_BREAK)),
        )

    def _others(self, language: str, here: str) -> list[dict[str, str]]:
        return [
            {"language": other, "name": self._texts.get(other, "language.name"), "link": _spoken(here, other)}
            for other in self._texts.languages
            if other != language
        ]

    def countdown(self, language: str, seconds: int) -> dict[str, object]:
        """What a page needs to tell a span that runs down."""
        return {
            "seconds_left": seconds,
            "time_left": self._texts.duration(language, seconds),
            "units": self._texts.duration_words(language),
        }

    def _style(self, colour: str) -> _Style:
        if colour not in self._styles:
            sheet = palette(colour) + self._sheet
            digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
            self._styles[colour] = _Style(sheet, f"'sha256-{digest}'")
        return self._styles[colour]


def _buy_link(offer: Offer, device: str) -> str:
    return f"/buy?package={quote(offer.package_id, safe='')}&d={quote(device, safe='')}"


def _paid_link(package_id: str | None, device: str) -> str:
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


def _error_kind(status: int) -> str:
    return {404: "missing", 429: "busy"}.get(status, "bad" if status < 500 else "broken")  # noqa: PLR2004
