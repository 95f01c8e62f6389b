"""The console's menus: what each keeps, checks and prints, by version and by who asks."""

from __future__ import annotations

import pytest

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.mikrotik import ALL_POLICIES, ApiUser, MikrotikOptions
from easyisp_edge.lab.mikrotik.command_tree import CommandTree
from easyisp_edge.lab.mikrotik.router_menus import RouterMenus
from easyisp_edge.lab.mikrotik.system_tables import FILE_OCTETS_MOST
from tests.fakes.mikrotik_stage import IP, MAC, Stage, mikrotik_stage

ADMIN = ApiUser("edge", "s3cret", ALL_POLICIES)
FILTER = "/ip/firewall/filter"


def administered(**changes: object) -> MikrotikOptions:
    return MikrotikOptions(**{"api_users": (ADMIN,), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("version", ["6.49.18", "7.9.2", "7.15.3", "7.18.2", "7.24"])
async def test_every_menu_of_a_version_prints(version: str) -> None:
    """Each menu the version lists answers its print, those of other versions are unknown."""
    tree, newest = CommandTree(version), CommandTree("7.24")
    async with mikrotik_stage(administered(version=version)) as stage:
        client = await stage.raw()
        for menu in sorted(RouterMenus(stage.router, stage.clock).menus()):
            if tree.knows(f"{menu}/print"):
                await client.rows(f"{menu}/print")
            else:
                assert newest.knows(f"{menu}/print")
                assert await client.trapped(f"{menu}/print") == "no such command prefix"


async def test_every_listed_command_is_played() -> None:
    """No command of the list is without something that carries it out."""
    async with mikrotik_stage(administered(version="7.24")) as stage:
        menus = RouterMenus(stage.router, stage.clock).menus()
        for version in ("6.49.18", "7.9.2", "7.24"):
            for command in CommandTree(version).commands():
                menu, _, verb = command.rpartition("/")
                assert verb in menus[menu], command


async def test_every_argument_of_an_add_has_its_field() -> None:
    """What the list says a table takes, the table can hold."""
    async with mikrotik_stage(administered(version="7.24")) as stage:
        tree = CommandTree("7.24")
        not_fields = {"copy-from", "place-before", "numbers"}
        for menu, table in stage.router.configuration.tables().items():
            taken = (tree.arguments(f"{menu}/add") | tree.arguments(f"{menu}/set")) - not_fields
            assert taken <= table.columns.keys(), menu


async def test_a_v6_router_has_its_own_ways() -> None:
    """Version 6 names its clock servers one by one, writes dates as text, and has no files made by commands."""
    async with mikrotik_stage(administered(version="6.49.18")) as stage:
        client = await stage.raw()
        await client.done("/system/ntp/client/set", "=enabled=yes", "=primary-ntp=10.5.50.2")
        (client_row,) = await client.rows("/system/ntp/client/print")
        assert (client_row["primary-ntp"], client_row["status"]) == ("10.5.50.2", "synchronized")
        assert await client.trapped("/system/ntp/client/set", "=servers=10.5.50.2") == "unknown parameter servers"
        assert await client.trapped("/file/add", "=name=x") == "no such command"
        (clock,) = await client.rows("/system/clock/print")
        assert clock["date"] == "nov/21/2026"
        assert (await client.rows("/system/resource/print"))[0]["version"] == "6.49.18 (long-term)"
        assert "hotspot" in [row["name"] for row in await client.rows("/system/package/print")]
        assert await client.ask("/ip/hotspot/user/print", "?name=nobody") == [("!done",)]


async def test_a_v6_router_without_the_hotspot_package() -> None:
    """Without its package the hotspot's menus are not there at all."""
    options = administered(version="6.49.18", hotspot_package=False, server_name="")
    async with mikrotik_stage(options) as stage:
        client = await stage.raw()
        assert await client.trapped("/ip/hotspot/user/print") == "no such command prefix"
        assert "hotspot" not in [row["name"] for row in await client.rows("/system/package/print")]
        assert await client.rows("/ip/pool/print")


async def test_a_device_mode_that_forbids_the_hotspot() -> None:
    """The hotspot prints as invalid and sees no device; no command lifts the ban."""
    async with mikrotik_stage(administered(forbidden=frozenset({"hotspot"}))) as stage:
        client = await stage.raw()
        (mode,) = await client.rows("/system/device-mode/print")
        assert (mode["mode"], mode["hotspot"], mode["scheduler"]) == ("advanced", "false", "true")
        (server,) = await client.rows("/ip/hotspot/print")
        assert server["invalid"] == "true"
        assert "not allowed by device-mode" in server["comment"]
        stage.router.connect_device(MAC, IP)
        assert await client.rows("/ip/hotspot/host/print") == []
        assert "press the button" in await client.trapped("/system/device-mode/update", "=hotspot=yes")


@pytest.mark.parametrize(("mode", "hotspot", "scheduler"), [("home", "false", "false"), ("rose", "true", "true")])
async def test_device_modes_allow_different_things(mode: str, hotspot: str, scheduler: str) -> None:
    """`home` forbids hotspot and scheduler, `rose` neither."""
    async with mikrotik_stage(administered(device_mode=mode, version="7.18.2")) as stage:
        (row,) = await (await stage.raw()).rows("/system/device-mode/print")
        assert (row["mode"], row["hotspot"], row["scheduler"]) == (mode, hotspot, scheduler)


async def test_versions_without_device_mode_forbid_nothing() -> None:
    """Before 7.17 there is no such menu, and the hotspot works."""
    async with mikrotik_stage(administered(version="7.16.2", forbidden=frozenset({"hotspot"}))) as stage:
        client = await stage.raw()
        assert await client.trapped("/system/device-mode/print") == "no such command prefix"
        stage.router.connect_device(MAC, IP)
        assert len(await client.rows("/ip/hotspot/host/print")) == 1


def test_a_mode_that_is_none_is_refused() -> None:
    """Options name one of the four modes."""
    with pytest.raises(InvalidError, match="device-mode"):
        MikrotikOptions(device_mode="office")


async def test_ntp_servers_are_one_list_in_two_menus() -> None:
    """What `servers` says stands as rows too, and a row added shows there."""
    async with mikrotik_stage(administered()) as stage:
        client = await stage.raw()
        assert (await client.rows("/system/ntp/client/print"))[0]["status"] == "stopped"
        await client.done("/system/ntp/client/set", "=enabled=yes", "=servers=10.5.50.2,pool.ntp.org")
        await client.done("/system/ntp/client/servers/add", "=address=time.cloudflare.com")
        (row,) = await client.rows("/system/ntp/client/print")
        assert row["servers"] == "10.5.50.2,pool.ntp.org,time.cloudflare.com"
        assert (row["status"], row["synced-server"]) == ("synchronized", "10.5.50.2")


async def test_a_clock_set_by_hand() -> None:
    """The clock takes date and time, in the version's spelling, unless NTP keeps it."""
    async with mikrotik_stage(administered()) as stage:
        client = await stage.raw()
        await client.done("/system/clock/set", "=date=2026-11-22", "=time=10:00:00")
        (row,) = await client.rows("/system/clock/print")
        assert (row["date"], row["time"]) == ("2026-11-22", "10:00:00")
        assert await client.trapped("/system/clock/set", "=time=25:00:00") == "invalid value for argument time"
        await client.done("/system/ntp/client/set", "=enabled=yes")
        assert "NTP" in await client.trapped("/system/clock/set", "=time=11:00:00")


async def test_firewall_rules_keep_their_order() -> None:
    """A rule goes to the end, or before another one; moving puts it elsewhere; wrong values are refused."""
    async with mikrotik_stage(administered()) as stage:
        client = await stage.raw()
        last = await client.done(f"{FILTER}/add", "=chain=input", "=action=drop", "=comment=c")
        first = await client.done(
            f"{FILTER}/add", "=chain=input", "=protocol=tcp", "=dst-port=8728", "=comment=a", f"=place-before={last}"
        )
        await client.done(f"{FILTER}/add", "=chain=forward", "=in-interface=bridge1", "=comment=b")
        order = [row["comment"] for row in await client.rows(f"{FILTER}/print")]
        assert order == ["a", "c", "b"]
        await client.done(f"{FILTER}/move", f"=numbers={first}", f"=destination={last}")
        await client.done(f"{FILTER}/move", f"=numbers={last}")
        assert [row["comment"] for row in await client.rows(f"{FILTER}/print")] == ["a", "b", "c"]
        wrong = await client.trapped(f"{FILTER}/add", "=chain=forward", "=in-interface=ether99")
        assert wrong == "input does not match any value of interface"
        assert await client.trapped(f"{FILTER}/add", "=chain=forward", "=action=fly") == (
            "invalid value for argument action"
        )


async def test_ipv6_rules_take_ipv6_addresses() -> None:
    """The IPv6 firewall is a list of its own, with its own addresses."""
    async with mikrotik_stage(administered()) as stage:
        client = await stage.raw()
        menu = "/ipv6/firewall/filter"
        await client.done(f"{menu}/add", "=chain=forward", "=action=drop", "=in-interface=bridge1")
        assert "src-address" in await client.trapped(f"{menu}/add", "=chain=input", "=src-address=10.0.0.1")
        await client.done("/ipv6/settings/set", "=disable-ipv6=yes")
        assert (await client.rows("/ipv6/settings/print"))[0]["disable-ipv6"] == "true"
        assert len(await client.rows(f"{menu}/print")) == 1


async def test_the_lan_is_set_up_before_the_hotspot() -> None:
    """Address, pool, DHCP server and network stand; a router without them says so by empty tables."""
    async with mikrotik_stage(administered(version="7.20.8")) as stage:
        client = await stage.raw()
        (address,) = await client.rows("/ip/address/print")
        assert (address["address"], address["network"], address["interface"]) == (
            "10.5.50.1/24",
            "10.5.50.0",
            "bridge1",
        )
        assert (await client.rows("/ip/dhcp-server/print"))[0]["address-pool"] == "dhcp-pool"
        await client.done(
            "/ip/dhcp-server/option/add", "=name=edge", "=code=114", "=value='https://p.example/a'", "=force=yes"
        )
        (option,) = await client.rows("/ip/dhcp-server/option/print")
        assert bytes.fromhex(option["raw-value"]) == b"https://p.example/a"
        await client.done("/ip/dhcp-server/network/set", "=.id=*1", "=dhcp-option=edge")
        assert "dhcp-option" in await client.trapped("/ip/dhcp-server/network/set", "=.id=*1", "=dhcp-option=none")
    async with mikrotik_stage(administered(lan_address=None, server_name="")) as stage:
        client = await stage.raw()
        for menu in ("/ip/address", "/ip/dhcp-server", "/ip/pool", "/ip/hotspot", "/radius"):
            assert await client.rows(f"{menu}/print") == []


async def test_queues_made_at_log_in_stand_beside_static_ones() -> None:
    """A login with a rate limit makes a dynamic queue; a queue made by hand keeps its own id and order."""
    async with mikrotik_stage(administered()) as stage:
        client, router = await stage.raw(), stage.router
        await client.done("/ip/hotspot/user/profile/add", "=name=gold", "=rate-limit=1M/4M")
        await client.done("/ip/hotspot/user/add", "=name=kofi", "=profile=gold")
        await client.done("/queue/simple/add", "=name=all", "=target=10.5.50.0/24", "=max-limit=10M/50M")
        router.connect_device(MAC, IP)
        await router.log_in(MAC, "kofi", "")
        made, static = await client.rows("/queue/simple/print")
        assert (made["dynamic"], made["max-limit"], made["target"]) == ("true", "1000000/4000000", f"{IP}/32")
        assert (static["dynamic"], static["max-limit"], static["name"]) == ("false", "10000000/50000000", "all")
        assert made[".id"] != static[".id"]
        await client.done("/queue/simple/disable", f"=.id={static['.id']}")
        await client.done("/ip/hotspot/active/remove", "=.id=*1")
        assert [row["disabled"] for row in await client.rows("/queue/simple/print")] == ["true"]


async def test_files_hold_what_was_written() -> None:
    """Directories and files are made, read, rewritten and removed, a directory with all that is in it."""
    async with mikrotik_stage(administered()) as stage:
        client = await stage.raw()
        assert await client.done("/file/add", "=name=edge-1", "=type=directory")
        await client.done("/file/add", "=name=edge-1/login.html", "=contents=<p>é</p>")
        rows = {row["name"]: row for row in await client.rows("/file/print")}
        assert rows["edge-1"]["type"] == "directory"
        page = rows["edge-1/login.html"]
        assert (page["type"], page["contents"], page["size"]) == (".html file", "<p>é</p>", "9")
        await client.done("/file/set", "=numbers=edge-1/login.html", "=contents=new")
        assert stage.router.files.contents("edge-1/login.html") == "new"
        assert await client.rows("/file/read", "=file=edge-1/login.html", "=chunk-size=2", "=offset=1") == [
            {"data": "ew"}
        ]
        await client.done("/file/remove", "=numbers=edge-1")
        assert [row["name"] for row in await client.rows("/file/print")] == ["hotspot"]
        assert stage.router.files.contents("edge-1/login.html") is None


async def test_files_have_their_limits() -> None:
    """About 60 KiB fit, the directory must be there, and a name stands once."""
    async with mikrotik_stage(administered()) as stage:
        client = await stage.raw()
        await client.done("/file/add", "=name=a.txt", "=contents=" + "x" * FILE_OCTETS_MOST)
        longer = "=contents=" + "x" * (FILE_OCTETS_MOST + 1)
        assert await client.trapped("/file/add", "=name=b.txt", longer) == "failure: contents too long"
        assert await client.trapped("/file/set", "=numbers=a.txt", longer) == "failure: contents too long"
        assert "no such directory" in await client.trapped("/file/add", "=name=nowhere/c.txt", "=contents=")
        assert "already exists" in await client.trapped("/file/add", "=name=a.txt", "=contents=")


@pytest.mark.parametrize(("version", "ret"), [("7.12.2", ""), ("7.15.3", "*2")])
async def test_adding_a_file_tells_its_id_by_version(version: str, ret: str) -> None:
    """Before 7.13 `/file/add` gives no id; directories by command came later still."""
    async with mikrotik_stage(administered(version=version)) as stage:
        client = await stage.raw()
        assert await client.done("/file/add", "=name=a.txt", "=contents=x") == ret
        if version == "7.12.2":
            assert await client.trapped("/file/add", "=name=d", "=type=directory") == "unknown parameter type"


async def test_boards_with_flash_keep_their_files_there() -> None:
    """The stock pages' folder is under `flash` where the board has one, and what is beside it does not last."""
    async with mikrotik_stage(administered(flash=True)) as stage:
        client = await stage.raw()
        await client.done("/file/add", "=name=/flash/kept.txt", "=contents=x")
        await client.done("/file/add", "=name=lost.txt", "=contents=x")
        types = {row["name"]: row["type"] for row in await client.rows("/file/print")}
        assert (types["flash"], types["flash/hotspot"]) == ("disk", "directory")
        assert types.keys() == {"flash", "flash/hotspot", "flash/kept.txt", "lost.txt"}
        await stage.router.reboot(1)
        await stage.clock.advance(2)
        names = [row["name"] for row in await (await stage.raw()).rows("/file/print")]
        assert names == ["flash", "flash/hotspot", "flash/kept.txt"]


async def test_policies_decide_what_a_user_may() -> None:
    """Reading, writing and managing users are rights of their own; a missing one is told by number 9."""
    users = (
        ADMIN,
        ApiUser("reader", "x", frozenset({"read", "api"})),
        ApiUser("writer", "x", frozenset({"read", "write", "api"})),
        ApiUser("blind", "x", frozenset({"write", "api"})),
        ApiUser("outside", "x", frozenset({"read", "write"})),
    )
    refused = "not enough permissions (9)"
    add = ("/user/add", "=name=x", "=group=read", "=password=x")
    async with mikrotik_stage(MikrotikOptions(api_users=users)) as stage:
        reader, writer, blind = [await stage.raw(name, "x") for name in ("reader", "writer", "blind")]
        assert await reader.trapped("/system/identity/set", "=name=x") == refused
        assert await blind.trapped("/system/identity/print") == refused
        await writer.done("/system/identity/set", "=name=y")
        assert await writer.trapped(*add) == refused
        assert await writer.trapped("/user/group/set", "=numbers=read", "=policy=read") == refused
        await (await stage.raw()).done(*add)
        nobody = await stage.raw(logged_in=False)
        assert await nobody.trapped("/login", "=name=outside", "=password=x") == refused


async def test_api_users_are_rows() -> None:
    """Who is added may log in, who is disabled or changed may not as before, and no password is ever shown."""
    async with mikrotik_stage(administered()) as stage:
        admin = await stage.raw()
        await admin.done("/user/group/add", "=name=easyisp", "=policy=read,write,api")
        group = next(row for row in await admin.rows("/user/group/print") if row["name"] == "easyisp")
        assert "!policy" in group["policy"].split(",")
        await admin.done("/user/add", "=name=easyisp", "=group=easyisp", "=password=new", "=address=127.0.0.0/8")
        await (await stage.raw("easyisp", "new")).rows("/ip/hotspot/user/print")
        row = next(row for row in await admin.rows("/user/print") if row["name"] == "easyisp")
        assert (row["group"], row["address"], "password" in row) == ("easyisp", "127.0.0.0/8", False)
        client = await stage.raw(logged_in=False)
        for change in ("=address=10.5.50.2/32", "=disabled=yes"):
            await admin.done("/user/set", "=numbers=easyisp", change)
            refused = await client.trapped("/login", "=name=easyisp", "=password=new")
            assert refused == "invalid user name or password (6)"
        assert "group" in await admin.trapped("/user/add", "=name=z", "=group=nobody")


async def test_what_happened_is_in_the_log() -> None:
    """Log-ins, failed ones too, and lines written by command."""
    async with mikrotik_stage(administered()) as stage:
        client = await stage.raw()
        await (await stage.raw(logged_in=False)).trapped("/login", "=name=x", "=password=y")
        await client.done("/log/warning", "=message=mind the gap")
        lines = [(row["topics"], row["message"]) for row in await client.rows("/log/print")]
        assert lines == [
            ("system,info,account", "user edge logged in from 127.0.0.1 via api"),
            ("system,info,account", "login failure for user x from 127.0.0.1 via api"),
            ("script,warning", "mind the gap"),
        ]


async def test_a_renamed_key_is_free_again() -> None:
    """A name given up, by renaming or removing, may be taken by another row; a taken one may not."""
    async with mikrotik_stage(administered()) as stage:
        client, menu = await stage.raw(), "/ip/pool"
        first = await client.done(f"{menu}/add", "=name=a", "=ranges=10.0.0.2-10.0.0.9")
        await client.done(f"{menu}/add", "=name=b", "=ranges=10.0.1.2-10.0.1.9")
        assert "exists" in await client.trapped(f"{menu}/set", "=numbers=b", "=name=a")
        await client.done(f"{menu}/set", f"=.id={first}", "=name=c")
        await client.done(f"{menu}/set", "=numbers=b", "=name=a")
        await client.done(f"{menu}/remove", "=numbers=a")
        await client.done(f"{menu}/add", "=name=a", "=ranges=10.0.2.2-10.0.2.9")
        assert sorted(row["name"] for row in await client.rows(f"{menu}/print")) == ["a", "c", "dhcp-pool"]


async def queried(stage: Stage, *words: str) -> list[str]:
    return [row.get("name", "") for row in await (await stage.raw()).rows("/ip/hotspot/user/print", *words)]


async def test_queries_find_the_same_with_and_without_a_proplist() -> None:
    """What a query looks at need not be among the fields wanted, nor does the quick way by name find other rows."""
    async with mikrotik_stage(administered()) as stage:
        client = await stage.raw()
        for name, comment in (("a", "1"), ("b", "2"), ("yes", "3")):
            await client.done("/ip/hotspot/user/add", f"=name={name}", f"=comment={comment}")
        for wanted in ((), ("=.proplist=name",)):
            assert await queried(stage, *wanted, "?comment=2") == ["b"]
            assert await queried(stage, *wanted, "?>comment=1") == ["b", "yes"]
            assert await queried(stage, *wanted, "?name=a", "?comment=2") == []
            assert await queried(stage, *wanted, "?name=a", "?comment=2", "?#|") == ["a", "b"]
            assert await queried(stage, *wanted, "?name=a", "?#!") == ["default-trial", "b", "yes"]
            assert await queried(stage, *wanted, "?-comment") == ["default-trial"]
            assert await queried(stage, *wanted, "?.id=*3") == ["b"]
            assert await queried(stage, *wanted, "?name=true") == ["yes"]


async def test_ids_count_up_and_come_once() -> None:
    """Ids are `*` and upper-case hex; one that went is not given again; several are named with commas."""
    async with mikrotik_stage(administered()) as stage:
        client, menu = await stage.raw(), "/ip/hotspot/ip-binding"
        ids = [await client.done(f"{menu}/add", f"=address=10.5.50.{number}") for number in range(1, 12)]
        assert ids == ["*1", "*2", "*3", "*4", "*5", "*6", "*7", "*8", "*9", "*A", "*B"]
        await client.done(f"{menu}/disable", "=.id=*1,*a")
        assert [row[".id"] for row in await client.rows(f"{menu}/print", "?disabled=yes")] == ["*1", "*A"]
        await client.done(f"{menu}/remove", "=.id=*A,*B")
        assert await client.done(f"{menu}/add", "=address=10.5.50.20") == "*C"
        assert await client.trapped(f"{menu}/remove", "=.id=*1,*B") == "no such item"
        assert len(await client.rows(f"{menu}/print")) == 10


async def test_a_command_may_be_longer_than_a_log_in() -> None:
    """What bounds words before the log-in holds no longer for the first command after it."""
    async with mikrotik_stage(administered()) as stage:
        client = await stage.raw()
        await client.done("/ip/hotspot/user/add", "=name=x", "=comment=" + "é" * 5000)
        assert stage.router.users[-1]["comment"] == "é" * 5000


async def test_a_v6_router_has_no_routing_tables_for_orders() -> None:
    """`/radius/incoming` has no `vrf` before version 7."""
    for version, fields in (("6.49.18", {"accept", "port"}), ("7.9.2", {"accept", "port", "vrf"})):
        async with mikrotik_stage(administered(version=version)) as stage:
            (row,) = await (await stage.raw()).rows("/radius/incoming/print")
            assert row.keys() == fields


async def test_a_port_for_orders_that_is_taken_here_stands_as_written() -> None:
    """The router says the port it was told; where the machine has no such port left, another one stands in."""
    async with mikrotik_stage(administered(), coa_port=0) as holder, mikrotik_stage(administered()) as stage:
        taken, client = holder.router.coa_port, await stage.raw()
        await client.done("/radius/incoming/set", "=accept=yes", f"=port={taken}")
        (row,) = await client.rows("/radius/incoming/print")
        assert (row["accept"], row["port"]) == ("true", str(taken))
        ports = [stage.router.coa_port]
        await client.done("/radius/incoming/set", "=accept=no")
        ports.append(stage.router.coa_port)
        assert ports[0] not in {None, taken}
        assert ports[1] is None
        (row,) = await client.rows("/radius/incoming/print")
        assert (row["accept"], row["port"]) == ("false", str(taken))
