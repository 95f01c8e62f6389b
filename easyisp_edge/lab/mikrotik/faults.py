"""Trouble on purpose: what the API's doors do to chosen commands instead of answering them well."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.machine import Clock


class FaultKind(enum.Enum):
    """What happens."""

    HANG = "hang"  # nothing is done and nothing is ever answered
    HANG_AFTER = "hang_after"  # it is done, but never answered
    HANG_MIDWAY = "hang_midway"  # it is done, and half of its answer's octets come, never the rest
    DROP = "drop"  # nothing is done, the connection dies
    DROP_AFTER = "drop_after"  # it is done, then the connection dies before `!done`
    RESET = "reset"  # nothing is done, the connection is reset
    RESET_AFTER = "reset_after"  # it is done, then the connection is reset
    SLOW = "slow"  # it is done after `seconds`
    LATE = "late"  # it is done, and answered after `seconds`
    TRAP = "trap"  # nothing is done, and `message` is answered
    MUTE = "mute"  # nothing is done; the router takes connections and commands, and answers none, until cleared
    REBOOT = "reboot"  # nothing is done, power goes for `seconds`
    REBOOT_AFTER = "reboot_after"  # it is done, then power goes for `seconds`
    WIPE_AFTER = "wipe_after"  # it is done, then the router is reset to the factory's settings


BEFORE = frozenset({FaultKind.HANG, FaultKind.DROP, FaultKind.RESET, FaultKind.TRAP, FaultKind.MUTE, FaultKind.REBOOT})


@dataclass(eq=False, slots=True)
class Fault:
    """One fault waiting for its commands.

    Args:
        kind: What happens.
        command: The commands it hits begin so; empty for all.
        times: How many it hits; None for every one until it is cleared.
        seconds: For SLOW, LATE and the reboots.
        message: For TRAP.
        after: How many such commands pass before it hits.
    """

    kind: FaultKind
    command: str = ""
    times: int | None = 1
    seconds: float = 0.0
    message: str = ""
    after: int = 0


@dataclass(slots=True)
class Throttle:
    """A small processor: a burst of commands is quick, and after it each takes its time, until it had some rest.

    Args:
        burst: How many commands are quick.
        seconds: What each one takes after them; so long is also the rest that makes one quick again.
    """

    burst: int = 200
    seconds: float = 0.02


class Faults:
    """The faults to be played, first come first hit.

    Args:
        clock: For the throttle's rest.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[Fault] = []
        self._throttle: Throttle | None = None
        self._idle_at = 0.0  # when every command taken so far will have had its time
        self.mute = False

    def add(self, fault: Fault) -> None:
        """Play a fault from now on."""
        self._waiting.append(fault)

    def fault_at(self, number: int, kind: FaultKind, *, seconds: float = 0.0, message: str = "") -> Fault:
        """Hit the `number`-th command from now on, 1 for the next one."""
        fault = Fault(kind, seconds=seconds, message=message, after=number - 1)
        self.add(fault)
        return fault

    def throttle(self, throttle: Throttle | None) -> None:
        """Be as slow as that from now on; None for quick."""
        self._throttle = throttle

    def clear(self) -> None:
        """Play no more faults; commands that hang go on hanging."""
        self._waiting.clear()
        self._throttle = None
        self.mute = False

    def take(self, command: str) -> Fault | None:
        """The fault that hits this command, if any."""
        for fault in self._waiting:
            if command.startswith(fault.command):
                if fault.after > 0:
                    fault.after -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._waiting.remove(fault)
                return fault
        return None

    def wait_seconds(self) -> float:
        """How long the command taken now has to wait for its turn under the throttle."""
        throttle = self._throttle
        if throttle is None:
            return 0.0
        now = self._clock.monotonic()
        self._idle_at = max(self._idle_at, now) + throttle.seconds
        return max(0.0, self._idle_at - now - throttle.burst * throttle.seconds)
