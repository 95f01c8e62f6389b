"""The house rules a program can check: who may touch the machine, where SQL stands, where each library lives."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import easyisp_edge

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(easyisp_edge.__file__).parent
MODULES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}

# What reads the wall clock, sleeps or draws randomness. A whole module stands for all that is in it.
MACHINE = re.compile(
    r"(time|random|secrets|uuid)(\..+)?"
    r"|os\.(urandom|getrandom)"
    r"|asyncio\.sleep"
    r"|datetime\.(datetime|date)\.(now|utcnow|today|fromtimestamp|utcfromtimestamp)"
)
# These take what they need as an argument: an instant comes from a clock, a time zone is given.
HARMLESS = re.compile(r"secrets\.compare_digest|datetime\.datetime\.fromtimestamp")
MACHINE_ROOMS = {"system.py"}

SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|WITH|VACUUM)\b"
)
METHODS = {"DELETE"}  # of HTTP
SQL_ROOMS = {"store", "adapters/freeradius", "hub/store"}

HOMES: dict[str, set[str]] = {
    "aiohttp": {"web", "daemon", "lab", "hub", "http_log.py"},
    "httpx": {"adapters/daraja", "adapters/central", "commands"},
    "jinja2": {"web", "lab/daraja", "hub"},
    "librouteros": {"adapters/routeros"},
    "pyrad": {"lab"},
    "aiosqlite": {"store", "adapters/freeradius", "hub/store"},
    "asyncpg": {"adapters/freeradius", "hub/store"},
    "sqlite3": {"store", "adapters/freeradius", "hub/store"},
    "pydantic": {"config", "adapters/daraja", "adapters/central", "lab/daraja", "web/admin", "web/webhooks.py", "hub"},
    "pydantic_core": {"config", "web/admin"},
    "nacl": {"services/staff/passwords.py", "store/sealing.py", "adapters/central", "hub/keys.py"},
    "jwt": {"services/staff/login_tokens.py"},
}
# Named in a signature there, never run.
NAMED_ONLY = {"httpx": {"daemon", "hub/services.py"}}

# Tasks outside a TaskGroup, and who owns them.
TASK_OWNERS = {
    "machine.py": "a bell's wait, awaited and cancelled within the same call",
    "adapters/radius/server.py": "an answer under way, kept in a set and cancelled when its door closes",
    "lab/mikrotik/owned_tasks.py": "the lab router's set of tasks, cancelled when it closes",
    "lab/mikrotik/radius_client.py": "a timer, awaited and cancelled within the same call",
    "lab/daraja/background.py": "the lab gateway's set of tasks, cancelled when it closes",
}
BARE_TASKS = re.compile(r"asyncio\.(create_task|ensure_future)|.*get_(running|event)_loop\(\)\.create_task")


def in_rooms(module: str, rooms: set[str]) -> bool:
    return any(module == room or module.startswith(f"{room}/") for room in rooms)


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The name an import gives, and what it stands for: `dt`, `datetime.datetime`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (
                    alias.asname or alias.name.partition(".")[0],
                    alias.name if alias.asname else alias.name.partition(".")[0],
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """What an expression names, as far as its imports tell: `asyncio.sleep`, `asyncio.get_running_loop().time`."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value, names)
        return f"{inner}.{node.attr}" if inner else ""
    if isinstance(node, ast.Call):
        inner = dotted(node.func, names)
        return f"{inner}()" if inner else ""
    return ""


def uses(source: str) -> list[tuple[int, str]]:
    """Everything a module names of what it imports, with its line."""
    tree = ast.parse(source)
    names = dict(imports(tree))
    found = [
        (node.lineno, dotted(node, names)) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)
    ]
    return [(line, name) for line, name in found if name]


def machine_uses(source: str) -> list[str]:
    """Where a module reads the clock, sleeps or draws randomness by itself."""
    found = [
        f"{line}: {name}"
        for line, name in uses(source)
        if (
            MACHINE.fullmatch(name)
            and not HARMLESS.fullmatch(name)
            and name not in {"time", "random", "secrets", "uuid"}
        )
        or re.fullmatch(r"asyncio\.get_(running|event)_loop\(\)\.(time|call_later|call_at)", name)
    ]
    return sorted(set(found))


def bare_tasks(source: str) -> list[str]:
    """Where a module begins a task that no TaskGroup owns."""
    return [f"{line}: {name}" for line, name in uses(source) if BARE_TASKS.fullmatch(name)]


