"""Whatever M-Pesa answers: the page says the right thing, and nothing is given up that may still be paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.lab.daraja import (
    Behaviour,
    CallbackHandling,
    DarajaOptions,
    Fault,
    Payer,
    QueryAnswer,
    QueryHandling,
)
from tests.whole.stage import MAC, OTHER_MAC, PHONE, Stage

if TYPE_CHECKING:
    from pathlib import Path

LOST = CallbackHandling(copies=0)


def behaving(behaviour: Behaviour) -> DarajaOptions:
    """Options under which every push behaves so."""
    return DarajaOptions.unhurried(behaviour)


@pytest.mark.parametrize(
    ("behaviour", "reason", "words"),
    [
        (Behaviour(payer=Payer.CANCEL), "cancelled", "The payment was cancelled"),
        (Behaviour(payer=Payer.WRONG_PIN), "wrong_pin", "The PIN was wrong"),
        (Behaviour(payer=Payer.NO_MONEY), "no_money", "Not enough money"),
        (Behaviour(payer=Payer.RESULT, result_code="1037"), "no_answer", "Your phone did not answer"),
        (Behaviour(payer=Payer.RESULT, result_code="1001"), "prompt_open", "The phone is busy"),
        (Behaviour(payer=Payer.RESULT, result_code="2040"), "not_registered", "has no M-Pesa"),
        (Behaviour(payer=Payer.RESULT, result_code="SFC_IC0003"), "configuration", "do not work here"),
        (Behaviour(fault=Fault.SUBSCRIBER_LOCKED), "prompt_open", "The phone is busy"),
        (Behaviour(fault=Fault.SYSTEM_BUSY), "busy", "very busy"),
        (Behaviour(fault=Fault.APIGEE_SPIKE_ARREST), "busy", "very busy"),
        (Behaviour(fault=Fault.WRONG_CREDENTIALS), "configuration", "do not work here"),
        (Behaviour(fault=Fault.MERCHANT_DOES_NOT_EXIST), "configuration", "do not work here"),
    ],
)
async def test_a_failure_is_said_in_words(tmp_path: Path, behaviour: Behaviour, reason: str, words: str) -> None:
    """Each certain no, late or at once, becomes its own reason, in the page's words, with a way on."""
    async with Stage(tmp_path, daraja_options=behaving(behaviour)) as stage:
        purchase_id = await stage.buy()
        status = await stage.until_status(purchase_id, "failed")
        assert status["code"] == reason
        _, page = await stage.get(f"/p/{purchase_id}")
        assert words in page
        assert 'href="/buy?package=1h' in page
        assert not stage.router.is_online(MAC)
        assert await stage.count("payments") == 0


@pytest.mark.parametrize(
    "fault",
    [Fault.INTERNAL_ERROR, Fault.MAINTENANCE, Fault.HTML_200, Fault.HTML_503, Fault.EMPTY_500, Fault.RESET],
)
@pytest.mark.parametrize("goes_through", [True, False])
async def test_a_push_whose_answer_is_lost_is_unknown_and_never_sent_again(
    tmp_path: Path,
    fault: Fault,
    *,
    goes_through: bool,
) -> None:
    """HTML, an empty body, a reset: not failed, not pushed twice; if a prompt came and is paid, it grants."""
    options = behaving(Behaviour(fault=fault, goes_through=goes_through))
    async with Stage(tmp_path, daraja_options=options) as stage:
        purchase_id = await stage.buy()
        status = await stage.until_status(purchase_id, "pending")
        assert status["step"] == "unknown"
        _, page = await stage.get(f"/p/{purchase_id}")
        assert "Look at your phone" in page
        assert await stage.buy() == purchase_id
        assert len(stage.daraja.pushes) == 1
        if goes_through:
            await stage.pay()
            await stage.until_online(seconds=3)
            assert (await stage.status(purchase_id))["status"] == "completed"
        else:
            assert await stage.count("payments") == 0


