"""The page that plays the customers' phones: prompts to answer, and M-PESA's messages."""

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
from easyisp_edge.lab.daraja.phones import read_phone

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    prompt: Prompt | None
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
        """The page and its form."""
        return [web.get("/", self.show), web.post("/prompts/{checkout_request_id}", self.act)]

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
        page = self._template.render(
            phones=[self._view(number) for number in numbers],
            chosen=asked,
            choosing="choose" in request.query,
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
        raise web.HTTPSeeOther("/?" + urlencode({name: text for name, text in back.items() if text}))

    async def _press(self, checkout_request_id: str, button: str, pin: str) -> None:
        if button == "pin":
            await self._lab.enter_pin(checkout_request_id, pin.strip())
        elif button in {"cancel", "ignore"}:
            await self._lab.act(checkout_request_id, Payer(button))
        else:
            raise InvalidError("lab.act", "There is no such button.", field="act")

    def _numbers(self) -> list[str]:
        """Phones with prompts first, then the others, the latest push first."""
        prompted = [prompt.phone for prompt in self._lab.prompts]
        seen = [push.request.phone for push in reversed(self._lab.accepted)]
        return list(dict.fromkeys(prompted + seen))

    def _view(self, number: str) -> PhoneView:
        return PhoneView(
            number=number,
            clock_face=f"{self._lab.clock.now().astimezone(EAT):%H:%M}",
            balance_shillings=self._lab.balance_shillings(number),
            prompt=self._lab.prompt_on(number),
            messages=self._lab.messages(number)[: -_MESSAGES_SHOWN - 1 : -1],
        )

    def _refresh_seconds(self, numbers: Sequence[str]) -> int:
        """Soon while there is nothing to type; else not before a prompt runs out, to leave the PIN alone."""
        asking = [prompt for prompt in self._lab.prompts if prompt.phone in set(numbers) and not prompt.ignored]
        if not asking:
            return _IDLE_REFRESH_SECONDS
        left = min(prompt.expires_at for prompt in asking) - self._lab.clock.now()
        return max(_IDLE_REFRESH_SECONDS, math.ceil(left.total_seconds()) + 1)
