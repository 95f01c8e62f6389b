"""`router`: what would change on a MikroTik, then change it."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.adapters.routeros.router_pages import render_router_pages
from easyisp_edge.adapters.routeros.setup.apply import Doors, SetupJob, UndoneError, UndoPendingError
from easyisp_edge.adapters.routeros.setup.rows import SetupSite, SiteApi, SiteRadius
from easyisp_edge.adapters.routeros.setup.wanted import html_directory
from easyisp_edge.adapters.routeros.setup.words import plan_json, plan_text
from easyisp_edge.commands import router_certificate
from easyisp_edge.commands.check import add_options
from easyisp_edge.config import ConfigError, load_config
from easyisp_edge.config.router_setup import CAPTIVE_PATH, by_another_user
from easyisp_edge.daemon.routers import router_link
from easyisp_edge.errors import EdgeError, InvalidError, NotFoundError, UnavailableError
from easyisp_edge.system import SystemClock

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _SubParsersAction
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from easyisp_edge.adapters.routeros.connection import ApiConnection
    from easyisp_edge.adapters.routeros.link import RouterLink
    from easyisp_edge.adapters.routeros.setup.rows import SetupPlan
    from easyisp_edge.config import Config, Router, RouterApi

DONE, FAILED, WRONG, UNDO_PENDING = 0, 1, 2, 3
_HTTP = 80


def add_parser(subparsers: _SubParsersAction[ArgumentParser]) -> None:
    """Add the command with its sub-commands."""
    parser = subparsers.add_parser("router", help="set a MikroTik up, and pin its certificate", description=__doc__)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    planning = actions.add_parser("plan", help="say what would change on a router, and what stands in the way")
    _add_options(planning)
    planning.add_argument(
        "--write-files", type=Path, metavar="DIR", help="only write the router's pages there, to be put on it by hand"
    )
    planning.set_defaults(run=plan)
    applying = actions.add_parser("apply", help="change it; what is not confirmed the router undoes by itself")
    _add_options(applying)
    applying.add_argument("--yes", action="store_true", help="do not ask before")
    applying.add_argument(
        "--without-safety",
        action="store_true",
        help="also where the router may not undo by itself, because its device-mode forbids the scheduler",
    )
    applying.set_defaults(run=apply)
    router_certificate.add_parser(actions)


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument("router", metavar="ID", help="the router's id in routers.toml")
    parser.add_argument("--user", metavar="NAME", help="a user of the router who may change everything, such as admin")
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="that user's password (else it is asked for)"
    )
    add_options(parser)


def plan(args: Namespace) -> int:
    """Say what would change; gives the exit code."""
    return _guarded(args, _plan)


def apply(args: Namespace) -> int:
    """Change it; gives the exit code: 3 where the router has yet to undo it."""
    return _guarded(args, _apply)


def _guarded(args: Namespace, action: Callable[[Namespace, Config, Router], Awaitable[int]]) -> int:
    try:
        config = load_config(args.config, os.environ)
        return asyncio.run(_awaited(action(args, config, config.router(args.router))))
    except ConfigError as error:
        return _failed(args, error, WRONG)
    except UndoPendingError as error:
        return _failed(args, error, UNDO_PENDING)
    except EdgeError as error:
        return _failed(args, error, FAILED)


async def _awaited(result: Awaitable[int]) -> int:
    return await result


def _failed(args: Namespace, error: EdgeError, code: int) -> int:
    if args.json:
        _write_json(
            {"ok": False, "code": error.code, "message": error.message, "undone": isinstance(error, UndoneError)}
        )
    else:
        sys.stderr.write(f"{error.message}\n")
    return code


async def _plan(args: Namespace, config: Config, router: Router) -> int:
    site = site_of(config, router)
    if args.write_files is not None:
        return _write_pages(site, args.write_files)
    found = await _setup(args, router, site, _user_of(args, router)).plan()
    _show(args, found)
    return FAILED if found.stopped else DONE


async def _apply(args: Namespace, config: Config, router: Router) -> int:
    if args.user is None or (router.api is not None and args.user == router.api.username):
        raise InvalidError("router_setup.user", "Name a user of the router who may change everything: --user admin")
    setup = _setup(args, router, site_of(config, router), _user_of(args, router))
    if await setup.finish_undo():
        _say("an earlier set-up was interrupted: the router has undone it")
    found = await setup.plan()
    if not args.json or not args.yes:
        _show(args, found)
    if found.is_empty:
        if args.json and args.yes:
            _write_json({"ok": True, "changed": 0})
        return DONE
    if not found.stopped and not args.yes and not _agreed():
        raise InvalidError("router_setup.not_agreed", "Nothing was changed.")
    try:
        await setup.apply(found)
    except asyncio.CancelledError:
        _say("interrupted: unless it was confirmed, the router undoes it by itself within the time said above")
        raise
    if args.json:
        _write_json({"ok": True, "changed": len(found.changes)})
    return DONE


def _setup(args: Namespace, router: Router, site: SetupSite, user: RouterApi) -> SetupJob:
    if router.api is None or router.setup is None:
        raise NotFoundError("router_setup.missing", "It has no [router.api] or no [router.setup].")
    return SetupJob(
        site=site,
        doors=doors(router, user, router.api),
        clock=SystemClock(),
        undo_after=timedelta(minutes=router.setup.undo_minutes),
        say=_say,
        safety=not getattr(args, "without_safety", False),
    )


def doors(router: Router, admin: RouterApi, box: RouterApi) -> Doors:
    """The ways to a router, by two of its users; a session that was lost is never opened again by itself."""

    def through(user: RouterApi) -> Callable[[], RouterLink]:
        return lambda: router_link(router, user, _once(dial))

    return Doors(admin=through(admin), box=through(box))


def _once(connect: Callable[..., Awaitable[ApiConnection]]) -> Callable[..., Awaitable[ApiConnection]]:
    used = False

    async def connected(*args: Any, **options: Any) -> ApiConnection:
        nonlocal used
        if used:
            raise ConnectionError("the connection was lost")
        used = True
        return await connect(*args, **options)

    return connected


def site_of(config: Config, router: Router) -> SetupSite:
    """Everything a router's set-up follows from, out of the configuration.

    Raises:
        NotFoundError: The router has no `[router.setup]`, or no `[router.api]`.
        InvalidError: The portal's address cannot stand in the router's pages.
    """
    setup, api = router.setup, router.api
    if setup is None:
        raise NotFoundError(
            "router_setup.missing",
            f'Router "{router.id}" has no [router.setup] in routers.toml; it is said in docs/router.md.',
        )
    if api is None:
        raise NotFoundError("router_setup.api", f'Router "{router.id}" has no [router.api] in routers.toml.')
    port = config.edge.portal.port
    portal_url = setup.portal_url or f"http://{setup.box_address}" + ("" if port == _HTTP else f":{port}")
    return SetupSite(
        router_id=router.id,
        router_address=router.address,
        interface=setup.interface,
        server=None if router.hotspot_server == "all" else router.hotspot_server,
        box_address=setup.box_address,
        portal_url=portal_url,
        pages=render_router_pages(portal_url, router.id),
        api=SiteApi(api.username, api.password.get_secret_value(), api.tls, api.port),
        radius=_radius(config, router),
        cookies=setup.cookies,
        idle_timeout=setup.idle_timeout,
        keepalive_timeout=setup.keepalive_timeout,
        addresses_per_mac=setup.addresses_per_mac,
        dns_name=setup.dns_name,
        captive_api_url=setup.captive_api_url or _captive_api(portal_url),
        ntp_servers=setup.ntp_servers,
        management_networks=tuple(map(str, setup.management_networks)),
    )


def _captive_api(portal_url: str) -> str | None:
    """Where the portal answers devices; they ask by HTTPS alone."""
    return f"{portal_url.rstrip('/')}{CAPTIVE_PATH}" if portal_url.startswith("https://") else None


def _radius(config: Config, router: Router) -> SiteRadius | None:
    if not router.uses_radius or router.radius is None:
        return None
    return SiteRadius(
        secret=router.radius.secret.get_secret_value(),
        auth_port=config.edge.radius.auth_port,
        acct_port=config.edge.radius.acct_port,
        interim=timedelta(seconds=router.radius.interim_seconds),
        incoming_port=router.radius.incoming_port,
    )


def _user_of(args: Namespace, router: Router) -> RouterApi:
    """The user to come as: the one that was named, else this box's own."""
    if router.api is None:
        raise NotFoundError("router_setup.api", f'Router "{router.id}" has no [router.api] in routers.toml.')
    if args.user is None:
        return router.api
    return by_another_user(router.api, args.user, _password(args))


