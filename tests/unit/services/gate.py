"""Where routers ask and devices come and go: access and logins over real books."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from easyisp_edge.adapters.radius.credentials import ChapResponse, NoPassword, PapPassword
from easyisp_edge.adapters.radius.packets import response_digest
from easyisp_edge.domain.logins import LoginAccepted, LoginAnswer, LoginRejected, LoginRequest, UsageKind, UsageReport
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.machine import Wake
from easyisp_edge.services.access.accounting import AccountingService, ReportingRouter
from easyisp_edge.services.access.granting import AccessService
from easyisp_edge.services.access.lockout import Lockout
from easyisp_edge.services.access.logins import LoginService, Refusal
from easyisp_edge.services.access.presence import Presence
from tests.unit.shop import HOUR, MAC, OTHER_MAC, ROUTER, TENANT, Books, add_grant

if TYPE_CHECKING:
    from easyisp_edge.domain.grants import Admission, Grant
    from easyisp_edge.domain.logins import Credential
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.domain.values import MacAddress

TENANT_OF = {ROUTER: TENANT, "second": TENANT, "foreign": "other"}
INTERIM = timedelta(minutes=5)
ADDRESSES = {MAC: "10.5.50.11", OTHER_MAC: "10.5.50.12"}


def in_the_clear(password: str) -> Credential:
    """A password by PAP."""
    return PapPassword(password.encode())


def as_response(password: str) -> Credential:
    """A password by CHAP."""
    challenge = bytes(range(16))
    return ChapResponse(7, response_digest(7, password.encode(), challenge), challenge)


def in_words(language: str | None, refusal: Refusal) -> str:
    """A refusal as the tests read it."""
    opens_at = "" if refusal.opens_at is None else f"{refusal.opens_at.astimezone(NAIROBI):%H:%M}"
    return " ".join(filter(None, (language, refusal.key, opens_at)))


def a_request(grant: Grant, **changes: Any) -> LoginRequest:
    """A login with a grant's own name and password on its device, but for the changes."""
    request = LoginRequest(
        router_id=ROUTER,
        username=grant.username,
        credential=in_the_clear(grant.password),
        mac=MAC,
        address="10.5.50.11",
        service=Service.HOTSPOT,
        session_id="80000001",
    )
    return request._replace(**changes)


@dataclass
class Gate:
    """The services over real books: two routers of one tenant, one of another."""

    books: Books
    wakes: dict[str, Wake] = field(default_factory=lambda: {name: Wake() for name in TENANT_OF})
    orders: dict[str, Wake] = field(default_factory=lambda: {name: Wake() for name in TENANT_OF})

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The box starts anew on the same books."""
        self.access = AccessService(
            store=self.books.store,
            clock=self.books.clock,
            tenant_of=TENANT_OF,
            router_changed=self.wakes,
            sessions_over=self.orders,
        )
        self.lockout = Lockout(self.books.clock)
        self.logins = LoginService(self.access, in_words, self.lockout)
        self.accounting = AccountingService(
            store=self.books.store,
            clock=self.books.clock,
            presence=Presence(),
            routers={name: ReportingRouter(tenant_id, INTERIM) for name, tenant_id in TENANT_OF.items()},
            clock_set_at=lambda: self.books.clock.set_at,
            listening_since=self.books.now(),
            used_up=self.access.tell_routers,
        )

    async def add(self, package: Package = HOUR, **changes: Any) -> Grant:
        """Somebody buys a package; what is numbered 1 has the receipt `RECEIPT001` and so on."""
        return await self.books.store.write(lambda tx: add_grant(tx, package, **changes))

    async def run(self, package: Package = HOUR, **changes: Any) -> Grant:
        """The same, and its time runs from now."""
        grant = await self.add(package, **changes)
        await self.access.started(grant)
        return self.grant(grant.grant_id)

    def grant(self, grant_id: str = "grant-1") -> Grant:
        found = self.books.store.read.grants.by_id(grant_id)
        assert found is not None
        return found

    def admission(self, grant_id: str = "grant-1") -> Admission:
        found = self.books.store.read.grants.admission_by_id(grant_id)
        assert found is not None
        return found

    async def ask(self, grant: Grant, **changes: Any) -> LoginAnswer:
        """A login with a grant's own name and password, but for the changes."""
        return await self.answer(a_request(grant, **changes))

    async def answer(self, request: LoginRequest) -> LoginAnswer:
        answer = self.logins.answer(request)
        return await answer if inspect.isawaitable(answer) else answer

    async def ask_by_receipt(self, receipt: str = "RECEIPT001", mac: MacAddress = MAC, **changes: Any) -> LoginAnswer:
        """A receipt typed as user name and password."""
        request = LoginRequest(ROUTER, receipt, in_the_clear(receipt), mac, ADDRESSES.get(mac), Service.HOTSPOT, "1")
        return await self.answer(request._replace(**changes))

    async def ask_by_mac(self, mac: MacAddress = MAC, **changes: Any) -> LoginAnswer:
        """The router asks for a device by its address, without a password."""
        request = LoginRequest(ROUTER, str(mac), NoPassword(), mac, ADDRESSES.get(mac), Service.HOTSPOT, "1")
        return await self.answer(request._replace(**changes))

    async def report(  # noqa: PLR0917 - as many as a router tells
        self,
        grant: Grant,
        mac: MacAddress,
        kind: UsageKind = UsageKind.START,
        seconds: int = 0,
        octets: int = 0,
        router: str = ROUTER,
    ) -> None:
        """A router speaks of a device's session by a grant."""
        name = f"8000{mac.text[-2:]}"
        usage = UsageReport(
            router, kind, name, grant.username, grant.grant_id, mac, None, seconds, octets, 0, "User-Request"
        )
        await self.accounting.account(usage)

    async def rung(self) -> set[str]:
        """Whose bells rang since they were last listened to."""
        return {name for name, wake in self.wakes.items() if await wake.wait(self.books.clock, 0)}

    def at(self, hours: int, minutes: int = 0) -> None:
        """Wind time on to the next such hour of Kenya's clock."""
        minute_of_day = (self.books.now() + timedelta(hours=3)).hour * 60 + self.books.now().minute
        self.books.time.advance(((hours * 60 + minutes - minute_of_day) % (24 * 60)) * 60)


def key_of(answer: LoginAnswer) -> str:
    """Why a login was refused, without the language; `accepted` where it was not."""
    if isinstance(answer, LoginAccepted):
        return "accepted"
    assert isinstance(answer, LoginRejected)
    return answer.message.removeprefix("en ").removeprefix("sw ")
