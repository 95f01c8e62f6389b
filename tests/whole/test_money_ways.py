"""Money by every way there is: from the menu by pay code, to a till, twice, too much, too little. None is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import load_config
from easyisp_edge.domain.pay_codes import LETTERS
from easyisp_edge.lab.daraja import (
    Behaviour,
    CallbackHandling,
    DarajaOptions,
    Fault,
    NoticeHandling,
    PullHandling,
    PullMsisdn,
    QueryHandling,
    TrxZone,
)
from easyisp_edge.services.money.sweep import QUERIES_LATE
from tests.whole.money_stage import (
    ANY_NUMBER_OF_PROMPTS,
    PAYBILL_BOTH,
    PAYBILL_LISTED,
    PAYBILL_TOLD,
    TILL,
    TILL_LISTED,
    MoneyStage,
)
from tests.whole.stage import MAC, OTHER_MAC, OTHER_PHONE, PHONE
from tests.whole.wire_tap import QUERY, Moment, WireTap

if TYPE_CHECKING:
    from pathlib import Path

TOLD = {"gateways.toml": PAYBILL_TOLD}
FIRST_QUERY_SECONDS = 8
LISTED = {"gateways.toml": PAYBILL_LISTED}
BOTH = {"gateways.toml": PAYBILL_BOTH}
NOTHING_HEARD = Behaviour(callback=CallbackHandling(copies=0), query=QueryHandling(then=Fault.INTERNAL_ERROR))
QUERY_SAYS_PAID = "source = 'stk_query' AND outcome = 'paid'"
TILL_FILES = {"gateways.toml": TILL_LISTED, "edge.toml": ANY_NUMBER_OF_PROMPTS}


def till_site(folder: Path, behaviour: Behaviour = NOTHING_HEARD) -> MoneyStage:
    """A site that is paid on a till, of whose pushes nothing is heard unless the behaviour says otherwise."""
    options = DarajaOptions.unhurried(behaviour)
    return MoneyStage(folder, merchants=(TILL,), files=TILL_FILES, daraja_options=options)


def misread(code: str) -> str:
    """The code with one character read as its neighbour."""
    return code[:-1] + LETTERS[(LETTERS.index(code[-1]) + 1) % len(LETTERS)]


class TestPayCode:
    @pytest.mark.parametrize("prompt", [False, True])
    async def test_paid_from_the_menu_and_told_by_confirmation(self, tmp_path: Path, prompt: bool) -> None:  # noqa: FBT001 - a parameter
        """Offered, or prompted and then paid from the menu instead: online within 2 s of the money."""
        async with MoneyStage(tmp_path, files=TOLD) as stage:
            await stage.have_told()
            started = await stage.initiate(prompt=prompt)
            debit = await stage.pay_from_menu(started)
            took = await stage.until_online(seconds=2)
            done = await stage.until_status(started["checkoutRequestId"], "completed", seconds=2 - took)
            assert done["transactionCode"] == debit.receipt
            assert len(stage.daraja.pushes) == int(prompt)

    @pytest.mark.parametrize("zone", TrxZone)
    async def test_the_list_alone_suffices(self, tmp_path: Path, zone: TrxZone) -> None:
        """Without confirmations, the list of transactions brings the money, however it writes the time."""
        async with MoneyStage(tmp_path, files=LISTED) as stage:
            stage.daraja.set_pull(PullHandling(zone=zone))
            started = await stage.offer()
            debit = await stage.pay_from_menu(started)
            stage.read_lists()
            await stage.until_online(seconds=3)
            assert (await stage.status(started["checkoutRequestId"]))["transactionCode"] == debit.receipt

    @pytest.mark.parametrize("typed", ["{0}-{1}", "{0} {1}", " {0}.{1} ", "{0}{1}"])
    async def test_as_people_type_it(self, tmp_path: Path, typed: str) -> None:
        """Small letters, blanks, a dash or a full stop, from somebody else's phone: it is the same code."""
        async with MoneyStage(tmp_path, files=TOLD) as stage:
            await stage.have_told()
            started = await stage.offer()
            code = started["menu"]["account"].lower()
            await stage.pay_from_menu(started, OTHER_PHONE, account=typed.format(code[:3], code[3:]))
            await stage.until_online(seconds=2)

    async def test_a_wrong_character_from_the_same_phone_is_found_by_the_payer(self, tmp_path: Path) -> None:
        """The confirmation masks the payer; with the amount and the time that names one purchase."""
        async with MoneyStage(tmp_path, files=TOLD) as stage:
            await stage.have_told()
            started = await stage.offer()
            await stage.pay_from_menu(started, account=misread(started["menu"]["account"]))
            await stage.until_online(seconds=2)

    async def test_a_wrong_character_from_another_phone_is_kept_until_it_is_claimed(self, tmp_path: Path) -> None:
        """Money that names nobody waits unmatched, grants nothing, and is the claimant's who knows its receipt."""
        async with MoneyStage(tmp_path, files=TOLD) as stage:
            await stage.have_told()
            started = await stage.offer()
            debit = await stage.pay_from_menu(started, OTHER_PHONE, account=misread(started["menu"]["account"]))
            await stage.until_count("payments", 1, "disposition = 'unmatched'")
            assert await stage.count("grants") == 0
            assert not stage.router.is_online(MAC)
            done = await stage.paste(debit.receipt)
            assert (done["status"], done["transactionCode"]) == ("completed", debit.receipt)
            await stage.until_online(seconds=2)
            # It was the device's own purchase all the while: that is answered with it, and pays for nothing else.
            assert (await stage.status(started["checkoutRequestId"]))["status"] == "completed"
            assert await stage.count("grants") == 1

    async def test_a_confirmation_told_twice_and_listed_books_once(self, tmp_path: Path) -> None:
        """Two copies of the confirmation, and the list twice: one payment, one grant, one event of each."""
        async with MoneyStage(tmp_path, files=BOTH) as stage:
            await stage.have_told()
            stage.daraja.next_notices(NoticeHandling(copies=2))
            await stage.pay_from_menu(await stage.offer())
            await stage.until_online(seconds=2)
            for _ in range(2):
                read = stage.daemon.parts.store.read.gateways.by_id("paybill")
                stage.read_lists()

                def is_read(before: object = read) -> bool:
                    return stage.daemon.parts.store.read.gateways.by_id("paybill") != before

                await stage.until(is_read, seconds=3, what="the list read")
            await stage.daraja.quiet()
            assert await stage.count("payments") == await stage.count("grants") == 1
            assert await stage.count("events", "type IN ('payment.booked', 'grant.made')") == 2


