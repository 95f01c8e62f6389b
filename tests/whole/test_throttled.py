"""Forty customers pay at once, every callback is lost, and M-Pesa answers a query a second: nobody is forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from easyisp_edge.lab.daraja import Behaviour, CallbackHandling, DarajaOptions, Payer
from tests.whole.money_stage import ANY_NUMBER_OF_PROMPTS, MoneyStage
from tests.whole.stage import GATEWAYS
from tests.whole.wire_tap import QUERY, WireTap

if TYPE_CHECKING:
    from pathlib import Path

CUSTOMERS = 40
# These are slow to find their PIN: the first query about them comes to nothing.
SLOW, SLOW_SECONDS = range(0, CUSTOMERS, 8), 30.0
THROTTLED = 429
ALLOWED_PER_MINUTE = 60
# At the very rate that is allowed, half of all queries would come a hair too early and be refused.
OUR_PER_MINUTE = 60
ALL_ONLINE_SECONDS = 90.0
PAYS = Behaviour(payer=Payer.PIN, payer_after_seconds=1.0, callback=CallbackHandling(copies=0))
OPTIONS = replace(DarajaOptions.unhurried(PAYS), queries_per_minute=ALLOWED_PER_MINUTE)


def phone(number: int) -> str:
    return f"07123450{number:02}"


def mac(number: int) -> str:
    return f"AA:BB:CC:00:01:{number:02X}"


async def test_forty_open_purchases_are_asked_about_in_turn(tmp_path: Path) -> None:
    """All of them online; no purchase is asked about twice before all that are due were asked about once."""
    async with WireTap() as tap:
        gateways = GATEWAYS.replace("{daraja}", tap.url).replace("minute = 60", f"minute = {OUR_PER_MINUTE}")
        files = {"edge.toml": ANY_NUMBER_OF_PROMPTS, "gateways.toml": gateways}
        stage = MoneyStage(tmp_path, files=files, daraja_options=OPTIONS)
        stage.tap = tap
        async with stage:
            for number in range(CUSTOMERS):
                stage.router.connect_device(mac(number), f"10.5.60.{number + 1}")
            for number in SLOW:
                stage.daraja.set_behaviour(phone(number), replace(PAYS, payer_after_seconds=SLOW_SECONDS))
            await asyncio.gather(*(stage.buy(phone=phone(n), macAddress=mac(n)) for n in range(CUSTOMERS)))
            await stage.until(
                lambda: all(stage.router.is_online(mac(number)) for number in range(CUSTOMERS)),
                seconds=ALL_ONLINE_SECONDS,
                what="everybody online",
            )
            assert len(stage.daraja.debits) == CUSTOMERS
            assert await stage.count("grants") == CUSTOMERS
    # What the throttle refused was not asked: it is asked later, after the others.
    sent = zip(tap.bodies[QUERY], tap.statuses[QUERY], strict=True)
    asked = [body["CheckoutRequestID"] for body, status in sent if status != THROTTLED]
    assert len(set(asked[:CUSTOMERS])) == CUSTOMERS
    assert CUSTOMERS < len(asked) <= CUSTOMERS + len(SLOW)
    assert tap.statuses[QUERY].count(THROTTLED) <= 2
