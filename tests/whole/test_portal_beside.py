"""Beside the main way: the one box, vouchers, signing out, receipts, another device, problems, outages."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.reach import FAILURES_TO_TELL
from easyisp_edge.domain.vouchers import grouped
from easyisp_edge.lab.daraja import Behaviour, CallbackHandling, Fault
from easyisp_edge.services.back_office.vouchers_desk import BatchOrder, VouchersDesk
from tests.whole.browsing import BrowsedStage
from tests.whole.stage import (
    ADDRESS,
    GATEWAYS,
    MAC,
    OTHER_ADDRESS,
    OTHER_MAC,
    OTHER_PHONE,
    PACKAGES,
    PHONE,
    Stage,
)
from tests.whole.test_claims_page import post, token_of, words_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LISTED = GATEWAYS + '[gateway.pull]\nnominated_number = "0722000000"\nevery = "1m"\n'
MORE = """[[package]]
id = "online"
name = "Three hours online"
price = 30
duration = "7d"
online = "3h"
speed = "5M"
[[package]]
id = "taste"
name = "A taste"
price = 1
duration = "20m"
speed = "1M"
active = false
"""
TENANTS = '[[tenant]]\nid = "default"\nname = "Shop"\ntrial = "taste"\n'
FROM_HERE, FROM_THERE = {"X-Forwarded-For": ADDRESS}, {"X-Forwarded-For": OTHER_ADDRESS}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A site that sells an hour, a day and time online."""
    async with Stage(tmp_path, files={"gateways.toml": LISTED, "packages.toml": PACKAGES + MORE}) as site:
        yield site


async def voucher(stage: Stage, package: str = "1h") -> str:
    """A voucher as it stands on paper."""
    parts = stage.daemon.parts
    desk = VouchersDesk(parts.store, parts.clock, parts.portal.identifiers, parts.site)
    made = await desk.make(BatchOrder(package, 1), "owner")
    (only,) = parts.store.read.vouchers.of_batch(made.batch.batch_id)
    return grouped(only.code)