class TestTill:
    @pytest.mark.parametrize("msisdn", PullMsisdn)
    async def test_a_row_is_matched_by_payer_and_amount(self, tmp_path: Path, msisdn: PullMsisdn) -> None:
        """Callback and every query lost, no pay code on a till: the list's row finds the purchase, masked or not."""
        async with till_site(tmp_path) as stage:
            stage.daraja.set_pull(PullHandling(msisdn=msisdn, no_till_reference=True))
            purchase_id = await stage.buy()
            await stage.pay()
            stage.read_lists()
            await stage.until_online(seconds=3)
            done = await stage.until_status(purchase_id, "completed")
            assert done["transactionCode"] == stage.daraja.debits[0].receipt

    async def test_from_the_menu_without_any_prompt(self, tmp_path: Path) -> None:
        """Offered on a till, where no code can be typed: the same, by the number that was given."""
        async with till_site(tmp_path) as stage:
            offered = await stage.offer()
            assert (offered["menu"]["kind"], offered["menu"]["number"]) == ("till", "512345")
            assert "account" not in offered["menu"]
            await stage.pay_from_menu(offered)
            stage.read_lists()
            await stage.until_online(seconds=3)

    async def test_a_confirmation_is_matched_by_the_masked_payer(self, tmp_path: Path) -> None:
        """Told by confirmation: online within 2 s of the money, though the number is masked and there is no code."""
        files = {"gateways.toml": TILL_LISTED.partition("[gateway.pull]")[0] + "c2b = true\n"}
        async with MoneyStage(tmp_path, merchants=(TILL,), files=files) as stage:
            await stage.have_told("till")
            await stage.pay_from_menu(await stage.offer())
            await stage.until_online(seconds=2)

    async def test_another_amount_or_payer_is_nobodys(self, tmp_path: Path) -> None:
        """A row of another phone, or of another amount, settles nothing: both wait unmatched."""
        async with till_site(tmp_path) as stage:
            offered = await stage.offer()
            await stage.pay_from_menu(offered, OTHER_PHONE)
            await stage.pay_from_menu(offered, shillings=11)
            stage.read_lists()
            await stage.until_count("payments", 2, "disposition = 'unmatched'")
            assert await stage.count("grants") == 0

    async def test_two_purchases_of_one_phone_and_amount_are_both_paid(self, tmp_path: Path) -> None:
        """Two devices paid for from one phone, the same amount, nothing heard: two rows, both devices online."""
        async with till_site(tmp_path) as stage:
            await stage.buy()
            await stage.pay()
            stage.time.move(125)  # M-Pesa takes no second equal amount sooner
            await stage.buy(macAddress=OTHER_MAC)
            await stage.pay()
            stage.read_lists()
            await stage.until_online(MAC, seconds=3)
            await stage.until_online(OTHER_MAC, seconds=3)
            assert await stage.count("payments") == await stage.count("grants") == 2

    @pytest.mark.parametrize("paid_first", [True, False])
    async def test_of_two_purchases_one_is_paid(self, tmp_path: Path, paid_first: bool) -> None:  # noqa: FBT001 - a parameter
        """Two prompts of one amount, one paid, its row listed before the query answers: one of them is granted.

        Which of the two a till's row was for, nothing in it tells; the query's word for the other is no more money.
        """
        deaf = Behaviour(callback=CallbackHandling(copies=0), query=QueryHandling(first=(Fault.INTERNAL_ERROR,) * 3))
        async with till_site(tmp_path, deaf) as stage:
            first = await stage.buy()
            if paid_first:
                await stage.pay()
            else:
                prompt = await asyncio.wait_for(stage.daraja.wait_for_prompt(PHONE), 5)
                await stage.daraja.enter_pin(prompt.push.checkout_request_id, "0000")
            stage.time.move(125)
            second = await stage.buy(macAddress=OTHER_MAC)
            prompt = await asyncio.wait_for(stage.daraja.wait_for_prompt(PHONE), 5)
            await stage.daraja.enter_pin(prompt.push.checkout_request_id, "0000" if paid_first else None)
            stage.read_lists()
            await stage.until_count("payments", 1)

            async def is_answered() -> bool:
                stage.time.move(30)
                stage.daemon.parts.bells.ring_queries()
                await asyncio.sleep(0.05)
                # Three answers are errors. What is settled already nobody asks about any more.
                states = {(await stage.status(each))["status"] for each in (first, second)}
                return "pending" not in states or await stage.count("evidence", QUERY_SAYS_PAID) > 0

            await stage.until(is_answered, seconds=10, what="the query's word")
            assert len(stage.daraja.debits) == 1
            assert await stage.count("grants") == await stage.count("payments", "disposition <> 'merged'") == 1


