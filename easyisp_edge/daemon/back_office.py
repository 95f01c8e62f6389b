"""The back office: who may come in, and what is offered there, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.services.back_office.customers_desk import CustomersDesk
from easyisp_edge.services.back_office.grant_pages import GrantPages
from easyisp_edge.services.back_office.listed_grants import GrantView
from easyisp_edge.services.back_office.manual_payments import ManualPayments
from easyisp_edge.services.back_office.payment_lists import PaymentLists
from easyisp_edge.services.back_office.session_pages import SessionPages
from easyisp_edge.services.back_office.statistics import StatisticsService
from easyisp_edge.web.admin.customers import CustomersArea
from easyisp_edge.web.admin.grants import GrantsArea
from easyisp_edge.web.admin.manual_payments import ManualPaymentsArea
from easyisp_edge.web.admin.packages import PackagesArea
from easyisp_edge.web.admin.payment_gateways import PaymentGatewaysArea
from easyisp_edge.web.admin.payments import PaymentsArea
from easyisp_edge.web.admin.reported_problems import ProblemsArea
from easyisp_edge.web.admin.routers import RoutersArea
from easyisp_edge.web.admin.sessions import SessionsArea
from easyisp_edge.web.admin.vouchers import VouchersArea
from easyisp_edge.web.webhooks import WebhooksArea

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.domain.routers import RouterHealth
    from easyisp_edge.services.back_office.gateways_desk import GatewaysDesk
    from easyisp_edge.services.back_office.grants_desk import GrantsDesk
    from easyisp_edge.services.back_office.problems_desk import ProblemsDesk
    from easyisp_edge.services.back_office.staff_desk import StaffDesk
    from easyisp_edge.services.back_office.vouchers_desk import VouchersDesk
    from easyisp_edge.services.site import Site
    from easyisp_edge.web.texts import Texts
    from easyisp_edge.web.webhooks import MpesaWebhook


def site_areas(
    grants: GrantsDesk,
    vouchers: VouchersDesk,
    problems: ProblemsDesk,
    *,
    texts: Texts,
    health_of: Callable[[str], RouterHealth | None],
) -> tuple[object, ...]:
    """The areas about what a site sells, to whom, and behind which routers.

    Args:
        grants: What staff may do about grants; what it works with is used.
        vouchers: About vouchers.
        problems: About what customers reported.
        texts: Words for people.
        health_of: How a router is; None for one without an API.
    """
    store, clock, site, presence = grants.access.store, grants.access.clock, grants.site, grants.presence
    pages = GrantPages(store, clock, GrantView(presence, site))
    return (
        PackagesArea(site, texts),
        CustomersArea(CustomersDesk(store, pages)),
        GrantsArea(grants, pages),
        SessionsArea(SessionPages(store, site)),
        VouchersArea(vouchers, texts),
        RoutersArea(site, presence, health_of),
        ProblemsArea(problems),
    )


def money_areas(desk: StaffDesk, *, site: Site, gateways: GatewaysDesk, webhook: MpesaWebhook) -> tuple[object, ...]:
    """The areas about money: what came in and how, what staff say of it, and who takes it.

    Args:
        desk: What staff may do about money; its store and clock are used.
        site: What is configured.
        gateways: What may be done about gateways.
        webhook: Takes what others tell of payments.
    """
    store, clock = desk.settlement.store, desk.settlement.clock
    return (
        PaymentsArea(PaymentLists(store, clock), StatisticsService(store, clock, site), desk),
        ManualPaymentsArea(ManualPayments(desk.settlement)),
        PaymentGatewaysArea(gateways),
        WebhooksArea(webhook),
    )
