"""`gateways.toml`: the M-Pesa accounts that take the money."""

import enum
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from easyisp_edge.config.field_types import (
    BankAccount,
    CertificateFile,
    Identifier,
    Label,
    ServiceBase,
    Shortcode,
)
from easyisp_edge.config.models import ConfigModel


class GatewayType(enum.StrEnum):
    """How a gateway is spoken to. Part of the HTTP contract."""

    MPESA_API = "MPESA_API"


class SubType(enum.StrEnum):
    """Where a gateway's money lands. Part of the HTTP contract."""

    PAYBILL = "PAYBILL"
    BUYGOODS = "BUYGOODS"
    BANK = "BANK"


class Environment(enum.StrEnum):
    """Which of Safaricom's two worlds; keys of one are worth nothing in the other."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"


# Keys that one sub-type needs and the others have no use for, with what they are.
_OWN_KEYS = {
    "store_number": (SubType.BUYGOODS, "the store or head office number that went live with the API"),
    "business_shortcode": (SubType.BANK, "your own short code that went live with the API"),
    "account_number": (SubType.BANK, "the bank account that receives the money"),
}


class Gateway(ConfigModel):
    """`[[gateway]]`: one account at M-Pesa.

    Which number goes where: money always goes to `shortcode` (the PayBill, the till, or the bank's PayBill),
    and the passkey always belongs to `signing_shortcode`.
    """

    SECRETS: ClassVar = (("consumer_key",), ("consumer_secret",), ("passkey",))

    id: Identifier = Field(description="an id, kept for ever")
    tenant: Identifier = Field(description="the id of one of the tenants")
    name: Label | None = Field(default=None, description="such as Main PayBill")
    type: Annotated[GatewayType, Field(strict=False)] = Field(default=GatewayType.MPESA_API, description="MPESA_API")
    sub_type: Annotated[SubType, Field(strict=False)] = Field(description="PAYBILL, BUYGOODS or BANK")
    shortcode: Shortcode = Field(description="the PayBill, till or bank's PayBill that is paid, 5 to 7 digits")
    store_number: Shortcode | None = Field(default=None, description="the number that signs for the till")
    business_shortcode: Shortcode | None = Field(default=None, description="the short code that signs for the bank")
    account_number: BankAccount | None = Field(default=None, description="the bank account")
    consumer_key: SecretStr = Field(description="the app's consumer key")
    consumer_secret: SecretStr = Field(description="the app's consumer secret")
    passkey: SecretStr = Field(description="the short code's passkey")
    environment: Annotated[Environment, Field(strict=False)] = Field(
        default=Environment.PRODUCTION, description="sandbox or production"
    )
    base_url: ServiceBase | None = Field(default=None, description="another address that answers as M-Pesa does")
    ca_file: CertificateFile | None = Field(default=None, description="who vouches for base_url")
    default: bool = Field(default=False, description="whether it serves what no other gateway does")
    for_hotspot: bool = Field(default=True, description="whether it takes hotspot payments")
    for_pppoe: bool = Field(default=False, description="whether it takes PPPoE payments")
    queries_per_minute: Annotated[int, Field(ge=1, le=600)] = Field(default=5, description="the pace of STK queries")

    @classmethod
    def conditions(cls, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Each sub-type's own numbers: all of them, and none of another's."""
        sub_type = table.get("sub_type")
        if sub_type not in tuple(SubType):
            return
        for key, (owner, meaning) in _OWN_KEYS.items():
            given = table.get(key) is not None
            if sub_type == owner and not given:
                yield key, f"missing; {owner} needs {meaning}"
            elif sub_type != owner and given:
                yield key, f"belongs to sub_type {owner}, and this gateway is {sub_type}"

    @property
    def signing_shortcode(self) -> str:
        """The short code that signs pushes and queries: owner of the passkey."""
        return self.store_number or self.business_shortcode or self.shortcode

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.id
