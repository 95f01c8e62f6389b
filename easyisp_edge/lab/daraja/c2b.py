"""`POST /mpesa/c2b/v1/registerurl` and `…/v2/…`: whom to tell of customers' own payments.

Source: Daraja, Customer To Business, Register URL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.lab.daraja.c2b_handling import C2bVersion, RegisteredUrls, ResponseType
from easyisp_edge.lab.daraja.callback_url import is_plausible
from easyisp_edge.lab.daraja.door import read_fields
from easyisp_edge.lab.daraja.fault_queue import FaultQueue
from easyisp_edge.lab.daraja.faults import URLS_REGISTERED, DarajaRefusalError, bad_c2b_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.lab.daraja.c2b_handling import C2bRegister
    from easyisp_edge.lab.daraja.door import Door
    from easyisp_edge.lab.daraja.identifiers import Identifiers
    from easyisp_edge.lab.daraja.options import CallbackUrlRules


class C2b:
    """Takes addresses, once per short code where that is how it behaves.

    Attributes:
        faults: In store for the next registrations.
    """

    def __init__(
        self, *, door: Door, identifiers: Identifiers, register: C2bRegister, url_rules: CallbackUrlRules
    ) -> None:
        self._door = door
        self._identifiers = identifiers
        self._register = register
        self._url_rules = url_rules
        self.faults = FaultQueue()

    def routes(self) -> list[web.RouteDef]:
        """Its part of the wire."""
        return [
            web.post("/mpesa/c2b/v1/registerurl", self.register_v1),
            web.post("/mpesa/c2b/v2/registerurl", self.register_v2),
        ]

    async def register_v1(self, request: web.Request) -> web.StreamResponse:
        """Addresses that will be told the payer's number as a digest."""
        return await self._register_url(request, C2bVersion.V1)

    async def register_v2(self, request: web.Request) -> web.StreamResponse:
        """Addresses that will be told the payer's number masked."""
        return await self._register_url(request, C2bVersion.V2)

    async def _register_url(self, request: web.Request, version: C2bVersion) -> web.StreamResponse:
        handling = self._register.handling
        consumer_key = self._door.app_of(request, handling.dead_token)
        fields = await read_fields(request)
        self.faults.strike(handling.fault)
        urls = self._read(fields, version)
        if not self._door.owns(consumer_key, urls.short_code):
            raise DarajaRefusalError(bad_c2b_request("ShortCode"))
        if handling.once_per_short_code and urls.short_code in self._register.urls:
            raise DarajaRefusalError(URLS_REGISTERED)
        self._register.urls[urls.short_code] = urls
        key = "OriginatorConversationID" if handling.correct_key else "OriginatorCoversationID"
        said = "success" if handling.small_success else "Success"
        return web.json_response(
            {key: self._identifiers.request_id(), "ResponseCode": "0", "ResponseDescription": said}
        )

    def _read(self, fields: Mapping[str, object], version: C2bVersion) -> RegisteredUrls:
        response_type = str(fields.get("ResponseType", ""))
        if response_type not in set(ResponseType):
            raise DarajaRefusalError(bad_c2b_request("ResponseType"))
        return RegisteredUrls(
            short_code=str(fields.get("ShortCode", "")),
            version=version,
            response_type=ResponseType(response_type),
            confirmation_url=self._url(fields, "ConfirmationURL"),
            validation_url=self._url(fields, "ValidationURL"),
        )

    def _url(self, fields: Mapping[str, object], name: str) -> str:
        url = fields.get(name)
        if not isinstance(url, str) or not is_plausible(url, self._url_rules):
            raise DarajaRefusalError(bad_c2b_request(name))
        return url
