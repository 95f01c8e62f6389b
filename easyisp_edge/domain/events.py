"""Events: what happened, in order, each chained to the one before, so that a gap or a change shows."""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ENVELOPE_VERSION = 1
GENESIS = bytes(32)


class Stream(enum.StrEnum):
    """Two streams, so that a month of usage never delays news of money."""

    MONEY = "money"
    USAGE = "usage"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Args:
        stream: Which sequence it belongs to.
        sequence: Its number there: from 1, without gaps.
        type: What happened, such as `payment.booked`.
        key: What it happened to.
        at: When, by box time.
        body: The whole envelope as canonical JSON: what is hashed, kept and sent.
        digest: SHA-256 of `body`.
    """

    stream: Stream
    sequence: int
    type: str
    key: str
    at: datetime
    body: bytes
    digest: bytes


def chain(
    stream: Stream,
    sequence: int,
    previous: bytes,
    *,
    kind: str,
    key: str,
    at: datetime,
    clock: str,
    data: Mapping[str, Any],
) -> Event:
    """Seal an event onto the one whose digest is `previous`.

    Args:
        stream: Which sequence.
        sequence: Its number, one more than the last.
        previous: Digest of the last event, `GENESIS` for the first.
        kind: What happened.
        key: What it happened to.
        at: When, by box time.
        clock: How far box time could be believed then.
        data: The facts, JSON values only.
    """
    envelope = {
        "v": ENVELOPE_VERSION,
        "stream": stream.value,
        "seq": sequence,
        "type": kind,
        "sv": 1,
        "key": key,
        "at": at.isoformat().replace("+00:00", "Z"),
        "clk": clock,
        "data": data,
        "prev": previous.hex(),
    }
    body = json.dumps(envelope, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return Event(stream, sequence, kind, key, at, body, hashlib.sha256(body).digest())