def docstrings(tree: ast.AST) -> set[int]:
    """The docstrings of a module, by identity."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, holders)]
    return {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}


def sql_texts(source: str) -> list[str]:
    """Where a module begins a text with a word of SQL in capitals."""
    tree = ast.parse(source)
    exempt = docstrings(tree)
    return [
        f"{node.lineno}: {node.value[:40]!r}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in exempt
        and SQL.match(node.value) and node.value not in METHODS
    ]  # fmt: skip


def type_checking_only(tree: ast.Module) -> set[int]:
    """The import statements that only a type checker runs, by identity."""
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {id(inner) for guard in guards for inner in guard.body}


def libraries(source: str, *, running: bool) -> set[str]:
    """The libraries of the list a module imports: those it runs, or those it only names in types."""
    tree = ast.parse(source)
    named_only = type_checking_only(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and (id(node) not in named_only) == running:
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found |= {module.partition(".")[0] for module in modules}
    return found & HOMES.keys()


@pytest.mark.parametrize("module", sorted(MODULES.keys() - MACHINE_ROOMS))
def test_only_the_machine_reads_clock_and_chance(module: str) -> None:
    """All else takes them handed in, so that it runs under a virtual clock and seeded chance."""
    assert machine_uses(MODULES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("module", MODULES)
def test_sql_stands_in_the_store(module: str) -> None:
    """And, of a database that is somebody else's, in what speaks to it; nowhere else."""
    if not in_rooms(module, SQL_ROOMS):
        assert sql_texts(MODULES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("module", MODULES)
def test_each_library_has_its_home(module: str) -> None:
    """A library that shows up in another room is a wall that was broken through."""
    source = MODULES[module].read_text(encoding="utf-8")
    strangers = {name for name in libraries(source, running=True) if not in_rooms(module, HOMES[name])}
    named = libraries(source, running=False)
    strangers |= {name for name in named if not in_rooms(module, HOMES[name] | NAMED_ONLY.get(name, set()))}
    assert strangers == set()


@pytest.mark.parametrize("module", sorted(MODULES.keys() - TASK_OWNERS.keys()))
def test_tasks_have_an_owner(module: str) -> None:
    """A task is a TaskGroup's, or one of the few whose owner is written down here."""
    assert bare_tasks(MODULES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("module", TASK_OWNERS)
def test_no_exemption_outlives_its_need(module: str) -> None:
    """What no longer begins tasks by itself is taken off the list."""
    assert bare_tasks(MODULES[module].read_text(encoding="utf-8"))


@pytest.mark.parametrize("library", HOMES)
def test_each_library_is_at_home(library: str) -> None:
    """A home in which nobody uses the library is a mistake in this list."""
    at_home = {
        home
        for home in HOMES[library]
        for module, path in MODULES.items()
        if in_rooms(module, {home}) and library in libraries(path.read_text(encoding="utf-8"), running=True)
    }
    assert at_home == HOMES[library]


OFFENCES = [
    "import time\ntime.monotonic()",
    "import time as t\nt.sleep(1)",
    "from time import time\ntime()",
    "from datetime import datetime\ndatetime.now()",
    "import datetime\ndatetime.datetime.utcnow()",
    "import datetime as dt\ndt.date.today()",
    "import asyncio\nasync def f():\n    await asyncio.sleep(1)",
    "from asyncio import sleep\nasync def f():\n    await sleep(1)",
    "import random\nrandom.random()",
    "from random import choice\nchoice([1])",
    "import secrets\nsecrets.token_hex()",
    "import os\nos.urandom(8)",
    "import uuid\nuuid.uuid4()",
    "from uuid import uuid4 as new\nnew()",
    "import asyncio\nasyncio.get_running_loop().time()",
    "import asyncio\nasyncio.get_running_loop().call_later(1, print)",
    "from datetime import datetime\nf = datetime.now",
]


@pytest.mark.parametrize("source", OFFENCES)
def test_the_check_sees_through_imports(source: str) -> None:
    """However a forbidden thing is named."""
    assert machine_uses(source)


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\ndatetime.fromisoformat('2026-01-01')",
        "import secrets\nsecrets.compare_digest(b'', b'')",
        "def f(clock):\n    clock.sleep(1)\n    clock.time()",
        "import asyncio\nasyncio.timeout(1)",
    ],
)
def test_the_check_lets_the_harmless_pass(source: str) -> None:
    """Else it would be worked around."""
    assert machine_uses(source) == []


@pytest.mark.parametrize(
    ("source", "tasks"),
    [
        ("import asyncio\nasyncio.create_task(f())", 1),
        ("from asyncio import ensure_future as go\ngo(f())", 1),
        ("import asyncio\nasyncio.get_running_loop().create_task(f())", 1),
        ("async with group:\n    group.create_task(f())", 0),
    ],
)
def test_the_check_knows_a_bare_task(source: str, tasks: int) -> None:
    """From one a TaskGroup owns."""
    assert len(bare_tasks(source)) == tasks


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("x = 'SELECT 1'", 1),
        ("x = f'  INSERT INTO {table}'", 1),
        ("'UPDATE is what this is about.'", 0),
        ("def f():\n    'DELETE nothing.'", 0),
        ("x = 'Select a package'", 0),
        ("x = 'SELECTED'", 0),
        ("x = 'DELETE'", 0),
    ],
)
def test_the_check_knows_sql(source: str, texts: int) -> None:
    """From docstrings and words for people."""
    assert len(sql_texts(source)) == texts
