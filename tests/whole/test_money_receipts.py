"""Receipts that customers paste: what they buy, give back, and what an invented one comes to."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from easyisp_edge.domain.receipts import LOOKALIKES_MAX
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.lab.daraja import (
    SANDBOX_MERCHANT,
    Behaviour,
    CallbackHandling,
    DarajaOptions,
    Language,
    Merchant,
    NoApiMerchant,
)
from easyisp_edge.lab.daraja.identifiers import Identifiers
from easyisp_edge.services.money.sweep import LIST_REACHES_BACK, PAUSE_SECONDS, PIECE
from easyisp_edge.system import SystemClock, SystemRandomness
from easyisp_edge.web.visits import Device
from tests.whole.money_stage import (
    PAYBILL_LISTED,
    PAYBILL_TOLD,
    MoneyStage,
)
from tests.whole.stage import MAC, OTHER_MAC, OTHER_PHONE, PHONE
from tests.whole.wire_tap import PULL_QUERY, PULL_REGISTER, WireTap

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTED = {"gateways.toml": PAYBILL_LISTED}
TOLD = {"gateways.toml": PAYBILL_TOLD}
CALLBACKS_LOST = DarajaOptions.unhurried(Behaviour(callback=CallbackHandling(copies=0)))
NEIGHBOUR = Merchant("600111", "east-passkey", "east-key", "east-secret", name="EAST")
IN_ADVANCE = '[[tenant]]\nid = "default"\nname = "Wi-Fi"\nprovisional_access = "{0}"\n'
BY_HAND = """[[gateway]]
id = "by-hand"
type = "MPESA_NO_API"
sub_type = "BUYGOODS"
shortcode = "512999"
"""
OWNER_PHONE = "0733000222"


def invented(days_ago: int = 0) -> str:
    """A receipt that looks right and was never given."""
    return Identifiers(SystemRandomness()).receipt(SystemClock().now() - timedelta(days=days_ago))


class TestPasted:
    @pytest.mark.parametrize("language", Language)
    async def test_a_whole_message_is_read(self, tmp_path: Path, language: Language) -> None:
        """Paid with no code at all, and M-Pesa's own message pasted, in either language: online with the next list."""
        async with MoneyStage(tmp_path, files=LISTED) as stage:
            stage.daraja.set_language(PHONE, language)
            await stage.daraja.pay_bill(PHONE, "174379", "wifi", 10)
            looking = await stage.paste(stage.daraja.messages(PHONE)[-1].text, expect=202)
            assert await stage.count("grants") == 0
            stage.read_lists()
            done = await stage.until_claim(looking["claimId"], "completed")
            assert done["transactionCode"] == stage.daraja.debits[0].receipt
            await stage.until_online(seconds=2)

    async def test_more_is_kept_and_less_is_credit(self, tmp_path: Path) -> None:
        """A claim on more than the price leaves the rest in the wallet; one on less is all credit, and says so."""
        async with MoneyStage(tmp_path, files=TOLD) as stage:
            await stage.have_told()
            more = await stage.daraja.pay_bill(PHONE, "174379", "wifi", 13)
            less = await stage.daraja.pay_bill(OTHER_PHONE, "174379", "wifi", 4)
            await stage.until_count("payments", 2, "disposition = 'unmatched'")
            assert (await stage.paste(more.receipt))["status"] == "completed"
            assert await stage.wallet_shillings() == 3
            credited = await stage.paste(less.receipt, macAddress=OTHER_MAC, phone=OTHER_PHONE)
            assert (credited["status"], credited["wallet"]) == ("credited", 4)
            assert await stage.wallet_shillings() == 7
            assert not stage.router.is_online(OTHER_MAC)

    async def test_somebody_elses_is_refused(self, tmp_path: Path) -> None:
        """What bought an hour on one device buys nothing on another; the device that has it gets it back."""
        async with MoneyStage(tmp_path) as stage:
            purchase_id = await stage.buy()
            await stage.pay()
            await stage.until_online()
            bought = await stage.until_status(purchase_id, "completed")
            receipt = bought["transactionCode"]
            refused = await stage.paste(receipt, expect=422, macAddress=OTHER_MAC)
            assert refused["code"] == "used"
            assert "username" not in refused
            again = await stage.paste(receipt.lower())
            assert (again["status"], again["username"]) == ("completed", bought["username"])
            assert await stage.count("grants") == await stage.count("payments") == 1
            assert not stage.router.is_online(OTHER_MAC)

    async def test_another_paybills_is_refused_when_the_list_is_complete(self, tmp_path: Path) -> None:
        """A real payment, a real receipt, another merchant's money: looked for, and refused once it must be listed."""
        merchants = (SANDBOX_MERCHANT, NEIGHBOUR)
        async with MoneyStage(tmp_path, merchants=merchants, files=LISTED) as stage:
            debit = await stage.daraja.pay_bill(PHONE, "600111", "wifi", 10)
            looking = await stage.paste(debit.receipt, expect=202)
            stage.read_lists()
            await stage.until_count("claims", 1, "looks = 1 AND state = 'verifying'")
            refused = await stage.until_refused(looking["claimId"])
            assert refused["code"] == "unknown_receipt"
            assert await stage.count("payments") == await stage.count("grants") == 0

    async def test_of_a_purchase_that_a_query_confirmed(self, tmp_path: Path) -> None:
        """The query tells no receipt: pasted, it is attached to that payment, and buys nothing a second time."""
        async with MoneyStage(tmp_path, files=LISTED, daraja_options=CALLBACKS_LOST) as stage:
            purchase_id = await stage.buy()
            await stage.pay()
            stage.time.move(10)
            stage.daemon.parts.bells.ring_queries()
            bought = await stage.until_status(purchase_id, "completed")
            assert bought["transactionCode"] is None
            receipt = stage.daraja.debits[0].receipt
            looking = await stage.paste(receipt, expect=202)
            stage.read_lists()
            done = await stage.until_claim(looking["claimId"], "completed")
            assert done["username"] == bought["username"]
            assert (await stage.status(purchase_id))["transactionCode"] == receipt
            assert await stage.count("grants") == await stage.count("payments") == 1

    async def test_pasting_has_the_open_push_asked_about(self, tmp_path: Path) -> None:
        """The callback was lost: the pasted receipt makes us ask about the device's own push at once."""
        async with MoneyStage(tmp_path, files=LISTED, daraja_options=CALLBACKS_LOST) as stage:
            await stage.buy()
            await stage.pay()
            await stage.paste(stage.daraja.debits[0].receipt, expect=202)
            await stage.until_online(seconds=2)
            assert stage.daraja.accepted[0].queries == 1


