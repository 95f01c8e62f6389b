"""What a hub writes while its database is away."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.commands.logs import write_logs
from easyisp_edge.errors import EdgeError, UnavailableError
from easyisp_edge.hub.answers import as_refusal
from easyisp_edge.hub.once import OnceAMinute

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _asyncpg_as_before() -> Iterator[None]:
    level = logging.getLogger("asyncpg").level
    yield
    logging.getLogger("asyncpg").setLevel(level)


def test_many_boxes_that_are_sent_home_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Why stands in the log once, however many ask; another reason is another line."""
    for _ in range(50):
        assert as_refusal(UnavailableError("hub.database", "the server of this test is away")).status == 503
    assert as_refusal(UnavailableError("hub.database", "the disk of this test is full")).status == 503
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "the server of this test is away",
        "the disk of this test is full",
    ]


def test_a_line_comes_again_after_a_minute_and_a_trace_always() -> None:
    """So that a long outage stays in sight, whatever the clock does, and no fault is lost."""
    once = OnceAMinute()

    def said(at: float, line: str = "away", *, trace: bool = False) -> bool:
        error = EdgeError("a", "fault")
        info = (type(error), error, None) if trace else None
        record = logging.LogRecord("hub", logging.WARNING, "", 0, line, None, info)
        record.created = at
        return once.filter(record)

    assert [said(at) for at in (1000.0, 1030.0, 1061.0, 1070.0, 10.0)] == [True, False, True, False, True]
    assert [said(11.0, trace=True) for _ in range(3)] == [True, True, True]
    assert all(said(12.0, f"line {number}") for number in range(1000))


@pytest.mark.usefixtures("_asyncpg_as_before")
def test_the_drivers_traces_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    """It tries again and again by itself; the hub says that the database is away."""
    write_logs("info", as_json=False)
    logging.getLogger("asyncpg.pool").warning("Failed to restore the pool", exc_info=OSError("refused"))
    logging.getLogger("easyisp_edge.hub.hub").warning("the database is away")
    assert capsys.readouterr().err == "warning hub.hub: the database is away\n"
