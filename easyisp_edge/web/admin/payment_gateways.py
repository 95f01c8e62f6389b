"""`/api/payment-gateways`: the M-Pesa accounts that take a tenant's money. Secrets go in, and never come out."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from easyisp_edge.config import ConfigError, Environment, GatewayType, SubType
from easyisp_edge.domain.permissions import Permission
from easyisp_edge.services.back_office.gateway_listing import ShownGateway
from easyisp_edge.services.back_office.gateways_desk import GatewaysDesk
from easyisp_edge.web.admin.models import ApiModel, Instant
from easyisp_edge.web.admin.operations import Answer, Call, operation
from easyisp_edge.web.admin.problems import Fault, InvalidInputError

MASK: Final = "••••"
_MASKED = re.compile(r"[•*●]*")
_PATH = "/api/payment-gateways"
_SECRETS = frozenset({"consumer_key", "consumer_secret", "passkey"})
# What is said of a gateway by other names than the wire's.
_KEYS = {"env": "environment"}

SecretText = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=4096, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")
]
# How long may be what is then looked at more closely.
Said = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
_SECRET = "Write-only; left out, null, empty or masked, what stands is kept."  # noqa: S105 - what is said of it


class GatewayChange(ApiModel):
    """What is to be another; what is left out stands."""

    type: GatewayType | None = None
    sub_type: SubType | None = None
    name: Said | None = Field(default=None, description="Such as Main PayBill.")
    shortcode: Said | None = Field(default=None, description="What is paid: PayBill, till, or the bank's PayBill.")
    store_number: Said | None = Field(
        default=None, description="The number that signs: of a till its store's, for a bank account your own."
    )
    account_number: Said | None = Field(default=None, description="The account at the bank.")
    consumer_key: SecretText | None = Field(default=None, description=_SECRET)
    consumer_secret: SecretText | None = Field(default=None, description=_SECRET)
    passkey: SecretText | None = Field(default=None, description=_SECRET)
    env: Environment | None = None
    for_hotspot: bool | None = None
    for_pppoe: bool | None = None

    def said(self) -> dict[str, Any]:
        """What it says, by the keys of a gateway; neither what is left out, nor masks in the place of secrets."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {_KEYS.get(name, name): value for name, value in given.items() if _says(name, value)}


def _says(name: str, value: object) -> bool:
    if name in _SECRETS:
        return isinstance(value, str) and _MASKED.fullmatch(value) is None
    # Of these null says "none"; the others have to be something.
    return value is not None or name in {"name", "store_number", "account_number"}


class NewGateway(GatewayChange):
    """A gateway to be made."""

    type: GatewayType | None = Field(default=GatewayType.MPESA_API)
    sub_type: SubType | None = Field(default=SubType.PAYBILL)
    shortcode: Said = Field(description="What is paid: PayBill, till, or the bank's PayBill.")
    env: Environment | None = Field(default=Environment.PRODUCTION)
    for_hotspot: bool | None = Field(default=False)
    for_pppoe: bool | None = Field(default=False)

    def said(self) -> dict[str, Any]:
        """What it says, with what a gateway is where nothing is said of it."""
        unsaid = {
            "type": GatewayType.MPESA_API,
            "sub_type": SubType.PAYBILL,
            "environment": Environment.PRODUCTION,
            "for_hotspot": False,
            "for_pppoe": False,
        }
        return unsaid | GatewayChange.said(self)


Masked = Annotated[
    Literal["••••"] | None, Field(description="A mask where there is one, and null where there is none.")
]


class PaymentGatewayModel(ApiModel):
    """An account at M-Pesa that takes a tenant's money."""

    id: str
    tenant_id: str
    type: GatewayType
    sub_type: SubType
    name: str | None
    shortcode: str
    store_number: str | None
    account_number: str | None
    consumer_key: Masked
    consumer_secret: Masked
    passkey: Masked
    env: Environment
    is_default: bool
    for_hotspot: bool
    for_pppoe: bool
    created_at: Instant = Field(description="Of one that is declared: when this run of the box began.")
    updated_at: Instant = Field(description="Of one that is declared: when this run of the box began.")
    has_credentials: bool = Field(description="Whether it has keys that can be used.")
    read_only: bool = Field(description="Whether it is declared, and so changed there only.")
    declared_in: str | None = Field(description="`gateways.toml`, `environment`, or null where people made it.")
    problem: str | None = Field(description="Why it is not used, and what to do; null where it is.")


class Succeeded(ApiModel):
    """It is done."""

    success: Literal[True] = True


