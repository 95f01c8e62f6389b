"""The captive portal's pages as bytes: what a customer sees at every step, in every language."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError, nodes

from easyisp_edge.domain.payments import Reason
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from easyisp_edge.web.texts import Texts

Phase = Literal["prompted", "unknown", "expired", "connecting"]
Closure = Literal["gateway", "packages"]

# The texts that are chosen while a page is made; those the templates name are found in the templates.
_TEXTS_CHOSEN = (
    "language.name",
    *(f"waiting.{phase}.{part}" for phase in get_args(Phase) for part in ("title", "text")),
    *(f"reasons.{reason}.{part}" for reason in (*Reason, "unknown") for part in ("title", "text")),
    *(f"closed.{why}" for why in get_args(Closure)),
    *(f"error.{kind}_{part}" for kind in ("bad", "missing", "busy", "broken") for part in ("title", "text")),
)

# How long the page says the prompt stays open: what most handsets give it.
PROMPT_SHOWN_SECONDS = 60
# Without script the page loads itself anew.
_REFRESH_WAITING_SECONDS = 4
_REFRESH_FAILED_SECONDS = 15
_REFRESH_ONLINE_SECONDS = 60

# The least contrast of text. Source: WCAG 2.2, success criterion 1.4.3.
_CONTRAST_MIN = 4.5
_NO_BREAK = "\u00a0"
_NO_BREAK_HYPHEN = "\u2011"
_PHONE_SHOWN = re.compile(r"\b(0[0-9]{3}) ([0-9]{3}) ([0-9]{3})\b", re.ASCII)
_WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)
# What links and edges stand on, in light and in dark mode: the least favourable of page and card.
_LIGHT_GROUND = (243, 245, 247)
_DARK_GROUND = (27, 34, 41)

_Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Shop:
    """Whose portal it is.

    Args:
        title: The shop's name.
        colour: Its own colour, `#rrggbb`.
        support_phone: Whom to call, as it is to be read; None for nobody.
        note: A word of the owner to the customers; None for none.
    """

    title: str
    colour: str
    support_phone: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A package as the customer reads it, already in words.

    Args:
        package_id: Its id.
        name: Its name.
        price: Such as `KES 50`.
        duration: Such as `1 hour`.
        speed: Such as `5 Mbps`.
        data: Such as `1 GB`; None for no limit.
        devices: How many devices may be on at once.
    """

    package_id: str
    name: str
    price: str
    duration: str
    speed: str
    data: str | None
    devices: int


@dataclass(frozen=True, slots=True)
class LoginForm:
    """What the router's own login page is sent, so that the browser can log itself in.

    Args:
        action: Address of the router's login page, from the configuration and never from a request.
        username: The grant's.
        password: The grant's.
        destination: Where the router sends the browser after; browsers hold redirects of a form to the
            `form_targets` of `Pages.csp` too, so it is best the portal's own address.
    """

    action: str
    username: str
    password: str
    destination: str


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

    def __init__(self, folder: Path, texts: Texts) -> None:
        self._texts = texts
        script = _read(folder / "static" / "portal.js")
        name = f"portal.{hashlib.sha256(script.encode()).hexdigest()[:8]}.js"
        self.static = {name: (script.encode(), "text/javascript; charset=utf-8")}
        self._script = f"/static/{name}"
        self._sheet = _tightened(_read(folder / "static" / "portal.css"))
        self._styles: dict[str, _Style] = {}
        self._environment = _environment(folder / "templates", texts)

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
        here: str | None = None,
    ) -> bytes:
        """The packages on offer; `notice` is said above them, in the page's language."""
        return self._render("choose", language, shop, here or f"/?d={device}", device, offers=offers, notice=notice)

    def phone(
        self,
        *,
        language: str,
        shop: Shop,
        offer: Offer,
        device: str,
        key: str,
        phone: str = "",
        error: str | None = None,
        here: str | None = None,
    ) -> bytes:
        """The question for the phone number.

        The form posts `package`, `d`, `lang`, `key` and `phone` to `/buy`. `phone` and `error` are what was
        typed before and what was wrong with it, in the page's language.
        """
        return self._render(
            "phone",
            language,
            shop,
            here or _buy_link(offer, device),
            device,
            offer=offer,
            key=key,
            phone=phone,
            error=error,
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
        login_form: LoginForm | None = None,
        device: str = "",
        here: str | None = None,
    ) -> bytes:
        """What is being waited for: the PIN, news of a lost push, late news, or the router."""
        said = functools.partial(self._texts.get, language)
        left = max(0, PROMPT_SHOWN_SECONDS - int(seconds_waited)) if phase == "prompted" else 0
        return self._render(
            "waiting",
            language,
            shop,
            here or f"/?d={device}",
            device,
            offer=offer,
            phase=phase,
            step=phase,
            title=said(f"waiting.{phase}.title"),
            text=said(f"waiting.{phase}.text", phone=phone_masked.replace(" ", _NO_BREAK)),
            poll_url=poll_url,
            login_form=login_form,
            refresh_seconds=_REFRESH_WAITING_SECONDS,
            **self._countdown(language, left),
        )

    def online(
        self,
        *,
        language: str,
        shop: Shop,
        offer: Offer,
        seconds_left: int,
        ends_at_local: str,
        receipt: str | None,
        device: str,
        poll_url: str,
        here: str | None = None,
    ) -> bytes:
        """That the device is online, for how long, and by which receipt."""
        return self._render(
            "online",
            language,
            shop,
            here or f"/?d={device}",
            device,
            offer=offer,
            step="online",
            ends_at_local=ends_at_local,
            receipt=receipt,
            poll_url=poll_url,
            refresh_seconds=_REFRESH_ONLINE_SECONDS,
            **self._countdown(language, seconds_left),
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
        here: str | None = None,
    ) -> bytes:
        """Why the payment did not come about and what to do next; None is for reasons nobody told."""
        key = f"reasons.{reason.value if reason else 'unknown'}"
        return self._render(
            "failed",
            language,
            shop,
            here or f"/?d={device}",
            device,
            offer=offer,
            step="failed",
            title=self._texts.get(language, f"{key}.title"),
            text=self._texts.get(language, f"{key}.text"),
            again=reason is not Reason.WRONG_AMOUNT,  # then the money is here: a second payment helps nobody
            poll_url=poll_url,
            refresh_seconds=_REFRESH_FAILED_SECONDS,
        )

    def closed(self, *, language: str, shop: Shop, why: Closure, device: str = "", here: str | None = None) -> bytes:
        """That nothing can be bought: M-Pesa is not set up, or there are no packages."""
        return self._render(
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
        return self._render(
            "error",
            language,
            shop,
            here or f"/?d={device}",
            device,
            title=self._texts.get(language, f"error.{kind}_title"),
            text=message or self._texts.get(language, f"error.{kind}_text"),
        )

    def _render(self, template: str, language: str, shop: Shop, here: str, device: str, **values: Any) -> bytes:
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
            "poll_url": None,
            "refresh_seconds": 0,
        }
        return self._environment.get_template(f"{template}.html").render(page | values).encode()

    def _others(self, language: str, here: str) -> list[dict[str, str]]:
        return [
            {"language": other, "name": self._texts.get(other, "language.name"), "link": _spoken(here, other)}
            for other in self._texts.languages
            if other != language
        ]

    def _countdown(self, language: str, seconds: int) -> dict[str, object]:
        return {
            "seconds_left": seconds,
            "time_left": self._texts.duration(language, seconds),
            "units": self._texts.duration_words(language),
        }

    def _style(self, colour: str) -> _Style:
        if colour not in self._styles:
            sheet = _palette(colour) + self._sheet
            digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
            self._styles[colour] = _Style(sheet, f"'sha256-{digest}'")
        return self._styles[colour]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidError("portal.unreadable", f"{path} cannot be read: {error}") from error


