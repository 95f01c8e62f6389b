"""Events that an older release of the hub could not make rows of, tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.domain.events import Stream
from easyisp_edge.hub.batches import read_lines
from easyisp_edge.hub.projecting import Projection
from easyisp_edge.hub.refusals import RequestRefused
from easyisp_edge.hub.store.streams import remove_projection_error, unprojected

if TYPE_CHECKING:
    from easyisp_edge.hub.store.database import Database, Row, Transaction

_PAGE = 50
_BEFORE_ALL = ("", "", 0)


async def project_again(database: Database) -> None:
    """Make the rows of events that are understood by now; what a later event said of a row stays."""
    after = _BEFORE_ALL
    while True:
        async with database.transaction() as tx:
            page = await unprojected(tx, after, _PAGE)
            for row in page:
                await _again(tx, row)
        if not page:
            return
        after = page[-1][0], page[-1][1], page[-1][2]


async def _again(tx: Transaction, row: Row) -> None:
    site_id, stream, seq, body = row
    try:
        lines = read_lines(body, Stream(stream))
    except RequestRefused:  # one that is nested to the limit can be read here and not there: it stays noted
        return
    projection = Projection()
    projection.add(site_id, Stream(stream), lines)
    if not projection.failures:
        await tx.put(*projection.puts())
        await remove_projection_error(tx, site_id, stream, seq)
