from __future__ import annotations

import pytest

from easyisp_edge.errors import NotFoundError
from easyisp_edge.lab.mikrotik import Destination, MikrotikOptions, TrapError
from easyisp_edge.lab.mikrotik.sessions import TerminateCause
from tests.fakes.mikrotik_stage import IP, MAC, OTHER_MAC, Stage, let_run, mikrotik_stage

USER = "/ip/hotspot/user"
ACTIVE = "/ip/hotspot/active"
OTHER_IP = "10.5.50.11"


def fields(sentence: tuple[str, ...]) -> dict[str, str]:
    pairs = (word[1:].partition("=") for word in sentence[1:] if word.startswith("="))
    return {name: value for name, _, value in pairs}


async def command(stage: Stage, *words: str) -> list[tuple[str, ...]]:
    client = await stage.raw()
    try:
        return await client.ask(*words)
    finally:
        await client.close()


async def rows(stage: Stage, menu: str) -> list[dict[str, str]]:
    return [fields(row) for row in await command(stage, f"{menu}/print") if row[0] == "!re"]


async def add_user(stage: Stage, *words: str) -> None:
    (done,) = await command(stage, f"{USER}/add", "=name=kofi", "=password=7731", *words)
    assert done[0] == "!done"


async def log_in(stage: Stage, *words: str) -> str | None:
    """The trap's message; None where it went well."""
    first = (await command(stage, f"{ACTIVE}/login", *(words or ("=user=kofi", "=password=7731", f"=ip={IP}"))))[0]
    return fields(first).get("message") if first[0] == "!trap" else None


async def test_a_login_by_api_puts_the_device_online() -> None:
    """`active/login` answers a bare `!done`, and the device is a row of active with its limits."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage, "=limit-uptime=1h", "=limit-bytes-total=1000000")
        assert await command(stage, f"{ACTIVE}/login", "=user=kofi", "=password=7731", f"=ip={IP}") == [("!done",)]
        assert stage.router.is_online(MAC)
        await stage.clock.advance(724)
        stage.router.traffic(MAC, 1024, 20480)
        await stage.clock.advance(3)
        (row,) = await rows(stage, ACTIVE)
        assert row == {
            ".id": "*1",
            "server": "hotspot1",
            "user": "kofi",
            "address": IP,
            "mac-address": MAC,
            "login-by": "http-pap",
            "uptime": "12m7s",
            "idle-time": "3s",
            "session-time-left": "47m53s",
            "keepalive-timeout": "2m",
            "limit-bytes-total": "1000000",
            "bytes-in": "1024",
            "bytes-out": "20480",
            "packets-in": "1",
            "packets-out": "14",
            "radius": "false",
            "blocked": "false",
        }
        assert not stage.router.refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("=user=kofi", "=password=7731", "=ip=10.5.50.99"), "unknown host IP 10.5.50.99"),
        (("=user=kofi", "=password=7731"), "unknown host IP 0.0.0.0"),
        (("=user=kofi", "=password=7731", f"=ip={IP}", f"=mac-address={OTHER_MAC}"), "wrong MAC provided"),
        (("=user=kofi", "=password=7731", "=ip="), "invalid value for argument ip"),
        (("=user=kofi", "=password=nope", f"=ip={IP}"), "invalid username or password"),
        (("=user=ama", "=password=7731", f"=ip={IP}"), "invalid username or password"),
        ((f"=user={OTHER_MAC}", f"=ip={IP}"), f"invalid username ({OTHER_MAC}): this MAC address is not yours"),
    ],
)
async def test_logins_are_refused_in_the_hotspot_s_words(words: tuple[str, ...], message: str) -> None:
    """Who the hotspot does not see or know is told so, and stays offline."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        assert await log_in(stage, *words) == message
        assert not stage.router.is_online(MAC)


