"""Paying from the M-Pesa menu, showing a receipt, spending credit: the pages, and what comes of them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from easyisp_edge.lab.daraja import Fault, Merchant, MerchantKind
from tests.whole.browsing import BrowsedStage
from tests.whole.stage import (
    ADDRESS,
    GATEWAYS,
    MAC,
    OTHER_MAC,
    OTHER_PHONE,
    PACKAGES,
    PHONE,
    Stage,
)
from tests.whole.test_xss import AWAY, PAYLOADS, Anatomy, site
from tests.whole.test_xss import look as hostile_look

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LISTED = GATEWAYS + '[gateway.pull]\nnominated_number = "0722000000"\nevery = "1m"\n'
SMALL = '[[package]]\nid = "half"\nname = "Half an hour"\nprice = 5\nduration = "30m"\nspeed = "2M/5M"\n'
PROVISIONAL = '[[tenant]]\nid = "default"\nname = "Shop"\nprovisional_access = "15m"\n'
PAYBILL = "174379"
TILL = Merchant("600987", "till-passkey", "till-key", "till-secret", kind=MerchantKind.BUYGOODS, till="512345")
TILL_GATEWAY = """[[gateway]]
id = "till"
sub_type = "BUYGOODS"
shortcode = "512345"
store_number = "600987"
consumer_key = "till-key"
consumer_secret = "till-secret"
passkey = "till-passkey"
environment = "sandbox"
base_url = "{daraja}"
"""
BANK_GATEWAY = """[[gateway]]
id = "bank"
sub_type = "BANK"
shortcode = "247247"
business_shortcode = "600986"
account_number = "0123456789012"
consumer_key = "bank-key"
consumer_secret = "bank-secret"
passkey = "bank-passkey"
base_url = "{daraja}"
"""
NO_API_GATEWAY = """[[gateway]]
id = "kiosk"
type = "MPESA_NO_API"
sub_type = "BUYGOODS"
shortcode = "898989"
"""
KEY = "a" * 32


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A site whose gateway's list is read."""
    async with Stage(tmp_path, files={"gateways.toml": LISTED, "packages.toml": PACKAGES + SMALL}) as site:
        yield site


async def token_of(stage: Stage, mac: str = MAC) -> str:
    """How the pages name a device."""
    _, page = await stage.get("/", mac=mac, more="1")
    found = re.search(r"[?;]d=([A-Za-z0-9_-]*)&amp;", page)
    assert found is not None
    return found[1]