class TestInvented:
    async def test_ten_thousand_are_worth_nothing(self, tmp_path: Path) -> None:
        """From thousands of devices, by the real route: no grant, few questions to M-Pesa, and a payer is served."""
        async with WireTap() as tap:
            files = {"gateways.toml": PAYBILL_LISTED.replace("{daraja}", tap.url)}
            stage = MoneyStage(tmp_path, as_process=True, files=files)
            stage.tap = tap
            async with stage:
                first_list = math.ceil(LIST_REACHES_BACK / PIECE)
                await stage.until(lambda: tap.count(PULL_QUERY) >= first_list, seconds=10, what="the first list")
                before_kib, began = _resident_kib(stage), asyncio.get_running_loop().time()
                slowest = asyncio.create_task(_slowest_poll(stage))
                statuses = await _flood(stage, 10_000)
                slowest.cancel()
                took = asyncio.get_running_loop().time() - began
                assert set(statuses) == {202, 409}
                assert statuses[202] == 120  # claims_per_site_hour
                assert await stage.count("claims") == 120
                assert await stage.count("grants") == await stage.count("payments") == 0
                assert tap.count(PULL_REGISTER) == 1
                assert tap.count(PULL_QUERY) <= first_list + took / PAUSE_SECONDS + 1
                assert _resident_kib(stage) - before_kib < 16 * 1024
                await stage.buy()
                await stage.pay()
                await stage.until_online(seconds=2)

    async def test_with_a_strangers_device_it_takes_nothing_along(self, tmp_path: Path) -> None:
        """What a query proved has no receipt: who names its device and invents one gets no login, and moves nothing."""
        async with MoneyStage(tmp_path, daraja_options=CALLBACKS_LOST) as stage:
            await stage.buy()
            await stage.pay()
            stage.time.move(10)
            stage.daemon.parts.bells.ring_queries()
            await stage.until_online()
            claim_id = (await stage.paste(invented(), expect=202))["claimId"]
            stage.time.move(20)
            stage.daemon.parts.bells.ring_look()
            told = await stage.until_claim(claim_id, "completed")
            assert (told["username"], told["password"]) == (None, None)
            token, path = Device(MacAddress.parse(OTHER_MAC), None).token, f"/k/{claim_id}"
            async with stage.http.post("/here", data={"h": path, "d": token}, allow_redirects=False) as answer:
                assert answer.status == 404
            async with stage.http.post("/off", data={"h": path}, allow_redirects=False) as answer:
                assert answer.status != 303
            async with stage.http.get(path, allow_redirects=False) as answer:
                assert answer.headers["Location"].startswith("/?d=")
            assert (await stage.get(f"{path}/receipt"))[0] == 404
            assert await stage.count("grants", f"mac = '{MAC}'") == 1

    async def test_lookalikes_find_no_strangers_money(self, tmp_path: Path) -> None:
        """A receipt misread as people do is found where it is the tenant's own; others of that shape find nothing."""
        async with MoneyStage(tmp_path, files=TOLD) as stage:
            await stage.have_told()
            debit = await _with_a_letter_to_mistake(stage)
            mine = f"mpesa_receipt_number = '{debit}'"
            await stage.until_count("payments", 1, f"{mine} AND disposition = 'unmatched'", seconds=10)
            typed = debit[:3] + debit[3:].translate(str.maketrans("O0I1S5B8Z2", "0O1I5S8B2Z"))
            changed = sum(one != other for one, other in zip(typed, debit, strict=True))
            assert 2**changed - 1 <= LOOKALIKES_MAX
            assert (await stage.paste(typed))["transactionCode"] == debit
            await stage.until_online(seconds=2)


