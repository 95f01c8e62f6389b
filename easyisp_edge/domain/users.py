"""People who work at the back office, and who is asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from easyisp_edge.domain.permissions import Permission, Role


class Caller(NamedTuple):
    """Who asks the back office for something, as proven by what they carry.

    Args:
        user_id: The user.
        name: What stands in the events as who did it: the user's e-mail address, and the token's name where it was one.
        tenant_id: Whose user; None for one who looks after the whole box.
        role: What the user is there for.
        permissions: What this caller may do.
        session_id: The login this belongs to; None with an API token.
    """

    user_id: str
    name: str
    tenant_id: str | None
    role: Role
    permissions: frozenset[Permission]
    session_id: str | None = None
