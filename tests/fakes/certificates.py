"""Certificates of stand-in routers, each a file with its key, and the contexts of those who show them."""

from __future__ import annotations

import ssl
from pathlib import Path

FOLDER = Path(__file__).with_name("router_certificates")
# What a pinned one may be like: dated by a clock in 1970 and meant for clients, not valid before 2090, and an
# ordinary one that an authority signed.
ODD = ("signed_in_1970", "not_yet_valid", "vouched")


def pem(name: str) -> Path:
    return FOLDER / f"{name}.pem"


def pem_text(name: str) -> str:
    """The certificate without its key."""
    return ssl.DER_cert_to_PEM_cert(der(name))


def der(name: str) -> bytes:
    text = pem(name).read_text()
    end = "-----END CERTIFICATE-----\n"
    return ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)])


def showing(name: str, *, newest: bool = True) -> ssl.SSLContext:
    """What a router uses that has this certificate; with TLS 1.2 at most where it is not the newest."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem(name))
    if not newest:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def showing_none() -> ssl.SSLContext:
    """What a router offers on api-ssl that has no certificate: anonymous ciphers alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context
