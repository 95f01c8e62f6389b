"""What customers say is wrong: kept for the staff, and not too often from one device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.events import Stream
from easyisp_edge.errors import ConflictError, InvalidError
from easyisp_edge.services.access.lockout import Lockout, LockoutLimits

if TYPE_CHECKING:
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.machine import Clock
    from easyisp_edge.store.store import Store, Tables

TEXT_LENGTH_MAX = 500
PER_DEVICE_HOUR = 3
PER_SITE_HOUR = 60
REPORTED = "problem.reported"
PROBLEM_KEY = "problem-"
_HOUR_SECONDS = 3600.0


class Problem(NamedTuple):
    """What somebody says is wrong.

    Args:
        tenant_id: To whose staff.
        mac: The device, as its page named it; None where it did not.
        router_id: Behind which router, where known.
        standing: Where the device stood, in the words of its page.
        text: What is wrong, in the customer's words.
        language: In which the customer reads.
    """

    tenant_id: str
    mac: MacAddress | None
    router_id: str | None
    standing: str
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class ProblemService:
    """Takes reports of problems.

    Args:
        store: The store.
        clock: Box time.
        reports: How often each device, and all of a site, have reported within the hour.
    """

    store: Store
    clock: Clock
    reports: Lockout

    @classmethod
    def over(cls, store: Store, clock: Clock) -> ProblemService:
        """One with the usual limits."""
        return cls(store, clock, Lockout(clock, LockoutLimits(PER_DEVICE_HOUR, PER_SITE_HOUR, _HOUR_SECONDS)))

    async def report(self, problem: Problem) -> None:
        """Keep it, as an event `problem.reported` whose key is the problem's own, `problem-7`.

        Raises:
            InvalidError: It says nothing, or too much.
            ConflictError: There were enough of them within the hour.
        """
        text = problem.text.strip()
        if not 0 < len(text) <= TEXT_LENGTH_MAX:
            raise InvalidError("problem.empty", "Say in a few words what is wrong.", field="text")
        key = "unknown" if problem.mac is None else problem.mac.text
        if self.reports.is_out(problem.tenant_id, key):
            raise ConflictError("problem.limit", "The staff have been told. Call them, or try again in an hour.")
        self.reports.wrong(problem.tenant_id, key)
        data = {
            "at": self.clock.now().isoformat(),
            "tenant": problem.tenant_id,
            "mac": None if problem.mac is None else problem.mac.text,
            "router": problem.router_id,
            "standing": problem.standing,
            "language": problem.language,
            "text": text,
        }
        await self.store.write(lambda tx: _append(tx, data))


def _append(tx: Tables, data: dict[str, Any]) -> None:
    # Numbered by its place in the stream, which nothing else has.
    number = tx.events.head(Stream.USAGE)[0] + 1
    tx.events.append(Stream.USAGE, REPORTED, f"{PROBLEM_KEY}{number}", data)
