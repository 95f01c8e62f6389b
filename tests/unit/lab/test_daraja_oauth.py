from __future__ import annotations

import base64

import pytest

from easyisp_edge.lab.daraja import DarajaOptions, Fault
from tests.fakes.daraja_stage import Stage, daraja_stage


def basic(pair: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


async def test_a_token_is_28_characters_and_its_life_is_text() -> None:
    """Good keys get a token of letters and digits, with `expires_in` as the string "3599"."""
    async with daraja_stage() as stage:
        answer = await stage.ask_token()
        assert answer.status == 200
        assert set(answer.body) == {"access_token", "expires_in"}
        assert answer.body["expires_in"] == "3599"
        assert len(answer.body["access_token"]) == 28
        assert answer.body["access_token"].isalnum()


@pytest.mark.parametrize(
    ("key", "secret"), [("lab-key", "wrong"), ("nobody", "lab-secret"), ("lab-key", "lab-secret\n")]
)
async def test_wrong_keys_get_an_empty_400(key: str, secret: str) -> None:
    """A wrong key or secret, a stray newline included, is HTTP 400 without any body."""
    async with daraja_stage() as stage:
        answer = await stage.ask_token(key, secret)
        assert (answer.status, answer.text) == (400, "")


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("?grant_type=client_credentials", {}, "400.008.01"),
        ("?grant_type=client_credentials", {"Authorization": "Bearer abc"}, "400.008.01"),
        ("?grant_type=client_credentials", {"Authorization": "Basic ***"}, "400.008.01"),
        ("", basic("lab-key:lab-secret"), "400.008.02"),
        ("?grant_type=password", basic("lab-key:lab-secret"), "400.008.02"),
    ],
)
async def test_malformed_token_requests_get_daraja_errors(query: str, headers: dict[str, str], code: str) -> None:
    """A missing or foreign authorization, or another grant type, is refused in Daraja's envelope."""
    async with daraja_stage() as stage:
        answer = await stage.send("GET", "/oauth/v1/generate" + query, headers=headers)
        assert answer.status == 400
        assert set(answer.body) == {"requestId", "errorCode", "errorMessage"}
        assert answer.body["errorCode"] == code


async def test_a_token_dies_of_age() -> None:
    """A token opens the door for 3600 seconds and not one more."""
    async with daraja_stage() as stage:
        await stage.bearer()
        await stage.clock.advance(3599)
        assert (await stage.query("ws_CO_none")).body["errorCode"] == "400.002.02"
        await stage.clock.advance(1)
        assert (await stage.query("ws_CO_none")).error == (404, "404.001.03", "Invalid Access Token")


async def test_all_tokens_can_be_ended_at_once() -> None:
    """After `expire_tokens` a token is dead, and a fresh one works."""
    async with daraja_stage() as stage:
        await stage.bearer()
        stage.lab.expire_tokens()
        assert (await stage.push()).error[1] == "404.001.03"
        stage.token = ""
        assert (await stage.push()).status == 200


@pytest.mark.parametrize(("ends_earlier", "status"), [(False, 200), (True, 404)])
async def test_a_new_token_may_end_the_earlier_one(*, ends_earlier: bool, status: int) -> None:
    """Whether an app's new token ends its earlier one is the lab's choice."""
    async with daraja_stage(DarajaOptions(new_token_ends_earlier=ends_earlier)) as stage:
        await stage.bearer()
        await stage.ask_token()
        assert (await stage.push()).status == status


async def test_a_dead_token_may_be_refused_in_apigees_words() -> None:
    """The shape of the dead-token answer can be chosen."""
    async with daraja_stage(DarajaOptions(dead_token=Fault.APIGEE_EXPIRED_ACCESS)) as stage:
        stage.token = "never-given"
        answer = await stage.push()
        assert answer.status == 401
        assert answer.body["fault"]["detail"]["errorcode"] == "keymanagement.service.access_token_expired"


async def test_token_requests_fail_as_scripted_and_recover() -> None:
    """Scripted faults are used up one per token request."""
    async with daraja_stage() as stage:
        stage.lab.next_token_answers(Fault.HTML_503, Fault.EMPTY_500)
        assert [(await stage.ask_token()).status for _ in range(3)] == [503, 500, 200]


@pytest.mark.parametrize(
    ("method", "path", "bearer", "error"),
    [
        ("POST", "/mpesa/nothing/v1/here", True, (404, "404.001.01", "Resource not found")),
        ("GET", "/", False, (404, "404.001.01", "Resource not found")),
        ("GET", "/mpesa/stkpush/v1/processrequest", True, (405, "405.001", "Method Not Allowed")),
        ("GET", "/mpesa/stkpush/v1/processrequest", False, (404, "404.001.04", "Invalid Authentication Header")),
        ("POST", "/mpesa/stkpush/v1/processrequest", False, (404, "404.001.04", "Invalid Authentication Header")),
    ],
)
async def test_wrong_paths_and_methods(method: str, path: str, *, bearer: bool, error: tuple[int, str, str]) -> None:
    """Wrong paths, methods and missing headers are told apart as Daraja does."""
    async with daraja_stage() as stage:
        headers = await stage.bearer() if bearer else {}
        assert (await stage.send(method, path, headers=headers)).error == error


async def test_the_date_header_is_the_labs_clock() -> None:
    """A client without a clock may set its own by `Date`: it must be the lab's time, not the machine's."""
    async with daraja_stage() as stage, stage.http.get(stage.lab.base_url + "/") as answer:
        assert answer.headers["Date"] == "Sat, 21 Nov 2026 06:00:00 GMT"


async def test_an_outage_answers_everything() -> None:
    """During an outage tokens, pushes and unknown paths all get the chosen answer, and none after it."""

    async def statuses(stage: Stage) -> list[int]:
        return [(await stage.ask_token()).status, (await stage.push()).status]

    async with daraja_stage() as stage:
        await stage.bearer()
        stage.lab.set_outage(Fault.HTML_503)
        assert await statuses(stage) == [503, 503]
        assert stage.lab.pushes == []
        stage.lab.set_outage(None)
        assert await statuses(stage) == [200, 200]
