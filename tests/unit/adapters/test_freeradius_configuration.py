"""The files written for FreeRADIUS say what they have to, and nothing in them means something else."""

from __future__ import annotations

import argparse
import io
import json
import re
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.adapters.freeradius.configuration import (
    REFUSALS,
    FreeradiusClient,
    FreeradiusServer,
    configuration_files,
    read_version,
)
from easyisp_edge.adapters.radius.peers import RadiusClient
from easyisp_edge.commands import freeradius
from easyisp_edge.commands.check import run_check
from easyisp_edge.domain.database_address import PostgresqlAddress, SqliteAddress, parse_database
from easyisp_edge.errors import InvalidError
from easyisp_edge.portal_files import portal_folder
from easyisp_edge.web.texts import Texts

ROUTER = RadiusClient("main", "192.168.88.1", b"0123456789abcdef", "required", 300)
OLD_ROUTER = RadiusClient("annexe", "fd00::2", b"fedcba9876543210", "if-present", 600)
SQLITE = SqliteAddress(Path("/var/lib/easyisp-radius/radius.sqlite"))
POSTGRESQL = PostgresqlAddress("db.lan", 5432, "radius", "p4ssword", "radius")
MESSAGES = {refusal: f"Words for {refusal}." for refusal in REFUSALS}
CLIENTS = [FreeradiusClient(ROUTER, "default"), FreeradiusClient(OLD_ROUTER, "coast")]
SERVER = FreeradiusServer(SQLITE, CLIENTS, MESSAGES)


@pytest.mark.parametrize("database", [SQLITE, POSTGRESQL])
def test_every_place_is_filled(database: SqliteAddress | PostgresqlAddress) -> None:
    """No name of a template stays, and each included file is there."""
    files = configuration_files(replace(SERVER, database=database))
    assert {
        "radiusd.conf",
        "clients.conf",
        "sites/edge.conf",
        "mods/sql.conf",
        "README.md",
        "install.sh",
    } <= files.keys()
    assert not [name for name, content in files.items() if "@" in content.replace("@/", "")]
    included = {
        "clients.conf",
        "secrets/database.conf",
        "secrets/router-main.conf",
        "sql/queries.conf",
        "sql/schema.sql",
    }
    assert included <= files.keys()


def test_secrets_stand_in_files_of_their_own() -> None:
    """All else may be shown to somebody who helps."""
    files = configuration_files(replace(SERVER, database=POSTGRESQL))
    with_secrets = {
        name
        for name, content in files.items()
        for secret in ("0123456789abcdef", "fedcba9876543210", "p4ssword")
        if secret in content
    }
    assert with_secrets == {
        "secrets/router-main.conf",
        "secrets/router-annexe.conf",
        "secrets/database.conf",
        "secrets/psql.env",
    }


def test_each_router_is_a_client_by_its_address() -> None:
    """With whose it is, and whether its logins have to be signed."""
    clients = configuration_files(SERVER)["clients.conf"].split("\n\n")
    assert "ipaddr = 192.168.88.1\n" in clients[0]
    assert "tenant = default\n" in clients[0]
    assert "require_message_authenticator = yes\n" in clients[0]
    assert "ipaddr = fd00::2\n" in clients[1]
    assert "require_message_authenticator = no\n" in clients[1]
    assert "limit_proxy_state = auto\n" in clients[0]
    assert "limit_proxy_state = yes\n" in clients[1]


def test_the_files_are_the_same_for_every_release() -> None:
    """An upgrade of FreeRADIUS needs nothing written anew but the README, which names the release."""
    files = configuration_files(replace(SERVER, version="3.2.1"))
    later = configuration_files(replace(SERVER, version="3.2.10"))
    assert {name for name in files.keys() | later.keys() if files.get(name) != later.get(name)} == {"README.md"}


@pytest.mark.parametrize(("version", "told"), [("3.2.1", True), ("3.2.4", True), ("3.2.5", False), ("3.2.10", False)])
def test_replies_are_signed_by_the_configuration_before_3_2_5_only(version: str, told: bool) -> None:  # noqa: FBT001
    """Since then FreeRADIUS does that by itself, and a second signature would be one too many."""
    policy = configuration_files(SERVER)["policy/edge.conf"]
    found = re.search(r'if \("\$\{version\.freeradius-server\}" =~ /(.+)/\) \{\n.*\n\t*&Message-Authenticator', policy)
    assert found is not None
    assert (re.search(found[1], version) is not None) is told


