"""Whether Daraja would take an address to call back."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from easyisp_edge.lab.daraja.options import CallbackUrlRules

_REFUSED_WORDS = ("m-pesa", "mpesa", "safaricom", "exe", "exec", "cmd", "sql", "query")
_REFUSED_HOSTS = ("ngrok", "mockbin", "requestbin", "example.com", "example.org")


def is_plausible(url: str, rules: CallbackUrlRules) -> bool:
    """Whether a push with this `CallBackURL` is taken.

    Strict rules: HTTPS to a public name or address, none of the words Safaricom's filters refuse, no
    throw-away or placeholder host. Loopback is exempt from all but the words, in plain HTTP too, because
    the lab itself lives there.
    """
    parts = _split(url)
    if parts is None:
        return False
    if rules is CallbackUrlRules.LOOSE:
        return True
    if any(word in url.lower() for word in _REFUSED_WORDS):
        return False
    host = (parts.hostname or "").lower()
    return _is_loopback(host) or (parts.scheme == "https" and _is_public(host))


def _split(url: str) -> SplitResult | None:
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname and port != 0 else None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _is_public(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_global
    return re.fullmatch(r"([a-z0-9_-]+\.)+[a-z][a-z0-9-]+", host) is not None and not any(
        refused in host for refused in _REFUSED_HOSTS
    )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
