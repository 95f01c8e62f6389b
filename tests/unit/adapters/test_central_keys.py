"""This box's keys: made here, for nobody else to read, and found again by their public half."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from nacl.signing import VerifyKey

from easyisp_edge.adapters.central.keys import KeyFiles
from easyisp_edge.errors import EdgeError
from easyisp_edge.system import SystemRandomness

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_is_for_its_owner_alone_and_signs(tmp_path: Path) -> None:
    """Both names of it."""
    key = KeyFiles(tmp_path, SystemRandomness()).new()
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    VerifyKey(key.public).verify(b"message", key.sign(b"message"))


def test_a_try_whose_answer_was_lost_is_repeated_with_its_key(tmp_path: Path) -> None:
    """Until it is in use; the next enrolment makes another, and the first is found all the same."""
    files = KeyFiles(tmp_path, SystemRandomness())
    first = files.new()
    assert files.new().public == first.public
    files.keep()
    second = files.new()
    assert second.public != first.public
    assert files.of(first.public).public == first.public
    assert files.of(second.public).sign(b"a") == second.sign(b"a")


def test_a_key_that_is_gone_is_said(tmp_path: Path) -> None:
    """And so is a file that holds another, or none."""
    files = KeyFiles(tmp_path, SystemRandomness())
    key = files.new()
    files.keep()
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"no key")
    with pytest.raises(EdgeError, match="no key"):
        files.of(key.public)
    file.unlink()
    with pytest.raises(EdgeError, match="cannot be read"):
        files.of(key.public)