async def test_a_user_may_be_tied_to_a_device_or_disabled() -> None:
    """A user with a MAC logs in from there only; a disabled one from nowhere."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage, f"=mac-address={OTHER_MAC.lower()}")
        assert await log_in(stage) == "user kofi is not allowed to log in from this MAC address"
        await command(stage, f"{USER}/set", "=.id=kofi", f"=mac-address={MAC}")
        await command(stage, f"{USER}/disable", "=numbers=kofi")
        assert await log_in(stage) == "invalid username or password"
        await command(stage, f"{USER}/enable", "=numbers=kofi")
        assert await log_in(stage) is None


async def test_being_in_already_is_told() -> None:
    """A second login of a device that is in does not start a second session."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        assert await log_in(stage) is None
        assert await log_in(stage) == "already authorizing, retry later"
        assert len(stage.router.active) == 1


async def test_shared_users_bound_a_name() -> None:
    """The profile says how many devices a name may have online; `unlimited` lifts it."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        stage.router.connect_device(OTHER_MAC, OTHER_IP)
        await add_user(stage)
        second = ("=user=kofi", "=password=7731", f"=ip={OTHER_IP}")
        assert await log_in(stage) is None
        assert await log_in(stage, *second) == "no more sessions are allowed for user kofi"
        await command(stage, f"{USER}/profile/set", "=.id=default", "=shared-users=unlimited")
        assert await log_in(stage, *second) is None


async def test_time_is_counted_over_sessions() -> None:
    """limit-uptime is a total: the session ends when it is used up, and the user stays out after."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage, "=limit-uptime=1h")
        await log_in(stage)
        await stage.clock.advance(1200)
        await command(stage, f"{ACTIVE}/remove", "=.id=*1")
        assert stage.router.users[-1]["uptime"] == "20m"
        await stage.clock.advance(5000)
        await log_in(stage)
        assert stage.router.active[0].time_left_seconds == 2400
        await stage.clock.advance(2399)
        assert stage.router.is_online(MAC)
        await stage.clock.advance(2)
        assert not stage.router.is_online(MAC)
        assert stage.router.users[-1]["uptime"] == "1h"
        assert await log_in(stage) == "user kofi has reached uptime limit"


async def test_bytes_are_counted_over_sessions() -> None:
    """A byte limit shows what is left of it, ends the session when used up, and counters can be reset."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage, "=limit-bytes-total=100000000")
        await log_in(stage)
        stage.router.traffic(MAC, 10_000_000, 20_000_000)
        await command(stage, f"{ACTIVE}/remove", "=.id=*1")
        await log_in(stage)
        assert (await rows(stage, ACTIVE))[0]["limit-bytes-total"] == "70000000"
        stage.router.traffic(MAC, 0, 70_000_000)
        assert not stage.router.active
        assert await log_in(stage) == "user kofi has reached traffic limit"
        await command(stage, f"{USER}/reset-counters", "=numbers=kofi")
        assert await log_in(stage) is None


async def test_a_row_counts_what_has_ended() -> None:
    """In 64 bits, both ways: not the session that runs, nor one of a row that is gone; a new row starts at nothing."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage, f"=limit-bytes-total={2**64 - 1}")
        await log_in(stage)
        stage.router.traffic(MAC, 2**33, 2**40)
        assert stage.router.users[-1]["bytes-out"] == "0"
        await command(stage, f"{ACTIVE}/remove", "=.id=*1")
        row = stage.router.users[-1]
        assert (row["bytes-in"], row["bytes-out"]) == (str(2**33), str(2**40))
        await log_in(stage)
        assert (await rows(stage, ACTIVE))[0]["limit-bytes-total"] == str(2**64 - 1 - 2**33 - 2**40)
        stage.router.traffic(MAC, 10, 10)
        await command(stage, f"{USER}/remove", f"=.id={row['.id']}")
        await add_user(stage)
        await command(stage, f"{ACTIVE}/remove", "=.id=*2")
        assert [stage.router.users[-1][name] for name in ("uptime", "bytes-in", "bytes-out")] == ["0s", "0", "0"]
        assert "limit-bytes-total" not in stage.router.users[-1]