class TestWithoutApi:
    async def test_staff_enter_what_they_saw(self, tmp_path: Path) -> None:
        """Nobody can be asked: the customer pays, pastes, and is online when staff have entered the receipt."""
        async with MoneyStage(tmp_path, files={"gateways.toml": BY_HAND}) as stage:
            stage.daraja.add_no_api(NoApiMerchant("512999", "MAMA WIFI", owner_phone=OWNER_PHONE))
            offered = await stage.initiate()
            assert not stage.daraja.pushes
            debit = await stage.pay_from_menu(offered)
            looking = await stage.paste(stage.daraja.messages(PHONE)[-1].text, expect=202)
            assert await stage.count("grants") == 0
            await stage.staff("payments", "enter", stage.daraja.received_sms("512999")[-1].text, "10")
            await stage.until_online(seconds=2)
            assert (await stage.claim(looking["claimId"]))["transactionCode"] == debit.receipt
            assert (await stage.status(offered["checkoutRequestId"]))["status"] == "completed"
            assert await stage.count("grants") == 1
            assert await stage.count("events", "type = 'staff.entered'") == 1


class TestInAdvance:
    async def test_it_is_taken_off_what_was_paid_for(self, tmp_path: Path) -> None:
        """M-Pesa away: online on today's receipt; known five minutes later, those minutes are off the hour."""
        async with CutOff.giving(tmp_path, "15m") as stage:
            debit = await stage.daraja.pay_bill(PHONE, "174379", "wifi", 10)
            looking = await stage.paste(debit.receipt, expect=202)
            await stage.until_online(seconds=2)
            provided = await stage.claim(looking["claimId"])
            assert 15 * 60 - 5 <= provided["provisional"]["secondsLeft"] <= 15 * 60
            assert await stage.count("payments") == 0
            stage.cut_off(None)
            stage.read_lists(5 * 60)
            done = await stage.until_claim(looking["claimId"], "completed")
            assert 55 * 60 - 10 <= done["secondsLeft"] <= 55 * 60
            await stage.until(lambda: stage.router.is_online(MAC), seconds=3, what="the device on")
            assert await stage.count("grants", "state <> 'ended'") == 1

    async def test_it_ends_by_itself(self, tmp_path: Path) -> None:
        """M-Pesa away for longer: the device is off after fifteen minutes, and on for the rest once it is known."""
        async with CutOff.giving(tmp_path, "15m") as stage:
            debit = await stage.daraja.pay_bill(PHONE, "174379", "wifi", 10)
            looking = await stage.paste(debit.receipt, expect=202)
            await stage.until_online(seconds=2)
            stage.time.move(15 * 60)
            stage.daemon.parts.access.ended.ring()
            await stage.until(lambda: not stage.router.is_online(MAC), seconds=3, what="the device off")
            await stage.paste(debit.receipt, expect=202)
            assert await stage.count("grants") == 1  # once a day
            stage.cut_off(None)
            stage.read_lists(60)
            done = await stage.until_claim(looking["claimId"], "completed")
            assert 45 * 60 - 10 <= done["secondsLeft"] <= 45 * 60
            await stage.until_online(seconds=3)

    async def test_an_invented_receipt_ends_it(self, tmp_path: Path) -> None:
        """What the list does not know is refused as soon as M-Pesa is back, and the device is off at once."""
        async with CutOff.giving(tmp_path, "60m") as stage:
            looking = await stage.paste(invented(), expect=202)
            await stage.until_online(seconds=2)
            stage.cut_off(None)
            refused = await stage.until_refused(looking["claimId"])
            assert refused["code"] == "unknown_receipt"
            await stage.until(lambda: not stage.router.is_online(MAC), seconds=3, what="the device off")
            assert await stage.count("payments") == 0

    async def test_only_on_todays_receipt(self, tmp_path: Path) -> None:
        """A receipt of an earlier day, known or not, lets nobody on in advance.

        Two days earlier: until three in the morning Nairobi's yesterday is today elsewhere, and is taken.
        """
        async with CutOff.giving(tmp_path, "15m") as stage:
            looking = await stage.paste(invented(days_ago=2), expect=202)
            assert "provisional" not in looking
            assert await stage.count("grants") == 0

    async def test_only_while_nobody_can_be_asked(self, tmp_path: Path) -> None:
        """With M-Pesa there, the receipt is looked up first."""
        files = {**LISTED, "tenants.toml": IN_ADVANCE.format("15m")}
        async with MoneyStage(tmp_path, files=files) as stage:
            await stage.paste(invented(), expect=202)
            assert await stage.count("grants") == 0


