"""What M-Pesa would answer to the first payment, said while the configuration is read.

Holds only what is wrong for certain, and only of Safaricom's own gateways: behind another address (`base_url`)
other merchants may live.

Source: Daraja, M-Pesa Express, error and result codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from easyisp_edge.config.gateway_types import Environment, GatewayType, SubType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SANDBOX_SHORTCODE = "174379"
# Public: the Daraja portal shows it to everybody.
SANDBOX_PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
BANKS = {"247247": "Equity Bank", "522522": "KCB", "400222": "Co-operative Bank"}
_AS_BANK = "take sub_type BANK, and give the account_number that receives the money"
_SELF_SIGNED = (
    "the same as shortcode; leave it out if the till itself went live with the API, else give the store or head "
    'office number that did: to a till that signs without it M-Pesa answers SFC_IC0003, "The operator does not exist"'
)


def late_answers(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The key at fault, and what M-Pesa would say, for each pair in a gateway's table that is surely wrong."""
    if table.get("base_url") is not None:
        return
    yield from _of_receiver(table)
    if not _has_api(table):
        return
    if table.get("sub_type") == SubType.BUYGOODS and table.get("store_number") == table.get("shortcode"):
        yield "store_number", _SELF_SIGNED
    if not table.get("aggregated"):  # an aggregator's number and passkey are judged once, where they stand
        key = _signing_key(table)
        yield from _of_signer(key, table.get(key))
        yield from sandbox_in_production(key, table)


def sandbox_in_production(key: str, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The same for the sandbox's number (under `key`) and passkey, where the environment is production."""
    if table.get("environment", Environment.PRODUCTION) != Environment.PRODUCTION:
        return
    if table.get(key) == SANDBOX_SHORTCODE:
        message = (
            f"{SANDBOX_SHORTCODE} is the sandbox's number, to which production answers "
            '"Merchant does not exist" (500.001.1001); give your own, or take the environment sandbox'
        )
        yield key, message
    passkey = table.get("passkey")
    if isinstance(passkey, SecretStr) and passkey.get_secret_value().strip() == SANDBOX_PASSKEY:
        message = (
            'that is the sandbox\'s passkey, to which production answers "Wrong credentials" (500.001.1001); '
            "give the one of your short code, or take the environment sandbox"
        )
        yield "passkey", message


def _has_api(table: Mapping[str, object]) -> bool:
    return table.get("type", GatewayType.MPESA_API) == GatewayType.MPESA_API


def _signing_key(table: Mapping[str, object]) -> str:
    if table.get("sub_type") == SubType.BUYGOODS and table.get("store_number") is not None:
        return "store_number"
    return "business_shortcode" if table.get("sub_type") == SubType.BANK else "shortcode"


def _of_signer(key: str, number: object) -> Iterator[tuple[str, str]]:
    if key != "shortcode" and (bank := _bank(number)):
        message = (
            f"{number} is the PayBill of {bank}, whose passkey only the bank has: M-Pesa answers "
            '"Wrong credentials" (500.001.1001); give the number of your own that went live with the API'
        )
        yield key, message


def _of_receiver(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """A bank's PayBill is paid for an account there, or not at all."""
    number, sub_type = table.get("shortcode"), table.get("sub_type")
    bank = _bank(number)
    if bank is None:
        return
    if sub_type == SubType.BUYGOODS:
        yield "shortcode", f"{number} is the PayBill of {bank} and no till: M-Pesa answers SFC_IC0003; {_AS_BANK}"
    elif sub_type == SubType.PAYBILL and table.get("account_number") is None:
        yield "shortcode", f"{number} is the PayBill of {bank}: {_why_no_paybill(table)}; {_AS_BANK}"


def _why_no_paybill(table: Mapping[str, object]) -> str:
    if not _has_api(table):
        return "without your account there the money cannot find you"
    if table.get("aggregated"):
        return "M-Pesa answers 2028, or the money goes to no account of yours"
    return 'its passkey is not yours, and M-Pesa answers "Wrong credentials" (500.001.1001)'


def _bank(number: object) -> str | None:
    return BANKS.get(number) if isinstance(number, str) else None
