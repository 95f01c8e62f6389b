from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import load_config
from easyisp_edge.config.certificates import read_certificate
from easyisp_edge.errors import InvalidError
from tests.fakes.certificates import der, pem_text

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.config import RouterApi

ROUTER = """[[router]]
id = "r"
address = "10.0.0.1"
mode = "hotspot-user"
[router.api]
username = "edge"
password_file = "secret"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "router.pem").write_text(pem_text("other"))
    return tmp_path


def api_of(folder: Path, lines: str) -> RouterApi:
    (folder / "edge.toml").touch()
    (folder / "routers.toml").write_text(ROUTER + lines)
    api = load_config(folder, {}).routers[0].api
    assert api is not None
    return api


@pytest.mark.parametrize(
    ("lines", "tls", "port"),
    [
        ('certificate_file = "router.pem"', True, 8729),
        ('ca_file = "router.pem"', True, 8729),
        ('tls = true\ncertificate_file = "router.pem"\nport = 9999', True, 9999),
        ("tls = false", False, 8728),
        ("tls = false\nport = 9998", False, 9998),
    ],
)
def test_a_router_is_reached_by_tls_unless_told_otherwise(folder: Path, lines: str, port: int, *, tls: bool) -> None:
    """Nothing but `tls = false` makes it plain, and the port follows unless it is given."""
    api = api_of(folder, lines)
    assert (api.tls, api.port) == (tls, port)


def test_a_certificate_is_read_from_beside_the_configuration(folder: Path) -> None:
    """Its name is relative to the configuration's folder."""
    assert api_of(folder, 'certificate_file = "router.pem"').certificate_file == folder / "router.pem"


@pytest.mark.parametrize("around", ["{}", "subject=CN = router\n{}\n", "\ufeff{}", "{}\n-----BEGIN PRIVATE KEY-----\n"])
def test_the_certificate_is_found_among_what_tools_write_around_it(tmp_path: Path, around: str) -> None:
    """Only the certificate counts."""
    (tmp_path / "router.pem").write_text(around.format(pem_text("other")))
    assert read_certificate(tmp_path / "router.pem") == der("other")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no certificate in PEM"),
        (pem_text("other").replace("\n-----END", ""), "no certificate in PEM"),
        (pem_text("other") + pem_text("vouched"), "2 certificates in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "can be read"),
        ("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n", "can be read"),
    ],
)
def test_what_is_not_one_certificate_is_none(tmp_path: Path, text: str, message: str) -> None:
    """A file that would pin nobody, or leaves open whom, is refused."""
    (tmp_path / "router.pem").write_text(text)
    with pytest.raises(InvalidError, match=message):
        read_certificate(tmp_path / "router.pem")


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    """A file that is gone, or a folder, is a fault of the configuration too."""
    with pytest.raises(InvalidError, match="cannot be read: No such file"):
        read_certificate(tmp_path / "gone.pem")
    with pytest.raises(InvalidError, match="cannot be read: Is a directory"):
        read_certificate(tmp_path)
