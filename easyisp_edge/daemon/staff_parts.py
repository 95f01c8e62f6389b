"""The parts that know who works at the back office."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.services.staff.api_tokens import ApiTokens
from easyisp_edge.services.staff.gatekeeping import StaffGate
from easyisp_edge.services.staff.login_lockout import LoginLockout
from easyisp_edge.services.staff.login_tokens import KEY_PURPOSE, LoginTokens
from easyisp_edge.services.staff.logins import StaffLogins
from easyisp_edge.services.staff.passwords import USUAL_COST, Passwords
from easyisp_edge.services.staff.sign_in import SignIn
from easyisp_edge.services.staff.users import StaffUsers
from easyisp_edge.web.admin.audit import AuditArea
from easyisp_edge.web.admin.auth import AuthArea
from easyisp_edge.web.admin.users import UsersArea
from easyisp_edge.web.control_admin import ControlAdmin

if TYPE_CHECKING:
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.keyring import Keyring
    from easyisp_edge.services.site import Site
    from easyisp_edge.services.staff.passwords import Cost
    from easyisp_edge.store.store import Store
    from easyisp_edge.timekeeping import BoxClock


@dataclass(frozen=True, slots=True)
class StaffParts:
    """Who may come in at the back office.

    Args:
        users: Who works here.
        gate: Knows callers by what they carry.
        areas: What the back office offers about users.
        control: The same, for the box's own commands.
    """

    users: StaffUsers
    gate: StaffGate
    areas: tuple[object, ...]
    control: ControlAdmin

    @classmethod
    def of(
        cls,
        *,
        store: Store,
        clock: BoxClock,
        identifiers: Identifiers,
        keyring: Keyring,
        site: Site,
        cost: Cost = USUAL_COST,
    ) -> StaffParts:
        """Build and join them; `cost` is what a password's hash takes."""
        tokens, passwords = LoginTokens(keyring.derive(KEY_PURPOSE)), Passwords(identifiers.randomness, cost)
        users = StaffUsers(store, clock, identifiers, passwords, site)
        logins = StaffLogins(store, clock, identifiers, tokens)
        sign_in = SignIn(logins, passwords, LoginLockout(clock), site)
        auth = AuthArea(sign_in, users, ApiTokens(store, clock, identifiers))
        return cls(
            users=users,
            gate=StaffGate(store, clock, tokens, site),
            areas=(auth, UsersArea(users), AuditArea(store, site)),
            control=ControlAdmin(users),
        )
