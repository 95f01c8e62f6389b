"""All menus of the router, put together."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik import value_formats as vf
from easyisp_edge.lab.mikrotik.command_tree import V7
from easyisp_edge.lab.mikrotik.errors import BAD_ARGUMENT, RefusalError
from easyisp_edge.lab.mikrotik.hotspot_menus import HotspotMenus
from easyisp_edge.lab.mikrotik.live_rows import queue_rows, radius_counters
from easyisp_edge.lab.mikrotik.menus import DONE, gotten, listed, monitored, single_menu, table_menu
from easyisp_edge.lab.mikrotik.radius_incoming import IncomingCounters
from easyisp_edge.lab.mikrotik.system_menus import SystemMenus

if TYPE_CHECKING:
    from easyisp_edge.lab.mikrotik.console import Call, Handler, Menus
    from easyisp_edge.lab.mikrotik.router import MikrotikLab
    from easyisp_edge.lab.mikrotik.wire import Answer
    from easyisp_edge.machine import Clock

_DYNAMIC_IDS = 0xF000000


class RouterMenus:
    """The menus of one router.

    Args:
        router: Whose.
        clock: For running times.
    """

    def __init__(self, router: MikrotikLab, clock: Clock) -> None:
        self._router = router
        self._hotspot = HotspotMenus(router.hotspot, clock)
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
        menus |= SystemMenus(self._router).menus()
        menus["/file"] = self._router.files.menu()
        menus["/system/script"] = self._router.scripts.menu()
        menus["/system/scheduler"] = self._router.scheduler.menu()
        menus["/queue/simple"] = self._queues()
        return menus

    def _queues(self) -> dict[str, Handler]:
        static = self._router.configuration.others["/queue/simple"]

        def rows() -> list[dict[str, str]]:
            made = [row | {".id": _apart(row[".id"])} for row in queue_rows(self._router.hotspot)]
            return [*made, *(static.printed(row, sensitive=False) for row in static)]

        return table_menu(static) | {
            "print": lambda call: listed(call, rows()),
            "get": lambda call: gotten(call, rows()),
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
        incoming = self._router.incoming
        table = {"vrf": self._vrf} if self._router.version >= V7 else {}
        return {"accept": "false" if incoming.port is None else "true", "port": str(incoming.written_port)} | table

    async def _set_incoming(self, call: Call) -> Answer:
        accept, port = _checked_incoming(call, self._incoming())
        self._vrf = call.arguments.get("vrf", self._vrf)
        incoming = self._router.incoming
        if not accept:
            incoming.close()
            incoming.write_port(port)
        elif incoming.port is None or incoming.written_port != port:
            incoming.close()
            await incoming.open_as(self._router.host, port)
        return DONE

    def _monitor_incoming(self, call: Call) -> Answer:
        counters = asdict(self._router.incoming.counters)
        return monitored(call, [{name.replace("_", "-"): str(count) for name, count in counters.items()}])

    def _reset_incoming(self, _: Call) -> Answer:
        self._router.incoming.counters = IncomingCounters()
        return DONE


def _apart(row_id: str) -> str:
    """An id that no row made by a command has."""
    return f"*{int(row_id[1:], 16) + _DYNAMIC_IDS:X}"


def _checked_incoming(call: Call, now: dict[str, str]) -> tuple[bool, int]:
    given = now | dict(call.arguments)
    for name, normal in (("accept", vf.boolean_text), ("port", vf.integer_between(1, 65535))):
        try:
            normal(given[name])
        except ValueError:
            raise RefusalError(f"invalid value for argument {name}", BAD_ARGUMENT) from None
    return vf.parse_boolean(given["accept"]), int(given["port"])
