"""Which number of a configured gateway goes where in a request to M-Pesa."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import httpx
import pytest

from easyisp_edge.adapters.daraja.credentials import DarajaAccount
from easyisp_edge.config import Gateway
from easyisp_edge.daemon.gateways import Gateways, daraja_account
from tests.fakes.daraja_wire import LeapingClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

KEYS = dict.fromkeys(("consumer_key", "consumer_secret", "passkey"), "secret")
THEIRS = {**KEYS, "business_shortcode": "600999", "aggregated": True}
PAYBILL = {"sub_type": "PAYBILL", "shortcode": "600986"}
TILL = {"sub_type": "BUYGOODS", "shortcode": "512345"}
BANK = {"sub_type": "BANK", "shortcode": "247247", "account_number": "0123456789"}


def gateway(*settings: Mapping[str, object]) -> Gateway:
    table: dict[str, object] = {"id": "g", "tenant": "default"}
    for more in settings:
        table |= more
    return Gateway.model_validate(table)


@pytest.mark.parametrize(
    ("made", "signer", "receiver", "kind", "account"),
    [
        (gateway(PAYBILL, KEYS), "600986", "600986", "CustomerPayBillOnline", None),
        (gateway(PAYBILL, THEIRS), "600999", "600986", "CustomerPayBillOnline", None),
        (gateway(TILL, KEYS), "512345", "512345", "CustomerBuyGoodsOnline", None),
        (gateway(TILL, KEYS, {"store_number": "600987"}), "600987", "512345", "CustomerBuyGoodsOnline", None),
        (gateway(TILL, THEIRS), "600999", "512345", "CustomerBuyGoodsOnline", None),
        (
            gateway(BANK, KEYS, {"business_shortcode": "600986"}),
            "600986",
            "247247",
            "CustomerPayBillOnline",
            "0123456789",
        ),
        (gateway(BANK, THEIRS), "600999", "247247", "CustomerPayBillOnline", "0123456789"),
    ],
    ids=["PayBill", "PayBill, aggregated", "till", "till of a store", "till, aggregated", "bank", "bank, aggregated"],
)
def test_each_number_goes_where_it_belongs(
    made: Gateway, signer: str, receiver: str, kind: str, account: str | None
) -> None:
    """The signer is BusinessShortCode, the receiver PartyB; a fixed account only for a bank."""
    found = daraja_account(made)
    assert found == DarajaAccount(signer, receiver, found.transaction_type, made.passkey, account)
    assert found.transaction_type.value == kind


@pytest.fixture
async def gateways() -> AsyncIterator[Gateways]:
    """Gateways whose HTTP clients reach nobody."""
    async with contextlib.AsyncExitStack() as stack:
        nobody = httpx.MockTransport(lambda _request: httpx.Response(503))
        yield Gateways(lambda _trusted: httpx.AsyncClient(transport=nobody), LeapingClock(), stack)


async def test_a_gateway_without_api_is_not_opened(gateways: Gateways) -> None:
    """Callers ask first; who does not is told at once."""
    with pytest.raises(ValueError, match="gateway g has no API"):
        gateways.open(gateway(TILL, {"type": "MPESA_NO_API"}))


async def test_all_an_aggregator_signs_for_share_its_app(gateways: Gateways) -> None:
    """One token and one pace for the same keys, whoever is paid; each gateway is opened once."""
    till, paybill = gateway(TILL, THEIRS), gateway(PAYBILL, THEIRS)
    other = gateway(PAYBILL, KEYS, {"consumer_key": "another"})
    assert gateways.open(till).app is gateways.open(paybill).app
    assert gateways.open(till).app is not gateways.open(other).app
    assert gateways.open(till) is gateways.open(gateway(TILL, THEIRS))
    assert gateways.open(till).account.party_b == "512345"
