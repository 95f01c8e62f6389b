"""`[router.setup]`: what a technician may say, and what is said back where it will not do."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network
from typing import Any

import pytest
from pydantic import ValidationError

from easyisp_edge.config.router_setup import RouterSetup

LEAST: dict[str, Any] = {"interface": "bridge1", "box_address": "10.5.50.2"}


def test_least() -> None:
    """Interface and box are enough; devices come back by themselves and silent ones are forgotten."""
    setup = RouterSetup.model_validate(LEAST)
    assert setup.cookies == ("mac-cookie",)
    assert (setup.idle_timeout, setup.keepalive_timeout) == (timedelta(minutes=30), None)
    assert setup.undo_minutes == 10
    assert setup.management_networks == ()


def test_all() -> None:
    """Every value is read into what it means."""
    setup = RouterSetup.model_validate(
        LEAST
        | {
            "cookies": [],
            "idle_timeout": "none",
            "keepalive_timeout": "10m",
            "dns_name": "wifi.example.com",
            "captive_api_url": "https://wifi.example.com/api",
            "ntp_servers": ["10.0.0.1", "time.example.com"],
            "management_networks": ["192.168.88.0/24"],
        }
    )
    assert setup.cookies == ()
    assert (setup.idle_timeout, setup.keepalive_timeout) == (None, timedelta(minutes=10))
    assert setup.ntp_servers == ("10.0.0.1", "time.example.com")
    assert setup.management_networks == (IPv4Network("192.168.88.0/24"),)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("box_address", "fd00::2", "IPv4"),
        ("box_address", "0.0.0.0", "one router"),
        ("captive_api_url", "http://wifi.example.com/api", "https"),
        ("dns_name", "http://wifi", "host name"),
        ("dns_name", "wifi/x", "host name"),
        ("dns_name", 'a"b', "host name"),
        ("ntp_servers", ["a,b"], "host name"),
        ("idle_timeout", "soon", "duration"),
        ("cookies", ["trial"], "cookie"),
        ("undo_minutes", 1, "3"),
        ("management_networks", ["192.168.88.1/24"], "network"),
    ],
)
def test_refused(key: str, value: object, words: str) -> None:
    """What would break the router's set-up is refused, and it is said what was expected."""
    with pytest.raises(ValidationError, match=words):
        RouterSetup.model_validate(LEAST | {key: value})