def test_every_refusal_has_its_words() -> None:
    """In the captive portal's texts, in every language; none needs a value FreeRADIUS would not know."""
    texts = Texts.load(portal_folder() / "translations")
    for language in texts.languages:
        messages = {refusal: texts.get(language, f"rejects.{refusal}") for refusal in REFUSALS}
        written = configuration_files(replace(SERVER, messages=messages))["policy/rejects.conf"]
        for refusal, message in messages.items():
            assert message != f"rejects.{refusal}"
            assert not texts.placeholders(f"rejects.{refusal}")
            assert f"case \"{refusal}\" {{\n\t\t\tupdate reply {{\n\t\t\t\t&Reply-Message := '{message}'\n" in written


HOSTILE_TEXTS = ["`id`", "a\\'b", "${run_dir}", "%{User-Name}", "%{exec:id}", "new\nline", "tab\t", "", "é" * 127]


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_message_that_would_be_read_otherwise_is_refused(refusal: str, text: str) -> None:
    """So is one that no Reply-Message holds."""
    with pytest.raises(InvalidError, match=refusal):
        configuration_files(replace(SERVER, messages=MESSAGES | {refusal: text}))


@given(st.text(max_size=40), st.text(min_size=1, max_size=40))
def test_no_message_or_pool_breaks_out_of_its_quotes(message: str, pool: str) -> None:
    """It stands between its quotes as it is, or nothing is written; only a straight apostrophe is made a curled one."""
    router = FreeradiusClient(replace(ROUTER, pppoe_pool=pool), "default")
    try:
        files = configuration_files(replace(SERVER, clients=[router], messages=MESSAGES | {"time_up": message}))
    except InvalidError:
        return
    curled = message.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
    assert f"\n\t\t\t\t&Reply-Message := '{curled}'\n" in files["policy/rejects.conf"]
    assert f"\n\tpppoe_pool = '{pool}'\n" in files["clients.conf"]
    for text in (curled, pool):
        assert not re.search(r"['\\`\x00-\x1f\x7f\u2028]|%\{|\$\{", text)


def test_a_routers_pool_stands_with_it() -> None:
    """And nothing where it has none: its PPP profile says what addresses there are."""
    pools = [replace(ROUTER, pppoe_pool="pppoe-customers"), OLD_ROUTER]
    clients = [FreeradiusClient(router, "default") for router in pools]
    first, second = configuration_files(replace(SERVER, clients=clients))["clients.conf"].split("\n\n")[:2]
    assert "\tpppoe_pool = 'pppoe-customers'\n" in first
    assert "pppoe_pool" not in second


def test_a_device_is_counted_for_three_intervals() -> None:
    """Of the router that reports least often."""
    assert "acctupdatetime > %l - 1800" in configuration_files(SERVER)["sql/queries.conf"]
    queries = configuration_files(replace(SERVER, database=POSTGRESQL))["sql/queries.conf"]
    assert "acctupdatetime > TO_TIMESTAMP(%l - 1800)" in queries
    assert "simul_verify_query =" not in queries


@pytest.mark.parametrize("version", ["", "3", "3.0.26", "4.0.1", "3.2", "3.2.x", "2.2.10"])
def test_other_releases_are_not_configured(version: str) -> None:
    """Their files differ."""
    with pytest.raises(InvalidError):
        read_version(version)
    with pytest.raises(InvalidError):
        configuration_files(replace(SERVER, version=version))