async def test_counters_survive_a_reboot_without_the_session_that_ran() -> None:
    """What had ended stays counted, what ran when the power went is nowhere."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        await log_in(stage)
        await stage.clock.advance(60)
        stage.router.traffic(MAC, 100, 200)
        await command(stage, f"{ACTIVE}/remove", "=.id=*1")
        await log_in(stage)
        stage.router.traffic(MAC, 1, 2)
        await stage.router.reboot(down_seconds=40)
        await stage.clock.advance(41)
        assert [stage.router.users[-1][name] for name in ("uptime", "bytes-in", "bytes-out")] == ["1m", "100", "200"]


async def test_a_used_up_byte_limit_takes_the_cookie_with_it() -> None:
    """The session ends as by the NAS's request, so the device is not back by its MAC cookie."""
    async with mikrotik_stage(MikrotikOptions(login_by="http-pap,mac-cookie")) as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage, "=limit-bytes-total=1000")
        await log_in(stage)
        assert await rows(stage, "/ip/hotspot/cookie")
        (session,) = stage.router.hotspot.sessions.values()
        stage.router.traffic(MAC, 400, 600)
        assert session.end() == (session.last_traffic, TerminateCause.NAS_REQUEST)
        assert not await rows(stage, "/ip/hotspot/cookie")


async def test_a_session_ends_at_its_timeouts() -> None:
    """The profile's session-timeout, idle-timeout and keepalive-timeout each end a session at their moment."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        profile = (f"{USER}/profile/set", "=.id=default")
        await command(stage, *profile, "=session-timeout=10m")
        await log_in(stage)
        await stage.clock.advance(601)
        assert stage.router.users[-1]["uptime"] == "10m"
        await command(stage, *profile, "=session-timeout=0s", "=idle-timeout=5m")
        await log_in(stage)
        await stage.clock.advance(240)
        stage.router.traffic(MAC, 10, 10)
        await stage.clock.advance(299)
        assert stage.router.is_online(MAC)
        await stage.clock.advance(2)
        assert not stage.router.is_online(MAC)
        await command(stage, *profile, "=idle-timeout=none")
        await log_in(stage)
        stage.router.disconnect_device(MAC)
        await stage.clock.advance(119)
        assert stage.router.is_online(MAC)
        await stage.clock.advance(2)
        assert not stage.router.is_online(MAC)


async def test_a_gone_device_leaves_the_host_table() -> None:
    """A host that stays away for the server's idle-timeout is forgotten and cannot be logged in."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        assert [row["authorized"] for row in await rows(stage, "/ip/hotspot/host")] == ["false"]
        stage.router.disconnect_device(MAC)
        await stage.clock.advance(301)
        assert await rows(stage, "/ip/hotspot/host") == []
        assert await log_in(stage) == f"unknown host IP {IP}"
        with pytest.raises(NotFoundError):
            stage.router.portal_link(MAC)
        with pytest.raises(NotFoundError):
            stage.router.traffic(MAC, 1, 1)


async def test_edits_leave_a_running_session_alone() -> None:
    """Removing the user, or raising its limit, changes nothing for the session that runs."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage, "=limit-uptime=1h")
        await log_in(stage)
        await command(stage, f"{USER}/set", "=.id=kofi", "=limit-uptime=5h")
        assert stage.router.active[0].time_left_seconds == 3600
        await command(stage, f"{USER}/remove", "=.id=kofi")
        await add_user(stage)
        assert stage.router.is_online(MAC)
        await command(stage, f"{ACTIVE}/remove", "=.id=*1")
        assert stage.router.users[-1]["uptime"] == "0s"


async def test_a_rate_limit_makes_a_queue_for_the_session() -> None:
    """The profile's rate at login makes a dynamic simple queue; later changes hold for later sessions."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await command(stage, f"{USER}/profile/add", "=name=gold", "=rate-limit=2M/5M")
        await add_user(stage, "=profile=gold")
        await log_in(stage)
        (queue,) = await rows(stage, "/queue/simple")
        assert (queue["name"], queue["target"]) == ("<hotspot-kofi>", f"{IP}/32")
        assert (queue["max-limit"], queue["dynamic"]) == ("2000000/5000000", "true")
        await command(stage, f"{USER}/profile/set", "=.id=gold", "=rate-limit=1M")
        assert (await rows(stage, "/queue/simple"))[0]["max-limit"] == "2000000/5000000"
        await command(stage, f"{ACTIVE}/remove", "=.id=*1")
        assert await rows(stage, "/queue/simple") == []
        await log_in(stage)
        assert (await rows(stage, "/queue/simple"))[0]["max-limit"] == "1000000/1000000"


