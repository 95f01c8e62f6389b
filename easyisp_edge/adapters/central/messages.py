"""What a hub says, spelled as docs/sync.md spells it; what cannot be read is told apart from what is not known."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from easyisp_edge.domain import central
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.payers import Payer
from easyisp_edge.domain.payments import RAW_OCTETS_MAX, EvidenceSource, MoneyRecord
from easyisp_edge.domain.receipts import parse_receipt
from easyisp_edge.domain.sync import SEQ_MOST, SITE_ID
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import EdgeError, InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_OCTETS = 32

# What refusals are called, by their name on the wire.
CODES = {
    "gap": central.GAP,
    "behind": central.BEHIND,
    "fork": central.FORK,
    "too.long": central.TOO_LONG,
    "event": central.UNREADABLE,
    "counter.used": central.COUNTER_USED,
    "epoch": central.OLD_EPOCH,
}


def _octets(value: object) -> bytes:
    """32 octets in base64."""
    decoded = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    if len(decoded) != KEY_OCTETS:
        raise ValueError("not 32 octets in base64")
    return decoded


def _digest(value: object) -> bytes:
    decoded = bytes.fromhex(value) if isinstance(value, str) else b""
    if len(decoded) != KEY_OCTETS:
        raise ValueError("not a SHA-256 in hex")
    return decoded


def _aware(value: object) -> datetime:
    at = datetime.fromisoformat(value) if isinstance(value, str) else None
    if at is None or at.utcoffset() is None:
        raise ValueError("not an instant")
    return at


_Number = Annotated[int, Field(strict=True, ge=0, lt=SEQ_MOST)]
_Text = Annotated[str, Field(strict=True, max_length=400)]
_Key = Annotated[bytes, BeforeValidator(_octets)]
_Digest = Annotated[bytes, BeforeValidator(_digest)]
_Instant = Annotated[datetime, BeforeValidator(_aware)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class EnrolAnswer(_Message):
    """200 to `POST /edge/v1/enrol`."""

    site: Annotated[str, Field(pattern=f"^{SITE_ID.pattern}$")]
    epoch: Annotated[int, Field(strict=True, ge=1)]
    hubKey: _Key  # noqa: N815 - the wire's spelling
    callbackBase: _Text  # noqa: N815


class StoredAnswer(_Message):
    """200 to a batch."""

    ack: _Number
    configVersion: _Number = 0  # noqa: N815


class _HeadAnswer(_Message):
    last: _Number
    head: _Digest


class _HeadsAnswer(_Message):
    money: _HeadAnswer
    usage: _HeadAnswer


class StateAnswer(_Message):
    """200 to `GET /edge/v1/state`."""

    epoch: Annotated[int, Field(strict=True, ge=1)]
    streams: _HeadsAnswer
    confirmed: bool = True
    configVersion: _Number = 0  # noqa: N815


class EpochAnswer(_Message):
    """200 to `POST /edge/v1/epoch`."""

    epoch: Annotated[int, Field(strict=True, ge=1)]


class KeyAnswer(_Message):
    """200 to `POST /edge/v1/key`."""

    publicKey: _Key  # noqa: N815


class TimeAnswer(_Message):
    """200 to `POST /edge/v1/time`."""

    time: _Instant
    nonce: _Text


class _MessageAnswer(_Message):
    n: Annotated[int, Field(strict=True, ge=1, lt=SEQ_MOST)]
    type: _Text
    data: dict[str, Any]


class MessagesAnswer(_Message):
    """200 to `GET /edge/v1/down`."""

    messages: list[_MessageAnswer]


class _Callback(_Message):
    token: _Text
    body: Annotated[str, Field(strict=True, max_length=64 * 1024)]
    sha256: _Digest


class _Record(_Message):
    amountCents: Annotated[int, Field(strict=True, gt=0)]  # noqa: N815
    account: _Text = ""
    payer: _Text = ""
    paidAt: _Instant | None = None  # noqa: N815
    raw: Annotated[str, Field(strict=True, max_length=16 * 1024)] = ""


class _Receipt(_Message):
    receipt: _Text
    found: bool | None
    record: _Record | None = None
    used: bool = False


class _Config(_Message):
    version: Annotated[int, Field(strict=True, ge=1, lt=SEQ_MOST)]
    packages: list[dict[str, Any]]
    gateways: list[dict[str, Any]]
    revoked: list[_Text]
    signature: _Text


class _Revoke(_Message):
    grant: _Text
    reason: _Text


class _Verb(_Message):
    verb: _Text


class _Site(_Message):
    callbackBase: _Text  # noqa: N815


def as_enrolled(answer: EnrolAnswer) -> central.Enrolled:
    """What an enrolment led to."""
    return central.Enrolled(answer.site, answer.epoch, answer.hubKey, answer.callbackBase)


def as_stored(answer: StoredAnswer) -> central.Stored:
    """What a batch led to."""
    return central.Stored(answer.ack, answer.configVersion)


def as_state(answer: StateAnswer) -> central.HubState:
    """How far the hub has come."""
    heads = {stream: getattr(answer.streams, stream.value) for stream in Stream}
    return central.HubState(
        epoch=answer.epoch,
        heads={stream: central.Head(head.last, head.head) for stream, head in heads.items()},
        confirmed=answer.confirmed,
        config_version=answer.configVersion,
    )


def as_messages(answer: MessagesAnswer) -> list[central.DownMessage]:
    """What waited for this box."""
    return [central.DownMessage(each.n, each.type, _content(each.type, each.data)) for each in answer.messages]


def refusal_values(fields: dict[str, Any]) -> dict[str, Any]:
    """The numbers a refusal carries; those that are none are left out."""
    names = ("expected", "last", "seq", "epoch", "line")
    return {name: fields[name] for name in names if type(fields.get(name)) is int and 0 <= fields[name] < SEQ_MOST}


def _content(kind: str, data: dict[str, Any]) -> central.DownContent | None:
    readers: dict[str, Callable[[dict[str, Any]], central.DownContent]] = {
        "callback": _callback,
        "receipt": _receipt,
        "config": _config,
        "revoke": _revocation,
        "command": lambda told: central.Command(_Verb.model_validate(told).verb),
        "site": lambda told: central.SiteChanged(_Site.model_validate(told).callbackBase),
    }
    if kind not in readers:
        return None
    try:
        return readers[kind](data)
    except (ValidationError, EdgeError, ValueError):
        return None


def _callback(data: dict[str, Any]) -> central.RelayedCallback:
    read = _Callback.model_validate(data)
    body = read.body.encode()
    if hashlib.sha256(body).digest() != read.sha256:
        raise InvalidError("hub.message", "The body is not the one the hub received.")
    return central.RelayedCallback(read.token, body)


def _receipt(data: dict[str, Any]) -> central.ReceiptAnswer:
    read = _Receipt.model_validate(data)
    receipt = parse_receipt(read.receipt)
    if not read.found or read.record is None:
        return central.ReceiptAnswer(receipt, None if read.found else read.found, None, read.used)
    record = MoneyRecord(
        source=EvidenceSource.CENTRAL,
        mpesa_receipt_number=receipt,
        amount=Money(read.record.amountCents),
        account=read.record.account,
        payer=Payer.read(read.record.payer),
        paid_at=read.record.paidAt,
        raw=read.record.raw.encode()[:RAW_OCTETS_MAX],
    )
    return central.ReceiptAnswer(receipt, found=True, record=record, used=read.used)


def _revocation(data: dict[str, Any]) -> central.Revocation:
    read = _Revoke.model_validate(data)
    return central.Revocation(read.grant, read.reason)


def _config(data: dict[str, Any]) -> central.ConfigSnapshot:
    read = _Config.model_validate(data)
    content = {"packages": read.packages, "gateways": read.gateways, "revoked": read.revoked}
    return central.ConfigSnapshot(read.version, content, read.signature)
