"""`GET /oauth/v1/generate`: access tokens.

Source: Daraja, Authorization API.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.lab.daraja.faults import (
    INVALID_AUTHENTICATION,
    INVALID_GRANT_TYPE,
    DarajaRefusalError,
    Fault,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easyisp_edge.lab.daraja.merchants import Merchant
    from easyisp_edge.lab.daraja.tokens import Tokens


class OAuth:
    """Mints tokens for apps that know their secret.

    Attributes:
        faults: Answers to the next token requests, one each, instead of a token.
    """

    def __init__(self, tokens: Tokens, merchants: Sequence[Merchant]) -> None:
        self._tokens = tokens
        self._apps = {(merchant.consumer_key, merchant.consumer_secret) for merchant in merchants}
        self.faults: deque[Fault] = deque()

    def routes(self) -> list[web.RouteDef]:
        """Its part of the wire."""
        return [web.get("/oauth/v1/generate", self.generate, allow_head=False)]

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """A token, or one of the documented refusals."""
        if self.faults:
            raise DarajaRefusalError(self.faults.popleft())
        app = _basic(request.headers.get("Authorization", ""))
        if app is None:
            raise DarajaRefusalError(INVALID_AUTHENTICATION)
        if request.query.getall("grant_type", []) != ["client_credentials"]:
            raise DarajaRefusalError(INVALID_GRANT_TYPE)
        if app not in self._apps:
            raise DarajaRefusalError(Fault.EMPTY_400)
        token, expires_in = self._tokens.mint(app[0])
        return web.json_response({"access_token": token, "expires_in": expires_in})


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (key, secret) if colon else None
