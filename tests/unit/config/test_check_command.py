from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.commands import check
from tests.fakes.certificates import pem_text

if TYPE_CHECKING:
    from pathlib import Path

ROUTER = (
    '[[router]]\nid = "r"\naddress = "10.0.0.1"\nmode = "hotspot-user"\n'
    'api = { certificate_file = "router.pem", username = "u", password_file = "secret" }\n'
)
GATEWAYS = """[[gateway]]
id = "own"
sub_type = "PAYBILL"
shortcode = "600986"
consumer_key_file = "secret"
consumer_secret_file = "secret"
passkey_file = "secret"
c2b = true
pull = { nominated_number = "0712345678", every = "1h30m" }
[[gateway]]
id = "theirs"
sub_type = "BUYGOODS"
shortcode = "512345"
[[gateway]]
id = "hand"
type = "MPESA_NO_API"
sub_type = "BUYGOODS"
shortcode = "+254 712 345 678"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small right configuration."""
    (tmp_path / "edge.toml").touch()
    (tmp_path / "routers.toml").write_text(ROUTER)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "router.pem").write_text(pem_text("other"))
    return tmp_path


def run(*arguments: str) -> int:
    """Run the command as the command line does."""
    parser = argparse.ArgumentParser()
    check.add_parser(parser.add_subparsers())
    args = parser.parse_args(["check", *arguments])
    code: int = args.run(args)
    return code


def test_a_file_in_the_place_of_the_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named as `--config /etc/easyisp-edge/edge.toml`, as other programs want it: one line says what is wanted here."""
    assert run("--config", str(folder / "edge.toml")) == 2
    assert capsys.readouterr().out == f"{folder / 'edge.toml'}: a file; name the folder that holds edge.toml\n"


def test_a_right_configuration_is_summed_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, and what was found in one line."""
    assert run("--config", str(folder)) == 0
    assert capsys.readouterr().out == "ok: 1 tenant, 0 packages, 0 gateways, 1 router\n"


def test_each_gateway_is_summed_up(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line for each gateway: where its money goes, who signs, and how the box learns of it."""
    for name in ("CONSUMER_KEY", "CONSUMER_SECRET", "PASSKEY"):
        monkeypatch.setenv(f"MPESA_{name}", "secret")
    monkeypatch.setenv("MPESA_SHORTCODE", "600999")
    monkeypatch.setenv("MPESA_ENV", "production")
    (folder / "edge.toml").write_text('[callbacks]\npublic_url = "https://pay.example.com"\n')
    (folder / "gateways.toml").write_text(GATEWAYS)
    assert run("--config", str(folder)) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "gateway own: PAYBILL 600986, production, Pull every 90 min, C2B confirmations",
        "gateway theirs: BUYGOODS 512345, signed by 600999, keys from the MPESA_ variables, production",
        "gateway hand: BUYGOODS 0712345678, no API: somebody checks each receipt",
    ]


PLAIN = ROUTER.replace('certificate_file = "router.pem"', "tls = false")


@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::1"])
def test_an_api_in_the_clear_is_noted(folder: Path, capsys: pytest.CaptureFixture[str], address: str) -> None:
    """Whoever sends the router's password over a wire in the clear is told so in one line, and may."""
    (folder / "routers.toml").write_text(PLAIN.replace("10.0.0.1", address))
    assert run("--config", str(folder)) == 0
    (note,) = capsys.readouterr().out.splitlines()[1:]
    assert note.startswith("note: routers whose API is spoken in the clear, its password too (tls = false): r. ")
    assert run("--config", str(folder), "--json") == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [note.removeprefix("note: ")]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.3.2.1", "::1"])
def test_within_the_machine_there_is_no_wire(folder: Path, capsys: pytest.CaptureFixture[str], address: str) -> None:
    """A stand-in router on this machine needs no certificate, and nobody is told that it has none."""
    (folder / "routers.toml").write_text(PLAIN.replace("10.0.0.1", address))
    assert run("--config", str(folder)) == 0
    assert capsys.readouterr().out == "ok: 1 tenant, 0 packages, 0 gateways, 1 router\n"


def test_a_right_configuration_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for programs."""
    assert run("--config", str(folder), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "tenants": 1,
        "packages": 0,
        "gateways": 0,
        "routers": 1,
    }


def test_a_wrong_configuration_is_told_line_by_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and a line for each problem."""
    (folder / "routers.toml").write_text(ROUTER.replace("hotspot-user", "hotspot").replace("10.0.0.1", "ten"))
    assert run("--config", str(folder)) == 2
    assert capsys.readouterr().out.splitlines() == [
        f'{folder}/routers.toml:3: router[1].address: "ten" is no IP address such as 10.5.50.1',
        (
            f'{folder}/routers.toml:4: router[1].mode: "hotspot" is not one of hotspot-user, radius; '
            'did you mean "hotspot-user"?'
        ),
    ]


def test_a_wrong_configuration_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each problem with file, line, key, message, what was expected and the nearest right name."""
    (folder / "routers.toml").write_text(ROUTER.replace("hotspot-user", "hotspot"))
    assert run("--config", str(folder), "--json") == 2
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told == {
        "ok": False,
        "problems": [
            {
                "file": f"{folder}/routers.toml",
                "line": 4,
                "key": "router[1].mode",
                "message": '"hotspot" is not one of hotspot-user, radius',
                "expected": "hotspot-user or radius",
                "nearest": "hotspot-user",
            }
        ],
    }


def test_credentials_come_from_the_environment(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command looks where the service manager put the credentials."""
    credentials = tmp_path_factory.mktemp("credentials")
    (folder / "secret").rename(credentials / "secret")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert run("--config", str(folder)) == 2
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert run("--config", str(folder)) == 0
