"""Operations as routes: who asks is found out, what is asked is checked, and only then the handler runs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aiohttp import hdrs, web
from pydantic import TypeAdapter, ValidationError

from easyisp_edge.domain.permissions import Permission
from easyisp_edge.errors import ForbiddenError, InvalidError, UnauthenticatedError
from easyisp_edge.web.admin.models import ApiModel
from easyisp_edge.web.admin.operations import Answer, Call, Door, operations_of
from easyisp_edge.web.admin.problems import InvalidInputError
from easyisp_edge.web.admin.whose import meant
from easyisp_edge.web.requests import parse_object, read_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from easyisp_edge.domain.users import Caller
    from easyisp_edge.services.site import Site
    from easyisp_edge.web.admin.operations import Operation

M = TypeVar("M", bound=ApiModel)

TENANT_QUERY = "tenantId"
_SCHEME = "bearer"


class Gatekeeper(Protocol):
    """Knows callers by the tokens they carry."""

    async def caller_of(self, token: str) -> Caller:
        """Who carries a token.

        Raises:
            UnauthenticatedError: Nobody who may come in (any more).
        """


@dataclass(frozen=True, slots=True)
class Desk:
    """Serves the operations of areas.

    Args:
        gatekeeper: Knows callers.
        site: Which tenants there are.
    """

    gatekeeper: Gatekeeper
    site: Site

    def routes(self, areas: Iterable[object]) -> list[web.RouteDef]:
        """All operations of those areas as routes."""
        return [
            _route(told, functools.partial(self._serve, area, told))
            for area in areas
            for told in operations_of(type(area))
        ]

    async def _serve(self, area: object, told: Operation, request: web.Request) -> web.StreamResponse:
        asker = None if told.needs is Door.OPEN else await self._admitted(request, told)
        tenant_id = None if asker is None or not told.of_tenant else self._tenant(asker, request)
        query = None if told.query is None else _read_query(told.query, request)
        body = None if told.body is None else _read_body(told.body, await read_body(request))
        answered = await told.handler(area, Call(request, asker, tenant_id, query, body))
        if isinstance(answered, web.StreamResponse):
            return answered
        if isinstance(answered, Answer):
            return _json(type(answered.content), answered.content, answered.status)
        return _json(told.answers, answered, told.status)

    async def _admitted(self, request: web.Request, told: Operation) -> Caller:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != _SCHEME or not token.strip():
            raise UnauthenticatedError("login.needed", "Log in, and send the token as Authorization: Bearer.")
        caller = await self.gatekeeper.caller_of(token.strip())
        if isinstance(told.needs, Permission) and told.needs not in caller.permissions:
            message = f"This needs the permission {told.needs}, which you do not have. Ask who runs this box."
            raise ForbiddenError("permission.missing", message, permission=told.needs.value)
        return caller

    def _tenant(self, caller: Caller, request: web.Request) -> str:
        """Whose data it is about: the caller's own; who looks after the whole box says whose, where it is not plain.

        Raises:
            NotFoundError: There is no such tenant, as far as this caller may know.
            InvalidError: There are several, and none is named.
        """
        tenant_id = meant(caller, request.query.get(TENANT_QUERY), self.site)
        return self.site.named_tenant(None, field=TENANT_QUERY) if tenant_id is None else tenant_id


def _route(told: Operation, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.RouteDef:
    if told.method != hdrs.METH_GET:
        return web.route(told.method, told.path, handler)
    # No HEAD beside it: what is streamed would be sent all the same, and taken for the next answer.
    return web.get(told.path, handler, allow_head=False)


def _read_query(model: type[M], request: web.Request) -> M:
    fields: dict[str, str] = {}
    for name, value in request.query.items():
        if name in fields:
            raise InvalidError("request.invalid", f"The query says {name:.40} twice.", field=name[:40])
        if value:  # pages send the fields they leave empty, too
            fields[name] = value
    try:
        return model.model_validate(fields, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidInputError.of(error) from None


def _read_body(model: type[M], octets: bytes) -> M:
    parse_object(octets)  # says in our words what is no JSON, too deep, or said twice
    try:
        return model.model_validate_json(octets, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidInputError.of(error) from None


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _json(kind: Any, content: Any, status: int) -> web.Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if kind is None:
        return web.Response(status=status, headers=headers)
    body = _adapter(kind).dump_json(content, by_alias=True)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)
