"""A file that cannot be the hub's database: what is said of it leads to what has to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.errors import EdgeError
from easyisp_edge.hub.opening import opened_database

if TYPE_CHECKING:
    from pathlib import Path

FOLDER, ANOTHER = "Its folder must exist and be writable.", "Name another file, or put a copy"


async def said_of(path: Path) -> str:
    with pytest.raises(EdgeError) as refused:
        await opened_database(SqliteAddress(path))
    assert refused.value.code == "hub.not_opened"
    return refused.value.message


async def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    """It is not made, for it may be a disk that is not there."""
    said = await said_of(tmp_path / "missing" / "hub.sqlite")
    assert FOLDER in said
    assert ANOTHER not in said


async def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    """Of its folder nothing has to be done; the file is left as it is."""
    path = tmp_path / "hub.sqlite"
    path.write_text("a letter, and no database at all\n" * 100)
    said = await said_of(path)
    assert ANOTHER in said
    assert FOLDER not in said
    assert path.read_text().startswith("a letter")
