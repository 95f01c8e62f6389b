"""A whole configuration of FreeRADIUS 3.2 for the routers: what its files hold. Nothing is written here.

Source: FreeRADIUS 3.2, radiusd.conf, clients.conf, mods-available/sql and sqlcounter; CVE-2024-3596.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.database_address import PostgresqlAddress, SqliteAddress
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from easyisp_edge.adapters.radius.peers import RadiusClient
    from easyisp_edge.domain.database_address import DatabaseAddress

DEBIAN_FOLDER = "/etc/freeradius/easyisp-edge"
# Debian 12's.
DEBIAN_VERSION = "3.2.1"
# Why FreeRADIUS may say no; each is said in words of its own.
REFUSALS = (
    "unknown_user",
    "wrong_password",
    "time_up",
    "data_up",
    "devices_full",
    "other_device",
    "other_place",
)
_SCHEMAS = {"sqlite": "sql/schema-sqlite.sql", "postgresql": "sql/schema-postgresql.sql"}
# A session not heard of for so many of its reporting intervals is not taken to be on.
_INTERIMS_MISSED_MAX = 3
_BUSY_TIMEOUT_MILLISECONDS = 5000

_PLACE = re.compile(r"@([a-z_]+)@")
# In single quotes all stands for itself but these; a variable would be expanded even so.
_QUOTABLE = re.compile(r"[^'\\\x00-\x1f\x7f]+")
# What is shown to somebody has no business with what FreeRADIUS expands elsewhere, either.
_EXPANDED = re.compile(r"`|%\{|\$\{")
_MESSAGE_OCTETS_MAX = 253
_FOLDER = re.compile(r"/[A-Za-z0-9_./-]*", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


class FreeradiusClient(NamedTuple):
    """A router that may ask, and whose it is."""

    router: RadiusClient
    tenant_id: str


@dataclass(frozen=True, slots=True)
class FreeradiusServer:
    """What a configuration is written for.

    Args:
        database: Where its users and sessions stand.
        clients: The routers that may ask.
        messages: What customers are told, for each of `REFUSALS`.
        version: FreeRADIUS's own, such as 3.2.1; the files are the same for all that are taken.
        address: What it listens on.
        auth_port: UDP port for logins.
        acct_port: UDP port for accounting.
        folder: Where the configuration will stand.
        log_folder: Where it logs to.
        run_folder: Where it puts its process id.
        written_to: The folder the files are written to first, for the instructions.
    """

    database: DatabaseAddress
    clients: Sequence[FreeradiusClient]
    messages: Mapping[str, str]
    version: str = DEBIAN_VERSION
    address: str = "*"
    auth_port: int = 1812
    acct_port: int = 1813
    folder: str = DEBIAN_FOLDER
    log_folder: str = "/var/log/freeradius"
    run_folder: str = "/run/freeradius"
    written_to: str = "."


class _Dialect(NamedTuple):
    """How a database says what the queries need."""

    name: str
    driver: str
    now: str
    started: str
    stale_at: str
    greatest: str
    device_address: str


_ROUTER = "'%{%{Packet-Src-IP-Address}:-%{Packet-Src-IPv6-Address}}'"
_START = "%l - %{%{Acct-Session-Time}:-0}"


def read_version(text: str) -> tuple[int, int, int]:
    """Read a release of FreeRADIUS.

    Raises:
        InvalidError: It is none, or none that this configuration is for.
    """
    found = re.fullmatch(r"\s*3\.2\.([0-9]{1,3})\s*", text, re.ASCII)
    if found is None:
        raise InvalidError(
            "freeradius.version",
            f"{text!r:.40} is no release of FreeRADIUS 3.2 such as 3.2.1; others are not configured.",
            field="version",
        )
    return (3, 2, int(found[1]))


def configuration_files(server: FreeradiusServer) -> dict[str, str]:
    """What each file holds, by its path within the folder. Those in `secrets/` hold secrets; all are to be 0640.

    Raises:
        InvalidError: A router's secret, id or pool, a message, the version or a folder cannot be written into it.
    """
    read_version(server.version)
    for folder in (server.folder, server.log_folder, server.run_folder):
        if _FOLDER.fullmatch(folder) is None:
            raise InvalidError("freeradius.folder", f"{folder!r:.80} has characters that mean something to FreeRADIUS.")
    dialect = _dialect(server)
    values = _values(server, dialect)
    names = [name for name in _templates() if name not in _SCHEMAS.values()]
    written = {name: _filled(_templates()[name], values) for name in names}
    written["sql/schema.sql"] = _templates()[_SCHEMAS[dialect.name]]
    written["clients.conf"] = "".join(_client(client) for client in server.clients)
    for client in server.clients:
        written[_secret_file(client.router)] = f"secret = '{_plain_secret(client.router)}'\n"
    return written | _database_files(server.database)


@lru_cache(maxsize=1)
def _templates() -> dict[str, str]:
    """All files that come with the package, by their path within the folder."""
    found: dict[str, str] = {}
    folders = [("", files(__package__) / "raddb")]
    for prefix, folder in folders:
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.is_dir():
                folders.append((f"{prefix}{entry.name}/", entry))
            else:
                found[prefix + entry.name] = entry.read_text(encoding="utf-8")
    return found


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda found: values[found[1]], template)


def _values(server: FreeradiusServer, dialect: _Dialect) -> dict[str, str]:
    return {
        "address": server.address,
        "auth_port": str(server.auth_port),
        "acct_port": str(server.acct_port),
        "folder": server.folder,
        "log_folder": server.log_folder,
        "run_folder": server.run_folder,
        "out": server.written_to,
        "version": server.version,
        "rejects": "".join(_case(refusal, server.messages[refusal]) for refusal in REFUSALS),
        "dialect": dialect.name,
        "driver": dialect.driver,
        "now": dialect.now,
        "started": dialect.started,
        "stale_at": dialect.stale_at,
        "stale_seconds": str(_stale_seconds(server)),
        "greatest": dialect.greatest,
        "router": _ROUTER,
        "device_address": dialect.device_address,
    } | _instructions(server)


def _case(refusal: str, message: str) -> str:
    # What marks a letter left out is written as printers do: the other would end the text.
    text = message.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
    if not _is_harmless(text) or len(text.encode()) > _MESSAGE_OCTETS_MAX:
        raise InvalidError("freeradius.message", f"The text rejects.{refusal} cannot be written for FreeRADIUS.")
    return _CASE.format(refusal=refusal, text=text)


_CASE = """\
		case "{refusal}" {{
			update reply {{
				&Reply-Message := '{text}'
			}}
		}}
