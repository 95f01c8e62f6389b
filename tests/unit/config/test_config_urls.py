from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.config.urls import CALLBACK_WORDS, callback_url, origin, service_url, web_url
from easyisp_edge.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://pay.example.com", "https://pay.example.com"),
        ("HTTPS://Pay.Example.COM/Relay/", "https://pay.example.com/Relay"),
        ("https://pay.example.com:8443/a/b", "https://pay.example.com:8443/a/b"),
        ("https://[2606:4700::1111]:444", "https://[2606:4700::1111]:444"),
        ("https://41.90.1.1", "https://41.90.1.1"),
    ],
)
def test_a_callback_base_has_one_spelling(text: str, url: str) -> None:
    """Lower-case scheme and host, no slash at the end; port and path stay."""
    assert callback_url(text, development=False) == url


@pytest.mark.parametrize("word", CALLBACK_WORDS)
@pytest.mark.parametrize("text", ["https://{}.example.com", "https://pay.example.com/x{}y"])
def test_words_that_mpesa_refuses_are_refused_in_any_case(word: str, text: str) -> None:
    """Daraja's forbidden words are found in host and path, in any case, in development too."""
    with pytest.raises(InvalidError, match="M-Pesa refuses"):
        callback_url(text.format(word.title()), development=True)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "box", "box.local", "box.lan", "a.internal"),
        *("10.0.0.1", "127.0.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254"),
        *("[::1]", "[fe80::1]", "[::ffff:127.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]"),
    ],
)
def test_a_callback_base_has_to_be_public(host: str) -> None:
    """M-Pesa cannot reach a private host, however it is spelled; in development it may be one."""
    with pytest.raises(InvalidError, match="not public"):
        callback_url(f"https://{host}", development=False)
    assert urlsplit(callback_url(f"http://{host}", development=True)).scheme == "http"


@pytest.mark.parametrize(
    "text",
    [
        *("", "pay.example.com", "//pay.example.com", "ftp://pay.example.com", "https:pay.example.com"),
        *("https://", "https://pay example.com", "https://pay.example.com\n", "https://päy.example.com"),
        *("https:\\\\pay.example.com", "https://evil.example\\@pay.example.com", "https://user:pw@pay.example.com"),
        *("https://@pay.example.com", "https://pay.example.com?", "https://pay.example.com/?a=1"),
        *("https://pay.example.com/#a", "https://pay.example.com:99999", "https://pay.example.com:http"),
        *("https://[::1", "https://[::1]x", "https://127.1", "https://2130706433", "https://-a.example"),
        *("https://a..example", "https://pay.example.com.", "https://pay_example.com"),
    ],
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    """User names, queries, backslashes, odd spellings of IPv4: none of it is an address here."""
    with pytest.raises(InvalidError):
        web_url(text)


def test_services_that_are_told_secrets_need_https() -> None:
    """A gateway's address is https, save in development."""
    assert service_url("http://127.0.0.1:9", development=True) == "http://127.0.0.1:9"
    with pytest.raises(InvalidError):
        service_url("http://127.0.0.1:9", development=False)


@given(st.text() | st.text("htps:/.[]@\\?#%a1").map("https://".__add__))
def test_any_text_is_refused_or_stays_as_it_is_read(text: str) -> None:
    """An address that was accepted reads as itself, and as the parser of the standard library sees it."""
    with contextlib.suppress(InvalidError):
        url = web_url(text)
        assert web_url(url) == url
        assert url.startswith(origin(url))
        assert "\\" not in url
        assert "@" not in urlsplit(url).netloc
