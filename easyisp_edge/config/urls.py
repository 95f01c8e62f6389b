"""Addresses of web services, checked and spelled one way."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from easyisp_edge.errors import InvalidError

# Refused by Daraja wherever in a callback address they stand, in upper or lower case.
CALLBACK_WORDS = ("m-pesa", "mpesa", "safaricom", "exec", "exe", "cmd", "sql", "query")

# A last label of digits only makes an old spelling of an IPv4 address, such as 127.1.
_HOST_NAME = re.compile(r"(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)*(?!-|[0-9]+$)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
# Addresses that `ipaddress` calls global although they lead to any IPv4 address, private ones too.
_DISGUISED = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("64:ff9b::/96"))


def web_url(text: str, *, schemes: tuple[str, ...] = ("http", "https")) -> str:
    """Read an address without user, query and fragment; comes back without a slash at the end.

    Raises:
        InvalidError: It is no such address.
    """
    example = f"{schemes[-1]}://pay.example.com"
    try:
        # Browsers read a backslash as a slash, and the parser does not.
        parts = urlsplit(text) if re.fullmatch(r"[!-\[\]-~]+", text) else urlsplit("")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidError("url.unreadable", f'"{text:.80}" is no address such as {example}') from None
    if parts.scheme not in schemes or not _is_host(host):
        raise InvalidError("url.unreadable", f'"{text:.80}" is no address such as {example}')
    place = (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")
    # Whatever else stood beside host and port (a user, an empty port) was dropped by the parser.
    if parts.netloc.lower() != place or "?" in text or "#" in text:
        raise InvalidError("url.parts", f"give scheme, host and path only, such as {example}")
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


def service_url(text: str, *, development: bool) -> str:
    """Read the address of a service that is told secrets: HTTPS, save in development.

    Raises:
        InvalidError: It is no such address.
    """
    return web_url(text, schemes=_schemes(development=development))


def callback_url(text: str, *, development: bool) -> str:
    """Read the base of the addresses that M-Pesa is to call, by Daraja's rules.

    Raises:
        InvalidError: Daraja would refuse it, or could not reach it.

    Source: Daraja, URL rules of Register URL, which STK push shares.
    """
    url = web_url(text, schemes=_schemes(development=development))
    for word in CALLBACK_WORDS:
        if word in url.lower():
            raise InvalidError("url.word", f'holds "{word}", and M-Pesa refuses any address that does')
    host = urlsplit(url).hostname or ""
    if not development and not _is_public(host):
        raise InvalidError("url.private", f'"{host}" is not public, and M-Pesa refuses such addresses')
    return url


def origin(url: str) -> str:
    """Scheme, host and port of an address that was read before."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _schemes(*, development: bool) -> tuple[str, ...]:
    return ("http", "https") if development else ("https",)


def _is_host(host: str) -> bool:
    return _HOST_NAME.fullmatch(host) is not None or _as_address(host) is not None


def _is_public(host: str) -> bool:
    address = _as_address(host)
    if address is None:
        return "." in host and not host.endswith((".local", ".localhost", ".lan", ".internal"))
    return address.is_global and not any(address in network for network in _DISGUISED)


def _as_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
