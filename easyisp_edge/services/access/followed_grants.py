"""The grants that are not over, held at hand: read once, then kept up to date by what events say has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from easyisp_edge.domain.grants import Admission
    from easyisp_edge.domain.values import MacAddress
    from easyisp_edge.store.store import Store, Tables

# After more events than these, all grants are read anew instead of one by one.
EVENTS_FOLLOWED_MAX = 2000
_BEGUN = frozenset((GrantState.WAITING, GrantState.RUNNING))


@dataclass(slots=True)
class Changes:
    """What has become of grants since they were followed last, a mere beginning of their time left out.

    Args:
        whole: Whether all may have changed.
        grant_ids: Those that changed.
        usernames: Theirs.
        macs: Their devices, before and after.
    """

    whole: bool = False
    grant_ids: set[str] = field(default_factory=set)
    usernames: set[str] = field(default_factory=set)
    macs: set[MacAddress] = field(default_factory=set)

    def __bool__(self) -> bool:
        return self.whole or bool(self.grant_ids)

    def note(self, *grants: Admission | None) -> None:
        """Add a grant, as it was and as it is."""
        for grant in grants:
            if grant is not None:
                self.grant_ids.add(grant.grant_id)
                self.usernames.add(grant.username)
                if grant.mac is not None:
                    self.macs.add(grant.mac)

    def add(self, other: Changes) -> None:
        """Add others."""
        self.whole |= other.whole
        self.grant_ids |= other.grant_ids
        self.usernames |= other.usernames
        self.macs |= other.macs


@dataclass(slots=True)
class FollowedGrants:
    """The grants of some tenants that are not over.

    Args:
        store: The store.
        tenant_ids: Whose.
        usable: The grants, by id.
    """

    store: Store
    tenant_ids: Collection[str]
    usable: dict[str, Admission] = field(default_factory=dict)
    _of_device: dict[MacAddress | None, list[str]] = field(default_factory=dict)
    _sequence: int | None = None

    async def follow(self, *, anew: bool = False) -> Changes:
        """Bring them up to date; gives what changed.

        What was used of a grant is no event: `anew` reads that of all, `reread` that of one.

        Args:
            anew: Whether to read all, off the event loop, whatever events say.
        """
        sequence, _ = self.store.read.events.head(Stream.MONEY)
        last, self._sequence = self._sequence, sequence
        if anew or last is None or sequence - last > EVENTS_FOLLOWED_MAX:
            # Taken back while it reads: what is cut short here is read again.
            self._sequence = None
            usable = await self.store.survey(self._read_all)
            self._sequence = sequence
            self.usable, self._of_device = {}, {}
            for admission in usable:
                self._hold(admission)
            return Changes(whole=True)
        changes = Changes()
        if sequence > last:
            for grant_id in self.store.read.events.keys_since(Stream.MONEY, last, "grant."):
                before, after = self.usable.get(grant_id), self.reread(grant_id)
                if after is not None and not _only_began(before, after):
                    changes.note(before, after)
        return changes

    def reread(self, grant_id: str) -> Admission | None:
        """Read one grant, and give it, over or not; None for one of somebody else's, or nobody's."""
        admission = self.store.read.grants.admission_by_id(grant_id)
        if admission is None or admission.tenant_id not in self.tenant_ids:
            return None
        self._let_go(grant_id)
        if admission.state is not GrantState.ENDED:
            self._hold(admission)
        return admission

    def of_devices(self, macs: Iterable[MacAddress]) -> Iterator[Admission]:
        """What those devices have."""
        for mac in macs:
            yield from (self.usable[grant_id] for grant_id in self._of_device.get(mac, ()))

    def device_by_device(self) -> Iterator[list[Admission]]:
        """All of them: what one device has together, what is for no device each by itself."""
        for mac, grant_ids in self._of_device.items():
            held = [self.usable[grant_id] for grant_id in grant_ids]
            if mac is None:
                yield from ([each] for each in held)
            else:
                yield held

    def _read_all(self, tables: Tables) -> list[Admission]:
        return [grant for tenant_id in self.tenant_ids for grant in tables.grants.usable(tenant_id)]

    def _hold(self, admission: Admission) -> None:
        self.usable[admission.grant_id] = admission
        self._of_device.setdefault(admission.mac, []).append(admission.grant_id)

    def _let_go(self, grant_id: str) -> None:
        admission = self.usable.pop(grant_id, None)
        if admission is not None:
            held = self._of_device[admission.mac]
            held.remove(grant_id)
            if not held:
                del self._of_device[admission.mac]


def _only_began(before: Admission | None, after: Admission) -> bool:
    """Whether nothing happened but that the time of a grant began, which whoever let it on knows."""
    if before is None or {before.state, after.state} - _BEGUN:
        return False
    went_on = before._replace(
        state=after.state,
        seconds_left=after.seconds_left,
        ends_at=after.ends_at,
        seconds_used=after.seconds_used,
        octets_used=after.octets_used,
    )
    return before.state is not after.state and went_on == after
