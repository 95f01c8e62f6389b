"""Whose a name is that somebody logs in with: a grant's own, a device's address, or an M-Pesa receipt."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.receipts import parse_receipt
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.store.store import Tables


class NameKind(enum.Enum):
    """What a name is."""

    GRANT = "grant"
    DEVICE = "device"
    RECEIPT = "receipt"


_GRANT = NameKind.GRANT  # a look-up in an enumeration is not for every login


class LoginName(NamedTuple):
    """A name and whose it is.

    Args:
        kind: What it is.
        admission: The grant it stands for; None where it stands for none of that tenant's.
        password: What proves it; None where nothing has to.
    """

    kind: NameKind
    admission: Admission | None
    password: str | None


def login_name(  # noqa: PLR0917 - what a router tells of a login
    tables: Tables,
    tenant_id: str | None,
    username: str,
    mac: MacAddress | None,
    now: datetime,
    router_id: str | None = None,
) -> LoginName | None:
    """Whose a name is at one tenant, given from that device; None for nobody's.

    A device's address stands for what it has bought for hotspots, and only where it is that device that gives it:
    the router knows which one it is, so that nothing more has to prove it.

    Args:
        tables: The books.
        tenant_id: Whose router asks; None for one nobody knows.
        username: The name.
        mac: The device that gives it, where the router says.
        now: Box time.
        router_id: Where it is given; of what a device has, what is valid there comes first. None for anywhere.
    """
    admission = tables.grants.admission(username)
    if admission is not None:
        return LoginName(_GRANT, admission, admission.password) if admission.tenant_id == tenant_id else None
    if tenant_id is None:
        return None
    if mac is not None and _address(username) == mac:
        return LoginName(NameKind.DEVICE, _in_turn(tables, tenant_id, mac, now, router_id), None)
    return _of_receipt(tables, tenant_id, username)


def _address(username: str) -> MacAddress | None:
    try:
        return MacAddress.parse(username)
    except InvalidError:
        return None


def _in_turn(tables: Tables, tenant_id: str, mac: MacAddress, now: datetime, router_id: str | None) -> Admission | None:
    """What a device uses next: what runs first, then by age; what is not for here or now only if nothing else is.

    Where its buyer wants to be off, only what was bought since.
    """
    of_device = tables.grants.usable_of_device(tenant_id, mac)
    usable = [each for each in of_device if each.package.service is Service.HOTSPOT and each.usable_at(now)]
    here = [each for each in usable if router_id is None or each.package.valid_on(router_id)]
    may_open = [each for each in here if each.open_at(now)]
    off = [each for each in may_open if each.off_since is not None]
    if off:
        may_open = [each for each in may_open if not any(other.keeps_off(each) for other in off)] or off
    return next(iter(may_open or here or usable), None)


def _of_receipt(tables: Tables, tenant_id: str, username: str) -> LoginName | None:
    try:
        receipt = parse_receipt(username)
    except InvalidError:
        return None
    admission = tables.grants.admission_by_receipt(receipt)
    if admission is not None and admission.tenant_id != tenant_id:
        admission = None
    return LoginName(NameKind.RECEIPT, admission, receipt)