async def send(stage: Stage, path: str, headers: dict[str, str] | None = None, **fields: str) -> tuple[int, str]:
    """Send a form from an address; gives where it leads, or the page that came back."""
    async with stage.http.post(path, data=fields, headers=headers, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location") or await answer.text()


async def find(stage: Stage, text: str, mac: str = MAC) -> tuple[int, str]:
    """Type something into the one box."""
    return await post(stage, "/find", text=text, d=await token_of(stage, mac), lang="en")


async def _m_pesa_fails(stage: Stage, *, connected: bool = True) -> None:
    """Have the last tries to reach M-Pesa failed; the list of a box that has just started is read before."""
    portal = stage.daemon.parts.portal
    (gateway,) = portal.site.config.gateways

    def is_read() -> bool:
        state = portal.store.read.gateways.by_id(gateway.id)
        until = None if state is None else state.swept_until
        return until is not None and portal.clock.now() - until < timedelta(minutes=30)

    await stage.until(is_read, seconds=15, what="the list")
    reach = portal.outages.reach_of(gateway)
    assert reach is not None
    for _ in range(FAILURES_TO_TELL):
        reach.failed(portal.clock.monotonic(), connected=connected)


async def online(stage: Stage, package: str = "1h") -> str:
    """Bought, paid and online; gives the path of the purchase's page."""
    purchase_id = await stage.buy(packageId=package)
    await stage.pay()
    await stage.until_status(purchase_id, "completed")
    await stage.until_online()
    await stage.until_running()
    return f"/p/{purchase_id}"


class TestOneBox:
    async def test_a_voucher_goes_online(self, stage: Stage) -> None:
        """However it is typed; the same again is the same grant, and on another device it is used."""
        code = await voucher(stage)
        status, leads = await find(stage, f"vocha {code.lower()}")
        assert (status, leads.partition("?")[0]) == (303, "/")
        await stage.until_online()
        assert (await find(stage, code.replace("-", "")))[0] == 303
        assert await stage.count("grants") == 1
        status, leads = await find(stage, code, OTHER_MAC)
        assert (status, leads.partition("?")[0]) == (303, f"/v/{code.replace('-', '')}")
        assert stage.router.is_online(MAC)  # it was asked about, and nothing was done

    async def test_a_voucher_works_with_m_pesa_away(self, stage: Stage) -> None:
        """Nobody outside is asked."""
        code = await voucher(stage)
        stage.daraja.set_outage(Fault.HTML_503)
        assert (await find(stage, code))[0] == 303
        await stage.until_online()

    async def test_the_same_voucher_brings_it_to_a_phone_with_a_new_address(self, stage: Stage) -> None:
        """Asked first, then moved by a tap; the old address is put off, and a fourth move of a day is refused."""
        code, tokens = await voucher(stage), [await token_of(stage, mac) for mac in (MAC, OTHER_MAC)]
        path = f"/v/{code.replace('-', '')}"
        await find(stage, code)
        await stage.until_online()
        for language, said in (("en", "move it here?"), ("sw", "uihamishie hapa?")):
            page = (await stage.get(path, d=tokens[1], lang=language))[1]
            assert said in page
            assert '<input type="hidden" name="move" value="yes">' in page
        status, leads = await post(stage, "/voucher", code=code, d=tokens[1], lang="en")
        assert (status, leads.partition("?")[0]) == (303, path)
        for number in range(3):
            to = (number + 1) % 2
            assert (await post(stage, "/voucher", code=code, d=tokens[to], lang="en", move="yes"))[0] == 303
            await stage.until_online((MAC, OTHER_MAC)[to])
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="the old address off")
        status, page = await post(stage, "/voucher", code=code, d=tokens[0], lang="en", move="yes")
        assert status == 409
        assert "often enough today" in words_of(page)
        assert await stage.count("grants") == 1

    async def test_a_mistyped_voucher_is_said_at_the_field(self, stage: Stage) -> None:
        """What was typed stays there."""
        code = await voucher(stage)
        wrong = ("3" if code[0] != "3" else "4") + code[1:]
        status, page = await find(stage, wrong)
        assert status == 400
        assert "wrong letter" in words_of(page)
        assert f'value="{wrong}"' in page

    @pytest.mark.parametrize("whole", [True, False])
    async def test_a_receipt_or_its_message_becomes_a_claim(self, stage: Stage, whole: bool) -> None:  # noqa: FBT001 - a case
        """The claim's page says what it took the text for; found, the device is online."""
        debit = await stage.daraja.pay_bill(PHONE, "174379", "WIFI", 10)
        status, path = await find(stage, stage.daraja.messages(PHONE)[0].text if whole else debit.receipt)
        assert status == 303
        assert re.fullmatch(r"/k/[0-9a-f]{32}\?lang=en&box=(message|receipt)", path)
        page = words_of((await stage.get(path))[1])
        assert ("This looks like a message of M-Pesa" if whole else "This looks like an M-Pesa receipt") in page
        stage.time.move(21)
        stage.daemon.parts.bells.ring_look()
        await stage.until_online()

    async def test_a_pay_code_leads_its_own_device_on_and_tells_others_nothing(self, stage: Stage) -> None:
        """A stranger reads the same for a code that exists and for one that does not."""
        purchase_id = await stage.buy()
        async with stage.books() as (tables, _):
            purchase = tables.purchases.by_id(purchase_id)
        assert purchase is not None
        code = purchase.account_reference
        status, leads = await find(stage, f"{code[:3]}-{code[3:]}".lower())
        assert (status, leads.partition("?")[0]) == (303, "/")
        stranger, nobody = await find(stage, code, OTHER_MAC), await find(stage, "ABCDEFP", OTHER_MAC)
        assert stranger == nobody
        assert "does not belong to a purchase on this device" in words_of(stranger[1])
        assert purchase_id not in stranger[1]

    async def test_a_number_finds_what_this_device_bought_with_it(self, stage: Stage) -> None:
        """It is asked about at once; to another device it says nothing, not even that there is something."""
        await stage.buy()
        status, leads = await find(stage, "my number is 0712 345 678")
        assert (status, leads.partition("?")[0]) == (303, "/")
        stranger, nobody = await find(stage, PHONE, OTHER_MAC), await find(stage, OTHER_PHONE, OTHER_MAC)
        assert "0712 ••• 678" in words_of(stranger[1])
        assert words_of(stranger[1]).replace("0712 ••• 678", "") == words_of(nobody[1]).replace("0722 ••• 111", "")

    async def test_paid_and_lost_is_healed_by_the_number(self, stage: Stage) -> None:
        """The callback never came: the number has M-Pesa asked, and the device is online."""
        stage.daraja.set_behaviour(PHONE, Behaviour(callback=CallbackHandling(copies=0)))
        purchase_id = await stage.buy()
        await stage.pay()
        stage.time.move(301)
        await stage.daemon.parts.settlement.expire_round()
        assert (await find(stage, PHONE))[0] == 303
        await stage.until_status(purchase_id, "completed")
        await stage.until_online()

    async def test_without_a_device_more_is_asked_for(self, stage: Stage) -> None:
        """A receipt needs the number, a number the receipt: each is kept in its field."""
        _, by_receipt = await post(stage, "/find", text="UKL41A7C9D", lang="en")
        assert "This looks like an M-Pesa receipt" in words_of(by_receipt)
        assert re.search(r"<textarea[^>]*>\s*UKL41A7C9D</textarea>", by_receipt)
        _, by_phone = await post(stage, "/find", text=PHONE, lang="sw")
        assert 'value="0712345678"' in by_phone
        assert "Hii inaonekana kuwa nambari ya simu" in words_of(by_phone)

    async def test_nonsense_is_answered_with_what_would_do(self, stage: Stage) -> None:
        """And nothing is written."""
        status, page = await find(stage, "hello <script>")
        assert status == 400
        assert "We do not see what this is" in words_of(page)
        assert "<script>alert" not in page
        assert await stage.count("claims") == 0
        assert (await stage.get("/find", mac=MAC))[0] == 200


