from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import tomllib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.claims import Refusal
from easyisp_edge.domain.payments import Reason
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import Money
from easyisp_edge.domain.vouchers import grouped, voucher_code
from easyisp_edge.errors import InvalidError
from easyisp_edge.web.page_values import (
    ClaimNews,
    ClaimStep,
    InUse,
    LoginForm,
    Next,
    Offer,
    Own,
    PaidShort,
    Pasted,
    Phase,
    Receipt,
    Shop,
    Ways,
)
from easyisp_edge.web.pages import Pages
from easyisp_edge.web.pages_choosing import choose_page, closed_page, error_page, phone_page
from easyisp_edge.web.pages_online import off_page, online_page, shut_page
from easyisp_edge.web.pages_paying import claim_page, failed_page, offered_page, paid_page, waiting_page
from easyisp_edge.web.pay_menu import MenuKind, PayMenu
from easyisp_edge.web.side_pages import box_page, problem_page, receipt_page, same_page, voucher_page
from easyisp_edge.web.texts import Texts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from playwright.async_api import Page

PORTAL = Path(__file__).parents[3] / "captive_portal"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TEXTS = Texts.load(PORTAL / "translations")
PAGES = Pages(PORTAL, TEXTS)
SHOP = Shop("Mama Njeri Wi-Fi", "#0b7a3b", "0712 345 678", "Karibu!")
OFFER = Offer("day-1", "Daily", "KES 50", "1 day", "5 Mbps", "10 GB", 2)
NIGHTS = replace(OFFER, package_id="nights", hours="Nights 22:00\u201306:00")
LATER = (Next("Weekly", "a1"), Next("Monthly", "b2", time_left="29 days 3 hours"), Next("Nights", "c3", opens="22:00"))
LOGIN = LoginForm("http://10.5.50.1/login", "u1", "p1", "http://10.5.50.2/?d=abc")
HOLDER = "/p/" + "a" * 32
OWN = Own(HOLDER, None, f"{HOLDER}/receipt?lang=en")
VOUCHER = voucher_code("K7M3PQ4ABCD") or ""
MENU = PayMenu("paybill", "174379", "A3BDEFG", Money(5000), watched=True)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"


def waiting(phase: Phase, **more: Any) -> bytes:
    usual: dict[str, Any] = {
        "language": "en", "shop": SHOP, "offer": OFFER, "phase": phase, "phone_masked": "0712 ••• 678",
        "seconds_waited": 10, "poll_url": "/poll?p=1", "device": "abc",
    }  # fmt: skip
    return waiting_page(PAGES, **(usual | more))


def online(**more: Any) -> bytes:
    usual: dict[str, Any] = {
        "language": "en", "shop": SHOP, "offer": OFFER, "in_use": InUse(4800, "today at 16:30"),
        "receipt": "TAD62EDKVQ", "device": "abc", "poll_url": "/poll?p=1",
    }  # fmt: skip
    return online_page(PAGES, **(usual | more))


def shut(**more: Any) -> bytes:
    usual: dict[str, Any] = {
        "language": "en", "shop": SHOP, "offer": NIGHTS, "opens": "22:00", "seconds_to_go": 4800,
        "receipt": "TAD62EDKVQ", "device": "abc", "poll_url": "/poll?p=1",
    }  # fmt: skip
    return shut_page(PAGES, **(usual | more))


def failed(reason: Reason | None, language: str = "en", **more: Any) -> bytes:
    usual: dict[str, Any] = {"shop": SHOP, "offer": OFFER, "device": "abc", "poll_url": "/poll?p=1"}
    return failed_page(PAGES, language=language, reason=reason, **(usual | more))


def phone(**more: Any) -> bytes:
    usual: dict[str, Any] = {
        "language": "en", "shop": SHOP, "offer": OFFER, "device": "abc", "key": "k1", "ways": Ways(menu=True),
    }  # fmt: skip
    return phone_page(PAGES, **(usual | more))


def offered(menu: PayMenu | None = MENU, **more: Any) -> bytes:
    usual: dict[str, Any] = {"language": "en", "shop": SHOP, "offer": OFFER, "device": "abc", "poll_url": "/poll?p=1"}
    return offered_page(PAGES, menu=menu, **(usual | more))


def paid(**more: Any) -> bytes:
    usual: dict[str, Any] = {"language": "en", "shop": SHOP, "device": "abc", "key": "k1", "needs_phone": False}
    return paid_page(PAGES, **(usual | more))


def claim(news: ClaimNews | ClaimStep, **more: Any) -> bytes:
    usual: dict[str, Any] = {"language": "en", "shop": SHOP, "offer": OFFER, "device": "abc", "poll_url": "/poll?p=1"}
    return claim_page(PAGES, news=news if isinstance(news, ClaimNews) else ClaimNews(news), **(usual | more))


def voucher(**more: Any) -> bytes:
    usual: dict[str, Any] = {
        "language": "en", "shop": SHOP, "offer": OFFER, "device": "abc", "code": VOUCHER, "known": True,
        "comes_back": f"http://10.5.50.2/v/{VOUCHER}",
    }  # fmt: skip
    return voucher_page(PAGES, **(usual | more))


def off(**more: Any) -> bytes:
    usual: dict[str, Any] = {
        "language": "en", "shop": SHOP, "offer": OFFER, "device": "abc", "seconds_left": 4800, "stands": True,
        "own": OWN, "poll_url": "/poll?p=1",
    }  # fmt: skip
    return off_page(PAGES, **(usual | more))


def receipt(**more: Any) -> bytes:
    kept = Receipt("KES 50", "today at 09:00", "TAD62EDKVQ", "0712 ••• 678", "today at 16:30")
    usual: dict[str, Any] = {
        "language": "en", "shop": SHOP, "offer": OFFER, "device": "abc", "receipt": kept, "holder": HOLDER,
    }  # fmt: skip
    return receipt_page(PAGES, **(usual | more))