"""


def _is_harmless(text: str) -> bool:
    return _QUOTABLE.fullmatch(text) is not None and _EXPANDED.search(text) is None and text.isprintable()


def _dialect(server: FreeradiusServer) -> _Dialect:
    stale = _stale_seconds(server)
    if isinstance(server.database, SqliteAddress):
        return _Dialect(
            name="sqlite",
            driver=_SQLITE_DRIVER.format(path=server.database.path, milliseconds=_BUSY_TIMEOUT_MILLISECONDS),
            now="%l",
            started=_START,
            stale_at=f"%l - {stale}",
            greatest="max",
            device_address="'%{Framed-IP-Address}'",
        )
    return _Dialect(
        name="postgresql",
        driver=_POSTGRESQL_DRIVER,
        now="TO_TIMESTAMP(%l)",
        started=f"TO_TIMESTAMP({_START})",
        stale_at=f"TO_TIMESTAMP(%l - {stale})",
        greatest="GREATEST",
        device_address="NULLIF('%{Framed-IP-Address}', '')::inet",
    )


_SQLITE_DRIVER = """\
	# EasyISP Edge writes beside FreeRADIUS: each waits a moment for the other.
	sqlite {{
		filename = "{path}"
		busy_timeout = {milliseconds}
		bootstrap = "${{confdir}}/sql/schema.sql"
	}}
"""
_POSTGRESQL_DRIVER = """\
	postgresql {
		send_application_name = yes
	}
