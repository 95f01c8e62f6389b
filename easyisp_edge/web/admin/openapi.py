"""The back office as an OpenAPI document, out of the same models that check what comes in.

Source: OpenAPI 3.1.0; its schemas are JSON Schema 2020-12, as pydantic writes it.
"""

from __future__ import annotations

import functools
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import TypeAdapter

from easyisp_edge import __version__
from easyisp_edge.domain.permissions import Permission
from easyisp_edge.web.admin.operations import Door, operations_of
from easyisp_edge.web.admin.problems import PROBLEM_TYPE, Problem
from easyisp_edge.web.admin.serving import TENANT_QUERY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from easyisp_edge.web.admin.operations import Operation

PATH = "/api/openapi.json"
_REF = "#/components/schemas/{model}"
_IN_PATH = re.compile(r"\{(\w+)\}")
# What may befall any request: the disk is full, or far too much is asked at once.
_ALWAYS = (HTTPStatus.SERVICE_UNAVAILABLE,)


def document(areas: Iterable[type[Any]]) -> dict[str, Any]:
    """The OpenAPI document of those areas."""
    told = [(area, operation) for area in areas for operation in operations_of(area)]
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for area, operation in told:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(area, operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "EasyISP Edge: the back office",
            "version": __version__,
            "description": "Amounts are shillings (KES) with two decimals at most, times UTC."
            " What goes wrong is a problem document (RFC 9457).",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.definitions.items())),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What POST /api/auth/login gives, or an API token.",
                }
            },
        },
    }


def description_routes(areas: Sequence[type[Any]]) -> list[web.RouteDef]:
    """The document as a route, for whoever reaches the admin door; written when it is first asked for."""

    @functools.cache
    def written() -> bytes:
        return json.dumps(document(areas), indent=1).encode()

    async def described(_request: web.Request) -> web.Response:
        return web.Response(body=written(), content_type="application/json")

    return [web.get(PATH, described)]


class _Schemas:
    """Collects the schemas that operations refer to, each once."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def of(self, kind: Any, mode: str) -> dict[str, Any]:
        schema = TypeAdapter(kind).json_schema(by_alias=True, ref_template=_REF, mode=mode)  # type: ignore[arg-type]
        self.add(schema.pop("$defs", {}))
        name = schema.get("title")
        if isinstance(kind, type) and isinstance(name, str) and "properties" in schema:
            name = re.sub(r"\W+", "_", name).strip("_")
            self.add({name: schema})
            return {"$ref": _REF.format(model=name)}
        return schema

    def add(self, definitions: Mapping[str, Any]) -> None:
        """Take in schemas by their names.

        Raises:
            ValueError: Two would have one name, and one of them would stand for both.
        """
        for name, schema in definitions.items():
            if self.definitions.setdefault(name, schema) != schema:
                raise ValueError(f"two schemas are called {name}")


def _described(area: type[Any], told: Operation, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": told.operation_id,
        "summary": told.summary,
        "tags": [_tag(area)],
        "parameters": _parameters(told, schemas),
        "responses": _responses(told, schemas),
    }
    if told.description:
        described["description"] = told.description
    if isinstance(told.needs, Permission):
        described["x-permission"] = told.needs.value
    if told.needs is not Door.OPEN:
        described["security"] = [{"bearer": []}]
    if told.body is not None:
        schema = schemas.of(told.body, "validation")
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _tag(area: type[Any]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", area.__name__.removesuffix("Area")).lower()


def _parameters(told: Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _IN_PATH.findall(told.path)
    ]
    if told.of_tenant and told.needs is not Door.OPEN:
        words = "Whose data; needed from those who look after several tenants."
        parameters.append({"name": TENANT_QUERY, "in": "query", "description": words, "schema": {"type": "string"}})
    if told.query is not None:
        schema = told.query.model_json_schema(by_alias=True, ref_template=_REF, mode="validation")
        schemas.add(schema.pop("$defs", {}))
        needed = schema.get("required", [])
        for name, each in schema["properties"].items():
            parameter = {"name": name, "in": "query", "required": name in needed, "schema": each}
            if "description" in each:
                parameter["description"] = each.pop("description")
            parameters.append(parameter)
    return parameters


def _responses(told: Operation, schemas: _Schemas) -> dict[str, Any]:
    responses: dict[str, Any] = {str(told.status): _success(told, schemas)}
    for status, model in told.answers_else.items():
        content = {"application/json": {"schema": schemas.of(model, "serialization")}}
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    problem = {PROBLEM_TYPE: {"schema": schemas.of(Problem, "serialization")}}
    for status in sorted(refusals_of(told)):
        stated = responses.setdefault(str(status), {"description": HTTPStatus(status).phrase, "content": {}})
        stated["content"] |= problem
    return responses


def _success(told: Operation, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(told.status).phrase}
    if told.answers is not None:
        described["content"] = {told.media_type: {"schema": schemas.of(told.answers, "serialization")}}
    return described


def refusals_of(told: Operation) -> set[int]:
    """The statuses an operation may be refused with: what it says, and what follows from how it is asked."""
    refusals = {*told.refusals, *_ALWAYS}
    if told.needs is not Door.OPEN:
        refusals |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        if told.of_tenant:
            refusals |= {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}
    if told.query is not None or told.body is not None:
        refusals.add(HTTPStatus.BAD_REQUEST)
    if "{" in told.path:
        refusals.add(HTTPStatus.NOT_FOUND)
    return {int(status) for status in refusals}
