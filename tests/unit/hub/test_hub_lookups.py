from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.domain.sync import Lane
from easyisp_edge.errors import EdgeError
from easyisp_edge.hub.config import load_hub_config
from easyisp_edge.hub.mpesa_accounts import MpesaAccount, read_secret
from easyisp_edge.lab.daraja import (
    SANDBOX_SHORT_CODE,
    DarajaLab,
    DarajaOptions,
    Fault,
    PullHandling,
    StatusDelivery,
    StatusHandling,
)
from easyisp_edge.machine import ClockState
from easyisp_edge.system import SystemClock, SystemRandomness
from tests.fakes.hub_stage import HOST, Box, enrolled_box, hub_config, parts_of, running_hub
from tests.fakes.ports import free_port
from tests.unit.hub.seen import alarms, everything
from tests.unit.hub.test_hub_schemas import check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from pathlib import Path

    from easyisp_edge.domain.database_address import DatabaseAddress
    from easyisp_edge.hub.hub import Hub

PHONE = "0712345678"
CREDENTIAL = StatusHandling().security_credential
CANARIES = {"consumer_secret": "lab-secret", "security_credential": CREDENTIAL, "initiator": "labapi"}


class ShiftedClock:
    """The machine's clock, some time later."""

    state = ClockState.SYNCED

    def __init__(self) -> None:
        self._real = SystemClock()
        self.shift = timedelta()

    def now(self) -> datetime:
        return self._real.now() + self.shift

    def monotonic(self) -> float:
        return self._real.monotonic() + self.shift.total_seconds()

    async def sleep(self, seconds: float) -> None:
        await self._real.sleep(seconds)


@dataclass
class Stage:
    """A hub that may ask M-Pesa, M-Pesa, and a box."""

    hub: Hub
    lab: DarajaLab
    box: Box
    clock: ShiftedClock
    http: Any

    async def pays(self, shillings: int = 50, to: str = SANDBOX_SHORT_CODE, account: str = "K7M4Q2X") -> str:
        """A customer pays from the menu; gives the receipt."""
        return (await self.lab.pay_bill(PHONE, to, account, shillings)).receipt

    async def ask(self, receipt: str, box: Box | None = None, gateway: str = SANDBOX_SHORT_CODE) -> None:
        said = await (box or self.box).ask("/edge/v1/ask", {"receipt": receipt, "gateway": gateway})
        assert said.status == 202, said.body

    async def answer(self, box: Box | None = None, after: int = 0, wait: int = 5) -> dict[str, Any]:
        """The next answer to a look-up."""
        target = f"/edge/v1/down?after={after}&wait={wait}"
        said = await (box or self.box).send("GET", target, lane=Lane.DOWN)
        check("messages", said.content)
        (message,) = said.content["messages"]
        assert message["type"] == "receipt"
        return dict(message["data"])

    async def nothing(self, box: Box | None = None) -> None:
        """No answer, for now."""
        await asyncio.sleep(0.3)
        said = await (box or self.box).send("GET", "/edge/v1/down?after=0&wait=0", lane=Lane.DOWN)
        assert said.content["messages"] == []

    async def pass_time(self, **span: float) -> None:
        """Later; the hub looks again."""
        self.clock.shift += timedelta(**span)
        parts_of(self.hub).asked.ring()
        await asyncio.sleep(0)


def account(folder: Path, base_url: str, **given: Any) -> MpesaAccount:
    files = {}
    for name, text in (("consumer_key", "lab-key"), ("consumer_secret", "lab-secret"), ("credential", CREDENTIAL)):
        path = folder / name
        path.write_text(given.pop(name, text) + "\n")
        path.chmod(0o600)
        files[name] = path
    initiator = given.pop("initiator", "labapi")
    if initiator:
        given |= {"initiator": initiator, "security_credential_file": files["credential"]}
    return MpesaAccount(
        short_code=SANDBOX_SHORT_CODE,
        consumer_key_file=files["consumer_key"],
        consumer_secret_file=files["consumer_secret"],
        base_url=base_url,
        **given,
    )


