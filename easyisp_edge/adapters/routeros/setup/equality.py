"""Whether what a router prints means what we would write."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from easyisp_edge.adapters.routeros.durations import parse_duration, parse_flag
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

_FLAGS = frozenset({"disabled", "enabled", "use-radius", "radius-accounting", "accept", "force"})
_DURATIONS = frozenset({"idle-timeout", "keepalive-timeout", "radius-interim-update", "timeout", "interval"})
_SETS = frozenset({"login-by", "policy", "service", "dhcp-option"})
_NETWORKS = frozenset({"address", "src-address", "dst-address"})


def differing(row: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Those of the values that the row does not have already."""
    return {name: value for name, value in values.items() if not same(name, row.get(name, ""), value)}


def same(name: str, left: str, right: str) -> bool:
    """Whether two spellings of a field's value mean the same; a field that is not set is empty text."""
    return left == right or _meaning(name, left) == _meaning(name, right)


def _meaning(name: str, text: str) -> Hashable:
    try:
        if name in _FLAGS:
            return parse_flag(text or "no")
        if name in _DURATIONS:
            return parse_duration(text)
    except InvalidError:
        return text
    if name in _SETS:
        # A policy that is off is printed too, with a mark in front.
        return frozenset(word for word in text.split(",") if word and not word.startswith("!"))
    if name in _NETWORKS:
        return frozenset(_network(word) for word in text.split(",") if word)
    return text


def _network(text: str) -> str:
    mark, bare = ("!", text[1:]) if text.startswith("!") else ("", text)
    try:
        return mark + str(ipaddress.ip_interface(bare))
    except ValueError:
        return text
