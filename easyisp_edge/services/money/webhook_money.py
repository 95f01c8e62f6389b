"""Money that somebody trusted tells of: whoever holds the webhook's key, such as the gateway's own back end.

What it says is believed as a callback on a secret address would be. What is for a purchase of ours is judged as such;
what is not goes to the customer it names, as credit; what names nobody stays unmatched, for a person to assign.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.pay_codes import read_pay_code
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import NO_GATEWAY, Disposition, MoneyRecord, Outcome
from easyisp_edge.domain.receipts import parse_receipt
from easyisp_edge.domain.values import Msisdn
from easyisp_edge.errors import InvalidError
from easyisp_edge.services.money.judgement import Receiver, Verdict

if TYPE_CHECKING:
    from easyisp_edge.domain.payments import PaymentReport
    from easyisp_edge.services.money.settlement import SettlementService
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Tables

log = logging.getLogger(__name__)


class _Addressee(NamedTuple):
    """Whose money it is.

    Args:
        receiver: Whose gateway it came by.
        sure: Whether that was told, and not only supposed: then it may go to a customer by itself.
    """

    receiver: Receiver
    sure: bool


@dataclass(frozen=True, slots=True)
class WebhookMoney:
    """Takes what the webhook tells.

    Args:
        settlement: How money is judged; its store is used.
        site: Who sells, by which gateways.
    """

    settlement: SettlementService
    site: Site

    async def take_report(self, report: PaymentReport, account: str, tenant_id: str | None) -> None:
        """Take what is told of a push, ours or somebody else's; of another's only money that was paid counts.

        Args:
            report: What is told.
            account: The account it was paid to; empty where that is not told.
            tenant_id: Whose, where the sender says.

        Raises:
            UnavailableError: It could not be committed.
        """
        if await self.settlement.take_report(report):
            return
        record = _record_of(report, account)
        if record is None:
            log.info("the webhook tells of a push that is not ours (%s): nothing to book", report.outcome.value)
            return
        await self.take_record(record, "", tenant_id)

    async def take_record(self, record: MoneyRecord, short_code: str, tenant_id: str | None) -> None:
        """Take money that came in; a receipt that is known changes nothing.

        Args:
            record: The money.
            short_code: What it was paid to; empty where that is not told.
            tenant_id: Whose, where the sender says.

        Raises:
            UnavailableError: It could not be committed.
        """
        found = self._addressee(record, short_code, tenant_id)
        verdict = await self.settlement.store.write(lambda tx: self._judge(tx, found, record))
        log.info("%s says %s came in: %s", record.source, record.mpesa_receipt_number, verdict)
        if verdict is not Verdict.REPEATED:
            self.settlement.granted(found.receiver.tenant_id)

    # --- within one transaction

    def _judge(self, tx: Tables, found: _Addressee, record: MoneyRecord) -> Verdict:
        told_before = tx.evidence.has_receipt(record.mpesa_receipt_number, record.source)
        judge = self.settlement.judge(tx)
        verdict = judge.settle_record(found.receiver, record)
        payment = tx.payments.by_receipt(record.mpesa_receipt_number)
        if payment is None or told_before or not found.sure or payment.tenant_id != found.receiver.tenant_id:
            return verdict
        if payment.disposition is not Disposition.UNMATCHED or payment.purchase_id is not None:
            return verdict
        customer_id = self._customer(tx, found.receiver, record)
        if customer_id is None:
            return verdict
        judge.books.credit_known(payment, customer_id)
        return Verdict.CREDITED

    def _customer(self, tx: Tables, receiver: Receiver, record: MoneyRecord) -> str | None:
        """Whom money is for: who is named as account, by a user name, a receipt or a number; else who paid it."""
        named = _customer_of_name(tx, receiver.tenant_id, record.account)
        if named is not None:
            return named
        for phone in (_read_phone(record.account), record.payer.phone):
            found = None if phone is None else self._customer_of_phone(tx, receiver, phone)
            if found is not None:
                return found
        return None

    def _customer_of_phone(self, tx: Tables, receiver: Receiver, phone: Msisdn) -> str | None:
        gateway = self.site.gateway(receiver.gateway_id)
        services = [Service.HOTSPOT, Service.PPPOE]
        if gateway is not None and gateway.for_pppoe and not gateway.for_hotspot:
            services.reverse()
        found = (tx.customers.of_phone(receiver.tenant_id, service, phone) for service in services)
        return next((each for each in found if each is not None), None)

    # --- whose it is

    def _addressee(self, record: MoneyRecord, short_code: str, tenant_id: str | None) -> _Addressee:
        """Whose gateway it came by: by the number that was paid, by the pay code, by what the sender says.

        Where none of these tells, and several sell here, it is kept as the first one's, unmatched: it is shown, and
        no customer gets what may have been paid to another business.
        """
        config = self.site.config
        paid = [each for each in config.gateways if short_code and short_code in {each.shortcode, each.store_number}]
        if len({gateway.tenant for gateway in paid}) == 1:
            return _Addressee(Receiver(paid[0].tenant, paid[0].id), sure=True)
        code = read_pay_code(record.account)
        purchase = None if code is None else self.settlement.store.read.purchases.by_account_reference(code)
        if purchase is not None:
            return _Addressee(Receiver(purchase.tenant_id, purchase.gateway_id), sure=True)
        only = config.only_tenant()
        known = {tenant.id for tenant in config.tenants}
        told = only.id if only is not None else tenant_id if tenant_id in known else None
        if told is None:
            log.warning("the webhook does not say whose %s is: add tenantId to it", record.mpesa_receipt_number)
        return _Addressee(self._receiver(told or config.tenants[0].id), sure=told is not None)

    def _receiver(self, tenant_id: str) -> Receiver:
        gateway = self.site.config.gateway_for(tenant_id, Service.HOTSPOT)
        return Receiver(tenant_id, NO_GATEWAY if gateway is None else gateway.id)


def _record_of(report: PaymentReport, account: str) -> MoneyRecord | None:
    """Money that somebody else's push took; None where nothing was paid, or nothing would tell it from another's."""
    if report.outcome is not Outcome.PAID or report.mpesa_receipt_number is None:
        return None
    if report.amount is None or not report.amount.cents:
        return None
    return MoneyRecord(
        source=report.source,
        mpesa_receipt_number=report.mpesa_receipt_number,
        amount=report.amount,
        account=account,
        payer=Payer(phone=report.phone),
        paid_at=report.paid_at,
        raw=report.raw,
    )


def _customer_of_name(tx: Tables, tenant_id: str, name: str) -> str | None:
    """Who has that user name: of a grant's own, over or not, or an M-Pesa receipt that was paid before."""
    grant = tx.grants.by_username(name) or tx.grants.by_username(name.upper())
    if grant is not None:
        return grant.customer_id if grant.tenant_id == tenant_id else None
    try:
        payment = tx.payments.by_receipt(parse_receipt(name))
    except InvalidError:
        return None
    return payment.customer_id if payment is not None and payment.tenant_id == tenant_id else None


def _read_phone(text: str) -> Msisdn | None:
    try:
        return Msisdn.parse(text)
    except InvalidError:
        return None
