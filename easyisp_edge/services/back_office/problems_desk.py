"""Staff see what customers reported, and say what they did about it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.services.back_office.staff_desk import NOTE_LENGTH_MAX
from easyisp_edge.services.portal.problems import PROBLEM_KEY, REPORTED, Problem

if TYPE_CHECKING:
    from easyisp_edge.domain.values import Msisdn
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Store, Tables

_HANDLED = "problem.handled"
_NUMBER_DIGITS = 18


class ListedProblem(NamedTuple):
    """A problem as staff see it.

    Args:
        problem_id: What to name it by.
        at: When it was reported.
        problem: What is wrong, with whom.
        phone: The number last used to pay from that device: the staff may call.
        handled: Who saw to it, when, and what they noted; None while nobody did.
    """

    problem_id: str
    at: datetime
    problem: Problem
    phone: Msisdn | None
    handled: Handled | None


class Handled(NamedTuple):
    """That staff saw to a problem.

    Args:
        by: Who.
        at: When.
        note: What they say about it; empty for nothing.
    """

    by: str
    at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class ProblemsDesk:
    """What staff may do about reported problems.

    Args:
        store: The store.
        clock: Box time.
        site: Who sells.
    """

    store: Store
    clock: Clock
    site: Site

    async def page(
        self, tenant_id: str | None, *, handled: bool, limit: int, after: Position | None = None
    ) -> Page[ListedProblem]:
        """Reported problems, newest first, of all tenants where none is named; those seen to only where `handled`.

        Raises:
            NotFoundError: No such tenant.
        """
        if tenant_id is not None:
            self.site.config.tenant(tenant_id)
        before = None if after is None else _number(after.key)

        def look(tables: Tables) -> Page[ListedProblem]:
            found = (_listed(tables, key) for _, key in tables.events.problems(before))
            chosen = (each for each in found if _is_wanted(each, tenant_id, handled=handled))
            rows = list(itertools.islice(chosen, limit + 1))
            last = rows[limit - 1] if len(rows) > limit else None
            return Page(rows[:limit], None if last is None else Position(last.at, last.problem_id))

        return await self.store.survey(look)

    async def done(self, problem_id: str, note: str, by: str, tenant_id: str | None = None) -> ListedProblem:
        """Mark a problem as seen to, as an event `problem.handled`.

        Args:
            problem_id: Which; its number alone does too.
            note: What is to be said about it; may be empty.
            by: Who saw to it.
            tenant_id: Whose it must be; None for any.

        Raises:
            InvalidError: The note is too long.
            NotFoundError: No such problem.
            ConflictError: Somebody has seen to it already.
        """
        if len(note) > NOTE_LENGTH_MAX:
            raise InvalidError("problem.note", f"A note has at most {NOTE_LENGTH_MAX} characters.", field="note")
        key = problem_id if problem_id.startswith(PROBLEM_KEY) else f"{PROBLEM_KEY}{problem_id}"
        data = {"at": self.clock.now().isoformat(), "by": by, "note": note.strip()}
        return await self.store.write(lambda tx: _mark(tx, key, tenant_id, data))


def _mark(tx: Tables, key: str, tenant_id: str | None, data: dict[str, Any]) -> ListedProblem:
    told = tx.events.told(key, REPORTED)
    if told is None or tenant_id not in {None, told["tenant"]}:
        raise NotFoundError("problem.unknown", f"There is no reported problem {key!r:.40}.")
    before = tx.events.told(key, _HANDLED)
    if before is not None:
        raise ConflictError("problem.handled", f"{before['by']} has seen to it already.", by=before["by"])
    tx.events.append(Stream.MONEY, _HANDLED, key, {**data, "tenant": told["tenant"]})  # who did what is kept for good
    return _listed(tx, key)


def _is_wanted(listed: ListedProblem, tenant_id: str | None, *, handled: bool) -> bool:
    return tenant_id in {None, listed.problem.tenant_id} and (handled or listed.handled is None)


def _listed(tables: Tables, key: str) -> ListedProblem:
    told, handled = tables.events.told(key, REPORTED), tables.events.told(key, _HANDLED)
    if told is None:  # it was found by this event
        raise LookupError(key)
    mac = None if told["mac"] is None else MacAddress(told["mac"])
    problem = Problem(told["tenant"], mac, told["router"], told["standing"], told["text"], told["language"])
    purchase = None if mac is None else tables.purchases.latest_of_device(problem.tenant_id, mac)
    return ListedProblem(
        problem_id=key,
        at=datetime.fromisoformat(told["at"]),
        problem=problem,
        phone=None if purchase is None else purchase.phone,
        handled=None
        if handled is None
        else Handled(handled["by"], datetime.fromisoformat(handled["at"]), handled["note"]),
    )


def _number(key: str) -> int:
    """A problem's number.

    Raises:
        InvalidError: It is none of ours.
    """
    number = key.removeprefix(PROBLEM_KEY)
    if not number.isascii() or not number.isdigit():
        raise InvalidError("cursor.unreadable", "Give the cursor of the page before, or none.", field="cursor")
    return int(number[:_NUMBER_DIGITS])
