"""`/system/scheduler`: runs scripts at their time by the router's own clock, and at each boot.

A start that passed while the router was off, or that its clock jumped over, is not made up for. Counts of runs
start anew at each boot, and what has an interval does not run at the boot itself but one interval after it.

Source: RouterOS manual, Scheduler.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.console import ApiUser
from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.menus import table_menu
from easyisp_edge.lab.mikrotik.scripts import owned_add, owned_set
from easyisp_edge.lab.mikrotik.system_clock import parse_date
from easyisp_edge.lab.mikrotik.value_formats import parse_duration
from easyisp_edge.machine import Wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.lab.mikrotik.console import Call, Handler
    from easyisp_edge.lab.mikrotik.owned_tasks import OwnedTasks
    from easyisp_edge.lab.mikrotik.scripts import Scripts
    from easyisp_edge.lab.mikrotik.system_clock import RouterClock
    from easyisp_edge.lab.mikrotik.tables import Row, Table
    from easyisp_edge.lab.mikrotik.wire import Answer
    from easyisp_edge.machine import Clock

STARTUP_SECONDS = 3.0  # after power came
_QUIET_SECONDS = 3600.0
_SAME_MOMENT_SECONDS = 0.001  # what rounding may leave of the wait for a run that has just been


class Scheduler:
    """The planned runs of one router.

    Args:
        table: Of `/system/scheduler`.
        scripts: What it runs.
        time: The router's own clock.
        clock: For waiting.
        forbidden: Whether the device-mode forbids schedulers.
        text_dates: Whether dates are written as before 7.10.
        log: Takes topics and message.
    """

    def __init__(
        self,
        *,
        table: Table,
        scripts: Scripts,
        time: RouterClock,
        clock: Clock,
        forbidden: Callable[[], bool],
        text_dates: bool,
        log: Callable[[str, str], None],
    ) -> None:
        self._table = table
        self._scripts = scripts
        self._time = time
        self._clock = clock
        self._forbidden = forbidden
        self._day = "%b/%d/%Y" if text_dates else "%Y-%m-%d"
        self._log = log
        self._due: dict[str, float] = {}
        self._wake = Wake()
        self._was_set = True
        table.computed = self._next_run
        table.on_change(self._plan_again)

    def menu(self) -> dict[str, Handler]:
        """The verbs of `/system/scheduler`."""
        add, verbs = owned_add(self._table), table_menu(self._table)

        def add_allowed(call: Call) -> Answer:
            self._refuse_forbidden()
            now = self._time.now()
            start = {"start-time": now.strftime("%H:%M:%S")}
            if call.arguments.get("start-time") != "startup":
                start["start-date"] = now.strftime(self._day).lower()
            return add(call.given(start))

        return verbs | {"add": add_allowed, "set": owned_set(self._table)}

    async def keep(self, tasks: OwnedTasks) -> None:
        """Run what falls due, from a boot until the power goes."""
        self._due.clear()
        for row in self._table:
            row.shown["run-count"] = "0"
        self._was_set = self._time.is_set()
        for row in self._table:
            self._plan(row, booting=True)
        while True:
            await self._wake.wait(self._clock, self._wait_seconds())
            self._notice_time()
            now = self._clock.monotonic()
            for row in [row for row in self._table if self._due.get(row.id, now + 1) <= now]:
                self._due.pop(row.id)
                self._plan(row)
                if row.values.get("disabled") != "true" and not self._forbidden():
                    tasks.start(self._run(row), name=f"scheduler {row.values['name']}")

    def _refuse_forbidden(self) -> None:
        if self._forbidden():
            raise TrapError("failure: not allowed by device-mode")

    def _notice_time(self) -> None:
        if self._time.is_set() and not self._was_set:
            self._was_set = True
            for row in self._table:
                if row.values.get("start-time") != "startup":
                    self._due.pop(row.id, None)
                    self._plan(row)

    def _wait_seconds(self) -> float:
        now = self._clock.monotonic()
        waits = [due - now for due in self._due.values()]
        until_set = self._time.set_in()
        return min([*waits, _QUIET_SECONDS if until_set is None else until_set])

    def _plan_again(self) -> None:
        present = {row.id for row in self._table}
        self._due = {row_id: due for row_id, due in self._due.items() if row_id in present}
        for row in self._table:
            if row.values.get("start-time") != "startup" or row.id not in self._due:
                self._plan(row)
        self._wake.ring()

    def _plan(self, row: Row, *, booting: bool = False) -> None:
        wait = self._seconds_until(row, booting=booting)
        if wait is None:
            self._due.pop(row.id, None)
        else:
            self._due[row.id] = self._clock.monotonic() + wait

    def _seconds_until(self, row: Row, *, booting: bool) -> float | None:
        interval = parse_duration(row.values.get("interval", "0s"))
        if row.values.get("start-time") == "startup":
            return interval + STARTUP_SECONDS if booting else interval or None
        wait = (self._start(row) - self._time.now()).total_seconds()
        if wait > _SAME_MOMENT_SECONDS:
            return wait
        return interval - (-wait % interval) if interval else None

    def _start(self, row: Row) -> datetime:
        day = parse_date(row.values["start-date"]) if "start-date" in row.values else self._time.now().date()
        clock = parse_duration(row.values.get("start-time", "00:00:00"))
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=clock)

    def _next_run(self, row: Row) -> dict[str, str]:
        due = self._due.get(row.id)
        if due is None or row.values.get("disabled") == "true":
            return {}
        when = self._time.now() + timedelta(seconds=due - self._clock.monotonic())
        return {"next-run": when.strftime(f"{self._day} %H:%M:%S").lower()}

    async def _run(self, row: Row) -> None:
        row.shown["run-count"] = str(int(row.shown["run-count"]) + 1)
        event = row.values.get("on-event", "")
        user = ApiUser(row.shown["owner"], "", frozenset(row.values["policy"].split(",")))
        script = self._scripts.named(event)
        try:
            if script is None:
                await self._scripts.run_text(event, user)
            else:
                await self._scripts.run(script, user)
        except TrapError as failed:
            name = row.values["name"]
            self._log("script,error", f"executing script from scheduler ({name}) failed: {failed.message}")