def every_page(language: str, shop: Shop = SHOP, offer: Offer = OFFER, said: str = "a word") -> dict[str, bytes]:
    """Each page in each of its variants."""
    nights = TEXTS.hours(language, Schedule.parse("fri,sat 22:00-06:00"))
    both: dict[str, Any] = {"language": language, "shop": shop}
    pages = {
        "choose": choose_page(PAGES, **both, offers=[offer], device="abc"),
        "choose, notice": choose_page(PAGES, **both, offers=[offer], device="abc", notice=said),
        "choose, credit": choose_page(PAGES, **both, offers=[offer], device="abc", credit=said),
        "phone": phone(**both, offer=offer),
        "phone, wrong": phone(**both, offer=offer, key=said, phone=said, error=said),
        "phone, asked": phone(**both, offer=offer, error=said, asked=True),
        "phone, credit": phone(**both, offer=offer, ways=Ways(menu=True, credit=said)),
        "phone, prompt only": phone(**both, offer=offer, ways=Ways()),
        "phone, menu only": phone(**both, offer=offer, ways=Ways(prompt=False, menu=True)),
        "offered, no gateway": offered(None, **both, offer=offer),
        "offered, unseen": offered(MENU._replace(watched=False), **both, offer=offer),
        "paid": paid(**both),
        "paid, wrong": paid(**both, key=said, package_id=said, needs_phone=True, pasted=Pasted(said, said, said)),
        "paid, wrong phone": paid(**both, pasted=Pasted(said, said, said, phone_wrong=True)),
        "short": failed(Reason.PAID_SHORT, **both, offer=offer, short=PaidShort(said, said, MENU)),
        "short, no rest": failed(Reason.PAID_SHORT, **both, offer=offer, short=PaidShort(said, said, None)),
        "choose, hours": choose_page(PAGES, **both, offers=[replace(offer, hours=said)], device="abc"),
        "online": online(**both, offer=offer, receipt=said, in_use=InUse(4800, said)),
        "online, by time online": online(
            **both, offer=replace(offer, hours=said), in_use=InUse(4800, said, lapses=True, data_left=said)
        ),
        "online, more after": online(**both, offer=offer, after=[Next(said, said, said), Next(said, said, None, said)]),
        "choose, nights": choose_page(PAGES, **both, offers=[replace(offer, hours=nights)], device="abc", notice=said),
        "shut, nights": shut(**both, offer=replace(offer, hours=nights), opens="22:00", receipt=said),
        "shut": shut(**both, offer=replace(offer, hours=said), opens=said),
        "connecting, form": waiting("connecting", **both, offer=offer, login_form=LOGIN),
        "connecting, given": waiting("connecting", **both, offer=offer, paid=False),
        "closed, gateway": closed_page(PAGES, **both, why="gateway"),
        "closed, packages": closed_page(PAGES, **both, why="packages"),
        "closed, trial": closed_page(PAGES, **both, why="packages", trial=said),
        "error, said": error_page(PAGES, **both, status=400, message=said),
        "choose, trial and outages": choose_page(
            PAGES, **both, offers=[offer], device="abc", trial=said, outages=[said] * 2
        ),
        "phone, outage": phone(**both, offer=offer, outages=[said]),
        "online, own": online(**both, offer=offer, own=OWN, outages=[said]),
        "online, own by time online": online(**both, offer=offer, own=replace(OWN, turn="a1"), here=HOLDER),
        "waiting, outage": waiting("prompted", **both, offer=offer, outages=[said]),
        "paid, understood": paid(**both, understood=said),
        "claim, understood": claim("verifying", **both, understood=said),
        "box, wrong": box_page(PAGES, **both, device="abc", title=said, typed=said, wrong=said),
        "box, told": box_page(PAGES, **both, device="abc", title=said, text=said),
        "voucher": voucher(**both, offer=offer),
        "voucher, nothing known of it": voucher(**both, offer=None),
        "voucher, device not known": voucher(**both, offer=None, known=False, router_login=LOGIN.action),
        "voucher, nobody to ask": voucher(**both, offer=None, known=False),
        "voucher, moves": voucher(**both, offer=replace(offer, devices=1), moves=True, outages=[said]),
        "voucher, lets others on": voucher(**both, offer=replace(offer, devices=3), moves=True),
        "offered, outage": offered(**both, offer=offer, outages=[said]),
        "claim, outage": claim("verifying", **both, outages=[said]),
        "off, outage": off(**both, offer=offer, outages=[said]),
        "off": off(**both, offer=offer),
        "off, by the clock": off(**both, offer=offer, stands=False, own=replace(OWN, receipt=None)),
        "off, a stranger": off(**both, offer=offer, own=None),
        "same": same_page(PAGES, **both, device="abc", offer=offer, holder=HOLDER),
        "same, too often": same_page(PAGES, **both, device="abc", offer=offer, holder=HOLDER, wrong=said),
        "receipt": receipt(**both, offer=offer),
        "receipt, little known": receipt(**both, offer=offer, receipt=Receipt(said, said)),
        "problem": problem_page(PAGES, **both, device="abc", sent=False),
        "problem, wrong": problem_page(PAGES, **both, device="abc", sent=False, typed=said, wrong=said),
        "problem, office away": problem_page(PAGES, **both, device="abc", sent=False, office_away=True),
        "problem, sent": problem_page(PAGES, **both, device="abc", sent=True),
    }
    pages |= {f"waiting, {phase}": waiting(phase, **both, offer=offer, phone_masked=said) for phase in get_args(Phase)}
    pages |= {f"menu, {phase}": waiting(phase, **both, offer=offer, menu=MENU) for phase in get_args(Phase)}
    for kind in get_args(MenuKind):
        menu = PayMenu(kind, said, said if kind == "paybill" else None, Money(5050), watched=True)
        pages[f"offered, {kind}"] = offered(menu, **both, offer=offer)
    pages |= {f"claim {at}": claim(news, **both, offer=offer) for at, news in enumerate(every_news(said))}
    pages["claim, whatever it pays for"] = claim(every_news(said)[0], **both, offer=None)
    pages["claim, form"] = claim(ClaimNews("verifying", said, seconds_left=900), **both, login_form=LOGIN)
    pages |= {f"error, {status}": error_page(PAGES, **both, status=status) for status in (400, 404, 429, 500)}
    return pages | {f"failed, {reason}": failed(reason, **both, offer=offer) for reason in (*Reason, None)}


def every_news(said: str = "UJ25X7KQ3M") -> list[ClaimNews]:
    """What a claim may come to."""
    refused = [ClaimNews("refused", said, reason) for reason in Refusal]
    others = [ClaimNews(step, said, None, said, 900) for step in get_args(ClaimStep) if step != "refused"]
    return [*refused, *others, ClaimNews("verifying", said, watched=False), ClaimNews("verifying"), ClaimNews("over")]


def unbroken(text: str) -> str:
    return re.sub(r"(\d) (?=\d)", "\\1\u00a0", text.replace("M-Pesa", "M\u2011Pesa"))


