"""Ways to gateways: where they lead when a gateway names no address, and that those not wanted are forgotten."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from easyisp_edge.config import Gateway, Mpesa
from easyisp_edge.daemon.gateways import Gateways
from tests.fakes.daraja_wire import LeapingClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STAND_IN = "https://stand-in.example.com"


class Opened:
    """Gateways, and where they asked.

    Args:
        stack: Closes what they opened.
    """

    def __init__(self, stack: contextlib.AsyncExitStack) -> None:
        self.hosts: list[str] = []
        transport = httpx.MockTransport(self._answer)
        self.here = Gateways(lambda _trusted: httpx.AsyncClient(transport=transport), LeapingClock(), stack)
        elsewhere = Mpesa.model_validate({"base_url": STAND_IN})
        self.there = Gateways(lambda _trusted: httpx.AsyncClient(transport=transport), LeapingClock(), stack, elsewhere)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.hosts.append(request.url.host)
        return httpx.Response(200, json={"access_token": "token", "expires_in": "3599"})


@pytest.fixture(name="opened")
async def _opened() -> AsyncIterator[Opened]:
    async with contextlib.AsyncExitStack() as stack:
        yield Opened(stack)


def gateway(**changes: Any) -> Gateway:
    keys = dict.fromkeys(("consumer_key", "consumer_secret", "passkey"), "secret")
    return Gateway.model_validate(
        {"id": "g", "tenant": "t", "sub_type": "PAYBILL", "shortcode": "600986", **keys, **changes}
    )


async def test_a_gateway_asks_where_it_says_or_the_box_says_or_at_m_pesa(opened: Opened) -> None:
    """Its own address counts before the box's, and that before M-Pesa's of its environment."""
    named = gateway(base_url="https://own.example.com")
    for gateways, asked in (
        (opened.here, gateway()),
        (opened.here, gateway(environment="sandbox")),
        (opened.there, gateway()),
        (opened.there, named),
    ):
        await gateways.open(asked).check_credentials()
    assert opened.hosts == [
        "api.safaricom.co.ke",
        "sandbox.safaricom.co.ke",
        "stand-in.example.com",
        "own.example.com",
    ]


async def test_a_gateway_that_is_gone_is_forgotten_with_its_keys(opened: Opened) -> None:
    """What is configured stays open, with its token; the rest, keys and all, is forgotten."""
    stays, goes = gateway(), gateway(id="h", consumer_key="another")
    kept, twin = opened.here.open(stays), opened.here.open(gateway(id="i"))
    opened.here.open(goes)
    opened.here.keep([gateway(), gateway(id="i")])
    assert opened.here.open(stays) is kept
    assert opened.here.open(gateway(id="i")) is twin
    assert "another" not in {key[1] for key in opened.here._apps}
    assert goes not in opened.here._gateways
