"""What every API of the wire asks first: whose token, whose password, what body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.faults import (
    INVALID_AUTHENTICATION_HEADER,
    INVALID_PAYLOAD,
    MERCHANT_DOES_NOT_EXIST,
    WRONG_CREDENTIALS,
    DarajaRefusalError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from easyisp_edge.lab.daraja.faults import Fault
    from easyisp_edge.lab.daraja.merchants import Merchant
    from easyisp_edge.lab.daraja.push_request import Credentials
    from easyisp_edge.lab.daraja.tokens import Tokens


class Door:
    """Lets known apps in.

    Args:
        tokens: The tokens alive.
        merchants: Who may be paid.
        dead_token: What a dead token is answered with.
    """

    def __init__(self, tokens: Tokens, merchants: Sequence[Merchant], dead_token: Fault) -> None:
        self._tokens = tokens
        self._merchants = merchants
        self._dead_token = dead_token

    def app_of(self, request: web.Request, dead_token: Fault | None = None) -> str:
        """The consumer key whose live token the request carries.

        Args:
            request: The request.
            dead_token: What a dead token is answered by this API, where it is not as elsewhere.

        Raises:
            DarajaRefusalError: There is no bearer token, or it is dead.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise DarajaRefusalError(INVALID_AUTHENTICATION_HEADER)
        consumer_key = self._tokens.app_of(token.strip())
        if consumer_key is None:
            raise DarajaRefusalError(dead_token or self._dead_token)
        return consumer_key

    def owns(self, consumer_key: str, short_code: str) -> bool:
        """Whether the app may use that short code."""
        return any(
            (merchant.consumer_key, merchant.short_code) == (consumer_key, short_code) for merchant in self._merchants
        )

    def merchants_at(self, consumer_key: str, number: str) -> list[Merchant]:
        """The app's merchants with that short code or that till."""
        return [
            merchant
            for merchant in self._merchants
            if merchant.consumer_key == consumer_key and number in {merchant.short_code, merchant.own_number}
        ]

    def merchant_of(self, consumer_key: str, credentials: Credentials) -> Merchant:
        """The merchant, its password proven.

        Raises:
            DarajaRefusalError: The app has no such short code, or the password does not fit.
        """
        for merchant in self._merchants:
            if (merchant.consumer_key, merchant.short_code) == (consumer_key, credentials.short_code):
                if merchant.password(credentials.timestamp) != credentials.password:
                    raise DarajaRefusalError(WRONG_CREDENTIALS)
                return merchant
        raise DarajaRefusalError(MERCHANT_DOES_NOT_EXIST)


async def read_fields(request: web.Request) -> Mapping[str, object]:
    """The JSON object of the body; empty where the body is no JSON by its type, as Daraja reads it.

    Raises:
        DarajaRefusalError: It says it is JSON and is not, or is no object.
    """
    body = await request.read()
    if request.content_type != "application/json" or not body:
        return {}
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DarajaRefusalError(INVALID_PAYLOAD) from error
    if not isinstance(fields, dict):
        raise DarajaRefusalError(INVALID_PAYLOAD)
    return fields
