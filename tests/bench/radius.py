"""Logins by RADIUS through the whole daemon, beside pyrad's own server; and the burst after a router's restart."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
from functools import partial
from typing import TYPE_CHECKING

from easyisp_edge.domain.grants import GrantState
from tests.bench import radius_load
from tests.bench.books import Books
from tests.bench.measures import Measure, Spread, at_least
from tests.bench.processes import SERVER_CORE, Server, own_module
from tests.bench.site import Site
from tests.bench.trials import Contestant, contest
from tests.fakes.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.bench.books import Granted, Past
    from tests.bench.sizes import Sizes
    from tests.bench.trials import Load, Trials

OUTSTANDING = 32
_RATIO_TARGET = at_least(3)


def run(folder: Path, sizes: Sizes, past: Past) -> Iterator[Measure]:
    """Rates at a steady load, and what is lost of a burst."""
    site = Site.lay_out(folder / "site", "radius", past.path)
    running = past.running[: sizes.burst]
    waiting = iter(Books(site.config, site.store).granted((sizes.rounds + 1) * sizes.burst, GrantState.WAITING))
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({granted.username: granted.password for granted in running}), encoding="utf-8")
    bare_port, port = free_port(socket.SOCK_DGRAM), site.ports.radius_auth
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(Server(own_module("bare_radius", str(bare_port), str(passwords)), core=SERVER_CORE))
        daemon = stack.enter_context(site.run())
        steady = contest(
            [
                Contestant("pyrad ServerAsync, PAP", bare, partial(_steady, bare_port, running, sizes.logins)),
                Contestant("login, PAP, running", daemon, partial(_steady, port, running, sizes.logins)),
            ],
            sizes.rounds,
        )
        bursts = contest(
            [
                Contestant(f"pyrad, {sizes.burst} at once", bare, partial(_burst, bare_port, running)),
                Contestant(f"{sizes.burst} at once, running", daemon, partial(_burst, port, running)),
                Contestant(
                    f"{sizes.burst} at once, first use",
                    daemon,
                    lambda: _burst(port, list(itertools.islice(waiting, sizes.burst))),
                ),
            ],
            sizes.rounds,
        )
    yield from _steadily(*steady)
    for trials in bursts:
        yield trials.lost()
        yield Measure(trials.name, "all answered after", "ms", Spread.of(load.seconds * 1000 for load in trials.loads))
        yield from (trials.cpu(), trials.cpu_ratio(bursts[0]))


def _steadily(reference: Trials, ours: Trials) -> Iterator[Measure]:
    yield from (reference.rate(), reference.latency(0.99), reference.cpu(), reference.busy(), reference.lost())
    yield from (ours.rate(), ours.ratio(reference, _RATIO_TARGET), ours.latency(0.5), ours.latency(0.99))
    yield from (ours.cpu(), ours.cpu_ratio(reference), ours.busy(), ours.lost(), ours.ceiling())


def _steady(port: int, granted: Sequence[Granted], count: int) -> Load:
    logins = _logins(itertools.islice(itertools.cycle(granted), count))
    return radius_load.drive(port, logins, outstanding=OUTSTANDING)


def _burst(port: int, granted: Sequence[Granted]) -> Load:
    return radius_load.burst(port, _logins(granted))


def _logins(granted: Sequence[Granted] | Iterator[Granted]) -> list[radius_load.Request]:
    return [radius_load.login(number, one, os.urandom) for number, one in enumerate(granted)]
