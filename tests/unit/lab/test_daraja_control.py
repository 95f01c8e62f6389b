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
