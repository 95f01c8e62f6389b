"""A site whose staff sort out money: real books, real configuration, a gateway that does as it is told."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from easyisp_edge.config import load_config
from easyisp_edge.services.back_office.claims_desk import ClaimsDesk
from easyisp_edge.services.back_office.staff_desk import StaffDesk
from easyisp_edge.services.money.judgement import NO_SUBSTITUTE
from easyisp_edge.services.money.registration import RegistrationService
from easyisp_edge.services.money.settlement import SettlementService
from easyisp_edge.services.money.shelf import Shelf
from easyisp_edge.services.money.sweep import SweepService
from easyisp_edge.services.portal.posters import PosterService
from easyisp_edge.services.site import Site
from easyisp_edge.web.control import Control
from tests.fakes.gateway import FakeGateway
from tests.unit.shop import Books, open_books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from easyisp_edge.domain.claims import Claim
    from easyisp_edge.domain.payments import Payment
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.store.store import Tables

FILES = {
    "edge.toml": 'development = true\n[callbacks]\npublic_url = "https://pay.example.com/edge/"\n',
    "packages.toml": """[[package]]
id = "1h"
name = "1 hour"
price = 10
duration = "1h"
speed = "2M/5M"
[[package]]
id = "week-end_pass-2026"
name = "Week-end"
price = 50
duration = "48h"
speed = "2M/5M"
""",
    "gateways.toml": """[[gateway]]
id = "paybill"
default = true
sub_type = "PAYBILL"
shortcode = "600986"
consumer_key = "key"
consumer_secret = "secret"
passkey = "passkey"
c2b = true
[[gateway]]
id = "quiet"
sub_type = "PAYBILL"
shortcode = "600987"
consumer_key = "key"
consumer_secret = "secret"
passkey = "passkey"
for_hotspot = false
[[gateway]]
id = "hand"
type = "MPESA_NO_API"
sub_type = "BUYGOODS"
shortcode = "512345"
for_hotspot = false
""",
    "portal.toml": "",
    "routers.toml": """[[router]]
id = "main"
address = "10.0.0.1"
mode = "hotspot-user"
api = { tls = false, username = "u", password = "p" }
""",
}
TWO_TENANTS = {
    "tenants.toml": '[[tenant]]\nid = "default"\nname = "First"\n[[tenant]]\nid = "other"\nname = "Second"\n',
    "packages.toml": FILES["packages.toml"].replace("name =", 'tenant = "default"\nname ='),
    "gateways.toml": FILES["gateways.toml"].replace("sub_type =", 'tenant = "default"\nsub_type =')
    + """[[gateway]]
id = "theirs"
default = true
tenant = "other"
sub_type = "BUYGOODS"
shortcode = "512346"
consumer_key = "key"
consumer_secret = "secret"
passkey = "passkey"
""",
    "routers.toml": FILES["routers.toml"].replace("mode =", 'tenant = "default"\nmode ='),
}


@dataclass
class Office:
    """The staff's services over one store.

    Args:
        books: The store, with its clock.
        site: What is configured.
        gateway: What any gateway of it is.
        granted: The tenants whose routers were told to look, in order.
    """

    books: Books
    site: Site
    gateway: FakeGateway
    granted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settlement = SettlementService(
            store=self.books.store,
            clock=self.books.clock,
            identifiers=self.books.identifiers,
            substitute=NO_SUBSTITUTE,
            granted=self.granted.append,
            query_due=lambda: None,
        )
        self.shelf = Shelf(self.books.store, self.books.clock)
        self.desk = StaffDesk(self.settlement, self.shelf, self.site)
        self.claims_desk = ClaimsDesk(self.settlement, self.site)
        self.posters = PosterService(self.site, self.shelf, self.books.store, self.books.clock)
        self.registration = RegistrationService(self.site, SweepService(self.settlement))

    @property
    def tables(self) -> Tables:
        return self.books.store.read

    def control(self) -> Control:
        """The same as an HTTP door."""
        return Control(self.desk, self.claims_desk, self.posters, self.registration)

    async def add_purchase(self, purchase: Purchase, token: str = "c" * 32) -> None:
        """Write a purchase of the hour as it is on sale."""
        version = self.shelf.version(purchase.tenant_id, "1h")

        def add(tx: Tables) -> None:
            tx.purchases.add(_of_version(purchase, version.version_id), token)
            tx.purchases.update(_of_version(purchase, version.version_id))

        await self.books.store.write(add)

    async def add_claim(self, claim: Claim) -> None:
        """Write a claim as it stands."""
        await self.books.store.write(lambda tx: tx.claims.add(claim))

    def payment(self, receipt: str) -> Payment:
        """The payment with a receipt."""
        found = self.tables.payments.by_receipt(receipt)
        assert found is not None
        return found

    def claim(self, claim_id: str) -> Claim:
        """The claim as it stands."""
        found = self.tables.claims.by_id(claim_id)
        assert found is not None
        return found

    def told(self, key: str) -> list[str]:
        """What the staff's events say happened to one thing."""
        return [kind for kind in self.tables.events.of_key(key) if kind.startswith("staff.")]


def _of_version(purchase: Purchase, version_id: int) -> Purchase:
    return replace(purchase, package_version_id=version_id)


def write_files(folder: Path, files: dict[str, str] | None = None) -> None:
    """Write the configuration, with some files in place of the usual ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**FILES, **(files or {})}.items():
        (folder / name).write_text(text, encoding="utf-8")


@contextlib.asynccontextmanager
async def open_office(folder: Path, files: dict[str, str] | None = None) -> AsyncIterator[Office]:
    """An office on books of its own; at the end they are held against all rules."""
    write_files(folder / "config", files)
    config, gateway = load_config(folder / "config", {}), FakeGateway()
    async with open_books(folder) as books:
        office = Office(books, Site(config, lambda _gateway: gateway), gateway)
        await office.shelf.put_out(config.packages)
        yield office
