"""What a router says of a login that failed, in the customer's words and harmless whatever it is."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.web.page_values import Offer, Shop
from easyisp_edge.web.pages_choosing import choose_page
from easyisp_edge.web.router_errors import router_error
from tests.unit.web.counter import PAGES, TEXTS

SHOP = Shop("Shop", "#0b7a3b", None, None)
OFFER = Offer("1h", "1 hour", "KES 10", "1 hour", "5 Mbps", None, 1)
LANGUAGES = ["en", "sw"]
KNOWN = {
    "no more sessions are allowed for user kofi": "rejects.devices_full",
    "session limit reached (200)": "router_said.full",
    "invalid username or password": "router_said.wrong_login",
    "invalid username (aa:bb:cc:00:00:01): this MAC address is not yours": "rejects.other_device",
    "user kofi is not allowed to log in from this MAC address": "rejects.other_device",
    "user kofi has reached uptime limit": "rejects.time_up",
    "user kofi has reached traffic limit": "rejects.data_up",
    "RADIUS server is not responding": "router_said.silent",
    "already authorizing, retry later": "router_said.busy",
    "cannot assign ip address - no more free addresses from pool": "router_said.full",
    "web browser did not send challenge response (try again, enable JavaScript)": "router_said.again",
    "hotspot service is shutting down": "router_said.broken",
    "internal error (out of memory)": "router_said.broken",
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text", KNOWN)
def test_the_routers_own_texts_are_said_in_the_customers_words(text: str, language: str) -> None:
    """In the page's language, however they are spelt, and not in the router's English."""
    said = router_error(TEXTS, language, {"error": f" {text.upper()}\n"})
    assert said == TEXTS.get(language, KNOWN[text])
    assert said != KNOWN[text]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_untranslated_text_outweighs_the_owners_wording(language: str) -> None:
    """An owner may have written the router's texts anew; what was meant stands beside them."""
    query = {"error": "Hapana, rafiki", "error-orig": "user kofi has reached traffic limit"}
    assert router_error(TEXTS, language, query) == TEXTS.get(language, "rejects.data_up")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_we_answered_by_radius_comes_back_in_the_pages_language(language: str) -> None:
    """Whatever language it was answered in."""
    for answered_in in LANGUAGES:
        query = {"error": TEXTS.get(answered_in, "rejects.locked")}
        assert router_error(TEXTS, language, query) == TEXTS.get(language, "rejects.locked")


@pytest.mark.parametrize("query", [{}, {"error": ""}, {"error": " \n", "error-orig": ""}])
def test_nothing_said_is_nothing_to_tell(query: dict[str, str]) -> None:
    """The usual hand-over has an empty error."""
    assert router_error(TEXTS, "en", query) is None


def test_not_being_logged_in_is_no_error() -> None:
    """Who reads the first page knows."""
    assert router_error(TEXTS, "en", {"error": "you are not logged in (ip 10.5.50.7)"}) is None


def test_plain_words_are_quoted_and_bounded() -> None:
    """As the router said them, the first line of them."""
    assert router_error(TEXTS, "en", {"error": "Closed till Monday."}) == "The hotspot said: “Closed till Monday.”"
    said = router_error(TEXTS, "en", {"error": "word " * 5000})
    assert said is not None
    assert said.endswith("…”")
    assert len(said) <= 100


@pytest.mark.parametrize(
    "text",
    [
        "Send KES 50 to 0712345678",
        "Send KES 50 to 0712 345 678",
        "Till 5 1 2 3 4 5",
        "go to evil.example now",
        "go to https://evil.example",
        "<script>alert(1)</script>",
        "turned \u202e round",
        "nul\x00",
        "${jndi}",
    ],
)
def test_no_number_address_or_sign_of_a_strangers_is_repeated(text: str) -> None:
    """Anybody can write that address: it is told that it failed, and nothing of the text."""
    assert router_error(TEXTS, "en", {"error": text}) == TEXTS.get("en", "router_said.unclear")


@given(text=st.text(max_size=300), original=st.text(max_size=60), language=st.sampled_from(LANGUAGES))
def test_whatever_is_said_is_text_on_the_page(text: str, original: str, language: str) -> None:
    """One line of at most 200 characters, escaped: the page has the same elements as with a plain word."""
    said = router_error(TEXTS, language, {"error": text, "error-orig": original})
    if said is None:
        return
    assert len(said) <= 200
    assert said.isprintable()

    def page(notice: str) -> str:
        return choose_page(PAGES, language=language, shop=SHOP, offers=[OFFER], device="abc", notice=notice).decode()

    assert page(said).count("<") == page("x").count("<")
    assert html.escape(said, quote=False).replace("'", "&#39;") in page(said)
