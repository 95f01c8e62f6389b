from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest

from easyisp_edge.lab.daraja import DarajaOptions, Merchant, NoApiMerchant, Payer
from tests.fakes.daraja_stage import PHONE, Stage, daraja_stage

RUDE = Merchant("174379", "passkey", "lab-key", "lab-secret", name="<b>A&B</b>")


async def page(stage: Stage, query: str = "") -> str:
    answer = await stage.send("GET", stage.lab.phone_url + "/" + query)
    assert answer.status == 200
    return answer.text


async def press(stage: Stage, push: str, **form: Any) -> str:
    """Press a button as a browser without scripts does; returns the page one lands on."""
    answer = await stage.send("POST", f"{stage.lab.phone_url}/prompts/{push}", data=form)
    assert answer.status == 200
    return answer.text


def refresh_seconds(html: str) -> int:
    found = re.search(r'http-equiv="refresh" content="(\d+);url=/', html)
    assert found
    return int(found[1])


async def test_an_idle_page_says_so_and_looks_again_soon() -> None:
    """Before anything happened the page explains itself and refreshes often."""
    async with daraja_stage() as stage:
        html = await page(stage)
        assert 'id="empty"' in html
        assert refresh_seconds(html) == 2


async def test_a_prompt_is_a_form_a_browser_test_can_drive() -> None:
    """One block per prompt, named by phone, with a PIN field and three buttons; nothing from elsewhere."""
    async with daraja_stage() as stage:
        await stage.pushed()
        await stage.pushed(PhoneNumber="254110000001")
        html = await page(stage)
        assert html.count('class="prompt"') == 2
        assert f'data-phone="{PHONE}"' in html
        assert 'data-phone="254110000001"' in html
        assert "Do you want to pay Ksh 50 to EASYISP LAB Account no. ABC123?" in html
        assert html.count('name="pin"') == 2
        assert [html.count(f'data-act="{act}"') for act in ("pin", "cancel", "ignore")] == [2, 2, 2]
        assert not re.search(r'(src|href)="(https?:)?//', html)
        assert "<script" not in html


async def test_the_page_leaves_time_to_type() -> None:
    """While a prompt waits for its PIN the page does not reload under the fingers; nor while one writes a number."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        assert refresh_seconds(await page(stage)) == 61
        await stage.lab.act(push, Payer.IGNORE)
        assert refresh_seconds(await page(stage)) == 2
        choosing = await page(stage, "?choose=1")
        assert 'http-equiv="refresh"' not in choosing
        assert '<input name="phone"' in choosing


async def test_the_right_pin_pays_and_shows_the_message() -> None:
    """1234 pays; the page then shows M-PESA's message with the receipt and the new balance."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        html = await press(stage, push, act="pin", pin="1234")
        (debit,) = stage.lab.debits
        assert f"{debit.receipt} Confirmed. Ksh50.00 sent to EASYISP LAB for account ABC123" in html
        assert 'data-shillings="4950"' in html
        assert 'name="pin"' not in html


async def test_any_other_pin_is_wrong() -> None:
    """A wrong PIN ends the push with 2001 and no debit."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        html = await press(stage, push, act="pin", pin="4321")
        assert stage.lab.push(push).result.code == "2001"  # type: ignore[union-attr]
        assert stage.lab.debits == []
        assert "wrong PIN" in html


async def test_cancel_and_ignore() -> None:
    """Cancel ends the push; ignore leaves a locked phone without a form."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        assert 'data-state="ignored"' in await press(stage, push, act="ignore")
        assert len(stage.lab.prompts) == 1
        assert "Nothing on the screen" in await press(stage, push, act="cancel")
        assert stage.lab.push(push).result.code == "1032"  # type: ignore[union-attr]


