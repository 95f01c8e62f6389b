from __future__ import annotations

import asyncio

import aiohttp
import pytest

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.daraja import (
    SANDBOX_MERCHANT,
    Behaviour,
    DarajaOptions,
    Fault,
    Merchant,
    Payer,
    QueryAnswer,
    QueryHandling,
)
from tests.fakes.daraja_stage import daraja_stage


def querying(*first: QueryAnswer | Fault, then: QueryAnswer | Fault = QueryAnswer.NORMAL) -> DarajaOptions:
    return DarajaOptions.unhurried(Behaviour(payer=Payer.PIN, query=QueryHandling(first, then)))


@pytest.mark.parametrize(
    ("payer", "code"),
    [(Payer.PIN, "0"), (Payer.CANCEL, "1032"), (Payer.WRONG_PIN, "2001"), (Payer.NO_MONEY, "1")],
)
async def test_a_finished_push_answers_with_text_codes(payer: Payer, code: str) -> None:
    """Whatever the outcome, a finished query is HTTP 200 with its ResultCode as text and both ids."""
    async with daraja_stage(DarajaOptions.unhurried(Behaviour(payer=payer))) as stage:
        push = await stage.pushed()
        await stage.lab.quiet()
        answer = await stage.query(push)
        assert answer.status == 200
        assert answer.body["ResultCode"] == code
        assert answer.body["ResultDesc"]
        assert answer.body["CheckoutRequestID"] == push
        assert answer.body["MerchantRequestID"] == stage.lab.push(push).merchant_request_id
        assert answer.body["ResponseCode"] == "0"
        assert answer.body["ResponseDescription"] == "The service request has been accepted successsfully"


async def test_pending_in_the_classic_shape() -> None:
    """While the payer thinks, the query is HTTP 500 "being processed", naming the push as request id."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        answer = await stage.query(push)
        assert answer.error == (500, "500.001.1001", "The transaction is being processed")
        assert answer.body["requestId"] == push


async def test_pending_as_4999() -> None:
    """Pending may look like a finished query with ResultCode 4999."""
    async with daraja_stage(DarajaOptions(pending_shape=QueryAnswer.PENDING_4999)) as stage:
        answer = await stage.query(await stage.pushed())
        assert (answer.status, answer.body["ResponseCode"], answer.body["ResultCode"]) == (200, "0", "4999")


async def test_a_fresh_id_is_not_known_yet() -> None:
    """In the first moments the query does not know the id; then it is pending."""
    async with daraja_stage(DarajaOptions(fresh_id_unknown_seconds=5, queries_per_minute=None)) as stage:
        push = await stage.pushed()
        assert (await stage.query(push)).error == (400, "400.002.02", "Bad Request - Invalid CheckoutRequestID")
        await stage.clock.advance(5)
        assert (await stage.query(push)).error[1] == "500.001.1001"


async def test_only_pending_shapes_are_pending() -> None:
    """A lab cannot be set up to answer pending with something final."""
    with pytest.raises(InvalidError):
        DarajaOptions(pending_shape=QueryAnswer.NORMAL)


async def test_unknown_and_foreign_and_old_ids() -> None:
    """An id never given, given to another short code, or forgotten is invalid."""
    other = Merchant("600111", "passkey", "lab-key", "lab-secret")
    options = DarajaOptions(queries_per_minute=None, queryable_seconds=3600, token_life_seconds=9999)
    async with daraja_stage(options, merchants=(SANDBOX_MERCHANT, other)) as stage:
        push = await stage.pushed()
        invalid = (400, "400.002.02", "Bad Request - Invalid CheckoutRequestID")
        assert (await stage.query("ws_CO_never_given")).error == invalid
        foreign = {"BusinessShortCode": "600111", "Password": other.password("20261121090000")}
        assert (await stage.query(push, **foreign)).error == invalid
        await stage.clock.advance(3600)
        assert (await stage.query(push)).error == invalid


async def test_the_query_proves_its_merchant() -> None:
    """A wrong password is refused as in a push."""
    async with daraja_stage() as stage:
        answer = await stage.query("ws_CO_x", Password="bm9uc2Vuc2U=")
        assert answer.error == (500, "500.001.1001", "Wrong credentials")


async def test_spike_arrest_lets_one_through_every_twelve_seconds() -> None:
    """By default 5 a minute with burst 1, in Apigee's words; refused queries do not count."""
    async with daraja_stage(DarajaOptions()) as stage:
        push = await stage.pushed()
        statuses = [(await stage.query(push)).status]
        refused = await stage.query(push)
        assert refused.status == 429
        assert refused.body["fault"] == {
            "faultstring": "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5, "
            "periodInMicroseconds=60000000, maxBurstMessageCount=1.0}",
            "detail": {"errorcode": "policies.ratelimit.SpikeArrestViolation"},
        }
        for seconds in (11.9, 0.1, 12):
            await stage.clock.advance(seconds)
            statuses.append((await stage.query(push)).status)
        assert statuses == [500, 429, 500, 500]


async def test_scripted_queries_come_in_order() -> None:
    """`first` is used up one per query, whatever the truth, then `then` holds."""
    first = (QueryAnswer.PENDING_ERROR, QueryAnswer.PENDING_4999, QueryAnswer.PENDING_INVALID_ID, Fault.HTML_503)
    async with daraja_stage(querying(*first, Fault.APIGEE_SPIKE_ARREST)) as stage:
        push = await stage.pushed()
        await stage.lab.quiet()
        assert [(await stage.query(push)).status for _ in range(6)] == [500, 200, 400, 503, 429, 200]
        assert stage.lab.push(push).queries == 6


async def test_a_query_may_contradict_the_payment() -> None:
    """A paid push can be called failed by the query; the ledger still shows the debit."""
    async with daraja_stage(querying(then=QueryAnswer.FAILED_ALTHOUGH_PAID)) as stage:
        push = await stage.pushed()
        await stage.lab.quiet()
        assert (await stage.query(push)).body["ResultCode"] == "1037"
        assert len(stage.lab.debits) == 1


async def test_a_query_may_never_be_answered_or_be_reset() -> None:
    """Silence and resets fit queries too."""
    async with daraja_stage(querying(Fault.NEVER, Fault.RESET)) as stage:
        push = await stage.pushed()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await stage.query(push)
        with pytest.raises(aiohttp.ClientConnectionError):
            await stage.query(push)
        assert (await stage.query(push)).body["ResultCode"] == "0"
