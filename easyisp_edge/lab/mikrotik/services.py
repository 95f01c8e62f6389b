"""`/ip/service`: what is written there opens, moves and closes the API's doors."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.errors import TrapError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from easyisp_edge.lab.mikrotik.api_server import ApiServer
    from easyisp_edge.lab.mikrotik.tables import Row, Table

API_SERVICES = ("api", "api-ssl")


class Services:
    """Keeps the doors as the table says.

    Args:
        table: Of `/ip/service`.
        api: Whose doors.
    """

    def __init__(self, table: Table, api: ApiServer) -> None:
        self._table = table
        self._api = api
        self._host = ""
        self._asked: dict[str, int] = {}
        self._running = False
        self.certificates: dict[str, tuple[Path, Path]] = {}

    async def open(self, host: str, ports: Mapping[str, int]) -> None:
        """Open the doors that are on; a port of 0 takes any free one and writes it into the table.

        Raises:
            OSError: A port is taken.
        """
        self._host, self._asked, self._running = host, dict(ports), True
        for service in API_SERVICES:
            row = self._row(service)
            row.values["port"] = str(ports[service] or row.values["port"])
            if row.values.get("disabled") != "true":
                await self._open(row, ports[service])

    async def shut(self) -> None:
        """Close every door and cut every connection without a word; `apply` and `reopen` come after."""
        self._running = False
        await self._api.shut()

    async def reopen(self) -> None:
        """Open the doors again where they were.

        Raises:
            OSError: A port is taken meanwhile.
        """
        self._running = True
        await self.apply()

    async def apply(self) -> None:
        """Bring the doors to what the table says; connections that stand go on.

        Raises:
            TrapError: A port is taken on the machine that plays the router.
        """
        if not self._running:
            return
        for service in API_SERVICES:
            row = self._row(service)
            wanted = None if row.values.get("disabled") == "true" else int(row.values["port"])
            standing = self._api.port(service)
            if standing is not None and standing != wanted:
                await self._api.close_door(service)
            if wanted is not None and standing != wanted:
                await self._try_open(row, service)

    def port(self, service: str) -> int:
        """Where the service listens, or would."""
        return int(self._row(service).values["port"])

    def ports(self) -> dict[str, int]:
        """The ports of the API's services, to be kept over a reset."""
        return {service: self.port(service) for service in API_SERVICES}

    def keep(self, ports: Mapping[str, int]) -> None:
        """Write kept ports into the table anew."""
        for service, port in ports.items():
            self._row(service).values["port"] = str(port)

    async def renew(self) -> None:
        """Show the certificate the table now names to connections from now on.

        Raises:
            TrapError: The port is taken meanwhile.
        """
        if self._api.port("api-ssl") is not None:
            await self._api.close_door("api-ssl")
        await self.apply()

    async def _try_open(self, row: Row, service: str) -> None:
        never_opened = self._asked.get(service) == 0 and service not in self._api.opened
        try:
            await self._open(row, 0 if never_opened else int(row.values["port"]))
        except OSError:
            port = row.values["port"]
            raise TrapError(f"failure: port {port} is in use on the machine that plays the router") from None

    async def _open(self, row: Row, port: int) -> None:
        service = row.values["name"]
        context = self._context(row) if service == "api-ssl" else None
        row.values["port"] = str(await self._api.listen(service, self._host, port, context))

    def _context(self, row: Row) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        files = self.certificates.get(row.values.get("certificate", "none"))
        if files is None:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            # Without a certificate RouterOS shows nobody. Its own anonymous ciphers want parameters in a file.
            context.set_ciphers("AECDH:@SECLEVEL=0")
        else:
            context.load_cert_chain(*files)
        if row.values.get("tls-version") == "only-1.2":
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    def _row(self, service: str) -> Row:
        row = self._table.named(service)
        if row is None:
            raise KeyError(service)
        return row
