"""Who asks: told by the signature, before anything else is read."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.sync import NUMBER, SITE_ID, Lane, Request
from easyisp_edge.hub.gathering import Gathered
from easyisp_edge.hub.keys import NOBODY, SIGNATURE_OCTETS, exact_base64, is_signed
from easyisp_edge.hub.refusals import RequestRefused, counter_used, not_any_more, not_known
from easyisp_edge.hub.store.sites import CLOSED, change_key, counters, sites_of, take_counter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from easyisp_edge.hub.alarms import Alarms
    from easyisp_edge.hub.store.database import Database, Transaction
    from easyisp_edge.hub.store.sites import Site

_LANES = frozenset(Lane)
_REPLACED = (
    "This key counts no more: another box has taken the site over, or this one was put back to before it changed its"
    " key. If it is the right box, enrol it again."
)
_LOOKED_UP_MOST, _WAITING_MOST = 200, 2000


class Claim(NamedTuple):
    """What a request's headers say, before anyone believes them.

    Args:
        site_id: Who asks.
        epoch: In which life.
        lane: In which order.
        counter: Above all before it in the lane.
        signature: 64 octets.
    """

    site_id: str
    epoch: int
    lane: Lane
    counter: int
    signature: bytes


class Asker(NamedTuple):
    """Who signed a request.

    Args:
        site: As it stands.
        claim: The headers, true.
        body: As sent.
    """

    site: Site
    claim: Claim
    body: bytes


def read_claim(headers: Mapping[str, str], target: str) -> Claim:
    """The headers of a request.

    Raises:
        RequestRefused: One is missing or cannot be read, or the address is not plain ASCII and so nobody's.
    """
    site_id, lane = headers.get("Edge-Site", ""), headers.get("Edge-Lane", "")
    epoch, counter = headers.get("Edge-Epoch", ""), headers.get("Edge-Counter", "")
    signature = exact_base64(headers.get("Edge-Signature"), SIGNATURE_OCTETS)
    if (
        signature is None
        or not target.isascii()
        or not SITE_ID.fullmatch(site_id)
        or lane not in _LANES
        or not NUMBER.fullmatch(epoch)
        or not NUMBER.fullmatch(counter)
    ):
        raise RequestRefused(HTTPStatus.UNAUTHORIZED, "unsigned", "Every request of a box is signed.")
    return Claim(site_id, int(epoch), Lane(lane), int(counter), signature)


class Doorkeeper:
    """Tells true requests from others.

    Args:
        database: Where the keys are.
        alarms: Where others are noted.
    """

    def __init__(self, database: Database, alarms: Alarms) -> None:
        self._database = database
        self._alarms = alarms
        self.keys: Gathered[str, Site | None] = Gathered(
            self._sites, round_most=_LOOKED_UP_MOST, waiting_most=_WAITING_MOST
        )
        self._last_known: dict[str, Site] = {}

    def recognise(self, method: str, target: str, claim: Claim, body: bytes) -> Asker | None:
        """Who signed a request, going by how the site stood when it was last looked up; None where that says nobody.

        It may be another box's by now: only for what looks at the site itself before it believes.
        """
        site = self._last_known.get(claim.site_id)
        if site is None or site.public_key is None or site.epoch != claim.epoch:
            return None
        if not is_signed(site.public_key, _signed_by(method, target, claim, body), claim.signature):
            return None
        return Asker(site, claim, body)

    async def identify(self, method: str, target: str, claim: Claim, body: bytes) -> Asker:
        """Who signed a request; its counter is not used yet.

        Raises:
            RequestRefused: Nobody who may.
        """
        site = await self.keys.ask(claim.site_id)
        if self._last_known.get(claim.site_id) != site:
            self._last_known.pop(claim.site_id, None)
        message = _signed_by(method, target, claim, body)
        if site is not None and site.next_key is not None and is_signed(site.next_key, message, claim.signature):
            site = await self._with_its_new_key(site, site.next_key)
        if site is None or site.public_key is None or not is_signed(site.public_key, message, claim.signature):
            former = NOBODY if site is None or site.former_key is None else site.former_key
            if is_signed(former, message, claim.signature):
                await self._alarms.note(claim.site_id, "site.replaced", f"{method} {target}")
                raise not_any_more("site.replaced", _REPLACED)
            await self._alarms.note("" if site is None else site.site_id, "signature", f"{method} {target}")
            raise not_known()
        if site.state == CLOSED:
            await self._alarms.note(site.site_id, "site.closed", f"{method} {target}")
            raise not_any_more("site.closed", "This site is closed.")
        self._last_known[site.site_id] = site
        return Asker(site, claim, body)

    async def _with_its_new_key(self, site: Site, following: bytes) -> Site | None:
        """The box has taken its new key up: the one before ends."""
        async with self._database.transaction() as tx:
            await change_key(tx, site.site_id, following)
            return (await sites_of(tx, [site.site_id])).get(site.site_id)

    async def _sites(self, site_ids: Sequence[str]) -> list[Site | None]:
        async with self._database.reading() as tx:
            found = await sites_of(tx, site_ids)
        return [found.get(site_id) for site_id in site_ids]


def _signed_by(method: str, target: str, claim: Claim, body: bytes) -> bytes:
    return Request(method, target, claim.site_id, claim.epoch, claim.lane, claim.counter, body).signed()


async def admit(tx: Transaction, claim: Claim, at: str) -> None:
    """Use a request's counter, so that it is never taken twice.

    Raises:
        RequestRefused: It is not above every one before.
    """
    if not await take_counter(tx, claim.site_id, claim.lane.value, claim.counter, at):
        raise counter_used((await counters(tx, claim.site_id)).get(claim.lane.value, 0))
