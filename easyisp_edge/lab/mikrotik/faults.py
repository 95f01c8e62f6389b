"""Trouble on purpose: what the API door does to chosen commands instead of answering them well."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FaultKind(enum.Enum):
    """What happens."""

    HANG = "hang"  # nothing is done and nothing is ever answered
    HANG_AFTER = "hang_after"  # it is done, but never answered
    DROP = "drop"  # nothing is done, the connection dies
    DROP_AFTER = "drop_after"  # it is done, then the connection dies before `!done`
    SLOW = "slow"  # it is done after `seconds`
    TRAP = "trap"  # nothing is done, and `message` is answered


@dataclass(eq=False, slots=True)
class Fault:
    """One fault waiting for its commands.

    Args:
        kind: What happens.
        command: The commands it hits begin so; empty for all.
        times: How many it hits; None for every one until it is cleared.
        seconds: For SLOW.
        message: For TRAP.
    """

    kind: FaultKind
    command: str = ""
    times: int | None = 1
    seconds: float = 0.0
    message: str = ""


class Faults:
    """The faults to be played, first come first hit."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Play a fault from now on."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Play no more faults; commands that hang go on hanging."""
        self._waiting.clear()

    def take(self, command: str) -> Fault | None:
        """The fault that hits this command, if any."""
        for fault in self._waiting:
            if command.startswith(fault.command):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._waiting.remove(fault)
                return fault
        return None
