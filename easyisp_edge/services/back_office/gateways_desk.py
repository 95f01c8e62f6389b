"""Payment gateways made at the back office: made, changed, tried and taken away, and at once in force."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from easyisp_edge.config import ConfigError, GatewayType, SubType
from easyisp_edge.config.gateway_types import KEYS
from easyisp_edge.config.made_gateways import made_gateway
from easyisp_edge.domain.events import Stream
from easyisp_edge.domain.gateways import GATEWAYS_MAX, MadeGateway
from easyisp_edge.errors import ConflictError, NotFoundError, RefusedError, UnavailableError
from easyisp_edge.services.back_office.gateway_listing import (
    ShownGateway,
    declared_in,
    shown_as_declared,
    shown_as_made,
)
from easyisp_edge.store.sealing import NONCE_OCTETS, Seal, UnopenedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from easyisp_edge.config import Gateway
    from easyisp_edge.machine import Clock
    from easyisp_edge.services.identifiers import Identifiers
    from easyisp_edge.services.keyring import Keyring
    from easyisp_edge.services.site import Site
    from easyisp_edge.store.store import Store, Tables

log = logging.getLogger(__name__)

TEST_SECONDS = 20.0
_PURPOSE = "gateway secrets"
# What people may say of a gateway beside its secrets, in the words of its row.
_PLAIN = (
    *("type", "sub_type", "name", "shortcode", "store_number", "account_number", "environment"),
    *("for_hotspot", "for_pppoe"),
)
# What a customer who is paying just now was told, or M-Pesa is asked about the payment with.
_STANDS_WHILE_OPEN = frozenset({"type", "sub_type", "shortcode", "store_number", "account_number", "environment"})
_OF_A_KIND = ("store_number", "account_number", *KEYS)
# Which of these numbers a sub-type has a use for.
_NUMBERS_OF = {SubType.BUYGOODS: {"store_number"}, SubType.BANK: {"store_number", "account_number"}}

LOST_KEYS = (
    "The keys of this gateway do not open with this box's key file, so it is not used. Put the file back that was there"
    " when they were entered, and restart; or enter the keys anew."
)


@dataclass(frozen=True, slots=True)
class GatewaysDesk:
    """Gateways, for whoever may set them up.

    Args:
        site: What is configured; gets what is made here.
        store: The store.
        clock: Box time.
        identifiers: New ids.
        keyring: The box's keys.
        changed: To be called when other gateways are in force than before.
        since: Since when this run knows what the files declare.
    """

    site: Site
    store: Store
    clock: Clock
    identifiers: Identifiers
    keyring: Keyring
    changed: Callable[[], None]
    since: datetime
    _trouble: dict[str, str] = field(default_factory=dict)
    _one_by_one: asyncio.Lock = field(default_factory=asyncio.Lock)

    def take_in(self) -> None:
        """Put in force what the store holds; what cannot be used is said in the log, and left out."""
        usable, trouble = [], {}
        for row in self.store.read.made_gateways.all():
            try:
                usable.append(self._gateway(row))
            except UnopenedError:
                trouble[row.gateway_id] = LOST_KEYS
            except ConfigError as error:
                told = "; ".join(f"{problem.key}: {problem.message}" for problem in error.problems)
                trouble[row.gateway_id] = f"This gateway is not used: {told}."
        for gateway_id in trouble.keys() - self._trouble.keys():
            log.error("gateway %s: %s", gateway_id, trouble[gateway_id])
        self._trouble.clear()
        self._trouble.update(trouble)
        self.site.put_made(usable)

    # --- what there is

    def listed(self, tenant_id: str) -> list[ShownGateway]:
        """A tenant's gateways, newest first."""
        declared = [
            shown_as_declared(gateway, self.since)
            for gateway in self.site.declared.gateways
            if gateway.tenant == tenant_id
        ]
        made = [
            self._shown(row)
            for row in self.store.read.made_gateways.of_tenant(tenant_id)
            if not self._declares(row.gateway_id)
        ]
        return sorted([*reversed(made), *declared], key=lambda each: each.created_at, reverse=True)

    async def test(self, tenant_id: str, gateway_id: str) -> str | None:
        """Ask M-Pesa whether it takes a gateway's keys; gives what is wrong, or None.

        Raises:
            NotFoundError: The tenant has no such gateway.
        """
        gateway = self.site.gateway(gateway_id)
        if gateway is None or gateway.tenant != tenant_id:
            return self._trouble.get(self._own(tenant_id, gateway_id).gateway_id, LOST_KEYS)
        if not gateway.has_api:
            return "This gateway has no API, so there is nothing to ask: somebody checks each receipt."
        try:
            async with asyncio.timeout(TEST_SECONDS):
                await self.site.open_gateway(gateway).check_credentials()
        except TimeoutError:
            return f"M-Pesa did not answer within {TEST_SECONDS:.0f} seconds. Try again."
        except (RefusedError, UnavailableError) as error:
            return error.message
        if not self.site.callback_base:
            return (
                "M-Pesa takes the keys, but public_url under [callbacks] in edge.toml is missing: nothing can be sold."
            )
        return None

    # --- what is changed; each gives what stands then

    async def make(self, tenant_id: str, given: Mapping[str, Any], by: str) -> ShownGateway:
        """Make a gateway; a tenant's first is its default.

        Args:
            tenant_id: Whose.
            given: What is said of it, by the keys of `MadeGateway`, secrets in clear.
            by: Who makes it.

        Raises:
            ConfigError: It breaks rules.
            ConflictError: The tenant has too many.
        """
        gateway_id = self.identifiers.secret()
        async with self._one_by_one:
            await self.store.write(lambda tx: self._make(tx, tenant_id, gateway_id, given, by))
            self._put_in_force()
        log.info("gateway %s was made by %s", gateway_id, by)
        return self._shown(self._own(tenant_id, gateway_id))

    async def change(self, tenant_id: str, gateway_id: str, given: Mapping[str, Any], by: str) -> ShownGateway:
        """Change what is said of a gateway in `given`; the rest stands.

        Numbers of one kind of gateway, and keys, do not outlive a change to a kind that has no use for them.

        Raises:
            ConfigError: It would break rules.
            NotFoundError: The tenant has no such gateway.
            ConflictError: It is declared in a file, or somebody is paying through what would change.
        """
        self._mine_to_change(tenant_id, gateway_id)
        async with self._one_by_one:
            with self.site.holding(gateway_id):
                changed = await self.store.write(lambda tx: self._change(tx, tenant_id, gateway_id, given, by))
                self._put_in_force()
        log.info("gateway %s was changed by %s: %s", gateway_id, by, ", ".join(changed) or "nothing")
        return self._shown(self._own(tenant_id, gateway_id))

    async def remove(self, tenant_id: str, gateway_id: str, by: str) -> None:
        """Take a gateway away, with its keys; what was paid through it stays. The default goes to the oldest left.

        Raises:
            NotFoundError: The tenant has no such gateway.
            ConflictError: It is declared in a file, or somebody is paying through it.
        """
        self._mine_to_change(tenant_id, gateway_id)
        async with self._one_by_one:
            with self.site.holding(gateway_id):
                await self.store.write(lambda tx: self._remove(tx, tenant_id, gateway_id, by))
                self._put_in_force()
        log.info("gateway %s was taken away by %s", gateway_id, by)

    async def make_default(self, tenant_id: str, gateway_id: str, by: str) -> None:
        """Let a gateway serve what no other does, in the place of the one before.

        Raises:
            NotFoundError: The tenant has no such gateway.
            ConflictError: A file says which is the default, or the gateway cannot be used.
        """
        self._mine_to_change(tenant_id, gateway_id)
        for gateway in self.site.declared.gateways:
            if gateway.tenant == tenant_id and gateway.default:
                message = f'The default is "{gateway.label}", as {declared_in(gateway)} says: change it there.'
                raise ConflictError("gateway.default_declared", message)
        if gateway_id in self._trouble:
            raise ConflictError("gateway.unusable", self._trouble[gateway_id])
        async with self._one_by_one:
            await self.store.write(lambda tx: self._make_default(tx, tenant_id, gateway_id, by))
            self._put_in_force()

    def _put_in_force(self) -> None:
        self.take_in()
        self.changed()

    def _mine_to_change(self, tenant_id: str, gateway_id: str) -> None:
        """Raise unless it is the tenant's, and no file's."""
        for gateway in self.site.declared.gateways:
            if gateway.id == gateway_id and gateway.tenant == tenant_id:
                message = f'"{gateway.label}" stands in {declared_in(gateway)}: change it there, and reload.'
                raise ConflictError("gateway.declared", message, declaredIn=gateway.source.value)
        if self._declares(gateway_id):
            raise _unknown(gateway_id)
        self._own(tenant_id, gateway_id)

    def _declares(self, gateway_id: str) -> bool:
        return any(gateway.id == gateway_id for gateway in self.site.declared.gateways)

    # --- within the transaction

    def _make(self, tx: Tables, tenant_id: str, gateway_id: str, given: Mapping[str, Any], by: str) -> None:
        others, now = tx.made_gateways.of_tenant(tenant_id), self.clock.now()
        if len(others) >= GATEWAYS_MAX:
            raise ConflictError("gateway.too_many", f"There are {GATEWAYS_MAX} gateways already: take one away first.")
        gateway = made_gateway({"id": gateway_id, "tenant": tenant_id, **given})
        declared = any(each.tenant == tenant_id for each in self.site.declared.gateways)
        row = MadeGateway(
            gateway_id=gateway_id,
            tenant_id=tenant_id,
            **_plain(gateway),
            **self._sealed(gateway, KEYS),
            default=not declared and not any(other.default for other in others),
            made_by=by,
            created_at=now,
            updated_at=now,
        )
        tx.made_gateways.add(row)
        data = {"type": row.type, "subType": row.sub_type, "shortcode": row.shortcode, "env": row.environment}
        _note(tx, "gateway.made", row, by, data | {"default": row.default})

    def _change(self, tx: Tables, tenant_id: str, gateway_id: str, given: Mapping[str, Any], by: str) -> list[str]:
        """Gives the names of what is another now."""
        row = _own(tx, tenant_id, gateway_id)
        stands = self._said_of(row)
        gateway = made_gateway({"id": gateway_id, "tenant": tenant_id, **_merged(stands, given)})
        plain, keys = _plain(gateway), {key: getattr(gateway, key).get_secret_value() for key in KEYS}
        changed = [name for name in _PLAIN if plain[name] != getattr(row, name)]
        new_keys = [key for key in KEYS if keys[key] != (stands.get(key) or "")]
        if not changed and not new_keys:
            return []
        if _STANDS_WHILE_OPEN.intersection(changed) and tx.made_gateways.in_use(gateway_id):
            raise _in_use("what it is changed: its name and its keys may")
        written = replace(row, **plain, **self._sealed(gateway, new_keys), updated_at=self.clock.now())
        tx.made_gateways.update(written)
        _note(tx, "gateway.changed", row, by, {"changed": [*changed, *new_keys]})
        return [*changed, *new_keys]

    def _remove(self, tx: Tables, tenant_id: str, gateway_id: str, by: str) -> None:
        row = _own(tx, tenant_id, gateway_id)
        if tx.made_gateways.in_use(gateway_id):
            raise _in_use("it taken away")
        tx.made_gateways.remove(gateway_id)
        left = tx.made_gateways.of_tenant(tenant_id)
        heir = left[0] if row.default and left else None
        if heir is not None:
            tx.made_gateways.make_default(heir)
        data = {"shortcode": row.shortcode, "default": None if heir is None else heir.gateway_id}
        _note(tx, "gateway.removed", row, by, data)

    def _make_default(self, tx: Tables, tenant_id: str, gateway_id: str, by: str) -> None:
        row = _own(tx, tenant_id, gateway_id)
        if not row.default:
            tx.made_gateways.make_default(row)
            _note(tx, "gateway.made_default", row, by, {})

    # --- rows and what they say

    def _own(self, tenant_id: str, gateway_id: str) -> MadeGateway:
        return _own(self.store.read, tenant_id, gateway_id)

    def _shown(self, row: MadeGateway) -> ShownGateway:
        return shown_as_made(row, self.site.gateway(row.gateway_id), self._trouble.get(row.gateway_id))

    def _gateway(self, row: MadeGateway) -> Gateway:
        """A row as it is used.

        Raises:
            UnopenedError: Its secrets do not open.
            ConfigError: It breaks rules there were not when it was made.
        """
        said = {"id": row.gateway_id, "tenant": row.tenant_id, "default": row.default}
        return made_gateway(said | {name: getattr(row, name) for name in _PLAIN} | self._opened(row))

    def _said_of(self, row: MadeGateway) -> dict[str, Any]:
        """All that was said of it; without its secrets where they do not open."""
        said = {name: getattr(row, name) for name in _PLAIN}
        try:
            return said | self._opened(row)
        except UnopenedError:
            return said

    def _opened(self, row: MadeGateway) -> dict[str, str]:
        seal, sealed = self._seal, {key: getattr(row, key) for key in KEYS}
        return {key: seal.open(text, _place(row.gateway_id, key)) for key, text in sealed.items() if text is not None}

    def _sealed(self, gateway: Gateway, keys: Collection[str]) -> dict[str, Any]:
        return {key: self._closed(gateway.id, key, getattr(gateway, key).get_secret_value()) for key in keys}

    def _closed(self, gateway_id: str, key: str, text: str) -> bytes | None:
        if not text:
            return None
        return self._seal.close(text, _place(gateway_id, key), self.identifiers.randomness.token(NONCE_OCTETS))

    @property
    def _seal(self) -> Seal:
        return Seal(self.keyring.derive(_PURPOSE))


