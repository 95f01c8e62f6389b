"""The least of an M-Pesa that takes pushes: it accepts all, and of each says that it is being processed.

Run as a process with a port. The lab's stand-in does far more, and would be measured with it.
"""

from __future__ import annotations

import itertools
import json
import sys

from aiohttp import web

from tests.bench.serving import serve_http

_numbers = itertools.count(1)


async def token(_request: web.Request) -> web.Response:
    """An access token."""
    return _answer({"access_token": "c9SQxWWhmdVRlyh0zh8gZDTkubVF", "expires_in": "3599"})


async def push(request: web.Request) -> web.Response:
    """The push is accepted."""
    await request.read()
    number = next(_numbers)
    return _answer(
        {
            "MerchantRequestID": f"29115-34620561-{number}",
            "CheckoutRequestID": f"ws_CO_2311202609000{number:08}",
            "ResponseCode": "0",
            "ResponseDescription": "Success. Request accepted for processing",
            "CustomerMessage": "Success. Request accepted for processing",
        }
    )


async def query(request: web.Request) -> web.Response:
    """Nothing is known of it yet."""
    await request.read()
    return _answer(
        {
            "requestId": "1c5b-4ba8-815c-ac45c57a3db01495926",
            "errorCode": "500.001.1001",
            "errorMessage": "The transaction is being processed",
        },
        status=500,
    )


def _answer(fields: dict[str, str], *, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(fields).encode(), status=status, content_type="application/json")


def main(port: int) -> None:
    """Serve until terminated."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/oauth/v1/generate", token),
            web.post("/mpesa/stkpush/v1/processrequest", push),
            web.post("/mpesa/stkpushquery/v1/query", query),
        ]
    )
    serve_http(app, port)


if __name__ == "__main__":
    main(int(sys.argv[1]))