async def test_a_prompt_that_is_gone_is_a_notice() -> None:
    """Answering too late is told on the page, and so is a button that does not exist."""
    async with daraja_stage() as stage:
        push = await stage.pushed()
        await stage.clock.advance(60)
        assert "No prompt is open" in await press(stage, push, act="pin", pin="1234", phone=PHONE)
        assert "no such button" in await press(stage, push, act="launch")
        assert stage.lab.debits == []


async def test_one_phone_can_be_chosen() -> None:
    """`?phone=` shows that phone alone, also before it was ever used; rubbish is told."""
    async with daraja_stage() as stage:
        await stage.pushed()
        html = await page(stage, "?phone=0110000001")
        assert 'data-number="254110000001"' in html
        assert f'data-number="{PHONE}"' not in html
        assert "url=/?phone=254110000001" in html
        assert "is no phone number" in await page(stage, "?phone=12")


async def pay(stage: Stage, **form: Any) -> str:
    """Answer the menu's question as a browser without scripts does; returns the page one lands on."""
    answer = await stage.send("POST", f"{stage.lab.phone_url}/menu", data=form)
    assert answer.status == 200
    return answer.text


def entry(**typed: str) -> str:
    return "?" + urlencode({"phone": PHONE, "menu": "pay-bill"} | typed)


async def test_the_menu_asks_step_by_step() -> None:
    """Its lines on the phone; then number, account and amount; then the question with the receiver's name; then PIN."""
    async with daraja_stage() as stage:
        lines = await page(stage, f"?phone={PHONE}")
        for title in ("Pay Bill", "Buy Goods and Services", "Send Money", "Pochi la Biashara"):
            assert f">{title}</a>" in lines
        empty = await page(stage, entry())
        assert 'data-step="entry"' in empty
        for label in ("Enter business no.", "Enter account no.", "Enter amount"):
            assert label in empty
        assert 'name="pin"' not in empty
        asked = await page(stage, entry(number="174379", account="ab3 k9", shillings="1,000"))
        assert "Pay Ksh 1,000 to EASYISP LAB Account no. ab3 k9?" in asked
        assert 'data-step="pin"' in asked
        assert 'name="pin"' in asked
        for typing in (empty, asked):
            assert 'http-equiv="refresh"' not in typing
        till = await page(stage, entry(menu="buy-goods"))
        assert "Enter till no." in till
        assert "Enter account no." not in till
        assert stage.lab.debits == []


async def test_the_right_pin_under_the_question_pays() -> None:
    """The phone then shows the message, and the menu's lines again."""
    async with daraja_stage() as stage:
        typed = {"phone": PHONE, "menu": "pay-bill", "number": "174379", "account": "ab3 k9", "shillings": "1,000"}
        html = await pay(stage, act="pay", pin="1234", **typed)
        (debit,) = stage.lab.debits
        assert (debit.shillings, debit.account_reference) == (1000, "ab3 k9")
        assert f"{debit.receipt} Confirmed. Ksh1,000.00 sent to EASYISP LAB for account ab3 k9" in html
        assert 'data-shillings="4000"' in html
        assert ">Pay Bill</a>" in html


async def test_other_ways_out_of_the_menu() -> None:
    """A wrong PIN, Cancel, a line that is not there, rubbish: no money moves, and the page says why."""
    async with daraja_stage() as stage:
        typed = {"phone": PHONE, "menu": "pay-bill", "number": "174379", "account": "A", "shillings": "5"}
        assert "wrong PIN" in await pay(stage, act="pay", pin="0000", **typed)
        assert 'id="notice"' not in await pay(stage, act="cancel", pin="1234", **typed)
        assert "no such line" in await pay(stage, act="pay", pin="1234", **typed | {"menu": "gamble"})
        assert "whole shillings" in await pay(stage, act="pay", pin="1234", **typed | {"shillings": "5.50"})
        assert "Nobody takes money" in await pay(stage, act="pay", pin="1234", **typed | {"number": "999999"})
        assert "no phone number" in await pay(stage, act="pay", pin="1234", **typed | {"phone": ""})
        assert stage.lab.debits == []


