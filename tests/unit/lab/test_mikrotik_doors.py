"""`/ip/service` and api-ssl: doors that open, move and close as the table says, and whom TLS shows."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.lab.mikrotik import ALL_POLICIES, ApiUser, MikrotikOptions
from tests.fakes.certificates import der, pem
from tests.fakes.mikrotik_stage import mikrotik_stage

if TYPE_CHECKING:
    from tests.fakes.mikrotik_stage import Stage

ADMIN = ApiUser("edge", "s3cret", ALL_POLICIES)
SET = "/ip/service/set"


def with_tls(name: str = "other", **changes: object) -> MikrotikOptions:
    return MikrotikOptions(**{"api_users": (ADMIN,), "certificate": (pem(name), pem(name)), **changes})  # type: ignore[arg-type]


def anyone() -> ssl.SSLContext:
    """A client that trusts whoever answers, and asks for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def anonymous() -> ssl.SSLContext:
    """A client that takes a peer that shows nothing."""
    context = anyone()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


async def shown(stage: Stage) -> bytes | None:
    """The certificate api-ssl shows."""
    client = await stage.raw(tls=anyone())
    return client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)  # type: ignore[no-any-return]


async def test_api_ssl_is_the_same_api_behind_a_certificate() -> None:
    """Log-in and commands work as on the plain port, and `/user/active` says by which door."""
    async with mikrotik_stage(with_tls()) as stage:
        secret = await stage.raw(tls=anyone())
        plain = await stage.raw()
        assert await secret.rows("/system/identity/print") == [{"name": "MikroTik"}]
        assert sorted(row["via"] for row in await plain.rows("/user/active/print")) == ["api", "api-ssl"]
        assert await shown(stage) == der("other")


async def test_api_ssl_is_off_without_a_certificate() -> None:
    """By default there is no such port; switched on, it has only ciphers that show nobody."""
    async with mikrotik_stage(MikrotikOptions(api_users=(ADMIN,))) as stage:
        ports = [stage.router.api_ssl_port]
        await (await stage.raw()).done("/ip/service/enable", "=numbers=api-ssl")
        assert [ports, stage.router.api_ssl_port] == [[None], stage.router.services.port("api-ssl")]
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await stage.raw(tls=anyone())
        client = await stage.raw(tls=anonymous())
        assert await client.rows("/system/identity/print") == [{"name": "MikroTik"}]


async def test_the_certificate_may_change_while_it_runs() -> None:
    """New connections see the new certificate, those that stand go on."""
    async with mikrotik_stage(with_tls()) as stage:
        client, port = await stage.raw(tls=anyone()), stage.router.api_ssl_port
        await stage.router.install_certificate(pem("not_yet_valid"), pem("not_yet_valid"))
        assert await shown(stage) == der("not_yet_valid")
        assert stage.router.api_ssl_port == port
        assert await client.rows("/system/identity/print") == [{"name": "MikroTik"}]


async def test_tls_versions_may_be_bounded() -> None:
    """`tls-version=only-1.2` keeps newer ones away, from the next time the door opens."""
    async with mikrotik_stage(with_tls()) as stage:
        api = await stage.raw()
        for change in ("=tls-version=only-1.2", "=disabled=yes", "=disabled=no"):
            await api.done(SET, "=numbers=api-ssl", change)
        client = await stage.raw(tls=anyone())
        assert client.writer.get_extra_info("ssl_object").version() == "TLSv1.2"


async def test_a_service_switched_off_lets_nobody_in() -> None:
    """Connections that stand go on; new ones are refused until it is on again, on the same port."""
    async with mikrotik_stage(with_tls()) as stage:
        client, port = await stage.raw(), stage.router.api_port
        await client.done(SET, "=numbers=api", "=disabled=yes")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert (await client.rows("/ip/service/print", "?name=api"))[0]["disabled"] == "true"
        await (await stage.raw(tls=anyone())).done("/ip/service/enable", "=numbers=api")
        assert await (await stage.raw()).rows("/system/identity/print")
        assert stage.router.api_port == port


async def test_a_service_moves_to_another_port() -> None:
    """The table shows where a service listens; a port that is taken is refused."""
    async with mikrotik_stage(with_tls()) as stage:
        client, old = await stage.raw(), stage.router.api_port
        (row,) = await client.rows("/ip/service/print", "?name=api")
        assert row["port"] == str(old)
        taken = await client.trapped(SET, "=numbers=api", f"=port={stage.router.api_ssl_port}")
        assert "in use" in taken
        holder = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        free = holder.sockets[0].getsockname()[1]
        holder.close()
        await holder.wait_closed()
        await client.done(SET, "=numbers=api", f"=port={free}")
        assert stage.router.api_port == free
        assert await (await stage.raw()).rows("/system/identity/print")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", old)


async def test_a_service_may_be_for_some_addresses_only() -> None:
    """Others are cut off at once; a list that holds the caller's network lets him in."""
    async with mikrotik_stage(with_tls()) as stage:
        client = await stage.raw()
        await client.done(SET, "=numbers=api", "=address=10.5.50.2,10.9.0.0/24")
        (row,) = await client.rows("/ip/service/print", "?name=api")
        assert row["address"] == "10.5.50.2/32,10.9.0.0/24"
        assert await (await stage.raw(logged_in=False)).at_end()
        await client.done(SET, "=numbers=api", "=address=127.0.0.0/8")
        assert await (await stage.raw()).rows("/system/identity/print")


async def test_sessions_are_bounded_by_service() -> None:
    """Each service has its own `max-sessions`, from 7.16."""
    async with mikrotik_stage(with_tls(max_sessions=1)) as stage:
        await stage.raw()
        assert await (await stage.raw(logged_in=False)).at_end()
        client = await stage.raw(tls=anyone())
        await client.done(SET, "=numbers=api", "=max-sessions=2")
        assert await (await stage.raw()).rows("/system/identity/print")


async def test_doors_stand_where_they_stood_after_a_reboot() -> None:
    """Ports, certificate and what is off survive the power."""
    async with mikrotik_stage(with_tls()) as stage:
        ports = (stage.router.api_port, stage.router.api_ssl_port)
        await stage.router.reboot(10)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", ports[0])
        await stage.clock.advance(11)
        await stage.router.until_up()
        assert (stage.router.api_port, stage.router.api_ssl_port) == ports
        assert await shown(stage) == der("other")
