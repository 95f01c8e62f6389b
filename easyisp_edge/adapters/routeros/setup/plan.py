"""What would change on a router: its tables held against what they should say."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from easyisp_edge.adapters.routeros.setup.equality import differing
from easyisp_edge.adapters.routeros.setup.rows import (
    OLD_USER,
    SETUP_MARK,
    Change,
    Leftover,
    SetupPlan,
    WantedRow,
    found,
)
from easyisp_edge.adapters.routeros.setup.traps import traps
from easyisp_edge.adapters.routeros.setup.undo_script import undo_of_add, undo_of_replaced, undo_of_set
from easyisp_edge.adapters.routeros.setup.wanted import html_directory, server_of, takes_files, wanted_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from easyisp_edge.adapters.routeros.setup.rows import Row, SetupSite, Tables

_FOLDER = re.compile(r"((?:flash/)?edge-[0-9a-f]{12})(?:/.*)?", re.ASCII)
_MARKED_MENUS = (
    "/radius",
    "/ip/hotspot/walled-garden/ip",
    "/ip/hotspot/ip-binding",
    "/ip/firewall/filter",
    "/ipv6/firewall/filter",
)


def make_plan(site: SetupSite, tables: Tables, *, password_fits: bool, now: datetime | None = None) -> SetupPlan:
    """Compare a router's tables with what they should say.

    Args:
        site: What everything follows from.
        tables: As `observed` gives them.
        password_fits: Whether this box's user can log in with the password in the configuration; it cannot be read.
        now: Box time, where it can be believed.
    """
    wanted = wanted_rows(site, tables)
    changes = [change for row in wanted for change in _changes(row, tables, password_fits=password_fits)]
    retired = [_retired(menu, row) for menu, row in _stale(wanted, tables) if row.get("disabled") != "true"]
    return SetupPlan(
        changes=(*changes, *retired),
        leftovers=tuple(_leftovers(site, wanted, tables, [*changes, *retired])),
        traps=tuple(sorted(traps(site, tables, now), key=lambda trap: not trap.stops)),
        left_alone=tuple(_left_alone(site, tables)),
    )


def _changes(row: WantedRow, tables: Tables, *, password_fits: bool) -> Iterator[Change]:
    rows = tables.get(row.menu, [])
    now = found(rows, row.key)
    if row.menu == "/user" and now is not None and not password_fits:
        yield from _replaced_user(row, now)
    elif now is None and row.key:
        yield Change("add", row, {}, (undo_of_add(row.menu, row.key),))
    elif different := differing(now or {}, row.values):
        before = {name: (now or {}).get(name, "") or _unset(name) for name in different}
        undo = () if row.menu == "/file" else (undo_of_set(row.menu, row.key, before),)
        yield Change("set", replace(row, values=different), before, undo)


def _unset(name: str) -> str:
    return "no" if name == "disabled" else ""


def _replaced_user(row: WantedRow, now: Row) -> Iterator[Change]:
    """A password that cannot be read cannot be written back either: its user is put aside, and a new one made."""
    name = row.key["name"]
    aside = f"{OLD_USER}{name}"
    disabled = now.get("disabled", "false")
    why = "its password is not the one in the configuration; kept until the new one is confirmed"
    put_aside = WantedRow("/user", {"name": name}, {"name": aside, "disabled": "yes"}, why)
    undo = undo_of_replaced("/user", name, aside, {"disabled": disabled})
    yield Change("set", put_aside, {"name": name, "disabled": disabled}, (undo,))
    yield Change("add", row, {}, ())


def _stale(wanted: list[WantedRow], tables: Tables) -> Iterator[tuple[str, Row]]:
    """Rows of ours that nothing wants any more."""
    comments = {(row.menu, row.key.get("comment")) for row in wanted}
    for menu in _MARKED_MENUS:
        for row in tables.get(menu, []):
            comment = row.get("comment", "")
            if comment.startswith(SETUP_MARK) and (menu, comment) not in comments:
                yield menu, row


def _retired(menu: str, row: Row) -> Change:
    """Out of use now and gone later: with its secret it could not be made again."""
    key = {"comment": row["comment"]}
    before = {"disabled": "no"}
    wanted = WantedRow(menu, key, {"disabled": "yes"}, "ours, and of no more use")
    return Change("set", wanted, before, (undo_of_set(menu, key, before),))


def _leftovers(site: SetupSite, wanted: list[WantedRow], tables: Tables, changes: list[Change]) -> Iterator[Leftover]:
    for menu, row in _stale(wanted, tables):
        yield Leftover(menu, {"comment": row["comment"]})
    aside = {change.row.values.get("name") for change in changes if change.row.menu == "/user"}
    for row in tables.get("/user", []):
        if row.get("name", "").startswith(OLD_USER):
            aside.add(row["name"])
    yield from (Leftover("/user", {"name": name}) for name in sorted(filter(None, aside)))
    yield from _old_folders(site, tables)


def _old_folders(site: SetupSite, tables: Tables) -> Iterator[Leftover]:
    """Folders of pages that no server profile but the one being changed shows; files before the folder itself."""
    kept = {html_directory(site.pages, tables)} | {
        row.get("html-directory", "")
        for row in tables.get("/ip/hotspot/profile", [])
        if row.get("name") != site.profile
    }
    names = [row.get("name", "") for row in tables.get("/file", [])]
    for name in sorted(names, reverse=True):
        folder = _FOLDER.fullmatch(name)
        if takes_files(tables) and folder is not None and folder[1] not in kept:
            yield Leftover("/file", {"name": name})


def _left_alone(site: SetupSite, tables: Tables) -> Iterator[str]:
    if not site.management_networks:
        yield "winbox, ssh and www stay open to everyone: no management_networks under [router.setup]"
    if site.captive_api_url is None:
        yield "DHCP option 114 is not set: that takes captive_api_url under [router.setup], with https"
    if (server := server_of(site, tables)) and server.get("profile") not in {site.profile, None}:
        yield f"the server profile {server['profile']} stays as it is; the hotspot gets one of ours"
    for row in tables.get("/radius", []):
        if "hotspot" in row.get("service", "") and not row.get("comment", "").startswith(SETUP_MARK):
            yield f"the RADIUS server {row.get('address', '')} in /radius, which is not ours, is asked for logins too"