@dataclass
class Read(HTMLParser):
    """A page as a program reads it: its elements, its text, its style sheet."""

    page: bytes
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self.feed(self.page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in {"all", *self._open}:
            self.text[tag] = self.text.get(tag, "") + data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def fields(self) -> dict[str, str]:
        return {element["name"]: element.get("value", "") for element in self.all("input")}


def links(body: bytes) -> list[str]:
    return [link["href"] for link in Read(body).all("a")]


LANGUAGES = pytest.mark.parametrize("language", TEXTS.languages)


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio, reckoned here once more by its definition."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def properties(sheet: str) -> tuple[dict[str, str], dict[str, str]]:
    """The custom properties of a style sheet: in light mode and in dark mode."""
    light: dict[str, str] = {}
    dark: dict[str, str] = {}
    for found in re.finditer(r"(@media \(prefers-color-scheme:dark\)\{)?:root\{([^}]*)\}", sheet):
        into = dark if found[1] else light
        into.update(re.findall(r"--([a-z-]+):(#[0-9a-f]+)", found[2]))
    return light, light | dark


class TestTexts:
    def test_languages_match(self) -> None:
        """English and Swahili say the same things: loading compares every key and placeholder."""
        assert TEXTS.languages == ("en", "sw")
        assert TEXTS.get("sw", "choose.title") != TEXTS.get("en", "choose.title")

    @pytest.mark.parametrize(
        ("english", "swahili", "code"),
        [
            ('a = "x"', 'b = "x"', "texts.missing"),
            ('a = "x"\nb = "y"', 'a = "x"', "texts.missing"),
            ('a = "x"', 'a = "x"\nb = "y"', "texts.missing"),
            ('a = "{n}"', 'a = "{m}"', "texts.placeholders"),
            ('a = "x"', "a = 1", "texts.unreadable"),
            ('a = "x"', "a =", "texts.unreadable"),
        ],
    )
    def test_mismatch_refused(self, tmp_path: Path, english: str, swahili: str, code: str) -> None:
        """Languages that differ in a key or placeholder, or a broken file, are refused when loaded."""
        (tmp_path / "en.toml").write_text(english)
        (tmp_path / "sw.toml").write_text(swahili)
        with pytest.raises(InvalidError) as caught:
            Texts.load(tmp_path)
        assert caught.value.code == code

    def test_empty_folder_refused(self, tmp_path: Path) -> None:
        """Without any texts nothing starts."""
        with pytest.raises(InvalidError):
            Texts.load(tmp_path)

    @given(st.text(max_size=5), st.text(max_size=30), st.text(max_size=10))
    def test_get_never_raises(self, language: str, key: str, value: str) -> None:
        """Whatever is asked for, a text comes back; an unknown key comes back as it is."""
        assert TEXTS.get(language, key, count=value) == key

    def test_values_are_not_read_again(self) -> None:
        """A value that looks like a placeholder is put in as it stands, and a value not given leaves its own."""
        assert TEXTS.get("en", "waiting.summary", package="{price}", price="KES 5") == "{price} · KES 5"
        assert TEXTS.get("en", "waiting.summary", package="{0.__class__}") == "{0.__class__} · {price}"

    @pytest.mark.parametrize(
        ("code", "values"),
        [
            ("unexpected", set()),
            ("request.invalid", set()),
            ("request.too_large", set()),
            ("phone.unreadable", set()),
            ("mac.unreadable", set()),
            ("gateway.missing", set()),
            ("purchase.unknown", set()),
            ("purchase.changed", set()),
            ("purchase.package_closed", set()),
            ("purchase.phone_busy", {"seconds"}),
            ("claim.who", set()),
            ("claim.unknown", set()),
            ("claim.limit", {"minutes"}),
            ("claim.empty", set()),
            ("claim.too_long", set()),
            ("claim.no_receipt", set()),
            ("claim.reversal", set()),
            ("claim.not_paid", set()),
            ("wallet.short", set()),
            ("grant.unknown", set()),
            ("grant.shut", set()),
            ("rate.limited", {"seconds"}),
            ("tenant.unknown", set()),
            ("trial.closed", set()),
            ("trial.not_needed", set()),
            ("trial.used", set()),
            ("voucher.over", set()),
        ],
    )
    def test_errors_a_customer_may_meet(self, code: str, values: set[str]) -> None:
        """What may go wrong for a customer is told in the page's language, with these values."""
        assert TEXTS.has(f"errors.{code}")
        assert TEXTS.placeholders(f"errors.{code}") == values

    @LANGUAGES
    @pytest.mark.parametrize(
        "name",
        [
            "unknown_user",
            "wrong_password",
            "time_up",
            "data_up",
            "other_device",
            "devices_full",
            "other_place",
            "locked",
            "not_now",
            "after_other",
        ],
    )
    def test_rejects_fit_a_reply_message(self, language: str, name: str) -> None:
        """What a router shows is short, at most 200 octets with its values in, and plain ASCII."""
        text = TEXTS.get(language, f"rejects.{name}", from_time="22:00")
        assert not text.startswith("rejects.")
        assert "{" not in text
        assert text.isascii()
        assert len(text.encode()) <= 200

    def test_when_a_package_works_is_told_by_the_router(self) -> None:
        """The refusal outside the hours names the time; no other takes a value."""
        names = tomllib.loads((PORTAL / "translations" / "en.toml").read_text())["rejects"]
        taking = {name: TEXTS.placeholders(f"rejects.{name}") for name in names}
        assert {name: values for name, values in taking.items() if values} == {"not_now": {"from_time"}}

    @pytest.mark.parametrize(
        ("seconds", "english", "swahili"),
        [
            (-5, "0 s", "sekunde 0"),
            (0.9, "0 s", "sekunde 0"),
            (59, "59 s", "sekunde 59"),
            (90, "1 min 30 s", "dakika 1 sekunde 30"),
            (3600, "1 hour", "saa 1"),
            (3605, "1 hour", "saa 1"),
            (4800, "1 hour 20 min", "saa 1 dakika 20"),
            (86400, "1 day", "siku 1"),
            (86460, "1 day", "siku 1"),
            (7 * 86400 + 7200, "7 days 2 hours", "siku 7 saa 2"),
        ],
    )
    def test_duration(self, seconds: float, english: str, swahili: str) -> None:
        """A span is told in its greatest unit and the next one below it."""
        assert TEXTS.duration("en", seconds) == english
        assert TEXTS.duration("sw", seconds) == swahili

    @pytest.mark.parametrize(
        ("at", "english", "swahili"),
        [
            (datetime(2026, 2, 3, 13, 30, tzinfo=UTC), "today at 16:30", "leo, 16:30"),
            (datetime(2026, 2, 3, 21, 5, tzinfo=UTC), "tomorrow at 00:05", "kesho, 00:05"),
            (datetime(2026, 3, 5, 6, 0, tzinfo=UTC), "5/3/2026 at 09:00", "5/3/2026, 09:00"),
        ],
    )
    def test_moment(self, at: datetime, english: str, swahili: str) -> None:
        """An instant is told by Nairobi's clock and calendar."""
        now = datetime(2026, 2, 3, 20, 0, tzinfo=UTC)
        assert TEXTS.moment("en", at, now) == english
        assert TEXTS.moment("sw", at, now) == swahili

    @pytest.mark.parametrize(
        ("header", "language"),
        [
            (None, "sw"),
            ("", "sw"),
            ("*", "sw"),
            ("de, fr;q=0.9", "sw"),
            ("en", "en"),
            ("en-KE,en;q=0.9,sw;q=0.8", "en"),
            ("en;q=0.2, sw-KE;q=0.9", "sw"),
            ("SW, en", "sw"),
            ("sw;q=0, en;q=0.1", "en"),
            ("en;q=9", "sw"),
            (";;;,,=,en ; q=0.5", "en"),
        ],
    )
    def test_negotiate(self, header: str | None, language: str) -> None:
        """The most wanted language we speak is chosen; otherwise the default."""
        assert TEXTS.negotiate(header, "sw") == language

    @given(st.text(max_size=600), st.text(max_size=3))
    def test_negotiate_never_raises(self, header: str, default: str) -> None:
        """Whatever a browser sends, one of our languages is spoken."""
        assert TEXTS.negotiate(header, default) in TEXTS.languages


class TestEveryPage:
    @LANGUAGES
    def test_structure(self, language: str) -> None:
        """Each page says its language and state, has one heading, and lets the customer zoom."""
        for name, body in every_page(language).items():
            page = Read(body)
            assert page.all("html") == [{"lang": language}], name
            assert len(page.all("h1")) == 1, name
            assert page.text["h1"] in page.text["title"], name
            assert SHOP.title in page.text["title"], name
            assert {"name": "viewport", "content": "width=device-width,initial-scale=1"} in page.all("meta"), name
            identities = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
            assert len(identities) == len(set(identities)), name
            assert re.search(r"\b[a-z]+\.[a-z]+_?[a-z]+\b", page.text["main"]) is None, "a text's key shows"

    @LANGUAGES
    def test_nothing_inline_nothing_foreign(self, language: str) -> None:
        """No inline script or style attribute, no handler, and no address outside the portal but the router's."""
        for name, body in every_page(language).items():
            page = Read(body)
            for tag, attributes in page.elements:
                assert not [key for key in attributes if key == "style" or key.startswith("on")], name
                for key in {"href", "src", "action"} & attributes.keys():
                    allowed = ("/", "tel:", "data:,") if tag != "form" else ("/", LOGIN.action)
                    assert attributes[key].startswith(allowed), name
            assert "script" not in page.text, name
            assert [script["src"] for script in page.all("script")] == [f"/static/{next(iter(PAGES.static))}"], name

    @LANGUAGES
    def test_fields_are_labelled(self, language: str) -> None:
        """Every visible field has a label, and what describes it is there."""
        for name, body in every_page(language).items():
            page = Read(body)
            labels = {label["for"] for label in page.all("label")}
            known = {attributes.get("id") for _, attributes in page.elements}
            for element in page.all("input") + page.all("textarea"):
                assert element.get("type") == "hidden" or element["id"] in labels, name
                assert set(element.get("aria-describedby", "").split()) <= known, name

    @LANGUAGES
    def test_hostile_words_stay_words(self, language: str) -> None:
        """Markup in any name, note, message or number is shown and never becomes part of the page."""
        shop = replace(SHOP, title=HOSTILE, support_phone=HOSTILE, note=HOSTILE)
        offer = Offer(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 2)
        plain = every_page(language)
        for name, body in every_page(language, shop, offer, HOSTILE).items():
            assert [tag for tag, _ in Read(body).elements if tag not in {"small", "span"}] == [
                tag for tag, _ in Read(plain[name]).elements if tag not in {"small", "span"}
            ], name
            assert HOSTILE in Read(body).text["all"], name

    @LANGUAGES
    def test_style_is_what_the_policy_allows(self, language: str) -> None:
        """The policy names the very style sheet that stands in the page, for each shop's colour."""
        sources = set()
        for colour in ("#0b7a3b", "#FFDD00"):
            shop = replace(SHOP, colour=colour)
            for name, body in every_page(language, shop).items():
                found = re.search(rb"<style>(.*?)</style>", body, re.DOTALL)
                assert found is not None
                source = base64.b64encode(hashlib.sha256(found[1]).digest()).decode()
                assert f"style-src 'sha256-{source}';" in PAGES.csp(shop), name
                sources.add(source)
        assert len(sources) == 2

    @LANGUAGES
    def test_other_language_is_one_link_away(self, language: str) -> None:
        """Each page links to itself in the other language, named in that language."""
        (other,) = set(TEXTS.languages) - {language}
        for name, body in every_page(language).items():
            (link,) = [link for link in Read(body).all("a") if "hreflang" in link]
            assert link["lang"] == link["hreflang"] == other, name
            assert parse_qs(urlsplit(link["href"]).query)["lang"] == [other], name

    @pytest.mark.parametrize(
        ("here", "link"),
        [
            ("/p/1?lang=en&d=x%26y", "/p/1?d=x%26y&lang=sw"),
            ("//evil.example/", "/?lang=sw"),
            ("/\\evil.example/", "/?lang=sw"),
            ("http://evil.example/", "/?lang=sw"),
            ("javascript:alert(1)", "/?lang=sw"),
        ],
    )
    def test_language_link_stays_here(self, here: str, link: str) -> None:
        """The link to the other language keeps the page's own query and never leaves the portal."""
        page = Read(error_page(PAGES, language="en", shop=SHOP, status=404, here=here))
        assert [link["href"] for link in page.all("a") if "hreflang" in link] == [link]


class TestChoose:
    def test_first_page_is_small(self) -> None:
        """With eight packages, credit, a free trial and an outage to speak of it leaves room for headers in 15 KB."""
        offers = [replace(NIGHTS, package_id=f"package-{at}", name=f"Package number {at}") for at in range(8)]
        for language in TEXTS.languages:
            page = choose_page(
                PAGES,
                language=language,
                shop=SHOP,
                offers=offers,
                device="a" * 43,
                credit="KES 1,000",
                trial="30 min",
                outages=[TEXTS.get(language, "outage.uplink")],
            )
            assert len(page) <= 13 * 1024
        assert all(len(body) <= 3 * 1024 for body in PAGES.zipped.values())

    def test_each_offer_is_a_link(self) -> None:
        """Each package is one link that carries package, device and language."""
        page = Read(
            choose_page(PAGES, language="sw", shop=SHOP, offers=[replace(OFFER, package_id="a b&c")], device="d-_1")
        )
        (link,) = [link["href"] for link in page.all("a") if link.get("class") == "offer"]
        assert link == "/buy?package=a%20b%26c&d=d-_1&lang=sw"

    def test_stand_in_for_the_device(self) -> None:
        """A page rendered with a stand-in and replaced equals the page rendered for the device."""
        both: dict[str, Any] = {"language": "en", "shop": SHOP, "offers": [OFFER]}
        rendered = choose_page(PAGES, **both, device="__DEVICE__")
        assert rendered.replace(b"__DEVICE__", b"Ab-_9") == choose_page(PAGES, **both, device="Ab-_9")
        assert rendered.count(b"__DEVICE__") == 7

    def test_who_has_paid_finds_the_way(self) -> None:
        """From the first page, and from every page on which a payment is waited for or came to nothing."""
        pages = {"choose": choose_page(PAGES, language="en", shop=SHOP, offers=[OFFER], device="abc")}
        assert "/paid?d=abc&lang=en" in links(pages["choose"])
        others = [waiting(phase) for phase in ("prompted", "unknown", "expired")] + [failed(None), offered()]
        for page in others:
            assert "/paid?package=day-1&d=abc&lang=en" in links(page)
        assert not any(link.startswith("/paid") for link in links(waiting("connecting")))

    def test_credit_is_told(self) -> None:
        """Who has something in the wallet reads how much; nobody else reads of a wallet."""
        both: dict[str, Any] = {"language": "en", "shop": SHOP, "offers": [OFFER], "device": "abc"}
        assert "You have KES 40 of credit here." in Read(choose_page(PAGES, **both, credit="KES 40")).text["main"]
        assert "credit" not in Read(choose_page(PAGES, **both)).text["main"]


class TestPhone:
    def test_form_carries_everything(self) -> None:
        """Without script the form alone carries what the purchase needs, and asks for a phone's keys."""
        page = Read(phone(language="sw", phone="0712"))
        (form,) = page.all("form")
        assert (form["method"], form["action"]) == ("post", "/buy")
        assert page.fields() == {"package": "day-1", "d": "abc", "lang": "sw", "key": "k1", "phone": "0712"}
        assert {"type": "tel", "inputmode": "tel", "autocomplete": "tel"}.items() <= page.all("input")[-1].items()
        assert "KES 50" in page.text["button"]

    def test_names_and_numbers_are_not_broken_in_two(self) -> None:
        """A small screen breaks no line within M-Pesa or within a phone number."""
        said = "Pay by M-Pesa, such as 0712 345 678."
        page = Read(phone(error=said))
        assert "M\u2011Pesa" in page.text["button"]
        assert "Pay by M\u2011Pesa, such as 0712\u00a0345\u00a0678." in page.text["main"]

    def test_wrong_number_is_told_at_the_field(self) -> None:
        """What was wrong is said, tied to the field, and the number typed is kept."""
        said = TEXTS.get("en", "errors.phone.unreadable")
        page = Read(phone(phone="12", error=said))
        number = page.all("input")[-1]
        assert number["value"] == "12"
        assert number["aria-invalid"] == "true"
        assert "wrong" in number["aria-describedby"].split()
        assert unbroken(said) in page.text["main"]

    @pytest.mark.parametrize(
        ("ways", "values"),
        [(Ways(), [""]), (Ways(menu=True), ["", "no"]), (Ways(prompt=False, menu=True), ["no"])],
    )
    def test_a_button_for_each_way_to_pay(self, ways: Ways, values: list[str]) -> None:
        """By prompt, then, more quietly, from the menu; by Enter the first of them is meant."""
        buttons = Read(phone(ways=ways)).all("button")
        assert [button.get("value", "") for button in buttons] == values
        assert {button.get("name", "prompt") for button in buttons} == {"prompt"}
        assert buttons[0]["class"] == "button"

    def test_credit_that_pays_is_offered_first(self) -> None:
        """The form for it carries what it needs, and asks for no number."""
        page = Read(phone(ways=Ways(menu=True, credit="KES 80")))
        assert [form["action"] for form in page.all("form")] == ["/credit", "/buy"]
        hidden = [element["name"] for element in page.all("input") if element["type"] == "hidden"]
        assert hidden == ["package", "d", "lang", "key"] * 2
        assert "You have KES 80 of credit here" in page.text["main"]
        assert "Pay KES 50 from your credit" in page.text["button"]


class TestMenu:
    def test_every_page_that_waits_tells_it(self) -> None:
        """PayBill number, account and amount; until the money is in, and not when it is."""
        for phase in ("prompted", "unknown", "expired"):
            text = Read(waiting(phase, menu=MENU)).text["main"]
            for word in ("PayBill number", "174379", "Account number", "A3BDEFG", "KES 50"):
                assert word in text, (phase, word)
        assert "PayBill" not in Read(waiting("prompted", menu=None)).text["main"]

    def test_the_code_is_parted_for_the_eye_alone(self) -> None:
        """What is selected and copied has no dash in it: M-Pesa takes letters and digits."""
        assert b'<b class="code">A3B<i></i>DEFG</b>' in offered()
        assert b'.code i::before{content:"-"}' in offered()
        assert b'<b class="code">0123456789012</b>' in offered(MENU._replace(account="0123456789012"))

    @pytest.mark.parametrize(
        ("kind", "said"),
        [("paybill", "then Pay Bill."), ("till", "then Buy Goods and Services."), ("phone", "Pochi la Biashara.")],
    )
    def test_each_kind_has_its_own_way_through_the_menu(self, kind: MenuKind, said: str) -> None:
        """Numbered steps, and an account only where M-Pesa asks for one."""
        menu = MENU._replace(kind=kind, account="A3BDEFG" if kind == "paybill" else None)
        page = Read(offered(menu))
        assert len(page.all("li")) == 3 + 4
        assert said in page.text["main"]
        assert ("Account number" in page.text["main"]) == (kind == "paybill")

    def test_who_is_not_seen_is_told_to_show_the_message(self) -> None:
        """Where M-Pesa tells us nothing, the page promises nothing, and the way on is the receipt."""
        seen, unseen = offered(), offered(MENU._replace(watched=False))
        assert "let online by itself" in Read(seen).text["main"]
        assert "let online by itself" not in Read(unseen).text["main"]
        assert b'<a class="button second" href="/paid' in seen
        assert b'<a class="button" href="/paid' in unseen


class TestClaims:
    def test_form_carries_everything(self) -> None:
        """Without script the form alone carries what the claim needs."""
        page = Read(paid(package_id="day-1", pasted=Pasted("UJ25", "0712")))
        (form,) = page.all("form")
        assert (form["method"], form["action"]) == ("post", "/paid")
        assert page.fields() == {"package": "day-1", "d": "abc", "lang": "en", "key": "k1", "phone": "0712"}
        (area,) = page.all("textarea")
        assert (area["name"], page.text["textarea"].strip()) == ("text", "UJ25")
        assert "package" not in Read(paid()).fields()

    @pytest.mark.parametrize("needed", [True, False])
    def test_phone_is_needed_where_the_device_is_not_known(self, needed: bool) -> None:  # noqa: FBT001 - a case
        """Else it may be left empty."""
        (field,) = [element for element in Read(paid(needs_phone=needed)).all("input") if element["name"] == "phone"]
        assert ("required" in field) == needed

    @pytest.mark.parametrize(("phone_wrong", "at_fault"), [(True, "input"), (False, "textarea")])
    def test_what_is_wrong_is_told_at_its_field(self, phone_wrong: bool, at_fault: str) -> None:  # noqa: FBT001 - a case
        """And what was typed is kept."""
        page = Read(paid(pasted=Pasted("two\nlines", "12", "Wrong.", phone_wrong)))
        (wrong,) = [tag for tag, attributes in page.elements if "aria-invalid" in attributes]
        assert wrong == at_fault
        assert page.text["textarea"].strip() == "two\nlines"
        assert page.fields()["phone"] == "12"

    def test_what_is_looked_for_is_followed(self) -> None:
        """By script, and without it by reloading; what is decided stays as it is."""
        for step in get_args(ClaimStep):
            body = claim(ClaimNews(step, reason=Refusal.USED))
            looking = step in {"verifying", "provisional"}
            assert Read(body).all("main") == [{"data-poll": "/poll?p=1", "data-step": step} if looking else {}]
            assert (b"http-equiv" in body) == looking

    @LANGUAGES
    def test_each_end_has_its_own_words(self, language: str) -> None:
        """Every outcome and every refusal is told differently, and none leaves the customer without a way on."""
        said = {}
        for news in every_news():
            page = Read(claim(news, language=language))
            said[page.text["main"]] = news
            assert f"/?more=1&d=abc&lang={language}" in [link["href"] for link in page.all("a")]
        assert len(said) == len(every_news())

    def test_refused_can_be_tried_again(self) -> None:
        """For the same package."""
        page = claim(ClaimNews("refused", "UJ25X7KQ3M", Refusal.UNKNOWN_RECEIPT))
        assert "/paid?package=day-1&d=abc&lang=en" in links(page)

    def test_who_paid_what_is_used_elsewhere_types_the_number_alone(self) -> None:
        """The code is there already; who only names a device reads no code, and goes by the whole form."""
        page = Read(claim(ClaimNews("refused", "UJ25X7KQ3M", Refusal.USED)))
        assert [form["action"] for form in page.all("form")] == ["/paid"]
        assert page.fields() == {"package": "day-1", "d": "abc", "lang": "en", "text": "UJ25X7KQ3M", "phone": ""}
        assert not Read(claim(ClaimNews("refused", None, Refusal.USED))).all("form")
        assert not Read(claim(ClaimNews("refused", "UJ25X7KQ3M", Refusal.UNKNOWN_RECEIPT))).all("form")

    def test_a_mistyped_code_can_be_typed_anew(self) -> None:
        """While it is looked for in vain, for two days at most, nobody else tells that it was mistyped."""
        assert "/paid?package=day-1&d=abc&lang=en" in links(claim("verifying"))

    def test_access_in_advance_is_told_as_such(self) -> None:
        """For how long, before and after the device is online."""
        assert "online for 15 min" in Read(claim(ClaimNews("verifying", seconds_left=900))).text["main"]
        page = Read(claim(ClaimNews("provisional", seconds_left=900)))
        assert [timer["data-seconds-left"] for timer in page.all("span") if "data-seconds-left" in timer] == ["900"]

    def test_credit_of_a_claim(self) -> None:
        """How much is in the wallet, and the way to spend it."""
        page = claim(ClaimNews("credited", credit="KES 40"))
        assert "You have KES\u00a040 of credit here" in Read(page).text["main"]

    def test_who_only_names_a_device_reads_no_receipt(self) -> None:
        """Then there is none to show."""
        assert "M-Pesa code" not in Read(claim(ClaimNews("verifying"))).text["main"].replace("\u2011", "-")


class TestBeside:
    """What stands beside the main way: the box, vouchers, signing out, receipts, problems."""

    def test_one_box_takes_everything(self) -> None:
        """On the first page, also where nothing is on sale, and on its own: nobody has to say what it is."""
        for page in (
            choose_page(PAGES, language="sw", shop=SHOP, offers=[OFFER], device="abc"),
            every_page("sw")["box, told"],
            closed_page(PAGES, language="sw", shop=SHOP, why="gateway", device="abc"),
        ):
            (form,) = [form for form in Read(page).all("form") if form["action"] == "/find"]
            assert form["method"] == "post"
            assert {"d": "abc", "lang": "sw", "text": ""}.items() <= Read(page).fields().items()

    def test_a_voucher_is_not_spent_by_being_looked_at(self) -> None:
        """Its page has one button, and the form behind it carries everything; its code is read in groups."""
        page = Read(voucher())
        (form,) = page.all("form")
        assert (form["method"], form["action"]) == ("post", "/voucher")
        assert page.fields() == {"d": "abc", "lang": "en", "code": grouped(VOUCHER)}

    def test_the_router_is_asked_which_device_it_is(self) -> None:
        """Where the page does not know: by its login page, which sends the browser back here with that."""
        page = Read(voucher(known=False, router_login=LOGIN.action))
        (form,) = page.all("form")
        assert (form["method"], form["action"]) == ("get", LOGIN.action)
        assert page.fields() == {"dst": f"http://10.5.50.2/v/{VOUCHER}"}
        assert not Read(voucher(known=False)).all("form")

    def test_only_the_owner_may_sign_out(self) -> None:
        """A page that anybody may ask for has no such form; that of the holder carries its proof."""
        assert "/off" not in {form["action"] for form in Read(online()).all("form")}
        page = Read(online(own=OWN))
        assert [form["action"] for form in page.all("form")] == ["/off"]
        assert page.fields() == {"d": "abc", "lang": "en", "h": HOLDER}
        assert OWN.receipt in links(online(own=OWN))

    def test_time_online_is_paused_rather_than_left(self) -> None:
        """What counts time online has one button to keep it; shared by several devices each signs out for itself."""
        one = online(own=replace(OWN, turn="a1"), offer=replace(OFFER, devices=1))
        assert [form["action"] for form in Read(one).all("form")] == ["/pause"]
        assert Read(one).fields()["turn"] == "a1"
        several = online(own=replace(OWN, turn="a1"))
        assert [form["action"] for form in Read(several).all("form")] == ["/pause", "/off"]

    def test_who_signed_out_comes_back_by_one_tap(self) -> None:
        """The page says whether time runs on meanwhile, and follows what happens elsewhere."""
        page = Read(off())
        assert page.all("main")[0]["data-step"] == "off"
        assert [form["action"] for form in page.all("form")] == ["/on"]
        assert "stands still" in page.text["main"]
        assert "goes on by the clock" in Read(off(stands=False)).text["main"]
        assert not Read(off(own=None)).all("form")

    def test_a_receipt_is_for_keeping(self) -> None:
        """What, how much, from which number (masked), when, until when; it can be saved, and printed alone."""
        page = receipt()
        for word in ("KES 50", "TAD62EDKVQ", "0712 ••• 678", "today at 09:00", "today at 16:30", "Daily", SHOP.title):
            assert word in Read(page).text["main"]
        assert f"{HOLDER}/receipt?save=1&lang=en" in links(page)
        assert b"@media print" in page
        assert "Used up" in Read(receipt(receipt=Receipt("KES 50", "today"))).text["main"]

    def test_what_was_bought_is_remembered_by_its_page_alone(self) -> None:
        """For a phone that joins with a new address: by the path that holds its secret, never by that of a device."""
        assert Read(online(here=f"{HOLDER}?d=abc")).all("main")[0]["data-keep"] == HOLDER
        for here in (None, "/?d=abc", "/p/short", "/paid?d=abc", f"{HOLDER}/receipt"):
            assert "data-keep" not in Read(online(here=here)).all("main")[0], here

    @pytest.mark.parametrize("waited", [0, 5, 19, 20, 59])
    def test_a_prompt_that_does_not_come(self, waited: int) -> None:
        """After twenty seconds the page says what to do about it, by script or by having loaded itself anew."""
        for phase in get_args(Phase):
            notes = [note for note in Read(waiting(phase, seconds_waited=waited)).all("p") if "data-after" in note]
            if phase in {"prompted", "unknown"}:
                (note,) = notes
                assert int(note["data-after"]) == max(0, 20 - waited)
                assert ("hidden" in note) == (waited < 20)
            else:
                assert not notes

    @pytest.mark.parametrize("waited", [0, 5, 19, 20, 59])
    def test_the_menu_is_named_once_the_prompt_should_have_come(self, waited: int) -> None:
        """Not before, or people would pay twice; at once where no prompt is to be expected."""
        for phase in get_args(Phase):
            shown = waiting(phase, menu=MENU, seconds_waited=waited)
            hidden = [box for box in Read(shown).all("div") if "data-after" in box and "hidden" in box]
            assert bool(hidden) == (phase == "prompted" and waited < 20), phase
        down = waiting("prompted", menu=MENU, seconds_waited=waited, outages=["uplink"])
        assert not [box for box in Read(down).all("div") if "data-after" in box]

    @LANGUAGES
    def test_a_problem_can_be_reported_from_where_one_is_online(self, language: str) -> None:
        """And the form carries what it needs."""
        assert f"/problem?d=abc&lang={language}" in links(online(language=language))
        page = Read(every_page(language)["problem"])
        assert {form["action"] for form in page.all("form")} == {"/problem"}
        assert page.fields() == {"d": "abc", "lang": language}

    def test_the_owners_picture(self) -> None:
        """It stands beside the shop's name, and says nothing to who cannot see it."""
        shop = replace(SHOP, logo="/logo/default")
        (picture,) = Read(choose_page(PAGES, language="en", shop=shop, offers=[OFFER], device="abc")).all("img")
        assert (picture["src"], picture["alt"]) == ("/logo/default", "")


class TestFollowing:
    def test_every_waiting_page_follows_by_itself(self) -> None:
        """Script is told where to ask and at which step it is; without script the page reloads itself."""
        pages = {phase: waiting(phase) for phase in get_args(Phase)}
        pages |= {"online": online(), "shut": shut(), "failed": failed(Reason.CANCELLED), "offered": offered()}
        for step, body in pages.items():
            page = Read(body)
            assert page.all("main") == [{"data-poll": "/poll?p=1", "data-step": step}]
            assert re.search(rb'<noscript><meta http-equiv="refresh" content="\d+"></noscript>', body)

    def test_who_paid_nothing_is_not_thanked_for_it(self) -> None:
        """What a voucher or nothing at all was given for names no price, and no payment."""
        assert "Payment received" in Read(waiting("connecting")).text["main"]
        given = Read(waiting("connecting", paid=False)).text["main"]
        assert "Connecting you" in given
        assert OFFER.name in given
        assert OFFER.price not in given
        assert "ayment" not in given

    def test_prompted_names_phone_and_warns(self) -> None:
        """While the prompt is open the page says on which phone, for how long, and not to pay twice."""
        page = Read(waiting("prompted", seconds_waited=10))
        assert "0712\u00a0•••\u00a0678" in page.text["main"]
        assert "Do not pay twice" in page.text["main"]
        assert [element["data-seconds-left"] for element in page.all("b")] == ["50"]
        assert unbroken(TEXTS.get("en", "waiting.closing")) in Read(waiting("prompted", seconds_waited=61)).text["main"]

    def test_router_login_form(self) -> None:
        """Where the browser must log itself in, the form holds what the router's login page takes."""
        page = Read(waiting("connecting", login_form=LOGIN))
        (form,) = page.all("form")
        assert (form["action"], form["method"]) == (LOGIN.action, "post")
        assert page.fields() == {"username": "u1", "password": "p1", "dst": LOGIN.destination}
        assert not Read(waiting("connecting")).all("form")

    def test_late_payment_leaves_a_way_back(self) -> None:
        """When no word comes, who has not paid can start again."""
        assert "/?more=1&d=abc&lang=en" in [link["href"] for link in Read(waiting("expired")).all("a")]

    def test_online(self) -> None:
        """Who is online reads for how long, until when, by which receipt, whom to call and how to buy more."""
        page = Read(online())
        assert {"role": "timer", "data-seconds-left": "4800"}.items() <= page.all("span")[0].items()
        for word in ("1 hour 20 min", "today at 16:30", "TAD62EDKVQ", "Daily"):
            assert word in page.text["main"]
        assert "/?more=1&d=abc&lang=en" in [link["href"] for link in page.all("a")]
        assert "tel:0712345678" in [link["href"] for link in page.all("a")]
        assert "receipt" not in Read(online(receipt=None)).text["main"]

    def test_what_only_counts_online_is_not_promised_an_end(self) -> None:
        """Until when it is valid, and no "Until"; how much data is left, where that is limited."""
        text = Read(online(in_use=InUse(4800, "today at 16:30", lapses=True, data_left="700 MB"))).text["dl"]
        assert "Valid until" in text
        assert "Until" not in text
        assert "Data left" in text
        assert "700 MB" in text
        assert "Data left" not in Read(online()).text["dl"]

    def test_what_comes_after(self) -> None:
        """Each package that waits; a form to begin it at once, but for one that is shut, which says when it opens."""
        page = Read(online(after=LATER, language="sw"))
        assert [form["action"] for form in page.all("form")] == ["/switch"] * 2
        hidden = [(field["name"], field["value"]) for field in page.all("input")]
        assert hidden == [("turn", "a1"), ("d", "abc"), ("lang", "sw"), ("turn", "b2"), ("d", "abc"), ("lang", "sw")]
        for word in ("Weekly", "Monthly", "kimebaki 29 days 3 hours", "Nights", "Kuanzia 22:00"):
            assert word in page.text["section"]
        assert not Read(online()).all("form")
        assert "section" not in Read(online()).text

    def test_shut(self) -> None:
        """Who bought a package for other hours reads when it works, that it is paid for, and how to buy another."""
        page = Read(shut())
        assert page.text["h1"] == "Your package works from 22:00"
        assert {"role": "timer", "data-seconds-left": "4800"}.items() <= page.all("span")[0].items()
        for word in ("It is paid for and yours", "Nights 22:00\u201306:00", "TAD62EDKVQ", "Daily"):
            assert word in page.text["main"]
        assert "/?more=1&d=abc&lang=en" in [link["href"] for link in page.all("a")]
        assert "receipt" not in Read(shut(receipt=None)).text["main"]

    @LANGUAGES
    def test_each_reason_has_its_own_words(self, language: str) -> None:
        """Every reason is explained differently and offers a next step."""
        said = {reason: Read(failed(reason, language)).text["h1"] for reason in (*Reason, None)}
        assert len(set(said.values())) == len(Reason) + 1

    def test_trying_again(self) -> None:
        """A failed payment can be tried again, unless money came and only the amount was wrong."""
        again = "/buy?package=day-1&d=abc&lang=en"
        for reason in (*Reason, None):
            assert (again in links(failed(reason))) == (reason not in {Reason.WRONG_AMOUNT, Reason.PAID_SHORT})
            assert "/?more=1&d=abc&lang=en" in links(failed(reason))

    def test_paid_too_little(self) -> None:
        """How much of how much, that it is the customer's, and how to pay the rest, where that can be told."""
        short = PaidShort("KES 30", "KES 50", MENU._replace(amount=Money(2000)))
        text = Read(failed(Reason.PAID_SHORT, short=short)).text["main"]
        for word in ("You paid KES 30 of KES 50", "the other KES 20", "A3BDEFG", "pay from your credit"):
            assert word in text
        without = Read(failed(Reason.PAID_SHORT, short=replace(short, menu=None))).text["main"]
        assert "You paid KES 30 of KES 50" in without
        assert "PayBill" not in without


class TestPolicyAndColour:
    def test_policy(self) -> None:
        """Only what the pages need is allowed; forms may go to the portal and to the routers' login pages."""
        policy = dict(
            part.partition(" ")[::2]
            for part in PAGES.csp(SHOP, [LOGIN.action, "https://wifi.example:8443"]).split("; ")
        )
        assert policy.pop("style-src").startswith("'sha256-")
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "connect-src": "'self'",
            "img-src": "'self' data:",
            "form-action": "'self' http://10.5.50.1 https://wifi.example:8443",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }

    @pytest.mark.parametrize(
        "target", ["", "10.5.50.1", "javascript:alert(1)", "http://a; script-src *", "http://a b/", "http://a\r\nX: y/"]
    )
    def test_odd_form_target_refused(self, target: str) -> None:
        """An address that could widen the policy or split the header is refused."""
        with pytest.raises(InvalidError):
            PAGES.csp(SHOP, [target])

    @pytest.mark.parametrize("colour", ["", "red", "#fff", "#12345g", "#123456}", "#0b7a3b\n", "#" + "\u0660" * 6])
    def test_odd_colour_refused(self, colour: str) -> None:
        """What is no colour never reaches the style sheet."""
        with pytest.raises(InvalidError):
            closed_page(PAGES, language="en", shop=replace(SHOP, colour=colour), why="packages")

    @given(st.integers(0, 0xFFFFFF))
    def test_any_colour_is_readable(self, number: int) -> None:
        """Whatever colour the owner likes, text on it, links and edges keep a contrast of 4.5 in both modes."""
        body = closed_page(PAGES, language="en", shop=replace(SHOP, colour=f"#{number:06x}"), why="packages")
        for mode in properties(body.decode()):
            assert contrast(mode["accent"], mode["on-accent"]) >= 4.5
            for ground in (mode["page"], mode["card"]):
                assert contrast(mode["link"], ground) >= 4.5
                assert contrast(mode["edge"], ground) >= 4.5

    def test_fixed_colours_are_readable(self) -> None:
        """Text keeps a contrast of 4.5 and a field's border one of 3 in light and in dark mode."""
        light, dark = properties(online().decode())
        assert light["page"] != dark["page"]
        for mode in (light, dark):
            for text, ground in (("text", "page"), ("text", "card"), ("quiet", "page"), ("quiet", "card"),
                                 ("bad", "bad-back"), ("good", "good-back"), ("text", "line")):  # fmt: skip
                assert contrast(mode[text], mode[ground]) >= 4.5, (text, ground)
            assert contrast(mode["field"], mode["card"]) >= 3


