"""The controls about money nobody prompted for: the menu, reversals, merchants without API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from easyisp_edge.lab.daraja import control_messages as messages

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.lab_money import LabMoney


class ControlMoney:
    """Its routes under `/lab/`."""

    def __init__(self, lab: LabMoney) -> None:
        self._lab = lab

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.post("/lab/phones/{phone}/payments", self.pay),
            web.put("/lab/phones/{phone}/subscriber", self.set_subscriber),
            web.post("/lab/debits/{receipt}/reversal", self.reverse),
            web.get("/lab/reversals", self.reversals),
            web.post("/lab/settlements", self.settle),
            web.post("/lab/no-api", self.add_no_api),
            web.get("/lab/received/{number}", self.received_sms),
        ]

    async def pay(self, request: web.Request) -> web.Response:
        """Pay from the phone's menu; answers with the debit, 409 where M-Pesa refused."""
        wanted = messages.read(messages.PAYMENT, await request.read())
        debit = await self._lab.pay_from_menu(
            request.match_info["phone"], wanted.kind, wanted.number, wanted.account, wanted.shillings
        )
        return web.json_response(messages.debit_json(debit))

    async def set_subscriber(self, request: web.Request) -> web.Response:
        """Give a phone's owner a name or a language."""
        wanted, phone = messages.read(messages.SUBSCRIBER, await request.read()), request.match_info["phone"]
        if wanted.name is not None:
            self._lab.set_name(phone, wanted.name)
        if wanted.language is not None:
            self._lab.set_language(phone, wanted.language)
        return web.Response(status=204)

    async def reverse(self, request: web.Request) -> web.Response:
        """Take a payment back."""
        reversal = self._lab.reverse(request.match_info["receipt"])
        return web.json_response(messages.reversal_json(reversal))

    async def reversals(self, _: web.Request) -> web.Response:
        """Every payment taken back."""
        return web.json_response([messages.reversal_json(reversal) for reversal in self._lab.reversals])

    async def settle(self, request: web.Request) -> web.Response:
        """Move a merchant's money to its own organisation."""
        wanted = messages.read(messages.SETTLEMENT, await request.read())
        settlement = self._lab.settle(wanted.kind, wanted.number, wanted.shillings)
        return web.json_response(messages.settlement_json(settlement))

    async def add_no_api(self, request: web.Request) -> web.Response:
        """Let a till, PayBill or phone without API be paid."""
        self._lab.add_no_api(messages.read(messages.NO_API, await request.read()))
        return web.Response(status=204)

    async def received_sms(self, request: web.Request) -> web.Response:
        """The texts that told a receiver of money."""
        texts = self._lab.received_sms(request.match_info["number"])
        return web.json_response([messages.sms_json(message) for message in texts])
