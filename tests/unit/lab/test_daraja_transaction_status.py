from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.daraja import DarajaOptions, Fault, StatusDelivery, StatusHandling
from tests.fakes.daraja_stage import PHONE, Answer, Stage, daraja_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Posted:
    """Where results arrive."""

    root: str = ""
    arrived: asyncio.Queue[tuple[str, dict[str, Any]]] = field(default_factory=asyncio.Queue)

    async def take(self, request: web.Request) -> web.Response:
        await self.arrived.put((request.path, (await request.json())["Result"]))
        return web.json_response({"ResultCode": 0})

    async def next(self) -> tuple[str, dict[str, Any]]:
        async with asyncio.timeout(2):
            return await self.arrived.get()


@contextlib.asynccontextmanager
async def status_stage(**handling: Any) -> AsyncIterator[tuple[Stage, Posted]]:
    posted, app = Posted(), web.Application()
    app.router.add_post("/{path:.*}", posted.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        posted.root = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with daraja_stage(replace(DarajaOptions.unhurried(), status=StatusHandling(**handling))) as stage:
            yield stage, posted
    finally:
        await runner.cleanup()


async def ask(stage: Stage, posted: Posted, receipt: str, **overrides: Any) -> Answer:
    fields = {
        "Initiator": "labapi",
        "SecurityCredential": StatusHandling().security_credential,
        "CommandID": "TransactionStatusQuery",
        "TransactionID": receipt,
        "PartyA": stage.merchant.short_code,
        "IdentifierType": "4",
        "ResultURL": f"{posted.root}/result",
        "QueueTimeOutURL": f"{posted.root}/late",
        "Remarks": "look-up",
        "Occasion": "",
    } | overrides
    path = "/mpesa/transactionstatus/v1/query"
    return await stage.send("POST", path, json=fields, headers=await stage.bearer())


async def pays(stage: Stage, shillings: int = 50, to: str = "") -> str:
    account = "0322417860001" if to else "ABC123"
    return (await stage.lab.pay_bill(PHONE, to or stage.merchant.short_code, account, shillings)).receipt


def parameters(result: dict[str, Any]) -> dict[str, Any]:
    return {one["Key"]: one.get("Value") for one in result["ResultParameters"]["ResultParameter"]}


async def test_a_receipt_is_told_in_a_result() -> None:
    """Taken first, told later, with the ids of the conversation; one parameter has no value."""
    async with status_stage() as (stage, posted):
        receipt = await pays(stage, 70)
        taken = await ask(stage, posted, receipt)
        assert (taken.status, taken.body["ResponseCode"]) == (200, "0")
        path, result = await posted.next()
        assert (path, result["ResultCode"], result["TransactionID"]) == ("/result", 0, receipt)
        assert result["ConversationID"] == taken.body["ConversationID"]
        told = parameters(result)
        assert (told["ReceiptNo"], told["Amount"], told["TransactionStatus"]) == (receipt, "70", "Completed")
        assert told["CreditPartyName"].startswith(f"{stage.merchant.short_code} - ")
        assert told["DebitPartyName"].startswith("2547")
        assert told["TransactionReason"] is None
        assert [one.receipt for one in stage.lab.status_asked] == [receipt]


async def test_what_is_not_there_or_anothers_is_unknown() -> None:
    """Unless it is set to tell of others too."""
    async with status_stage() as (stage, posted):
        for receipt in ("TKL5NEVER1", await pays(stage, to="247247")):
            await ask(stage, posted, receipt)
            _, result = await posted.next()
            assert (result["ResultCode"], "ResultParameters" in result) == ("R000002", False)
        stage.lab.set_status(StatusHandling(knows_others=True))
        await ask(stage, posted, await pays(stage, to="247247"))
        assert (await posted.next())[1]["ResultCode"] == 0


@pytest.mark.parametrize("wrong", [{"Initiator": "other"}, {"SecurityCredential": "d3Jvbmc="}])
async def test_a_wrong_initiator_is_told_in_the_result(wrong: dict[str, str]) -> None:
    """The request itself is taken."""
    async with status_stage() as (stage, posted):
        assert (await ask(stage, posted, await pays(stage), **wrong)).status == 200
        assert (await posted.next())[1]["ResultCode"] == 2001


@pytest.mark.parametrize(
    "wrong",
    [
        {"CommandID": "Transaction Status"},
        {"TransactionID": "no-receipt"},
        {"PartyA": "999999"},
        {"IdentifierType": "9"},
        {"ResultURL": "https://example.org/mpesa"},
        {"QueueTimeOutURL": ""},
        {"Remarks": "x" * 101},
        {"Initiator": ""},
        {"SecurityCredential": ""},
    ],
)
async def test_a_field_at_fault_is_refused_by_name(wrong: dict[str, str]) -> None:
    """And nothing is posted."""
    async with status_stage() as (stage, posted):
        answer = await ask(stage, posted, await pays(stage), **wrong)
        assert answer.status == 400
        assert next(iter(wrong)) in answer.text
        assert stage.lab.status_asked == []


async def test_results_get_lost_late_and_doubled() -> None:
    """As a script says."""
    async with status_stage(copies=2, codes_as_text=True) as (stage, posted):
        receipt = await pays(stage)
        await ask(stage, posted, receipt)
        assert [(await posted.next())[1]["ResultCode"] for _ in range(2)] == ["0", "0"]
        stage.lab.set_status(StatusHandling(delivery=StatusDelivery.TIMED_OUT))
        await ask(stage, posted, receipt)
        assert (await posted.next())[0] == "/late"
        stage.lab.set_status(StatusHandling(delivery=StatusDelivery.LOST))
        await ask(stage, posted, receipt)
        await stage.lab.quiet()
        assert posted.arrived.empty()


async def test_faults_are_used_up_one_a_request() -> None:
    """Then it goes on."""
    async with status_stage() as (stage, posted):
        receipt = await pays(stage)
        stage.lab.next_status_answers(Fault.SYSTEM_BUSY)
        assert (await ask(stage, posted, receipt)).status == 500
        assert (await ask(stage, posted, receipt)).status == 200


async def test_without_a_token_nothing_is_taken() -> None:
    """A dead one is answered 400.003.01."""
    async with status_stage() as (stage, posted):
        await stage.bearer()
        stage.lab.expire_tokens()
        answer = await ask(stage, posted, "TKL5NEVER1")
        assert (answer.status, answer.body["errorCode"]) == (400, "400.003.01")


@pytest.mark.parametrize("wrong", [{"copies": 0}, {"result_after_seconds": -1.0}])
def test_a_handling_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    """At once."""
    with pytest.raises(InvalidError):
        StatusHandling(**wrong)
