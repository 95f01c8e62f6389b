"""Faults and errors turned into what goes down the wire."""

from __future__ import annotations

import http
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.lab.daraja.faults import (
    APIGEE_ERRORS,
    DARAJA_ERRORS,
    EMPTY_STATUSES,
    FIREWALL_PAGE,
    HTML_STATUSES,
    OUTAGE_PAGE,
    ApigeeError,
    DarajaError,
    ErrorKeys,
    Fault,
)

if TYPE_CHECKING:
    import asyncio

    from easyisp_edge.lab.daraja.identifiers import Identifiers

_ENVELOPE_KEYS = {
    ErrorKeys.CAMEL: ("requestId", "errorCode", "errorMessage"),
    ErrorKeys.PASCAL: ("RequestId", "ErrorCode", "ErrorMessage"),
    ErrorKeys.SNAKE: ("request_id", "error_code", "error_message"),
}
_GATEWAY_STATUSES = frozenset({502, 503})


class Answers:
    """Speaks every dialect of the gateway.

    Args:
        identifiers: For request ids.
        error_keys: The spelling of Daraja's envelope.
        closing: Ends the silence of `Fault.NEVER` when the lab closes.
    """

    def __init__(self, identifiers: Identifiers, error_keys: ErrorKeys, closing: asyncio.Event) -> None:
        self._identifiers = identifiers
        self._keys = _ENVELOPE_KEYS[error_keys]
        self._closing = closing

    async def give(
        self,
        request: web.Request,
        error: DarajaError | ApigeeError | Fault,
        *,
        request_id: str | None = None,
    ) -> web.StreamResponse:
        """The answer; for silence and resets, the return comes when the connection is gone."""
        if error is Fault.NEVER:
            await self._closing.wait()
            return _reset(request)
        if error is Fault.RESET:
            return _reset(request)
        if isinstance(error, Fault):
            return self._of_fault(error)
        return self._of_error(error, request_id)

    def _of_fault(self, fault: Fault) -> web.Response:
        if fault is Fault.REJECTED_WITH_STATUS_200:
            return self._rejection()
        if fault in HTML_STATUSES:
            return _page(HTML_STATUSES[fault])
        if fault in EMPTY_STATUSES:
            return web.Response(status=EMPTY_STATUSES[fault])
        return self._of_error(DARAJA_ERRORS.get(fault) or APIGEE_ERRORS[fault], None)

    def _of_error(self, error: DarajaError | ApigeeError, request_id: str | None) -> web.Response:
        if isinstance(error, ApigeeError):
            fault = {"faultstring": error.faultstring, "detail": {"errorcode": error.errorcode}}
            return web.json_response({"fault": fault}, status=error.status)
        values = (request_id or self._identifiers.request_id(), error.code, error.message)
        return web.json_response(dict(zip(self._keys, values, strict=True)), status=error.status)

    def _rejection(self) -> web.Response:
        """HTTP 200 whose `ResponseCode` says no."""
        return web.json_response(
            {
                "MerchantRequestID": self._identifiers.request_id(),
                "CheckoutRequestID": "",
                "ResponseCode": "1",
                "ResponseDescription": "The request could not be accepted for processing",
                "CustomerMessage": "The request could not be accepted for processing",
            }
        )


def _page(status: int) -> web.Response:
    text = FIREWALL_PAGE
    if status in _GATEWAY_STATUSES:
        text = OUTAGE_PAGE.format(status=status, phrase=http.HTTPStatus(status).phrase)
    return web.Response(status=status, text=text, content_type="text/html")


def _reset(request: web.Request) -> web.Response:
    """Reset the connection; what is returned is never sent."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:  # lingering for no time makes the kernel send a reset instead of an end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)