class TestTwice:
    @pytest.mark.parametrize("prompt_first", [True, False])
    async def test_the_second_success_is_credit(self, tmp_path: Path, prompt_first: bool) -> None:  # noqa: FBT001 - a parameter
        """Paid by prompt and from the menu, in either order: the first buys, the second waits in the wallet."""
        async with MoneyStage(tmp_path, files=TOLD) as stage:
            await stage.have_told()
            started = await stage.initiate()
            if prompt_first:
                await stage.pay()
                await stage.until_online(seconds=2)
                await stage.pay_from_menu(started)
            else:
                await stage.pay_from_menu(started)
                await stage.until_online(seconds=2)
                await stage.pay()
            await stage.until_count("payments", 2)
            assert await stage.count("payments", "disposition = 'grant'") == 1
            assert await stage.count("payments", "disposition = 'wallet'") == 1
            assert await stage.count("grants") == 1
            assert await stage.wallet_shillings() == 10

    async def test_the_credit_buys_the_next(self, tmp_path: Path) -> None:
        """What came in twice is not lost: pasted again, the second receipt buys another hour."""
        async with MoneyStage(tmp_path, files=TOLD) as stage:
            await stage.have_told()
            started = await stage.initiate()
            await stage.pay()
            await stage.until_online(seconds=2)
            again = await stage.pay_from_menu(started)
            await stage.until_count("payments", 2)
            done = await stage.paste(again.receipt)
            assert done["status"] == "completed"
            assert await stage.count("grants") == 2
            assert await stage.wallet_shillings() == 0

    async def test_all_ways_at_once_with_everything_told_late(self, tmp_path: Path) -> None:
        """Callback lost, confirmation lost, query deaf: the list tells both payments, and both are booked."""
        options = DarajaOptions.unhurried(NOTHING_HEARD)
        async with MoneyStage(tmp_path, files=BOTH, daraja_options=options) as stage:
            await stage.have_told()
            started = await stage.initiate()
            stage.daraja.next_notices(NoticeHandling(copies=0), NoticeHandling(copies=0))
            await stage.pay()
            await stage.pay_from_menu(started)
            stage.read_lists()
            await stage.until_online(seconds=3)
            await stage.until_count("payments", 2)
            assert await stage.wallet_shillings() == 10


