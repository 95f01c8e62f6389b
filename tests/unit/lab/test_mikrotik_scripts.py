"""Scripts on the lab's router: what is understood, what is refused, as whom they run."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.lab.mikrotik import ALL_POLICIES, ApiUser, MikrotikOptions
from easyisp_edge.lab.mikrotik.command_tree import CommandTree
from easyisp_edge.lab.mikrotik.script_nodes import Command, Literal
from easyisp_edge.lab.mikrotik.script_scanner import ScriptSyntaxError
from easyisp_edge.lab.mikrotik.script_text import parse_script
from tests.fakes.mikrotik_stage import Stage, let_run, mikrotik_stage, until

USER = "/ip/hotspot/user"
ADMIN = ApiUser("edge", "s3cret", ALL_POLICIES)
TREE = CommandTree("7.20.8")


def with_admin(**changes: object) -> MikrotikOptions:
    return MikrotikOptions(**{"api_users": (ADMIN,), **changes})  # type: ignore[arg-type]


async def put(stage: Stage, source: str, name: str = "it", *words: str) -> None:
    await (await stage.raw()).done("/system/script/add", f"=name={name}", f"=source={source}", *words)


async def ran(stage: Stage, source: str) -> list[str]:
    """What a script printed."""
    await put(stage, source)
    await (await stage.raw()).done("/system/script/run", "=number=it")
    return list(stage.router.scripts.printed)


async def failed(stage: Stage, source: str) -> str:
    """Why a script failed."""
    await put(stage, source)
    return await (await stage.raw()).trapped("/system/script/run", "=number=it")


def names(stage: Stage) -> list[str]:
    return [row["name"] for row in stage.router.users]


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        (':put "one"; :put two\n# a remark\n:put (1 + 2)', ["one", "two", "3"]),
        (':local a "x"; :local b $a; :put "$a-$b\\24b"', ["x-x$b"]),
        (':put ("a" . "b" . 3)', ["ab3"]),
        (':put [:len "four"]', ["4"]),
        (':if (1 > 0 && "a" = "a") do={ :put yes } else={ :put no }', ["yes"]),
        (":if (1 > 2 || !(2 != 2)) do={ :put yes } else={ :put no }", ["yes"]),
        (':if ("edge: x" ~ "^edge:") do={ :put yes }', ["yes"]),
        (":if (1d > 3h and 5 <= 5) do={ :put yes }", ["yes"]),
        (':do { :error "oops"; :put never } on-error={ :put caught }; :put after', ["caught", "after"]),
        (":do { :put plain }", ["plain"]),
        (":local n 1; :do { :set n 2; :local n 3 }; :put $n", ["2"]),
        (":foreach i in=[/ip/pool/find] do={ :put [/ip/pool/get $i name] }", ["dhcp-pool"]),
        (":put [:len [/ip hotspot user find where name=nobody]]", ["0"]),
        (":put [/system identity get name]", ["MikroTik"]),
        (':put "a\\\n   b"', ["ab"]),
        (":put \\\n  joined", ["joined"]),
        (":global g 5; :put $g", ["5"]),
        (":put [:tonum 12]; :put [:tostr 1h]", ["12", "1h"]),
        (':put "\\41\\C3\\A9"', ["Aé"]),
        (':put "[$[/system identity get name]]"', ["[MikroTik]"]),
    ],
)
async def test_what_scripts_say(source: str, printed: list[str]) -> None:
    """The language's parts, each by what it prints."""
    async with mikrotik_stage(with_admin()) as stage:
        assert await ran(stage, source) == printed


async def test_rows_are_found_and_changed_by_what_they_say() -> None:
    """`find` takes =, !=, ~, flags and &&; with slashes or blanks, alone or in the menu set before."""
    source = """
/ip/hotspot/user/add name="a" comment="edge: 1"
/ip hotspot user add name=b comment="edge: 2" disabled=yes
/ip hotspot user
add name=c comment="other"
set [find where comment~"^edge:" && name!="a"] email="two"
set [find where !disabled comment~"^edge:"] email=one
/ip/hotspot/user/remove [find where comment="other"]
/ip/hotspot/user/remove [find where comment="nothing of the kind"]
:foreach i in=[find where disabled] do={ enable $i }
"""
    async with mikrotik_stage(with_admin()) as stage:
        await ran(stage, source)
        rows = {row["name"]: row for row in stage.router.users}
        assert rows.keys() == {"default-trial", "a", "b"}
        assert (rows["a"]["email"], rows["b"]["email"], rows["b"]["disabled"]) == ("one", "two", "false")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_quoted_texts_come_back(text: str) -> None:
    """Any text survives being quoted with the escapes of the language."""
    octets = "".join(f"\\{octet:02X}" for octet in text.encode())
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    for quoted in (octets, escaped):
        (command,) = parse_script(f'/ip hotspot user add name="{quoted}"', TREE)
        assert isinstance(command, Command)
        assert command.arguments == (("name", Literal(text) if text else command.arguments[0][1]),)


