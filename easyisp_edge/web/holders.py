"""Who may do something with what a device has: the device itself, or whoever holds the secret of what was bought."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from easyisp_edge.errors import NotFoundError, RefusedError
from easyisp_edge.services.identifiers import is_secret
from easyisp_edge.web.askers import asker_of
from easyisp_edge.web.visits import Device, device_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.services.portal.standing import Standing
    from easyisp_edge.web.portal import Portal
    from easyisp_edge.web.visits import Visit

# The page of a purchase, of a claim, of what was bought from credit: each path holds its secret.
_PATH = re.compile(r"/([pkw])/([0-9a-f]{32})", re.ASCII)


def holding(portal: Portal, path: str) -> Standing | None:
    """Where stands what a page's path holds the secret of; None where there is no such thing."""
    found = _PATH.fullmatch(path)
    if found is None or not is_secret(found[2]):
        return None
    kind, key = found.groups()
    if kind == "w":
        return portal.standing.of_credit_purchase(key)
    if kind == "p":
        purchase = portal.store.read.purchases.by_id(key)
        return None if purchase is None else portal.standing.of_purchase(purchase)
    claim = portal.store.read.claims.by_id(key)
    return None if claim is None or not portal.standing.is_proven(claim) else portal.standing.of_claim(claim)


def purchase_unknown() -> NotFoundError:
    """What is said to whoever names a purchase that there is not, or holds nothing that was bought."""
    return NotFoundError("purchase.unknown", "We do not know this purchase. Go back to the start.")


def own_device(portal: Portal, request: web.Request, form: Mapping[str, str], visit: Visit) -> MacAddress:
    """The device a form is about, once it is sure that it is the sender's own.

    That is shown by the path of a page of its own, in the field `h`, or by the address the request came from.

    Raises:
        InvalidError: Nothing says which device it is about.
        RefusedError: Neither shows it.
    """
    if visit.device.mac is None and not form.get("h"):
        raise device_unknown()
    standing = holding(portal, form.get("h", ""))
    held = None if standing is None else standing.admission
    if held is not None and held.mac is not None and held.tenant_id == visit.tenant.id:
        return held.mac
    mac = asker_of(portal, request).mac
    if mac is None or visit.device.mac not in {None, mac}:
        raise _unproven()
    return mac


def refuse_strangers(portal: Portal, request: web.Request, mac: MacAddress | None) -> None:
    """Refuse what is asked for a device by another one: where the router is looked at, it has that one at the address.

    Anybody on the Wi-Fi sees the others' addresses, and what is begun for a device is its beginner's to take along.
    Where the asker is not in sight, whoever asks is believed.

    Raises:
        RefusedError: Another one asks.
    """
    in_sight(portal, request, Device(mac))


def is_own(portal: Portal, request: web.Request, device: Device) -> bool:
    """Whether a request comes from that very device."""
    return device.mac is not None and asker_of(portal, request).mac == device.mac


def device_of(portal: Portal, request: web.Request, device: Device) -> Device:
    """The device as its page names it, or, where that says none, the one the request comes from."""
    if device.mac is not None:
        return device
    asker = asker_of(portal, request)
    return device if asker.mac is None else Device(asker.mac, asker.router_id or device.router_id)


def in_sight(portal: Portal, request: web.Request, device: Device) -> Device:
    """The device as its page names it, or, where that says none, the one that the router has at the address.

    Where money is paid for it, reports of sessions do not do: one that nobody ended may stand at an address for long.

    Raises:
        RefusedError: As `refuse_strangers`.
    """
    asker = asker_of(portal, request)
    if asker.host is None or device.mac == asker.mac:
        return device
    if device.mac is not None:
        raise _unproven()
    return Device(asker.mac, asker.router_id or device.router_id)


def visit_of_form(portal: Portal, request: web.Request, form: Mapping[str, str]) -> Visit:
    """Whose page a form was sent from, and by which device."""
    visit = portal.visit(request, form)
    return replace(visit, device=device_of(portal, request, visit.device))


def _unproven() -> RefusedError:
    return RefusedError("device.unproven", "Only the device itself can do this.")
