"""What each configuration file may say, as frozen models; the descriptions are what problems quote."""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from easyisp_edge.config.field_types import (
    Address,
    CallbackBase,
    CertificateFile,
    Colour,
    ContactPhone,
    Data,
    Duration,
    Email,
    Hours,
    Identifier,
    Label,
    ListenPort,
    LoginDatabase,
    Note,
    Picture,
    Price,
    ProvisionalSpan,
    SecureUrl,
    ServiceBase,
    SocketPath,
    Speed,
    StorePath,
    WebOrigin,
    Weekday,
    parse_duration,
)
from easyisp_edge.config.secret_files import is_given
from easyisp_edge.domain.packages import Package, Service
from easyisp_edge.domain.schedules import WEEKDAYS, Schedule
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.errors import InvalidError

# Broken conditions carry this type, so that the reader, which checks them first, can tell them apart.
CONDITION = "condition"


class ConfigModel(BaseModel):
    """What all models share: nothing unknown, nothing converted on the quiet, nothing changed later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    # Where its secrets are, and the keys that only the reader fills in: unknown in a file.
    SECRETS: ClassVar[tuple[tuple[str, ...], ...]] = ()
    READER_KEYS: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def secrets_of(cls, table: Mapping[str, object]) -> tuple[tuple[str, ...], ...]:  # noqa: ARG003 - for children
        """Which secrets a table has to give: the path of each."""
        return cls.SECRETS

    @classmethod
    def conditions(cls, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:  # noqa: ARG003 - for children
        """What the keys owe each other: the key at fault and what is wrong, for each that is broken.

        Takes the table as it was read, so that these come up together with values that are wrong by themselves.
        """
        yield from ()

    @model_validator(mode="after")
    def _keep_conditions(self) -> Self:
        for key, message in self.conditions(vars(self)):
            raise PydanticCustomError(CONDITION, "{message}", {"key": key, "message": message})
        return self


class PortalListener(ConfigModel):
    """The door for customers."""

    address: Address = Field(default="0.0.0.0", description="an IP address of this machine")  # noqa: S104 - customers
    port: ListenPort = Field(default=80, description="a TCP port")


class AdminListener(ConfigModel):
    """The door for the owner: this machine or a management network only."""

    address: Address = Field(default="127.0.0.1", description="an IP address no customer reaches")
    port: ListenPort = Field(default=8081, description="a TCP port")
    allowed_origins: Annotated[tuple[WebOrigin, ...], Field(strict=False)] = Field(
        default=(), description='where a front end of your own is served from, such as ["https://admin.example.com"]'
    )


class Callbacks(ConfigModel):
    """The door for M-Pesa, open only where the owner exposes it, and the address M-Pesa is told."""

    enabled: bool = Field(default=False, description="whether to listen")
    address: Address = Field(default="127.0.0.1", description="an IP address of this machine")
    port: ListenPort = Field(default=8082, description="a TCP port")
    public_url: CallbackBase | None = Field(default=None, description='such as "https://pay.example.com"')
    webhook_key: SecretStr | None = Field(default=None, description="the key of who tells of payments by the webhook")


class RadiusListener(ConfigModel):
    """The door for routers, open only when one of them uses RADIUS."""

    address: Address = Field(default="0.0.0.0", description="an IP address of this machine")  # noqa: S104 - known routers
    auth_port: ListenPort = Field(default=1812, description="a UDP port")
    acct_port: ListenPort = Field(default=1813, description="a UDP port")


class Store(ConfigModel):
    """Where everything is kept."""

    path: StorePath = Field(default=Path("/var/lib/easyisp-edge/edge.sqlite"), description="the path of a file")
    key_path: StorePath | None = Field(default=None, description="the path of a file, which is made there")

    @property
    def secrets_key_path(self) -> Path:
        """Where the key is that opens the secrets in the store: beside it, where nothing else is said."""
        return self.key_path or self.path.with_name("secrets.key")


class Limits(ConfigModel):
    """How much a phone, a device and the whole site may ask for; kindness to payers and to M-Pesa."""

    # M-Pesa itself takes no second push to a phone within a minute.
    pushes_per_phone_hour: Annotated[int, Field(ge=1, le=60)] = Field(
        default=3, description="prompts to one phone in an hour"
    )
    pushes_per_device_hour: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=6, description="prompts asked for by one device in an hour"
    )
    pushes_per_site_minute: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=20, description="prompts of the whole site in a minute"
    )
    cancels_per_phone_day: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="cancelled prompts in a day after which the phone rests"
    )
    rest_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(default=30, description="how long it then rests")
    claims_per_device_hour: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=6, description="receipts pasted on one device in an hour"
    )
    claims_per_site_hour: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=120, description="receipts pasted at the whole site in an hour"
    )


class Control(ConfigModel):
    """The door for the box's own commands: a Unix socket."""

    path: SocketPath = Field(
        default=Path("/run/easyisp-edge/control.sock"), description="the path of a socket, which is made there"
    )


