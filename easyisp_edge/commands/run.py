"""`easyisp-edge run`: the daemon."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from easyisp_edge.commands.check import DEFAULT_FOLDER
from easyisp_edge.commands.logs import write_logs
from easyisp_edge.commands.running import real_surroundings
from easyisp_edge.config import ConfigError, load_config
from easyisp_edge.daemon import Daemon
from easyisp_edge.errors import EdgeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from easyisp_edge.config import Config

log = logging.getLogger(__name__)

EXIT_FAILED = 1
# Next to nothing we make refers back to itself. At Python's own pace a tenth of the daemon's time went into looking for
# what does; a burst of a thousand logins makes about so many objects.
_GARBAGE_LOOKED_FOR_AFTER = 20_000
EXIT_CONFIG = 2


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the command."""
    parser = subparsers.add_parser("run", help="run the daemon")
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_FOLDER, metavar="FOLDER", help="where the .toml files are"
    )
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--log-json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=main)


def main(args: argparse.Namespace) -> int:
    """Run until a signal ends it; gives the exit code."""
    write_logs(args.log_level, as_json=args.log_json)
    try:
        config = load_config(args.config, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CONFIG
    gc.freeze()  # what is loaded by now stays
    gc.set_threshold(_GARBAGE_LOOKED_FOR_AFTER, 20, 100)
    try:
        asyncio.run(_run(config, args.config))
    except ExceptionGroup as errors:
        expected, bugs = errors.split(EdgeError)
        if bugs is not None:
            raise
        sys.stderr.write("".join(f"{error}\n" for error in _leaves(expected)))
        return EXIT_FAILED
    except EdgeError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    return 0


def _leaves(group: BaseException | None) -> Iterator[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        for error in group.exceptions:
            yield from _leaves(error)
    elif group is not None:
        yield group


async def _run(config: Config, folder: Path) -> None:
    daemon = Daemon(config, real_surroundings())
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, daemon.stop)
    async with asyncio.TaskGroup() as tasks:

        def read_anew() -> None:
            tasks.create_task(_reload(daemon, folder), name="reload")

        loop.add_signal_handler(signal.SIGHUP, read_anew)
        await daemon.run()


async def _reload(daemon: Daemon, folder: Path) -> None:
    if not daemon.ready.is_set():
        return
    try:
        config = load_config(folder, os.environ)
    except ConfigError as error:
        log.error("the new configuration is refused, the last good one stays")  # noqa: TRY400
        for problem in error.problems:  # a line each: what holds several is one long line in the journal
            log.error("%s", problem)  # noqa: TRY400
        return
    for name in await daemon.reload(config):
        log.warning("what changed in %s takes effect at the next restart", name)