class TestVoucherPage:
    async def test_looking_spends_nothing(self, stage: Stage) -> None:
        """The picture's address shows what it is for and asks; one tap uses it."""
        code = await voucher(stage)
        for _ in range(3):
            status, page = await stage.get(f"/v/{code}", mac=MAC)
            assert status == 200
            assert "1 hour" in words_of(page)
        assert await stage.count("grants") == 0
        assert not stage.router.is_online(MAC)
        status, leads = await post(stage, "/voucher", code=code, d=await token_of(stage), lang="en")
        assert (status, leads.partition("?")[0]) == (303, "/")
        await stage.until_online()

    async def test_who_comes_by_a_scan_is_known_by_where_it_asks_from(self, stage: Stage) -> None:
        """The address in the picture names no device: the router's hosts do."""
        code = await voucher(stage)

        async def known() -> bool:
            async with stage.http.get(f"/v/{code}", headers=FROM_HERE) as answer:
                return 'action="/voucher"' in await answer.text()

        await stage.until(known, seconds=5, what="the router's hosts")
        assert (await send(stage, "/voucher", FROM_HERE, code=code, lang="en"))[0] == 303
        await stage.until_online()

    async def test_who_is_not_known_is_sent_by_the_router(self, stage: Stage) -> None:
        """The router's login page brings the browser back with the device's address; only the code is taken from it."""
        code = await voucher(stage)
        _, page = await stage.get(f"/v/{code}")
        assert 'action="http://127.0.0.1:9/login"' in page
        assert f'name="dst" value="{stage.portal_url}/v/{code.replace("-", "")}"' in page
        for asked_for, leads in ((f"{stage.portal_url}/v/{code}", True), (f"https://evil.example/v/{code}#x", False)):
            query = {"mac": MAC, "link-orig": asked_for}
            async with stage.http.get("/", params=query, allow_redirects=False) as answer:
                assert (answer.status == 303) == leads
                if leads:
                    assert answer.headers["Location"].startswith(f"/v/{code.replace('-', '')}?d=")

    async def test_a_used_up_one_promises_nothing(self, stage: Stage) -> None:
        """Its picture scanned once more: the page says at once that it is used up, and leads on."""
        code = await voucher(stage)
        await find(stage, code)
        await stage.until_online()
        await stage.until_running()
        status, page = await stage.get(f"/v/{code}", mac=MAC)
        assert (status, 'action="/voucher"' in page) == (200, True)
        stage.time.move(3601)
        await stage.daemon.parts.access.end_round()
        for mac in (MAC, OTHER_MAC):
            status, page = await stage.get(f"/v/{code}", mac=mac)
            assert status == 409
            assert "is used up. Choose a package" in words_of(page)
            assert 'action="/voucher"' not in page

    async def test_a_wrong_code_says_so(self, stage: Stage) -> None:
        """By its address, by the form; an unknown one, too."""
        status, page = await stage.get("/v/K7M3-PQ4A-BCDE", mac=MAC)
        assert status == 400
        assert "This looks like a voucher" in words_of(page)
        code = await voucher(stage)
        assert (await post(stage, "/voucher", code=code + "K", d=await token_of(stage)))[0] == 400