@contextlib.asynccontextmanager
async def staged(
    folder: Path, database: DatabaseAddress, http: Any, options: DarajaOptions | None = None, **given: Any
) -> AsyncIterator[Stage]:
    clock = ShiftedClock()
    lab = DarajaLab(clock=clock, randomness=SystemRandomness(), options=options or DarajaOptions.unhurried())
    async with lab:
        lab.pull_registered.add(SANDBOX_SHORT_CODE)
        port = free_port()
        config = hub_config(folder, database).model_copy(
            update={
                "port": port,
                "public_url": f"http://{HOST}:{port}",
                "mpesa": (account(folder, lab.base_url, **given),),
            }
        )
        async with running_hub(config, clock) as hub:
            yield Stage(hub, lab, await enrolled_box(hub, http), clock, http)


@pytest.fixture
def own(tmp_path: Path) -> SqliteAddress:
    return SqliteAddress(tmp_path / "own.sqlite")


async def test_a_listed_receipt_is_found(tmp_path: Path, database: DatabaseAddress, http: Any) -> None:
    """By Pull: amount, account and payer as M-Pesa's list has them; no Transaction Status is asked for it."""
    async with staged(tmp_path, database, http, pull=True) as stage:
        receipt = await stage.pays(70)
        await stage.ask(receipt)
        told = await stage.answer()
        record = told.pop("record")
        assert told == {"receipt": receipt, "gateway": SANDBOX_SHORT_CODE, "found": True, "used": False}
        assert json.loads(record.pop("raw"))["transactionId"] == receipt
        assert record.pop("paidAt").endswith("Z")
        assert record == {
            "mpesaReceiptNumber": receipt,
            "amountCents": 7000,
            "account": "K7M4Q2X",
            "payer": "254712345678",
            "listed": True,
        }
        assert stage.lab.status_asked == []


async def test_a_receipt_is_found_by_its_status(tmp_path: Path, database: DatabaseAddress, http: Any) -> None:
    """Where it is not listed: M-Pesa posts the result to an address nobody can guess."""
    async with staged(tmp_path, database, http) as stage:
        receipt = await stage.pays(70)
        await stage.ask(receipt)
        told = await stage.answer()
        assert (told["found"], told["used"]) == (True, False)
        assert (told["record"]["amountCents"], told["record"]["payer"]) == (7000, "254712345678")
        (asked,) = stage.lab.status_asked
        assert asked.receipt == receipt
        assert len(asked.result_url.rpartition("/")[2]) == 32
        assert asked.result_url != asked.timeout_url


