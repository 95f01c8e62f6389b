"""Trying an app's key and secret: by a token asked for now, which nothing else is hurt by."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from pydantic import SecretStr

from easyisp_edge.adapters.daraja.app import DarajaApp
from easyisp_edge.adapters.daraja.client import DarajaClient
from easyisp_edge.domain.payments import Reason
from easyisp_edge.errors import RefusedError, UnavailableError
from tests.fakes.daraja_wire import PAYBILL, DarajaWire, LeapingClock, payload


def answering(answer: httpx.Response | Exception) -> DarajaClient:
    """A gateway whose every request is answered so."""

    def play(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    app = DarajaApp(
        consumer_key=SecretStr("key"),
        consumer_secret=SecretStr("hush-hush"),
        base_url="https://daraja.test",
        http=httpx.AsyncClient(transport=httpx.MockTransport(play)),
        clock=LeapingClock(),
    )
    return DarajaClient(app, PAYBILL)


async def test_keys_are_tried_now() -> None:
    """A token held from before proves nothing: each check asks anew, and what is held after it is the new one."""
    wire = DarajaWire()
    assert await wire.app.token() == "token1"
    await wire.client.check_credentials()
    await wire.client.check_credentials()
    assert wire.tokens == 3
    assert await wire.app.token() == "token3"
    assert wire.requests == [], "nothing but a token was asked for"


async def test_a_check_beside_others_hurts_none() -> None:
    """Checks and pushes at the same time share what they ask for, and all of them succeed."""
    wire = DarajaWire()
    await asyncio.gather(wire.client.check_credentials(), wire.app.token(), wire.client.check_credentials())
    assert await wire.app.token() == f"token{wire.tokens}"


async def test_keys_that_are_not_taken_are_refused() -> None:
    """Wrong keys are refused as what they are, a matter of configuration, without telling them."""
    client = answering(payload("token_error_invalid_authentication_400.json", 400))
    with pytest.raises(RefusedError) as refused:
        await client.check_credentials()
    assert refused.value.code == Reason.CONFIGURATION
    assert "hush" not in refused.value.message


@pytest.mark.parametrize("answer", [httpx.ConnectError("no route"), httpx.ReadTimeout(""), httpx.Response(503)])
async def test_no_answer_says_nothing_of_the_keys(answer: httpx.Response | Exception) -> None:
    """Where M-Pesa does not answer, that is what is said."""
    with pytest.raises(UnavailableError):
        await answering(answer).check_credentials()
