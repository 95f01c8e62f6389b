"""The lab's MikroTik as a process, for the daemon to put users on.

Run with an API port; for each line on standard input it connects the devices that the line names, as `MAC=IP` each,
and writes how many hotspot users stand on it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik import MikrotikLab
from easyisp_edge.system import SystemClock, SystemRandomness
from tests.bench.processes import HOST
from tests.bench.serving import serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def main(api_port: int) -> None:
    """Play until terminated."""

    async def open_door() -> Callable[[], Awaitable[None]]:
        router = MikrotikLab(clock=SystemClock(), randomness=SystemRandomness())
        await router.start(HOST, api_port=api_port)
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _tell, router)
        return router.close

    serve(open_door)


def _tell(router: MikrotikLab) -> None:
    line = os.read(sys.stdin.fileno(), 4096)
    if not line:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        return
    for word in line.decode().split():
        mac, given, ip = word.partition("=")
        if given:
            router.connect_device(mac, ip)
    sys.stdout.write(f"{sum(1 for _ in router.configuration.users)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
