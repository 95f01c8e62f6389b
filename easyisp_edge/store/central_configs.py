"""Table `central_configs`: configurations by the hub, and which of them is in force."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from easyisp_edge.domain.central import ConfigSnapshot
from easyisp_edge.store.columns import instant

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

_IN_FORCE = (
    "SELECT version, content FROM central_configs WHERE state IN ('trying', 'good') ORDER BY version DESC LIMIT 1"
)
_KEPT = 5


class CentralConfigsTable:
    """The newest that is good, or on trial, is in force. One that did not last its trial is withdrawn for good."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def in_force(self) -> ConfigSnapshot | None:
        """The configuration to be used."""
        row = self._sql.execute(_IN_FORCE).fetchone()
        if row is None:
            return None
        content = json.loads(row[1])
        return ConfigSnapshot(row[0], content, content.pop("signature", ""))

    def last_version(self) -> int:
        """The highest version that ever came, whatever became of it."""
        return int(self._sql.execute("SELECT coalesce(max(version), 0) FROM central_configs").fetchone()[0])

    def is_known(self, snapshot: ConfigSnapshot) -> bool:
        """Whether this very one is the newest that ever came: a message that comes again."""
        query = "SELECT version, content FROM central_configs ORDER BY version DESC LIMIT 1"
        row = self._sql.execute(query).fetchone()
        if row is None or row[0] != snapshot.version:
            return False
        content = json.loads(row[1])
        content.pop("signature", "")
        return bool(content == dict(snapshot.content))

    def on_trial(self) -> int | None:
        """The version that is on trial."""
        row = self._sql.execute("SELECT max(version) FROM central_configs WHERE state = 'trying'").fetchone()
        return None if row[0] is None else int(row[0])

    def withdrawn(self) -> list[int]:
        """The versions that did not last their trial or were refused, the newest first."""
        query = "SELECT version FROM central_configs WHERE state IN ('withdrawn', 'refused') ORDER BY version DESC"
        return [row[0] for row in self._sql.execute(query)]

    def put(self, snapshot: ConfigSnapshot, at: datetime, *, boot_id: str | None) -> None:
        """Keep one that came: on trial in this boot of the machine, or refused where none is named."""
        self._sql.execute(
            "INSERT INTO central_configs (version, content, received_at, state, boot_id) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (
                snapshot.version,
                json.dumps({**snapshot.content, "signature": snapshot.signature}, ensure_ascii=False),
                instant(at),
                "refused" if boot_id is None else "trying",
                boot_id,
            ),
        )

    def prove(self, version: int) -> None:
        """It lasted its trial; old ones are forgotten."""
        self._sql.execute("UPDATE central_configs SET state = 'good', boot_id = NULL WHERE version = ?", (version,))
        self._sql.execute("DELETE FROM central_configs WHERE version <= ?", (version - _KEPT,))

    def rest(self) -> None:
        """The daemon ends as it should: what is on trial goes on being so after the next start."""
        self._sql.execute("UPDATE central_configs SET boot_id = NULL WHERE state = 'trying'")

    def forget(self) -> None:
        """Know of none."""
        self._sql.execute("DELETE FROM central_configs")

    def begin_life(self, boot_id: str) -> int | None:
        """Withdraw what was on trial when the daemon died in this same boot; gives its version.

        A power cut says nothing about a configuration: after another boot the trial goes on.
        """
        query = "SELECT version FROM central_configs WHERE state = 'trying' AND boot_id = ? ORDER BY version DESC"
        row = self._sql.execute(query, (boot_id,)).fetchone()
        if row is not None:
            self._sql.execute(
                "UPDATE central_configs SET state = 'withdrawn', boot_id = NULL WHERE version = ?", (row[0],)
            )
        self._sql.execute("UPDATE central_configs SET boot_id = ? WHERE state = 'trying'", (boot_id,))
        return None if row is None else int(row[0])
