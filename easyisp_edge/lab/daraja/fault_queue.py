"""Answers in store for the next requests to one API."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja.faults import DarajaRefusalError

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.faults import Fault


class FaultQueue:
    """One for each request to come; None lets a request through."""

    def __init__(self) -> None:
        self._queued: deque[Fault | None] = deque()

    def extend(self, *faults: Fault | None) -> None:
        """Keep these for the next requests, one each."""
        self._queued.extend(faults)

    def strike(self, otherwise: Fault | None = None) -> None:
        """Refuse this request, where the queue or `otherwise` says so.

        Raises:
            DarajaRefusalError: It is refused.
        """
        fault = self._queued.popleft() if self._queued else otherwise
        if fault is not None:
            raise DarajaRefusalError(fault)
