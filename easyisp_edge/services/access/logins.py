"""A router asks whether a device may go online, and is answered from what was bought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.logins import LoginAccepted, LoginRejected
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.access.grant_life import follow
from easyisp_edge.services.access.login_names import LoginName, NameKind, login_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.logins import LoginAnswer, LoginRequest
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.services.access.granting import AccessService
    from easyisp_edge.services.access.lockout import Lockout
    from easyisp_edge.store.store import Tables


class Refusal(NamedTuple):
    """Why somebody may not go online.

    Args:
        key: What is said to them, under `rejects` of the texts.
        opens_at: From when they may; None where that does not matter.
    """

    key: str
    opens_at: datetime | None = None


_UNKNOWN = Refusal("unknown_user")
# Compared with at every login: a look-up in its enumeration takes longer than all else that is asked there.
_RECEIPT, _RUNNING = NameKind.RECEIPT, GrantState.RUNNING


@dataclass(frozen=True, slots=True)
class LoginService:
    """Answers routers that ask by RADIUS.

    Args:
        access: Starts grants, and knows the routers' tenants.
        message: A refusal in words, in a language or else the site's own.
        lockout: Keeps guesses apart.
    """

    access: AccessService
    message: Callable[[str | None, Refusal], str]
    lockout: Lockout

    def answer(self, request: LoginRequest) -> LoginAnswer | Awaitable[LoginAnswer]:
        """Answer a router that asks whether a device may go online.

        At once, except where a grant's time starts or it follows its buyer to another device: that is committed
        before it is answered.
        """
        access = self.access
        now, tenant_id = access.clock.now(), access.tenant_of.get(request.router_id)
        name = login_name(access.store.read, tenant_id, request.username, request.mac, now, request.router_id)
        refusal = _UNKNOWN if name is None else self._unproven(name, request)
        if name is None or name.admission is None or refusal is not None:
            return self._reject(None, refusal or _UNKNOWN)  # in nobody's language: it would tell whose it is
        admission = name.admission
        moves = name.kind is _RECEIPT and not admission.serves(request.mac)
        refusal = self._refusal(admission, request, now, moves=moves)
        if refusal is not None:
            return self._reject(admission, refusal)
        if moves or admission.state is not _RUNNING:
            return self._change_and_accept(admission, request.mac if moves else None)
        return _accept(admission, now)

    async def prove(self, tenant_id: str, request: LoginRequest, guesser: str) -> Admission | Refusal:
        """Whose login it is, and whether its device may be let on by it; no time begins by that.

        What is for no device yet becomes this one's, and what a receipt bought follows to it. Whoever wants to be off
        is not held to that.

        Args:
            tenant_id: At whose site.
            request: What is asked, and by which device; of a router nobody knows, an empty id.
            guesser: Who is not listened to for a while after too many wrong tries.
        """
        name = self.holder(tenant_id, request, guesser)
        if isinstance(name, Refusal):
            return name
        admission, kind = name
        follows = kind is _RECEIPT and not admission.serves(request.mac)
        asked = admission._replace(off_since=None)
        refusal = self._refusal(asked, request, self.access.clock.now(), moves=follows)
        if refusal is not None:
            return refusal
        tables = self.access.store.read
        if request.mac is not None and (follows or _is_for_nobody(tables, admission)):
            if not await self._moved(admission, request.mac):
                return Refusal("other_device")
            return tables.grants.admission_by_id(admission.grant_id) or admission
        return admission

    def holder(self, tenant_id: str, request: LoginRequest, guesser: str) -> tuple[Admission, NameKind] | Refusal:
        """Whose login it is, whatever is left of it: a grant's own, or a receipt; a device's address proves nothing.

        Args:
            tenant_id: At whose site.
            request: What is asked.
            guesser: As in `prove`.
        """
        if self.lockout.is_out(request.router_id, guesser):
            return Refusal("locked")
        tables, now = self.access.store.read, self.access.clock.now()
        name = login_name(tables, tenant_id, request.username, None, now)
        if name is None or name.admission is None or not _is_proven(name, request):
            self.lockout.wrong(request.router_id, guesser)
            return _UNKNOWN
        return name.admission, name.kind

    def _unproven(self, name: LoginName, request: LoginRequest) -> Refusal | None:
        """Refuse what nothing proves; who tries many receipts is not listened to for a while."""
        if name.kind is not _RECEIPT:
            proven = name.password is None or request.credential.matches(name.password)
            return None if proven else Refusal("wrong_password")
        device = str(request.mac or request.address or request.router_id)
        if self.lockout.is_out(request.router_id, device):
            return Refusal("locked")
        receipt = name.password or ""
        # It is typed in small letters too, and a response to a challenge is made of what was typed.
        given = (receipt, receipt.lower(), request.username)
        if name.admission is not None and any(request.credential.matches(each) for each in given):
            return None
        self.lockout.wrong(request.router_id, device)
        return _UNKNOWN

    def _refusal(self, admission: Admission, request: LoginRequest, now: datetime, *, moves: bool) -> Refusal | None:
        if not admission.usable_at(now):
            return Refusal("data_up" if admission.data_is_used_up else "time_up")
        package = admission.package
        if package.service is not request.service or not package.valid_on(request.router_id):
            return Refusal("other_place")
        if not moves and not admission.serves(request.mac):
            return Refusal("other_device")
        if admission.off_since is not None and not moves:
            return Refusal("paused")
        return self._not_yet(admission, request, now)

    def _not_yet(self, admission: Admission, request: LoginRequest, now: datetime) -> Refusal | None:
        package = admission.package
        if package.schedule is not None and not admission.open_at(now):
            return Refusal("not_now", package.schedule.opens_at(now))
        if package.devices_max > 1 and self._is_full(admission, request.mac):
            return Refusal("devices_full")
        if admission.state is not _RUNNING and self._comes_after(admission, request, now):
            return Refusal("after_other")
        return None

    def _is_full(self, admission: Admission, mac: MacAddress | None) -> bool:
        """Whether as many other devices as it allows are on by it."""
        on = self.access.store.read.sessions.open_of_grant(admission.grant_id)
        others = {each.mac for each in on if each.mac != mac}
        return len(others) >= admission.package.devices_max

    def _comes_after(self, admission: Admission, request: LoginRequest, now: datetime) -> bool:
        """Whether another grant of the device lets it on here, after which this one is to be used."""
        mac = request.mac or admission.mac
        if mac is None:
            return False
        usable = self.access.store.read.grants.usable_of_device(admission.tenant_id, mac)
        return any(
            each.state is _RUNNING and each.usable_at(now) and each.open_at(now)
            for each in usable
            if each.grant_id != admission.grant_id
            and (each.off_since is None or each.keeps_off(admission))
            and each.package.service is request.service
            and each.package.valid_on(request.router_id)
        )

    def _reject(self, admission: Admission | None, refusal: Refusal) -> LoginRejected:
        language = None
        if admission is not None:
            language = admission.package.language or self.access.store.read.grants.language(admission.grant_id)
        return LoginRejected(self.message(language, refusal))

    async def _change_and_accept(self, admission: Admission, moved_to: MacAddress | None) -> LoginAnswer:
        if moved_to is not None and not await self._moved(admission, moved_to):
            return self._reject(admission, Refusal("other_device"))
        await self.access.started(admission)
        standing = self.access.store.read.grants.admission_by_id(admission.grant_id)
        if standing is None:
            raise UnavailableError("grant.unreadable", "The grant could not be read back.")
        return _accept(standing, self.access.clock.now())

    async def _moved(self, admission: Admission, mac: MacAddress) -> bool:
        moved = await self.access.store.write(lambda tx: _move(tx, admission.grant_id, mac, self.access.clock.now()))
        if moved:
            self.access.tell_routers(admission.tenant_id)
        return moved


def _is_proven(name: LoginName, request: LoginRequest) -> bool:
    password = name.password or ""
    # A receipt is typed in small letters, too.
    given = (password, password.lower()) if name.kind is _RECEIPT else (password,)
    return bool(password) and any(request.credential.matches(each) for each in given)


def _is_for_nobody(tables: Tables, admission: Admission) -> bool:
    """Whether it waits for its first device; what was taken over from a router's own users goes by their names."""
    if admission.mac is not None or admission.package.devices_max > 1:
        return False
    grant = tables.grants.by_id(admission.grant_id)
    return grant is not None and grant.funding is not Funding.IMPORTED


def _accept(admission: Admission, now: datetime) -> LoginAccepted:
    package, seconds = admission.package, admission.session_seconds_at(now) or 1
    data_left = None if package.data_limit is None else admission.data_left
    return LoginAccepted(admission.grant_id, seconds, package.rate_limit, data_left, package.devices_max)


def _move(tx: Tables, grant_id: str, mac: MacAddress, now: datetime) -> bool:
    grant = tx.grants.by_id(grant_id)
    if grant is None or grant.state is GrantState.ENDED:
        return False
    if grant.mac == mac:  # asked twice meanwhile: it follows its buyer once
        return True
    return follow(tx, grant, mac, now, way="receipt") is not None