class TestTrial:
    async def test_once_a_day(self, tmp_path: Path) -> None:
        """Offered to who has nothing; one tap, and the device is online; offered again only tomorrow."""
        files = {"tenants.toml": TENANTS, "packages.toml": PACKAGES + MORE}
        site = Stage(tmp_path, files=files)
        site.time.move_to_noon()
        async with site as stage:
            _, page = await stage.get("/", mac=MAC)
            assert "Try it for free" in words_of(page)
            assert "20 min, once a day" in words_of(page)
            status, leads = await post(stage, "/trial", d=await token_of(stage), lang="en")
            assert (status, leads.partition("?")[0]) == (303, "/")
            await stage.until_online()
            assert "Try it for free" not in (await stage.get("/", mac=MAC, more="1"))[1]
            stage.time.move(21 * 60)
            await stage.daemon.parts.access.end_round()
            status, page = await post(stage, "/trial", d=await token_of(stage), lang="en")
            assert status == 409
            assert (await post(stage, "/trial", lang="en"))[0] == 400

    async def test_where_nothing_is_on_sale(self, tmp_path: Path) -> None:
        """Nor M-Pesa set up: what is given for free and vouchers need neither."""
        files = {"tenants.toml": TENANTS, "gateways.toml": "", "packages.toml": PACKAGES + MORE}
        async with Stage(tmp_path, files=files) as stage:
            code = await voucher(stage)
            page = words_of((await stage.get("/", mac=MAC))[1])
            assert "Nothing on sale just now" in page
            assert "20 min, once a day" in page
            assert (await post(stage, "/trial", d=await token_of(stage), lang="en"))[0] == 303
            await stage.until_online()
            status, _ = await find(stage, code, OTHER_MAC)
            assert status == 303
            await stage.until_online(OTHER_MAC)

    async def test_not_where_the_owner_gives_none(self, stage: Stage) -> None:
        """Then there is no word of it."""
        assert "/trial" not in (await stage.get("/", mac=MAC))[1]
        assert (await post(stage, "/trial", d=await token_of(stage)))[0] == 404