async def test_a_mac_cookie_brings_a_device_back() -> None:
    """A device that left and returns is logged in by its MAC cookie; removing its session takes the cookie too."""
    async with mikrotik_stage(MikrotikOptions(login_by="http-pap,mac-cookie")) as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        await log_in(stage)
        assert [row["mac-cookie"] for row in await rows(stage, "/ip/hotspot/cookie")] == ["true"]
        stage.router.disconnect_device(MAC)
        await stage.clock.advance(1000)
        assert not stage.router.is_online(MAC)
        stage.router.connect_device(MAC, IP)
        await let_run()
        assert [session.login_by for session in stage.router.active] == ["mac-cookie"]
        (row,) = await rows(stage, ACTIVE)
        await command(stage, f"{ACTIVE}/remove", f"=.id={row['.id']}")
        assert await rows(stage, "/ip/hotspot/cookie") == []
        stage.router.connect_device(MAC, IP)
        await let_run()
        assert not stage.router.is_online(MAC)


async def test_mac_login_by_a_local_user() -> None:
    """With `mac` in login-by a device whose MAC is a user name comes in by itself."""
    async with mikrotik_stage(MikrotikOptions(login_by="mac,http-pap")) as stage:
        await command(stage, f"{USER}/add", f"=name={MAC}")
        stage.router.connect_device(MAC, IP)
        await let_run()
        assert [session.login_by for session in stage.router.active] == ["mac"]


async def test_bindings_pass_or_cut_a_device() -> None:
    """A blocked binding cuts a session at once and hides the device from login; a bypassed one needs none."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        await log_in(stage)
        binding = "/ip/hotspot/ip-binding"
        await command(stage, f"{binding}/add", f"=mac-address={MAC}", "=type=blocked")
        assert not stage.router.is_online(MAC)
        assert await log_in(stage) == f"unknown host IP {IP}"
        await command(stage, f"{binding}/set", "=.id=*1", "=type=bypassed")
        assert stage.router.is_online(MAC)
        assert not stage.router.active
        await command(stage, f"{binding}/remove", "=.id=*1")
        assert not stage.router.is_online(MAC)


async def test_the_walled_garden_lets_chosen_packets_through() -> None:
    """Before a login a device reaches what the garden accepts, and nothing else; order decides."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        portal = Destination("10.5.50.2", 8080)
        assert not stage.router.may_reach(MAC, portal)
        garden = "/ip/hotspot/walled-garden/ip"
        await command(
            stage, f"{garden}/add", "=action=accept", "=dst-address=10.5.50.2", "=dst-port=8080", "=protocol=tcp"
        )
        assert stage.router.may_reach(MAC, portal)
        assert not stage.router.may_reach(MAC, Destination("10.5.50.2", 22))
        assert not stage.router.may_reach(MAC, Destination("10.5.50.2", 8080, "udp"))
        await command(stage, f"{garden}/add", "=action=reject", "=dst-address=10.5.50.0/24", "=place-before=*1")
        assert not stage.router.may_reach(MAC, portal)
        pages = "/ip/hotspot/walled-garden"
        await command(stage, f"{pages}/add", "=dst-host=*.example.com")
        assert stage.router.may_reach(MAC, Destination("pay.example.com", 80))
        assert not stage.router.may_reach(MAC, Destination("example.org", 80))
        assert (await rows(stage, pages))[0]["hits"] == "1"