class TestFiles:
    def test_script_name_changes_with_the_script(self) -> None:
        """The script's name holds its digest, so that it may be cached for ever."""
        ((name, (body, kind)),) = PAGES.static.items()
        assert name == f"portal.{hashlib.sha256(body).hexdigest()[:8]}.js"
        assert kind == "text/javascript; charset=utf-8"
        assert body == (PORTAL / "static" / "portal.js").read_bytes()

    def test_script_is_for_old_browsers(self) -> None:
        """The script uses nothing that came after ES5."""
        code = re.sub(r"//.*", "", (PORTAL / "static" / "portal.js").read_text())
        assert (
            re.search(r"=>|`|\?\.|\?\?|\.\.\.|\b(let|const|class|async|await|import|export|fetch|Promise)\b", code)
            is None
        )

    @pytest.mark.parametrize(
        "wrong",
        ["{{ t('no.such_text') }}", "{{ t('phone.submit') }}", "{{ t('phone.label', price=1) }}", "{% if %}", "{{ x"],
    )
    def test_wrong_template_refused(self, tmp_path: Path, wrong: str) -> None:
        """A template that is broken or names a text or value there is not is refused at the start."""
        shutil.copytree(PORTAL, tmp_path / "portal")
        (tmp_path / "portal" / "templates" / "odd.html").write_text(wrong)
        with pytest.raises(InvalidError) as caught:
            Pages(tmp_path / "portal", TEXTS)
        assert "odd.html" in caught.value.message

    def test_missing_folder_refused(self, tmp_path: Path) -> None:
        """A folder without the portal's files is refused, naming the file."""
        with pytest.raises(InvalidError, match=r"portal\.js"):
            Pages(tmp_path, TEXTS)


