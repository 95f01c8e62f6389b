"""An app on the Daraja portal: the key, token and pace that all gateways using it share."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import TYPE_CHECKING

from easyisp_edge.adapters.daraja.answers import token_grant
from easyisp_edge.adapters.daraja.exchange import HEADERS, exchange
from easyisp_edge.adapters.daraja.faults import FaultKind, fault_kind, wrong_method
from easyisp_edge.adapters.daraja.json_values import BODY_OCTETS_MAX
from easyisp_edge.adapters.daraja.messages import TOKEN_PATH
from easyisp_edge.adapters.daraja.pace import QueryPace
from easyisp_edge.domain.payments import Reason
from easyisp_edge.domain.reach import Reach
from easyisp_edge.errors import OutcomeUnknownError, RefusedError, UnavailableError
from easyisp_edge.machine import ClockState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import TypeAlias

    import httpx
    from pydantic import SecretStr

    from easyisp_edge.adapters.daraja.exchange import WireAnswer
    from easyisp_edge.machine import Clock

    Fields: TypeAlias = Callable[[datetime], Mapping[str, str | int]]

_SERVER_ERROR = 500
_MARGIN_SECONDS = 90.0  # before the end of its life a token is not used any more


class DarajaApp:
    """Calls Daraja with a live token. One per consumer key: a new token may kill the one before.

    Args:
        consumer_key: From the Daraja portal; blanks around it are dropped.
        consumer_secret: The same.
        base_url: Of the environment, such as `https://api.safaricom.co.ke`.
        http: See `open_http_client`; stays with whoever opened it.
        clock: Where time comes from.
        queries_per_minute: The pace of queries while Daraja does not complain.
        answer_within_seconds: The most one request may take from beginning to end.
    """

    def __init__(
        self,
        *,
        consumer_key: SecretStr,
        consumer_secret: SecretStr,
        base_url: str,
        http: httpx.AsyncClient,
        clock: Clock,
        queries_per_minute: float = 5.0,
        answer_within_seconds: float = 60.0,
    ) -> None:
        key, secret = consumer_key.get_secret_value().strip(), consumer_secret.get_secret_value().strip()
        self._basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
        self._base_url = base_url.strip().rstrip("/")
        self._http = http
        self._clock = clock
        self._within_seconds = answer_within_seconds
        self._pace = QueryPace(clock, queries_per_minute)
        self._minting = asyncio.Lock()
        self._rounds = 0  # how often a token was asked for, with or without success
        self._token: str | None = None
        self._good_until = clock.monotonic()
        self._failure: UnavailableError | RefusedError | None = None
        self._party_time: tuple[datetime, float] | None = None
        self._read_methods: dict[str, str] = {}  # by path, where it turned out not to be POST
        self.reach = Reach()
        """How the last requests went."""

    def instant(self) -> datetime:
        """Now, for signing: by the box, or by Daraja's last token answer while the box does not know the time."""
        if self._clock.state is not ClockState.UNSET or self._party_time is None:
            return self._clock.now()
        date, at = self._party_time
        return date + timedelta(seconds=self._clock.monotonic() - at)

    async def token(self, *, dead: str | None = None) -> str:
        """A live token, asked for at most once however many wait for it; they share a failure too.

        Args:
            dead: A token that was just refused, and is not to be had again.

        Raises:
            UnavailableError: None to be had now.
            RefusedError: The key and secret are not taken.

        Source: Daraja, Authorization API.
        """
        if (held := self._held(dead)) is not None:
            return held
        seen = self._rounds
        async with self._minting:
            if (held := self._held(dead)) is not None:
                return held
            return await self._mint() if self._rounds == seen else self._last_round()

    async def new_token(self) -> str:
        """A token that was asked for just now, and not one that was good a while ago.

        Raises:
            UnavailableError: None to be had now.
            RefusedError: The key and secret are not taken.
        """
        return await self.token(dead=self._token)

    async def query_turn(self) -> None:
        """Wait for the next place in the pace that the queries of all gateways of this app share."""
        await self._pace.turn()

    async def pause(self, seconds: float) -> None:
        """Leave Daraja alone for that long."""
        await self._clock.sleep(seconds)

    async def post(self, path: str, fields: Fields) -> WireAnswer:
        """Post JSON; a second time with a fresh token if the first was refused for its token, and never otherwise.

        Args:
            path: Below the base address.
            fields: Makes the body, given the instant to sign.

        Raises:
            UnavailableError: Nothing was sent.
            RefusedError: No token is to be had with this key.
            OutcomeUnknownError: It may have been received, and no whole answer came.
        """
        return await self._call("POST", path, fields)

    async def ask(
        self, path: str, fields: Fields, *, paced: bool = False, octets_max: int = BODY_OCTETS_MAX
    ) -> WireAnswer:
        """Post JSON that may be sent again without harm: as `post`, but no answer is as good as not sent.

        Args:
            path: Below the base address.
            fields: Makes the body, given the instant to sign.
            paced: Whether this is a query, whose turn the caller has waited for.
            octets_max: How much of the answer is read.

        Raises:
            UnavailableError: No whole answer came.
            RefusedError: No token is to be had with this key.
        """
        return await self._ask("POST", path, fields, paced=paced, octets_max=octets_max)

    async def read(self, path: str, fields: Fields, *, octets_max: int = BODY_OCTETS_MAX) -> WireAnswer:
        """Ask by POST, or where a path does not take that, by GET with the same JSON; what worked is remembered.

        Only for what changes nothing.

        Args:
            path: Below the base address.
            fields: Makes the body, given the instant to sign.
            octets_max: How much of the answer is read.

        Raises:
            UnavailableError: No whole answer came.
            RefusedError: No token is to be had with this key.
        """
        method = self._read_methods.get(path, "POST")
        answer = await self._ask(method, path, fields, octets_max=octets_max)
        if not wrong_method(answer):
            return answer
        other = "GET" if method == "POST" else "POST"
        second = await self._ask(other, path, fields, octets_max=octets_max)
        if fault_kind(second) is None:
            self._read_methods[path] = other
        return answer if wrong_method(second) else second

    async def _ask(self, method: str, path: str, fields: Fields, *, paced: bool = False, octets_max: int) -> WireAnswer:
        try:
            return await self._call(method, path, fields, paced=paced, octets_max=octets_max)
        except OutcomeUnknownError as error:
            raise UnavailableError(Reason.UNREACHABLE, error.message) from error

    async def _call(
        self, method: str, path: str, fields: Fields, *, paced: bool = False, octets_max: int = BODY_OCTETS_MAX
    ) -> WireAnswer:
        async def send(token: str) -> WireAnswer:
            request = self._request(method, path, fields, token)
            return await self._send(*request, paced=paced, octets_max=octets_max)

        token = await self.token()
        answer = await send(token)
        if fault_kind(answer) is FaultKind.DEAD_TOKEN:
            token = await self.token(dead=token)
            if paced:
                await self._pace.turn()
            answer = await send(token)
        # Once the owner has mended the app, only a token made after that works.
        if fault_kind(answer) in {FaultKind.DEAD_TOKEN, FaultKind.NO_PRODUCT}:
            self._forget(token)
        return answer

    def _held(self, dead: str | None) -> str | None:
        fresh = self._clock.monotonic() < self._good_until
        return self._token if fresh and self._token != dead else None

    def _last_round(self) -> str:
        if self._token is not None:
            return self._token
        raise (
            self._failure.with_traceback(None)
            if self._failure
            else UnavailableError(Reason.UNREACHABLE, "The access token was dropped meanwhile.")
        )

    def _forget(self, token: str) -> None:
        if self._token == token:
            self._token = None

    async def _mint(self) -> str:
        # A round that is cancelled does not count: whoever waits next begins a new one.
        try:
            token = await self._ask_for_token()
        except (UnavailableError, RefusedError) as error:
            self._end_round(None, error)
            raise
        self._end_round(token, None)
        return token

    def _end_round(self, token: str | None, failure: UnavailableError | RefusedError | None) -> None:
        self._token, self._failure = token, failure
        self._rounds += 1

    async def _ask_for_token(self) -> str:
        asked_at = self._clock.monotonic()
        request = self._http.build_request(
            "GET", self._base_url + TOKEN_PATH, headers=HEADERS | {"Authorization": f"Basic {self._basic}"}
        )
        try:
            answer = await self._exchange(request, [self._basic])
        except OutcomeUnknownError as error:  # a token that got lost harms nobody
            raise UnavailableError(Reason.UNREACHABLE, error.message) from error
        grant = token_grant(answer)
        self._good_until = asked_at + grant.life_seconds - _MARGIN_SECONDS
        if answer.date is not None:
            self._party_time = answer.date, self._clock.monotonic()
        return grant.token

    def _request(self, method: str, path: str, fields: Fields, token: str) -> tuple[httpx.Request, list[str]]:
        body = dict(fields(self.instant()))
        headers = HEADERS | {"Authorization": f"Bearer {token}"}
        request = self._http.build_request(method, self._base_url + path, headers=headers, json=body)
        return request, [token, *(str(body.get(name, "")) for name in ("Password", "SecurityCredential"))]

    async def _send(self, request: httpx.Request, secrets: list[str], *, paced: bool, octets_max: int) -> WireAnswer:
        if paced:
            self._pace.used()
        answer = await self._exchange(request, secrets, octets_max)
        if paced:
            self._adapt_pace(answer)
        return answer

    async def _exchange(
        self, request: httpx.Request, secrets: list[str], octets_max: int = BODY_OCTETS_MAX
    ) -> WireAnswer:
        """One exchange; how it went is noted. An error page of a server in between is no answer of Daraja's."""
        try:
            answer = await exchange(
                self._http, request, within_seconds=self._within_seconds, secrets=secrets, octets_max=octets_max
            )
        except (UnavailableError, OutcomeUnknownError) as error:
            self.reach.failed(self._clock.monotonic(), connected=isinstance(error, OutcomeUnknownError))
            raise
        if answer.status >= _SERVER_ERROR and answer.fields is None:
            self.reach.failed(self._clock.monotonic(), connected=True)
        else:
            self.reach.answered()
        return answer

    def _adapt_pace(self, answer: WireAnswer) -> None:
        if fault_kind(answer) is FaultKind.THROTTLED:
            self._pace.slow_down(answer.excerpt)
        else:
            self._pace.ease()
