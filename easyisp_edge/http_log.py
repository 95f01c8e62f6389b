"""What is logged of HTTP connections: nothing of requests that are no HTTP, which anybody can send to fill a disk.

aiohttp would write each with a traceback and a piece of the request, which may hold a secret; whoever sent it is told
what is wrong anyway.
"""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError


def _worth_a_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | RequestPayloadError)


connections = logging.getLogger("easyisp_edge.connections")
connections.addFilter(_worth_a_line)
