"""What box and hub sign, and the limits both keep.

Both sides make these bytes by this one module; docs/sync.md tells them to others.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EVENTS_MOST = 500
BATCH_OCTETS_MOST = 256 * 1024
ENROL_CODE_MINUTES = 15
# How sites are called, and how numbers are written where no JSON says what they are.
SITE_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
NUMBER = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
# Numbers of events, epochs and messages are below this.
SEQ_MOST = 2**62
_GROUPS, _GROUP_LENGTH = 8, 4


class Lane(enum.StrEnum):
    """Requests of a lane come one after the other, and so do their counters."""

    MONEY = "money"
    USAGE = "usage"
    DOWN = "down"
    ASK = "ask"


class Request(NamedTuple):
    """What a box signs.

    Args:
        method: The HTTP method.
        target: Path and query, as sent.
        site: Who asks.
        epoch: In which of its lives.
        lane: In which order.
        counter: Above all before it in the lane.
        body: As sent, compressed where it is.
    """

    method: str
    target: str
    site: str
    epoch: int
    lane: Lane
    counter: int
    body: bytes

    def signed(self) -> bytes:
        """The bytes under the box's signature."""
        digest = hashlib.sha256(self.body).hexdigest()
        parts = (
            "easyisp-edge-1",
            self.method,
            self.target,
            self.site,
            self.epoch,
            self.lane.value,
            self.counter,
            digest,
        )
        return "\n".join(map(str, parts)).encode()


class Reply(NamedTuple):
    """What a hub signs.

    Args:
        site: Whom it answers.
        lane: Of the request.
        counter: Of the request.
        status: The HTTP status.
        body: As sent.
    """

    site: str
    lane: Lane
    counter: int
    status: int
    body: bytes

    def signed(self) -> bytes:
        """The bytes under the hub's signature."""
        digest = hashlib.sha256(self.body).hexdigest()
        parts = ("easyisp-hub-1", self.site, self.lane.value, self.counter, self.status, digest)
        return "\n".join(map(str, parts)).encode()


def enrolment_proof(code: str, public_key: str) -> bytes:
    """The bytes a box signs to show that it holds the key it enrols with.

    Args:
        code: As the hub gave it.
        public_key: Base64.
    """
    return f"easyisp-edge-enrol-1\n{code}\n{public_key}".encode()


def renewal_proof(site: str, epoch: int, public_key: str) -> bytes:
    """The bytes a box signs to show that it holds the key it goes on with.

    Args:
        site: Whose box it is.
        epoch: In which of its lives.
        public_key: The new one, base64.
    """
    return f"easyisp-edge-key-1\n{site}\n{epoch}\n{public_key}".encode()


def configuration_signed(site: str, version: int, content: Mapping[str, Any]) -> bytes:
    """The bytes under a hub's signature on a configuration, which a box keeps with it.

    Args:
        site: For which site.
        version: Of the configuration.
        content: `packages`, `gateways` and `revoked` as they came, and nothing else.
    """
    written = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(written.encode()).hexdigest()
    return f"easyisp-hub-config-1\n{site}\n{version}\n{digest}".encode()


def one_batch(numbered: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """The first of some lines with their numbers: as many as a batch may hold in octets, and one at least."""
    fitting: list[tuple[int, bytes]] = []
    octets = 0
    for number, line in numbered:
        octets += len(line) + 1
        if fitting and octets > BATCH_OCTETS_MOST:
            break
        fitting.append((number, line))
    return fitting


def fingerprint(public_key: bytes) -> str:
    """A key for people to compare: eight groups of four hex digits."""
    digits = hashlib.sha256(public_key).hexdigest()[: _GROUPS * _GROUP_LENGTH]
    return " ".join(digits[at : at + _GROUP_LENGTH] for at in range(0, len(digits), _GROUP_LENGTH))