async def test_a_push_without_an_answer_in_time_leaves_the_page_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Daraja says nothing at all, the customer has a page; a payment meanwhile grants."""
    monkeypatch.setattr("easyisp_edge.daemon.life.PUSHES_FINISH_SECONDS", 0.5)
    monkeypatch.setattr("easyisp_edge.services.money.purchase.ANSWER_WAIT_SECONDS", 1.0)
    options = behaving(Behaviour(fault=Fault.NEVER, goes_through=True))
    async with Stage(tmp_path, daraja_options=options) as stage:
        purchase_id = await stage.buy()
        assert (await stage.status(purchase_id))["status"] == "pending"
        await stage.pay()
        await stage.until_online(seconds=3)
        assert len(stage.daraja.pushes) == 1


@pytest.mark.parametrize(
    "answers",
    [
        (QueryAnswer.PENDING_ERROR, QueryAnswer.PENDING_4999),
        (QueryAnswer.PENDING_INVALID_ID,),
        (Fault.APIGEE_SPIKE_ARREST,),
        (Fault.HTML_503,),
        (Fault.EMPTY_500,),
    ],
)
async def test_a_query_that_does_not_know_yet_fails_nothing(
    tmp_path: Path, answers: tuple[QueryAnswer | Fault, ...]
) -> None:
    """4999, "being processed", 429, HTML: the purchase stays open, and the next answer counts."""
    behaviour = Behaviour(payer=Payer.PIN, payer_after_seconds=0.1, callback=LOST, query=QueryHandling(first=answers))
    async with Stage(tmp_path, daraja_options=behaving(behaviour)) as stage:
        purchase_id = await stage.buy()
        await stage.until(lambda: stage.daraja.debits, seconds=3, what="the money taken")
        parts = stage.daemon.parts

        def is_put_off() -> bool:
            purchase = parts.store.read.purchases.by_id(purchase_id)
            return purchase is not None and purchase.query_at is not None and purchase.query_at > parts.clock.now()

        for asked in range(1, len(answers) + 2):
            await stage.until(is_put_off, seconds=10, what="the answer before taken in")
            assert (await stage.status(purchase_id))["status"] == "pending"
            stage.time.move(30)
            stage.daemon.parts.settlement.query_due()
            await stage.until(
                lambda wanted=asked: stage.daraja.accepted[0].queries >= wanted,  # type: ignore[misc]
                seconds=15,
                what=f"query {asked}",
            )
        await stage.until_online(seconds=3)
        assert await stage.count("grants") == 1


async def test_a_query_that_says_failed_does_not_undo_a_payment(tmp_path: Path) -> None:
    """The callback says paid, a query says failed: paid it stays."""
    behaviour = Behaviour(query=QueryHandling(then=QueryAnswer.FAILED_ALTHOUGH_PAID))
    async with Stage(tmp_path, daraja_options=behaving(behaviour)) as stage:
        purchase_id = await stage.buy()
        await stage.pay()
        await stage.until_status(purchase_id, "completed")
        stage.time.move(60)
        stage.daemon.parts.settlement.query_due()
        assert (await stage.status(purchase_id))["status"] == "completed"


async def test_a_success_forty_minutes_after_a_failure_grants(tmp_path: Path) -> None:
    """First 1037, then, forty minutes later, the money: it wins, by callback."""
    options = behaving(Behaviour(payer=Payer.RESULT, result_code="1037"))
    async with Stage(tmp_path, daraja_options=options) as stage:
        purchase_id = await stage.buy()
        await stage.until_status(purchase_id, "failed")
        stage.time.move(2400)
        stage.daraja.succeed_late(stage.daraja.accepted[0].checkout_request_id)
        await stage.until_online(seconds=3)
        assert (await stage.status(purchase_id))["status"] == "completed"


async def test_a_late_success_is_found_without_callbacks_too(tmp_path: Path) -> None:
    """What was said to have failed is looked at again, rarely: a payment after all is found by query alone."""
    options = behaving(Behaviour(payer=Payer.RESULT, result_code="1037", callback=LOST))
    async with Stage(tmp_path, daraja_options=options) as stage:
        purchase_id = await stage.buy()
        stage.time.move(60)
        stage.daemon.parts.settlement.query_due()
        await stage.until_status(purchase_id, "failed", seconds=10)
        stage.daraja.succeed_late(stage.daraja.accepted[0].checkout_request_id)
        stage.time.move(400)
        stage.daemon.parts.settlement.query_due()
        await stage.until_online(seconds=10)


async def test_an_ignored_prompt_expires_and_is_still_honoured(tmp_path: Path) -> None:
    """No word for five minutes: the page stops promising; a callback after that grants."""
    options = behaving(Behaviour(callback=LOST, query=QueryHandling(then=QueryAnswer.PENDING_ERROR)))
    async with Stage(tmp_path, daraja_options=options) as stage:
        purchase_id = await stage.buy()
        await stage.pay()
        stage.time.move(301)
        await stage.daemon.parts.settlement.expire_round()
        assert (await stage.status(purchase_id))["status"] == "expired"
        _, page = await stage.get(f"/p/{purchase_id}")
        assert "Still waiting for M-Pesa" in page
        await stage.daraja.send_callback(stage.daraja.accepted[0].checkout_request_id)
        await stage.until_online(seconds=3)


async def test_a_callback_may_overtake_the_answer_to_its_push(tmp_path: Path) -> None:
    """The result comes before the push is answered, and comes again: one payment, one grant."""
    behaviour = Behaviour(
        payer=Payer.PIN, callback=CallbackHandling(before_answer=True, copies=3), answer_after_seconds=0.3
    )
    async with Stage(tmp_path, daraja_options=behaving(behaviour)) as stage:
        purchase_id = await stage.buy()
        await stage.until_status(purchase_id, "completed")
        await stage.until_online()
        await stage.until(lambda: len(stage.daraja.callbacks) == 3, seconds=3, what="three callbacks")
        assert {callback.status for callback in stage.daraja.callbacks} == {200}
        assert (await stage.count("payments"), await stage.count("grants")) == (1, 1)


async def test_one_phone_is_never_prompted_twice_at_once(tmp_path: Path) -> None:
    """Two taps, two tabs, a reload: one purchase; a second device, or another package, is told to wait."""
    async with Stage(tmp_path) as stage:
        first = await stage.buy(purchaseId="0" * 32)
        assert await stage.buy(purchaseId="0" * 32) == first  # a reload sends the same
        assert await stage.buy(purchaseId="1" * 32) == first  # another tab makes its own id
        busy = await stage.initiate(expect=409, macAddress=OTHER_MAC)
        assert busy["code"] == "purchase.phone_busy"
        assert 0 < busy["seconds"] <= 120
        await stage.initiate(expect=409, packageId="1d")
        assert len(stage.daraja.pushes) == 1
        assert await stage.count("purchases") == 1
        await stage.pay()
        await stage.until_online()
        assert len([debit for debit in stage.daraja.debits if debit.phone.endswith(PHONE[1:])]) == 1


async def test_a_token_that_died_costs_the_customer_nothing(tmp_path: Path) -> None:
    """A token refused in the middle of the day is fetched anew, once, and the push goes through."""
    async with Stage(tmp_path) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online()
        stage.daraja.expire_tokens()
        stage.time.move(60)
        await stage.buy(packageId="1d")
        await stage.pay()
        await stage.until(lambda: len(stage.daraja.debits) == 2, seconds=3, what="the second payment")
