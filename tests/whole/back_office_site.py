"""A whole box of two businesses with something of everything, and those who ask at its back office."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from easyisp_edge.config.daraja_answers import SANDBOX_PASSKEY
from easyisp_edge.domain.permissions import Permission, Role
from easyisp_edge.services.staff_logins import StaffLogins
from easyisp_edge.services.staff_users import Author, NewUser
from tests.unit.web.webhook_bodies import c2b_body
from tests.whole.stage import EDGE, HOST, MAC, OTHER_MAC
from tests.whole.test_tenants import EAST_DEVICE, WEST_DEVICE, TwoTenants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.domain.users import StaffUser
    from easyisp_edge.services.staff_users import StaffUsers

WEBHOOK_KEY = "canary-webhook-key-7Qm2xV9t"
PASSWORD = "canary password of nobody else 4Rw8"
GATEWAY_SECRETS = {
    "consumerKey": "canary-consumer-key-1Ht5",
    "consumerSecret": "canary-consumer-secret-9Kd3",
    "passkey": SANDBOX_PASSKEY,
}
KEYED = EDGE.replace("[radius]", f'webhook_key = "{WEBHOOK_KEY}"\n[radius]')
EAST, WEST = "east", "west"


@dataclass
class Answered:
    """What a request led to.

    Args:
        status: The HTTP status.
        headers: Its headers, as one text.
        text: Its body.
    """

    status: int
    headers: str
    text: str
    media_type: str

    @property
    def content(self) -> Any:
        """The body, read as JSON where it is any."""
        return json.loads(self.text) if self.media_type.endswith("json") else self.text

    @property
    def code(self) -> str:
        """The problem's code; empty where it is none."""
        content = self.content
        return str(content.get("code", "")) if isinstance(content, dict) else ""


@dataclass
class Business:
    """What there is of one business, each by what it is called in requests.

    Args:
        tenant_id: Which.
        device: The address that its customers' devices have.
        mac: Of the customer's device.
        phone: Of the customer.
        letters: What its receipts begin with.
        ids: Ids and other names, by what they are of.
        values: Users' e-mail addresses by role.
    """

    tenant_id: str
    device: str
    mac: str
    phone: str
    letters: str
    ids: dict[str, str] = field(default_factory=dict)


class BackOfficeSite(TwoTenants):
    """Two businesses on one box, each with something of everything."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.office = aiohttp.ClientSession(base_url=f"http://{HOST}:{self.ports['admin_port']}")
        self._browsers.push_async_callback(self.office.close)
        self.answers: list[Answered] = []
        self.owner = await self.make_user("owner@box.example", Role.SUPER_ADMIN, None)
        self.east = Business(EAST, EAST_DEVICE, MAC, "254712345678", "SFE")
        self.west = self._west_lab  # type: ignore[assignment]
        return self

    @property
    def users(self) -> StaffUsers:
        """The users' service."""
        theme = next(each for each in self.daemon.parts.control.themes if hasattr(each, "users"))
        users: StaffUsers = theme.users
        return users
