from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.errors import UnavailableError
from easyisp_edge.lab.daraja import DarajaLab, Fault
from tests.fakes.daraja_stage import PHONE, CrankedClock, SeededRandomness, Stage, daraja_stage

if TYPE_CHECKING:
    from tests.fakes.daraja_stage import Answer


async def control(stage: Stage, method: str, path: str, body: Any = None) -> Answer:
    return await stage.send(method, stage.lab.phone_url + "/lab" + path, json=body)


async def test_a_payment_driven_over_http() -> None:
    """Prompt, PIN, debit and callback can all be seen and done through the controls."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        (prompt,) = (await control(stage, "GET", "/prompts")).body
        assert prompt == {
            "phone": PHONE,
            "checkout_request_id": push,
            "text": "Do you want to pay Ksh 50 to EASYISP LAB Account no. ABC123?",
            "opened_at": "2026-11-21T06:00:00.000Z",
            "expires_at": "2026-11-21T06:01:00.000Z",
            "ignored": False,
        }
        assert (await control(stage, "POST", f"/prompts/{push}/pin")).body["result_code"] == "0"
        await stage.shop.next()
        await stage.lab.quiet()
        (debit,) = (await control(stage, "GET", "/debits")).body
        assert (debit["phone"], debit["shillings"], debit["checkout_request_id"]) == (PHONE, 50, push)
        (sent,) = (await control(stage, "GET", "/callbacks")).body
        assert sent["status"] == 200
        assert sent["body"]["Body"]["stkCallback"]["CheckoutRequestID"] == push
        (seen,) = (await control(stage, "GET", "/pushes")).body
        assert seen["fields"]["AccountReference"] == "ABC123"
        assert "Password" not in seen["fields"]
        assert seen["accepted"] == (await control(stage, "GET", f"/pushes/{push}")).body
        phone = (await control(stage, "GET", "/phones/0708374149")).body
        assert (phone["balance_shillings"], phone["prompt"]) == (4950, None)
        assert phone["messages"][0]["text"].startswith(debit["receipt"])


@pytest.mark.parametrize(("act", "code"), [("wrong-pin", "2001"), ("cancel", "1032"), ("ignore", None)])
async def test_acts_over_http(act: str, code: str | None) -> None:
    """Each act of the phone has its route."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        assert (await control(stage, "POST", f"/prompts/{push}/{act}")).body["result_code"] == code


