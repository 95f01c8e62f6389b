from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.lab.daraja import Behaviour, DarajaOptions, Merchant, MerchantKind, Payer
from tests.fakes.daraja_stage import PHONE, daraja_stage

OTHER = "254110000001"


@pytest.mark.parametrize(
    ("act", "code", "debits"),
    [(Payer.PIN, "0", 1), (Payer.WRONG_PIN, "2001", 0), (Payer.CANCEL, "1032", 0)],
)
async def test_each_act_has_its_result(act: Payer, code: str, debits: int) -> None:
    """The right PIN pays, a wrong one is 2001, cancelling 1032; the prompt is gone after each."""
    async with daraja_stage() as stage:
        push = await stage.lab.act(await stage.pushed(), act)
        assert push.result is not None
        assert push.result.code == code
        assert len(stage.lab.debits) == debits
        assert stage.lab.prompts == []


async def test_a_prompt_expires_by_itself() -> None:
    """Unanswered for 60 s, ignored or not, a prompt ends in 1037 and frees its phone."""
    async with daraja_stage() as stage:
        ignored, unseen = await stage.pushed(), await stage.pushed(PhoneNumber=OTHER)
        await stage.lab.act(ignored, Payer.IGNORE)
        await stage.clock.advance(59)
        assert [prompt.ignored for prompt in stage.lab.prompts] == [True, False]
        assert (await stage.push(Amount=9)).error[2].startswith("Unable to lock subscriber")
        await stage.clock.advance(1)
        results = [stage.lab.push(push).result for push in (ignored, unseen)]
        assert [result and result.code for result in results] == ["1037", "1037"]
        assert [result and result.description for result in results] == ["DS timeout user cannot be reached"] * 2
        assert (await stage.push(Amount=9)).status == 200


async def test_an_ignored_prompt_can_still_be_answered() -> None:
    """Looking away is no answer: the PIN may follow while the prompt stands."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        await stage.lab.act(push, Payer.IGNORE)
        await stage.lab.enter_pin(push, "1234")
        assert len(stage.lab.debits) == 1


async def test_a_scripted_payer_takes_their_time() -> None:
    """The scripted act happens at its moment and not before; beyond the prompt's life it comes too late."""
    async with daraja_stage() as stage:
        stage.lab.set_behaviour("0708 374 149", Behaviour(payer=Payer.PIN, payer_after_seconds=30))
        stage.lab.set_behaviour(OTHER, Behaviour(payer=Payer.PIN, payer_after_seconds=90))
        await stage.pushed()
        late = await stage.pushed(PhoneNumber=OTHER)
        await stage.clock.advance(29)
        assert stage.lab.debits == []
        await stage.clock.advance(1)
        assert [debit.phone for debit in stage.lab.debits] == [PHONE]
        await stage.clock.advance(90)
        assert stage.lab.push(late).result.code == "1037"  # type: ignore[union-attr]


async def test_a_person_overtakes_the_script() -> None:
    """Whoever acts first decides."""
    async with daraja_stage(DarajaOptions.unhurried(Behaviour(payer=Payer.PIN, payer_after_seconds=30))) as stage:
        push = await stage.pushed()
        await stage.lab.act(push, Payer.CANCEL)
        await stage.clock.advance(60)
        assert stage.lab.push(push).result.code == "1032"  # type: ignore[union-attr]
        assert stage.lab.debits == []


async def test_acts_need_an_open_prompt() -> None:
    """Nobody can answer a prompt twice or one that never was, nor do what phones cannot."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        outcomes = await asyncio.gather(stage.lab.enter_pin(push), stage.lab.enter_pin(push), return_exceptions=True)
        assert isinstance(outcomes[1], ConflictError)
        assert len(stage.lab.debits) == 1
        with pytest.raises(NotFoundError):
            await stage.lab.enter_pin(push)
        with pytest.raises(InvalidError):
            await stage.lab.act(push, Payer.NO_MONEY)


async def test_wait_for_prompt_returns_when_it_opens() -> None:
    """A test can wait for the phone to ring."""
    async with daraja_stage() as stage:
        waiting = asyncio.ensure_future(stage.lab.wait_for_prompt("0708374149"))
        push = await stage.pushed()
        async with asyncio.timeout(1):
            assert (await waiting).push.checkout_request_id == push


async def test_the_next_push_is_scripted_before_the_phone() -> None:
    """A queued behaviour is used once, then the phone's own, then the default."""
    async with daraja_stage(DarajaOptions.unhurried(Behaviour(payer=Payer.CANCEL))) as stage:
        stage.lab.set_behaviour(PHONE, Behaviour(payer=Payer.WRONG_PIN))
        stage.lab.next_pushes(Behaviour(payer=Payer.NO_MONEY))
        codes = []
        for again in range(3):
            if again == 2:
                stage.lab.set_behaviour(PHONE, None)
            push = await stage.pushed()
            await stage.lab.quiet()
            codes.append(stage.lab.push(push).result.code)  # type: ignore[union-attr]
        assert codes == ["1", "2001", "1032"]


