"""`[router.setup]`: what `easyisp-edge router apply` makes of a router."""

import ipaddress
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, SecretStr

from easyisp_edge.config.field_types import (
    Network,
    RouterAddress,
    RouterWord,
    SecureUrl,
    WebUrl,
    parse_duration,
    read_by,
)
from easyisp_edge.config.models import ConfigModel
from easyisp_edge.config.urls import web_url
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from easyisp_edge.config.routers import RouterApi

# Where the portal answers devices that ask whether they are captive.
CAPTIVE_PATH = "/captive"
_NEVER = "none"


def _time_out(value: str) -> timedelta | None:
    return None if value.strip() == _NEVER else parse_duration(value)


def _host(value: str) -> str:
    """A host name or an address, with nothing beside."""
    try:
        url = web_url(f"http://{value}")
    except InvalidError:
        url = ""
    if url != f"http://{value.lower()}" or "/" in value or ":" in value:
        raise InvalidError("config.host", f'"{value:.60}" is no host name such as wifi.example.com')
    return value.lower()


_TimeOut = Annotated[timedelta | None, read_by(_time_out)]
_Host = Annotated[str, read_by(_host)]


def by_another_user(api: "RouterApi", username: str, password: str) -> "RouterApi":
    """The same API, logged in to by another of the router's users."""
    return api.model_copy(update={"username": username, "password": SecretStr(password)})


class RouterSetup(ConfigModel):
    """`setup`: the hotspot as it should be on the router."""

    interface: RouterWord = Field(description="the router's interface the customers are on")
    box_address: RouterAddress = Field(description="this box's IPv4 address as the router sees it")
    portal_url: WebUrl | None = Field(default=None, description='the portal as customers reach it: "http://10.5.50.2"')
    cookies: Annotated[tuple[Literal["cookie", "mac-cookie"], ...], Field(strict=False)] = Field(
        default=("mac-cookie",), description='what brings devices back by themselves: ["cookie", "mac-cookie"] or []'
    )
    idle_timeout: _TimeOut = Field(default=timedelta(minutes=30), description='such as "30m", or "none"')
    keepalive_timeout: _TimeOut = Field(default=None, description='such as "10m", or "none"')
    addresses_per_mac: Annotated[int, Field(ge=1, le=100)] = Field(
        default=2, description="how many addresses one device may hold"
    )
    dns_name: _Host | None = Field(default=None, description='what the login page is called: "wifi.example.com"')
    captive_api_url: SecureUrl | None = Field(
        default=None, description='what DHCP tells devices: "https://wifi.example.com/api"'
    )
    ntp_servers: Annotated[tuple[_Host, ...], Field(strict=False)] = Field(
        default=("0.pool.ntp.org", "1.pool.ntp.org"), description="whom the router asks for the time after this box"
    )
    management_networks: Annotated[tuple[Network, ...], Field(strict=False)] = Field(
        default=(), description='from where people manage the router: ["192.168.88.0/24"]'
    )
    undo_minutes: Annotated[int, Field(ge=3, le=60)] = Field(
        default=10, description="after which the router undoes a set-up that was not confirmed"
    )

    @classmethod
    def conditions(cls, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Routers' hotspots know IPv4 only."""
        address = table.get("box_address")
        if isinstance(address, str) and _is_ipv6(address):
            yield "box_address", "is IPv6, and hotspots know IPv4 only"


def _is_ipv6(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).version == 6  # noqa: PLR2004 - IP's version
    except ValueError:
        return False
