"""The configured gateways as ways to ask Daraja."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from easyisp_edge.adapters.daraja.app import DarajaApp
from easyisp_edge.adapters.daraja.client import DarajaClient
from easyisp_edge.adapters.daraja.credentials import DarajaAccount
from easyisp_edge.config import Environment, Mpesa, SubType

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Collection

    import httpx

    from easyisp_edge.config import Gateway
    from easyisp_edge.domain.reach import Reach
    from easyisp_edge.machine import Clock

_BASE_URLS = {
    Environment.SANDBOX: "https://sandbox.safaricom.co.ke",
    Environment.PRODUCTION: "https://api.safaricom.co.ke",
}


@dataclass(slots=True)
class Gateways:
    """Opens configured gateways, each once; apps and HTTP clients are shared where keys and authorities are.

    Args:
        open_http: Opens an HTTP client that trusts the given authorities, or the usual ones.
        clock: Box time.
        stack: Closes what was opened.
        elsewhere: Where gateways ask that name no address of their own; M-Pesa itself where it says none.
    """

    open_http: Callable[[ssl.SSLContext | bool], httpx.AsyncClient]
    clock: Clock
    stack: contextlib.AsyncExitStack
    elsewhere: Mpesa = field(default_factory=Mpesa)
    _clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    _apps: dict[tuple[str, str, str, str], DarajaApp] = field(default_factory=dict)
    _gateways: dict[Gateway, DarajaClient] = field(default_factory=dict)

    def open(self, gateway: Gateway) -> DarajaClient:
        """The way to a gateway as it is configured now; callers ask first whether it has an API.

        Raises:
            ValueError: It has none.
        """
        if not gateway.has_api:
            raise ValueError(f"gateway {gateway.id} has no API")
        if gateway not in self._gateways:
            self._gateways[gateway] = DarajaClient(self._app(gateway), daraja_account(gateway))
        return self._gateways[gateway]

    def reach(self, gateway: Gateway) -> Reach | None:
        """How asking a gateway went of late; None where it was not asked yet."""
        opened = self._gateways.get(gateway)
        return None if opened is None else opened.app.reach

    def keep(self, configured: Collection[Gateway]) -> None:
        """Forget those that are not configured any more, and their keys; what is under way with one goes on."""
        self._gateways = {gateway: client for gateway, client in self._gateways.items() if gateway in configured}
        used = [client.app for client in self._gateways.values()]
        self._apps = {key: app for key, app in self._apps.items() if app in used}

    def _app(self, gateway: Gateway) -> DarajaApp:
        base_url, ca_file = self._address(gateway)
        secret = gateway.consumer_secret.get_secret_value()
        key = (base_url, gateway.consumer_key.get_secret_value(), secret, ca_file)
        if key not in self._apps:
            self._apps[key] = DarajaApp(
                consumer_key=gateway.consumer_key,
                consumer_secret=gateway.consumer_secret,
                base_url=base_url,
                http=self._client(ca_file),
                clock=self.clock,
                queries_per_minute=gateway.queries_per_minute,
            )
        return self._apps[key]

    def _address(self, gateway: Gateway) -> tuple[str, str]:
        """Where a gateway asks, and who vouches for that address; empty for the usual ones."""
        said = gateway if gateway.base_url is not None else self.elsewhere
        return said.base_url or _BASE_URLS[gateway.environment], str(said.ca_file or "")

    def _client(self, ca_file: str) -> httpx.AsyncClient:
        if ca_file not in self._clients:
            client = self.open_http(ssl.create_default_context(cafile=ca_file) if ca_file else True)
            self.stack.push_async_callback(client.aclose)
            self._clients[ca_file] = client
        return self._clients[ca_file]


def daraja_account(gateway: Gateway) -> DarajaAccount:
    """Who receives the money of a configured gateway with an API, and who signs for it, in Daraja's terms."""
    signer, receiver, passkey = gateway.signing_shortcode, gateway.shortcode, gateway.passkey
    if gateway.sub_type is SubType.BUYGOODS:
        return DarajaAccount.buy_goods(signer, receiver, passkey)
    if gateway.sub_type is SubType.BANK:
        return DarajaAccount.bank(signer, receiver, gateway.account_number or "", passkey)
    # An aggregator's short code signs for a PayBill that is not its own; else the PayBill signs for itself.
    return replace(DarajaAccount.paybill(receiver, passkey), business_shortcode=signer)
