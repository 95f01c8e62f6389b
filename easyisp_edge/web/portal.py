"""What the portal's pages and its JSON share: the parts they call, and how things are put into words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.payments import Disposition, Reason
from easyisp_edge.domain.values import Money
from easyisp_edge.services.portal.outages import Outage
from easyisp_edge.web.askers import source_of
from easyisp_edge.web.page_values import Offer, PaidShort, Shop
from easyisp_edge.web.pay_menu import pay_menu
from easyisp_edge.web.visits import visit_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web
    from multidict import CIMultiDict

    from easyisp_edge.config import Tenant
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.purchases import Purchase
    from easyisp_edge.domain.values import RateLimit
    from easyisp_edge.errors import EdgeError
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.access.granting import AccessService
    from easyisp_edge.services.access.logins import LoginService
    from easyisp_edge.services.access.sign_outs import SignOutService
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.money.claims import ClaimService
    from easyisp_edge.services.money.purchase import PurchaseService
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.money.shelf import Shelf
    from easyisp_edge.services.money.wallets import WalletService
    from easyisp_edge.services.portal.outages import Outages
    from easyisp_edge.services.portal.problems import ProblemService
    from easyisp_edge.services.portal.recovery import RecoveryService
    from easyisp_edge.services.portal.standing import StandingService
    from easyisp_edge.services.portal.trials import TrialService
    from easyisp_edge.services.portal.vouchers import VoucherService
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Store
    from easyisp_edge.web.pages import Pages
    from easyisp_edge.web.pay_menu import PayMenu
    from easyisp_edge.web.texts import Texts
    from easyisp_edge.web.visits import Visit

_KBPS_PER_MBPS = 1000
_CENTS_PER_SHILLING = 100
# A kilobyte each: a page and its polls, from more devices than a site has.
VISITS_KNOWN_MAX = 2048


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """Answers made once for everybody, until the configuration changes.

    Args:
        bodies: By route, tenant, router and language; in pieces, between which a device's token goes.
        headers: Of pages, by tenant.
        packages: In the JSON's words, by package and language.
        visits: What the address of a page says, by the address, who asks, and the languages wanted.
    """

    bodies: dict[tuple[str, ...], list[bytes]] = field(default_factory=dict)
    headers: dict[str, CIMultiDict[str]] = field(default_factory=dict)
    packages: dict[tuple[Package, str], dict[str, Any]] = field(default_factory=dict)
    visits: dict[tuple[str, str, str | None], tuple[Visit, str]] = field(default_factory=dict)

    def forget(self) -> None:
        """Make them anew."""
        self.bodies.clear()
        self.headers.clear()
        self.packages.clear()
        self.visits.clear()


@dataclass(frozen=True, slots=True)
class Portal:
    """The parts behind the customers' door.

    Args:
        site: What is configured.
        store: For reading purchases by the id their buyer holds.
        clock: Box time.
        identifiers: For new purchase keys.
        shelf: What is on sale.
        purchases: Starts purchases.
        settlement: Takes callbacks.
        claims: Takes receipts customers paste.
        wallets: Reads and spends customers' credit.
        access: Who may be online.
        standing: Where a customer stands.
        logins: Knows whose a login is.
        sign_outs: Signs devices out, and in again.
        outages: What does not work now.
        vouchers: Redeems vouchers.
        trials: Gives free trials.
        recovery: Finds what was paid and is not online.
        problems: Takes what customers say is wrong.
        pages: The pages.
        texts: The words.
        ready_made: What need not be made for each request.
    """

    site: Site
    store: Store
    clock: Clock
    identifiers: Identifiers
    shelf: Shelf
    purchases: PurchaseService
    settlement: SettlementService
    claims: ClaimService
    wallets: WalletService
    access: AccessService
    standing: StandingService
    logins: LoginService
    sign_outs: SignOutService
    outages: Outages
    vouchers: VoucherService
    trials: TrialService
    recovery: RecoveryService
    problems: ProblemService
    pages: Pages
    texts: Texts
    ready_made: ReadyMade = field(default_factory=ReadyMade)

    def visit_and_language(self, request: web.Request) -> tuple[Visit, str]:
        """Both; worked out once for a page that is asked for again and again."""
        key = (request.raw_path, source_of(request), request.headers.get("Accept-Language"))
        known = self.ready_made.visits
        if key not in known:
            if len(known) >= VISITS_KNOWN_MAX:
                known.clear()
            known[key] = self.visit(request), self.language(request)
        return known[key]

    def visit(self, request: web.Request, form: Mapping[str, str] | None = None) -> Visit:
        """Whose page a request is for, and by which device: by its query, or the form it brought."""
        return visit_of(self.site.config, request.query if form is None else form, source_of(request))

    def language(self, request: web.Request, chosen: str | None = None) -> str:
        """In which language to answer: the one chosen, else the phone's, else the site's."""
        wanted = chosen or request.query.get("lang")
        if wanted in self.texts.languages:
            return wanted
        default = self.site.config.portal.default_language
        return self.texts.negotiate(request.headers.get("Accept-Language"), default)

    def shop(self, tenant: Tenant) -> Shop:
        """How a tenant presents itself."""
        portal = self.site.config.portal
        return Shop(
            title=portal.title or tenant.business_name or tenant.name,
            colour=tenant.primary_colour or portal.primary_colour,
            support_phone=portal.support_phone or tenant.phone,
            note=portal.note,
            logo=None if (tenant.logo or portal.logo_file) is None else f"/logo/{tenant.id}",
        )

    def outages_told(
        self, tenant: Tenant, router_id: str | None, language: str, *, paying: bool = True
    ) -> tuple[str, ...]:
        """What is away that customers notice, in words; without a way out M-Pesa is away, too, and not told of.

        Nor is it to who is not `paying`: nothing of M-Pesa's is waited for.
        """
        away = self.outages.now(tenant.id, router_id)
        unnoticed = {Outage.CENTRAL} if paying and Outage.UPLINK not in away else {Outage.CENTRAL, Outage.DARAJA}
        noticed = away - unnoticed
        return tuple(self.texts.get(language, f"outage.{outage}") for outage in sorted(noticed))

    def offer(self, package: Package, language: str) -> Offer:
        """A package in the customer's words."""
        return Offer(
            package_id=package.package_id,
            name=package.name,
            price=str(package.price),
            duration=self._duration(package, language),
            speed=speed_in_words(package.rate_limit),
            data=None if package.data_limit is None else str(package.data_limit),
            devices=package.devices_max,
            hours=None if package.schedule is None else self.texts.hours(language, package.schedule),
        )

    def _duration(self, package: Package, language: str) -> str:
        valid = self.texts.duration(language, package.duration.total_seconds())
        if package.online_time is None:
            return valid
        online = self.texts.duration(language, package.online_time.total_seconds())
        return self.texts.get(language, "package.online", online=online, valid=valid)

    def menu_of(self, purchase: Purchase) -> PayMenu | None:
        """How a purchase is paid from the M-Pesa menu; None where it cannot be."""
        gateway = self.site.gateway(purchase.gateway_id)
        return None if gateway is None else pay_menu(gateway, purchase.account_reference, purchase.amount)

    def paid_short(self, purchase: Purchase) -> PaidShort | None:
        """What came in for a purchase that was paid less than its price; None for all others."""
        if purchase.reason is not Reason.PAID_SHORT:
            return None
        payments = self.store.read.payments.of_purchase(purchase.purchase_id)
        credited = [payment for payment in payments if payment.disposition is Disposition.WALLET]
        paid = Money(sum(payment.amount.cents for payment in credited))
        customer_id = next((payment.customer_id for payment in credited), None)
        return PaidShort(str(paid), str(purchase.amount), self._menu_for_rest(purchase, customer_id))

    def _menu_for_rest(self, purchase: Purchase, customer_id: str | None) -> PayMenu | None:
        """How to pay what the wallet lacks: only by pay code is money of another amount known to be for a purchase."""
        menu = self.menu_of(purchase)
        if menu is None or menu.account != purchase.account_reference or customer_id is None:
            return None
        lacking = purchase.amount.cents - self.wallets.credit_of(customer_id).cents
        if lacking <= 0:
            return None
        return menu._replace(amount=Money.shillings(-(-lacking // _CENTS_PER_SHILLING)))

    def say(self, error: EdgeError, language: str) -> str:
        """An error in the customer's language; in English where it has not been translated."""
        key = f"errors.{error.code}"
        if self.texts.has(key) and self.texts.placeholders(key) <= error.values.keys():
            return self.texts.get(language, key, **error.values)
        return error.message


def speed_in_words(rate: RateLimit) -> str:
    """A speed as customers read it: download, and upload where it differs."""
    down, up = _mbps(rate.download_kbps), _mbps(rate.upload_kbps)
    return f"{down} Mbps" if down == up else f"{down}/{up} Mbps"


def speed_of_contract(rate: RateLimit) -> str:
    """A speed as the HTTP contract has it: `10/10 Mbps`, download first."""
    return f"{_mbps(rate.download_kbps)}/{_mbps(rate.upload_kbps)} Mbps"


def _mbps(kbps: int) -> str:
    return f"{kbps / _KBPS_PER_MBPS:.2f}".rstrip("0").rstrip(".")
