from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.payments import Reason
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import InvalidError, RefusedError, UnavailableError
from tests.fakes.daraja_wire import BANK, PAYBILL, TILL, DarajaWire, payload
from tests.fakes.gateway import PNG

ORDER: dict[str, Any] = {
    "merchant_name": "Mama Njeri Wi-Fi",
    "reference": "WIFI1DAY",
    "amount": Money.shillings(50),
    "pixels": 300,
}


@pytest.mark.parametrize("name", ["qr_generated.json", "qr_generated_code_00.json"])
async def test_the_picture_in_the_answer_is_had(name: str) -> None:
    """Whatever the code beside it, and with a data address before it too."""
    assert await DarajaWire(payload(name)).client.dynamic_qr(**ORDER) == PNG


@pytest.mark.parametrize(
    ("account", "fields"),
    [
        (PAYBILL, {"RefNo": "WIFI1DAY", "TrxCode": "PB", "CPI": "600000"}),
        (TILL, {"RefNo": "WIFI1DAY", "TrxCode": "BG", "CPI": "5123456"}),
        (BANK, {"RefNo": "0322417860001", "TrxCode": "PB", "CPI": "247247"}),
    ],
)
async def test_a_code_pays_whoever_receives(account: Any, fields: dict[str, str]) -> None:
    """PayBill or till, and for a bank its account number; the size goes as text, the amount as a number."""
    wire = DarajaWire(payload("qr_generated.json"), account=account)
    await wire.client.dynamic_qr(**ORDER)
    assert wire.requests[0].url.path == "/mpesa/qrcode/v1/generate"
    assert wire.body() == fields | {"MerchantName": "Mama Njeri Wi-Fi", "Amount": 50, "Size": "300"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"merchant_name": " "}, "merchant_name"),
        ({"merchant_name": "x" * 51}, "merchant_name"),
        ({"reference": ""}, "reference"),
        ({"reference": "A\nB"}, "reference"),
        ({"amount": Money(0)}, "amount"),
        ({"amount": Money(5050)}, None),
        ({"pixels": 0}, "pixels"),
        ({"pixels": 10_000}, "pixels"),
    ],
)
async def test_an_order_against_the_limits_is_not_sent(change: dict[str, Any], field: str | None) -> None:
    """They are checked here: not even a token is asked for."""
    wire = DarajaWire(payload("qr_generated.json"))
    with pytest.raises(InvalidError) as caught:
        await wire.client.dynamic_qr(**ORDER | change)
    assert caught.value.field == field
    assert (wire.tokens, wire.requests) == (0, [])


@pytest.mark.parametrize(
    "answer",
    [
        payload("qr_without_code.json"),
        payload("qr_no_png.json"),
        payload("qr_no_base64.json"),
        payload("qr_generated.json", 500),
        payload("firewall.html"),
        payload("fault_spike_arrest_429.json", 429),
        httpx.ReadTimeout(""),
        httpx.ConnectError(""),
    ],
)
async def test_an_answer_without_a_picture_may_be_asked_for_again(answer: httpx.Response | Exception) -> None:
    """A code does nothing until it is scanned."""
    with pytest.raises(UnavailableError):
        await DarajaWire(answer).client.dynamic_qr(**ORDER)


async def test_a_missing_product_is_a_refusal() -> None:
    """Dynamic QR is enabled by itself, and named."""
    with pytest.raises(RefusedError, match="lacks the product Dynamic QR") as caught:
        await DarajaWire(payload("fault_no_apiproduct_401.json", 401)).client.dynamic_qr(**ORDER)
    assert caught.value.code == Reason.CONFIGURATION


async def test_a_picture_may_be_larger_than_other_answers() -> None:
    """A hundred kilobytes are read whole."""
    large = PNG + b"\0" * 100_000
    answer = httpx.Response(200, json={"ResponseCode": "00", "QRCode": base64.b64encode(large).decode()})
    assert await DarajaWire(answer).client.dynamic_qr(**ORDER) == large


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("iVBORw0KGgo=\ud800é ", max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional={"QRCode": JSON_VALUES, "errorCode": JSON_VALUES}) | JSON_VALUES)
async def test_no_answer_breaks_an_order(answer: object) -> None:
    """A picture, or one of the errors promised."""
    try:
        png = await DarajaWire(httpx.Response(200, content=json.dumps(answer))).client.dynamic_qr(**ORDER)
    except (UnavailableError, RefusedError):
        return
    assert png.startswith(b"\x89PNG")