def _merged(stands: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a gateway in all; what only its former kind had a use for is gone."""
    merged = {**stands, **given}
    kind = ("type", "sub_type")
    if all(merged[name] == stands[name] for name in kind):
        return merged
    # A page sends all fields of its form, also those it does not show for the new kind: they say nothing new.
    useless = set(_OF_A_KIND[:2]) - _NUMBERS_OF.get(merged["sub_type"], set())
    gone = {name for name in _OF_A_KIND[:2] if name not in given or (name in useless and given[name] == stands[name])}
    if merged["type"] == GatewayType.MPESA_NO_API:
        gone |= {key for key in KEYS if key not in given}
    return {name: value for name, value in merged.items() if name not in gone}


def _plain(gateway: Gateway) -> dict[str, Any]:
    """What is said of a gateway, in the words of its row."""
    return {
        "type": gateway.type.value,
        "sub_type": gateway.sub_type.value,
        "name": gateway.name,
        "shortcode": gateway.shortcode,
        "store_number": gateway.store_number or gateway.business_shortcode,
        "account_number": gateway.account_number,
        "environment": gateway.environment.value,
        "for_hotspot": gateway.for_hotspot,
        "for_pppoe": gateway.for_pppoe,
    }


def _own(tables: Tables, tenant_id: str, gateway_id: str) -> MadeGateway:
    row = tables.made_gateways.by_id(gateway_id)
    if row is None or row.tenant_id != tenant_id:
        raise _unknown(gateway_id)
    return row


def _unknown(gateway_id: str) -> NotFoundError:
    return NotFoundError("gateway.unknown", f'There is no gateway "{gateway_id:.64}".')


def _in_use(what: str) -> ConflictError:
    message = (
        f"Somebody is paying through this gateway, or waits for a payment to be found, and cannot have {what}. Make"
        " another the default, and try again when that is settled: within minutes, or a day where a pay code was given."
    )
    return ConflictError("gateway.in_use", message)


def _place(gateway_id: str, key: str) -> str:
    return f"gateway {gateway_id} {key}"


def _note(tx: Tables, kind: str, row: MadeGateway, by: str, data: dict[str, Any]) -> None:
    tx.events.append(Stream.MONEY, kind, row.gateway_id, {"by": by, "tenant": row.tenant_id, **data})
