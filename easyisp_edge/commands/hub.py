"""`hub`: runs the hub, and minds its sites."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from easyisp_edge.commands import hub_publish
from easyisp_edge.commands.hub_opening import add_config, ended, opened_books, opened_parts
from easyisp_edge.commands.logs import write_logs
from easyisp_edge.errors import EdgeError
from easyisp_edge.system import SystemClock, SystemRandomness

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from easyisp_edge.hub.enrolment import Enrolment, SeenSite

_BACKLOG = 1024
_NEW_KEY = (
    "The hub has a new key. Restart it; then, for each site, make a code (easyisp-edge hub site add NAME), enrol its\n"
    "box with it, confirm it, and publish its configuration again: what was published before opens no more.\n"
)


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its sub-commands."""
    parser = subparsers.add_parser("hub", help="run the hub of a fleet, and mind its sites", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    running = actions.add_parser("run", help="run the hub")
    add_config(running)
    running.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    running.add_argument("--log-json", action="store_true", help="one JSON object a line")
    running.set_defaults(run=run_hub)
    minding = actions.add_parser("site", help="add, list, confirm and close sites").add_subparsers(
        metavar="ACTION", required=True
    )
    adding = minding.add_parser("add", help="add a site, or give one a new box: prints the code for it")
    adding.add_argument("name", metavar="NAME", help="what people call the site")
    add_config(adding, as_json=True)
    adding.set_defaults(run=add_site)
    listing = minding.add_parser("list", help="list all sites with the fingerprints of their boxes")
    add_config(listing, as_json=True)
    listing.set_defaults(run=list_sites)
    confirming = minding.add_parser("confirm", help="say that a box shows the same fingerprint as the hub")
    confirming.add_argument("site", metavar="ID", help="the site's id")
    confirming.add_argument("--key", default="", metavar="FINGERPRINT", help="what the box shows: the hub compares it")
    add_config(confirming, as_json=True)
    confirming.set_defaults(run=confirm_site)
    closing = minding.add_parser("close", help="hear no more of a site's box, such as one that was stolen")
    closing.add_argument("site", metavar="ID", help="the site's id")
    add_config(closing, as_json=True)
    closing.set_defaults(run=close_site)
    beginning = actions.add_parser("new-key", help="begin with a new key where the old one is lost")
    add_config(beginning, as_json=True)
    beginning.set_defaults(run=new_key)
    hub_publish.add_actions(actions)


def run_hub(args: Namespace) -> int:
    """Run until a signal ends it; gives the exit code."""
    write_logs(args.log_level, as_json=args.log_json)
    return ended(_run(args.config))


def add_site(args: Namespace) -> int:
    """Make a code for a site; gives the exit code."""

    async def add(enrolment: Enrolment) -> tuple[dict[str, Any], str]:
        new = await enrolment.new_code(args.name)
        said = (
            f"site  {new.site_id}\ncode  {new.code}\nGood once, for {new.minutes} minutes. Nobody can show it again.\n"
        )
        if new.replaces:
            said += f"A site of this name has a box, with the key {new.replaces}.\nIt ends when the code is used.\n"
        return new._asdict(), said

    return _minded(args, add)


def list_sites(args: Namespace) -> int:
    """List all sites; gives the exit code."""

    async def found(enrolment: Enrolment) -> tuple[dict[str, Any], str]:
        seen = await enrolment.seen()
        lines = [f"{one.site.site_id}  {one.site.name}: {_stands(one)}\n" for one in seen]
        return {"sites": [_as_json(one) for one in seen]}, "".join(lines) or "There are no sites yet.\n"

    return _minded(args, found)


def confirm_site(args: Namespace) -> int:
    """Confirm the box of a site; gives the exit code."""

    async def confirm(enrolment: Enrolment) -> tuple[dict[str, Any], str]:
        shown = await enrolment.confirm(args.site, args.key)
        said = f"Confirmed: the box with the key {shown}. It gets what waits for it now.\n"
        return {"site": args.site, "state": "confirmed", "fingerprint": shown}, said

    return _minded(args, confirm)


def close_site(args: Namespace) -> int:
    """Close a site; gives the exit code."""

    async def close(enrolment: Enrolment) -> tuple[dict[str, Any], str]:
        await enrolment.close(args.site)
        said = (
            "Closed. Its box is refused from now on; what it told stays. What it holds, such as a gateway's secrets,\n"
            "is still on it: where it was stolen, change those at M-Pesa.\n"
        )
        return {"site": args.site, "state": "closed"}, said

    return _minded(args, close)


def new_key(args: Namespace) -> int:
    """Begin with a new key; gives the exit code."""

    async def begin() -> None:
        from easyisp_edge.hub.identity import take_new_key  # noqa: PLC0415 - only a hub needs it

        async with opened_books(args.config) as (config, database):
            is_new = await take_new_key(database, config.key_file, SystemRandomness())
        said = _NEW_KEY if is_new else "The hub has this key already: nothing is changed.\n"
        sys.stdout.write(json.dumps({"new": is_new}) + "\n" if args.json else said)

    return ended(begin())


def _stands(seen: SeenSite) -> str:
    if not seen.fingerprint:
        return "no box yet"
    return f"{seen.site.state}, epoch {seen.site.epoch}, seen {seen.last_seen_at or 'never'}, key {seen.fingerprint}"


def _as_json(seen: SeenSite) -> dict[str, Any]:
    return {
        "site": seen.site.site_id,
        "name": seen.site.name,
        "state": seen.site.state,
        "epoch": seen.site.epoch,
        "fingerprint": seen.fingerprint or None,
        "lastSeenAt": seen.last_seen_at,
    }


async def _run(file: Path) -> None:
    # Only a hub needs these, and a box's other commands are to start without them.
    from easyisp_edge.hub.config import load_hub_config  # noqa: PLC0415
    from easyisp_edge.hub.hub import Hub  # noqa: PLC0415

    hub = Hub(load_hub_config(file), SystemClock(), SystemRandomness(), _listening)
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, hub.stop)
    await hub.run()


def _listening(name: str, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise EdgeError(
            "door.not_opened",
            f"The {name} cannot be opened on {address} port {port}: {why}. `address` and `port` in hub.toml say where.",
        ) from error


def _minded(args: Namespace, work: Callable[[Enrolment], Coroutine[Any, Any, tuple[dict[str, Any], str]]]) -> int:
    async def minding() -> None:
        async with opened_parts(args.config) as parts:
            content, said = await work(parts.enrolment)
        sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n" if args.json else said)

    return ended(minding())
