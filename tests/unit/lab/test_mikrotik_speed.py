"""Ten thousand users on the lab's router: the work for each stays what it was for the first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.lab.mikrotik.command_tree import CommandTree
from easyisp_edge.lab.mikrotik.configuration import factory_configuration
from easyisp_edge.lab.mikrotik.console import ApiUser, Call
from easyisp_edge.lab.mikrotik.menus import table_menu
from easyisp_edge.lab.mikrotik.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from easyisp_edge.lab.mikrotik.tables import Table

FEW, MANY = 1000, 10_000
# Linear work takes ten times as long; the rest is leeway for a busy machine. Quadratic work takes a hundred times.
TIMES_MOST = 35
EDGE = ApiUser("edge", "s3cret")


def filled(count: int) -> Table:
    configuration = factory_configuration(CommandTree("7.20.8"))
    for number in range(count):
        configuration.users.add({"name": f"user-{number}", "password": "7731", "comment": f"edge: {number}"})
    return configuration.users


def seconds(work: Callable[[], object]) -> float:
    """The best of three, so that a pause of the machine does not count."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def print_users(table: Table, *queries: str, wanted: str = ".id,name,comment,disabled") -> Answer:
    answer = table_menu(table)["print"](Call({".proplist": wanted}, queries, EDGE))
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize("queries", [(), ("?>comment=",), ("?disabled=no",)])
def test_printing_takes_time_by_the_row(queries: tuple[str, ...]) -> None:
    """Ten times the rows take about ten times as long, not a hundred times."""
    few, many = filled(FEW), filled(MANY)
    assert len(print_users(many).rows) == MANY + 1
    assert seconds(lambda: print_users(many, *queries)) < TIMES_MOST * seconds(lambda: print_users(few, *queries))


def test_adding_takes_the_same_for_the_last_as_for_the_first() -> None:
    """The check for twins does not look at every row."""
    assert seconds(lambda: filled(MANY)) < TIMES_MOST * seconds(lambda: filled(FEW))


def test_changing_by_id_does_not_look_at_every_row() -> None:
    """A change of a thousand rows by id takes the same in a long table as in a short one, within leeway."""
    few, many = filled(FEW), filled(MANY)
    ids = [row.id for row in list(few)[1:FEW]]

    def change(table: Table) -> None:
        for row_id in ids:
            table.change(row_id, {"password": "new"})

    assert seconds(lambda: change(many)) < 6 * seconds(lambda: change(few))


def test_a_query_by_name_prints_one_row() -> None:
    """It takes a small part of what printing every row takes."""
    many = filled(MANY)
    assert [row["name"] for row in print_users(many, "?name=user-9999").rows] == ["user-9999"]
    assert 5 * seconds(lambda: print_users(many, "?name=user-9999")) < seconds(lambda: print_users(many))
