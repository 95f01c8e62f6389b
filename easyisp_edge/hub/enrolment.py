"""How a site comes to be, gets its box, and changes it."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.sync import ENROL_CODE_MINUTES, enrolment_proof, fingerprint
from easyisp_edge.errors import ConflictError, InvalidError, NotFoundError
from easyisp_edge.hub.instants import instant
from easyisp_edge.hub.keys import KEY_OCTETS, SIGNATURE_OCTETS, exact_base64, is_signed
from easyisp_edge.hub.refusals import RequestRefused
from easyisp_edge.hub.store import down, identity, sites

if TYPE_CHECKING:
    from easyisp_edge.hub.alarms import Alarms
    from easyisp_edge.hub.bells import Bells
    from easyisp_edge.hub.store.database import Database
    from easyisp_edge.hub.store.sites import Site
    from easyisp_edge.machine import Clock, Randomness

_SITE_OCTETS, _CODE_OCTETS = 8, 16
_GROUP = 4
_NAME_LENGTH, _CODE_LENGTH = 100, 80
_REFUSED = (
    f"The code is wrong, used, or older than {ENROL_CODE_MINUTES} minutes. At the hub, easyisp-edge hub site add gives"
    " a new one for a site of that name."
)
_STANDS = {
    sites.NEW: "none has enrolled yet",
    sites.WAITING: "it was replaced just now",
    sites.CONFIRMED: "its box is confirmed already",
    sites.CLOSED: "the site is closed",
}


class NewSite(NamedTuple):
    """A code for a site.

    Args:
        site_id: Of the site.
        code: For one box, once; nobody can show it again.
        minutes: How long it is good.
        replaces: The fingerprint of the box that ends when the code is used; empty where there is none.
    """

    site_id: str
    code: str
    minutes: int
    replaces: str


class SeenSite(NamedTuple):
    """A site for people.

    Args:
        site: As it stands.
        fingerprint: Of its box's key; empty before the first.
        last_seen_at: When it last asked for anything.
    """

    site: Site
    fingerprint: str
    last_seen_at: str | None


def code_digest(code: str) -> bytes:
    """What is kept of a code; how it is grouped and written does not count."""
    return hashlib.sha256("".join(code.upper().replace("-", " ").split()).encode()).digest()


class Enrolment:
    """Sites and their boxes.

    Args:
        database: Where they are kept.
        clock: For how long codes are good.
        randomness: For ids and codes.
        alarms: Where wrong codes are noted.
        bells: Rung for a box that was confirmed.
        hub_key: The hub's public key.
        public_url: Where M-Pesa reaches the hub.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        randomness: Randomness,
        *,
        alarms: Alarms,
        bells: Bells,
        hub_key: bytes,
        public_url: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._randomness = randomness
        self._alarms = alarms
        self._bells = bells
        self._hub_key = base64.b64encode(hub_key).decode()
        self._public_url = public_url

    async def new_code(self, name: str) -> NewSite:
        """A code for the site of a name, which is made where there is none; an older site's box ends with its use.

        Raises:
            InvalidError: The name cannot be taken.
        """
        name = name.strip()
        if not name or len(name) > _NAME_LENGTH or not name.isprintable():
            raise InvalidError("site.name", f"A site's name has 1 to {_NAME_LENGTH} characters.", field="name")
        now = self._clock.now()
        code = _grouped(self._randomness.token(_CODE_OCTETS))
        async with self._database.transaction() as tx:
            site = await sites.site_named(tx, name)
            site_id = self._randomness.token(_SITE_OCTETS).hex() if site is None else site.site_id
            if site is None:
                await sites.add_site(tx, site_id, name, instant(now))
            expires_at = instant(now + timedelta(minutes=ENROL_CODE_MINUTES))
            await sites.add_code(tx, code_digest(code), site_id, expires_at)
        replaces = fingerprint(site.public_key) if site is not None and site.public_key else ""
        return NewSite(site_id, code, ENROL_CODE_MINUTES, replaces)

    async def confirm(self, site_id: str, expected: str = "") -> str:
        """A person compared the fingerprints: from now on the site's box gets what waits for it.

        Args:
            site_id: Which site.
            expected: The fingerprint the box showed, where the hub is to compare it.

        Returns:
            The fingerprint of the box that was confirmed.

        Raises:
            NotFoundError: There is no such site.
            ConflictError: No box of it waits for that, or one with another key does.
        """
        async with self._database.transaction() as tx:
            confirmed = await sites.confirm_site(tx, site_id, instant(self._clock.now()))
            site = (await sites.sites_of(tx, [site_id])).get(site_id)
            if site is None:
                raise no_site(site_id)
            if not confirmed or site.public_key is None:
                raise ConflictError(
                    "site.not_waiting", f"No box of this site waits to be confirmed: {_STANDS[site.state]}."
                )
            shown = fingerprint(site.public_key)
            if expected and _plain(expected) != _plain(shown):
                raise ConflictError(
                    "site.other_key",
                    f"The box that waits has the key {shown}: it is not confirmed.",
                )
            await tx.announce(site_id)
        self._bells.ring(site_id)
        return shown

    async def close(self, site_id: str) -> None:
        """Hear no more of a site's box: one that was stolen, or a site that is given up. What is known of it stays.

        A new code for the site, once used, opens it again for another box.

        Raises:
            NotFoundError: There is no such site.
        """
        async with self._database.transaction() as tx:
            if not await sites.sites_of(tx, [site_id]):
                raise no_site(site_id)
            await sites.close_site(tx, site_id)
            await tx.announce(site_id)
        self._bells.ring(site_id)

    async def seen(self) -> list[SeenSite]:
        """All sites."""
        async with self._database.reading() as tx:
            found, last = await sites.all_sites(tx), await sites.last_seen(tx)
        return [
            SeenSite(site, fingerprint(site.public_key) if site.public_key else "", last.get(site.site_id))
            for site in found
        ]

    def callback_base(self, site_id: str) -> str:
        """Below which M-Pesa's callbacks for a site arrive."""
        return f"{self._public_url}/cb/{site_id}"

    async def tell_address(self) -> int:
        """Have every box told where its callbacks go, where that is another address than at the last start.

        Gives how many are told.

        Raises:
            UnavailableError: They may not be.
        """
        async with self._database.transaction() as tx:
            before = await identity.take_address(tx, self._public_url)
            if before in {None, self._public_url}:
                return 0
            at = instant(self._clock.now())
            told = [
                site.site_id for site in await sites.all_sites(tx) if site.public_key and site.state != sites.CLOSED
            ]
            for site_id in told:
                await down.queue(tx, site_id, "site", {"callbackBase": self.callback_base(site_id)}, at)
                await tx.announce(site_id)
        for site_id in told:
            self._bells.ring(site_id)
        return len(told)

    async def enrol(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Give a site a box.

        Args:
            asked: `code`, `publicKey` and `proof`.

        Raises:
            RequestRefused: The code is none or no more, or whoever asks does not hold the key. Which is not told.
        """
        site = await self._taken(asked)
        if site is None:
            await self._alarms.note("", "enrol")
            raise RequestRefused(HTTPStatus.UNAUTHORIZED, "enrol.refused", _REFUSED)
        return {
            "site": site.site_id,
            "epoch": site.epoch,
            "hubKey": self._hub_key,
            "callbackBase": self.callback_base(site.site_id),
            "serverTime": instant(self._clock.now()),
        }

    async def _taken(self, asked: dict[str, Any]) -> Site | None:
        code, key_text = asked.get("code"), asked.get("publicKey")
        key, proof = exact_base64(key_text, KEY_OCTETS), exact_base64(asked.get("proof"), SIGNATURE_OCTETS)
        if not isinstance(code, str) or len(code) > _CODE_LENGTH or not code.isascii() or key is None or proof is None:
            return None
        if not is_signed(key, enrolment_proof(code, str(key_text)), proof):
            return None
        return await self._enrolled(code_digest(code), key)

    async def _enrolled(self, digest: bytes, key: bytes) -> Site | None:
        at = instant(self._clock.now())
        async with self._database.transaction() as tx:
            used = await sites.use_code(tx, digest, key, at)
            if used is None:
                return None
            site_id, first = used
            if first:
                await sites.enrol(tx, site_id, key, at)
            site = (await sites.sites_of(tx, [site_id]))[site_id]
        return site if site.public_key == key else None


def _plain(shown: str) -> str:
    return "".join(shown.split()).lower()


def no_site(site_id: str) -> NotFoundError:
    """What is said at the hub of a site that there is not."""
    return NotFoundError(
        "site.unknown", f"There is no site {site_id:.64}. easyisp-edge hub site list shows all sites and their ids."
    )


def _grouped(octets: bytes) -> str:
    text = base64.b32encode(octets).decode().rstrip("=")
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))
