"""What a hub is made of, built in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.hub.alarms import Alarms
from easyisp_edge.hub.bells import Bells
from easyisp_edge.hub.doorkeeper import Doorkeeper
from easyisp_edge.hub.down_line import DownLine
from easyisp_edge.hub.enrolment import Enrolment
from easyisp_edge.hub.gathering import Gathered
from easyisp_edge.hub.keys import Seal
from easyisp_edge.hub.publish import Publisher
from easyisp_edge.hub.receiving import Receiver
from easyisp_edge.machine import Wake

if TYPE_CHECKING:
    from easyisp_edge.hub.batches import Batch
    from easyisp_edge.hub.config import HubConfig
    from easyisp_edge.hub.keys import HubKey
    from easyisp_edge.hub.receiving import Outcome
    from easyisp_edge.hub.store.database import Database
    from easyisp_edge.machine import Clock, Randomness

# Many boxes share a transaction; none waits for more than this of others'.
_BATCHES_MOST, _WAITING_MOST = 64, 2000


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a hub.

    Args:
        config: What `hub.toml` says.
        database: What the hub knows.
        clock: Its time.
        key: What it signs with.
        alarms: What should not have come.
        bells: Who waits for messages.
        enrolment: Sites and their boxes.
        down: The way down.
        doorkeeper: Who asks.
        batches: Events on their way in.
        asked: Rung when a receipt is to be looked up.
        publisher: What sites are told to sell.
    """

    config: HubConfig
    database: Database
    clock: Clock
    key: HubKey
    alarms: Alarms
    bells: Bells
    enrolment: Enrolment
    down: DownLine
    doorkeeper: Doorkeeper
    batches: Gathered[Batch, Outcome]
    asked: Wake
    publisher: Publisher


def build_parts(config: HubConfig, database: Database, key: HubKey, clock: Clock, randomness: Randomness) -> Parts:
    """Join the parts."""
    alarms, bells = Alarms(database, clock), Bells()
    enrolment = Enrolment(
        database, clock, randomness, alarms=alarms, bells=bells, hub_key=key.public, public_url=config.public_url
    )
    receive = Receiver(database, clock).receive
    return Parts(
        config=config,
        database=database,
        clock=clock,
        key=key,
        alarms=alarms,
        bells=bells,
        enrolment=enrolment,
        down=DownLine(database, clock, bells, alarms=alarms, seal=Seal(key)),
        doorkeeper=Doorkeeper(database, alarms),
        batches=Gathered(receive, round_most=_BATCHES_MOST, waiting_most=_WAITING_MOST),
        asked=Wake(),
        publisher=Publisher(database, clock, key, bells),
    )
