"""`easyisp-edge verify-ledger`: what it says of whole books, of broken ones, and of none."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.__main__ import main
from easyisp_edge.services.money.judgement import Judge
from easyisp_edge.store.checks import ALL_RULES
from tests.fakes.clocks import START
from tests.fakes.gateway import callback_paid
from tests.unit.shop import PURCHASE_ID, Books, a_prompted_purchase, add_purchase, open_books
from tests.unit.store.write_release import fill

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.store.store import Tables

FILLED = {"in": 5950, "sold": 2000, "wallets": 2800, "unmatched": 700, "refunded": 450}


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A configuration whose store has books with all that there is in them."""
    (tmp_path / "edge.toml").write_text(f'[store]\npath = "{tmp_path}/edge.sqlite"\n')
    async with open_books(tmp_path) as books:
        await books.store.write(fill)
    return tmp_path


def damage(folder: Path, statement: str) -> None:
    """What a hand does that knows the file and gets past the database's refusals."""
    connection = sqlite3.connect(folder / "edge.sqlite", isolation_level=None)
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(statement)
    connection.close()


def verify(folder: Path, *options: str) -> int:
    return main(["verify-ledger", "--config", str(folder), *options])


async def test_whole_books_are_said_to_be(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0; where the money is, and each rule in a line."""
    assert verify(folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1) for line in lines[:5]] == [
        ["in", "KES 59.50"],
        ["sold", "KES 20"],
        ["wallets", "KES 28"],
        ["unmatched", "KES 7"],
        ["refunded", "KES 4.50"],
    ]
    assert lines[5:] == [*(f"ok         {rule}" for rule in ALL_RULES), "The books are whole."]


async def test_whole_books_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for programs, in cents."""
    assert verify(folder, "--json") == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["ok"] is True
    assert said["cents"] == FILLED
    assert said["rules"] == [{"rule": rule, "ok": True, "look_at": []} for rule in ALL_RULES]


async def test_a_broken_rule_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, and the rows to look at; the rules that hold are said to hold."""
    damage(folder, "UPDATE customers SET customer_id = 'lost', total_spent_cents = 7 WHERE total_spent_cents > 1000")
    assert verify(folder) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "BROKEN     what a customer has spent is the sum of the customer's payments: lost" in lines
    assert "ok         a receipt stands once, in capitals" in lines
    assert lines[-1] == "The books are NOT whole: look at what is named above."
    assert verify(folder, "--json") == 1
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    broken = {rule["rule"]: rule["look_at"] for rule in said["rules"] if not rule["ok"]}
    assert said["ok"] is False
    assert broken["what a customer has spent is the sum of the customer's payments"] == ["lost"]


async def test_money_that_is_nowhere_shows_below_nought(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A balance that cannot be is shown as it is."""
    damage(folder, "UPDATE entries SET from_account = 'refunded', from_owner = 'default' WHERE to_account = 'wallet'")
    assert verify(folder) == 1
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["refunded", "-KES 27.50"] in lines


async def test_it_reads_while_the_daemon_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One snapshot, what is committed; and it changes nothing."""
    (tmp_path / "edge.toml").write_text(f'[store]\npath = "{tmp_path}/edge.sqlite"\n')

    def pay(tx: Tables, books: Books) -> None:
        add_purchase(tx, a_prompted_purchase())
        Judge(tx, START, books.identifiers).settle(PURCHASE_ID, callback_paid())

    async with open_books(tmp_path) as books:
        assert verify(tmp_path) == 0
        await books.store.write(lambda tx: pay(tx, books))
        before = list(books.store._database.reading.iterdump())
        assert verify(tmp_path) == 0
        assert list(books.store._database.reading.iterdump()) == before
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [held for place, held in lines if place == "sold"] == ["KES 0", "KES 10"]


def test_books_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2; none are made."""
    (tmp_path / "edge.toml").write_text(f'[store]\npath = "{tmp_path}/edge.sqlite"\n')
    assert verify(tmp_path) == 2
    assert str(tmp_path / "edge.sqlite") in capsys.readouterr().out
    assert verify(tmp_path, "--json") == 2
    assert json.loads(capsys.readouterr().out)["ok"] is False
    assert not (tmp_path / "edge.sqlite").exists()


async def test_books_of_another_release(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2: rules of this release say nothing about another one's books."""
    damage(folder, "PRAGMA user_version = 99")
    assert verify(folder) == 2
    assert "is of schema 99" in capsys.readouterr().out


def test_what_is_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2."""
    (tmp_path / "edge.toml").write_text(f'[store]\npath = "{tmp_path}/edge.sqlite"\n')
    (tmp_path / "edge.sqlite").write_bytes(b"a letter to somebody" * 1000)
    assert verify(tmp_path) == 2
    assert "Restore it from a backup" in capsys.readouterr().out


async def test_a_torn_page_is_no_verdict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, however far it came: what cannot be read is neither whole nor broken."""
    path = folder / "edge.sqlite"
    contents = bytearray(path.read_bytes())
    for page in range(2, len(contents) // 4096):
        contents[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    path.write_bytes(contents)
    assert verify(folder) == 2
    assert "Restore it from a backup" in capsys.readouterr().out


def test_a_wrong_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and what is wrong with it."""
    (tmp_path / "edge.toml").write_text("nonsense = 1\n")
    assert verify(tmp_path) == 2
    assert "nonsense" in capsys.readouterr().out
