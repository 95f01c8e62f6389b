"""A box and its hub, as the box sees the two: who it is there, how they stand, and what the hub says."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from easyisp_edge.domain.events import Stream
    from easyisp_edge.domain.payments import MoneyRecord

# What a hub's signed refusals are called here, and its silence.
GAP, BEHIND, FORK = "hub.gap", "hub.behind", "hub.fork"
TOO_LONG, UNREADABLE = "hub.too_long", "hub.event"
COUNTER_USED, OLD_EPOCH, SHUT = "hub.counter_used", "hub.epoch", "hub.shut"
AWAY, SILENT, LATER, FORGED = "hub.away", "hub.silent", "hub.later", "hub.forged"

COMMAND_VERBS = ("look", "sync")


class SyncPhase(enum.StrEnum):
    """How box and hub stand to each other. Values are stored."""

    JOINING = "joining"  # enrolled, and the two have not compared their books yet
    IN_STEP = "in_step"  # the hub's books are the beginning of the box's
    APART = "apart"  # the hub knows what the box does not: it is taken back, and nothing is sold meanwhile


@dataclass(frozen=True, slots=True)
class EdgeKey:
    """What this box signs with.

    Args:
        public: 32 octets.
        sign: Gives the signature of a message: 64 octets.
    """

    public: bytes
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class SyncSite:
    """Who this box is to its hub.

    Args:
        hub_url: Where the hub is, without a path.
        site_id: The site's id there.
        epoch: In which of its lives.
        hub_key: What the hub signs with: 32 octets.
        public_key: What this box signs with: 32 octets; the secret half is in a file.
        callback_base: Where the hub takes M-Pesa's callbacks for this box.
        enrolled_at: When.
        key_since: When it began to sign with that key.
        phase: How the two stand.
        down_after: The number of the last message that was taken.
        former_key: What it signed with before; a hub whose database was restored may know nothing later.
    """

    hub_url: str
    site_id: str
    epoch: int
    hub_key: bytes
    public_key: bytes
    callback_base: str
    enrolled_at: datetime
    key_since: datetime
    phase: SyncPhase = SyncPhase.JOINING
    down_after: int = 0
    former_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a hub says to a box that enrols.

    Args:
        site_id: The site's id.
        epoch: The life that begins.
        hub_key: What the hub signs with.
        callback_base: Where the hub takes M-Pesa's callbacks for this box.
    """

    site_id: str
    epoch: int
    hub_key: bytes
    callback_base: str


@dataclass(frozen=True, slots=True)
class Head:
    """How far a stream has come.

    Args:
        last: The number of its last event; 0 when it is empty.
        digest: Of that event; `GENESIS` when it is empty.
    """

    last: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class HubState:
    """How far a hub has come with a box.

    Args:
        epoch: The life the site is in.
        heads: Of both streams.
        confirmed: Whether a person compared the keys.
        config_version: Of the configuration published last.
    """

    epoch: int
    heads: Mapping[Stream, Head]
    confirmed: bool
    config_version: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch is on the hub's disk.

    Args:
        ack: All up to this number is.
        config_version: Of the configuration published last.
    """

    ack: int
    config_version: int


@dataclass(frozen=True, slots=True)
class RelayedCallback:
    """What M-Pesa posted to the hub for this box.

    Args:
        token: The secret in the address.
        body: As it came.
    """

    token: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ReceiptAnswer:
    """What came of looking a receipt up.

    Args:
        mpesa_receipt_number: Which.
        found: Whether there is such a payment; None where nobody could tell.
        record: The payment, where there is.
        used: Whether another site had it first.
    """

    mpesa_receipt_number: str
    found: bool | None
    record: MoneyRecord | None
    used: bool = False


@dataclass(frozen=True, slots=True)
class Revocation:
    """A grant is to end.

    Args:
        grant_id: Which.
        reason: Why, in words.
    """

    grant_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConfigSnapshot:
    """A configuration by the hub, whole.

    Args:
        version: Rises.
        content: `packages` and `gateways`, as tables of the files, and `revoked`: ids of grants that are to end.
        signature: The hub's, over all of it; base64.
    """

    version: int
    content: Mapping[str, Any]
    signature: str = ""

    @property
    def revocations(self) -> list[Revocation]:
        """Grants that are to end."""
        return [Revocation(str(grant_id), "by the published configuration") for grant_id in self.content["revoked"]]


@dataclass(frozen=True, slots=True)
class Command:
    """Something is to be done now.

    Args:
        verb: What; one of `COMMAND_VERBS`, or it is refused.
    """

    verb: str


@dataclass(frozen=True, slots=True)
class SiteChanged:
    """The hub takes callbacks elsewhere.

    Args:
        callback_base: Where.
    """

    callback_base: str


DownContent = RelayedCallback | ReceiptAnswer | ConfigSnapshot | Revocation | Command | SiteChanged


@dataclass(frozen=True, slots=True)
class DownMessage:
    """A message from the hub.

    Args:
        number: Its place in the order.
        type: As the hub calls it.
        content: What it says; None where that cannot be read, or is of a type this release does not know.
    """

    number: int
    type: str
    content: DownContent | None
