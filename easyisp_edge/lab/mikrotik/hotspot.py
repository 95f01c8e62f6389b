"""The hotspot itself: which devices it sees, who is logged in, and how that ends."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from easyisp_edge.lab.mikrotik.cookies import CookieJar
from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.gates import binding_type
from easyisp_edge.lab.mikrotik.local_users import (
    INVALID_USERNAME,
    count_session,
    find_user,
    local_entitlement,
)
from easyisp_edge.lab.mikrotik.sessions import Entitlement, Host, Session, SessionIds, TerminateCause
from easyisp_edge.lab.mikrotik.tables import Ids
from easyisp_edge.lab.mikrotik.trials import Trials
from easyisp_edge.lab.mikrotik.value_formats import mac_in_form, parse_duration

if TYPE_CHECKING:
    from easyisp_edge.lab.mikrotik.chap import ChapAnswer
    from easyisp_edge.lab.mikrotik.configuration import Configuration
    from easyisp_edge.lab.mikrotik.cookies import Cookie
    from easyisp_edge.lab.mikrotik.owned_tasks import OwnedTasks
    from easyisp_edge.lab.mikrotik.tables import Row
    from easyisp_edge.machine import Clock, Wake

Method = Literal["pap", "chap"]
_NAME_OCTETS_MOST = 253  # what a RADIUS attribute holds
_PASSWORD_LETTERS_MOST = 32  # of at most four octets each, as many as User-Password holds
_LIKE_A_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-]?[0-9A-Fa-f]{2}){5}")
_DROPS_MAC_COOKIE = frozenset(
    {
        TerminateCause.USER_REQUEST,
        TerminateCause.ADMIN_RESET,
        TerminateCause.SESSION_TIMEOUT,
        TerminateCause.NAS_REQUEST,
    }
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login under way.

    Args:
        host: The device.
        user: The name given.
        password: The password given, in the clear.
        method: How RADIUS is told the password.
        login_by: As `/ip/hotspot/active` will name it.
        acct_id: The Acct-Session-Id the session will have.
        chap: What a browser answered; then nobody but it knows the password.
    """

    host: Host
    user: str
    password: str
    method: Method
    login_by: str
    acct_id: str
    chap: ChapAnswer | None = None

    def knows(self, password: str) -> bool:
        """Whether this is the password given."""
        return self.password == password if self.chap is None else self.chap.fits(password)


class Accountant(Protocol):
    """The RADIUS side, as the hotspot needs it."""

    async def authorise(self, attempt: Attempt) -> Entitlement:
        """Ask the servers.

        Raises:
            TrapError: They said no, or nothing.
        """

    def started(self, session: Session) -> None:
        """Tell of a session's start; never waits."""

    def interim(self, session: Session, at: float) -> None:
        """Tell what a session used so far; never waits."""

    def stopped(self, session: Session, cause: TerminateCause, at: float) -> None:
        """Tell of a session's end; never waits."""