class Mpesa(ConfigModel):
    """Where gateways ask that name no address of their own."""

    base_url: ServiceBase | None = Field(default=None, description="another address that answers as M-Pesa does")
    ca_file: CertificateFile | None = Field(default=None, description="who vouches for base_url")


class Freeradius(ConfigModel):
    """FreeRADIUS, which answers routers in this box's place."""

    database: LoginDatabase = Field(description="the database that it answers from: sqlite:///... or postgresql://...")


class Central(ConfigModel):
    """The hub of a fleet, where this box is enrolled at one."""

    callbacks: bool = Field(default=False, description="whether M-Pesa's callbacks come by the hub")
    ca_file: CertificateFile | None = Field(default=None, description="who vouches for the hub")
    free_space: Data = Field(
        default=DataVolume.parse("100MB"), description='how much of the disk is to stay free, such as "100MB"'
    )


class Edge(ConfigModel):
    """`edge.toml`: the box itself."""

    development: bool = Field(default=False, description="true only away from customers")
    portal: PortalListener = PortalListener()
    admin: AdminListener = AdminListener()
    callbacks: Callbacks = Callbacks()
    radius: RadiusListener = RadiusListener()
    freeradius: Freeradius | None = None
    mpesa: Mpesa = Mpesa()
    store: Store = Store()
    limits: Limits = Limits()
    control: Control = Control()
    central: Central = Central()

    @classmethod
    def secrets_of(cls, table: Mapping[str, object]) -> tuple[tuple[str, ...], ...]:
        """The webhook's key; an address of a database where it stands in a file of its own, or should."""
        freeradius, callbacks = table.get("freeradius"), table.get("callbacks")
        found: tuple[tuple[str, ...], ...] = ()
        if isinstance(callbacks, Mapping) and is_given(callbacks, "webhook_key"):
            found += (("callbacks", "webhook_key"),)
        if isinstance(freeradius, Mapping) and (
            "database_file" in freeradius or _has_password(freeradius.get("database"))
        ):
            found += (("freeradius", "database"),)
        return found


def _has_password(address: object) -> bool:
    return isinstance(address, str) and ":" in address.partition("://")[2].rpartition("@")[0]


class Portal(ConfigModel):
    """`portal.toml`: what the customer's page says beside the packages."""

    title: Label | None = Field(default=None, description="the page's heading; the tenant's name where left out")
    support_phone: ContactPhone | None = Field(default=None, description="whom customers call")
    default_language: Literal["en", "sw"] = Field(default="en", description="the language before the customer chooses")
    logo_file: Picture | None = Field(default=None, description="a picture beside this file")
    primary_colour: Colour = Field(default="#0a7d3c", description='a colour such as "#0a7d3c"')
    note: Note | None = Field(default=None, description="a few lines under the packages")
    venue_info_url: SecureUrl | None = Field(
        default=None, description='what phones show of the place: "https://example.com/menu"'
    )


