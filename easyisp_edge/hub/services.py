"""What the hub does beside receiving: callbacks, look-ups, and telling about the fleet. Built in one place."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easyisp_edge.adapters.daraja.app import DarajaApp
from easyisp_edge.adapters.daraja.exchange import open_http_client
from easyisp_edge.adapters.daraja.push_rules import check_address
from easyisp_edge.adapters.daraja.transaction_status import IdentifierType, Initiator
from easyisp_edge.errors import EdgeError, InvalidError
from easyisp_edge.hub.callbacks import CallbackRoutes
from easyisp_edge.hub.fleet import Fleet
from easyisp_edge.hub.fleet_routes import FleetRoutes
from easyisp_edge.hub.lookups import Lookup, Lookups
from easyisp_edge.hub.mpesa_accounts import read_secret
from easyisp_edge.hub.pulled import Pulled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx
    from aiohttp import web
    from pydantic import SecretStr

    from easyisp_edge.hub.config import HubConfig
    from easyisp_edge.hub.mpesa_accounts import MpesaAccount
    from easyisp_edge.hub.parts import Parts
    from easyisp_edge.machine import Clock, Randomness

log = logging.getLogger(__name__)

_TOKEN_LENGTH_LEAST = 24


@dataclass(frozen=True, slots=True)
class Services:
    """The hub's services.

    Args:
        callbacks: What M-Pesa posts for boxes.
        lookups: Receipts that boxes ask about.
        fleet: What people are told; None where the configuration names no secret for it.
    """

    callbacks: CallbackRoutes
    lookups: Lookups
    fleet: FleetRoutes | None

    def add_to(self, app: web.Application) -> None:
        """Open all routes."""
        self.callbacks.add_to(app)
        self.lookups.add_to(app)
        if self.fleet is not None:
            self.fleet.add_to(app)

    async def tidy(self) -> None:
        """Forget what has passed.

        Raises:
            UnavailableError: The database does not answer.
        """
        await self.callbacks.tidy()
        await self.lookups.tidy()


@contextlib.asynccontextmanager
async def open_services(parts: Parts, randomness: Randomness) -> AsyncIterator[Services]:
    """Build the services; what they call with is closed at the end of the block.

    Raises:
        EdgeError: A file with a secret cannot be read, or is not fit; or M-Pesa would not post to the hub's address.
    """
    _warn_of_address(parts.config.public_url)
    token = None if parts.config.fleet_token_file is None else _fleet_token(parts.config.fleet_token_file)
    async with open_http_client() as http:
        known = _known(parts.config, http, parts.clock)
        yield Services(
            callbacks=CallbackRoutes(parts),
            lookups=Lookups(parts, randomness, known),
            fleet=None if token is None else FleetRoutes(parts, Fleet(parts.database, parts.clock), token),
        )


def _warn_of_address(public_url: str) -> None:
    """Say where M-Pesa would post nothing to the hub; boxes may do without."""
    try:
        check_address("public_url", f"{public_url}/cb/")
    except InvalidError as error:
        log.warning("public_url: %s Boxes get no callbacks by way of this hub.", error.message)


def _fleet_token(path: Path) -> SecretStr:
    token = read_secret(path)
    if len(token.get_secret_value()) < _TOKEN_LENGTH_LEAST:
        raise EdgeError(
            "hub.secret", f"{path}: the fleet's token has to have {_TOKEN_LENGTH_LEAST} characters or more."
        )
    return token


def _known(config: HubConfig, http: httpx.AsyncClient, clock: Clock) -> list[Lookup]:
    """How each short code is looked up; those with the same key share its token."""
    apps: dict[tuple[str, str], DarajaApp] = {}
    known = []
    for account in config.mpesa:
        key, secret = read_secret(account.consumer_key_file), read_secret(account.consumer_secret_file)
        app = apps.setdefault(
            (key.get_secret_value(), account.base_url),
            DarajaApp(consumer_key=key, consumer_secret=secret, base_url=account.base_url, http=http, clock=clock),
        )
        pulled = Pulled(app, account.short_code, clock) if account.pull else None
        known.append(Lookup(account, app, pulled, _initiator(account, config.public_url)))
    return known


def _initiator(account: MpesaAccount, public_url: str) -> Initiator | None:
    if account.security_credential_file is None:
        return None
    check_address("public_url", f"{public_url}/r/")
    return Initiator(
        account.initiator,
        read_secret(account.security_credential_file),
        account.short_code,
        IdentifierType.TILL if account.till else IdentifierType.SHORT_CODE,
    )
