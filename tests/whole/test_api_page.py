"""What the page about the API shows is what a box does: each of its requests is made, and its answers are compared."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest

from easyisp_edge.web.admin.areas import AREAS
from easyisp_edge.web.admin.operations import operations_of
from tests.whole.answer_shapes import INSTANT, differences
from tests.whole.back_office_stage import OFFICE_EDGE, PASSWORD, TILL, WEBHOOK_KEY, BackOfficeStage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
PLACE = "http://127.0.0.1:8081"
MORE = "…"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`([\w.]+)` is `\$(\w+)`")
# What is another each time, and by what it is known.
_VARIES = (INSTANT, re.compile(r"[0-9a-f]{32}"), re.compile(r"[A-Z0-9]{10}"), re.compile(r"[A-Z0-9]{6}"))


class Example(NamedTuple):
    """A request of the page and its answer.

    Args:
        request: The words of its command line.
        answer: What is shown to come back.
        names: What is called how afterwards: where in the answer it stands, by name.
    """

    request: list[str]
    answer: str
    names: dict[str, str]


def examples(text: str) -> Iterator[Example]:
    """The page's requests, in order; what is named belongs to the answer before it."""
    blocks = list(_BLOCK.finditer(text))
    for block, until in zip(blocks, [each.start() for each in blocks[1:]] + [len(text)], strict=True):
        assert block[1].startswith("$ ")
        words, answer = command_of(block[1].removeprefix("$ ").splitlines())
        yield Example(words, answer, {name: where for where, name in _NAMED.findall(text, block.end(), until)})


def command_of(lines: list[str]) -> tuple[list[str], str]:
    """A command's words, as a shell reads them, and what is shown after it."""
    for count in range(1, len(lines) + 1):
        command = "\n".join(lines[:count]).replace("\\\n", " ")
        with contextlib.suppress(ValueError):  # a quotation goes on in the next line
            words = shlex.split(command)
            if not command.endswith("\\"):
                return words, "\n".join(lines[count:])
    raise AssertionError(lines)


@dataclass
class Request:
    """What a command line asks for.

    Args:
        url: Where.
        method: How.
        headers: With which headers.
        body: And which body.
    """

    url: str = ""
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None

    @classmethod
    def of(cls, command: list[str]) -> Request:
        """Read it as curl would; the page shows no other options."""
        words = iter(command)
        assert next(words) == "curl"
        request = cls()
        for word in words:
            if word == "-X":
                request.method = next(words)
            elif word == "-H":
                name, _, value = next(words).partition(": ")
                request.headers[name] = value
            elif word == "--json":
                request.method, request.body = "POST", next(words)
                request.headers["Content-Type"] = "application/json"
            else:
                assert not word.startswith("-"), word
                assert not request.url
                request.url = word
        return request


def stated(shown: Any) -> Any:
    """What an answer has to be, of what the page shows: its fields and values, where those do not vary."""
    if isinstance(shown, dict):
        return {name: stated(each) for name, each in shown.items() if name != MORE}
    if isinstance(shown, list):
        return [stated(each) for each in shown]
    if isinstance(shown, str):
        if MORE in shown:
            return re.compile(".+")
        return next((pattern for pattern in _VARIES if pattern.fullmatch(shown)), shown)
    return shown


def unshown(found: Any, shown: Any, where: str = "answer") -> list[str]:
    """Fields the answer has, and the page leaves out without saying so."""
    if isinstance(found, dict) and isinstance(shown, dict):
        more = [] if MORE in shown else [f"{where}.{name} is not shown" for name in found.keys() - shown.keys()]
        both = found.keys() & shown.keys()
        return more + [each for name in both for each in unshown(found[name], shown[name], f"{where}.{name}")]
    if isinstance(found, list) and isinstance(shown, list):
        pairs = zip(found, shown, strict=False)
        return [each for pair in pairs for each in unshown(*pair, where)]
    return []


def differs(example: Example, found: str) -> list[str]:
    """Where an answer is not as shown."""
    if example.answer.startswith("{"):
        shown, content = json.loads(example.answer), json.loads(found)
        return differences(content, stated(shown)) + unshown(content, shown)
    lines = list(zip(example.answer.splitlines(), found.splitlines(), strict=False))
    rows = [(line.split(","), other.split(",")) for line, other in lines]
    return [f"{other} is not like {line}" for line, other in rows if not _alike(line, other)]


