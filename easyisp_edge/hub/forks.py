"""Lines of a box that are not the hub's: kept beside them, so many and no more."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from easyisp_edge.hub.refusals import RequestRefused
from easyisp_edge.hub.store import streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easyisp_edge.domain.events import Stream
    from easyisp_edge.hub.batches import Line
    from easyisp_edge.hub.doorkeeper import Claim
    from easyisp_edge.hub.store.database import Transaction

# Many months of a busy site; a hostile box is not to fill the disk.
FORKED_OCTETS_MOST: Final = 64 * 1024 * 1024


async def keep_forked(tx: Transaction, claim: Claim, stream: Stream, lines: Sequence[Line], at: str) -> None:
    """Keep what is not kept yet.

    Raises:
        RequestRefused: It is more than is kept of one site.
    """
    known = await streams.forked_among(tx, claim.site_id, stream.value, [line.seq for line in lines])
    fresh = {(line.seq, line.digest): line for line in lines if (line.seq, line.digest) not in known}
    rows = [(claim.site_id, stream.value, one.seq, claim.epoch, one.digest, one.body, at) for one in fresh.values()]
    if rows and await streams.forked_octets(tx, claim.site_id) + streams.octets_of(rows) > FORKED_OCTETS_MOST:
        raise RequestRefused(HTTPStatus.TOO_MANY_REQUESTS, "fork.full", "More of a fork than is kept of one site.")
    await streams.add_forked(tx, rows)
