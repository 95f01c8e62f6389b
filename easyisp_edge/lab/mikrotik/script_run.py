"""Carries out a script that was read: its commands go the way every command goes, as the script's own user.

Source: RouterOS manual, Scripting.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik import script_nodes as nodes
from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.script_values import (
    Value,
    argument_of,
    length_of,
    number_of,
    operate,
    text_of,
    truth_of,
)
from easyisp_edge.lab.mikrotik.wire import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from easyisp_edge.lab.mikrotik.console import ApiUser, Console
    from easyisp_edge.machine import Clock


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a script works with.

    Args:
        console: Its commands go there.
        user: As whom.
        clock: For its waits.
        log: Takes topics and message.
        put: Takes what it prints.
        variables: The router's global ones.
        line_seconds: What each command takes.
    """

    console: Console
    user: ApiUser
    clock: Clock
    log: Callable[[str, str], None]
    put: Callable[[str], None]
    variables: MutableMapping[str, Value]
    line_seconds: float = 0.0


async def run_block(block: nodes.Block, around: Surroundings) -> None:
    """Run a script.

    Raises:
        TrapError: A command failed, or the script says `:error`, outside of what catches errors.
    """
    await _Run(around).block(block, ChainMap({}))


class _Run:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._globals: set[str] = set()

    async def block(self, block: nodes.Block, names: ChainMap[str, Value]) -> None:
        inner = names.new_child()
        for statement in block:
            await self._statement(statement, inner)

    async def _statement(self, statement: nodes.Statement, names: ChainMap[str, Value]) -> None:
        if isinstance(statement, nodes.Command):
            await self._command(statement, names)
        elif isinstance(statement, nodes.Assignment):
            await self._assign(statement, names)
        elif isinstance(statement, nodes.Condition):
            holds = truth_of(await self._value(statement.holds, names))
            await self.block(statement.then if holds else statement.otherwise, names)
        elif isinstance(statement, nodes.Loop):
            await self._loop(statement, names)
        elif isinstance(statement, nodes.Attempt):
            await self._attempt(statement, names)
        else:
            await self._tell(statement, await self._value(statement.value, names))

    async def _attempt(self, attempt: nodes.Attempt, names: ChainMap[str, Value]) -> None:
        try:
            await self.block(attempt.block, names)
        except TrapError:
            if attempt.on_error is None:
                raise
            await self.block(attempt.on_error, names)

    async def _loop(self, loop: nodes.Loop, names: ChainMap[str, Value]) -> None:
        items = await self._value(loop.items, names)
        for item in items if isinstance(items, list) else [text_of(items)]:
            await self.block(loop.block, names.new_child({loop.name: item}))

    async def _tell(self, telling: nodes.Telling, value: Value) -> None:
        if telling.kind == "log":
            self._around.log(f"script,{telling.topic}", text_of(value))
        elif telling.kind == "put":
            self._around.put(text_of(value))
        elif telling.kind == "delay":
            await self._around.clock.sleep(number_of(value))
        else:
            raise TrapError(text_of(value))

    async def _assign(self, assignment: nodes.Assignment, names: ChainMap[str, Value]) -> None:
        name, given = assignment.name, assignment.value
        value = "" if given is None else await self._value(given, names)
        if assignment.kind == "local":
            names.maps[0][name] = value
        elif assignment.kind == "global":
            self._globals.add(name)
            if given is not None or name not in self._around.variables:
                self._around.variables[name] = value
        else:
            self._holder(name, names)[name] = value

    def _holder(self, name: str, names: ChainMap[str, Value]) -> MutableMapping[str, Value]:
        holder = next((scope for scope in names.maps if name in scope), None)
        if holder is not None:
            return holder
        if name in self._globals:
            return self._around.variables
        raise TrapError(f"unknown variable {name}")

    async def _value(
        self, expression: nodes.Expression, names: ChainMap[str, Value], row: Mapping[str, str] | None = None
    ) -> Value:
        if isinstance(expression, nodes.Literal | nodes.Variable | nodes.Field):
            return self._plain(expression, names, row)
        if isinstance(expression, nodes.Joined):
            return "".join([text_of(await self._value(part, names, row)) for part in expression.parts])
        if isinstance(expression, nodes.Function):
            return _applied(expression.name, await self._value(expression.operand, names, row))
        if isinstance(expression, nodes.Operation):
            return await self._operated(expression, names, row)
        return await self._command(expression, names)

    def _plain(
        self,
        expression: nodes.Literal | nodes.Variable | nodes.Field,
        names: ChainMap[str, Value],
        row: Mapping[str, str] | None,
    ) -> Value:
        if isinstance(expression, nodes.Literal):
            return expression.value
        if isinstance(expression, nodes.Variable):
            return self._holder(expression.name, names)[expression.name]
        return (row or {}).get(expression.name, "")

    async def _operated(
        self, operation: nodes.Operation, names: ChainMap[str, Value], row: Mapping[str, str] | None
    ) -> Value:
        left = await self._value(operation.operands[0], names, row)
        if operation.sign == "!":
            return not truth_of(left or "false")
        if (operation.sign, text_of(left)) in {("&&", "false"), ("||", "true")}:
            return truth_of(left)
        return operate(operation.sign, left, await self._value(operation.operands[1], names, row))

    async def _command(self, command: nodes.Command, names: ChainMap[str, Value]) -> Value:
        if self._around.line_seconds:
            await self._around.clock.sleep(self._around.line_seconds)
        if command.verb == "find":
            return await self._find(command, names)
        arguments: dict[str, str] = {}
        for name, given in command.arguments:
            value = await self._value(given, names)
            if name == "numbers" and value == []:
                return ""  # a find that found nothing is nothing to do
            arguments[name] = argument_of(value)
        return await self._ask(Request(f"{command.menu}/{command.verb}", arguments))

    async def _ask(self, request: Request) -> str:
        answer = await self._around.console.run(request, self._around.user)
        return answer.ret or ""

    async def _find(self, command: nodes.Command, names: ChainMap[str, Value]) -> list[str]:
        answer = await self._around.console.run(Request(f"{command.menu}/print"), self._around.user)
        where = command.where
        if where is None:
            return [row[".id"] for row in answer.rows]
        return [row[".id"] for row in answer.rows if await self._fits(where, names, row)]

    async def _fits(self, where: nodes.Expression, names: ChainMap[str, Value], row: Mapping[str, str]) -> bool:
        return truth_of((await self._value(where, names, row)) or "false")


def _applied(name: str, value: Value) -> Value:
    if name == "len":
        return length_of(value)
    return text_of(value) if name == "tostr" else int(number_of(value))
