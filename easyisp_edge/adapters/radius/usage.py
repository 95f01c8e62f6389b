"""Accounting-Request to usage report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.adapters.radius import dictionary as number
from easyisp_edge.adapters.radius.logins import GRANT_MARK, device_address, device_mac
from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from easyisp_edge.adapters.radius.packets import Packet

_KINDS = {
    number.ACCT_STATUS_START: UsageKind.START,
    number.ACCT_STATUS_INTERIM_UPDATE: UsageKind.INTERIM,
    number.ACCT_STATUS_STOP: UsageKind.STOP,
    number.ACCT_STATUS_ACCOUNTING_ON: UsageKind.ROUTER_ON,
    number.ACCT_STATUS_ACCOUNTING_OFF: UsageKind.ROUTER_OFF,
}
_OF_A_SESSION = frozenset((UsageKind.START, UsageKind.INTERIM, UsageKind.STOP))

_ONCE = frozenset(
    (
        number.USER_NAME,
        number.FRAMED_IP_ADDRESS,
        number.CLASS,
        number.CALLING_STATION_ID,
        number.ACCT_STATUS_TYPE,
        number.ACCT_INPUT_OCTETS,
        number.ACCT_OUTPUT_OCTETS,
        number.ACCT_SESSION_ID,
        number.ACCT_SESSION_TIME,
        number.ACCT_TERMINATE_CAUSE,
        number.ACCT_INPUT_GIGAWORDS,
        number.ACCT_OUTPUT_GIGAWORDS,
    )
)


def usage_report(packet: Packet, router_id: str) -> UsageReport:
    """What an Accounting-Request reports; Event-Timestamp is not read, a router's clock may be anywhere.

    Raises:
        InvalidError: An attribute is doubled, missing or senseless; there is nothing to record.

    Source: RFC 2866 section 5, RFC 2869 sections 5.1 and 5.2.
    """
    if packet.repeated and not _ONCE.isdisjoint(packet.repeated):
        raise InvalidError("radius.doubled", "The router sent an attribute twice that may stand only once.")
    kind = _kind(packet)
    session_id = _text(packet, number.ACCT_SESSION_ID)
    if kind in _OF_A_SESSION and not session_id:
        raise InvalidError("radius.session", "A report on a session must say which.")
    return UsageReport(
        router_id=router_id,
        kind=kind,
        session_id=session_id,
        username=_text(packet, number.USER_NAME),
        grant_id=_grant_id(packet),
        mac=device_mac(packet),
        address=device_address(packet),
        seconds=packet.integer(number.ACCT_SESSION_TIME) or 0,
        octets_in=_octets(packet, number.ACCT_INPUT_OCTETS, number.ACCT_INPUT_GIGAWORDS),
        octets_out=_octets(packet, number.ACCT_OUTPUT_OCTETS, number.ACCT_OUTPUT_GIGAWORDS),
        cause=_cause(packet) if kind is UsageKind.STOP else "",
    )


def _kind(packet: Packet) -> UsageKind:
    status = packet.integer(number.ACCT_STATUS_TYPE)
    kind = None if status is None else _KINDS.get(status)
    if kind is None:
        raise InvalidError("radius.status_type", f"Acct-Status-Type {status} is not one we record.")
    return kind


def _text(packet: Packet, attribute: int) -> str:
    # Not refused when it is no UTF-8: what is not taken the router sends again and again.
    return (packet.value(attribute) or b"").decode(errors="replace")


def _grant_id(packet: Packet) -> str | None:
    value = packet.value(number.CLASS)
    if value is None or not value.startswith(GRANT_MARK):
        return None
    return value.removeprefix(GRANT_MARK).decode(errors="replace")


def _octets(packet: Packet, low: int, high: int) -> int:
    return (packet.integer(high) or 0) << 32 | (packet.integer(low) or 0)


def _cause(packet: Packet) -> str:
    cause = packet.integer(number.ACCT_TERMINATE_CAUSE)
    return "" if cause is None else number.TERMINATE_CAUSES.get(cause, str(cause))
