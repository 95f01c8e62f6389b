"""What is known of a router from the way to it: how it is, and whether trying it is in vain."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from easyisp_edge.adapters.routeros.link import LinkWatch
from easyisp_edge.domain.router_versions import RouterVersion, known_holes, safe_version
from easyisp_edge.domain.routers import LinkState, RouterHealth
from easyisp_edge.errors import InvalidError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from easyisp_edge.adapters.routeros.connection import ApiConnection
    from easyisp_edge.machine import Clock

log = logging.getLogger(__name__)

FAILURES_TO_OPEN = 3
FIRST_PAUSE_SECONDS = 1.0
# So that a router that is back has its users within a minute, a last trial in vain included.
PAUSE_MOST_SECONDS = 30.0


@dataclass(slots=True)
class Circuit:
    """Open after so many failures in a row; it then lets a trial through after pauses that double.

    Args:
        clock: Time.
        failures: In a row.
        trial_at: When the next trial may begin, in the clock's seconds; counts while it is open.
    """

    clock: Clock
    failures: int = 0
    trial_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it is known to be in vain."""
        return self.failures >= FAILURES_TO_OPEN

    @property
    def pause_seconds(self) -> float:
        """How long until a trial may begin; 0 where it may now."""
        return max(0.0, self.trial_at - self.clock.monotonic()) if self.is_open else 0.0

    def failed(self) -> None:
        """Count a failure, and begin a pause where there were too many."""
        self.failures += 1
        doublings = min(max(self.failures - FAILURES_TO_OPEN, 0), 16)
        self.trial_at = self.clock.monotonic() + min(PAUSE_MOST_SECONDS, FIRST_PAUSE_SECONDS * 2.0**doublings)

    def succeeded(self) -> None:
        """Close it."""
        self.failures = 0


class RouterWatch(LinkWatch):
    """Keeps a router's health, and breaks the circuit to one that does not answer.

    Once several commands in a row got no answer, all are told so at once, in the words of the last; only after a pause
    one is let through as a trial. Whoever waits at such a moment would wait in vain.

    Args:
        router_id: What it is called in the log.
        clock: Time.
    """

    def __init__(self, router_id: str, clock: Clock) -> None:
        self._router_id = router_id
        self._clock = clock
        self._circuit = Circuit(clock)
        self._health = RouterHealth()
        self._trouble: UnavailableError | None = None
        self._judged: RouterVersion | None = None

    @property
    def health(self) -> RouterHealth:
        """How the router is."""
        return self._health

    def admit(self, *, busy: bool) -> None:
        """As in `LinkWatch`.

        Raises:
            UnavailableError: The router did not answer lately, and it is not yet time to try again, or somebody does.
        """
        pause, trouble = self._circuit.pause_seconds, self._trouble
        if trouble is None or not self._circuit.is_open or not (busy or pause):
            return
        raise UnavailableError(trouble.code, trouble.message, retry_after_seconds=pause or None)

    async def met(self, connection: ApiConnection) -> None:
        """Ask the router what it is.

        Source: RouterOS, /system/identity, /system/resource.
        """
        identity = await _row(connection, "/system/identity/print", "name")
        resource = await _row(connection, "/system/resource/print", "version", "board-name", "uptime")
        self._health = replace(
            self._health,
            identity=identity.get("name", ""),
            version=_version(resource.get("version", "")),
            board=resource.get("board-name", ""),
            connected_since=self._clock.now(),
        )
        log.debug("router %s: %s", self._router_id, {**identity, **resource})
        self._judge(self._health.version)

    def answered(self) -> None:
        """All is well again."""
        self._circuit.succeeded()
        self._trouble = None
        self._health = replace(self._health, state=LinkState.UP, last_error=None)

    def failed(self, error: UnavailableError) -> None:
        """Count it."""
        self._circuit.failed()
        self._trouble = error
        self._health = replace(self._health, state=LinkState.DOWN, last_error=str(error))

    def left(self) -> None:
        """The session is over."""
        self._health = replace(self._health, connected_since=None)

    def _judge(self, version: RouterVersion | None) -> None:
        """Say what is to be said of a version, once."""
        if version is None or version == self._judged:
            return
        if self._judged is not None:
            log.info("router %s: RouterOS %s now, %s before", self._router_id, version, self._judged)
        self._judged = version
        if holes := known_holes(version):
            log.warning(
                "router %s: RouterOS %s has known security holes: %s. Upgrade it to %s or later",
                self._router_id,
                version,
                "; ".join(holes),
                safe_version(version),
            )


async def _row(connection: ApiConnection, command: str, *fields: str) -> dict[str, str]:
    """The only row of a menu; empty where we may not read it."""
    try:
        reply = await connection.run(command, f"=.proplist={','.join(fields)}")
    except RefusedError:
        return {}
    return reply.rows[0] if reply.rows else {}


def _version(text: str) -> RouterVersion | None:
    try:
        return RouterVersion.parse(text)
    except InvalidError:
        return None
