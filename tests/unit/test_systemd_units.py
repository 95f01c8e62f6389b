"""The unit files: how much they expose, and that they say what the daemon says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from easyisp_edge.commands.check import DEFAULT_FOLDER
from easyisp_edge.config.models import Edge
from easyisp_edge.daemon.life import PUSHES_FINISH_SECONDS
from easyisp_edge.system import BOOT_ID_VARIABLE, RECEIVE_BUFFER_OCTETS
from tests.fakes.service_manager import SERVICE, UNITS, Unit, socket_units
from tests.real_parts import require

CONFIG = UNITS.parent / "config"
WITHOUT_SOCKETS = UNITS / "without-sockets.conf"
EDGE = Edge()
DOORS = {
    "portal": ("ListenStream", EDGE.portal.address, EDGE.portal.port),
    "admin": ("ListenStream", EDGE.admin.address, EDGE.admin.port),
    "callbacks": ("ListenStream", EDGE.callbacks.address, EDGE.callbacks.port),
    "radius-auth": ("ListenDatagram", EDGE.radius.address, EDGE.radius.auth_port),
    "radius-acct": ("ListenDatagram", EDGE.radius.address, EDGE.radius.acct_port),
}
# What a service exposes that speaks IP outwards to any address, and talks to systemd.
EXPOSED = {
    "DeviceAllow=",  # reading the hardware clock, which ProtectClock allows
    "IPAddressDeny=",
    "PrivateNetwork=",
    "RestrictAddressFamilies=~AF_(INET|INET6)",
    "RestrictAddressFamilies=~AF_UNIX",
    "RootDirectory=/RootImage=",
}
EXPOSED_WITHOUT_SOCKETS = EXPOSED | {
    "AmbientCapabilities=",
    "CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)",
    "PrivateUsers=",
}


@pytest.fixture(name="analyze")
def _analyze() -> str:
    return require("systemd-analyze", "systemd")


def installed(folder: Path, *, without_sockets: bool) -> Path:
    """The units as a technician installs them."""
    service = Path(shutil.copy(SERVICE, folder))
    if without_sockets:
        drop_ins = folder / f"{service.name}.d"
        drop_ins.mkdir()
        shutil.copy(WITHOUT_SOCKETS, drop_ins)
    else:
        for unit in socket_units():
            shutil.copy(unit.path, folder)
    return service


@pytest.mark.real_part("systemd-analyze")
@pytest.mark.parametrize(("without_sockets", "tenths_most"), [(False, 11), (True, 14)], ids=["sockets", "without"])
def test_exposure(analyze: str, tmp_path: Path, tenths_most: int, *, without_sockets: bool) -> None:
    """What systemd itself makes of the hardening is at most 1.1 with sockets handed over, 1.4 without."""
    service = installed(tmp_path, without_sockets=without_sockets)
    judged = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", f"--threshold={tenths_most}", str(service)],
        capture_output=True,
        text=True,
        check=False,
    )
    figure = re.search(r"Overall exposure level for easyisp-edge\.service: ([0-9.]+)", judged.stdout)
    assert figure is not None, judged.stderr
    assert float(figure[1]) <= tenths_most / 10, judged.stdout
    assert judged.returncode == 0, judged.stderr


@pytest.mark.real_part("systemd-analyze")
@pytest.mark.parametrize(
    ("without_sockets", "accepted"), [(False, EXPOSED), (True, EXPOSED_WITHOUT_SOCKETS)], ids=["sockets", "without"]
)
def test_what_stays_exposed(analyze: str, tmp_path: Path, accepted: set[str], *, without_sockets: bool) -> None:
    """Nothing that can be taken away is left: the score alone would round one or the other lost line off."""
    service = installed(tmp_path, without_sockets=without_sockets)
    judged = subprocess.run(
        [analyze, "security", "--offline=true", "--json=short", str(service)],
        capture_output=True,
        text=True,
        check=False,
    )
    judgements = json.loads(judged.stdout)
    assert {each["name"] for each in judgements if each["set"] is False} == accepted


@pytest.mark.real_part("systemd-analyze")
@pytest.mark.parametrize("without_sockets", [False, True], ids=["sockets", "without"])
def test_understood(analyze: str, tmp_path: Path, *, without_sockets: bool) -> None:
    """Every line of every unit is understood by systemd."""
    service = installed(tmp_path, without_sockets=without_sockets)
    text = service.read_text(encoding="utf-8")
    program = Unit.read(SERVICE).one("ExecStart").split()[0]
    service.write_text(text.replace(program, shutil.which("true") or ""), encoding="utf-8")  # it is not installed here
    verified = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", service, *tmp_path.glob("*.socket")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in verified.stderr.splitlines() if "easyisp" in line or "without-sockets" in line] == []
    assert verified.returncode == 0, verified.stderr


def test_every_door_has_its_socket_unit() -> None:
    """Each door has a unit of its own, named as the daemon asks for it, since names are a unit's and not a socket's."""
    assert {unit.one("FileDescriptorName") for unit in socket_units()} == set(DOORS)
    for unit in socket_units():
        door = unit.one("FileDescriptorName")
        assert unit.path.name == f"easyisp-edge-{door}.socket"
        assert unit.one("Service") == SERVICE.name


@pytest.mark.parametrize("door", DOORS)
def test_socket_units_listen_where_the_configuration_would(door: str) -> None:
    """A socket unit listens at the address and port that edge.toml means when it says nothing."""
    unit = Unit.read(UNITS / f"easyisp-edge-{door}.socket")
    key, address, port = DOORS[door]
    listens = [(name, value) for name, value in unit.settings if name.startswith("Listen")]
    assert listens == [(key, f"{address}:{port}")]


def test_radius_sockets_hold_a_burst() -> None:
    """The RADIUS sockets come with the buffer that the daemon would ask for, which the kernel may refuse it."""
    for door in ("radius-auth", "radius-acct"):
        size = Unit.read(UNITS / f"easyisp-edge-{door}.socket").one("ReceiveBuffer")
        assert size == f"{RECEIVE_BUFFER_OCTETS // 1024**2}M"


def test_ports_allowed_without_sockets() -> None:
    """Without socket units the service may bind exactly the ports that edge.toml means when it says nothing."""
    protocols = {"ListenStream": "tcp", "ListenDatagram": "udp"}
    wanted = {f"{protocols[key]}:{port}" for key, _, port in DOORS.values()}
    assert set(Unit.read(WITHOUT_SOCKETS).every("SocketBindAllow")) == wanted
    assert Unit.read(SERVICE).one("SocketBindDeny") == "any"


def test_folders_are_the_daemons() -> None:
    """The folders that systemd makes are those of the daemon's configuration and of its store."""
    service = Unit.read(SERVICE)
    assert Path("/etc", service.one("ConfigurationDirectory")) == DEFAULT_FOLDER
    assert Path("/var/lib", service.one("StateDirectory")) == EDGE.store.path.parent


def test_secrets_are_ready_to_be_named() -> None:
    """Each secret that the example configuration names, in use or not, stands in the unit to be taken over."""
    named = {
        found[1]
        for file in CONFIG.glob("*.toml")
        for found in re.finditer(
            r'^#?(?:consumer_key|consumer_secret|passkey|password|secret|webhook_key)_file = "(.+)"$',
            file.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    }
    offered = re.findall(r"^#LoadCredential=(.+):(.+)$", SERVICE.read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert dict(offered) == {name: str(DEFAULT_FOLDER / name) for name in named}


def test_time_to_stop_suffices() -> None:
    """The time systemd gives to stop is longer than what the daemon gives payment requests to finish."""
    assert float(Unit.read(SERVICE).one("TimeoutStopSec").removesuffix("s")) > PUSHES_FINISH_SECONDS


def test_boot_id_is_handed_over_where_it_is_hidden() -> None:
    """A service that cannot see /proc/sys is told the boot id."""
    service = Unit.read(SERVICE)
    assert service.one("ProcSubset") == "pid"
    assert service.one("Environment") == f"{BOOT_ID_VARIABLE}=%b"
