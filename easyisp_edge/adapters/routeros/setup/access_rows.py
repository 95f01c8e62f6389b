"""Who may come to the router itself: this box's user, the services, and the firewall around them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from easyisp_edge.adapters.routeros.setup.rows import API_GROUP, SETUP_MARK, Place, WantedRow, found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from easyisp_edge.adapters.routeros.setup.rows import SetupSite, Tables

_POLICY = "read,write,api"
_OPEN_TO_MANAGERS = ("winbox", "ssh", "www", "www-ssl")
_CLEAR = ("telnet", "ftp")
_DIGEST_ROUNDS = 50_000  # the digest stands on the router, where readers must not guess a secret from it


def marked(
    menu: str,
    name: str,
    values: Mapping[str, str],
    why: str,
    site: SetupSite,
    *,
    secrets: Mapping[str, str] | None = None,
    place: Place = Place.END,
) -> WantedRow:
    """A row found by its comment, which changes with what the row says.

    So a row is never rewritten but put beside the old one, which can be had back with its secret.
    """
    contents = "\0".join(f"{key}={value}" for key, value in sorted({**values, **(secrets or {})}.items()))
    rounds = _DIGEST_ROUNDS if secrets else 1
    digest = hashlib.pbkdf2_hmac("sha256", contents.encode(), site.router_id.encode(), rounds).hex()[:8]
    key = {"comment": f"{SETUP_MARK}{name} {digest}"}
    return WantedRow(menu, key, {**values, "disabled": "no"}, why, secrets=secrets or {}, place=place)


def api_rows(site: SetupSite) -> Iterator[WantedRow]:
    """This box's user on the router, which may do no more than it needs to."""
    yield WantedRow("/user/group", {"name": API_GROUP}, {"policy": _POLICY}, "what this box may do on the router")
    yield WantedRow(
        "/user",
        {"name": site.api.username},
        {"group": API_GROUP, "address": f"{site.box_address}/32", "disabled": "no"},
        "this box's user",
        when_new={"comment": f"{SETUP_MARK}api"},
        secrets={"password": site.api.password},
    )


def service_rows(site: SetupSite, tables: Tables) -> Iterator[WantedRow]:
    """The router's services: the ways in that nobody needs closed, the others open to who manages the router.

    WinBox and SSH are never closed, and never narrowed where no management network is named.
    """
    used, other = ("api-ssl", "api") if site.api.tls else ("api", "api-ssl")
    managers = ",".join(site.management_networks)
    box = f"{site.box_address}/32"
    wanted = {name: {"disabled": "yes"} for name in (*_CLEAR, other)}
    if managers:
        wanted |= {name: {"address": managers} for name in _OPEN_TO_MANAGERS}
    wanted[used] = {"address": ",".join([box, *site.management_networks])}
    for name, values in wanted.items():
        if found(tables.get("/ip/service", []), {"name": name}):
            why = "nobody needs it" if "disabled" in values else "only who manages the router comes in"
            yield WantedRow("/ip/service", {"name": name}, values, why)


def firewall_rows(site: SetupSite, tables: Tables) -> Iterator[WantedRow]:
    """API, RADIUS and orders between the router and this box only, and no way round the hotspot by IPv6."""
    menu = "/ip/firewall/filter"
    for name, values, why in _let_in(site):
        yield marked(menu, name, {"action": "accept", "chain": "input", **values}, why, site, place=Place.FRONT)
    for name, values, why in _kept_out(site):
        yield marked(menu, name, {"action": "drop", "chain": "input", **values}, why, site, place=Place.BEHIND_OURS)
    if "/ipv6/firewall/filter" in tables:
        bypass = {"action": "drop", "chain": "forward", "in-interface": site.interface}
        why = "IPv6 would walk round the hotspot"
        yield marked("/ipv6/firewall/filter", "ipv6", bypass, why, site, place=Place.FRONT)


def _let_in(site: SetupSite) -> Iterator[tuple[str, dict[str, str], str]]:
    box, radius = {"src-address": site.box_address}, site.radius
    if radius is not None:
        answers = {"protocol": "udp", "src-port": f"{radius.auth_port},{radius.acct_port}"}
        yield "radius", {**answers, **box}, "answers to logins come in"
        if radius.incoming_port is not None:
            yield "orders", {**_orders(radius.incoming_port), **box}, "this box ends sessions"
    yield "api", {**_api(site), **box}, "this box reaches the API"


def _kept_out(site: SetupSite) -> Iterator[tuple[str, dict[str, str], str]]:
    if site.radius is not None and site.radius.incoming_port is not None:
        yield "orders-others", _orders(site.radius.incoming_port), "nobody else ends sessions"
    yield "api-others", {**_api(site), "in-interface": site.interface}, "customers do not reach the API"


def _orders(port: int) -> dict[str, str]:
    return {"protocol": "udp", "dst-port": str(port)}


def _api(site: SetupSite) -> dict[str, str]:
    return {"protocol": "tcp", "dst-port": str(site.api.port)}
