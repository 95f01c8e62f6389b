"""The stand-in Daraja as a whole: its parts joined, its two addresses, and what a script may do to it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.daraja.answers import Answers
from easyisp_edge.lab.daraja.background import Background
from easyisp_edge.lab.daraja.behaviour import Behaviour, Payer, Script
from easyisp_edge.lab.daraja.c2b import C2b
from easyisp_edge.lab.daraja.c2b_handling import C2bRegister
from easyisp_edge.lab.daraja.c2b_notices import C2bNotices
from easyisp_edge.lab.daraja.callbacks import CallbackSender
from easyisp_edge.lab.daraja.control import control_app
from easyisp_edge.lab.daraja.courier import Courier
from easyisp_edge.lab.daraja.door import Door
from easyisp_edge.lab.daraja.dynamic_qr import DynamicQr
from easyisp_edge.lab.daraja.identifiers import Identifiers
from easyisp_edge.lab.daraja.lab_apis import LabApis
from easyisp_edge.lab.daraja.lab_money import LabMoney
from easyisp_edge.lab.daraja.ledger import Ledger
from easyisp_edge.lab.daraja.listening import Listener
from easyisp_edge.lab.daraja.menu import Menu
from easyisp_edge.lab.daraja.merchants import SANDBOX_MERCHANT
from easyisp_edge.lab.daraja.oauth import OAuth
from easyisp_edge.lab.daraja.options import DarajaOptions
from easyisp_edge.lab.daraja.phone_page import PhonePage
from easyisp_edge.lab.daraja.phones import read_phone
from easyisp_edge.lab.daraja.prompts import Prompts
from easyisp_edge.lab.daraja.pull import Pull
from easyisp_edge.lab.daraja.pull_rows import PullRows
from easyisp_edge.lab.daraja.push_life import PushLife
from easyisp_edge.lab.daraja.receivers import Receivers
from easyisp_edge.lab.daraja.stk_push import StkPush
from easyisp_edge.lab.daraja.stk_query import StkQuery
from easyisp_edge.lab.daraja.subscribers import Subscribers
from easyisp_edge.lab.daraja.teller import Teller
from easyisp_edge.lab.daraja.tokens import Tokens
from easyisp_edge.lab.daraja.transaction_status import TransactionStatus
from easyisp_edge.lab.daraja.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    import aiohttp

    from easyisp_edge.lab.daraja.faults import Fault
    from easyisp_edge.lab.daraja.ledger import AcceptedPush, CallbackSent, Debit, Push, Sms
    from easyisp_edge.lab.daraja.merchants import Merchant
    from easyisp_edge.lab.daraja.prompts import Prompt
    from easyisp_edge.lab.daraja.receivers import NoApiMerchant
    from easyisp_edge.machine import Clock, Randomness


class DarajaLab(LabMoney, LabApis):
    """Safaricom's Daraja on loopback: the real wire on one port, the customers' phones on another.

    Use it as an async context manager, or `start` and `close` it. Phones may be written as people write
    them; a push is named by its CheckoutRequestID.

    Args:
        clock: All its times and waits.
        randomness: All its names.
        merchants: Who may be paid through an API.
        no_api: Who else may be paid from the menu, beside banks and any phone.
        options: How it is set up.
        session: What callbacks and notices leave through; handed in, it is not closed here.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        randomness: Randomness,
        merchants: Sequence[Merchant] = (SANDBOX_MERCHANT,),
        no_api: Sequence[NoApiMerchant] = (),
        options: DarajaOptions | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self.options = options or DarajaOptions()
        self.clock = clock
        self._closing = asyncio.Event()
        self._open = contextlib.AsyncExitStack()
        self._background = Background()
        self._script = Script(self.options.behaviour)
        self._ledger = Ledger(self.options.starting_balance_shillings)
        self._prompts = Prompts(clock, self.options.prompt_life_seconds)
        self._courier = Courier(session)
        self._callbacks = CallbackSender(clock, self._ledger, self._courier)
        self._identifiers = Identifiers(randomness)
        self._tokens = Tokens(clock, self._identifiers, self.options)
        self._oauth = OAuth(self._tokens, merchants)
        self._subscribers = Subscribers()
        self._receivers = Receivers(merchants, no_api, self._subscribers)
        self._join_money()
        door = Door(self._tokens, merchants, self.options.dead_token)
        self._join_apis(door)
        self._wire = self._join_stk(door)
        self._wire_listener = Listener()
        self._phone_listener = Listener()

    def _join_money(self) -> None:
        self._c2b_register = C2bRegister(self.options.c2b)
        notices = C2bNotices(
            clock=self.clock,
            ledger=self._ledger,
            courier=self._courier,
            background=self._background,
            register=self._c2b_register,
            subscribers=self._subscribers,
        )
        self._teller = Teller(
            clock=self.clock,
            ledger=self._ledger,
            identifiers=self._identifiers,
            subscribers=self._subscribers,
            notices=notices,
            till_masks_phone=self.options.till_sms_masks_phone,
        )
        self._menu = Menu(self._receivers, self._teller, notices, self.options.right_pin)

    def _join_apis(self, door: Door) -> None:
        url_rules = self.options.callback_url_rules
        self._c2b = C2b(door=door, identifiers=self._identifiers, register=self._c2b_register, url_rules=url_rules)
        self._pull = Pull(
            clock=self.clock,
            door=door,
            identifiers=self._identifiers,
            rows=PullRows(self._ledger, self._subscribers),
            handling=self.options.pull,
            url_rules=url_rules,
        )
        self._dynamic_qr = DynamicQr(
            door=door, identifiers=self._identifiers, conversation_id=self.options.qr_conversation_id
        )
        self._status = TransactionStatus(
            clock=self.clock,
            door=door,
            identifiers=self._identifiers,
            ledger=self._ledger,
            subscribers=self._subscribers,
            courier=self._courier,
            background=self._background,
            handling=self.options.status,
            url_rules=url_rules,
        )

    def _join_stk(self, door: Door) -> Wire:
        answers = Answers(self._identifiers, self.options.error_keys, self._closing)
        self._life = PushLife(
            clock=self.clock,
            options=self.options,
            ledger=self._ledger,
            identifiers=self._identifiers,
            prompts=self._prompts,
            callbacks=self._callbacks,
            background=self._background,
            teller=self._teller,
            receivers=self._receivers,
        )
        push = StkPush(
            clock=self.clock,
            options=self.options,
            door=door,
            answers=answers,
            script=self._script,
            ledger=self._ledger,
            prompts=self._prompts,
            life=self._life,
        )
        query = StkQuery(clock=self.clock, options=self.options, door=door, ledger=self._ledger)
        apis = (self._oauth, push, query, self._pull, self._c2b, self._dynamic_qr, self._status)
        return Wire(self.clock, answers, [api.routes() for api in apis])

    async def start(self, host: str = "127.0.0.1", wire_port: int = 0, phone_port: int = 0) -> None:
        """Open both addresses; port 0 takes any free one.

        Raises:
            OSError: An address cannot be had; nothing is left open.
        """
        async with contextlib.AsyncExitStack() as opening:
            opening.push_async_callback(self._courier.close)
            opening.push_async_callback(self._background.close)
            opening.push_async_callback(self._wire_listener.close)
            await self._wire_listener.open(self._wire.app, host, wire_port)
            opening.push_async_callback(self._phone_listener.close)
            await self._phone_listener.open(control_app(self, PhonePage(self)), host, phone_port)
            self._open = opening.pop_all()

    async def close(self) -> None:
        """End everything under way and free both ports.

        Raises:
            BaseExceptionGroup: Background work had failed.
        """
        self._closing.set()
        await self._open.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def base_url(self) -> str:
        """Where Daraja is: what stands in for `https://sandbox.safaricom.co.ke`."""
        return self._wire_listener.url

    @property
    def phone_url(self) -> str:
        """Where the phones are, and the controls under `/lab/`."""
        return self._phone_listener.url

    # What truly happened.

    @property
    def pushes(self) -> list[Push]:
        """Every push that came with a live token, refused ones too."""
        return self._ledger.pushes

    @property
    def accepted(self) -> list[AcceptedPush]:
        """The pushes that were taken."""
        return self._ledger.accepted

    @property
    def debits(self) -> list[Debit]:
        """Every payment made."""
        return self._ledger.debits

    @property
    def callbacks(self) -> list[CallbackSent]:
        """Every try to deliver a callback that has ended."""
        return self._ledger.callbacks

    def push(self, checkout_request_id: str) -> AcceptedPush:
        """The accepted push of that id.

        Raises:
            NotFoundError: There is none.
        """
        return self._ledger.get(checkout_request_id)

    def messages(self, phone: str) -> list[Sms]:
        """The texts M-PESA sent to the phone."""
        number = read_phone(phone)
        return [message for message in self._ledger.messages if message.phone == number]

    @property
    def all_messages(self) -> list[Sms]:
        """The texts M-PESA sent to anybody."""
        return self._ledger.messages

    def balance_shillings(self, phone: str) -> int:
        """What the phone has left."""
        return self._ledger.balance_shillings(read_phone(phone))

    # What the person at the phone does.

    @property
    def prompts(self) -> list[Prompt]:
        """The prompts open now, ignored ones too."""
        return list(self._prompts)

    def prompt_on(self, phone: str) -> Prompt | None:
        """The phone's open prompt."""
        return self._prompts.open_on(read_phone(phone))

    async def wait_for_prompt(self, phone: str) -> Prompt:
        """The phone's prompt, as soon as one is open."""
        return await self._prompts.wait_for(read_phone(phone))

    async def act(self, checkout_request_id: str, act: Payer) -> AcceptedPush:
        """Do as the person does: PIN, WRONG_PIN, CANCEL or IGNORE; returns once that has its result.

        Raises:
            NotFoundError: No such prompt is open.
            ConflictError: The person has already acted.
            InvalidError: No person at a phone can do that.
        """
        if act not in {Payer.PIN, Payer.WRONG_PIN, Payer.CANCEL, Payer.IGNORE}:
            raise InvalidError("lab.act", f"Nobody can do {act.value!r} at a phone.", field="act")
        push = self._prompts.act(checkout_request_id, act)
        if act is not Payer.IGNORE:
            await push.settled.wait()
        return push

    async def enter_pin(self, checkout_request_id: str, pin: str | None = None) -> AcceptedPush:
        """Enter the right PIN, or the one given.

        Raises:
            NotFoundError: No such prompt is open.
            ConflictError: The person has already acted.
        """
        right = pin is None or pin == self.options.right_pin
        return await self.act(checkout_request_id, Payer.PIN if right else Payer.WRONG_PIN)

    # What the script decides.

    def set_default_behaviour(self, behaviour: Behaviour) -> None:
        """What pushes meet that nothing else is chosen for."""
        self._script.default = behaviour

    def set_behaviour(self, phone: str, behaviour: Behaviour | None) -> None:
        """What pushes to that phone meet; None: the default again."""
        number = read_phone(phone)
        if behaviour is None:
            self._script.of_phones.pop(number, None)
        else:
            self._script.of_phones[number] = behaviour

    def next_pushes(self, *behaviours: Behaviour) -> None:
        """What the next pushes meet, one each, to whatever phone."""
        self._script.queued.extend(behaviours)

    def next_token_answers(self, *faults: Fault) -> None:
        """What the next token requests get instead of a token, one each."""
        self._oauth.faults.extend(faults)

    def set_outage(self, fault: Fault | None) -> None:
        """Answer every request on the wire with that, until None."""
        self._wire.outage = fault

    def set_balance(self, phone: str, shillings: int) -> None:
        """Put that much on the phone.

        Raises:
            InvalidError: It is less than nothing.
        """
        self._ledger.set_balance(read_phone(phone), shillings)

    def expire_tokens(self) -> None:
        """End every token given so far."""
        self._tokens.expire_all()

    def succeed_late(self, checkout_request_id: str) -> AcceptedPush:
        """Turn a failed push into a payment now; its callback follows.

        Raises:
            NotFoundError: There is no such push.
            ConflictError: It has not failed, or the money does not suffice.
        """
        push = self.push(checkout_request_id)
        self._life.succeed_late(push)
        return push

    async def send_callback(self, checkout_request_id: str) -> CallbackSent:
        """Post the push's callback, again or for the first time.

        Raises:
            NotFoundError: There is no such push.
            ConflictError: It has no result yet.
        """
        return await self._callbacks.send(self.push(checkout_request_id))

    async def quiet(self) -> None:
        """Return once no prompt is open and every callback and notice is delivered."""
        await self._background.quiet()
