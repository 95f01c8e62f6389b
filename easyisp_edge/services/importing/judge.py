"""What becomes of each user that somebody else sold: taken over, or why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.grants import Funding, GrantState
from easyisp_edge.domain.imported_users import Left, LegacyTables, Outcome, Skipped, left_of
from easyisp_edge.domain.receipts import parse_receipt
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping
    from datetime import datetime, tzinfo

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.domain.imported_users import LegacyUser, MikhmonTerms
    from easyisp_edge.domain.packages import Package
    from easyisp_edge.services.importing.packages import PackageMap
    from easyisp_edge.store.store import Tables

_CREDENTIAL_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What is to be taken over, and how to read it.

    Args:
        router_id: The users' router.
        mikhmon: Whether Mikhmon kept them; else only their own limits and dates count.
        packages: Package ids by profile names, as somebody says.
        zone: What the router's dates are in; None for what it says itself, and Nairobi for an export.
        ignore_clock: Whether a wrong router clock does not matter.
        empty_passwords: Whether no password means that there is none, even where no user has any.
        export: The text of an export, for what the router does not show.
        offline: Whether the export is all there is, and the router is not asked.
    """

    router_id: str
    mikhmon: bool
    packages: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo | None = None
    ignore_clock: bool = False
    empty_passwords: bool = False
    export: str | None = None
    offline: bool = False


class ImportLine(NamedTuple):
    """What becomes of one user.

    Args:
        user: As it was found.
        outcome: In a word.
        reason: Why it is not taken over; or a remark, or nothing.
        package: What it becomes; None where it is not taken over.
        left: What is left of it; None where it is not taken over.
        grant_id: Of a grant that has it already, and whose mark the user lacks; None for all others.
    """

    user: LegacyUser
    outcome: Outcome
    reason: str
    package: Package | None = None
    left: Left | None = None
    grant_id: str | None = None

    @property
    def is_due(self) -> bool:
        """Whether something is to be done about it."""
        return self.outcome is Outcome.TAKEN or self.grant_id is not None


class Judge(NamedTuple):
    """Says what becomes of each user."""

    order: ImportOrder
    tables: LegacyTables
    packages: PackageMap
    names: Counter[str]
    now: datetime
    tenant_id: str

    def line(self, read: Tables, user: LegacyUser) -> ImportLine:
        """What becomes of a user."""
        if user.ours:
            return ImportLine(user, Outcome.OURS, "It carries our mark.")
        standing = read.grants.by_username(user.name)
        if standing is not None:
            return self._known(read, user, standing)
        left = self._left(user)
        if isinstance(left, Skipped):
            return ImportLine(user, left.outcome, left.reason)
        fault = self._fault(read, user)
        if fault:
            return ImportLine(user, Outcome.REFUSED, fault)
        package = self.packages.package_for(user.profile, self.tables.profiles.get(user.profile))
        if isinstance(package, str):
            return ImportLine(user, Outcome.REFUSED, package)
        return ImportLine(user, Outcome.TAKEN, self._remark(user, package), package, left)

    def _left(self, user: LegacyUser) -> Left | Skipped:
        return left_of(user, self._terms(user), self.now)

    def _terms(self, user: LegacyUser) -> MikhmonTerms | None:
        profile = self.tables.profiles.get(user.profile)
        return profile.terms if profile is not None and self.order.mikhmon else None

    def _known(self, read: Tables, user: LegacyUser, grant: Grant) -> ImportLine:
        """A user whose name a grant has."""
        told = (read.events.told(grant.grant_id, "grant.made") or {}).get("takenOver", {})
        same = (told.get("router"), grant.password) == (self.order.router_id, user.password or "")
        if grant.funding is not Funding.IMPORTED or not same or grant.state is GrantState.ENDED:
            reason = f"A grant has had this name already ({grant.grant_id}): give the user another one."
            return ImportLine(user, Outcome.REFUSED, reason)
        if self.order.offline:
            return ImportLine(user, Outcome.OURS, "It was taken over before.")
        reason = "It was taken over before; our mark is yet to be put on it."
        return ImportLine(user, Outcome.OURS, reason, grant_id=grant.grant_id)

    def _fault(self, read: Tables, user: LegacyUser) -> str:
        if self.names[user.name] > 1:
            return "There are several users by this name, for different servers: keep one of them."
        if any(not _is_plain(text) for text in (user.name, user.password or "")):
            return f"Its name or password is longer than {_CREDENTIAL_LENGTH_MAX} or not plain text."
        if user.password is None and not (self.order.empty_passwords or self.order.export is None):
            return "The export does not have its password."
        return "A payment has its name as receipt." if _is_receipt(read, user.name) else ""

    def _remark(self, user: LegacyUser, package: Package) -> str:
        profile = self.tables.profiles.get(user.profile)
        devices = None if profile is None else profile.devices_max
        if profile is not None and (devices is None or devices > package.devices_max):
            was = "any number of" if devices is None else devices
            return f"Was for {was} devices, is for {package.devices_max}."
        return ""


def _is_plain(text: str) -> bool:
    return text.isprintable() and len(text) <= _CREDENTIAL_LENGTH_MAX and text == text.strip()


def _is_receipt(read: Tables, name: str) -> bool:
    try:
        return read.payments.by_receipt(parse_receipt(name)) is not None
    except InvalidError:
        return False