class TestSession:
    async def test_signed_out_and_in_by_the_holder(self, stage: Stage) -> None:
        """Off stays off however often the router is looked at; on again by one tap."""
        path = await online(stage)
        token = await token_of(stage)
        status, leads = await send(stage, "/off", h=path, d=token, lang="en")
        assert (status, leads.partition("?")[0]) == (303, path)
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="off")
        page = words_of((await stage.get(path))[1])
        assert "You are signed out" in page
        assert "goes on by the clock" in page
        assert 'data-step="off"' in (await stage.get("/", mac=MAC))[1]
        assert (await send(stage, "/on", h=path, d=token, lang="en"))[0] == 303
        await stage.until_online()

    async def test_nobody_else_signs_a_device_out(self, stage: Stage) -> None:
        """Naming the device is not enough, nor asking from another's address, nor another purchase's secret."""
        path, token = await online(stage), await token_of(stage)
        other = await stage.buy(macAddress=OTHER_MAC, phone=OTHER_PHONE)
        for headers, fields in (
            (None, {"d": token}),
            (FROM_THERE, {"d": token}),
            (None, {"d": token, "h": f"/p/{other}"}),
            (None, {"d": token, "h": path[:-1] + ("0" if path[-1] != "0" else "1")}),
            (None, {"d": token, "h": "//evil.example"}),
        ):
            for action in ("/off", "/on", "/pause"):
                assert (await send(stage, action, headers, **fields))[0] == 422
        assert stage.router.is_online(MAC)
        assert 'action="/off"' not in (await stage.get("/", mac=MAC))[1]

    async def test_the_device_itself_needs_no_secret(self, stage: Stage) -> None:
        """It is known by where it asks from, and then its first page has the button, too."""
        await online(stage)

        async def shown() -> bool:
            async with stage.http.get("/", params={"mac": MAC}, headers=FROM_HERE) as answer:
                return 'action="/off"' in await answer.text()

        await stage.until(shown, seconds=5, what="the button")
        assert (await send(stage, "/off", FROM_HERE, lang="en"))[0] == 303
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="off")

    async def test_time_online_is_paused(self, stage: Stage) -> None:
        """Its page offers that, the device is put off, and the time stands still until it goes on."""
        path = await online(stage, "online")
        _, page = await stage.get(path)
        turn = re.search(r'name="turn" value="([0-9a-f]+)"', page)
        assert turn is not None
        assert 'action="/off"' not in page
        token = await token_of(stage)
        assert (await send(stage, "/pause", h=path, d=token, turn=turn[1], lang="en"))[0] == 303
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="off")
        assert "stands still" in words_of((await stage.get(path))[1])
        assert (await send(stage, "/on", h=path, d=token, lang="en"))[0] == 303
        await stage.until_online()

    async def test_the_receipt_to_keep(self, stage: Stage) -> None:
        """For the holder alone; the number it was paid from is masked; saved, it is a file."""
        path = await online(stage)
        status, page = await stage.get(f"{path}/receipt")
        assert status == 200
        for word in ("Receipt", "1 hour", "KES 10", stage.daraja.debits[0].receipt, "0712 ••• 678", "Valid until"):
            assert word in words_of(page)
        assert PHONE not in page
        async with stage.http.get(f"{path}/receipt", params={"save": "1"}) as answer:
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="receipt-')
        async with stage.http.get(path) as answer:
            assert "Content-Disposition" not in answer.headers
        for none in ("/p/" + "0" * 32, f"/p/{await stage.buy(macAddress=OTHER_MAC, phone=OTHER_PHONE)}"):
            assert (await stage.get(f"{none}/receipt"))[0] == 404

    async def test_a_problem_is_kept_for_the_staff(self, stage: Stage) -> None:
        """With the device, where it stands and the words; the fourth in an hour is not taken."""
        await online(stage)
        token = await token_of(stage)
        for _ in range(3):
            status, leads = await send(stage, "/problem", text="Very slow today", d=token, lang="en")
            assert (status, leads.partition("?")[0]) == (303, "/problem")
        assert "Thank you" in words_of((await stage.get(leads))[1])
        status, page = await send(stage, "/problem", text="Very slow today", d=token, lang="en")
        assert status == 409
        assert "The staff have been told" in words_of(page)
        assert (await send(stage, "/problem", text=" ", d=token, lang="en"))[0] == 400
        async with stage.books() as (_, connection):
            (body,) = connection.execute("SELECT body FROM events WHERE type = 'problem.reported' LIMIT 1").fetchone()
        data = json.loads(body)["data"]
        assert (data["mac"], data["standing"], data["text"]) == (MAC, "online", "Very slow today")


