"""All areas of the back office, for whoever describes it without serving it."""

from __future__ import annotations

from easyisp_edge.web.admin.audit import AuditArea
from easyisp_edge.web.admin.auth import AuthArea
from easyisp_edge.web.admin.customers import CustomersArea
from easyisp_edge.web.admin.grants import GrantsArea
from easyisp_edge.web.admin.manual_payments import ManualPaymentsArea
from easyisp_edge.web.admin.packages import PackagesArea
from easyisp_edge.web.admin.payment_gateways import PaymentGatewaysArea
from easyisp_edge.web.admin.payments import PaymentsArea
from easyisp_edge.web.admin.reported_problems import ProblemsArea
from easyisp_edge.web.admin.routers import RoutersArea
from easyisp_edge.web.admin.sessions import SessionsArea
from easyisp_edge.web.admin.users import UsersArea
from easyisp_edge.web.admin.vouchers import VouchersArea
from easyisp_edge.web.webhooks import WebhooksArea

AREAS: tuple[type, ...] = (
    AuthArea,
    UsersArea,
    AuditArea,
    ManualPaymentsArea,
    PaymentGatewaysArea,
    PaymentsArea,
    WebhooksArea,
    PackagesArea,
    CustomersArea,
    GrantsArea,
    SessionsArea,
    VouchersArea,
    RoutersArea,
    ProblemsArea,
)