class TestOtherAmounts:
    async def test_the_rest_is_in_the_wallet(self, tmp_path: Path) -> None:
        """More than the price buys the package, and what is too much stays the customer's."""
        async with MoneyStage(tmp_path, files=TOLD) as stage:
            await stage.have_told()
            await stage.pay_from_menu(await stage.offer(), shillings=17)
            await stage.until_online(seconds=2)
            assert await stage.wallet_shillings() == 7

    async def test_too_little_waits_for_the_rest(self, tmp_path: Path) -> None:
        """Less is credit, and the page says how much is lacking; that, paid with the same code, lets the device on."""
        async with MoneyStage(tmp_path, files=TOLD) as stage:
            await stage.have_told()
            offered = await stage.offer()
            purchase_id = offered["checkoutRequestId"]
            await stage.pay_from_menu(offered, shillings=4)
            short = await stage.until_status(purchase_id, "failed")
            assert short["code"] == "paid_short"
            assert short["menu"] == {**offered["menu"], "amount": 6}
            assert "KES 4" in short["message"]
            assert await stage.wallet_shillings() == 4
            assert not stage.router.is_online(MAC)
            _, page = await stage.get(f"/p/{purchase_id}")
            assert "KES 4" in page
            await stage.pay_from_menu({"menu": short["menu"]})
            await stage.until_online(seconds=2)
            assert (await stage.status(purchase_id))["status"] == "completed"
            assert await stage.wallet_shillings() == 0
            assert await stage.count("payments", "disposition = 'wallet'") == 2


class TestLate:
    async def test_the_list_is_read_early_while_queries_are_late(self, tmp_path: Path) -> None:
        """No callback, and a query that hangs: though the list is not due for hours, it is read for those who wait."""
        async with WireTap() as tap:
            gateways = PAYBILL_LISTED.replace("{daraja}", tap.url).replace('"1m"', '"6h"')
            options = DarajaOptions.unhurried(NOTHING_HEARD)
            stage = MoneyStage(tmp_path, files={"gateways.toml": gateways}, daraja_options=options)
            stage.tap, hangs = tap, asyncio.Event()

            async def hang(_moment: Moment, path: str, _number: int) -> None:
                if path == QUERY:
                    await hangs.wait()

            tap.meet = hang
            async with stage:
                await stage.until(lambda: _swept_at(stage), seconds=5, what="the first list")
                await stage.buy()
                await stage.pay()
                stage.time.move(FIRST_QUERY_SECONDS + QUERIES_LATE.total_seconds() / 2)
                stage.daemon.parts.bells.ring_queries()
                await stage.until(lambda: tap.count(QUERY), seconds=3, what="the query")
                await stage.daemon._hurry_lists()
                await asyncio.sleep(0.2)
                assert await stage.count("payments") == 0
                stage.time.move(QUERIES_LATE.total_seconds())
                await stage.daemon._hurry_lists()
                await stage.until_online(seconds=3)
                hangs.set()


class TestReload:
    async def test_a_list_is_read_as_soon_and_as_often_as_the_files_say(self, tmp_path: Path) -> None:
        """Turned on, off and on again by reading the files anew: read at once each time, and then by the new pace."""
        async with MoneyStage(tmp_path, files={"gateways.toml": PAYBILL_TOLD}) as stage:
            swept_at = None
            for every in ("5m", "1m"):
                await _reload(stage, PAYBILL_LISTED.replace('"1m"', f'"{every}"'))
                await stage.until(lambda before=swept_at: _swept_at(stage) != before, seconds=5, what="the list read")  # type: ignore[misc]
                swept_at = _swept_at(stage)
                await _reload(stage, PAYBILL_TOLD)
                stage.time.move(60)
            await _reload(stage, PAYBILL_LISTED)
            stage.time.move(60)
            assert await stage.daemon._sweep("paybill") == 60


async def _reload(stage: MoneyStage, gateways: str) -> None:
    """Write the gateways' file, and have it read as SIGHUP does."""
    text = gateways.replace("{daraja}", stage.daraja.base_url)
    (stage.folder / "gateways.toml").write_text(text, encoding="utf-8")
    assert await stage.daemon.reload(load_config(stage.folder, {})) == []


def _swept_at(stage: MoneyStage) -> object:
    state = stage.daemon.parts.store.read.gateways.by_id("paybill")
    return None if state is None else state.swept_at