@dataclass
class Site:
    """A tiny portal: serves `body` everywhere, and tells `step` to whoever polls."""

    body: Callable[[], bytes]
    step: str = ""
    polls: int = 0
    posts: int = 0
    posted: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    reachable: bool = True

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/poll":
            self.polls += 1
            return web.json_response({"step": self.step}, status=self.status if self.reachable else 503)
        if request.path.startswith("/static/"):
            body, kind = PAGES.static[request.path.removeprefix("/static/")]
            return web.Response(body=body, headers={"Content-Type": kind})
        self.posts += request.method == "POST"
        if request.method == "POST":
            self.posted.append({key: str(value) for key, value in (await request.post()).items() if key == "prompt"})
            return web.Response(status=204)  # the browser stays where it is
        headers = {"Content-Security-Policy": PAGES.csp(SHOP)}
        return web.Response(body=self.body(), content_type="text/html", charset="utf-8", headers=headers)


@asynccontextmanager
async def browsing(site: Site) -> AsyncIterator[Page]:
    """A small phone's browser on that site, its clock in our hands; complaints in its console fail the test."""
    if CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium here: the script is not tried")
    from playwright.async_api import async_playwright  # noqa: PLC0415 - heavy, and only for these tests

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    complaints: list[str] = []
    try:
        async with async_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
            chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            page = await chromium.new_page(viewport={"width": 320, "height": 640})
            page.on("pageerror", lambda error: complaints.append(str(error)))
            answered = re.compile("status of (422|503)")
            page.on("console", lambda line: None if answered.search(line.text) else complaints.append(line.text))
            await page.clock.install(time=datetime(2026, 2, 3, 9, 0, tzinfo=UTC))
            await page.clock.pause_at(datetime(2026, 2, 3, 9, 1, tzinfo=UTC))
            page.set_default_timeout(10_000)
            await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            yield page
            await chromium.close()
    finally:
        await runner.cleanup()
    assert complaints == []


