"""The hub as it is installed: the example of its configuration and its unit agree with each other and with the hub."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from easyisp_edge.commands.hub_opening import CONFIG_FILE
from easyisp_edge.domain.database_address import PostgresqlAddress, SqliteAddress
from easyisp_edge.hub.config import HubConfig, load_hub_config
from easyisp_edge.system import BOOT_ID_VARIABLE
from tests.fakes.service_manager import UNITS, Unit
from tests.real_parts import require

UNIT = UNITS / "easyisp-hub.service"
EXAMPLE = UNITS.parent / "docs" / "hub.toml"
_SETTING = re.compile(r"#(\[\[[a-z]+\]\]|[a-z_]+ = .+)")
# What a service exposes that speaks IP outwards to any address, opens one port of its own and writes to the log.
EXPOSED = {
    "DeviceAllow=",  # reading the hardware clock, which ProtectClock allows
    "IPAddressDeny=",
    "PrivateNetwork=",
    "RestrictAddressFamilies=~AF_(INET|INET6)",
    "RestrictAddressFamilies=~AF_UNIX",
    "RootDirectory=/RootImage=",
}


def example() -> str:
    return EXAMPLE.read_text(encoding="utf-8")


def taken_over(folder: Path) -> HubConfig:
    """The example with everything in it in force that can be."""
    lines = [line for line in example().splitlines() if not line.startswith("database = ")]
    text = "\n".join(found[1] if (found := _SETTING.fullmatch(line)) else line for line in lines)
    path = folder / "hub.toml"
    path.write_text(text, encoding="utf-8")
    return load_hub_config(path)


@pytest.fixture(name="analyze")
def _analyze() -> str:
    return require("systemd-analyze", "systemd")


def judged(analyze: str, *options: str) -> str:
    """What systemd makes of the unit."""
    command = [analyze, "security", "--offline=true", "--no-pager", *options, str(UNIT)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_the_example_is_good_as_it_stands() -> None:
    """Copied and with nothing changed, the example is a configuration: SQLite, no fleet's pages, no M-Pesa."""
    config = load_hub_config(EXAMPLE)
    assert isinstance(config.database, SqliteAddress)
    assert config.fleet_token_file is None
    assert config.mpesa == ()


def test_what_the_example_offers_is_good_too(tmp_path: Path) -> None:
    """Every line that is commented out can be put in force; each setting the hub has is in the example."""
    config = taken_over(tmp_path)
    assert isinstance(config.database, PostgresqlAddress)
    assert config.fleet_token_file == tmp_path / "fleet-token"
    assert config.model_fields_set == set(HubConfig.model_fields)
    (account,) = config.mpesa
    assert account.model_fields_set == set(type(account).model_fields)


def test_the_example_says_what_holds_anyway(tmp_path: Path) -> None:
    """Settings that are commented out are what the hub does where they are left out."""
    meant, said = load_hub_config(EXAMPLE), taken_over(tmp_path)
    assert (said.address, said.port, said.proxies) == (meant.address, meant.port, meant.proxies)
    assert said.mpesa[0].base_url == type(said.mpesa[0]).model_fields["base_url"].default


def test_the_unit_has_room_for_what_the_example_names() -> None:
    """The key and the book are in the folder systemd makes; the port is the one that may be bound."""
    unit, config = Unit.read(UNIT), load_hub_config(EXAMPLE)
    state = Path("/var/lib", unit.one("StateDirectory"))
    assert isinstance(config.database, SqliteAddress)
    assert {config.key_file.parent, config.database.path.parent} == {state}
    assert unit.one("SocketBindAllow") == f"tcp:{config.port}"
    assert unit.one("SocketBindDeny") == "any"


def test_the_unit_hands_over_what_the_example_names() -> None:
    """The configuration, and every secret it names, in use or not, come from where the commands look for them."""
    unit = Unit.read(UNIT)
    folder = CONFIG_FILE.parent
    assert Path("/etc", unit.one("ConfigurationDirectory")) == folder
    assert unit.one("LoadCredential") == f"hub.toml:{CONFIG_FILE}"
    assert "--config %d/hub.toml" in unit.one("ExecStart")
    offered = re.findall(r"^#LoadCredential=(.+):(.+)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    named = set(re.findall(r'_file = "([^/"]+)"', example()))
    assert named
    assert dict(offered) == {name: str(folder / name) for name in named}


def test_boot_id_is_handed_over_where_it_is_hidden() -> None:
    """A hub that cannot see /proc/sys is told the boot id, without which its clock does not start."""
    unit = Unit.read(UNIT)
    assert unit.one("ProcSubset") == "pid"
    assert unit.one("Environment") == f"{BOOT_ID_VARIABLE}=%b"


@pytest.mark.real_part("systemd-analyze")
def test_exposure(analyze: str) -> None:
    """What systemd itself makes of the hardening is at most 1.1, and nothing that can be taken away is left."""
    figure = re.search(r"Overall exposure level for easyisp-hub\.service: ([0-9.]+)", judged(analyze))
    assert figure is not None
    assert float(figure[1]) <= 1.1
    judgements = json.loads(judged(analyze, "--json=short"))
    assert {each["name"] for each in judgements if each["set"] is False} == EXPOSED


@pytest.mark.real_part("systemd-analyze")
def test_understood(analyze: str, tmp_path: Path) -> None:
    """Every line of the unit is understood by systemd."""
    text = UNIT.read_text(encoding="utf-8")
    program = Unit.read(UNIT).one("ExecStart").split()[0]
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace(program, shutil.which("true") or ""), encoding="utf-8")  # it is not installed here
    command = [analyze, "verify", "--man=no", "--recursive-errors=no", str(copy)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in verified.stderr.splitlines() if "easyisp" in line] == []
    assert verified.returncode == 0, verified.stderr
