"""A payment gateway on Daraja: what a sale needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.adapters.daraja.answers import prompt_accepted, query_report
from easyisp_edge.adapters.daraja.messages import STK_PUSH_PATH, STK_QUERY_PATH, push_body, query_body
from easyisp_edge.adapters.daraja.push_rules import check_push
from easyisp_edge.domain.payments import Reason
from easyisp_edge.errors import OutcomeUnknownError, UnavailableError

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.adapters.daraja.app import DarajaApp
    from easyisp_edge.adapters.daraja.credentials import DarajaAccount
    from easyisp_edge.domain.payments import PaymentReport, PromptAccepted, StkPush


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

        try:
            answer = await self.app.post(STK_QUERY_PATH, body, paced=True)
        except OutcomeUnknownError as error:  # a question may be asked again
            raise UnavailableError(Reason.UNREACHABLE, error.message) from error
        return query_report(answer, checkout_request_id)
