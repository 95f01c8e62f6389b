"""Certificates that are trusted as they are: files of one, in PEM."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from pathlib import Path

_OCTETS_MAX = 64 * 1024
_BLOCK = re.compile("-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----", re.ASCII)


def read_certificate(path: Path) -> bytes:
    """The only certificate in a file, DER.

    Raises:
        InvalidError: The file cannot be read, or holds none, or several.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_OCTETS_MAX).decode("ascii", errors="replace")
    except OSError as error:
        raise _unfit(f"cannot be read: {error.strerror}") from error
    blocks = _BLOCK.findall(text)
    if len(blocks) != 1:
        found = f"{len(blocks)} certificates" if blocks else "no certificate"
        raise _unfit(f"holds {found} in PEM, and has to hold one: the router's own")
    try:
        certificate = ssl.PEM_cert_to_DER_cert(blocks[0])
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificate)
    except (ValueError, ssl.SSLError) as error:
        raise _unfit("holds no certificate that can be read") from error
    return certificate


def _unfit(message: str) -> InvalidError:
    return InvalidError("config.certificate", message)
