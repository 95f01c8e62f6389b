"""All menus of the router, put together."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik import value_formats as vf
from easyisp_edge.lab.mikrotik.errors import BAD_ARGUMENT, RefusalError, TrapError
from easyisp_edge.lab.mikrotik.hotspot_menus import HotspotMenus
from easyisp_edge.lab.mikrotik.live_rows import radius_counters
from easyisp_edge.lab.mikrotik.menus import DONE, live_menu, monitored, single_menu, table_menu
from easyisp_edge.lab.mikrotik.radius_incoming import IncomingCounters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easyisp_edge.lab.mikrotik.console import Call, Handler, Menus
    from easyisp_edge.lab.mikrotik.router import MikrotikLab
    from easyisp_edge.lab.mikrotik.wire import Answer
    from easyisp_edge.machine import Clock

_TEXT_DATES_BEFORE = (7, 10)
_DEFAULT_INCOMING_PORT = 3799


class RouterMenus:
    """The menus of one router.

    Args:
        router: Whose.
        clock: For running times.
    """

    def __init__(self, router: MikrotikLab, clock: Clock) -> None:
        self._router = router
        self._hotspot = HotspotMenus(router.hotspot, clock)
        self._incoming_port = _DEFAULT_INCOMING_PORT
        self._vrf = "main"

    def menus(self) -> Menus:
        """The verbs by menu."""
        menus: dict[str, dict[str, Handler]] = {
            menu: table_menu(table) for menu, table in self._router.configuration.tables().items()
        }
        menus |= self._hotspot.menus()
        menus["/ip/hotspot/user"]["reset-counters"] = self._hotspot.reset_counters
        menus["/radius"] |= {"monitor": self._monitor_radius, "reset-counters": self._reset_radius}
        menus["/radius/incoming"] = single_menu(self._incoming) | {
            "set": self._set_incoming,
            "monitor": self._monitor_incoming,
            "reset-counters": self._reset_incoming,
        }
        menus["/system/identity"] = single_menu(lambda: {"name": self._router.identity}, self._set_identity)
        menus["/system/resource"] = single_menu(self._resource)
        menus["/system/clock"] = single_menu(self._clock)
        menus["/user/active"] = live_menu(self._api_sessions)
        return menus

    def _api_sessions(self) -> Iterable[dict[str, str]]:
        return self._router.api.user_rows()

    def _set_identity(self, call: Call) -> Answer:
        self._router.identity = call.arguments.get("name", self._router.identity)
        return DONE

    def _resource(self) -> dict[str, str]:
        return {
            "uptime": vf.format_whole_seconds(self._router.time.uptime()),
            "version": f"{self._router.options.version} (stable)",
            "cpu-load": "2",
            "free-memory": "201326592",
            "total-memory": "268435456",
            "cpu-count": "4",
            "architecture-name": "arm64",
            "board-name": "lab",
            "platform": "MikroTik",
        }

    def _clock(self) -> dict[str, str]:
        now = self._router.time.now()
        version = tuple(int(part) for part in self._router.options.version.split("."))
        date = now.strftime("%b/%d/%Y").lower() if version < _TEXT_DATES_BEFORE else now.strftime("%Y-%m-%d")
        return {
            "time": now.strftime("%H:%M:%S"),
            "date": date,
            "time-zone-autodetect": "true",
            "time-zone-name": "Etc/UTC",
            "gmt-offset": "+00:00",
            "dst-active": "false",
        }

    def _monitor_radius(self, call: Call) -> Answer:
        radius = self._router.configuration.radius
        return monitored(
            call, [radius_counters(self._router.radius.counters(row)) for row in radius.select(call.numbers())]
        )

    def _reset_radius(self, _: Call) -> Answer:
        self._router.radius.reset_counters()
        return DONE

    def _incoming(self) -> dict[str, str]:
        port = self._router.coa_port
        return {
            "accept": "false" if port is None else "true",
            "port": str(port or self._incoming_port),
            "vrf": self._vrf,
        }

    async def _set_incoming(self, call: Call) -> Answer:
        accept, port = _checked_incoming(call, self._incoming())
        self._vrf = call.arguments.get("vrf", self._vrf)
        incoming = self._router.incoming
        if accept and incoming.port != port:
            await self._move_incoming(port)
        elif not accept:
            incoming.close()
        self._incoming_port = port
        return DONE

    async def _move_incoming(self, port: int) -> None:
        incoming, old = self._router.incoming, self._router.incoming.port
        incoming.close()
        try:
            await incoming.open(self._router.host, port)
        except OSError:
            if old is not None:
                await incoming.open(self._router.host, old)
            raise TrapError(f"failure: port {port} is in use on the machine that plays the router") from None

    def _monitor_incoming(self, call: Call) -> Answer:
        counters = asdict(self._router.incoming.counters)
        return monitored(call, [{name.replace("_", "-"): str(count) for name, count in counters.items()}])

    def _reset_incoming(self, _: Call) -> Answer:
        self._router.incoming.counters = IncomingCounters()
        return DONE


def _checked_incoming(call: Call, now: dict[str, str]) -> tuple[bool, int]:
    given = now | dict(call.arguments)
    for name, normal in (("accept", vf.boolean_text), ("port", vf.integer_between(1, 65535))):
        try:
            normal(given[name])
        except ValueError:
            raise RefusalError(f"invalid value for argument {name}", BAD_ARGUMENT) from None
    return vf.parse_boolean(given["accept"]), int(given["port"])
