"""TLS to a router: trusted by its own certificate, or by an authority's word."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_NO_CERTIFICATE = "its api-ssl service has no certificate; set one: /ip/service set api-ssl certificate=NAME."
_HANG_UP = f"it hung up before. Either api-ssl is not open to this box's address, or {_NO_CERTIFICATE}"
_HANDSHAKE_REFUSED = "SSLV3_ALERT_HANDSHAKE_FAILURE"
# What a router without a certificate offers, and what no connection of ours takes: anybody could be at the other end.
_ANONYMOUS = "ADH:AECDH:@SECLEVEL=0"


class WrongCertificateError(Exception):
    """The other end is not the router whose certificate was pinned; it was sent nothing.

    Args:
        shown: Fingerprint of what it showed.
        pinned: Fingerprint of what it should have shown.
    """

    def __init__(self, shown: str, pinned: str) -> None:
        super().__init__(f"shown {shown}, pinned {pinned}")
        self.shown = shown
        self.pinned = pinned


@dataclass(frozen=True, slots=True)
class RouterTls:
    """How a router proves who it is. Make it by `pinning` or `vouched_by`.

    Args:
        context: For the handshake; at least TLS 1.2, never without a certificate.
        pinned: The only certificate that will do, DER; None where the context judges by itself.
    """

    context: ssl.SSLContext
    pinned: bytes | None = None

    @classmethod
    def pinning(cls, certificate: bytes) -> RouterTls:
        """Trust exactly this certificate (DER), whatever its names, its issuer and its dates.

        It is compared octet by octet, which proves more than any chain could: the handshake has shown that the
        other end holds its key. OpenSSL would also judge dates, which a router that woke up in 1970 has wrong, and
        usages, which have nothing to say about the very certificate that a person compared.
        """
        return cls(_unjudged(), certificate)

    @classmethod
    def vouched_by(cls, authority: Path) -> RouterTls:
        """Trust what this authority (PEM) vouches for, for the address that is dialled and for today.

        Raises:
            OSError: The file cannot be read, or holds no certificate.
        """
        context = _context()
        context.load_verify_locations(cafile=authority)
        return cls(context)

    def check(self, connected: asyncio.StreamWriter) -> None:
        """See that it is the router, before anything is said to it.

        Raises:
            WrongCertificateError: It is another.
        """
        if self.pinned is None:
            return
        shown = _shown(connected)
        if not hmac.compare_digest(shown, self.pinned):
            raise WrongCertificateError(fingerprint(shown), fingerprint(self.pinned))


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """A certificate that was shown, which proves nothing until somebody compares it.

    Args:
        pem: Itself.
        fingerprint: SHA-256, as a router writes it: 64 hexadecimal digits.
    """

    pem: str
    fingerprint: str


async def open_stream(
    host: str, port: int, context: ssl.SSLContext, source: tuple[str, int] | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, and shake hands.

    Raises:
        SSLError: The other end is there, and TLS did not come about.
        OSError: Nobody answered.
    """
    try:
        return await asyncio.open_connection(host, port, ssl=context, local_addr=source)
    except ConnectionResetError as error:  # a connection that was refused is told otherwise
        raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "it hung up") from error


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate (DER), as a router writes it: 64 hexadecimal digits.

    Source: RouterOS, /certificate (fingerprint).
    """
    return hashlib.sha256(certificate).hexdigest()


def tls_trouble(router: str, error: ssl.SSLError | WrongCertificateError) -> UnavailableError:
    """What to say of a router with which TLS did not come about."""
    if isinstance(error, WrongCertificateError):
        return UnavailableError(
            "router.wrong_certificate",
            f"Router {router} shows another certificate than the one pinned, and was told nothing: {error}. If you"
            f" replaced the router or its certificate, pin it anew with: easyisp-edge router certificate {router}"
            " --save --replace. If nobody did, something is between the box and the router.",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return UnavailableError(
            "router.wrong_certificate",
            f"Router {router} shows a certificate that ca_file does not vouch for: {error.verify_message}.",
        )
    return UnavailableError("router.no_tls", f"Router {router} and the box do not agree on TLS: {_why(error)}")


async def fetch_certificate(host: str, port: int, timeout_seconds: float) -> ShownCertificate:
    """Ask who is at an address for its certificate; nothing is sent beyond the handshake.

    Raises:
        RefusedError: It offers no certificate.
        UnavailableError: Nobody answered, or not by TLS.

    Source: RouterOS, /ip/service (api-ssl, certificate).
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _fetch(host, port)
    except ssl.SSLError as error:
        raise UnavailableError(
            "router.no_tls", f"{host} port {port} and the box do not agree on TLS: {_why(error)}"
        ) from error
    except OSError as error:  # a time-out is one too
        reason = f"nothing within {timeout_seconds:g} s" if isinstance(error, TimeoutError) else str(error)
        raise UnavailableError(
            "router.unreachable", f"{host} port {port} did not show a certificate: {reason}."
        ) from error


async def _fetch(host: str, port: int) -> ShownCertificate:
    try:
        async with _handshake(host, port, _unjudged()) as writer:
            shown = _shown(writer)
    except ssl.SSLError as error:
        if await _is_anonymous(host, port):
            raise RefusedError("router.no_certificate", f"{host} shows no certificate: {_NO_CERTIFICATE}") from error
        raise
    return ShownCertificate(ssl.DER_cert_to_PEM_cert(shown), fingerprint(shown))


async def _is_anonymous(host: str, port: int) -> bool:
    """Whether it takes those who ask for no certificate."""
    context = _unjudged()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_ANONYMOUS)
    try:
        async with _handshake(host, port, context):
            return True
    except OSError:  # SSL's errors are such, too
        return False


@contextlib.asynccontextmanager
async def _handshake(host: str, port: int, context: ssl.SSLContext) -> AsyncIterator[asyncio.StreamWriter]:
    _, writer = await open_stream(host, port, context)
    try:
        yield writer
    finally:
        writer.transport.abort()


def _why(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLEOFError):
        return _HANG_UP
    if error.reason == _HANDSHAKE_REFUSED:
        return _NO_CERTIFICATE
    return f"{error.reason or error}. Is it the port of api-ssl?"


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DEFAULT:!aNULL:!eNULL")  # with those that old routers have, and Python would leave out
    return context


def _unjudged() -> ssl.SSLContext:
    """A context that takes any certificate, for those who look at it themselves."""
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _shown(connected: asyncio.StreamWriter) -> bytes:
    """The certificate of the other end, DER; empty where it showed none."""
    return connected.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