class TestSamePhone:
    async def test_what_was_bought_comes_along_to_a_new_address(self, stage: Stage) -> None:
        """The purchase's page, opened on a device with another address, offers it; the old one goes off."""
        path = await online(stage)
        token = await token_of(stage, OTHER_MAC)
        _, page = await stage.get(path, d=token)
        assert "Bought on this phone?" in words_of(page)
        assert stage.router.is_online(MAC)
        status, leads = await post(stage, "/here", h=path, d=token, lang="en")
        assert (status, leads) == (303, f"{path}?d={token}&lang=en")
        await stage.until_online(OTHER_MAC)
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="the old one off")
        assert 'data-step="online"' in (await stage.get(leads))[1]

    @pytest.mark.parametrize("mode", ["hotspot-user", "radius"])
    async def test_a_package_for_several_has_both_on(self, tmp_path: Path, mode: str) -> None:
        """The receipt and the number let the second device on, not only its page; the first stays on and reads so."""
        family = '[[package]]\nid = "two"\nname = "Two"\nprice = 20\nduration = "1d"\ndevices = 2\nspeed = "5M"\n'
        async with Stage(tmp_path, mode=mode, files={"gateways.toml": LISTED, "packages.toml": family}) as stage:
            await online(stage, "two")
            claimed = {"text": stage.daraja.debits[0].receipt, "phone": PHONE, "lang": "en"}
            status, leads = await post(stage, "/paid", d=await token_of(stage, OTHER_MAC), **claimed)
            assert status == 303
            await stage.until_online(OTHER_MAC)
            assert stage.router.is_online(MAC)

            async def both_read_so() -> bool:
                asked = [await stage.get("/", mac=MAC), await stage.get(leads.partition("?")[0])]
                return all("You are online" in page for _, page in asked)

            await stage.until(both_read_so, seconds=5, what="both pages")

    async def test_so_often_a_day(self, stage: Stage) -> None:
        """Then it is said, and it stays where it is."""
        path = await online(stage)
        for number in range(4):
            token = await token_of(stage, f"AA:BB:CC:00:01:0{number}")
            status, page = await post(stage, "/here", h=path, d=token, lang="en")
            assert status == (303 if number < 3 else 409)
        assert "often enough today" in words_of(page)

    async def test_only_with_the_secret(self, stage: Stage) -> None:
        """A path that is none, or of nothing, moves nothing."""
        path, token = await online(stage), await token_of(stage, OTHER_MAC)
        for odd in ("/p/" + "0" * 32, "/", "/?d=x", path + "?x", f"https://evil.example{path}"[:40]):
            assert (await post(stage, "/here", h=odd, d=token, lang="en"))[0] == 404
        assert (await post(stage, "/here", h=path, lang="en"))[0] == 400
        assert stage.router.is_online(MAC)


