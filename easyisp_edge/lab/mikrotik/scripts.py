"""`/system/script`: what is written there is read and run, by a command or by the scheduler.

Source: RouterOS manual, Scripting (script repository, permissions).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.console import ApiUser
from easyisp_edge.lab.mikrotik.errors import RefusalError, TrapError
from easyisp_edge.lab.mikrotik.menus import DONE, table_menu
from easyisp_edge.lab.mikrotik.owned_tasks import OwnedTasks
from easyisp_edge.lab.mikrotik.script_run import Surroundings, run_block
from easyisp_edge.lab.mikrotik.script_text import parse_script
from easyisp_edge.lab.mikrotik.system_tables import SCRIPT_POLICIES
from easyisp_edge.lab.mikrotik.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.lab.mikrotik.command_tree import CommandTree
    from easyisp_edge.lab.mikrotik.console import Call, Console, Handler
    from easyisp_edge.lab.mikrotik.script_values import Value
    from easyisp_edge.lab.mikrotik.tables import Row, Table
    from easyisp_edge.machine import Clock

_PUT_MOST = 1000


class Scripts:
    """The scripts of one router, and those that run.

    Args:
        table: Of `/system/script`.
        tree: What the version has.
        clock: For waits.
        log: Takes topics and message.
        line_seconds: What each command of a script takes.
    """

    def __init__(
        self, table: Table, tree: CommandTree, clock: Clock, log: Callable[[str, str], None], line_seconds: float
    ) -> None:
        self.printed: deque[str] = deque(maxlen=_PUT_MOST)
        self._table = table
        self._tree = tree
        self._clock = clock
        self._log = log
        self._line_seconds = line_seconds
        self._variables: dict[str, Value] = {}
        self._jobs = OwnedTasks()
        self._console: Console | None = None

    def give(self, console: Console) -> None:
        """Say where the scripts' commands go."""
        self._console = console

    def menu(self) -> dict[str, Handler]:
        """The verbs of `/system/script`."""
        verbs = table_menu(self._table)
        return verbs | {"add": owned_add(self._table), "set": owned_set(self._table), "run": self._run_called}

    def named(self, name: str) -> Row | None:
        """The script of that name."""
        return self._table.named(name)

    async def run(self, row: Row, caller: ApiUser) -> None:
        """Run a script as the caller, and wait for its end; it goes on when the caller leaves.

        Raises:
            TrapError: The caller lacks a policy that the script asks for, or it failed.
        """
        policies = frozenset(row.values["policy"].split(","))
        if not policies <= caller.policies and row.values.get("dont-require-permissions") != "true":
            raise RefusalError("not enough permissions (9)")
        row.shown["run-count"] = str(int(row.shown["run-count"]) + 1)
        await self.run_text(row.values.get("source", ""), ApiUser(caller.name, "", policies))

    async def run_text(self, source: str, user: ApiUser) -> None:
        """Run a script's text with the user's policies, and wait for its end.

        Raises:
            TrapError: It cannot be read, or it failed.
        """
        ended: asyncio.Future[TrapError | None] = asyncio.get_running_loop().create_future()
        self._jobs.start(self._work(source, user, ended), name="script")
        failed = await asyncio.shield(ended)
        if failed is not None:
            raise failed

    async def stop(self) -> None:
        """Power goes: what runs stops where it is, and the global variables are gone.

        Raises:
            Exception: The first unexpected error of a script's run.
        """
        jobs, self._jobs = self._jobs, OwnedTasks()
        self._variables.clear()
        await jobs.close()

    async def _work(self, source: str, user: ApiUser, ended: asyncio.Future[TrapError | None]) -> None:
        try:
            await run_block(parse_script(source, self._tree), self._surroundings(user))
        except TrapError as failed:
            ended.set_result(failed)
        else:
            ended.set_result(None)
        finally:
            if not ended.done():
                ended.cancel()

    def _surroundings(self, user: ApiUser) -> Surroundings:
        if self._console is None:
            raise TrapError("failure: the router is not up")
        return Surroundings(
            console=self._console,
            user=user,
            clock=self._clock,
            log=self._log,
            put=self.printed.append,
            variables=self._variables,
            line_seconds=self._line_seconds,
        )

    async def _run_called(self, call: Call) -> Answer:
        for row in self._table.select(call.numbers()):
            await self.run(row, call.user)
        return DONE


def owned_add(table: Table) -> Callable[[Call], Answer]:
    """Adding a row that runs as who added it, with policies of his own only; those he does not say are all he may."""

    def add(call: Call) -> Answer:
        policies = call.arguments.get("policy")
        if policies is None:
            policies = ",".join(policy for policy in SCRIPT_POLICIES.split(",") if policy in call.user.policies)
        _refuse_more(policies, call.user)
        return Answer(ret=table.add({**call.arguments, "policy": policies}, {"owner": call.user.name}).id)

    return add


def owned_set(table: Table) -> Callable[[Call], Answer]:
    """Changing such a row, with policies of one's own only."""

    def put(call: Call) -> Answer:
        _refuse_more(call.arguments.get("policy", ""), call.user)
        table.change(call.numbers(), call.arguments)
        return DONE

    return put


def _refuse_more(policies: str, user: ApiUser) -> None:
    if not set(policies.split(",")) - {""} <= user.policies:
        raise RefusalError("not enough permissions (9)")
