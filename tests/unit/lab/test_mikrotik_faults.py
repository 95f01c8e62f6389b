"""Trouble on purpose, as the API's client meets it, and what is done or not done each time."""

from __future__ import annotations

import asyncio

import pytest

from easyisp_edge.lab.mikrotik import ALL_POLICIES, ApiUser, Fault, FaultKind, MikrotikOptions, Throttle
from tests.fakes.mikrotik_stage import IP, MAC, RawClient, Stage, let_run, mikrotik_stage, until

USER = "/ip/hotspot/user"
ADMIN = ApiUser("edge", "s3cret", ALL_POLICIES)


def has(stage: Stage, name: str) -> bool:
    return any(row["name"] == name for row in stage.router.users)


async def silent(client: RawClient) -> bool:
    """Whether nothing comes, and the connection stands."""
    try:
        async with asyncio.timeout(0.03):
            await client.reader.readexactly(1)
    except TimeoutError:
        return True
    except (asyncio.IncompleteReadError, OSError):
        return False
    return False


@pytest.mark.parametrize(
    ("kind", "done"),
    [
        (FaultKind.DROP, False),
        (FaultKind.DROP_AFTER, True),
        (FaultKind.RESET, False),
        (FaultKind.RESET_AFTER, True),
        (FaultKind.REBOOT, False),
        (FaultKind.REBOOT_AFTER, True),
    ],
)
async def test_connections_end_at_the_chosen_command(kind: FaultKind, *, done: bool) -> None:
    """`fault_at` hits the n-th command from now, before or after it was carried out, and none before or after that."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        stage.router.faults.fault_at(3, kind, seconds=5)
        await client.done(f"{USER}/add", "=name=one")
        await client.done(f"{USER}/add", "=name=two")
        await client.send(f"{USER}/add", "=name=three")
        assert await client.at_end()
        await stage.clock.advance(6)
        await stage.router.until_up()
        assert (has(stage, "two"), has(stage, "three")) == (True, done)
        await (await stage.raw()).done(f"{USER}/add", "=name=four")


async def test_a_reset_is_one() -> None:
    """The client is told by TCP itself, not by an orderly end."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        stage.router.faults.fault_at(1, FaultKind.RESET)
        await client.send("/system/identity/print")
        with pytest.raises(ConnectionResetError):
            await client.octets(1)