async def test_money_is_debited_exactly_when_it_suffices() -> None:
    """The ledger holds one debit per payment, the balance falls by it, and an empty phone fails with 1."""
    async with daraja_stage(DarajaOptions.unhurried(Behaviour(payer=Payer.PIN))) as stage:
        stage.lab.set_balance(PHONE, 120)
        pushes = []
        for _ in range(3):
            pushes.append(await stage.pushed())
            await stage.lab.quiet()
        results = [stage.lab.push(push).result for push in pushes]
        assert [result and result.code for result in results] == ["0", "0", "1"]
        assert stage.lab.balance_shillings(PHONE) == 20
        assert stage.lab.balance_shillings(OTHER) == 5_000
        assert [(debit.checkout_request_id, debit.balance_after_shillings) for debit in stage.lab.debits] == [
            (pushes[0], 70),
            (pushes[1], 20),
        ]
        debit = stage.lab.debits[0]
        assert (debit.phone, debit.shillings, debit.short_code) == (PHONE, 50, "174379")
        assert debit.account_reference == "ABC123"
        assert debit.at == datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
        assert len({debit.receipt for debit in stage.lab.debits}) == 2
        assert stage.lab.messages(PHONE)[-1].text.startswith("Failed.")


async def test_limits_of_m_pesa() -> None:
    """More than 250,000 at once is 3; more than 500,000 on a Nairobi day is 4, and the next day is new."""
    async with daraja_stage(DarajaOptions.unhurried(Behaviour(payer=Payer.PIN))) as stage:
        stage.lab.set_balance(PHONE, 2_000_000)
        codes = []
        for amount in (250_001, 250_000, 250_000, 1):
            push = await stage.pushed(Amount=amount)
            await stage.lab.quiet()
            codes.append(stage.lab.push(push).result.code)  # type: ignore[union-attr]
        assert codes == ["3", "0", "0", "4"]
        stage.token = ""
        await stage.clock.advance(timedelta(hours=15).total_seconds())  # midnight in Nairobi
        push = await stage.pushed(Amount=1)
        await stage.lab.quiet()
        assert stage.lab.push(push).result.paid  # type: ignore[union-attr]


async def test_every_push_is_on_record_with_its_fields() -> None:
    """Refused or taken, the ledger has what came, when, and what was said."""
    async with daraja_stage() as stage:
        await stage.push(Amount=0)
        push = await stage.pushed(AccountReference="XYZ9")
        refused, taken = stage.lab.pushes
        assert refused.answer == "400 400.002.02 Bad Request - Invalid Amount"
        assert refused.fields["Amount"] == 0
        assert taken.fields["AccountReference"] == "XYZ9"
        assert taken.accepted is stage.lab.push(push)
        assert taken.at == stage.clock.now()


TILL = Merchant(
    "600200", "passkey", "lab-key", "lab-secret", name="MAMA NET", kind=MerchantKind.BUYGOODS, till="5000001"
)


async def test_the_paybill_message() -> None:
    """The PayBill form names the account and has no full stop before the balance."""
    async with daraja_stage() as stage:
        push = await stage.pushed(Amount=1200)
        prompt = stage.lab.prompt_on(PHONE)
        assert prompt is not None
        assert prompt.text == "Do you want to pay Ksh 1,200 to EASYISP LAB Account no. ABC123?"
        await stage.lab.enter_pin(push)
        receipt = stage.lab.debits[0].receipt
        (message,) = stage.lab.messages(PHONE)
        assert message.text == (
            f"{receipt} Confirmed. Ksh1,200.00 sent to EASYISP LAB for account ABC123 on 21/11/26 at 9:00 AM "
            "New M-PESA balance is Ksh3,800.00. Transaction cost, Ksh0.00."
            "Amount you can transact within the day is 498,800.00."
        )


async def test_the_till_message() -> None:
    """The till form names the shop, with a full stop, and no account."""
    async with daraja_stage(merchants=(TILL,)) as stage:
        push = await stage.pushed(TransactionType="CustomerBuyGoodsOnline", PartyB="5000001")
        await stage.lab.enter_pin(push)
        assert stage.lab.debits[0].party_b == "5000001"
        assert stage.lab.messages(PHONE)[0].text.startswith(
            f"{stage.lab.debits[0].receipt} Confirmed. Ksh50.00 paid to MAMA NET. on 21/11/26 at 9:00 AM."
            "New M-PESA balance is Ksh4,950.00."
        )


def test_behaviours_that_mean_nothing_are_refused() -> None:
    """A result without a code, a code without a result, success as a failure, negative waits: all refused."""
    for wrong in (
        {"payer": Payer.RESULT},
        {"result_code": "1032"},
        {"payer": Payer.RESULT, "result_code": "0"},
        {"goes_through": True},
        {"payer_after_seconds": -1.0},
    ):
        with pytest.raises(InvalidError):
            Behaviour(**wrong)