@pytest.mark.parametrize(
    ("typed", "refusal"),
    [
        ({"number": "999999", "account": "A", "shillings": "5"}, "Nobody takes money"),
        ({"number": "174379", "account": "", "shillings": "5"}, "An account number has 1 to 20 characters."),
        ({"number": "174379", "account": "A", "shillings": "five"}, "Enter an amount of whole shillings."),
        ({"number": "174379", "account": "A", "shillings": "0"}, "Enter an amount of whole shillings."),
    ],
)
async def test_what_leads_nowhere_stays_to_be_mended(typed: dict[str, str], refusal: str) -> None:
    """The form comes back with what was typed and the reason, and asks for no PIN."""
    async with daraja_stage() as stage:
        html = await page(stage, entry(**typed))
        assert refusal in html
        assert f'value="{typed["number"]}"' in html
        assert 'name="pin"' not in html


async def test_a_prompt_takes_the_screen_from_the_menu() -> None:
    """While M-PESA asks for a PIN there is no menu, and the page goes on by itself."""
    async with daraja_stage() as stage:
        await stage.pushed()
        html = await page(stage, entry())
        assert 'class="prompt"' in html
        assert 'class="menu"' not in html
        assert 'class="lines"' not in html
        assert refresh_seconds(html) == 61


async def test_the_language_is_chosen_on_the_phone() -> None:
    """One button, there and back; a language M-PESA has not is told."""
    async with daraja_stage() as stage:
        for wanted, other in (("sw", "Messages in English"), ("en", "Ujumbe kwa Kiswahili")):
            url = f"{stage.lab.phone_url}/language"
            html = (await stage.send("POST", url, data={"phone": PHONE, "language": wanted})).text
            assert other in html
            assert stage.lab.language_of(PHONE) == wanted
        answer = await stage.send("POST", url, data={"phone": PHONE, "language": "fr"})
        assert "does not write in that language" in answer.text


async def test_whoever_gets_a_message_has_a_phone_on_the_page() -> None:
    """The owner of a till without API sees the money come in."""
    till = NoApiMerchant("898989", "KIOSK YA MAMA", owner_phone="0722000001")
    async with daraja_stage(no_api=(till,)) as stage:
        debit = await stage.lab.pay_till(PHONE, "898989", 20)
        html = await page(stage)
        assert f'data-number="{PHONE}"' in html
        assert 'data-number="254722000001"' in html
        assert html.count(debit.receipt) == 2


async def test_what_is_typed_in_the_menu_is_escaped() -> None:
    """Account, number, amount and names cannot put markup on the page."""
    async with daraja_stage(DarajaOptions.unhurried(), merchants=(RUDE,)) as stage:
        stage.lab.set_name(PHONE, "<i>JANE</i>")
        for shillings in ("5", "<b>"):
            html = await page(stage, entry(number="174379", account='"><img src=x>', shillings=shillings))
            assert "<img" not in html
            assert "<b>" not in html
            assert "<i>" not in html.lower()
        assert "&lt;b&gt;A&amp;B&lt;/b&gt;" in await page(stage, entry(number="174379", account="A", shillings="5"))


async def test_everything_is_escaped() -> None:
    """Names, references and the address bar cannot put markup on the page."""
    async with daraja_stage(DarajaOptions.unhurried(), merchants=(RUDE,)) as stage:
        await stage.pushed()
        html = await page(stage, "?notice=<script>x</script>")
        assert "<b>A&B</b>" not in html
        assert "&lt;b&gt;A&amp;B&lt;/b&gt;" in html
        assert "<script" not in html
        assert "<img" not in await page(stage, '?phone="><img src=x>')


async def test_the_wire_has_no_phone_page() -> None:
    """The Daraja port holds nothing unreal."""
    async with daraja_stage() as stage:
        for path in ("/", "/lab/pushes", "/lab/prompts"):
            assert (await stage.send("GET", path)).error == (404, "404.001.01", "Resource not found")
