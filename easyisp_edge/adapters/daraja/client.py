"""A payment gateway on Daraja: what a sale needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.adapters.daraja import c2b, pull_messages
from easyisp_edge.adapters.daraja.answers import prompt_accepted, query_report
from easyisp_edge.adapters.daraja.c2b import C2B_REGISTER_PATH
from easyisp_edge.adapters.daraja.dynamic_qr import QR_OCTETS_MAX, QR_PATH, qr_body, qr_png
from easyisp_edge.adapters.daraja.messages import STK_PUSH_PATH, STK_QUERY_PATH, push_body, query_body
from easyisp_edge.adapters.daraja.pull import pull
from easyisp_edge.adapters.daraja.pull_messages import PULL_REGISTER_PATH, PullWindow
from easyisp_edge.adapters.daraja.push_rules import check_address, check_push

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.adapters.daraja.app import DarajaApp
    from easyisp_edge.adapters.daraja.credentials import DarajaAccount
    from easyisp_edge.domain.payments import MoneyRecord, PaymentReport, PromptAccepted, StkPush
    from easyisp_edge.domain.values import Money, Msisdn


@dataclass(frozen=True, slots=True)
class DarajaClient:
    """One gateway: an app to call with, and an account that receives.

    Args:
        app: Shared by all gateways with the same consumer key.
        account: Who receives.
    """

    app: DarajaApp
    account: DarajaAccount

    async def stk_push(self, push: StkPush) -> PromptAccepted:
        """Ask Daraja to prompt the customer's phone for a PIN.

        Returns once Daraja accepts the request: accepted is not paid. Sent once; sent again only where the first
        was refused for a dead token. For a bank account the reference in `push` is not transmitted.

        Raises:
            InvalidError: The push breaks a documented limit; nothing was sent.
            UnavailableError: Daraja was not reached (`unreachable`) or too busy (`busy`); no prompt.
            RefusedError: Daraja said no; no prompt. `code` is a `Reason`.
            OutcomeUnknownError: The prompt may be on the phone. Never to be repeated.

        Source: Daraja, M-Pesa Express.
        """
        check_push(push)

        def body(instant: datetime) -> dict[str, str | int]:
            signature = self.account.sign(instant)
            return push_body(
                push,
                business_shortcode=self.account.business_shortcode,
                party_b=self.account.party_b,
                transaction_type=self.account.transaction_type,
                account_reference=self.account.account_number or push.account_reference,
                timestamp=signature.timestamp,
                password=signature.password,
            )

        return prompt_accepted(await self.app.post(STK_PUSH_PATH, body))

    async def check_credentials(self) -> None:
        """Ask for a new access token with the app's key and secret; the passkey is first judged by a push.

        Raises:
            UnavailableError: Daraja was not reached or too busy.
            RefusedError: The key and secret are not taken.

        Source: Daraja, Authorization API.
        """
        await self.app.new_token()

    async def query_turn(self) -> None:
        """Wait for the next place in the pace that all queries with this consumer key share."""
        await self.app.query_turn()

    async def stk_query(self, checkout_request_id: str) -> PaymentReport:
        """Ask Daraja what became of a push; `query_turn` comes first.

        The report never tells amount, receipt or phone: Daraja does not.

        Raises:
            UnavailableError: No answer that says anything; ask again later.
            RefusedError: Asking is refused (credentials, set-up); an operator must look.

        Source: Daraja, M-Pesa Express Query.
        """

        def body(instant: datetime) -> dict[str, str | int]:
            signature = self.account.sign(instant)
            return query_body(
                checkout_request_id,
                business_shortcode=self.account.business_shortcode,
                timestamp=signature.timestamp,
                password=signature.password,
            )

        return query_report(await self.app.ask(STK_QUERY_PATH, body, paced=True), checkout_request_id)

    async def register_pull(self, nominated: Msisdn, callback_url: str) -> None:
        """Have the account's payments listed for `pull_transactions`; once is enough, again is fine.

        Args:
            nominated: The phone number Safaricom has on file for the short code.
            callback_url: Demanded; nothing is known to be posted to it.

        Raises:
            InvalidError: The address breaks Safaricom's rules; nothing was sent.
            UnavailableError: No answer that says anything; try again later.
            RefusedError: Safaricom said no (product, short code, number, credentials); an operator must look.

        Source: Daraja, Pull Transactions, register.
        """
        check_address("callback_url", callback_url)
        body = pull_messages.register_body(self.account.business_shortcode, nominated, callback_url)
        pull_messages.check_registered(await self.app.ask(PULL_REGISTER_PATH, lambda _instant: body))

    async def pull_transactions(self, since: datetime, until: datetime) -> list[MoneyRecord]:
        """What customers paid to the account in a span of time, each receipt once, in the order told.

        By the short code that signs: of a till its store's, of a bank account not the bank's. Safaricom keeps its
        list for 48 hours, shows a payment some minutes late, and answers for a short code that is not registered as
        though nothing had been paid. Rows that cannot be read are left out and counted in the log.

        `paid_at` is sure where the row tells its zone as Nairobi's or not at all. Where it is marked as UTC, which
        is probably a mistake for Nairobi, it may be three hours early, unless the span decides: one reading
        that lies outside of it leaves the other.

        Args:
            since: Aware; told to the second.
            until: Aware, at most 48 hours later; told to the second.

        Raises:
            InvalidError: It is no such span; nothing was sent.
            UnavailableError: No whole list; ask again later, or with `pull.too_much` for a shorter span.
                `pull.failed` is Safaricom's failure to list, which it also tells where nothing was paid.
            RefusedError: Asking is refused (product, short code, credentials); an operator must look.

        Source: Daraja, Pull Transactions, query.
        """
        return await pull(self.app, self.account.business_shortcode, PullWindow(since, until))

    async def register_urls(self, confirmation_url: str, validation_url: str) -> None:
        """Have Daraja post the account's payments to an address, whoever began them; once per short code.

        Payments go through when validation does not answer.

        Raises:
            InvalidError: An address breaks Safaricom's rules; nothing was sent.
            UnavailableError: Daraja was not reached or too busy; nothing was registered.
            RefusedError: Daraja said no; `c2b.registered` where addresses are registered, and an operator has to
                have them removed first.
            OutcomeUnknownError: They may be registered; if so, the next try is refused with `c2b.registered`.

        Source: Daraja, Customer To Business, register URL, version 2.
        """
        check_address("confirmation_url", confirmation_url)
        check_address("validation_url", validation_url)
        body = c2b.register_body(self.account.business_shortcode, confirmation_url, validation_url)
        c2b.check_registered(await self.app.post(C2B_REGISTER_PATH, lambda _instant: body))

    async def dynamic_qr(self, *, merchant_name: str, reference: str, amount: Money, pixels: int) -> bytes:
        """A code that customers scan with the M-Pesa app to pay the account; it stays good, so it may be printed.

        Args:
            merchant_name: Shown to the payer, 1 to 50 characters.
            reference: The account the payment carries, 1 to 20 characters; a till does not keep it, and a bank
                account's number takes its place.
            amount: Whole shillings, as for a push.
            pixels: Width and height, 50 to 1000.

        Returns:
            A PNG.

        Raises:
            InvalidError: A limit is broken; nothing was sent.
            UnavailableError: No picture came; ask again later.
            RefusedError: Daraja said no (product, credentials, values); an operator must look.

        Source: Daraja, Dynamic QR.
        """
        body = qr_body(self.account, merchant_name=merchant_name, reference=reference, amount=amount, pixels=pixels)
        return qr_png(await self.app.ask(QR_PATH, lambda _instant: body, octets_max=QR_OCTETS_MAX))