class CutOff(MoneyStage):
    """A site that gives access in advance, and has just found M-Pesa away."""

    @classmethod
    def giving(cls, folder: Path, span: str) -> Self:
        return cls(folder, files={**LISTED, "tenants.toml": IN_ADVANCE.format(span)})

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        read, sweep = self.daemon.parts.store.read, self.daemon.parts.sweep
        long_ago = SystemClock().now() - timedelta(days=1)
        await self.until(
            lambda: read.gateways.swept_between("paybill", long_ago, long_ago), seconds=5, what="the first list"
        )
        self.cut_off()
        self.read_lists()
        await self.until(lambda: sweep.cut_off("paybill"), seconds=5, what="M-Pesa found away")
        return self


def _resident_kib(stage: MoneyStage) -> int:
    status = Path(f"/proc/{stage._process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


async def _flood(stage: MoneyStage, count: int) -> dict[int, int]:
    """Paste so many invented receipts, each from another device; gives how often there was which answer."""
    statuses: dict[int, int] = {}
    names, now = Identifiers(SystemRandomness()), SystemClock().now()

    async def paste(orders: Iterator[dict[str, Any]]) -> None:
        for order in orders:
            async with stage.http.post("/api/portal/mpesa/verify-sms", json=order) as answer:
                await answer.read()
            statuses[answer.status] = statuses.get(answer.status, 0) + 1

    orders = ({"smsText": names.receipt(now), "packageId": "1h", "macAddress": _device(n)} for n in range(count))
    await asyncio.gather(*(paste(orders) for _ in range(16)))
    return statuses


async def _slowest_poll(stage: MoneyStage) -> None:
    """Ask for the first page all the while; each answer is there within a second."""
    while True:
        async with asyncio.timeout(1), stage.http.get("/", params={"mac": OTHER_MAC}) as answer:
            assert answer.status == 200
        await asyncio.sleep(0.05)


def _device(number: int) -> str:
    return "06:02:" + ":".join(f"{number >> shift & 255:02X}" for shift in (24, 16, 8, 0))


async def _with_a_letter_to_mistake(stage: MoneyStage) -> str:
    """Pay until the receipt has a letter that is easily mistaken for another, and not too many; gives the receipt."""
    while True:
        debit = await stage.daraja.pay_bill(OTHER_PHONE, "174379", "wifi", 10)
        mistakable = sum(letter in "O0I1S5B8Z2" for letter in debit.receipt[3:])
        if 1 <= mistakable <= 4:
            return debit.receipt
