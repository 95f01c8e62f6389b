"""The services and what they share, built top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.adapters.routeros.legacy_users import read_export
from easyisp_edge.adapters.routeros.watch import RouterWatch
from easyisp_edge.daemon.back_office import money_areas, site_areas
from easyisp_edge.daemon.bells import LoginsFirst
from easyisp_edge.daemon.central import build_central
from easyisp_edge.daemon.staff_parts import StaffParts
from easyisp_edge.domain.packages import Service
from easyisp_edge.machine import Wake
from easyisp_edge.portal_files import portal_folder
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.lockout import Lockout
from easyisp_edge.services.access.logins import LoginService
from easyisp_edge.services.access.presence import Presence
from easyisp_edge.services.access.sign_outs import SignOutService
from easyisp_edge.services.back_office.claims_desk import ClaimsDesk
from easyisp_edge.services.back_office.gateways_desk import GatewaysDesk
from easyisp_edge.services.back_office.grants_desk import GrantsDesk
from easyisp_edge.services.back_office.problems_desk import ProblemsDesk
from easyisp_edge.services.back_office.staff_desk import StaffDesk
from easyisp_edge.services.back_office.vouchers_desk import VouchersDesk
from easyisp_edge.services.identifiers import Identifiers
from easyisp_edge.services.importing.taking_over import ImportService
from easyisp_edge.services.money.claims import ClaimGateway, ClaimService
from easyisp_edge.services.money.judgement import Substitute
from easyisp_edge.services.money.purchase import PurchaseService
from easyisp_edge.services.money.registration import RegistrationService
from easyisp_edge.services.money.selling import Selling
from easyisp_edge.services.money.settlement import SettlementService
from easyisp_edge.services.money.shelf import Shelf
from easyisp_edge.services.money.sweep import SweepService
from easyisp_edge.services.money.wallets import WalletService
from easyisp_edge.services.money.webhook_money import WebhookMoney
from easyisp_edge.services.portal.outages import Outages
from easyisp_edge.services.portal.posters import PosterService
from easyisp_edge.services.portal.problems import ProblemService
from easyisp_edge.services.portal.recovery import RecoveryService
from easyisp_edge.services.portal.standing import StandingService
from easyisp_edge.services.portal.trials import TrialService
from easyisp_edge.services.portal.vouchers import GUESSES, VoucherService
from easyisp_edge.services.site import Site
from easyisp_edge.web.control import Control
from easyisp_edge.web.control_grants import ControlGrants
from easyisp_edge.web.control_import import ControlImport
from easyisp_edge.web.control_problems import ControlProblems
from easyisp_edge.web.control_vouchers import ControlVouchers
from easyisp_edge.web.pages import Pages
from easyisp_edge.web.portal import Portal
from easyisp_edge.web.texts import Texts
from easyisp_edge.web.webhooks import MpesaWebhook

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Awaitable, Callable

    from easyisp_edge.config import Config, Router
    from easyisp_edge.daemon.central import CentralSide
    from easyisp_edge.daemon.gateways import Gateways
    from easyisp_edge.daemon.surroundings import Surroundings
    from easyisp_edge.domain.routers import RouterHealth
    from easyisp_edge.loops import Errands
    from easyisp_edge.machine import Randomness
    from easyisp_edge.services.keyring import Keyring
    from easyisp_edge.store.store import Store
    from easyisp_edge.timekeeping import BoxClock


@dataclass(frozen=True, slots=True)
class Bells:
    """What wakes background work.

    Args:
        queries: One a gateway with queries due.
        routers: One a router to be looked at.
        sessions_over: One a router with sessions to be ended by RADIUS.
        freeradius: Its users may differ from the grants.
        sweeps: One a gateway whose list is to be read.
        claims: Receipts may be known now.
    """

    queries: dict[str, Wake]
    routers: dict[str, Wake]
    sessions_over: dict[str, Wake]
    freeradius: Wake
    sweeps: dict[str, Wake]
    claims: Wake

    def ring_queries(self) -> None:
        """A purchase may have become due for a query."""
        for wake in self.queries.values():
            wake.ring()

    def ring_look(self) -> None:
        """A receipt is waiting for somebody to know it."""
        self.ring_queries()
        self.claims.ring()
        for wake in self.sweeps.values():
            wake.ring()


@dataclass(frozen=True, slots=True)
class Parts:
    """The daemon's parts, joined."""

    clock: BoxClock
    store: Store
    keyring: Keyring
    gateways_desk: GatewaysDesk
    bells: Bells
    watches: dict[str, RouterWatch]
    site: Site
    shelf: Shelf
    presence: Presence
    access: AccessService
    logins: LoginService
    accounting: AccountingService
    settlement: SettlementService
    sweep: SweepService
    claims: ClaimService
    purchases: PurchaseService
    importing: ImportService
    vouchers: VoucherService
    trials: TrialService
    portal: Portal
    control: Control
    people: StaffParts
    areas: tuple[object, ...]
    webhook: MpesaWebhook
    central: CentralSide


