"""Dynamic QR: a code that the M-Pesa app scans to pay a price."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from easyisp_edge.adapters.daraja.answers import fields_of, senseless
from easyisp_edge.adapters.daraja.json_values import as_text, folded
from easyisp_edge.adapters.daraja.messages import TransactionType
from easyisp_edge.adapters.daraja.push_rules import check_amount
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.adapters.daraja.credentials import DarajaAccount
    from easyisp_edge.adapters.daraja.exchange import WireAnswer
    from easyisp_edge.domain.values import Money

QR_PATH = "/mpesa/qrcode/v1/generate"
QR_OCTETS_MAX = 1024 * 1024
PIXELS_MIN, PIXELS_MAX = 50, 1000

_PRODUCT = "Dynamic QR"
_MERCHANT_NAME_LENGTH_MAX = 50
_REFERENCE_LENGTH_MAX = 20
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRX_CODES: Mapping[TransactionType, str] = {TransactionType.PAY_BILL: "PB", TransactionType.BUY_GOODS: "BG"}


def qr_body(
    account: DarajaAccount, *, merchant_name: str, reference: str, amount: Money, pixels: int
) -> dict[str, str | int]:
    """A request for a code that pays `account`.

    Args:
        account: Who receives; where all its payments go to one account number, that takes the reference's place.
        merchant_name: Shown to the payer, 1 to 50 characters.
        reference: The account the payment carries, 1 to 20 characters.
        amount: Whole shillings, as for a push.
        pixels: Width and height, 50 to 1000.

    Raises:
        InvalidError: It breaks one of these; `field` names it.

    Source: Daraja, Dynamic QR, request parameters.
    """
    check_amount(amount)
    _check_text("merchant_name", merchant_name, _MERCHANT_NAME_LENGTH_MAX)
    _check_text("reference", reference, _REFERENCE_LENGTH_MAX)
    if not PIXELS_MIN <= pixels <= PIXELS_MAX:
        raise InvalidError("daraja.pixels", f"A code is {PIXELS_MIN} to {PIXELS_MAX} pixels wide.", field="pixels")
    return {
        "MerchantName": merchant_name,
        "RefNo": account.account_number or reference,
        "Amount": amount.whole_shillings,
        "TrxCode": _TRX_CODES[account.transaction_type],
        "CPI": account.party_b,
        "Size": str(pixels),
    }


def qr_png(answer: WireAnswer) -> bytes:
    """The picture in an answer; its code and words are not to be relied on, only the picture is.

    Raises:
        UnavailableError: There is none in it.
        RefusedError: Daraja said no; an operator must look.

    Source: Daraja, Dynamic QR, response parameters.
    """
    text = as_text(folded(fields_of(answer, _PRODUCT)).get("qrcode"))
    try:
        png = base64.b64decode(re.sub(r"^data:image/png;base64,|\s", "", text), validate=True)
    except ValueError as error:
        raise senseless(answer) from error
    if not png.startswith(_PNG_SIGNATURE):
        raise senseless(answer)
    return png


def _check_text(name: str, text: str, length_max: int) -> None:
    if not text.strip() or not text.isprintable() or len(text) > length_max:
        raise InvalidError(f"daraja.{name}", f"{name} is 1 to {length_max} printable characters.", field=name)
