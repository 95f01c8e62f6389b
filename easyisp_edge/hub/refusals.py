"""What the hub answers where it does not do what a request asks."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from easyisp_edge.errors import EdgeError


class RequestRefused(EdgeError):  # noqa: N818 - it is an answer, and most are part of the protocol's daily course
    """A request is refused; nothing changed but the counter of its lane.

    Args:
        status: Of the answer.
        code: As in `EdgeError`.
        message: As in `EdgeError`.
        values: What the protocol says with it, by its name on the wire.
    """

    def __init__(self, status: HTTPStatus, code: str, message: str, **values: Any) -> None:
        super().__init__(code, message, **values)
        self.status = status

    def content(self) -> dict[str, Any]:
        """What is answered."""
        return {"code": self.code, "message": self.message, **self.values}


def unreadable(message: str, **values: Any) -> RequestRefused:
    """What came is not what the protocol says."""
    return RequestRefused(HTTPStatus.BAD_REQUEST, "request", message, **values)


def too_long() -> RequestRefused:
    """More came than one request may carry."""
    return RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too.long", "More than one request may carry.")


def fork(seq: int, last: int, head: bytes) -> RequestRefused:
    """The hub knows another event of that number."""
    return RequestRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "fork",
        f"The hub knows another event {seq}.",
        seq=seq,
        last=last,
        head=head.hex(),
    )


def gap(expected: int) -> RequestRefused:
    """Something before what came is missing."""
    return RequestRefused(HTTPStatus.CONFLICT, "gap", f"Event {expected} comes next.", expected=expected)


def behind(last: int, head: bytes) -> RequestRefused:
    """The hub knows more of the box than the box."""
    return RequestRefused(HTTPStatus.CONFLICT, "behind", f"The hub knows of {last} events.", last=last, head=head.hex())


def counter_used(last: int) -> RequestRefused:
    """The counter is not above every one before."""
    return RequestRefused(HTTPStatus.CONFLICT, "counter.used", f"The last counter was {last}.", last=last)


def old_epoch(epoch: int) -> RequestRefused:
    """Another life of the site has begun."""
    return RequestRefused(HTTPStatus.CONFLICT, "epoch", f"The site is in epoch {epoch}.", epoch=epoch)


def not_known() -> RequestRefused:
    """The signature is no known box's; which part of it is wrong is not told."""
    return RequestRefused(HTTPStatus.UNAUTHORIZED, "site.unknown", "No box of this hub's signed this request.")


def not_any_more(code: str, message: str) -> RequestRefused:
    """Who asks is known, and may not do this."""
    return RequestRefused(HTTPStatus.FORBIDDEN, code, message)


def not_confirmed() -> RequestRefused:
    """Nobody has compared the box's key yet: it may tell, and is given nothing."""
    return not_any_more("site.waiting", "A person has to confirm this box at the hub first.")