async def test_a_reboot_forgets_who_was_there() -> None:
    """Connections die, the port is closed, then users are there still and hosts and sessions are not."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        await log_in(stage)
        first_id = stage.router.active[0].session_id
        client = await stage.raw()
        port = stage.router.api_port
        await stage.clock.advance(600)
        await stage.router.reboot(down_seconds=40)
        assert await client.at_end()
        with pytest.raises(ConnectionRefusedError):
            await stage.raw()
        await stage.clock.advance(40)
        await stage.router.until_up()
        assert stage.router.api_port == port
        assert await rows(stage, "/ip/hotspot/host") == []
        assert [row["date"] for row in await rows(stage, "/system/clock")] == ["1970-01-02"]
        assert stage.router.users[-1]["uptime"] == "0s"
        assert await log_in(stage) == f"unknown host IP {IP}"
        stage.router.traffic(MAC, 10, 10)
        assert await log_in(stage) is None
        assert (first_id[:3], stage.router.active[0].session_id[:3]) == ("800", "801")
        await stage.clock.advance(20)
        assert [row["date"] for row in await rows(stage, "/system/clock")] == ["2026-11-21"]


async def test_power_may_go_again_while_it_boots() -> None:
    """A second power cut during the boot starts the boot anew, and the router comes up once."""
    async with mikrotik_stage() as stage:
        await stage.router.reboot(down_seconds=40)
        await stage.clock.advance(30)
        await stage.router.reboot(down_seconds=40)
        await stage.clock.advance(30)
        with pytest.raises(ConnectionRefusedError):
            await stage.raw()
        await stage.router.unreachable()
        await stage.clock.advance(10)
        await stage.router.until_up()
        with pytest.raises(ConnectionRefusedError):
            await stage.raw()
        await stage.router.reachable()
        await stage.router.reachable()
        assert len(await rows(stage, "/user/active")) == 1


async def test_devices_may_reappear_by_themselves() -> None:
    """With that option, connected devices are heard again some seconds after the boot."""
    async with mikrotik_stage(MikrotikOptions(reappear_seconds=15)) as stage:
        stage.router.connect_device(MAC, IP)
        await stage.router.reboot(down_seconds=30)
        await stage.clock.advance(44)
        assert await rows(stage, "/ip/hotspot/host") == []
        await stage.clock.advance(1)
        assert [row["mac-address"] for row in await rows(stage, "/ip/hotspot/host")] == [MAC]


async def test_a_wipe_leaves_a_factory_hotspot() -> None:
    """Users, profiles, bindings, rules and sessions are gone; the API user and the devices are not."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await command(stage, f"{USER}/profile/add", "=name=gold")
        await command(stage, f"{USER}/profile/set", "=.id=default", "=shared-users=5")
        await command(stage, "/ip/hotspot/ip-binding/add", f"=mac-address={OTHER_MAC}", "=type=blocked")
        await command(stage, "/ip/hotspot/walled-garden/ip/add", "=dst-port=80")
        await add_user(stage)
        await log_in(stage)
        stage.router.wipe()
        assert [row["name"] for row in stage.router.users] == ["default-trial"]
        (profile,) = await rows(stage, f"{USER}/profile")
        assert (profile["name"], profile["shared-users"]) == ("default", "1")
        for menu in ("/ip/hotspot/ip-binding", "/ip/hotspot/walled-garden/ip", ACTIVE):
            assert await rows(stage, menu) == []
        assert [row["mac-address"] for row in await rows(stage, "/ip/hotspot/host")] == [MAC]


async def test_an_outage_closes_the_door_only() -> None:
    """While the link is gone nobody gets in, and sessions go on; then the same port answers."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        await log_in(stage)
        async with stage.router.outage():
            with pytest.raises(ConnectionRefusedError):
                await stage.raw()
            assert stage.router.is_online(MAC)
        assert len(await rows(stage, ACTIVE)) == 1


async def test_a_device_that_changes_its_address_is_a_new_host() -> None:
    """A host under another address starts over: its session is ended."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        await log_in(stage)
        stage.router.connect_device(MAC, OTHER_IP)
        assert not stage.router.is_online(MAC)
        assert [row["address"] for row in await rows(stage, "/ip/hotspot/host")] == [OTHER_IP]


async def test_forgetting_a_host_ends_its_session() -> None:
    """Removing a host logs it out; it comes back with its next packet."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        await log_in(stage)
        await command(stage, "/ip/hotspot/host/remove", "=.id=*1")
        assert not stage.router.active
        assert (await command(stage, "/ip/hotspot/host/remove", "=.id=*1"))[0] == ("!trap", "=message=no such item")
        stage.router.traffic(MAC)
        assert len(await rows(stage, "/ip/hotspot/host")) == 1


async def test_log_in_as_a_browser_would() -> None:
    """The lab can post the form for a device; refusals come as the hotspot words them."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        with pytest.raises(TrapError, match="invalid username or password"):
            await stage.router.log_in(MAC, "kofi", "x")
        await stage.router.log_in(MAC, "kofi", "7731")
        assert stage.router.is_online(MAC)


