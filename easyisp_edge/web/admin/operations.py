"""An operation of the back office: told once beside its handler; served, checked and documented from that."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from aiohttp import web

    from easyisp_edge.domain.permissions import Permission
    from easyisp_edge.domain.users import Caller
    from easyisp_edge.web.admin.models import ApiModel

M = TypeVar("M", bound="ApiModel")
A = TypeVar("A")


class Door(enum.Enum):
    """Who may come without any permission."""

    OPEN = "open"  # whoever reaches the admin door; the handler looks for itself
    SIGNED_IN = "signed in"  # any user


class Answer(NamedTuple):
    """An answer with another status than the operation's usual one.

    Args:
        content: As the operation declares it for that status.
        status: The HTTP status.
    """

    content: ApiModel
    status: int


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an operation, read and checked.

    Args:
        request: As it came; for streams, and addresses.
        asker: Who asks; None at an open door.
        asked_tenant: Whose data it is about; None where the operation is about no tenant's.
        read_query: The query, as the operation declares it.
        read_body: The body, as the operation declares it.
    """

    request: web.Request
    asker: Caller | None
    asked_tenant: str | None
    read_query: ApiModel | None
    read_body: ApiModel | None

    @property
    def caller(self) -> Caller:
        """Who asks; not for operations at an open door."""
        if self.asker is None:
            raise RuntimeError("nobody has to log in for this operation")
        return self.asker

    @property
    def by(self) -> str:
        """Who asks, as it is noted in the events."""
        return self.caller.name

    @property
    def tenant_id(self) -> str:
        """Whose data it is about; only for operations that are about a tenant's."""
        if self.asked_tenant is None:
            raise RuntimeError("this operation is about no tenant")
        return self.asked_tenant

    def path(self, name: str) -> str:
        """A part of the path, such as `id`."""
        return self.request.match_info[name]

    def query(self, model: type[M]) -> M:
        """The query, as the model the operation declares."""
        return _of(self.read_query, model)

    def body(self, model: type[M]) -> M:
        """The body, as the model the operation declares."""
        return _of(self.read_body, model)


def _of(read: ApiModel | None, model: type[M]) -> M:
    if not isinstance(read, model):
        raise TypeError(f"the operation does not declare {model.__name__}")
    return read


Handler = Callable[[Any, Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """What is promised of one operation.

    Args:
        method: The HTTP method.
        path: With `{name}` for what varies.
        handler: A method of an area: takes the call, gives what `answers` says, an `Answer`, or a response of its own.
        needs: Which permission, or which door.
        answers: What a success answers with; None for nothing.
        status: Of a success.
        query: What the query may say.
        body: What the body must say.
        refusals: Statuses it may be refused with, beside those that follow from the rest.
        answers_else: What it answers with at other statuses, where that is no problem document.
        of_tenant: Whether it is about one tenant's data: then callers may say whose, where they may choose.
        media_type: Of a success.
    """

    method: str
    path: str
    handler: Handler
    needs: Permission | Door
    answers: Any = None
    status: int = 200
    query: type[ApiModel] | None = None
    body: type[ApiModel] | None = None
    refusals: tuple[int, ...] = ()
    answers_else: Mapping[int, type[ApiModel]] = field(default_factory=dict)
    of_tenant: bool = True
    media_type: str = "application/json"

    @property
    def operation_id(self) -> str:
        """Its name for programs."""
        return to_camel(self.handler.__name__)

    @property
    def summary(self) -> str:
        """Its name for people: the first line of the handler's docstring."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0].rstrip(".")

    @property
    def description(self) -> str:
        """What else the handler's docstring tells."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[2].strip()


def operation(
    method: str,
    path: str,
    *,
    needs: Permission | Door,
    answers: Any = None,
    status: int = 200,
    query: type[ApiModel] | None = None,
    body: type[ApiModel] | None = None,
    refusals: tuple[int, ...] = (),
    answers_else: Mapping[int, type[ApiModel]] | None = None,
    of_tenant: bool = True,
    media_type: str = "application/json",
) -> Callable[[A], A]:
    """Make a method of an area an operation. See `Operation`."""

    def declare(handler: A) -> A:
        told = Operation(
            method=method,
            path=path,
            handler=handler,  # type: ignore[arg-type]
            needs=needs,
            answers=answers,
            status=status,
            query=query,
            body=body,
            refusals=refusals,
            answers_else=answers_else or {},
            of_tenant=of_tenant,
            media_type=media_type,
        )
        setattr(handler, _TOLD, told)
        return handler

    return declare


_TOLD = "operation_of_the_back_office"


def operations_of(area: type[Any]) -> list[Operation]:
    """What an area offers, in the order it is written down."""
    return [getattr(member, _TOLD) for member in vars(area).values() if hasattr(member, _TOLD)]