@pytest.mark.real_part("chromium")
class TestScript:
    async def test_follows_the_purchase(self) -> None:
        """The page asks every second, says so when nobody answers, and loads anew when the step changes."""
        site = Site(lambda: waiting("prompted"), step="prompted")
        async with browsing(site) as page:
            silent = page.locator("[data-silent]")
            await page.clock.run_for(900)
            assert site.polls == 0
            site.reachable = False
            for polls in (1, 2, 3):
                async with page.expect_response("**/poll*"):
                    await page.clock.run_for(1000)
                assert site.polls == polls
            await silent.wait_for(state="visible")
            site.reachable = True
            async with page.expect_response("**/poll*"):
                await page.clock.run_for(1000)
            await silent.wait_for(state="hidden")
            site.body, site.step = online, "online"
            async with page.expect_navigation():
                await page.clock.run_for(1000)
            assert await page.locator("h1").text_content() == "You are online"

    @pytest.mark.parametrize("status", [202, 422])
    async def test_a_refusal_is_news(self, status: int) -> None:
        """Claims are answered by 202 and 422, too: a new step in such an answer loads the page anew."""
        site = Site(lambda: claim("verifying"), step="refused", status=status)
        async with browsing(site) as page:
            site.body = lambda: claim(ClaimNews("refused", reason=Refusal.USED))
            async with page.expect_navigation():
                await page.clock.run_for(1000)
            assert await page.locator("h1").text_content() == "This payment was used already"

    async def test_rests_while_nobody_looks(self) -> None:
        """Behind the PIN prompt the page asks nothing, and asks at once when it is seen again."""
        look = "hidden => { Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});"
        look += " document.dispatchEvent(new Event('visibilitychange')); }"
        site = Site(lambda: waiting("unknown"), step="unknown")
        async with browsing(site) as page:
            await page.evaluate(look, arg=True)
            await page.clock.run_for(30_000)
            assert site.polls == 0
            async with page.expect_response("**/poll*"):
                await page.evaluate(look, arg=False)
            assert site.polls == 1

    async def test_counts_down_in_the_same_words(self) -> None:
        """The countdown speaks as the server does, and at its end says what comes next."""
        site = Site(lambda: waiting("prompted", language="sw", seconds_waited=0), step="prompted")
        async with browsing(site) as page:
            for _ in range(3):
                await page.clock.run_for(1000)
            assert await page.locator("[data-seconds-left]").text_content() == TEXTS.duration("sw", 57)
            await page.clock.run_for(58_000)
            assert unbroken(TEXTS.get("sw", "waiting.closing")) in (await page.locator("main").text_content() or "")

    async def test_looks_again_when_the_time_is_over(self) -> None:
        """Another package may go on at the same step: when the time is over and the portal answers, it loads anew."""
        site = Site(lambda: online(in_use=InUse(2, "soon")), step="online")
        async with browsing(site) as page:
            site.body, site.reachable = lambda: online(in_use=InUse(3600, "later")), False
            async with page.expect_response("**/poll*"):
                for _ in range(2):
                    await page.clock.run_for(1000)
            assert await page.locator("[data-seconds-left]").text_content() == "0 s"
            site.reachable = True
            async with page.expect_navigation():
                await page.clock.run_for(15_000)
            assert await page.locator("[data-seconds-left]").text_content() == "1 hour"

    async def test_long_times_in_the_same_words(self) -> None:
        """Days, hours and minutes are told by the script as by the server."""
        site = Site(lambda: online(in_use=InUse(seconds, "tomorrow")), step="online")
        seconds = 0
        async with browsing(site) as page:
            for seconds in (4801, 90_061, 7 * 86400 + 7201, 61, 3601):
                await page.reload()
                await page.clock.run_for(1000)
                said = await page.locator("[data-seconds-left]").text_content()
                assert said == TEXTS.duration("en", seconds - 1)

    async def test_sends_a_form_once(self) -> None:
        """An impatient second tap sends nothing; after a while the button serves again."""
        for pressed, other in (("button:not([name])", "[name=prompt]"), ("[name=prompt]", "button:not([name])")):
            site = Site(lambda: phone(phone="0712"))
            async with browsing(site) as page:
                button, label = page.locator(pressed), await page.locator(other).text_content()
                async with page.expect_response(lambda answer: answer.request.method == "POST"):
                    await button.click()
                await page.clock.run_for(1)
                assert [await button.is_disabled(), await page.locator(other).is_disabled()] == [True, True]
                assert await button.text_content() == "Sending…"
                assert await page.locator(other).text_content() == label
                await page.evaluate("document.querySelector('form').requestSubmit()")
                await page.clock.run_for(20_000)
                assert await button.is_enabled()
                assert site.posts == 1
                assert site.posted == [{"prompt": "no"} if pressed == "[name=prompt]" else {}]

    @LANGUAGES
    async def test_fits_a_small_phone(self, language: str) -> None:
        """At 320 pixels nothing is cut off, and everything to tap is at least 44 pixels high and wide."""
        pages = every_page(language)
        site = Site(lambda: body)
        body = pages["choose"]
        async with browsing(site) as page:
            for name, body in pages.items():  # noqa: B007 - served by the site
                await page.reload()
                assert await page.evaluate("document.documentElement.scrollWidth") <= 320, name
                small = await page.evaluate(
                    "[...document.querySelectorAll('a, button, textarea, input:not([type=hidden])')]"
                    ".filter(e => !e.hidden).map(e => e.getBoundingClientRect())"
                    ".filter(r => r.width < 44 || r.height < 44).length"
                )
                assert small == 0, name
                wide = "[...document.querySelectorAll('.facts div, .offer')].filter(e => e.scrollWidth > e.clientWidth)"
                assert await page.evaluate(f"{wide}.map(e => e.innerText)") == [], name