@pytest.mark.parametrize(
    "source",
    [
        ":fly",
        "/ip/hotspot/fly",
        "/ip/hotspot/user/add nmae=x",
        "/ip hotspot user set [find] colour=red",
        '/ip hotspot user add name="x',
        '/ip hotspot user add name="\\q"',
        ":if (1 > 0) do={ :put x",
        ":if (1 > 0) { :put x }",
        ":while (1) do={ }",
        ":do { :put x } while=(1)",
        ":foreach k,v in=x do={ }",
        ":put [:rndnum 1]",
        ":log shout x",
        ":put $",
        "}",
        "hello",
        ":put a b",
        "/system/device-mode/fly",
    ],
)
async def test_what_is_not_known_fails_before_anything_runs(source: str) -> None:
    """A script with a word that is not understood does nothing at all, not even what stands before it."""
    with pytest.raises(ScriptSyntaxError, match=r"\(line \d+ column \d+\)"):
        parse_script(source, TREE)
    async with mikrotik_stage(with_admin()) as stage:
        assert "(line 2 column" in await failed(stage, f'/ip/hotspot/user/add name="first"\n{source}')
        assert names(stage) == ["default-trial"]


PIECES = st.sampled_from(
    [
        ":if",
        ":do",
        ":foreach",
        ":local",
        ":put",
        ":log",
        ":error",
        "/ip",
        "hotspot",
        "user",
        "find",
        "where",
        "set",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        '"',
        "$",
        "\\",
        "=",
        "~",
        "&&",
        "||",
        "!",
        ";",
        "\n",
        "do=",
        "else=",
        "on-error=",
        "in=",
        "name=",
        "x",
        "1",
        "*1",
        "info",
        ".",
        "#",
        "[:len",
    ]
)


@given(st.lists(PIECES, max_size=30), st.sampled_from(["", " "]))
def test_any_text_is_a_script_or_an_error(pieces: list[str], between: str) -> None:
    """Reading ends, with a script or with the one error that says where."""
    with contextlib.suppress(ScriptSyntaxError):
        assert isinstance(parse_script(between.join(pieces), TREE), tuple)


async def test_a_menu_of_another_version_is_not_known() -> None:
    """Even guarded by `on-error`, a command the version does not have keeps the whole script from running."""
    source = ":put start; :do { /ip hotspot profile set [find] https-redirect=no } on-error={ :put caught }"
    async with mikrotik_stage(with_admin()) as stage:
        assert "https-redirect" in await failed(stage, source)
        assert not stage.router.scripts.printed


async def test_a_failing_command_ends_the_script() -> None:
    """What stood before it is done, what stands after it is not, and the caller hears why."""
    source = """/ip hotspot user add name=one
/ip hotspot user add name=one
/ip hotspot user add name=two"""
    async with mikrotik_stage(with_admin()) as stage:
        assert "already have user" in await failed(stage, source)
        assert names(stage) == ["default-trial", "one"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (':error "no luck"', "no luck"),
        (":put $never", "unknown variable never"),
        (":put (a + 1)", "cannot use a as a number"),
        (":if (maybe) do={ :put x }", "conditional not boolean"),
        (':put ("a" ~ "(")', "bad regular expression"),
        ("/ip hotspot user get nobody name", "no such item"),
        ("/ip hotspot user add name=x profile=nope", "input does not match any value of profile"),
    ],
)
async def test_errors_while_it_runs(source: str, message: str) -> None:
    """Each way of failing has its message."""
    async with mikrotik_stage(with_admin()) as stage:
        assert await failed(stage, source) == message