async def test_a_receipt_nobody_knows_is_not_found(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """As M-Pesa says so."""
    async with staged(tmp_path, own, http) as stage:
        await stage.ask("TKL5NEVER1")
        told = await stage.answer()
        assert (told["found"], told["record"]) == (False, None)


async def test_money_to_somebody_else_is_not_found(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """Where M-Pesa tells of others' payments too."""
    options = replace(DarajaOptions.unhurried(), status=StatusHandling(knows_others=True))
    async with staged(tmp_path, own, http, options) as stage:
        receipt = await stage.pays(to="247247", account="0322417860001")
        await stage.ask(receipt)
        assert (await stage.answer())["found"] is False


async def test_a_receipt_is_money_for_one_site(tmp_path: Path, database: DatabaseAddress, http: Any) -> None:
    """Another that asks for the same is told that it is used, and gets nothing to book; a person can see it."""
    async with staged(tmp_path, database, http, pull=True) as stage:
        receipt = await stage.pays()
        other = await enrolled_box(stage.hub, http)
        await stage.ask(receipt)
        assert (await stage.answer())["used"] is False
        await stage.ask(receipt, other)
        told = await stage.answer(other)
        assert (told["found"], told["record"], told["used"]) == (True, None, True)
        assert await alarms(stage.hub, other.site) == {"receipt.elsewhere": 1}
        await stage.ask(receipt)  # the first may ask again: its answer may have been lost
        assert (await stage.answer(after=1))["used"] is False


async def test_a_receipt_in_another_sites_books_is_used(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """Whether it asked for it or not."""
    async with staged(tmp_path, own, http, pull=True) as stage:
        receipt = await stage.pays()
        other = await enrolled_box(stage.hub, http)
        other.make_rows(
            payments=[{"payment_id": "p1", "mpesa_receipt_number": receipt, "disposition": "grant", "amount_cents": 1}]
        )
        assert (await other.post_all()).status == 200
        await stage.ask(receipt)
        assert (await stage.answer())["used"] is True


async def test_a_lost_result_is_asked_for_again(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """Not at once, and not without end."""
    options = replace(DarajaOptions.unhurried(), status=StatusHandling(delivery=StatusDelivery.LOST))
    async with staged(tmp_path, own, http, options) as stage:
        receipt = await stage.pays()
        await stage.ask(receipt)
        await stage.nothing()
        await stage.pass_time(seconds=31)
        await stage.nothing()
        assert len(stage.lab.status_asked) == 1
        stage.lab.set_status(StatusHandling())
        await stage.pass_time(minutes=2)
        assert (await stage.answer())["found"] is True
        assert len(stage.lab.status_asked) == 2


async def test_what_stays_unknown_is_said_after_a_while(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """Neither found nor not found: nobody may conclude anything from it."""
    options = replace(DarajaOptions.unhurried(), status=StatusHandling(delivery=StatusDelivery.TIMED_OUT))
    async with staged(tmp_path, own, http, options) as stage:
        await stage.ask(await stage.pays())
        await stage.nothing()
        await stage.pass_time(minutes=16)
        told = await stage.answer()
        assert (told["found"], told["record"]) == (None, None)


@pytest.mark.parametrize(("others", "found"), [(True, False), (False, None)])
async def test_a_whole_list_without_it_is_a_no(
    tmp_path: Path, own: SqliteAddress, http: Any, *, others: bool, found: bool | None
) -> None:
    """By Pull alone, after the time payments take to be listed; an empty list may be one that was never opened."""
    async with staged(tmp_path, own, http, pull=True, initiator="") as stage:
        if others:
            await stage.pays()
        today = stage.lab._identifiers.receipt(stage.clock.now())
        await stage.ask(today)
        await stage.nothing()
        await stage.pass_time(minutes=16)
        assert (await stage.answer())["found"] is found


async def test_an_old_receipt_is_not_judged_by_a_list(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """M-Pesa lists two days only."""
    async with staged(tmp_path, own, http, pull=True, initiator="") as stage:
        await stage.pays()
        old = stage.lab._identifiers.receipt(stage.clock.now() - timedelta(days=4))
        await stage.ask(old)
        await stage.nothing()
        await stage.pass_time(minutes=16)
        assert (await stage.answer())["found"] is None


async def test_a_payment_that_is_listed_late_is_found_late(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """The hub looks again until then."""
    options = replace(DarajaOptions.unhurried(), pull=PullHandling(visible_after_seconds=300))
    async with staged(tmp_path, own, http, options, pull=True, initiator="") as stage:
        receipt = await stage.pays()
        await stage.ask(receipt)
        await stage.nothing()
        await stage.pass_time(minutes=6)
        assert (await stage.answer())["found"] is True


async def test_a_refused_initiator_is_not_tried_until_it_is_locked(
    tmp_path: Path, own: SqliteAddress, http: Any
) -> None:
    """One wrong try, an alarm for a person, and rest."""
    async with staged(tmp_path, own, http, credential="d3Jvbmc=") as stage:
        await stage.ask(await stage.pays())
        await stage.nothing()
        for _ in range(4):
            await stage.pass_time(minutes=3)
            await stage.nothing()
        assert len(stage.lab.status_asked) == 1
        assert (await alarms(stage.hub, ""))["mpesa.refused"] == 1


async def test_an_outage_of_m_pesa_is_waited_out(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """Nothing is concluded from it, and the hub lives."""
    async with staged(tmp_path, own, http, pull=True) as stage:
        receipt = await stage.pays()
        stage.lab.set_outage(Fault.HTML_503)
        await stage.ask(receipt)
        await stage.nothing()
        stage.lab.set_outage(None)
        await stage.pass_time(seconds=31)
        assert (await stage.answer())["found"] is True


async def test_one_that_cannot_be_asked_about_does_not_stop_the_others(
    tmp_path: Path, own: SqliteAddress, http: Any
) -> None:
    """What is listed is told while Transaction Status fails."""
    async with staged(tmp_path, own, http, pull=True) as stage:
        receipt = await stage.pays()
        stage.lab.set_status(StatusHandling(fault=Fault.SYSTEM_BUSY))
        other = await enrolled_box(stage.hub, http)
        for turn in range(3):
            await stage.ask(f"TKL5NEVER{turn}", other)
        await stage.ask(receipt)
        assert (await stage.answer())["found"] is True
        await stage.nothing(other)
        stage.lab.set_status(StatusHandling())
        await stage.pass_time(minutes=3)
        await asyncio.sleep(0.5)
        said = await other.send("GET", "/edge/v1/down?after=0&wait=0", lane=Lane.DOWN)
        assert [one["data"]["found"] for one in said.content["messages"]] == [False] * 3


async def test_what_the_hub_cannot_ask_about_is_said_at_once(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """A short code it does not know, and one that is another site's."""
    async with staged(tmp_path, own, http, pull=True, sites=("0" * 16,)) as stage:
        receipt = await stage.pays()
        await stage.ask(receipt, gateway="600999")
        assert (await stage.answer())["found"] is None
        await stage.ask(receipt)
        told = await stage.answer(after=1)
        assert (told["found"], told["record"]) == (None, None)
        assert await alarms(stage.hub, stage.box.site) == {"ask.foreign": 1}


async def test_a_till_is_looked_up_by_its_own_number(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """A box asks by the number customers pay to."""
    async with staged(tmp_path, own, http, pull=True, tills=("512345",)) as stage:
        receipt = await stage.pays()
        await stage.ask(receipt, gateway="512345")
        assert (await stage.answer())["found"] is True


# --- what may be posted to the hub


async def post(stage: Stage, url: str, content: Any) -> int:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    async with stage.http.post(url, data=body) as answer:
        return int(answer.status)


def result(receipt: str, **given: Any) -> dict[str, Any]:
    told = {
        "ReceiptNo": receipt,
        "TransactionStatus": "Completed",
        "Amount": "900",
        "CreditPartyName": f"{SANDBOX_SHORT_CODE} - LAB",
        "DebitPartyName": "254712345678 - JANE DOE",
    } | given
    parameters = [{"Key": key, "Value": value} for key, value in told.items()]
    return {"Result": {"ResultCode": 0, "ResultParameters": {"ResultParameter": parameters}}}


@pytest.mark.parametrize("path", ["r", "q"])
async def test_a_guessed_address_takes_nothing(tmp_path: Path, own: SqliteAddress, http: Any, path: str) -> None:
    """Unknown tokens, wrong shapes: one answer, nothing changes, an alarm."""
    async with staged(tmp_path, own, http) as stage:
        before = await everything(stage.hub)
        for token in ("0" * 32, "x", "A" * 32, "%00"):
            assert await post(stage, f"{stage.hub.address}/{path}/{token}", result("TKL5NEVER1")) == 404
        assert await everything(stage.hub) == before
        assert (await alarms(stage.hub, ""))["result.unknown"] == 4


async def test_a_result_is_taken_once_and_only_for_its_receipt(tmp_path: Path, own: SqliteAddress, http: Any) -> None:
    """One of another receipt finds nothing; after it the address is gone."""
    options = replace(DarajaOptions.unhurried(), status=StatusHandling(delivery=StatusDelivery.LOST))
    async with staged(tmp_path, own, http, options) as stage:
        receipt = await stage.pays()
        await stage.ask(receipt)
        await stage.nothing()
        (asked,) = stage.lab.status_asked
        assert await post(stage, asked.result_url, result("TKL5OTHER1")) == 200
        await stage.nothing()
        assert await post(stage, asked.result_url, result(receipt)) == 404
        await stage.nothing()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"Result": 5}', b"\xff", b"[" * 9000])
async def test_a_result_that_cannot_be_read_says_nothing(
    tmp_path: Path, own: SqliteAddress, http: Any, body: bytes
) -> None:
    """It is asked again."""
    options = replace(DarajaOptions.unhurried(), status=StatusHandling(delivery=StatusDelivery.LOST))
    async with staged(tmp_path, own, http, options) as stage:
        await stage.ask(await stage.pays())
        await stage.nothing()
        assert await post(stage, stage.lab.status_asked[0].result_url, body) == 200
        await stage.nothing()
        stage.lab.set_status(StatusHandling())
        await stage.pass_time(minutes=3)
        assert (await stage.answer())["found"] is True


# --- secrets


async def test_secrets_stay_at_the_hub(
    tmp_path: Path, own: SqliteAddress, http: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that a box, the database or the log gets holds any of them, with refusals that repeat them too."""
    caplog.set_level(logging.DEBUG)
    async with staged(tmp_path, own, http, pull=True) as stage:
        receipt = await stage.pays()
        stage.lab.set_pull(PullHandling(fault=Fault.PULL_FAILED))
        stage.lab.next_status_answers(Fault.BAD_REQUEST, Fault.APIGEE_NO_PRODUCT)
        await stage.ask(receipt)
        await stage.nothing()
        stage.lab.set_pull(PullHandling())
        await stage.pass_time(hours=1)
        told = await stage.answer()
        async with parts_of(stage.hub).database.reading() as tx:
            kept = [await tx.rows(f"SELECT * FROM {table}") for table in ("down_messages", "status_asks", "alarms")]  # noqa: S608
        told_to_m_pesa = repr(stage.lab.status_asked)
    stored = own.path.read_bytes()
    for canary in (CANARIES["consumer_secret"], CANARIES["security_credential"]):
        assert canary not in json.dumps(told) + repr(kept) + caplog.text + told_to_m_pesa
        assert canary.encode() not in stored


def test_files_with_secrets_are_for_their_owner(tmp_path: Path) -> None:
    """Readable by others, empty, or not one line: refused, and nothing of it is said."""
    path = tmp_path / "secret"
    for text, mode in (("c4n4ry", 0o644), ("", 0o600), ("c4n4ry\nmore", 0o600), ("c4n4ry" * 1000, 0o600)):
        path.write_text(text)
        path.chmod(mode)
        with pytest.raises(EdgeError) as refused:
            read_secret(path)
        assert "c4n4ry" not in str(refused.value)
    with pytest.raises(EdgeError):
        read_secret(tmp_path / "none")


async def test_an_address_m_pesa_would_not_post_to_is_said_at_the_start(tmp_path: Path, own: SqliteAddress) -> None:
    """Not when the first customer waits."""
    config = hub_config(tmp_path, own).model_copy(
        update={"public_url": "https://mpesa.example.com", "mpesa": (account(tmp_path, "http://127.0.0.1:1"),)}
    )
    with pytest.raises(BaseExceptionGroup) as refused:
        async with running_hub(config):
            pass
    assert refused.group_contains(EdgeError, match="mpesa")


def test_the_configuration_names_short_codes(tmp_path: Path) -> None:
    """Files beside it; what cannot be looked up by any way is refused."""
    head = 'public_url = "https://hub.example.com"\ndatabase = "sqlite:///tmp/h.sqlite"\nkey_file = "key"\n'
    table = '[[mpesa]]\nshort_code = "600000"\nconsumer_key_file = "k"\nconsumer_secret_file = "s"\n'
    path = tmp_path / "hub.toml"
    path.write_text(head + 'fleet_token_file = "t"\n' + table + "pull = true\n")
    config = load_hub_config(path)
    assert config.mpesa[0].consumer_key_file == tmp_path / "k"
    assert config.fleet_token_file == tmp_path / "t"
    twice = "pull = true\n" + table.replace("600000", "600001") + 'pull = true\ntills = ["600000"]\n'
    for wrong in (twice, "", 'initiator = "api"\n', "pull = true\nprefix = 1\n", 'pull = true\ntills = ["x"]\n'):
        path.write_text(head + table + wrong)
        with pytest.raises(EdgeError):
            load_hub_config(path)