@pytest.mark.parametrize("secret", ["it's", "back\\slash", "${run_dir}", "0x1234", "new\nline", "tab\t"])
def test_a_secret_that_would_be_read_otherwise_is_refused(secret: str) -> None:
    """The message says whose it is, and not the secret."""
    client = FreeradiusClient(replace(ROUTER, secret=secret.encode()), "default")
    with pytest.raises(InvalidError, match="router main") as error:
        configuration_files(replace(SERVER, clients=[client]))
    assert secret not in str(error.value)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_name_breaks_out_of_its_place(router_id: str, tenant_id: str, folder: str) -> None:
    """An id or a folder is plain, or nothing is written."""
    hostile = FreeradiusClient(replace(ROUTER, router_id=router_id), tenant_id)
    try:
        files = configuration_files(replace(SERVER, clients=[hostile], folder=folder))
    except InvalidError:
        return
    assert not set(router_id + tenant_id + folder) & set(" \n\t\"'`$%{}#;\\")
    assert f"client {router_id} {{" in files["clients.conf"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sqlite:///var/lib/radius.sqlite", SqliteAddress(Path("/var/lib/radius.sqlite"))),
        ("postgresql://radius:p4ss@db.lan/radius", PostgresqlAddress("db.lan", 5432, "radius", "p4ss", "radius")),
        ("postgres://radius:a%40b%2Fc@10.0.0.1:5433/r", PostgresqlAddress("10.0.0.1", 5433, "radius", "a@b/c", "r")),
        ("postgresql://radius@%2Frun%2Fpostgresql/r", PostgresqlAddress("/run/postgresql", 5432, "radius", "", "r")),
    ],
)
def test_a_database_is_named_by_its_address(text: str, address: SqliteAddress | PostgresqlAddress) -> None:
    """A file, or a server with user and password."""
    assert parse_database(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "radius.sqlite", "sqlite://radius.sqlite", "sqlite:///", "sqlite:///a b", "sqlite:///a$(id)", "mysql://a:b@c/d",
        "postgresql://host/radius", "postgresql://u:s3cret@/radius", "postgresql://u:s3cret@host",
        "postgresql://u:s3cret'@host/radius", "postgresql://u:s3cret@host:port/radius", "postgresql://u:s3cret@h/r?x=y",
    ],
)  # fmt: skip
def test_another_address_is_refused(text: str) -> None:
    """With an example, and without the password that may stand in it."""
    with pytest.raises(InvalidError, match="write it as") as error:
        parse_database(text)
    assert "s3cret" not in str(error.value)