def _alike(line: list[str], other: list[str]) -> bool:
    shown = line[: line.index(MORE)] if MORE in line else line
    if len(shown) > len(other) or (shown == line and len(line) != len(other)):
        return False
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+03:00")
    patterns = (moment, re.compile(r"(?=.*\d)[A-Z0-9]{10}"))
    for one, cell in zip(shown, other, strict=False):
        pattern = next((each for each in patterns if each.fullmatch(one)), None)
        if not (one == cell if pattern is None else pattern.fullmatch(cell)):
            return False
    return True


def _found_at(content: Any, where: str) -> str:
    for step in where.split("."):
        content = content[int(step)] if step.isdigit() else content[step]
    return str(content)


class OneBusiness(BackOfficeStage):
    """A box of one business whose owner nobody has logged in yet."""

    usual_files: ClassVar[Mapping[str, str]] = {"edge.toml": OFFICE_EDGE}

    async def let_people_in(self) -> None:
        await self.add_first("me@example.com")


async def test_each_example(tmp_path: Path) -> None:
    """Made in the page's order on a box that has sold one hour; what the page names is carried on."""
    text = PAGE.read_text(encoding="utf-8")
    names = {"WEBHOOK_KEY": WEBHOOK_KEY, "KEY": TILL.consumer_key, "SECRET": TILL.consumer_secret}
    names["PASSKEY"] = TILL.passkey
    assert PASSWORD in text
    async with OneBusiness(tmp_path) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online()
        await stage.until_running()
        for example in examples(text):
            request = Request.of([Template(word).substitute(names) for word in example.request])
            assert request.url.startswith(PLACE)
            async with stage.office.request(
                request.method, request.url.removeprefix(PLACE), data=request.body, headers=request.headers
            ) as answer:
                found = await answer.text()
            assert differs(example, found) == [], f"{example.request}\n{found}"
            for name, where in example.names.items():
                names[name] = _found_at(json.loads(found), where)


def test_what_the_text_names_is_there() -> None:
    """Each operation that stands outside of the examples is one of the document's."""
    offered = {f"{told.method} {re.sub(r'{[^}]*}', '{}', told.path)}" for area in AREAS for told in operations_of(area)}
    named = re.findall(r"`([A-Z]+ /api/[^`]*)`", PAGE.read_text(encoding="utf-8"))
    assert named
    assert {re.sub(r"\{\w+\}", "{}", each) for each in named} <= offered


def test_lists_go_by_what_the_text_says() -> None:
    """Those that the text names go by pages, one of them by a cursor, too; all others by a cursor and a limit."""
    told = [each for area in AREAS for each in operations_of(area) if each.query is not None]
    fields = {each.path: {one.alias or name for name, one in each.query.model_fields.items()} for each in told}  # type: ignore[union-attr]
    paged = {path for path, names in fields.items() if names & {"page", "pageSize"}}
    assert paged == {"/api/payments/electronic", "/api/payments/mpesa", "/api/payments/manual"}
    assert all("limit" not in fields[path] for path in paged)
    assert {path for path in paged if "cursor" in fields[path]} == paged - {"/api/payments/manual"}
    assert {path for path, names in fields.items() if "cursor" in names} - paged == {
        path for path, names in fields.items() if "limit" in names
    }
    text = PAGE.read_text(encoding="utf-8")
    assert "go by `page` and `pageSize` in\nthe place of `limit`" in text


def test_the_page_is_short_and_of_the_usual_width() -> None:
    """A developer reads it in one go, on any screen."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 160
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1}', '{"a": 1, "b": 2}'),
        ('{"a": 1, "b": 2}', '{"a": 1}'),
        ('{"a": {"b": "0e3f7a9c0e3f7a9c0e3f7a9c0e3f7a9c"}}', '{"a": {"b": "no id"}}'),
        ('{"a": [{"…": 0}]}', '{"a": []}'),
        ('{"a": "2026-11-23T16:40:10.532Z"}', '{"a": "2026-11-23T16:40:10"}'),
        ('{"a": "…"}', '{"a": ""}'),
    ],
)
def test_what_differs_is_seen(shown: str, found: str) -> None:
    """Another value, a field too few, one too many that is not left out by "…", or another kind of text."""
    assert differs(Example([], shown, {}), found)
