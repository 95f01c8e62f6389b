"""What scripts do to the lab over HTTP, under `/lab/`; each route is a method of `DarajaLab`.

Here: prompts, pushes and phones; in `control_money` and `control_apis` the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.errors import ConflictError, EdgeError, InvalidError, NotFoundError
from easyisp_edge.lab.daraja import control_messages as messages
from easyisp_edge.lab.daraja.behaviour import Payer
from easyisp_edge.lab.daraja.control_apis import ControlApis
from easyisp_edge.lab.daraja.control_money import ControlMoney

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from easyisp_edge.lab.daraja.lab import DarajaLab
    from easyisp_edge.lab.daraja.phone_page import PhonePage


_STATUSES: tuple[tuple[type[EdgeError], int], ...] = ((InvalidError, 400), (NotFoundError, 404), (ConflictError, 409))


def control_app(lab: DarajaLab, page: PhonePage) -> web.Application:
    """The application with the phone page and the controls."""
    app = web.Application(middlewares=[_errors])
    app.add_routes(page.routes())
    for controls in (Control(lab), ControlMoney(lab), ControlApis(lab)):
        app.add_routes(controls.routes())
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except EdgeError as error:
        status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
        return web.json_response({"code": error.code, "message": error.message}, status=status)


class Control:
    """The routes about prompts, pushes and phones."""

    def __init__(self, lab: DarajaLab) -> None:
        self._lab = lab

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        push = "/lab/pushes/{checkout_request_id}"
        return [
            web.get("/lab/prompts", self.prompts),
            web.post("/lab/prompts/{checkout_request_id}/{act}", self.act),
            web.get("/lab/pushes", self.pushes),
            web.get(push, self.push),
            web.post(push + "/callback", self.send_callback),
            web.post(push + "/late-success", self.succeed_late),
            web.get("/lab/debits", self.debits),
            web.get("/lab/callbacks", self.callbacks),
            web.get("/lab/phones/{phone}", self.phone),
            web.put("/lab/phones/{phone}/balance", self.set_balance),
            web.put("/lab/phones/{phone}/behaviour", self.set_behaviour),
            web.delete("/lab/phones/{phone}/behaviour", self.forget_behaviour),
            web.put("/lab/behaviour", self.set_default_behaviour),
            web.post("/lab/next-pushes", self.next_pushes),
            web.post("/lab/tokens/expire", self.expire_tokens),
            web.post("/lab/tokens/answers", self.next_token_answers),
            web.put("/lab/outage", self.set_outage),
        ]

    async def prompts(self, _: web.Request) -> web.Response:
        """The open prompts."""
        return web.json_response([messages.prompt_json(prompt) for prompt in self._lab.prompts])

    async def act(self, request: web.Request) -> web.Response:
        """Do as the person does; answers with the push."""
        name = request.match_info["act"]
        if name not in set(Payer):
            raise NotFoundError("lab.act", f"Nobody can do {name!r:.40} at a phone.")
        push = await self._lab.act(request.match_info["checkout_request_id"], Payer(name))
        return web.json_response(messages.accepted_json(push))

    async def pushes(self, _: web.Request) -> web.Response:
        """Every push that came."""
        return web.json_response([messages.push_json(push) for push in self._lab.pushes])

    async def push(self, request: web.Request) -> web.Response:
        """One accepted push."""
        push = self._lab.push(request.match_info["checkout_request_id"])
        return web.json_response(messages.accepted_json(push))

    async def send_callback(self, request: web.Request) -> web.Response:
        """Post the push's callback again."""
        sent = await self._lab.send_callback(request.match_info["checkout_request_id"])
        return web.json_response(messages.callback_json(sent))

    async def succeed_late(self, request: web.Request) -> web.Response:
        """Turn a failure into a payment."""
        push = self._lab.succeed_late(request.match_info["checkout_request_id"])
        return web.json_response(messages.accepted_json(push))

    async def debits(self, _: web.Request) -> web.Response:
        """Every payment made."""
        return web.json_response([messages.debit_json(debit) for debit in self._lab.debits])

    async def callbacks(self, _: web.Request) -> web.Response:
        """Every try to deliver a callback."""
        return web.json_response([messages.callback_json(sent) for sent in self._lab.callbacks])

    async def phone(self, request: web.Request) -> web.Response:
        """One phone: its balance, prompt and messages."""
        phone = request.match_info["phone"]
        prompt = self._lab.prompt_on(phone)
        return web.json_response(
            {
                "balance_shillings": self._lab.balance_shillings(phone),
                "prompt": None if prompt is None else messages.prompt_json(prompt),
                "messages": [messages.sms_json(message) for message in self._lab.messages(phone)],
            }
        )

    async def set_balance(self, request: web.Request) -> web.Response:
        """Put money on a phone."""
        message = messages.read(messages.BALANCE, await request.read())
        self._lab.set_balance(request.match_info["phone"], message.shillings)
        return _done()

    async def set_behaviour(self, request: web.Request) -> web.Response:
        """Choose what pushes to a phone meet."""
        behaviour = messages.read(messages.BEHAVIOUR, await request.read())
        self._lab.set_behaviour(request.match_info["phone"], behaviour)
        return _done()

    async def forget_behaviour(self, request: web.Request) -> web.Response:
        """Let a phone behave like any other."""
        self._lab.set_behaviour(request.match_info["phone"], None)
        return _done()

    async def set_default_behaviour(self, request: web.Request) -> web.Response:
        """Choose what pushes meet that nothing else is chosen for."""
        self._lab.set_default_behaviour(messages.read(messages.BEHAVIOUR, await request.read()))
        return _done()

    async def next_pushes(self, request: web.Request) -> web.Response:
        """Choose what the next pushes meet, one each."""
        self._lab.next_pushes(*messages.read(messages.BEHAVIOURS, await request.read()))
        return _done()

    async def expire_tokens(self, _: web.Request) -> web.Response:
        """End every token."""
        self._lab.expire_tokens()
        return _done()

    async def next_token_answers(self, request: web.Request) -> web.Response:
        """Choose what the next token requests get."""
        self._lab.next_token_answers(*messages.read(messages.TOKEN_ANSWERS, await request.read()).faults)
        return _done()

    async def set_outage(self, request: web.Request) -> web.Response:
        """Answer everything with one fault, or end that."""
        self._lab.set_outage(messages.read(messages.OUTAGE, await request.read()).fault)
        return _done()


def _done() -> web.Response:
    return web.Response(status=204)
