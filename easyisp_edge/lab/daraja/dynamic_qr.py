"""`POST /mpesa/qrcode/v1/generate`: a picture to pay by.

The picture is a real PNG of the size asked for, but a stand-in like the rest: no M-PESA app can scan it. What a
real one would say stands in its text chunk, and its pattern follows from that.

Source: Daraja, Dynamic QR.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.lab.daraja.door import read_fields
from easyisp_edge.lab.daraja.fault_queue import FaultQueue
from easyisp_edge.lab.daraja.faults import DarajaRefusalError, bad_request
from easyisp_edge.lab.daraja.png import square_png

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.lab.daraja.door import Door
    from easyisp_edge.lab.daraja.identifiers import Identifiers

_PATTERNS = {
    "MerchantName": r".{1,60}",
    "RefNo": r".{1,40}",
    "Amount": r"[1-9][0-9]{0,5}",
    "TrxCode": r"BG|WA|PB|SM|SB",
    "CPI": r"[0-9]{5,12}",
    "Size": r"[1-9][0-9]{1,2}|1000",
}
_CELLS = 16
_EDGE_CELLS = 2


class DynamicQr:
    """Draws for any app with a live token.

    Attributes:
        faults: In store for the next requests.
    """

    def __init__(self, *, door: Door, identifiers: Identifiers, conversation_id: bool) -> None:
        self._door = door
        self._identifiers = identifiers
        self._conversation_id = conversation_id
        self.faults = FaultQueue()

    def routes(self) -> list[web.RouteDef]:
        """Its part of the wire."""
        return [web.post("/mpesa/qrcode/v1/generate", self.generate)]

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """The picture, or a refusal of the first field that cannot be meant."""
        self._door.app_of(request)
        fields = await read_fields(request)
        self.faults.strike()
        content = _read(fields)
        request_id = self._identifiers.request_id()
        return web.json_response(
            {
                "ResponseCode": f"AG_{request_id}" if self._conversation_id else "00",
                "RequestID": request_id,
                "ResponseDescription": "QR Code Successfully Generated.",
                "QRCode": base64.b64encode(_draw(content)).decode(),
            }
        )


def _read(fields: Mapping[str, object]) -> dict[str, str]:
    content = {}
    for name, pattern in _PATTERNS.items():
        value = fields.get(name)
        text = "" if value is None or isinstance(value, bool) else str(value)
        if re.fullmatch(pattern, text) is None:
            raise DarajaRefusalError(bad_request(name))
        content[name] = text
    return content


def _draw(content: Mapping[str, str]) -> bytes:
    said = json.dumps({name: text for name, text in content.items() if name != "Size"}, ensure_ascii=False)
    bits = int.from_bytes(hashlib.sha256(said.encode()).digest())
    pixels = int(content["Size"])
    cells = _CELLS + 2 * _EDGE_CELLS

    def is_dark(x: int, y: int) -> bool:
        column, row = x * cells // pixels - _EDGE_CELLS, y * cells // pixels - _EDGE_CELLS
        inside = 0 <= column < _CELLS and 0 <= row < _CELLS
        return inside and bool(bits >> (row * _CELLS + column) & 1)

    return square_png(pixels, is_dark, said)