CONFIGURED = """
[[router]]
id = "main"
address = "192.168.88.1"
mode = "radius"
login_url = "http://10.5.50.1/login"
radius = { secret_file = "secret" }
[[router]]
id = "other"
address = "192.168.88.2"
mode = "hotspot-user"
api = { tls = false, username = "u", password_file = "secret" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small right configuration of a box."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "edge.toml").write_text("[radius]\nauth_port = 11812\n")
    (folder / "routers.toml").write_text(CONFIGURED)
    (folder / "secret").write_text("0123456789abcdef")
    (folder / "secret").chmod(0o600)
    return folder


def run(folder: Path, out: Path, *more: str, database: str | None = "sqlite:///var/lib/radius/r.sqlite") -> int:
    """Run the command as the command line does."""
    parser = argparse.ArgumentParser()
    freeradius.add_parser(parser.add_subparsers())
    arguments = ["freeradius", "config", "-o", str(out), "--config", str(folder), *more]
    if database is not None:
        arguments += ["--database", database]
    args = parser.parse_args(arguments)
    code: int = args.run(args)
    return code


def test_the_command_writes_and_says_what(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file is its owner's to write and its group's to read; others see nothing."""
    out = tmp_path / "raddb"
    assert run(folder, out, "--release", "3.2.1") == 0
    said = capsys.readouterr().out
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert all(f"  {name}\n" in said for name in names - {"MANIFEST"})
    assert "README.md" in said
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*") if path.is_file()} == {0o640}
    assert not [path for path in (out, *out.rglob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o007]
    assert "port = 11812" in (out / "sites/edge.conf").read_text()
    assert "other" not in (out / "clients.conf").read_text()
    assert "0123456789abcdef" not in said


def test_the_configured_database_is_taken_where_none_is_named(folder: Path, tmp_path: Path) -> None:
    """And the routers that ask FreeRADIUS, none that asks this box."""
    (folder / "edge.toml").write_text('[freeradius]\ndatabase = "sqlite:///var/lib/radius/configured.sqlite"\n')
    asking = CONFIGURED.replace('"main"', '"asking"').replace("88.1", "88.3")
    asking = asking[: asking.index("[[router]]", 20)].replace("}", ', server = "freeradius" }')
    (folder / "routers.toml").write_text(CONFIGURED + asking)
    out = tmp_path / "raddb"
    assert run(folder, out, database=None) == 0
    written = {path.name: path.read_text() for path in out.rglob("*") if path.is_file()}
    assert any("/var/lib/radius/configured.sqlite" in text for text in written.values())
    assert "asking" in written["clients.conf"]
    assert "main" not in written["clients.conf"]


def test_messages_are_in_the_sites_language(folder: Path, tmp_path: Path) -> None:
    """As portal.toml has it."""
    (folder / "portal.toml").write_text('default_language = "sw"\n')
    assert run(folder, tmp_path / "raddb") == 0
    assert "'Nenosiri si sahihi.'" in (tmp_path / "raddb/policy/rejects.conf").read_text()


BOTH = (
    CONFIGURED.replace('"main"', '"lobby"')
    .replace('mode = "hotspot-user"', 'mode = "radius"')
    .replace(
        'api = { tls = false, username = "u", password_file = "secret" }',
        'login_url = "http://10.5.60.1/login"\nradius = { secret_file = "secret", server = "freeradius" }',
    )
)


def test_two_servers_on_one_machine_are_told_of(folder: Path, tmp_path: Path) -> None:
    """They would fight for the ports: which routers ask whom, and what to do, stands in the answer of check."""
    (folder / "edge.toml").write_text('[freeradius]\ndatabase = "sqlite:///var/lib/radius/r.sqlite"\n')
    (folder / "routers.toml").write_text(BOTH)
    said, as_json = io.StringIO(), io.StringIO()
    assert run_check(folder, {}, out=said) == 0
    note = said.getvalue().splitlines()[-1]
    assert note.startswith("note: routers ask this box (lobby) and FreeRADIUS (other), both at 0.0.0.0, ports 1812 and")
    assert "--auth-port" in note
    run_check(folder, {}, as_json=True, out=as_json)
    assert json.loads(as_json.getvalue())["notes"] == [note.removeprefix("note: ")]
    (folder / "routers.toml").write_text(BOTH.replace('secret" }', 'secret", server = "freeradius" }'))
    alone = io.StringIO()
    run_check(folder, {}, out=alone)
    assert "note:" not in alone.getvalue()


def test_freeradius_gets_ports_of_its_own_where_asked(folder: Path, tmp_path: Path) -> None:
    """Those of [radius] stay the embedded server's; what is no port is refused."""
    assert run(folder, tmp_path / "raddb", "--auth-port", "1645", "--acct-port", "1646") == 0
    site = (tmp_path / "raddb/sites/edge.conf").read_text()
    assert re.findall(r"port = (\d+)", site) == ["1645", "1646"]
    for wrong in ("0", "65536", "x", "-1", "\N{SUPERSCRIPT TWO}"):
        with pytest.raises(SystemExit):
            run(folder, tmp_path / "raddb", f"--auth-port={wrong}")


def test_written_again_nothing_old_stays(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A router that was taken out leaves no secret behind; what somebody put beside is left."""
    out = tmp_path / "raddb"
    assert run(folder, out) == 0
    (out / "notes.txt").write_text("mine")
    (folder / "routers.toml").write_text(CONFIGURED.replace('"main"', '"lobby"'))
    assert run(folder, out, "--json") == 0
    assert sorted(path.name for path in (out / "secrets").iterdir()) == ["database.conf", "router-lobby.conf"]
    assert (out / "notes.txt").read_text() == "mine"
    assert "secrets/router-lobby.conf" in json.loads(capsys.readouterr().out.splitlines()[-1])["files"]


def test_a_folder_of_something_else_is_left_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as Debian's own configuration, or the home of somebody."""
    out = tmp_path / "raddb"
    out.mkdir()
    (out / "radiusd.conf").write_text("theirs")
    assert run(folder, out) == 1
    assert "holds something else" in capsys.readouterr().out
    assert [path.name for path in out.iterdir()] == ["radiusd.conf"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"database": "mysql://x"}, "no address of a database"),
        ({"database": None}, "edge.toml has no [freeradius]"),
        ({"more": ["--release", "4.0.0"]}, "no release of FreeRADIUS 3.2"),
        ({"more": ["--router", "other"]}, "has no [router.radius]"),
        ({"more": ["--router", "nobody"]}, 'no router "nobody"'),
    ],
)
def test_what_is_wrong_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    """And nothing is written."""
    more, kept = changes.get("more", []), {name: value for name, value in changes.items() if name != "more"}
    assert run(folder, tmp_path / "raddb", *more, **kept) == 1
    assert said in capsys.readouterr().out
    assert not (tmp_path / "raddb").exists()


def test_a_wrong_configuration_is_told_apart(folder: Path, tmp_path: Path) -> None:
    """By the exit code, as everywhere."""
    (folder / "routers.toml").write_text("[[router]]\n")
    assert run(folder, tmp_path / "raddb", "--json") == 2


@pytest.mark.parametrize("database", [SQLITE, POSTGRESQL])
def test_the_script_is_one(database: SqliteAddress | PostgresqlAddress, tmp_path: Path) -> None:
    """A shell reads it to its end without a fault."""
    files = configuration_files(replace(SERVER, database=database))
    (tmp_path / "install.sh").write_text(files["install.sh"])
    subprocess.run(["sh", "-n", tmp_path / "install.sh"], check=True)
