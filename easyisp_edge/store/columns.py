"""How values are written into columns and read back."""

from __future__ import annotations

from datetime import datetime

from easyisp_edge.domain.values import MacAddress


def instant(at: datetime) -> str:
    """An aware UTC instant as `2026-01-31T09:00:00.000Z`: fixed width, so text order is time order."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def optional_instant(at: datetime | None) -> str | None:
    """As `instant`, or NULL."""
    return None if at is None else instant(at)


def read_instant(text: str) -> datetime:
    """The reverse of `instant`."""
    return datetime.fromisoformat(text)


def read_optional_instant(text: str | None) -> datetime | None:
    """The reverse of `optional_instant`."""
    return None if text is None else datetime.fromisoformat(text)


def optional_mac(mac: MacAddress | None) -> str | None:
    """A hardware address as text, or NULL."""
    return None if mac is None else mac.text


def read_optional_mac(text: str | None) -> MacAddress | None:
    """The reverse of `optional_mac`."""
    return None if text is None else MacAddress(text)
