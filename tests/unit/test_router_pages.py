from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from easyisp_edge.adapters.routeros.router_pages import render_router_pages
from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.mikrotik.page_files import hand_over_pages
from easyisp_edge.lab.mikrotik.page_language import Rendered, names_in, render
from easyisp_edge.lab.mikrotik.page_variables import KNOWN_VARIABLES, is_variable
from easyisp_edge.portal_files import portal_folder

PORTAL = "http://10.5.50.2:8080"
NO_ICON = "data:,"  # or browsers would ask the router for /favicon.ico
PAGES = render_router_pages(PORTAL, "east")
HTML = sorted(name for name in PAGES if name.endswith(".html"))
HANDS_OVER = ("login.html", "rlogin.html", "redirect.html", "error.html")
NUMBERS = {"session-timeout-secs": "3600", "remain-bytes-total": "5000"}
HOSTILE = (
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "https://evil.example/",
    "//evil.example/",
    "\r\nLocation: http://evil.example/\r\n\r\n<script>alert(1)</script>",
    "$(endif)$(link-orig)</head><base href=http://evil.example/>",
    "0;url=http://evil.example/",
    '","user-portal-url":"http://evil.example/',
    "&router=west&mac=00:00:00:00:00:00#",
    "\\u0022\\x3c\\",
)


class Read(HTMLParser):
    """A page's elements, in order, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data

    @property
    def shape(self) -> list[tuple[str, list[str]]]:
        return [(tag, sorted(attributes)) for tag, attributes in self.elements]

    @property
    def links(self) -> list[str]:
        """Everything a browser would load, go to or send to."""
        found = [
            attributes[name]
            for _, attributes in self.elements
            for name in ("href", "src", "action", "formaction", "data", "srcset", "poster", "background")
            if name in attributes
        ]
        refreshes = [a["content"] for tag, a in self.elements if tag == "meta" and a.get("http-equiv") == "refresh"]
        found = [link for link in found if link != NO_ICON]
        return found + [content.partition("url=")[2] for content in refreshes]


def shown(name: str, **values: str) -> Rendered:
    known = {key.replace("_", "-"): value for key, value in values.items()}
    return render(PAGES[name], lambda variable: known.get(variable, ""))


def shown_with(name: str, value: str) -> Rendered:
    """The page where every variable has this value."""
    return render(PAGES[name], lambda variable: NUMBERS.get(variable, value) if name.endswith(".json") else value)


def test_the_set_of_pages() -> None:
    """There are the pages a hand-over needs, each small, with nothing left to fill in but the router's variables."""
    assert set(PAGES) == {
        "login.html", "rlogin.html", "redirect.html", "alogin.html", "status.html", "logout.html", "error.html",
        "api.json",
    }  # fmt: skip
    for text in PAGES.values():
        assert len(text.encode()) < 4000
        assert "%" not in text
        assert re.findall(r"https?://[^/\"?]+", text) == [PORTAL] * text.count("://")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_only_variables_routeros_has(name: str) -> None:
    """Every variable is one of the router's, and its bare form, which is not escaped, never stands in the text."""
    assert {variable for variable in names_in(PAGES[name]) if not is_variable(variable)} == set()
    bare = re.findall(r"\$\((?!if |elif |else\)|endif\))([^()]*)\)", PAGES[name])
    assert all(variable.endswith("-esc") for variable in bare)


@pytest.mark.parametrize("name", HANDS_OVER)
def test_a_device_is_handed_over(name: str) -> None:
    """Refresh, link and Location all lead to the portal, with the device's addresses, the page asked for, the error."""
    page = shown(
        name,
        mac="AA:BB:CC:00:00:01",
        ip="10.5.50.7",
        link_orig="http://a.example/?q=1&r=2",
        error="a b",
        error_orig="c d",
    )
    links = Read(page.text).links
    assert len(links) == 2
    if name in {"rlogin.html", "redirect.html"}:
        assert page.status == 302
        links.append(page.headers["Location"])
    else:
        assert (page.status, "Location" in page.headers) == (200, False)
    for link in links:
        assert link.startswith(f"{PORTAL}/?")
        # Only the pages that follow a failed login know what the error was before the owner worded it anew.
        original = {"error-orig": ["c d"]} if name in {"login.html", "error.html"} else {}
        assert parse_qs(urlsplit(link).query) == original | {
            "router": ["east"], "mac": ["AA:BB:CC:00:00:01"], "ip": ["10.5.50.7"],
            "link-orig": ["http://a.example/?q=1&r=2"], "error": ["a b"],
        }  # fmt: skip
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["alogin.html", "status.html", "logout.html"])
def test_the_other_pages_lead_to_the_portal_too(name: str) -> None:
    """After a login the page goes on to the portal by itself; status and logout offer the link."""
    page = shown(name, mac="AA:BB:CC:00:00:01", ip="10.5.50.7", session_time_left="1h2m")
    links = Read(page.text).links
    assert len(links) == (2 if name == "alogin.html" else 1)
    for link in links:
        assert parse_qs(urlsplit(link).query) == {"router": ["east"], "mac": ["AA:BB:CC:00:00:01"], "ip": ["10.5.50.7"]}
    assert ("1h2m" in page.text) == (name == "status.html")
    assert "Time left" not in shown(name).text


@pytest.mark.parametrize("name", HTML)
def test_each_page_speaks_both_languages(name: str) -> None:
    """A line in English, the same in Swahili marked as such, and a big thing to tap."""
    elements = Read(shown(name).text).elements
    assert ("span", {"lang": "sw"}) in elements
    assert ("html", {"lang": "en"}) in elements
    assert [tag for tag, _ in elements].count("a") == 1
    assert [attributes for tag, attributes in elements if tag == "link"] == [{"rel": "icon", "href": NO_ICON}]
    assert not [tag for tag, _ in elements if tag in {"script", "form", "iframe", "img", "object", "base"}]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", HTML)
