"""The file with the master key: made once, for nobody else, and never replaced."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import load_config
from easyisp_edge.daemon.master_key import take_master_key
from easyisp_edge.errors import EdgeError
from tests.fakes.clocks import SeededRandomness

if TYPE_CHECKING:
    from pathlib import Path


def test_the_first_start_makes_a_key(tmp_path: Path) -> None:
    """The first start makes 32 octets for the daemon's user alone; every later one reads the same."""
    path = tmp_path / "secrets.key"
    key = take_master_key(path, SeededRandomness())
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert take_master_key(path, SeededRandomness(7)) == key == path.read_bytes()
    assert os.listdir(tmp_path) == ["secrets.key"]  # noqa: PTH208 - nothing half-done lies about


def test_what_a_broken_start_left_is_no_obstacle(tmp_path: Path) -> None:
    """A power cut while the key was written leaves no key; the next start makes one."""
    (tmp_path / f"secrets.key.{os.getpid()}.new").write_bytes(b"half")
    assert len(take_master_key(tmp_path / "secrets.key", SeededRandomness())) == 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_key_that_others_reach_is_refused(tmp_path: Path, mode: int) -> None:
    """A key that others may read or replace is refused, with what to do; it is not mended on the quiet."""
    path = tmp_path / "secrets.key"
    path.write_bytes(bytes(32))
    path.chmod(mode)
    with pytest.raises(EdgeError, match="chmod 600") as refused:
        take_master_key(path, SeededRandomness())
    assert refused.value.code == "key.exposed"


@pytest.mark.parametrize("octets", [0, 31, 33, 4096])
def test_what_is_no_key_is_refused(tmp_path: Path, octets: int) -> None:
    """A file of another length is refused and stays as it is: a new key would lock away what the old one opens."""
    path = tmp_path / "secrets.key"
    path.touch(0o600)
    path.write_bytes(bytes(octets))
    with pytest.raises(EdgeError) as refused:
        take_master_key(path, SeededRandomness())
    assert refused.value.code == "key.unfit"
    assert path.stat().st_size == octets


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    """Where the key cannot be made, the message names the file."""
    with pytest.raises(EdgeError, match=r"nowhere/secrets\.key"):
        take_master_key(tmp_path / "nowhere" / "secrets.key", SeededRandomness())


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    """A folder in its place is an error that says so."""
    with pytest.raises(EdgeError, match="directory"):
        take_master_key(tmp_path, SeededRandomness())


def test_the_key_lies_beside_the_store(tmp_path: Path) -> None:
    """Where nothing is said the key lies in the store's folder; a path of its own counts; the store's is refused."""
    edge = tmp_path / "edge.toml"
    edge.write_text('[store]\npath = "books/edge.sqlite"\n')
    assert load_config(tmp_path, {}).edge.store.secrets_key_path == tmp_path / "books" / "secrets.key"
    edge.write_text('[store]\npath = "books/edge.sqlite"\nkey_path = "keys/box.key"\n')
    assert load_config(tmp_path, {}).edge.store.secrets_key_path == tmp_path / "keys" / "box.key"
    edge.write_text('[store]\npath = "edge.sqlite"\nkey_path = "edge.sqlite"\n')
    with pytest.raises(EdgeError, match="key_path"):
        load_config(tmp_path, {})
