"""A row of radacct as a session."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from easyisp_edge.adapters.freeradius.rows import CLASS_MARK
from easyisp_edge.domain.login_database import NotedSession
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_ADDRESSES = frozenset(("", "0.0.0.0", "255.255.255.255", "255.255.255.254"))  # noqa: S104 - what is no address


def noted_session(row: Sequence[Any]) -> NotedSession:
    """Read a row.

    Args:
        row: radacctid, acctsessionid, username, nasipaddress, class, callingstationid, framedipaddress,
            acctstarttime, acctstoptime, the latest of its times, acctsessiontime, acctinputoctets,
            acctoutputoctets, acctterminatecause. Times are Unix time or aware.
    """
    number, session_id, username, router, klass, mac, address, started, stopped, changed, *counted, cause = row
    seconds, octets_in, octets_out = (max(0, int(count or 0)) for count in counted)
    return NotedSession(
        row_id=number,
        router_address=router or "",
        session_id=session_id or "",
        username=username or "",
        grant_id=_grant_id(klass or ""),
        mac=_mac(mac or ""),
        address=None if (address or "") in _NO_ADDRESSES else address,
        started_at=_instant(started),
        changed_at=_instant(changed) or _EPOCH,
        stopped=stopped is not None,
        seconds=seconds,
        octets_in=octets_in,
        octets_out=octets_out,
        cause=(cause or "") if stopped is not None else "",
    )


def _instant(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None


def _grant_id(klass: str) -> str | None:
    # FreeRADIUS's own queries note it in hex.
    if klass.startswith("0x"):
        try:
            klass = bytes.fromhex(klass[2:]).decode(errors="replace")
        except ValueError:
            return None
    return klass.removeprefix(CLASS_MARK) if klass.startswith(CLASS_MARK) else None


def _mac(text: str) -> MacAddress | None:
    try:
        return MacAddress.parse(text)
    except InvalidError:
        return None
