"""Reports on sessions that are on, and whether all that was answered stands in the books."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from easyisp_edge.store.checks import opened_for_reading
from tests.bench import radius_load
from tests.bench.processes import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.books import Granted
    from tests.bench.radius_load import Request
    from tests.bench.site import Site
    from tests.bench.sizes import Sizes
    from tests.bench.trials import Load

_CLASS_MARK = b"edge:"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions that are on, as a router knows them.

    Args:
        devices: Who is on.
        classes: What each was given for Class.
        begun: When all of them began, by the monotonic clock: no report says more than has passed.
    """

    devices: Sequence[Granted]
    classes: Sequence[bytes]
    begun: float

    @classmethod
    def of(cls, site: Site, devices: Sequence[Granted]) -> Self:
        """Of these devices, whose grants are in the site's books."""
        with opened_for_reading(site.store) as connection:
            grants: dict[str, str] = dict(connection.execute("SELECT username, grant_id FROM grants"))
        return cls(devices, [_CLASS_MARK + grants[device.username].encode() for device in devices], time.monotonic())

    def update(self, number: int, octets: int) -> Request:
        """The update of that number: sessions take turns."""
        session = number % len(self.devices)
        return radius_load.interim_update(
            number,
            session,
            self.devices[session],
            self.classes[session],
            seconds=int(time.monotonic() - self.begun),
            octets=octets,
        )


class Updates:
    """Updates sent to one server, and what it has answered for.

    Args:
        sessions: That are on.
        port: Where it takes accounting.
        sizes: How many are sent in a round, and for how long.
    """

    def __init__(self, sessions: Sessions, port: int, sizes: Sizes) -> None:
        self._sessions = sessions
        self._port = port
        self._sizes = sizes
        self._counts = itertools.count(1)
        self._answered: dict[str, int] = {}

    def open_all(self) -> None:
        """Have each session reported once, one after the other, so that all later reports are of known ones.

        Raises:
            BenchError: One was not answered.
        """
        load = self._drive(len(self._sessions.devices), 1, math.inf)
        if load.lost:
            raise BenchError("a report was not answered although nothing else was asked")

    def drive(self, outstanding: int) -> Load:
        """A round of updates."""
        return self._drive(self._sizes.logins, outstanding, self._sizes.seconds)

    def hold_against(self, noted: Mapping[str, int]) -> None:
        """See that all that was answered is noted.

        Args:
            noted: The most octets of each user.

        Raises:
            BenchError: It is not.
        """
        missing = [name for name, count in self._answered.items() if noted.get(name, 0) < count]
        if missing:
            raise BenchError(f"answered but not noted: the last updates of {len(missing)} users, {missing[0]} for one")

    def _drive(self, number: int, outstanding: int, seconds: float) -> Load:
        counts = [next(self._counts) for _ in range(number)]
        updates = [self._sessions.update(at, count) for at, count in enumerate(counts)]
        load, answered = radius_load.drive_and_tell(self._port, updates, outstanding=outstanding, seconds=seconds)
        for at in answered:
            name = self._sessions.devices[at % len(self._sessions.devices)].username
            self._answered[name] = max(self._answered.get(name, 0), counts[at])
        return load