def _password(args: Namespace) -> str:
    if args.password_file is None:
        return _typed(args.user)
    try:
        return str(args.password_file.read_text(encoding="utf-8-sig").strip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise UnavailableError("router_setup.password", f"{args.password_file} cannot be read: {error}") from error


def _typed(user: str) -> str:
    try:
        with _interruptible():
            return getpass.getpass(f"password of {user} on the router: ", sys.stderr)
    except EOFError as error:
        message = f"No password of {user} was typed. Where nobody is there to be asked, give it by --password-file."
        raise InvalidError("router_setup.password", message) from error


def _write_pages(site: SetupSite, folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in site.pages.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UnavailableError("router_setup.pages", f"{folder} cannot be written: {error}") from error
    _say(f"{len(site.pages)} files written to {folder}; put them into {html_directory(site.pages, {})} on the router")
    return DONE


def _show(args: Namespace, found: SetupPlan) -> None:
    if args.json:
        _write_json({"ok": True, **plan_json(found)})
    else:
        sys.stdout.write(plan_text(found))


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise InvalidError("router_setup.not_agreed", "Nobody is there to be asked: run it with --yes.")
    _say("Type yes to change the router:")
    with _interruptible():
        return sys.stdin.readline().strip().lower() == "yes"


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Have Ctrl-C end a prompt at once: left to the event loop, it would wait for the answer."""
    if threading.current_thread() is not threading.main_thread():  # Ctrl-C goes elsewhere
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _write_json(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
