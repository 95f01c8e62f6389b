"""How the hub's commands begin and end."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.errors import EdgeError
from easyisp_edge.system import SystemClock, SystemRandomness

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import AsyncIterator, Coroutine

    from easyisp_edge.hub.config import HubConfig
    from easyisp_edge.hub.parts import Parts
    from easyisp_edge.hub.store.database import Database

EXIT_DONE, EXIT_REFUSED = 0, 1
CONFIG_FILE = Path("/etc/easyisp-hub/hub.toml")


def add_config(parser: ArgumentParser, *, as_json: bool = False) -> None:
    """Add what the hub's actions share."""
    parser.add_argument("--config", type=Path, default=CONFIG_FILE, metavar="FILE", help="the hub's hub.toml")
    if as_json:
        parser.add_argument("--json", action="store_true", help="one JSON object")


@contextlib.asynccontextmanager
async def opened_parts(file: Path) -> AsyncIterator[Parts]:
    """The hub's parts, without its doors; a hub that runs may go on.

    Raises:
        EdgeError: The configuration, the key or the database cannot be opened.
    """
    # Only a hub needs these, and a box's other commands are to start without them.
    from easyisp_edge.hub.identity import own_key  # noqa: PLC0415
    from easyisp_edge.hub.parts import build_parts  # noqa: PLC0415

    randomness = SystemRandomness()
    async with opened_books(file) as (config, database):
        key = await own_key(database, config.key_file, randomness)
        yield build_parts(config, database, key, SystemClock(), randomness)


@contextlib.asynccontextmanager
async def opened_books(file: Path) -> AsyncIterator[tuple[HubConfig, Database]]:
    """The hub's configuration and its database; its key may be missing.

    Raises:
        EdgeError: One of them cannot be opened.
    """
    from easyisp_edge.hub.config import load_hub_config  # noqa: PLC0415 - as above
    from easyisp_edge.hub.opening import opened_database  # noqa: PLC0415

    config = load_hub_config(file)
    database = await opened_database(config.database)
    try:
        yield config, database
    finally:
        await database.close()


def ended(work: Coroutine[Any, Any, None]) -> int:
    """Run it to its end and give the exit code; what was expected to go wrong is said."""
    code = EXIT_DONE
    try:
        asyncio.run(work)
    except* EdgeError as errors:
        _say(errors)
        code = EXIT_REFUSED
    return code


def _say(errors: BaseExceptionGroup[EdgeError]) -> None:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            _say(error)
        else:
            sys.stderr.write(f"{error.message}\n")
