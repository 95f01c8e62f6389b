"""`python -m tests.unit.store.write_history`: keep what a box of this release tells, for later releases to take.

Once for each release that tells something new, and never again for that one: boxes that ran it have such histories.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from easyisp_edge.domain.events import Stream
from easyisp_edge.store import migrations
from tests.fakes.clocks import SeededRandomness
from tests.unit.store.told_books import STEPS, Box, Business

HISTORIES = Path(__file__).parent / "histories"
_TIMES = 2


def main() -> None:
    """Write the files of this release."""
    box = Box.open()
    business = Business(box, SeededRandomness())
    for number in range(_TIMES):
        for name in sorted(STEPS):
            business.happen(name, number)
    box.count()
    release = f"{len(migrations.scripts()):04}"
    for stream in Stream:
        path = HISTORIES / f"{release}-{stream.value}.ndjson"
        path.write_bytes(b"".join(line + b"\n" for line in box.lines(stream)))
        sys.stdout.write(f"{path}\n")
    digests = HISTORIES / f"{release}-digests.json"
    digests.write_text(json.dumps(box.digests(), indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