"""


def _stale_seconds(server: FreeradiusServer) -> int:
    return _INTERIMS_MISSED_MAX * max((client.router.interim_seconds for client in server.clients), default=300)


def _client(client: FreeradiusClient) -> str:
    router = client.router
    required = router.message_authenticator == "required"
    settings = [
        f"ipaddr = {router.address}",
        f"shortname = {_plain_id(router.router_id)}",
        f"tenant = {_plain_id(client.tenant_id)}",
        f"$INCLUDE {_secret_file(router)}",
        f"require_message_authenticator = {'yes' if required else 'no'}",
        # Releases before 3.2.5 do not know it, and pass it over.
        f"limit_proxy_state = {'auto' if required else 'yes'}",
        *_pool(router),
    ]
    return f"client {router.router_id} {{\n" + "".join(f"\t{setting}\n" for setting in settings) + "}\n\n"


def _pool(router: RadiusClient) -> list[str]:
    if router.pppoe_pool is None:
        return []
    if not _is_harmless(router.pppoe_pool):
        raise InvalidError("freeradius.pool", f"The pppoe_pool of router {router.router_id} cannot be written.")
    return [f"pppoe_pool = '{router.pppoe_pool}'"]


def _plain_id(text: str) -> str:
    if _ID.fullmatch(text) is None:
        raise InvalidError("freeradius.id", f"{text!r:.80} is no id of a router or a tenant.")
    return text


def _secret_file(router: RadiusClient) -> str:
    return f"secrets/router-{_plain_id(router.router_id)}.conf"


def _plain_secret(router: RadiusClient) -> str:
    secret = router.secret.decode(errors="replace")
    if _QUOTABLE.fullmatch(secret) is None or "${" in secret or secret.startswith("0x"):
        raise InvalidError(
            "freeradius.secret",
            f"The RADIUS secret of router {router.router_id} has characters that mean something to FreeRADIUS;"
            " make another: openssl rand -hex 16",
        )
    return secret


def _database_files(database: DatabaseAddress) -> dict[str, str]:
    if isinstance(database, SqliteAddress):
        return {"secrets/database.conf": "# A file has no password.\n"}
    settings = {
        "server": database.host,
        "port": str(database.port),
        "login": database.user,
        "password": database.password,
        "radius_db": database.name,
    }
    for_psql = {
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGUSER": database.user,
        "PGPASSWORD": database.password,
        "PGDATABASE": database.name,
        "PGOPTIONS": "--client-min-messages=warning",
    }
    return {
        "secrets/database.conf": "".join(f"{name} = '{value}'\n" for name, value in settings.items()),
        "secrets/psql.env": "".join(f"export {name}='{value}'\n" for name, value in for_psql.items()),
    }


def _instructions(server: FreeradiusServer) -> dict[str, str]:
    """What the README and the script say of this database."""
    if isinstance(server.database, PostgresqlAddress):
        return {
            "database": "PostgreSQL",
            "packages": "freeradius freeradius-postgresql postgresql-client",
            "database_note": _POSTGRESQL_NOTE.format(user=server.database.user, name=server.database.name),
            "prepare": _POSTGRESQL_PREPARE,
            "finish": "",
        }
    folder = server.database.path.parent
    return {
        "database": "SQLite",
        "packages": "freeradius",
        "database_note": _SQLITE_NOTE.format(path=server.database.path),
        "prepare": _SQLITE_PREPARE.format(folder=folder),
        "finish": _SQLITE_FINISH.format(path=server.database.path),
    }


_POSTGRESQL_NOTE = """\
The database and its user have to be there: `sudo -u postgres createuser --pwprompt {user}` and
  `sudo -u postgres createdb --owner {user} {name}`. The tables are made by the script where they are missing."""
_SQLITE_NOTE = """\
FreeRADIUS makes the database `{path}`. It and its folder belong to the group
  `freerad`, which EasyISP Edge is a member of once it was restarted: `sudo systemctl restart easyisp-edge`. Where the
  file was deleted, run the script again."""
_POSTGRESQL_PREPARE = """\
(. "$folder/secrets/psql.env" && psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --file "$folder/sql/schema.sql")
"""
_SQLITE_PREPARE = """\
# Two write here: the files a database has beside it take its group from the folder.
install -d -o freerad -g freerad -m 2770 {folder}
install -d /etc/systemd/system/easyisp-edge.service.d
printf '[Service]\\nSupplementaryGroups=freerad\\nReadWritePaths={folder}\\n' \\
	>/etc/systemd/system/easyisp-edge.service.d/freeradius.conf
"""
_SQLITE_FINISH = """\
# FreeRADIUS has made it by now; the files beside it get the same mode.
chmod 0660 {path}
"""
