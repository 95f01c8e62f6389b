"""The webhook's key: in a file of its own, or in the old deployment's variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import ConfigError, load_config
from easyisp_edge.services.site import Site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY = "a-key-nobody-guesses"
BY_FILE = '[callbacks]\nwebhook_key_file = "webhook"\n'


def key_of(folder: Path, edge: str, environ: Mapping[str, str] | None = None) -> str:
    """The key in force."""
    (folder / "edge.toml").write_text(edge, encoding="utf-8")
    config = load_config(folder, environ or {})
    assert KEY not in repr(config)
    return Site(config, lambda gateway: pytest.fail(f"{gateway.id} was opened")).webhook_key


def write_key(folder: Path, mode: int = 0o600) -> None:
    (folder / "webhook").write_text(f"{KEY}\n", encoding="utf-8")
    (folder / "webhook").chmod(mode)


def test_a_box_has_no_key_by_itself(tmp_path: Path) -> None:
    """Where nobody gives one, there is none; an empty variable gives none."""
    assert not key_of(tmp_path, "")
    assert not key_of(tmp_path, "", {"MPESA_WEBHOOK_KEY": "  "})


def test_the_old_variable_is_honoured(tmp_path: Path) -> None:
    """`MPESA_WEBHOOK_KEY`, as it always was, without blanks around it."""
    assert key_of(tmp_path, "", {"MPESA_WEBHOOK_KEY": f" {KEY} "}) == KEY


def test_a_file_comes_before_the_old_variable(tmp_path: Path) -> None:
    """As with everything the old variables say."""
    write_key(tmp_path)
    assert key_of(tmp_path, BY_FILE, {"MPESA_WEBHOOK_KEY": "another"}) == KEY


def test_the_service_manager_may_hand_it_over(tmp_path: Path) -> None:
    """As any other secret."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write_key(credentials, 0o400)
    assert key_of(tmp_path, BY_FILE, {"CREDENTIALS_DIRECTORY": str(credentials)}) == KEY


@pytest.mark.parametrize(
    ("edge", "mode", "says"),
    [
        (f'[callbacks]\nwebhook_key = "{KEY}"\n', 0o600, "a secret does not stand here"),
        (BY_FILE, 0o644, "chmod 600"),
        ('[callbacks]\nwebhook_key_file = "missing"\n', 0o600, "there is no file of that name"),
        ("[callbacks]\nwebhook_key_file = 7\n", 0o600, "has to be the name of a file"),
    ],
)
def test_a_key_that_lies_open_is_refused(tmp_path: Path, edge: str, mode: int, says: str) -> None:
    """In the file of settings, or readable by all: refused, and not repeated."""
    write_key(tmp_path, mode)
    with pytest.raises(ConfigError) as refused:
        key_of(tmp_path, edge)
    assert says in str(refused.value)
    assert "callbacks.webhook_key" in str(refused.value)
    assert KEY not in str(refused.value)
