"""A site that sells on paper: its desk, who redeems, and what was made."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.packages import Service
from easyisp_edge.services.access.lockout import Lockout
from easyisp_edge.services.back_office.vouchers_desk import BatchOrder, VouchersDesk
from easyisp_edge.services.portal.trials import TrialService
from easyisp_edge.services.portal.vouchers import GUESSES, Holder, VoucherService
from easyisp_edge.web.control_vouchers import ControlVouchers
from tests.unit.desk import FILES, Office, open_office
from tests.unit.shop import MAC, ROUTER, TENANT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.web.control import Control

HOLDER = Holder(TENANT, MAC, ROUTER, Service.HOTSPOT)
PACKAGES = (
    FILES["packages.toml"]
    + """[[package]]
id = "family"
name = "Family"
price = 100
duration = "24h"
speed = "5M"
devices = 3
[[package]]
id = "hall"
name = "Hall only"
price = 20
duration = "1h"
speed = "2M"
routers = ["main"]
[[package]]
id = "home"
name = "Home"
price = 900
duration = "30d"
speed = "5M"
service = "pppoe"
[[package]]
id = "trial"
name = "Free trial"
price = 1
duration = "10m"
speed = "1M"
active = false
"""
)
TENANTS = '[[tenant]]\nid = "default"\nname = "Wi-Fi"\nbusiness_name = "Mama Njeri\'s Wi-Fi"\ntrial = "trial"\n'
ROUTERS = FILES["routers.toml"] + (
    '[router.setup]\ninterface = "bridge"\nbox_address = "10.0.0.2"\nportal_url = "http://10.5.50.2"\n'
    '[[router]]\nid = "second"\naddress = "10.0.0.3"\nmode = "hotspot-user"\n'
    'api = { tls = false, username = "u", password = "p" }\n'
)


@dataclass
class PaperShop:
    """Who makes vouchers, and who redeems them.

    Args:
        office: The store and the staff's other services.
    """

    office: Office

    def __post_init__(self) -> None:
        books = self.office.books
        self.desk = VouchersDesk(books.store, books.clock, books.identifiers, self.office.site)
        self.vouchers = VoucherService(self.office.settlement, Lockout(books.clock, GUESSES))
        self.trials = TrialService(self.office.settlement, self.office.site)

    def control(self) -> Control:
        """The desk as an HTTP door."""
        return replace(self.office.control(), themes=(ControlVouchers(self.desk),))

    async def make(self, package_id: str = "1h", count: int = 1, **more: Any) -> list[str]:
        """Make a batch; gives its codes."""
        made = await self.desk.make(BatchOrder(package_id, count, **more), "mary")
        return [voucher.code for voucher in self.office.tables.vouchers.of_batch(made.batch.batch_id)]

    async def redeem(self, code: str, **changes: Any) -> Grant:
        """Redeem a code on the usual device, but for the changes."""
        return await self.vouchers.redeem(HOLDER._replace(**changes), code)


@contextlib.asynccontextmanager
async def open_paper_shop(folder: Path, files: dict[str, str] | None = None) -> AsyncIterator[PaperShop]:
    """A shop of one tenant, or as the files say; its books are held against all rules at the end."""
    usual = {"packages.toml": PACKAGES, "tenants.toml": TENANTS, "routers.toml": ROUTERS}
    async with open_office(folder, usual | (files or {})) as office:
        yield PaperShop(office)
