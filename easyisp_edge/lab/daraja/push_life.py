"""The life of an accepted push: prompt, payer, money, result, callback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.errors import ConflictError
from easyisp_edge.lab.daraja.behaviour import Payer, result_of_act
from easyisp_edge.lab.daraja.ledger import AcceptedPush, Payment
from easyisp_edge.lab.daraja.results import PAID, PROMPT_TOO_LONG, RULE_LIMITED, UNREACHABLE, Result
from easyisp_edge.lab.daraja.sms import PROMPT_LENGTH_MAX, prompt_text

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.background import Background
    from easyisp_edge.lab.daraja.behaviour import Behaviour
    from easyisp_edge.lab.daraja.callbacks import CallbackSender
    from easyisp_edge.lab.daraja.identifiers import Identifiers
    from easyisp_edge.lab.daraja.ledger import Ledger
    from easyisp_edge.lab.daraja.merchants import Merchant
    from easyisp_edge.lab.daraja.options import DarajaOptions
    from easyisp_edge.lab.daraja.prompts import Prompt, Prompts
    from easyisp_edge.lab.daraja.push_request import PushRequest
    from easyisp_edge.lab.daraja.receivers import Receivers
    from easyisp_edge.lab.daraja.teller import Teller
    from easyisp_edge.machine import Clock


class PushLife:
    """Takes accepted pushes through to their end, each in a background task of its own."""

    def __init__(
        self,
        *,
        clock: Clock,
        options: DarajaOptions,
        ledger: Ledger,
        identifiers: Identifiers,
        prompts: Prompts,
        callbacks: CallbackSender,
        background: Background,
        teller: Teller,
        receivers: Receivers,
    ) -> None:
        self._clock = clock
        self._options = options
        self._ledger = ledger
        self._identifiers = identifiers
        self._prompts = prompts
        self._callbacks = callbacks
        self._background = background
        self._teller = teller
        self._receivers = receivers
        # By phone and shillings, on the monotonic clock.
        self._last_prompted: dict[tuple[str, int], float] = {}

    def begin(self, request: PushRequest, merchant: Merchant, behaviour: Behaviour) -> AcceptedPush:
        """Take the push: give it its ids and, where nothing stands against it, open its prompt."""
        at = self._clock.now()
        push = AcceptedPush(
            request=request,
            merchant=merchant,
            behaviour=behaviour,
            merchant_request_id=self._identifiers.request_id(),
            checkout_request_id=self._identifiers.checkout_request_id(at, request.phone),
            at=at,
            started=self._clock.monotonic(),
        )
        refusal = self._late_refusal(push)
        prompt = self._show(push) if refusal is None else None
        self._ledger.was_accepted(push)
        self._background.start(self._live(push, prompt, refusal), name=f"push {push.checkout_request_id}")
        return push

    def succeed_late(self, push: AcceptedPush) -> None:
        """Turn a failure into a payment: the PIN was right after all.

        Raises:
            ConflictError: There is no failure to turn, or the money does not suffice.
        """
        if push.result is None or push.result.paid:
            raise ConflictError("lab.late_success", "Only a push that has failed can succeed late.")
        result = self._take_money(push)
        if not result.paid:
            raise ConflictError("lab.late_success", f"M-Pesa would refuse it: {result.description}")
        self._settle(push, result)
        self._background.start(self._callbacks.tell(push), name=f"late callback {push.checkout_request_id}")

    async def _live(self, push: AcceptedPush, prompt: Prompt | None, refusal: Result | None) -> None:
        if prompt is not None:
            result = self._result(push, await self._prompts.outcome(prompt))
        else:
            await self._clock.sleep(self._options.refusal_after_seconds)
            result = refusal or Result.of(UNREACHABLE)
        self._settle(push, result)
        await self._tell(push)
        await self._maybe_succeed_late(push)

    async def _tell(self, push: AcceptedPush) -> None:
        if not push.behaviour.callback.before_answer:
            await push.answered.wait()
        try:
            await self._callbacks.tell(push)
        finally:
            push.told.set()

    async def _maybe_succeed_late(self, push: AcceptedPush) -> None:
        after_seconds = push.behaviour.late_success_after_seconds
        if after_seconds is None or push.result is None or push.result.paid:
            return
        await self._clock.sleep(after_seconds)
        try:
            self.succeed_late(push)
        except ConflictError:  # somebody commanded it meanwhile, or the money is gone
            return

    def _late_refusal(self, push: AcceptedPush) -> Result | None:
        request = push.request
        code = push.merchant.late_refusal(request.transaction_type, request.party_b)
        if code is None and len(prompt_text(push)) > PROMPT_LENGTH_MAX:
            code = PROMPT_TOO_LONG
        if code is None and self._is_rule_limited(request):
            code = RULE_LIMITED
        return None if code is None else Result.of(code)

    def _show(self, push: AcceptedPush) -> Prompt:
        self._last_prompted[push.request.phone, push.request.shillings] = push.started
        return self._prompts.show(push)

    def _is_rule_limited(self, request: PushRequest) -> bool:
        window_seconds = self._options.rule_limit_seconds
        last = self._last_prompted.get((request.phone, request.shillings))
        return window_seconds is not None and last is not None and self._clock.monotonic() - last < window_seconds

    def _result(self, push: AcceptedPush, act: Payer) -> Result:
        if act is Payer.PIN:
            return self._take_money(push)
        if act is Payer.IGNORE:
            return Result.of(UNREACHABLE)
        scripted = push.behaviour.scripted_result if act is push.behaviour.payer else result_of_act(act)
        return scripted or Result.of(UNREACHABLE)

    def _take_money(self, push: AcceptedPush) -> Result:
        """The right PIN was entered: debit, unless a limit or the balance stands against it."""
        request = push.request
        refusal = self._teller.refusal(request.phone, request.shillings)
        if refusal is not None:
            return refusal
        payment = Payment(
            phone=request.phone,
            shillings=request.shillings,
            receiver=self._receivers.of_push(push.merchant, request.party_b),
            account_reference=request.account_reference,
            short_code=request.credentials.short_code,
            checkout_request_id=push.checkout_request_id,
        )
        self._teller.take(payment)
        return Result.of(PAID)

    def _settle(self, push: AcceptedPush, result: Result) -> None:
        push.result, push.result_at = result, self._clock.now()
        self._teller.tell_failure(result.code, push.request.phone, push.request.shillings, push.receiver_name)
        push.settled.set()
