"""The daemon killed while it reads the list, takes a confirmation or decides a claim: the same books after."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.system import SystemClock
from tests.whole.money_stage import PAYBILL_BOTH, PAYBILL_LISTED, MoneyStage
from tests.whole.stage import OTHER_PHONE, PHONE
from tests.whole.wire_tap import PULL_QUERY, PULL_REGISTER, Moment, WireTap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CLAIM_ID = "0123456789abcdef0123456789abcdef"
KILLED_AFTER = pytest.mark.parametrize("after_milliseconds", [0, 5, 10, 20])
# A sweep as M-Pesa sees it: registered once, the list in pieces, of the last one the page with the payment and the
# page after it, which is empty.
SWEEP_STEPS = [(step, moment) for step in ("register", "earlier piece", "last piece", "next page") for moment in Moment]


class FirstSweep:
    """Holds the daemon's first sweep back until it may go on, and kills the daemon at one step of it."""

    def __init__(self, stage: MoneyStage, tap: WireTap, step: str = "", moment: Moment = Moment.ASKED) -> None:
        self._stage, self._tap = stage, tap
        self._kill_at = (step, moment)
        self.may_go_on = asyncio.Event()
        self.killed = asyncio.Event()
        tap.meet = self._meet

    async def _meet(self, moment: Moment, path: str, number: int) -> None:
        if path == PULL_REGISTER:
            await self.may_go_on.wait()
        if path in {PULL_REGISTER, PULL_QUERY} and (self._step_of(path, number), moment) == self._kill_at:
            self._kill_at = ("", moment)
            await self._stage.kill_daemon()
            self.killed.set()

    def _step_of(self, path: str, number: int) -> str:
        if path == PULL_REGISTER:
            return "register"
        asked: dict[str, Any] = self._tap.bodies[path][number - 1]
        if int(asked["OffSetValue"]):
            return "next page"
        ends = datetime.strptime(asked["EndDate"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=NAIROBI)
        return "last piece" if SystemClock().now() - ends < timedelta(minutes=1) else "earlier piece"


@contextlib.asynccontextmanager
async def killable(folder: Path, gateways: str) -> AsyncIterator[tuple[MoneyStage, WireTap]]:
    """A site that can be killed, with a tap between it and M-Pesa."""
    async with WireTap() as tap:
        stage = MoneyStage(folder, as_process=True, files={"gateways.toml": gateways.replace("{daraja}", tap.url)})
        stage.tap = tap
        sweep = FirstSweep(stage, tap)
        async with stage:
            yield stage, tap
            sweep.may_go_on.set()  # what is still held back must not hold up the end


async def books(stage: MoneyStage) -> dict[str, list[tuple[Any, ...]]]:
    """What stands in the books, without ids and moments."""
    queries = {
        "payments": "SELECT amount_cents, disposition, mpesa_receipt_number, purchase_id IS NOT NULL FROM payments",
        "grants": "SELECT funding, mac, state, package_version_id FROM grants",
        "claims": "SELECT state, reason, mpesa_receipt_number FROM claims",
        "purchases": "SELECT state, reason FROM purchases",
        "entries": "SELECT from_account, to_account, sum(amount_cents) FROM entries GROUP BY 1, 2",
        "told": "SELECT type, count(*) FROM events WHERE type <> 'grant.started' GROUP BY type",
    }
    async with stage.books() as (_, connection):
        return {name: sorted(connection.execute(query).fetchall(), key=repr) for name, query in queries.items()}


@pytest.mark.parametrize(("step", "moment"), SWEEP_STEPS)
async def test_killed_in_a_sweep(tmp_path: Path, step: str, moment: Moment) -> None:
    """Before and after each answer of the list: the next sweep finds the payment, and books it once."""
    async with killable(tmp_path, PAYBILL_LISTED) as (stage, tap):
        sweep = FirstSweep(stage, tap, step, moment)
        debit = await stage.pay_from_menu(await stage.offer())
        sweep.may_go_on.set()
        await asyncio.wait_for(sweep.killed.wait(), 20)
        await stage.start_daemon()
        await stage.until_online(seconds=45)
        await stage.until_count("grants", 1, "state = 'running'")
        assert await books(stage) == {
            "payments": [(1000, "grant", debit.receipt, 1)],
            "grants": [("payment", "AA:BB:CC:00:00:01", "running", 1)],
            "claims": [],
            "purchases": [("paid", None)],
            "entries": [("received", "sold", 1000)],
            "told": [("grant.made", 1), ("payment.booked", 1), ("purchase.started", 1)],
        }


@pytest.mark.parametrize(
    ("step", "moment"), [("last piece", Moment.ASKED), ("last piece", Moment.ANSWERED), ("next page", Moment.ANSWERED)]
)
async def test_killed_with_a_claim_open(tmp_path: Path, step: str, moment: Moment) -> None:
    """The receipt was pasted, and the daemon killed while it looks: it looks again, and the claim is decided once."""
    async with killable(tmp_path, PAYBILL_LISTED) as (stage, tap):
        sweep = FirstSweep(stage, tap, step, moment)
        debit = await stage.daraja.pay_bill(PHONE, "174379", "wifi", 10)
        await stage.paste(debit.receipt, expect=202, claimId=CLAIM_ID)
        sweep.may_go_on.set()
        await asyncio.wait_for(sweep.killed.wait(), 20)
        await stage.start_daemon()
        await _claimed_once(stage, debit.receipt)


@KILLED_AFTER
async def test_killed_while_a_claim_is_decided(tmp_path: Path, after_milliseconds: int) -> None:
    """At any moment after the receipt of known money was sent: sent again under its key, it is the same claim."""
    async with killable(tmp_path, PAYBILL_BOTH) as (stage, _):
        await stage.have_told()
        debit = await stage.daraja.pay_bill(OTHER_PHONE, "174379", "wifi", 10)
        await stage.until_count("payments", 1, "disposition = 'unmatched'")
        pasting = asyncio.create_task(stage.paste(debit.receipt, expect=None, claimId=CLAIM_ID))
        await asyncio.sleep(after_milliseconds / 1000)
        await stage.kill_daemon()
        answered: dict[str, Any] = {}
        with contextlib.suppress(aiohttp.ClientError):
            answered = await pasting
            assert await stage.count("claims", "state = 'granted'") == 1  # what was answered is committed
        await stage.start_daemon()
        again = await stage.paste(debit.receipt, claimId=CLAIM_ID)
        assert answered.get("username", again["username"]) == again["username"]
        await _claimed_once(stage, debit.receipt)


@KILLED_AFTER
async def test_killed_while_a_confirmation_comes(tmp_path: Path, after_milliseconds: int) -> None:
    """At any moment after the menu took the money: M-Pesa tells it once only, and the list has it all the same."""
    async with killable(tmp_path, PAYBILL_BOTH) as (stage, tap):
        sweep = FirstSweep(stage, tap)
        await stage.have_told()
        debit = await stage.pay_from_menu(await stage.offer())
        await asyncio.sleep(after_milliseconds / 1000)
        await stage.kill_daemon()
        await stage.daraja.quiet()
        if stage.daraja.notices[0].status == 200:  # what was acknowledged is committed
            assert await stage.count("payments", f"mpesa_receipt_number = '{debit.receipt}'") == 1
        sweep.may_go_on.set()
        await stage.start_daemon()
        await stage.until_online(seconds=45)
        assert await stage.count("payments") == await stage.count("grants") == 1
        assert await stage.count("purchases", "state = 'paid'") == 1


async def _claimed_once(stage: MoneyStage, receipt: str) -> None:
    """The claim is decided, the device on, and nothing is in the books twice."""
    await stage.until_claim(CLAIM_ID, "completed", seconds=20)
    await stage.until_online(seconds=45)
    await stage.until_count("grants", 1, "state = 'running'")
    found = await books(stage)
    assert found["payments"] == [(1000, "grant", receipt, 0)]
    assert found["grants"] == [("payment", "AA:BB:CC:00:00:01", "running", 1)]
    assert found["claims"] == [("granted", None, receipt)]
    assert ("grant.made", 1) in found["told"]
    assert ("claim.made", 1) in found["told"]
    assert ("claim.decided", 1) in found["told"]
