"""`easyisp-edge openapi`: the document is OpenAPI 3.1, says all it should of each operation, and is the box's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
import schemathesis
from aiohttp import web

from easyisp_edge.__main__ import main
from easyisp_edge.domain.permissions import Permission
from easyisp_edge.web.admin.areas import AREAS
from easyisp_edge.web.admin.openapi import PATH, description_routes, document
from easyisp_edge.web.admin.operations import operations_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from aiohttp.test_utils import TestClient

DOCUMENT = document(AREAS)
METHODS = {"get", "post", "put", "patch", "delete"}
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
EACH = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))


def parts(value: Any, key: str) -> Iterator[Any]:
    """All values under a key, however deep."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == key:
                yield each
            yield from parts(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from parts(each, key)


def test_it_is_openapi() -> None:
    """By the standard's own schema, and its schemas by theirs; a document that is none is told."""
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    schemas = [*parts(DOCUMENT["paths"], "schema"), *DOCUMENT["components"]["schemas"].values()]
    for schema in schemas:
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict({**DOCUMENT, "info": {}}).validate()


def test_all_it_refers_to_is_there() -> None:
    """Each reference leads to a schema, and each schema is referred to."""
    referred = {each.removeprefix("#/components/schemas/") for each in parts(DOCUMENT, "$ref")}
    assert referred == set(DOCUMENT["components"]["schemas"])


def test_every_operation_is_in_it() -> None:
    """What the areas offer, and nothing else; each by a name of its own, of programs' kind."""
    offered = {f"{told.method} {told.path}" for area in AREAS for told in operations_of(area)}
    assert set(OPERATIONS) == offered
    assert {method for item in DOCUMENT["paths"].values() for method in item} <= METHODS
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z][A-Za-z]+", name)] == []


def test_no_two_paths_are_the_same() -> None:
    """Not even where only the names of their parts differ: a router of requests could take either."""
    bare = [re.sub(r"\{\w+\}", "{}", path) for path in DOCUMENT["paths"]]
    assert len(set(bare)) == len(bare)


@EACH
def test_an_operation_says_what_it_is(operation: dict[str, Any]) -> None:
    """A line that says what it does, one theme, and each parameter once, those of the path among them."""
    assert re.fullmatch(r"[A-Z/].{3,118}[^.]", operation["summary"])
    assert len(operation["tags"]) == 1
    parameters = [(each["in"], each["name"]) for each in operation["parameters"]]
    assert len(set(parameters)) == len(parameters)
    path = next(key for key, each in OPERATIONS.items() if each is operation)
    assert {name for place, name in parameters if place == "path"} == set(re.findall(r"\{(\w+)\}", path))


@EACH
def test_every_answer_has_a_schema(operation: dict[str, Any]) -> None:
    """Of one success, and of refusals, which are problem documents."""
    answers = operation["responses"]
    assert len([status for status in answers if status.startswith("2")]) == 1
    for status, answer in answers.items():
        assert answer["description"]
        assert answer["content"], status
        assert all(each["schema"] for each in answer["content"].values())
        if not status.startswith("2"):
            assert "application/problem+json" in answer["content"]


@EACH
def test_who_may_is_said(operation: dict[str, Any]) -> None:
    """A permission there is, and a token with 401 and 403; or else neither."""
    needs = operation.get("x-permission")
    assert needs is None or needs in set(Permission)
    if "security" in operation:
        assert {"401", "403"} <= operation["responses"].keys()
    else:
        assert needs is None


def test_the_command_needs_nothing(tmp_path: Path) -> None:
    """Neither a configuration nor a daemon, and nothing of the lab: one JSON document comes out, in plain ASCII."""
    command = [sys.executable, "-X", "importtime", "-m", "easyisp_edge", "openapi"]
    environ = {**os.environ, "PYTHONWARNINGS": "error", "LC_ALL": "C"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout.decode("ascii")) == DOCUMENT
    assert b"easyisp_edge.lab" not in done.stderr
    assert b"aiosqlite" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "codes"), [(["openapi"], {0}), (["--help"], {0}), (["check", "--config", "nowhere"], {0, 2})]
)
def test_whoever_stops_reading_is_not_shouted_at(tmp_path: Path, arguments: list[str], codes: set[int]) -> None:
    """As `head` does at some time: the command ends without a word, much or little was left to write."""
    command = [sys.executable, "-m", "easyisp_edge", *arguments]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode in codes


def test_it_takes_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """What it does not know is a wrong call, as of every command."""
    with pytest.raises(SystemExit) as raised:
        main(["openapi", "--yaml"])
    assert raised.value.code == 64
    assert capsys.readouterr().out == ""


async def test_a_box_serves_the_same(
    aiohttp_client: Callable[[web.Application], Awaitable[TestClient[Any, Any]]],
) -> None:
    """What the admin door gives at its address is what the command writes."""
    app = web.Application()
    app.add_routes(description_routes(AREAS))
    client = await aiohttp_client(app)
    async with client.get(PATH) as answer:
        assert answer.content_type == "application/json"
        assert await answer.json() == DOCUMENT
