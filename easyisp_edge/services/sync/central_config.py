"""Configurations by the hub: whole or not at all, five minutes on trial, and the one before back where one fails."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.errors import InvalidError, UnavailableError
from easyisp_edge.services.sync.revoking import revoke_grant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from easyisp_edge.domain.central import ConfigSnapshot
    from easyisp_edge.store.store import Store, Tables
    from easyisp_edge.timekeeping import BoxClock

log = logging.getLogger(__name__)

TRIAL_SECONDS = 300.0
LOOK_SECONDS = 10.0


@dataclass(slots=True)
class CentralConfigService:
    """Takes configurations and sees them through their trial.

    Args:
        store: Where they are kept.
        clock: Box time.
        publish: Puts a snapshot below what files and people say; `InvalidError` where it does not go with that.
        in_force: Called after another configuration is in force.
    """

    store: Store
    clock: BoxClock
    publish: Callable[[ConfigSnapshot | None], None]
    in_force: Callable[[], Awaitable[object]]
    _trial_ends: float | None = None

    async def take(
        self, snapshot: ConfigSnapshot, noting: Callable[[Tables], None]
    ) -> tuple[set[str], tuple[str, str] | None]:
        """Take one, in one transaction with what is to be noted; an older one than there was changes nothing.

        Gives the tenants whose routers are to be told, and what is wrong with it, where it is refused.
        """
        last = self.store.read.central.last_version()
        if snapshot.version <= last:
            is_known = self.store.read.central.is_known(snapshot)
            await self.store.write(noting)
            return set(), None if is_known else _too_old(snapshot.version, last)
        before = self.store.read.central.in_force()
        try:
            self.publish(snapshot)
        except InvalidError as error:
            await self.store.write(lambda tx: self._keep(tx, snapshot, noting, good=False))
            return set(), ("config.refused", f"Configuration {snapshot.version} of the hub: {error.message}")
        try:
            tenants = await self.store.write(lambda tx: self._keep(tx, snapshot, noting, good=True))
        except UnavailableError:
            self.publish(before)  # what is not on the disk is not in force
            raise
        log.info("configuration %d of the hub is in force, on trial", snapshot.version)
        await self.in_force()
        self._trial_ends = self.clock.monotonic() + TRIAL_SECONDS
        return tenants, None

    def take_up(self) -> None:
        """Put in force what was when the daemon ended; where the files have changed so that it does not go, say so."""
        snapshot = self.store.read.central.in_force()
        if snapshot is None:
            return
        try:
            self.publish(snapshot)
        except InvalidError as error:
            log.error("configuration %d of the hub is not used: %s", snapshot.version, error.message)  # noqa: TRY400

    async def round(self) -> float:
        """See whether the trial is over; gives the seconds until the next look."""
        version = self.store.read.central.on_trial()
        if version is None:
            return LOOK_SECONDS
        if self._trial_ends is None:  # after a restart it begins anew
            self._trial_ends = self.clock.monotonic() + TRIAL_SECONDS
        if self.clock.monotonic() >= self._trial_ends:
            await self.store.write(lambda tx: tx.central.prove(version))
            log.info("configuration %d of the hub has proved itself", version)
            self._trial_ends = None
        return LOOK_SECONDS

    async def rest(self) -> None:
        """The daemon ends as it should: that says nothing against what is on trial."""
        if self.store.read.central.on_trial() is None:
            return
        try:
            await self.store.write(lambda tx: tx.central.rest())
        except UnavailableError as error:  # it has to end all the same
            log.warning("the end could not be noted: %s", error)

    def _keep(self, tx: Tables, snapshot: ConfigSnapshot, noting: Callable[[Tables], None], *, good: bool) -> set[str]:
        now = self.clock.now()
        tx.central.put(snapshot, now, boot_id=self.clock.mark().boot_id if good else None)
        noting(tx)
        if not good:
            return set()
        tenants = [revoke_grant(tx, each, now) for each in snapshot.revocations]
        return {tenant_id for tenant_id in tenants if tenant_id is not None}


def _too_old(version: int, last: int) -> tuple[str, str]:
    """What a person is told of an older one, or of another of the same number."""
    had = "another one of that number" if version == last else str(last)
    message = (
        f"The hub published configuration {version}, and this box has had {had}: the hub's database is an old copy."
        f" It is not used; publish until the version is above {last}."
    )
    return "config.old", message