def _environment(folder: Path, texts: Texts) -> Environment:
    sources = {path.name: _unindented(_read(path)) for path in sorted(folder.glob("*.html"))}
    environment = Environment(loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["unbroken"] = _unbroken
    for key in _TEXTS_CHOSEN:
        if not texts.has(key):
            raise InvalidError("portal.text", f"There is no text {key}.")
    for name, source in sources.items():
        try:
            _check_texts(name, environment.parse(source), texts)
            environment.get_template(name)
        except TemplateError as error:
            raise InvalidError("portal.template", f"{name}: {error}") from error
    return environment


def _check_texts(name: str, template: nodes.Template, texts: Texts) -> None:
    for key, given in _texts_used(template):
        if not texts.has(key) or texts.placeholders(key) != given:
            raise InvalidError("portal.template", f"{name}: there is no text {key} that takes {sorted(given)}.")


def _texts_used(template: nodes.Template) -> Iterator[tuple[str, frozenset[str]]]:
    for call in template.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "t":
            yield call.args[0].as_const(), frozenset(value.key for value in call.kwargs)


def _unbroken(text: str) -> str:
    """The text with `M-Pesa` and phone numbers each kept on one line; small screens break lines often."""
    text = text.replace("M-Pesa", f"M{_NO_BREAK_HYPHEN}Pesa")
    return _PHONE_SHOWN.sub(rf"\1{_NO_BREAK}\2{_NO_BREAK}\3", text)


def _unindented(source: str) -> str:
    return re.sub(r"\n\s+", "\n", source)


def _tightened(sheet: str) -> str:
    bare = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    bare = re.sub(r"\s+", " ", bare)
    return re.sub(r" ?([{};,]) ?", r"\1", bare).replace(": ", ":").replace(";}", "}").strip()


def _buy_link(offer: Offer, device: str) -> str:
    return f"/buy?package={quote(offer.package_id, safe='')}&d={quote(device, safe='')}"


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


def _palette(colour: str) -> str:
    """The owner's colour as custom properties, with a text colour on it and two of it that can be read."""
    found = re.fullmatch(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", colour, re.ASCII | re.IGNORECASE)
    if found is None:
        raise InvalidError("portal.colour", f"{colour!r:.40} is no colour such as #0b7a3b.", field="colour")
    accent = (int(found[1], 16), int(found[2], 16), int(found[3], 16))
    on_accent = max(_WHITE, _BLACK, key=lambda text: _contrast(text, accent))
    light = _readable(accent, _LIGHT_GROUND, _BLACK)
    dark = _readable(accent, _DARK_GROUND, _WHITE)
    return (
        f":root{{--accent:{_hex(accent)};--on-accent:{_hex(on_accent)};--edge:{light};--link:{light}}}"
        f"@media (prefers-color-scheme:dark){{:root{{--edge:{dark};--link:{dark}}}}}"
    )


def _readable(colour: _Rgb, ground: _Rgb, towards: _Rgb) -> str:
    """The nearest mix of `colour` with `towards` that can be read on `ground`."""
    mixes = (_mixed(colour, towards, percent) for percent in range(0, 101, 2))
    return _hex(next(mix for mix in mixes if _contrast(mix, ground) >= _CONTRAST_MIN))


def _mixed(colour: _Rgb, other: _Rgb, percent: int) -> _Rgb:
    red, green, blue = (round(a + (b - a) * percent / 100) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _contrast(one: _Rgb, other: _Rgb) -> float:
    """Source: WCAG 2.2, contrast ratio."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: _Rgb) -> float:
    """Source: WCAG 2.2, relative luminance."""
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004


def _hex(colour: _Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
