"""The menus that act on the hotspot: active, host, cookie, and counting users from zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik import live_rows
from easyisp_edge.lab.mikrotik import value_formats as vf
from easyisp_edge.lab.mikrotik.configuration import ANY_ADDRESS, NO_TRAFFIC
from easyisp_edge.lab.mikrotik.errors import BAD_ARGUMENT, RefusalError, TrapError
from easyisp_edge.lab.mikrotik.menus import DONE, live_menu
from easyisp_edge.lab.mikrotik.sessions import TerminateCause

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.lab.mikrotik.console import Call, Handler
    from easyisp_edge.lab.mikrotik.hotspot import Hotspot
    from easyisp_edge.lab.mikrotik.wire import Answer
    from easyisp_edge.machine import Clock


class HotspotMenus:
    """The live menus of one hotspot.

    Args:
        hotspot: Whose.
        clock: For running times.
    """

    def __init__(self, hotspot: Hotspot, clock: Clock) -> None:
        self._hotspot = hotspot
        self._now = clock.monotonic

    def menus(self) -> dict[str, dict[str, Handler]]:
        """The verbs by menu."""
        hotspot = self._hotspot
        active = live_menu(lambda: live_rows.active_rows(hotspot, self._now()), self._remove_active)
        host = live_menu(lambda: live_rows.host_rows(hotspot, self._now()), self._remove_host)
        cookies = live_menu(lambda: live_rows.cookie_rows(hotspot, self._now()), hotspot.cookies.remove)
        return {
            "/ip/hotspot/active": active | {"login": self._login},
            "/ip/hotspot/host": host | {"make-binding": self._make_binding},
            "/ip/hotspot/cookie": cookies,
            "/queue/simple": live_menu(lambda: live_rows.queue_rows(hotspot)),
        }

    def reset_counters(self, call: Call) -> Answer:
        """`/ip/hotspot/user/reset-counters`: the totals of these users, or of all, start anew."""
        users = self._hotspot.configuration.users
        for row in users if call.numbers() is None else users.select(call.numbers()):
            row.shown |= NO_TRAFFIC
        return DONE

    async def _login(self, call: Call) -> Answer:
        ip = _normal(call, "ip", vf.address_text) or ANY_ADDRESS
        mac = _normal(call, "mac-address", vf.mac_text)
        host = next((host for host in self._hotspot.hosts.values() if host.ip == ip), None)
        if host is None or self._hotspot.binding(host) == "blocked":
            raise TrapError(f"unknown host IP {ip}")
        if mac is not None and mac != host.mac:
            raise TrapError("wrong MAC provided")
        method = self._hotspot.method(host.server)
        user, password = call.arguments.get("user", ""), call.arguments.get("password", "")
        await self._hotspot.login(host, user, password, login_by=f"http-{method}", method=method)
        return DONE

    def _remove_active(self, number: str) -> None:
        session = next(session for session in self._hotspot.sessions.values() if session.id == number)
        self._hotspot.end(session, TerminateCause.ADMIN_RESET)

    def _remove_host(self, number: str) -> None:
        self._hotspot.forget(next(host for host in self._hotspot.hosts.values() if host.id == number))

    def _make_binding(self, call: Call) -> Answer:
        numbers = (call.numbers() or "").upper().split(",")
        hosts = [host for host in self._hotspot.hosts.values() if host.id in numbers]
        if len(hosts) != len(numbers):
            raise TrapError("no such item")
        asked = {name: call.arguments[name] for name in ("type", "comment") if name in call.arguments}
        for host in hosts:
            place = {"mac-address": host.mac, "address": host.ip, "to-address": host.ip}
            self._hotspot.configuration.ip_bindings.add(place | asked)
        return DONE


def _normal(call: Call, name: str, normal: Callable[[str], str]) -> str | None:
    if name not in call.arguments:
        return None
    try:
        return normal(call.arguments[name])
    except ValueError:
        raise RefusalError(f"invalid value for argument {name}", BAD_ARGUMENT) from None
