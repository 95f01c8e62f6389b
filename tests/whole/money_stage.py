"""A site whose every shilling is held against what M-Pesa truly took, at the end of each test."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from easyisp_edge.config import load_config
from easyisp_edge.lab.daraja import Fault, Merchant, MerchantKind
from tests.whole.stage import EDGE, GATEWAYS, MAC, PHONE, Stage

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja import Debit
    from tests.whole.wire_tap import WireTap

TILL = Merchant("600222", "west-passkey", "west-key", "west-secret", "WEST", MerchantKind.BUYGOODS, till="512345")
PULL = """[gateway.pull]
nominated_number = "0722000000"
every = "1m"
"""
PAYBILL_TOLD = GATEWAYS.replace("queries_per_minute = 60", "queries_per_minute = 600\nc2b = true")
PAYBILL_LISTED = GATEWAYS.replace("queries_per_minute = 60", "queries_per_minute = 600") + PULL
PAYBILL_BOTH = PAYBILL_TOLD + PULL
TILL_LISTED = (
    """[[gateway]]
id = "till"
sub_type = "BUYGOODS"
shortcode = "512345"
store_number = "600222"
consumer_key = "west-key"
consumer_secret = "west-secret"
passkey = "west-passkey"
environment = "sandbox"
base_url = "{daraja}"
queries_per_minute = 600
"""
    + PULL
)
# A list is read three times a minute at most.
BETWEEN_READINGS_SECONDS = 21
# Late enough that a list read now has to know a receipt that was pasted before.
LISTED_FOR_SURE_SECONDS = 16 * 60
ANY_NUMBER_OF_PROMPTS = EDGE + "[limits]\npushes_per_phone_hour = 60\npushes_per_site_minute = 1000\n"


class MoneyStage(Stage):
    """A site that ends by holding its books against the lab's. `tap` is between the daemon and M-Pesa, where given."""

    tap: WireTap | None = None

    async def __aexit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                await self.stop_daemon()
                await assert_every_shilling(self)
        finally:
            await super().__aexit__(*error)

    async def start_daemon(self) -> None:
        if self.tap is not None:
            self.tap.target = self.daraja.base_url
        await super().start_daemon()

    async def have_told(self, gateway_id: str = "paybill") -> None:
        """Register the gateway's secret addresses at M-Pesa."""
        await self.staff("gateway", "register-c2b", gateway_id, "--yes")

    async def staff(self, *arguments: str) -> None:
        """Run one of the box's own commands, which asks the daemon at its socket."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "easyisp_edge",
            *arguments,
            "--config",
            str(self.folder),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0, said.decode()

    async def offer(self, **fields: Any) -> dict[str, Any]:
        """A purchase to be paid from the M-Pesa menu."""
        content = await self.initiate(prompt=False, **fields)
        assert content["status"] == "pending"
        return content

    async def pay_from_menu(
        self, offered: dict[str, Any], phone: str = PHONE, *, account: str | None = None, shillings: int | None = None
    ) -> Debit:
        """Pay in the M-Pesa menu what the page says, but for what is typed otherwise."""
        menu = offered["menu"]
        paid = menu["amount"] if shillings is None else shillings
        if menu["kind"] == "till":
            return await self.daraja.pay_till(phone, menu["number"], paid)
        return await self.daraja.pay_bill(phone, menu["number"], menu["account"] if account is None else account, paid)

    def read_lists(self, after_seconds: float = BETWEEN_READINGS_SECONDS) -> None:
        """Let so much time pass, and have the gateways' lists read now."""
        self.time.move(after_seconds)
        for wake in self.daemon.parts.bells.sweeps.values():
            wake.ring()

    async def paste(self, text: str, *, expect: int | None = 200, **fields: Any) -> dict[str, Any]:
        """Paste a receipt, or a whole message, on the device."""
        order = {"smsText": text, "packageId": "1h", "macAddress": MAC, "nasIp": "", **fields}
        async with self.http.post("/api/portal/mpesa/verify-sms", json=order) as answer:
            content: dict[str, Any] = await answer.json()
            assert expect in {None, answer.status}, content
            return content

    async def claim(self, claim_id: str) -> dict[str, Any]:
        """Where a claim stands."""
        async with self.http.get("/api/portal/mpesa/claim", params={"claimId": claim_id}) as answer:
            content: dict[str, Any] = await answer.json()
            return content

    async def until_claim(self, claim_id: str, status: str, *, seconds: float = 5) -> dict[str, Any]:
        """Wait until a claim has that status; gives the whole answer."""
        seen: dict[str, Any] = {}

        async def has() -> bool:
            seen.clear()
            seen.update(await self.claim(claim_id))
            return bool(seen["status"] == status)

        await self.until(has, seconds=seconds, what=f"the claim {status}")
        return seen

    async def until_refused(self, claim_id: str) -> dict[str, Any]:
        """Have the lists read late enough that they must know the receipt, until the claim is refused."""
        self.read_lists(LISTED_FOR_SURE_SECONDS)
        for _ in range(8):
            for _ in range(20):
                found = await self.claim(claim_id)
                if found["status"] == "failed":
                    return found
                await asyncio.sleep(0.02)
            self.read_lists(4 * 60)  # it was just looked at, and is looked at again some minutes later
        raise AssertionError(found)

    async def until_count(self, table: str, number: int, where: str = "1", *, seconds: float = 5) -> None:
        """Wait until there are so many rows."""

        async def is_so() -> bool:
            return await self.count(table, where) == number

        await self.until(is_so, seconds=seconds, what=f"{number} {table} where {where}")

    async def wallet_shillings(self) -> int:
        """What is in all wallets together."""
        async with self.books() as (_, connection):
            sums = "coalesce(sum(amount_cents * ((to_account = 'wallet') - (from_account = 'wallet'))), 0)"
            return int(connection.execute(f"SELECT {sums} FROM entries").fetchone()[0]) // 100  # noqa: S608

    def cut_off(self, fault: Fault | None = Fault.HTML_503) -> None:
        """M-Pesa answers nothing any more; with None it does again."""
        self.daraja.set_outage(fault)


async def assert_every_shilling(stage: Stage) -> None:
    """All that left customers' phones for our numbers is in the books, by receipt and shilling, and nothing else is.

    That the books hold together in themselves is looked at by the stage.
    """
    gateways = {gateway.shortcode: gateway for gateway in load_config(stage.folder, {}).gateways}
    taken = {debit.receipt: debit for debit in stage.daraja.debits if debit.receiver.number in gateways}
    async with stage.books() as (_, connection):
        booked = connection.execute(
            "SELECT p.mpesa_receipt_number, p.amount_cents, p.gateway_id, p.tenant_id, u.checkout_request_id"
            " FROM payments p LEFT JOIN purchases u USING (purchase_id) WHERE p.disposition <> 'merged'"
        ).fetchall()
    for receipt, *money, _ in (row for row in booked if row[0] is not None):
        assert receipt in taken, f"{receipt} is booked and was never paid, or is booked twice"
        debit = taken.pop(receipt)
        gateway = gateways[debit.receiver.number]
        assert money == [debit.shillings * 100, gateway.id, gateway.tenant], receipt
    # Whose receipt nobody told was proven by a query: it is the money that very push took.
    nameless = sorted((row[4], row[1]) for row in booked if row[0] is None)
    assert nameless == sorted((debit.checkout_request_id, debit.shillings * 100) for debit in taken.values())