async def test_behaviours_over_http() -> None:
    """Next pushes, a phone and the default can be scripted in JSON, and forgotten again."""
    async with daraja_stage() as stage:
        story = {
            "payer": "result",
            "result_code": "1037",
            "callback": {"copies": 2},
            "query": {"first": ["pending-4999", "html-503"]},
        }
        assert (await control(stage, "POST", "/next-pushes", [{"fault": "html-200"}, story])).status == 204
        assert (await stage.push()).content_type == "text/html"
        push = await stage.pushed()
        await stage.lab.quiet()
        assert len(stage.shop.bodies) == 2
        assert [(await stage.query(push)).status for _ in range(3)] == [200, 503, 200]
        await control(stage, "PUT", "/behaviour", {"payer": "no-money"})
        await control(stage, "PUT", "/phones/0708374149/behaviour", {"payer": "cancel"})
        codes = []
        for _ in range(2):
            push = await stage.pushed()
            await stage.lab.quiet()
            codes.append(stage.lab.push(push).result.code)  # type: ignore[union-attr]
            await control(stage, "DELETE", "/phones/0708374149/behaviour")
        assert codes == ["1032", "1"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/behaviour", {"payer": "sing"}, 400),
        ("PUT", "/behaviour", {"peyer": "pin"}, 400),
        ("PUT", "/behaviour", {"callback": {"copys": 2}}, 400),
        ("PUT", "/behaviour", {"payer": "result"}, 400),
        ("PUT", "/phones/12/balance", {"shillings": 1}, 400),
        ("PUT", "/phones/0708374149/balance", {"shillings": -1}, 400),
        ("PUT", "/outage", {}, 400),
        ("POST", "/prompts/ws_CO_none/pin", None, 404),
        ("POST", "/prompts/ws_CO_none/dance", None, 404),
        ("POST", "/pushes/ws_CO_none/callback", None, 404),
        ("POST", "/pushes/ws_CO_none/late-success", None, 404),
        ("POST", "/phones/12/payments", {"kind": "till", "number": "512345", "shillings": 1}, 400),
        ("POST", f"/phones/{PHONE}/payments", {"kind": "till", "number": "512345", "shillings": 1}, 404),
        ("POST", f"/phones/{PHONE}/payments", {"kind": "paybill", "number": "174379", "shillings": 1}, 400),
        (
            "POST",
            f"/phones/{PHONE}/payments",
            {"kind": "paybill", "number": "174379", "account": "A", "shillings": 5001},
            409,
        ),
        ("PUT", f"/phones/{PHONE}/subscriber", {"language": "fr"}, 400),
        ("PUT", f"/phones/{PHONE}/subscriber", {"name": ""}, 400),
        ("POST", "/debits/UKL0000000/reversal", None, 404),
        ("POST", "/settlements", {"kind": "paybill", "number": "174379", "shillings": 1}, 409),
        ("POST", "/no-api", {"number": "898989", "name": "KIOSK"}, 400),
        ("POST", "/no-api", {"number": "898989", "name": "KIOSK", "owner": "0722000001"}, 400),
        ("GET", "/received/12x45678", None, 400),
        ("PUT", "/pull", {"methods": "put"}, 400),
        ("PUT", "/pull", {"page_rows": 0}, 400),
        ("PUT", "/pull", {"pagerows": 5}, 400),
        ("POST", "/pull/answers", {"faults": ["no-such-fault"]}, 400),
        ("PUT", "/c2b", {"validate": True}, 400),
        ("POST", "/c2b/next-notices", [{"copies": -1}], 400),
        ("DELETE", "/c2b/urls/174379", None, 404),
    ],
)
async def test_wrong_orders_are_refused_with_reasons(method: str, path: str, body: Any, status: int) -> None:
    """A misspelt key, an impossible value or an unknown id is a JSON error and changes nothing."""
    async with daraja_stage() as stage:
        answer = await control(stage, method, path, body)
        assert answer.status == status
        assert set(answer.body) == {"code", "message"}
        assert (await stage.push()).status == 200


async def test_money_tokens_outage_and_late_success_over_http() -> None:
    """The rest of the controls do what their methods do."""
    async with daraja_stage() as stage:
        await control(stage, "PUT", f"/phones/{PHONE}/balance", {"shillings": 10})
        push = await stage.pushed()
        assert (await control(stage, "POST", f"/prompts/{push}/pin")).body["result_code"] == "1"
        assert (await control(stage, "POST", f"/pushes/{push}/late-success")).status == 409
        await control(stage, "PUT", f"/phones/{PHONE}/balance", {"shillings": 60})
        assert (await control(stage, "POST", f"/pushes/{push}/late-success")).body["result_code"] == "0"
        await stage.lab.quiet()
        assert (await control(stage, "POST", f"/pushes/{push}/callback")).body["status"] == 200
        assert len(stage.shop.bodies) == 3
        await control(stage, "POST", "/tokens/expire")
        assert (await stage.push()).error[1] == "404.001.03"
        await control(stage, "POST", "/tokens/answers", {"faults": ["empty-500"]})
        assert [(await stage.ask_token()).status for _ in range(2)] == [500, 200]
        await control(stage, "PUT", "/outage", {"fault": "html-503"})
        assert (await stage.ask_token()).status == 503
        await control(stage, "PUT", "/outage", {"fault": None})
        assert (await stage.ask_token()).status == 200


async def test_a_taken_port_leaves_nothing_open() -> None:
    """When the second address cannot be had, start fails, and the first one is free again."""
    async with daraja_stage() as stage:
        taken = int(stage.lab.phone_url.rsplit(":", 1)[1])
        lab = DarajaLab(clock=CrankedClock(), randomness=SeededRandomness())
        with pytest.raises(OSError, match="address already in use"):
            await lab.start(phone_port=taken)
        with pytest.raises(UnavailableError):
            _ = lab.base_url


async def test_a_lent_session_stays_open() -> None:
    """Callbacks may leave through a session of the caller's, which the lab does not close."""
    async with daraja_stage() as stage:
        async with DarajaLab(clock=stage.clock, randomness=SeededRandomness(), session=stage.http) as lab:
            lab.set_outage(Fault.HTML_503)
            assert lab.prompts == []
        assert not stage.http.closed