async def post(stage: Stage, path: str, **fields: str) -> tuple[int, str]:
    """Send a form; gives where it leads to, or the page that came back."""
    async with stage.http.post(path, data=fields, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location") or await answer.text()


async def offered(stage: Stage, package: str = "1h", phone: str = PHONE, mac: str = MAC) -> tuple[str, str]:
    """Choose to pay from the menu; gives the page's path and the code to type."""
    form = {"package": package, "phone": phone, "d": await token_of(stage, mac), "lang": "en", "prompt": "no"}
    status, path = await post(stage, "/buy", **form)
    assert status == 303, path
    _, page = await stage.get(path)
    found = re.search(r'<b class="code">([A-Z0-9]{3})<i></i>([A-Z0-9]{4})</b>', page)
    assert found is not None, page
    return path, found[1] + found[2]


async def claimed(stage: Stage, text: str, mac: str = MAC, **fields: str) -> str:
    """Show a receipt by the form; gives the path of the claim's page."""
    form = {"text": text, "d": await token_of(stage, mac), "lang": "en", **fields}
    status, path = await post(stage, "/paid", **form)
    assert status == 303, path
    assert re.fullmatch(r"/k/[0-9a-f]{32}\?lang=en", path)
    return path


async def until_says(stage: Stage, path: str, *words: str) -> str:
    """Wait until a page says all of that; gives the page."""
    page = ""

    async def says() -> bool:
        nonlocal page
        page = (await stage.get(path))[1]
        return all(word in page for word in words)

    try:
        await stage.until(says, seconds=5, what=f"{words}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {re.sub(r'(?s)<style>.*?</style>|<[^>]*>', ' ', page)}") from None
    return page


def words_of(page: str) -> str:
    """What can be read, in plain letters."""
    bare = re.sub(r"(?s)<style>.*?</style>|<[^>]*>", " ", page)
    return re.sub(r"\s+", " ", bare.replace("\u2011", "-").replace("\u00a0", " "))


def look(stage: Stage, seconds: float = 21) -> None:
    """Let the list be read again, which is not done all the time."""
    stage.time.move(seconds)
    stage.daemon.parts.bells.ring_look()


async def claim_json(stage: Stage, path: str) -> tuple[int, dict[str, Any]]:
    """Where a claim stands, as the page's script asks."""
    claim_id = path[3:35]
    async with stage.http.get("/api/portal/mpesa/claim", params={"claimId": claim_id}) as answer:
        content: dict[str, Any] = await answer.json()
        return answer.status, content


class TestMenu:
    async def test_the_code_typed_in_the_menu_lets_the_device_on(self, stage: Stage) -> None:
        """No prompt is sent; number, code and amount stand on the page; money with the code buys by itself."""
        path, code = await offered(stage)
        _, page = await stage.get(path)
        assert "Pay from the M-Pesa menu" in words_of(page)
        for word in (PAYBILL, "KES 10", "Pay Bill"):
            assert word in words_of(page)
        assert stage.daraja.pushes == []
        assert await stage.status(path[3:35]) == {"status": "pending", "step": "offered"}  # said once, not at each poll
        await stage.daraja.pay_bill(OTHER_PHONE, PAYBILL, f"{code[:3]}-{code[3:]}".lower(), 10)
        look(stage)
        await stage.until_online()
        await until_says(stage, path, "You are online")

    async def test_the_prompt_and_the_menu_lead_to_the_same_purchase(self, stage: Stage) -> None:
        """While the prompt is open the page names the menu, too; money from there settles this very purchase."""
        purchase_id = await stage.buy()
        _, page = await stage.get(f"/p/{purchase_id}")
        (push,) = stage.daraja.accepted
        code = push.request.account_reference
        assert f'<b class="code">{code[:3]}<i></i>{code[3:]}</b>' in page
        await stage.daraja.pay_bill(PHONE, PAYBILL, code, 10)
        look(stage)
        await stage.until_status(purchase_id, "completed")

    async def test_the_json_can_leave_the_prompt_out(self, stage: Stage) -> None:
        """With `prompt` false nobody is prompted, and the answer says how to pay."""
        order = {"phone": PHONE, "packageId": "1h", "macAddress": MAC, "prompt": False}
        async with stage.http.post("/api/portal/mpesa/initiate", json=order) as answer:
            content = await answer.json()
        assert (answer.status, content["success"], content["status"]) == (200, True, "pending")
        code = content["menu"].pop("account")
        assert re.fullmatch(r"[2-9A-Z]{7}", code)
        assert content["menu"] == {"kind": "paybill", "number": PAYBILL, "amount": 10}
        assert "KES 10" in content["message"]
        assert stage.daraja.pushes == []
        async with stage.http.post("/api/portal/mpesa/initiate", json=order | {"prompt": "no"}) as answer:
            assert (answer.status, (await answer.json())["field"]) == (400, "prompt")

    async def test_a_till_has_no_account(self, tmp_path: Path) -> None:
        """Buy Goods asks for the till's number and the amount."""
        async with Stage(tmp_path, merchants=(TILL,), files={"gateways.toml": TILL_GATEWAY}) as stage:
            started = await stage.initiate()
            purchase_id = started["checkoutRequestId"]
            assert started["menu"] == {"kind": "till", "number": "512345", "amount": 10}
            page = words_of((await stage.get(f"/p/{purchase_id}"))[1])
            assert "Till number (Buy Goods) 512345" in page
            assert "Account number" not in page

    async def test_a_bank_has_no_menu(self, tmp_path: Path) -> None:
        """Its account number is the bank's: what came in so could not be told from anything else."""
        async with Stage(tmp_path, files={"gateways.toml": BANK_GATEWAY}) as stage:
            _, page = await stage.get("/buy", package="1h", mac=MAC)
            assert 'name="prompt"' not in page
            assert "menu" not in (await stage.initiate())

    async def test_without_an_api_the_menu_is_the_only_way(self, tmp_path: Path) -> None:
        """The number is asked for, then the page shows where to pay; the staff have to confirm, and that is said."""
        async with Stage(tmp_path, files={"gateways.toml": NO_API_GATEWAY}) as stage:
            _, page = await stage.get("/buy", package="1h", mac=MAC)
            assert page.count("<button") == 1
            assert 'name="prompt" value="no"' in page
            status, path = await post(stage, "/buy", package="1h", phone=PHONE, d=await token_of(stage))
            assert status == 303
            said = words_of((await stage.get(path))[1])
            assert "Till number (Buy Goods) 898989" in said
            assert "The staff look at it" in said
            claim = await claimed(stage, "UKL5QWERT1")
            assert "The staff here have to confirm it" in words_of((await stage.get(claim))[1])


class TestReceipts:
    async def test_a_message_pasted_lets_the_device_on(self, stage: Stage) -> None:
        """Money that nobody knew what for; the whole message, as the phone shows it; looked up, found, online."""
        await stage.daraja.pay_bill(PHONE, PAYBILL, "WIFI", 10)
        (sms,) = stage.daraja.messages(PHONE)
        path = await claimed(stage, f"  {sms.text}\n", package="1h")
        look(stage)
        await stage.until_online()
        page = await until_says(stage, path, "You are online")
        assert stage.daraja.debits[0].receipt in page
        status, content = await claim_json(stage, path)
        assert (status, content["status"], content["step"]) == (200, "completed", "online")

    async def test_a_double_tap_is_one_claim(self, stage: Stage) -> None:
        """The page makes the key; whatever is sent with it again leads to the same page."""
        token = await token_of(stage)
        answers = [await post(stage, "/paid", text="UKL5QWERT1", d=token, key=KEY, lang="en") for _ in range(3)]
        assert set(answers) == {(303, f"/k/{KEY}?lang=en")}
        assert await stage.count("claims") == 1
        _, page = await stage.get("/paid", d=token)
        found = re.search(r'name="key" value="([0-9a-f]{32})"', page)
        assert found is not None
        assert found[1] != KEY

    async def test_the_start_resumes_and_tells_no_secret(self, stage: Stage) -> None:
        """Whoever names the device sees that it is looked for: not by which claim, nor for which receipt."""
        path = await claimed(stage, "UKL5QWERT1")
        _, page = await stage.get("/", mac=MAC, ip=ADDRESS)
        assert "We are looking for your payment" in page
        assert 'data-step="verifying"' in page
        assert path[3:35] not in page
        assert "UKL5QWERT1" not in page
        async with stage.http.get("/api/portal/standing", params={"mac": MAC}) as answer:
            assert await answer.json() == {"step": "verifying", "secondsLeft": 0}
        assert "UKL5QWERT1" in (await stage.get(path))[1]

    async def test_a_receipt_nobody_knows_is_refused_in_words(self, stage: Stage) -> None:
        """Once the list was read late enough to be sure; the script is told by 422, and by 202 until then."""
        path = await claimed(stage, "UKL5QWERT1", package="1h")
        status, content = await claim_json(stage, path)
        assert (status, content["status"], content["step"]) == (202, "verifying", "verifying")
        assert content["success"] is False
        look(stage, 16 * 60)
        late_enough = stage.daemon.parts.clock.now() - timedelta(seconds=5)
        read = stage.daemon.parts.store.read.gateways
        await stage.until(
            lambda: read.swept_between("paybill", late_enough, late_enough), seconds=5, what="the list is read"
        )
        look(stage, 5 * 60)
        page = await until_says(stage, path, "does not know this payment here")
        assert re.search(r'href="/paid\?package=1h&amp;d=[^"]+&amp;lang=en"', page)
        status, content = await claim_json(stage, path)
        assert (status, content["code"], content["step"]) == (422, "unknown_receipt", "refused")
        assert content["message"] == content["error"]
        assert "username" not in content

    async def test_a_receipt_serves_who_paid_and_nobody_else(self, stage: Stage) -> None:
        """From another device it is refused; with the number it was paid from, the time moves over, once for all."""
        purchase_id = await stage.buy()
        await stage.pay()
        await stage.until_status(purchase_id, "completed")
        receipt = stage.daraja.debits[0].receipt
        stranger = await claimed(stage, receipt, OTHER_MAC)
        assert "This payment was used already" in (await stage.get(stranger))[1]
        assert (await claim_json(stage, stranger))[1]["code"] == "used"
        friend = await claimed(stage, receipt, OTHER_MAC, phone=PHONE)
        await stage.until_online(OTHER_MAC)
        assert not stage.router.is_online(MAC)
        content = (await claim_json(stage, friend))[1]
        assert content["username"] == (await stage.status(purchase_id))["username"]
        assert await stage.count("grants") == 1

    async def test_the_form_says_what_is_wrong_at_its_field(self, stage: Stage) -> None:
        """No receipt in it, no number that can be one, nobody known: 400, and what was typed is kept."""
        token = await token_of(stage)
        status, page = await post(stage, "/paid", text="hello there", d=token, lang="en")
        assert status == 400
        assert "There is no M-Pesa code in this" in words_of(page)
        assert "hello there</textarea>" in page
        for fields in ({"d": token, "phone": "12"}, {}):
            status, page = await post(stage, "/paid", text="UKL5QWERT1", lang="en", **fields)
            assert status == 400
            assert re.search(r'<input id="phone"[^>]*aria-invalid', page)
        assert await stage.count("claims") == 0

    async def test_a_package_no_longer_sold_keeps_nobody_out(self, stage: Stage) -> None:
        """Who has paid may show it: the money buys what it pays for."""
        await stage.daraja.pay_bill(PHONE, PAYBILL, "WIFI", 10)
        await claimed(stage, stage.daraja.debits[0].receipt, package="gone")
        look(stage)
        await stage.until_online()

    async def test_too_many_receipts(self, stage: Stage) -> None:
        """409, with the minutes to wait, in words by the field."""
        for number in range(6):
            await claimed(stage, f"UKL5QWERT{number}")
        status, page = await post(stage, "/paid", text="UKL5QWERT9", d=await token_of(stage), lang="en")
        assert status == 409
        assert "or try again in 60 min" in words_of(page)

    async def test_access_in_advance_is_told_as_such(self, tmp_path: Path) -> None:
        """While M-Pesa cannot be asked the owner lets customers on for a while, and the page says for how long."""
        files = {"gateways.toml": LISTED, "tenants.toml": PROVISIONAL}
        async with Stage(tmp_path, files=files) as stage:
            debit = await stage.daraja.pay_bill(PHONE, PAYBILL, "WIFI", 10)
            stage.daraja.set_outage(Fault.HTML_503)
            look(stage)
            sweep = stage.daemon.parts.sweep
            await stage.until(lambda: sweep.cut_off("paybill"), seconds=5, what="M-Pesa is away")
            path = await claimed(stage, debit.receipt, package="1h")
            await stage.until_online()
            page = words_of(await until_says(stage, path, "You are online while we look"))
            assert re.search(r"Online until then for 1[345] min", page)
            status, content = await claim_json(stage, path)
            assert (status, content["status"], content["step"]) == (202, "verifying", "provisional")
            assert 700 < content["provisional"]["secondsLeft"] <= 900
            assert 'data-step="provisional"' in (await stage.get("/", mac=MAC))[1]
            stage.daraja.set_outage(None)

            look(stage)
            await until_says(stage, path, "You are online")

    async def test_what_was_pasted_comes_back_as_words(self, tmp_path: Path) -> None:
        """Whatever stands in a message: the page shows it again inside its field, and has no other bones for it."""
        async with site(tmp_path, "Plain") as stage:
            await self._paste_payloads(stage)

    async def _paste_payloads(self, stage: Stage) -> None:
        form = {"d": await token_of(stage), "lang": "en"}
        _, plain = await hostile_look(stage, "/paid", form | {"text": "x"})
        for payload in (*PAYLOADS, *AWAY, "</textarea><script>alert(1)</script>"):
            status, page = await hostile_look(stage, "/paid", form | {"text": payload, "key": payload})
            assert status == 400
            assert Anatomy(page).bones == Anatomy(plain).bones, payload
        for path in ("/paid", await claimed(stage, "UKL5QWERT1")):
            bones = Anatomy((await hostile_look(stage, path))[1]).bones
            for payload in PAYLOADS:
                odd = quote(payload, safe="")
                _, page = await hostile_look(stage, f"{path.partition('?')[0]}?package={odd}&lang={odd}&text={odd}")
                assert Anatomy(page).bones in ([], bones) or "That did not work" in page, payload


class TestCredit:
    async def test_too_little_is_credit_and_credit_pays(self, stage: Stage) -> None:
        """A receipt for less than any package wanted: the wallet is told of, and pays for what it covers."""
        debit = await stage.daraja.pay_bill(PHONE, PAYBILL, "WIFI", 7)
        path = await claimed(stage, debit.receipt, package="1h")
        look(stage)
        await until_says(stage, path, "You have KES\u00a07 of credit here")
        assert (await claim_json(stage, path))[1]["wallet"] == 7
        token = await token_of(stage)
        assert "You have KES 7 of credit here" in (await stage.get("/", d=token, more="1"))[1]
        assert "credit" not in words_of((await stage.get("/", mac=OTHER_MAC, more="1"))[1])
        _, dear = await stage.get("/buy", package="1h", d=token)
        assert "/credit" not in dear
        _, small = await stage.get("/buy", package="half", d=token)
        assert 'action="/credit"' in small
        status, leads = await post(stage, "/credit", package="half", d=token, lang="en", key=KEY)
        assert (status, leads.partition("?")[0]) == (303, f"/w/{KEY}")
        assert await post(stage, "/credit", package="half", d=token, lang="en", key=KEY) == (status, leads)
        await stage.until_online()
        await until_says(stage, leads, "You are online")
        assert await stage.count("grants", "funding = 'wallet'") == 1
        assert "You have KES 2 of credit here" in (await stage.get("/", d=token, more="1"))[1]
        assert (await stage.get(path, lang="en"))[0] == 200

    async def test_credit_that_does_not_suffice_buys_nothing(self, stage: Stage) -> None:
        """Said beside the ways that are left; a device nobody knows has none to spend."""
        status, page = await post(stage, "/credit", package="half", d=await token_of(stage), lang="en", key=KEY)
        assert status == 422
        assert "Your credit does not cover this package" in page
        assert (await post(stage, "/credit", package="half", lang="en", key=KEY))[0] == 400
        assert (await post(stage, "/credit", package="gone", d=await token_of(stage), key=KEY))[0] == 404
        assert (await stage.get(f"/w/{KEY}"))[0] == 404

    async def test_paid_short_then_the_rest(self, stage: Stage) -> None:
        """How much of how much; the rest, to the same code, buys the package by itself."""
        path, code = await offered(stage)
        await stage.daraja.pay_bill(PHONE, PAYBILL, code, 6)
        look(stage)
        page = words_of(await until_says(stage, path, "The payment was less than the price"))
        assert "You paid KES 6 of KES 10" in page
        assert "Pay the other KES 4" in page
        failed = await stage.status(path[3:35])
        assert (failed["code"], failed["menu"]["amount"], failed["menu"]["account"]) == ("paid_short", 4, code)
        assert "You paid KES 6 of KES 10" in failed["message"]
        await stage.daraja.pay_bill(PHONE, PAYBILL, code, 4)
        look(stage)
        await stage.until_online()
        await until_says(stage, path, "You are online")


class TestJson:
    """`verify-sms` as the pages of the old deployment call it."""

    async def ask(self, stage: Stage, **fields: Any) -> tuple[int, dict[str, Any]]:
        async with stage.http.post("/api/portal/mpesa/verify-sms", json=fields) as answer:
            assert answer.content_type == "application/json"
            content: dict[str, Any] = await answer.json()
            return answer.status, content

    async def test_a_payment_that_is_found(self, stage: Stage) -> None:
        """First 202 and a key to ask by; then what the old page logs in with, by either call."""
        debit = await stage.daraja.pay_bill(PHONE, PAYBILL, "WIFI", 10)
        order = {"smsText": stage.daraja.messages(PHONE)[0].text, "packageId": "1h", "macAddress": MAC}
        status, content = await self.ask(stage, **order)
        assert (status, content["success"], content["status"]) == (202, False, "verifying")
        assert re.fullmatch(r"[0-9a-f]{32}", content["claimId"])
        assert content["message"]
        look(stage)
        await stage.until_online()
        for asked in (order | {"claimId": content["claimId"]}, order):
            status, done = await self.ask(stage, **asked)
            assert (status, done["success"], done["status"]) == (200, True, "completed")
            assert done["transactionCode"] == debit.receipt
            assert done["package"]["id"] == "1h"
            assert done["username"]
            assert done["password"]
            assert done["expiresAt"].endswith("Z")
        status, done = await claim_json(stage, f"/k/{content['claimId']}")
        assert (status, done["status"]) == (200, "completed")

    async def test_a_phone_alone_is_enough(self, stage: Stage) -> None:
        """Where no device is named, the number it was paid from is."""
        debit = await stage.daraja.pay_bill(PHONE, PAYBILL, "WIFI", 10)
        status, content = await self.ask(stage, smsText=debit.receipt, packageId="1h", phone=PHONE)
        assert status == 202
        look(stage)

        async def done() -> bool:
            return bool((await claim_json(stage, f"/k/{content['claimId']}"))[1]["status"] == "completed")

        await stage.until(done, seconds=5, what="found")

    async def test_nobody_else_asks(self, stage: Stage) -> None:
        """A claim is found by its own id alone."""
        await claimed(stage, "UKL5QWERT1")
        for claim_id in ("", "0" * 32, "UKL5QWERT1", MAC):
            async with stage.http.get("/api/portal/mpesa/claim", params={"claimId": claim_id}) as answer:
                assert (answer.status, (await answer.json())["code"]) == (404, "claim.unknown")


@pytest.mark.real_part("chromium")
class TestInABrowser:
    """The same at a small phone's screen, in both languages."""

    @pytest.mark.parametrize(("scripts", "language"), [(True, "en"), (False, "sw")])
    async def test_paying_from_the_menu(self, tmp_path: Path, scripts: bool, language: str) -> None:  # noqa: FBT001 - a case
        """The quieter button leads to the steps, the code is selected by one tap and without its dash, and it pays."""
        async with (
            BrowsedStage(tmp_path, files={"gateways.toml": LISTED}) as stage,
            stage.customer(scripts=scripts, language=language) as customer,
        ):
            await customer.open()
            await customer.choose()
            await customer.page.fill("#phone", PHONE)
            await customer.page.locator("button[name=prompt]").click()
            await customer.at("offered")
            assert stage.daraja.pushes == []
            code = customer.page.locator(".code", has=customer.page.locator("i"))
            await code.click()
            read = "getSelection().toString()"
            typed = str(await customer.evaluate(read)).strip() if scripts else await code.inner_text()
            assert re.fullmatch(r"[A-Z0-9]{7}", typed)
            await stage.daraja.pay_bill(PHONE, PAYBILL, typed, 10)
            look(stage)
            await stage.until_online()
            if not scripts:  # it would load itself anew, but slowly, for somebody reads numbers off it
                await customer.reload()
            await customer.at("online")

    @pytest.mark.parametrize(("scripts", "language"), [(True, "sw"), (False, "en")])
    async def test_showing_a_receipt(self, tmp_path: Path, scripts: bool, language: str) -> None:  # noqa: FBT001 - a case
        """Wrong first, said by the field; then the message as it stands in the phone: found, and online by itself."""
        async with (
            BrowsedStage(tmp_path, files={"gateways.toml": LISTED}) as stage,
            stage.customer(scripts=scripts, language=language) as customer,
        ):
            await stage.daraja.pay_bill(PHONE, PAYBILL, "WIFI", 10)
            await customer.open()
            await customer.page.locator("a[href^='/paid']").click()
            await customer.page.fill("#text", "hello")
            await customer.page.locator("form button").click()
            await customer.page.locator("#wrong").wait_for()
            await customer.arrived()
            await customer.page.fill("#text", stage.daraja.messages(PHONE)[0].text)
            await customer.page.locator("form button").click()
            await customer.at("verifying")
            look(stage)
            await customer.at("online", seconds=10)

    async def test_a_refusal_comes_by_itself(self, tmp_path: Path) -> None:
        """The page that looks turns into the one that says no, and offers to try again."""
        async with (
            BrowsedStage(tmp_path, files={"gateways.toml": LISTED}) as stage,
            stage.customer() as customer,
        ):
            await customer.goto(f"{stage.portal_url}/paid?mac={MAC}")
            await customer.page.fill("#text", "UKL5QWERT1")
            await customer.page.locator("form button").click()
            await customer.at("verifying")
            look(stage, 49 * 3600)
            again = customer.page.locator("a.button[href^='/paid']")
            await again.wait_for()
            await customer.arrived()
            await again.click()
            await customer.page.locator("#text").wait_for()