class TestDown:
    async def test_m_pesa_away_is_said_with_what_still_works(self, stage: Stage) -> None:
        """On the first page and beside the number; gone again once M-Pesa answers."""
        stage.daraja.set_outage(Fault.HTML_503)
        for number in range(6):
            await stage.initiate(phone=f"07123456{number:02}", macAddress=f"AA:BB:CC:00:02:0{number}")

        async def said() -> bool:
            return "M-Pesa does not answer just now" in words_of((await stage.get("/", mac=OTHER_MAC))[1])

        await stage.until(said, seconds=5, what="the outage")
        assert "Vouchers work" in words_of((await stage.get("/buy", package="1h", mac=OTHER_MAC))[1])

    async def test_m_pesa_away_is_said_where_it_is_waited_for(self, stage: Stage) -> None:
        """On the page of who pays by prompt or from the menu, with what works; not to who has paid."""
        paid = await stage.buy()
        await stage.pay()
        await stage.until_status(paid, "completed")
        stage.time.move(60)
        form = {"package": "1h", "phone": OTHER_PHONE, "d": await token_of(stage, OTHER_MAC), "lang": "sw"}
        _, offered = await post(stage, "/buy", **form, prompt="no")
        await _m_pesa_fails(stage)
        for path, waits in ((offered, True), (f"/p/{paid}", False)):
            page = words_of((await stage.get(path.partition("?")[0], lang="sw"))[1])
            assert ("M-Pesa haijibu kwa sasa. Vocha zinafanya kazi" in page) is waits

    async def test_without_internet_nobody_is_told_to_pay(self, stage: Stage) -> None:
        """In both languages, and M-Pesa is not spoken of beside it."""
        await stage.buy()
        await _m_pesa_fails(stage, connected=False)
        for language, said in (("en", "has no Internet just now. Do not pay yet"), ("sw", "Usilipe kwanza")):
            page = words_of((await stage.get("/", mac=OTHER_MAC, lang=language))[1])
            assert said in page
            assert "M-Pesa does not answer" not in page
            assert "M-Pesa haijibu" not in page

    async def test_the_router_away_is_said(self, stage: Stage) -> None:
        """What is paid for is safe; also on the page of who has just paid, and of who looks at a voucher."""
        code = await voucher(stage)
        await stage.router.unreachable()

        async def said() -> bool:
            return "The hotspot does not answer just now" in words_of((await stage.get("/", mac=OTHER_MAC))[1])

        await stage.until(said, seconds=10, what="the outage")
        purchase_id = await stage.buy()
        await stage.pay()
        await stage.until_status(purchase_id, "completed")
        for path in (f"/p/{purchase_id}", f"/v/{code}"):
            assert "The hotspot does not answer just now" in words_of((await stage.get(path, mac=OTHER_MAC))[1])
        assert "Payment received" in words_of((await stage.get(f"/p/{purchase_id}"))[1])

    async def test_with_the_router_away_a_voucher_is_no_payment(self, stage: Stage) -> None:
        """Who waits to be let on by one is not thanked for money, nor told a price."""
        code = await voucher(stage)
        await stage.router.unreachable()
        assert (await find(stage, code))[0] == 303
        page = words_of((await stage.get("/", mac=MAC))[1])
        assert "Connecting you" in page
        assert "KES" not in page

    async def test_with_the_router_away_being_back_is_no_payment(self, stage: Stage) -> None:
        """Who signed out and in again has paid long ago."""
        path = await online(stage)
        token = await token_of(stage)
        assert (await post(stage, "/off", h=path, d=token))[0] == 303
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="off")
        await stage.router.unreachable()
        assert (await post(stage, "/on", h=path, d=token))[0] == 303
        assert "Connecting you" in words_of((await stage.get(path))[1])


class TestRefusedByTheRouter:
    @pytest.mark.parametrize("language", ["en", "sw"])
    async def test_a_third_device_reads_why(self, stage: Stage, language: str) -> None:
        """What the router hands over with the device is said above the packages, in the page's language."""
        error = {"error": "Hapana", "error-orig": "no more sessions are allowed for user kofi"}
        page = words_of((await stage.get("/", mac=OTHER_MAC, lang=language, **error))[1])
        said = stage.daemon.parts.portal.texts.get(language, "rejects.devices_full")
        assert said in page
        assert "Hapana" not in page
        assert said not in words_of((await stage.get("/", mac=OTHER_MAC, lang=language))[1])

    async def test_who_has_paid_and_is_not_let_on_reads_why(self, stage: Stage) -> None:
        """On the waiting page; once the device is on, it is over."""
        await stage.router.unreachable()
        purchase_id = await stage.buy()
        await stage.pay()
        await stage.until_status(purchase_id, "completed")
        asked = {"mac": MAC, "error": "RADIUS server is not responding"}
        assert "cannot look up your package" in words_of((await stage.get("/", **asked))[1])
        await stage.router.reachable()
        await stage.until_online(seconds=20)
        await stage.until_running()
        assert "cannot look up your package" not in words_of((await stage.get("/", **asked))[1])

    async def test_what_anybody_wrote_there_is_text(self, stage: Stage) -> None:
        """Quoted where it is plain, escaped, short, and without an address or a number to pay to."""
        for error in ("<b>Send 50 to 0712345678</b>", "see evil.example"):
            page = (await stage.get("/", mac=MAC, error=error))[1]
            assert "did not let this device on" in words_of(page)
            assert error not in page
            assert "evil" not in page
            assert "0712345678" not in page


