"""What the verbs of each kind of menu do: tables, live lists, single settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.errors import BAD_ARGUMENT, RefusalError, TrapError
from easyisp_edge.lab.mikrotik.tables import NO_SUCH_ITEM, split_numbers
from easyisp_edge.lab.mikrotik.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from easyisp_edge.lab.mikrotik.console import Call, Handler
    from easyisp_edge.lab.mikrotik.tables import Table

DONE = Answer()


def table_menu(table: Table) -> dict[str, Handler]:
    """The verbs of a configuration table; which of them a menu has is for the command tree to say."""

    def rows(call: Call) -> list[dict[str, str]]:
        wanted, found = call.fields_used(), table.named_so(call.must_equal(".id"), call.must_equal("name"))
        return [table.printed(row, sensitive=call.sensitive, only=wanted) for row in found]

    def add(call: Call) -> Answer:
        return Answer(ret=table.add(call.arguments).id)

    def put(call: Call) -> Answer:
        table.change(call.numbers(), call.arguments)
        return DONE

    def switch(value: str) -> Handler:
        def switched(call: Call) -> Answer:
            table.change(call.numbers(), {"disabled": value})
            return DONE

        return switched

    def unset(call: Call) -> Answer:
        table.unset(call.numbers(), call.arguments.get("value-name", ""))
        return DONE

    def remove(call: Call) -> Answer:
        table.remove(call.numbers())
        return DONE

    def move(call: Call) -> Answer:
        table.move(call.numbers(), call.arguments.get("destination"))
        return DONE

    return {
        "print": lambda call: listed(call, rows(call)),
        "get": lambda call: gotten(call, [table.printed(row, sensitive=call.sensitive) for row in table]),
        "add": add,
        "set": put,
        "comment": put,
        "enable": switch("false"),
        "disable": switch("true"),
        "unset": unset,
        "remove": remove,
        "move": move,
    }


def live_menu(
    rows: Callable[[], Iterable[Mapping[str, str]]], remove: Callable[[str], None] | None = None
) -> dict[str, Handler]:
    """The verbs of a list the router keeps by itself; `remove` takes the id of a row that exists."""

    def removed(call: Call) -> Answer:
        present = {row[".id"] for row in rows()}
        wanted = [number.upper() for number in split_numbers(call.numbers())]
        if remove is None or not present.issuperset(wanted):
            raise TrapError(NO_SUCH_ITEM)
        for number in wanted:
            remove(number)
        return DONE

    return {
        "print": lambda call: listed(call, rows()),
        "get": lambda call: gotten(call, rows()),
        "remove": removed,
    }


def single_menu(
    fields: Callable[[], Mapping[str, str]], put: Callable[[Call], Answer] | None = None
) -> dict[str, Handler]:
    """The verbs of a menu that has one set of fields and no rows."""

    def got(call: Call) -> Answer:
        return Answer(ret=_field(fields(), call.arguments.get("value-name")))

    verbs: dict[str, Handler] = {"print": lambda call: Answer(call.chosen([fields()])), "get": got}
    return verbs if put is None else verbs | {"set": put}


def settings_menu(table: Table) -> dict[str, Handler]:
    """The verbs of a menu whose one set of fields is the only row of `table`."""

    def fields() -> dict[str, str]:
        return {
            name: value for row in table for name, value in table.printed(row, sensitive=False).items() if name != ".id"
        }

    def put(call: Call) -> Answer:
        table.change(next(iter(table)).id, call.arguments)
        return DONE

    return single_menu(fields, put)


def monitored(call: Call, rows: Iterable[Mapping[str, str]]) -> Answer:
    """A monitor's answer; only `once` is played, an endless one is refused.

    Raises:
        RefusalError: Asked without `once`.
    """
    if "once" not in call.arguments:
        raise RefusalError("missing value(s) of argument(s) once")
    return Answer(call.chosen(rows))


def listed(call: Call, rows: Iterable[Mapping[str, str]]) -> Answer:
    """A print's answer."""
    if "from" in call.arguments:
        rows = _named(rows, split_numbers(call.arguments["from"]))
    chosen = call.chosen(rows)
    if call.arguments.get("count-only", "no") not in {"no", "false"}:
        return Answer(ret=str(len(chosen)))
    return Answer(chosen, listing=True)


def gotten(call: Call, rows: Iterable[Mapping[str, str]]) -> Answer:
    """A get's answer: one field of one row, or all of them in one text.

    Raises:
        TrapError: No such row or field.
    """
    numbers = split_numbers(call.numbers())
    found = _named(rows, numbers)
    if len(found) != len(numbers):
        raise TrapError(NO_SUCH_ITEM)
    return Answer(ret=_field(found[0], call.arguments.get("value-name")))


def _named(rows: Iterable[Mapping[str, str]], numbers: list[str]) -> list[Mapping[str, str]]:
    wanted = {number.upper() if number.startswith("*") else number for number in numbers}
    return [row for row in rows if row[".id"] in wanted or row.get("name") in wanted]


def _field(fields: Mapping[str, str], name: str | None) -> str:
    if name is None:
        return ";".join(f"{key}={value}" for key, value in fields.items())
    if name not in fields:
        raise RefusalError("unknown parameter value-name", BAD_ARGUMENT)
    return fields[name]
