"""A busy quarter of an hour: customers pay in every way at once, while M-Pesa loses a third of all it says."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.pay_codes import LETTERS
from easyisp_edge.lab.daraja import Behaviour, CallbackHandling, DarajaOptions, Fault, NoticeHandling, QueryHandling
from tests.whole.money_stage import ANY_NUMBER_OF_PROMPTS, PAYBILL_BOTH, MoneyStage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

CUSTOMERS = 24
PRICE = 10
FILES = {"gateways.toml": PAYBILL_BOTH, "edge.toml": ANY_NUMBER_OF_PROMPTS}


class Customer:
    """One device, one phone, and a friend's phone."""

    def __init__(self, stage: MoneyStage, number: int) -> None:
        self._stage = stage
        self.phone, self.friend = f"07123451{number:02}", f"07223451{number:02}"
        self.mac, self.address = f"AA:BB:CC:00:02:{number:02X}", f"10.5.61.{number + 1}"
        self._who: dict[str, Any] = {"phone": self.phone, "macAddress": self.mac}

    async def by_prompt(self) -> None:
        await self._stage.buy(**self._who)
        await self._stage.pay(self.phone)

    async def by_prompt_and_from_the_menu(self) -> None:
        started = await self._stage.initiate(**self._who)
        await self._stage.pay_from_menu(started, self.phone)
        await self._stage.pay(self.phone)

    async def cancelled_and_then_from_the_menu(self) -> None:
        started = await self._stage.initiate(**self._who)
        prompt = await asyncio.wait_for(self._stage.daraja.wait_for_prompt(self.phone), 10)
        await self._stage.daraja.enter_pin(prompt.push.checkout_request_id, "0000")
        await self._stage.pay_from_menu(started, self.phone)

    async def from_the_menu(self) -> None:
        await self._stage.pay_from_menu(await self._stage.offer(**self._who), self.phone)

    async def from_the_menu_too_much(self) -> None:
        await self._stage.pay_from_menu(await self._stage.offer(**self._who), self.phone, shillings=PRICE + 3)

    async def from_the_menu_in_two_parts(self) -> None:
        offered = await self._stage.offer(**self._who)
        await self._stage.pay_from_menu(offered, self.phone, shillings=PRICE - 4)
        await self._stage.pay_from_menu(offered, self.friend, shillings=4)

    async def mistyped(self) -> None:
        offered = await self._stage.offer(**self._who)
        await self._stage.pay_from_menu(offered, self.phone, account=_misread(offered["menu"]["account"]))

    async def mistyped_by_a_friend_and_pasted(self) -> None:
        offered = await self._stage.offer(**self._who)
        account = _misread(offered["menu"]["account"])
        debit = await self._stage.pay_from_menu(offered, self.friend, account=account)
        await self._stage.paste(debit.receipt, expect=None, macAddress=self.mac)

    async def without_any_purchase(self) -> None:
        await self._stage.daraja.pay_bill(self.phone, "174379", "wifi", PRICE)
        text = self._stage.daraja.messages(self.phone)[-1].text
        await self._stage.paste(text, expect=None, macAddress=self.mac)

    def ways(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self.by_prompt,
            self.by_prompt_and_from_the_menu,
            self.cancelled_and_then_from_the_menu,
            self.from_the_menu,
            self.from_the_menu_too_much,
            self.from_the_menu_in_two_parts,
            self.mistyped,
            self.mistyped_by_a_friend_and_pasted,
            self.without_any_purchase,
        ]


@pytest.mark.parametrize("seed", range(4))
async def test_every_payer_is_online_and_every_shilling_booked(tmp_path: Path, seed: int) -> None:
    """Whatever was lost, late or told twice: with the list and the queries all are online, and the books are true."""
    draw = random.Random(seed)
    async with MoneyStage(tmp_path, files=FILES, daraja_options=DarajaOptions.unhurried()) as stage:
        await stage.have_told()
        customers = [Customer(stage, number) for number in range(CUSTOMERS)]
        for customer in customers:
            stage.router.connect_device(customer.mac, customer.address)
            stage.daraja.set_behaviour(customer.phone, _drawn_behaviour(draw))
        stage.daraja.next_notices(*(_drawn_notice(draw) for _ in range(2 * CUSTOMERS)))

        async def pays(customer: Customer, way: int, after: float) -> None:
            await asyncio.sleep(after)
            ways = customer.ways()
            await ways[way % len(ways)]()

        await asyncio.gather(*(pays(each, number, draw.random() / 2) for number, each in enumerate(customers)))

        def all_online() -> bool:
            return all(stage.router.is_online(customer.mac) for customer in customers)

        for _ in range(8):
            stage.read_lists(30)
            stage.daemon.parts.bells.ring_look()
            await asyncio.sleep(0.3)
        await stage.until(all_online, seconds=10, what="everybody online")
        await stage.daraja.quiet()
        paid = sum(debit.shillings for debit in stage.daraja.debits)
        assert await stage.count("grants") == CUSTOMERS
        assert await stage.wallet_shillings() == paid - CUSTOMERS * PRICE


def _drawn_behaviour(draw: random.Random) -> Behaviour:
    deaf = (Fault.INTERNAL_ERROR,) * draw.choice([0, 0, 1, 3])
    callback = CallbackHandling(delay_seconds=draw.choice([0.0, 0.0, 0.4]), copies=draw.choice([0, 1, 2]))
    return Behaviour(callback=callback, query=QueryHandling(first=deaf))


def _drawn_notice(draw: random.Random) -> NoticeHandling:
    return NoticeHandling(delay_seconds=draw.choice([0.0, 0.0, 0.5]), copies=draw.choice([0, 1, 2]))


def _misread(code: str) -> str:
    """The code with its last character read as the next."""
    return code[:-1] + LETTERS[(LETTERS.index(code[-1]) + 1) % len(LETTERS)]