async def test_closing_twice_is_harmless() -> None:
    """`close` may be called again, with prompts open or not."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        await stage.lab.close()
        await stage.lab.close()
        assert stage.lab.push(push).result is None
        assert stage.lab.prompts == []


async def test_paying_from_the_menu_over_http() -> None:
    """Payments, names, languages, reversals and settlements, each by its route."""
    async with daraja_stage() as stage:
        await control(stage, "PUT", f"/phones/{PHONE}/subscriber", {"name": "JANE DOE", "language": "sw"})
        body = {"kind": "paybill", "number": "174379", "account": "ab3 k9", "shillings": 50}
        debit = (await control(stage, "POST", "/phones/0708374149/payments", body)).body
        assert (await control(stage, "GET", "/debits")).body == [debit]
        assert (debit["receiver_kind"], debit["receiver_name"]) == ("paybill", "EASYISP LAB")
        assert (debit["account_reference"], debit["checkout_request_id"]) == ("ab3 k9", "")
        (message,) = (await control(stage, "GET", f"/phones/{PHONE}")).body["messages"]
        assert "Imethibitishwa" in message["text"]
        settled = (await control(stage, "POST", "/settlements", body | {"shillings": 1})).status
        assert settled == 400  # it has no account
        settlement = {"kind": "paybill", "number": "174379", "shillings": 20}
        assert (await control(stage, "POST", "/settlements", settlement)).body["shillings"] == 20
        assert (await control(stage, "POST", f"/debits/{debit['receipt']}/reversal")).status == 409
        second = (await control(stage, "POST", f"/phones/{PHONE}/payments", body)).body
        reversal = (await control(stage, "POST", f"/debits/{second['receipt']}/reversal")).body
        assert reversal["of"] == second["receipt"]
        assert (await control(stage, "GET", "/reversals")).body == [reversal]


async def test_merchants_without_api_over_http() -> None:
    """A till is added, paid, and its owner's messages read."""
    async with daraja_stage() as stage:
        till = {"number": "898989", "name": "KIOSK YA MAMA", "owner_phone": "0722000001"}
        assert (await control(stage, "POST", "/no-api", till)).status == 204
        body = {"kind": "till", "number": "898989", "shillings": 50}
        debit = (await control(stage, "POST", f"/phones/{PHONE}/payments", body)).body
        (told,) = (await control(stage, "GET", "/received/898989")).body
        assert told["phone"] == "254722000001"
        assert told["text"].startswith(f"{debit['receipt']} Confirmed.on ")


async def test_pull_c2b_and_pictures_over_http() -> None:
    """Their manners and their next answers can be chosen, and what they know can be read."""
    async with daraja_stage() as stage:
        await control(stage, "POST", "/pull/answers", {"faults": [None, "html-503"]})
        await stage.register_pull()
        assert (await control(stage, "GET", "/pull/registered")).body == ["174379"]
        assert [(await stage.pull()).status for _ in range(2)] == [503, 200]
        await control(stage, "PUT", "/pull", {"methods": "get", "empty": "text"})
        assert (await stage.pull()).status == 405
        assert (await stage.pull("GET")).body["Transaction"] == "[[]]"
        await control(stage, "PUT", "/c2b", {"once_per_short_code": True, "notice": {"copies": 2}})
        await control(stage, "POST", "/c2b/answers", {"faults": ["urls-on-old-platform"]})
        assert [(await stage.register_urls()).status for _ in range(3)] == [500, 200, 500]
        (urls,) = (await control(stage, "GET", "/c2b/urls")).body
        assert (urls["version"], urls["response_type"]) == ("v2", "Completed")
        await control(stage, "POST", "/c2b/next-notices", [{"copies": 0}])
        for _ in range(2):
            await stage.lab.pay_bill(PHONE, "174379", "A", 1)
        await stage.lab.quiet()
        notices = (await control(stage, "GET", "/notices")).body
        assert [(sent["kind"], sent["status"]) for sent in notices] == [("confirmation", 200)] * 2
        assert notices[0]["body"]["TransID"] == stage.lab.debits[1].receipt
        assert (await control(stage, "DELETE", "/c2b/urls/174379")).status == 204
        await control(stage, "POST", "/qr/answers", {"faults": ["empty-500"]})
        assert [(await stage.qr()).status for _ in range(2)] == [500, 200]
