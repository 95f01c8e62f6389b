"""`gateways.toml`: the M-Pesa accounts that take the money."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field, PlainValidator, SecretStr, ValidationInfo

from easyisp_edge.config.field_types import (
    BankAccount,
    CertificateFile,
    Identifier,
    KenyanMobile,
    Label,
    ServiceBase,
    Shortcode,
    SweepInterval,
    parse_paid_number,
    parse_shortcode,
    refuse,
    text,
)
from easyisp_edge.config.gateway_rules import gateway_conditions
from easyisp_edge.config.gateway_types import KEYS, Environment, GatewaySource, GatewayType, SubType
from easyisp_edge.config.models import ConfigModel
from easyisp_edge.config.secret_files import is_given
from easyisp_edge.errors import InvalidError

_NO_SECRET = SecretStr("")


def _paid_number(value: object, info: ValidationInfo) -> str:
    """A short code, or, of a gateway without API, a phone number as people dial it."""
    parse = parse_shortcode if info.data.get("type") is GatewayType.MPESA_API else parse_paid_number
    try:
        return parse(text(value))
    except InvalidError as error:
        raise refuse(error.message) from None


class Pull(ConfigModel):
    """`[gateway.pull]`: fetch the list of what was paid, time and again, so that no payment is missed.

    Source: Daraja, Pull Transactions.
    """

    nominated_number: KenyanMobile = Field(
        description="the Safaricom number that M-Pesa has on record for the short code"
    )
    every: SweepInterval = Field(default=timedelta(minutes=5), description='from "1m" to "6h"')


class Gateway(ConfigModel):
    """`[[gateway]]`: one account at M-Pesa.

    Which number goes where: money always goes to `shortcode` (the PayBill, the till, the bank's PayBill, or, without
    API, a phone number), and the passkey always belongs to `signing_shortcode`. A gateway that `has_api` has all
    keys, its own or an aggregator's; one that has not has none.
    """

    SECRETS: ClassVar = tuple((key,) for key in KEYS)
    READER_KEYS: ClassVar = frozenset({"aggregated", "source"})

    id: Identifier = Field(description="an id, kept for ever")
    tenant: Identifier = Field(description="the id of one of the tenants")
    name: Label | None = Field(default=None, description="such as Main PayBill")
    type: Annotated[GatewayType, Field(strict=False)] = Field(
        default=GatewayType.MPESA_API, description="MPESA_API or MPESA_NO_API"
    )
    sub_type: Annotated[SubType, Field(strict=False)] = Field(description="PAYBILL, BUYGOODS or BANK")
    shortcode: Annotated[str, PlainValidator(_paid_number)] = Field(
        description="the PayBill, till or bank's PayBill that is paid, 5 to 7 digits; without API also a phone number"
    )
    store_number: Shortcode | None = Field(default=None, description="the number that signs for the till")
    business_shortcode: Shortcode | None = Field(default=None, description="the short code that signs for the bank")
    account_number: BankAccount | None = Field(default=None, description="the bank account")
    consumer_key: SecretStr = Field(default=_NO_SECRET, description="the app's consumer key")
    consumer_secret: SecretStr = Field(default=_NO_SECRET, description="the app's consumer secret")
    passkey: SecretStr = Field(default=_NO_SECRET, description="the short code's passkey")
    environment: Annotated[Environment, Field(strict=False)] = Field(
        default=Environment.PRODUCTION, description="sandbox or production"
    )
    base_url: ServiceBase | None = Field(default=None, description="another address that answers as M-Pesa does")
    ca_file: CertificateFile | None = Field(default=None, description="who vouches for base_url")
    default: bool = Field(default=False, description="whether it serves what no other gateway does")
    for_hotspot: bool = Field(default=True, description="whether it takes hotspot payments")
    for_pppoe: bool = Field(default=False, description="whether it takes PPPoE payments")
    queries_per_minute: Annotated[int, Field(ge=1, le=600)] = Field(default=5, description="the pace of STK queries")
    c2b: bool = Field(default=False, description="whether M-Pesa is to confirm each payment to the callback address")
    pull: Pull | None = Field(default=None, description="a table with the key nominated_number")
    aggregated: bool = Field(default=False, description="whether an aggregator's keys sign")
    source: GatewaySource = Field(default=GatewaySource.FILE, description="where it comes from")

    @classmethod
    def conditions(cls, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """What each type and sub-type needs, and has no use for."""
        return gateway_conditions(table)

    @classmethod
    def secrets_of(cls, table: Mapping[str, object]) -> tuple[tuple[str, ...], ...]:
        """All keys with an API, none without; of a type that is none, those that are given."""
        kind = table.get("type", GatewayType.MPESA_API)
        if kind == GatewayType.MPESA_API:
            return cls.SECRETS
        return () if kind == GatewayType.MPESA_NO_API else tuple((key,) for key in KEYS if is_given(table, key))

    @property
    def has_api(self) -> bool:
        """Whether M-Pesa can be asked to prompt for, and tell of, payments to it."""
        return self.type is GatewayType.MPESA_API

    @property
    def is_phone(self) -> bool:
        """Whether the money goes to a phone number (`0712345678`) and not to a short code."""
        return len(self.shortcode) == len("0712345678")

    @property
    def signing_shortcode(self) -> str:
        """The short code that signs pushes and queries: owner of the passkey."""
        return self.store_number or self.business_shortcode or self.shortcode

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.id


def with_defaults(gateways: Iterable[Gateway]) -> tuple[Gateway, ...]:
    """The gateways, the first of each tenant made its default where none is."""
    gateways = tuple(gateways)
    has_default = {gateway.tenant for gateway in gateways if gateway.default}
    finished = []
    for gateway in gateways:
        first = gateway.tenant not in has_default
        has_default.add(gateway.tenant)
        finished.append(gateway.model_copy(update={"default": True}) if first else gateway)
    return tuple(finished)
