"""A user that somebody else sold becomes a grant: one step within a transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.routers import user_comment
from easyisp_edge.domain.sessions import Session
from easyisp_edge.domain.user_usage import Used, row_names
from easyisp_edge.domain.values import DataVolume
from easyisp_edge.errors import ConflictError
from easyisp_edge.services.money.booking import Bookkeeper, Buyer, TakenOver

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.imported_users import LegacyUser
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.importing.judge import ImportLine, ImportOrder
    from easyisp_edge.store.store import Tables

_USED_BEFORE = "Before-Import"
# Stands where a fingerprint of what is on the row does; no row has it, so that the next round sets all of the user.
_NOT_SET_YET = "imported"


def mark_of(grant: Grant) -> str:
    """What is put into the comment of the user of a grant that was taken over; each time the same."""
    return user_comment(grant.grant_id, _NOT_SET_YET, _since(grant))


class Taking(NamedTuple):
    """Takes over one user, within a transaction."""

    tx: Tables
    order: ImportOrder
    line: ImportLine
    by: str
    now: datetime
    tenant_id: str

    def grant(self, identifiers: Identifiers) -> Grant:
        """The grant of it.

        Raises:
            ConflictError: Somebody was faster.
        """
        line, user, now = self.line, self.line.user, self.now
        if line.package is None or line.left is None or self.tx.grants.by_username(user.name) is not None:
            raise ConflictError("import.taken", f"The user {user.name!r:.70} has been taken over meanwhile.")
        version = self.tx.packages.version_of(_sold_as(line.package, user), now)
        buyer = Buyer(self.tenant_id, line.package.service, None, user.mac, None)
        used = user.used or Used()
        standing = TakenOver(
            user.name,
            user.password or "",
            max(1, line.left.seconds_at(now, line.package.duration)),
            line.left.ends_at,
            used.seconds,
            used.octets,
        )
        grant = Bookkeeper(self.tx, now, identifiers).take_over(buyer, version, standing, self._told())
        self._note_use(grant, used)
        return grant

    def _told(self) -> dict[str, object]:
        user, source = self.line.user, "mikhmon" if self.order.mikhmon else "routeros"
        told: dict[str, object] = {"router": self.order.router_id, "name": user.name, "by": self.by, "source": source}
        return told | {"profile": user.profile, "comment": user.comment}

    def _note_use(self, grant: Grant, used: Used) -> None:
        """Note as a session what the user's row counts already, so that it is not taken for new."""
        if used == Used():
            return
        self.tx.sessions.add(
            Session(
                session_id=0,
                router_id=self.order.router_id,
                acct_session_id=f"{row_names(_since(grant))}imported/{used.seconds}",
                username=grant.username,
                grant_id=grant.grant_id,
                mac=grant.mac,
                address=None,
                started_at=self.now - timedelta(seconds=used.seconds),
                updated_at=self.now,
                stopped_at=self.now,
                seconds=used.seconds,
                octets_in=used.octets_in,
                octets_out=used.octets_out,
                cause=_USED_BEFORE,
            )
        )


def _sold_as(package: Package, user: LegacyUser) -> Package:
    """The package with the limits that the user was sold with."""
    online = None if user.limit_seconds is None else timedelta(seconds=user.limit_seconds)
    data = None if user.limit_octets is None else DataVolume(user.limit_octets)
    return replace(package, online_time=online, data_limit=data)


def _since(grant: Grant) -> str:
    """Since when the user's row counts: the same again, where a hand-over has to be done again."""
    return f"{int(grant.created_at.timestamp()):x}"