class ShortPayment(enum.StrEnum):
    """What becomes of a payment that is less than the price."""

    WALLET = "wallet"  # the customer's wallet keeps it
    BEST_PACKAGE = "best_package"  # the dearest package it affords


class Tenant(ConfigModel):
    """`[[tenant]]`: a business that sells at this site."""

    id: Identifier = Field(description="an id, kept for ever")
    name: Label = Field(description="the name of the business in short")
    business_name: Label | None = Field(default=None, description="the registered name")
    phone: ContactPhone | None = Field(default=None, description="whom customers call")
    email: Email | None = Field(default=None, description="whom customers write to")
    logo: Picture | None = Field(default=None, description="a picture beside this file")
    primary_colour: Colour | None = Field(default=None, description="its colour, where not that of portal.toml")
    short_payment: Annotated[ShortPayment, Field(strict=False)] = Field(
        default=ShortPayment.WALLET, description="wallet or best_package"
    )
    provisional_access: ProvisionalSpan = Field(
        default=None, description='how long a pasted receipt lets on while M-Pesa cannot be asked: "0m" to "60m"'
    )
    trial: Identifier | None = Field(
        default=None, description="the id of a package that is not on sale, free for each device once a day"
    )


class PackageTable(ConfigModel):
    """`[[package]]`: what is sold."""

    id: Identifier = Field(description="an id, kept for ever")
    tenant: Identifier = Field(description="the id of one of the tenants")
    name: Label = Field(description="as the customer reads it")
    price: Price = Field(description="whole shillings, such as 50")
    duration: Duration = Field(description='such as "30m", "24h" or "7d"')
    online: Duration | None = Field(default=None, description='time online in all, such as "3h"')
    hours: Hours | None = Field(default=None, description='such as "22:00-06:00"')
    days: Annotated[tuple[Weekday, ...], Field(strict=False)] = Field(
        default=(), description='days on which the hours begin, such as ["fri", "sat"]'
    )
    speed: Speed = Field(
        description='such as "5M", or "2M/5M" for up/down; with a burst such as "2M/5M 4M/10M 1500k/4M 10/10"'
    )
    data: Data | None = Field(default=None, description='such as "500MB"')
    devices: Annotated[int, Field(ge=1, le=100)] = Field(default=1, description="how many devices at once")
    service: Annotated[Service, Field(strict=False)] = Field(default=Service.HOTSPOT, description="hotspot or pppoe")
    active: bool = Field(default=True, description="whether it is offered now")
    routers: Annotated[tuple[Identifier, ...], Field(strict=False)] = Field(default=(), description="ids of routers")
    language: Literal["en", "sw"] | None = Field(
        default=None, description="the language routers refuse a login in, where not the customer's own"
    )

    @classmethod
    def conditions(cls, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Time online has to fit into the time it is valid; days, where there are any, have to be named."""
        online, duration = _span(table.get("online")), _span(table.get("duration"))
        if online is not None and duration is not None and online > duration:
            yield "online", "is longer than duration, which says how long the package is valid"
        if table.get("days") == []:
            yield "days", "names no day; leave it out for every day"

    def package(self) -> Package:
        """The package this table describes."""
        return Package(
            tenant_id=self.tenant,
            package_id=self.id,
            name=self.name,
            service=self.service,
            price=self.price,
            duration=self.duration,
            rate_limit=self.speed,
            data_limit=self.data,
            devices_max=self.devices,
            active=self.active,
            router_ids=self.routers,
            online_time=self.online,
            schedule=self._schedule(),
            language=self.language,
        )

    def _schedule(self) -> Schedule | None:
        days = tuple(at for at, day in enumerate(WEEKDAYS) if day in self.days)
        if self.hours is None and len(days) in {0, len(WEEKDAYS)}:
            return None
        hours = self.hours or Schedule(0, 0)  # from midnight to midnight
        return replace(hours, days=days) if days else hours


def _span(value: object) -> timedelta | None:
    """A duration, read already or not; None for what is none, which is said elsewhere."""
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except InvalidError:
            return None
    return value if isinstance(value, timedelta) else None
