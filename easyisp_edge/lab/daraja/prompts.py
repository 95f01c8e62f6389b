"""The prompts open on phones, and what their owners do with them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.errors import ConflictError, NotFoundError
from easyisp_edge.lab.daraja.behaviour import Payer
from easyisp_edge.lab.daraja.sms import prompt_text
from easyisp_edge.machine import Wake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from easyisp_edge.lab.daraja.ledger import AcceptedPush
    from easyisp_edge.machine import Clock


@dataclass(slots=True)
class Prompt:
    """One prompt on one phone.

    Attributes:
        act: What the person did; None while nothing was decided.
        ignored: The person looked away: it stays, and locks the phone, until it expires.
    """

    push: AcceptedPush
    text: str
    opened_at: datetime
    expires_at: datetime
    act: Payer | None = None
    ignored: bool = False
    wake: Wake = field(default_factory=Wake, repr=False, compare=False)

    @property
    def phone(self) -> str:
        """Where it shows."""
        return self.push.request.phone


class Prompts:
    """At most one open prompt a phone."""

    def __init__(self, clock: Clock, life_seconds: float) -> None:
        self._clock = clock
        self._life_seconds = life_seconds
        self._open: dict[str, Prompt] = {}  # by phone
        self._opened = asyncio.Event()  # a fresh one after each opening

    def open_on(self, phone: str) -> Prompt | None:
        """The prompt that locks the phone."""
        return self._open.get(phone)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(list(self._open.values()))

    def get(self, checkout_request_id: str) -> Prompt:
        """The open prompt of that push.

        Raises:
            NotFoundError: None is open.
        """
        for prompt in self:
            if prompt.push.checkout_request_id == checkout_request_id:
                return prompt
        raise NotFoundError("lab.prompt", f"No prompt is open for {checkout_request_id!r:.60}.")

    def show(self, push: AcceptedPush) -> Prompt:
        """Open the push's prompt on its phone."""
        now = self._clock.now()
        prompt = Prompt(push, prompt_text(push), now, now + timedelta(seconds=self._life_seconds))
        prompt.ignored = push.behaviour.payer is Payer.IGNORE
        push.prompted = True
        self._open[prompt.phone] = prompt
        opened, self._opened = self._opened, asyncio.Event()
        opened.set()
        return prompt

    async def wait_for(self, phone: str) -> Prompt:
        """The phone's prompt, as soon as one is open."""
        while phone not in self._open:
            await self._opened.wait()
        return self._open[phone]

    def act(self, checkout_request_id: str, act: Payer) -> AcceptedPush:
        """Do as the person does.

        Raises:
            NotFoundError: No such prompt is open.
            ConflictError: The person has already acted.
        """
        prompt = self.get(checkout_request_id)
        if prompt.act is not None:
            raise ConflictError("lab.prompt_answered", "This prompt has been answered.")
        if act is Payer.IGNORE:
            prompt.ignored = True
        else:
            prompt.act = act
            prompt.wake.ring()
        return prompt.push

    async def outcome(self, prompt: Prompt) -> Payer:
        """What is done about the prompt, by a person or the script; `IGNORE` when it expires.

        The prompt is closed, and the phone free, when this returns.
        """
        behaviour = prompt.push.behaviour
        scripted = behaviour.payer not in {Payer.MANUAL, Payer.IGNORE}
        in_time = scripted and behaviour.payer_after_seconds < self._life_seconds
        wait_seconds = behaviour.payer_after_seconds if in_time else self._life_seconds
        try:
            await prompt.wake.wait(self._clock, wait_seconds)
        finally:
            del self._open[prompt.phone]
        if prompt.act is not None:
            return prompt.act
        return behaviour.payer if in_time else Payer.IGNORE
