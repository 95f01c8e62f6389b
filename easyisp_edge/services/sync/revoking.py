"""A grant ends because the hub says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.grants import GrantState
from easyisp_edge.services.access.grant_life import end

if TYPE_CHECKING:
    from datetime import datetime

    from easyisp_edge.domain.central import Revocation
    from easyisp_edge.store.store import Tables

_REASON_LENGTH = 200


def revoke_grant(tx: Tables, revocation: Revocation, now: datetime) -> str | None:
    """End a grant because the hub says so; gives its tenant, None where there is no such grant. Again is fine."""
    grant = tx.grants.by_id(revocation.grant_id)
    if grant is None:
        return None
    if grant.state is not GrantState.ENDED:
        tx.events.append(
            Stream.MONEY, "grant.revoked", grant.grant_id, {"by": "hub", "reason": revocation.reason[:_REASON_LENGTH]}
        )
        end(tx, grant, "revoked", now)
    return grant.tenant_id
