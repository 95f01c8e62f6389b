"""What the books have of a user by the beginnings of its sessions' names."""

from __future__ import annotations

from datetime import timedelta

from easyisp_edge.domain.logins import UsageKind, UsageReport
from easyisp_edge.domain.sessions import RESTARTED, SILENT, Session
from tests.fakes.clocks import START
from tests.unit.shop import ROUTER, tables_in_memory

USER, NAMES = "USER000001", "edge:69a0/"
OPEN = UsageReport(ROUTER, UsageKind.INTERIM, f"{NAMES}*1/1", USER, None, None, None, 60, 100, 200, "")
OVER = OPEN._replace(kind=UsageKind.STOP, cause="Gone")


def test_ended_sessions_are_summed_and_the_others_listed() -> None:
    """Of that router, user and beginning of names alone; what was given up has not ended."""
    _, tx = tables_in_memory()
    reports = [
        OPEN,
        OVER._replace(session_id=f"{NAMES}*2/1"),
        OVER._replace(session_id=f"{NAMES}*2/2", seconds=1, octets_in=2**50, octets_out=3),
        OVER._replace(session_id=f"{NAMES}*3/1", cause=SILENT),
        OVER._replace(session_id=f"{NAMES}*4/1", cause=RESTARTED),
        OVER._replace(session_id="edge:69a00/*5/1"),
        OVER._replace(session_id="edge:69a/*5/1"),
        OVER._replace(session_id=f"{NAMES}*6/1", router_id="other"),
        OVER._replace(session_id=f"{NAMES}*7/1", username="USER000002"),
    ]
    for report in reports:
        tx.sessions.add(Session.begun(report, None, START + timedelta(minutes=1)))
    assert tx.sessions.ended_of(ROUTER, NAMES, USER) == (61, 100 + 2**50, 203)
    unended = {session.acct_session_id for session in tx.sessions.unended_of(ROUTER, NAMES, USER)}
    assert unended == {f"{NAMES}*1/1", f"{NAMES}*3/1", f"{NAMES}*4/1"}


def test_they_are_found_by_an_index() -> None:
    """However many sessions the books have: this is asked whenever one ends."""
    connection, tx = tables_in_memory()
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    assert tx.sessions.ended_of(ROUTER, NAMES, USER) == (0, 0, 0)
    assert tx.sessions.unended_of(ROUTER, NAMES, USER) == []
    connection.set_trace_callback(None)
    for statement in statements:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert len(plan) == 1
        assert "USING INDEX sessions_by_name (router_id=? AND acct_session_id>? AND acct_session_id<?)" in plan[0]