async def test_a_name_stands_once_per_server() -> None:
    """Server and name together are the key; of two users of one name the server's own is logged in."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await command(stage, "/ip/hotspot/add", "=name=hotspot2", "=interface=ether9", "=disabled=no")
        await add_user(stage)
        await add_user(stage, "=server=hotspot1", "=limit-uptime=1h")
        await add_user(stage, "=server=hotspot2", "=limit-uptime=2h")
        twin = await command(stage, f"{USER}/add", "=name=kofi", "=server=hotspot2")
        assert fields(twin[0])["message"] == "failure: already have user with this name for this server"
        for wrong in ("profile", "server"):
            refused = await command(stage, f"{USER}/add", "=name=ama", f"={wrong}=nope")
            assert fields(refused[0])["message"] == f"input does not match any value of {wrong}"
        assert await log_in(stage) is None
        assert stage.router.active[0].time_left_seconds == 3600


async def test_used_up_bytes_are_told_as_such() -> None:
    """A user whose bytes are used up is refused with the traffic limit's wording until the limit is raised."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage, "=limit-bytes-out=1000")
        await log_in(stage)
        stage.router.traffic(MAC, 0, 1000)
        assert await log_in(stage) == "user kofi has reached traffic limit"
        await command(stage, f"{USER}/set", "=.id=kofi", "=limit-bytes-out=1500")
        assert await log_in(stage) is None
        stage.router.traffic(MAC, 0, 500)
        assert not stage.router.is_online(MAC)


@pytest.mark.parametrize(
    "edit",
    [
        (f"{USER}/remove", "=.id=kofi"),
        (f"{USER}/disable", "=numbers=kofi"),
        (f"{USER}/set", "=.id=kofi", "=password=other"),
        (f"{USER}/set", "=.id=kofi", f"=mac-address={OTHER_MAC}"),
        (f"{USER}/set", "=.id=kofi", "=limit-uptime=1s"),
        (f"{USER}/profile/set", "=.id=default", "=session-timeout=1s"),
        (f"{USER}/profile/set", "=.id=default", "=idle-timeout=1s"),
        (f"{USER}/profile/set", "=.id=default", "=rate-limit=1k"),
    ],
)
async def test_no_edit_touches_a_session(edit: tuple[str, ...]) -> None:
    """Whatever is done to the user or the profile, the session goes on as it began, until its row is removed."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage, "=limit-uptime=1h")
        await log_in(stage)
        (before,) = await rows(stage, ACTIVE)
        assert (await command(stage, *edit))[0][0] == "!done"
        await stage.clock.advance(600)
        (after,) = await rows(stage, ACTIVE)
        passing = ("uptime", "idle-time", "session-time-left")
        assert {name: value for name, value in after.items() if name not in passing} == {
            name: value for name, value in before.items() if name not in passing
        }
        assert (after["uptime"], after["session-time-left"]) == ("10m", "50m")
        assert await rows(stage, "/queue/simple") == []
        await command(stage, f"{ACTIVE}/remove", f"=.id={after['.id']}")
        assert not stage.router.is_online(MAC)


async def test_cookies_outlive_a_reboot_and_a_removed_one_brings_nobody_back() -> None:
    """After a reboot the MAC cookie logs the device in again; with the cookie's row gone it stays out."""
    async with mikrotik_stage(MikrotikOptions(login_by="http-pap,mac-cookie")) as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        await log_in(stage)
        await stage.router.reboot(down_seconds=40)
        await stage.clock.advance(41)
        stage.router.traffic(MAC)
        await let_run()
        assert [session.login_by for session in stage.router.active] == ["mac-cookie"]
        (cookie,) = await rows(stage, "/ip/hotspot/cookie")
        await command(stage, "/ip/hotspot/cookie/remove", f"=.id={cookie['.id']}")
        await stage.router.reboot(down_seconds=40)
        await stage.clock.advance(41)
        stage.router.traffic(MAC)
        await let_run()
        assert not stage.router.active
        assert [row["mac-address"] for row in await rows(stage, "/ip/hotspot/host")] == [MAC]