class Hotspot:
    """Hosts, sessions and cookies of one router.

    Args:
        configuration: The router's tables.
        clock: For every span.
        wake: Rung when something new may fall due.
        accountant: The RADIUS side.
        tasks: Owner of logins that devices start by themselves.

    Attributes:
        trouble: A fatal error in the hotspot's words, played to every login; None for none.
    """

    def __init__(
        self,
        *,
        configuration: Configuration,
        clock: Clock,
        wake: Wake,
        accountant: Accountant,
        tasks: OwnedTasks,
    ) -> None:
        self.configuration = configuration
        self.hosts: dict[str, Host] = {}
        self.sessions: dict[str, Session] = {}
        self.cookies = CookieJar()
        self.trials = Trials(configuration)
        self.trouble: str | None = None
        self._clock = clock
        self._wake = wake
        self._accountant = accountant
        self._tasks = tasks
        self._acct_ids = SessionIds()
        self._row_ids = {"host": Ids(), "active": Ids(), "queue": Ids()}
        configuration.ip_bindings.on_change(self._apply_bindings)

    def login_by(self, server: Row) -> list[str]:
        """The ways of logging in that the server's profile allows."""
        return self.profile_value(server, "login-by").split(",")

    def profile_value(self, server: Row, name: str) -> str:
        """A field of the server's profile; empty if that profile is gone."""
        profiles = self.configuration.server_profiles
        profile = profiles.named(self.configuration.servers.value(server, "profile"))
        return profiles.value(profile, name) if profile else ""

    def method(self, server: Row) -> Method:
        """How a password goes to RADIUS where no browser chose."""
        return "pap" if "http-pap" in self.login_by(server) else "chap"

    def binding(self, host: Host) -> str:
        """`regular`, `bypassed` or `blocked`."""
        return binding_type(self.configuration, host.mac, host.ip, host.server)

    def see(self, mac: str, ip: str, server: Row) -> Host:
        """The device sent something: it is a host now, and may log in by itself."""
        now = self._clock.monotonic()
        host = self.hosts.get(mac)
        if host is not None and (host.ip, host.server) == (ip, server):
            host.last_heard, host.gone_at = now, None
        else:
            if host is not None:
                self.forget(host)
            host = Host(self._row_ids["host"].next(), mac, ip, server, now, now)
            self.hosts[mac] = host
        if mac not in self.sessions:
            self._log_in_by_itself(host)
        self._wake.ring()
        return host

    def leave(self, mac: str) -> None:
        """The device is gone; the hotspot notices when its time-outs pass."""
        if host := self.hosts.get(mac):
            host.gone_at = self._clock.monotonic()
            self._wake.ring()

    def forget(self, host: Host) -> None:
        """Take the host off the table, its session with it."""
        if session := self.sessions.get(host.mac):
            self.end(session, TerminateCause.ADMIN_RESET)
        self.hosts.pop(host.mac, None)

    def count(self, mac: str, bytes_in: int, bytes_out: int) -> None:
        """Traffic of a device; only a session's is counted."""
        self.settle()
        session = self.sessions.get(mac)
        if session is not None:
            session.count(bytes_in, bytes_out, self._clock.monotonic())
            self.settle()
            self._wake.ring()

    async def login(
        self,
        host: Host,
        user: str,
        password: str,
        *,
        login_by: str,
        method: Method = "pap",
        chap: ChapAnswer | None = None,
    ) -> Session:
        """Log a device in: by the local user of that name, or else by RADIUS where that is on.

        Raises:
            TrapError: With the hotspot's wording of why not.
        """
        if self.trouble is not None:
            raise TrapError(self.trouble)
        if host.authorizing or host.mac in self.sessions:
            raise TrapError("already authorizing, retry later")
        _refuse_foreign_mac(user, host.mac)
        if len(user.encode("utf-8", "replace")) > _NAME_OCTETS_MOST or len(password) > _PASSWORD_LETTERS_MOST:
            raise TrapError(INVALID_USERNAME)
        attempt = Attempt(host, user, password, method, login_by, self._acct_ids.next(), chap)
        host.authorizing = True
        try:
            given = await self._entitlement(attempt)
        finally:
            host.authorizing = False
        if self.hosts.get(host.mac) is not host:
            raise TrapError(f"unknown host IP {host.ip}")
        self._refuse_one_more(user, given)
        return self._start(attempt, given)

    def end(self, session: Session, cause: TerminateCause, at: float | None = None) -> None:
        """End a session, now or at an instant already past."""
        if self.sessions.get(session.host.mac) is not session:
            return
        del self.sessions[session.host.mac]
        ended = self._clock.monotonic() if at is None else at
        session.host.out_since = ended
        count_session(session, ended)
        if session.login_by == "trial":
            self.trials.count(session.host.mac, session.uptime(ended), ended)
        if cause in _DROPS_MAC_COOKIE:
            self.cookies.drop(session.host.mac, is_mac_cookie=True)
        if session.entitlement.radius:
            self._accountant.stopped(session, cause, ended)

    def entitle(self, session: Session, given: Entitlement) -> None:
        """Give a running session other limits; spans count from its start."""
        if given.rate_limit and session.queue_id is None:
            session.queue_id = self._row_ids["queue"].next()
        session.entitlement = given
        self.settle()
        self._wake.ring()

    def settle(self) -> None:
        """Bring everything up to now: interims, ends, hosts that stayed away."""
        now = self._clock.monotonic()
        for session in list(self.sessions.values()):
            self._settle_session(session, now)
        for host in list(self.hosts.values()):
            away_until = self._away_until(host)
            if away_until is not None and away_until <= now:
                del self.hosts[host.mac]

    def next_due(self) -> float | None:
        """When `settle` will next have something to do, monotonic seconds."""
        dues = [end[0] for session in self.sessions.values() if (end := session.end())]
        dues += [s.next_interim for s in self.sessions.values() if s.next_interim is not None]
        dues += [due for host in self.hosts.values() if (due := self._away_until(host)) is not None]
        return min(dues, default=None)

    def reboot(self) -> None:
        """Power went and came back: hosts and sessions are gone, nothing was told or counted."""
        self.hosts.clear()
        self.sessions.clear()
        self._row_ids = {"host": Ids(), "active": Ids(), "queue": Ids()}
        self._acct_ids.boot()

    def _start(self, attempt: Attempt, given: Entitlement) -> Session:
        host, now = attempt.host, self._clock.monotonic()
        session = Session(
            id=self._row_ids["active"].next(),
            acct_id=attempt.acct_id,
            host=host,
            user=attempt.user,
            password=attempt.password,
            login_by=attempt.login_by,
            entitlement=given,
            started=now,
            queue_id=self._row_ids["queue"].next() if given.rate_limit else None,
            last_traffic=now,
            chap=attempt.chap,
        )
        self.sessions[host.mac] = session
        self._keep_cookies(session)
        if given.radius:
            session.next_interim = now + given.interim_seconds if given.interim_seconds else None
            self._accountant.started(session)
        self._wake.ring()
        return session

    async def _entitlement(self, attempt: Attempt) -> Entitlement:
        if attempt.login_by == "trial":
            return self.trials.entitlement(attempt.host, self._clock.monotonic())
        user = find_user(self.configuration, attempt.user, attempt.host.server)
        if user is not None:
            return local_entitlement(self.configuration, user, attempt)
        if self.profile_value(attempt.host.server, "use-radius") == "true":
            return await self._accountant.authorise(attempt)
        raise TrapError(INVALID_USERNAME)

    def _refuse_one_more(self, user: str, given: Entitlement) -> None:
        running = [
            session
            for session in self.sessions.values()
            if session.user == user and session.entitlement.user_row is given.user_row
        ]
        if given.shared is not None and len(running) >= given.shared:
            raise TrapError(f"no more sessions are allowed for user {user}")

    def _keep_cookies(self, session: Session) -> None:
        host, allowed = session.host, self.login_by(session.host.server)
        mac_cookie_seconds = session.entitlement.mac_cookie_seconds
        if "mac-cookie" in allowed and mac_cookie_seconds:
            expires = session.started + mac_cookie_seconds
            self.cookies.keep(session, expires=expires, is_mac_cookie=True)
        if "cookie" in allowed and session.login_by in {"http-pap", "http-chap"}:
            expires = session.started + parse_duration(self.profile_value(host.server, "http-cookie-lifetime") or "3d")
            self.cookies.keep(session, expires=expires, is_mac_cookie=False)

    async def come_back(self, cookie: Cookie) -> None:
        """Log the cookie's device in as it logged in before; a cookie that no longer does is forgotten."""
        host = self.hosts.get(cookie.mac)
        if host is None:
            return
        kind = "mac-cookie" if cookie.is_mac_cookie else "cookie"
        method: Method = "pap" if cookie.chap is None else "chap"
        try:
            await self.login(host, cookie.user, cookie.password, login_by=kind, method=method, chap=cookie.chap)
        except TrapError:
            self.cookies.drop(cookie.mac, is_mac_cookie=cookie.is_mac_cookie)

    def _log_in_by_itself(self, host: Host) -> None:
        allowed = self.login_by(host.server)
        cookie = self.cookies.find(host.mac, self._clock.monotonic(), is_mac_cookie=True)
        if host.authorizing or self.binding(host) != "regular":
            return
        if "mac-cookie" in allowed and cookie is not None:
            work = self.come_back(cookie)
        elif "mac" in allowed:
            name = mac_in_form(host.mac, self.profile_value(host.server, "radius-mac-format"))
            itself = self.profile_value(host.server, "mac-auth-mode") == "mac-as-username-and-password"
            word = name if itself else self.profile_value(host.server, "mac-auth-password")
            work = self._try_mac(host, name, word)
        else:
            return
        self._tasks.start(work, name=f"{host.mac} logs in by itself")

    async def _try_mac(self, host: Host, user: str, password: str) -> None:
        with contextlib.suppress(TrapError):
            await self.login(host, user, password, login_by="mac")

    def _settle_session(self, session: Session, now: float) -> None:
        end = session.end()
        last = min(now, end[0]) if end else now
        if session.next_interim is not None and session.next_interim <= last:
            self._accountant.interim(session, session.next_interim)
            session.next_interim = last + (session.entitlement.interim_seconds or 0.0)
        if end is not None and end[0] <= now:
            self.end(session, end[1], end[0])

    def _away_until(self, host: Host) -> float | None:
        if host.mac in self.sessions:
            return None
        servers = self.configuration.servers
        spans = {name: servers.value(host.server, name) for name in ("idle-timeout", "keepalive-timeout")}
        ends = [
            host.gone_at + parse_duration(span)
            for span in spans.values()
            if host.gone_at is not None and span != "none"
        ]
        login_timeout = servers.value(host.server, "login-timeout")
        if login_timeout != "none" and self.binding(host) == "regular":
            ends.append(max(host.since, host.out_since) + parse_duration(login_timeout))
        return min(ends, default=None)

    def _apply_bindings(self) -> None:
        for session in list(self.sessions.values()):
            if self.binding(session.host) != "regular":
                self.end(session, TerminateCause.ADMIN_RESET)


def _refuse_foreign_mac(user: str, mac: str) -> None:
    digits = re.sub(r"[:-]", "", user).upper()
    if _LIKE_A_MAC.fullmatch(user) and digits != mac.replace(":", ""):
        raise TrapError(f"invalid username ({user}): this MAC address is not yours")
