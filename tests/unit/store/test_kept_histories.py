"""What boxes of each release told: it is taken as it came, by a box of this release and for ever after."""

from __future__ import annotations

import json

import pytest

from easyisp_edge.domain.events import Stream
from easyisp_edge.store import migrations
from easyisp_edge.store.checks import broken_rules
from easyisp_edge.store.rebuild import follow
from tests.unit.store.told_books import Box
from tests.unit.store.write_history import HISTORIES

RELEASES = sorted(path.name[:4] for path in HISTORIES.glob("*-digests.json"))


def history(release: str, stream: Stream) -> list[bytes]:
    """The lines a box of that release told."""
    return (HISTORIES / f"{release}-{stream.value}.ndjson").read_bytes().splitlines()


def test_each_release_has_a_history() -> None:
    """As many as there are schemas: `python -m tests.unit.store.write_history` keeps the newest."""
    assert [f"{number:04}" for number in range(1, len(migrations.scripts()) + 1)] == RELEASES


@pytest.mark.parametrize("release", RELEASES)
def test_a_box_is_made_anew_from_what_an_earlier_one_told(release: str) -> None:
    """The same rows stand in whole books."""
    box = Box.open(telling=False)
    for stream in Stream:
        lines = history(release, stream)
        assert lines
        assert box.take(stream, lines) == len(lines)
    box.rewrite(follow)
    assert box.digests() == json.loads((HISTORIES / f"{release}-digests.json").read_text(encoding="utf-8"))
    assert broken_rules(box.sql) == []