def build_parts(
    config: Config,
    *,
    clock: BoxClock,
    store: Store,
    randomness: Randomness,
    gateways: Gateways,
    pushes: Errands,
    keyring: Keyring,
    gateways_changed: Callable[[], None],
    surroundings: Surroundings,
    stack: contextlib.AsyncExitStack,
    in_force: Callable[[], Awaitable[object]],
) -> Parts:
    """Build and join them; nothing runs yet."""
    folder = portal_folder()
    texts = Texts.load(folder / "translations")
    identifiers, presence = Identifiers(randomness), Presence()
    freeradius = Wake()
    bells = Bells(
        queries={gateway.id: Wake() for gateway in config.gateways},
        routers={router.id: LoginsFirst(freeradius) if router.asks_freeradius else Wake() for router in config.routers},
        freeradius=freeradius,
        sessions_over={router.id: Wake() for router in config.routers},
        sweeps={gateway.id: Wake() for gateway in config.gateways},
        claims=Wake(),
    )
    site, shelf, selling = Site(config, gateways.open), Shelf(store, clock), Selling()
    access = AccessService(
        store=store,
        clock=clock,
        tenant_of={router.id: router.tenant for router in config.routers},
        router_changed=bells.routers,
        sessions_over=bells.sessions_over,
        begun=bells.freeradius,
    )
    settlement = SettlementService(
        store=store,
        clock=clock,
        identifiers=identifiers,
        substitute=Substitute(
            for_less=lambda tenant_id, *asked: (
                shelf.dearest_for(tenant_id, *asked) if site.sells_less(tenant_id) else None
            ),
            for_price=shelf.priced,
        ),
        granted=access.tell_routers,
        query_due=bells.ring_queries,
    )
    sweep = SweepService(settlement)
    claims = ClaimService(
        settlement=settlement,
        shelf=shelf,
        gateway_of=lambda tenant_id: _claim_gateway(site, sweep, tenant_id),
        rules=site.claim_rules,
        look=bells.ring_look,
        selling=selling,
    )
    purchases = PurchaseService(
        store=store,
        clock=clock,
        identifiers=identifiers,
        shelf=shelf,
        door_for=site.door_for,
        pushes=pushes,
        query_due=bells.ring_queries,
        limits=site.push_limits,
        selling=selling,
    )
    importing = ImportService(access, site, identifiers, read_export)
    vouchers = VoucherService(settlement, Lockout(clock, GUESSES), selling)
    trials = TrialService(settlement, site, selling)
    central = build_central(
        surroundings=surroundings,
        store=store,
        clock=clock,
        stack=stack,
        settlement=settlement,
        access=access,
        site=site,
        shelf=shelf,
        selling=selling,
        look=bells.ring_look,
        in_force=in_force,
    )
    logins = LoginService(
        access,
        message=lambda language, refusal: texts.refusal(
            language or site.config.portal.default_language, refusal, clock.now()
        ),
        lockout=Lockout(clock),
    )
    watches = {router.id: RouterWatch(router.id, clock) for router in config.routers if router.api is not None}

    def health_of(router_id: str) -> RouterHealth | None:
        watch = watches.get(router_id)
        return None if watch is None else watch.health

    portal = Portal(
        site=site,
        store=store,
        clock=clock,
        identifiers=identifiers,
        shelf=shelf,
        purchases=purchases,
        settlement=settlement,
        claims=claims,
        wallets=WalletService(settlement, shelf, selling),
        access=access,
        standing=StandingService(store, clock, presence),
        logins=logins,
        sign_outs=SignOutService(access),
        outages=Outages(
            site,
            clock,
            reach_of=gateways.reach,
            health_of=health_of,
            central_away=central.sync.is_away,
            sales_rest=lambda: selling.rests,
        ),
        vouchers=vouchers,
        trials=trials,
        recovery=RecoveryService(settlement),
        problems=ProblemService.over(store, clock),
        pages=Pages(folder, texts),
        texts=texts,
    )
    webhook = MpesaWebhook(WebhookMoney(settlement, site))
    gateways_desk = GatewaysDesk(site, store, clock, identifiers, keyring, gateways_changed, since=clock.now())
    people = StaffParts.of(store=store, clock=clock, identifiers=identifiers, keyring=keyring, site=site)
    desk, problems_desk = StaffDesk(settlement, shelf, site), ProblemsDesk(store, clock, site)
    grants_desk = GrantsDesk(access, presence, site)
    vouchers_desk = VouchersDesk(store, clock, identifiers, site)
    return Parts(
        clock=clock,
        store=store,
        keyring=keyring,
        gateways_desk=gateways_desk,
        bells=bells,
        watches=watches,
        site=site,
        shelf=shelf,
        presence=presence,
        access=access,
        logins=logins,
        accounting=AccountingService(
            store=store,
            clock=clock,
            presence=presence,
            routers={router.id: reporting_router(router) for router in config.routers},
            clock_set_at=lambda: clock.set_at,
            listening_since=clock.now(),
            used_up=access.tell_routers,
        ),
        settlement=settlement,
        sweep=sweep,
        claims=claims,
        purchases=purchases,
        importing=importing,
        vouchers=vouchers,
        trials=trials,
        portal=portal,
        people=people,
        areas=(
            *people.areas,
            *money_areas(desk, site=site, gateways=gateways_desk, webhook=webhook),
            *site_areas(grants_desk, vouchers_desk, problems_desk, texts=texts, health_of=health_of),
        ),
        webhook=webhook,
        central=central,
        control=Control(
            desk=desk,
            claims_desk=ClaimsDesk(settlement, site),
            posters=PosterService(site, shelf, store, clock),
            registration=RegistrationService(site, sweep),
            themes=(
                people.control,
                ControlGrants(grants_desk),
                ControlProblems(problems_desk),
                ControlImport(importing),
                central.control,
                ControlVouchers(vouchers_desk),
            ),
        ),
    )


def reporting_router(router: Router) -> ReportingRouter:
    """A router as one whose sessions are kept."""
    reported = router.radius.interim_seconds if router.uses_radius and router.radius is not None else 0
    return ReportingRouter(router.tenant, timedelta(seconds=max(reported, router.round_seconds)))


def _claim_gateway(site: Site, sweep: SweepService, tenant_id: str) -> ClaimGateway | None:
    gateway = site.config.gateway_for(tenant_id, Service.HOTSPOT)
    if gateway is None:
        return None
    return ClaimGateway(gateway.id, listed=gateway.pull is not None, cut_off=sweep.cut_off(gateway.id))
