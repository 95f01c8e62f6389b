"""Two spellings of a router's value are the same where they mean the same, and only there."""

from __future__ import annotations

import pytest

from easyisp_edge.adapters.routeros.setup.equality import differing, same


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        ("disabled", "true", "yes"),
        ("disabled", "", "no"),
        ("idle-timeout", "00:30:00", "30m"),
        ("timeout", "3s", "3000ms"),
        ("login-by", "http-pap,mac-cookie", "mac-cookie,http-pap"),
        ("policy", "read,write,api,!ftp,!sensitive", "api,read,write"),
        ("address", "10.5.50.2", "10.5.50.2/32"),
        ("address", "10.5.50.2/32,192.168.88.0/24", "192.168.88.0/24,10.5.50.2"),
        ("src-address", "!10.5.50.2", "!10.5.50.2/32"),
    ],
)
def test_same_meaning(name: str, left: str, right: str) -> None:
    """Order, unit and short forms make no difference."""
    assert same(name, left, right)
    assert same(name, right, left)


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        ("disabled", "true", "no"),
        ("idle-timeout", "none", "30m"),
        ("idle-timeout", "", "30m"),
        ("servers", "10.0.0.1,10.0.0.2", "10.0.0.2,10.0.0.1"),
        ("policy", "read,write,api,!ftp", "read,write,api,ftp"),
        ("address", "10.5.50.2", "10.5.50.2/24"),
        ("src-address", "!10.5.50.2", "10.5.50.2"),
        ("name", "Edge", "edge"),
        ("dst-port", "8728", "8729"),
    ],
)
def test_other_meaning(name: str, left: str, right: str) -> None:
    """What differs differs, an order that counts among it."""
    assert not same(name, left, right)


def test_only_what_differs_is_written() -> None:
    """A change holds no value that the row has already."""
    row = {"disabled": "false", "idle-timeout": "5m", "profile": "a"}
    assert differing(row, {"disabled": "no", "idle-timeout": "30m", "profile": "a"}) == {"idle-timeout": "30m"}
