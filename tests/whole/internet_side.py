"""The internet's half of a site: a hub and M-Pesa's stand-in in a process of their own, told by lines what to do.

Run as `python -m tests.whole.internet_side FOLDER ADDRESS`: it says in one line of JSON where everything is, and then
answers each line it is given with one of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.lab.daraja import CallbackUrlRules, DarajaLab, DarajaOptions
from easyisp_edge.system import SystemClock, SystemRandomness
from tests.fakes.hub_stage import hub_config, parts_of, running_hub

if TYPE_CHECKING:
    from easyisp_edge.hub.hub import Hub

HUB_PORT = 8700


@dataclass
class InternetSide:
    """What can be told to do.

    Args:
        hub: The hub.
        daraja: M-Pesa.
        site_id: The site a code was made for.
    """

    hub: Hub
    daraja: DarajaLab
    site_id: str

    async def confirm(self) -> str:
        """Somebody has compared the fingerprints."""
        await parts_of(self.hub).enrolment.confirm(self.site_id)
        return "confirmed"

    async def pay(self, phone: str) -> str:
        """Somebody enters the right PIN."""
        prompt = await asyncio.wait_for(self.daraja.wait_for_prompt(phone), 10)
        await self.daraja.enter_pin(prompt.push.checkout_request_id)
        return "paid"

    async def dial(self, host: str, port: str) -> str:
        """Try to reach something by TCP."""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.close()
                return "open"
        return "shut"


def say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def serve(folder: Path, address: str) -> None:
    """Run until there is nothing more to be told."""
    options = replace(DarajaOptions.unhurried(), callback_url_rules=CallbackUrlRules.LOOSE)
    config = hub_config(folder, SqliteAddress(folder / "hub.sqlite"))
    update = {"address": address, "port": HUB_PORT, "public_url": f"http://{address}:{HUB_PORT}"}
    daraja = DarajaLab(clock=SystemClock(), randomness=SystemRandomness(), options=options)
    async with running_hub(config.model_copy(update=update)) as hub:
        await daraja.start(address)
        try:
            new = await parts_of(hub).enrolment.new_code("Juja")
            say({"hub": str(update["public_url"]), "daraja": daraja.base_url, "code": new.code, "site": new.site_id})
            side = InternetSide(hub, daraja, new.site_id)
            while words := (await asyncio.to_thread(sys.stdin.readline)).split():
                say(await getattr(side, words[0])(*words[1:]))
        finally:
            await daraja.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
