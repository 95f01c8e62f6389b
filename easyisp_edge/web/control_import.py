"""What staff ask of the running daemon about users that somebody else sold: what is there, and to take them over."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from aiohttp import web

from easyisp_edge.errors import InvalidError
from easyisp_edge.services.importing.judge import ImportOrder
from easyisp_edge.web.control_requests import WORD_LENGTH_MAX, asked_by, flag_of
from easyisp_edge.web.portal_api import answer
from easyisp_edge.web.requests import needed_text, parse_object, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from easyisp_edge.domain.imported_users import LegacyScheduler
    from easyisp_edge.services.importing.judge import ImportLine
    from easyisp_edge.services.importing.taking_over import ImportPlan, ImportService

# An export of twenty thousand users.
ORDER_OCTETS_MAX = 4 * 1024 * 1024
_MAPPED_MAX = 500
_SOURCES = ("mikhmon", "routeros")
_ZONE = re.compile(r"([+-])(0\d|1[0-4]):?([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ControlImport:
    """Handlers of the control routes about taking users over.

    Args:
        importing: Takes them over.
    """

    importing: ImportService

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.post("/control/import", self.plan), web.post("/control/import/apply", self.apply)]

    async def plan(self, request: web.Request) -> web.Response:
        """What would be done about each user. Nothing is changed; an export may be too long for a query."""
        plan = await self.importing.plan(_order(await _read(request)))
        return answer(await asyncio.to_thread(plan_json, plan))  # there may be thousands

    async def apply(self, request: web.Request) -> web.Response:
        """Take over some of the users, and say how many remain."""
        fields = await _read(request)
        disable = flag_of(fields, "disableSchedulers")
        done = await self.importing.take_over(_order(fields), asked_by(request), disable_schedulers=disable)
        return answer({"taken": done.taken, "remaining": done.remaining, "disabledSchedulers": done.disabled})


def plan_json(plan: ImportPlan) -> dict[str, Any]:
    """A plan for staff, without passwords: spans in seconds, data in octets, of what is left."""
    return {
        "at": plan.at.isoformat(timespec="seconds"),
        "users": [_line_json(line, plan.at) for line in plan.lines],
        "schedulers": [_scheduler_json(scheduler, needed) for scheduler, needed in plan.schedulers],
    }


def _line_json(line: ImportLine, at: datetime) -> dict[str, Any]:
    user, left, package = line.user, line.left, line.package
    told = {
        "name": user.name,
        "profile": user.profile,
        "server": user.server,
        "mac": None if user.mac is None else user.mac.text,
        "comment": user.comment,
        "outcome": line.outcome.value,
        "reason": line.reason,
        "due": line.is_due,
    }
    if left is None or package is None:
        return told
    return told | {
        "package": {"id": package.package_id, "name": package.name},
        "running": left.ends_at is not None,
        "secondsLeft": left.seconds_at(at, package.duration),
        "onlineSecondsLeft": left.online_seconds,
        "octetsLeft": left.octets,
    }


def _scheduler_json(scheduler: LegacyScheduler, needed: int) -> dict[str, Any]:
    return {"name": scheduler.name, "disabled": scheduler.disabled, "neededBy": needed}


async def _read(request: web.Request) -> dict[str, Any]:
    body = b""
    while len(body) <= ORDER_OCTETS_MAX and not request.content.at_eof():
        body += await request.content.read(ORDER_OCTETS_MAX + 1 - len(body))
    if len(body) > ORDER_OCTETS_MAX:
        raise InvalidError("request.too_large", f"The export is longer than {ORDER_OCTETS_MAX} octets.", field="file")
    return parse_object(body)


def _order(fields: Mapping[str, Any]) -> ImportOrder:
    source = needed_text(fields, "source", most=WORD_LENGTH_MAX)
    if source not in _SOURCES:
        raise InvalidError("request.invalid", f"The source is one of: {', '.join(_SOURCES)}.", field="source")
    export = fields.get("export")
    if export is not None and not isinstance(export, str):
        raise InvalidError("request.invalid", "The export must be text.", field="export")
    if export is None and flag_of(fields, "offline"):
        raise InvalidError("request.invalid", "Without the router there must be an export of it.", field="export")
    return ImportOrder(
        router_id=needed_text(fields, "router", most=WORD_LENGTH_MAX),
        mikhmon=source == "mikhmon",
        packages=_packages(fields.get("packages")),
        zone=_zone(text_of(fields, "zone", most=WORD_LENGTH_MAX, needed=False)),
        ignore_clock=flag_of(fields, "ignoreClock"),
        empty_passwords=flag_of(fields, "noPasswords"),
        export=export,
        offline=flag_of(fields, "offline"),
    )


def _packages(said: object) -> dict[str, str]:
    if said is None:
        return {}
    if (
        not isinstance(said, dict)
        or len(said) > _MAPPED_MAX
        or not all(isinstance(each, str) for each in said.values())
    ):
        raise InvalidError("request.invalid", "The packages must be ids by profile names.", field="packages")
    return dict(said)


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    found = _ZONE.fullmatch(text)
    if found is None:
        raise InvalidError("import.zone", f"{text!r} is no difference from UTC such as +03:00.", field="zone")
    span = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-span if found[1] == "-" else span)
