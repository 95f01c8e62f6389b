"""The cookies by which a device comes back without typing: one row per device and kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.tables import Ids

if TYPE_CHECKING:
    from easyisp_edge.lab.mikrotik.chap import ChapAnswer
    from easyisp_edge.lab.mikrotik.sessions import Session


@dataclass(frozen=True, slots=True)
class Cookie:
    """A remembered login.

    Args:
        id: Of its row.
        mac: The device.
        user: As it logged in.
        password: As it logged in.
        expires: Monotonic seconds.
        is_mac_cookie: Kept by MAC; else an HTTP cookie in the device's browser.
        chap: What its browser answered where it logged in by CHAP.
    """

    id: str
    mac: str
    user: str
    password: str
    expires: float
    is_mac_cookie: bool
    chap: ChapAnswer | None = None


class CookieJar:
    """The cookie table."""

    def __init__(self) -> None:
        self._ids = Ids()
        self._cookies: list[Cookie] = []

    def keep(self, session: Session, *, expires: float, is_mac_cookie: bool) -> None:
        """Remember a login in place of the device's earlier one of that kind."""
        mac = session.host.mac
        self.drop(mac, is_mac_cookie=is_mac_cookie)
        self._cookies.append(
            Cookie(self._ids.next(), mac, session.user, session.password, expires, is_mac_cookie, session.chap)
        )

    def find(self, mac: str, now: float, *, is_mac_cookie: bool) -> Cookie | None:
        """The device's cookie of that kind, if it is still good."""
        return next(
            (cookie for cookie in self.all(now) if (cookie.mac, cookie.is_mac_cookie) == (mac, is_mac_cookie)),
            None,
        )

    def all(self, now: float) -> list[Cookie]:
        """Every cookie that is still good."""
        self._cookies = [cookie for cookie in self._cookies if cookie.expires > now]
        return list(self._cookies)

    def drop(self, mac: str, *, is_mac_cookie: bool) -> None:
        """Forget the device's cookie of that kind."""
        self._cookies = [
            cookie for cookie in self._cookies if (cookie.mac, cookie.is_mac_cookie) != (mac, is_mac_cookie)
        ]

    def remove(self, cookie_id: str) -> None:
        """Forget the row of that id."""
        self._cookies = [cookie for cookie in self._cookies if cookie.id != cookie_id]

    def clear(self) -> None:
        """Forget all."""
        self._cookies.clear()