@pytest.mark.real_part("chromium")
class TestInABrowser:
    @pytest.mark.parametrize(("scripts", "language"), [(True, "en"), (False, "sw")])
    async def test_voucher_sign_out_and_in(self, tmp_path: Path, scripts: bool, language: str) -> None:  # noqa: FBT001 - a case
        """Typed with a wrong letter, then right: online; signed out and in again, on the smallest phone."""
        async with (
            BrowsedStage(tmp_path, files={"gateways.toml": LISTED}) as stage,
            stage.customer(scripts=scripts, language=language) as customer,
        ):
            await customer.page.set_extra_http_headers(FROM_HERE)
            code = await voucher(stage)
            await customer.open()
            await customer.page.fill("#box", ("3" if code[0] != "3" else "4") + code[1:])
            await customer.page.locator("form[action='/find'] button").click()
            await customer.page.locator("#wrong").wait_for()
            await customer.arrived()
            await customer.page.fill("#box", code.lower())
            await customer.page.locator("form[action='/find'] button").click()
            await customer.at("online")
            await stage.until_running()
            sign_out = customer.page.locator("form[action='/off'] button")

            async def offered() -> bool:  # as soon as the router was looked at
                await customer.reload()
                return await sign_out.count() > 0

            await stage.until(offered, seconds=10, what="the button to sign out")
            await sign_out.click()
            await customer.at("off")
            await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="off")
            await customer.page.locator("form[action='/on'] button").click()
            await customer.at("online")

    async def test_a_phone_with_a_new_address_finds_what_it_bought(self, tmp_path: Path) -> None:
        """The browser remembers the purchase's page and offers it on the first page; one tap, and it is online."""
        async with BrowsedStage(tmp_path) as stage, stage.customer() as customer, stage.handset() as handset:
            await customer.order()
            await handset.look()
            await handset.enter_pin()
            await customer.at("online")
            await customer.open(OTHER_MAC)
            link = customer.page.locator("[data-kept]")
            await link.wait_for()
            await link.click()
            await customer.page.locator("form[action='/here'] button").click()
            await customer.at("online")
            assert stage.router.is_online(OTHER_MAC)

    async def test_a_receipt_typed_on_another_device_brings_it_over(self, tmp_path: Path) -> None:
        """Code first, then the number it was paid from, each typed once: the other device is on, and the first off."""
        async with BrowsedStage(tmp_path, files={"gateways.toml": LISTED}) as stage, stage.customer() as customer:
            await online(stage)
            await customer.open(OTHER_MAC)
            await customer.page.fill("#box", stage.daraja.debits[0].receipt)
            await customer.page.locator("form[action='/find'] button").click()
            await customer.page.fill("#phone", PHONE)
            await customer.page.locator("form[action='/paid'] button").click()
            await customer.at("online")
            await stage.until_online(OTHER_MAC)
            await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what="the first device off")

    async def test_a_prompt_that_does_not_come(self, tmp_path: Path) -> None:
        """What to do about it shows up after some seconds by itself, and nothing is sent a second time."""
        async with BrowsedStage(tmp_path) as stage, stage.customer() as customer:
            await customer.order()
            hint, menu = customer.page.locator("p[data-after]"), customer.page.get_by_text("PayBill number")
            assert await hint.is_hidden()
            assert await menu.is_hidden()
            stage.time.move(20)
            await customer.reload()
            await customer.at("prompted")
            assert await hint.is_visible()
            assert await menu.is_visible()
            assert "*234#" in await hint.inner_text()
            assert len(stage.daraja.pushes) == 1


async def test_the_owners_picture_is_served_from_here(tmp_path: Path) -> None:
    """Where one is configured it stands on the pages, and the policy lets it in; without one there is none."""
    files = {"portal.toml": 'logo_file = "logo.png"\n', "logo.png": "a picture"}
    async with Stage(tmp_path, files=files) as stage:
        assert '<img src="/logo/default" alt=""' in (await stage.get("/", mac=MAC))[1]
        async with stage.http.get("/logo/default") as answer:
            assert (answer.status, answer.content_type, await answer.read()) == (200, "image/png", b"a picture")
        assert (await stage.get("/logo/other"))[0] == 404
    (tmp_path / "plain").mkdir()
    async with Stage(tmp_path / "plain") as stage:
        assert "<img" not in (await stage.get("/", mac=MAC))[1]
        assert (await stage.get("/logo/default"))[0] == 404