async def test_a_mac_cookie_that_fails_is_gone() -> None:
    """A login by MAC cookie that is refused takes the cookie with it."""
    async with mikrotik_stage(MikrotikOptions(login_by="http-pap,mac-cookie")) as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        await log_in(stage)
        await command(stage, f"{USER}/disable", "=numbers=kofi")
        stage.router.disconnect_device(MAC)
        await stage.clock.advance(1000)
        assert await rows(stage, "/ip/hotspot/cookie")
        stage.router.connect_device(MAC, IP)
        await let_run()
        assert not stage.router.is_online(MAC)
        assert await rows(stage, "/ip/hotspot/cookie") == []


async def test_a_host_becomes_a_binding() -> None:
    """make-binding writes the host's addresses into ip-binding; a regular one changes nothing for it."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        await add_user(stage)
        make = ("/ip/hotspot/host/make-binding", "=numbers=*1")
        await command(stage, *make, "=type=regular", "=comment=till")
        (binding,) = await rows(stage, "/ip/hotspot/ip-binding")
        assert (binding["mac-address"], binding["address"], binding["comment"]) == (MAC, IP, "till")
        assert not stage.router.is_online(MAC)
        assert await log_in(stage) is None
        gone = await command(stage, "/ip/hotspot/host/make-binding", "=numbers=*9")
        assert fields(gone[0])["message"] == "no such item"
        await command(stage, "/ip/hotspot/ip-binding/set", f"=.id={binding['.id']}", "=type=bypassed")
        (host,) = await rows(stage, "/ip/hotspot/host")
        assert (host["bypassed"], host["authorized"]) == ("true", "false")
        assert await rows(stage, ACTIVE) == []


@pytest.mark.parametrize(
    ("words", "leaves", "after"),
    [
        (("=keepalive-timeout=2m",), True, 120),
        (("=idle-timeout=none", "=keepalive-timeout=3m"), True, 180),
        (("=login-timeout=4m",), False, 240),
    ],
)
async def test_the_server_s_timeouts_of_a_host(words: tuple[str, ...], after: int, *, leaves: bool) -> None:
    """keepalive-timeout forgets a host that is gone, login-timeout one that never logs in; its next packet is new."""
    async with mikrotik_stage() as stage:
        await command(stage, "/ip/hotspot/set", "=.id=hotspot1", *words)
        stage.router.connect_device(MAC, IP)
        if leaves:
            stage.router.disconnect_device(MAC)
        await stage.clock.advance(after - 1)
        assert len(await rows(stage, "/ip/hotspot/host")) == 1
        await stage.clock.advance(2)
        assert await rows(stage, "/ip/hotspot/host") == []
        stage.router.connect_device(MAC, IP)
        assert len(await rows(stage, "/ip/hotspot/host")) == 1


async def test_a_login_timeout_leaves_those_alone_who_are_in() -> None:
    """Neither a logged-in device nor one that is bypassed is forgotten by login-timeout."""
    async with mikrotik_stage() as stage:
        await command(stage, "/ip/hotspot/set", "=.id=hotspot1", "=login-timeout=4m")
        await command(stage, "/ip/hotspot/ip-binding/add", f"=mac-address={OTHER_MAC}", "=type=bypassed")
        stage.router.connect_device(MAC, IP)
        stage.router.connect_device(OTHER_MAC, OTHER_IP)
        await add_user(stage)
        await log_in(stage)
        await stage.clock.advance(500)
        assert len(await rows(stage, "/ip/hotspot/host")) == 2
        await command(stage, f"{ACTIVE}/remove", "=.id=*1")
        await stage.clock.advance(239)
        assert len(await rows(stage, "/ip/hotspot/host")) == 2
        await stage.clock.advance(2)
        assert [row["mac-address"] for row in await rows(stage, "/ip/hotspot/host")] == [OTHER_MAC]