class Tested(ApiModel):
    """What came of a test."""

    success: bool
    message: str = Field(description="What is wrong and what to do, for people.")


@dataclass(frozen=True)
class PaymentGatewaysArea:
    """Payment gateways.

    Args:
        desk: Knows and changes them.
    """

    desk: GatewaysDesk

    @operation("GET", _PATH, needs=Permission.SETTINGS_PAYMENT_GATEWAY, answers=list[PaymentGatewayModel])
    async def list_payment_gateways(self, call: Call) -> list[PaymentGatewayModel]:
        """List the payment gateways, newest first.

        With them those that a file or the old variables declare; they are read-only.
        """
        return [_model(shown) for shown in self.desk.listed(call.tenant_id)]

    @operation(
        "POST",
        _PATH,
        needs=Permission.SETTINGS_PAYMENT_GATEWAY,
        body=NewGateway,
        answers=PaymentGatewayModel,
        status=201,
        refusals=(409,),
    )
    async def make_payment_gateway(self, call: Call) -> PaymentGatewayModel:
        """Make a payment gateway.

        It is in force at once. A tenant's first is the default.
        """
        try:
            return _model(await self.desk.make(call.tenant_id, call.body(NewGateway).said(), call.by))
        except ConfigError as error:
            raise _refused(error) from None

    @operation(
        "PUT",
        _PATH + "/{id}",
        needs=Permission.SETTINGS_PAYMENT_GATEWAY,
        body=GatewayChange,
        answers=PaymentGatewayModel,
        refusals=(409,),
    )
    async def change_payment_gateway(self, call: Call) -> PaymentGatewayModel:
        """Change a payment gateway.

        It is in force at once. While somebody is paying through it, only its name, its keys and what it is for may
        change. One that is declared is refused, with where to change it.
        """
        try:
            said = call.body(GatewayChange).said()
            return _model(await self.desk.change(call.tenant_id, call.path("id"), said, call.by))
        except ConfigError as error:
            raise _refused(error) from None

    @operation("DELETE", _PATH + "/{id}", needs=Permission.SETTINGS_PAYMENT_GATEWAY, answers=Succeeded, refusals=(409,))
    async def remove_payment_gateway(self, call: Call) -> Succeeded:
        """Take a payment gateway away.

        What was paid through it stays. Refused while somebody is paying through it.
        """
        await self.desk.remove(call.tenant_id, call.path("id"), call.by)
        return Succeeded()

    @operation(
        "POST", _PATH + "/{id}/default", needs=Permission.SETTINGS_PAYMENT_GATEWAY, answers=Succeeded, refusals=(409,)
    )
    async def default_payment_gateway(self, call: Call) -> Succeeded:
        """Make a payment gateway the default, which serves what no other does."""
        await self.desk.make_default(call.tenant_id, call.path("id"), call.by)
        return Succeeded()

    @operation(
        "POST",
        _PATH + "/{id}/test",
        needs=Permission.SETTINGS_PAYMENT_GATEWAY,
        answers=Tested,
        answers_else={400: Tested},
    )
    async def test_payment_gateway(self, call: Call) -> Tested | Answer:
        """Ask M-Pesa whether it takes a payment gateway's keys."""
        wrong = await self.desk.test(call.tenant_id, call.path("id"))
        if wrong is not None:
            return Answer(Tested(success=False, message=wrong), 400)
        return Tested(success=True, message="M-Pesa takes the consumer key and secret.")


def _refused(error: ConfigError) -> InvalidInputError:
    return InvalidInputError([Fault(field=problem.key, message=problem.message) for problem in error.problems])


def _model(shown: ShownGateway) -> PaymentGatewayModel:
    mask: Literal["••••"] | None = MASK if shown.has_credentials else None
    return PaymentGatewayModel(
        id=shown.gateway_id,
        tenant_id=shown.tenant_id,
        type=GatewayType(shown.type),
        sub_type=SubType(shown.sub_type),
        name=shown.name,
        shortcode=shown.shortcode,
        store_number=shown.store_number,
        account_number=shown.account_number,
        consumer_key=mask,
        consumer_secret=mask,
        passkey=mask,
        env=Environment(shown.environment),
        is_default=shown.default,
        for_hotspot=shown.for_hotspot,
        for_pppoe=shown.for_pppoe,
        created_at=shown.created_at,
        updated_at=shown.updated_at,
        has_credentials=shown.has_credentials,
        read_only=shown.declared_in is not None,
        declared_in=shown.declared_in,
        problem=shown.problem,
    )
