"""Whoever waits for a message to a site, woken at once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from easyisp_edge.machine import Wake

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bells:
    """One bell for each site that waits; a bell is lossy, what stands in the tables is the truth."""

    def __init__(self) -> None:
        self._waiting: dict[str, Wake] = {}
        self.closed = False

    def ring(self, site_id: str) -> None:
        """Wake whoever waits for a site."""
        if (bell := self._waiting.get(site_id)) is not None:
            bell.ring()

    def close(self) -> None:
        """Send everyone home."""
        self.closed = True
        for bell in self._waiting.values():
            bell.ring()

    @contextlib.contextmanager
    def waiting(self, site_id: str) -> Iterator[Wake]:
        """A bell within the block; whoever waited for the site before is sent home."""
        bell = Wake()
        self.ring(site_id)
        self._waiting[site_id] = bell
        try:
            yield bell
        finally:
            if self._waiting.get(site_id) is bell:
                del self._waiting[site_id]

    def is_current(self, site_id: str, bell: Wake) -> bool:
        """Whether that bell is still the one for its site."""
        return not self.closed and self._waiting.get(site_id) is bell