@pytest.mark.parametrize(("kind", "done"), [(FaultKind.HANG, False), (FaultKind.HANG_AFTER, True)])
async def test_hanging_commands_leave_the_connection_standing(kind: FaultKind, *, done: bool) -> None:
    """Nothing comes back; another connection is served, and what was done is there."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        stage.router.faults.add(Fault(kind, f"{USER}/add"))
        await client.send(f"{USER}/add", "=name=kofi")
        assert await silent(client)
        assert has(stage, "kofi") is done
        assert await (await stage.raw()).rows("/system/identity/print")


async def test_an_answer_may_stop_in_the_middle() -> None:
    """Half of the octets come, in the middle of a sentence, and never the rest."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        await client.send("/system/identity/print")
        whole = await client.octets(27)
        stage.router.faults.fault_at(1, FaultKind.HANG_MIDWAY)
        await client.send("/system/identity/print")
        assert await client.octets(len(whole) // 2) == whole[: len(whole) // 2]
        assert await silent(client)


async def test_an_answer_may_come_late() -> None:
    """The command is done at once and answered when its time is up, whether or not anyone still waits."""
    async with mikrotik_stage() as stage:
        stage.router.faults.fault_at(1, FaultKind.LATE, seconds=30)
        client = await stage.raw()
        await client.send(f"{USER}/add", "=name=kofi")
        await until(lambda: has(stage, "kofi"))
        assert await silent(client)
        await stage.clock.advance(30)
        assert (await client.answer())[0][0] == "!done"


async def test_a_mute_router_takes_connections_and_answers_none() -> None:
    """Half open: commands and log-ins vanish until the faults are cleared, then new connections work."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        stage.router.faults.fault_at(1, FaultKind.MUTE)
        await client.send(f"{USER}/add", "=name=kofi")
        assert await silent(client)
        other = await stage.raw(logged_in=False)
        await other.send("/login", "=name=edge", "=password=s3cret")
        assert await silent(other)
        stage.router.faults.clear()
        assert await (await stage.raw()).rows("/system/identity/print")
        assert not has(stage, "kofi")


async def test_a_small_processor_tires_and_recovers() -> None:
    """After a burst each command takes its time, over all connections together; rest makes it quick again."""
    async with mikrotik_stage() as stage:
        first, second = await stage.raw(), await stage.raw()
        stage.router.faults.throttle(Throttle(burst=4, seconds=0.5))
        for client in (first, second, first, second):
            await client.rows("/system/identity/print")
        await first.send("/system/identity/print")
        await second.send("/system/identity/print")
        await until(lambda: len(stage.router.commands_seen) == 8)
        assert await silent(first)
        await stage.clock.advance(0.5)
        await first.answer()
        assert await silent(second)
        await stage.clock.advance(0.5)
        await second.answer()
        await stage.clock.advance(2)
        for _ in range(3):
            await first.rows("/system/identity/print")


async def test_a_reboot_keeps_what_was_configured() -> None:
    """Tables, files, scripts and users of the router stay; hosts, sessions and the log do not; the clock is lost."""
    async with mikrotik_stage(MikrotikOptions(api_users=(ADMIN,), ntp_seconds=20)) as stage:
        client, router = await stage.raw(), stage.router
        await client.done(f"{USER}/add", "=name=kofi")
        await client.done("/file/add", "=name=a.txt", "=contents=x")
        await client.done("/system/script/add", "=name=s", "=source=:put x")
        await client.done("/user/add", "=name=other", "=group=full", "=password=pw")
        router.connect_device(MAC, IP)
        await router.log_in(MAC, "kofi", "")
        router.faults.fault_at(1, FaultKind.REBOOT_AFTER, seconds=30)
        await client.send("/system/identity/set", "=name=Renamed")
        assert await client.at_end()
        await stage.clock.advance(31)
        await router.until_up()
        again = await stage.raw("other", "pw")
        assert await again.rows("/system/identity/print") == [{"name": "Renamed"}]
        assert await again.rows("/system/clock/print", "?date=1970-01-02")
        assert [row["name"] for row in await again.rows("/system/script/print")] == ["s"]
        assert router.files.contents("a.txt") == "x"
        assert has(stage, "kofi")
        for menu in ("/ip/hotspot/active", "/ip/hotspot/host"):
            assert await again.rows(f"{menu}/print") == []
        await stage.clock.advance(20)
        assert await again.rows("/system/clock/print", "?date=2026-11-21")


async def test_a_factory_reset_leaves_nothing() -> None:
    """Everything configured is gone, the options' users are back, and the ports are what they were."""
    async with mikrotik_stage(MikrotikOptions(api_users=(ADMIN,), version="7.20.8")) as stage:
        client, router = await stage.raw(), stage.router
        await client.done(f"{USER}/add", "=name=kofi")
        await client.done("/system/identity/set", "=name=Site")
        await client.done("/system/script/add", "=name=s", "=source=:put x")
        await client.done("/user/set", "=numbers=edge", "=password=changed")
        port = router.api_port
        router.faults.fault_at(1, FaultKind.WIPE_AFTER)
        await client.send("/system/identity/print")
        assert await client.at_end()
        await let_run()
        again = await stage.raw()
        assert router.api_port == port
        assert await again.rows("/system/identity/print") == [{"name": "MikroTik"}]
        for menu in ("/ip/hotspot", "/radius", "/ip/address", "/system/script", "/ip/dhcp-server"):
            assert await again.rows(f"{menu}/print") == []
        assert [row["name"] for row in router.users] == ["default-trial"]
        assert [row["name"] for row in await again.rows("/user/print")] == ["edge"]
        await again.done("/ip/hotspot/add", "=name=new", "=interface=bridge1", "=disabled=no")
