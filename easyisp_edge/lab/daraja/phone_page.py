"""The page that plays the customers' phones: prompts to answer, the M-PESA menu, and M-PESA's messages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, StrictUndefined

from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.lab.daraja.behaviour import Payer
from easyisp_edge.lab.daraja.nairobi import EAT
from easyisp_edge.lab.daraja.phone_menu import MENU, MenuScreen, menu_item, menu_screen, read_shillings
from easyisp_edge.lab.daraja.phones import read_phone
from easyisp_edge.lab.daraja.subscribers import Language

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from easyisp_edge.lab.daraja.lab import DarajaLab
    from easyisp_edge.lab.daraja.ledger import Sms
    from easyisp_edge.lab.daraja.prompts import Prompt

_IDLE_REFRESH_SECONDS = 2
_NOTICE_SECONDS = 8
_MESSAGES_SHOWN = 5
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class PhoneView:
    """One phone as it is drawn."""

    number: str
    clock_face: str
    balance_shillings: int
    owner: str
    language: Language
    prompt: Prompt | None
    menu: MenuScreen | None
    messages: Sequence[Sms]  # newest first

    @property
    def local(self) -> str:
        """As its owner says it: `0712 345 678`."""
        local = "0" + self.number[3:]
        return f"{local[:4]} {local[4:7]} {local[7:]}"


class PhonePage:
    """Draws the phones and does what the buttons say; plain forms, nothing from elsewhere."""

    def __init__(self, lab: DarajaLab) -> None:
        self._lab = lab
        text = resources.files("easyisp_edge.lab.daraja").joinpath("phone.html").read_text("utf-8")
        self._template = Environment(autoescape=True, undefined=StrictUndefined).from_string(text)

    def routes(self) -> list[web.RouteDef]:
        """The page and its forms."""
        return [
            web.get("/", self.show),
            web.post("/prompts/{checkout_request_id}", self.act),
            web.post("/menu", self.pay),
            web.post("/language", self.choose_language),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """The phone asked for, or every phone anything happened on."""
        asked, notice = request.query.get("phone", "").strip(), request.query.get("notice", "")
        numbers = self._numbers()
        if asked:
            try:
                asked = read_phone(asked)
                numbers = [asked]
            except InvalidError as error:
                asked, notice = "", error.message
        views = [self._view(number, request.query if asked else {}) for number in numbers]
        page = self._template.render(
            phones=views,
            chosen=asked,
            typing="choose" in request.query or any(view.menu is not None for view in views),
            choosing="choose" in request.query,
            menu=MENU,
            notice=notice,
            right_pin=self._lab.options.right_pin,
            refresh_seconds=max(self._refresh_seconds(numbers), _NOTICE_SECONDS if notice else 0),
            refresh_to="/?" + urlencode({"phone": asked}) if asked else "/",
        )
        return web.Response(text=page, content_type="text/html", headers=_HEADERS)

    async def act(self, request: web.Request) -> web.Response:
        """One button pressed; back to the page."""
        form = await request.post()
        checkout_request_id = request.match_info["checkout_request_id"]
        back = {"phone": str(form.get("phone", ""))}
        try:
            await self._press(checkout_request_id, str(form.get("act", "")), str(form.get("pin", "")))
        except (ConflictError, NotFoundError, InvalidError) as error:
            back["notice"] = error.message
        raise _see(back)

    async def pay(self, request: web.Request) -> web.Response:
        """The PIN under the menu's question, or the way back; back to the phone."""
        form = await request.post()
        typed = {name: str(form.get(name, "")) for name in ("phone", "menu", "number", "account", "shillings", "pin")}
        back = {"phone": typed["phone"]}
        try:
            if form.get("act") == "pay":
                await self._pay(typed)
        except (ConflictError, NotFoundError, InvalidError) as error:
            back["notice"] = error.message
        raise _see(back)

    async def choose_language(self, request: web.Request) -> web.Response:
        """What M-PESA writes to the phone in from now on; back to the phone."""
        form = await request.post()
        back = {"phone": str(form.get("phone", ""))}
        try:
            self._set_language(back["phone"], str(form.get("language", "")))
        except InvalidError as error:
            back["notice"] = error.message
        raise _see(back)

    def _set_language(self, phone: str, wanted: str) -> None:
        if wanted not in set(Language):
            raise InvalidError("lab.language", "M-PESA does not write in that language.", field="language")
        self._lab.set_language(phone, Language(wanted))

    async def _pay(self, typed: dict[str, str]) -> None:
        item = menu_item(typed["menu"])
        if item is None:
            raise InvalidError("lab.menu", "There is no such line in the menu.", field="menu")
        shillings = read_shillings(typed["shillings"])
        await self._lab.pay_from_menu(
            typed["phone"], item.kind, typed["number"], typed["account"], shillings, pin=typed["pin"].strip()
        )

    async def _press(self, checkout_request_id: str, button: str, pin: str) -> None:
        if button == "pin":
            await self._lab.enter_pin(checkout_request_id, pin.strip())
        elif button in {"cancel", "ignore"}:
            await self._lab.act(checkout_request_id, Payer(button))
        else:
            raise InvalidError("lab.act", "There is no such button.", field="act")

    def _numbers(self) -> list[str]:
        """Phones with prompts first, then the others, the latest push first, then who else got messages."""
        prompted = [prompt.phone for prompt in self._lab.prompts]
        seen = [push.request.phone for push in reversed(self._lab.accepted)]
        told = [message.phone for message in reversed(self._lab.all_messages)]
        return list(dict.fromkeys(prompted + seen + told))

    def _view(self, number: str, typed: Mapping[str, str]) -> PhoneView:
        prompt = self._lab.prompt_on(number)
        return PhoneView(
            number=number,
            clock_face=f"{self._lab.clock.now().astimezone(EAT):%H:%M}",
            balance_shillings=self._lab.balance_shillings(number),
            owner=self._lab.name_of(number).title(),
            language=self._lab.language_of(number),
            prompt=prompt,
            menu=menu_screen(self._lab, number, typed) if prompt is None else None,
            messages=self._lab.messages(number)[: -_MESSAGES_SHOWN - 1 : -1],
        )

    def _refresh_seconds(self, numbers: Sequence[str]) -> int:
        """Soon while there is nothing to type; else not before a prompt runs out, to leave the PIN alone."""
        asking = [prompt for prompt in self._lab.prompts if prompt.phone in set(numbers) and not prompt.ignored]
        if not asking:
            return _IDLE_REFRESH_SECONDS
        left = min(prompt.expires_at for prompt in asking) - self._lab.clock.now()
        return max(_IDLE_REFRESH_SECONDS, math.ceil(left.total_seconds()) + 1)


def _see(query: dict[str, str]) -> web.HTTPSeeOther:
    return web.HTTPSeeOther("/?" + urlencode({name: text for name, text in query.items() if text}))
