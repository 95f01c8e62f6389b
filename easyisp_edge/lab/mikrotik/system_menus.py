"""The menus of the router itself: what it is, its clock, packages, mode, services, users, files and log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik import value_formats as vf
from easyisp_edge.lab.mikrotik.command_tree import V7
from easyisp_edge.lab.mikrotik.errors import BAD_ARGUMENT, RefusalError, TrapError
from easyisp_edge.lab.mikrotik.menus import DONE, live_menu, settings_menu, single_menu, table_menu
from easyisp_edge.lab.mikrotik.system_clock import TEXT_DATES_BEFORE
from easyisp_edge.lab.mikrotik.system_tables import all_policies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easyisp_edge.lab.mikrotik.console import Call, Handler
    from easyisp_edge.lab.mikrotik.router import MikrotikLab
    from easyisp_edge.lab.mikrotik.tables import Row
    from easyisp_edge.lab.mikrotik.wire import Answer

_LOG_WORDS = ("debug", "info", "warning", "error")
_PLAIN_SETTINGS = ("/ip/dns", "/ipv6/settings", "/system/device-mode")


class SystemMenus:
    """The menus of one router.

    Args:
        router: Whose.
    """

    def __init__(self, router: MikrotikLab) -> None:
        self._router = router
        self._tables = router.configuration.others
        self._tables["/user/group"].computed = lambda row: {"policy": all_policies(row.values["policy"])}
        if router.version < V7:
            self._tables["/system/ntp/client"].computed = self._old_ntp_status
        else:
            self._tables["/system/ntp/client"].computed = self._ntp_status

    def menus(self) -> dict[str, dict[str, Handler]]:
        """The verbs by menu."""
        menus: dict[str, dict[str, Handler]] = {
            "/system/identity": single_menu(lambda: {"name": self._router.identity}, self._set_identity),
            "/system/resource": single_menu(self._resource),
            "/system/clock": single_menu(self._clock, self._set_clock),
            "/user/active": live_menu(self._api_sessions),
            "/system/ntp/client": settings_menu(self._tables["/system/ntp/client"]) | {"set": self._set_ntp},
            "/ip/service": self._services(),
            "/log": live_menu(self._router.log.rows) | {topic: self._logger(topic) for topic in _LOG_WORDS},
        }
        menus |= {menu: settings_menu(self._tables[menu]) for menu in _PLAIN_SETTINGS}
        menus["/system/device-mode"] |= {"update": _update_mode}
        return menus

    def _api_sessions(self) -> Iterable[dict[str, str]]:
        return self._router.api.user_rows()

    def _set_identity(self, call: Call) -> Answer:
        self._router.identity = call.arguments.get("name", self._router.identity)
        return DONE

    def _resource(self) -> dict[str, str]:
        release = "stable" if self._router.version >= V7 else "long-term"
        return {
            "uptime": vf.format_whole_seconds(self._router.time.uptime()),
            "version": f"{self._router.options.version} ({release})",
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
        texts = self._router.version < TEXT_DATES_BEFORE
        return {
            "time": now.strftime("%H:%M:%S"),
            "date": now.strftime("%b/%d/%Y").lower() if texts else now.strftime("%Y-%m-%d"),
            "time-zone-autodetect": "true",
            "time-zone-name": "Etc/UTC",
            "gmt-offset": "+00:00",
            "dst-active": "false",
        }

    def _set_clock(self, call: Call) -> Answer:
        if call.arguments.keys() & {"date", "time"} and self._ntp_row().values.get("enabled") == "true":
            raise TrapError("failure: cannot change time while NTP client is enabled")
        if call.arguments.get("time-zone-name", "Etc/UTC") not in {"Etc/UTC", "UTC", "manual"}:
            raise RefusalError("invalid value for argument time-zone-name", BAD_ARGUMENT)
        self._router.time.set(call.arguments.get("date"), call.arguments.get("time"))
        return DONE

    def _ntp_row(self) -> Row:
        return next(iter(self._tables["/system/ntp/client"]))

    def _ntp_status(self, row: Row) -> dict[str, str]:
        if row.values.get("enabled") != "true":
            return {"freq-drift": "0 PPM", "status": "stopped"}
        if not self._router.time.is_set():
            return {"freq-drift": "0 PPM", "status": "waiting"}
        server = row.values.get("servers", "").partition(",")[0]
        return {"freq-drift": "0 PPM", "status": "synchronized", "synced-server": server}

    def _old_ntp_status(self, row: Row) -> dict[str, str]:
        status = "synchronized" if self._router.time.is_set() else "reached"
        return {"status": status} if row.values.get("enabled") == "true" else {}

    def _set_ntp(self, call: Call) -> Answer:
        client, servers = self._tables["/system/ntp/client"], self._tables["/system/ntp/client/servers"]
        client.change(self._ntp_row().id, call.arguments)
        if "servers" in call.arguments:
            servers.empty()
            for address in call.arguments["servers"].split(","):
                if address:
                    servers.add({"address": address})
        return DONE

    def _services(self) -> dict[str, Handler]:
        verbs = table_menu(self._tables["/ip/service"])

        def applied(verb: str) -> Handler:
            async def change(call: Call) -> Answer:
                verbs[verb](call)
                await self._router.services.apply()
                return DONE

            return change

        return verbs | {verb: applied(verb) for verb in ("set", "enable", "disable", "unset")}

    def _logger(self, topic: str) -> Handler:
        def log(call: Call) -> Answer:
            self._router.log.write(f"script,{topic}", call.arguments.get("message", ""))
            return DONE

        return log


def _update_mode(_: Call) -> Answer:
    raise TrapError("failure: update is not confirmed: press the button or cut the power within 5 minutes")
