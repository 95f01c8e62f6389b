"""Devices, phone numbers and receipts as the back office's models hold them: read in any usual spelling."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from easyisp_edge.domain.receipts import parse_receipt
from easyisp_edge.domain.values import MacAddress, Msisdn
from easyisp_edge.errors import InvalidError

_LENGTH_MAX = 64


def _read_by(parse: Callable[[str], Any]) -> BeforeValidator:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if len(value) > _LENGTH_MAX:
            raise PydanticCustomError("too_long", "must have at most {most} characters", {"most": _LENGTH_MAX})
        try:
            return parse(value)
        except InvalidError as error:
            raise PydanticCustomError("unreadable", "{message}", {"message": error.message}) from None

    return BeforeValidator(read)


def _mac(mac: MacAddress) -> str:
    return mac.text


def _digits(phone: Msisdn) -> str:
    return phone.digits


Device = Annotated[
    MacAddress,
    _read_by(MacAddress.parse),
    PlainSerializer(_mac, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": _LENGTH_MAX, "examples": ["AA:BB:CC:00:11:22"]}),
]
"""A device's hardware address; upper case with colons going out."""

Phone = Annotated[
    Msisdn,
    _read_by(Msisdn.parse),
    PlainSerializer(_digits, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": _LENGTH_MAX, "examples": ["0712345678", "254712345678"]}),
]
"""A mobile number; twelve digits going out."""

Receipt = Annotated[
    str,
    _read_by(parse_receipt),
    WithJsonSchema({"type": "string", "maxLength": _LENGTH_MAX, "examples": ["SFF6XYZ123"]}),
]
"""An M-Pesa receipt, in capitals."""
