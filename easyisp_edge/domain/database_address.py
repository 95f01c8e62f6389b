"""Where FreeRADIUS's database is: `sqlite:///var/lib/…` or `postgresql://user:password@host/name`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from easyisp_edge.errors import InvalidError

POSTGRESQL_PORT = 5432
_EXAMPLES = "sqlite:///var/lib/easyisp-radius/radius.sqlite or postgresql://radius:password@127.0.0.1/radius"
# What stands for itself in a configuration of FreeRADIUS, in a list of PostgreSQL's settings, and in a shell.
_PLAIN = re.compile(r"[A-Za-z0-9 _.,:;/@+=~^!?()<>&*|-]*", re.ASCII)
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class SqliteAddress:
    """A file.

    Args:
        path: Absolute.
    """

    path: Path


@dataclass(frozen=True, slots=True)
class PostgresqlAddress:
    """A database on a PostgreSQL server.

    Args:
        host: Name or address, or the folder of its socket.
        port: TCP port.
        user: Who to log in as.
        password: Empty where the server asks for none.
        name: Of the database.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str


DatabaseAddress = SqliteAddress | PostgresqlAddress


def parse_database(text: str) -> DatabaseAddress:
    """Read the address of a database.

    Raises:
        InvalidError: It is none, or holds characters that mean something to FreeRADIUS. The message says no password.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise _refused("is no address of a database") from None
    if parts.query or parts.fragment:
        raise _refused("has something after the name that is not understood")
    if parts.scheme == "sqlite":
        return _sqlite(parts)
    if parts.scheme in {"postgresql", "postgres"}:
        return _postgresql(parts, port or POSTGRESQL_PORT)
    raise _refused("is no address of a database")


def _sqlite(parts: SplitResult) -> SqliteAddress:
    path = unquote(parts.path)
    if parts.netloc or _PLAIN_PATH.fullmatch(path) is None or path.endswith("/"):
        raise _refused("has to name a file by its whole path, in letters, digits, and _ . -")
    return SqliteAddress(Path(path))


def _postgresql(parts: SplitResult, port: int) -> PostgresqlAddress:
    host, user = unquote(parts.hostname or ""), unquote(parts.username or "")
    password, name = unquote(parts.password or ""), unquote(parts.path.removeprefix("/"))
    if not host or not user or not name:
        raise _refused("has to name a server, a user and a database")
    if not all(_PLAIN.fullmatch(part) for part in (host, user, password, name)):
        raise _refused("holds a character that means something to FreeRADIUS; take letters and digits")
    return PostgresqlAddress(host, port, user, password, name)


def _refused(what: str) -> InvalidError:
    return InvalidError("freeradius.database", f"The database {what}; write it as {_EXAMPLES}.", field="database")
