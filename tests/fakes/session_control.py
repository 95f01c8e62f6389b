"""A router that ends sessions by RADIUS: obeys, has no such session, refuses, or is silent, when told to."""

from __future__ import annotations

from dataclasses import dataclass, field

from easyisp_edge.errors import ConflictError, RefusedError, UnavailableError


@dataclass
class FakeSessionControl:
    """A `SessionControl` to which a session is its name.

    Args:
        away: Answers nothing.
        gone: Sessions it does not have.
        refused: Sessions it does not end.
        told: What it was asked to end, in order, answered or not.
    """

    away: bool = False
    gone: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)

    async def disconnect(self, session: str) -> None:
        self.told.append(session)
        if self.away:
            raise UnavailableError("coa.no_answer", "The router did not answer.")
        if session in self.gone:
            raise ConflictError("coa.no_session", "The router has no such session.")
        if session in self.refused:
            raise RefusedError("coa.refused", "The router refused.")