def test_no_value_breaks_out_of_a_page(name: str, value: str) -> None:
    """Whatever every variable holds, the page has the same elements, runs nothing, and leads to the portal only."""
    page, plain = shown_with(name, value), shown_with(name, "x")
    read = Read(page.text)
    assert read.shape == Read(plain.text).shape
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    links = [*read.links, *([page.headers["Location"]] if "Location" in page.headers else [])]
    for link in links:
        assert link.startswith(f"{PORTAL}/?router=east&")
        assert {"router", "mac", "ip"} <= set(parse_qs(urlsplit(link).query, strict_parsing=True))
        assert parse_qs(urlsplit(link).query)["router"] == ["east"]
        assert parse_qs(urlsplit(link).query)["mac"] == [value]
        assert not urlsplit(link).fragment
    assert page.headers.keys() == plain.headers.keys()
    assert all(header.isprintable() for header in page.headers.values())
    assert page.status == plain.status


@pytest.mark.parametrize("value", ["", "x", "yes", *HOSTILE])
def test_the_captive_api_is_json_whatever_is_in_it(value: str) -> None:
    """Hostile values stay within the one text they stand in, and the address in it is the portal's."""
    page = shown_with("api.json", value)
    told = json.loads(page.text)
    assert told["captive"] is (value != "yes")
    assert told["user-portal-url"].startswith(f"{PORTAL}/?router=east&mac=")
    assert parse_qs(urlsplit(told["user-portal-url"]).query, keep_blank_values=True)["mac"] == [value]
    assert page.headers == {"Content-Type": "application/captive+json", "Cache-Control": "private"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"captive": True}),
        ({"logged_in": "no", "session_timeout_secs": "0", "remain_bytes_total": "---"}, {"captive": True}),
        ({"logged_in": "yes", "session_timeout_secs": "0", "remain_bytes_total": ""}, {"captive": False}),
        ({"logged_in": "yes", "session_timeout_secs": "60"}, {"captive": False, "seconds-remaining": 60}),
        ({"logged_in": "yes", "remain_bytes_total": "7"}, {"captive": False, "bytes-remaining": 7}),
        ({"logged_in": "yes", "remain_bytes_total": "0"}, {"captive": False, "bytes-remaining": 0}),
    ],
)
def test_the_captive_api_in_every_state(values: dict[str, str], expected: dict[str, object]) -> None:
    """Limits are told only where there are some, however the router spells that there is none. RFC 8908, section 5."""
    told = json.loads(shown("api.json", **values).text)
    assert told.pop("can-extend-session") is True
    assert isinstance(told.pop("user-portal-url"), str)
    assert told == expected


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://10.5.50.2:8080", "http://10.5.50.2:8080"),
        ("http://10.5.50.2:8080/", "http://10.5.50.2:8080"),
        ("https://wifi.example.co.ke", "https://wifi.example.co.ke"),
        ("http://box.lan/portal/", "http://box.lan/portal"),
        ("http://[fd00::1]:8080", "http://[fd00::1]:8080"),
    ],
)
def test_addresses_that_are_taken(url: str, base: str) -> None:
    """Scheme, host, port and a path are put in; a slash at the end makes no difference."""
    pages = render_router_pages(url)
    assert f'href="{base}/?router=&amp;mac=' in pages["login.html"]
    assert json.loads(render(pages["api.json"], lambda _: "").text)["user-portal-url"].startswith(f"{base}/?")


@pytest.mark.parametrize(
    "url",
    [
        "", "10.5.50.2:8080", "ftp://10.5.50.2", "javascript:alert(1)", "http://", "http:///x", "http:evil", "//host",
        "http://a b", 'http://a"onload=x', "http://a'x", "http://a<b", "http://a>b", "http://a/\\b", "http://a/$(mac)",
        "http://a/?b", "http://a/#b", "http://user@a", "http://user:p@a", "http://a/%PORTAL%", "http://a:99999",
        "http://a:0", "http://a:x", "http://a/\n", "http://a\n", " http://a", "http://a;b", "http://a,b", "http://-a",
        "http://ä.example", "http://a//b", "http://[::1", "http://[zz]", "http://a/$(endif)",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(url: str) -> None:
    """Whatever could end the attribute, script, JSON, header or variable it stands in is no address."""
    with pytest.raises(InvalidError):
        render_router_pages(url)


@pytest.mark.parametrize("router_id", ["a b", '"', "a&b", "$(mac)", "-a", "a\n", "%ROUTER%", "x" * 65])
def test_ids_that_are_refused(router_id: str) -> None:
    """A router's id is letters, digits, - and _."""
    with pytest.raises(InvalidError):
        render_router_pages(PORTAL, router_id)


def test_the_lab_puts_the_address_in_likewise() -> None:
    """The stand-in router serves the pages that would stand on a real one, letter for letter."""
    assert hand_over_pages(portal_folder() / "router", f"{PORTAL}/?router=east") == PAGES


def test_every_file_of_the_folder_is_served() -> None:
    """Nothing lies in the folder that does not get to the router."""
    assert {path.name for path in (Path(__file__).parents[2] / "captive_portal" / "router").iterdir()} == set(PAGES)


def test_the_table_of_variables_is_no_less_than_the_pages_need() -> None:
    """The table that the pages are held against has no form of a name that the router adds by itself."""
    assert not [name for name in KNOWN_VARIABLES if name.endswith("-esc")]