async def test_a_script_may_no_more_than_its_caller() -> None:
    """Who lacks a policy the script has may not run it, nor give a script one he lacks; unless it asks for none."""
    users = (ADMIN, ApiUser("small", "x", frozenset({"read", "write", "api"})))
    refused = "not enough permissions (9)"
    async with mikrotik_stage(MikrotikOptions(api_users=users)) as stage:
        admin, small = await stage.raw(), await stage.raw("small", "x")
        run = ("/system/script/run", "=number=it")
        await put(stage, ":put done")
        assert await small.trapped(*run) == refused
        await admin.done("/system/script/set", "=numbers=it", "=dont-require-permissions=yes")
        await small.done(*run)
        assert await small.trapped("/system/script/add", "=name=x", "=policy=read,policy") == refused
        await small.done("/system/script/add", "=name=own", "=source=:put own")
        (own,) = await small.rows("/system/script/print", "?name=own")
        assert (own["policy"], own["owner"]) == ("read,write", "small")
        assert await small.trapped("/system/script/set", "=numbers=own", "=policy=policy") == refused
        await small.done("/system/script/run", "=number=own")
        assert list(stage.router.scripts.printed) == ["done", "own"]


async def test_a_script_s_own_policies_bind_it() -> None:
    """A command the script's policies do not cover fails, whoever called it."""
    async with mikrotik_stage(with_admin()) as stage:
        await put(stage, "/ip hotspot user add name=x", "it", "=policy=read")
        assert await (await stage.raw()).trapped("/system/script/run", "=number=it") == "not enough permissions (9)"
        await put(stage, "/user add name=x group=full password=x", "two", "=policy=read,write")
        assert await (await stage.raw()).trapped("/system/script/run", "=number=two") == "not enough permissions (9)"


async def test_a_script_may_remove_itself() -> None:
    """Its last lines run though its own row is gone."""
    async with mikrotik_stage(with_admin()) as stage:
        assert await ran(stage, '/system/script/remove [find where name="it"]; :put gone') == ["gone"]
        assert await (await stage.raw()).rows("/system/script/print") == []


async def test_a_script_calls_another() -> None:
    """A script run by a script counts as run, and its error is the caller's to catch."""
    async with mikrotik_stage(with_admin()) as stage:
        await put(stage, ":put inner; :error stop", "inner")
        assert await ran(stage, ":do { /system script run inner } on-error={ :put caught }") == ["inner", "caught"]
        rows = await (await stage.raw()).rows("/system/script/print", "=.proplist=name,run-count")
        assert rows == [{"name": "inner", "run-count": "1"}, {"name": "it", "run-count": "1"}]


async def test_a_script_logs() -> None:
    """`:log` writes a line of that topic."""
    async with mikrotik_stage(with_admin()) as stage:
        await ran(stage, ':local n 3; :log warning "n is $n"; /log info "by command"')
        lines = [(row["topics"], row["message"]) for row in stage.router.log.rows()]
        assert lines[-2:] == [("script,warning", "n is 3"), ("script,info", "by command")]


async def test_a_script_takes_time_and_outlives_its_caller() -> None:
    """`:delay` waits on the router's clock; a caller that leaves does not end the script, a reboot does."""
    source = ":delay 10s; /ip hotspot user add name=late"
    async with mikrotik_stage(with_admin()) as stage:
        await put(stage, source)
        for reboots, found in ((False, True), (True, False)):
            client = await stage.raw()
            await client.send("/system/script/run", "=number=it")
            await until(lambda: stage.router.commands_seen[-1][0] == "/system/script/run")
            await let_run()
            if reboots:
                await stage.router.reboot(1)
            await client.close()
            await stage.clock.advance(11)
            assert ("late" in names(stage)) is found
            if not reboots:
                await (await stage.raw()).done(f"{USER}/remove", "=numbers=late")


async def test_a_reboot_may_come_between_two_commands() -> None:
    """Where each command takes its time, what was done before the power went stays done and the rest does not."""
    async with mikrotik_stage(with_admin(script_line_seconds=1.0)) as stage:
        await put(stage, "/ip hotspot user add name=one; /ip hotspot user add name=two")
        await (await stage.raw()).send("/system/script/run", "=number=it")
        await until(lambda: stage.router.commands_seen[-1][0] == "/system/script/run")
        await stage.clock.advance(1.5)
        await stage.router.reboot(1)
        await stage.clock.advance(5)
        assert names(stage) == ["default-trial", "one"]
