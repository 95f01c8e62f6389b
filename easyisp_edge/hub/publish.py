"""What sites are told to sell, and which grants are taken back: signed, whole, and numbered.

Gateways hold secrets: in the database, and while they wait for the box, they are sealed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.sync import configuration_signed
from easyisp_edge.errors import InvalidError, NotFoundError
from easyisp_edge.hub.enrolment import no_site
from easyisp_edge.hub.instants import instant
from easyisp_edge.hub.keys import Seal
from easyisp_edge.hub.store import down, publishing
from easyisp_edge.hub.store.publishing import Configuration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from easyisp_edge.hub.bells import Bells
    from easyisp_edge.hub.keys import HubKey
    from easyisp_edge.hub.store.database import Database
    from easyisp_edge.machine import Clock

_OCTETS_MOST = 256 * 1024
_REASON_LENGTH = 200


class Publisher:
    """Publishes configuration and revocations.

    Args:
        database: Where they are kept, and wait for boxes.
        clock: For when.
        key: What configurations are signed and sealed with.
        bells: Who waits for them.
    """

    def __init__(self, database: Database, clock: Clock, key: HubKey, bells: Bells) -> None:
        self._database = database
        self._clock = clock
        self._key = key
        self._seal = Seal(key)
        self._bells = bells

    async def publish(
        self, site_id: str, packages: Sequence[dict[str, Any]], gateways: Sequence[dict[str, Any]]
    ) -> int:
        """Give a site a whole configuration in the place of the one before; gives its version.

        Args:
            site_id: Which site.
            packages: As tables of `packages.toml`.
            gateways: As tables of `gateways.toml`, with their secrets in them.

        Raises:
            InvalidError: It is too long.
            NotFoundError: There is no such site.
            UnavailableError: It may not have been published.
        """
        told = _json(list(packages)), _json(list(gateways))
        if sum(len(text.encode()) for text in told) > _OCTETS_MOST:
            raise InvalidError("config.too_long", "A site's configuration is to be shorter than 256 KB.")
        async with self._database.transaction() as tx:
            version = await publishing.next_version(tx, site_id)
            if version is None:
                raise no_site(site_id)
            at = instant(self._clock.now())
            sealed = self._seal.close(told[1], _place(site_id, version, "gateways"))
            await publishing.keep_configuration(tx, site_id, Configuration(version, told[0], sealed, at))
            content = {
                "packages": list(packages),
                "gateways": list(gateways),
                "revoked": await publishing.revoked(tx, site_id),
            }
            signature = self._key.sign(configuration_signed(site_id, version, content))
            message = close_message(self._seal, site_id, version, {**content, "signature": signature})
            number = await down.queue(tx, site_id, "config", message, at)
            await publishing.drop_older_configurations(tx, site_id, number)
            await tx.announce(site_id)
        self._bells.ring(site_id)
        return version

    async def revoke(self, site_id: str, grant_id: str, reason: str) -> bool:
        """Take a grant back at its box; False where that was told already.

        Raises:
            InvalidError: The reason is missing or too long.
            NotFoundError: The site told of no such grant.
            UnavailableError: It may not have been queued.
        """
        reason = " ".join(reason.split())
        if not reason or len(reason) > _REASON_LENGTH or not reason.isprintable():
            raise InvalidError("revoke.reason", f"A reason has 1 to {_REASON_LENGTH} characters.", field="reason")
        async with self._database.transaction() as tx:
            if not await publishing.has_grant(tx, site_id, grant_id):
                raise NotFoundError("grant.unknown", f"Site {site_id} has told of no grant {grant_id:.64}.")
            at = instant(self._clock.now())
            if not await publishing.add_revocation(tx, site_id, grant_id, reason, at):
                return False
            await down.queue(tx, site_id, "revoke", {"grant": grant_id, "reason": reason}, at)
            await tx.announce(site_id)
        self._bells.ring(site_id)
        return True


def close_message(seal: Seal, site_id: str, version: int, content: dict[str, Any]) -> dict[str, Any]:
    """A `config` message as it waits: its version, and the rest of it sealed."""
    return {"version": version, "sealed": seal.close(_json(content), _place(site_id, version, "message"))}


def open_message(seal: Seal, site_id: str, waiting: Mapping[str, Any]) -> dict[str, Any]:
    """A `config` message as its box is given it.

    Raises:
        UnopenedError: It was not sealed by this hub for this site.
    """
    version = waiting["version"]
    content: dict[str, Any] = json.loads(seal.open(waiting["sealed"], _place(site_id, version, "message")))
    return {"version": version, **content}


def _place(site_id: str, version: int, what: str) -> str:
    return f"{site_id} {version} {what}"


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
