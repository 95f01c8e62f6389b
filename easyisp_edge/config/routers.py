"""`routers.toml`: the MikroTik routers whose customers are served."""

import enum
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from easyisp_edge.config.certificates import read_certificate
from easyisp_edge.config.field_types import (
    CertificateFile,
    Identifier,
    Label,
    Network,
    Port,
    RadiusSecret,
    RouterAddress,
    RouterWord,
    Surroundings,
    WebUrl,
    read_near,
)
from easyisp_edge.config.models import ConfigModel
from easyisp_edge.config.router_setup import RouterSetup
from easyisp_edge.errors import InvalidError

_API_PORT = 8728
_API_TLS_PORT = 8729
_FETCHING = "easyisp-edge router certificate ID --save"


class RouterMode(enum.StrEnum):
    """How devices get onto a router."""

    HOTSPOT_USER = "hotspot-user"  # users written by the API: they work on if this box dies
    RADIUS = "radius"  # the router asks this box


def _default_api_port(before: dict[str, object]) -> int:
    return _API_TLS_PORT if before.get("tls") else _API_PORT


def _pinned(value: str, here: Surroundings) -> Path:
    path = here.folder / value
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise InvalidError(
            "config.file", f'there is no file "{value:.80}" in {here.folder}; it is written by {_FETCHING}'
        )
    try:
        read_certificate(path)
    except InvalidError as error:
        raise InvalidError(error.code, f'"{value:.80}" {error.message}; it is written by {_FETCHING}') from None
    return path


class RouterApi(ConfigModel):
    """`api`: how to log in to the RouterOS API."""

    tls: bool = Field(default=True, description="whether to use api-ssl")
    port: Port = Field(default_factory=_default_api_port, description="a TCP port")
    username: RouterWord = Field(description="a RouterOS user with the policies read, write and api")
    password: SecretStr = Field(description="that user's password")
    certificate_file: Annotated[Path, read_near(_pinned)] | None = Field(
        default=None, description="the router's own certificate, which alone is trusted"
    )
    ca_file: CertificateFile | None = Field(default=None, description="who vouches for the router's certificate")
    timeout_seconds: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)] = Field(
        default=10.0, description="how long to wait for an answer"
    )

    @classmethod
    def conditions(cls, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """One certificate with TLS, none without."""
        given = [key for key in ("certificate_file", "ca_file") if table.get(key) is not None]
        if not table.get("tls", True):
            yield from ((key, "is of use only with tls = true") for key in given)
        elif not given:
            yield (
                "certificate_file",
                (
                    f"missing; {_FETCHING} writes the router's certificate, which proves that it is the router;"
                    " tls = false does without, on a wire that nobody else can reach"
                ),
            )
        elif len(given) > 1:
            yield "ca_file", "is of no use beside certificate_file; keep one"


class RouterRadius(ConfigModel):
    """`radius`: what this box, or FreeRADIUS, and the router share.

    Source: RFC 2865 section 3 (length of the secret), RFC 2869 section 5.16 (interim interval).
    """

    secret: RadiusSecret = Field(description="the shared secret")
    server: Literal["embedded", "freeradius"] = Field(
        default="embedded", description="who answers the router: embedded, which is this box, or freeradius"
    )
    message_authenticator: Literal["required", "if-present"] = Field(
        default="required", description="required; if-present for RouterOS before 7.15"
    )
    interim_seconds: Annotated[int, Field(ge=60, le=3600)] = Field(
        default=300, description="how often usage is reported"
    )
    incoming_port: Port | None = Field(
        default=None, description="the UDP port at which the router takes orders to end sessions"
    )
    pppoe_pool: RouterWord | None = Field(
        default=None, description="the router's pool that PPPoE customers get their addresses from"
    )


class Router(ConfigModel):
    """`[[router]]`: one MikroTik."""

    SECRETS: ClassVar = (("api", "password"), ("radius", "secret"))

    id: Identifier = Field(description="an id, kept for ever")
    tenant: Identifier = Field(description="the id of one of the tenants")
    name: Label | None = Field(default=None, description="where it stands")
    address: RouterAddress = Field(description="the router's IP address as this box sees it")
    mode: Annotated[RouterMode, Field(strict=False)] = Field(description="hotspot-user or radius")
    api: RouterApi | None = Field(default=None, description="how to log in to the RouterOS API")
    radius: RouterRadius | None = Field(default=None, description="what this box and the router share")
    setup: RouterSetup | None = Field(default=None, description="the hotspot as it should be on the router")
    hotspot_server: RouterWord = Field(default="all", description="the name of the hotspot server, or all")
    login_url: WebUrl | None = Field(default=None, description='such as "http://10.5.50.1/login"')
    hotspot_networks: Annotated[tuple[Network, ...], Field(strict=False)] = Field(
        default=(), description='networks such as "10.5.50.0/24"'
    )
    round_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=30, description="how often to look at all of it"
    )

    @classmethod
    def conditions(cls, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Each mode's needs, and a way to let devices on."""
        has_api = table.get("api") is not None
        if table.get("mode") == RouterMode.HOTSPOT_USER and not has_api:
            yield "api", "missing; mode hotspot-user writes users by the RouterOS API"
        if table.get("mode") != RouterMode.RADIUS:
            return
        if table.get("radius") is None:
            yield "radius", "missing; mode radius needs the secret shared with the router"
        if not has_api and table.get("login_url") is None:
            yield "login_url", "missing; without api the customer's page has to know where the login form goes"

    @property
    def uses_radius(self) -> bool:
        """Whether its devices are let on by RADIUS."""
        return self.mode is RouterMode.RADIUS

    @property
    def asks_freeradius(self) -> bool:
        """Whether it is FreeRADIUS that lets them on, and not this box."""
        return self.uses_radius and self.radius is not None and self.radius.server == "freeradius"

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.id
